//! Pictures that are paid for and arrive in an odd dress: bytes behind their end, another base64, more than were asked.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use base64_simd::STANDARD;
use easel::Usd;
use image::{Rgb, RgbImage};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Answer;
use crate::exchange::png;
use crate::world::{World, ask};

/// What a vendor answers, to the byte, and what it was sent.
struct Canned {
    url: String,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Whether it goes on as if more were to come, instead of closing.
    hangs: Arc<AtomicBool>,
}

impl Canned {
    async fn start() -> Canned {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (answer, asked) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<Mutex<Vec<Vec<u8>>>>::default());
        let hangs = Arc::<AtomicBool>::default();
        let (answers, log, hang) = (answer.clone(), asked.clone(), hangs.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers.clone(), log.clone(), hang.clone()));
            }
        });
        Canned { url, answer, asked, hangs }
    }

    /// Answers with a JSON body from now on.
    fn says(&self, body: &Value) {
        let body = body.to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        self.sends((head + &body).into_bytes());
    }

    /// Answers with these bytes from now on, and closes the connection.
    fn sends(&self, bytes: Vec<u8>) {
        *self.answer.lock().unwrap() = bytes;
    }

    /// The same in one chunk, without the chunk that ends it.
    fn chunks(&self, content_type: &str, body: &[u8]) {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked";
        let head = format!("{head}\r\ncontent-type: {content_type}\r\n\r\n{:x}\r\n", body.len());
        self.sends([head.as_bytes(), body, b"\r\n"].concat());
    }

    fn calls(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    async fn world(&self) -> World {
        World::new(&format!(
            "
providers:
  plain:
    {{kind: openai_compatible, base_url: {0}/v1/, api_key: k, timeout: 3s, models: {{m: {{price: 0.04}}}}}}
  openai: {{kind: openai, base_url: {0}/v1/, api_key: k, timeout: 3s, models: {{gpt-image-2: {{price: 0.04}}}}}}
  google: {{kind: google, base_url: {0}/, api_key: k, models: {{gemini-2.5-flash-image: {{price: 0.04}}}}}}
routes:
  - {{name: r, match: {{models: [m]}}, offers: [plain/m], attempts: {{max: 1}}}}
  - {{name: edits, match: {{models: [e]}}, offers: [openai/gpt-image-2]}}
  - {{name: gemini, match: {{models: [g]}}, offers: [google/gemini-2.5-flash-image]}}
",
            self.url
        ))
        .await
    }
}

/// Reads a request, answers it and closes, unless the connection is to hang.
async fn serve(
    stream: TcpStream,
    answer: Arc<Mutex<Vec<u8>>>,
    log: Arc<Mutex<Vec<Vec<u8>>>>,
    hangs: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while stream.read_line(&mut line).await? > 2 {
        if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = told.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    log.lock().unwrap().push(body);
    let answer = answer.lock().unwrap().clone();
    stream.write_all(&answer).await?;
    if hangs.load(Relaxed) {
        std::future::pending::<()>().await;
    }
    stream.shutdown().await
}

fn picture(seed: u8) -> Vec<u8> {
    png(RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, seed]))).into()
}

fn encoded(format: image::ImageFormat) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    RgbImage::from_fn(48, 32, |x, y| Rgb([x as u8, y as u8, 9])).write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A picture whose base64 has padding and characters that the URL-safe alphabet writes otherwise.
fn telling() -> (Vec<u8>, String) {
    let texts = (0..=255).map(|seed| (picture(seed), STANDARD.encode_to_string(picture(seed))));
    let mut telling = texts.filter(|(_, text)| text.ends_with('=') && text.contains('+') && text.contains('/'));
    telling.next().unwrap()
}

fn inside(text: &str) -> Value {
    json!({"data": [{"b64_json": text}]})
}

/// The files of an answer.
fn files(answer: &Answer) -> Vec<Vec<u8>> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body = answer.json();
    let texts = body["data"].as_array().unwrap().iter().map(|item| item["b64_json"].as_str().unwrap().to_owned());
    texts.map(|text| STANDARD.decode_to_vec(text).unwrap()).collect()
}

/// Base64 as servers and clients write it.
fn dialects(text: &str) -> Vec<String> {
    let url_safe = text.replace('+', "-").replace('/', "_");
    let lines: Vec<&str> = text.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
    vec![
        text.to_owned(),
        text.trim_end_matches('=').to_owned(),
        url_safe.clone(),
        url_safe.trim_end_matches('=').to_owned(),
        lines.join("\r\n"),
    ]
}

