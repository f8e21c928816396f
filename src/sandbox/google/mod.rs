//! Google's image methods as PROVIDERS.md section 4 has them: the Gemini API with a key, Vertex AI with a token from
//! `token.rs`.
//!
//! Strict where Google's own client is: what Vertex AI takes and the Gemini API does not is refused here too, and so is
//! every member that is not in the schema. Models are data; one that only the settings know is asked like Gemini.
//! What Imagen draws into a picture is in `edits.rs`. Not here: streaming, files by address.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use base64_simd::STANDARD;
use serde_json::{Map, Value, json};

use super::call::{BadBody, No, VendorCall, act_out, bearer, draw, finish, read_json, text};
use super::draw::Sketch;
use super::edits::{look, mark};
use super::faults::Mode;
use super::fields::{Fields, Why, Wrong};
use super::rates::ImageTokens;
use super::settings::{Name, Vendor};
use crate::image::{Format, Size};
use crate::sandbox::desk::Desk;
use crate::sandbox::google::edits::Change;
use crate::sandbox::google::members::{list, members, object};

pub(in crate::sandbox) mod edits;
mod members;
pub(in crate::sandbox) mod token;
pub(in crate::sandbox) mod usage;

/// What one model takes.
#[derive(Clone, Copy, Debug)]
struct Model {
    name: &'static str,
    predict: bool,
    shapes: &'static [&'static str],
    tiers: &'static [&'static str],
    inputs: usize,
    negative: bool,
    /// Draws into a picture where a mask says; at Vertex AI alone.
    masked: bool,
}

const SHAPES: [&str; 14] =
    ["1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9", "21:9", "1:4", "4:1", "1:8", "8:1"];

const GEMINI: Model = Model {
    name: "",
    predict: false,
    shapes: SHAPES.split_at(10).0,
    tiers: &[],
    inputs: 3,
    negative: false,
    masked: false,
};
const IMAGEN: Model = Model { predict: true, shapes: &["1:1", "3:4", "4:3", "9:16", "16:9"], inputs: 0, ..GEMINI };

const MODELS: [Model; 10] = [
    Model { name: "gemini-nano-banana-2.1", shapes: &SHAPES, tiers: &["1K", "2K", "4K"], inputs: 14, ..GEMINI },
    Model { name: "gemini-3.1-flash-image", shapes: &SHAPES, tiers: &["512", "1K", "2K", "4K"], inputs: 14, ..GEMINI },
    Model { name: "gemini-3-pro-image", tiers: &["1K", "2K", "4K"], inputs: 14, ..GEMINI },
    Model { name: "gemini-2.5-flash-image", ..GEMINI },
    Model { name: "imagen-4.0-generate-001", tiers: &["1K", "2K"], ..IMAGEN },
    Model { name: "imagen-4.0-ultra-generate-001", tiers: &["1K", "2K"], ..IMAGEN },
    Model { name: "imagen-4.0-fast-generate-001", ..IMAGEN },
    Model { name: "imagen-3.0-generate-002", ..IMAGEN },
    Model { name: "imagen-3.0-generate-001", negative: true, ..IMAGEN },
    Model { name: "imagen-3.0-capability-001", negative: true, masked: true, ..IMAGEN },
];

const THRESHOLDS: [&str; 5] = ["BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF"];

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/v1beta/models/{target}", routing::post(gemini))
        .route("/v1/projects/{project}/locations/{location}/publishers/google/models/{target}", routing::post(vertex))
        .route("/token", routing::post(token::grant))
        .route("/metadata/token", routing::get(token::metadata))
        .fallback(lost)
        .method_not_allowed_fallback(lost)
}

async fn gemini(State(desk): State<Arc<Desk>>, Path(target): Path<String>, request: Request) -> Response {
    let call = VendorCall::admit(&desk, Name::Google, request.headers());
    let answer = match key(&call.vendor, request.headers()) {
        Ok(()) => answer(&call, &target, false, request).await,
        Err(no) => Err(no),
    };
    call.close(answer)
}

