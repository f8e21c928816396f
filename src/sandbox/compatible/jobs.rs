//! Jobs at the compatible vendor: it answers a request with the name of a job, and the client polls that until it is
//! done.
//!
//! The dialect's `jobs` says where the names stand and which words are the states. A request is checked at once and
//! refused, if at all, when its job ends. A job whose fault is `NoPictures` fails. Jobs cannot be cancelled.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::sandbox::compatible::auth::authorise;
use crate::sandbox::compatible::dialect::Jobs;
use crate::sandbox::compatible::errors::CompatibleError;
use crate::sandbox::compatible::requests::ParsedRequest;
use crate::sandbox::compatible::responses::{UnchargedPictures, put_at};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::json_response::JsonResponse;
use crate::sandbox::read_http_request::origin;
use crate::sandbox::settings::Name;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::{VendorCall, finish};

/// How a job ends.
enum JobEnd {
    Drawn(Box<UnchargedPictures>),
    Failed(&'static str),
    Refused(&'static str),
}

/// Accepts a request as a job.
pub(in crate::sandbox) async fn accept(
    call: &mut VendorCall,
    parsed: ParsedRequest,
    jobs: &Jobs,
) -> Result<Response, ErrorResponse> {
    let ending = if call.refuses(&parsed.prompt) {
        JobEnd::Refused("Your request was rejected by our safety system.")
    } else if call.fault == Mode::NoPictures {
        JobEnd::Failed("CUDA out of memory")
    } else {
        JobEnd::Drawn(Box::new(UnchargedPictures::prepare(call, parsed).await?))
    };
    let (shared, ended) = (Arc::clone(&call.shared), jobs.clone());
    let task =
        shared.vendor_state(Name::Compatible).tasks.start(call.take_guard(), call.time, move |_| end(ending, &ended));
    let mut body = json!({});
    put_at(&mut body, &jobs.state, json!(jobs.running));
    put_id_and_address(&mut body, jobs, &task.id, &call.origin);
    Ok((StatusCode::ACCEPTED, JsonResponse(body)).into_response())
}

/// Charges, and says what the job ended with.
fn end(ending: JobEnd, jobs: &Jobs) -> Value {
    let (mut body, state) = match ending {
        JobEnd::Drawn(work) => match work.finish() {
            Some((body, _)) => (body, &jobs.done),
            None => (json!({}), &jobs.failed),
        },
        JobEnd::Failed(why) => (failure_body(jobs, why), &jobs.failed),
        JobEnd::Refused(why) => (failure_body(jobs, why), jobs.refused.as_ref().unwrap_or(&jobs.failed)),
    };
    put_at(&mut body, &jobs.state, json!(state));
    body
}

fn failure_body(jobs: &Jobs, why: &str) -> Value {
    let mut body = json!({});
    put_at(&mut body, &jobs.reason, json!(why));
    body
}

/// The job's name and address, where the dialect has them.
fn put_id_and_address(body: &mut Value, jobs: &Jobs, id: &str, origin: &str) {
    put_at(body, &jobs.id, json!(id));
    if let Some(path) = &jobs.address {
        put_at(body, path, json!(format!("{origin}/compatible/v1/jobs/{id}")));
    }
}

/// `GET /compatible/v1/jobs/{id}`.
pub(in crate::sandbox) async fn poll(
    State(shared): State<Arc<SandboxState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let vendor = shared.settings(Name::Compatible);
    let unknown = || CompatibleError::FieldError(StatusCode::NOT_FOUND, None, format!("no such job: {id}"));
    let answer = authorise(&vendor, &headers).and_then(|()| {
        let jobs = vendor.dialect.jobs.as_ref().ok_or_else(unknown)?;
        let task = shared.vendor_state(Name::Compatible).tasks.get(&id).ok_or_else(unknown)?;
        let mut body = task.ended_with().unwrap_or_else(|| {
            let mut body = json!({});
            put_at(&mut body, &jobs.state, json!(jobs.running));
            body
        });
        put_id_and_address(&mut body, jobs, &id, &origin(&headers, &shared.url));
        Ok(JsonResponse(body).into_response())
    });
    finish(&shared, Name::Compatible, answer.map_err(|error| error.into_error_response(vendor.dialect.errors)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Usd;
    use crate::sandbox::Sandbox;
    use crate::sandbox::test_client::{get, post, sandbox, send};

    async fn acme() -> Sandbox {
        let jobs = "{id: job.id, state: job.state, address: urls.get, refused: blocked, reason: error.message}";
        let dialect = format!("{{jobs: {jobs}, list: output.images, bare_items: true, answer: base64}}");
        sandbox(&format!("{{vendors: {{compatible: {{default_price: 0.02, dialect: {dialect}}}}}}}")).await
    }

    /// The job's last answer.
    async fn ended(sandbox: &Sandbox, prompt: &str) -> Value {
        let body = json!({"model": "m", "prompt": prompt, "n": 2, "size": "64x64"});
        let first = post(sandbox, "/compatible/v1/images/generations", body).await;
        let url = first.json()["urls"]["get"].as_str().unwrap().to_owned();
        assert_eq!((first.status, &first.json()["job"]["state"]), (202, &json!("running")));
        sandbox.until(Name::Compatible, |bill| bill.in_flight == 0).await;
        let path = url.strip_prefix(&sandbox.url()).unwrap();
        send(sandbox.addr(), "GET", path, &[("authorization", "Bearer any")], b"").await.json()
    }

    #[tokio::test]
    async fn a_job_ends_with_its_pictures_which_are_charged_then() {
        let sandbox = acme().await;
        let done = ended(&sandbox, "a fox").await;
        assert_eq!(done["job"]["state"], "succeeded");
        assert_eq!(done["output"]["images"].as_array().map(Vec::len), Some(2));
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(40_000_000)));
        let refused = ended(&sandbox, "forbidden").await;
        assert_eq!((&refused["job"]["state"], refused["output"].is_null()), (&json!("blocked"), true));
        sandbox.set(Name::Compatible, |vendor| vendor.mode = Mode::NoPictures);
        let failed = ended(&sandbox, "a fox").await;
        assert_eq!(
            (&failed["job"]["state"], &failed["error"]["message"]),
            (&json!("failed"), &json!("CUDA out of memory"))
        );
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(40_000_000)));
        assert_eq!(get(&sandbox, "/compatible/v1/jobs/none").await.status, 404);
    }
}
