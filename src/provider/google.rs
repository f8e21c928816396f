//! Google: Gemini's and Imagen's pictures, from the Gemini API or from Vertex AI (PROVIDERS.md section 4).
//!
//! What the models take is in `google_models.rs`, what an answer means in `google_reply.rs`. A key goes in a header,
//! never into an address, where logs would keep it. No price is told in an answer: tokens are not dollars.

use serde_json::{Map, Value, json};

use crate::abilities::Abilities;
use crate::config::plan::Account;
use crate::failure::Failure;
use crate::image::Format;
use crate::provider::google_models::{Method, family};
use crate::provider::{Call, Job, Provider, Reply, Step, google_reply, wire};
use crate::request::Moderation;

/// Google.
pub struct Google;

/// What `moderation: low` loosens.
const HARMS: [&str; 4] = [
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
];

/// How far.
const LOOSE: &str = "BLOCK_ONLY_HIGH";

/// Google's seeds are signed numbers of 32 bits, of which it takes the positive half.
const SEEDS: u32 = i32::MAX as u32;

impl Provider for Google {
    fn name(&self) -> &'static str {
        "google"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://generativelanguage.googleapis.com/v1beta/")
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        &["gemini-3.1-flash-image", "gemini-3-pro-image", "gemini-2.5-flash-image", "imagen-4.0-generate-001"]
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        // Pictures come inside the answer.
        &[]
    }

    fn abilities(&self, account: &Account, model: &str) -> Abilities {
        family(model).abilities(is_vertex(account))
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let method = family(&job.model.name).method;
        let mut body = match method {
            Method::GenerateContent => content_body(job),
            Method::Predict => predict_body(job),
        };
        for (field, value) in &job.model.options {
            merge(body.entry(field.as_str()).or_insert(Value::Null), value);
        }
        let headers = wire::headers(job.account, "x-goog-api-key", "")?;
        let target = format!("{}:{}", job.model.name, method.word());
        let url = wire::address(&job.account.base_url, ["models", &target])?;
        Ok(Call::post_json(url, headers, &Value::Object(body)))
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        google_reply::read(job, reply, family(&job.model.name).method)
    }
}

fn is_vertex(_: &Account) -> bool {
    false
}

/// A conversation of one message that is to be answered with one picture.
fn content_body(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    let mut parts = vec![json!({"text": request.prompt})];
    for input in request.edit.iter().flat_map(|edit| &edit.images) {
        let data = wire::base64(&input.bytes);
        parts.push(json!({"inlineData": {"mimeType": input.format.media_type(), "data": data}}));
    }
    let mut image = Map::new();
    if let Some(((across, down), tier)) = family(&job.model.name).told(job.frame) {
        wire::put(&mut image, "aspectRatio", Some(format!("{across}:{down}")));
        wire::put(&mut image, "imageSize", tier.map(|tier| tier.0));
    }
    wire::put(&mut image, "imageOutputOptions", output(job).filter(|_| is_vertex(job.account)));
    let mut config = Map::new();
    wire::put(&mut config, "responseModalities", Some(json!(["IMAGE"])));
    wire::put(&mut config, "imageConfig", Some(image).filter(|image| !image.is_empty()));
    wire::put(&mut config, "seed", request.seed.map(|seed| seed & SEEDS));
    let mut body = Map::new();
    wire::put(&mut body, "contents", Some(json!([{"role": "user", "parts": parts}])));
    wire::put(&mut body, "generationConfig", Some(config));
    if request.moderation == Some(Moderation::Low) {
        let loose = HARMS.map(|harm| json!({"category": harm, "threshold": LOOSE}));
        wire::put(&mut body, "safetySettings", Some(loose.to_vec()));
    }
    body
}

