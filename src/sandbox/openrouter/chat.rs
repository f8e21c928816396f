//! OpenRouter's chat that answers with pictures (PROVIDERS.md section 7.2).
//!
//! One message of the user, in words or with input pictures, and one picture back, as a `data:` URL in the answer. A
//! refusal is a 200 without a picture. What is not about pictures (tools, temperature, streaming) is unknown here.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use serde::Serialize;
use serde_json::{Value, json};

use crate::image::Format;
use crate::money::Usd;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::json_response::ExactJson;
use crate::sandbox::openrouter::auth::authorise;
use crate::sandbox::openrouter::draw_and_charge::CallUsage;
use crate::sandbox::openrouter::errors::{bad_body, bad_field, fault_response, violation};
use crate::sandbox::openrouter::models::Model;
use crate::sandbox::openrouter::requests::{
    ParsedRequest, check, model, not_a, provider, referred, refuse_streaming, seed,
};
use crate::sandbox::read_http_request::read_json;
use crate::sandbox::settings::Name;
use crate::sandbox::state::SandboxState;
use crate::sandbox::unix_time::unix_time;
use crate::sandbox::vendor_call::VendorCall;

/// `POST /openrouter/api/v1/chat/completions`.
pub(in crate::sandbox) async fn complete(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let call = VendorCall::admit(&shared, Name::OpenRouter, request.headers());
    let answer = answer(&call, request).await;
    call.close(answer)
}

async fn answer(call: &VendorCall, request: Request) -> Result<Response, ErrorResponse> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let mut fields = RequestFields::json(read_json(&parts.headers, body).await.map_err(bad_body)?);
    let (name, model) = model(&mut fields, &call.vendor)?;
    check_modalities(&model, fields.any("modalities"))?;
    let (mut parsed, references) = read(name, &model, fields).map_err(bad_field)?;
    parsed.fingerprint = check(references, model.references, "messages").await.map_err(bad_field)?;
    inject_fault(call.fault, fault_response).await?;
    if call.refuses(&parsed.prompt) {
        return respond(call, &parsed, ChatEnd::Refused, CallUsage::of(Usd::ZERO)?);
    }
    call.work().await;
    if call.fault == Mode::NoPictures {
        return respond(call, &parsed, ChatEnd::OnlyText, CallUsage::of(Usd::ZERO)?);
    }
    let mut files = parsed.draw(call).await?;
    // Nothing is awaited from here on: what is charged is answered.
    let usage = parsed.charge(call)?;
    respond(call, &parsed, ChatEnd::Picture(files.pop().unwrap_or_default()), usage)
}

/// The request must ask for pictures, and for text only at a model that writes some.
fn check_modalities(model: &Model, asked: Option<Value>) -> Result<(), ErrorResponse> {
    let asked = asked.unwrap_or(Value::Null);
    let words: Vec<&str> = asked.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let known = words.iter().all(|word| *word == "image" || (*word == "text" && model.talks));
    if known && words.contains(&"image") {
        return Ok(());
    }
    let message = format!("No endpoints found that support the requested output modalities: {}", words.join(", "));
    Err(violation(StatusCode::NOT_FOUND, &message))
}

fn read(name: String, model: &Model, mut fields: RequestFields) -> Result<(ParsedRequest, Vec<Bytes>), FieldError> {
    let (prompt, references) = message(fields.any("messages"))?;
    let size = match fields.any("image_config") {
        None => model.shaped(&mut RequestFields::json(serde_json::Map::new()), "aspect_ratio", "image_size")?,
        Some(Value::Object(config)) => {
            let mut config = RequestFields::json(config);
            let size = model.shaped(&mut config, "aspect_ratio", "image_size")?;
            config.end()?;
            size
        }
        Some(other) => return Err(not_a("image_config", "object", &other)),
    };
    let seed = seed(model, &mut fields)?;
    refuse_streaming(&mut fields)?;
    provider(&mut fields)?;
    fields.end()?;
    let parsed = ParsedRequest {
        model: name,
        prompt,
        n: 1,
        size,
        quality: None,
        format: Format::Png,
        transparent: false,
        seed,
        fingerprint: 0,
    };
    Ok((parsed, references))
}

/// The text and the pictures of the only message.
fn message(messages: Option<Value>) -> Result<(String, Vec<Bytes>), FieldError> {
    let messages = messages.ok_or_else(|| FieldError::new("messages", FieldErrorKind::Missing))?;
    let bad = |sentence: &str| FieldError::other("messages", sentence);
    let Some([message]) = messages.as_array().map(Vec::as_slice) else {
        return Err(bad("must be a list of one message here"));
    };
    let content = &message["content"];
    if *message != json!({"role": "user", "content": content}) {
        return Err(bad("must be of the user, with content and nothing else"));
    }
    let (mut words, mut pictures) = (String::new(), Vec::new());
    match content {
        Value::String(text) => words.push_str(text),
        Value::Array(parts) => {
            for part in parts {
                match part["text"].as_str() {
                    Some(text) if *part == json!({"type": "text", "text": text}) => words.push_str(text),
                    _ => pictures.push(referred("messages", part)?),
                }
            }
        }
        other => return Err(not_a("messages", "string or array", other)),
    }
    if words.is_empty() { Err(bad("must say something")) } else { Ok((words, pictures)) }
}

/// How a chat ends.
enum ChatEnd {
    Picture(Bytes),
    Refused,
    OnlyText,
}

/// A completion.
#[derive(Serialize)]
struct Completion<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Value; 1],
    usage: CallUsage,
}

