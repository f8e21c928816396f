//! Messages to a webhook on a real socket.

use std::sync::{Mutex, Once, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::IntoResponse;
use prometheus::{Registry, TextEncoder};
use serde_json::Value;

use crate::alert_evaluator::alert_event::{News, ResolveReason};
use crate::alert_manager::tests::outputs;
use crate::alert_manager::webhook::*;
use crate::calendar::Moment;
use crate::config::plan::{Alert, Comparison, Condition, Dimension, Measure};
use crate::metrics::Metrics;

/// The part of a webhook's address that nobody may see.
const SECRET: &str = "T0SECRET-5ec2e7";

/// What a webhook answers, try by try, and then always 200; a status of 0 is no answer at all.
#[derive(Clone)]
struct Hook {
    answers: Arc<Mutex<Vec<u16>>>,
    seen: mpsc::UnboundedSender<(String, Value)>,
}

async fn hooked(State(hook): State<Hook>, uri: Uri, body: String) -> impl IntoResponse {
    let status = hook.answers.lock().unwrap().pop().unwrap_or(200);
    hook.seen.send((uri.to_string(), serde_json::from_str(&body).unwrap())).unwrap();
    if status == 0 {
        std::future::pending::<()>().await;
    }
    (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, "/elsewhere")], "ok")
}

/// A webhook with these answers: its address, and what it is sent.
async fn hook(answers: &[u16]) -> (Secret, mpsc::UnboundedReceiver<(String, Value)>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{SECRET}?sig={SECRET}", listener.local_addr().unwrap());
    let (seen, sent) = mpsc::unbounded_channel();
    let hook = Hook { answers: Arc::new(Mutex::new(answers.iter().rev().copied().collect())), seen };
    let app = Router::new().fallback(hooked).with_state(hook);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (Secret::new(url), sent)
}

/// No pauses: what they are is a matter of arithmetic.
const AT_ONCE: Pauses = Pauses { tries: 3, first: Duration::ZERO };

fn webhooks() -> WebhookQueue {
    WebhookQueue::new(outputs(&Metrics::new(&Arc::default()).unwrap()), AT_ONCE)
}

fn alert(name: &str, webhook: &Secret) -> Arc<Alert> {
    Arc::new(Alert {
        name: name.into(),
        when: Condition { measure: Measure::ErrorRate, comparison: Comparison::Above, threshold: 10_000 },
        over: Duration::from_secs(3600),
        least: 0,
        by: Dimension::All,
        hold: Duration::ZERO,
        webhook: Some(webhook.clone()),
    })
}

fn event(alert: &Arc<Alert>, news: News) -> AlertEvent {
    let at = Moment::from_millis(0);
    AlertEvent { alert: alert.clone(), name: "all".into(), news, value: Some(20_000), since: at, at }
}

const RESOLVED: News = News::Resolved(ResolveReason::Better);

/// Waits until nothing is on its way.
async fn done(webhooks: &mut WebhookQueue) {
    while !webhooks.boxes.is_empty() {
        webhooks.sweep();
        tokio::task::yield_now().await;
    }
}

/// The metrics that alerts write to, as they are scraped.
fn page(webhooks: &WebhookQueue) -> String {
    let registry = Registry::new();
    registry.register(Box::new(webhooks.outputs.state.clone())).unwrap();
    registry.register(Box::new(webhooks.outputs.notifications.clone())).unwrap();
    TextEncoder::new().encode_to_string(&registry.gather()).unwrap()
}

/// The counts of what became of messages.
fn counted(webhooks: &WebhookQueue) -> Vec<String> {
    let page = page(webhooks);
    let lines = page.lines().filter_map(|line| line.strip_prefix("easel_alert_notifications_total"));
    lines.map(str::to_owned).collect()
}

