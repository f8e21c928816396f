//! Tests of sandbox/replicate/mod.rs.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{Mode, Sandbox};
use super::*;
use crate::image::{Encoded, Fault, Format, Picture, Size};
use crate::money::Usd;
use crate::sandbox::test_client::{Reply, get, post, sandbox, send};

const SCHNELL: &str = "/replicate/v1/models/black-forest-labs/flux-schnell/predictions";
const VERSIONS: &str = "/replicate/v1/predictions";
const DIGITS: &str = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc";
/// Long enough that nothing ends by itself while a test runs.
const SLOW: &str = "{vendors: {replicate: {latency: 1h}}}";

async fn create(sandbox: &Sandbox, path: &str, extra: (&str, &str), body: Value) -> Reply {
    let headers = [("authorization", "Bearer any"), ("content-type", "application/json"), extra];
    send(sandbox.addr(), "POST", path, &headers, body.to_string().as_bytes()).await
}

fn wish() -> Value {
    json!({"input": {"prompt": "a red bicycle"}})
}

async fn picture(sandbox: &Sandbox, link: &Value) -> Result<Picture, Fault> {
    let file = get(sandbox, link.as_str().unwrap()).await;
    Picture::inspect(Encoded::Raw(file.body.into()))
}

#[tokio::test]
async fn a_client_that_waits_gets_the_finished_prediction() {
    let sandbox = sandbox("{vendors: {replicate: {price: {black-forest-labs/flux-schnell: 0.003}}}}").await;
    let body = json!({"input": {"prompt": "a red bicycle", "num_outputs": 2, "aspect_ratio": "16:9",
        "output_format": "jpg", "megapixels": "0.25", "seed": 1, "go_fast": false}});
    let reply = create(&sandbox, SCHNELL, ("prefer", "wait=60"), body.clone()).await;
    let json = reply.json();
    assert_eq!((reply.status, json["status"].as_str()), (201, Some("succeeded")));
    assert_eq!((&json["input"], json["version"].as_str()), (&body["input"], Some("hidden")));
    for key in ["id", "model", "created_at", "metrics", "error", "data_removed", "urls"] {
        assert!(json.get(key).is_some(), "{key}");
    }
    let links = json["output"].as_array().unwrap();
    assert!(links.len() == 2 && links[1].as_str().unwrap().ends_with("/out-1.jpg"));
    let picture = picture(&sandbox, &links[1]).await.unwrap();
    assert_eq!((picture.format, picture.size), (Format::Jpeg, Size::new(672, 384)));
    assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(6_000_000)));
}

#[tokio::test]
async fn a_client_that_polls_sees_it_start_work_and_succeed() {
    let sandbox = sandbox("{vendors: {replicate: {latency: 30ms}}}").await;
    let reply = post(&sandbox, SCHNELL, wish()).await;
    assert_eq!((reply.status, &reply.json()["output"]), (201, &Value::Null));
    let poll = reply.json()["urls"]["get"].as_str().unwrap().to_owned();
    let states = ["starting", "processing", "succeeded"];
    let mut last = 0;
    while last < 2 {
        let json = get(&sandbox, &poll).await.json();
        let place = states.iter().position(|status| json["status"] == *status).unwrap();
        assert!(place >= last, "never backwards");
        last = place;
    }
    assert_eq!(get(&sandbox, &poll).await.json()["output"].as_array().map(Vec::len), Some(1));
    let bill = sandbox.until(Name::Replicate, |bill| bill.in_flight == 0).await;
    assert_eq!((bill.calls, bill.pictures, bill.violations_total), (1, 1, 0));
}

#[tokio::test]
async fn a_wait_that_is_too_short_is_told_as_202() {
    let sandbox = sandbox(SLOW).await;
    let reply = create(&sandbox, SCHNELL, ("prefer", "wait=1"), wish()).await;
    assert_eq!((reply.status, reply.json()["status"].as_str()), (202, Some("starting")));
}

