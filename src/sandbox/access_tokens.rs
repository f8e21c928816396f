//! Access tokens that a vendor issued, which of them are still valid, and the form that a client asks for one with.
//!
//! Who may have one is the vendor's own business.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header;
use serde_json::{Value, json};

use crate::sandbox::lock::lock;
use crate::sandbox::read_http_request::{LARGEST_BODY, media_type, text};

/// The tokens that a vendor issued.
#[derive(Debug, Default)]
pub(super) struct TokenStore(Mutex<IssuedTokens>);

#[derive(Debug, Default)]
struct IssuedTokens {
    ends: BTreeMap<String, Instant>,
    count: u64,
}

impl TokenStore {
    /// Whether this token was issued and has not expired.
    pub(super) fn knows(&self, token: &str) -> bool {
        lock(&self.0).ends.get(token).is_some_and(|end| *end > Instant::now())
    }

    /// Tokens issued since the start.
    pub(super) fn count(&self) -> u64 {
        lock(&self.0).count
    }

    /// Revokes all tokens.
    pub(super) fn revoke(&self) {
        lock(&self.0).ends.clear();
    }

    /// Issues a token that begins with `prefix`, and gives OAuth's answer with it.
    pub(super) fn give(&self, prefix: &str, life: Duration) -> Value {
        let mut issued = lock(&self.0);
        issued.count += 1;
        let token = format!("{prefix}-{}", issued.count);
        issued.ends.insert(token.clone(), Instant::now() + life);
        json!({"access_token": token, "expires_in": life.as_secs(), "token_type": "Bearer"})
    }
}

/// Reads the form of a token request: its fields, sorted by name.
pub(super) async fn read_token_form(request: Request) -> Result<Vec<(String, String)>, &'static str> {
    let (parts, body) = request.into_parts();
    let given = media_type(text(&parts.headers, &header::CONTENT_TYPE).unwrap_or_default());
    if given != "application/x-www-form-urlencoded" {
        return Err("the content type must be application/x-www-form-urlencoded");
    }
    let body = to_bytes(body, LARGEST_BODY).await.map_err(|_| "the body is too large")?;
    let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    fields.sort();
    Ok(fields)
}
