//! An order that was understood is drawn, at once or as a job.

use std::sync::Arc;

use axum::response::Response;

use crate::sandbox::compatible::errors::Trouble;
use crate::sandbox::compatible::requests::Order;
use crate::sandbox::compatible::{answers, jobs};
use crate::sandbox::openai;
use crate::sandbox::vendor_call::{VendorCall, act_out};

/// Draws an order that was understood, at once or as a job.
pub(super) async fn drawn(call: &mut VendorCall, order: Order) -> Result<Response, Trouble> {
    act_out(call.fate, openai::errors::fault).await.map_err(Trouble::Fault)?;
    let vendor = Arc::clone(&call.vendor);
    if let Some(jobs) = &vendor.dialect.jobs {
        return jobs::take_on(call, order, jobs).await.map_err(Trouble::Fault);
    }
    if call.refuses(&order.prompt) {
        return Err(Trouble::Refused);
    }
    call.work().await;
    answers::fill(call, order).await.map_err(Trouble::Fault)
}
