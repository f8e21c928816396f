use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::money::Usd;
use crate::sandbox::Sandbox;
use crate::sandbox::faults::Mode;
use crate::sandbox::settings::ScriptedAnswer;
use crate::sandbox::test_client::{Reply, get, post, sandbox, send, start};

const CHAT: &str = "/text/v1/chat/completions";
const EMBED: &str = "/text/v1/embeddings";

fn told(extra: Value) -> Value {
    let mut body = json!({"model": "gpt-4.1-nano", "max_completion_tokens": 400, "messages": [
        {"role": "system", "content": "Rewrite it."}, {"role": "user", "content": "a red fox"}]});
    body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
    body
}

async fn ask(sandbox: &Sandbox, extra: Value) -> Reply {
    post(sandbox, CHAT, told(extra)).await
}

fn said(prompt: &str) -> Value {
    json!({"messages": [{"role": "user", "content": prompt}]})
}

fn spent(sandbox: &Sandbox) -> Usd {
    sandbox.invoice().vendor(Name::Text).usd
}

#[tokio::test]
async fn a_prompt_is_rewritten_and_charged_by_the_token_the_cached_ones_by_their_own_price() {
    let prices = "{gpt-4.1-nano: {text_in: 0.10, text_cached_in: 0.025, text_out: 0.40}}";
    let sandbox = sandbox(&format!("{{vendors: {{text: {{token_price: {prices}}}}}}}")).await;
    let reply = ask(&sandbox, json!({"temperature": 0.7, "stop": null, "user": "u"})).await;
    let json = reply.json();
    assert_eq!((reply.status, json["object"].as_str()), (200, Some("chat.completion")), "{json}");
    assert!(json["choices"][0]["message"]["content"].as_str().unwrap().starts_with("a red fox, in golden"));
    assert!(reply.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
    let count = |usage: &Value, name: &str| usage[name].as_i64().unwrap();
    let usage = &json["usage"];
    let expected = count(usage, "prompt_tokens") * 100 + count(usage, "completion_tokens") * 400;
    assert_eq!(spent(&sandbox), Usd::from_nanos(expected));
    let usage = ask(&sandbox, said("a fox, cached, with a long enough description")).await.json()["usage"].clone();
    let cached = count(&usage["prompt_tokens_details"], "cached_tokens");
    assert!(cached > 0 && count(&usage, "total_tokens") > count(&usage, "prompt_tokens"));
    let more = (count(&usage, "prompt_tokens") - cached) * 100 + cached * 25 + count(&usage, "completion_tokens") * 400;
    assert_eq!(spent(&sandbox), Usd::from_nanos(expected + more));
    let bill = sandbox.invoice().vendor(Name::Text).clone();
    assert_eq!((bill.calls, bill.pictures, bill.violations.len()), (2, 0, 0));
}

#[tokio::test]
async fn a_model_that_reasons_is_paid_for_its_thoughts_and_may_be_at_its_end_before_a_word() {
    let sandbox = sandbox("{}").await;
    let reasons = |more: Value| {
        let mut body = told(json!({"model": "gpt-5-nano"}));
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        body
    };
    let json = post(&sandbox, CHAT, reasons(json!({}))).await.json();
    assert_eq!(json["usage"]["completion_tokens_details"]["reasoning_tokens"], 64);
    let json = post(&sandbox, CHAT, reasons(json!({"reasoning_effort": "minimal"}))).await.json();
    assert_eq!(json["usage"]["completion_tokens_details"]["reasoning_tokens"], 0);
    let json = post(&sandbox, CHAT, reasons(json!({"max_completion_tokens": 20}))).await.json();
    let choice = &json["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("length"), &json!("")));
    assert_eq!(json["usage"]["completion_tokens"], 20);
    for (field, value) in [("max_tokens", json!(9)), ("temperature", json!(0))] {
        let mut body = reasons(json!({field: value}));
        body.as_object_mut().unwrap().remove("max_completion_tokens");
        let json = post(&sandbox, CHAT, body).await.json();
        assert_eq!(json["error"]["code"], "unsupported_parameter", "{field}: {json}");
    }
}

#[tokio::test]
async fn what_a_model_says_can_be_set_by_what_it_is_told() {
    let sandbox = sandbox("{vendors: {text: {answers: [{when: couch, say: 'yes'}, {say: 'no'}]}}}").await;
    let content = async |prompt: &str| {
        ask(&sandbox, said(prompt)).await.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    assert_eq!([content("sofa, couch").await, content("sofa, chair").await], ["yes", "no"]);
    let change = json!({"vendor": "text", "answers": [{"when": "Rewrite", "say": "as told"}]});
    assert_eq!(post(&sandbox, "/control/faults", change).await.status, 204);
    let content = ask(&sandbox, json!({})).await.json()["choices"][0]["message"]["content"].clone();
    assert_eq!(content, "as told");
    sandbox.set(Name::Text, |vendor| {
        vendor.answers = vec![ScriptedAnswer { when: String::new(), say: "long ".repeat(400) }];
    });
    assert_eq!(ask(&sandbox, json!({})).await.json()["choices"][0]["finish_reason"], "length");
}

#[tokio::test]
async fn a_refusal_an_answer_cut_off_and_one_without_words_are_answers_and_are_paid() {
    let sandbox = sandbox("{}").await;
    let mut before = Usd::ZERO;
    let mut paid = || {
        let now = spent(&sandbox);
        now > std::mem::replace(&mut before, now)
    };
    let message = ask(&sandbox, said("something FORBIDDEN")).await.json()["choices"][0]["message"].clone();
    assert_eq!((&message["content"], message["refusal"].is_string(), paid()), (&Value::Null, true, true));
    let choice = ask(&sandbox, json!({"max_completion_tokens": 2})).await.json()["choices"][0].clone();
    assert_eq!((choice["finish_reason"].as_str(), paid()), (Some("length"), true));
    assert_eq!(choice["message"]["content"], "a red fo");
    for (mode, finish) in [(Mode::Truncated, "length"), (Mode::NoPictures, "stop")] {
        sandbox.set(Name::Text, |vendor| vendor.mode = mode);
        let choice = ask(&sandbox, json!({})).await.json()["choices"][0].clone();
        assert_eq!((choice["finish_reason"].as_str(), paid()), (Some(finish), true));
    }
}

#[tokio::test]
async fn every_field_that_is_out_of_line_is_named_and_noted() {
    let sandbox = sandbox("{}").await;
    let cases = [
        (CHAT, told(json!({"model": null})), "model", "missing_required_parameter"),
        (CHAT, told(json!({"messages": null})), "messages", "missing_required_parameter"),
        (CHAT, told(json!({"messages": []})), "messages", "missing_required_parameter"),
        (CHAT, told(json!({"messages": [{"role": "robot", "content": "x"}]})), "messages", "invalid_value"),
        (CHAT, told(json!({"messages": [{"role": "user", "content": "x", "mood": "y"}]})), "messages", "invalid_value"),
        (CHAT, told(json!({"messages": [{"role": "user", "content": 7}]})), "messages", "invalid_type"),
        (CHAT, told(json!({"max_completion_tokens": 0})), "max_completion_tokens", "integer_below_min_value"),
        (CHAT, told(json!({"max_tokens": 9})), "max_tokens", "invalid_value"),
        (CHAT, told(json!({"temperature": 2.5})), "temperature", "integer_above_max_value"),
        (CHAT, told(json!({"reasoning_effort": "low"})), "reasoning_effort", "unsupported_parameter"),
        (CHAT, told(json!({"stream": true})), "stream", "invalid_value"),
        (CHAT, told(json!({"prompt": "x"})), "prompt", "unknown_parameter"),
        (EMBED, json!({"model": "text-embedding-3-small"}), "input", "missing_required_parameter"),
        (EMBED, json!({"model": "text-embedding-3-small", "input": 7}), "input", "invalid_type"),
        (EMBED, json!({"model": "text-embedding-3-small", "input": ["x", ""]}), "input", "invalid_value"),
        (EMBED, json!({"model": "text-embedding-3-small", "input": [[1, 2]]}), "input", "invalid_type"),
        (
            EMBED,
            json!({"model": "text-embedding-3-small", "input": "x", "dimensions": 1537}),
            "dimensions",
            "integer_above_max_value",
        ),
        (
            EMBED,
            json!({"model": "text-embedding-3-small", "input": "x", "encoding_format": "hex"}),
            "encoding_format",
            "invalid_value",
        ),
        (EMBED, json!({"model": "text-embedding-3-small", "input": "x", "seed": 1}), "seed", "unknown_parameter"),
    ];
    for (count, (path, body, param, code)) in cases.iter().enumerate() {
        let reply = post(&sandbox, path, body.clone()).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["param"], &error["code"]), (400, &json!(param), &json!(code)), "{body}");
        assert_eq!(sandbox.invoice().vendor(Name::Text).violations_total, count as u64 + 1);
    }
    for body in [
        json!({"model": "text-embedding-ada-002", "input": "x", "dimensions": 9}),
        json!({"model": "gpt-5-nano", "input": "x"}),
        json!({"model": "text-embedding-3-small", "input": "word ".repeat(7000)}),
    ] {
        let reply = post(&sandbox, EMBED, body).await;
        assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (400, Some("invalid_request_error")));
    }
    assert_eq!(ask(&sandbox, json!({"model": "text-embedding-3-small"})).await.status, 404);
    let error = ask(&sandbox, json!({"model": "gpt-9"})).await.json()["error"].clone();
    assert_eq!(error["code"], "model_not_found");
    assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
}

