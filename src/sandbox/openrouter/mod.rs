//! OpenRouter's image API as PROVIDERS.md section 7.1 has it, and what its chat in `chat.rs` shares.
//!
//! What a call is charged stands in its answer, as a number with every digit, small ones in scientific notation as
//! JavaScript writes them. Models are in `models.rs`. Not here: streaming, lists of models, routing among
//! makers (`provider` is taken and ignored).

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing;
use base64_simd::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::call::{BadBody, Call, No, act_out, bearer, draw, finish, read_json, unix_time};
use super::draw::Sketch;
use super::edits::{data_url, look, mark};
use super::faults::Mode;
use super::fields::{Fields, Why, Wrong};
use super::settings::{Name, Vendor};
use crate::image::{Format, Size};
use crate::money::Usd;
use crate::sandbox::Desk;
use crate::sandbox::openrouter::models::Model;

pub(in crate::sandbox) mod chat;
pub(in crate::sandbox) mod models;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/api/v1/images", routing::post(generate))
        .route("/api/v1/chat/completions", routing::post(chat::complete))
        .fallback(lost)
        .method_not_allowed_fallback(lost)
}

async fn generate(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let call = Call::admit(&desk, Name::OpenRouter, request.headers());
    let answer = answer(&call, request).await;
    call.close(answer)
}

async fn answer(call: &Call, request: Request) -> Result<Response, No> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let mut fields = Fields::json(read_json(&parts.headers, body).await.map_err(bad_body)?);
    let (name, model) = model(&mut fields, &call.vendor)?;
    let (mut order, references) = read(name, &model, fields).map_err(bad_field)?;
    order.mark = check(references, model.references, "input_references").await.map_err(bad_field)?;
    act_out(call.fate, fault).await?;
    if call.refuses(&order.prompt) {
        return Err(moderation(&order));
    }
    call.work().await;
    order.fill(call).await
}

async fn lost(State(desk): State<Arc<Desk>>, method: Method, uri: Uri) -> Response {
    let message = format!("Not Found: {method} {}", uri.path());
    finish(&desk, Name::OpenRouter, Err(violation(StatusCode::NOT_FOUND, &message)))
}

pub(super) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), No> {
    match bearer(headers) {
        key if vendor.accepts(key) => Ok(()),
        None | Some("") => Err(violation(StatusCode::UNAUTHORIZED, "No auth credentials found")),
        Some(_) => Err(violation(StatusCode::UNAUTHORIZED, "User not found.")),
    }
}

/// The model and its name.
pub(super) fn model(fields: &mut Fields, vendor: &Vendor) -> Result<(String, Model), No> {
    let name = fields.prompt("model", 200).map_err(bad_field)?;
    match Model::of(&name, vendor) {
        Some(model) => Ok((name, model)),
        None if name.contains('/') => Err(violation(StatusCode::NOT_FOUND, &format!("No endpoints found for {name}."))),
        None => Err(violation(StatusCode::BAD_REQUEST, &format!("{name} is not a valid model ID"))),
    }
}

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub model: String,
    pub prompt: String,
    pub n: u32,
    pub size: Size,
    pub quality: Option<String>,
    pub format: Format,
    pub transparent: bool,
    pub seed: Option<i64>,
    /// Stands for the input pictures; 0 when there are none.
    pub mark: u64,
}