fn statuses(sent: &mut mpsc::UnboundedReceiver<(String, Value)>) -> Vec<String> {
    std::iter::from_fn(|| sent.try_recv().ok()).map(|(_, body)| body["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_webhook_that_fails_twice_is_asked_again_and_the_end_waits_for_the_beginning() {
    let ((webhook, mut sent), mut webhooks) = (hook(&[500, 503]).await, webhooks());
    let alert = alert("a", &webhook);
    webhooks.send(&event(&alert, News::Firing));
    webhooks.send(&event(&alert, RESOLVED));
    let (path, body) = sent.recv().await.unwrap();
    assert_eq!(path, format!("/{SECRET}?sig={SECRET}"));
    assert_eq!(body, message(&event(&alert, News::Firing)));
    done(&mut webhooks).await;
    assert_eq!(statuses(&mut sent), ["firing", "firing", "resolved"]);
    assert_eq!(counted(&webhooks), ["{alert=\"a\",outcome=\"delivered\"} 2"]);
}

#[tokio::test]
async fn a_webhook_that_refuses_or_sends_elsewhere_is_not_asked_again() {
    for status in [302, 308, 400, 404, 410] {
        let ((webhook, mut sent), mut webhooks) = (hook(&[status]).await, webhooks());
        webhooks.send(&event(&alert("a", &webhook), News::Firing));
        done(&mut webhooks).await;
        assert_eq!(statuses(&mut sent).len(), 1, "{status}");
        assert_eq!(counted(&webhooks), ["{alert=\"a\",outcome=\"refused\"} 1"], "{status}");
    }
}

#[tokio::test]
async fn a_webhook_that_is_busy_or_slow_is_asked_again_as_often_as_it_may_be() {
    let ((webhook, mut sent), mut webhooks) = (hook(&[429, 408, 200, 500, 500, 500]).await, webhooks());
    let alert = alert("a", &webhook);
    webhooks.send(&event(&alert, News::Firing));
    webhooks.send(&event(&alert, RESOLVED));
    done(&mut webhooks).await;
    assert_eq!(statuses(&mut sent), ["firing", "firing", "firing", "resolved", "resolved", "resolved"]);
    let counts = ["{alert=\"a\",outcome=\"delivered\"} 1", "{alert=\"a\",outcome=\"gave_up\"} 1"];
    assert_eq!(counted(&webhooks), counts);
}

#[tokio::test]
async fn a_webhook_that_does_not_answer_delays_no_other() {
    let ((silent, mut asked), (other, mut sent), mut webhooks) = (hook(&[0]).await, hook(&[]).await, webhooks());
    webhooks.send(&event(&alert("a", &silent), News::Firing));
    assert!(asked.recv().await.is_some());
    webhooks.send(&event(&alert("b", &other), News::Firing));
    assert_eq!(sent.recv().await.unwrap().1["alert"], "b");
    webhooks.sweep();
    assert!(webhooks.boxes.contains_key("a"), "what is on its way keeps its queue");
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let ((webhook, mut sent), mut webhooks) = (hook(&[]).await, webhooks());
    let alert = alert("a", &webhook);
    for _ in 0..QUEUE + 3 {
        webhooks.send(&event(&alert, News::Firing));
    }
    done(&mut webhooks).await;
    assert_eq!(statuses(&mut sent).len(), QUEUE);
    assert!(counted(&webhooks).contains(&"{alert=\"a\",outcome=\"dropped\"} 3".to_owned()));
}

#[tokio::test]
async fn an_alert_without_a_webhook_posts_nothing() {
    let (mut webhooks, (webhook, _)) = (webhooks(), hook(&[]).await);
    let silent = Arc::new(Alert { webhook: None, ..Alert::clone(&alert("a", &webhook)) });
    webhooks.send(&event(&silent, News::Firing));
    assert!(webhooks.boxes.is_empty());
}

#[test]
fn pauses_grow_are_spread_and_end_within_ten_minutes() {
    let pauses = Pauses::default();
    let seconds = |chance| (1..6).map(|failures| pauses.after(failures, chance).as_millis()).collect::<Vec<_>>();
    assert_eq!(seconds(500), [1000, 4000, 16_000, 64_000, 256_000]);
    assert_eq!((seconds(0)[0], seconds(1000)[0]), (750, 1250));
    let longest: u128 = seconds(1000).iter().sum::<u128>() + u128::from(pauses.tries) * ANSWER.as_millis();
    assert!(longest <= 600_000, "{longest}");
    assert!(pauses.after(u32::MAX, 0) > Duration::from_secs(600), "no overflow");
}

/// Every line that is logged in this process.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Keep;

impl log::Log for Keep {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        LOGGED.lock().unwrap_or_else(PoisonError::into_inner).push(record.args().to_string());
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn whatever_goes_wrong_nobody_sees_the_address_of_a_webhook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&Keep).unwrap();
        // `main` lets nothing through that is finer.
        log::set_max_level(log::LevelFilter::Debug);
    });
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let mut addresses = vec![
        Secret::new(format!("http://{gone}/{SECRET}")),
        Secret::new(format!("http://{SECRET}.invalid/")),
        Secret::new(format!("no address: {SECRET}")),
    ];
    for status in [404, 302] {
        addresses.push(hook(&[status]).await.0);
    }
    let mut webhooks = webhooks();
    for (number, webhook) in addresses.iter().enumerate() {
        let alert = alert(&format!("hushed-{number}"), webhook);
        assert!(!format!("{alert:?} {:?}", event(&alert, News::Firing)).contains(SECRET));
        webhooks.send(&event(&alert, News::Firing));
    }
    done(&mut webhooks).await;
    let lines = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    let ours: Vec<&String> = lines.iter().filter(|line| line.contains("alert hushed-")).collect();
    assert_eq!(ours.len(), addresses.len(), "{ours:?}");
    assert!(ours.iter().any(|line| line.ends_with("it cannot be reached")), "{ours:?}");
    let telling = lines.iter().find(|line| line.contains(SECRET));
    assert!(telling.is_none(), "{telling:?}");
    assert!(!page(&webhooks).contains(SECRET));
}
