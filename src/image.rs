//! Pictures as Easel handles them: bytes that are never touched, plus what their first and last bytes tell.
//!
//! A [`Picture`] keeps the form it arrived in, raw or base64, so that a large body can be passed on without being
//! encoded again. This file decodes no pixels (judging pictures is not its work); it reads dimensions from the header
//! and notices a file that was cut off (`image/truncation.rs`).

use base64_simd::STANDARD;
use bytes::Bytes;
use thiserror::Error;

use crate::image::reader::EncodedReader;

mod base64;
mod body_chunks;
mod format;
mod picture_bytes;
mod reader;
mod size;
mod truncation;

pub use crate::image::body_chunks::BodyChunks;
pub use crate::image::format::Format;
pub use crate::image::picture_bytes::Encoded;
pub use crate::image::size::{BadSize, Size};
pub use base64::{decode, is_data_url, standard, without_data_prefix};

/// Why received bytes are not a deliverable picture. The word goes to log and metric.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Base64 that does not decode.
    #[error("bad_base64")]
    BadBase64,
    /// SVG, which is a program as much as a picture: whoever shows it runs what a stranger wrote.
    #[error("svg")]
    Svg,
    /// A picture, but neither PNG nor JPEG nor WebP.
    #[error("other_format")]
    OtherFormat,
    /// No picture.
    #[error("not_a_picture")]
    NotAPicture,
    /// The file ends before its format says it does.
    #[error("truncated")]
    Truncated,
}

/// One finished picture: bytes untouched, and what was measured from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The bytes in the form they arrived in.
    pub encoded: Encoded,
    /// Sniffed from the bytes, never taken from a header.
    pub format: Format,
    /// Measured from the bytes.
    pub size: Size,
    /// The prompt the provider says it drew, where it rewrote ours.
    pub revised_prompt: Option<String>,
}

/// How much of a file's head is looked at first. JPEG files with large metadata need the whole file instead.
const HEAD: usize = 16 * 1024;

/// A picture that is less than fifteen of so many parts of the buffer that it lies in gets one of its own, so that what is held is no
/// more than 16/15 of what is counted.
const KEPT_PARTS: usize = 16;

impl Fault {
    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::BadBase64 => "bad_base64",
            Fault::NotAPicture => "not_a_picture",
            Fault::Truncated => "truncated",
            Fault::Svg => "svg",
            Fault::OtherFormat => "other_format",
        }
    }
}

impl Picture {
    /// Looks at the head of `encoded` and for its end, and measures the picture.
    ///
    /// Base64 is checked along its whole length, because it may be passed on without ever being decoded here. What is
    /// not in the standard form is brought into it; what is, is not copied.
    pub fn inspect(encoded: Encoded) -> Result<Picture, Fault> {
        let encoded = match encoded {
            Encoded::Base64(text) => Encoded::Base64(standard(text).ok_or(Fault::BadBase64)?),
            raw @ Encoded::Raw(_) => raw,
        };
        let (format, size) = measure(EncodedReader::of(&encoded))?;
        Ok(Picture { encoded, format, size, revised_prompt: None })
    }

    /// The file's bytes, decoded when they are held in base64.
    pub fn raw(&self) -> Bytes {
        match &self.encoded {
            Encoded::Raw(bytes) => bytes.clone(),
            // `inspect` checked the whole text, so this decodes; an empty file would be caught by its reader.
            Encoded::Base64(text) => STANDARD.decode_to_vec(text).map(Bytes::from).unwrap_or_default(),
        }
    }

    /// The file in base64, encoded when it is held raw.
    pub fn base64(&self) -> Bytes {
        match &self.encoded {
            Encoded::Raw(bytes) => Bytes::from(STANDARD.encode_to_string(bytes).into_bytes()),
            Encoded::Base64(text) => text.clone(),
        }
    }

    /// The file's bytes, to be sent.
    pub fn as_file(&self) -> BodyChunks {
        match &self.encoded {
            Encoded::Raw(bytes) => BodyChunks::Held(bytes.clone()),
            Encoded::Base64(text) => BodyChunks::Decoded(text.clone()),
        }
    }

    /// The file in base64, to be sent.
    pub fn as_base64(&self) -> BodyChunks {
        match &self.encoded {
            Encoded::Raw(bytes) => BodyChunks::Encoded(bytes.clone()),
            Encoded::Base64(text) => BodyChunks::Held(text.clone()),
        }
    }

    /// The same picture without the rest of `whole`, the buffer that its bytes may lie in: whoever keeps a part of a buffer
    /// keeps all of it. A part that is nearly all stays where it is.
    pub fn without_the_rest_of(mut self, whole: &Bytes) -> Picture {
        let own = |bytes: &mut Bytes| {
            if whole.as_ptr_range().contains(&bytes.as_ptr())
                && bytes.len() < whole.len() / KEPT_PARTS * (KEPT_PARTS - 1)
            {
                *bytes = Bytes::copy_from_slice(bytes);
            }
        };
        match &mut self.encoded {
            Encoded::Raw(bytes) | Encoded::Base64(bytes) => own(bytes),
        }
        self
    }

