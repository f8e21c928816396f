//! Judges on sockets of their own, and some that a test plays without one.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::calendar::Moment;
use crate::clock::ManualClock;
use crate::config::plan::{OnJudgeError, QualityCheck};
use crate::image::{Encoded, Picture};
use crate::ledger::Ledger;
use crate::provider::Reply;
use crate::secret::Secret;
use crate::upstream::offload::LARGE;
use crate::upstream::transport::reply_memory::CallReservation;
use crate::upstream::transport::{HeldReply, HttpClient, PooledClient, Watcher};

const NOW: i64 = 1_800_000_000;

fn judges() -> (OutsideJudges, Metrics) {
    let metrics = Metrics::new(&Arc::new(Ledger::default())).unwrap();
    let clock = Clock::Manual(ManualClock::at(Moment::from_millis(NOW * 1000)));
    (OutsideJudges::new(clock, 7, &metrics), metrics)
}

fn transport(client: impl HttpClient + 'static, metrics: &Metrics) -> Transport {
    Transport::new(Box::new(client), 64 << 20, metrics.response_body_bytes.clone())
}

fn judge_at(url: &str) -> OutsideJudge {
    OutsideJudge {
        url: url.parse().unwrap(),
        hmac_key: None,
        timeout: Duration::from_secs(20),
        concurrency: 4,
        on_error: OnJudgeError::Accept,
        send_prompt: false,
        send_picture: false,
        min_score: None,
    }
}

/// A whole PNG of some size in bytes.
fn picture(weight: usize) -> Picture {
    let noise = image::RgbImage::from_fn(64, 32, |_, _| image::Rgb(std::array::from_fn(|_| fastrand::u8(..))));
    let mut file = std::io::Cursor::new(Vec::new());
    noise.write_to(&mut file, image::ImageFormat::Png).unwrap();
    let mut file = file.into_inner();
    file.resize(file.len().max(weight), 0);
    Picture::inspect(Encoded::Raw(file.into())).unwrap()
}

fn question(picture: &Picture) -> JudgeQuestion<'_> {
    JudgeQuestion {
        request: "req-1",
        attempt: 42,
        route: "all",
        provider: "home",
        model: "flux",
        prompt: "a sign that says \"SALE\"",
        picture,
        metrics: &[("deviation", 48.5), ("odd", f64::NAN)],
        failed: &[QualityCheck::Dark, QualityCheck::Light],
    }
}

/// What a judge was sent: the header lines and the body.
#[derive(Clone)]
struct Heard {
    headers: HeaderMap,
    body: Bytes,
}

impl Heard {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

type Script = Arc<(Mutex<Vec<Heard>>, Box<dyn Fn() -> Response + Send + Sync>)>;

/// A judge on a port of its own.
struct Served {
    addr: SocketAddr,
    script: Script,
}

impl Served {
    async fn start(answer: impl Fn() -> Response + Send + Sync + 'static) -> Served {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let script: Script = Arc::new((Mutex::default(), Box::new(answer)));
        let heard = async |State(script): State<Script>, headers: HeaderMap, body: Bytes| {
            script.0.lock().unwrap().push(Heard { headers, body });
            script.1()
        };
        let service = axum::Router::new().route("/judge", post(heard)).with_state(script.clone());
        let service = service.layer(axum::extract::DefaultBodyLimit::disable());
        tokio::spawn(async move { axum::serve(listener, service).await });
        Served { addr, script }
    }

    fn judge(&self) -> OutsideJudge {
        judge_at(&format!("http://{}/judge", self.addr))
    }