/// The order and its input pictures.
fn read(name: String, model: &Model, mut fields: Fields) -> Result<(Order, Vec<Bytes>), Wrong> {
    let prompt = fields.prompt("prompt", usize::MAX)?;
    let n = fields.whole("n", 1..=10)?.unwrap_or(1);
    if n > model.most {
        return Err(Wrong::other("n", "is not supported by this model, which draws one picture a call"));
    }
    let size = model.size(&mut fields)?;
    if !model.effort
        && let Some(field) = ["quality", "background"].into_iter().find(|field| fields.has(field))
    {
        return Err(Wrong::other(field, "is not supported by this model"));
    }
    let quality = fields.choice("quality", &["auto", "low", "medium", "high"])?.filter(|word| word != "auto");
    let background = fields.choice("background", &["auto", "transparent", "opaque"])?;
    if model.formats.is_empty() && fields.has("output_format") {
        return Err(Wrong::other("output_format", "is not supported by this model"));
    }
    let format = fields.choice("output_format", model.formats)?;
    fields.whole("output_compression", 0..=100)?;
    let seed = seed(model, &mut fields)?;
    unstreamed(&mut fields)?;
    provider(&mut fields)?;
    let references = match fields.any("input_references") {
        None => Vec::new(),
        Some(Value::Array(list)) => {
            list.iter().map(|item| referred("input_references", item)).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(not_a("input_references", "array", &other)),
    };
    fields.end()?;
    let order = Order {
        model: name,
        prompt,
        n: u32::try_from(n).unwrap_or(1),
        size,
        quality,
        format: format.and_then(|word| word.parse().ok()).unwrap_or(Format::Png),
        transparent: background.as_deref() == Some("transparent"),
        seed,
        mark: 0,
    };
    Ok((order, references))
}

pub(super) fn seed(model: &Model, fields: &mut Fields) -> Result<Option<i64>, Wrong> {
    match fields.whole("seed", 0..=i64::MAX)? {
        Some(_) if !model.seed => Err(Wrong::other("seed", "is not supported by this model")),
        seed => Ok(seed),
    }
}

pub(super) fn unstreamed(fields: &mut Fields) -> Result<(), Wrong> {
    match fields.flag("stream")? {
        Some(true) => Err(Wrong::other("stream", "is not what this sandbox does")),
        _ => Ok(()),
    }
}

pub(super) fn provider(fields: &mut Fields) -> Result<(), Wrong> {
    match fields.any("provider") {
        None | Some(Value::Object(_)) => Ok(()),
        Some(other) => Err(not_a("provider", "object", &other)),
    }
}

pub(super) fn not_a(field: &str, wanted: &'static str, got: &Value) -> Wrong {
    Wrong::new(field, Why::NotA(wanted, super::fields::kind(got)))
}

/// The bytes of `{"type": "image_url", "image_url": {"url": "data:…"}}`, exactly so.
pub(super) fn referred(field: &str, item: &Value) -> Result<Bytes, Wrong> {
    let url = item.pointer("/image_url/url").and_then(Value::as_str).unwrap_or_default();
    if *item != json!({"type": "image_url", "image_url": {"url": url}}) {
        return Err(Wrong::other(field, "each must be {type: image_url, image_url: {url}}"));
    }
    data_url(url).ok_or_else(|| Wrong::other(field, "this sandbox takes data: URLs of pictures only"))
}

/// Whether these are real pictures and not too many; a number that stands for them.
pub(super) async fn check(references: Vec<Bytes>, most: usize, field: &str) -> Result<u64, Wrong> {
    if references.len() > most {
        return Err(Wrong::other(field, format!("this model takes at most {most}")));
    }
    let mark = mark(&references, None);
    if !references.is_empty() {
        look(field, references, None).await?;
    }
    Ok(mark)
}

impl Order {
    /// Draws, charges and answers.
    async fn fill(self, call: &Call) -> Result<Response, No> {
        if call.fate == Mode::NoPictures {
            return Ok(Json(json!({"created": unix_time(), "data": []})).into_response());
        }
        let files = self.draw(call).await?;
        // Nothing is awaited from here on: what is charged is answered.
        let usage = self.charge(call)?;
        let media_type = self.format.media_type();
        let item = |file| json!({"b64_json": STANDARD.encode_to_string(file), "media_type": media_type});
        let data = files.iter().map(item).collect();
        Ok(Json(Drawn { created: unix_time(), data, usage }).into_response())
    }

    pub(super) async fn draw(&self, call: &Call) -> Result<Vec<Bytes>, No> {
        let seed = self.seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(call.luck) ^ self.mark;
        let sketch = |index| Sketch {
            format: self.format,
            transparent: self.transparent,
            ..call.sketch(&self.prompt, seed, index, self.size)
        };
        draw((0..self.n).map(sketch).collect()).await
    }

    /// Charges the pictures and says so.
    pub(super) fn charge(&self, call: &Call) -> Result<Usage, No> {
        let charged = call.charge(&self.model, self.size, self.quality.as_deref(), self.n, 0)?;
        Usage::of(charged)
    }
}

/// The image API's answer.
#[derive(Serialize)]
struct Drawn {
    created: u64,
    data: Vec<Value>,
    usage: Usage,
}

/// What a call took and costs.
#[derive(Serialize)]
pub(super) struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
    total_tokens: u32,
    /// The digits themselves.
    cost: Box<RawValue>,
    is_byok: bool,
}

