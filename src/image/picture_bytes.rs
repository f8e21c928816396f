//! The bytes of a picture as they came.

use bytes::Bytes;

/// The form a picture's bytes are held in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// The file itself.
    Raw(Bytes),
    /// The file in standard padded base64 without a `data:` prefix; a slice of the provider's own reply where it came
    /// in one.
    Base64(Bytes),
}

impl Encoded {
    /// The bytes in memory, whatever they stand for.
    pub fn bytes(&self) -> &Bytes {
        let (Encoded::Raw(bytes) | Encoded::Base64(bytes)) = self;
        bytes
    }
}
