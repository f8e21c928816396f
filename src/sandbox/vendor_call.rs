//! One call at a vendor: its place in flight, the fault it meets, its random seed, its work and its charge.
//!
//! The vendors' files read requests and word answers; what a call has in common at all of them is here.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use crate::image::Size;
use crate::money::Usd;
use crate::sandbox::billing::CallGuard;
use crate::sandbox::draw::Sketch;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fault_injection::spoil_answer;
use crate::sandbox::faults::Mode;
use crate::sandbox::lock::lock;
use crate::sandbox::metered_prices::ImageTokens;
use crate::sandbox::read_http_request::origin;
use crate::sandbox::settings::{Name, Vendor};
use crate::sandbox::state::SandboxState;

/// A call that asks for pictures.
#[derive(Debug)]
pub(super) struct VendorCall {
    pub shared: Arc<SandboxState>,
    /// Where its links lead.
    pub origin: String,
    pub name: Name,
    /// The settings when the call came.
    pub vendor: Arc<Vendor>,
    /// The fault it meets; `Normal` for none.
    pub fault: Mode,
    /// Its own random number, for pictures, ids and seeds.
    pub seed: u64,
    /// How long its drawing takes.
    pub time: Duration,
    guard: Option<CallGuard>,
}

impl VendorCall {
    /// Counts the call and draws its random numbers, always the same ones in the same order, so that a run repeats.
    pub(super) fn admit(shared: &Arc<SandboxState>, name: Name, headers: &HeaderMap) -> VendorCall {
        let vendor_state = shared.vendor_state(name);
        let vendor = shared.settings(name);
        let (roll, jitter, seed) = {
            let mut rng = lock(&vendor_state.rng);
            let most = u64::try_from(vendor.jitter.as_micros()).unwrap_or(u64::MAX);
            (rng.u16(0..1000), Duration::from_micros(rng.u64(0..=most)), rng.u64(..))
        };
        let fault = if vendor.mode == Mode::Normal { vendor.faults.pick(roll) } else { vendor.mode };
        let time = vendor.latency.saturating_add(jitter);
        VendorCall {
            shared: Arc::clone(shared),
            origin: origin(headers, &shared.url),
            name,
            fault,
            seed,
            time,
            guard: Some(vendor_state.billing.begin_call()),
            vendor,
        }
    }

    /// Whether the content is refused: its prompt has the word "forbidden", or the call's fault is a refusal.
    pub(super) fn refuses(&self, prompt: &str) -> bool {
        self.fault == Mode::Refusing || prompt.to_lowercase().contains("forbidden")
    }

    /// Waits as long as this call's drawing takes.
    pub(super) async fn work(&self) {
        tokio::time::sleep(self.time).await;
    }

    /// Charges `count` pictures, `refused` of them withheld, and gives the amount.
    pub(super) fn charge(
        &self,
        model: &str,
        size: Size,
        quality: Option<&str>,
        count: u32,
        refused: u32,
    ) -> Result<Usd, ErrorResponse> {
        let price = self.vendor.price_of(model, size, quality);
        self.shared
            .vendor_state(self.name)
            .billing
            .charge(model, price, count, refused)
            .ok_or_else(ErrorResponse::broken)
    }

    /// Charges a call by its tokens, and `count` pictures with it. `None` where this model is charged by the picture.
    pub(super) fn charge_tokens(
        &self,
        model: &str,
        tokens: &ImageTokens,
        count: u32,
    ) -> Option<Result<(), ErrorResponse>> {
        let usd = self.vendor.rates.tokens(model, tokens)?;
        Some(
            self.shared
                .vendor_state(self.name)
                .billing
                .charge_call(model, usd, count)
                .ok_or_else(ErrorResponse::broken),
        )
    }

    /// Charges text that `model` wrote.
    pub(super) fn charge_text(&self, model: &str, usd: Usd) -> Result<(), ErrorResponse> {
        self.shared.vendor_state(self.name).billing.charge_text(model, usd).ok_or_else(ErrorResponse::broken)
    }

    /// A charge like [`VendorCall::charge`], to be applied later.
    pub(super) fn pending_charge(&self, model: &str, size: Size, quality: Option<&str>, count: u32) -> PendingCharge {
        let price = self.vendor.price_of(model, size, quality);
        PendingCharge {
            shared: Arc::clone(&self.shared),
            name: self.name,
            model: model.to_owned(),
            price,
            count,
            whole: None,
        }
    }

    /// A sketch as this call's fault and its vendor's settings have it.
    pub(super) fn sketch(&self, prompt: &str, seed: u64, index: u32, size: Size) -> Sketch {
        let mut sketch = Sketch::new(prompt, seed, index, size);
        sketch.min_bytes = self.vendor.min_bytes;
        sketch.truncated = self.fault == Mode::Truncated;
        sketch.blank = self.fault == Mode::Blank;
        sketch.blurred = self.fault == Mode::Blurred;
        sketch.hangs = self.fault == Mode::HangingDownload;
        if self.fault == Mode::OddSize {
            sketch.size = Size::new(size.width.div_ceil(2), size.height.div_ceil(2));
        }
        sketch
    }

    /// The place in flight, for work that goes on when the call has been answered.
    pub(super) fn take_guard(&mut self) -> Option<CallGuard> {
        self.guard.take()
    }

    /// Ends the call with its response, which a late fault may spoil.
    pub(super) fn close(self, answer: Result<Response, ErrorResponse>) -> Response {
        finish(&self.shared, self.name, answer.map(|answer| spoil_answer(self.fault, answer)))
    }
}

/// What a call will be charged when it is done.
#[derive(Debug)]
pub(super) struct PendingCharge {
    shared: Arc<SandboxState>,
    name: Name,
    model: String,
    price: Usd,
    count: u32,
    /// The price of all together, where it is not by the picture.
    whole: Option<Usd>,
}

impl PendingCharge {
    /// The same at a price by the call; `None` leaves it as it is.
    pub(super) fn of_a_call(self, whole: Option<Usd>) -> PendingCharge {
        PendingCharge { whole, ..self }
    }

    /// Charges it.
    pub(super) fn apply(&self) {
        // The invoice says when a sum does not fit.
        let billing = &self.shared.vendor_state(self.name).billing;
        match self.whole {
            Some(usd) => drop(billing.charge_call(&self.model, usd, self.count)),
            None => drop(billing.charge(&self.model, self.price, self.count, 0)),
        }
    }
}

/// Notes a violation on the invoice and turns the outcome into a response.
pub(super) fn finish(shared: &SandboxState, name: Name, answer: Result<Response, ErrorResponse>) -> Response {
    answer.unwrap_or_else(|error| {
        if let Some(violation) = error.violation_note() {
            shared.vendor_state(name).billing.complain(violation);
        }
        error.into_response()
    })
}
