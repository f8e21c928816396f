//! Tests of sandbox/openrouter/image_api.rs.

use serde_json::{Value, json};

use super::*;
use crate::image::{Encoded, Format, Picture, Size};
use crate::money::Usd;
use crate::sandbox::Sandbox;
use crate::sandbox::faults::Mode;
use crate::sandbox::test_client::{Reply, post, sandbox, send};
use crate::sandbox::test_inputs::{as_url, picture};

const PATH: &str = "/openrouter/api/v1/images";
const GEMINI: &str = "google/gemini-3.1-flash-image";

async fn ask(sandbox: &Sandbox, model: &str, extra: Value) -> Reply {
    let mut body = json!({"model": model, "prompt": "a red bicycle"});
    body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
    post(sandbox, PATH, body).await
}

fn drawn(reply: &Reply) -> (Format, Size) {
    let json = reply.json();
    let text = json["data"][0]["b64_json"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned();
    let picture = Picture::inspect(Encoded::Base64(text.into())).unwrap();
    (picture.format, picture.size)
}

#[tokio::test]
async fn each_model_draws_by_its_own_way_to_tell_a_size() {
    let sandbox = sandbox("{}").await;
    for (model, wish, size) in [
        (GEMINI, json!({}), (1024, 1024)),
        (GEMINI, json!({"resolution": "512", "aspect_ratio": "16:9"}), (688, 384)),
        ("google/gemini-2.5-flash-image", json!({"aspect_ratio": "3:2", "seed": 7}), (1248, 832)),
        ("bytedance-seed/seedream-4.5", json!({}), (2048, 2048)),
        ("openai/gpt-image-2", json!({"size": "1536x864", "quality": "low", "background": "opaque"}), (1536, 864)),
    ] {
        let reply = ask(&sandbox, model, wish).await;
        assert_eq!(drawn(&reply), (Format::Png, Size::new(size.0, size.1)), "{model}");
    }
    let reply = ask(&sandbox, "black-forest-labs/flux.2-pro", json!({"output_format": "jpeg"})).await;
    assert_eq!((drawn(&reply).0, reply.json()["data"][0]["media_type"].as_str()), (Format::Jpeg, Some("image/jpeg")));
    assert_eq!(sandbox.invoice().vendor(Name::OpenRouter).violations, [""; 0]);
}

#[tokio::test]
async fn the_cost_in_the_answer_is_what_is_charged_to_the_last_digit() {
    let prices = "{tiny/model: 0.000000301, house/model: 0.045}";
    let sandbox = sandbox(&format!("{{vendors: {{openrouter: {{price: {prices}}}}}}}")).await;
    let cost = |reply: Reply| {
        let text = String::from_utf8(reply.body).unwrap();
        text.split("\"cost\":").nth(1).unwrap().split(',').next().unwrap().to_owned()
    };
    assert_eq!(cost(ask(&sandbox, "house/model", json!({})).await), "0.045");
    assert_eq!(cost(ask(&sandbox, "tiny/model", json!({})).await), "301e-9");
    assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(45_000_301)));
}