async fn vertex(
    State(desk): State<Arc<Desk>>,
    Path((_, _, target)): Path<(String, String, String)>,
    request: Request,
) -> Response {
    let call = VendorCall::admit(&desk, Name::Google, request.headers());
    let known = bearer(request.headers()).is_some_and(|token| desk.book(Name::Google).tokens.knows(token));
    let answer = match known {
        true => answer(&call, &target, true, request).await,
        false => {
            let message = "Request had invalid authentication credentials. Expected OAuth 2 access token.";
            Err(violation(StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", message))
        }
    };
    call.close(answer)
}

async fn lost(State(desk): State<Arc<Desk>>, method: Method, uri: Uri) -> Response {
    let message = format!("no such path: {method} {}", uri.path());
    finish(&desk, Name::Google, Err(violation(StatusCode::NOT_FOUND, "NOT_FOUND", &message)))
}

fn key(vendor: &Vendor, headers: &HeaderMap) -> Result<(), No> {
    match text(headers, &axum::http::HeaderName::from_static("x-goog-api-key")) {
        key if vendor.accepts(key) => Ok(()),
        None | Some("") => {
            let message = "Method doesn't allow unregistered callers. Please use API Key.";
            Err(violation(StatusCode::FORBIDDEN, "PERMISSION_DENIED", message))
        }
        Some(_) => {
            let message = "API key not valid. Please pass a valid API key.";
            let mut body = error(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message);
            body["error"]["details"] = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "API_KEY_INVALID", "domain": "googleapis.com"}]);
            Err(No::violation(StatusCode::BAD_REQUEST, body))
        }
    }
}

async fn answer(call: &VendorCall, target: &str, vertex: bool, request: Request) -> Result<Response, No> {
    let (name, method) = target.split_once(':').unwrap_or((target, ""));
    let (parts, body) = request.into_parts();
    let model = MODELS.iter().find(|model| model.name == name).copied();
    let model = model.or_else(|| call.vendor.price.contains_key(name).then_some(GEMINI));
    let method_of = |model: &Model| if model.predict { "predict" } else { "generateContent" };
    let Some(model) = model.filter(|model| method_of(model) == method && (vertex || !model.masked)) else {
        let message = format!("models/{name} is not found, or is not supported for {method}.");
        return Err(violation(StatusCode::NOT_FOUND, "NOT_FOUND", &message));
    };
    let fields = Fields::json(read_json(&parts.headers, body).await.map_err(bad_body)?);
    let (mut order, inputs, change) = match model.predict {
        true => predict(fields, name, &model, vertex).map(|(order, change)| (order, Vec::new(), change)),
        false => content(fields, name, &model, vertex).map(|(order, inputs)| (order, inputs, None)),
    }
    .map_err(bad_field)?;
    if let Some(change) = change {
        order.mark = change.mark();
        let size = change.size().await.map_err(bad_field)?;
        order.size = (size, size);
    }
    order.inputs = u64::try_from(inputs.len()).unwrap_or(0);
    if !inputs.is_empty() {
        order.mark = mark(&inputs, None);
        look("contents", inputs, None).await.map_err(bad_field)?;
    }
    act_out(call.fate, fault).await?;
    if call.refuses(&order.prompt) {
        let tokens = usage::read(&order.prompt, order.inputs);
        let counted = charged(call, name, &tokens, 0)?;
        return Ok(Json(refusal(model.predict, counted)).into_response());
    }
    call.work().await;
    if order.prompt.contains("withheld")
        && let Some(usage) = charged(call, name, &order.tokens(), 0)?
    {
        let candidate = json!({"content": {}, "finishReason": "IMAGE_SAFETY", "index": 0});
        return Ok(Json(json!({"candidates": [candidate], "usageMetadata": usage})).into_response());
    }
    order.fill(call, model.predict).await
}

