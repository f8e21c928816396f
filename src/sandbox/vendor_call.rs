//! One call at a vendor: its place in flight, its luck, its work, its charge; and what an error answer is.
//!
//! The vendors' files read requests and word answers; what they have in common is here. Nothing here knows a wire
//! format, except that a web page is garbage to all of them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use serde_json::{Map, Value};

use crate::image::Size;
use crate::money::Usd;
use crate::sandbox::billing::CallGuard;
use crate::sandbox::draw::Sketch;
use crate::sandbox::faults::Mode;
use crate::sandbox::json_response::Json;
use crate::sandbox::lock::lock;
use crate::sandbox::metered_prices::ImageTokens;
use crate::sandbox::settings::{Name, Vendor};
use crate::sandbox::state::SandboxState;

/// What a confused load balancer says.
const PAGE: &str = "<!doctype html><html><head><title>502 Bad Gateway</title></head>\
                    <body><h1>Bad Gateway</h1><p>The sandbox was told to answer garbage.</p></body></html>\n";

/// What a gateway says that got no answer in time.
const GATEWAY_PAGE: &str = "<!doctype html><html><head><title>Gateway Timeout</title></head>\
                            <body><h1>Gateway Timeout</h1><p>The sandbox did the work all the same.</p></body></html>\n";

/// How much of a refused request's answer goes on the invoice.
const QUOTE: usize = 300;

/// A call that asks for pictures.
#[derive(Debug)]
pub(super) struct VendorCall {
    pub shared: Arc<SandboxState>,
    /// Where its links lead.
    pub origin: String,
    pub name: Name,
    /// The settings when the call came.
    pub vendor: Arc<Vendor>,
    /// What it meets.
    pub fate: Mode,
    /// Its own random number, for pictures, ids and seeds.
    pub luck: u64,
    /// How long its drawing takes.
    pub time: Duration,
    guard: Option<CallGuard>,
}

impl VendorCall {
    /// Counts the call and throws its dice, always the same throws in the same order, so that a run repeats.
    pub(super) fn admit(shared: &Arc<SandboxState>, name: Name, headers: &HeaderMap) -> VendorCall {
        let vendor_state = shared.vendor_state(name);
        let vendor = shared.settings(name);
        let (thrown, jitter, luck) = {
            let mut dice = lock(&vendor_state.dice);
            let most = u64::try_from(vendor.jitter.as_micros()).unwrap_or(u64::MAX);
            (dice.u16(0..1000), Duration::from_micros(dice.u64(0..=most)), dice.u64(..))
        };
        let fate = if vendor.mode == Mode::Normal { vendor.faults.meet(thrown) } else { vendor.mode };
        let time = vendor.latency.saturating_add(jitter);
        VendorCall {
            shared: Arc::clone(shared),
            origin: origin(headers, shared),
            name,
            fate,
            luck,
            time,
            guard: Some(vendor_state.billing.begin_call()),
            vendor,
        }
    }

    /// Whether the content is refused, by its word or by its fate.
    pub(super) fn refuses(&self, prompt: &str) -> bool {
        self.fate == Mode::Refusing || prompt.to_lowercase().contains("forbidden")
    }

    /// Waits as long as drawing takes.
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

    /// Charges words of `model`.
    pub(super) fn charge_words(&self, model: &str, usd: Usd) -> Result<(), ErrorResponse> {
        self.shared.vendor_state(self.name).billing.charge_words(model, usd).ok_or_else(ErrorResponse::broken)
    }

