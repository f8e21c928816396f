//! A server that resembles the OpenAI Images API, in whatever dialect the settings give it (PROVIDERS.md 8.3, 8.5).
//!
//! Fields renamed, sizes in other words, pictures in another place or form, errors in another shape: everything an
//! adapter has to bridge can be had here on purpose. Strict like the others: a field the dialect does not know is
//! refused. No known product is imitated in full.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing;
use base64_simd::STANDARD;
use serde_json::{Value, json};

use super::call::{BadBody, Call, No, act_out, draw, finish, read_json, text, unix_time};
use super::dialect::{AnswerForm, Dialect, ErrorShape, SizeStyle};
use super::draw::Sketch;
use super::faults::Mode;
use super::fields::{Fields, Why, Wrong};
use super::settings::{Name, Vendor};
use super::{Desk, compatible_edits, openai_errors, shelf};
use crate::image::{Format, Size};
use crate::money::Usd;

/// OpenAI's names of the fields a server may know besides `model`, `prompt`, `n`, the size and `response_format`.
/// Their values change nothing in the picture, except `seed` and `output_format`.
const TAKEN: [&str; 8] =
    ["quality", "style", "user", "background", "moderation", "output_compression", "steps", "guidance_scale"];

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/v1/images/generations", routing::post(generate))
        .route("/v1/images/edits", routing::post(compatible_edits::edit))
        .route("/v1/models", routing::get(models))
        .route("/files/{id}/{file}", routing::get(shelf::fetch))
        .fallback(lost)
        .method_not_allowed_fallback(lost)
}

async fn generate(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let call = Call::admit(&desk, Name::Compatible, request.headers());
    let shape = call.vendor.dialect.errors;
    let answer = answer(&call, request).await.map_err(|no| no.told_as(shape));
    call.close(answer)
}

async fn answer(call: &Call, request: Request) -> Result<Response, Trouble> {
    let (parts, body) = request.into_parts();
    authorise(&call.vendor, &parts.headers)?;
    let object = read_json(&parts.headers, body).await?;
    let order = Order::read(Fields::nullable(object), &call.vendor)?;
    drawn(call, order).await
}

pub(super) async fn drawn(call: &Call, order: Order) -> Result<Response, Trouble> {
    act_out(call.fate, openai_errors::fault).await.map_err(Trouble::Fault)?;
    if call.refuses(&order.prompt) {
        return Err(Trouble::Refused);
    }
    call.work().await;
    order.fill(call).await.map_err(Trouble::Fault)
}

async fn models(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    let vendor = desk.settings(Name::Compatible);
    let answer = authorise(&vendor, &headers).map(|()| {
        let names = vendor.dialect.models.iter().chain(vendor.price.keys());
        let list: Vec<Value> = names.map(|id| json!({"id": id, "object": "model"})).collect();
        Json(json!({"object": "list", "data": list})).into_response()
    });
    finish(&desk, Name::Compatible, answer.map_err(|trouble| trouble.told_as(vendor.dialect.errors)))
}

async fn lost(State(desk): State<Arc<Desk>>, method: Method, uri: Uri) -> Response {
    let vendor = desk.settings(Name::Compatible);
    let trouble = Trouble::Wrong(StatusCode::NOT_FOUND, None, format!("no such path: {method} {}", uri.path()));
    finish(&desk, Name::Compatible, Err(trouble.told_as(vendor.dialect.errors)))
}

pub(super) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), Trouble> {
    let dialect = &vendor.dialect;
    let key = HeaderName::try_from(dialect.auth_header.as_str())
        .ok()
        .and_then(|name| text(headers, &name)?.strip_prefix(dialect.auth_prefix.as_str()));
    if vendor.accepts(key) || (dialect.open && key.is_none()) {
        Ok(())
    } else {
        Err(Trouble::Wrong(StatusCode::UNAUTHORIZED, None, "invalid or missing API key".to_owned()))
    }
}

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    model: String,
    prompt: String,
    n: u32,
    size: Size,
    quality: Option<String>,
    format: Format,
    seed: Option<i64>,
    links: bool,
    /// Stands for the pictures an edit starts from; 0 when there are none.
    pub mark: u64,
}

