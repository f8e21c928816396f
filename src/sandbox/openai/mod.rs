//! The OpenAI Images API as PROVIDERS.md section 1 has it: generations, edits and models.
//!
//! In JSON `null` is absent. An edit comes as a form or as JSON with `data:` URLs; a link to a picture is refused,
//! because nothing is fetched here. Not here: variations.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::json;

use super::fields::{FieldError, FieldErrorKind, RequestFields};
use super::settings::{Name, Vendor};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::file_endpoint;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::openai::auth::authorise;
use crate::sandbox::openai::edit_requests::ParsedEdit;
use crate::sandbox::openai::errors::{bad_body, bad_field, fault_response, invalid, no_such_model, refusal};
use crate::sandbox::openai::models::{Family, MODELS};
use crate::sandbox::openai::requests::{ParsedRequest, RequestForm};
use crate::sandbox::read_http_request::read_json;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

pub(in crate::sandbox) mod auth;
pub(in crate::sandbox) mod edit_requests;
pub(in crate::sandbox) mod errors;
pub(in crate::sandbox) mod models;
pub(in crate::sandbox) mod requests;
mod responses;
pub(in crate::sandbox) mod stream;
mod usage;

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route("/v1/images/generations", routing::post(generate))
        .route("/v1/images/edits", routing::post(edit))
        .route("/v1/models", routing::get(models))
        .route("/files/{id}/{file}", routing::get(file_endpoint::fetch))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
}

async fn generate(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let mut call = VendorCall::admit(&shared, Name::OpenAi, request.headers());
    let answer = answer(&mut call, request).await.map(|answer| with_vendor_headers(answer, &call));
    call.close(answer)
}

async fn answer(call: &mut VendorCall, request: Request) -> Result<Response, ErrorResponse> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let object = read_json(&parts.headers, body).await.map_err(bad_body)?;
    let parsed = parse(RequestFields::nullable(object), &call.vendor, RequestForm::Generation)?;
    execute(call, parsed, "image_generation").await
}

async fn edit(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let mut call = VendorCall::admit(&shared, Name::OpenAi, request.headers());
    let answer = edited(&mut call, request).await.map(|answer| with_vendor_headers(answer, &call));
    call.close(answer)
}

async fn edited(call: &mut VendorCall, request: Request) -> Result<Response, ErrorResponse> {
    authorise(&call.vendor, request.headers())?;
    let ParsedEdit { fields, inputs, form } = ParsedEdit::read(request).await?;
    let mut parsed = parse(fields, &call.vendor, form)?;
    (parsed.fingerprint, parsed.image_tokens) = inputs.check(parsed.family).await.map_err(bad_field)?;
    execute(call, parsed, "image_edit").await
}

/// Reads `fields`, the model included.
fn parse(mut fields: RequestFields, vendor: &Vendor, form: RequestForm) -> Result<ParsedRequest, ErrorResponse> {
    let model = required(fields.text("model").map_err(bad_field)?, "model")?;
    let family = Family::of(&model, vendor).ok_or_else(|| no_such_model(&model))?;
    ParsedRequest::read(model, family, fields, form).map_err(bad_field)
}

async fn execute(call: &mut VendorCall, parsed: ParsedRequest, what: &'static str) -> Result<Response, ErrorResponse> {
    inject_fault(call.fault, fault_response).await?;
    if call.refuses(&parsed.prompt) {
        return Err(refusal(parsed.family.is_dalle(), &request_id(call.seed)));
    }
    if parsed.stream.is_some() {
        return stream::answer(call, parsed, what).await;
    }
    call.work().await;
    Ok(JsonResponse(parsed.respond(call).await?).into_response())
}

/// The headers that section 1.6 observed.
fn with_vendor_headers(mut answer: Response, call: &VendorCall) -> Response {
    let headers = answer.headers_mut();
    headers.insert("openai-version", HeaderValue::from_static("2020-10-01"));
    headers.insert("openai-processing-ms", HeaderValue::from(u64::try_from(call.time.as_millis()).unwrap_or(u64::MAX)));
    if let Ok(id) = HeaderValue::from_str(&request_id(call.seed)) {
        headers.insert("x-request-id", id);
    }
    answer
}

fn request_id(seed: u64) -> String {
    format!("req_{seed:016x}")
}

/// `GET /openai/v1/models`.
async fn models(State(shared): State<Arc<SandboxState>>, headers: HeaderMap) -> Response {
    let vendor = shared.settings(Name::OpenAi);
    let answer = authorise(&vendor, &headers).map(|()| {
        let own = vendor.price.keys().map(String::as_str).filter(|model| !MODELS.iter().any(|(name, _)| name == model));
        let names = MODELS.iter().map(|(name, _)| *name).chain(own);
        let list = names.map(|id| json!({"id": id, "object": "model", "created": 1_745_517_030, "owned_by": "system"}));
        JsonResponse(json!({"object": "list", "data": list.collect::<Vec<_>>()})).into_response()
    });
    finish(&shared, Name::OpenAi, answer)
}