#[tokio::test]
async fn texts_become_vectors_in_their_order_and_are_charged() {
    let sandbox = sandbox("{vendors: {text: {token_price: {text-embedding-3-small: {text_in: 0.02}}}}}").await;
    let ask = async |more: Value| {
        let mut body = json!({"model": "text-embedding-3-small", "input": ["a red fox", "three chairs"]});
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        post(&sandbox, EMBED, body).await.json()
    };
    let json = ask(json!({"encoding_format": "float", "dimensions": 64, "user": "u"})).await;
    let lengths: Vec<usize> = (0..2).map(|at| json["data"][at]["embedding"].as_array().unwrap().len()).collect();
    assert_eq!((lengths, &json["data"][1]["index"], &json["object"]), (vec![64, 64], &json!(1), &json!("list")));
    assert_eq!(json["usage"], json!({"prompt_tokens": 6, "total_tokens": 6}));
    assert_eq!(spent(&sandbox), Usd::from_nanos(6 * 20));
    let one = ask(json!({"input": "three chairs", "dimensions": 64})).await;
    assert_eq!(one["data"][0]["embedding"], json["data"][1]["embedding"]);
    let base64 = ask(json!({"encoding_format": "base64"})).await["data"][0]["embedding"].clone();
    assert_eq!(base64.as_str().unwrap().len(), (256 * 4usize).div_ceil(3) * 4);
    sandbox.set(Name::Text, |vendor| vendor.mode = Mode::NoPictures);
    assert_eq!(ask(json!({})).await["data"], json!([]));
    sandbox.set(Name::Text, |vendor| vendor.mode = Mode::Truncated);
    assert_eq!(ask(json!({})).await["data"][1]["embedding"].as_array().unwrap().len(), 128);
}