impl Order {
    pub(super) fn read(mut fields: Fields, vendor: &Vendor) -> Result<Order, Trouble> {
        let dialect = &vendor.dialect;
        let order = Order::read_fields(&mut fields, dialect)?;
        fields.end()?;
        if !dialect.models.is_empty() && !dialect.models.contains(&order.model) {
            let message = format!("model '{}' does not exist", order.model);
            return Err(Trouble::Wrong(StatusCode::NOT_FOUND, Some("model".to_owned()), message));
        }
        Ok(order)
    }

    fn read_fields(fields: &mut Fields, dialect: &Dialect) -> Result<Order, Wrong> {
        let theirs = |name| dialect.rename.get(name).map_or(name, String::as_str);
        let model = fields.prompt(theirs("model"), 200)?;
        let prompt = fields.prompt(theirs("prompt"), 32_000)?;
        let n = fields.whole(theirs("n"), 1..=i64::from(dialect.max_n))?;
        let format = fields.choice(theirs("output_format"), &["png", "jpeg", "jpg", "webp"])?;
        let form = fields.choice(theirs("response_format"), &["url", &dialect.base64_word])?;
        let size = size(fields, dialect)?;
        let seed = fields.whole(theirs("seed"), 0..=i64::MAX)?;
        fields.text(theirs("negative_prompt"))?;
        let quality = fields.any(theirs("quality")).and_then(|value| value.as_str().map(str::to_owned));
        for name in TAKEN.map(theirs).into_iter().chain(dialect.extra.iter().map(String::as_str)) {
            fields.any(name);
        }
        let links = match dialect.answer {
            AnswerForm::Asked => form.as_deref() != Some(dialect.base64_word.as_str()),
            AnswerForm::Base64 | AnswerForm::DataUrl => false,
            AnswerForm::Url => true,
        };
        Ok(Order {
            model,
            prompt,
            n: n.and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
            size,
            quality,
            format: format.and_then(|word| word.parse().ok()).unwrap_or(dialect.format),
            seed,
            links,
            mark: 0,
        })
    }

    /// Draws, charges and answers.
    async fn fill(self, call: &Call) -> Result<Response, No> {
        let dialect = &call.vendor.dialect;
        if call.fate == Mode::NoPictures {
            return Ok(Json(self.body(dialect, Vec::new())).into_response());
        }
        let sketches: Vec<Sketch> = (0..self.n).map(|index| self.sketch(call, index)).collect();
        let pictures = if self.links {
            sketches.into_iter().map(|sketch| link(call, sketch)).collect()
        } else {
            let prefix = match dialect.answer {
                AnswerForm::DataUrl => format!("data:{};base64,", self.format.media_type()),
                AnswerForm::Asked | AnswerForm::Base64 | AnswerForm::Url => String::new(),
            };
            let files = draw(sketches).await?;
            files.iter().map(|file| STANDARD.encode_type::<String>(file)).map(|text| prefix.clone() + &text).collect()
        };
        // Nothing is awaited from here on: what is charged is answered.
        let charged = call.charge(&self.model, self.size, self.quality.as_deref(), self.n, 0)?;
        let mut answer = Json(self.body(dialect, pictures)).into_response();
        tell_cost(&mut answer, dialect, charged);
        Ok(answer)
    }

    fn sketch(&self, call: &Call, index: u32) -> Sketch {
        let seed = self.seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(call.luck);
        Sketch { format: self.format, ..call.sketch(&self.prompt, seed ^ self.mark, index, self.size) }
    }

