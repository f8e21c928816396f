//! Google: Gemini's and Imagen's pictures, from the Gemini API or from Vertex AI (PROVIDERS.md section 4).
//!
//! What the models take is in `models.rs`, what an answer means in `reply.rs`. A key goes in a header,
//! never into an address, where logs would keep it. No price is told in an answer: tokens are not dollars.

use http::HeaderMap;
use serde_json::{Map, Value, json};
use url::Url;

use crate::capabilities::{Capabilities, Tier};
use crate::config::plan::{Account, Credentials, Model};
use crate::failure::{Class, Failure};
use crate::image::Format;
use crate::provider::adapter::{Adapter, Call, Job, Reply, Step};
use crate::provider::common::addresses;
use crate::provider::common::headers;
use crate::provider::common::json_body;
use crate::provider::common::model_end::{self, ModelEnd};
use crate::provider::common::picture_source;
use crate::provider::common::token_source::TokenSource;
use crate::provider::google::models::{ENDS, Family, Method, VERTEX_ENDS, family};
use crate::request::{Edit, Moderation};

pub(in crate::provider) mod models;
pub(in crate::provider) mod reply;

/// Google.
pub struct Google;

/// What `moderation: low` loosens.
const HARMS: [&str; 4] = [
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
];

/// What a service account's token is to open.
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where a machine in Google's cloud gets its own token.
const METADATA: &str = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";

/// How far.
const LOOSE: &str = "BLOCK_ONLY_HIGH";

/// Google's seeds are signed numbers of 32 bits, of which it takes the positive half.
const SEEDS: u32 = i32::MAX as u32;

impl Adapter for Google {
    fn name(&self) -> &'static str {
        "google"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://generativelanguage.googleapis.com/v1beta/")
    }

    fn needs_key(&self) -> bool {
        // A key, or credentials: the config's check knows which of the two is missing.
        false
    }

    fn known_models(&self) -> &'static [&'static str] {
        &["gemini-nano-banana-2.1", "gemini-3.1-flash-image", "gemini-3.1-flash-lite-image", "gemini-3-pro-image"]
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        // Pictures come inside the answer.
        &[]
    }

    fn capabilities(&self, account: &Account, model: &str) -> Capabilities {
        family(model).capabilities(is_vertex(account))
    }

    fn capabilities_of(&self, account: &Account, model: &Model) -> Capabilities {
        let able = self.capabilities(account, &model.name);
        match fixed_tier(model) {
            Some(tier) => Capabilities { tiers: vec![tier], ..able },
            None => able,
        }
    }

    fn ends(&self, account: &Account, model: &Model) -> Option<&'static ModelEnd> {
        let vertex = model_end::find(VERTEX_ENDS, &model.name).filter(|_| is_vertex(account));
        vertex.or_else(|| model_end::find(ENDS, &model.name))
    }

    fn token(&self, account: &Account) -> Option<TokenSource> {
        Some(match account.credentials.clone()? {
            Credentials::ServiceAccount { client_email, private_key, key_id, token_uri } => {
                TokenSource::ServiceAccount { client_email, private_key, key_id, token_uri, scope: SCOPE.to_owned() }
            }
            Credentials::Metadata => {
                TokenSource::Metadata { url: Url::parse(METADATA).ok()?, header: ("metadata-flavor", "Google") }
            }
            Credentials::Entra { .. } => return None,
        })
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let method = family(&job.model.name).method;
        let mut body = match method {
            Method::GenerateContent => content_body(job),
            Method::Predict => {
                job.request.edit.as_ref().map_or(Ok(()), check_pictures)?;
                predict_body(job)
            }
        };
        for (field, value) in &job.model.options {
            merge(body.entry(field.as_str()).or_insert(Value::Null), value);
        }
        let headers = headers(job)?;
        let target = format!("{}:{}", job.model.name, method.as_str());
        let url = address(job.account, &target)?;
        Ok(Call::post_json(url, headers, &Value::Object(body)))
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        reply::read(job, reply, family(&job.model.name).method)
    }
}

/// Whether the account is one of Vertex AI's, which has credentials instead of a key.
fn is_vertex(account: &Account) -> bool {
    account.credentials.is_some()
}

/// The headers, with the key or with the token.
fn headers(job: &Job<'_>) -> Result<HeaderMap, Failure> {
    headers::with_token(headers::call_headers(job.account, "x-goog-api-key", "")?, job.bearer)
}

