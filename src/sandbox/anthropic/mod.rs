//! Anthropic's Messages API as PROVIDERS.md section 11 has it: `POST /v1/messages`, text in and text out.
//!
//! A token is four characters here. What is charged is what the answer's usage adds up to, a refusal and an answer that
//! was cut off included. A prompt with the word `cached` has most of its input charged as kept and reused by the
//! vendor, so that those prices are met too. Not here: streaming, tools, pictures, batches, lists of models.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};

use super::fields::RequestFields;
use super::settings::Name;
use crate::sandbox::anthropic::auth::authorise;
use crate::sandbox::anthropic::errors::{bad_body, fault_response, violation, with_id};
use crate::sandbox::anthropic::requests::ParsedRequest;
use crate::sandbox::anthropic::responses::Message;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::read_http_request::read_json;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

mod auth;
mod errors;
pub(in crate::sandbox) mod requests;
mod responses;
mod usage;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new().route("/v1/messages", routing::post(write)).fallback(not_found).method_not_allowed_fallback(not_found)
}

async fn write(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let call = VendorCall::admit(&shared, Name::Anthropic, request.headers());
    let id = format!("req_{:016x}", call.seed);
    let answer = answer(&call, request).await.map_err(|error| with_id(error, &id));
    let mut answer = call.close(answer);
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert("request-id", id);
    }
    answer
}

async fn answer(call: &VendorCall, request: Request) -> Result<Response, ErrorResponse> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let fields = RequestFields::json(read_json(&parts.headers, body).await.map_err(bad_body)?);
    let parsed = ParsedRequest::read(fields, &call.vendor)?;
    inject_fault(call.fault, fault_response).await?;
    call.work().await;
    let message = Message::write(&parsed, call);
    // Nothing is awaited from here on: what is charged is answered.
    call.charge_text(&parsed.model, message.usage.price(call.vendor.token_price.get(&parsed.model)))?;
    Ok(JsonResponse(message.to_json(&parsed.model, call.seed)).into_response())
}