/// What is to be drawn.
#[derive(Clone, Debug)]
struct Order {
    model: String,
    prompt: String,
    n: u32,
    /// The pixels to draw, and those that are charged: a tier costs the same in every shape.
    size: (Size, Size),
    format: Format,
    seed: Option<i64>,
    /// Stands for the input pictures; 0 when there are none.
    mark: u64,
    /// How many those are.
    inputs: u64,
}

/// Gemini's body: one message, and how to answer it.
fn content(mut fields: Fields, name: &str, model: &Model, vertex: bool) -> Result<(Order, Vec<Bytes>), Wrong> {
    let (prompt, inputs) = message(fields.any("contents"), model)?;
    let mut config =
        object(&mut fields, "generationConfig")?.ok_or_else(|| Wrong::new("generationConfig", Why::Missing))?;
    if config
        .any("responseModalities")
        .is_none_or(|words| words != json!(["IMAGE"]) && words != json!(["TEXT", "IMAGE"]))
    {
        return Err(Wrong::other("generationConfig.responseModalities", "must name IMAGE"));
    }
    let seed = config.whole("seed", 0..=i64::from(i32::MAX))?;
    config.number("temperature", 0.0..=2.0)?;
    let mut image = object(&mut config, "imageConfig")?.unwrap_or_else(|| Fields::json(Map::new()));
    let size = size(&mut image, model, "imageSize")?;
    let format = match object(&mut image, "imageOutputOptions")? {
        Some(_) if !vertex => return Err(Wrong::new("imageOutputOptions", Why::Unknown)),
        Some(output) => output_of(output)?,
        None => Format::Png,
    };
    image.end()?;
    config.end()?;
    for setting in list(&mut fields, "safetySettings")? {
        let mut setting = members("safetySettings", setting)?;
        let category = setting.prompt("category", 100)?;
        if !category.starts_with("HARM_CATEGORY_") {
            return Err(Wrong::other("safetySettings.category", "is not a category"));
        }
        setting.choice("threshold", &THRESHOLDS)?;
        setting.end()?;
    }
    labels(&mut fields, vertex)?;
    fields.end()?;
    Ok((Order { model: name.to_owned(), prompt, n: 1, size, format, seed, mark: 0, inputs: 0 }, inputs))
}

/// The words and pictures of the only message.
fn message(contents: Option<Value>, model: &Model) -> Result<(String, Vec<Bytes>), Wrong> {
    let Some(Value::Array(mut contents)) = contents else { return Err(Wrong::new("contents", Why::Missing)) };
    let (Some(content), true) = (contents.pop(), contents.is_empty()) else {
        return Err(Wrong::other("contents", "this sandbox takes one message"));
    };
    let mut content = members("contents", content)?;
    content.choice("role", &["user"])?;
    let parts = list(&mut content, "parts")?;
    content.end()?;
    let (mut prompt, mut inputs) = (String::new(), Vec::new());
    for part in parts {
        let mut part = members("contents.parts", part)?;
        match object(&mut part, "inlineData")? {
            Some(mut data) => {
                data.choice("mimeType", &["image/png", "image/jpeg", "image/webp"])?
                    .ok_or_else(|| Wrong::new("mimeType", Why::Missing))?;
                let base64 = data.prompt("data", usize::MAX)?;
                data.end()?;
                let bytes =
                    STANDARD.decode_to_vec(base64).map_err(|_| Wrong::other("data", "Base64 decoding failed"))?;
                inputs.push(Bytes::from(bytes));
            }
            None => prompt += &part.prompt("text", usize::MAX)?,
        }
        part.end()?;
    }
    if inputs.len() > model.inputs {
        return Err(Wrong::other("contents", format!("this model takes at most {} pictures", model.inputs)));
    }
    if prompt.is_empty() { Err(Wrong::new("contents", Why::Empty)) } else { Ok((prompt, inputs)) }
}

