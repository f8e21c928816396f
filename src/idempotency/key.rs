//! A key, what stands for it, how it stands, and how a request with it was answered: words that the table and everybody
//! who asks it share.

use std::fmt;

use sha2::{Digest, Sha256};

/// The longest key, in bytes. Stripe takes as much.
pub const LONGEST: usize = 255;

/// A client's key: 1 to [`LONGEST`] printable ASCII characters, quotes included where the client sends them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(Box<str>);

impl IdempotencyKey {
    /// Reads what stands in the header.
    ///
    /// # Errors
    /// When it is no key.
    pub fn parse(value: &[u8]) -> Result<IdempotencyKey, BadKey> {
        let text = std::str::from_utf8(value).map_err(|_| BadKey::Characters)?.trim();
        match text.len() {
            0 => Err(BadKey::Empty),
            1..=LONGEST if text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') => {
                Ok(IdempotencyKey(text.into()))
            }
            1..=LONGEST => Err(BadKey::Characters),
            _ => Err(BadKey::TooLong),
        }
    }

    /// The key as the client sent it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a header is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadKey {
    /// Nothing stands there.
    Empty,
    /// More than [`LONGEST`] bytes.
    TooLong,
    /// Something else than printable ASCII.
    Characters,
    /// Several headers, and nobody knows which counts.
    Several,
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadKey::Empty => f.write_str("it is empty"),
            BadKey::TooLong => write!(f, "it is longer than {LONGEST} characters"),
            BadKey::Characters => f.write_str("it has other than printable ASCII characters"),
            BadKey::Several => f.write_str("it was sent more than once"),
        }
    }
}

/// What stands for a key in tables: the SHA-256 of tenant and key, so that two tenants with one key never meet and a
/// long key takes no more memory than a short one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(pub [u8; 32]);

impl KeyName {
    /// The name of a tenant's key.
    pub fn of(tenant: &str, key: &IdempotencyKey) -> KeyName {
        let mut hash = Sha256::new();
        // The length comes first, so that no tenant's name is the beginning of another's with its key.
        hash.update((tenant.len() as u64).to_le_bytes());
        hash.update(tenant.as_bytes());
        hash.update(key.as_str().as_bytes());
        KeyName(hash.finalize().into())
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a request with a key was answered. The word goes to log, metric and `x-easel-idempotency`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUse {
    /// The first with its key.
    First,
    /// It waited for the first, which was under way.
    Joined,
    /// It got the first one's answer again.
    Replayed,
}

impl KeyUse {
    /// The word for log, metric and header.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyUse::First => "first",
            KeyUse::Joined => "joined",
            KeyUse::Replayed => "replayed",
        }
    }
}

/// Why a request with a key is neither drawn nor answered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyRefusal {
    /// The key stands for another request.
    Reused,
    /// Its request was answered, and the pictures are not kept any more.
    Gone,
    /// Its request failed after something was, or may have been, paid for it.
    Failed,
    /// Easel ended while its request was under way, and something may have been paid for it.
    Interrupted,
    /// Its request is under way in another process, one of which hands over to the other.
    Elsewhere,
}

impl KeyRefusal {
    /// The word for the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyRefusal::Reused => "reused",
            KeyRefusal::Gone => "gone",
            KeyRefusal::Failed => "failed",
            KeyRefusal::Interrupted => "interrupted",
            KeyRefusal::Elsewhere => "elsewhere",
        }
    }
}

/// How a key stands in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyState {
    /// Its request is being drawn.
    UnderWay,
    /// Its request was answered, and the pictures are kept.
    Answered,
    /// Its request was answered, and the pictures are not kept.
    Gone,
    /// Its request failed and was, or may have been, paid for.
    Failed,
    /// The process ended before its request did.
    Interrupted,
}

impl KeyState {
    /// Every state.
    pub const ALL: [KeyState; 5] =
        [KeyState::UnderWay, KeyState::Answered, KeyState::Gone, KeyState::Failed, KeyState::Interrupted];

    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyState::UnderWay => "under_way",
            KeyState::Answered => "answered",
            KeyState::Gone => "gone",
            KeyState::Failed => "failed",
            KeyState::Interrupted => "interrupted",
        }
    }

    /// The state that a word in the ledger means.
    pub fn named(word: &str) -> Option<KeyState> {
        KeyState::ALL.into_iter().find(|state| state.as_str() == word)
    }
}