async fn not_found(State(shared): State<Arc<SandboxState>>, method: Method, uri: Uri) -> Response {
    let message = format!("Not Found: {method} {}", uri.path());
    let error = violation(StatusCode::NOT_FOUND, "not_found_error", &message);
    finish(&shared, Name::Anthropic, Err(with_id(error, "req_lost")))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::money::Usd;
    use crate::sandbox::Sandbox;
    use crate::sandbox::faults::Mode;
    use crate::sandbox::test_client::{Reply, sandbox, send, start};

    const PATH: &str = "/anthropic/v1/messages";
    const HEADERS: [(&str, &str); 3] =
        [("x-api-key", "any"), ("anthropic-version", "2023-06-01"), ("content-type", "application/json")];

    async fn ask(sandbox: &Sandbox, extra: Value) -> Reply {
        let mut body = json!({"model": "claude-haiku-4-5", "max_tokens": 400, "system": "Rewrite it.",
            "messages": [{"role": "user", "content": "a red fox"}]});
        body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        body.as_object_mut().unwrap().retain(|_, value| *value != "absent");
        send(sandbox.addr(), "POST", PATH, &HEADERS, body.to_string().as_bytes()).await
    }

    fn said(prompt: &str) -> Value {
        json!({"messages": [{"role": "user", "content": prompt}]})
    }

    #[tokio::test]
    async fn a_prompt_is_rewritten_and_charged_by_the_token() {
        let prices = "{claude-haiku-4-5: {text_in: 1.00, text_out: 5.00}}";
        let sandbox = sandbox(&format!("{{vendors: {{anthropic: {{token_price: {prices}}}}}}}")).await;
        let reply =
            ask(&sandbox, json!({"temperature": 0.7, "metadata": {"user_id": "u"}, "stop_sequences": []})).await;
        let json = reply.json();
        assert_eq!(
            (reply.status, json["type"].as_str(), json["stop_reason"].as_str()),
            (200, Some("message"), Some("end_turn"))
        );
        assert!(reply.header("request-id").is_some_and(|id| id.starts_with("req_")));
        assert!(json["content"][0]["text"].as_str().unwrap().starts_with("a red fox, in soft"));
        let count = |name: &str| json["usage"][name].as_i64().unwrap();
        let bill = sandbox.invoice().vendor(Name::Anthropic).clone();
        assert_eq!(bill.usd, Usd::from_nanos(count("input_tokens") * 1000 + count("output_tokens") * 5000));
        assert_eq!((bill.calls, bill.pictures, bill.violations.len()), (1, 0, 0));
        assert_eq!(bill.by_model["claude-haiku-4-5"].usd, bill.usd);
    }

    #[tokio::test]
    async fn what_is_cached_has_its_own_prices() {
        let sandbox = sandbox("{}").await;
        let usage = ask(&sandbox, said("a fox, cached, with a long enough description")).await.json()["usage"].clone();
        let count = |name: &str| usage[name].as_i64().unwrap();
        let hour = usage["cache_creation"]["ephemeral_1h_input_tokens"].as_i64().unwrap();
        let kept = count("cache_creation_input_tokens") - hour;
        assert!(hour > 0 && kept > 0 && count("cache_read_input_tokens") > 0, "{usage}");
        let nanos = count("input_tokens") * 1000 + kept * 1250 + hour * 2000 + count("cache_read_input_tokens") * 100;
        let bill = sandbox.invoice().vendor(Name::Anthropic).clone();
        assert_eq!(bill.usd, Usd::from_nanos(nanos + count("output_tokens") * 5000));
    }

    #[tokio::test]
    async fn a_refusal_an_answer_cut_off_and_one_without_words_are_answers_and_are_paid() {
        let sandbox = sandbox("{}").await;
        let mut before = Usd::ZERO;
        let mut paid = || {
            let now = sandbox.invoice().vendor(Name::Anthropic).usd;
            now > std::mem::replace(&mut before, now)
        };
        let json = ask(&sandbox, said("something FORBIDDEN")).await.json();
        assert_eq!((json["stop_reason"].as_str(), &json["content"], paid()), (Some("refusal"), &json!([]), true));
        let json = ask(&sandbox, json!({"max_tokens": 2})).await.json();
        assert_eq!((json["stop_reason"].as_str(), paid()), (Some("max_tokens"), true));
        assert_eq!(json["content"][0]["text"], "a red fo");
        sandbox.set(Name::Anthropic, |vendor| vendor.mode = Mode::Truncated);
        assert_eq!((ask(&sandbox, json!({})).await.json()["stop_reason"].as_str(), paid()), (Some("max_tokens"), true));
        sandbox.set(Name::Anthropic, |vendor| vendor.mode = Mode::NoPictures);
        let json = ask(&sandbox, json!({})).await.json();
        assert_eq!((json["stop_reason"].as_str(), &json["content"], paid()), (Some("end_turn"), &json!([]), true));
    }

    #[tokio::test]
    async fn every_field_that_is_out_of_line_is_told_in_the_vendors_shape_and_noted() {
        let sandbox = sandbox("{}").await;
        let cases = [
            (json!({"max_tokens": "absent"}), "max_tokens: Field required"),
            (json!({"max_tokens": 0}), "max_tokens"),
            (json!({"max_tokens": 1_000_000}), "max_tokens"),
            (json!({"model": "absent"}), "model: Field required"),
            (json!({"messages": "absent"}), "messages: Field required"),
            (json!({"messages": []}), "messages"),
            (json!({"messages": [{"role": "system", "content": "x"}]}), "messages"),
            (json!({"messages": [{"role": "assistant", "content": "x"}]}), "messages"),
            (json!({"messages": [{"role": "user", "content": ""}]}), "messages"),
            (json!({"messages": [{"role": "user", "content": [{"type": "image"}]}]}), "messages"),
            (json!({"messages": [{"role": "user", "content": "x", "name": "y"}]}), "messages"),
            (json!({"temperature": 1.5}), "temperature"),
            (json!({"system": 7}), "system"),
            (json!({"stream": true}), "stream"),
            (json!({"prompt": "x"}), "prompt: Extra inputs are not permitted"),
        ];
        for (count, (extra, words)) in cases.iter().enumerate() {
            let reply = ask(&sandbox, extra.clone()).await;
            let json = reply.json();
            assert_eq!((reply.status, json["type"].as_str()), (400, Some("error")), "{extra}: {json}");
            assert_eq!(json["error"]["type"], "invalid_request_error");
            assert!(json["error"]["message"].as_str().unwrap().contains(words), "{extra}: {json}");
            assert_eq!(json["request_id"].as_str(), reply.header("request-id"));
            assert_eq!(sandbox.invoice().vendor(Name::Anthropic).violations_total, count as u64 + 1);
        }
        let reply = ask(&sandbox, json!({"model": "gpt-5"})).await;
        assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (404, Some("not_found_error")));
        assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
    }

    #[tokio::test]
    async fn a_key_a_version_and_a_known_path_are_required() {
        let sandbox = sandbox("{vendors: {anthropic: {key: sk-ant}}}").await;
        let body =
            json!({"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
        let version = ("anthropic-version", "2023-06-01");
        let json = ("content-type", "application/json");
        for (headers, status, kind) in [
            (vec![version, json], 401, "authentication_error"),
            (vec![("authorization", "Bearer sk-ant"), version, json], 401, "authentication_error"),
            (vec![("x-api-key", "wrong"), version, json], 401, "authentication_error"),
            (vec![("x-api-key", "sk-ant"), json], 400, "invalid_request_error"),
            (vec![("x-api-key", "sk-ant"), ("anthropic-version", "2020-01-01"), json], 400, "invalid_request_error"),
            (vec![("x-api-key", "sk-ant"), version, ("content-type", "text/plain")], 400, "invalid_request_error"),
        ] {
            let reply = send(sandbox.addr(), "POST", PATH, &headers, body.to_string().as_bytes()).await;
            assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (status, Some(kind)), "{headers:?}");
        }
        let reply = send(sandbox.addr(), "POST", "/anthropic/v1/complete", &HEADERS, b"{}").await;
        assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (404, Some("not_found_error")));
        let headers = [("x-api-key", "sk-ant"), version, json];
        assert_eq!(send(sandbox.addr(), "POST", PATH, &headers, body.to_string().as_bytes()).await.status, 200);
    }

    #[tokio::test]
    async fn each_fault_is_told_in_the_vendors_words_and_costs_nothing() {
        let sandbox = sandbox("{}").await;
        let retry_after = Duration::from_secs(7);
        for (mode, status, kind) in [
            (Mode::RateLimited { retry_after }, 429, "rate_limit_error"),
            (Mode::Overloaded, 529, "overloaded_error"),
            (Mode::Down500, 500, "api_error"),
            (Mode::OutOfMoney, 400, "invalid_request_error"),
        ] {
            sandbox.set(Name::Anthropic, |vendor| vendor.mode = mode);
            let reply = ask(&sandbox, json!({})).await;
            assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (status, Some(kind)));
            assert_eq!(reply.header("retry-after"), (status == 429).then_some("7"));
        }
        sandbox.set(Name::Anthropic, |vendor| vendor.mode = Mode::Garbage);
        assert!(ask(&sandbox, json!({})).await.body.starts_with(b"<!doctype html>"));
        sandbox.set(Name::Anthropic, |vendor| vendor.mode = Mode::Hang);
        let body =
            json!({"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]});
        let client = start(sandbox.addr(), "POST", PATH, &HEADERS, body.to_string().as_bytes()).await;
        sandbox.until(Name::Anthropic, |bill| bill.in_flight == 1).await;
        drop(client);
        let bill = sandbox.until(Name::Anthropic, |bill| bill.in_flight == 0).await;
        assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, 0));
    }
}
