//! An order that was understood is drawn, at once or as a job.

use std::sync::Arc;

use axum::response::Response;

use crate::sandbox::compatible::errors::CompatibleError;
use crate::sandbox::compatible::requests::ParsedRequest;
use crate::sandbox::compatible::{jobs, responses};
use crate::sandbox::fault_injection::inject_fault;
use crate::sandbox::openai;
use crate::sandbox::vendor_call::VendorCall;

/// Draws an order that was understood, at once or as a job.
pub(super) async fn drawn(call: &mut VendorCall, order: ParsedRequest) -> Result<Response, CompatibleError> {
    inject_fault(call.fate, openai::errors::fault).await.map_err(CompatibleError::Fault)?;
    let vendor = Arc::clone(&call.vendor);
    if let Some(jobs) = &vendor.dialect.jobs {
        return jobs::take_on(call, order, jobs).await.map_err(CompatibleError::Fault);
    }
    if call.refuses(&order.prompt) {
        return Err(CompatibleError::Refused);
    }
    call.work().await;
    responses::fill(call, order).await.map_err(CompatibleError::Fault)
}
