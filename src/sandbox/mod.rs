//! Local vendors that speak the real wire formats: strict about what they take, drawing real pictures, charging
//! pretend money, misbehaving on request.
//!
//! `easel sandbox` and `easel demo` start one, tests and other people's CI do too. It is an independent reading of
//! PROVIDERS.md and shares no code with `provider/`: what one of the two misreads, the other notices. It listens on
//! plain HTTP, keeps nothing on disk, and is no place for real keys. Pictures go out as they were asked for; the
//! invoice ([`Sandbox::invoice`]) says what they cost, to the nano-dollar.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

mod access_tokens;
mod anthropic;
mod azure;
mod bfl;
mod billing;
mod compatible;
mod control;
mod dashscope;
mod draw;
mod error_response;
mod fal;
mod fault_injection;
mod faults;
mod fields;
mod file_endpoint;
mod google;
mod input_images;
mod json_response;
mod lock;
mod metered_prices;
mod multipart;
mod openai;
mod openrouter;
mod picture_links;
mod read_http_request;
mod replicate;
mod settings;
mod settings_serde;
mod stability;
mod state;
mod tasks;
#[cfg(test)]
mod test_client;
#[cfg(test)]
mod test_inputs;
mod text;
mod unix_time;
mod vendor_call;

pub use crate::sandbox::billing::{Bill, Invoice, Line};
pub use crate::sandbox::compatible::dialect::{AnswerForm, CostStyle, Dialect, EditStyle, ErrorShape, Jobs, SizeStyle};
pub use crate::sandbox::metered_prices::{Dollars, ImageTokenPrice, MegapixelPrice, Rates, Round, StepPrice};
pub use faults::{BadRate, Faults, Mode, Rate};
pub use settings::{Name, PerVendor, PriceRow, ScriptedAnswer, Settings, TokenPrice, Vendor, Vendors};

use crate::sandbox::read_http_request::LARGEST_BODY;
use crate::sandbox::state::SandboxState;
use axum::serve::ListenerExt;

/// How long [`Sandbox::stop`] waits for responses that are being sent.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Running vendors. Dropping it stops them, [`Sandbox::stop`] also waits until they have.
#[derive(Debug)]
pub struct Sandbox {
    shared: Arc<SandboxState>,
    addr: SocketAddr,
    closing: watch::Sender<bool>,
    server: JoinHandle<io::Result<()>>,
}

impl Sandbox {
    /// Listens on `addr` (port 0 picks a free one) and serves until stopped. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(addr: SocketAddr, settings: Settings) -> io::Result<Sandbox> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(SandboxState::new(format!("http://{}", reachable(addr)), settings));
        let closing = watch::Sender::new(false);
        let app = routes(Arc::clone(&shared), closing.subscribe());
        // Answers must not wait for an acknowledgement; where the option is refused they are only slower.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let stopped = closed(closing.subscribe());
        let server = tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(stopped).await });
        Ok(Sandbox { shared, addr, closing, server })
    }

    /// `http://127.0.0.1:PORT`; the vendors are below it, at `/openai/v1` and so on.
    pub fn url(&self) -> String {
        self.shared.url.clone()
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What the vendors charge up to now.
    pub fn invoice(&self) -> Invoice {
        self.shared.invoice()
    }

    /// Waits until `vendor`'s bill is as `wanted`, and gives it.
    pub async fn until(&self, vendor: Name, wanted: impl FnMut(&Bill) -> bool) -> Bill {
        self.shared.vendor_state(vendor).billing.until(wanted).await
    }

    /// Changes a vendor's settings from the next call on.
    pub fn set(&self, vendor: Name, change: impl FnOnce(&mut Vendor)) {
        self.shared.set(vendor, change);
    }

    /// An empty invoice, the settings and the generators as at the start. Calls in flight stay in flight.
    pub fn reset(&self) {
        self.shared.reset();
    }

    /// Access tokens that `vendor` has given.
    pub fn tokens(&self, vendor: Name) -> u64 {
        self.shared.vendor_state(vendor).tokens.count()
    }

    /// Takes a vendor's access tokens back before their time.
    pub fn revoke_tokens(&self, vendor: Name) {
        self.shared.vendor_state(vendor).tokens.revoke();
    }

    /// Stops listening, breaks off what hangs or still draws, and returns when everything is closed.
    pub async fn stop(mut self) {
        self.closing.send_replace(true);
        self.shared.stop();
        if tokio::time::timeout(STOP_TIMEOUT, &mut self.server).await.is_err() {
            self.server.abort();
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.closing.send_replace(true);
        self.shared.stop();
    }
}

/// `addr` as a client on this machine can write it.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        addr => addr,
    }
}

