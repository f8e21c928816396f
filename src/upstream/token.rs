//! Access tokens: signed for, fetched, kept until shortly before they end, and forgotten when a vendor refuses them.
//!
//! However many calls wait for a token, one fetch brings it; and when that fails, those who waited fail with it instead
//! of asking one after another, and nobody asks again for a moment. A token that is still good serves everybody while
//! its successor is fetched behind their backs. Tokens outlive a config, since they go by the credentials and not by a
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
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::failure::{Class, Failure};
use crate::pem::{BadKey, rsa_key};
use crate::provider::common::token_source::TokenSource;
use crate::provider::{Call, Reply, retry_after};
use crate::secret::Secret;
use crate::upstream::transport::{Bounds, IDLE, Reach, Transport, Trouble};

/// How long before its end a token is replaced.
const EARLY: Duration = Duration::from_secs(5 * 60);
/// Longest wait for a token; a call has its own deadline besides.
const WAIT: Duration = Duration::from_secs(20);
/// How long an endpoint is left alone after its first failure. Each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// And never longer than this by ourselves.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Nor longer than this on its own word: an account's calls hang on it.
const LONGEST_TOLD: Duration = Duration::from_secs(5 * 60);
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
    slots: Mutex<Vec<(TokenSource, Arc<TokenSlot>)>>,
}

/// One source's token.
#[derive(Default)]
struct TokenSlot {
    state: Mutex<TokenState>,
    /// Fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct TokenState {
    token: Option<Token>,
    is_fetching: bool,
    /// Fetches that failed since the last that did not.
    failures: u32,
    /// How the last one did.
    failed: Option<Failure>,
    /// Nothing is fetched before.
    not_before: Option<Instant>,
}

/// A token and its life.
#[derive(Clone)]
struct Token {
    secret: Arc<Secret>,
    replace_at: Instant,
    ends_at: Instant,
}

/// How it stands with a source's token.
enum Standing {
    /// It is good.
    Good(Arc<Secret>),
    /// It is good, and near its end.
    Ageing(Arc<Secret>),
    /// There is none, and the endpoint is left alone for a moment.
    Paused(Failure),
    /// There is none.
    None,
}

impl Tokens {
    /// A token of `source` that has some life left, fetched unless there is one.
    pub async fn get(
        &self,
        transport: &Arc<Transport>,
        source: &TokenSource,
        deadline: Instant,
        connect: Duration,
    ) -> Result<Arc<Secret>, Failure> {
        let fetch = || {
            let (transport, source) = (transport.clone(), source.clone());
            async move {
                // The operator names the place, and a metadata server is link-local by design.
                let (deadline, reach) = (Instant::now() + WAIT, Reach::Anywhere);
                let bounds = Bounds { deadline, connect, silence: None, idle: IDLE, body: BODY, reach };
                fetch(&transport, &source, bounds).await
            }
        };
        self.slot(source).get(deadline.min(Instant::now() + WAIT), fetch).await
    }

    /// Forgets a token that a vendor did not accept, unless it was replaced since.
    pub fn forget(&self, source: &TokenSource, refused: &Secret) {
        let slot = self.slot(source);
        let mut state = slot.state();
        if state.token.as_ref().is_some_and(|token| *token.secret == *refused) {
            state.token = None;
        }
    }

    fn slot(&self, source: &TokenSource) -> Arc<TokenSlot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, slot)) = slots.iter().find(|(known, _)| known == source) {
            return slot.clone();
        }
        if slots.len() >= SOURCES {
            slots.remove(0);
        }
        let slot = Arc::<TokenSlot>::default();
        slots.push((source.clone(), slot.clone()));
        slot
    }
}

impl TokenSlot {
    fn state(&self) -> std::sync::MutexGuard<'_, TokenState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token, waited for until then only where there is none.
    async fn get<F>(self: &Arc<TokenSlot>, until: Instant, fetch: impl FnOnce() -> F) -> Result<Arc<Secret>, Failure>
    where
        F: Future<Output = Result<Token, Failure>> + Send + 'static,
    {
        let mut ended = self.ended.subscribe();
        match self.standing(Instant::now()) {
            Standing::Good(secret) => return Ok(secret),
            Standing::Paused(failure) => return Err(failure),
            Standing::Ageing(secret) => {
                self.begin(fetch);
                return Ok(secret);
            }
            Standing::None => self.begin(fetch),
        }
        let slow = |_| Failure::new(Class::Unreachable, "no access token in time");
        // The sender lives as long as the slot, so this ends with a fetch or with the time.
        let _ = timeout_at(until, ended.changed()).await.map_err(slow)?;
        self.outcome(Instant::now())
    }

