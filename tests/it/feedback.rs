//! Verdicts of clients: what they change, for whom, and that saying them twice changes nothing; and the reference case,
//! a cheap model whose pictures are good half the time.

use std::collections::BTreeSet;
use std::sync::Arc;

use easel::internals::calendar::Moment;
use easel::internals::gateway::background;
use easel::internals::gateway::feedback::FeedbackEffect;
use easel::internals::request::{Feedback, Verdict};
use easel::sandbox::{Name, Sandbox, Settings};
use easel::{Gateway, GatewayRequest, ImageRequest, Usd};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::client::Answer;
use crate::world::{PROVIDERS, World, ask, ask_with, plan, route};

const FEEDBACK: &str = "/v1/images/feedback";

async fn say(world: &World, image: &str, verdict: &str, headers: &[(&str, &str)]) -> Answer {
    let body = json!({"image_id": image, "verdict": verdict, "reason": "six fingers"});
    world.client().await.post_with(FEEDBACK, &body, headers).await
}

fn changed(answer: &Answer) -> bool {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("x-easel-request-id").len(), 16);
    answer.json()["changed"].as_bool().unwrap()
}

async fn shows(world: &World, line: &str) {
    let page = world.metrics().await;
    assert!(page.lines().any(|shown| shown == line), "no {line} in\n{page}");
}

#[tokio::test]
async fn a_rejected_picture_is_not_served_again_and_the_next_request_buys_another() {
    let world = World::new(&route(&["stability/core"])).await;
    let drawn = world.draw(ask_with("two foxes", json!({"n": 2}))).await;
    let ids: Vec<&str> = drawn.header("x-easel-image-ids").split(',').map(str::trim).collect();
    assert!(changed(&say(&world, ids[0], "rejected", &[]).await));
    let again = world.draw(ask_with("two foxes", json!({"n": 2}))).await;
    assert_eq!((again.header("x-easel-cache"), again.header("x-easel-cost-usd")), ("pool", "0.04"));
    let served = again.header("x-easel-image-ids");
    assert!(served.contains(ids[1]) && !served.contains(ids[0]), "{ids:?} {served}");
    assert_eq!(world.bill(Name::Stability).pictures, 3);
}

#[tokio::test]
async fn a_verdict_said_twice_counts_once_and_can_be_taken_back() {
    let world = World::new(&route(&["stability/core"])).await;
    let id = world.draw(ask("a fox")).await.header("x-easel-image-ids").to_owned();
    let images = |verdict: &str, count: u32| {
        format!(
            "easel_window_images{{by=\"model\",name=\"stability/core\",verdict=\"{verdict}\",window=\"1h\"}} {count}"
        )
    };
    assert!(!changed(&say(&world, &id, "accepted", &[]).await), "a picture is held to be good to begin with");
    for first in [true, false] {
        assert_eq!(changed(&say(&world, &id, "rejected", &[]).await), first);
        shows(&world, &images("rejected", 1)).await;
        shows(&world, &images("accepted", 0)).await;
    }
    assert!(changed(&say(&world, &id, "accepted", &[]).await));
    shows(&world, &images("accepted", 1)).await;
    shows(&world, "easel_feedback_total{outcome=\"unchanged\",verdict=\"rejected\"} 1").await;
}

#[tokio::test]
async fn nobody_judges_what_another_was_given_nor_learns_that_it_exists() {
    let key = |text: &str| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let clients = format!(
        "clients:\n  - {{name: web, key_sha256: '{}'}}\n  - {{name: batch, key_sha256: '{}'}}\n",
        key("web-key"),
        key("batch-key")
    );
    let world = World::new(&format!("{}{clients}", route(&["stability/core"]))).await;
    let (web, batch) = ([("authorization", "Bearer web-key")], [("authorization", "Bearer batch-key")]);
    let drawn = world.draw_with(ask("a fox"), &web).await;
    let id = drawn.header("x-easel-image-ids");
    let (others, nobodys) = (say(&world, id, "rejected", &batch).await, say(&world, "0", "rejected", &batch).await);
    assert_eq!(others.error(), (404, "image_not_found".into(), "image_id".into()));
    assert_eq!(others.text(), nobodys.text());
    assert_eq!(say(&world, id, "rejected", &[("authorization", "Bearer no")]).await.error().1, "invalid_api_key");
    assert_eq!(world.draw_with(ask("a fox"), &web).await.header("x-easel-cache"), "exact");
    assert!(changed(&say(&world, id, "rejected", &web).await));
}

#[tokio::test]
async fn what_is_no_verdict_is_told_which_field_is_wrong_and_changes_nothing() {
    let world = World::new(&route(&["stability/core"])).await;
    let id = world.draw(ask("a fox")).await.header("x-easel-image-ids").to_owned();
    for (body, param) in [
        (json!({"image_id": id}), "verdict"),
        (json!({"image_id": id, "verdict": "good"}), "verdict"),
        (json!({"verdict": "rejected"}), "image_id"),
        (json!({"image_id": id, "verdict": "rejected", "why": "x"}), "why"),
    ] {
        let error = world.client().await.post(FEEDBACK, &body).await.error();
        assert_eq!((error.0, error.2.as_str()), (400, param), "{body}");
    }
    let mut client = world.client().await;
    client.send("POST", FEEDBACK, &[("content-type", "text/plain")], b"{}").await;
    assert_eq!(client.receive().await.unwrap().status, 415);
    assert_eq!(client.get(FEEDBACK).await.header("allow"), "POST");
    assert_eq!(world.draw(ask("a fox")).await.header("x-easel-cache"), "exact");
}

