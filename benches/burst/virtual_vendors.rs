//! Three vendors without a socket, in OpenAI's format: each call takes a time drawn with the seed, one more than a vendor
//! carries out is answered 429, and all of it is counted.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64_simd::STANDARD;
use bytes::Bytes;
use easel::Usd;
use easel::parts::{Bounds, Call, CallReservation, Clock, HeldReply, HttpClient, Reply, TransportError, Watcher};
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout_at};
use url::Url;

use super::decisions::Decisions;
use super::report::VendorFigures;
use super::traffic::{self, MEDIAN, PROVIDERS, SIGMA};

/// What the vendors share.
pub struct Vendors {
    desks: [Mutex<Desk>; 3],
    decisions: Arc<Decisions>,
    clock: Clock,
    /// One to four pictures.
    drawn: [Bytes; 4],
}

struct Desk {
    random: fastrand::Rng,
    in_flight: usize,
    figures: VendorFigures,
}

impl Vendors {
    pub fn new(seed: u64, clock: Clock, decisions: Arc<Decisions>) -> Arc<Vendors> {
        let desk = |nth: u64| {
            let random = fastrand::Rng::with_seed(seed ^ (nth + 1));
            Mutex::new(Desk { random, in_flight: 0, figures: VendorFigures::default() })
        };
        let picture = STANDARD.encode_to_string(picture());
        let drawn = [1, 2, 3, 4].map(|n| {
            let items = vec![json!({"b64_json": picture}); n];
            Bytes::from(json!({"created": 1, "data": items}).to_string())
        });
        Arc::new(Vendors { desks: [0, 1, 2].map(desk), decisions, clock, drawn })
    }

    /// What each of them counted.
    pub fn figures(&self) -> [VendorFigures; 3] {
        [0, 1, 2].map(|nth| self.desk(nth).figures)
    }

    fn desk(&self, nth: usize) -> MutexGuard<'_, Desk> {
        self.desks[nth].lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, nth: usize, call: &Call) -> Reply {
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        let (n, prompt) = (body["n"].as_u64().unwrap_or(1), body["prompt"].as_str().unwrap_or_default());
        self.decisions.note(&[PROVIDERS[nth].name, prompt, &n.to_string()]);
        let Some((_working, takes)) = self.begin(nth) else {
            let headers = HeaderMap::from_iter([(header::RETRY_AFTER, HeaderValue::from_static("1"))]);
            let error = json!({"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}});
            return Reply { status: 429, headers, body: error.to_string().into(), at: self.clock.now() };
        };
        sleep(takes).await;
        let figures = &mut self.desk(nth).figures;
        figures.pictures += n;
        *figures.for_batch.get_or_insert_default() += if traffic::is_batch(prompt) { n } else { 0 };
        let price = i64::try_from(n).ok().and_then(|n| n.checked_mul(PROVIDERS[nth].price)).map(Usd::from_nanos);
        figures.charged = figures.charged.saturating_add(price.unwrap_or_default());
        let body = self.drawn.get(n as usize - 1).cloned().unwrap_or_default();
        Reply { status: 200, headers: HeaderMap::new(), body, at: self.clock.now() }
    }

    /// Begins a call, and says how long it takes. `None`: there are too many.
    fn begin(&self, nth: usize) -> Option<(Working<'_>, Duration)> {
        let mut desk = self.desk(nth);
        desk.figures.calls += 1;
        // Also of a call that is refused: it should not have been sent.
        desk.figures.most_in_flight = desk.figures.most_in_flight.max(desk.in_flight + 1);
        if desk.in_flight >= PROVIDERS[nth].cap {
            desk.figures.refused += 1;
            return None;
        }
        desk.in_flight += 1;
        let takes = MEDIAN.mul_f64((SIGMA * normal(&mut desk.random)).exp());
        Some((Working { vendors: self, nth }, takes))
    }
}

/// A call that is carried out.
struct Working<'a> {
    vendors: &'a Vendors,
    nth: usize,
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.vendors.desk(self.nth).in_flight -= 1;
    }
}

/// A number from the standard normal distribution (Box and Muller).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let (radius, angle) = ((-2.0 * (1.0 - random.f64()).ln()).sqrt(), std::f64::consts::TAU * random.f64());
    radius * angle.cos()
}

/// A small PNG.
fn picture() -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    let picture = image::RgbImage::from_pixel(64, 64, image::Rgb([90, 60, 30]));
    // Nothing fails in memory; were it so, every call would come to nothing and the run would tell.
    let _ = picture.write_to(&mut file, image::ImageFormat::Png);
    file.into_inner()
}

/// The gateway's way to them.
pub struct VirtualClient(pub Arc<Vendors>);

impl HttpClient for VirtualClient {
    fn send<'a>(
        &'a self,
        call: &'a Call,
        bounds: Bounds,
        memory_reservation: &'a Arc<CallReservation>,
        _watcher: Option<&'a Watcher>,
    ) -> BoxFuture<'a, Result<HeldReply, TransportError>> {
        Box::pin(async move {
            let host = call.url.host_str().unwrap_or_default();
            let nth = PROVIDERS.iter().position(|provider| host.starts_with(provider.name));
            let nth = nth.ok_or_else(|| TransportError::Unreachable(format!("no vendor is called {host}")))?;
            let answer = timeout_at(bounds.deadline, self.0.answer(nth, call)).await;
            let reply = answer.map_err(|_| TransportError::TimedOut { sent: true })?;
            let mut held = memory_reservation.reply();
            held.grow(reply.body.len()).await;
            Ok(HeldReply { reply, held })
        })
    }

    fn addresses<'a>(&'a self, _url: &'a Url) -> BoxFuture<'a, Result<Arc<[SocketAddr]>, TransportError>> {
        // Of the addresses that documents may use (RFC 5737).
        Box::pin(std::future::ready(Ok(Arc::from([SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 443))]))))
    }
}
