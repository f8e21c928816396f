//! Stability AI: v2beta `core`, `ultra` and `sd3.5-*` by form, and the v1 engines (PROVIDERS.md section 3).
//!
//! v2beta draws one picture a call and knows shapes, not pixels; v1 draws up to ten in exact sizes and is asked by
//! `v1.rs`. Both answer 200 for a picture that the filter blurred: that is a refusal here, and it is charged.
//! `ultra`, `sd3.5-*` and v1 can start from a picture, `inpaint` and v1 change part of one. Not built: the other edits,
//! upscaling.

use std::time::Duration;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::capabilities::{Capabilities, Edits, ModelDefaults, Sizes};
use crate::config::plan::{Account, Model};
use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::image::{Encoded, Format};
use crate::provider::adapter::{Adapter, Call, Job, JobResult, PictureSource, Reply, ReplyPicture, Step, Usage};
use crate::provider::common::addresses;
use crate::provider::common::fields;
use crate::provider::common::headers;
use crate::provider::common::json::Json;
use crate::provider::common::multipart::MultipartForm;
use crate::provider::common::picture_source;
use crate::provider::common::vendor_error::{VendorError, malformed};
use crate::provider::stability::v1::{SDXL_SIZES, V1_STEPS, fixed_seed, form_text};

pub(in crate::provider) mod v1;

/// Stability AI's own API.
pub struct Stability;

/// Which of the two APIs draws a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api<'a> {
    /// `v1/generation/{engine}`.
    V1 { engine: &'a str },
    /// `v2beta/stable-image/generate/{service}`, with a `model` field where the service has several.
    V2 { service: &'static str, model: Option<&'a str> },
}

impl Api<'_> {
    fn of(model: &str) -> Api<'_> {
        match model {
            "core" => Api::V2 { service: "core", model: None },
            "ultra" => Api::V2 { service: "ultra", model: None },
            "inpaint" => Api::V2 { service: INPAINT, model: None },
            _ if model.starts_with("sd3") => Api::V2 { service: "sd3", model: Some(model) },
            _ => Api::V1 { engine: model },
        }
    }
}

/// The one service that is below `edit/`.
const INPAINT: &str = "inpaint";

/// How much of the input picture may change, 0 to 1, where the API wants to be told and the options do not say. Half
/// keeps what is seen and leaves room for the prompt.
const STRENGTH: &str = "0.5";

/// The shapes of v2beta.
const SHAPES: [(u32, u32); 9] = [(21, 9), (16, 9), (3, 2), (5, 4), (1, 1), (4, 5), (2, 3), (9, 16), (9, 21)];

/// After too many requests a key is locked for this long, and no header says so.
const PENALTY: Duration = Duration::from_secs(60);

/// Error names -> what they mean; the other names mean what their status means.
const NAMES: &[(&str, Class)] = &[
    ("content_moderation", Class::Policy),
    ("invalid_prompts", Class::Policy),
    ("public_figure", Class::Policy),
    // English only; other vendors read the prompt.
    ("invalid_language", Class::AdapterBug),
    ("invalid_samples", Class::AdapterBug),
    ("insufficient_balance", Class::Quota),
    ("payment_required", Class::Quota),
];

