//! Slow vendors, and another that is asked besides: whole requests under a paused clock, with the vendors' invoice beside
//! the ledger.

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::*;
use crate::config::plan::Priority;
use crate::money;

const FIRST: &str = "first.example";
const SECOND: &str = "second.example";
/// Who is asked about pictures, and charges nothing.
const JUDGE: &str = "judge.example";

/// What a picture costs at each, with odd digits at the end, so that no sum is right by chance.
const PRICES: [(&str, &str); 2] = [(FIRST, "0.010000007"), (SECOND, "0.020000003")];

/// How long a vendor's next call takes.
type Times = Box<dyn FnMut(&str) -> Duration + Send>;

/// Vendors that take their time and write an invoice.
struct SlowVendors {
    times: Mutex<Times>,
    /// Who was called, and at what price.
    invoice: Mutex<Vec<(String, Usd)>>,
    /// Who fails, and charges nothing for that.
    fails: Mutex<Option<&'static str>>,
}

struct SlowClient(Arc<SlowVendors>);

impl HttpClient for SlowClient {
    fn send<'a>(
        &'a self,
        call: &'a Call,
        _bounds: Bounds,
        memory_reservation: &'a Arc<CallReservation>,
        _watcher: Option<&'a Watcher>,
    ) -> BoxFuture<'a, Result<HeldReply, TransportError>> {
        let host = call.url.host_str().unwrap();
        let takes = (self.0.times.lock().unwrap())(host);
        if host == JUDGE {
            let accepts = reply(200, HeaderMap::new(), r#"{"verdict": "accept"}"#.to_owned());
            return Box::pin(async move {
                sleep(takes).await;
                Ok(HeldReply { reply: accepts, held: memory_reservation.reply() })
            });
        }
        let (_, price) = PRICES.into_iter().find(|(known, _)| *known == host).unwrap();
        let mut invoice = self.0.invoice.lock().unwrap();
        let answer = if *self.0.fails.lock().unwrap() == Some(host) {
            reply(500, HeaderMap::new(), r#"{"error": {"message": "out of paper"}}"#.to_owned())
        } else {
            invoice.push((host.to_owned(), usd(price)));
            drawn_in(u8::try_from(invoice.len() % 256).unwrap())
        };
        Box::pin(async move {
            sleep(takes).await;
            Ok(HeldReply { reply: answer, held: memory_reservation.reply() })
        })
    }

    fn addresses<'a>(&'a self, _url: &'a Url) -> BoxFuture<'a, Result<Arc<[SocketAddr]>, TransportError>> {
        Box::pin(ready(Ok(Arc::from([SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 443))]))))
    }
}

/// Both vendors at a route of this kind.
fn config(route: &str) -> String {
    let [first, second] = PRICES.map(|(host, price)| {
        format!(
            "{{kind: openai_compatible, base_url: https://{host}/v1/, api_key: k, timeout: 10h, concurrency: {{limit: 900}}, \
             models: {{flux: {{price: {price}}}}}}}"
        )
    });
    format!(
        "providers:\n  first: {first}\n  second: {second}\n\
         routes:\n  - {{name: all, quality: false, offers: [first/flux, second/flux], deadline: 10h, {route}}}\n"
    )
}

/// A gateway before slow vendors.
struct Slow {
    gateway: Arc<Gateway>,
    vendors: Arc<SlowVendors>,
}

impl Slow {
    fn on(route: &str, times: impl FnMut(&str) -> Duration + Send + 'static) -> Slow {
        Slow::with(&config(route), times)
    }

    fn with(config: &str, times: impl FnMut(&str) -> Duration + Send + 'static) -> Slow {
        let plan = config_loader::check("test.yaml", config, &ProcessEnv).unwrap();
        let vendors = Arc::new(SlowVendors {
            times: Mutex::new(Box::new(times)),
            invoice: Mutex::default(),
            fails: Mutex::default(),
        });
        let clock = Clock::Manual(ManualClock::at(late_on("2026-11-30")));
        let gateway = Gateway::with_parts(plan, clock, Box::new(SlowClient(vendors.clone()))).unwrap();
        Slow { gateway, vendors }
    }

    async fn serve(&self, prompt: &str) -> Outcome {
        serve(&self.gateway, prompt, 1, Priority::Live).await
    }

    /// Waits until no call goes on behind anybody's back.
    async fn idle(&self) {
        self.gateway.shared.work.close();
        self.gateway.shared.work.wait().await;
        self.gateway.shared.work.reopen();
    }

    fn invoiced(&self) -> Usd {
        money::sum(self.vendors.invoice.lock().unwrap().iter().map(|(_, usd)| *usd)).unwrap()
    }

