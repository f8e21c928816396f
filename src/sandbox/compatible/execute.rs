//! Executes a request that has been read: injects its fault, then answers with the pictures or with a job.

use std::sync::Arc;

use axum::response::Response;

use crate::sandbox::compatible::errors::CompatibleError;
use crate::sandbox::compatible::requests::ParsedRequest;
use crate::sandbox::compatible::{jobs, responses};
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::openai;
use crate::sandbox::vendor_call::VendorCall;

/// Draws at once, or as a job where the dialect has jobs.
pub(super) async fn execute(call: &mut VendorCall, parsed: ParsedRequest) -> Result<Response, CompatibleError> {
    inject_fault(call.fault, openai::errors::fault_response).await.map_err(CompatibleError::Fault)?;
    let vendor = Arc::clone(&call.vendor);
    if let Some(jobs) = &vendor.dialect.jobs {
        return jobs::accept(call, parsed, jobs).await.map_err(CompatibleError::Fault);
    }
    if call.refuses(&parsed.prompt) {
        return Err(CompatibleError::Refused);
    }
    call.work().await;
    responses::respond(call, parsed).await.map_err(CompatibleError::Fault)
}