/// Ends when the sandbox closes.
async fn closed(mut closing: watch::Receiver<bool>) {
    // An error means that the sandbox is gone, which is the same.
    drop(closing.wait_for(|closing| *closing).await);
}

/// Every path.
fn routes(shared: Arc<SandboxState>, closing: watch::Receiver<bool>) -> Router {
    Router::new()
        .route("/", routing::get(control::page))
        .nest("/control", control::routes())
        .nest("/openai", openai::routes())
        .nest("/compatible", compatible::routes())
        .nest("/stability", stability::routes())
        .nest("/replicate", replicate::routes())
        .nest("/azure", azure::routes())
        .nest("/openrouter", openrouter::routes())
        .nest("/dashscope", dashscope::routes())
        .nest("/fal", fal::routes())
        .nest("/google", google::routes())
        .nest("/bfl", bfl::routes())
        .nest("/anthropic", anthropic::routes())
        .nest("/text", text::routes())
        .layer(middleware::from_fn_with_state(closing, until_closed))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(shared)
}

/// Breaks off a request, hanging or not, when the sandbox closes.
async fn until_closed(State(closing): State<watch::Receiver<bool>>, request: Request, next: Next) -> Response {
    tokio::select! {
        answer = next.run(request) => answer,
        () = closed(closing) => (StatusCode::SERVICE_UNAVAILABLE, "the sandbox is closing\n").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::io::AsyncReadExt;

    use super::test_client::{get, post, sandbox, send, start};
    use super::*;
    use crate::money::{self, Usd};

    const PATH: &str = "/openai/v1/images/generations";

    fn wish() -> Value {
        json!({"model": "dall-e-2", "prompt": "a red bicycle", "size": "256x256", "response_format": "b64_json"})
    }

    #[tokio::test]
    async fn the_same_seed_gives_the_same_run_and_another_seed_another() {
        let run = async |seed: u64| {
            let faults = "{error_rate: 20%, refusal_rate: 20%, empty_rate: 10%}";
            let sandbox = sandbox(&format!("{{seed: {seed}, vendors: {{openai: {{faults: {faults}}}}}}}")).await;
            let mut answers = Vec::new();
            for _ in 0..20 {
                let reply = post(&sandbox, PATH, wish()).await;
                answers.push((reply.status, reply.json()["data"].clone()));
            }
            (answers, sandbox.invoice())
        };
        let (first, second, other) = (run(1).await, run(1).await, run(2).await);
        assert_eq!(first, second);
        assert_ne!(first.0, other.0);
        assert!([200, 400, 500].iter().all(|status| first.0.iter().any(|(met, _)| met == status)));
    }

    #[tokio::test]
    async fn the_total_is_what_the_vendors_prices_add_up_to() {
        let prices = "openai: {price: {dall-e-2: 0.016}}, compatible: {default_price: 0.000000003}, \
                      stability: {default_price: 0.009}, replicate: {default_price: 0.003}";
        let sandbox = sandbox(&format!("{{vendors: {{{prices}}}}}")).await;
        post(&sandbox, PATH, wish()).await;
        let body = json!({"model": "any", "prompt": "x", "n": 7, "size": "64x64"});
        post(&sandbox, "/compatible/v1/images/generations", body).await;
        let body = json!({"text_prompts": [{"text": "x"}], "width": 1024, "height": 1024, "samples": 2});
        post(&sandbox, "/stability/v1/generation/stable-diffusion-xl-1024-v1-0/text-to-image", body).await;
        let body = json!({"input": {"prompt": "x", "num_outputs": 4}});
        post(&sandbox, "/replicate/v1/models/black-forest-labs/flux-schnell/predictions", body).await;
        sandbox.until(Name::Replicate, |bill| bill.pictures == 4).await;
        let invoice = sandbox.invoice();
        let wanted = [16_000_000, 21, 18_000_000, 12_000_000].map(Usd::from_nanos);
        let asked = [Name::OpenAi, Name::Compatible, Name::Stability, Name::Replicate];
        assert_eq!(asked.map(|name| invoice.vendor(name).usd), wanted);
        assert_eq!(invoice.total, money::sum(wanted));
    }

    #[tokio::test]
    async fn calls_in_flight_are_counted_together_and_their_largest_number_kept() {
        let sandbox = sandbox("{vendors: {openai: {latency: 1h}}}").await;
        let headers = [("authorization", "Bearer any"), ("content-type", "application/json")];
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(start(sandbox.addr(), "POST", PATH, &headers, wish().to_string().as_bytes()).await);
        }
        sandbox.until(Name::OpenAi, |bill| bill.in_flight == 20).await;
        drop(clients);
        let bill = sandbox.until(Name::OpenAi, |bill| bill.in_flight == 0).await;
        assert_eq!((bill.max_in_flight, bill.usd), (20, Usd::ZERO), "what was not answered is not charged");
    }

    #[tokio::test]
    async fn links_lead_to_the_host_that_the_client_called() {
        let sandbox = Sandbox::start((Ipv4Addr::UNSPECIFIED, 0).into(), Settings::default()).await.unwrap();
        assert_eq!(sandbox.url(), format!("http://127.0.0.1:{}", sandbox.addr().port()));
        let addr = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), sandbox.addr().port()));
        let headers = [("authorization", "Bearer any"), ("content-type", "application/json")];
        let body = json!({"model": "dall-e-2", "prompt": "x", "size": "256x256"}).to_string();
        let json = send(addr, "POST", PATH, &headers, body.as_bytes()).await.json();
        assert!(json["data"][0]["url"].as_str().unwrap().starts_with(&format!("http://{addr}/openai/files/")));
    }

    #[tokio::test]
    async fn large_pictures_can_be_ordered_for_load() {
        let sandbox = sandbox("{vendors: {openai: {min_bytes: 150000}}}").await;
        let json = post(&sandbox, PATH, json!({"model": "dall-e-2", "prompt": "x", "size": "256x256"})).await.json();
        let file = get(&sandbox, json["data"][0]["url"].as_str().unwrap()).await;
        assert!(file.body.len() >= 150_000);
    }

    #[tokio::test]
    async fn stopping_breaks_off_what_hangs_and_frees_the_port() {
        let sandbox = sandbox("{vendors: {openai: {mode: hang}, replicate: {latency: 1h}}}").await;
        let addr = sandbox.addr();
        let headers = [("authorization", "Bearer any"), ("content-type", "application/json")];
        let mut client = start(addr, "POST", PATH, &headers, wish().to_string().as_bytes()).await;
        let body = json!({"input": {"prompt": "x"}});
        post(&sandbox, "/replicate/v1/models/black-forest-labs/flux-schnell/predictions", body).await;
        sandbox.until(Name::OpenAi, |bill| bill.in_flight == 1).await;
        let shared = Arc::clone(&sandbox.shared);
        sandbox.stop().await;
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert_eq!(Name::ALL.map(|name| shared.invoice().vendor(name).in_flight), [0; Name::ALL.len()]);
        assert!(TcpListener::bind(addr).await.is_ok());
    }
}