    /// What the ledger says of calls that were made for this reason, or for another than that: how many, and what was paid.
    fn ledger(&self, hedges: bool) -> (u64, Usd) {
        let query = ReportQuery { by: vec![ReportBy::Chosen], ..ReportQuery::default() };
        let rows = self.gateway.shared.durable_ledger.store().report(&query).unwrap();
        let rows: Vec<_> = rows.into_iter().filter(|row| (row.keys == ["hedge"]) == hedges).collect();
        let attempts = rows.iter().map(|row| row.figures.attempts).sum();
        (attempts, money::sum(rows.into_iter().map(|row| row.figures.usd)).unwrap())
    }

    /// How many late calls ended so.
    fn counted(&self, outcome: &str) -> u64 {
        self.gateway.shared.metrics.hedges.with_label_values(&["all", outcome]).get()
    }
}

async fn serve(gateway: &Gateway, prompt: &str, n: u8, priority: Priority) -> Outcome {
    let request = ImageRequest::from_json(format!(r#"{{"prompt": "{prompt}", "n": {n}}}"#).as_bytes()).unwrap();
    let request = GatewayRequest { priority, ..GatewayRequest::new(request) };
    gateway.serve(&gateway.snapshot(), request, |_| None).await
}

/// The first vendor takes a minute, the second two seconds.
fn slow_and_fast(host: &str) -> Duration {
    Duration::from_secs(if host == FIRST { 60 } else { 2 })
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_pictures_are_there_and_judged_is_neither_late_nor_given_up() {
    let asks = "quality: {reject: [judge], flag: [], judge: {url: 'https://judge.example/', timeout: 1h}}";
    let hedged = config("hedge: {after: 8s, at_most: 100%, max_usd_per_hour: 1}").replace("quality: false", asks);
    for config in [hedged.replace("deadline: 10h", "deadline: 40s"), hedged] {
        let judged = |host: &str| Duration::from_secs(if host == JUDGE { 30 } else { 1 });
        let slow = Slow::with(&config, judged);
        let outcome = slow.serve("a fox").await;
        assert_eq!((outcome.served_by().into_keys().collect::<Vec<_>>(), outcome.attempts), (vec!["first/flux"], 1));
        assert_eq!(slow.vendors.invoice.lock().unwrap().len(), 1, "nobody was asked besides");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_call_is_hedged_the_answer_tells_what_both_cost_and_the_slow_picture_is_there_for_the_next() {
    let slow = Slow::on("hedge: {after: 8s, at_most: 100%, max_usd_per_hour: 1}", slow_and_fast);
    let began = Instant::now();
    let outcome = slow.serve("a red fox").await;
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!((outcome.as_str(), outcome.attempts, outcome.cost), ("ok", 2, usd("0.03000001")));
    assert_eq!(outcome.served_by(), BTreeMap::from([("second/flux", 1)]));
    let calls: Vec<_> = outcome.calls.iter().map(|call| (call.offer.as_str(), call.reason)).collect();
    assert_eq!(calls, [("second/flux", "hedge")]);
    slow.idle().await;
    assert_eq!(began.elapsed().as_secs(), 60, "the slow call is not cut off");
    assert_eq!((slow.invoiced(), slow.ledger(true)), (usd("0.03000001"), (1, usd("0.020000003"))));
    assert_eq!(slow.ledger(false), (1, usd("0.010000007")));
    assert_eq!((slow.counted("won"), slow.counted("lost")), (1, 0));
    // Whoever wants two of it gets both, and nothing is bought.
    let next = serve(&slow.gateway, "a red fox", 2, Priority::Live).await;
    assert_eq!((next.as_str(), next.cache, next.cost), ("ok", CacheUse::Hit(crate::cache::Tier::Exact), Usd::ZERO));
    assert_eq!(next.served_by(), BTreeMap::from([("first/flux", 1), ("second/flux", 1)]));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_comes_second_is_kept_and_its_price_is_in_the_answer_too() {
    let times = |host: &str| Duration::from_secs(if host == FIRST { 10 } else { 30 });
    let slow = Slow::on("hedge: {after: 8s, at_most: 100%, max_usd_per_hour: 1}", times);
    let outcome = slow.serve("a red fox").await;
    assert_eq!((outcome.served_by().len(), outcome.attempts, outcome.cost), (1, 2, usd("0.03000001")));
    assert_eq!(outcome.calls[0].offer, "first/flux");
    slow.idle().await;
    assert_eq!((slow.counted("won"), slow.counted("lost"), slow.invoiced()), (0, 1, usd("0.03000001")));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_fails_is_no_loss_and_leaves_the_dollars_of_the_hour() {
    let slow = Slow::on("hedge: {after: 8s, at_most: 100%, max_usd_per_hour: 0.03}", slow_and_fast);
    *slow.vendors.fails.lock().unwrap() = Some(SECOND);
    let began = Instant::now();
    let outcome = slow.serve("a red fox").await;
    assert_eq!((began.elapsed().as_secs(), outcome.attempts, outcome.cost), (60, 2, usd("0.010000007")));
    let calls: Vec<_> = outcome.calls.iter().map(|call| (call.reason, call.outcome)).collect();
    assert_eq!((calls, slow.counted("failed")), (vec![("hedge", "server_error"), ("first", "ok")], 1));
    *slow.vendors.fails.lock().unwrap() = None;
    assert_eq!(slow.serve("a blue fox").await.attempts, 2);
    slow.idle().await;
    assert_eq!((slow.counted("won"), slow.counted("dollars")), (1, 0));
    assert_eq!(slow.invoiced(), slow.ledger(true).1.checked_add(slow.ledger(false).1).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_call_is_late_by_the_last_minutes_of_its_own_offer_and_before_twenty_calls_nobody_knows() {
    let mut calls = 0_u64;
    let slow = Slow::on("hedge: {after: p90, at_most: 100%, max_usd_per_hour: 1}", move |host| {
        calls += u64::from(host == FIRST);
        // The first is slow before anybody knows that, and so is the twenty-second; the others take ten seconds.
        let takes = if host == FIRST && [1, 22].contains(&calls) { 90 } else { 10 };
        Duration::from_secs(takes)
    });
    for request in 1..=21 {
        let outcome = slow.serve(&format!("fox {request}")).await;
        assert_eq!(outcome.attempts, 1, "{request}");
    }
    let request = ImageRequest::from_json(br#"{"prompt": "another"}"#).unwrap();
    let explained = slow.gateway.explain(&slow.gateway.snapshot(), GatewayRequest::new(request), |_| None).unwrap();
    let known: Vec<_> = explained.offers.iter().map(|offer| offer.hedge_after_ms.map(|ms| ms / 1000)).collect();
    assert_eq!(known, [Some(10), None]);
    let began = Instant::now();
    assert_eq!(slow.serve("another").await.attempts, 2);
    assert_eq!(began.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn the_dollars_of_an_hour_are_the_bound_and_come_back_after_it() {
    let slow = Slow::on("hedge: {after: 8s, at_most: 100%, max_usd_per_hour: 0.05}", slow_and_fast);
    for (request, attempts) in [(1, 2), (2, 2), (3, 1), (4, 1)] {
        assert_eq!(slow.serve(&format!("fox {request}")).await.attempts, attempts, "{request}");
    }
    assert_eq!((slow.counted("won"), slow.counted("dollars")), (2, 2));
    slow.idle().await;
    sleep(Duration::from_secs(3660)).await;
    assert_eq!(slow.serve("fox 5").await.attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn no_more_calls_are_hedged_than_their_share_however_many_are_late() {
    for (at_most, requests, hedges) in [("5%", 60, 3), ("50%", 12, 6), ("100%", 12, 12)] {
        let slow = Slow::on(&format!("hedge: {{after: 8s, at_most: {at_most}, max_usd_per_hour: 100}}"), slow_and_fast);
        for request in 0..requests {
            slow.serve(&format!("fox {request}")).await;
        }
        slow.idle().await;
        assert_eq!((slow.ledger(true).0, slow.counted("share")), (hedges, requests - hedges), "{at_most}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_turns_hedging_on_and_off_and_gives_no_second_hour_of_dollars() {
    let hedge = "hedge: {after: 8s, at_most: 100%, max_usd_per_hour: 0.03}";
    let slow = Slow::on("", slow_and_fast);
    let replace = |route: &str| {
        let plan = config_loader::check("test.yaml", &config(route), &ProcessEnv).unwrap();
        slow.gateway.replace(plan).unwrap();
    };
    assert_eq!(slow.serve("fox 1").await.attempts, 1);
    replace(hedge);
    assert_eq!(slow.serve("fox 2").await.attempts, 2);
    replace("");
    assert_eq!(slow.serve("fox 3").await.attempts, 1);
    replace(hedge);
    assert_eq!(slow.serve("fox 4").await.attempts, 1, "the cents of this hour are spent");
    replace("hedge: {after: 8s, at_most: 100%, max_usd_per_hour: 0.05}");
    assert_eq!(slow.serve("fox 5").await.attempts, 2);
}

#[tokio::test(start_paused = true)]
async fn a_batch_job_is_not_hedged_until_somebody_waits_for_it() {
    let slow = Slow::on("hedge: {after: 8s, at_most: 100%, max_usd_per_hour: 1}", slow_and_fast);
    // A request that insists on one offer is not hedged, and earns a hedge for another.
    let pinned = ImageRequest::from_json(br#"{"prompt": "a red fox", "model": "first/flux"}"#).unwrap();
    let pinned = slow.gateway.serve(&slow.gateway.snapshot(), GatewayRequest::new(pinned), |_| None).await;
    let batch = serve(&slow.gateway, "a blue fox", 1, Priority::Batch).await;
    assert_eq!((pinned.attempts, batch.attempts), (1, 1));
    let job = serve(&slow.gateway, "a green fox", 1, Priority::Batch);
    let joins = async {
        sleep(Duration::from_secs(3)).await;
        slow.serve("a green fox").await
    };
    let (job, joined) = tokio::join!(job, joins);
    assert_eq!((job.attempts, joined.cache, joined.as_str()), (2, CacheUse::Joined, "ok"));
}

/// Service times that are lognormal, of a seed.
fn lognormal(seed: u64, median: f64, sigma: f64) -> impl FnMut(&str) -> Duration + Send + 'static {
    let mut random = fastrand::Rng::with_seed(seed);
    move |_| {
        // Box and Muller.
        let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
        Duration::from_secs_f64(median * (sigma * normal).exp())
    }
}

/// What a run of many requests showed.
struct Run {
    p50: Duration,
    p99: Duration,
    /// What all requests said that they cost.
    told: Usd,
    slow: Slow,
}

/// Requests that come at random, one a second in the mean, to vendors whose service times are lognormal.
async fn run(route: &str, requests: usize) -> Run {
    let slow = Slow::on(route, lognormal(7, 8.0, 1.5));
    let mut random = fastrand::Rng::with_seed(11);
    let mut running = JoinSet::new();
    for request in 0..requests {
        sleep(Duration::from_secs_f64(-(1.0 - random.f64()).ln())).await;
        let gateway = slow.gateway.clone();
        running.spawn(async move {
            let began = Instant::now();
            let outcome = serve(&gateway, &format!("fox {request}"), 1, Priority::Live).await;
            assert_eq!(outcome.as_str(), "ok");
            (began.elapsed(), outcome.cost)
        });
    }
    let (mut times, told): (Vec<Duration>, Vec<Usd>) = running.join_all().await.into_iter().unzip();
    slow.idle().await;
    times.sort();
    let at = |percent: usize| times[times.len() * percent / 100];
    Run { p50: at(50), p99: at(99), told: money::sum(told).unwrap(), slow }
}

#[tokio::test(start_paused = true)]
async fn on_lognormal_service_times_hedging_halves_the_p99_within_its_share_and_its_dollars() {
    const REQUESTS: usize = 3000;
    let plain = run("", REQUESTS).await;
    let hedged = run("hedge: {max_usd_per_hour: 5.00}", REQUESTS).await;
    let ((hedges, hedge_usd), (others, other_usd)) = (hedged.slow.ledger(true), hedged.slow.ledger(false));
    println!("p50 {:?} -> {:?}, p99 {:?} -> {:?}", plain.p50, hedged.p50, plain.p99, hedged.p99);
    println!("{hedges} hedges for {hedge_usd} USD, {others} other calls for {other_usd} USD");
    assert!(hedged.p99 * 2 <= plain.p99, "{:?} and {:?}", hedged.p99, plain.p99);
    assert!(hedges > 0 && hedges * 20 <= others, "{hedges} of {others}");
    assert!(hedge_usd <= usd("5.00"));
    // Every dollar is on the invoice, in the ledger and in what the requests said.
    for run in [&plain, &hedged] {
        let (hedges, others) = (run.slow.ledger(true).1, run.slow.ledger(false).1);
        let paid = hedges.checked_add(others).unwrap();
        assert_eq!((run.slow.invoiced(), run.told), (paid, paid));
        assert_eq!(run.slow.gateway.shared.ledger.spent(), Some(paid));
    }

    // The run takes less than an hour, so that all its hedges together are within the dollars of one.
    let bounded = run("hedge: {max_usd_per_hour: 1.00}", REQUESTS).await;
    let (hedges, hedge_usd) = bounded.slow.ledger(true);
    assert!((40..=49).contains(&hedges) && hedge_usd <= usd("1.00"), "{hedges} for {hedge_usd}");
    assert!(bounded.slow.counted("dollars") > 0);
    assert_eq!(
        (bounded.slow.invoiced(), bounded.told),
        (bounded.slow.gateway.shared.ledger.spent().unwrap(), bounded.told)
    );
}