impl Adapter for Stability {
    fn name(&self) -> &'static str {
        "stability"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://api.stability.ai/")
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        &[
            "core",
            "ultra",
            "sd3.5-large",
            "sd3.5-large-turbo",
            "sd3.5-medium",
            "sd3.5-flash",
            "inpaint",
            "stable-diffusion-xl-1024-v1-0",
        ]
    }

    /// Stability never answers with links.
    fn download_hosts(&self) -> &'static [&'static str] {
        &[]
    }

    fn capabilities(&self, _: &Account, model: &str) -> Capabilities {
        let api = Api::of(model);
        let (max_n, prompt_chars, formats) = match api {
            Api::V1 { .. } => (10, 2_000, vec![Format::Png]),
            Api::V2 { .. } => (1, 10_000, Format::ALL.to_vec()),
        };
        let sizes = match api {
            Api::V1 { engine } if engine.contains("xl-1024") => Sizes::Listed(SDXL_SIZES.to_vec()),
            Api::V1 { .. } => Sizes::Stepped(V1_STEPS),
            // 1.5 megapixels by the price list.
            Api::V2 { service: "core", .. } => Sizes::Ratios { shapes: SHAPES.to_vec(), pixels: 1536 * 1024 },
            Api::V2 { .. } => Sizes::Ratios { shapes: SHAPES.to_vec(), pixels: 1024 * 1024 },
        };
        Capabilities {
            tiers: Vec::new(),
            partials: false,
            max_n,
            prompt_chars,
            sizes,
            formats,
            qualities: Vec::new(),
            seed: true,
            negative_prompt: true,
            // Both APIs read as much of what must not be there as of what is to be drawn.
            negative_chars: prompt_chars,
            transparent: false,
            compression: false,
            style: false,
            generate: !matches!(api, Api::V2 { service: INPAINT, .. }),
            edit: match api {
                Api::V2 { service: "ultra", .. } => Some(Edits::up_to(1)),
                Api::V2 { service: "sd3", .. } => Some(Edits { keeps_size: true, ..Edits::up_to(1) }),
                Api::V2 { service: INPAINT, .. } => Some(Edits { mask: true, keeps_size: true, ..Edits::up_to(1) }),
                Api::V1 { .. } => Some(v1::EDITS),
                Api::V2 { .. } => None,
            },
        }
    }

    /// v1 is told a size in any case.
    fn usual(&self, _: &Account, model: &Model) -> ModelDefaults {
        let size = match Api::of(&model.name) {
            Api::V1 { .. } => SDXL_SIZES.first().copied(),
            Api::V2 { .. } => None,
        };
        ModelDefaults { size, ..ModelDefaults::default() }
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let mut headers = headers::call_headers(job.account, "authorization", "Bearer ")?;
        if let Some(user) = &job.request.user {
            headers::add_header(&mut headers, "stability-client-user-id", user);
        }
        match Api::of(&job.model.name) {
            Api::V1 { engine } => v1::ask(job, engine, headers),
            Api::V2 { service, model } => ask_v2(job, service, model, headers),
        }
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        if !(200..300).contains(&reply.status) {
            return Step::Failed(failure(job, reply, &VendorError::read(&reply.body)));
        }
        let kind = reply.header(&CONTENT_TYPE).unwrap_or_default();
        if kind.starts_with("image/") {
            return read_bytes(reply);
        }
        let json = match Json::read(&reply.body) {
            Ok(json) => json,
            Err(error) => return Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
        };
        match Api::of(&job.model.name) {
            Api::V1 { .. } => read_v1(job, reply, &json),
            Api::V2 { .. } => read_v2(job, reply, &json),
        }
    }
}

fn ask_v2(job: &Job<'_>, service: &str, model: Option<&str>, headers: HeaderMap) -> Result<Call, Failure> {
    let room = if service == INPAINT { "edit" } else { "generate" };
    let url = addresses::address(&job.account.base_url, ["v2beta", "stable-image", room, service])?;
    let request = job.request;
    let edit = request.edit.as_ref();
    // What starts from a picture keeps its shape, except at `ultra`.
    let shaped = edit.is_none() || service == "ultra";
    let from_picture = edit.filter(|_| service != INPAINT);
    let wished = [
        ("prompt", Some(request.prompt.clone())),
        ("negative_prompt", request.negative_prompt.clone()),
        ("model", model.map(str::to_owned)),
        ("mode", from_picture.filter(|_| service == "sd3").map(|_| "image-to-image".to_owned())),
        ("strength", from_picture.map(|_| STRENGTH.to_owned())),
        ("aspect_ratio", fields::ratio(job.output_size).filter(|_| shaped)),
        ("seed", request.seed.map(|seed| fixed_seed(seed).to_string())),
        ("output_format", job.format.map(|format| format.word().to_owned())),
    ];
    let options = &job.model.options;
    let mut fields: Vec<(String, String)> = wished
        .into_iter()
        .filter(|(name, _)| !options.contains_key(*name))
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect();
    fields.extend(options.iter().map(|(name, value)| (name.clone(), form_text(value))));
    let mut form = MultipartForm::of(fields);
    for image in edit.iter().flat_map(|edit| &edit.images) {
        form = form.picture("image", "image", image);
    }
    if let Some(mask) = edit.and_then(|edit| edit.mask.as_ref()) {
        form = form.file("mask", "mask.png", Format::Png.media_type(), mask.white.clone());
    }
    Ok(form.post(url, headers))
}

/// v1: a list of artifacts, each with its own verdict. The documents call the list bare, the API does not.
fn read_v1(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
    let list = json.get("artifacts").unwrap_or(json);
    let Json::List(artifacts) = list else {
        return Step::Failed(without_pictures(job, reply, json));
    };
    let verdict = |artifact: &Json<'_>| artifact.text_at("finishReason").map(|word| word.to_string());
    let filtered = artifacts.iter().filter(|artifact| verdict(artifact).as_deref() == Some("CONTENT_FILTERED")).count();
    let refused = u8::try_from(filtered).unwrap_or(u8::MAX).min(job.n);
    let images: Vec<ReplyPicture> = artifacts
        .iter()
        .filter(|artifact| matches!(verdict(artifact).as_deref(), None | Some("SUCCESS")))
        .filter_map(|artifact| artifact.bytes_at("base64"))
        .filter(|text| !text.is_empty())
        .map(|text| ReplyPicture { source: picture_source::inline(&reply.body, text), revised_prompt: None })
        .take(picture_source::MOST_PICTURES)
        .collect();
    match (images.is_empty(), refused) {
        (true, 0) if artifacts.is_empty() => Step::Failed(malformed(job, reply, "has no pictures")),
        (true, 0) => Step::Failed(Failure::new(Class::Server, "every artifact ended in ERROR")),
        (true, refused) => Step::Failed(blurred(refused)),
        (false, refused) => Step::Done(JobResult { images, refused, refused_billed: refused, usage: Usage::default() }),
    }
}

