//! Text that must not be seen: provider keys and signing secrets.
//!
//! [`Secret`] shows `***` however it is printed. It gives its text out only through [`Secret::reveal`], so that every
//! place where a key leaves can be found by that word. Its memory is overwritten when it goes (the crate `secrecy`),
//! and two of them are compared in the same time whatever they have in common.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use subtle::ConstantTimeEq;

pub use secrecy::zeroize::{Zeroize, Zeroizing};

/// A text that no log, error, metric or debug print shows.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        let text = Zeroizing::new(text.into());
        // A `String` with room to spare would be moved to shed it, and what it leaves behind is not overwritten. So it is
        // copied to where it fits exactly.
        Secret(SecretString::from(Box::<str>::from(text.as_str())))
    }

    /// The text itself, for the one header or signature it belongs to.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether somebody has told this very text. How long it takes tells only whether the lengths are equal.
    pub fn is(&self, told: &str) -> bool {
        self.reveal().as_bytes().ct_eq(told.as_bytes()).into()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Secret) -> bool {
        self.is(other.reveal())
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_prints_as_stars() {
        assert_eq!(format!("{:?}", Some(Secret::new("sk-live"))), "Some(***)");
    }

    #[test]
    fn a_secret_is_the_text_it_was_made_of_and_no_other() {
        let mut roomy = String::with_capacity(100);
        roomy.push_str("sk-live");
        let secret = Secret::new(roomy);
        assert_eq!((secret.reveal(), secret == Secret::new("sk-live")), ("sk-live", true));
        assert!(secret.is("sk-live"));
        for other in ["sk-livE", "sk-liv", "sk-live1", ""] {
            assert!(!secret.is(other) && secret != Secret::new(other), "{other}");
        }
    }
}