#[tokio::test]
async fn a_key_and_a_known_path_are_required_and_the_models_are_listed() {
    let sandbox = sandbox("{vendors: {text: {key: sk-right, token_price: {qwen3: {text_in: 0}}}}}").await;
    let json = ("content-type", "application/json");
    let body = told(json!({})).to_string();
    for headers in [vec![json], vec![("authorization", "Bearer wrong"), json]] {
        assert_eq!(send(sandbox.addr(), "POST", CHAT, &headers, body.as_bytes()).await.status, 401);
    }
    let headers = [("authorization", "Bearer sk-right"), json];
    assert_eq!(send(sandbox.addr(), "POST", CHAT, &headers, body.as_bytes()).await.status, 200);
    assert_eq!(send(sandbox.addr(), "POST", "/text/v1/completions", &headers, b"{}").await.status, 404);
    sandbox.set(Name::Text, |vendor| vendor.key = None);
    let list = get(&sandbox, "/text/v1/models").await.json();
    let names: Vec<&str> = list["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    assert!(names.contains(&"gpt-5-nano") && names.contains(&"qwen3"), "{names:?}");
}

#[tokio::test]
async fn each_fault_is_told_in_the_vendors_words_and_costs_nothing() {
    let sandbox = sandbox("{}").await;
    let retry_after = Duration::from_secs(7);
    for (mode, status, kind) in [
        (Mode::RateLimited { retry_after }, 429, "requests"),
        (Mode::Overloaded, 500, "server_error"),
        (Mode::Down500, 500, "server_error"),
        (Mode::OutOfMoney, 429, "insufficient_quota"),
    ] {
        sandbox.set(Name::Text, |vendor| vendor.mode = mode);
        for (path, body) in [(CHAT, told(json!({}))), (EMBED, json!({"model": "text-embedding-3-small", "input": "x"}))]
        {
            let reply = post(&sandbox, path, body).await;
            assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (status, Some(kind)));
            assert_eq!(reply.header("retry-after"), (kind == "requests").then_some("7"));
        }
    }
    sandbox.set(Name::Text, |vendor| vendor.mode = Mode::Hang);
    let headers = [("authorization", "Bearer any"), ("content-type", "application/json")];
    let client = start(sandbox.addr(), "POST", CHAT, &headers, told(json!({})).to_string().as_bytes()).await;
    sandbox.until(Name::Text, |bill| bill.in_flight == 1).await;
    drop(client);
    let bill = sandbox.until(Name::Text, |bill| bill.in_flight == 0).await;
    assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, 0));
}
