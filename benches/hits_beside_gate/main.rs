//! What the quality gate does to everybody else: `cargo bench --bench hits_beside_gate [-- --quick]`.
//!
//! A gateway serves hits from its cache, and beside each hit a request whose picture (1024x1024, PNG) is drawn by a vendor in
//! this process. In half of the rounds the route of these pictures has its gate on, with the usual checks, so that each
//! is decoded and measured; in the other half it is off. Rounds are interleaved and requests are sent at fixed times, so
//! that both halves see the same load and the same machine. What counts is the p99 of the hits: with the gate on it may be
//! at most 1 ms more.
//!
//! Measured on 2 cores that others used too: docs/about/speed.md.

use std::convert::Infallible;
use std::io::Cursor;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use axum::response::IntoResponse;
use axum::{Json, Router, routing};
use base64_simd::STANDARD;
use easel::reload::EnvAndFiles;
use easel::{AccessLog, Gateway, reload, sidecar};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep_until};

/// What `easel` has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Hits a second, and as many pictures that are drawn. A picture takes about 20 ms of one thread, which has 50 ms for it.
const RATE: u32 = 20;
/// The goal of issue and design, P12.
const GOAL: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let quick = std::env::args().any(|word| word == "--quick");
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(run(quick)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => failed(&error),
    }
}

async fn run(quick: bool) -> Result<bool, Failed> {
    let (rounds, seconds) = if quick { (4, 3) } else { (30, 10) };
    let vendor = vendor().await?;
    let plan = reload::check("bench.yaml", &config(vendor), &NoEnv)?;
    let gateway = Gateway::new(plan)?;
    let running = sidecar::start(gateway, AccessLog::off())?;
    let addr = running.addr;
    exchange(addr, "hit", "the picture that is there").await?;
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let (route, took) = if round % 2 == 0 { ("off", &mut off) } else { ("on", &mut on) };
        took.extend(self::round(addr, route, round, seconds * RATE).await?);
    }
    running.drain().await;
    off.sort_unstable();
    on.sort_unstable();
    say(&format!(
        "hits from the cache while {RATE} pictures a second are drawn, in {rounds} rounds of {seconds} s by turns"
    ));
    say("gate      hits       p50       p90       p99");
    for (name, took) in [("off", &off), ("on", &on)] {
        let at = |percent| format!("{:.3} ms", percentile(took, percent).as_secs_f64() * 1e3);
        say(&format!("{name:<6} {:>7} {:>9} {:>9} {:>9}", took.len(), at(50), at(90), at(99)));
    }
    let more = percentile(&on, 99).saturating_sub(percentile(&off, 99));
    let kept = more <= GOAL;
    let word = if kept { "kept" } else { "MISSED" };
    say(&format!("p99 with the gate on: {:.3} ms more; goal: at most 1 ms: {word}", more.as_secs_f64() * 1e3));
    Ok(kept)
}

/// One round: at each moment a hit and a picture to be drawn. What the hits took.
async fn round(addr: SocketAddr, route: &'static str, round: u32, requests: u32) -> Result<Vec<Duration>, Failed> {
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    let (mut hits, mut drawn) = (JoinSet::new(), JoinSet::new());
    for number in 0..requests {
        let at = ticks.tick().await;
        drawn.spawn(async move { exchange(addr, route, &format!("picture {round} {number}")).await });
        // In the midst of it: half of the time between two.
        hits.spawn(async move {
            sleep_until(at + Duration::from_secs(1) / RATE / 5).await;
            exchange(addr, "hit", "the picture that is there").await
        });
    }
    let mut took = Vec::new();
    while let Some(hit) = hits.join_next().await {
        took.push(hit??);
    }
    while let Some(picture) = drawn.join_next().await {
        picture??;
    }
    Ok(took)
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

/// One request on a connection of its own, and how long its answer took from when the request was sent.
async fn exchange(addr: SocketAddr, model: &str, prompt: &str) -> Result<Duration, Failed> {
    let body = json!({"model": model, "prompt": prompt, "size": "1024x1024"}).to_string();
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let request = format!(
        "POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let began = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let took = began.elapsed();
    if answer.starts_with(b"HTTP/1.1 200") {
        Ok(took)
    } else {
        Err(String::from_utf8_lossy(&answer[..answer.len().min(600)]).into())
    }
}

/// A vendor like OpenAI's: the hit's picture is small, every other one is 1024 by 1024.
async fn vendor() -> Result<SocketAddr, Failed> {
    let [small, large] = [64, 1024].map(answer);
    let (small, large): (&'static [u8], &'static [u8]) = (small?.leak(), large?.leak());
    let draw = move |Json(ask): Json<serde_json::Value>| async move {
        let hit = ask["prompt"].as_str().is_some_and(|prompt| prompt.starts_with("the picture"));
        let body = if hit { small } else { large };
        Ok::<_, Infallible>(([("content-type", "application/json")], body).into_response())
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let addr = listener.local_addr()?;
    let app = Router::new().route("/images/generations", routing::post(draw));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(addr)
}

/// An answer with a picture of so many pixels across, drawn so that no check fails: a scene with edges and some noise.
fn answer(side: u32) -> Result<Vec<u8>, Failed> {
    let mut rng = fastrand::Rng::with_seed(7);
    let picture = RgbImage::from_fn(side, side, |x, y| {
        let disc = (x as i64 - i64::from(side) / 2).pow(2) + (y as i64 - i64::from(side) / 3).pow(2);
        let inside = disc < (i64::from(side) / 4).pow(2);
        let ground = [x * 200 / side, y * 180 / side, 120].map(|part| part as u8);
        let colour = if inside { [210, 80, 40] } else { ground };
        Rgb(colour.map(|part| part.saturating_add(rng.u8(0..12))))
    });
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, ImageFormat::Png)?;
    let picture = STANDARD.encode_to_string(file.into_inner());
    Ok(json!({"created": 1, "data": [{"b64_json": picture}]}).to_string().into_bytes())
}

fn config(vendor: SocketAddr) -> String {
    format!(
        "server: {{listen: '127.0.0.1:0', admin: '127.0.0.1:0'}}\n\
         providers:\n  p: {{kind: openai_compatible, base_url: 'http://{vendor}/', api_key: k, concurrency: {{limit: 100}}, \
         models: {{m: {{price: 0.01, sizes: any}}}}}}\n\
         routes:\n\
         \x20 - {{name: hit, match: {{models: [hit]}}, offers: [p/m], quality: false}}\n\
         \x20 - {{name: on, match: {{models: [on]}}, offers: [p/m], quality: true, cache: false}}\n\
         \x20 - {{name: off, match: {{models: [off]}}, offers: [p/m], quality: false, cache: false}}\n"
    )
}

struct NoEnv;

impl EnvAndFiles for NoEnv {
    fn var(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        Err(format!("{} is not read", path.display()))
    }
}

fn failed(error: &Failed) -> ExitCode {
    say(&error.to_string());
    ExitCode::FAILURE
}

#[expect(clippy::print_stdout, reason = "a bench is there to be read")]
fn say(line: &str) {
    println!("{line}");
}
