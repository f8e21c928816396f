//! Access tokens: signed for, fetched, kept until shortly before they end, and forgotten when a vendor refuses them.
//!
//! However many calls wait for a token, one of them fetches it; and when that fails, those who waited fail with it
//! instead of asking one after another. Tokens outlive a config, since they go by the credentials and not by a
//! provider's name. Nothing here logs, and no failure quotes more than the words OAuth has for it, nor anything of what
//! was sent as a secret.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64_simd::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use ring::rand::SystemRandom;
use ring::signature::RSA_PKCS1_SHA256;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::failure::{Class, Failure};
use crate::gateway::transport::{Bounds, Reach, Transport, Trouble};
use crate::pem::{BadKey, rsa_key};
use crate::provider::token::TokenSource;
use crate::provider::{Call, Reply};
use crate::secret::Secret;

/// How long before its end a token is replaced.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// Longest wait for a token; a call has its own deadline besides.
const WAIT: Duration = Duration::from_secs(20);
/// Largest answer of a token endpoint.
const BODY: usize = 64 * 1024;
/// How long a signed statement is good, which is as long as Google allows.
const STATEMENT: u64 = 3600;
/// Sources remembered; every reload with other credentials brings a new one.
const SOURCES: usize = 64;
/// Characters of an endpoint's own words that are told.
const WORDS: usize = 200;
/// So many bytes of a secret in a word of an endpoint's are no accident.
const SHARED: usize = 6;
/// The fields of a request for a token that are secret.
const SECRET_FIELDS: [&str; 2] = ["assertion", "client_secret"];

/// The tokens of all sources.
#[derive(Default)]
pub struct Tokens {
    slots: Mutex<Vec<(TokenSource, Arc<Slot>)>>,
}

/// One source's token.
#[derive(Default)]
struct Slot {
    /// Who holds this is fetching.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// Fetches that failed.
    failures: u64,
    /// How the last one did.
    failed: Option<Failure>,
}

/// A token and its life.
#[derive(Clone)]
struct Token {
    secret: Arc<Secret>,
    replace_at: Instant,
    ends_at: Instant,
}

impl Tokens {
    /// A token of `source` that has some life left, fetched unless there is one.
    pub async fn get(
        &self,
        transport: &Transport,
        source: &TokenSource,
        deadline: Instant,
        connect: Duration,
    ) -> Result<Arc<Secret>, Failure> {
        let slot = self.slot(source);
        if let Some(secret) = slot.fresh() {
            return Ok(secret);
        }
        let deadline = deadline.min(Instant::now() + WAIT);
        let failures = slot.state().failures;
        let slow = |_| Failure::new(Class::Unreachable, "no access token in time");
        let _turn = timeout_at(deadline, slot.turn.lock()).await.map_err(slow)?;
        // Somebody else may have had the turn before.
        if let Some(secret) = slot.fresh() {
            return Ok(secret);
        }
        if let Some(failure) = slot.failure_since(failures) {
            return Err(failure);
        }
        // The operator names the place, and a metadata server is link-local by design.
        let bounds = Bounds { deadline, connect, body: BODY, reach: Reach::Anywhere };
        slot.keep(fetch(transport, source, bounds).await)
    }

    /// Forgets a token that a vendor did not accept, unless it was replaced since.
    pub fn forget(&self, source: &TokenSource, refused: &Secret) {
        let slot = self.slot(source);
        let mut state = slot.state();
        if state.token.as_ref().is_some_and(|token| *token.secret == *refused) {
            state.token = None;
        }
    }

    fn slot(&self, source: &TokenSource) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = slots.iter().find(|(known, _)| known == source) {
            return slot.clone();
        }
        if slots.len() >= SOURCES {
            slots.remove(0);
        }
        let slot = Arc::<Slot>::default();
        slots.push((source.clone(), slot.clone()));
        slot
    }
}

impl Slot {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fresh(&self) -> Option<Arc<Secret>> {
        let now = Instant::now();
        self.state().token.as_ref().filter(|token| token.replace_at > now).map(|token| token.secret.clone())
    }

    fn failure_since(&self, failures: u64) -> Option<Failure> {
        let state = self.state();
        state.failed.clone().filter(|_| state.failures != failures)
    }

    /// Keeps what was fetched. When nothing was, a token that is old but not over still serves.
    fn keep(&self, fetched: Result<Token, Failure>) -> Result<Arc<Secret>, Failure> {
        let mut state = self.state();
        match fetched {
            Ok(token) => {
                let secret = token.secret.clone();
                *state = State { token: Some(token), failures: state.failures, failed: None };
                Ok(secret)
            }
            Err(failure) => {
                state.failures += 1;
                state.failed = Some(failure.clone());
                let now = Instant::now();
                let old = state.token.as_ref().filter(|token| token.ends_at > now);
                old.map(|token| token.secret.clone()).ok_or(failure)
            }
        }
    }
}