fn respond(
    call: &VendorCall,
    parsed: &ParsedRequest,
    ending: ChatEnd,
    usage: CallUsage,
) -> Result<Response, ErrorResponse> {
    let (native, content) = match &ending {
        ChatEnd::Picture(_) => ("STOP", "Here is your picture."),
        ChatEnd::Refused => ("IMAGE_SAFETY", ""),
        ChatEnd::OnlyText => ("STOP", "Which colour shall it have?"),
    };
    let finish = if matches!(ending, ChatEnd::Refused) { "content_filter" } else { "stop" };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null});
    if let ChatEnd::Picture(file) = ending {
        let url = format!("data:{};base64,{}", parsed.format.media_type(), STANDARD.encode_to_string(file));
        message["images"] = json!([{"type": "image_url", "index": 0, "image_url": {"url": url}}]);
    }
    let choice = json!({"index": 0, "finish_reason": finish, "native_finish_reason": native, "message": message});
    let completion = Completion {
        id: format!("gen-{:016x}", call.seed),
        object: "chat.completion",
        created: unix_time(),
        model: &parsed.model,
        choices: [choice],
        usage,
    };
    Ok(ExactJson(completion).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Encoded, Picture, Size, without_data_prefix};
    use crate::sandbox::test_client::{Reply, post, sandbox};
    use crate::sandbox::test_inputs::{as_url, picture};
    use crate::sandbox::{Mode, Sandbox};

    const PATH: &str = "/openrouter/api/v1/chat/completions";
    const GEMINI: &str = "google/gemini-3.1-flash-image";

    fn chat(content: Value) -> Value {
        json!({"model": GEMINI, "messages": [{"role": "user", "content": content}],
            "modalities": ["image", "text"], "stream": false})
    }

    async fn with(sandbox: &Sandbox, extra: Value) -> Reply {
        let mut body = chat(json!("a red bicycle"));
        body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        post(sandbox, PATH, body).await
    }

    fn size(reply: &Reply) -> Size {
        let json = reply.json();
        let url =
            json["choices"][0]["message"]["images"][0]["image_url"]["url"].as_str().unwrap_or_else(|| panic!("{json}"));
        let bytes = without_data_prefix(url.as_bytes()).to_vec();
        Picture::inspect(Encoded::Base64(bytes.into())).unwrap().size
    }

    #[tokio::test]
    async fn a_chat_answers_with_a_picture_and_its_exact_cost() {
        let sandbox = sandbox("{vendors: {openrouter: {default_price: 0.0387}}}").await;
        assert_eq!(size(&with(&sandbox, json!({})).await), Size::new(1024, 1024));
        let reply =
            with(&sandbox, json!({"image_config": {"aspect_ratio": "16:9", "image_size": "2K"}, "seed": 7})).await;
        assert_eq!(size(&reply), Size::new(2736, 1536));
        assert!(String::from_utf8(reply.body).unwrap().contains("\"cost\":0.0387,"));
        let url = as_url(&picture(32, Format::Png, false));
        let parts = json!([{"type": "text", "text": "make it blue"}, {"type": "image_url", "image_url": {"url": url}}]);
        assert_eq!(size(&post(&sandbox, PATH, chat(parts)).await), Size::new(1024, 1024));
        let bill = sandbox.invoice().vendor(Name::OpenRouter).clone();
        assert_eq!((bill.pictures, bill.usd, bill.violations_total), (3, Usd::from_nanos(116_100_000), 0));
    }

    #[tokio::test]
    async fn what_a_chat_about_pictures_does_not_know_is_refused() {
        let sandbox = sandbox("{}").await;
        let junk = json!([{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]);
        let says = |content: Value| json!({"messages": [{"role": "user", "content": content}]});
        let cases = [
            (json!({"n": 2}), 400),
            (json!({"size": "1024x1024"}), 400),
            (json!({"stream": true}), 400),
            (json!({"messages": []}), 400),
            (json!({"messages": [{"role": "system", "content": "x"}]}), 400),
            (says(json!("")), 400),
            (says(json!([{"type": "text"}])), 400),
            (says(junk), 400),
            (json!({"image_config": {"image_size": "3K"}}), 400),
            (json!({"image_config": {"resolution": "1K"}}), 400),
            (json!({"modalities": ["text"]}), 404),
            (json!({"modalities": null}), 404),
            (json!({"model": "black-forest-labs/flux.2-pro"}), 404),
        ];
        let count = cases.len() as u64;
        for (extra, status) in cases {
            assert_eq!(with(&sandbox, extra.clone()).await.status, status, "{extra}");
        }
        let alone = json!({"model": "black-forest-labs/flux.2-pro", "modalities": ["image"]});
        assert_eq!(with(&sandbox, alone).await.status, 200);
        assert_eq!(sandbox.invoice().vendor(Name::OpenRouter).violations_total, count);
    }

    #[tokio::test]
    async fn a_refusal_is_a_200_without_a_picture_or_a_price() {
        let sandbox = sandbox("{}").await;
        let reply = post(&sandbox, PATH, chat(json!("forbidden"))).await;
        let choice = reply.json()["choices"][0].clone();
        assert_eq!((reply.status, choice["finish_reason"].as_str()), (200, Some("content_filter")));
        assert_eq!((choice["message"].get("images"), &reply.json()["usage"]["cost"]), (None, &json!(0)));
        sandbox.set(Name::OpenRouter, |vendor| vendor.mode = Mode::NoPictures);
        assert_eq!(with(&sandbox, json!({})).await.json()["choices"][0]["finish_reason"], "stop");
        sandbox.set(Name::OpenRouter, |vendor| vendor.mode = Mode::Down500);
        assert_eq!(with(&sandbox, json!({})).await.status, 500);
        assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
    }
}