/// Where `model:method` is asked.
fn address(account: &Account, target: &str) -> Result<Url, Failure> {
    let base = &account.base_url;
    if !is_vertex(account) {
        return addresses::address(base, ["models", target]);
    }
    let missing = || Failure::new(Class::AdapterBug, "Vertex AI needs a project and a location");
    let project = account.project.as_deref().ok_or_else(missing)?;
    let location = account.location.as_deref().ok_or_else(missing)?;
    let path = ["v1", "projects", project, "locations", location, "publishers", "google", "models", target];
    addresses::address(base, path)
}

/// The caller's name for its own user, where it can be a label; Vertex AI lists costs by them.
fn labels(job: &Job<'_>) -> Option<Value> {
    let user = job.request.user.as_deref().filter(|_| is_vertex(job.account))?;
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (user.len() <= 63 && user.bytes().all(fits)).then(|| json!({"user": user}))
}

/// A conversation of one message that is to be answered with one picture.
fn content_body(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    let mut parts = vec![json!({"text": request.prompt})];
    for input in request.edit.iter().flat_map(|edit| &edit.images) {
        let data = picture_source::base64(&input.bytes);
        parts.push(json!({"inlineData": {"mimeType": input.format.media_type(), "data": data}}));
    }
    let mut image = Map::new();
    put_size(&mut image, "imageSize", job);
    json_body::put(&mut image, "imageOutputOptions", output(job).filter(|_| is_vertex(job.account)));
    let mut config = Map::new();
    json_body::put(&mut config, "responseModalities", Some(json!(["IMAGE"])));
    json_body::put(&mut config, "imageConfig", Some(image).filter(|image| !image.is_empty()));
    json_body::put(&mut config, "seed", request.seed.map(|seed| seed & SEEDS));
    let mut body = Map::new();
    json_body::put(&mut body, "contents", Some(json!([{"role": "user", "parts": parts}])));
    json_body::put(&mut body, "generationConfig", Some(config));
    if request.moderation == Some(Moderation::Low) {
        let loose = HARMS.map(|harm| json!({"category": harm, "threshold": LOOSE}));
        json_body::put(&mut body, "safetySettings", Some(loose.to_vec()));
    }
    json_body::put(&mut body, "labels", labels(job));
    body
}

/// An instance and its parameters.
fn predict_body(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    let mut parameters = Map::new();
    json_body::put(&mut parameters, "sampleCount", Some(job.n));
    match request.edit {
        // What is drawn into a picture has its size.
        Some(_) => json_body::put(&mut parameters, "editMode", Some("EDIT_MODE_INPAINT_INSERTION")),
        None => put_size(&mut parameters, "sampleImageSize", job),
    }
    json_body::put(&mut parameters, "negativePrompt", request.negative_prompt.as_deref());
    if let Some(seed) = request.seed {
        // A watermark, which is the default, would make every picture another.
        // It counts from one, so that zero becomes the last.
        json_body::put(&mut parameters, "seed", Some(Some(seed & SEEDS).filter(|seed| *seed > 0).unwrap_or(SEEDS)));
        json_body::put(&mut parameters, "addWatermark", Some(false));
    }
    // Otherwise a picture that was withheld is silently missing.
    json_body::put(&mut parameters, "includeRaiReason", Some(true));
    let low = request.moderation == Some(Moderation::Low);
    json_body::put(&mut parameters, "safetySetting", low.then_some(LOOSE));
    json_body::put(&mut parameters, "outputOptions", output(job));
    let mut instance = Map::new();
    json_body::put(&mut instance, "prompt", Some(request.prompt.as_str()));
    json_body::put(&mut instance, "referenceImages", request.edit.as_ref().map(references));
    let mut body = Map::new();
    json_body::put(&mut body, "instances", Some(vec![Value::Object(instance)]));
    json_body::put(&mut body, "parameters", Some(parameters));
    json_body::put(&mut body, "labels", labels(job));
    body
}

/// Imagen reads PNG and JPEG files only. Another model may well read what was sent.
fn check_pictures(edit: &Edit) -> Result<(), Failure> {
    match edit.images.iter().any(|image| image.format == Format::Webp) {
        true => Err(Failure::new(Class::AdapterBug, "this model changes PNG and JPEG pictures only")),
        false => Ok(()),
    }
}