const PREFIXES: [&str; 4] =
    ["data:image/png;base64,", "DATA:image/png;BASE64,", "data:;base64,", "data:image/png;charset=utf-8;base64,"];

#[tokio::test]
async fn a_picture_with_bytes_behind_its_end_is_delivered_as_it_came_and_one_that_ends_early_is_not() {
    let vendor = Canned::start().await;
    for format in [image::ImageFormat::Png, image::ImageFormat::Jpeg, image::ImageFormat::WebP] {
        let (whole, world) = (encoded(format), vendor.world().await);
        for behind in [0, 1, 40, 65, 4096] {
            let file = [&whole[..], &vec![0; behind]].concat();
            vendor.says(&inside(&STANDARD.encode_to_string(&file)));
            assert_eq!(files(&world.draw(ask(&format!("{format:?} and {behind}"))).await), [file]);
        }
        for cut in [20, whole.len() / 2] {
            vendor.says(&inside(&STANDARD.encode_to_string(&whole[..whole.len() - cut])));
            let answer = world.draw(ask(&format!("{format:?} without {cut}"))).await;
            assert_eq!(answer.status, 502, "{format:?} without {cut}");
        }
    }
    let world = vendor.world().await;
    let jpeg = encoded(image::ImageFormat::Jpeg);
    vendor.says(&inside(&STANDARD.encode_to_string(&jpeg[..jpeg.len() - 2])));
    assert_eq!(files(&world.draw(ask("no end marker")).await), [jpeg[..jpeg.len() - 2].to_vec()]);
}

#[tokio::test]
async fn base64_from_a_vendor_is_taken_as_servers_write_it_and_delivered_in_the_standard_form() {
    let vendor = Canned::start().await;
    let world = vendor.world().await;
    let (file, text) = telling();
    for (number, written) in dialects(&text).into_iter().enumerate() {
        for prefix in ["", PREFIXES[number % PREFIXES.len()]] {
            vendor.says(&inside(&format!("{prefix}{written}")));
            let answer = world.draw(ask(&format!("{number} {prefix}"))).await;
            assert_eq!(files(&answer), std::slice::from_ref(&file), "{prefix}{number}");
            assert_eq!(answer.headers["x-easel-cost-usd"], "0.04");
        }
    }
}

#[tokio::test]
async fn a_picture_in_a_json_edit_is_taken_in_every_form_of_base64_and_arrives_byte_by_byte() {
    let vendor = Canned::start().await;
    let world = vendor.world().await;
    let (file, text) = telling();
    vendor.says(&inside(&STANDARD.encode_to_string(picture(1))));
    let padded = STANDARD.encode_to_string([&file[..], &[0; 65]].concat());
    for (number, written) in dialects(&text).into_iter().chain([padded]).enumerate() {
        let image = format!("{}{written}", PREFIXES[number % PREFIXES.len()]);
        let prompt = format!("hat {number}");
        let edit = json!({"model": "e", "prompt": prompt, "images": [{"image_url": image}]});
        let answer = world.client().await.post("/v1/images/edits", &edit).await;
        assert_eq!(files(&answer).len(), 1);
        let sent = vendor.asked.lock().unwrap().last().unwrap().clone();
        assert!(sent.windows(file.len()).any(|window| window == file), "{number}");
    }
    let edit = json!({"model": "e", "prompt": "x", "images": [{"image_url": "data:image/png;base64,<html>"}]});
    let answer = world.client().await.post("/v1/images/edits", &edit).await;
    assert_eq!((answer.status, answer.text().contains("is not valid base64")), (400, true));
}