/// Any other path or method.
async fn not_found(State(shared): State<Arc<SandboxState>>, method: axum::http::Method, uri: Uri) -> Response {
    let message = format!("Invalid URL ({method} {})", uri.path());
    finish(&shared, Name::OpenAi, Err(ErrorResponse::violation(StatusCode::NOT_FOUND, invalid(&message, None, None))))
}

fn required(value: Option<String>, name: &str) -> Result<String, ErrorResponse> {
    value.ok_or_else(|| bad_field(FieldError::new(name, FieldErrorKind::Missing)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{Mode, Sandbox};
    use super::*;
    use crate::image::{Encoded, Fault, Format, Picture, Size};
    use crate::money::Usd;
    use crate::sandbox::test_client::{get, post, sandbox, send, start};

    const PATH: &str = "/openai/v1/images/generations";

    fn picture(item: &Value) -> Result<Picture, Fault> {
        Picture::inspect(Encoded::Base64(item["b64_json"].as_str().unwrap().to_owned().into()))
    }

    fn with(extra: Value) -> Value {
        let mut body = json!({"model": "gpt-image-1", "prompt": "a red bicycle"});
        body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        body
    }

    fn violations(sandbox: &Sandbox) -> u64 {
        sandbox.invoice().vendor(Name::OpenAi).violations_total
    }

    #[tokio::test]
    async fn a_gpt_image_comes_in_base64_and_tells_what_it_used() {
        let sandbox = sandbox("{vendors: {openai: {price: {gpt-image-2: 0.005}}}}").await;
        let body = with(json!({"model": "gpt-image-2", "n": 2, "size": "1536x1024", "quality": "low",
            "output_format": "webp", "background": null, "user": "me", "moderation": "low"}));
        let reply = post(&sandbox, PATH, body).await;
        assert_eq!(reply.status, 200);
        assert!(reply.header("x-request-id").is_some_and(|id| id.starts_with("req_")));
        let json = reply.json();
        assert_eq!(json["data"].as_array().unwrap().len(), 2);
        for item in json["data"].as_array().unwrap() {
            assert_eq!(item.as_object().unwrap().len(), 1, "no url and no revised prompt");
            let picture = picture(item).unwrap();
            assert_eq!((picture.format, picture.size), (Format::Webp, Size::new(1536, 1024)));
        }
        assert_ne!(json["data"][0], json["data"][1]);
        for (key, value) in
            [("size", "1536x1024"), ("quality", "low"), ("output_format", "webp"), ("background", "opaque")]
        {
            assert_eq!(json[key], value);
        }
        assert_eq!(json["usage"]["output_tokens"], 800);
        let invoice = sandbox.invoice();
        let bill = invoice.vendor(Name::OpenAi);
        assert_eq!((bill.calls, bill.pictures, bill.usd), (1, 2, Usd::from_nanos(10_000_000)));
        assert_eq!((bill.in_flight, bill.max_in_flight, bill.violations.len()), (0, 1, 0));
    }

    #[tokio::test]
    async fn dall_e_gives_links_unless_base64_is_asked_and_its_third_tells_its_prompt() {
        let sandbox = sandbox("{}").await;
        let json = post(&sandbox, PATH, with(json!({"model": "dall-e-3", "size": "1792x1024"}))).await.json();
        assert!(json["data"][0]["revised_prompt"].as_str().unwrap().contains("a red bicycle"));
        assert_eq!((json.get("usage"), json.get("size")), (None, None));
        let file = get(&sandbox, json["data"][0]["url"].as_str().unwrap()).await;
        assert_eq!((file.status, file.header("content-type")), (200, Some("image/png")));
        assert_eq!(Picture::inspect(Encoded::Raw(file.body.into())).unwrap().size, Size::new(1792, 1024));
        let body = with(json!({"model": "dall-e-2", "size": "256x256", "n": 3, "response_format": "b64_json"}));
        let json = post(&sandbox, PATH, body).await.json();
        assert_eq!(picture(&json["data"][2]).unwrap().size, Size::new(256, 256));
        assert_eq!(json["data"][2].get("revised_prompt"), None);
    }

    #[tokio::test]
    async fn response_format_to_a_gpt_image_is_the_error_that_was_observed() {
        let sandbox = sandbox("{}").await;
        let reply = post(&sandbox, PATH, with(json!({"response_format": "b64_json"}))).await;
        assert_eq!(reply.status, 400);
        let message = "Unknown parameter: 'response_format'.";
        assert_eq!(
            reply.json(),
            json!({"error": {"message": message, "type": "invalid_request_error",
                "param": "response_format", "code": "unknown_parameter"}})
        );
        let invoice = sandbox.invoice();
        let bill = invoice.vendor(Name::OpenAi);
        assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, 1));
        assert!(bill.violations[0].starts_with("400 ") && bill.violations[0].contains(message));
    }

    #[tokio::test]
    async fn every_field_that_is_out_of_line_is_named_and_noted() {
        let sandbox = sandbox("{}").await;
        let cases = [
            (json!({"prompt": null}), "prompt", "missing_required_parameter"),
            (json!({"prompt": ""}), "prompt", "empty_string"),
            (json!({"prompt": "x".repeat(32_001)}), "prompt", "string_above_max_length"),
            (json!({"prompt": 7}), "prompt", "invalid_type"),
            (json!({"model": null}), "model", "missing_required_parameter"),
            (json!({"n": 0}), "n", "integer_below_min_value"),
            (json!({"n": 11}), "n", "integer_above_max_value"),
            (json!({"n": "1"}), "n", "invalid_type"),
            (json!({"n": 1.5}), "n", "invalid_type"),
            (json!({"model": "dall-e-3", "n": 2}), "n", "integer_above_max_value"),
            (json!({"size": "1792x1024"}), "size", "invalid_value"),
            (json!({"model": "gpt-image-2", "size": "1000x1000"}), "size", "invalid_size"),
            (json!({"model": "gpt-image-2", "size": "3840x1024"}), "size", "invalid_size"),
            (json!({"model": "gpt-image-2", "size": "512x512"}), "size", "invalid_size"),
            (json!({"quality": "hd"}), "quality", "invalid_value"),
            (json!({"quality": "xhigh"}), "quality", "invalid_value"),
            (json!({"output_format": "gif"}), "output_format", "invalid_value"),
            (
                json!({"output_format": "jpeg", "output_compression": 101}),
                "output_compression",
                "integer_above_max_value",
            ),
            (json!({"output_compression": 50}), "output_compression", "invalid_value"),
            (json!({"output_format": "jpeg", "background": "transparent"}), "background", "invalid_value"),
            (json!({"style": "vivid"}), "style", "unknown_parameter"),
            (json!({"model": "dall-e-2", "style": "vivid"}), "style", "unknown_parameter"),
            (json!({"model": "dall-e-3", "output_format": "png"}), "output_format", "unknown_parameter"),
            (json!({"model": "dall-e-3", "background": "auto"}), "background", "unknown_parameter"),
            (json!({"model": "gpt-image-2", "complexity": "low"}), "complexity", "unknown_parameter"),
            (json!({"seed": 7}), "seed", "unknown_parameter"),
            (json!({"negative_prompt": "blurry"}), "negative_prompt", "unknown_parameter"),
        ];
        for (count, (extra, param, code)) in cases.iter().enumerate() {
            let reply = post(&sandbox, PATH, with(extra.clone())).await;
            let error = reply.json()["error"].clone();
            assert_eq!((reply.status, &error["param"], &error["code"]), (400, &json!(param), &json!(code)), "{extra}");
            assert_eq!(violations(&sandbox), count as u64 + 1);
        }
        let reply = post(&sandbox, PATH, with(json!({"model": "gpt-image-9"}))).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (404, Some("model_not_found")));
        assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
    }

    #[tokio::test]
    async fn the_newest_models_take_their_own_words() {
        let sandbox = sandbox("{vendors: {openai: {price: {house-model: 1}}}}").await;
        for extra in [
            json!({"model": "gpt-image-2.6-flare", "quality": "max", "complexity": "low", "size": "1024x640"}),
            json!({"model": "gpt-image-2.5-sunburst", "quality": "xhigh", "background": "transparent"}),
            json!({"model": "house-model"}),
        ] {
            assert_eq!(post(&sandbox, PATH, with(extra.clone())).await.status, 200, "{extra}");
        }
    }

    #[tokio::test]
    async fn a_key_is_required_and_must_be_the_right_one() {
        let sandbox = sandbox("{vendors: {openai: {key: sk-right}}}").await;
        let body = with(json!({})).to_string();
        for (key, code) in [(None, json!(null)), (Some("Bearer sk-wrong"), json!("invalid_api_key"))] {
            let mut headers = vec![("content-type", "application/json")];
            headers.extend(key.map(|key| ("authorization", key)));
            let reply = send(sandbox.addr(), "POST", PATH, &headers, body.as_bytes()).await;
            assert_eq!((reply.status, &reply.json()["error"]["code"]), (401, &code));
        }
        let headers = [("content-type", "application/json; charset=utf-8"), ("authorization", "Bearer sk-right")];
        assert_eq!(send(sandbox.addr(), "POST", PATH, &headers, body.as_bytes()).await.status, 200);
        assert_eq!(get(&sandbox, "/openai/v1/models").await.status, 401);
        assert_eq!(violations(&sandbox), 3);
    }

    #[tokio::test]
    async fn a_body_that_is_not_a_json_object_and_a_path_that_is_not_there_are_violations() {
        let sandbox = sandbox("{}").await;
        let key = ("authorization", "Bearer any");
        for (kind, body) in [("text/plain", "{}"), ("application/json", "{\"model\":"), ("application/json", "[]")] {
            let reply = send(sandbox.addr(), "POST", PATH, &[key, ("content-type", kind)], body.as_bytes()).await;
            assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (400, Some("invalid_request_error")));
        }
        assert_eq!(post(&sandbox, "/openai/v1/images/variations", json!({})).await.status, 404);
        assert_eq!(get(&sandbox, PATH).await.json()["error"]["type"], "invalid_request_error");
        assert_eq!(violations(&sandbox), 5);
    }

    #[tokio::test]
    async fn forbidden_content_is_refused_in_each_models_way_and_costs_nothing() {
        let sandbox = sandbox("{}").await;
        let reply = post(&sandbox, PATH, with(json!({"prompt": "a FORBIDDEN bicycle"}))).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, error["code"].as_str()), (400, Some("moderation_blocked")));
        assert_eq!((error["type"].as_str(), &error["param"]), (Some("image_generation_user_error"), &json!(null)));
        assert_eq!(error["moderation_details"]["moderation_stage"], "input");
        let reply = post(&sandbox, PATH, with(json!({"model": "dall-e-3", "prompt": "forbidden"}))).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (400, Some("content_policy_violation")));
        assert_eq!((sandbox.invoice().total, violations(&sandbox)), (Some(Usd::ZERO), 0));
    }

    #[tokio::test]
    async fn each_fault_looks_as_it_does_at_the_vendor_and_only_pictures_cost() {
        let sandbox = sandbox("{}").await;
        let meet = async |mode| {
            sandbox.set(Name::OpenAi, |vendor| vendor.mode = mode);
            post(&sandbox, PATH, with(json!({}))).await
        };
        let reply = meet(Mode::Down500).await;
        assert_eq!((reply.status, reply.json()["error"]["type"].as_str()), (500, Some("server_error")));
        let reply = meet(Mode::RateLimited { retry_after: std::time::Duration::from_millis(1500) }).await;
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("2")));
        assert_eq!(reply.json()["error"]["code"], "rate_limit_exceeded");
        let reply = meet(Mode::OutOfMoney).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (429, Some("insufficient_quota")));
        let reply = meet(Mode::Garbage).await;
        assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let reply = meet(Mode::NoPictures).await;
        assert_eq!((reply.status, &reply.json()["data"]), (200, &json!([])));
        assert_eq!((sandbox.invoice().total, violations(&sandbox)), (Some(Usd::ZERO), 0));
        let reply = meet(Mode::Truncated).await;
        assert_eq!(picture(&reply.json()["data"][0]).err(), Some(Fault::Truncated));
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(40_000_000)), "what was drawn is charged");
    }

    #[tokio::test]
    async fn a_hanging_call_is_in_flight_until_its_client_leaves() {
        let sandbox = sandbox("{vendors: {openai: {mode: hang}}}").await;
        let headers = [("authorization", "Bearer any"), ("content-type", "application/json")];
        let body = with(json!({})).to_string();
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(start(sandbox.addr(), "POST", PATH, &headers, body.as_bytes()).await);
        }
        sandbox.until(Name::OpenAi, |bill| bill.in_flight == 3).await;
        clients.pop();
        sandbox.until(Name::OpenAi, |bill| bill.in_flight == 2).await;
        drop(clients);
        let bill = sandbox.until(Name::OpenAi, |bill| bill.in_flight == 0).await;
        assert_eq!((bill.calls, bill.max_in_flight, bill.usd), (3, 3, Usd::ZERO));
    }

    #[tokio::test]
    async fn the_models_are_listed_with_those_that_the_settings_name() {
        let sandbox = sandbox("{vendors: {openai: {price: {gpt-image-2: 1, house-model: 1}}}}").await;
        let json = get(&sandbox, "/openai/v1/models").await.json();
        let ids: Vec<&str> =
            json["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
        assert_eq!(ids.iter().filter(|id| **id == "gpt-image-2").count(), 1);
        assert!(ids.contains(&"house-model"));
    }
}