impl Usage {
    pub(super) fn of(cost: Usd) -> Result<Usage, No> {
        let cost = RawValue::from_string(digits(cost)).map_err(|_| No::broken())?;
        Ok(Usage { prompt_tokens: 8, completion_tokens: 1290, total_tokens: 1298, cost, is_byok: false })
    }
}

/// An amount as JavaScript prints it: below a millionth in scientific notation.
fn digits(usd: Usd) -> String {
    match usd.nanos() {
        nanos @ 1..1000 => format!("{nanos}e-9"),
        _ => usd.to_string(),
    }
}

/// The envelope, whose code is a number.
fn error(status: StatusCode, message: &str) -> Value {
    json!({"error": {"code": status.as_u16(), "message": message}, "user_id": "user_sandbox"})
}

pub(super) fn violation(status: StatusCode, message: &str) -> No {
    No::violation(status, error(status, message))
}

pub(super) fn bad_field(wrong: Wrong) -> No {
    violation(StatusCode::BAD_REQUEST, &format!("{}: {}", wrong.field, wrong.sentence()))
}

pub(super) fn bad_body(why: BadBody) -> No {
    match why {
        BadBody::ContentType(given) => {
            violation(StatusCode::BAD_REQUEST, &format!("expected application/json, not '{given}'"))
        }
        BadBody::TooLarge => violation(StatusCode::PAYLOAD_TOO_LARGE, "Request body too large"),
        BadBody::NotJson(why) => violation(StatusCode::BAD_REQUEST, &format!("Invalid JSON: {why}")),
        BadBody::NotAnObject => violation(StatusCode::BAD_REQUEST, "Invalid input: expected object"),
    }
}