#[tokio::test]
async fn a_verdict_is_taken_after_a_restart_and_refused_while_it_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!("server: {{state_dir: '{}'}}\n{}", folder.path().display(), route(&["stability/core"]));
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let first = Gateway::new(plan(&text, &sandbox.url())).unwrap();
    let id = draw(&first, "a fox", 1).await.remove(0);
    first.shared.durable_ledger.close().await;
    drop(first);
    let second = Gateway::new(plan(&text, &sandbox.url())).unwrap();
    let other = rusqlite::Connection::open(folder.path().join("ledger.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(judge(&second, &id, Verdict::Rejected).await.is_err());
    drop(other);
    assert_eq!(
        judge(&second, &id, Verdict::Rejected).await.unwrap(),
        FeedbackEffect::Changed,
        "the first time it was not taken"
    );
}

async fn judge(
    gateway: &Gateway,
    image: &str,
    verdict: Verdict,
) -> Result<FeedbackEffect, easel::internals::store::StoreError> {
    let feedback = Feedback { image_id: image.to_owned(), verdict, reason: None };
    gateway.judge("default".into(), feedback).await
}

/// Pictures drawn without a server; their ids.
async fn draw(gateway: &Arc<Gateway>, prompt: &str, n: u8) -> Vec<String> {
    let request = ImageRequest::from_json(ask_with(prompt, json!({"n": n})).to_string().as_bytes()).unwrap();
    let outcome = gateway.serve(&gateway.snapshot(), GatewayRequest::new(request), |_| None).await;
    outcome.result.unwrap().iter().map(|kept| kept.id.to_string()).collect()
}

/// A webhook's address, and what is posted there.
async fn receiver() -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (url, (told, posted)) = (format!("http://{}/hook", listener.local_addr().unwrap()), mpsc::unbounded_channel());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = Vec::new();
            let message = loop {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.unwrap();
                bytes.extend_from_slice(&piece[..read]);
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let body = text.split_once("\r\n\r\n").map(|(_, body)| serde_json::from_str::<Value>(body));
                if let Some(Ok(message)) = body {
                    break message;
                }
                assert!(read > 0, "a post without a message: {text}");
            };
            told.send(message).unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
        }
    });
    (url, posted)
}

#[tokio::test]
async fn sdxl_accepted_half_the_time_costs_twice_its_price_and_the_alert_fires_once_and_resolves_once() {
    let (sandbox, (hook, mut posted)) =
        (Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap(), receiver().await);
    sandbox.set(Name::Stability, |vendor| vendor.default_price = "0.009".parse().unwrap());
    let providers = PROVIDERS
        .replace("stable-diffusion-xl-1024-v1-0: {price: 0.04}", "stable-diffusion-xl-1024-v1-0: {price: 0.009}");
    let text = format!(
        "{providers}
routes:
  - {{name: r, match: {{models: [m]}}, cache: false, offers: [stability/stable-diffusion-xl-1024-v1-0]}}
alerts:
  - {{name: cost-drift, when: cost_per_accepted_usd > 0.012, over: 1h, min_images: 50, by: provider, webhook: '{hook}'}}
"
    );
    let gateway = Gateway::new(plan(&text, &sandbox.url())).unwrap();
    let mut alerting = background::alerts(&gateway);
    let now = || Moment::from(std::time::SystemTime::now());
    let mut images = Vec::new();
    for number in 0..6 {
        images.extend(draw(&gateway, &format!("shoes {number}"), 10).await);
    }
    assert_eq!(images.iter().collect::<BTreeSet<_>>().len(), 60);
    alerting.evaluate(now());
    for image in images.iter().step_by(2) {
        assert_eq!(judge(&gateway, image, Verdict::Rejected).await.unwrap(), FeedbackEffect::Changed);
    }
    let line = "easel_cost_per_accepted_usd{by=\"provider\",name=\"stability\",window=\"1h\"}";
    assert!(gateway.scrape().unwrap().contains(&format!("{line} 0.018\n")), "{}", gateway.scrape().unwrap());
    for _ in 0..5 {
        alerting.evaluate(now());
    }
    let firing = posted.recv().await.unwrap();
    assert_eq!(
        (&firing["status"], &firing["name"], &firing["value"]),
        (&"firing".into(), &"stability".into(), &"0.018".into())
    );

    // Sixty good ones more: 120 pictures paid, 90 accepted, 0.012 each, which is not above it.
    for number in 0..6 {
        draw(&gateway, &format!("boots {number}"), 10).await;
    }
    for _ in 0..5 {
        alerting.evaluate(now());
    }
    let resolved = posted.recv().await.unwrap();
    assert_eq!((&resolved["status"], &resolved["value"]), (&"resolved".into(), &"0.012".into()));
    assert!(posted.try_recv().is_err(), "each is told once");
    assert_eq!(gateway.shared.ledger.spent(), sandbox.invoice().total);
    assert_eq!(sandbox.invoice().total, Some("1.08".parse::<Usd>().unwrap()));
}
