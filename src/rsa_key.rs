//! A private key out of PEM, as service accounts sign with.
//!
//! The config's check and the signing of tokens read it here, so that a key which passes the one serves the other. No
//! error repeats anything of the key. Other forms than PKCS#8, and other keys than RSA, are not read.

use base64_simd::STANDARD;
use ring::signature::RsaKeyPair;
use thiserror::Error;

use crate::secret::{Secret, Zeroizing};

/// Why a text is no key to sign with.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RsaKeyError {
    /// No `BEGIN` line, or something else than base64 after it.
    #[error("is not PEM")]
    NotPem,
    /// PEM, but not of a whole key of this kind.
    #[error("is cut off, or not an RSA key in PKCS#8")]
    NotAKey,
}

/// The key in `pem`; lines before its `BEGIN` are let be.
pub fn rsa_key(pem: &Secret) -> Result<RsaKeyPair, RsaKeyError> {
    let mut lines = pem.reveal().lines().map(str::trim).skip_while(|line| !line.starts_with("-----BEGIN PRIVATE KEY"));
    lines.next().ok_or(RsaKeyError::NotPem)?;
    let inside = lines.take_while(|line| !line.starts_with("-----"));
    let inside: Zeroizing<String> = Zeroizing::new(inside.collect());
    let der = Zeroizing::new(STANDARD.decode_to_vec(inside.as_str()).map_err(|_| RsaKeyError::NotPem)?);
    RsaKeyPair::from_pkcs8(&der).map_err(|_| RsaKeyError::NotAKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_key_is_read_and_a_part_of_one_is_told_without_being_shown() {
        let key = include_str!("../tests/it/google_key.pem");
        assert!(rsa_key(&Secret::new(key)).is_ok());
        assert!(rsa_key(&Secret::new(key.replace('\n', "\r\n"))).is_ok());
        let half = key.lines().take(12).collect::<Vec<_>>().join("\n");
        for (text, why) in [
            (half.clone(), RsaKeyError::NotAKey),
            (half[..half.len() - 1].to_owned(), RsaKeyError::NotPem),
            (key.replace("PRIVATE KEY", "EC KEY"), RsaKeyError::NotPem),
            (key.replacen("MII", "M!I", 1), RsaKeyError::NotPem),
            (String::new(), RsaKeyError::NotPem),
        ] {
            assert_eq!(rsa_key(&Secret::new(text)).map(|_| ()), Err(why));
        }
    }
}
