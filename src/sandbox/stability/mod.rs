//! Stability AI, version 1: text to image in JSON, engines, balance (PROVIDERS.md section 3.2).
//!
//! The newer endpoints are in `stable_image.rs`; both answer on the same host with the same key, but word their errors
//! differently. Strict where the documents are: SDXL 1.0 draws nine sizes, and because the documented default of 512
//! is not one of them, a request without a size is refused. What starts from a picture is in `edits.rs`. Not
//! here: upscaling.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing;
use base64_simd::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::{BadBody, Call, No, act_out, bearer, draw, finish, media_type, read_json, text};
use super::draw::Sketch;
use super::faults::Mode;
use super::fields::{Fields, Wrong};
use super::settings::{Name, Vendor};
use crate::image::Size;
use crate::money::Usd;
use crate::sandbox::Desk;

pub(in crate::sandbox) mod edits;
pub(in crate::sandbox) mod stable_image;

/// The one engine left.
const SDXL: &str = "stable-diffusion-xl-1024-v1-0";

/// What SDXL 1.0 draws.
const SDXL_SIZES: [(u32, u32); 9] = [
    (1024, 1024),
    (1152, 896),
    (896, 1152),
    (1216, 832),
    (832, 1216),
    (1344, 768),
    (768, 1344),
    (1536, 640),
    (640, 1536),
];

const SAMPLERS: [&str; 10] = [
    "DDIM",
    "DDPM",
    "K_DPMPP_2M",
    "K_DPMPP_2S_ANCESTRAL",
    "K_DPM_2",
    "K_DPM_2_ANCESTRAL",
    "K_EULER",
    "K_EULER_ANCESTRAL",
    "K_HEUN",
    "K_LMS",
];

const GUIDANCE: [&str; 7] = ["FAST_BLUE", "FAST_GREEN", "NONE", "SIMPLE", "SLOW", "SLOWER", "SLOWEST"];

/// Both versions' styles.
pub(super) const STYLES: [&str; 17] = [
    "enhance",
    "anime",
    "photographic",
    "digital-art",
    "comic-book",
    "fantasy-art",
    "line-art",
    "analog-film",
    "neon-punk",
    "isometric",
    "low-poly",
    "origami",
    "modeling-compound",
    "cinematic",
    "3d-model",
    "pixel-art",
    "tile-texture",
];

/// What the account held before anything was charged.
const DEPOSIT: Usd = Usd::from_nanos(1_000_000_000_000);

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/v1/generation/{engine}/text-to-image", routing::post(generate))
        .route("/v1/generation/{engine}/image-to-image", routing::post(edits::whole))
        .route("/v1/generation/{engine}/image-to-image/masking", routing::post(edits::masked))
        .route("/v1/engines/list", routing::get(engines))
        .route("/v1/user/balance", routing::get(balance))
        .route("/v2beta/stable-image/generate/{service}", routing::post(stable_image::generate))
        .route("/v2beta/stable-image/edit/{service}", routing::post(stable_image::edit))
        .fallback(lost)
        .method_not_allowed_fallback(lost)
}

async fn generate(State(desk): State<Arc<Desk>>, Path(engine): Path<String>, request: Request) -> Response {
    let call = Call::admit(&desk, Name::Stability, request.headers());
    let answer = answer(&call, engine, request).await;
    call.close(answer)
}

async fn answer(call: &Call, engine: String, request: Request) -> Result<Response, No> {
    let (parts, body) = request.into_parts();
    let bytes = admit(call, &engine, &parts.headers)?;
    let object = read_json(&parts.headers, body).await.map_err(bad_body)?;
    serve(call, Order::read(Fields::json(object), engine, bytes)?).await
}

/// Checks the key and the engine; whether the picture itself is asked for.
pub(super) fn admit(call: &Call, engine: &str, headers: &HeaderMap) -> Result<bool, No> {
    authorise(&call.vendor, headers)?;
    if engine != SDXL && !call.vendor.price.contains_key(engine) {
        let message = "The specified engine was not found";
        return Err(No::violation(StatusCode::NOT_FOUND, error("not_found", message)));
    }
    wants_bytes(headers)
}