/// An instance and its parameters.
fn predict_body(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    let mut parameters = Map::new();
    wire::put(&mut parameters, "sampleCount", Some(job.n));
    if let Some(((across, down), tier)) = family(&job.model.name).told(job.frame) {
        wire::put(&mut parameters, "aspectRatio", Some(format!("{across}:{down}")));
        wire::put(&mut parameters, "sampleImageSize", tier.map(|tier| tier.0));
    }
    wire::put(&mut parameters, "negativePrompt", request.negative_prompt.as_deref());
    if let Some(seed) = request.seed {
        // A watermark, which is the default, would make every picture another.
        wire::put(&mut parameters, "seed", Some(seed & SEEDS));
        wire::put(&mut parameters, "addWatermark", Some(false));
    }
    // Otherwise a picture that was withheld is silently missing.
    wire::put(&mut parameters, "includeRaiReason", Some(true));
    let low = request.moderation == Some(Moderation::Low);
    wire::put(&mut parameters, "safetySetting", low.then_some(LOOSE));
    wire::put(&mut parameters, "outputOptions", output(job));
    let mut body = Map::new();
    wire::put(&mut body, "instances", Some(json!([{"prompt": request.prompt}])));
    wire::put(&mut body, "parameters", Some(parameters));
    body
}

/// The file format that was asked for; only JPEG is compressed.
fn output(job: &Job<'_>) -> Option<Value> {
    let format = job.request.output_format?;
    let mut output = Map::new();
    wire::put(&mut output, "mimeType", Some(format.media_type()));
    wire::put(&mut output, "compressionQuality", job.request.output_compression.filter(|_| format == Format::Jpeg));
    Some(Value::Object(output))
}

/// Lays `over` upon `under`, object into object, so that one option does not wipe out its neighbours.
fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (field, value) in over {
                merge(under.entry(field.as_str()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::fixture::Desk;

    const WISH: &str = r#"{"prompt":"a fox","size":"1536x864","quality":"high","output_compression":80,
        "background":"opaque","moderation":"low","style":"vivid","user":"u"}"#;

    #[test]
    fn each_model_is_sent_only_what_it_takes() {
        let body = Desk::new("google", "gemini-2.5-flash-image", WISH).body();
        let loose = HARMS.map(|harm| json!({"category": harm, "threshold": "BLOCK_ONLY_HIGH"}));
        let wanted = json!({"contents": [{"role": "user", "parts": [{"text": "a fox"}]}],
            "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9"}},
            "safetySettings": loose});
        assert_eq!(body, wanted);
        let body = Desk::new("google", "imagen-4.0-generate-001", WISH).body();
        let wanted = json!({"instances": [{"prompt": "a fox"}], "parameters": {"sampleCount": 1,
            "aspectRatio": "16:9", "sampleImageSize": "2K", "includeRaiReason": true,
            "safetySetting": "BLOCK_ONLY_HIGH"}});
        assert_eq!(body, wanted);
    }

    #[test]
    fn a_seed_beyond_googles_is_folded_into_them() {
        let seed = |seed: u32| {
            let wish = format!(r#"{{"prompt":"x","seed":{seed}}}"#);
            Desk::new("google", "gemini-3-pro-image", &wish).body()["generationConfig"]["seed"].clone()
        };
        assert_eq!((seed(7), seed(u32::MAX)), (json!(7), json!(i32::MAX)));
    }

    #[test]
    fn an_option_is_laid_into_what_is_there() {
        let mut desk = Desk::new("google", "gemini-3-pro-image", r#"{"prompt":"x","size":"1024x1024"}"#);
        let option = json!({"imageConfig": {"imageSize": "2K"}, "temperature": 1});
        desk.model.options.insert("generationConfig".to_owned(), option);
        let wanted = json!({"responseModalities": ["IMAGE"], "temperature": 1,
            "imageConfig": {"aspectRatio": "1:1", "imageSize": "2K"}});
        assert_eq!(desk.body()["generationConfig"], wanted);
    }

    #[test]
    fn input_pictures_follow_the_words() {
        let desk = Desk::new("google", "gemini-3-pro-image", r#"{"prompt":"x"}"#).editing(2, false);
        let picture = |number| {
            json!({"inlineData": {"mimeType": "image/png",
            "data": wire::base64(format!("image {number}").as_bytes())}})
        };
        assert_eq!(desk.body()["contents"][0]["parts"], json!([{"text": "x"}, picture(0), picture(1)]));
    }

    #[test]
    fn the_key_goes_into_a_header_and_never_into_the_address() {
        let desk = Desk::new("google", "gemini-3-pro-image", r#"{"prompt":"x"}"#);
        let call = desk.call();
        assert_eq!(call.headers["x-goog-api-key"], desk.key());
        let url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro-image:generateContent";
        assert_eq!(call.url.as_str(), url);
        assert!(!format!("{call:?}").contains(desk.key()));
    }
}
