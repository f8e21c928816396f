//! A vendor with OpenAI's wire format and one fault, which every call meets. It knows what it charges, and whether its
//! answers tell that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use easel::Usd;
use serde_json::{Value, json};

use crate::scripted::{Asked, Scripted, Then, answer, json_answer, picture};
use crate::tls::{certificate, in_front_of};

/// What it charges for a picture.
pub const PRICE: Usd = Usd::from_nanos(30_000_000);

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    Refused,
    Dns,
    Tls,
    HangBeforeHeaders,
    HangInBody,
    Reset,
    RateLimitedWithTime,
    RateLimited,
    Error500,
    Error503,
    Error529,
    Garbage,
    TruncatedPicture,
    Quota,
    ModelGone,
}

impl Fault {
    pub const ALL: [Fault; 15] = [
        Fault::Refused,
        Fault::Dns,
        Fault::Tls,
        Fault::HangBeforeHeaders,
        Fault::HangInBody,
        Fault::Reset,
        Fault::RateLimitedWithTime,
        Fault::RateLimited,
        Fault::Error500,
        Fault::Error503,
        Fault::Error529,
        Fault::Garbage,
        Fault::TruncatedPicture,
        Fault::Quota,
        Fault::ModelGone,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Fault::None => "none",
            Fault::Refused => "connection refused",
            Fault::Dns => "no such host",
            Fault::Tls => "certificate not trusted",
            Fault::HangBeforeHeaders => "hangs before headers",
            Fault::HangInBody => "hangs in the body",
            Fault::Reset => "connection reset",
            Fault::RateLimitedWithTime => "429, retry-after: 2",
            Fault::RateLimited => "429",
            Fault::Error500 => "500",
            Fault::Error503 => "503",
            Fault::Error529 => "529",
            Fault::Garbage => "garbage",
            Fault::TruncatedPicture => "truncated picture",
            Fault::Quota => "out of quota",
            Fault::ModelGone => "model gone",
        }
    }

    /// Whether the pictures are drawn and charged, and whether its answer says so. `None` where nothing is drawn.
    fn told(self) -> Option<bool> {
        match self {
            Fault::None | Fault::TruncatedPicture => Some(true),
            Fault::HangBeforeHeaders | Fault::HangInBody | Fault::Reset | Fault::Garbage => Some(false),
            _ => None,
        }
    }

    fn meets(self, asked: &Asked, n: u64) -> Then {
        let error = |status, kind: &str, code: Value, message: &str, headers: &[(&str, &str)]| {
            let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
            Then::Answer(answer(
                status,
                &[&[("content-type", "application/json")], headers].concat(),
                body.to_string().as_bytes(),
            ))
        };
        let slow = "Rate limit reached for images per minute.";
        let busy = "The server had an error while processing your request. Sorry about that!";
        match self {
            Fault::None => Then::Answer(json_answer(200, &drawn(&picture(), n))),
            // Nobody gets so far as to ask.
            Fault::Refused | Fault::Dns | Fault::Tls => unreachable!("{asked:?}"),
            Fault::HangBeforeHeaders => Then::Hang,
            Fault::HangInBody => {
                let whole = json_answer(200, &drawn(&picture(), n));
                Then::Stall(whole[..whole.len() / 2].to_vec())
            }
            Fault::Reset => Then::Reset,
            Fault::RateLimitedWithTime => {
                error(429, "requests", json!("rate_limit_exceeded"), slow, &[("retry-after", "2")])
            }
            Fault::RateLimited => error(429, "requests", json!("rate_limit_exceeded"), slow, &[]),
            Fault::Error500 => error(500, "server_error", Value::Null, busy, &[]),
            Fault::Error503 => error(503, "server_error", Value::Null, busy, &[]),
            Fault::Error529 => error(529, "overloaded_error", Value::Null, "Overloaded", &[]),
            Fault::Garbage => {
                Then::Answer(answer(200, &[("content-type", "text/html")], b"<html><h1>Welcome</h1></html>"))
            }
            Fault::TruncatedPicture => {
                let whole = picture();
                Then::Answer(json_answer(200, &drawn(&whole[..whole.len() * 2 / 3], n)))
            }
            Fault::Quota => {
                let message = "You exceeded your current quota, please check your plan and billing details.";
                error(429, "insufficient_quota", json!("insufficient_quota"), message, &[])
            }
            Fault::ModelGone => {
                let message = "The model 'gpt-image-2' does not exist or you do not have access to it.";
                error(404, "invalid_request_error", json!("model_not_found"), message, &[])
            }
        }
    }
}

fn drawn(file: &[u8], n: u64) -> Value {
    let item = json!({"b64_json": base64_simd::STANDARD.encode_to_string(file)});
    json!({"created": 1, "data": vec![item; n as usize]})
}

/// The vendor.
pub struct FaultyVendor {
    /// What a config calls it by.
    pub base_url: String,
    scripted: Scripted,
    pictures: Arc<[AtomicU64; 2]>,
    /// Keeps a port on which nobody listens.
    _bound: Option<tokio::net::TcpSocket>,
}

impl FaultyVendor {
    pub async fn open(fault: Fault) -> FaultyVendor {
        let pictures = Arc::<[AtomicU64; 2]>::default();
        let charged = pictures.clone();
        let scripted = Scripted::start(move |asked| {
            let n = asked.json()["n"].as_u64().unwrap_or(1);
            if let Some(told) = fault.told() {
                charged[usize::from(told)].fetch_add(n, Ordering::Relaxed);
            }
            fault.meets(asked, n)
        })
        .await;
        let mut bound = None;
        let base_url = match fault {
            Fault::Refused => {
                // Bound, so that nobody else gets the port, but never listening.
                let socket = tokio::net::TcpSocket::new_v4().unwrap();
                socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
                let addr = socket.local_addr().unwrap();
                bound = Some(socket);
                format!("http://{addr}/v1/")
            }
            // A name that nobody has (RFC 6761).
            Fault::Dns => "https://vendor.invalid/v1/".to_owned(),
            Fault::Tls => format!("https://localhost:{}/v1/", in_front_of(scripted.addr, &certificate()).await),
            _ => format!("http://{}/v1/", scripted.addr),
        };
        FaultyVendor { base_url, scripted, pictures, _bound: bound }
    }

    /// Calls that reached it.
    pub fn calls(&self) -> usize {
        self.scripted.count("POST")
    }

    /// What it charges for pictures that its answers promise.
    pub fn charged(&self) -> Usd {
        self.charges(true)
    }

    /// What it charges besides, for work that nobody has an answer to.
    pub fn charged_untold(&self) -> Usd {
        self.charges(false)
    }

    fn charges(&self, told: bool) -> Usd {
        let pictures = self.pictures[usize::from(told)].load(Ordering::Relaxed);
        PRICE.checked_mul(pictures as u32).unwrap()
    }
}