/// What is left to do with an order that is right.
pub(super) async fn serve(call: &Call, order: Order) -> Result<Response, No> {
    act_out(call.fate, fault).await?;
    if call.refuses(&order.prompt) {
        let message = "One or more prompts contains filtered words.";
        return Err(No::fault(StatusCode::BAD_REQUEST, error("invalid_prompts", message)));
    }
    call.work().await;
    order.fill(call).await
}

async fn engines(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let list = json!([{
        "id": SDXL,
        "name": "Stable Diffusion XL v1.0",
        "description": "Stability-AI Stable Diffusion XL v1.0",
        "type": "PICTURE",
    }]);
    let answer = authorise(&desk.settings(Name::Stability), &headers).map(|()| Json(list).into_response());
    finish(&desk, Name::Stability, answer)
}

/// Credits left, one for each cent, written exactly.
async fn balance(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let spent = desk.book(Name::Stability).billing.bill().usd;
    let credits = DEPOSIT.checked_sub(spent).and_then(|left| left.checked_mul(100)).unwrap_or(Usd::ZERO);
    let answer = authorise(&desk.settings(Name::Stability), &headers).and_then(|()| {
        let body = RawValue::from_string(format!("{{\"credits\":{credits}}}")).map_err(|_| No::broken())?;
        Ok(Json(body).into_response())
    });
    finish(&desk, Name::Stability, answer)
}

async fn lost(State(desk): State<Arc<Desk>>, method: Method, uri: Uri) -> Response {
    let message = format!("no such route: {method} {}", uri.path());
    finish(&desk, Name::Stability, Err(No::violation(StatusCode::NOT_FOUND, error("not_found", &message))))
}

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub engine: String,
    /// The texts of positive weight.
    pub prompt: String,
    pub size: Size,
    pub samples: u32,
    pub seed: u32,
    /// The picture itself instead of JSON.
    pub bytes: bool,
    /// Another for other input pictures.
    pub mark: u64,
}

impl Order {
    fn read(mut fields: Fields, engine: String, bytes: bool) -> Result<Order, No> {
        let prompt = prompts(fields.any("text_prompts")).map_err(|wrong| bad_field("invalid_prompts", &wrong))?;
        let bad_size = |wrong| bad_field("invalid_height_or_width", &wrong);
        let mut side = |name| fields.whole(name, 128..=2048).map(|side| side.unwrap_or(512)).map_err(bad_size);
        let (width, height) = (side("width")?, side("height")?);
        let size = size(&engine, width, height).map_err(bad_size)?;
        let samples = samples(&mut fields, bytes)?;
        let seed = knobs(fields).map_err(|wrong| bad_field("bad_request", &wrong))?;
        Ok(Order { engine, prompt, size, samples, seed, bytes, mark: 0 })
    }

    /// Draws, charges and answers.
    async fn fill(self, call: &Call) -> Result<Response, No> {
        if call.fate == Mode::NoPictures {
            return Ok(if self.bytes { ().into_response() } else { Json(json!({"artifacts": []})).into_response() });
        }
        let blurred = is_blurred(&self.prompt);
        let reason = if blurred { "CONTENT_FILTERED" } else { "SUCCESS" };
        let seeds: Vec<u32> = (0..self.samples).map(|index| seed_of(self.seed, call).wrapping_add(index)).collect();
        let sketch =
            |seed: &u32| Sketch { blurred, ..call.sketch(&self.prompt, u64::from(*seed) ^ self.mark, 0, self.size) };
        let mut files = draw(seeds.iter().map(sketch).collect()).await?;
        // Nothing is awaited from here on: what is charged is answered.
        let refused = if blurred { self.samples } else { 0 };
        call.charge(&self.engine, self.size, None, self.samples, refused)?;
        if self.bytes {
            let file = files.pop().unwrap_or_default();
            let mut answer = ([(header::CONTENT_TYPE, "image/png")], file).into_response();
            tell(&mut answer, reason, seeds[0]);
            return Ok(answer);
        }
        let artifact =
            |(file, seed)| json!({"base64": STANDARD.encode_to_string(file), "seed": seed, "finishReason": reason});
        let artifacts: Vec<Value> = files.iter().zip(seeds).map(artifact).collect();
        Ok(Json(json!({"artifacts": artifacts})).into_response())
    }
}