    /// The list of pictures where the dialect has it.
    fn body(&self, dialect: &Dialect, pictures: Vec<String>) -> Value {
        let key = if self.links { &dialect.url } else { &dialect.base64 };
        let item = |picture: String| {
            if dialect.bare_items { Value::String(picture) } else { json!({ (key.as_str()): picture }) }
        };
        let list = Value::Array(pictures.into_iter().map(item).collect());
        let nest = |inner: Value, key: &str| json!({ (key): inner });
        let mut body = dialect.list.rsplit('.').fold(list, nest);
        if dialect.created {
            body["created"] = json!(unix_time());
        }
        body
    }
}

fn link(call: &Call, sketch: Sketch) -> String {
    let path = call.desk.shelf.put(Name::Compatible, sketch);
    if call.vendor.dialect.relative_urls { path } else { format!("{}{path}", call.origin) }
}

/// Exact, in plain decimals.
fn tell_cost(answer: &mut Response, dialect: &Dialect, charged: Usd) {
    let name = dialect.cost_header.as_deref().and_then(|name| HeaderName::try_from(name).ok());
    if let (Some(name), Ok(value)) = (name, HeaderValue::from_str(&charged.to_string())) {
        answer.headers_mut().insert(name, value);
    }
}

/// The size in the dialect's words; 1024x1024 when nothing is said.
fn size(fields: &mut Fields, dialect: &Dialect) -> Result<Size, Wrong> {
    let theirs = |name| dialect.rename.get(name).map_or(name, String::as_str);
    let default = Size::new(1024, 1024);
    match dialect.size {
        SizeStyle::WidthXHeight => Ok(written(fields, theirs("size"), 'x')?.unwrap_or(default)),
        SizeStyle::WidthStarHeight => Ok(written(fields, theirs("size"), '*')?.unwrap_or(default)),
        SizeStyle::TwoFields => Ok(sides(fields, dialect)?.unwrap_or(default)),
        SizeStyle::AspectRatio => Ok(ratio(fields, theirs("aspect_ratio"))?.unwrap_or(default)),
        SizeStyle::Any => {
            let given =
                [written(fields, theirs("size"), 'x')?, written(fields, "image_size", 'x')?, sides(fields, dialect)?];
            Ok(given.into_iter().flatten().next().unwrap_or(default))
        }
    }
}

/// The largest side drawn here.
const MAX_SIDE: u32 = 4096;

fn written(fields: &mut Fields, name: &str, sign: char) -> Result<Option<Size>, Wrong> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let size = text.split_once(sign).and_then(|(width, height)| format!("{width}x{height}").parse::<Size>().ok());
    let size = size.filter(|size| size.width <= MAX_SIDE && size.height <= MAX_SIDE);
    size.map(Some)
        .ok_or_else(|| Wrong::other(name, format!("must be a size like 1024{sign}1024, sides up to {MAX_SIDE}")))
}

fn sides(fields: &mut Fields, dialect: &Dialect) -> Result<Option<Size>, Wrong> {
    let theirs = |name| dialect.rename.get(name).map_or(name, String::as_str);
    let mut side = |name| fields.whole(theirs(name), 1..=i64::from(MAX_SIDE));
    let (width, height) = (side("width")?, side("height")?);
    let side = |side: Option<i64>| side.and_then(|side| u32::try_from(side).ok()).unwrap_or(1024);
    Ok((width.is_some() || height.is_some()).then(|| Size::new(side(width), side(height))))
}

/// About a million pixels in this ratio, sides in multiples of 16.
fn ratio(fields: &mut Fields, name: &str) -> Result<Option<Size>, Wrong> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let parts = text.split_once(':').and_then(|(w, h)| Some((w.parse::<u64>().ok()?, h.parse::<u64>().ok()?)));
    let parts = parts.filter(|(w, h)| (1..=64).contains(w) && (1..=64).contains(h));
    let (w, h) = parts.ok_or_else(|| Wrong::other(name, "must be a ratio like 16:9"))?;
    let side = |this: u64, other: u64| {
        let exact = (1024 * 1024 * this / other).isqrt();
        u32::try_from((exact + 8) / 16 * 16).unwrap_or(1024).clamp(16, MAX_SIDE)
    };
    Ok(Some(Size::new(side(w, h), side(h, w))))
}