    /// The same charge, to be made later.
    pub(super) fn tab(&self, model: &str, size: Size, quality: Option<&str>, count: u32) -> PendingCharge {
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

    /// A sketch with this call's luck and its vendor's whims.
    pub(super) fn sketch(&self, prompt: &str, seed: u64, index: u32, size: Size) -> Sketch {
        let mut sketch = Sketch::new(prompt, seed, index, size);
        sketch.min_bytes = self.vendor.min_bytes;
        sketch.truncated = self.fate == Mode::Truncated;
        sketch.hangs = self.fate == Mode::HangingDownload;
        if self.fate == Mode::OddSize {
            sketch.size = Size::new(size.width.div_ceil(2), size.height.div_ceil(2));
        }
        sketch
    }

    /// The place in flight, for work that goes on when the call has been answered.
    pub(super) fn take_guard(&mut self) -> Option<CallGuard> {
        self.guard.take()
    }

    /// Leaves, with the answer.
    pub(super) fn close(self, answer: Result<Response, ErrorResponse>) -> Response {
        finish(&self.shared, self.name, answer.map(|answer| spoil(self.fate, answer)))
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
    pub(super) fn charge(&self) {
        // A sum that does not fit is told by the invoice.
        let billing = &self.shared.vendor_state(self.name).billing;
        match self.whole {
            Some(usd) => drop(billing.charge_call(&self.model, usd, self.count)),
            None => drop(billing.charge(&self.model, self.price, self.count, 0)),
        }
    }
}

/// Notes a violation and turns the outcome into an answer.
pub(super) fn finish(shared: &SandboxState, name: Name, answer: Result<Response, ErrorResponse>) -> Response {
    answer.unwrap_or_else(|no| {
        if no.callers_fault {
            shared.vendor_state(name).billing.complain(no.quote());
        }
        no.into_response()
    })
}

/// Acts out `fate` as far as it spoils a call before anything is drawn. `shape` has the vendor's words for a fault.
pub(super) async fn act_out(fate: Mode, shape: fn(Mode) -> ErrorResponse) -> Result<(), ErrorResponse> {
    match fate {
        Mode::Normal | Mode::Refusing | Mode::NoPictures | Mode::Truncated | Mode::OddSize => Ok(()),
        Mode::Down500 | Mode::RateLimited { .. } | Mode::OutOfMoney | Mode::Overloaded => Err(shape(fate)),
        Mode::Garbage => Err(ErrorResponse { page: true, ..ErrorResponse::fault(StatusCode::OK, Value::Null) }),
        Mode::Hang => std::future::pending().await,
        late => {
            debug_assert!(late.comes_late(), "every other fault is acted out here");
            Ok(())
        }
    }
}

/// What becomes of a good answer on its way to the client. The work behind it is done and charged in any case, also
/// where it is a stream.
fn spoil(fate: Mode, answer: Response) -> Response {
    if !answer.status().is_success() {
        return answer;
    }
    match fate {
        Mode::Unreadable => first_half(answer, false),
        Mode::Cut => first_half(answer, true),
        Mode::GatewayTimeout => instead(answer, (StatusCode::GATEWAY_TIMEOUT, Html(GATEWAY_PAGE)).into_response()),
        Mode::CdnTimeout => {
            let status = StatusCode::from_u16(524).unwrap_or(StatusCode::GATEWAY_TIMEOUT);
            instead(answer, (status, Html(GATEWAY_PAGE)).into_response())
        }
        Mode::Redirect => {
            instead(answer, (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere/")]).into_response())
        }
        _ => answer,
    }
}

/// Lets an answer come to its end with nobody to read it, and gives another.
fn instead(answer: Response, other: Response) -> Response {
    drop(tokio::spawn(to_bytes(answer.into_body(), usize::MAX)));
    other
}

/// The first half of an answer, which is over then or is `cut` off.
fn first_half(answer: Response, cut: bool) -> Response {
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let pieces = stream::once(async move {
        let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let half = Ok(whole.slice(..whole.len() / 2));
        let end = cut.then(|| Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        stream::iter([Some(half), end].into_iter().flatten())
    });
    Response::from_parts(parts, Body::from_stream(pieces.flatten()))
}

/// An answer other than the one that was hoped for, in the vendor's own shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ErrorResponse {
    pub status: StatusCode,
    pub body: Value,
    /// Sent as `retry-after`, in whole seconds.
    retry_after: Option<Duration>,
    /// The request was wrong; this goes on the invoice.
    callers_fault: bool,
    /// Garbage instead of `body`.
    page: bool,
}

impl ErrorResponse {
    /// The request is not one this vendor takes.
    pub(super) fn violation(status: StatusCode, body: Value) -> ErrorResponse {
        ErrorResponse { callers_fault: true, ..ErrorResponse::fault(status, body) }
    }

    /// Nothing wrong with the request: a fault, or a refusal of its content.
    pub(super) fn fault(status: StatusCode, body: Value) -> ErrorResponse {
        ErrorResponse { status, body, retry_after: None, callers_fault: false, page: false }
    }

    /// The sandbox itself failed. Not a vendor's shape on purpose: nobody should learn to expect it.
    pub(super) fn broken() -> ErrorResponse {
        ErrorResponse::fault(StatusCode::INTERNAL_SERVER_ERROR, Value::String("the sandbox itself failed".to_owned()))
    }

    /// The same, saying when to come back.
    pub(super) fn with_retry_after(mut self, after: Duration) -> ErrorResponse {
        self.retry_after = Some(after);
        self
    }

    /// The same in other words.
    pub(super) fn reworded(mut self, body: Value) -> ErrorResponse {
        self.body = body;
        self
    }

    fn quote(&self) -> String {
        let words = format!("{} {}", self.status.as_u16(), self.body);
        words.chars().take(QUOTE).collect()
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        if self.page {
            return (self.status, Html(PAGE)).into_response();
        }
        let mut answer = (self.status, Json(self.body)).into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}

/// Why a body is not a JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadBody {
    /// The content type is this instead (empty when there is none).
    ContentType(String),
    /// Over the limit, or cut off.
    TooLarge,
    /// Not JSON; the parser's words.
    NotJson(String),
    /// JSON, but not an object.
    NotAnObject,
}

/// The request's JSON object.
pub(super) async fn read_json(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, BadBody> {
    let given = text(headers, &header::CONTENT_TYPE).unwrap_or_default();
    if media_type(given) != "application/json" {
        return Err(BadBody::ContentType(given.to_owned()));
    }
    let body = to_bytes(body, LARGEST_BODY).await.map_err(|_| BadBody::TooLarge)?;
    match serde_json::from_slice(&body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(BadBody::NotAnObject),
        Err(why) => Err(BadBody::NotJson(why.to_string())),
    }
}

/// A media type without its parameters, in lower case.
pub(super) fn media_type(text: &str) -> String {
    text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A header as text.
pub(super) fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `http://host:port` as the client knows it, which in containers is another name than ours.
pub(super) fn origin(headers: &HeaderMap, shared: &SandboxState) -> String {
    text(headers, &header::HOST).map_or_else(|| shared.url.clone(), |host| format!("http://{host}"))
}

/// The key in `Authorization: Bearer KEY`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    text(headers, &header::AUTHORIZATION)?.strip_prefix("Bearer ")
}

/// Draws off the threads that answer; in order.
pub(super) async fn draw(sketches: Vec<Sketch>) -> Result<Vec<Bytes>, ErrorResponse> {
    let drawing = tokio::task::spawn_blocking(move || sketches.iter().map(Sketch::file).collect::<Result<Vec<_>, _>>());
    match drawing.await {
        Ok(Ok(files)) => Ok(files),
        Ok(Err(_)) | Err(_) => Err(ErrorResponse::broken()),
    }
}

/// Seconds since 1970.
pub(super) fn unix_time() -> u64 {
    std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs())
}

/// The largest request body that any vendor takes; Stability documents this one, the others borrow it.
pub(super) const LARGEST_BODY: usize = 10 * 1024 * 1024;