    /// The same picture held in base64, for a cache whose next reader will want base64 again.
    pub fn into_base64(mut self) -> Picture {
        self.encoded = Encoded::Base64(self.base64());
        self
    }

    /// Bytes of memory held.
    pub fn weight(&self) -> usize {
        self.encoded.bytes().len() + self.revised_prompt.as_ref().map_or(0, String::len)
    }
}

/// Format and size, if the file is whole.
fn measure(file: EncodedReader<'_>) -> Result<(Format, Size), Fault> {
    let head = file.head(HEAD);
    let format = sniff(&head).ok_or_else(|| what_else(&head))?;
    // The dimensions may sit behind a long block of metadata.
    let measured = imagesize::blob_size(&head).or_else(|_| imagesize::blob_size(&file.whole()));
    let measured = measured.map_err(|_| Fault::Truncated)?;
    let side = |pixels: usize| u32::try_from(pixels).ok().filter(|side| *side > 0).ok_or(Fault::NotAPicture);
    let size = Size::new(side(measured.width)?, side(measured.height)?);
    if truncation::is_whole(format, file) { Ok((format, size)) } else { Err(Fault::Truncated) }
}

/// The format by magic bytes.
fn sniff(head: &[u8]) -> Option<Format> {
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(Format::Png)
    } else if head.starts_with(b"\xff\xd8\xff") {
        Some(Format::Jpeg)
    } else if head.len() >= 12 && &head[..4] == b"RIFF" && &head[8..12] == b"WEBP" {
        Some(Format::Webp)
    } else {
        None
    }
}

