//! What an edit brings along: a form with files in it or `data:` URLs, and whether the pictures are what they claim.
//!
//! Pictures are decoded to the last pixel, so that a file that only begins like one is noticed. Which names, how many
//! and which formats a vendor takes is its own business, and so are its words for what is wrong.

use std::io::Cursor;

use axum::body::Bytes;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use base64_simd::STANDARD;
use image::ImageReader;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::fields::{FieldError, FieldErrorKind};
use crate::image::{Format, Size};
use crate::sandbox::vendor_call::text;

/// A form's fields and files, in the order sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    /// Every text once.
    pub texts: Vec<(String, String)>,
    files: Vec<(String, Bytes)>,
}

/// Why a request is not a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadForm {
    /// The content type is this instead (empty when there is none).
    ContentType(String),
    /// Over the limit.
    TooLarge,
    /// Not what a form looks like; the reader's words.
    Broken(String),
    /// This text field stands there twice.
    Twice(String),
}

impl Form {
    /// Reads a request's form. What has a file name is a file, the rest are texts.
    pub(super) async fn read(request: Request) -> Result<Form, BadForm> {
        let given = text(request.headers(), &header::CONTENT_TYPE).unwrap_or_default().to_owned();
        let mut fields = Multipart::from_request(request, &()).await.map_err(|_| BadForm::ContentType(given))?;
        let mut form = Form::default();
        while let Some(field) = fields.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            if field.file_name().is_some() {
                form.files.push((name, field.bytes().await.map_err(broken)?));
            } else if form.texts.iter().any(|(known, _)| *known == name) {
                return Err(BadForm::Twice(name));
            } else {
                form.texts.push((name, field.text().await.map_err(broken)?));
            }
        }
        Ok(form)
    }

    /// The files of this name, taken out.
    pub(super) fn take(&mut self, name: &str) -> Vec<Bytes> {
        let (taken, left) = self.files.drain(..).partition::<Vec<_>, _>(|(known, _)| known == name);
        self.files = left;
        taken.into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// The only file of this name, taken out.
    pub(super) fn take_one(&mut self, name: &str) -> Result<Option<Bytes>, FieldError> {
        let mut files = self.take(name);
        match files.len() {
            0 | 1 => Ok(files.pop()),
            _ => Err(FieldError::other(name, "must be given once")),
        }
    }

    /// No file may be left.
    pub(super) fn end(&self) -> Result<(), FieldError> {
        self.files.first().map_or(Ok(()), |(name, _)| Err(FieldError::new(name, FieldErrorKind::Unknown)))
    }
}

fn broken(why: MultipartError) -> BadForm {
    if why.status() == StatusCode::PAYLOAD_TOO_LARGE { BadForm::TooLarge } else { BadForm::Broken(why.body_text()) }
}

/// The bytes in a `data:` URL of base64.
pub(super) fn data_url(url: &str) -> Option<Bytes> {
    let (media_type, base64) = url.strip_prefix("data:")?.split_once(";base64,")?;
    media_type.starts_with("image/").then(|| STANDARD.decode_to_vec(base64).ok().map(Bytes::from)).flatten()
}

/// A picture that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InspectedPicture {
    pub format: Format,
    pub size: Size,
    pub alpha: bool,
}

/// Looks at the pictures of field `image`, then at the mask: a PNG with an alpha channel, as large as the first.
pub(super) async fn look(
    image: &str,
    images: Vec<Bytes>,
    mask: Option<Bytes>,
) -> Result<Vec<InspectedPicture>, FieldError> {
    let looking = tokio::task::spawn_blocking(move || {
        let seen = images.iter().map(|bytes| decode(bytes)).collect::<Vec<_>>();
        (seen, mask.map(|bytes| decode(&bytes)))
    });
    let (seen, mask) = looking.await.map_err(|_| FieldError::other(image, "could not be decoded"))?;
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

/// A number that is another for other pictures, so that an edit of another picture looks different.
pub(super) fn mark(images: &[Bytes], mask: Option<&Bytes>) -> u64 {
    images.iter().chain(mask).fold(0, |mark, bytes| xxh3_64_with_seed(bytes, mark))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::draw::Sketch;
    use super::*;

    /// A real picture.
    pub fn picture(side: u32, format: Format, transparent: bool) -> Bytes {
        Sketch { format, transparent, ..Sketch::new("an input", 7, 0, Size::new(side, side)) }.file().unwrap()
    }

    /// A form by hand: texts, then files.
    pub fn form(texts: &[(&str, &str)], files: &[(&str, &Bytes)]) -> Vec<u8> {
        let mut body = Vec::new();
        for (name, value) in texts {
            let head = format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(head.as_bytes());
        }
        for (name, bytes) in files {
            let head = format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"x\"\r\n\r\n");
            body.extend_from_slice(head.as_bytes());
            body.extend_from_slice(bytes);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--cut--\r\n");
        body
    }

    /// The content type of [`form`].
    pub const FORM: &str = "multipart/form-data; boundary=cut";

    /// A picture as a `data:` URL.
    pub fn as_url(bytes: &Bytes) -> String {
        format!("data:image/png;base64,{}", STANDARD.encode_to_string(bytes))
    }

    #[tokio::test]
    async fn pictures_are_decoded_and_a_mask_is_a_png_with_alpha_of_the_same_size() {
        let look = async |image: Bytes, mask: Option<Bytes>| super::look("image", vec![image], mask).await;
        let (png, clear) = (picture(64, Format::Png, false), picture(64, Format::Png, true));
        let seen = look(png.clone(), Some(clear.clone())).await.unwrap();
        assert_eq!((seen[0].format, seen[0].size), (Format::Png, Size::new(64, 64)));
        for format in Format::ALL {
            assert_eq!(look(picture(64, format, false), None).await.unwrap()[0].format, format);
        }
        assert_eq!(look(png.slice(..png.len() / 2), None).await.unwrap_err().field, "image");
        assert_eq!(look(Bytes::from_static(b"<svg/>"), None).await.unwrap_err().field, "image");
        for mask in [png.clone(), picture(64, Format::Webp, true), picture(32, Format::Png, true), png.slice(..20)] {
            assert_eq!(look(png.clone(), Some(mask)).await.unwrap_err().field, "mask");
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