#[tokio::test]
async fn a_prediction_is_in_flight_until_it_is_cancelled_and_then_costs_nothing() {
    let sandbox = sandbox(SLOW).await;
    let json = post(&sandbox, SCHNELL, wish()).await.json();
    assert_eq!(sandbox.invoice().vendor(Name::Replicate).in_flight, 1, "although nobody waits");
    let cancel = json["urls"]["cancel"].as_str().unwrap().strip_prefix(sandbox.url().as_str()).unwrap().to_owned();
    assert_eq!(post(&sandbox, &cancel, json!({})).await.json()["status"], "canceled");
    assert_eq!(get(&sandbox, json["urls"]["get"].as_str().unwrap()).await.json()["status"], "canceled");
    assert_eq!(post(&sandbox, &cancel, json!({})).await.json()["status"], "canceled");
    let bill = sandbox.invoice().vendor(Name::Replicate).clone();
    assert_eq!((bill.calls, bill.in_flight, bill.max_in_flight, bill.usd), (1, 0, 1, Usd::ZERO));
}

#[tokio::test]
async fn a_finished_prediction_cannot_be_cancelled() {
    let sandbox = sandbox("{}").await;
    let json = create(&sandbox, SCHNELL, ("prefer", "wait"), wish()).await.json();
    let cancel = format!("{VERSIONS}/{}/cancel", json["id"].as_str().unwrap());
    assert_eq!(post(&sandbox, &cancel, json!({})).await.json()["status"], "succeeded");
    assert_eq!(sandbox.invoice().vendor(Name::Replicate).pictures, 1);
}

#[tokio::test]
async fn a_versioned_model_runs_by_its_version_only_and_takes_exact_sides() {
    let sandbox = sandbox("{}").await;
    let input = json!({"prompt": "x", "negative_prompt": "y", "width": 768, "height": 512, "refine": "no_refiner"});
    for version in [DIGITS.to_owned(), format!("stability-ai/sdxl:{DIGITS}")] {
        let body = json!({"version": version, "input": input});
        let json = create(&sandbox, VERSIONS, ("prefer", "wait"), body).await.json();
        assert_eq!((json["model"].as_str(), json["version"].as_str()), (Some("stability-ai/sdxl"), Some(&*version)));
        assert_eq!(picture(&sandbox, &json["output"][0]).await.unwrap().size, Size::new(768, 512));
    }
    let by_name = post(&sandbox, "/replicate/v1/models/stability-ai/sdxl/predictions", json!({"input": input})).await;
    assert_eq!(by_name.status, 404);
    let body = json!({"version": "stability-ai/sdxl", "input": input});
    assert_eq!(post(&sandbox, VERSIONS, body).await.status, 422);
    let body = json!({"version": "black-forest-labs/flux-1.1-pro", "input": {"prompt": "x"}});
    let json = create(&sandbox, VERSIONS, ("prefer", "wait"), body).await.json();
    assert!(json["output"].is_string(), "this model gives one link, not a list");
}

#[tokio::test]
async fn every_input_that_is_out_of_line_is_named_and_noted() {
    let sandbox = sandbox("{}").await;
    let cases = [
        (json!({"input": {}}), "input.prompt"),
        (json!({"input": {"prompt": 1}}), "input.prompt"),
        (json!({"input": {"prompt": "x", "width": 1024}}), "input.width"),
        (json!({"input": {"prompt": "x", "negative_prompt": "y"}}), "input.negative_prompt"),
        (json!({"input": {"prompt": "x", "num_outputs": 5}}), "input.num_outputs"),
        (json!({"input": {"prompt": "x", "output_format": "jpeg"}}), "input.output_format"),
        (json!({"input": {"prompt": "x", "megapixels": 1}}), "input.megapixels"),
        (json!({"input": {"prompt": "x", "num_inference_steps": 28}}), "input.num_inference_steps"),
        (json!({"input": {"prompt": "x", "seed": null}}), "input.seed"),
        (json!({"input": []}), "input"),
        (json!({}), "input"),
        (json!({"input": {"prompt": "x"}, "version": DIGITS}), "version"),
        (json!({"input": {"prompt": "x"}, "webhook": "http://plain.example"}), "webhook"),
    ];
    for (count, (body, field)) in cases.iter().enumerate() {
        let reply = post(&sandbox, SCHNELL, body.clone()).await;
        assert_eq!((reply.status, &reply.json()["invalid_fields"][0]["field"]), (422, &json!(field)), "{body}");
        assert_eq!(sandbox.invoice().vendor(Name::Replicate).violations_total, count as u64 + 1);
    }
    assert_eq!(post(&sandbox, "/replicate/v1/models/nobody/nothing/predictions", wish()).await.status, 404);
    assert_eq!(get(&sandbox, "/replicate/v1/predictions/sandbox00000099").await.status, 404);
}

