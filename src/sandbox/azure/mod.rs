//! Azure OpenAI as PROVIDERS.md section 2 has it: OpenAI's models behind deployments, classic and v1.
//!
//! A deployment is named as its owner likes, so here the model behind one is the model whose name its name contains, or
//! a `gpt-image-2` where only the settings know it. The classic surface wants an `api-version` new enough for the model
//! and ignores `model` in the body; the v1 surface reads the deployment there. A key opens it, or a token that
//! `token_endpoint.rs` gave.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use serde_json::{Value, json};

use super::fields::{FieldError, FieldErrorKind, RequestFields};
use super::settings::{Name, Vendor};
use crate::sandbox::azure::auth::authorise;
use crate::sandbox::azure::errors::{
    as_azure_error, bad_field, fault_response, no_such_deployment, refusal, violation,
};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::openai::edit_requests::ParsedEdit;
use crate::sandbox::openai::models::{Family, MODELS};
use crate::sandbox::openai::requests::{ParsedRequest, RequestForm};
use crate::sandbox::read_http_request::read_json;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};
use crate::sandbox::{file_endpoint, openai};

mod auth;
mod errors;
pub(in crate::sandbox) mod token_endpoint;

const DEPLOYMENT: &str = "/openai/deployments/{deployment}/images";
const V1: &str = "/openai/v1/images";

pub(super) fn routes() -> Router<Arc<SandboxState>> {
    Router::new()
        .route(&format!("{DEPLOYMENT}/generations"), routing::post(classic_generation))
        .route(&format!("{DEPLOYMENT}/edits"), routing::post(classic_edit))
        .route(&format!("{V1}/generations"), routing::post(v1_generation))
        .route(&format!("{V1}/edits"), routing::post(v1_edit))
        .route("/files/{id}/{file}", routing::get(file_endpoint::fetch))
        .route("/login/{tenant}/oauth2/v2.0/token", routing::post(token_endpoint::grant))
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
}

async fn classic_generation(shared: State<Arc<SandboxState>>, Path(name): Path<String>, request: Request) -> Response {
    serve(shared, request, Some(name), false).await
}

async fn classic_edit(shared: State<Arc<SandboxState>>, Path(name): Path<String>, request: Request) -> Response {
    serve(shared, request, Some(name), true).await
}

async fn v1_generation(shared: State<Arc<SandboxState>>, request: Request) -> Response {
    serve(shared, request, None, false).await
}

async fn v1_edit(shared: State<Arc<SandboxState>>, request: Request) -> Response {
    serve(shared, request, None, true).await
}

async fn not_found(State(shared): State<Arc<SandboxState>>, method: Method, uri: Uri) -> Response {
    let message = format!("Resource not found: {method} {}", uri.path());
    finish(&shared, Name::Azure, Err(violation(StatusCode::NOT_FOUND, "404", &message)))
}

/// Answers a call to the deployment in the path, or in the body where the path has none.
async fn serve(
    State(shared): State<Arc<SandboxState>>,
    request: Request,
    deployment: Option<String>,
    edits: bool,
) -> Response {
    let mut call = VendorCall::admit(&shared, Name::Azure, request.headers());
    let mut answer = match authorise(&call.vendor, &shared.vendor_state(Name::Azure).tokens, request.headers()) {
        Ok(()) => answer(&mut call, request, deployment, edits).await,
        Err(error) => Err(error),
    };
    if let Ok(answer) = &mut answer
        && let Ok(id) = HeaderValue::from_str(&format!("{:032x}", call.seed))
    {
        answer.headers_mut().insert("apim-request-id", id);
    }
    call.close(answer)
}

async fn answer(
    call: &mut VendorCall,
    request: Request,
    deployment: Option<String>,
    edits: bool,
) -> Result<Response, ErrorResponse> {
    let version = version(request.uri());
    let (mut fields, inputs, form) = if edits {
        let ParsedEdit { fields, inputs, form } = ParsedEdit::read_form(request).await.map_err(as_azure_error)?;
        (fields, Some(inputs), form)
    } else {
        let (parts, body) = request.into_parts();
        let object = read_json(&parts.headers, body).await;
        let object = object.map_err(|why| as_azure_error(openai::errors::bad_body(why)))?;
        (RequestFields::nullable(object), None, RequestForm::Generation)
    };
    let named = fields.text("model").map_err(bad_field)?;
    let v1 = deployment.is_none();
    let deployment =
        deployment.or(named).ok_or_else(|| bad_field(FieldError::new("model", FieldErrorKind::Missing)))?;
    let family = model_of(&deployment, &call.vendor).ok_or_else(no_such_deployment)?;
    check_version(version.as_deref(), v1, family)?;
    let mut parsed = ParsedRequest::read(deployment, family, fields, form).map_err(bad_field)?;
    if let Some(inputs) = inputs {
        (parsed.fingerprint, parsed.image_tokens) = inputs.check(family).await.map_err(bad_field)?;
    }
    inject_fault(call.fault, fault_response).await?;
    if call.refuses(&parsed.prompt) {
        return Err(refusal(family));
    }
    if parsed.stream.is_some() {
        let what = if edits { "image_edit" } else { "image_generation" };
        return openai::stream::answer(call, parsed, what).await;
    }
    call.work().await;
    let mut body = parsed.respond(call).await?;
    annotate(&mut body);
    Ok(JsonResponse(body).into_response())
}