#[tokio::test]
async fn a_picture_more_than_was_asked_is_paid_for_and_kept_for_whoever_asks_for_another() {
    let vendor = Canned::start().await;
    let world = vendor.world().await;
    let texts: Vec<String> = (0..3).map(|seed| STANDARD.encode_to_string(picture(seed))).collect();
    let parts: Vec<Value> = texts.iter().map(|text| json!({"inlineData": {"data": text}})).collect();
    let gemini = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
    let listed: Vec<Value> = texts.iter().map(|text| json!({"b64_json": text})).collect();
    for (model, reply) in [("m", json!({"data": listed})), ("g", gemini)] {
        let (paid, calls) = (world.spent(), vendor.calls());
        vendor.says(&reply);
        let wish = |n: u8| json!({"model": model, "prompt": "a fox", "size": "1024x1024", "n": n});
        let one = world.draw(wish(1)).await;
        assert_eq!(files(&one), [picture(0)], "one was asked");
        assert_eq!(world.spent(), paid.saturating_add(Usd::from_nanos(3 * 40_000_000)), "all three are billed");
        let all = world.draw(wish(3)).await;
        assert_eq!((files(&all).len(), vendor.calls()), (3, calls + 1), "and nobody draws them again");
        assert_eq!(all.headers["x-easel-cost-usd"], "0");
    }
}

#[tokio::test]
async fn a_broken_picture_more_than_was_asked_is_no_failure() {
    let vendor = Canned::start().await;
    let world = vendor.world().await;
    vendor.says(&json!({"data": [{"b64_json": STANDARD.encode_to_string(picture(0))}, {"b64_json": "QUJD"}]}));
    for prompt in ["a", "b", "c", "d", "e", "f", "g"] {
        assert_eq!(files(&world.draw(ask(prompt)).await), [picture(0)], "nobody is paused for it");
    }
    assert_eq!(vendor.calls(), 7);
}

/// Ways of a reply to come to no end.
const NO_END: [bool; 2] = [false, true];

fn event(kind: &str, text: &str) -> String {
    let data = json!({"type": kind, "b64_json": text, "size": "1024x1024", "partial_image_index": 0});
    format!("event: {kind}\ndata: {data}\n\n")
}

#[tokio::test]
async fn a_stream_that_breaks_behind_its_finished_picture_delivers_it_and_it_is_bought_once() {
    let vendor = Canned::start().await;
    let text = STANDARD.encode_to_string(picture(0));
    let streamed = |prompt: &str| json!({"model": "e", "prompt": prompt, "stream": true, "partial_images": 1});
    for hangs in NO_END {
        let (world, calls) = (vendor.world().await, vendor.calls());
        vendor.hangs.store(hangs, Relaxed);
        let events = event("image_generation.partial_image", &text) + &event("image_generation.completed", &text);
        vendor.chunks("text/event-stream", events.as_bytes());
        let answer = world.draw(streamed("a fox")).await;
        let told = answer.text();
        assert!(told.contains("image_generation.completed") && told.contains(&text), "hangs: {hangs}: {told}");
        assert_eq!((world.spent(), vendor.calls()), (Usd::from_nanos(40_000_000), calls + 1), "hangs: {hangs}");
    }
    // Without it there is no picture, and nobody knows what it cost.
    vendor.hangs.store(false, Relaxed);
    let world = vendor.world().await;
    let half = event("image_generation.completed", &text);
    vendor.chunks("text/event-stream", &half.as_bytes()[..half.len() - 2]);
    let answer = world.draw(streamed("a fox")).await;
    assert!(!answer.text().contains("image_generation.completed"), "{}", answer.text());
    assert_eq!(world.spent(), Usd::ZERO);
    let totals = world.gateway.shared.ledger.totals();
    assert!(totals.iter().any(|(account, _)| account.kind == easel::internals::ledger::SpendKind::Uncertain));
}

#[tokio::test]
async fn json_whose_frame_is_cut_off_counts_if_nothing_is_missing_of_it() {
    let vendor = Canned::start().await;
    let body = inside(&STANDARD.encode_to_string(picture(0))).to_string();
    let declared = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len() + 9).into_bytes();
    for hangs in NO_END {
        let world = vendor.world().await;
        vendor.hangs.store(hangs, Relaxed);
        for content_type in ["application/json", "text/plain", "text/event-stream"] {
            vendor.chunks(content_type, body.as_bytes());
            assert_eq!(files(&world.draw(ask(content_type)).await), [picture(0)], "{content_type}, hangs: {hangs}");
        }
        vendor.sends(declared.clone());
        assert_eq!(files(&world.draw(ask("too long")).await), [picture(0)], "hangs: {hangs}");
    }
    vendor.hangs.store(false, Relaxed);
    let world = vendor.world().await;
    vendor.chunks("application/json", &body.as_bytes()[..body.len() - 1]);
    assert_ne!(world.draw(ask("cut")).await.status, 200);
}
