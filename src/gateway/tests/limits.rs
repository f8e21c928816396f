//! Providers that are full, or whose vendors let fewer calls run than the config says.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::sleep;

use super::*;
use crate::config::plan::Priority;
use crate::gateway::call_rates::RatedCall;
use crate::rate_limit::RateLimiter;

/// A vendor that draws each picture in so long, and so many at once.
struct BusyVendor {
    takes: Duration,
    limit: usize,
    /// The status that it answers with when it has too much to do.
    refuses: u16,
    running: AtomicUsize,
    most: AtomicUsize,
    refused: AtomicUsize,
    drawn: AtomicUsize,
}

impl BusyVendor {
    fn new(takes: u64, limit: usize, refuses: u16) -> Arc<BusyVendor> {
        let none = AtomicUsize::default;
        let takes = Duration::from_secs(takes);
        let (running, most, refused, drawn) = (none(), none(), none(), none());
        Arc::new(BusyVendor { takes, limit, refuses, running, most, refused, drawn })
    }

    async fn answer(&self) -> Reply {
        if self.running.load(SeqCst) >= self.limit {
            self.refused.fetch_add(1, SeqCst);
            let body = r#"{"error": {"message": "Too many requests at once.", "code": "rate_limit_exceeded"}}"#;
            return reply(self.refuses, HeaderMap::new(), body.to_owned());
        }
        self.most.fetch_max(self.running.fetch_add(1, SeqCst) + 1, SeqCst);
        sleep(self.takes).await;
        self.running.fetch_sub(1, SeqCst);
        self.drawn.fetch_add(1, SeqCst);
        drawn()
    }

    /// A gateway on `config` whose every host is this vendor.
    fn gateway(self: &Arc<BusyVendor>, config: &str) -> Arc<Gateway> {
        let plan = config_loader::check("test.yaml", config, &ProcessEnv).unwrap_or_else(|error| panic!("{error}"));
        let clock = Clock::Manual(ManualClock::at(late_on("2026-11-30")));
        Gateway::with_parts(plan, clock, Box::new(BusyClient(self.clone()))).unwrap()
    }
}

struct BusyClient(Arc<BusyVendor>);

impl HttpClient for BusyClient {
    fn send<'a>(
        &'a self,
        _call: &'a Call,
        _bounds: Bounds,
        memory_reservation: &'a Arc<CallReservation>,
        _watcher: Option<&'a Watcher>,
    ) -> BoxFuture<'a, Result<HeldReply, TransportError>> {
        Box::pin(async { Ok(HeldReply { reply: self.0.answer().await, held: memory_reservation.reply() }) })
    }

    fn addresses<'a>(&'a self, _url: &'a Url) -> BoxFuture<'a, Result<Arc<[SocketAddr]>, TransportError>> {
        Box::pin(ready(Ok(Arc::from([SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 443))]))))
    }
}

async fn serve(gateway: &Gateway, body: &str) -> Outcome {
    let request = ImageRequest::from_json(body.as_bytes()).unwrap();
    gateway.serve(&gateway.snapshot(), GatewayRequest::new(request), |_| None).await
}

/// How many calls of `model` may run at once, as Prometheus is told.
fn cap(gateway: &Gateway, model: &str) -> usize {
    let start = format!("easel_concurrency_cap{{model=\"{model}\",provider=\"p\"}} ");
    let page = gateway.scrape().unwrap();
    page.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
}

fn config(limit: usize, provider: &str, route: &str) -> String {
    format!(
        "providers:\n  p: {{kind: openai_compatible, base_url: https://p.example/v1/, api_key: k, {provider}\
         concurrency: {{limit: {limit}, max_wait: 60s}}, models: {{m: {{price: 0.01, max_n: 1}}, other: {{price: 0.01}}}}}}\n\
         routes:\n  - {{name: other, quality: false, match: {{models: [other]}}, offers: [p/other]}}\n  - {{name: all, quality: false, cache: false, {route}offers: [p/m]}}\n"
    )
}

