//! JSON Web Tokens (RS256), as service accounts sign them.
//!
//! ring signs. `jsonwebtoken` (12) is maintained, but has no backend for ring: with it the code below would become a
//! signer of our own, installed for the whole process, or Easel would carry a second library of cryptography (aws-lc,
//! or the 32 crates of its RustCrypto backend).

use base64_simd::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::RSA_PKCS1_SHA256;
use serde_json::Value;

use crate::failure::{Class, Failure};
use crate::rsa_key::{RsaKeyError, rsa_key};
use crate::secret::Secret;

/// Header and claims, signed with a service account's key.
pub fn signed(header: &Value, claims: &Value, key: &Secret) -> Result<String, Failure> {
    let unusable = |why: RsaKeyError| Failure::new(Class::Auth, format!("the service account's private key {why}"));
    let part = |value: &Value| URL_SAFE_NO_PAD.encode_to_string(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let pair = rsa_key(key).map_err(unusable)?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| Failure::new(Class::Auth, "the service account's private key does not sign"))?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode_to_string(signature)))
}