/// Imagen's body: one instance and its parameters.
fn predict(mut fields: Fields, name: &str, model: &Model, vertex: bool) -> Result<(Order, Option<Change>), Wrong> {
    let mut instances = list(&mut fields, "instances")?;
    let (Some(instance), true) = (instances.pop(), instances.is_empty()) else {
        return Err(Wrong::other("instances", "must be one"));
    };
    let mut instance = members("instances", instance)?;
    let prompt = instance.prompt("prompt", usize::MAX)?;
    let change = if model.masked { Some(Change::read(&mut instance)?) } else { None };
    instance.end()?;
    let mut with = object(&mut fields, "parameters")?.unwrap_or_else(|| Fields::json(Map::new()));
    if !vertex
        && let Some(field) =
            ["negativePrompt", "seed", "addWatermark", "enhancePrompt"].into_iter().find(|field| with.has(field))
    {
        return Err(Wrong::other(field, "is not supported by the Gemini API"));
    }
    let n = with.whole("sampleCount", 1..=4)?.unwrap_or(4);
    let size = match model.masked {
        // Known when the picture has been looked at.
        true => edits::mode(&mut with).map(|()| (Size::new(0, 0), Size::new(0, 0)))?,
        false => size(&mut with, model, "sampleImageSize")?,
    };
    if with.text("negativePrompt")?.is_some() && !model.negative {
        return Err(Wrong::other("negativePrompt", "is not supported by this model"));
    }
    let seed = with.whole("seed", 1..=i64::from(i32::MAX))?;
    if with.flag("addWatermark")?.unwrap_or(true) && seed.is_some() {
        return Err(Wrong::other("seed", "is not supported when watermark is enabled"));
    }
    with.number("guidanceScale", 0.0..=100.0)?;
    with.flag("enhancePrompt")?;
    with.flag("includeRaiReason")?;
    with.choice("safetySetting", &THRESHOLDS)?;
    with.choice("personGeneration", &["DONT_ALLOW", "ALLOW_ADULT", "ALLOW_ALL"])?;
    let format = object(&mut with, "outputOptions")?.map_or(Ok(Format::Png), output_of)?;
    with.end()?;
    labels(&mut fields, vertex)?;
    fields.end()?;
    let n = u32::try_from(n).unwrap_or(1);
    Ok((Order { model: name.to_owned(), prompt, n, size, format, seed, mark: 0, inputs: 0 }, change))
}

/// The pixels that a shape and a tier stand for, and those that are charged.
fn size(fields: &mut Fields, model: &Model, tier: &str) -> Result<(Size, Size), Wrong> {
    let shape = fields.choice("aspectRatio", model.shapes)?;
    if model.tiers.is_empty() && fields.has(tier) {
        return Err(Wrong::other(tier, "is not supported by this model"));
    }
    let edge: u32 = match fields.choice(tier, model.tiers)?.as_deref() {
        Some("512") => 512,
        Some("2K") => 2048,
        Some("4K") => 4096,
        _ => 1024,
    };
    let (across, down) = shape.as_deref().unwrap_or("1:1").split_once(':').unwrap_or(("1", "1"));
    let (across, down) = (across.parse().unwrap_or(1), down.parse().unwrap_or(1));
    let area = u64::from(edge) * u64::from(edge);
    let side = |this: u64, other: u64| u32::try_from(((area * this / other).isqrt() + 8) / 16 * 16).unwrap_or(1024);
    let drawn = Size::new(side(across, down), side(down, across));
    Ok((drawn, if model.tiers.is_empty() { drawn } else { Size::new(edge, edge) }))
}

fn output_of(mut output: Fields) -> Result<Format, Wrong> {
    let word = output.choice("mimeType", &["image/png", "image/jpeg"])?;
    let jpeg = word.as_deref() == Some("image/jpeg");
    if output.whole("compressionQuality", 0..=100)?.is_some() && !jpeg {
        return Err(Wrong::other("compressionQuality", "is for image/jpeg only"));
    }
    output.end()?;
    Ok(if jpeg { Format::Jpeg } else { Format::Png })
}