    fn heard(&self) -> Vec<Heard> {
        self.script.0.lock().unwrap().clone()
    }
}

/// What the judge of this answer is understood to say.
async fn said(answer: impl Fn() -> Response + Send + Sync + 'static) -> JudgeAnswer {
    let served = Served::start(answer).await;
    let (judges, metrics) = judges();
    let answer = judges.ask(&transport(PooledClient::new(), &metrics), &served.judge(), &question(&picture(0))).await;
    let page = metrics.render(crate::metrics::Scrape::default()).unwrap();
    let counted = format!("easel_judge_total{{route=\"all\",verdict=\"{}\"}} 1", answer.verdict.as_str());
    assert!(page.lines().any(|line| line == counted), "{page}");
    assert!(page.contains("easel_judge_seconds_count{route=\"all\"} 1"), "{page}");
    assert_eq!(served.heard().len(), 1, "it is asked once, whatever it answers");
    answer
}

#[tokio::test]
async fn each_verdict_is_read_and_counted() {
    for verdict in ["accept", "reject", "abstain"] {
        let body = json!({"verdict": verdict, "score": 0.5, "reasons": ["because"], "more": {}}).to_string();
        let answer = said(move || body.clone().into_response()).await;
        assert_eq!((answer.verdict.as_str(), answer.score), (verdict, Some(0.5)));
        assert_eq!(answer.reasons, ["because"]);
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_fault_with_its_word() {
    let redirect = || (StatusCode::FOUND, [("location", "/judge")], "{\"verdict\":\"accept\"}").into_response();
    assert_eq!(said(redirect).await.verdict, JudgeVerdict::Failed(JudgeFault::Status(302)), "nobody follows it");
    let angry = || (StatusCode::INTERNAL_SERVER_ERROR, "{\"verdict\":\"accept\"}").into_response();
    assert_eq!(said(angry).await.verdict, JudgeVerdict::Failed(JudgeFault::Status(500)));
    assert_eq!(said(|| "no".into_response()).await.verdict.as_str(), "malformed");
    let large = format!("{{\"verdict\":\"accept\",\"x\":\"{}\"}}", "x".repeat(ANSWER));
    assert_eq!(said(move || large.clone().into_response()).await.verdict.as_str(), "malformed");
}

#[tokio::test]
async fn who_is_not_there_hangs_up_or_says_nothing_is_a_fault_with_its_word() {
    let (judges, metrics) = judges();
    let (transport, picture) = (transport(PooledClient::new(), &metrics), picture(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut judge = judge_at(&format!("http://{}/", listener.local_addr().unwrap()));
    let hang_up = async { drop(listener.accept().await.unwrap()) };
    let question = question(&picture);
    let (answer, ()) = tokio::join!(judges.ask(&transport, &judge, &question), hang_up);
    assert_eq!(answer.verdict.as_str(), "unreachable");
    judge.timeout = Duration::from_millis(50);
    assert_eq!(judges.ask(&transport, &judge, &question).await.verdict.as_str(), "timeout", "the backlog takes it");
    drop(listener);
    judge.timeout = Duration::from_secs(20);
    assert_eq!(judges.ask(&transport, &judge, &question).await.verdict.as_str(), "unreachable");
}

#[tokio::test]
async fn a_judge_is_told_what_it_may_know_and_prompt_and_picture_only_where_the_config_says_so() {
    let served = Served::start(|| "{\"verdict\":\"accept\"}".into_response()).await;
    let (judges, metrics) = judges();
    let transport = transport(PooledClient::new(), &metrics);
    let file = picture(0);
    let with_all = OutsideJudge { send_prompt: true, send_picture: true, ..served.judge() };
    let base64 = Picture { encoded: Encoded::Base64(file.base64()), ..file.clone() };
    for (judge, picture) in [(served.judge(), &file), (with_all.clone(), &file), (with_all, &base64)] {
        judges.ask(&transport, &judge, &question(picture)).await;
    }
    let heard = served.heard();
    let told = heard[0].json();
    let sha256 = signature::hex(&Sha256::digest(file.raw()));
    let expected = json!({
        "request_id": "req-1",
        "attempt_id": 42,
        "route": "all",
        "provider": "home",
        "model": "flux",
        "prompt_hash": signature::prompt_hash(7, "a sign that says \"SALE\""),
        "metrics": {"deviation": 48.5},
        "failed_checks": ["dark", "light"],
        "image": {
            "sha256": sha256,
            "media_type": "image/png",
            "width": 64,
            "height": 32,
            "bytes": file.raw().len(),
        },
    });
    assert_eq!(told, expected);
    for more in &heard[1..] {
        let mut expected = expected.clone();
        expected["prompt"] = json!("a sign that says \"SALE\"");
        expected["image"]["base64"] = json!(base64_simd::STANDARD.encode_to_string(file.raw()));
        assert_eq!(more.json(), expected, "however the picture is held");
    }
    for Heard { headers, .. } in heard {
        let mut names: Vec<&str> = headers.keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        let expected = ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent"];
        assert_eq!(names, expected, "no key and no signature");
        assert_eq!(headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn the_signature_is_over_time_and_body_of_large_questions_too() {
    let served = Served::start(|| "{\"verdict\":\"accept\"}".into_response()).await;
    let (judges, metrics) = judges();
    let transport = transport(PooledClient::new(), &metrics);
    let judge = OutsideJudge { hmac_key: Some(Secret::new("s3cret")), send_picture: true, ..served.judge() };
    for weight in [0, LARGE + 1] {
        let answer = judges.ask(&transport, &judge, &question(&picture(weight))).await;
        assert_eq!(answer.verdict, JudgeVerdict::Accept);
    }
    let heard = served.heard();
    assert!(heard[1].body.len() > LARGE / 3 * 4);
    for Heard { headers, body } in heard {
        let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cret").unwrap();
        mac.update(format!("{NOW}.").as_bytes());
        mac.update(&body);
        let expected = format!("t={NOW},v1={}", signature::hex(&mac.finalize().into_bytes()));
        assert_eq!(headers["x-easel-signature"], expected);
    }
}

#[tokio::test]
async fn the_body_is_one_buffer_without_room_to_spare_for_many_more() {
    let judge = OutsideJudge { send_picture: true, ..judge_at("http://h/") };
    let picture = picture(1 << 20);
    let body = question(&picture).sealed(&judge, 7, NOW).await.body;
    let length = body.len();
    let buffer = Vec::from(body);
    assert!(buffer.capacity() < length + 1024, "{} for {length}", buffer.capacity());
}

/// Judges that a test plays: each call takes a time of the paused clock and is accepted.
#[derive(Default)]
struct Played {
    /// What the next calls take; the others take a second.
    takes: Mutex<VecDeque<Duration>>,
    /// Deadlines that calls had.
    deadlines: Mutex<Vec<Instant>>,
    /// Calls under way, and the most there were.
    under_way: Mutex<(usize, usize)>,
}

struct PlayedClient(Arc<Played>);

impl HttpClient for PlayedClient {
    fn send<'a>(
        &'a self,
        _call: &'a Call,
        bounds: Bounds,
        memory_reservation: &'a Arc<CallReservation>,
        _watcher: Option<&'a Watcher>,
    ) -> BoxFuture<'a, Result<HeldReply, TransportError>> {
        let played = self.0.clone();
        Box::pin(async move {
            let takes = played.takes.lock().unwrap().pop_front().unwrap_or(Duration::from_secs(1));
            played.deadlines.lock().unwrap().push(bounds.deadline);
            {
                let mut under_way = played.under_way.lock().unwrap();
                under_way.0 += 1;
                under_way.1 = under_way.1.max(under_way.0);
            }
            let slept = timeout_at(bounds.deadline, tokio::time::sleep(takes)).await;
            played.under_way.lock().unwrap().0 -= 1;
            slept.map_err(|_| TransportError::TimedOut { sent: true })?;
            let body = Bytes::from_static(b"{\"verdict\":\"accept\"}");
            let reply = Reply { status: 200, headers: HeaderMap::new(), body, at: Moment::from_millis(0) };
            Ok(HeldReply { reply, held: memory_reservation.reply() })
        })
    }

    fn addresses<'a>(&'a self, _url: &'a Url) -> BoxFuture<'a, Result<Arc<[SocketAddr]>, TransportError>> {
        Box::pin(std::future::ready(Ok(Arc::from([]))))
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_are_asked_at_once_than_the_judge_may_be_and_a_reload_changes_that_for_the_next() {
    let (judges, metrics) = judges();
    let played = Arc::<Played>::default();
    let transport = transport(PlayedClient(played.clone()), &metrics);
    let (judge, picture) = (OutsideJudge { concurrency: 3, ..judge_at("http://judge/") }, picture(0));
    let most = async |judge: &OutsideJudge| {
        played.under_way.lock().unwrap().1 = 0;
        let question = question(&picture);
        let answers = join_all((0..20).map(|_| judges.ask(&transport, judge, &question))).await;
        assert!(answers.iter().all(|answer| answer.verdict == JudgeVerdict::Accept));
        played.under_way.lock().unwrap().1
    };
    assert_eq!(most(&judge).await, 3, "the first who asks makes the turns");
    let fewer = OutsideJudge { concurrency: 2, ..judge.clone() };
    judges.keep_only([&judge, &fewer]);
    assert_eq!(most(&judge).await, 2, "two routes name it, and the smaller bound is the judge's");
    judges.keep_only([&OutsideJudge { concurrency: 5, ..judge.clone() }]);
    assert_eq!(most(&judge).await, 5);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_turn_counts_in_the_timeout_and_whoever_gets_none_is_told_that_the_judge_is_busy() {
    let (judges, metrics) = judges();
    let played = Arc::<Played>::default();
    played.takes.lock().unwrap().extend([Duration::from_millis(600), Duration::from_millis(600)]);
    let transport = transport(PlayedClient(played.clone()), &metrics);
    let timeout = Duration::from_secs(1);
    let (judge, picture) = (OutsideJudge { concurrency: 1, timeout, ..judge_at("http://judge/") }, picture(0));
    let began = Instant::now();
    let question = question(&picture);
    let answers = join_all((0..3).map(|_| judges.ask(&transport, &judge, &question))).await;
    let verdicts: Vec<&str> = answers.iter().map(|answer| answer.verdict.as_str()).collect();
    assert_eq!(verdicts, ["accept", "timeout", "busy"], "the second had 400 ms for an answer that took 600");
    assert_eq!(*played.deadlines.lock().unwrap(), [began + timeout; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_no_route_names_any_more_is_forgotten_and_only_so_many_former_ones_are_kept() {
    let (judges, metrics) = judges();
    let transport = transport(PlayedClient(Arc::default()), &metrics);
    let (named, picture) = (judge_at("http://named/"), picture(0));
    judges.keep_only([&named]);
    let question = question(&picture);
    let former = |nth: usize| judge_at(&format!("http://former-{nth}/"));
    for nth in 0..FORMER {
        assert_eq!(judges.ask(&transport, &former(nth), &question).await.verdict, JudgeVerdict::Accept);
    }
    assert_eq!(judges.ask(&transport, &former(FORMER), &question).await.verdict.as_str(), "busy");
    assert_eq!(judges.ask(&transport, &former(0), &question).await.verdict, JudgeVerdict::Accept);
    assert_eq!(judges.ask(&transport, &named, &question).await.verdict, JudgeVerdict::Accept);
    judges.keep_only([&named]);
    assert_eq!(judges.turns.len(), 1);
}

#[tokio::test]
async fn the_gateway_s_judges_are_those_of_the_config_in_force() {
    let plan = |judge: &str| {
        let text = format!(
            "providers:\n  home: {{kind: openai_compatible, base_url: http://127.0.0.1:1/v1/, models: {{m: {{price: 0.002}}}}}}\n\
             routes:\n  - {{name: all, offers: [home/m], quality: {judge}}}\n"
        );
        crate::reload::check("test.yaml", &text, &crate::reload::ProcessEnv)
            .unwrap_or_else(|problems| panic!("{problems}"))
    };
    let gateway = crate::Gateway::new(plan("{judge: {url: http://one/}}")).unwrap();
    let known = || {
        let mut known: Vec<String> =
            gateway.shared.outside_judges.turns.iter().map(|entry| entry.key().to_string()).collect();
        known.sort_unstable();
        known
    };
    assert_eq!(known(), ["http://one/"]);
    gateway.replace(plan("{judge: {url: http://two/}}")).unwrap();
    assert_eq!(known(), ["http://two/"]);
    gateway.replace(plan("true")).unwrap();
    assert_eq!(known(), [""; 0]);
}
