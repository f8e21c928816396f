//! What tests of edits send: pictures, and forms with pictures in them.

use axum::body::Bytes;
use base64_simd::STANDARD;

use crate::image::{Format, Size};
use crate::sandbox::draw::Sketch;

/// A real picture.
pub(super) fn picture(side: u32, format: Format, transparent: bool) -> Bytes {
    Sketch { format, transparent, ..Sketch::new("an input", 7, 0, Size::new(side, side)) }.file().unwrap()
}

/// A form by hand: texts, then files.
pub(super) fn form(texts: &[(&str, &str)], files: &[(&str, &Bytes)]) -> Vec<u8> {
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
pub(super) const FORM: &str = "multipart/form-data; boundary=cut";

/// A picture as a `data:` URL.
pub(super) fn as_url(bytes: &Bytes) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode_to_string(bytes))
}