/// The model behind a deployment: the longest name that its name contains.
fn model_of(deployment: &str, vendor: &Vendor) -> Option<Family> {
    let known = MODELS.iter().filter(|(name, _)| deployment.contains(name)).max_by_key(|(name, _)| name.len());
    known.map(|(_, family)| *family).or_else(|| vendor.price.contains_key(deployment).then_some(Family::Gpt2))
}

fn version(uri: &Uri) -> Option<String> {
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    query.into_iter().find(|(key, _)| key == "api-version").map(|(_, value)| value.into_owned())
}

/// DALL-E came with 2024-02-01, the GPT image models with 2025-04-01; a version is a date, so texts compare as dates.
fn check_version(version: Option<&str>, v1: bool, family: Family) -> Result<(), ErrorResponse> {
    let first = if family.is_dalle() { "2024-02-01" } else { "2025-04-01" };
    let good = match version {
        None => v1,
        Some(version) if v1 => matches!(version, "preview" | "v1"),
        Some(version) => version.starts_with("20") && version >= first,
    };
    if good { Ok(()) } else { Err(violation(StatusCode::NOT_FOUND, "404", "Resource not found")) }
}

/// What the content filters found, beside every picture.
fn annotate(body: &mut Value) {
    let safe = json!({"filtered": false, "severity": "safe"});
    let found = json!({"hate": safe, "self_harm": safe, "sexual": safe, "violence": safe});
    let mut in_prompt = found.clone();
    in_prompt["profanity"] = json!({"detected": false, "filtered": false});
    in_prompt["jailbreak"] = json!({"detected": false, "filtered": false});
    for item in body["data"].as_array_mut().into_iter().flatten() {
        item["content_filter_results"] = found.clone();
        item["prompt_filter_results"] = in_prompt.clone();
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;

    use super::super::{Mode, Sandbox};
    use super::*;
    use crate::image::{Encoded, Format, Picture, Size};
    use crate::money::Usd;
    use crate::sandbox::test_client::{Reply, sandbox, send};
    use crate::sandbox::test_inputs::{FORM, form, picture};

    const CLASSIC: &str = "/azure/openai/deployments/gpt-image-1/images/generations?api-version=2025-04-01-preview";

    async fn ask(sandbox: &Sandbox, path: &str, body: Value) -> Reply {
        let headers = [("api-key", "any"), ("content-type", "application/json")];
        send(sandbox.addr(), "POST", path, &headers, body.to_string().as_bytes()).await
    }

    async fn edit(sandbox: &Sandbox, path: &str, texts: &[(&str, &str)], files: &[(&str, &Bytes)]) -> Reply {
        let headers = [("api-key", "any"), ("content-type", FORM)];
        send(sandbox.addr(), "POST", path, &headers, &form(texts, files)).await
    }

    fn size(reply: &Reply) -> Size {
        let text =
            reply.json()["data"][0]["b64_json"].as_str().unwrap_or_else(|| panic!("{}", reply.json())).to_owned();
        Picture::inspect(Encoded::Base64(text.into())).unwrap().size
    }

    #[tokio::test]
    async fn a_deployment_draws_by_either_surface_with_what_the_filters_found() {
        let sandbox = sandbox("{vendors: {azure: {price: {gpt-image-1: 0.042, art-dall-e-3: 0.08}}}}").await;
        let reply = ask(&sandbox, CLASSIC, json!({"prompt": "x", "size": "1536x1024", "model": "whatever"})).await;
        assert_eq!(size(&reply), Size::new(1536, 1024));
        assert!(reply.header("apim-request-id").is_some());
        assert_eq!(reply.json()["data"][0]["content_filter_results"]["hate"]["severity"], "safe");
        assert_eq!(reply.json()["data"][0]["prompt_filter_results"]["jailbreak"]["detected"], false);
        let v1 = "/azure/openai/v1/images/generations";
        assert_eq!(
            size(&ask(&sandbox, v1, json!({"prompt": "x", "model": "gpt-image-1"})).await),
            Size::new(1024, 1024)
        );
        let art = "/azure/openai/deployments/art-dall-e-3/images/generations?api-version=2024-02-01";
        let body = json!({"prompt": "x", "size": "1792x1024", "style": "vivid", "response_format": "b64_json"});
        assert_eq!(size(&ask(&sandbox, art, body).await), Size::new(1792, 1024));
        let invoice = sandbox.invoice();
        let bill = invoice.vendor(Name::Azure);
        assert_eq!((bill.pictures, bill.usd, &bill.violations[..]), (3, Usd::from_nanos(164_000_000), &[][..]));
    }

    #[tokio::test]
    async fn a_deployment_changes_pictures_from_a_form() {
        let sandbox = sandbox("{vendors: {azure: {default_price: 0.05}}}").await;
        let (png, mask) = (picture(64, Format::Png, false), picture(64, Format::Png, true));
        let path = CLASSIC.replace("generations", "edits");
        let texts = [("prompt", "x"), ("size", "1024x1536"), ("input_fidelity", "high")];
        let files = [("image[]", &png), ("image[]", &png), ("mask", &mask)];
        assert_eq!(size(&edit(&sandbox, &path, &texts, &files).await), Size::new(1024, 1536));
        let v1 = [("prompt", "x"), ("model", "gpt-image-1")];
        let reply = edit(&sandbox, "/azure/openai/v1/images/edits", &v1, &[("image", &png)]).await;
        assert_eq!(size(&reply), Size::new(1024, 1024));
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(100_000_000)));
        let reply = edit(&sandbox, &path, &texts, &[("image[]", &png), ("mask", &png)]).await;
        assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some("mask")));
    }

    #[tokio::test]
    async fn every_mistake_has_azures_status_and_code() {
        let sandbox = sandbox("{vendors: {azure: {key: right}}}").await;
        let at = |from: &str, to: &str| CLASSIC.replace(from, to);
        let good = json!({"prompt": "x"});
        let cases = [
            (at("", ""), "wrong", good.clone(), 401, "401"),
            (at("gpt-image-1", "nobody"), "right", good.clone(), 404, "DeploymentNotFound"),
            (at("?api-version=2025-04-01-preview", ""), "right", good.clone(), 404, "404"),
            (at("2025-04-01-preview", "2024-02-01"), "right", good.clone(), 404, "404"),
            (at("generations", "variations"), "right", good.clone(), 404, "404"),
            (
                "/azure/openai/v1/images/generations".to_owned(),
                "right",
                good.clone(),
                400,
                "missing_required_parameter",
            ),
            (at("", ""), "right", json!({"prompt": "x", "size": "1x1"}), 400, "invalid_value"),
            (at("", ""), "right", json!({"prompt": "x", "style": "vivid"}), 400, "unknown_parameter"),
            (at("", ""), "right", json!({"prompt": "x", "response_format": "url"}), 400, "unknown_parameter"),
        ];
        let count = cases.len() as u64;
        for (path, key, body, status, code) in cases {
            let headers = [("api-key", key), ("content-type", "application/json")];
            let reply = send(sandbox.addr(), "POST", &path, &headers, body.to_string().as_bytes()).await;
            assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (status, Some(code)), "{path} {body}");
        }
        let headers = [("authorization", "Bearer right"), ("content-type", "application/json")];
        assert_eq!(send(sandbox.addr(), "POST", CLASSIC, &headers, b"{}").await.status, 401);
        let bill = sandbox.invoice().vendor(Name::Azure).clone();
        assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, count + 1));
    }

    #[tokio::test]
    async fn refusals_and_faults_are_azures_own_and_cost_nothing() {
        let sandbox = sandbox("{}").await;
        let reply = ask(&sandbox, CLASSIC, json!({"prompt": "forbidden"})).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (400, Some("moderation_blocked")));
        let art = "/azure/openai/deployments/dall-e-3/images/generations?api-version=2024-02-01";
        let error = ask(&sandbox, art, json!({"prompt": "forbidden"})).await.json()["error"].clone();
        assert_eq!(
            (error["code"].as_str(), error["inner_error"]["code"].as_str()),
            (Some("contentFilter"), Some("ResponsibleAIPolicyViolation"))
        );
        let meet = async |mode| {
            sandbox.set(Name::Azure, |vendor| vendor.mode = mode);
            ask(&sandbox, CLASSIC, json!({"prompt": "x"})).await
        };
        let reply = meet(Mode::RateLimited { retry_after: std::time::Duration::from_millis(25_500) }).await;
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("26")));
        assert!(reply.json()["error"]["message"].as_str().unwrap().ends_with("retry after 26 seconds."));
        let reply = meet(Mode::OutOfMoney).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (429, Some("insufficient_quota")));
        assert_eq!(meet(Mode::Down500).await.status, 500);
        assert_eq!(meet(Mode::NoPictures).await.json()["data"], json!([]));
        let bill = sandbox.invoice().vendor(Name::Azure).clone();
        assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, 0));
    }
}
