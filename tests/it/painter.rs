//! A vendor over HTTP whose pictures tell what they were drawn for: the seed, which one of all it ever drew, the size.
//!
//! It speaks OpenAI's format at `/{account}/images/generations`, counts the seed up from picture to picture of a call,
//! and does what it is told beforehand, call by call. Whatever it is asked, it remembers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use base64_simd::STANDARD;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::client::Answer;
use crate::exchange::png;

/// What one call comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Draws,
    /// Every picture is none.
    Scribbles,
    Fails,
    /// It answers 503 and names a second.
    Busy,
    Refuses,
    /// One picture more than asked.
    Overdoes,
    /// The same, and the first is none.
    Smudges,
}

/// One call, and the numbers of the pictures that came of it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub account: String,
    pub body: Value,
    pub drew: Vec<Told>,
}

/// What a picture tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    pub seed: Option<u32>,
    pub number: u32,
    pub size: (u32, u32),
}

/// The vendor.
pub struct Painter {
    pub addr: SocketAddr,
    desk: Arc<Desk>,
}

struct Desk {
    script: Mutex<Vec<Act>>,
    asked: Mutex<Vec<Asked>>,
    /// Accounts whose calls wait.
    held: watch::Sender<Vec<String>>,
}

impl Painter {
    /// Opens a vendor that does what `script` says, call by call from its beginning, and draws when that is over.
    pub async fn open(script: &[Act]) -> Painter {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let desk = Arc::new(Desk {
            script: Mutex::new(script.iter().rev().copied().collect()),
            asked: Mutex::default(),
            held: watch::Sender::new(Vec::new()),
        });
        let app = Router::new().route("/{account}/images/generations", routing::post(answer)).with_state(desk.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Painter { addr, desk }
    }

    /// A provider in the config, whose model takes these lines more.
    pub fn provider(&self, account: &str, model: &str) -> String {
        format!(
            "  {account}: {{kind: openai_compatible, base_url: 'http://{}/{account}/', api_key: k, \
             breaker: {{failures: 1000, pause: 1ms}}, models: {{m: {{price: 0.01, max_n: 10, sizes: any{model}}}}}}}\n",
            self.addr
        )
    }

    /// What the next calls come to.
    pub fn act(&self, acts: &[Act]) {
        *self.desk.script.lock().unwrap() = acts.iter().rev().copied().collect();
    }

    /// Lets calls to these accounts wait, and those to others go on.
    pub fn hold(&self, accounts: &[&str]) {
        self.desk.held.send_replace(accounts.iter().map(|account| (*account).to_owned()).collect());
    }

    /// All calls so far, as they came.
    pub fn asked(&self) -> Vec<Asked> {
        self.desk.asked.lock().unwrap().clone()
    }

    /// The seeds of all calls so far, sorted: several are made at once.
    pub fn seeds(&self) -> Vec<u64> {
        let mut seeds: Vec<u64> = self.asked().iter().filter_map(|asked| asked.body["seed"].as_u64()).collect();
        seeds.sort_unstable();
        seeds
    }

    /// How many of them this account was asked for.
    pub fn asked_of(&self, account: &str) -> usize {
        self.desk.asked.lock().unwrap().iter().filter(|asked| asked.account == account).count()
    }

    /// Waits until so many calls have come.
    pub async fn until(&self, calls: usize) {
        self.until_true(|| self.desk.asked.lock().unwrap().len() >= calls).await;
    }

    /// Waits until this account was asked so often.
    pub async fn until_asked_of(&self, account: &str, calls: usize) {
        self.until_true(|| self.asked_of(account) >= calls).await;
    }

    async fn until_true(&self, reached: impl Fn() -> bool) {
        let polling = async {
            while !reached() {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), polling).await.expect("they never come");
    }
}

async fn answer(State(desk): State<Arc<Desk>>, Path(account): Path<String>, Json(body): Json<Value>) -> Response {
    let act = desk.script.lock().unwrap().pop().unwrap_or(Act::Draws);
    let size = body["size"].as_str().unwrap_or("64x64").split_once('x').unwrap();
    let size = (size.0.parse().unwrap(), size.1.parse().unwrap());
    let n = body["n"].as_u64().unwrap_or(1) as u32;
    let drew: Vec<Told> = {
        let mut asked = desk.asked.lock().unwrap();
        let before = asked.iter().map(|asked| asked.drew.len()).sum::<usize>() as u32;
        let seed = |nth| body["seed"].as_u64().map(|seed| (seed as u32).wrapping_add(nth));
        let all = match act {
            Act::Draws => n,
            Act::Overdoes | Act::Smudges => n + 1,
            Act::Scribbles | Act::Fails | Act::Busy | Act::Refuses => 0,
        };
        let drew: Vec<Told> = (0..all).map(|nth| Told { seed: seed(nth), number: before + nth, size }).collect();
        asked.push(Asked { account: account.clone(), body: body.clone(), drew: drew.clone() });
        drew
    };
    let mut held = desk.held.subscribe();
    let _ = held.wait_for(|held| !held.contains(&account)).await;
    let error = |status: StatusCode, code: &str| {
        (status, Json(json!({"error": {"message": code, "code": code}}))).into_response()
    };
    let data: Vec<Value> = match act {
        Act::Draws | Act::Overdoes => drew.iter().map(|told| json!({"b64_json": paint(told)})).collect(),
        Act::Smudges => {
            let smudge = STANDARD.encode_to_string("no picture");
            let painted = drew[1..].iter().map(paint);
            std::iter::once(smudge).chain(painted).map(|file| json!({"b64_json": file})).collect()
        }
        Act::Scribbles => (0..n).map(|_| json!({"b64_json": STANDARD.encode_to_string("no picture")})).collect(),
        Act::Fails => return error(StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
        Act::Busy => {
            let told = error(StatusCode::SERVICE_UNAVAILABLE, "overloaded");
            return ([("retry-after", "1")], told).into_response();
        }
        Act::Refuses => return error(StatusCode::BAD_REQUEST, "content_policy_violation"),
    };
    Json(json!({"created": 1, "data": data})).into_response()
}

fn paint(told: &Told) -> String {
    let Told { seed, number, size: (width, height) } = *told;
    let [a, b, c, d] = seed.unwrap_or(0).to_be_bytes();
    let [_, x, y, z] = number.to_be_bytes();
    let mut picture = RgbImage::new(width, height);
    picture.put_pixel(0, 0, Rgb([u8::from(seed.is_some()), a, b]));
    picture.put_pixel(1, 0, Rgb([c, d, 0]));
    picture.put_pixel(2, 0, Rgb([x, y, z]));
    STANDARD.encode_to_string(png(picture))
}

/// What the pictures of an answer tell, in its order; none of an error.
pub fn told(answer: &Answer) -> Vec<Told> {
    let body = answer.json();
    body["data"].as_array().into_iter().flatten().map(|item| read(item["b64_json"].as_str().unwrap())).collect()
}

/// What a picture tells.
pub fn read(base64: &str) -> Told {
    let file = STANDARD.decode_to_vec(base64).unwrap();
    let picture = image::load_from_memory(&file).unwrap().to_rgb8();
    let (Rgb([seeded, a, b]), Rgb([c, d, _])) = (*picture.get_pixel(0, 0), *picture.get_pixel(1, 0));
    let Rgb([x, y, z]) = *picture.get_pixel(2, 0);
    Told {
        seed: (seeded == 1).then(|| u32::from_be_bytes([a, b, c, d])),
        number: u32::from_be_bytes([0, x, y, z]),
        size: (picture.width(), picture.height()),
    }
}
