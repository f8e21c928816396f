//! Tests of sandbox/bfl/mod.rs.

use std::time::Duration;

use base64_simd::STANDARD;

use super::super::{Mode, Sandbox, Settings};
use super::*;
use crate::image::{Encoded, Fault, Format, Picture, Size};
use crate::sandbox::test_client::{Reply, sandbox, send};
use crate::sandbox::test_inputs::picture;

async fn ask(sandbox: &Sandbox, model: &str, wish: Value) -> Reply {
    let headers = [("x-key", "any"), ("content-type", "application/json")];
    let mut body = json!({"prompt": "a red bicycle"});
    body.as_object_mut().unwrap().extend(wish.as_object().cloned().unwrap());
    send(sandbox.addr(), "POST", &format!("/bfl/v1/{model}"), &headers, body.to_string().as_bytes()).await
}

async fn get(sandbox: &Sandbox, url: &str) -> Reply {
    let path = url.strip_prefix(sandbox.url().as_str()).unwrap_or(url);
    send(sandbox.addr(), "GET", path, &[("x-key", "any")], b"").await
}

/// A task from its beginning to its end.
async fn run(sandbox: &Sandbox, model: &str, wish: Value) -> Value {
    let reply = ask(sandbox, model, wish).await;
    assert_eq!(reply.status, 200, "{}", reply.json());
    sandbox.until(Name::Bfl, |bill| bill.in_flight == 0).await;
    get(sandbox, reply.json()["polling_url"].as_str().unwrap()).await.json()
}

async fn drawn(sandbox: &Sandbox, json: &Value) -> Result<Picture, Fault> {
    let sample = json["result"]["sample"].as_str().unwrap_or_else(|| panic!("{json}"));
    let path = sample.strip_prefix(sandbox.url().as_str()).unwrap();
    let file = send(sandbox.addr(), "GET", path, &[], b"").await;
    Picture::inspect(Encoded::Raw(file.body.into()))
}

fn bill(sandbox: &Sandbox) -> (u64, Usd, u64) {
    let bill = sandbox.invoice().vendor(Name::Bfl).clone();
    (bill.pictures, bill.usd, bill.violations_total)
}

#[tokio::test]
async fn a_task_is_taken_on_asked_about_and_fetched_without_a_key() {
    let sandbox = sandbox("{vendors: {bfl: {price: {flux-2-pro: 0.03}}}}").await;
    let wish = json!({"width": 640, "height": 320, "seed": 7, "output_format": "png"});
    let json = run(&sandbox, "flux-2-pro", wish.clone()).await;
    assert_eq!((json["status"].as_str(), json["result"]["seed"].as_u64()), (Some("Ready"), Some(7)));
    let first = drawn(&sandbox, &json).await.unwrap();
    assert_eq!((first.format, first.size), (Format::Png, Size::new(640, 320)));
    let again = run(&sandbox, "flux-2-pro", wish).await;
    assert_eq!(drawn(&sandbox, &again).await.unwrap().raw(), first.raw(), "the same seed");
    assert_eq!(bill(&sandbox), (2, Usd::from_nanos(60_000_000), 0));
}

#[tokio::test(start_paused = true)]
async fn a_task_stands_differently_in_its_time_and_is_charged_at_its_end() {
    let mut settings = Settings::default();
    settings.vendors.bfl.latency = Duration::from_secs(10);
    let shared = Arc::new(SandboxState::new("http://sandbox".to_owned(), settings));
    let mut call = VendorCall::admit(&shared, Name::Bfl, &HeaderMap::new());
    let parsed = ParsedRequest {
        prompt: "x".to_owned(),
        size: Size::new(64, 64),
        format: Format::Jpeg,
        seed: None,
        fingerprint: 0,
        inputs: Vec::new(),
        webhook: None,
    };
    let ending = TaskEnd::of(&call, "flux-2-pro".to_owned(), &parsed, Usd::from_nanos(7));
    let kept = Arc::clone(&shared);
    let task = shared
        .vendor_state(Name::Bfl)
        .tasks
        .start(call.take_guard(), call.time, move |_| ending.finish(&kept, "http://sandbox"));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push((status_body(&task)["status"].as_str().unwrap().to_owned(), shared.invoice().total));
        tokio::time::sleep(Duration::from_secs(6)).await;
    }
    let at = |status: &str, nanos| (status.to_owned(), Some(Usd::from_nanos(nanos)));
    assert_eq!(seen, [at("Pending", 0), at("Generating", 0), at("Ready", 7)]);
}

#[tokio::test]
async fn the_cost_is_told_once_in_credits_to_the_last_digit() {
    let sandbox = sandbox("{vendors: {bfl: {price: {flux-2-pro: 0.03, flux-dev: 0.000000301}}}}").await;
    for (model, cost) in [("flux-2-pro", "3.0"), ("flux-dev", "0.0000301"), ("flux-2-max", "4.0")] {
        let reply = ask(&sandbox, model, json!({})).await;
        let text = String::from_utf8(reply.body.clone()).unwrap();
        assert!(text.contains(&format!("\"cost\":{cost},")), "{text}");
        let polled = get(&sandbox, reply.json()["polling_url"].as_str().unwrap()).await.json();
        assert_eq!(polled.get("cost"), None);
    }
    sandbox.until(Name::Bfl, |bill| bill.in_flight == 0).await;
    assert_eq!(bill(&sandbox), (3, Usd::from_nanos(70_000_301), 0));
}