    fn standing(&self, now: Instant) -> Standing {
        let state = self.state();
        match &state.token {
            Some(token) if token.replace_at > now => return Standing::Good(token.secret.clone()),
            Some(token) if token.ends_at > now => return Standing::Ageing(token.secret.clone()),
            _ => {}
        }
        match (&state.failed, state.not_before) {
            (Some(failure), Some(not_before)) if not_before > now && !state.is_fetching => {
                let failure = failure.clone();
                let told = failure.retry_after.map(|_| not_before - now);
                Standing::Paused(failure.with_retry_after(told))
            }
            _ => Standing::None,
        }
    }

    /// Fetches a token in a task of its own, unless one is being fetched or the endpoint is left alone: whoever began it
    /// may leave, and others wait for it.
    fn begin<F>(self: &Arc<TokenSlot>, fetch: impl FnOnce() -> F)
    where
        F: Future<Output = Result<Token, Failure>> + Send + 'static,
    {
        let mut state = self.state();
        if state.is_fetching || state.not_before.is_some_and(|not_before| not_before > Instant::now()) {
            return;
        }
        state.is_fetching = true;
        drop(state);
        let (turn, fetch) = (Turn(self.clone()), fetch());
        tokio::spawn(async move {
            let fetched = fetch.await;
            turn.0.keep(fetched, Instant::now());
        });
    }

    fn keep(&self, fetched: Result<Token, Failure>, now: Instant) {
        let mut state = self.state();
        match fetched {
            Ok(token) => {
                (state.token, state.failed) = (Some(token), None);
                (state.failures, state.not_before) = (0, None);
            }
            Err(failure) => {
                state.failures = state.failures.saturating_add(1);
                state.not_before = Some(now + pause(state.failures, failure.retry_after));
                state.failed = Some(failure);
            }
        }
    }

    /// What the fetch that was waited for brought. When it brought nothing, a token that is old but not over still
    /// serves.
    fn outcome(&self, now: Instant) -> Result<Arc<Secret>, Failure> {
        let state = self.state();
        let token = state.token.as_ref().filter(|token| state.failed.is_none() || token.ends_at > now);
        match (token, &state.failed) {
            (Some(token), _) => Ok(token.secret.clone()),
            (None, Some(failure)) => Err(failure.clone()),
            (None, None) => Err(Failure::new(Class::Unreachable, "the access token was refused as soon as it came")),
        }
    }
}