/// What went wrong, before it is put in the dialect's shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Trouble {
    /// A request this server does not take: status, field, sentence.
    Wrong(StatusCode, Option<String>, String),
    /// The content is refused.
    Refused,
    /// A fault, in OpenAI's shape.
    Fault(No),
}

impl From<Wrong> for Trouble {
    fn from(wrong: Wrong) -> Trouble {
        let sentence = match &wrong.why {
            Why::Unknown => format!("Unknown parameter: '{}'.", wrong.field),
            _ => format!("{} {}", wrong.field, wrong.sentence()),
        };
        Trouble::Wrong(StatusCode::BAD_REQUEST, Some(wrong.field), sentence)
    }
}

impl From<BadBody> for Trouble {
    fn from(why: BadBody) -> Trouble {
        let (status, sentence) = match why {
            BadBody::ContentType(given) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("expected application/json, not '{given}'"))
            }
            BadBody::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "request body too large".to_owned()),
            BadBody::NotJson(why) => (StatusCode::BAD_REQUEST, format!("not JSON: {why}")),
            BadBody::NotAnObject => (StatusCode::BAD_REQUEST, "the body must be an object".to_owned()),
        };
        Trouble::Wrong(status, None, sentence)
    }
}

impl Trouble {
    pub(super) fn told_as(self, shape: ErrorShape) -> No {
        match self {
            Trouble::Wrong(status, field, sentence) => {
                let fastapi = shape == ErrorShape::Fastapi && status == StatusCode::BAD_REQUEST;
                let status = if fastapi { StatusCode::UNPROCESSABLE_ENTITY } else { status };
                No::violation(status, worded(shape, status, field.as_deref(), &sentence, "invalid_request_error", None))
            }
            Trouble::Refused => {
                let sentence = "Your request was rejected as a result of our safety system: content_policy_violation";
                let code = Some("content_policy_violation");
                let status = StatusCode::BAD_REQUEST;
                No::fault(status, worded(shape, status, None, sentence, "invalid_request_error", code))
            }
            Trouble::Fault(no) if shape == ErrorShape::OpenAi || no.body.is_null() => no,
            Trouble::Fault(no) => {
                let sentence = no.body["error"]["message"].as_str().unwrap_or("the server failed").to_owned();
                let body = worded(shape, no.status, None, &sentence, "server_error", None);
                no.reworded(body)
            }
        }
    }
}