#[tokio::test]
async fn pictures_to_change_are_decoded_and_change_what_is_drawn() {
    let change = async |side: u32| {
        let sandbox = sandbox("{}").await;
        let image = STANDARD.encode_to_string(picture(side, Format::Png, false));
        let wish = json!({"input_image": image, "width": 64, "height": 64, "seed": 1, "output_format": "png"});
        let json = run(&sandbox, "flux-2-pro", wish).await;
        drawn(&sandbox, &json).await.unwrap().raw()
    };
    assert_eq!(change(32).await, change(32).await);
    assert_ne!(change(32).await, change(48).await);
    let sandbox = sandbox("{}").await;
    let image = STANDARD.encode_to_string(picture(96, Format::Png, true));
    let json = run(&sandbox, "flux-pro-1.0-fill", json!({"image": image})).await;
    assert_eq!(drawn(&sandbox, &json).await.unwrap().size, Size::new(96, 96));
    let half = STANDARD.encode_to_string(&picture(96, Format::Png, true)[..60]);
    let reply = ask(&sandbox, "flux-pro-1.0-fill", json!({"image": half})).await;
    assert_eq!((reply.status, &reply.json()["detail"][0]["loc"]), (422, &json!(["body", "image"])));
}

#[tokio::test]
async fn what_the_vendor_does_not_take_is_refused_in_its_own_words() {
    let sandbox = sandbox("{vendors: {bfl: {key: right}}}").await;
    let send = async |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let reply = send(sandbox.addr(), method, path, headers, body).await;
        (reply.status, reply.json()["detail"].clone())
    };
    let (key, json_type) = (("x-key", "right"), ("content-type", "application/json"));
    let pro = "/bfl/v1/flux-2-pro";
    let detail = |place: Value, kind: &str, (status, detail): (u16, Value)| {
        assert_eq!((status, &detail[0]["loc"], detail[0]["type"].as_str()), (422, &place, Some(kind)));
    };
    assert_eq!(send("POST", pro, &[json_type], b"{}").await, (403, json!("Not authenticated")));
    assert_eq!(send("POST", pro, &[("x-key", "wrong"), json_type], b"{}").await.0, 403);
    assert_eq!(send("POST", pro, &[("authorization", "Bearer right"), json_type], b"{}").await.0, 403);
    assert_eq!(send("POST", "/bfl/v1/flux-9", &[key, json_type], b"{}").await, (404, json!("Not Found")));
    assert_eq!(send("GET", pro, &[key], b"").await.0, 404);
    assert_eq!(send("GET", "/bfl/v1/get_result?id=1", &[], b"").await.0, 403);
    detail(json!(["query", "id"]), "missing", send("GET", "/bfl/v1/get_result", &[key], b"").await);
    detail(json!(["body"]), "json_invalid", send("POST", pro, &[key, json_type], b"{").await);
    detail(json!(["body"]), "model_attributes_type", send("POST", pro, &[key], b"{}").await);
    detail(json!(["body", "prompt"]), "missing", send("POST", pro, &[key, json_type], b"{}").await);
    let body = br#"{"prompt":"x","n":2}"#;
    detail(json!(["body", "n"]), "extra_forbidden", send("POST", pro, &[key, json_type], body).await);
    let body = br#"{"prompt":"x","output_format":"gif"}"#;
    detail(json!(["body", "output_format"]), "enum", send("POST", pro, &[key, json_type], body).await);
    assert_eq!(bill(&sandbox), (0, Usd::ZERO, 12));
    let unknown = super::super::test_client::send(sandbox.addr(), "GET", "/bfl/v1/get_result?id=1", &[key], b"").await;
    assert_eq!((unknown.status, unknown.json()["status"].as_str()), (200, Some("Task not found")));
}

#[tokio::test]
async fn refusals_and_faults_are_the_vendors_own_and_cost_nothing() {
    let sandbox = sandbox("{}").await;
    let json = run(&sandbox, "flux-2-pro", json!({"prompt": "forbidden"})).await;
    assert_eq!((&json["status"], &json["result"]), (&json!("Request Moderated"), &Value::Null));
    assert_eq!(json["details"]["Moderation Reasons"], json!(["Violence"]));
    let mode = |mode| sandbox.set(Name::Bfl, |vendor| vendor.mode = mode);
    let meet = async |met| {
        mode(met);
        ask(&sandbox, "flux-2-pro", json!({})).await
    };
    let reply = meet(Mode::RateLimited { retry_after: Duration::from_secs(3) }).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));
    assert_eq!(reply.json()["retry_after"], 3);
    assert_eq!(meet(Mode::OutOfMoney).await.status, 402);
    assert_eq!(meet(Mode::Down500).await.status, 500);
    assert!(meet(Mode::Garbage).await.body.starts_with(b"<!doctype html>"));
    mode(Mode::Refusing);
    assert_eq!(run(&sandbox, "flux-2-pro", json!({})).await["status"], "Content Moderated");
    mode(Mode::NoPictures);
    assert_eq!(run(&sandbox, "flux-2-pro", json!({})).await["result"], json!({}));
    assert_eq!(bill(&sandbox), (0, Usd::ZERO, 0));
    mode(Mode::Truncated);
    let json = run(&sandbox, "flux-2-pro", json!({})).await;
    assert_eq!(drawn(&sandbox, &json).await.err(), Some(Fault::Truncated));
    assert_eq!(bill(&sandbox).1, Usd::from_nanos(40_000_000), "what was drawn is charged");
}

#[tokio::test]
async fn with_a_webhook_there_is_no_address_to_ask_at() {
    let sandbox = sandbox("{}").await;
    let json = ask(&sandbox, "flux-2-pro", json!({"webhook_url": "https://hook.example/"})).await.json();
    assert_eq!((json.get("polling_url"), &json["webhook_url"]), (None, &json!("https://hook.example/")));
}
