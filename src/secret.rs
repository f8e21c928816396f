//! Text that must not be seen: provider keys and signing secrets.
//!
//! [`Secret`] shows `***` however it is printed. It gives its text out only through [`Secret::reveal`], so that every
//! place where a key leaves can be found by that word.

use std::fmt;

/// A text that no log, error, metric or debug print shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one header or signature it belongs to.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_prints_as_stars() {
        assert_eq!(format!("{:?}", Some(Secret::new("sk-live"))), "Some(***)");
    }
}
