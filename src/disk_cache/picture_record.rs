//! What is kept of a picture besides its bytes: under which key somebody will ask for it, and until when.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::calendar::Moment;

/// SHA-256 of a picture's bytes: the name of its file, and what its file is held against.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl ContentHash {
    /// The hash of `bytes`.
    pub fn of(bytes: &[u8]) -> ContentHash {
        ContentHash(Sha256::digest(bytes).into())
    }

    /// The hash that is written as 64 hex digits in lower case.
    pub(super) fn from_hex(text: &str) -> Option<ContentHash> {
        let is_digit = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.as_bytes().iter().all(is_digit) {
            return None;
        }
        let mut hash = [0; 32];
        for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        Some(ContentHash(hash))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a record is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// The picture is reused for requests of its key.
    Pool,
    /// A link to the picture was handed out. A picture with a live link is evicted last.
    Link,
}

impl RecordKind {
    /// The number in the database.
    pub(super) fn number(self) -> i64 {
        match self {
            RecordKind::Pool => 0,
            RecordKind::Link => 1,
        }
    }

    /// The kind of this number.
    pub(super) fn from_number(number: i64) -> Option<RecordKind> {
        [RecordKind::Pool, RecordKind::Link].into_iter().find(|kind| kind.number() == number)
    }
}

/// Why a picture is kept. Kind, key and picture name a record: another with the same takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What it is there for.
    pub kind: RecordKind,
    /// By what it is asked for. Several pictures may have the same key.
    pub key: Vec<u8>,
    /// Which picture.
    pub picture: ContentHash,
    /// From when on it is no more.
    pub expires: Moment,
    /// Whatever its owner wants to know again after a restart.
    pub about: Vec<u8>,
}

impl Record {
    /// Bytes of its key and of what is said about the picture.
    pub(super) fn len(&self) -> usize {
        self.key.len() + self.about.len()
    }
}