/// One error in the shape of this server.
fn worded(
    shape: ErrorShape,
    status: StatusCode,
    field: Option<&str>,
    sentence: &str,
    kind: &str,
    code: Option<&str>,
) -> Value {
    match shape {
        ErrorShape::OpenAi => {
            let unknown = sentence.starts_with("Unknown parameter").then_some("unknown_parameter");
            json!({"error": {"message": sentence, "type": kind, "param": field, "code": code.or(unknown)}})
        }
        ErrorShape::Fastapi => {
            let mut place = vec!["body"];
            place.extend(field);
            json!({"detail": [{"loc": place, "msg": sentence, "type": "value_error"}]})
        }
        ErrorShape::Text => json!({"error": sentence}),
        ErrorShape::Message => json!({"message": sentence}),
        ErrorShape::CodeMsg => json!({"code": u32::from(status.as_u16()) * 100 + 1, "msg": sentence}),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sandbox;
    use super::super::client::{get, post, sandbox, send};
    use super::*;
    use crate::image::{Encoded, Picture, without_data_prefix};

    const PATH: &str = "/compatible/v1/images/generations";

    fn with(extra: Value) -> Value {
        let mut body = json!({"model": "janus-pro-7b", "prompt": "a red bicycle"});
        body.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        body
    }

    /// A sandbox whose compatible vendor speaks this dialect.
    async fn speaking(dialect: &str) -> Sandbox {
        sandbox(&format!("{{vendors: {{compatible: {{price: {{janus-pro-7b: 0.006}}, dialect: {dialect}}}}}}}")).await
    }

    async fn size_of(sandbox: &Sandbox, link: &Value) -> Size {
        let file = get(sandbox, link.as_str().unwrap()).await;
        Picture::inspect(Encoded::Raw(file.body.into())).unwrap().size
    }

    #[tokio::test]
    async fn the_plain_dialect_takes_a_size_in_three_ways_and_honours_the_form_asked() {
        let sandbox = speaking("{}").await;
        let sizes =
            [json!({"size": "320x256"}), json!({"image_size": "320x256"}), json!({"width": 320, "height": 256})];
        for size in sizes {
            let json = post(&sandbox, PATH, with(size)).await.json();
            assert_eq!(size_of(&sandbox, &json["data"][0]["url"]).await, Size::new(320, 256));
            assert!(json["created"].is_u64());
        }
        let body = with(json!({"response_format": "b64_json", "n": 2, "size": "320x256", "seed": 3}));
        let json = post(&sandbox, PATH, body.clone()).await.json();
        assert!(json["data"][1]["b64_json"].is_string());
        assert_eq!(post(&sandbox, PATH, body).await.json()["data"], json["data"], "the same seed, the same pictures");
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(42_000_000)));
    }

    #[tokio::test]
    async fn a_dialect_can_rename_fields_and_write_sizes_with_a_star() {
        let sandbox = speaking("{rename: {prompt: text, n: batch_size}, size: width_star_height}").await;
        let body = json!({"model": "janus-pro-7b", "text": "a bicycle", "batch_size": 2, "size": "320*256"});
        let json = post(&sandbox, PATH, body).await.json();
        assert_eq!(size_of(&sandbox, &json["data"][1]["url"]).await, Size::new(320, 256));
        assert_eq!(post(&sandbox, PATH, with(json!({"text": "x"}))).await.json()["error"]["param"], "prompt");
        let body = json!({"model": "janus-pro-7b", "text": "x", "size": "320x256"});
        assert_eq!(post(&sandbox, PATH, body).await.json()["error"]["param"], "size");
    }

    #[tokio::test]
    async fn a_dialect_can_take_a_ratio_only() {
        let sandbox = speaking("{size: aspect_ratio}").await;
        let json = post(&sandbox, PATH, with(json!({"aspect_ratio": "16:9"}))).await.json();
        assert_eq!(size_of(&sandbox, &json["data"][0]["url"]).await, Size::new(1360, 768));
        assert_eq!(post(&sandbox, PATH, with(json!({"size": "1024x1024"}))).await.status, 400);
    }

    #[tokio::test]
    async fn pictures_can_stand_elsewhere_bare_and_with_a_data_prefix() {
        let sandbox =
            speaking("{list: output.images, bare_items: true, answer: data_url, created: false, format: jpeg}").await;
        let json = post(&sandbox, PATH, with(json!({"size": "64x64"}))).await.json();
        let text = json["output"]["images"][0].as_str().unwrap().to_owned();
        assert!(text.starts_with("data:image/jpeg;base64,"));
        let file = Encoded::Base64(without_data_prefix(text.as_bytes()).to_vec().into());
        assert_eq!(Picture::inspect(file).unwrap().format, Format::Jpeg);
        assert_eq!(json.get("created"), None);
    }

    #[tokio::test]
    async fn links_can_be_relative_and_keys_can_be_called_otherwise() {
        let sandbox = speaking("{relative_urls: true, url: link, answer: url, base64_word: base64}").await;
        let json = post(&sandbox, PATH, with(json!({"size": "64x64", "response_format": "base64"}))).await.json();
        assert!(json["data"][0]["link"].as_str().unwrap().starts_with("/compatible/files/"));
        assert_eq!(size_of(&sandbox, &json["data"][0]["link"]).await, Size::new(64, 64));
        let reply = post(&sandbox, PATH, with(json!({"response_format": "b64_json"}))).await;
        assert_eq!(reply.json()["error"]["param"], "response_format");
    }

    #[tokio::test]
    async fn the_cost_header_has_the_exact_price_of_the_call() {
        let sandbox = speaking("{cost_header: x-litellm-response-cost}").await;
        let reply = post(&sandbox, PATH, with(json!({"n": 3, "size": "64x64"}))).await;
        assert_eq!(reply.header("x-litellm-response-cost"), Some("0.018"));
    }

    #[tokio::test]
    async fn what_the_dialect_does_not_know_is_refused_and_noted() {
        let sandbox = speaking("{max_n: 4, models: [janus-pro-7b], extra: [loras]}").await;
        assert_eq!(post(&sandbox, PATH, with(json!({"loras": [1], "size": "64x64"}))).await.status, 200);
        let cases = [
            json!({"lora": 1}),
            json!({"n": 5}),
            json!({"size": "0x0"}),
            json!({"width": 9999}),
            json!({"prompt": ""}),
        ];
        for (count, extra) in cases.iter().enumerate() {
            assert_eq!(post(&sandbox, PATH, with(extra.clone())).await.status, 400, "{extra}");
            assert_eq!(sandbox.invoice().vendor(Name::Compatible).violations_total, count as u64 + 1);
        }
        assert_eq!(post(&sandbox, PATH, with(json!({"model": "other"}))).await.status, 404);
        assert_eq!(get(&sandbox, "/compatible/v1/models").await.json()["data"][0]["id"], "janus-pro-7b");
    }

    #[tokio::test]
    async fn errors_come_in_the_shape_of_the_dialect() {
        let cases = [
            ("openai", 400, "/error/param", json!("lora")),
            ("fastapi", 422, "/detail/0/loc/1", json!("lora")),
            ("text", 400, "/error", json!("Unknown parameter: 'lora'.")),
            ("message", 400, "/message", json!("Unknown parameter: 'lora'.")),
            ("code_msg", 400, "/code", json!(40001)),
        ];
        for (shape, status, place, value) in cases {
            let sandbox = speaking(&format!("{{errors: {shape}}}")).await;
            let reply = post(&sandbox, PATH, with(json!({"lora": 1}))).await;
            assert_eq!((reply.status, reply.json().pointer(place)), (status, Some(&value)), "{shape}");
            let reply = post(&sandbox, PATH, with(json!({"prompt": "forbidden"}))).await;
            assert_eq!(reply.status, 400);
            assert!(String::from_utf8(reply.body).unwrap().contains("content_policy_violation"), "{shape}");
            sandbox.set(Name::Compatible, |vendor| vendor.mode = Mode::Down500);
            assert_eq!(post(&sandbox, PATH, with(json!({}))).await.status, 500);
            sandbox.set(Name::Compatible, |vendor| vendor.mode = Mode::Garbage);
            let reply = post(&sandbox, PATH, with(json!({}))).await;
            assert!(reply.status == 200 && reply.body.starts_with(b"<!doctype html>"), "{shape}");
            assert_eq!(sandbox.invoice().vendor(Name::Compatible).violations_total, 1);
        }
    }

    #[tokio::test]
    async fn a_key_is_required_where_the_dialect_has_it_unless_the_door_is_open() {
        let body = with(json!({"size": "64x64"})).to_string();
        let json = ("content-type", "application/json");
        let closed = speaking("{auth_header: x-key, auth_prefix: ''}").await;
        for (headers, status) in [
            (vec![json], 401),
            (vec![json, ("authorization", "Bearer any")], 401),
            (vec![json, ("x-key", "any")], 200),
            (vec![("x-key", "any")], 415),
        ] {
            assert_eq!(send(closed.addr(), "POST", PATH, &headers, body.as_bytes()).await.status, status);
        }
        let open = speaking("{open: true}").await;
        assert_eq!(send(open.addr(), "POST", PATH, &[json], body.as_bytes()).await.status, 200);
    }
}
