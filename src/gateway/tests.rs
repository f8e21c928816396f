//! Whole requests without a socket: vendors answer by a script, and the wall clock stands where the test sets it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::ready;
use std::io::Cursor;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use image::{DynamicImage, ImageFormat};
use url::Url;

use super::*;
use crate::calendar::{Moment, Zone};
use crate::clock::ManualClock;
use crate::gateway::config_loader;
use crate::gateway::config_loader::ProcessEnv;
use crate::gateway::outcome::CacheUse;
use crate::money::Usd;
use crate::provider::{Call, Reply};
use crate::store::report::{ReportBy, ReportQuery};
use crate::upstream::transport::reply_memory::CallReservation;
use crate::upstream::transport::{Bounds, HeldReply, TransportError, Watcher};

mod explain;
mod hedging;
mod learned;
mod limits;
mod reuse;
mod strategies;
mod text_calls;
mod waits;

const CONFIG: &str = "
providers:
  first: {kind: openai_compatible, base_url: https://first.example/v1/, api_key: k, models: {flux: {price: 0.01}}}
  second: {kind: openai_compatible, base_url: https://second.example/v1/, api_key: k, models: {flux: {price: 0.02}}}
routes:
  - {name: all, offers: [first/flux, second/flux], price: {budget: {usd: 1, per: day, zone: UTC}}}
";

/// Vendors by host. Each call is answered with its host's next reply.
#[derive(Default)]
struct Script {
    replies: Mutex<HashMap<&'static str, VecDeque<Reply>>>,
    /// The hosts that were called, in order.
    called: Mutex<Vec<String>>,
    /// The body of the last call to each host.
    told: Mutex<HashMap<String, Bytes>>,
}

impl Script {
    fn answers(&self, host: &'static str, reply: Reply) {
        self.replies.lock().unwrap().entry(host).or_default().push_back(reply);
    }

    fn called(&self) -> Vec<String> {
        std::mem::take(&mut *self.called.lock().unwrap())
    }
}

struct ScriptedClient(Arc<Script>);

impl HttpClient for ScriptedClient {
    fn send<'a>(
        &'a self,
        call: &'a Call,
        _bounds: Bounds,
        memory_reservation: &'a Arc<CallReservation>,
        _watcher: Option<&'a Watcher>,
    ) -> BoxFuture<'a, Result<HeldReply, TransportError>> {
        let host = call.url.host_str().unwrap();
        self.0.called.lock().unwrap().push(host.to_owned());
        self.0.told.lock().unwrap().insert(host.to_owned(), call.body.clone());
        let reply = self.0.replies.lock().unwrap().get_mut(host).and_then(VecDeque::pop_front);
        let reply = reply.ok_or_else(|| TransportError::Unreachable("the script has no reply".to_owned()));
        Box::pin(ready(reply.map(|reply| HeldReply { reply, held: memory_reservation.reply() })))
    }

    fn addresses<'a>(&'a self, _url: &'a Url) -> BoxFuture<'a, Result<Arc<[SocketAddr]>, TransportError>> {
        // Of the addresses that documents may use (RFC 5737).
        Box::pin(ready(Ok(Arc::from([SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 443))]))))
    }
}

/// A gateway whose vendors are scripted, one second before midnight.
struct Story {
    gateway: Arc<Gateway>,
    script: Arc<Script>,
    clock: ManualClock,
}

impl Story {
    fn begin() -> Story {
        Story::on(CONFIG)
    }

    fn on(config: &str) -> Story {
        let plan = match config_loader::check("test.yaml", config, &ProcessEnv) {
            Ok(plan) => plan,
            Err(error) => panic!("{error}"),
        };
        let (script, clock) = (Arc::new(Script::default()), ManualClock::at(late_on("2026-11-30")));
        let client = Box::new(ScriptedClient(script.clone()));
        let gateway = Gateway::with_parts(plan, Clock::Manual(clock.clone()), client).unwrap();
        Story { gateway, script, clock }
    }

