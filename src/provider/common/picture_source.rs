//! Where a picture's bytes are: within a reply, or behind a link.

use base64_simd::STANDARD;
use bytes::Bytes;
use url::Url;

use crate::image::{Encoded, is_data_url, is_picture_text, without_data_prefix};
use crate::provider::adapter::PictureSource;

/// Pictures of one reply that are looked at. Vendors may send more than they were asked for, and charge for them; no
/// API draws more than this in one call.
pub const MOST_PICTURES: usize = 16;

/// A picture written as base64, with or without a `data:` prefix. Text that lies in `body` is shared, not copied; text
/// that had escapes lies elsewhere and may have had line breaks, which are removed. Whoever looks at the picture brings
/// base64 of another form into the standard one.
pub fn inline(body: &Bytes, text: &[u8]) -> PictureSource {
    let text = without_data_prefix(text);
    let shared = body.as_ptr_range().contains(&text.as_ptr());
    PictureSource::Inline(Encoded::Base64(match shared {
        true => body.slice_ref(text),
        false => text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect(),
    }))
}

/// A picture as base64, or a link in its place. Base64 has no dot and no colon, which every link has.
pub fn inline_or_link(body: &Bytes, base: &Url, text: &[u8]) -> Option<PictureSource> {
    const LONGEST_LINK: usize = 8 * 1024;
    let is_link = is_data_url(text) || (text.len() <= LONGEST_LINK && text.iter().any(|b| matches!(b, b'.' | b':')));
    match text.is_empty() {
        true => None,
        false if is_link => link(body, base, str::from_utf8(text).ok()?),
        false => Some(inline(body, text)),
    }
}

/// Whether a text is a whole address of a picture, or the picture itself; schemes are written in any case.
pub fn is_address(text: &str) -> bool {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    begins("https://") || begins("http://") || is_data_url(text.as_bytes())
}

/// A picture behind a link: absolute, relative to `base`, or the picture itself in its place, as a `data:` URL or as bare
/// base64. `None` for anything that is not HTTP.
pub fn link(body: &Bytes, base: &Url, text: &str) -> Option<PictureSource> {
    if is_data_url(text.as_bytes()) || is_picture_text(text.as_bytes()) {
        return Some(inline(body, text.as_bytes()));
    }
    let url = base.join(text).ok()?;
    matches!(url.scheme(), "http" | "https").then_some(PictureSource::Link(url))
}

/// A picture as a `data:` URL.
pub fn data_url(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", base64(bytes))
}

/// Bytes in standard padded base64.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode_to_string(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_be_relative_or_the_picture_itself_but_never_a_file() {
        let base: Url = "https://host/v1/".parse().unwrap();
        let at = |text: &'static str| link(&Bytes::new(), &base, text);
        assert_eq!(at("files/1.png"), Some(PictureSource::Link("https://host/v1/files/1.png".parse().unwrap())));
        assert_eq!(at("/files/1.png"), Some(PictureSource::Link("https://host/files/1.png".parse().unwrap())));
        assert_eq!(at("https://cdn/1.png"), Some(PictureSource::Link("https://cdn/1.png".parse().unwrap())));
        let inside = PictureSource::Inline(Encoded::Base64(Bytes::from_static(b"QUJD")));
        assert_eq!(at("data:image/png;base64,QUJD"), Some(inside));
        assert_eq!(at("file:///etc/passwd"), None);
    }
}
