//! What OpenRouter's image API and its chat do alike to answer: draw, charge, and say what the call cost.
//!
//! What a call is charged stands in its answer, as a number with every digit, small ones in scientific notation as
//! JavaScript writes them.

use axum::body::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::money::Usd;
use crate::sandbox::draw::{Sketch, draw_all};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::openrouter::requests::ParsedRequest;
use crate::sandbox::vendor_call::VendorCall;

impl ParsedRequest {
    pub(super) async fn draw(&self, call: &VendorCall) -> Result<Vec<Bytes>, ErrorResponse> {
        let seed = self.seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(call.seed) ^ self.fingerprint;
        let sketch = |index| Sketch {
            format: self.format,
            transparent: self.transparent,
            ..call.sketch(&self.prompt, seed, index, self.size)
        };
        draw_all((0..self.n).map(sketch).collect()).await
    }

    /// Charges the pictures and says so.
    pub(super) fn charge(&self, call: &VendorCall) -> Result<CallUsage, ErrorResponse> {
        let charged = call.charge(&self.model, self.size, self.quality.as_deref(), self.n, 0)?;
        CallUsage::of(charged)
    }
}

/// What a call took and costs.
#[derive(Serialize)]
pub(super) struct CallUsage {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
    /// The digits themselves.
    cost: Box<RawValue>,
    is_byok: bool,
}

impl CallUsage {
    pub(super) fn of(cost: Usd) -> Result<CallUsage, ErrorResponse> {
        let cost = RawValue::from_string(digits(cost)).map_err(|_| ErrorResponse::broken())?;
        Ok(CallUsage { prompt_tokens: 8, completion_tokens: 1290, total_tokens: 1298, cost, is_byok: false })
    }
}

/// An amount as JavaScript prints it: below a millionth in scientific notation.
fn digits(usd: Usd) -> String {
    match usd.nanos() {
        nanos @ 1..1000 => format!("{nanos}e-9"),
        _ => usd.to_string(),
    }
}
