//! Signed, expiring links: HMAC-SHA-256 over what is linked and until when.
//!
//! The clock is handed in as Unix seconds. What a link points to is not looked at.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// Signs and checks links.
#[derive(Clone)]
pub struct LinkKey(Hmac<Sha256>);

/// Why a link is not followed. The word goes to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadLink {
    /// `exp` or `sig` is missing or malformed, or the signature is not ours.
    Signature,
    /// Its time is over.
    Expired,
}

impl LinkKey {
    /// A key from the deployment's secret, of any length.
    pub fn new(secret: &Secret) -> Option<LinkKey> {
        Hmac::new_from_slice(secret.reveal().as_bytes()).ok().map(LinkKey)
    }

    /// The query that makes `name` a link good until `expires` (Unix seconds): `exp=...&sig=...`.
    pub fn query(&self, name: &str, expires: u64) -> String {
        let signature = self.mac(name, expires).finalize().into_bytes();
        let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("exp={expires}&sig={hex}")
    }

    /// Checks a link's query in constant time.
    pub fn check(&self, name: &str, query: &str, now: u64) -> Result<(), BadLink> {
        let field = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
        let expires: u64 = field("exp").and_then(|text| text.parse().ok()).ok_or(BadLink::Signature)?;
        let signature = field("sig").and_then(unhex).ok_or(BadLink::Signature)?;
        self.mac(name, expires).verify_slice(&signature).map_err(|_| BadLink::Signature)?;
        if expires > now { Ok(()) } else { Err(BadLink::Expired) }
    }

    fn mac(&self, name: &str, expires: u64) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&expires.to_le_bytes());
        mac.update(name.as_bytes());
        mac
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_its_name_until_its_time() {
        let key = LinkKey::new(&Secret::new("s")).unwrap();
        let query = key.query("abc.png", 100);
        assert_eq!(key.check("abc.png", &query, 99), Ok(()));
        assert_eq!(key.check("abc.png", &query, 100), Err(BadLink::Expired));
        assert_eq!(key.check("abd.png", &query, 99), Err(BadLink::Signature));
    }

    #[test]
    fn a_tampered_link_is_refused() {
        let key = LinkKey::new(&Secret::new("s")).unwrap();
        let query = key.query("abc.png", 100);
        let later = query.replace("exp=100", "exp=900");
        let other = LinkKey::new(&Secret::new("t")).unwrap().query("abc.png", 100);
        for bad in [later.as_str(), &other, "", "exp=100", "exp=100&sig=zz", "exp=x&sig=", &query[..query.len() - 1]] {
            assert_eq!(key.check("abc.png", bad, 1), Err(BadLink::Signature), "{bad}");
        }
    }
}
