//! Google's token endpoint and metadata server: who may ask.
//!
//! A statement is read strictly: the form's fields, the header, every claim. Its signature is checked only when the
//! settings have a public key (`token_key`, PEM of an RSA PUBLIC KEY); without one any signature will do.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64_simd::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Map, Value, json};

use crate::sandbox::access_tokens::read_token_form;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::read_http_request::origin;
use crate::sandbox::settings::{Name, Vendor};
use crate::sandbox::state::SandboxState;
use crate::sandbox::unix_time::unix_time;
use crate::sandbox::vendor_call::finish;

/// The grant type of a signed statement.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// What a token opens.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// How far clocks may differ, in seconds.
const SKEW: u64 = 300;

pub(in crate::sandbox) async fn grant(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let vendor = shared.settings(Name::Google);
    let here = format!("{}/google/token", origin(request.headers(), &shared.url));
    let answer = statement(request).await.and_then(|statement| check(&statement, &here, &vendor));
    let answer = answer.map(|()| give(&shared));
    finish(&shared, Name::Google, answer)
}

pub(in crate::sandbox) async fn metadata(State(shared): State<Arc<SandboxState>>, headers: HeaderMap) -> Response {
    let asked = headers.get("metadata-flavor").is_some_and(|flavor| flavor == "Google");
    let answer = match asked {
        true => Ok(give(&shared)),
        false => Err(ErrorResponse::violation(StatusCode::FORBIDDEN, json!("Missing Metadata-Flavor:Google header."))),
    };
    finish(&shared, Name::Google, answer)
}

fn give(shared: &SandboxState) -> Response {
    let life = shared.settings(Name::Google).token_life;
    JsonResponse(shared.vendor_state(Name::Google).tokens.give("ya29.sandbox", life)).into_response()
}

/// The signed statement in a form that has just it and what it is for.
async fn statement(request: Request) -> Result<String, ErrorResponse> {
    let fields = read_token_form(request).await.map_err(|why| token_error("invalid_request", why))?;
    match fields.as_slice() {
        [(assertion, statement), (grant, kind)] if assertion == "assertion" && grant == "grant_type" => {
            if kind == GRANT { Ok(statement.clone()) } else { Err(token_error("unsupported_grant_type", kind)) }
        }
        _ => Err(token_error("invalid_request", "the fields must be grant_type and assertion, each once")),
    }
}

fn check(statement: &str, here: &str, vendor: &Vendor) -> Result<(), ErrorResponse> {
    let bad = |what: &str| token_error("invalid_grant", &format!("Invalid JWT: {what}"));
    let parts: Vec<&str> = statement.split('.').collect();
    let [head, claims, signature] = parts.as_slice() else { return Err(bad("it has not three parts")) };
    let signature = URL_SAFE_NO_PAD.decode_to_vec(signature).map_err(|_| bad("the signature is not base64url"))?;
    let head = part(head).ok_or_else(|| bad("the header is not JSON in base64url"))?;
    let known = head.keys().all(|key| matches!(key.as_str(), "alg" | "typ" | "kid"));
    let is = |key: &str, wanted: &str| head.get(key).and_then(Value::as_str) == Some(wanted);
    if !known || !is("alg", "RS256") || !is("typ", "JWT") {
        return Err(bad("the header must say RS256 and JWT"));
    }
    let claims = part(claims).ok_or_else(|| bad("the claims are not JSON in base64url"))?;
    if let Some(key) = claims.keys().find(|key| !["iss", "scope", "aud", "iat", "exp"].contains(&key.as_str())) {
        return Err(bad(&format!("unknown claim {key}")));
    }
    let word = |key: &str| claims.get(key).and_then(Value::as_str).unwrap_or_default();
    let time = |key: &str| claims.get(key).and_then(Value::as_u64).unwrap_or_default();
    let (now, made, ends) = (unix_time(), time("iat"), time("exp"));
    if !word("iss").contains('@') {
        return Err(bad("iss must be the account's e-mail address"));
    }
    if word("scope") != SCOPE {
        return Err(token_error("invalid_scope", "the scope must be cloud-platform"));
    }
    if word("aud") != here {
        return Err(bad("aud must be this endpoint"));
    }
    if made.abs_diff(now) > SKEW || ends <= now || ends > made + 3600 {
        return Err(bad("Token must be a short-lived token (60 minutes) and in a reasonable timeframe"));
    }
    signed(statement, &signature, vendor.token_key.as_deref())
}

fn signed(statement: &str, signature: &[u8], key: Option<&str>) -> Result<(), ErrorResponse> {
    let bad = || token_error("invalid_grant", "Invalid JWT Signature.");
    if signature.is_empty() {
        return Err(bad());
    }
    let Some(key) = key else { return Ok(()) };
    let lines: String = key.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
    let key = STANDARD.decode_to_vec(lines).map_err(|_| ErrorResponse::broken())?;
    let text = statement.rsplit_once('.').map_or(statement, |(text, _)| text);
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key).verify(text.as_bytes(), signature).map_err(|_| bad())
}

fn part(text: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(text).ok()?).ok()
}

fn token_error(word: &str, what: &str) -> ErrorResponse {
    ErrorResponse::violation(StatusCode::BAD_REQUEST, json!({"error": word, "error_description": what}))
}
