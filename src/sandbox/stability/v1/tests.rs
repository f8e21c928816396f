//! Tests of sandbox/stability/v1.rs.

use serde_json::Value;

use super::*;
use crate::image::{Encoded, Format, Picture, Size};
use crate::sandbox::test_client::{get, post, sandbox, send};

const PATH: &str = "/stability/v1/generation/stable-diffusion-xl-1024-v1-0/text-to-image";

fn with(extra: Value) -> Value {
    let mut body = json!({"text_prompts": [{"text": "a red bicycle", "weight": 1}], "width": 1024, "height": 1024});
    body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
    body
}

#[tokio::test]
async fn samples_come_as_artifacts_each_with_its_seed() {
    let sandbox = sandbox("{vendors: {stability: {price: {stable-diffusion-xl-1024-v1-0: 0.009}}}}").await;
    let body = with(json!({"width": 1344, "height": 768, "samples": 3, "seed": 5, "steps": 30, "cfg_scale": 7,
        "text_prompts": [{"text": "a red bicycle", "weight": 1}, {"text": "forbidden", "weight": -1}],
        "sampler": "K_DPMPP_2M", "clip_guidance_preset": "NONE", "style_preset": "photographic"}));
    let reply = post(&sandbox, PATH, body).await;
    assert_eq!(reply.status, 200, "a negative prompt is no wish for its content");
    let json = reply.json();
    let artifacts = json["artifacts"].as_array().unwrap();
    assert_eq!(artifacts.iter().map(|a| a["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [5, 6, 7]);
    for artifact in artifacts {
        let file = Encoded::Base64(artifact["base64"].as_str().unwrap().to_owned().into());
        let picture = Picture::inspect(file).unwrap();
        assert_eq!((picture.format, picture.size), (Format::Png, Size::new(1344, 768)));
        assert_eq!(artifact["finishReason"], "SUCCESS");
    }
    assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(27_000_000)));
    assert_eq!(get(&sandbox, "/stability/v1/user/balance").await.body, br#"{"credits":99997.3}"#);
}

#[tokio::test]
async fn one_picture_can_come_as_bytes() {
    let sandbox = sandbox("{}").await;
    let headers = [("authorization", "Bearer any"), ("content-type", "application/json"), ("accept", "image/png")];
    let body = with(json!({"seed": 5})).to_string();
    let reply = send(sandbox.addr(), "POST", PATH, &headers, body.as_bytes()).await;
    assert_eq!((reply.header("content-type"), reply.header("seed")), (Some("image/png"), Some("5")));
    assert_eq!(reply.header("finish-reason"), Some("SUCCESS"));
    let body = with(json!({"samples": 2})).to_string();
    let reply = send(sandbox.addr(), "POST", PATH, &headers, body.as_bytes()).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (400, Some("invalid_samples")));
}

#[tokio::test]
async fn every_field_that_is_out_of_line_is_named_and_noted() {
    let sandbox = sandbox("{}").await;
    let cases = [
        (json!({"text_prompts": []}), "invalid_prompts"),
        (json!({"text_prompts": [{"text": "x", "wait": 1}]}), "invalid_prompts"),
        (json!({"text_prompts": [{"text": "x".repeat(2001)}]}), "invalid_prompts"),
        (json!({"text_prompts": [{"text": "x", "weight": -1}]}), "invalid_prompts"),
        (json!({"width": 1024, "height": 1000}), "invalid_height_or_width"),
        (json!({"width": 512, "height": 512}), "invalid_height_or_width"),
        (json!({"width": "1024"}), "invalid_height_or_width"),
        (json!({"samples": 11}), "invalid_samples"),
        (json!({"steps": 5}), "bad_request"),
        (json!({"cfg_scale": 36}), "bad_request"),
        (json!({"sampler": "EULER"}), "bad_request"),
        (json!({"seed": null}), "bad_request"),
        (json!({"prompt": "x"}), "bad_request"),
    ];
    for (count, (extra, name)) in cases.iter().enumerate() {
        let reply = post(&sandbox, PATH, with(extra.clone())).await;
        assert_eq!((reply.status, reply.json()["name"].as_str()), (400, Some(*name)), "{extra}");
        assert!(reply.json()["message"].is_string());
        assert_eq!(sandbox.invoice().vendor(Name::Stability).violations_total, count as u64 + 1);
    }
    let sizeless = json!({"text_prompts": [{"text": "x"}]});
    assert_eq!(post(&sandbox, PATH, sizeless).await.json()["name"], "invalid_height_or_width");
    let reply = post(&sandbox, "/stability/v1/generation/stable-diffusion-v1-5/text-to-image", with(json!({}))).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (404, Some("not_found")));
}

#[tokio::test]
async fn a_key_and_json_are_required() {
    let sandbox = sandbox("{}").await;
    let body = with(json!({})).to_string();
    let json = ("content-type", "application/json");
    let reply = send(sandbox.addr(), "POST", PATH, &[json], body.as_bytes()).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (401, Some("unauthorized")));
    let headers = [("authorization", "Bearer any"), ("content-type", "text/plain")];
    let reply = send(sandbox.addr(), "POST", PATH, &headers, body.as_bytes()).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (400, Some("bad_request")));
    assert_eq!(get(&sandbox, "/stability/v1/engines/list").await.json()[0]["id"], SDXL);
    assert_eq!(sandbox.invoice().vendor(Name::Stability).violations_total, 2);
}

#[tokio::test]
async fn forbidden_is_an_invalid_prompt_and_blurred_is_filtered_and_charged() {
    let sandbox = sandbox("{}").await;
    let body = with(json!({"text_prompts": [{"text": "forbidden"}]}));
    let reply = post(&sandbox, PATH, body).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (400, Some("invalid_prompts")));
    assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
    let body = with(json!({"text_prompts": [{"text": "blurred"}], "samples": 2}));
    let json = post(&sandbox, PATH, body).await.json();
    assert_eq!(json["artifacts"][1]["finishReason"], "CONTENT_FILTERED");
    let invoice = sandbox.invoice();
    let bill = invoice.vendor(Name::Stability);
    assert_eq!((bill.refused_billed, bill.violations_total, bill.usd), (2, 0, Usd::from_nanos(80_000_000)));
}
