//! Access tokens that a vendor gave, which of them are still good, and the form they are asked for with.
//!
//! Who may have one is the vendor's own business.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sandbox::lock::lock;

/// Tokens that were given.
#[derive(Debug, Default)]
pub(super) struct TokenStore(Mutex<IssuedTokens>);

#[derive(Debug, Default)]
struct IssuedTokens {
    ends: BTreeMap<String, Instant>,
    count: u64,
}

impl TokenStore {
    /// Whether this token was given and is not over.
    pub(super) fn knows(&self, token: &str) -> bool {
        lock(&self.0).ends.get(token).is_some_and(|end| *end > Instant::now())
    }

    /// Tokens given since the start.
    pub(super) fn count(&self) -> u64 {
        lock(&self.0).count
    }

    /// Takes all tokens back.
    pub(super) fn revoke(&self) {
        lock(&self.0).ends.clear();
    }

    /// OAuth's answer with a new token, which begins with `prefix`.
    pub(super) fn give(&self, prefix: &str, life: Duration) -> Value {
        let mut issued = lock(&self.0);
        issued.count += 1;
        let token = format!("{prefix}-{}", issued.count);
        issued.ends.insert(token.clone(), Instant::now() + life);
        json!({"access_token": token, "expires_in": life.as_secs(), "token_type": "Bearer"})
    }
}
