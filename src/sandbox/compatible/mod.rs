//! A server that resembles the OpenAI Images API, in whatever dialect the settings give it (PROVIDERS.md 8.3, 8.5).
//!
//! Fields renamed, sizes in other words, pictures in another place or form, errors in another shape: everything an
//! adapter has to bridge can be had here on purpose. Strict like the others: a field the dialect does not know is
//! refused. No known product is imitated in full.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::{Map, Value, json};

use super::fields::RequestFields;
use super::settings::Name;
use crate::sandbox::compatible::auth::authorise;
use crate::sandbox::compatible::errors::CompatibleError;
use crate::sandbox::compatible::execute::execute;
use crate::sandbox::compatible::requests::ParsedRequest;
use crate::sandbox::file_endpoint;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::read_http_request::read_json;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

mod auth;
pub(in crate::sandbox) mod dialect;
pub(in crate::sandbox) mod edits;
pub(in crate::sandbox) mod errors;
mod execute;
pub(in crate::sandbox) mod jobs;
mod requests;
pub(in crate::sandbox) mod responses;
pub(in crate::sandbox) mod sizes;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/v1/images/generations", routing::post(generate))
        .route("/v1/images/edits", routing::post(edits::edit))
        .route("/v1/jobs/{id}", routing::get(jobs::poll))
        .route("/v1/models", routing::get(models))
        .route("/files/{id}/{file}", routing::get(file_endpoint::fetch))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
}

async fn generate(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let mut call = VendorCall::admit(&shared, Name::Compatible, request.headers());
    let shape = call.vendor.dialect.errors;
    let answer = answer(&mut call, request).await.map_err(|error| error.into_error_response(shape));
    call.close(answer)
}

async fn answer(call: &mut VendorCall, request: Request) -> Result<Response, CompatibleError> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let object = read_json(&parts.headers, body).await?;
    let object = if call.vendor.dialect.nested { flatten(object) } else { object };
    let mut fields = RequestFields::nullable(object);
    let fingerprint = edits::in_body(&mut fields, &call.vendor.dialect).await?;
    let mut parsed = ParsedRequest::read(fields, &call.vendor)?;
    parsed.fingerprint = fingerprint;
    execute(call, parsed).await
}

/// An object's fields by their whole names, dots between the keys: `input.prompt`.
fn flatten(object: Map<String, Value>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (key, value) in object {
        match value {
            Value::Object(inner) => {
                fields.extend(flatten(inner).into_iter().map(|(below, value)| (format!("{key}.{below}"), value)));
            }
            value => {
                fields.insert(key, value);
            }
        }
    }
    fields
}

async fn models(State(shared): State<Arc<SandboxState>>, headers: HeaderMap) -> Response {
    let vendor = shared.settings(Name::Compatible);
    let answer = authorise(&vendor, &headers).map(|()| {
        let names = vendor.dialect.models.iter().chain(vendor.price.keys());
        let list: Vec<Value> = names.map(|id| json!({"id": id, "object": "model"})).collect();
        JsonResponse(json!({"object": "list", "data": list})).into_response()
    });
    finish(&shared, Name::Compatible, answer.map_err(|error| error.into_error_response(vendor.dialect.errors)))
}

async fn not_found(State(shared): State<Arc<SandboxState>>, method: Method, uri: Uri) -> Response {
    let vendor = shared.settings(Name::Compatible);
    let error =
        CompatibleError::FieldError(StatusCode::NOT_FOUND, None, format!("no such path: {method} {}", uri.path()));
    finish(&shared, Name::Compatible, Err(error.into_error_response(vendor.dialect.errors)))
}

#[cfg(test)]
mod tests {
    use super::super::Sandbox;
    use super::super::faults::Mode;
    use super::*;
    use crate::image::{Encoded, Picture, without_data_prefix};
    use crate::image::{Format, Size};
    use crate::money::Usd;
    use crate::sandbox::compatible::dialect::CostStyle;
    use crate::sandbox::test_client::{get, post, sandbox, send};

    const PATH: &str = "/compatible/v1/images/generations";

    fn with(extra: Value) -> Value {
        let mut body = json!({"model": "janus-pro-7b", "prompt": "a red bicycle"});
        body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        body
    }

    /// A sandbox whose compatible vendor speaks this dialect.
    async fn speaking(dialect: &str) -> Sandbox {
        sandbox(&format!("{{vendors: {{compatible: {{price: {{janus-pro-7b: 0.006}}, dialect: {dialect}}}}}}}")).await
    }

    async fn size_of(sandbox: &Sandbox, link: &Value) -> Size {
        let file = get(sandbox, link.as_str().unwrap()).await;
        Picture::inspect(Encoded::Raw(file.body.into())).unwrap().size
    }

