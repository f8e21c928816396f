//! Tests of sandbox/google/mod.rs.

use base64_simd::STANDARD;
use serde_json::Value;

use super::super::{Mode, Sandbox};
use super::*;
use crate::image::{Encoded, Picture};
use crate::image::{Format, Size};
use crate::money::Usd;
use crate::sandbox::test_client::{Reply, sandbox, send};
use crate::sandbox::test_inputs::picture;

const FLASH: &str = "gemini-3.1-flash-image:generateContent";
const IMAGEN: &str = "imagen-4.0-generate-001:predict";

async fn ask(sandbox: &Sandbox, target: &str, body: Value) -> Reply {
    let headers = [("x-goog-api-key", "any"), ("content-type", "application/json")];
    let path = format!("/google/v1beta/models/{target}");
    send(sandbox.addr(), "POST", &path, &headers, body.to_string().as_bytes()).await
}

fn content(prompt: &str, image: Value) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}],
        "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": image}})
}

fn predict(parameters: Value) -> Value {
    json!({"instances": [{"prompt": "x"}], "parameters": parameters})
}

fn size(base64: &Value) -> Size {
    let text = base64.as_str().unwrap().to_owned();
    Picture::inspect(Encoded::Base64(text.into())).unwrap().size
}

#[tokio::test]
async fn each_model_draws_the_shape_and_tier_it_is_told_and_charges_once() {
    let sandbox = sandbox("{}").await;
    let json = ask(&sandbox, FLASH, content("x", json!({"aspectRatio": "16:9", "imageSize": "512"}))).await.json();
    assert_eq!(size(&json["candidates"][0]["content"]["parts"][1]["inlineData"]["data"]), Size::new(688, 384));
    let parameters = json!({"sampleCount": 2, "sampleImageSize": "2K", "includeRaiReason": true});
    let json = ask(&sandbox, IMAGEN, predict(parameters)).await.json();
    assert_eq!(size(&json["predictions"][1]["bytesBase64Encoded"]), Size::new(2048, 2048));
    let bill = sandbox.invoice().vendor(Name::Google).clone();
    assert_eq!((bill.pictures, bill.usd), (3, Usd::from_nanos(120_000_000)));
    assert_eq!(bill.violations, [""; 0]);
}

#[tokio::test]
async fn what_the_gemini_api_or_the_model_does_not_take_is_refused() {
    let sandbox = sandbox("{}").await;
    let mut labelled = content("x", json!({}));
    labelled["labels"] = json!({"user": "u"});
    let png = STANDARD.encode_to_string(picture(32, Format::Png, false).slice(..60));
    let mut broken = content("x", json!({}));
    let part = json!({"inlineData": {"mimeType": "image/png", "data": png}});
    broken["contents"][0]["parts"].as_array_mut().unwrap().push(part);
    let cases = [
        (FLASH, content("x", json!({"imageSize": "3K"}))),
        (FLASH, content("x", json!({"aspectRatio": "7:4"}))),
        (FLASH, content("x", json!({"imageOutputOptions": {"mimeType": "image/png"}}))),
        ("gemini-2.5-flash-image:generateContent", content("x", json!({"imageSize": "1K"}))),
        (FLASH, labelled),
        (FLASH, broken),
        (FLASH, json!({"contents": []})),
        (IMAGEN, predict(json!({"sampleCount": 5}))),
        (IMAGEN, predict(json!({"seed": 1, "addWatermark": false}))),
        (IMAGEN, predict(json!({"sise": 1}))),
    ];
    let count = cases.len() as u64;
    for (target, body) in cases {
        let reply = ask(&sandbox, target, body.clone()).await;
        assert_eq!((reply.status, &reply.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{body}");
    }
    for target in ["nobody:generateContent", "gemini-3-pro-image:predict"] {
        assert_eq!(ask(&sandbox, target, content("x", json!({}))).await.status, 404);
    }
    let path = "/google/v1/projects/p/locations/l/publishers/google/models/gemini-3-pro-image:generateContent";
    let headers = [("authorization", "Bearer ya29.nobody"), ("content-type", "application/json")];
    let reply = send(sandbox.addr(), "POST", path, &headers, b"{}").await;
    assert_eq!((reply.status, &reply.json()["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
    let bill = sandbox.invoice().vendor(Name::Google).clone();
    assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, count + 3));
}

#[tokio::test]
async fn refusals_and_faults_are_googles_own_and_cost_nothing() {
    let sandbox = sandbox("{}").await;
    let json = ask(&sandbox, FLASH, content("forbidden", json!({}))).await.json();
    assert_eq!(json["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    let meet = async |mode| {
        sandbox.set(Name::Google, |vendor| vendor.mode = mode);
        ask(&sandbox, FLASH, content("x", json!({}))).await
    };
    let limited = meet(Mode::RateLimited { retry_after: std::time::Duration::from_secs(3) }).await;
    assert_eq!((limited.status, &limited.json()["error"]["details"][0]["retryDelay"]), (429, &json!("3s")));
    assert_eq!(meet(Mode::OutOfMoney).await.status, 403);
    assert_eq!(meet(Mode::Down500).await.json()["error"]["status"], "INTERNAL");
    assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
}

#[tokio::test]
async fn a_statement_that_is_not_exactly_right_gets_no_token() {
    let sandbox = sandbox("{}").await;
    let part = |value: Value| base64_simd::URL_SAFE_NO_PAD.encode_to_string(value.to_string());
    let now = crate::sandbox::unix_time::unix_time();
    let ask = async |head: Value, change: (&str, Value)| {
        let mut claims = json!({"iss": "a@b", "scope": "https://www.googleapis.com/auth/cloud-platform",
            "aud": format!("{}/google/token", sandbox.url()), "iat": now, "exp": now + 3600});
        claims[change.0] = change.1;
        let body = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}.{}.c2ln",
            part(head),
            part(claims)
        );
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        send(sandbox.addr(), "POST", "/google/token", &headers, body.as_bytes()).await.status
    };
    let head = || json!({"alg": "RS256", "typ": "JWT"});
    assert_eq!(ask(head(), ("iat", json!(now))).await, 200);
    assert_eq!(ask(json!({"alg": "none", "typ": "JWT"}), ("iat", json!(now))).await, 400);
    for change in [
        ("iss", json!("nobody")),
        ("scope", json!("everything")),
        ("aud", json!("https://elsewhere/token")),
        ("iat", json!(now - 4000)),
        ("exp", json!(now + 7200)),
        ("sub", json!("somebody")),
    ] {
        assert_eq!(ask(head(), change.clone()).await, 400, "{change:?}");
    }
    assert_eq!(sandbox.tokens(Name::Google), 1);
}
