//! Replicate predictions (PROVIDERS.md section 5): create by model or by version, wait, poll, cancel, fetch files.
//!
//! Only the requests and their answers; what becomes of a prediction is in `predictions.rs`, which inputs a model takes
//! in `models.rs`. Webhooks are accepted and never called.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use serde_json::{Value, json};

use super::call::{BadBody, No, VendorCall, act_out, bearer, finish, origin, read_json};
use super::faults::Mode;
use super::fields::{Fields, Why, Wrong};
use super::settings::{Name, Vendor};
use crate::sandbox::desk::Desk;
use crate::sandbox::files;
use crate::sandbox::replicate::models::Asked;
use crate::sandbox::replicate::predictions::Prediction;
use crate::sandbox::replicate::work::Order;

pub(in crate::sandbox) mod models;
pub(in crate::sandbox) mod predictions;
mod work;

/// The longest `Prefer: wait`.
const LONGEST_WAIT: u64 = 60;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/v1/models/{owner}/{name}/predictions", routing::post(create_by_model))
        .route("/v1/predictions", routing::post(create_by_version))
        .route("/v1/predictions/{id}", routing::get(poll))
        .route("/v1/predictions/{id}/cancel", routing::post(cancel))
        .route("/files/{id}/{file}", routing::get(files::fetch))
        .fallback(lost)
        .method_not_allowed_fallback(lost)
}

async fn create_by_model(
    State(desk): State<Arc<Desk>>,
    Path((owner, name)): Path<(String, String)>,
    request: Request,
) -> Response {
    let mut call = VendorCall::admit(&desk, Name::Replicate, request.headers());
    let answer = create(&mut call, Some(format!("{owner}/{name}")), request).await;
    call.close(answer)
}

async fn create_by_version(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let mut call = VendorCall::admit(&desk, Name::Replicate, request.headers());
    let answer = create(&mut call, None, request).await;
    call.close(answer)
}

async fn create(call: &mut VendorCall, model: Option<String>, request: Request) -> Result<Response, No> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let wait = prefer_wait(&parts.headers)?;
    let deadline = cancel_after(&parts.headers)?;
    let order = read_order(call, model, &parts.headers, body).await?;
    act_out(call.fate, fault).await?;
    let prediction = Prediction::start(call, order, deadline);
    let Some(wait) = wait else {
        return Ok((StatusCode::CREATED, Json(prediction.body(&call.origin))).into_response());
    };
    let ended = tokio::time::timeout(wait, prediction.ended()).await.is_ok();
    let status = if ended { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    Ok((status, Json(prediction.body(&call.origin))).into_response())
}

async fn poll(State(desk): State<Arc<Desk>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let answer =
        find(&desk, &id, &headers).await.map(|found| Json(found.body(&origin(&headers, &desk))).into_response());
    finish(&desk, Name::Replicate, answer)
}

async fn cancel(State(desk): State<Arc<Desk>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let answer = find(&desk, &id, &headers).await.map(|found| {
        found.cancel();
        Json(found.body(&origin(&headers, &desk))).into_response()
    });
    finish(&desk, Name::Replicate, answer)
}

/// The prediction asked about, unless the whole vendor misbehaves. Odds are for creating only.
async fn find(desk: &Desk, id: &str, headers: &HeaderMap) -> Result<Arc<Prediction>, No> {
    let vendor = desk.settings(Name::Replicate);
    authorise(&vendor, headers)?;
    act_out(vendor.mode, fault).await?;
    desk.predictions.get(id).ok_or_else(not_found)
}

async fn lost(State(desk): State<Arc<Desk>>, _: Method, _: Uri) -> Response {
    finish(&desk, Name::Replicate, Err(not_found()))
}

/// Checks the request and finds out what is to be drawn.
async fn read_order(call: &VendorCall, model: Option<String>, headers: &HeaderMap, body: Body) -> Result<Order, No> {
    let mut fields = Fields::json(read_json(headers, body).await.map_err(bad_body)?);
    let version = match &model {
        None => Some(fields.prompt("version", 300).map_err(|wrong| bad_field("", &wrong))?),
        Some(_) => None,
    };
    let input = fields.any("input");
    outer(fields).map_err(|wrong| bad_field("", &wrong))?;
    let asked = match (&model, &version) {
        (Some(name), _) => Asked::by_name(name, &call.vendor),
        (None, Some(version)) => Asked::by_version(version, &call.vendor),
        (None, None) => None,
    };
    let asked = asked.ok_or_else(|| if model.is_some() { not_found() } else { no_such_version() })?;
    let input = match input {
        Some(Value::Object(input)) => input,
        Some(_) => return Err(bad_field("", &Wrong::other("input", "must be an object"))),
        None => return Err(bad_field("", &Wrong::new("input", Why::Missing))),
    };
    let picture = asked.read(input.clone()).map_err(|wrong| bad_field("input.", &wrong))?;
    Ok(Order { model: asked.name, version: version.unwrap_or_else(|| "hidden".to_owned()), input, picture })
}

/// What may stand beside `input`; `additionalProperties` is false.
fn outer(mut fields: Fields) -> Result<(), Wrong> {
    let webhook = fields.text("webhook")?;
    if webhook.is_some_and(|url| !url.starts_with("https://")) {
        return Err(Wrong::other("webhook", "must be an HTTPS URL"));
    }
    if let Some(filter) = fields.any("webhook_events_filter") {
        let known = |event: &Value| ["start", "output", "logs", "completed"].iter().any(|word| event == word);
        if !filter.as_array().is_some_and(|events| events.iter().all(known)) {
            return Err(Wrong::other("webhook_events_filter", "must be a list of start, output, logs, completed"));
        }
    }
    fields.flag("stream")?;
    fields.end()
}