async fn fetch(transport: &Transport, source: &TokenSource, bounds: Bounds) -> Result<Token, Failure> {
    let asked = Instant::now();
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let call = request(source, now)?;
    let reply = transport.send(&call, bounds).await.map_err(|trouble| {
        let why = match trouble {
            Trouble::Unreachable(why) | Trouble::Lost(why) => why,
            Trouble::TimedOut { .. } => "no answer in time".to_owned(),
            Trouble::TooLarge => "its answer is too large".to_owned(),
            Trouble::Private => "its address is not followed".to_owned(),
        };
        let host = call.url.host_str().unwrap_or("?");
        Failure::new(Class::Unreachable, format!("no access token from {host}: {why}"))
    })?;
    read(&reply, asked, &secrets(&call))
}

/// What no failure may repeat of a request, as it is and as it was written.
fn secrets(call: &Call) -> Vec<String> {
    let fields = url::form_urlencoded::parse(&call.body).filter(|(name, _)| SECRET_FIELDS.contains(&&**name));
    fields
        .flat_map(|(_, value)| {
            let written = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            [value.into_owned(), written]
        })
        .filter(|secret| !secret.is_empty())
        .collect()
}

/// An endpoint's words without anything of a secret that it echoes, be it a part of one.
fn without(secrets: &[String], words: &str) -> String {
    let words = secrets.iter().fold(words.to_owned(), |words, secret| words.replace(secret.as_str(), "***"));
    let of_a_secret =
        |part: &[u8]| secrets.iter().any(|secret| secret.as_bytes().windows(SHARED).any(|own| own == part));
    let echoes = |word: &str| word.as_bytes().windows(SHARED).any(of_a_secret);
    let words = words.split_whitespace().map(|word| if echoes(word) { "***" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// The request for a token.
fn request(source: &TokenSource, now: u64) -> Result<Call, Failure> {
    match source {
        TokenSource::Metadata { url, header: (name, value) } => {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
            Ok(Call::get(url.clone(), headers))
        }
        TokenSource::ServiceAccount { client_email, private_key, key_id, token_uri, scope } => {
            let claims = json!({"iss": client_email, "scope": scope, "aud": token_uri.as_str(), "iat": now,
                "exp": now + STATEMENT});
            let mut header = json!({"alg": "RS256", "typ": "JWT"});
            if let Some(key_id) = key_id {
                header["kid"] = json!(key_id);
            }
            let statement = signed(&header, &claims, private_key)?;
            let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
            Ok(form(token_uri, &[("grant_type", grant), ("assertion", &statement)]))
        }
        TokenSource::ClientCredentials { url, client_id, client_secret, scope } => Ok(form(
            url,
            &[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_secret", client_secret.reveal()),
                ("scope", scope),
            ],
        )),
    }
}

/// A POST of form fields.
fn form(url: &Url, fields: &[(&str, &str)]) -> Call {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    Call { method: Method::POST, url: url.clone(), headers, body: Bytes::from(body) }
}

/// A JSON Web Token, RS256.
fn signed(header: &Value, claims: &Value, key: &Secret) -> Result<String, Failure> {
    let unusable = |why: BadKey| Failure::new(Class::Auth, format!("the service account's private key {why}"));
    let part = |value: &Value| URL_SAFE_NO_PAD.encode_to_string(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let pair = rsa_key(key).map_err(unusable)?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| Failure::new(Class::Auth, "the service account's private key does not sign"))?;
    Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode_to_string(signature)))
}

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

fn read(reply: &Reply, asked: Instant, secrets: &[String]) -> Result<Token, Failure> {
    if reply.status >= 500 || matches!(reply.status, 408 | 429) {
        let what = format!("no access token: HTTP {} from the token endpoint", reply.status);
        return Err(Failure::new(Class::Unreachable, what));
    }
    if reply.status != 200 {
        let Refused { error, error_description } = serde_json::from_slice(&reply.body).unwrap_or_default();
        let words = format!("no access token: HTTP {} {error}: {error_description}", reply.status);
        // More than is told, so that what is blotted out leaves enough.
        let words = words.chars().take(32 * WORDS).collect::<String>();
        let words = without(secrets, &words)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(WORDS)
            .collect::<String>();
        return Err(Failure::new(Class::Auth, words));
    }
    let granted: Option<Granted> = serde_json::from_slice(&reply.body).ok();
    let good = granted.filter(|granted| {
        !granted.access_token.is_empty() && granted.access_token.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let Some(Granted { access_token, expires_in }) = good else {
        return Err(Failure::new(Class::Auth, "the token endpoint's answer has no usable token"));
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
    use super::*;

    const KEY: &str = include_str!("../../tests/it/google_key.pem");

    fn source(key: &str) -> TokenSource {
        TokenSource::ServiceAccount {
            client_email: "easel@p.iam.gserviceaccount.com".to_owned(),
            private_key: Secret::new(key),
            key_id: Some("k1".to_owned()),
            token_uri: "https://oauth2.googleapis.com/token".parse().unwrap(),
            scope: "https://www.googleapis.com/auth/cloud-platform".to_owned(),
        }
    }

    fn reply(status: u16, body: &str) -> Reply {
        Reply { status, headers: HeaderMap::new(), body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[test]
    fn a_statement_is_signed_with_the_accounts_key_and_says_who_asks_for_what_of_whom() {
        let call = request(&source(KEY), 1_000).unwrap();
        let fields: Vec<(String, String)> = url::form_urlencoded::parse(&call.body).into_owned().collect();
        assert_eq!(fields[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
        let (text, signature) = fields[1].1.rsplit_once('.').unwrap();
        let parts: Vec<Value> = text
            .split('.')
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode_to_vec(part).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
        let claims = json!({"iss": "easel@p.iam.gserviceaccount.com", "iat": 1_000, "exp": 4_600,
            "scope": "https://www.googleapis.com/auth/cloud-platform", "aud": "https://oauth2.googleapis.com/token"});
        assert_eq!(parts[1], claims);
        let pair = rsa_key(&Secret::new(KEY)).unwrap();
        let public = ring::signature::UnparsedPublicKey::new(
            &ring::signature::RSA_PKCS1_2048_8192_SHA256,
            pair.public().as_ref(),
        );
        public.verify(text.as_bytes(), &URL_SAFE_NO_PAD.decode_to_vec(signature).unwrap()).unwrap();
    }

    #[test]
    fn a_key_that_is_none_is_told_without_being_shown() {
        for key in
            ["-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----\nsecret*"]
        {
            let failure = request(&source(key), 1_000).unwrap_err();
            assert_eq!(failure.class, Class::Auth);
            assert!(!failure.message.contains("c2VjcmV0") && !failure.message.contains("secret*"));
        }
        assert!(!format!("{:?}", source("c2VjcmV0")).contains("c2VjcmV0"));
    }

    #[test]
    fn client_credentials_are_a_form_and_the_metadata_server_wants_its_header() {
        let url: Url = "https://login.example/token".parse().unwrap();
        let source = TokenSource::ClientCredentials {
            url: url.clone(),
            client_id: "id".to_owned(),
            client_secret: Secret::new("s&t"),
            scope: "https://a/.default".to_owned(),
        };
        let body = "grant_type=client_credentials&client_id=id&client_secret=s%26t&scope=https%3A%2F%2Fa%2F.default";
        assert_eq!(request(&source, 0).unwrap().body, body);
        let call = request(&TokenSource::Metadata { url, header: ("metadata-flavor", "Google") }, 0).unwrap();
        assert_eq!((call.method, &call.headers["metadata-flavor"]), (Method::GET, &HeaderValue::from_static("Google")));
    }

    #[test]
    fn a_refusal_of_credentials_is_told_from_trouble_on_the_way() {
        let class = |status, body| read(&reply(status, body), Instant::now(), &[]).map(|_| ()).unwrap_err();
        let invalid = class(400, r#"{"error":"invalid_grant","error_description":"Invalid JWT"}"#);
        assert_eq!(invalid.class, Class::Auth);
        assert!(invalid.message.contains("invalid_grant: Invalid JWT"));
        assert_eq!(class(503, "").class, Class::Unreachable);
        for body in
            ["{}", "<html>", r#"{"access_token":"a b","expires_in":1}"#, r#"{"access_token":"","expires_in":1}"#]
        {
            assert_eq!(class(200, body).class, Class::Auth, "{body}");
        }
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
            assert_eq!(life(nonsense).unwrap_err().class, Class::Auth, "{nonsense}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_replaced_five_minutes_before_its_end_and_serves_to_its_end_when_none_follows() {
        let tokens = Tokens::default();
        let slot = tokens.slot(&source(KEY));
        let granted = read(&reply(200, r#"{"access_token":"ya29.a","expires_in":3600}"#), Instant::now(), &[]);
        slot.keep(granted).unwrap();
        tokio::time::advance(Duration::from_secs(3299)).await;
        assert!(slot.fresh().is_some());
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(slot.fresh().is_none());
        let failure = || Err(Failure::new(Class::Unreachable, "x"));
        assert_eq!(slot.keep(failure()).unwrap().reveal(), "ya29.a");
        tokio::time::advance(Duration::from_secs(300)).await;
        assert_eq!(slot.keep(failure()).unwrap_err().class, Class::Unreachable);
    }

    #[test]
    fn only_the_token_that_was_refused_is_forgotten() {
        let tokens = Tokens::default();
        let slot = tokens.slot(&source(KEY));
        slot.keep(read(&reply(200, r#"{"access_token":"new","expires_in":3600}"#), Instant::now(), &[])).unwrap();
        tokens.forget(&source(KEY), &Secret::new("old"));
        assert!(slot.fresh().is_some(), "another call has replaced it already");
        tokens.forget(&source(KEY), &Secret::new("new"));
        assert!(slot.fresh().is_none());
    }
}
