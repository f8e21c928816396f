//! Pictures as Easel handles them: bytes that are never touched, plus what their first and last bytes tell.
//!
//! A [`Picture`] keeps the form it arrived in, raw or base64, so that a large body can be passed on without being
//! encoded again. This file decodes no pixels (judging pictures is not its work); it reads dimensions from the header
//! and notices a file that was cut off.

use std::fmt;
use std::str::FromStr;

use base64_simd::STANDARD;
use bytes::Bytes;
use memchr::memmem;
use thiserror::Error;

/// Pixels across and down; both at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl Size {
    /// The largest side a request may name; no provider draws more.
    pub const MAX_SIDE: u32 = 16_384;

    /// A size of `width` by `height` pixels.
    pub const fn new(width: u32, height: u32) -> Size {
        Size { width, height }
    }

    /// Pixels in all.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// The text is not `WIDTHxHEIGHT` with both sides between 1 and [`Size::MAX_SIDE`].
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a size is WIDTHxHEIGHT in pixels, like 1024x1024, each side from 1 to {}", Size::MAX_SIDE)]
pub struct BadSize;

impl FromStr for Size {
    type Err = BadSize;

    fn from_str(text: &str) -> Result<Size, BadSize> {
        let (width, height) = text.split_once('x').ok_or(BadSize)?;
        let side = |text: &str| {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            plain
                .then(|| text.parse::<u32>().ok())
                .flatten()
                .filter(|side| (1..=Size::MAX_SIDE).contains(side))
                .ok_or(BadSize)
        };
        Ok(Size::new(side(width)?, side(height)?))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// File formats a client may ask for and a provider may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

impl Format {
    /// Every format, in the order error messages list them.
    pub const ALL: [Format; 3] = [Format::Png, Format::Jpeg, Format::Webp];

    /// OpenAI's word: `png`, `jpeg`, `webp`.
    pub fn word(self) -> &'static str {
        match self {
            Format::Png => "png",
            Format::Jpeg => "jpeg",
            Format::Webp => "webp",
        }
    }

    /// The media type of a file of this format.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Png => "image/png",
            Format::Jpeg => "image/jpeg",
            Format::Webp => "image/webp",
        }
    }
}

impl FromStr for Format {
    type Err = ();

    /// Reads OpenAI's word; `jpg` is accepted for `jpeg`.
    fn from_str(text: &str) -> Result<Format, ()> {
        match text {
            "png" => Ok(Format::Png),
            "jpeg" | "jpg" => Ok(Format::Jpeg),
            "webp" => Ok(Format::Webp),
            _ => Err(()),
        }
    }
}

/// Why received bytes are not a deliverable picture. The word goes to log and metric.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Base64 that does not decode.
    #[error("bad_base64")]
    BadBase64,
    /// Neither PNG nor JPEG nor WebP.
    #[error("not_a_picture")]
    NotAPicture,
    /// The file ends before its format says it does.
    #[error("truncated")]
    Truncated,
}

/// The form a picture's bytes are held in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// The file itself.
    Raw(Bytes),
    /// The file in standard padded base64 without a `data:` prefix; a slice of the provider's own reply where it came
    /// in one.
    Base64(Bytes),
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
/// How much of a file's tail tells that it is complete.
const TAIL: usize = 64;

impl Picture {
    /// Looks at the head and tail of `encoded` and measures the picture.
    ///
    /// Base64 is checked along its whole length, because it may be passed on without ever being decoded here.
    pub fn inspect(encoded: Encoded) -> Result<Picture, Fault> {
        let (format, size) = match &encoded {
            Encoded::Raw(bytes) => measure(bytes, bytes, bytes.len())?,
            Encoded::Base64(text) => measure_base64(text)?,
        };
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

    /// The same picture held in base64, for a cache whose next reader will want base64 again.
    pub fn into_base64(mut self) -> Picture {
        self.encoded = Encoded::Base64(self.base64());
        self
    }

    /// Bytes of memory held.
    pub fn weight(&self) -> usize {
        let (Encoded::Raw(bytes) | Encoded::Base64(bytes)) = &self.encoded;
        bytes.len() + self.revised_prompt.as_ref().map_or(0, String::len)
    }
}

/// Measures base64 by decoding only its ends, and checks the alphabet of all of it.
fn measure_base64(text: &[u8]) -> Result<(Format, Size), Fault> {
    STANDARD.check(text).map_err(|_| Fault::BadBase64)?;
    let decode = |part: &[u8]| STANDARD.decode_to_vec(part).map_err(|_| Fault::BadBase64);
    let groups = text.len() / 4;
    let head_groups = groups.min(HEAD / 3);
    let head = decode(&text[..head_groups * 4])?;
    let tail_groups = groups.min(TAIL / 3 + 1);
    let tail = decode(&text[(groups - tail_groups) * 4..])?;
    let padding = text.iter().rev().take_while(|b| **b == b'=').count();
    let length = (groups * 3).saturating_sub(padding);
    match measure(&head, &tail, length) {
        // The dimensions may sit behind a long block of metadata.
        Err(Fault::NotAPicture) if head.len() < length && sniff(&head).is_some() => {
            let whole = decode(text)?;
            measure(&whole, &whole, length)
        }
        measured => measured,
    }
}

/// Format and size from a file's `head` (which may be the whole), its completeness from its `tail` and `length`.
fn measure(head: &[u8], tail: &[u8], length: usize) -> Result<(Format, Size), Fault> {
    let format = sniff(head).ok_or(Fault::NotAPicture)?;
    let measured = imagesize::blob_size(head)
        .map_err(|_| if head.len() < length { Fault::NotAPicture } else { Fault::Truncated })?;
    let side = |pixels: usize| u32::try_from(pixels).ok().filter(|side| *side > 0).ok_or(Fault::NotAPicture);
    let size = Size::new(side(measured.width)?, side(measured.height)?);
    if is_complete(format, head, tail, length) { Ok((format, size)) } else { Err(Fault::Truncated) }
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

/// Whether the file ends where its format says: the PNG `IEND` chunk, the JPEG end-of-image marker, the RIFF length.
fn is_complete(format: Format, head: &[u8], tail: &[u8], length: usize) -> bool {
    let near_end = &tail[tail.len().saturating_sub(TAIL)..];
    let holds = |mark: &[u8]| near_end.windows(mark.len()).any(|window| window == mark);
    match format {
        Format::Png => holds(b"IEND\xae\x42\x60\x82"),
        Format::Jpeg => holds(b"\xff\xd9"),
        Format::Webp => {
            let declared = head.get(4..8).and_then(|b| <[u8; 4]>::try_from(b).ok()).map(u32::from_le_bytes);
            declared.is_some_and(|declared| u64::from(declared) + 8 <= length as u64)
        }
    }
}

/// Strips a `data:image/...;base64,` prefix, which some servers put before base64.
pub fn without_data_prefix(text: &[u8]) -> &[u8] {
    const MARK: &[u8] = b";base64,";
    match text.strip_prefix(b"data:") {
        Some(rest) => memmem::find(rest, MARK).map_or(text, |at| &rest[at + MARK.len()..]),
        None => text,
    }
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

    #[test]
    fn only_a_whole_data_prefix_is_stripped() {
        for (text, rest) in [("data:image/png;base64,QUJD", "QUJD"), ("data:QUJD", "data:QUJD"), ("QUJD", "QUJD")] {
            assert_eq!(without_data_prefix(text.as_bytes()), rest.as_bytes());
        }
    }
}