/// How many pictures.
pub(super) fn samples(fields: &mut Fields, bytes: bool) -> Result<u32, No> {
    let samples = fields.whole("samples", 1..=10).map_err(|wrong| bad_field("invalid_samples", &wrong))?.unwrap_or(1);
    if samples > 1 && bytes {
        let wrong = Wrong::other("samples", "must be 1 unless the accept header is application/json");
        return Err(bad_field("invalid_samples", &wrong));
    }
    Ok(u32::try_from(samples).unwrap_or(1))
}

/// The positive texts, joined. A negative prompt is a text of negative weight.
pub(super) fn prompts(value: Option<Value>) -> Result<String, Wrong> {
    let missing = || Wrong::other("text_prompts", "must be a list of at least one prompt");
    let Some(Value::Array(list)) = value else { return Err(missing()) };
    let mut positive = Vec::new();
    for item in list {
        let Value::Object(item) = item else { return Err(missing()) };
        let mut item = Fields::json(item);
        let text = item.prompt("text", 2000).map_err(inside)?;
        let weight = item.number("weight", -100.0..=100.0).map_err(inside)?;
        item.end().map_err(inside)?;
        if weight.is_none_or(|weight| weight >= 0.0) {
            positive.push(text);
        }
    }
    if positive.is_empty() { Err(missing()) } else { Ok(positive.join(", ")) }
}

fn inside(wrong: Wrong) -> Wrong {
    Wrong { field: format!("text_prompts.{}", wrong.field), ..wrong }
}

/// A size that the engine draws.
pub(super) fn size(engine: &str, width: i64, height: i64) -> Result<Size, Wrong> {
    let side = |name, side: i64| {
        u32::try_from(side)
            .ok()
            .filter(|side| side.is_multiple_of(64))
            .ok_or_else(|| Wrong::other(name, "must be a multiple of 64"))
    };
    let size = Size::new(side("width", width)?, side("height", height)?);
    if engine == SDXL && !SDXL_SIZES.contains(&(size.width, size.height)) {
        let sizes = SDXL_SIZES.map(|(width, height)| format!("{width}x{height}")).join(", ");
        return Err(Wrong::other("width", format!("and height must be one of {sizes} for {SDXL}")));
    }
    if !(262_144..=1_048_576).contains(&size.pixels()) {
        return Err(Wrong::other("width", "times height must be from 262144 to 1048576"));
    }
    Ok(size)
}

/// Everything that changes nothing here but must be right, and the seed.
pub(super) fn knobs(mut fields: Fields) -> Result<u32, Wrong> {
    fields.number("cfg_scale", 0.0..=35.0)?;
    fields.choice("clip_guidance_preset", &GUIDANCE)?;
    fields.choice("sampler", &SAMPLERS)?;
    fields.whole("steps", 10..=150)?;
    fields.choice("style_preset", &STYLES)?;
    let seed = fields.whole("seed", 0..=4_294_967_295)?;
    fields.end()?;
    Ok(seed.and_then(|seed| u32::try_from(seed).ok()).unwrap_or(0))
}

/// Whether the picture itself is asked for.
fn wants_bytes(headers: &HeaderMap) -> Result<bool, No> {
    match media_type(text(headers, &header::ACCEPT).unwrap_or_default()).as_str() {
        "" | "*/*" | "application/json" => Ok(false),
        "image/png" => Ok(true),
        _ => {
            let wrong = Wrong::other("accept", "must be application/json or image/png");
            Err(bad_field("bad_request", &wrong))
        }
    }
}

/// Both versions: zero is any.
pub(super) fn seed_of(asked: u32, call: &Call) -> u32 {
    match (asked, u32::try_from(call.luck >> 33).unwrap_or(1)) {
        (0, luck) => luck.max(1),
        (asked, _) => asked,
    }
}

/// Both versions: this word gets a picture that is blurred, and charged.
pub(super) fn is_blurred(prompt: &str) -> bool {
    prompt.to_lowercase().contains("blurred")
}

/// Both versions: what JSON would say, in headers.
pub(super) fn tell(answer: &mut Response, reason: &'static str, seed: u32) {
    answer.headers_mut().insert("finish-reason", HeaderValue::from_static(reason));
    answer.headers_mut().insert("seed", HeaderValue::from(seed));
}

fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), No> {
    match bearer(headers) {
        key if vendor.accepts(key) => Ok(()),
        None => Err(No::violation(StatusCode::UNAUTHORIZED, error("unauthorized", "missing authorization header"))),
        Some(_) => Err(No::violation(StatusCode::UNAUTHORIZED, error("unauthorized", "Incorrect API key provided"))),
    }
}

/// Version 1's envelope: one `message`.
pub(super) fn error(name: &str, message: &str) -> Value {
    json!({"id": "sandbox", "name": name, "message": message})
}

pub(super) fn bad_field(name: &str, wrong: &Wrong) -> No {
    No::violation(StatusCode::BAD_REQUEST, error(name, &format!("{}: {}", wrong.field, wrong.sentence())))
}

fn bad_body(why: BadBody) -> No {
    match why {
        BadBody::ContentType(given) => {
            let wrong = Wrong::other("content-type", format!("must be application/json, not '{given}'"));
            bad_field("bad_request", &wrong)
        }
        BadBody::TooLarge => {
            No::violation(StatusCode::PAYLOAD_TOO_LARGE, error("payload_too_large", "body over 10MiB"))
        }
        BadBody::NotJson(why) => bad_field("bad_request", &Wrong::other("body", why)),
        BadBody::NotAnObject => bad_field("bad_request", &Wrong::other("body", "must be an object")),
    }
}

/// No `retry-after`: Stability documents none, only its penalty of 60 seconds.
fn fault(mode: Mode) -> No {
    let (status, name, message) = fault_words(mode);
    No::fault(status, error(name, message))
}