/// `Prefer: wait` or `wait=n`, n from 1 to 60.
fn prefer_wait(headers: &HeaderMap) -> Result<Option<Duration>, No> {
    let Some(value) = headers.get("prefer") else { return Ok(None) };
    let seconds = match value.to_str() {
        Ok("wait") => Some(LONGEST_WAIT),
        Ok(text) => text.strip_prefix("wait=").and_then(|n| n.parse().ok()),
        Err(_) => None,
    };
    let seconds = seconds.filter(|seconds| (1..=LONGEST_WAIT).contains(seconds));
    let bad = || bad_header("Prefer", "must be wait or wait=n with n from 1 to 60");
    seconds.map(|seconds| Some(Duration::from_secs(seconds))).ok_or_else(bad)
}

/// `Cancel-After: 90s`, in s, m or h, at least five seconds; a bare number is seconds.
fn cancel_after(headers: &HeaderMap) -> Result<Option<Duration>, No> {
    let Some(value) = headers.get("cancel-after") else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let text = if text.bytes().all(|byte| byte.is_ascii_digit()) { format!("{text}s") } else { text.to_owned() };
    let known_units = text.bytes().all(|byte| byte.is_ascii_digit() || b"smh".contains(&byte));
    let time = humantime::parse_duration(&text).ok().filter(|time| known_units && *time >= Duration::from_secs(5));
    time.map(Some).ok_or_else(|| bad_header("Cancel-After", "must be a time like 90s, 5m or 1h, at least 5s"))
}

fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), No> {
    if vendor.accepts(bearer(headers)) {
        return Ok(());
    }
    let words = "You did not pass a valid authentication token";
    Err(No::violation(StatusCode::UNAUTHORIZED, problem(StatusCode::UNAUTHORIZED, "Unauthenticated", words)))
}

fn problem(status: StatusCode, title: &str, detail: &str) -> Value {
    json!({"title": title, "detail": detail, "status": status.as_u16()})
}

fn not_found() -> No {
    let words = "The requested resource could not be found.";
    No::violation(StatusCode::NOT_FOUND, problem(StatusCode::NOT_FOUND, "Not found", words))
}

fn no_such_version() -> No {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let words = "The specified version does not exist (or perhaps you don't have permission to use it?)";
    No::violation(status, problem(status, "Invalid version or not permitted", words))
}

fn bad_header(name: &str, sentence: &str) -> No {
    let words = format!("{name} {sentence}");
    No::violation(StatusCode::BAD_REQUEST, problem(StatusCode::BAD_REQUEST, "Invalid header", &words))
}

fn bad_field(inside: &str, wrong: &Wrong) -> No {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let (field, sentence) = (format!("{inside}{}", wrong.field), wrong.sentence());
    let mut body = problem(status, "Input validation failed", &format!("- {field}: {sentence}\n"));
    body["invalid_fields"] = json!([{"field": field, "description": sentence}]);
    No::violation(status, body)
}

fn bad_body(why: BadBody) -> No {
    let (status, words) = match why {
        BadBody::ContentType(given) => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("Unsupported media type \"{given}\" in request."))
        }
        BadBody::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Request body too large.".to_owned()),
        BadBody::NotJson(why) => (StatusCode::BAD_REQUEST, format!("JSON parse error - {why}")),
        BadBody::NotAnObject => (StatusCode::BAD_REQUEST, "The body must be an object.".to_owned()),
    };
    No::violation(status, json!({"detail": words}))
}

/// No `retry-after`: Replicate says when to come back in its sentence.
fn fault(mode: Mode) -> No {
    let (status, body) = match mode {
        Mode::RateLimited { retry_after } => {
            let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
            let words = format!("Request was throttled. Your rate limit resets in ~{seconds}s.");
            (StatusCode::TOO_MANY_REQUESTS, json!({"detail": words, "status": 429, "title": "Too many requests"}))
        }
        Mode::OutOfMoney => {
            let words = "You have insufficient credit to run this model. Go to https://replicate.com/account/billing.";
            let status = StatusCode::PAYMENT_REQUIRED;
            (status, problem(status, "Insufficient credit", words))
        }
        _ => (StatusCode::INTERNAL_SERVER_ERROR, json!({"detail": "Internal server error"})),
    };
    No::fault(status, body)
}

#[cfg(test)]
mod tests {
    use super::super::client::{Reply, get, post, sandbox, send};
    use super::super::{Mode, Sandbox};
    use super::*;
    use crate::image::{Encoded, Fault, Format, Picture, Size};
    use crate::money::Usd;

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
        let order = ["starting", "processing", "succeeded"];
        let mut last = 0;
        while last < 2 {
            let json = get(&sandbox, &poll).await.json();
            let place = order.iter().position(|status| json["status"] == *status).unwrap();
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
            assert_eq!(
                (json["model"].as_str(), json["version"].as_str()),
                (Some("stability-ai/sdxl"), Some(&*version))
            );
            assert_eq!(picture(&sandbox, &json["output"][0]).await.unwrap().size, Size::new(768, 512));
        }
        let by_name =
            post(&sandbox, "/replicate/v1/models/stability-ai/sdxl/predictions", json!({"input": input})).await;
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
}
