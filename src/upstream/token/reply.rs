//! What a token endpoint answers: a token, or a refusal and what that means.

use std::sync::Arc;
use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::Instant;

use crate::failure::{Class, Failure};
use crate::provider::{Reply, retry_after};
use crate::secret::Secret;
use crate::upstream::token::redact::without;
use crate::upstream::token::token_slot::Token;

/// How long before its end a token is replaced.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// Characters of an endpoint's own words that are told.
const WORDS: usize = 200;

/// An endpoint's good answer.
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(deserialize_with = "seconds")]
    expires_in: u64,
}

/// A number, or its digits in a text, as Azure's machines write it.
fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let seconds = match Value::deserialize(from)? {
        Value::Number(number) => number.as_u64(),
        Value::String(digits) => digits.parse().ok(),
        _ => None,
    };
    seconds.ok_or_else(|| D::Error::custom("not a number of seconds"))
}

/// And its refusal.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refused {
    error: String,
    error_description: String,
}

/// The words with which OAuth says that the endpoint is in trouble, and not the credentials (RFC 6749 4.1.2.1).
const IN_TROUBLE: [&str; 3] = ["server_error", "temporarily_unavailable", "slow_down"];

/// What an endpoint's refusal means. Only its own word, or a 401, is one on the credentials: a page of HTML is somebody
/// else's, and trouble of the way there.
fn class_of(status: u16, error: &str) -> Class {
    match (status, error) {
        (429, _) => Class::RateLimited,
        (408 | 500.., _) => Class::Unreachable,
        (401, _) => Class::Auth,
        (_, word) if word.is_empty() || IN_TROUBLE.contains(&word) => Class::Unreachable,
        _ => Class::Auth,
    }
}

/// The token in an answer to a request that was sent at `asked` and had these `secrets` in it.
pub fn read(reply: &Reply, asked: Instant, secrets: &[String]) -> Result<Token, Failure> {
    if reply.status != 200 {
        let Refused { error, error_description } = serde_json::from_slice(&reply.body).unwrap_or_default();
        let words = format!("no access token: HTTP {} {error}: {error_description}", reply.status);
        // More than is told, so that what is redacted leaves enough.
        let words = words.chars().take(32 * WORDS).collect::<String>();
        let words = without(secrets, &words)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(WORDS)
            .collect::<String>();
        let class = class_of(reply.status, &error);
        return Err(Failure::new(class, words).with_retry_after(retry_after(reply)));
    }
    let granted: Option<Granted> = serde_json::from_slice(&reply.body).ok();
    let good = granted.filter(|granted| {
        !granted.access_token.is_empty() && granted.access_token.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let Some(Granted { access_token, expires_in }) = good else {
        return Err(Failure::new(Class::Unreachable, "the token endpoint's answer has no usable token"));
    };
    let life = Duration::from_secs(expires_in.min(24 * 60 * 60));
    // A short life is used for its first half.
    let early = EARLY.min(life / 2);
    let token = Token {
        secret: Arc::new(Secret::new(access_token)),
        replace_at: asked + (life - early),
        ends_at: asked + life,
    };
    Ok(token)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;
    use crate::provider::common::token_source::TokenSource;
    use crate::upstream::token::redact::{SHARED, secrets};
    use crate::upstream::token::request::request;
    use crate::upstream::token::request::tests::{KEY, source};

    fn reply(status: u16, body: &str) -> Reply {
        Reply {
            status,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            at: crate::clock::now(),
        }
    }

    #[test]
    fn a_refusal_of_credentials_is_told_from_trouble_on_the_way() {
        let failure = |status, body| read(&reply(status, body), Instant::now(), &[]).map(|_| ()).unwrap_err();
        let invalid = failure(400, r#"{"error":"invalid_grant","error_description":"Invalid JWT"}"#);
        assert_eq!(invalid.class, Class::Auth);
        assert!(invalid.message.contains("invalid_grant: Invalid JWT"));
        for (status, body, class) in [
            (401, "", Class::Auth),
            (403, r#"{"error":"unauthorized_client"}"#, Class::Auth),
            (429, "", Class::RateLimited),
            (429, r#"{"error":"invalid_client"}"#, Class::RateLimited),
            (400, r#"{"error":"temporarily_unavailable"}"#, Class::Unreachable),
            (403, "<html>firewall</html>", Class::Unreachable),
            (302, "", Class::Unreachable),
            (503, "", Class::Unreachable),
            (504, r#"{"error":"invalid_client"}"#, Class::Unreachable),
            (200, "{}", Class::Unreachable),
            (200, "<html>", Class::Unreachable),
            (200, r#"{"access_token":"a b","expires_in":1}"#, Class::Unreachable),
            (200, r#"{"access_token":"","expires_in":1}"#, Class::Unreachable),
        ] {
            assert_eq!(failure(status, body).class, class, "{status} {body}");
        }
        let mut busy = reply(429, "");
        busy.headers.insert("retry-after", HeaderValue::from_static("7"));
        let told = read(&busy, Instant::now(), &[]).map(|_| ()).unwrap_err();
        assert_eq!((told.class, told.retry_after), (Class::RateLimited, Some(Duration::from_secs(7))));
    }

    #[test]
    fn an_endpoint_that_echoes_what_it_was_sent_is_not_quoted_with_it() {
        let client = |secret: &str| TokenSource::ClientCredentials {
            url: "https://login.example/token".parse().unwrap(),
            client_id: "id".to_owned(),
            client_secret: Secret::new(secret),
            scope: "https://a/.default".to_owned(),
        };
        for source in [client("s3cret&value"), client("s e c"), source(KEY)] {
            let secrets = secrets(&request(&source, 1_000).unwrap());
            let long = &secrets[0];
            for echo in [long.clone(), secrets[1].clone(), long[..long.len() - 1].to_owned(), long.repeat(3)] {
                if echo.len() < SHARED && echo != *long {
                    continue;
                }
                let echo = format!("Invalid value ({echo}) of assertion");
                let body = json!({"error": "invalid_client", "error_description": echo}).to_string();
                let failure = read(&reply(400, &body), Instant::now(), &secrets).map(|_| ()).unwrap_err();
                assert!(failure.message.contains("invalid_client: Invalid value"), "{failure}");
                assert!(failure.message.ends_with("of assertion"), "{failure}");
                let shown = |part: &[u8]| failure.message.as_bytes().windows(SHARED).any(|own| own == part);
                assert!(!failure.message.contains(long.as_str()), "{failure}");
                assert!(!long.as_bytes().windows(SHARED).any(shown), "{failure}");
            }
        }
    }

    #[test]
    fn a_life_may_be_a_number_or_its_digits() {
        let life = |written: &str| {
            let asked = Instant::now();
            let body = format!(r#"{{"access_token":"a","expires_in":{written}}}"#);
            read(&reply(200, &body), asked, &[]).map(|token| (token.ends_at - asked).as_secs())
        };
        assert_eq!((life("3599").unwrap(), life(r#""3599""#).unwrap()), (3599, 3599));
        for nonsense in [r#""soon""#, "-1", "null", "[3599]"] {
            assert_eq!(life(nonsense).unwrap_err().class, Class::Unreachable, "{nonsense}");
        }
    }
}