/// Vertex AI's labels, in the letters it allows.
fn labels(fields: &mut Fields, vertex: bool) -> Result<(), Wrong> {
    match fields.any("labels") {
        None => Ok(()),
        Some(Value::Object(labels)) if vertex => {
            let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
            let bad = |text: &str| text.is_empty() || text.len() > 63 || !text.chars().all(good);
            let wrong = labels.iter().any(|(name, value)| bad(name) || value.as_str().is_none_or(bad));
            if wrong { Err(Wrong::other("labels", "has a name or a value that is no label")) } else { Ok(()) }
        }
        Some(_) => Err(Wrong::new("labels", Why::Unknown)),
    }
}

impl Order {
    /// Draws, charges and answers.
    async fn fill(self, call: &VendorCall, predict: bool) -> Result<Response, No> {
        if call.fate == Mode::NoPictures {
            let empty = if predict { json!({"predictions": [{}]}) } else { json!({"candidates": []}) };
            return Ok(Json(empty).into_response());
        }
        let seed = self.seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(call.luck) ^ self.mark;
        let sketch = |index| Sketch { format: self.format, ..call.sketch(&self.prompt, seed, index, self.size.0) };
        let files = draw((0..self.n).map(sketch).collect()).await?;
        // Nothing is awaited from here on: what is charged is answered.
        let counted = if predict { None } else { charged(call, &self.model, &self.tokens(), self.n)? };
        if counted.is_none() {
            call.charge(&self.model, self.size.1, None, self.n, 0)?;
        }
        let few = json!({"promptTokenCount": 8, "candidatesTokenCount": 1290, "totalTokenCount": 1298});
        let media_type = self.format.media_type();
        let texts: Vec<String> = files.iter().map(|file| STANDARD.encode_to_string(file)).collect();
        if predict {
            let item = |text| json!({"bytesBase64Encoded": text, "mimeType": media_type});
            return Ok(Json(json!({"predictions": texts.iter().map(item).collect::<Vec<_>>()})).into_response());
        }
        let part = |text| json!({"inlineData": {"mimeType": media_type, "data": text}, "thoughtSignature": "c2ln"});
        let mut parts = vec![json!({"text": "Let me think.", "thought": true})];
        parts.extend(texts.iter().map(part));
        Ok(Json(json!({
            "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": counted.unwrap_or(few),
            "modelVersion": self.model,
            "responseId": format!("{:x}", call.luck),
        }))
        .into_response())
    }

    fn tokens(&self) -> ImageTokens {
        usage::drawn(&self.prompt, self.inputs, self.size.1.width)
    }
}

/// What a model that is charged by the token is charged for, in the words that tell it; `None` for any other.
fn charged(call: &VendorCall, model: &str, tokens: &ImageTokens, count: u32) -> Result<Option<Value>, No> {
    let charged = call.charge_tokens(model, tokens, count).transpose()?;
    Ok(charged.map(|()| usage::told(tokens)))
}

/// A 200 without a picture.
fn refusal(predict: bool, counted: Option<Value>) -> Value {
    match predict {
        true => json!({"predictions": [{"raiFilteredReason": "Unable to show generated images. 58061214"}]}),
        false => json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
            "usageMetadata": counted.unwrap_or_else(|| json!({"promptTokenCount": 8, "totalTokenCount": 8}))}),
    }
}

fn error(status: StatusCode, word: &str, message: &str) -> Value {
    json!({"error": {"code": status.as_u16(), "message": message, "status": word}})
}

fn violation(status: StatusCode, word: &str, message: &str) -> No {
    No::violation(status, error(status, word, message))
}

