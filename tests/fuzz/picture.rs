//! A picture file: its format, its size and its end, in bytes and in base64; then its pixels and the gate.

use bytes::Bytes;
use easel::Picture;
use easel::internals::config::plan::QualityGate;
use easel::internals::image::Encoded;
use easel::internals::quality::{Expected, examine};

/// The most pixels that are decoded here: a run sees many small pictures rather than a few large ones.
const MAX_PIXELS: u64 = 1 << 14;

/// Looks at it as at a vendor's picture.
pub fn picture(data: &[u8]) {
    // Base64 as it comes, which has to be brought into its standard form.
    let _ = Picture::inspect(Encoded::Base64(Bytes::copy_from_slice(data)));
    let Ok(raw) = Picture::inspect(Encoded::Raw(Bytes::copy_from_slice(data))) else { return };
    let text = base64_simd::STANDARD.encode_to_string(data).into_bytes();
    let told = Picture::inspect(Encoded::Base64(Bytes::from(text))).map(|picture| (picture.format, picture.size));
    assert_eq!(told, Ok((raw.format, raw.size)), "base64 makes another picture of it");
    let gate = QualityGate::default();
    let look = || examine(data, raw.format, &gate, &Expected::default(), MAX_PIXELS);
    let (first, second) = (look(), look());
    assert_eq!(first.verdict(&gate), second.verdict(&gate));
}