pub(super) fn fault(mode: Mode) -> No {
    let fault = |status, message| No::fault(status, error(status, message));
    match mode {
        Mode::RateLimited { retry_after } => {
            fault(StatusCode::TOO_MANY_REQUESTS, "Rate limit exceeded").with_retry_after(retry_after)
        }
        Mode::OutOfMoney => fault(StatusCode::PAYMENT_REQUIRED, "Insufficient credits. Add more to continue."),
        _ => fault(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error"),
    }
}

/// The image API's refusal, before anything is drawn.
fn moderation(order: &Order) -> No {
    let message = "Your chosen model requires moderation and your input was flagged for \"violence\". No credits were \
                   charged.";
    let mut body = error(StatusCode::FORBIDDEN, message);
    body["error"]["metadata"] = json!({
        "reasons": ["violence"],
        "flagged_input": order.prompt.chars().take(100).collect::<String>(),
        "provider_name": "Sandbox",
        "model_slug": order.model,
    });
    No::fault(StatusCode::FORBIDDEN, body)
}

#[cfg(test)]
mod tests {
    use super::super::client::{Reply, post, sandbox, send};
    use super::super::edits::tests::{as_url, picture};
    use super::super::{Mode, Sandbox};
    use super::*;
    use crate::image::{Encoded, Picture};

    const PATH: &str = "/openrouter/api/v1/images";
    const GEMINI: &str = "google/gemini-3.1-flash-image";

    async fn ask(sandbox: &Sandbox, model: &str, extra: Value) -> Reply {
        let mut body = json!({"model": model, "prompt": "a red bicycle"});
        body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        post(sandbox, PATH, body).await
    }

    fn drawn(reply: &Reply) -> (Format, Size) {
        let json = reply.json();
        let text = json["data"][0]["b64_json"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned();
        let picture = Picture::inspect(Encoded::Base64(text.into())).unwrap();
        (picture.format, picture.size)
    }

    #[tokio::test]
    async fn each_model_draws_by_its_own_way_to_tell_a_size() {
        let sandbox = sandbox("{}").await;
        for (model, wish, size) in [
            (GEMINI, json!({}), (1024, 1024)),
            (GEMINI, json!({"resolution": "512", "aspect_ratio": "16:9"}), (688, 384)),
            ("google/gemini-2.5-flash-image", json!({"aspect_ratio": "3:2", "seed": 7}), (1248, 832)),
            ("bytedance-seed/seedream-4.5", json!({}), (2048, 2048)),
            ("openai/gpt-image-2", json!({"size": "1536x864", "quality": "low", "background": "opaque"}), (1536, 864)),
        ] {
            let reply = ask(&sandbox, model, wish).await;
            assert_eq!(drawn(&reply), (Format::Png, Size::new(size.0, size.1)), "{model}");
        }
        let reply = ask(&sandbox, "black-forest-labs/flux.2-pro", json!({"output_format": "jpeg"})).await;
        assert_eq!(
            (drawn(&reply).0, reply.json()["data"][0]["media_type"].as_str()),
            (Format::Jpeg, Some("image/jpeg"))
        );
        assert_eq!(sandbox.invoice().vendor(Name::OpenRouter).violations, [""; 0]);
    }

    #[tokio::test]
    async fn the_cost_in_the_answer_is_what_is_charged_to_the_last_digit() {
        let prices = "{tiny/model: 0.000000301, house/model: 0.045}";
        let sandbox = sandbox(&format!("{{vendors: {{openrouter: {{price: {prices}}}}}}}")).await;
        let cost = |reply: Reply| {
            let text = String::from_utf8(reply.body).unwrap();
            text.split("\"cost\":").nth(1).unwrap().split(',').next().unwrap().to_owned()
        };
        assert_eq!(cost(ask(&sandbox, "house/model", json!({})).await), "0.045");
        assert_eq!(cost(ask(&sandbox, "tiny/model", json!({})).await), "301e-9");
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(45_000_301)));
    }

    #[tokio::test]
    async fn what_a_model_does_not_take_is_refused_by_name() {
        let sandbox = sandbox("{}").await;
        let gpt = "openai/gpt-image-2";
        let url = as_url(&picture(32, Format::Png, false));
        let four = vec![json!({"type": "image_url", "image_url": {"url": url}}); 4];
        let cases = [
            (GEMINI, json!({"n": 2}), "n:"),
            (GEMINI, json!({"size": "1024x1024"}), "size:"),
            (GEMINI, json!({"quality": "low"}), "quality:"),
            (GEMINI, json!({"background": "transparent"}), "background:"),
            (GEMINI, json!({"output_format": "png"}), "output_format:"),
            (GEMINI, json!({"aspect_ratio": "7:4"}), "aspect_ratio:"),
            (GEMINI, json!({"resolution": "3K"}), "resolution:"),
            ("google/gemini-2.5-flash-image", json!({"resolution": "1K"}), "resolution:"),
            ("google/gemini-2.5-flash-image", json!({"input_references": four}), "input_references:"),
            (GEMINI, json!({"input_references": [{"image_url": url}]}), "input_references:"),
            (
                GEMINI,
                json!({"input_references": [{"type": "image_url", "image_url": {"url": "https://h/1.png"}}]}),
                "input_references:",
            ),
            (gpt, json!({"size": "1024x1024", "aspect_ratio": "1:1"}), "size:"),
            (gpt, json!({"size": "1000x1000"}), "size:"),
            (gpt, json!({"seed": 1}), "seed:"),
            (gpt, json!({"user": "u"}), "user:"),
            (gpt, json!({"response_format": "b64_json"}), "response_format:"),
            (gpt, json!({"prompt": ""}), "prompt:"),
            (gpt, json!({"n": null}), "n:"),
        ];
        let count = cases.len() as u64;
        for (model, wish, begins) in cases {
            let reply = ask(&sandbox, model, wish.clone()).await;
            let error = reply.json()["error"].clone();
            assert_eq!((reply.status, error["code"].as_u64()), (400, Some(400)), "{wish}");
            assert!(error["message"].as_str().unwrap().starts_with(begins), "{wish}: {error}");
        }
        assert_eq!(ask(&sandbox, "nobody/nothing", json!({})).await.status, 404);
        assert_eq!(ask(&sandbox, "nothing", json!({})).await.status, 400);
        let headers = [("content-type", "application/json")];
        assert_eq!(send(sandbox.addr(), "POST", PATH, &headers, b"{}").await.status, 401);
        let headers = [("authorization", "Bearer any"), ("content-type", "text/plain")];
        assert_eq!(send(sandbox.addr(), "POST", PATH, &headers, b"{}").await.status, 400);
        let bill = sandbox.invoice().vendor(Name::OpenRouter).clone();
        assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, count + 4));
    }

    #[tokio::test]
    async fn input_pictures_are_looked_at_and_change_what_is_drawn() {
        let drawn = async |side: u32| {
            let sandbox = sandbox("{}").await;
            let url = as_url(&picture(side, Format::Png, false));
            let wish = json!({"input_references": [{"type": "image_url", "image_url": {"url": url}}]});
            ask(&sandbox, GEMINI, wish).await.json()["data"][0].clone()
        };
        assert_eq!(drawn(32).await, drawn(32).await);
        assert_ne!(drawn(32).await, drawn(48).await);
        let sandbox = sandbox("{}").await;
        let url = as_url(&picture(32, Format::Png, false).slice(..60));
        let wish = json!({"input_references": [{"type": "image_url", "image_url": {"url": url}}]});
        assert_eq!(ask(&sandbox, GEMINI, wish).await.status, 400);
    }

    #[tokio::test]
    async fn refusals_and_faults_are_openrouters_own_and_cost_nothing() {
        let sandbox = sandbox("{}").await;
        let reply = ask(&sandbox, GEMINI, json!({"prompt": "forbidden"})).await;
        let error = reply.json()["error"].clone();
        assert_eq!((reply.status, error["code"].as_u64()), (403, Some(403)));
        assert_eq!(
            (&error["metadata"]["reasons"][0], &error["metadata"]["model_slug"]),
            (&json!("violence"), &json!(GEMINI))
        );
        let meet = async |mode| {
            sandbox.set(Name::OpenRouter, |vendor| vendor.mode = mode);
            ask(&sandbox, GEMINI, json!({})).await
        };
        let reply = meet(Mode::RateLimited { retry_after: std::time::Duration::from_secs(3) }).await;
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("3")));
        assert_eq!(meet(Mode::OutOfMoney).await.status, 402);
        assert_eq!(meet(Mode::Down500).await.json()["error"]["code"], 500);
        assert_eq!(meet(Mode::NoPictures).await.json()["data"], json!([]));
        let bill = sandbox.invoice().vendor(Name::OpenRouter).clone();
        assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, 0));
        meet(Mode::Truncated).await;
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(40_000_000)), "what was drawn is charged");
    }
}