#[tokio::test]
async fn what_a_model_does_not_take_is_refused_by_name() {
    let sandbox = sandbox("{}").await;
    let gpt = "openai/gpt-image-2";
    let url = as_url(&picture(32, Format::Png, false));
    let four = vec![json!({"type": "image_url", "image_url": {"url": url}}); 4];
    let cases = [
        (GEMINI, json!({"n": 2}), "n:"),
        (GEMINI, json!({"size": "1024x1024"}), "size:"),
        (GEMINI, json!({"quality": "low"}), "quality:"),
        (GEMINI, json!({"background": "transparent"}), "background:"),
        (GEMINI, json!({"output_format": "png"}), "output_format:"),
        (GEMINI, json!({"aspect_ratio": "7:4"}), "aspect_ratio:"),
        (GEMINI, json!({"resolution": "3K"}), "resolution:"),
        ("google/gemini-2.5-flash-image", json!({"resolution": "1K"}), "resolution:"),
        ("google/gemini-2.5-flash-image", json!({"input_references": four}), "input_references:"),
        (GEMINI, json!({"input_references": [{"image_url": url}]}), "input_references:"),
        (
            GEMINI,
            json!({"input_references": [{"type": "image_url", "image_url": {"url": "https://h/1.png"}}]}),
            "input_references:",
        ),
        (gpt, json!({"size": "1024x1024", "aspect_ratio": "1:1"}), "size:"),
        (gpt, json!({"size": "1000x1000"}), "size:"),
        (gpt, json!({"seed": 1}), "seed:"),
        (gpt, json!({"user": "u"}), "user:"),
        (gpt, json!({"response_format": "b64_json"}), "response_format:"),
        (gpt, json!({"prompt": ""}), "prompt:"),
        (gpt, json!({"n": null}), "n:"),
    ];
    let count = cases.len() as u64;
    for (model, wish, begins) in cases {
        let reply = ask(&sandbox, model, wish.clone()).await;
        let error = reply.json()["error"].clone();
        assert_eq!((reply.status, error["code"].as_u64()), (400, Some(400)), "{wish}");
        assert!(error["message"].as_str().unwrap().starts_with(begins), "{wish}: {error}");
    }
    assert_eq!(ask(&sandbox, "nobody/nothing", json!({})).await.status, 404);
    assert_eq!(ask(&sandbox, "nothing", json!({})).await.status, 400);
    let headers = [("content-type", "application/json")];
    assert_eq!(send(sandbox.addr(), "POST", PATH, &headers, b"{}").await.status, 401);
    let headers = [("authorization", "Bearer any"), ("content-type", "text/plain")];
    assert_eq!(send(sandbox.addr(), "POST", PATH, &headers, b"{}").await.status, 400);
    let bill = sandbox.invoice().vendor(Name::OpenRouter).clone();
    assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, count + 4));
}

#[tokio::test]
async fn input_pictures_are_looked_at_and_change_what_is_drawn() {
    let drawn = async |side: u32| {
        let sandbox = sandbox("{}").await;
        let url = as_url(&picture(side, Format::Png, false));
        let wish = json!({"input_references": [{"type": "image_url", "image_url": {"url": url}}]});
        ask(&sandbox, GEMINI, wish).await.json()["data"][0].clone()
    };
    assert_eq!(drawn(32).await, drawn(32).await);
    assert_ne!(drawn(32).await, drawn(48).await);
    let sandbox = sandbox("{}").await;
    let url = as_url(&picture(32, Format::Png, false).slice(..60));
    let wish = json!({"input_references": [{"type": "image_url", "image_url": {"url": url}}]});
    assert_eq!(ask(&sandbox, GEMINI, wish).await.status, 400);
}

#[tokio::test]
async fn refusals_and_faults_are_openrouters_own_and_cost_nothing() {
    let sandbox = sandbox("{}").await;
    let reply = ask(&sandbox, GEMINI, json!({"prompt": "forbidden"})).await;
    let error = reply.json()["error"].clone();
    assert_eq!((reply.status, error["code"].as_u64()), (403, Some(403)));
    assert_eq!(
        (&error["metadata"]["reasons"][0], &error["metadata"]["model_slug"]),
        (&json!("violence"), &json!(GEMINI))
    );
    let meet = async |mode| {
        sandbox.set(Name::OpenRouter, |vendor| vendor.mode = mode);
        ask(&sandbox, GEMINI, json!({})).await
    };
    let reply = meet(Mode::RateLimited { retry_after: std::time::Duration::from_secs(3) }).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));
    assert_eq!(meet(Mode::OutOfMoney).await.status, 402);
    assert_eq!(meet(Mode::Down500).await.json()["error"]["code"], 500);
    assert_eq!(meet(Mode::NoPictures).await.json()["data"], json!([]));
    let bill = sandbox.invoice().vendor(Name::OpenRouter).clone();
    assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, 0));
    meet(Mode::Truncated).await;
    assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(40_000_000)), "what was drawn is charged");
}