/// Forty requests, and another for each that ends, until so many have ended: how many got no picture.
async fn forty_at_a_time(gateway: &Gateway, requests: usize) -> usize {
    let mut running: FuturesUnordered<_> = (0..40).map(|_| serve(gateway, r#"{"prompt": "x"}"#)).collect();
    let mut failed = 0;
    for _ in 0..requests {
        failed += usize::from(running.next().await.unwrap().as_str() != "ok");
        running.push(serve(gateway, r#"{"prompt": "x"}"#));
    }
    failed
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_lets_ten_calls_run_is_soon_asked_for_ten_and_seldom_for_more() {
    for status in [429, 529] {
        let vendor = BusyVendor::new(10, 10, status);
        let gateway = vendor.gateway(&config(32, "", "deadline: 300s, "));
        forty_at_a_time(&gateway, 60).await;
        let (refused, drawn) = (vendor.refused.swap(0, SeqCst), vendor.drawn.swap(0, SeqCst));
        assert!(refused >= 1 && (1..=10).contains(&cap(&gateway, "m")), "{status}: {refused} {drawn}");
        assert_eq!(cap(&gateway, "other"), 32, "a limit of one model is no other's");
        forty_at_a_time(&gateway, 300).await;
        let (refused, drawn) = (vendor.refused.load(SeqCst), vendor.drawn.load(SeqCst));
        assert!(refused * 12 <= drawn, "{status}: {refused} refused, {drawn} drawn");
        assert!((3..=11).contains(&cap(&gateway, "m")), "{status}: {}", cap(&gateway, "m"));
        assert_eq!(vendor.most.load(SeqCst), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_what_was_learned_of_a_vendors_limit_and_takes_a_lower_one_of_its_own() {
    let vendor = BusyVendor::new(10, 3, 429);
    let gateway = vendor.gateway(&config(32, "", "deadline: 300s, "));
    forty_at_a_time(&gateway, 10).await;
    let learned = cap(&gateway, "m");
    assert!(learned < 32);
    let reload = |limit| config_loader::check("test.yaml", &config(limit, "", ""), &ProcessEnv).unwrap();
    gateway.replace(reload(24)).unwrap();
    assert_eq!((cap(&gateway, "m"), cap(&gateway, "other")), (learned, 24));
    gateway.replace(reload(1)).unwrap();
    assert_eq!((cap(&gateway, "m"), cap(&gateway, "other")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_be_served_in_time_is_told_at_once_and_when_to_come_back() {
    let vendor = BusyVendor::new(10, 99, 429);
    let gateway = vendor.gateway(&config(2, "", "deadline: 25s, "));
    // What a call takes is known from those that have ended.
    serve(&gateway, r#"{"prompt": "x"}"#).await;
    let began = Instant::now();
    let waiting: Vec<_> = (0..6).map(|_| serve(&gateway, r#"{"prompt": "x"}"#)).collect();
    let ended = waiting.into_iter().map(|served| served.map(|outcome| (outcome, began.elapsed().as_secs())));
    let ended = futures_util::future::join_all(ended).await;
    let told: Vec<_> = ended
        .iter()
        .map(|(outcome, after)| {
            let retry_after = outcome.result.as_ref().err().and_then(|error| error.retry_after);
            (outcome.as_str(), *after, retry_after.map_or(0, |after| after.as_secs()))
        })
        .collect();
    // A slot comes back every five seconds. The fifth of those that wait would have its picture after 30 s.
    let (first, second, late) = (("ok", 10, 0), ("ok", 20, 0), "rate_limit_exceeded");
    assert_eq!(told[..4], [first, first, second, second]);
    assert_eq!((told[4].0, told[4].1, told[5].0, told[5].1), (late, 0, late, 0), "{told:?}");
    assert!((1..=5).contains(&told[4].2), "{told:?}");
    assert_eq!(ended[4].0.skipped, [("p/m".to_owned(), "would_be_late")]);
}

#[tokio::test(start_paused = true)]
async fn four_pictures_wait_for_four_slots_side_by_side() {
    let vendor = BusyVendor::new(10, 99, 429);
    let gateway = vendor.gateway(&config(4, "", "deadline: 60s, "));
    let began = Instant::now();
    let four = || async {
        let outcome = serve(&gateway, r#"{"prompt": "x", "n": 4}"#).await;
        (outcome.as_str(), began.elapsed().as_secs())
    };
    let served = futures_util::future::join_all([four(), four(), four()]).await;
    assert_eq!(served, [("ok", 10), ("ok", 20), ("ok", 30)], "first come, first served");
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_spent_before_a_call_is_sent_and_comes_back_evenly() {
    let vendor = BusyVendor::new(0, 99, 429);
    let gateway = vendor.gateway(&config(32, "rate: {images_per_minute: 6}, ", "deadline: 300s, "));
    let began = Instant::now();
    let mut served = Vec::new();
    for _ in 0..6 {
        served.push(serve(&gateway, r#"{"prompt": "x"}"#).await.as_str());
    }
    assert_eq!((served, began.elapsed().as_secs(), vendor.drawn.load(SeqCst)), (vec!["ok"; 6], 0, 6));
    // The seventh waits for what comes back.
    let outcome = serve(&gateway, r#"{"prompt": "x"}"#).await;
    assert!(outcome.as_str() == "ok" && (10..=11).contains(&began.elapsed().as_secs()), "a second at most by chance");
    assert_eq!(vendor.drawn.load(SeqCst), 7);
}

#[tokio::test(start_paused = true)]
async fn an_offer_whose_rate_is_spent_is_passed_over_for_the_next_and_a_model_has_a_rate_of_its_own() {
    let vendor = BusyVendor::new(0, 99, 429);
    let gateway = vendor.gateway(
        "providers:\n  p: {kind: openai_compatible, base_url: https://p.example/v1/, api_key: k, rate: {requests_per_minute: 3}, models: {\
         a: {price: 0.01, rate: {requests_per_minute: 1}}, b: {price: 0.01}}}\n  \
         q: {kind: openai_compatible, base_url: https://q.example/v1/, api_key: k, models: {c: {price: 0.01}}}\n\
         routes:\n  - {name: all, quality: false, cache: false, offers: [p/a, p/b, q/c]}\n",
    );
    let mut asked = Vec::new();
    for _ in 0..5 {
        let outcome = serve(&gateway, r#"{"prompt": "x"}"#).await;
        let skipped: Vec<&str> = outcome.skipped.iter().map(|(_, why)| *why).collect();
        asked.push((outcome.served_by().into_keys().next().unwrap().to_owned(), skipped));
    }
    let spent = |times| vec!["rate_spent"; times];
    let expected = [("p/a", 0), ("p/b", 1), ("p/b", 1), ("q/c", 2), ("q/c", 2)];
    assert_eq!(asked, expected.map(|(offer, times)| (offer.to_owned(), spent(times))));
}

#[tokio::test(start_paused = true)]
async fn a_call_asks_for_no_more_pictures_than_a_minute_allows() {
    let vendor = BusyVendor::new(0, 99, 429);
    let config = config(32, "rate: {images_per_minute: 1}, ", "").replace(", max_n: 1", ", max_n: 4");
    let gateway = vendor.gateway(&config);
    let began = Instant::now();
    let outcome = serve(&gateway, r#"{"prompt": "x", "n": 2}"#).await;
    assert_eq!((outcome.as_str(), outcome.attempts, began.elapsed().as_secs()), ("ok", 2, 60), "one a minute");
}

#[tokio::test(start_paused = true)]
async fn where_every_rate_is_spent_the_client_is_told_when_something_comes_back() {
    let vendor = BusyVendor::new(0, 99, 429);
    let gateway =
        vendor.gateway(&config(32, "rate: {images_per_minute: 1}, ", "").replace("max_wait: 60s", "max_wait: 5s"));
    serve(&gateway, r#"{"prompt": "x"}"#).await;
    let outcome = serve(&gateway, r#"{"prompt": "x"}"#).await;
    let error = outcome.result.unwrap_err();
    assert_eq!((error.code(), error.retry_after), ("rate_limit_exceeded", Some(Duration::from_secs(60))));
    assert_eq!(outcome.skipped, [("p/m".to_owned(), "rate_spent")]);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_a_rate_stand_in_a_line_and_who_would_wait_too_long_is_told_at_once() {
    let vendor = BusyVendor::new(0, 99, 429);
    let gateway = vendor.gateway(&config(32, "rate: {images_per_minute: 6}, ", "deadline: 300s, "));
    let began = Instant::now();
    let asked = (0..14).map(|_| async {
        let outcome = serve(&gateway, r#"{"prompt": "x"}"#).await;
        let retry_after = outcome.result.as_ref().err().and_then(|error| error.retry_after);
        (outcome.as_str(), began.elapsed().as_secs(), retry_after.map(|after| after.as_secs()))
    });
    let mut ended = futures_util::future::join_all(asked).await;
    let refused: Vec<_> = ended.extract_if(.., |(word, ..)| *word != "ok").collect();
    assert_eq!(refused, [("rate_limit_exceeded", 0, Some(70)); 2], "the line is a minute long");
    let after: Vec<u64> = ended.iter().map(|(_, after, _)| *after).collect();
    assert_eq!(after, [0, 0, 0, 0, 0, 0, 10, 20, 30, 40, 50, 60]);
}

#[tokio::test(start_paused = true)]
async fn of_a_vendors_pause_and_a_rate_that_is_spent_the_longer_one_counts() {
    let story = Story::on(
        "providers:\n  first: {kind: openai_compatible, base_url: https://first.example/v1/, api_key: k, \
         rate: {requests_per_minute: 1}, models: {flux: {price: 0.01}}}\n\
         routes:\n  - {name: all, quality: false, cache: false, offers: [first/flux]}\n",
    );
    story.script.answers("first.example", rate_limited());
    story.serve("a fox").await;
    let outcome = story.serve("a fox").await;
    assert_eq!(outcome.skipped, [("first/flux".to_owned(), "rate_limited")]);
    let retry_after = outcome.result.unwrap_err().retry_after.unwrap();
    assert!(retry_after > Duration::from_secs(590), "{retry_after:?}");
}

#[test]
fn a_call_that_one_rate_keeps_back_uses_nothing_of_the_others() {
    let config = config(32, "rate: {images_per_minute: 9, requests_per_minute: 9}, ", "");
    let config = config.replace("max_n: 1}", "rate: {requests_per_minute: 1}}");
    let plan = config_loader::check("test.yaml", &config, &ProcessEnv).unwrap_or_else(|error| panic!("{error}"));
    let provider = &plan.providers["p"];
    let (rates, now) = (RateLimiter::default(), std::time::Instant::now());
    let call = |model: &str| RatedCall::draw(provider, &provider.models[model], 3, Priority::Live);
    assert!(call("m").take(&rates, now).is_ok());
    for _ in 0..20 {
        assert_eq!(call("m").take(&rates, now), Err(Duration::from_secs(60)));
    }
    assert_eq!((call("other").take(&rates, now), call("other").take(&rates, now)), (Ok(()), Ok(())));
    assert!(call("other").take(&rates, now).is_err(), "nine pictures are taken");
}