fn bad_field(wrong: Wrong) -> No {
    let message = match wrong.why {
        Why::Unknown => {
            format!("Invalid JSON payload received. Unknown name \"{}\": Cannot find field.", wrong.field)
        }
        _ => format!("{}: {}", wrong.field, wrong.sentence()),
    };
    violation(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", &message)
}

fn bad_body(why: BadBody) -> No {
    let message = match why {
        BadBody::ContentType(given) => format!("content type must be application/json, not '{given}'"),
        BadBody::TooLarge => "Request payload size exceeds the limit".to_owned(),
        BadBody::NotJson(why) => format!("Invalid JSON payload received. {why}"),
        BadBody::NotAnObject => "Invalid JSON payload received. Expected an object.".to_owned(),
    };
    violation(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", &message)
}

fn fault(mode: Mode) -> No {
    let fault = |status, word, message| No::fault(status, error(status, word, message));
    match mode {
        Mode::RateLimited { retry_after } => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut body = error(status, "RESOURCE_EXHAUSTED", "You exceeded your current quota.");
            body["error"]["details"] = json!([{"@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": format!("{}s", retry_after.as_secs_f32())}]);
            No::fault(status, body)
        }
        Mode::OutOfMoney => {
            fault(StatusCode::FORBIDDEN, "PERMISSION_DENIED", "This API method requires billing to be enabled.")
                .reworded(json!({"error": {"code": 403, "status": "PERMISSION_DENIED",
            "message": "This API method requires billing to be enabled.",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "BILLING_DISABLED"}]}}))
        }
        _ => fault(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "An internal error has occurred."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::client::{Reply, sandbox, send};
    use super::super::edits::tests::picture;
    use super::super::{Mode, Sandbox};
    use super::*;
    use crate::image::{Encoded, Picture};
    use crate::money::Usd;

    const FLASH: &str = "gemini-3.1-flash-image:generateContent";
    const IMAGEN: &str = "imagen-4.0-generate-001:predict";

    async fn ask(sandbox: &Sandbox, target: &str, body: Value) -> Reply {
        let headers = [("x-goog-api-key", "any"), ("content-type", "application/json")];
        let path = format!("/google/v1beta/models/{target}");
        send(sandbox.addr(), "POST", &path, &headers, body.to_string().as_bytes()).await
    }

    fn content(prompt: &str, image: Value) -> Value {
        json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}],
            "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": image}})
    }

    fn predict(parameters: Value) -> Value {
        json!({"instances": [{"prompt": "x"}], "parameters": parameters})
    }

    fn size(base64: &Value) -> Size {
        let text = base64.as_str().unwrap().to_owned();
        Picture::inspect(Encoded::Base64(text.into())).unwrap().size
    }

    #[tokio::test]
    async fn each_model_draws_the_shape_and_tier_it_is_told_and_charges_once() {
        let sandbox = sandbox("{}").await;
        let json = ask(&sandbox, FLASH, content("x", json!({"aspectRatio": "16:9", "imageSize": "512"}))).await.json();
        assert_eq!(size(&json["candidates"][0]["content"]["parts"][1]["inlineData"]["data"]), Size::new(688, 384));
        let parameters = json!({"sampleCount": 2, "sampleImageSize": "2K", "includeRaiReason": true});
        let json = ask(&sandbox, IMAGEN, predict(parameters)).await.json();
        assert_eq!(size(&json["predictions"][1]["bytesBase64Encoded"]), Size::new(2048, 2048));
        let bill = sandbox.invoice().vendor(Name::Google).clone();
        assert_eq!((bill.pictures, bill.usd), (3, Usd::from_nanos(120_000_000)));
        assert_eq!(bill.violations, [""; 0]);
    }

    #[tokio::test]
    async fn what_the_gemini_api_or_the_model_does_not_take_is_refused() {
        let sandbox = sandbox("{}").await;
        let mut labelled = content("x", json!({}));
        labelled["labels"] = json!({"user": "u"});
        let png = STANDARD.encode_to_string(picture(32, Format::Png, false).slice(..60));
        let mut broken = content("x", json!({}));
        let part = json!({"inlineData": {"mimeType": "image/png", "data": png}});
        broken["contents"][0]["parts"].as_array_mut().unwrap().push(part);
        let cases = [
            (FLASH, content("x", json!({"imageSize": "3K"}))),
            (FLASH, content("x", json!({"aspectRatio": "7:4"}))),
            (FLASH, content("x", json!({"imageOutputOptions": {"mimeType": "image/png"}}))),
            ("gemini-2.5-flash-image:generateContent", content("x", json!({"imageSize": "1K"}))),
            (FLASH, labelled),
            (FLASH, broken),
            (FLASH, json!({"contents": []})),
            (IMAGEN, predict(json!({"sampleCount": 5}))),
            (IMAGEN, predict(json!({"seed": 1, "addWatermark": false}))),
            (IMAGEN, predict(json!({"sise": 1}))),
        ];
        let count = cases.len() as u64;
        for (target, body) in cases {
            let reply = ask(&sandbox, target, body.clone()).await;
            assert_eq!((reply.status, &reply.json()["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{body}");
        }
        for target in ["nobody:generateContent", "gemini-3-pro-image:predict"] {
            assert_eq!(ask(&sandbox, target, content("x", json!({}))).await.status, 404);
        }
        let path = "/google/v1/projects/p/locations/l/publishers/google/models/gemini-3-pro-image:generateContent";
        let headers = [("authorization", "Bearer ya29.nobody"), ("content-type", "application/json")];
        let reply = send(sandbox.addr(), "POST", path, &headers, b"{}").await;
        assert_eq!((reply.status, &reply.json()["error"]["status"]), (401, &json!("UNAUTHENTICATED")));
        let bill = sandbox.invoice().vendor(Name::Google).clone();
        assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, count + 3));
    }

    #[tokio::test]
    async fn refusals_and_faults_are_googles_own_and_cost_nothing() {
        let sandbox = sandbox("{}").await;
        let json = ask(&sandbox, FLASH, content("forbidden", json!({}))).await.json();
        assert_eq!(json["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
        let meet = async |mode| {
            sandbox.set(Name::Google, |vendor| vendor.mode = mode);
            ask(&sandbox, FLASH, content("x", json!({}))).await
        };
        let limited = meet(Mode::RateLimited { retry_after: std::time::Duration::from_secs(3) }).await;
        assert_eq!((limited.status, &limited.json()["error"]["details"][0]["retryDelay"]), (429, &json!("3s")));
        assert_eq!(meet(Mode::OutOfMoney).await.status, 403);
        assert_eq!(meet(Mode::Down500).await.json()["error"]["status"], "INTERNAL");
        assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
    }

    #[tokio::test]
    async fn a_statement_that_is_not_exactly_right_gets_no_token() {
        let sandbox = sandbox("{}").await;
        let part = |value: Value| base64_simd::URL_SAFE_NO_PAD.encode_to_string(value.to_string());
        let now = super::super::call::unix_time();
        let ask = async |head: Value, change: (&str, Value)| {
            let mut claims = json!({"iss": "a@b", "scope": "https://www.googleapis.com/auth/cloud-platform",
                "aud": format!("{}/google/token", sandbox.url()), "iat": now, "exp": now + 3600});
            claims[change.0] = change.1;
            let body = format!(
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={}.{}.c2ln",
                part(head),
                part(claims)
            );
            let headers = [("content-type", "application/x-www-form-urlencoded")];
            send(sandbox.addr(), "POST", "/google/token", &headers, body.as_bytes()).await.status
        };
        let head = || json!({"alg": "RS256", "typ": "JWT"});
        assert_eq!(ask(head(), ("iat", json!(now))).await, 200);
        assert_eq!(ask(json!({"alg": "none", "typ": "JWT"}), ("iat", json!(now))).await, 400);
        for change in [
            ("iss", json!("nobody")),
            ("scope", json!("everything")),
            ("aud", json!("https://elsewhere/token")),
            ("iat", json!(now - 4000)),
            ("exp", json!(now + 7200)),
            ("sub", json!("somebody")),
        ] {
            assert_eq!(ask(head(), change.clone()).await, 400, "{change:?}");
        }
        assert_eq!(sandbox.tokens(Name::Google), 1);
    }
}
