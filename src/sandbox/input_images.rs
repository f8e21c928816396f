//! The pictures that an edit starts from: read from a `data:` URL, decoded, checked with their mask, fingerprinted.
//!
//! Pictures are decoded to the last pixel, so that a file that only begins like one is noticed. Which formats and how
//! many pictures a vendor takes is its own business, and so is how it words an error.

use std::io::Cursor;

use axum::body::Bytes;
use base64_simd::STANDARD;
use image::ImageReader;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::image::{Format, Size};
use crate::sandbox::fields::{FieldError, FieldErrorKind};

/// The bytes in a `data:` URL of base64.
pub(super) fn data_url(url: &str) -> Option<Bytes> {
    let (media_type, base64) = url.strip_prefix("data:")?.split_once(";base64,")?;
    media_type.starts_with("image/").then(|| STANDARD.decode_to_vec(base64).ok().map(Bytes::from)).flatten()
}

/// What decoding a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InspectedPicture {
    pub format: Format,
    pub size: Size,
    pub alpha: bool,
}

/// Decodes the pictures of field `image`, then the mask: a PNG with an alpha channel, as large as the first picture.
pub(super) async fn decode_all(
    image: &str,
    images: Vec<Bytes>,
    mask: Option<Bytes>,
) -> Result<Vec<InspectedPicture>, FieldError> {
    let decoding = tokio::task::spawn_blocking(move || {
        let seen = images.iter().map(|bytes| decode(bytes)).collect::<Vec<_>>();
        (seen, mask.map(|bytes| decode(&bytes)))
    });
    let (seen, mask) = decoding.await.map_err(|_| FieldError::other(image, "could not be decoded"))?;
    let seen: Option<Vec<InspectedPicture>> = seen.into_iter().collect();
    let seen = seen
        .ok_or_else(|| FieldError::other(image, "Invalid image file or mode: it must be a whole PNG, JPEG or WebP"))?;
    let first = seen.first().ok_or_else(|| FieldError::new(image, FieldErrorKind::Missing))?;
    let flaw = match mask {
        None => None,
        Some(None) => Some("Invalid mask image: not a picture"),
        Some(Some(mask)) if mask.format != Format::Png => Some("Invalid mask image format: mask must be a PNG"),
        Some(Some(mask)) if !mask.alpha => Some("Invalid mask image format: mask image missing alpha channel"),
        Some(Some(mask)) if mask.size != first.size => {
            Some("Invalid mask image format: mask size does not match image size")
        }
        Some(Some(_)) => None,
    };
    flaw.map_or(Ok(seen.clone()), |flaw| Err(FieldError::other("mask", flaw)))
}

/// Decodes one picture to its last pixel.
pub(super) fn decode(bytes: &[u8]) -> Option<InspectedPicture> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let format = match reader.format()? {
        image::ImageFormat::Png => Format::Png,
        image::ImageFormat::Jpeg => Format::Jpeg,
        image::ImageFormat::WebP => Format::Webp,
        _ => return None,
    };
    let picture = reader.decode().ok()?;
    let size = Size::new(picture.width(), picture.height());
    Some(InspectedPicture { format, size, alpha: picture.color().has_alpha() })
}

/// A hash of the pictures, mixed into the seed so that an edit of another picture looks different.
pub(super) fn fingerprint(images: &[Bytes], mask: Option<&Bytes>) -> u64 {
    images.iter().chain(mask).fold(0, |hash, bytes| xxh3_64_with_seed(bytes, hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::test_inputs::{as_url, picture};

    #[tokio::test]
    async fn pictures_are_decoded_and_a_mask_is_a_png_with_alpha_of_the_same_size() {
        let decode_one = async |image: Bytes, mask: Option<Bytes>| super::decode_all("image", vec![image], mask).await;
        let (png, clear) = (picture(64, Format::Png, false), picture(64, Format::Png, true));
        let seen = decode_one(png.clone(), Some(clear.clone())).await.unwrap();
        assert_eq!((seen[0].format, seen[0].size), (Format::Png, Size::new(64, 64)));
        for format in Format::ALL {
            assert_eq!(decode_one(picture(64, format, false), None).await.unwrap()[0].format, format);
        }
        assert_eq!(decode_one(png.slice(..png.len() / 2), None).await.unwrap_err().field, "image");
        assert_eq!(decode_one(Bytes::from_static(b"<svg/>"), None).await.unwrap_err().field, "image");
        for mask in [png.clone(), picture(64, Format::Webp, true), picture(32, Format::Png, true), png.slice(..20)] {
            assert_eq!(decode_one(png.clone(), Some(mask)).await.unwrap_err().field, "mask");
        }
    }

    #[test]
    fn a_data_url_is_base64_of_a_picture_type() {
        let png = picture(8, Format::Png, false);
        assert_eq!(data_url(&as_url(&png)), Some(png));
        for url in
            ["https://host/1.png", "data:text/plain;base64,QUJD", "data:image/png,ABC", "data:image/png;base64,*"]
        {
            assert_eq!(data_url(url), None, "{url}");
        }
    }
}