#[tokio::test]
async fn headers_are_checked_too() {
    let sandbox = sandbox(SLOW).await;
    for bad in [
        ("prefer", "wait=61"),
        ("prefer", "wait=0"),
        ("prefer", "waits"),
        ("cancel-after", "4s"),
        ("cancel-after", "90ms"),
    ] {
        assert_eq!(create(&sandbox, SCHNELL, bad, wish()).await.status, 400, "{bad:?}");
    }
    for good in [("cancel-after", "90s"), ("cancel-after", "5m"), ("cancel-after", "30")] {
        assert_eq!(create(&sandbox, SCHNELL, good, wish()).await.status, 201, "{good:?}");
    }
    let reply = send(sandbox.addr(), "POST", SCHNELL, &[("content-type", "application/json")], b"{}").await;
    assert_eq!((reply.status, reply.json()["title"].as_str()), (401, Some("Unauthenticated")));
    let plain = [("authorization", "Bearer any"), ("content-type", "text/plain")];
    assert_eq!(send(sandbox.addr(), "POST", SCHNELL, &plain, b"{}").await.status, 415);
    assert_eq!(sandbox.invoice().vendor(Name::Replicate).violations_total, 7);
}

#[tokio::test]
async fn a_refusal_is_a_failed_prediction_and_costs_nothing() {
    let sandbox = sandbox("{}").await;
    let body = json!({"input": {"prompt": "a forbidden bicycle"}});
    let reply = create(&sandbox, SCHNELL, ("prefer", "wait"), body).await;
    assert_eq!((reply.status, reply.json()["status"].as_str()), (201, Some("failed")));
    assert!(reply.json()["error"].as_str().unwrap().ends_with("(E005)"));
    let bill = sandbox.invoice().vendor(Name::Replicate).clone();
    assert_eq!((bill.usd, bill.violations_total, bill.in_flight), (Usd::ZERO, 0, 0));
}

#[tokio::test]
async fn each_fault_looks_as_it_does_at_the_vendor() {
    let sandbox = sandbox("{}").await;
    let meet = async |mode| {
        sandbox.set(Name::Replicate, |vendor| vendor.mode = mode);
        create(&sandbox, SCHNELL, ("prefer", "wait"), wish()).await
    };
    let reply = meet(Mode::RateLimited { retry_after: Duration::from_secs(30) }).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, None));
    assert_eq!(reply.json()["detail"], "Request was throttled. Your rate limit resets in ~30s.");
    let reply = meet(Mode::OutOfMoney).await;
    assert_eq!((reply.status, reply.json()["title"].as_str()), (402, Some("Insufficient credit")));
    assert_eq!(meet(Mode::NoPictures).await.json()["output"], json!([]));
    assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
    let json = meet(Mode::Truncated).await.json();
    assert_eq!(picture(&sandbox, &json["output"][0]).await.err(), Some(Fault::Truncated));
    assert_eq!(sandbox.invoice().vendor(Name::Replicate).pictures, 1);
    let poll = json["urls"]["get"].as_str().unwrap();
    assert_eq!(meet(Mode::Down500).await.status, 500);
    assert_eq!(get(&sandbox, poll).await.status, 500, "a vendor that is down answers no polls either");
}