/// Both versions' status, name and sentence for a fault.
pub(super) fn fault_words(mode: Mode) -> (StatusCode, &'static str, &'static str) {
    match mode {
        Mode::RateLimited { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limit_exceeded",
            "You have exceeded the rate limit of 150 requests within a 10 second period, and have been timed out \
             for 60 seconds.",
        ),
        Mode::OutOfMoney => (
            StatusCode::PAYMENT_REQUIRED,
            "payment_required",
            "You lack sufficient credits to make this request. Please purchase more credits.",
        ),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "An unexpected server error has occurred."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::{get, post, sandbox, send};
    use super::*;
    use crate::image::{Encoded, Format, Picture};

    const PATH: &str = "/stability/v1/generation/stable-diffusion-xl-1024-v1-0/text-to-image";

    fn with(extra: Value) -> Value {
        let mut body = json!({"text_prompts": [{"text": "a red bicycle", "weight": 1}], "width": 1024, "height": 1024});
        body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        body
    }

    #[tokio::test]
    async fn samples_come_as_artifacts_each_with_its_seed() {
        let sandbox = sandbox("{vendors: {stability: {price: {stable-diffusion-xl-1024-v1-0: 0.009}}}}").await;
        let body = with(json!({"width": 1344, "height": 768, "samples": 3, "seed": 5, "steps": 30, "cfg_scale": 7,
            "text_prompts": [{"text": "a red bicycle", "weight": 1}, {"text": "forbidden", "weight": -1}],
            "sampler": "K_DPMPP_2M", "clip_guidance_preset": "NONE", "style_preset": "photographic"}));
        let reply = post(&sandbox, PATH, body).await;
        assert_eq!(reply.status, 200, "a negative prompt is no wish for its content");
        let json = reply.json();
        let artifacts = json["artifacts"].as_array().unwrap();
        assert_eq!(artifacts.iter().map(|a| a["seed"].as_u64().unwrap()).collect::<Vec<_>>(), [5, 6, 7]);
        for artifact in artifacts {
            let file = Encoded::Base64(artifact["base64"].as_str().unwrap().to_owned().into());
            let picture = Picture::inspect(file).unwrap();
            assert_eq!((picture.format, picture.size), (Format::Png, Size::new(1344, 768)));
            assert_eq!(artifact["finishReason"], "SUCCESS");
        }
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(27_000_000)));
        assert_eq!(get(&sandbox, "/stability/v1/user/balance").await.body, br#"{"credits":99997.3}"#);
    }

    #[tokio::test]
    async fn one_picture_can_come_as_bytes() {
        let sandbox = sandbox("{}").await;
        let headers = [("authorization", "Bearer any"), ("content-type", "application/json"), ("accept", "image/png")];
        let body = with(json!({"seed": 5})).to_string();
        let reply = send(sandbox.addr(), "POST", PATH, &headers, body.as_bytes()).await;
        assert_eq!((reply.header("content-type"), reply.header("seed")), (Some("image/png"), Some("5")));
        assert_eq!(reply.header("finish-reason"), Some("SUCCESS"));
        let body = with(json!({"samples": 2})).to_string();
        let reply = send(sandbox.addr(), "POST", PATH, &headers, body.as_bytes()).await;
        assert_eq!((reply.status, reply.json()["name"].as_str()), (400, Some("invalid_samples")));
    }

    #[tokio::test]
    async fn every_field_that_is_out_of_line_is_named_and_noted() {
        let sandbox = sandbox("{}").await;
        let cases = [
            (json!({"text_prompts": []}), "invalid_prompts"),
            (json!({"text_prompts": [{"text": "x", "wait": 1}]}), "invalid_prompts"),
            (json!({"text_prompts": [{"text": "x".repeat(2001)}]}), "invalid_prompts"),
            (json!({"text_prompts": [{"text": "x", "weight": -1}]}), "invalid_prompts"),
            (json!({"width": 1024, "height": 1000}), "invalid_height_or_width"),
            (json!({"width": 512, "height": 512}), "invalid_height_or_width"),
            (json!({"width": "1024"}), "invalid_height_or_width"),
            (json!({"samples": 11}), "invalid_samples"),
            (json!({"steps": 5}), "bad_request"),
            (json!({"cfg_scale": 36}), "bad_request"),
            (json!({"sampler": "EULER"}), "bad_request"),
            (json!({"seed": null}), "bad_request"),
            (json!({"prompt": "x"}), "bad_request"),
        ];
        for (count, (extra, name)) in cases.iter().enumerate() {
            let reply = post(&sandbox, PATH, with(extra.clone())).await;
            assert_eq!((reply.status, reply.json()["name"].as_str()), (400, Some(*name)), "{extra}");
            assert!(reply.json()["message"].is_string());
            assert_eq!(sandbox.invoice().vendor(Name::Stability).violations_total, count as u64 + 1);
        }
        let sizeless = json!({"text_prompts": [{"text": "x"}]});
        assert_eq!(post(&sandbox, PATH, sizeless).await.json()["name"], "invalid_height_or_width");
        let reply =
            post(&sandbox, "/stability/v1/generation/stable-diffusion-v1-5/text-to-image", with(json!({}))).await;
        assert_eq!((reply.status, reply.json()["name"].as_str()), (404, Some("not_found")));
    }

    #[tokio::test]
    async fn a_key_and_json_are_required() {
        let sandbox = sandbox("{}").await;
        let body = with(json!({})).to_string();
        let json = ("content-type", "application/json");
        let reply = send(sandbox.addr(), "POST", PATH, &[json], body.as_bytes()).await;
        assert_eq!((reply.status, reply.json()["name"].as_str()), (401, Some("unauthorized")));
        let headers = [("authorization", "Bearer any"), ("content-type", "text/plain")];
        let reply = send(sandbox.addr(), "POST", PATH, &headers, body.as_bytes()).await;
        assert_eq!((reply.status, reply.json()["name"].as_str()), (400, Some("bad_request")));
        assert_eq!(get(&sandbox, "/stability/v1/engines/list").await.json()[0]["id"], SDXL);
        assert_eq!(sandbox.invoice().vendor(Name::Stability).violations_total, 2);
    }

    #[tokio::test]
    async fn forbidden_is_an_invalid_prompt_and_blurred_is_filtered_and_charged() {
        let sandbox = sandbox("{}").await;
        let body = with(json!({"text_prompts": [{"text": "forbidden"}]}));
        let reply = post(&sandbox, PATH, body).await;
        assert_eq!((reply.status, reply.json()["name"].as_str()), (400, Some("invalid_prompts")));
        assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
        let body = with(json!({"text_prompts": [{"text": "blurred"}], "samples": 2}));
        let json = post(&sandbox, PATH, body).await.json();
        assert_eq!(json["artifacts"][1]["finishReason"], "CONTENT_FILTERED");
        let invoice = sandbox.invoice();
        let bill = invoice.vendor(Name::Stability);
        assert_eq!((bill.refused_billed, bill.violations_total, bill.usd), (2, 0, Usd::from_nanos(80_000_000)));
    }
}