/// The picture that is drawn into, and the mask that shows where: whatever is not black.
fn references(edit: &Edit) -> Vec<Value> {
    let reference = |number: usize, kind: &str, bytes: &[u8]| {
        let image = json!({"bytesBase64Encoded": picture_source::base64(bytes)});
        json!({"referenceId": number, "referenceType": kind, "referenceImage": image})
    };
    let mut list: Vec<Value> =
        edit.images.iter().map(|image| reference(1, "REFERENCE_TYPE_RAW", &image.bytes)).collect();
    if let Some(mask) = &edit.mask {
        let mut mask = reference(2, "REFERENCE_TYPE_MASK", &mask.white);
        mask["maskImageConfig"] = json!({"maskMode": "MASK_MODE_USER_PROVIDED"});
        list.push(mask);
    }
    list
}

/// The size as a shape and, under the method's own name for it, a tier.
fn put_size(fields: &mut Map<String, Value>, tier: &str, job: &Job<'_>) {
    if let Some((across, down)) = family(&job.model.name).shape(job.output_size) {
        json_body::put(fields, "aspectRatio", Some(format!("{across}:{down}")));
        json_body::put(fields, tier, job.tier.map(|tier| tier.word));
    }
}

/// The tier that the model's options name, whatever is asked.
fn fixed_tier(model: &Model) -> Option<Tier> {
    let (field, path): (&str, &[&str]) = match family(&model.name).method {
        Method::GenerateContent => ("generationConfig", &["imageConfig", "imageSize"]),
        Method::Predict => ("parameters", &["sampleImageSize"]),
    };
    let named = path.iter().try_fold(model.options.get(field)?, |value, name| value.get(name))?;
    Family::tier(named.as_str()?)
}

