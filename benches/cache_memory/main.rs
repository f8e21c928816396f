//! What the cache's memory really takes: `cargo bench --bench cache_memory [-- --memory 2GiB]`.
//!
//! `easel serve`, a process of its own with `cache.memory` as given, is asked for different pictures of 1.5 MB, one to four in a
//! reply, until its cache is full and a half of it was evicted again. The vendor is a local server that speaks OpenAI's format
//! and draws noise as PNG, which no allocator and no kernel can compress. Then the kernel is asked what the process holds.
//!
//! It ends with a failure where that is more than 10% above `cache.memory` and 96 MiB: what Easel takes before the first
//! picture, its threads' stacks, the replies in flight and what an allocator has not given back.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a bench prints, and ends where it cannot go on"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitCode, Stdio};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};

/// What Easel takes besides the pictures.
const BESIDES: u64 = 96 << 20;

/// Sides of a picture of noise with 1.5 MB.
const SIDE: u32 = 720;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    let memory = match words.iter().position(|word| word == "--memory") {
        Some(at) => words.get(at + 1).cloned().expect("--memory 2GiB"),
        None => "2GiB".to_owned(),
    };
    let limit = memory.parse::<bytesize::ByteSize>().expect("an amount of memory").as_u64();
    let vendor = vendor();
    let easel = Easel::start(&vendor, &memory);
    let empty = easel.held();
    let (mut drawn, mut held) = (0u64, 0);
    // Until as much was drawn as is evicted again.
    while drawn * 2_000_000 < limit / 2 * 3 {
        let n = drawn % 4 + 1;
        easel.draw(&format!("picture {drawn}"), n);
        drawn += n;
        held = held.max(easel.cached());
    }
    let (counted, rss) = (easel.cached(), easel.held());
    let most = limit + limit / 10 + BESIDES;
    let mib = |bytes: u64| bytes / (1 << 20);
    println!("cache.memory {} MiB, pictures drawn {drawn}", mib(limit));
    println!("before the first picture {} MiB", mib(empty));
    println!(
        "counted {} MiB (at most {}), held by the process {} MiB, goal {} MiB",
        mib(counted),
        mib(held),
        mib(rss),
        mib(most)
    );
    let kept = counted <= limit && held <= limit && rss <= most;
    println!("{}", if kept { "kept" } else { "BROKEN" });
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A vendor that draws noise, in a thread of its own.
fn vendor() -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            let drawn = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
            let app = Router::new().route("/v1/images/generations", post(draw)).with_state(drawn);
            axum::serve(listener, app).await.unwrap();
        });
    });
    told.recv().unwrap()
}

async fn draw(
    State(drawn): State<std::sync::Arc<std::sync::atomic::AtomicU64>>,
    axum::Json(ask): axum::Json<Value>,
) -> axum::Json<Value> {
    let picture = || {
        let mut rng = easel_prompts::Rng::new(drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let mut pixels = Vec::with_capacity((SIDE * SIDE * 3) as usize);
        while pixels.len() < (SIDE * SIDE * 3) as usize {
            pixels.extend_from_slice(&rng.next_u64().to_le_bytes());
        }
        pixels.truncate((SIDE * SIDE * 3) as usize);
        let noise = image::RgbImage::from_raw(SIDE, SIDE, pixels).unwrap();
        let mut file = std::io::Cursor::new(Vec::new());
        noise.write_to(&mut file, image::ImageFormat::Png).unwrap();
        json!({"b64_json": base64_simd::STANDARD.encode_to_string(file.into_inner())})
    };
    let pictures: Vec<Value> = (0..ask["n"].as_u64().unwrap_or(1)).map(|_| picture()).collect();
    axum::Json(json!({"created": 1, "data": pictures}))
}

/// A running `easel serve`, killed at the end.
struct Easel {
    child: Child,
    addr: SocketAddr,
    admin: SocketAddr,
    _config: tempfile::TempDir,
}

impl Drop for Easel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Easel {
    fn start(vendor: &SocketAddr, memory: &str) -> Easel {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("easel.yaml");
        let config = format!(
            "server: {{listen: '127.0.0.1:0', admin: '127.0.0.1:0'}}\ncache: {{memory: {memory}}}\nproviders:\n  home: {{kind: openai_compatible, base_url: 'http://{vendor}/v1/', \
             api_key: k, models: {{m: {{price: 0.01, max_n: 4, sizes: any}}}}}}\nroutes:\n  - {{name: all, offers: [home/m], quality: false}}\n"
        );
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_easel"));
        command.args(["serve", "--config"]).arg(&path).env("EASEL_LOG", "info");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("images on ") {
            line.clear();
            assert!(errors.read_line(&mut line).unwrap() > 0, "it ended before it listened");
        }
        std::thread::spawn(move || std::io::copy(&mut errors, &mut std::io::sink()));
        let mut found = line.split("://").skip(1).map(|part| {
            let end = part.find([',', '\n', ' ']).unwrap_or(part.len());
            part[..end].parse().unwrap()
        });
        let (addr, admin) = (found.next().unwrap(), found.next().unwrap());
        Easel { child, addr, admin, _config: folder }
    }

    fn draw(&self, prompt: &str, n: u64) {
        let body = json!({"prompt": prompt, "n": n, "size": format!("{SIDE}x{SIDE}")}).to_string();
        let head = format!(
            "POST /v1/images/generations HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let answer = exchange(self.addr, &(head + &body));
        assert!(answer.starts_with("HTTP/1.1 200"), "{}", &answer[..answer.len().min(600)]);
    }

    /// Bytes that the cache counts.
    fn cached(&self) -> u64 {
        let page = exchange(self.admin, "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let line = page.lines().find(|line| line.starts_with("easel_cache_bytes ")).unwrap();
        line.split_whitespace().last().unwrap().parse().unwrap()
    }

    /// Bytes that the kernel says the process holds.
    fn held(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }
}

fn exchange(addr: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