    #[tokio::test]
    async fn the_plain_dialect_takes_a_size_in_three_ways_and_honours_the_form_asked() {
        let sandbox = speaking("{}").await;
        let sizes =
            [json!({"size": "320x256"}), json!({"image_size": "320x256"}), json!({"width": 320, "height": 256})];
        for size in sizes {
            let json = post(&sandbox, PATH, with(size)).await.json();
            assert_eq!(size_of(&sandbox, &json["data"][0]["url"]).await, Size::new(320, 256));
            assert!(json["created"].is_u64());
        }
        let body = with(json!({"response_format": "b64_json", "n": 2, "size": "320x256", "seed": 3}));
        let json = post(&sandbox, PATH, body.clone()).await.json();
        assert!(json["data"][1]["b64_json"].is_string());
        assert_eq!(post(&sandbox, PATH, body).await.json()["data"], json["data"], "the same seed, the same pictures");
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(42_000_000)));
    }

    #[tokio::test]
    async fn a_dialect_can_rename_fields_and_write_sizes_with_a_star() {
        let sandbox = speaking("{rename: {prompt: text, n: batch_size}, size: width_star_height}").await;
        let body = json!({"model": "janus-pro-7b", "text": "a bicycle", "batch_size": 2, "size": "320*256"});
        let json = post(&sandbox, PATH, body).await.json();
        assert_eq!(size_of(&sandbox, &json["data"][1]["url"]).await, Size::new(320, 256));
        assert_eq!(post(&sandbox, PATH, with(json!({"text": "x"}))).await.json()["error"]["param"], "prompt");
        let body = json!({"model": "janus-pro-7b", "text": "x", "size": "320x256"});
        assert_eq!(post(&sandbox, PATH, body).await.json()["error"]["param"], "size");
    }

    #[tokio::test]
    async fn a_dialect_can_take_a_ratio_only() {
        let sandbox = speaking("{size: aspect_ratio}").await;
        let json = post(&sandbox, PATH, with(json!({"aspect_ratio": "16:9"}))).await.json();
        assert_eq!(size_of(&sandbox, &json["data"][0]["url"]).await, Size::new(1360, 768));
        assert_eq!(post(&sandbox, PATH, with(json!({"size": "1024x1024"}))).await.status, 400);
    }

    #[tokio::test]
    async fn pictures_can_stand_elsewhere_bare_and_with_a_data_prefix() {
        let sandbox =
            speaking("{list: output.images, bare_items: true, answer: data_url, created: false, format: jpeg}").await;
        let json = post(&sandbox, PATH, with(json!({"size": "64x64"}))).await.json();
        let text = json["output"]["images"][0].as_str().unwrap().to_owned();
        assert!(text.starts_with("data:image/jpeg;base64,"));
        let file = Encoded::Base64(without_data_prefix(text.as_bytes()).to_vec().into());
        assert_eq!(Picture::inspect(file).unwrap().format, Format::Jpeg);
        assert_eq!(json.get("created"), None);
    }

    #[tokio::test]
    async fn links_can_be_relative_and_keys_can_be_called_otherwise() {
        let sandbox = speaking("{relative_urls: true, url: link, answer: url, base64_word: base64}").await;
        let json = post(&sandbox, PATH, with(json!({"size": "64x64", "response_format": "base64"}))).await.json();
        assert!(json["data"][0]["link"].as_str().unwrap().starts_with("/compatible/files/"));
        assert_eq!(size_of(&sandbox, &json["data"][0]["link"]).await, Size::new(64, 64));
        let reply = post(&sandbox, PATH, with(json!({"response_format": "b64_json"}))).await;
        assert_eq!(reply.json()["error"]["param"], "response_format");
    }

    #[tokio::test]
    async fn the_cost_header_has_the_exact_price_of_the_call() {
        let sandbox = speaking("{cost_header: x-litellm-response-cost}").await;
        let reply = post(&sandbox, PATH, with(json!({"n": 3, "size": "64x64"}))).await;
        assert_eq!(reply.header("x-litellm-response-cost"), Some("0.018"));
        for (style, written) in [(CostStyle::Scientific, "18000000e-09"), (CostStyle::None, "None")] {
            sandbox.set(Name::Compatible, |vendor| vendor.dialect.cost_style = style);
            let reply = post(&sandbox, PATH, with(json!({"n": 3, "size": "64x64"}))).await;
            assert_eq!(reply.header("x-litellm-response-cost"), Some(written));
        }
    }

    #[tokio::test]
    async fn what_the_dialect_does_not_know_is_refused_and_noted() {
        let sandbox = speaking("{max_n: 4, models: [janus-pro-7b], extra: [loras]}").await;
        assert_eq!(post(&sandbox, PATH, with(json!({"loras": [1], "size": "64x64"}))).await.status, 200);
        let cases = [
            json!({"lora": 1}),
            json!({"n": 5}),
            json!({"size": "0x0"}),
            json!({"width": 9999}),
            json!({"prompt": ""}),
        ];
        for (count, extra) in cases.iter().enumerate() {
            assert_eq!(post(&sandbox, PATH, with(extra.clone())).await.status, 400, "{extra}");
            assert_eq!(sandbox.invoice().vendor(Name::Compatible).violations_total, count as u64 + 1);
        }
        assert_eq!(post(&sandbox, PATH, with(json!({"model": "other"}))).await.status, 404);
        assert_eq!(get(&sandbox, "/compatible/v1/models").await.json()["data"][0]["id"], "janus-pro-7b");
    }

    #[tokio::test]
    async fn a_dialect_may_know_few_fields_and_few_sizes_and_lead_into_objects() {
        let dialect = "{knows: [n, seed], size: width_x_height, sizes: [64x64], size_step: 32, nested: true, \
                       rename: {prompt: input.prompt, size: image_size}, cost_at: usage.cost, answer: base64}";
        let sandbox = speaking(dialect).await;
        let with = |more: Value| {
            let mut body = json!({"model": "janus-pro-7b", "input": {"prompt": "x"}, "image_size": "64x64"});
            body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            body
        };
        let reply = post(&sandbox, PATH, with(json!({"n": 2, "seed": 1}))).await;
        assert_eq!((reply.status, reply.json()["usage"]["cost"].to_string()), (200, "0.012".to_owned()));
        for (more, param) in [
            (json!({"size": "64x64"}), "size"),
            (json!({"quality": "low"}), "quality"),
            (json!({"response_format": "b64_json"}), "response_format"),
            (json!({"image_size": "128x128"}), "image_size"),
            (json!({"image_size": "65x64"}), "image_size"),
            (json!({"input": {"prompt": "x", "seed": 1}}), "input.seed"),
        ] {
            assert_eq!(post(&sandbox, PATH, with(more)).await.json()["error"]["param"], param);
        }
        let native = speaking("{size: none, default_size: 384x384, answer: url}").await;
        let json = post(&native, PATH, json!({"model": "janus-pro-7b", "prompt": "x"})).await.json();
        assert_eq!(size_of(&native, &json["data"][0]["url"]).await, Size::new(384, 384));
    }

    #[tokio::test]
    async fn errors_come_in_the_shape_of_the_dialect() {
        let cases = [
            ("code_message", 400, "/code", json!(20400)),
            ("openai", 400, "/error/param", json!("lora")),
            ("fastapi", 422, "/detail/0/loc/1", json!("lora")),
            ("text", 400, "/error", json!("Unknown parameter: 'lora'.")),
            ("message", 400, "/message", json!("Unknown parameter: 'lora'.")),
            ("code_msg", 400, "/code", json!(40001)),
        ];
        for (shape, status, place, value) in cases {
            let sandbox = speaking(&format!("{{errors: {shape}}}")).await;
            let reply = post(&sandbox, PATH, with(json!({"lora": 1}))).await;
            assert_eq!((reply.status, reply.json().pointer(place)), (status, Some(&value)), "{shape}");
            let reply = post(&sandbox, PATH, with(json!({"prompt": "forbidden"}))).await;
            assert_eq!(reply.status, 400);
            assert!(String::from_utf8(reply.body).unwrap().contains("content_policy_violation"), "{shape}");
            sandbox.set(Name::Compatible, |vendor| vendor.mode = Mode::Down500);
            assert_eq!(post(&sandbox, PATH, with(json!({}))).await.status, 500);
            sandbox.set(Name::Compatible, |vendor| vendor.mode = Mode::Garbage);
            let reply = post(&sandbox, PATH, with(json!({}))).await;
            assert!(reply.status == 200 && reply.body.starts_with(b"<!doctype html>"), "{shape}");
            assert_eq!(sandbox.invoice().vendor(Name::Compatible).violations_total, 1);
        }
    }

    #[tokio::test]
    async fn a_key_is_required_where_the_dialect_has_it_unless_the_door_is_open() {
        let body = with(json!({"size": "64x64"})).to_string();
        let json = ("content-type", "application/json");
        let closed = speaking("{auth_header: x-key, auth_prefix: ''}").await;
        for (headers, status) in [
            (vec![json], 401),
            (vec![json, ("authorization", "Bearer any")], 401),
            (vec![json, ("x-key", "any")], 200),
            (vec![("x-key", "any")], 415),
        ] {
            assert_eq!(send(closed.addr(), "POST", PATH, &headers, body.as_bytes()).await.status, status);
        }
        let strict = speaking("{open: true, headers: {x-version: '2'}}").await;
        for (version, status) in [("1", 400), ("2", 200)] {
            let headers = [json, ("x-version", version)];
            assert_eq!(send(strict.addr(), "POST", PATH, &headers, body.as_bytes()).await.status, status);
        }
        let open = speaking("{open: true}").await;
        assert_eq!(send(open.addr(), "POST", PATH, &[json], body.as_bytes()).await.status, 200);
    }
}