/// Why what begins so is not taken, where it is none of the formats.
fn what_else(head: &[u8]) -> Fault {
    // A byte order mark, blanks, an XML declaration, a document type and comments may stand before its element.
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let marked_up = text.starts_with(b"<") && !text.starts_with(b"<html") && !text.starts_with(b"<!DOCTYPE html");
    if marked_up && memchr::memmem::find(text, b"<svg").is_some() {
        return Fault::Svg;
    }
    let brand = head.get(4..12).unwrap_or_default();
    let known: [&[u8]; 8] =
        [b"GIF8", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cJXL ", b"\xff\x0a", b"\0\0\x01\0", b"\0\0\0\x0cjP  "];
    let boxed = [&b"ftypavif"[..], b"ftypavis", b"ftypheic", b"ftypheix", b"ftypmif1"].contains(&brand);
    if boxed || known.iter().any(|magic| head.starts_with(magic)) { Fault::OtherFormat } else { Fault::NotAPicture }
}

/// Whether `text` is base64 that begins like a picture, for who expects a link there.
pub fn is_picture_text(text: &[u8]) -> bool {
    /// Characters of the longest magic bytes, which are WebP's twelve.
    const MAGIC: usize = 16;
    text.get(..MAGIC).and_then(decode).is_some_and(|head| sniff(&head).is_some())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use super::*;

    fn file(format: ImageFormat) -> Bytes {
        let mut out = Cursor::new(Vec::new());
        let drawn = DynamicImage::new_rgb8(48, 32).write_to(&mut out, format);
        assert!(drawn.is_ok());
        Bytes::from(out.into_inner())
    }

    fn in_base64(file: &Bytes) -> Encoded {
        Encoded::Base64(Bytes::from(STANDARD.encode_to_string(file).into_bytes()))
    }

    #[test]
    fn every_format_is_measured_raw_and_in_base64() {
        for (codec, format) in
            [(ImageFormat::Png, Format::Png), (ImageFormat::Jpeg, Format::Jpeg), (ImageFormat::WebP, Format::Webp)]
        {
            let file = file(codec);
            for encoded in [Encoded::Raw(file.clone()), in_base64(&file)] {
                let picture = Picture::inspect(encoded).unwrap();
                assert_eq!((picture.format, picture.size), (format, Size::new(48, 32)));
                assert_eq!(picture.raw(), file);
                assert_eq!(STANDARD.decode_to_vec(picture.base64()).unwrap(), file);
            }
        }
    }

    #[test]
    fn a_file_that_was_cut_off_is_noticed_in_either_form() {
        for codec in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let whole = file(codec);
            let cut = whole.slice(..whole.len() - 12);
            assert_eq!(Picture::inspect(Encoded::Raw(cut.clone())), Err(Fault::Truncated), "{codec:?}");
            assert_eq!(Picture::inspect(in_base64(&cut)), Err(Fault::Truncated), "{codec:?}");
        }
    }

    #[test]
    fn bytes_behind_the_end_are_kept_and_change_nothing() {
        for codec in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            for behind in [1, 2, 40, 65, 4096] {
                let padded = Bytes::from([&file(codec)[..], &vec![0; behind]].concat());
                for encoded in [Encoded::Raw(padded.clone()), in_base64(&padded)] {
                    let picture = Picture::inspect(encoded).unwrap();
                    assert_eq!(
                        (picture.size, picture.raw()),
                        (Size::new(48, 32), padded.clone()),
                        "{codec:?} {behind}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_jpeg_without_its_end_marker_is_a_picture_and_one_that_was_cut_off_is_none() {
        let whole = file(ImageFormat::Jpeg);
        for (cut, truncated) in [(2, false), (1, false), (3, true), (whole.len() / 2, true)] {
            let rest = whole.slice(..whole.len() - cut);
            for encoded in [Encoded::Raw(rest.clone()), in_base64(&rest)] {
                let fault = Picture::inspect(encoded).err();
                assert_eq!(fault, truncated.then_some(Fault::Truncated), "{cut} bytes off");
            }
        }
    }

    #[test]
    fn base64_is_told_from_a_link_by_how_a_picture_begins() {
        for codec in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let text = STANDARD.encode_to_string(file(codec));
            assert!(is_picture_text(text.as_bytes()));
            assert!(is_picture_text(text.replace('/', "_").as_bytes()));
        }
        for link in ["https://host/iVBORw0KGgo", "/files/1.png", "files/0123456789abcdef", "/9j/", ""] {
            assert!(!is_picture_text(link.as_bytes()), "{link}");
        }
    }

    #[test]
    fn base64_in_another_form_is_held_in_the_standard_one() {
        let whole = file(ImageFormat::Png);
        let text = STANDARD.encode_to_string(&whole);
        let written = text.trim_end_matches('=').replace('+', "-").replace('/', "_");
        let picture = Picture::inspect(Encoded::Base64(Bytes::from(written))).unwrap();
        assert_eq!((picture.base64(), picture.raw()), (Bytes::from(text), whole.clone()));
        let Encoded::Base64(standard) = in_base64(&whole) else { panic!("not base64") };
        let held = Picture::inspect(Encoded::Base64(standard.clone())).unwrap().base64();
        assert_eq!(held.as_ptr(), standard.as_ptr(), "what is standard is not copied");
    }

    #[test]
    fn a_picture_that_is_a_part_of_its_reply_keeps_no_more_than_a_fifteenth_besides_itself() {
        let long = [file(ImageFormat::Png), vec![0; 4096].into()].concat();
        let text = Bytes::from(STANDARD.encode_to_string(long));
        let reply = |more: usize| Bytes::from([b"{\"b64_json\": \"", &text[..], &vec![b' '; more]].concat());
        let kept = |whole: &Bytes| {
            let part = whole.slice(14..14 + text.len());
            let held = Picture::inspect(Encoded::Base64(part.clone())).unwrap().without_the_rest_of(whole);
            assert_eq!(held.base64(), text);
            held.base64().as_ptr() == part.as_ptr()
        };
        assert!(kept(&reply(0)) && kept(&reply(text.len() / 20)), "nearly all of it is the picture");
        assert!(!kept(&reply(text.len() / 8)) && !kept(&reply(text.len())) && !kept(&reply(text.len() * 20)));
    }

    #[test]
    fn a_web_page_is_not_a_picture_and_stray_bytes_are_not_base64() {
        let page = Bytes::from_static(b"<html><body>502 Bad Gateway</body></html>");
        assert_eq!(Picture::inspect(Encoded::Raw(page.clone())), Err(Fault::NotAPicture));
        assert_eq!(Picture::inspect(in_base64(&page)), Err(Fault::NotAPicture));
        assert_eq!(Picture::inspect(Encoded::Base64(page)), Err(Fault::BadBase64));
        assert_eq!(Picture::inspect(Encoded::Raw(Bytes::new())), Err(Fault::NotAPicture));
    }

    #[test]
    fn dimensions_behind_long_metadata_are_still_found() {
        let plain = file(ImageFormat::Jpeg);
        let mut padded = plain[..2].to_vec();
        for _ in 0..3 {
            padded.extend_from_slice(&[0xff, 0xe1, 0x75, 0x32]);
            padded.resize(padded.len() + 0x7530, 0);
        }
        padded.extend_from_slice(&plain[2..]);
        let picture = Picture::inspect(in_base64(&Bytes::from(padded))).unwrap();
        assert_eq!(picture.size, Size::new(48, 32));
    }

    #[test]
    fn a_size_is_two_plain_numbers() {
        assert_eq!("1536x1024".parse(), Ok(Size::new(1536, 1024)));
        for text in ["0x0", "banana", "10x", "x10", "+1x1", "1024X1024", "99999x1", "1x1x1", " 1x1"] {
            assert_eq!(text.parse::<Size>(), Err(BadSize), "{text:?}");
        }
    }
}
