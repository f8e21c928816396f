//! Signs what a judge is sent: HMAC-SHA-256 over the time and the body, so that a judge knows who asks and that it is now.

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderValue;
use sha2::Sha256;

use crate::secret::Secret;

/// The header that has it: `t=<Unix seconds>,v1=<hex>`.
pub const SIGNATURE: &str = "x-easel-signature";

/// The header's value for `body`, sent at `now` (Unix seconds).
pub fn sign(key: &Secret, now: i64, body: &[u8]) -> Option<HeaderValue> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.reveal().as_bytes()).ok()?;
    mac.update(format!("{now}.").as_bytes());
    mac.update(body);
    HeaderValue::try_from(format!("t={now},v1={}", hex(&mac.finalize().into_bytes()))).ok()
}

/// A name for a prompt: equal prompts have equal names, and without the seed no prompt can be guessed from its name.
pub fn prompt_hash(seed: u64, prompt: &str) -> String {
    match Hmac::<Sha256>::new_from_slice(&seed.to_le_bytes()) {
        Ok(mut mac) => {
            mac.update(prompt.as_bytes());
            hex(&mac.finalize().into_bytes())
        }
        // A key of any length is one.
        Err(_) => String::new(),
    }
}

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_any_other_hmac_makes() {
        // printf '1700000000.{}' | openssl dgst -sha256 -hmac key
        let signed = sign(&Secret::new("key"), 1_700_000_000, b"{}").unwrap();
        let expected = "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae";
        assert_eq!(signed, expected);
        assert_ne!(sign(&Secret::new("key"), 1_700_000_001, b"{}").unwrap(), expected);
        assert_ne!(sign(&Secret::new("kez"), 1_700_000_000, b"{}").unwrap(), expected);
    }

    #[test]
    fn equal_prompts_have_one_name_and_no_name_without_the_seed() {
        assert_eq!(prompt_hash(1, "a fox"), prompt_hash(1, "a fox"));
        assert_ne!(prompt_hash(1, "a fox"), prompt_hash(1, "a fix"));
        assert_ne!(prompt_hash(1, "a fox"), prompt_hash(2, "a fox"));
        assert_eq!(prompt_hash(1, "").len(), 64);
    }
}