/// v2beta: one picture, or its blurred likeness.
fn read_v2(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
    let finish = json.text_at("finish_reason").or_else(|| json.text_at("finishReason"));
    if finish.is_some_and(|word| word == "CONTENT_FILTERED") {
        return Step::Failed(blurred(1));
    }
    match json.bytes_at("image").filter(|text| !text.is_empty()) {
        Some(text) => done(picture_source::inline(&reply.body, text)),
        None => Step::Failed(without_pictures(job, reply, json)),
    }
}

/// A server that sends the picture itself although JSON was asked; then the verdict is a header.
fn read_bytes(reply: &Reply) -> Step {
    let finish = reply.headers.get("finish-reason").map(|value| value.as_bytes());
    if finish == Some(b"CONTENT_FILTERED") {
        return Step::Failed(blurred(1));
    }
    done(PictureSource::Inline(Encoded::Raw(reply.body.clone())))
}

fn done(source: PictureSource) -> Step {
    let images = vec![ReplyPicture { source, revised_prompt: None }];
    Step::Done(JobResult { images, refused: 0, refused_billed: 0, usage: Usage::default() })
}

/// A filtered output is described as a successful generation, so it counts as charged.
fn blurred(pictures: u8) -> Failure {
    Failure::new(Class::Policy, "CONTENT_FILTERED: drawn, then blurred by the content filter").with_billed(pictures)
}

fn without_pictures(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Failure {
    let vendor_error = VendorError::from_json(json);
    if vendor_error.is_empty() { malformed(job, reply, "has no pictures") } else { failure(job, reply, &vendor_error) }
}

/// A failure out of an error's name, its field and its status.
fn failure(job: &Job<'_>, reply: &Reply, vendor_error: &VendorError) -> Failure {
    let found = vendor_error
        .by_word(NAMES, reply.status)
        .map_or_else(|| vendor_error.by_status(reply.status), Classification::stated);
    let said = |name: &str| vendor_error.words.iter().any(|word| word == name);
    let finding = match found.class {
        Class::Auth if said("permission_denied") => Classification::stated(Class::Auth).at(FailureScope::Model),
        Class::ModelGone if said("not_found") && vendor_error.mentions(&["engine", "model"]) => {
            Classification::stated(Class::ModelGone)
        }
        // The key is locked, whatever it asks for.
        Class::RateLimited => found.at(FailureScope::Account),
        _ => found,
    };
    let mut vendor_error = vendor_error.clone();
    vendor_error.field = vendor_error.field.or_else(|| blamed_field(&vendor_error.words, &vendor_error.message));
    let failure = vendor_error.failure(finding, job, reply, our_field);
    match (finding.class, failure.retry_after) {
        (Class::RateLimited, None) => failure.with_retry_after(Some(PENALTY)),
        _ => failure,
    }
}

/// The field that stands before the colon of a sentence (`aspect_ratio: must be one of ...`), or in an error's name.
fn blamed_field(words: &[String], message: &str) -> Option<String> {
    let about_size = ["invalid_height_or_width", "invalid_pixel_count"];
    if words.iter().any(|word| about_size.contains(&word.as_str())) {
        return Some("height".to_owned());
    }
    let said = |name: &str| words.iter().any(|word| word == name);
    if said("invalid_mask_image") {
        return Some("mask".to_owned());
    }
    if said("invalid_image_dimensions") || said("invalid_mime_type") || said("invalid_file_size") {
        return Some("image".to_owned());
    }
    let (field, _) = message.split_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '[' | ']' | '.');
    (!field.is_empty() && field.chars().all(plain)).then(|| field.to_owned())
}

/// Our name of Stability's field.
fn our_field(field: &str) -> Option<String> {
    let ours = match field {
        "prompt" | "negative_prompt" | "seed" | "output_format" => field,
        "aspect_ratio" | "height" | "width" => "size",
        "samples" => "n",
        "image" | "init_image" => "image",
        "mask" | "mask_image" => "mask",
        _ if field.starts_with("text_prompts") => "prompt",
        _ => return None,
    };
    Some(ours.to_owned())
}

#[cfg(test)]
mod tests;