    async fn serve(&self, prompt: &str) -> Outcome {
        let request = ImageRequest::from_json(format!(r#"{{"prompt": "{prompt}"}}"#).as_bytes()).unwrap();
        self.gateway.serve(&self.gateway.snapshot(), GatewayRequest::new(request), |_| None).await
    }

    /// What of the route's budget is left today, as Prometheus is told.
    fn left(&self) -> String {
        let page = self.gateway.scrape().unwrap();
        let line = page.lines().find(|line| line.starts_with("easel_budget_remaining_usd{")).unwrap();
        line.split_whitespace().last().unwrap().to_owned()
    }

    /// What the ledger says was paid, by day and provider.
    fn paid(&self) -> Vec<(Vec<String>, Usd)> {
        let query = ReportQuery { by: vec![ReportBy::Day, ReportBy::Provider], ..ReportQuery::default() };
        let rows = self.gateway.shared.durable_ledger.store().report(&query).unwrap();
        rows.into_iter().map(|row| (row.keys, row.figures.usd)).collect()
    }
}

/// One second before the day after `date` begins, in UTC.
fn late_on(date: &str) -> Moment {
    let utc: Zone = "UTC".parse().unwrap();
    utc.midnight(date).unwrap().after(Duration::from_secs(86_399))
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn reply(status: u16, headers: HeaderMap, body: String) -> Reply {
    Reply { status, headers, body: Bytes::from(body), at: late_on("2026-11-30") }
}

/// A 429 that asks for a long pause.
fn rate_limited() -> Reply {
    let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("600"))]);
    reply(429, headers, r#"{"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}"#.to_owned())
}

/// One picture.
fn drawn() -> Reply {
    drawn_in(0)
}

/// One picture in a shade of its own.
fn drawn_in(shade: u8) -> Reply {
    let mut file = Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(32, 32, image::Rgb([shade; 3]));
    DynamicImage::ImageRgb8(picture).write_to(&mut file, ImageFormat::Png).unwrap();
    let text = base64_simd::STANDARD.encode_to_string(file.into_inner());
    reply(200, HeaderMap::new(), format!(r#"{{"data": [{{"b64_json": "{text}"}}]}}"#))
}

/// Something that is no picture, in a picture's place.
fn broken() -> Reply {
    reply(200, HeaderMap::new(), r#"{"data": [{"b64_json": "bm8gcGljdHVyZQ=="}]}"#.to_owned())
}

#[tokio::test]
async fn a_request_that_one_vendor_limits_is_drawn_by_the_next_and_booked_on_the_clocks_day() {
    let story = Story::begin();
    story.script.answers("first.example", rate_limited());
    story.script.answers("second.example", drawn());
    let outcome = story.serve("a red fox").await;
    assert_eq!((outcome.as_str(), outcome.attempts, outcome.cost), ("ok", 2, usd("0.02")));
    assert_eq!(outcome.served_by(), BTreeMap::from([("second/flux", 1)]));
    assert_eq!(story.script.called(), ["first.example", "second.example"]);
    let row = |day: &str, provider: &str, cost: &str| (vec![day.to_owned(), provider.to_owned()], usd(cost));
    let before_midnight = [row("2026-11-30", "first", "0"), row("2026-11-30", "second", "0.02")];
    assert_eq!(story.paid(), before_midnight);
    assert_eq!(story.left(), "0.98");

    // A second later it is another day, with a budget of its own. The first vendor is still paused.
    story.clock.set(late_on("2026-11-30").after(Duration::from_secs(1)));
    assert_eq!(story.left(), "1");
    story.script.answers("second.example", drawn());
    let outcome = story.serve("a blue fox").await;
    assert_eq!((outcome.as_str(), outcome.attempts, story.left().as_str()), ("ok", 1, "0.98"));
    assert_eq!(outcome.skipped, [("first/flux".to_owned(), "rate_limited")]);
    assert_eq!(story.script.called(), ["second.example"]);
    assert_eq!(story.paid(), [&before_midnight[..], &[row("2026-12-01", "second", "0.02")]].concat());
}

#[tokio::test]
async fn a_request_that_was_served_is_a_hit_that_calls_no_vendor_and_pays_nothing() {
    let story = Story::begin();
    story.script.answers("first.example", drawn());
    assert_eq!(story.serve("a red fox").await.cache, CacheUse::Miss);
    assert_eq!(story.script.called(), ["first.example"]);
    let outcome = story.serve("a red fox").await;
    assert_eq!(
        (outcome.as_str(), outcome.cache, outcome.cost),
        ("ok", CacheUse::Hit(crate::cache::Tier::Exact), Usd::ZERO)
    );
    assert!(story.script.called().is_empty());
    assert_eq!(story.left(), "0.99");
}

#[tokio::test]
async fn a_vendor_that_is_not_reached_costs_nothing_and_the_client_is_told() {
    let story = Story::begin();
    let outcome = story.serve("a red fox").await;
    assert_eq!((outcome.as_str(), outcome.cost, story.left().as_str()), ("upstream_failed", Usd::ZERO, "1"));
    assert!(story.script.called().contains(&"second.example".to_owned()));
}

/// The same request with an idempotency key.
async fn keyed(story: &Story, key: &str) -> Outcome {
    let request = ImageRequest::from_json(br#"{"prompt": "a red fox"}"#).unwrap();
    let key = crate::idempotency::IdempotencyKey::parse(key.as_bytes()).unwrap();
    let request = GatewayRequest { idempotency_key: Some(key), cache: CacheWish::Skip, ..GatewayRequest::new(request) };
    story.gateway.serve(&story.gateway.snapshot(), request, |_| None).await
}

#[tokio::test]
async fn a_key_stands_for_its_request_for_a_day_and_then_for_the_next() {
    let story = Story::begin();
    story.script.answers("first.example", drawn());
    story.script.answers("first.example", drawn());
    let word = |outcome: &Outcome| outcome.idempotency.map(crate::idempotency::KeyUse::as_str);
    assert_eq!(word(&keyed(&story, "k").await), Some("first"));
    let begun = late_on("2026-11-30");
    story.clock.set(begun.after(Duration::from_secs(86_399)));
    let again = keyed(&story, "k").await;
    assert_eq!((word(&again), again.cost, again.as_str()), (Some("replayed"), Usd::ZERO, "ok"));
    assert_eq!(story.gateway.shared.idempotency.size().keys, 1);
    story.clock.set(begun.after(Duration::from_secs(86_400)));
    let next = keyed(&story, "k").await;
    assert_eq!((word(&next), next.cost), (Some("first"), usd("0.01")));
    assert_eq!(story.script.called().len(), 2);
    story.gateway.shared.idempotency.expire(begun.after(Duration::from_secs(3 * 86_400)));
    let size = story.gateway.shared.idempotency.size();
    assert_eq!((size.keys, size.bytes, size.dropped.keys), (0, 0, 0));
}

#[tokio::test]
async fn a_reload_takes_new_bounds_of_keys_and_pictures() {
    let story = Story::begin();
    for (key, seconds) in [("a", 0), ("b", 1)] {
        story.clock.set(late_on("2026-11-30").after(Duration::from_secs(seconds)));
        story.script.answers("first.example", drawn());
        keyed(&story, key).await;
    }
    let bounded = |bounds: &str| {
        let text = format!("server: {{idempotency: {{{bounds}}}}}\n{CONFIG}");
        story.gateway.replace(config_loader::check("test.yaml", &text, &ProcessEnv).unwrap()).unwrap();
        story.gateway.shared.idempotency.size()
    };
    assert_eq!(bounded("keys: 1").keys, 1);
    let size = bounded("pictures: 1B");
    assert_eq!((size.keys, size.bytes, size.dropped.keys, size.dropped.pictures), (1, 0, 1, 1));
    let gone = keyed(&story, "b").await;
    assert_eq!(gone.as_str(), "idempotency_pictures_gone");
}