/// The file format that was asked for; only JPEG is compressed.
fn output(job: &Job<'_>) -> Option<Value> {
    let format = job.format?;
    let mut output = Map::new();
    json_body::put(&mut output, "mimeType", Some(format.media_type()));
    json_body::put(
        &mut output,
        "compressionQuality",
        job.request.output_compression.filter(|_| format == Format::Jpeg),
    );
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
    use crate::provider::common::fixture::JobFixture;

    const WISH: &str = r#"{"prompt":"a fox","size":"1536x864","quality":"high","output_compression":80,
        "background":"opaque","moderation":"low","style":"vivid","user":"u"}"#;

    #[test]
    fn each_model_is_sent_only_what_it_takes() {
        let body = JobFixture::new("google", "gemini-2.5-flash-image", WISH).body();
        let loose = HARMS.map(|harm| json!({"category": harm, "threshold": "BLOCK_ONLY_HIGH"}));
        let wanted = json!({"contents": [{"role": "user", "parts": [{"text": "a fox"}]}],
            "generationConfig": {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "16:9"}},
            "safetySettings": loose});
        assert_eq!(body, wanted);
        let body = JobFixture::new("google", "imagen-4.0-generate-001", WISH).body();
        let wanted = json!({"instances": [{"prompt": "a fox"}], "parameters": {"sampleCount": 1,
            "aspectRatio": "16:9", "sampleImageSize": "2K", "includeRaiReason": true,
            "safetySetting": "BLOCK_ONLY_HIGH"}});
        assert_eq!(body, wanted);
    }

    #[test]
    fn a_seed_beyond_googles_is_folded_into_them() {
        let seed = |seed: u32| {
            let wish = format!(r#"{{"prompt":"x","seed":{seed}}}"#);
            JobFixture::new("google", "gemini-3-pro-image", &wish).body()["generationConfig"]["seed"].clone()
        };
        assert_eq!((seed(0), seed(7), seed(u32::MAX)), (json!(0), json!(7), json!(i32::MAX)));
        let imagens = |seed: u32| {
            let wish = format!(r#"{{"prompt":"x","seed":{seed}}}"#);
            vertex("imagen-4.0-generate-001", &wish).body()["parameters"]["seed"].clone()
        };
        let last = json!(i32::MAX);
        assert_eq!(
            [imagens(1), imagens(0), imagens(1 << 31), imagens(u32::MAX)],
            [json!(1), last.clone(), last.clone(), last]
        );
    }

    #[test]
    fn an_option_is_laid_into_what_is_there() {
        let mut fixture = JobFixture::new("google", "gemini-3-pro-image", r#"{"prompt":"x","size":"1024x1024"}"#);
        let option = json!({"imageConfig": {"imageSize": "2K"}, "temperature": 1});
        fixture.model.options.insert("generationConfig".to_owned(), option);
        let wanted = json!({"responseModalities": ["IMAGE"], "temperature": 1,
            "imageConfig": {"aspectRatio": "1:1", "imageSize": "2K"}});
        assert_eq!(fixture.body()["generationConfig"], wanted);
    }

    #[test]
    fn input_pictures_follow_the_words() {
        let fixture = JobFixture::new("google", "gemini-3-pro-image", r#"{"prompt":"x"}"#).editing(2, false);
        let picture = |number| {
            json!({"inlineData": {"mimeType": "image/png",
            "data": picture_source::base64(format!("image {number}").as_bytes())}})
        };
        assert_eq!(fixture.body()["contents"][0]["parts"], json!([{"text": "x"}, picture(0), picture(1)]));
    }

    fn vertex(model: &str, wish: &str) -> JobFixture {
        let mut fixture = JobFixture::new("google", model, wish);
        fixture.account.base_url = "https://aiplatform.googleapis.com/".parse().unwrap();
        fixture.account.api_key = None;
        fixture.account.credentials = Some(Credentials::Metadata);
        fixture.account.project = Some("p1".to_owned());
        fixture.account.location = Some("global".to_owned());
        fixture.bearer = Some(crate::secret::Secret::new("ya29.secret"));
        fixture
    }

    #[test]
    fn vertex_is_asked_at_its_own_address_with_a_token_that_no_debug_print_shows() {
        let fixture = vertex("gemini-3-pro-image", r#"{"prompt":"x"}"#);
        let call = fixture.call();
        let path = "v1/projects/p1/locations/global/publishers/google/models/gemini-3-pro-image:generateContent";
        assert_eq!(call.url.as_str(), format!("https://aiplatform.googleapis.com/{path}"));
        assert_eq!(call.headers["authorization"], "Bearer ya29.secret");
        assert!(!call.headers.contains_key("x-goog-api-key"));
        assert!(!format!("{call:?} {:?}", fixture.job()).contains("ya29"));
        let said = r#"{"error":{"status":"UNAUTHENTICATED","message":"bad token ya29.secret"}}"#;
        let Step::Failed(failure) = Google.read(&fixture.job(), &fixture.reply(401, said)) else {
            panic!("no failure")
        };
        assert!(!failure.message.contains("ya29"), "{failure}");
    }

    #[test]
    fn vertex_takes_a_file_format_and_labels_and_imagens_seed_goes_without_a_watermark() {
        let wish = r#"{"prompt":"x","output_format":"jpeg","output_compression":70,"user":"team-1","seed":7}"#;
        let body = vertex("gemini-3-pro-image", wish).body();
        let output = json!({"mimeType": "image/jpeg", "compressionQuality": 70});
        assert_eq!(body["generationConfig"]["imageConfig"], json!({"imageOutputOptions": output}));
        assert_eq!((&body["labels"], &body["generationConfig"]["seed"]), (&json!({"user": "team-1"}), &json!(7)));
        let body = vertex("imagen-4.0-generate-001", wish).body();
        let wanted = json!({"sampleCount": 1, "seed": 7, "addWatermark": false, "includeRaiReason": true,
            "outputOptions": output});
        assert_eq!(body["parameters"], wanted);
        let old = r#"{"prompt":"x","negative_prompt":"dogs","user":"Mr. Fox"}"#;
        let body = vertex("imagen-3.0-generate-001", old).body();
        assert_eq!((&body["parameters"]["negativePrompt"], body.get("labels")), (&json!("dogs"), None));
    }

    #[test]
    fn a_file_that_imagen_does_not_read_is_not_sent_to_it() {
        let mut fixture = vertex("imagen-3.0-capability-001", r#"{"prompt":"x"}"#).editing(1, true);
        for (format, sent) in [(Format::Png, true), (Format::Jpeg, true), (Format::Webp, false)] {
            fixture.request.edit.as_mut().unwrap().images[0].format = format;
            assert_eq!(Google.ask(&fixture.job()).is_ok(), sent, "{format:?}");
        }
    }

    #[test]
    fn the_key_goes_into_a_header_and_never_into_the_address() {
        let fixture = JobFixture::new("google", "gemini-3-pro-image", r#"{"prompt":"x"}"#);
        let call = fixture.call();
        assert_eq!(call.headers["x-goog-api-key"], fixture.key());
        let url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-3-pro-image:generateContent";
        assert_eq!(call.url.as_str(), url);
        assert!(!format!("{call:?}").contains(fixture.key()));
    }
}