/// The right to fetch, given back however that ends.
struct Turn(Arc<TokenSlot>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.state().is_fetching = false;
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

/// How long an endpoint is left alone after so many failures in a row: a little longer each time, or as long as it says.
fn pause(failures: u32, told: Option<Duration>) -> Duration {
    let own = FIRST_PAUSE.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    own.max(told.unwrap_or(Duration::ZERO).min(LONGEST_TOLD))
}

async fn fetch(transport: &Transport, source: &TokenSource, bounds: Bounds) -> Result<Token, Failure> {
    let asked = Instant::now();
    let now = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let call = request(source, now)?;
    let received = transport.send(&call, bounds).await.map_err(|trouble| {
        let why = match trouble {
            Trouble::Unreachable(why) | Trouble::Lost(why) | Trouble::Unreadable(why) => why,
            Trouble::TimedOut { .. } => "no answer in time".to_owned(),
            Trouble::TooLarge => "its answer is too large".to_owned(),
            Trouble::Private => "its address is not followed".to_owned(),
        };
        let host = call.url.host_str().unwrap_or("?");
        Failure::new(Class::Unreachable, format!("no access token from {host}: {why}"))
    })?;
    read(&received.reply, asked, &secrets(&call))
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

/// A JSON Web Token, RS256, signed by ring. `jsonwebtoken` (12) has no backend for ring: with it, these lines would become
/// a signer of our own that is installed for the whole process, or a second library of cryptography (aws-lc, or the crate
/// `rsa`, whose timing leaks keys).
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

fn read(reply: &Reply, asked: Instant, secrets: &[String]) -> Result<Token, Failure> {
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
        Reply {
            status,
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
            at: crate::clock::now(),
        }
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

    fn token(text: &str) -> Result<Token, Failure> {
        read(&reply(200, &format!(r#"{{"access_token":"{text}","expires_in":3600}}"#)), Instant::now(), &[])
    }

    fn down() -> Failure {
        Failure::new(Class::Unreachable, "down")
    }

    /// Asks for a token; the endpoint takes a second and gives `answer`. What came, after how long, and whether the
    /// endpoint was asked.
    async fn ask(slot: &Arc<TokenSlot>, answer: Result<&'static str, Failure>) -> (Result<String, Class>, u64, bool) {
        let (began, asked) = (Instant::now(), std::cell::Cell::new(false));
        let got = slot
            .get(began + WAIT, || {
                asked.set(true);
                async move {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    answer.and_then(token)
                }
            })
            .await;
        let got = got.map(|secret| secret.reveal().to_owned()).map_err(|failure| failure.class);
        (got, began.elapsed().as_secs(), asked.get())
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_near_its_end_serves_at_once_while_its_successor_is_fetched() {
        let slot = Arc::<TokenSlot>::default();
        assert_eq!(ask(&slot, Ok("one")).await, (Ok("one".to_owned()), 1, true));
        tokio::time::advance(Duration::from_secs(3290)).await;
        assert_eq!(ask(&slot, Ok("two")).await, (Ok("one".to_owned()), 0, false));
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(ask(&slot, Ok("two")).await, (Ok("one".to_owned()), 0, true));
        assert_eq!(ask(&slot, Ok("three")).await, (Ok("one".to_owned()), 0, false), "one fetch at a time");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(ask(&slot, Ok("three")).await, (Ok("two".to_owned()), 0, false));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_successor_fails_nobody_while_the_token_is_good_and_is_not_asked_for_all_the_time() {
        let slot = Arc::<TokenSlot>::default();
        ask(&slot, Ok("one")).await.0.unwrap();
        tokio::time::advance(Duration::from_secs(3305)).await;
        let mut asked = 0;
        for _ in 0..100 {
            let (got, took, was_asked) = ask(&slot, Err(down())).await;
            assert_eq!((got, took), (Ok("one".to_owned()), 0));
            asked += u32::from(was_asked);
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        assert!((5..20).contains(&asked), "{asked}");
        tokio::time::advance(Duration::from_secs(200)).await;
        assert_eq!(ask(&slot, Err(down())).await, (Err(Class::Unreachable), 1, true));
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_failed_is_left_alone_for_as_long_as_it_says() {
        let slot = Arc::<TokenSlot>::default();
        let busy = || Failure::new(Class::RateLimited, "slow down").with_retry_after(Some(Duration::from_secs(9)));
        let (first, second) = tokio::join!(ask(&slot, Err(busy())), ask(&slot, Ok("unasked")));
        assert_eq!((first, second), ((Err(Class::RateLimited), 1, true), (Err(Class::RateLimited), 1, false)));
        assert_eq!(ask(&slot, Ok("early")).await, (Err(Class::RateLimited), 0, false));
        let Standing::Paused(failure) = slot.standing(Instant::now()) else { panic!("it is left alone") };
        assert_eq!(failure.retry_after, Some(Duration::from_secs(9)));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(ask(&slot, Ok("one")).await, (Ok("one".to_owned()), 1, true));
        assert_eq!(pause(1, Some(Duration::from_secs(86_400))), LONGEST_TOLD);
        assert_eq!(
            (pause(1, None), pause(2, None), pause(u32::MAX, None)),
            (FIRST_PAUSE, 2 * FIRST_PAUSE, LONGEST_PAUSE)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_leaves_takes_nothing_from_those_who_wait() {
        let slot = Arc::<TokenSlot>::default();
        let hurried = slot.get(Instant::now() + Duration::from_millis(10), || async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            token("one")
        });
        assert_eq!(hurried.await.unwrap_err().class, Class::Unreachable);
        assert_eq!(ask(&slot, Ok("two")).await.0, Ok("one".to_owned()));
    }

    #[tokio::test]
    async fn only_the_token_that_was_refused_is_forgotten() {
        let tokens = Tokens::default();
        let slot = tokens.slot(&source(KEY));
        slot.keep(token("new"), Instant::now());
        let is_good = || matches!(slot.standing(Instant::now()), Standing::Good(_));
        tokens.forget(&source(KEY), &Secret::new("old"));
        assert!(is_good(), "another call has replaced it already");
        tokens.forget(&source(KEY), &Secret::new("new"));
        assert!(!is_good());
    }
}
