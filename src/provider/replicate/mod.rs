//! Replicate: predictions of official models or of versions, waited for, polled and cancelled (PROVIDERS.md section 5).
//!
//! Inputs differ from model to model: `models.rs` knows the common ones and the model's `options` say the
//! rest. Addresses for polling and cancelling are built from the prediction's id below the account's own base:
//! the ones in the reply are not followed, because the key goes with them. A failed prediction comes with HTTP 200.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use crate::capabilities::{BilledSize, Capabilities, ModelDefaults, OutputSize};
use crate::config::plan::{Account, Model};
use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::image::Format;
use crate::pricing::Counted;
use crate::provider::adapter::{Adapter, Call, Job, JobResult, Reply, ReplyPicture, Step, Usage};
use crate::provider::common::addresses;
use crate::provider::common::aspect_ratio;
use crate::provider::common::headers;
use crate::provider::common::json::{Json, number_at};
use crate::provider::common::json_body;
use crate::provider::common::picture_source;
use crate::provider::common::vendor_error::{VendorError, malformed, told};
use crate::provider::replicate::models::{EditInput, SizeInput, family};

pub(in crate::provider) mod models;

/// Replicate's own API.
pub struct Replicate;

/// Options by which a model's config says that it takes the size in its own way.
const SIZE_OPTIONS: [&str; 6] = ["width", "height", "aspect_ratio", "size", "image_size", "resolution"];

/// The longest `Prefer: wait`, in seconds.
const LONGEST_WAIT: u64 = 60;

/// The shortest `Cancel-After`, in seconds.
const SHORTEST_LIFE: u64 = 5;

/// Sentences by which a model refuses (PROVIDERS.md section 5).
const REFUSALS: &[&str] = &["nsfw", "flagged as sensitive", "(e005)", "content policy", "content moderation"];

/// The version in `owner/name:<version>` or in a bare version; `None` names an official model.
fn version(model: &str) -> Option<&str> {
    match model.split_once(':') {
        Some((_, version)) => Some(version),
        None if !model.contains('/') => Some(model),
        None => None,
    }
}

impl Adapter for Replicate {
    fn name(&self) -> &'static str {
        "replicate"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://api.replicate.com/v1/")
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        &[
            "black-forest-labs/flux-schnell",
            "black-forest-labs/flux-dev",
            "black-forest-labs/flux-1.1-pro",
            "black-forest-labs/flux-1.1-pro-ultra",
            "black-forest-labs/flux-2-pro",
            "black-forest-labs/flux-kontext-pro",
            "black-forest-labs/flux-fill-pro",
            "stability-ai/sdxl",
        ]
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        &["replicate.delivery", "*.replicate.delivery"]
    }

    fn capabilities(&self, _: &Account, model: &str) -> Capabilities {
        family(model).capabilities()
    }

    /// A model decides the pixels of a shape, and megapixels are those of the picture (PROVIDERS.md 5.2).
    fn usual(&self, _: &Account, _: &Model) -> ModelDefaults {
        ModelDefaults { billed: BilledSize::Drawn, ..ModelDefaults::default() }
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let model = &job.model.name;
        let base = &job.account.base_url;
        let mut headers = headers::call_headers(job.account, "authorization", "Bearer ")?;
        let left = job.time_left.as_secs();
        // One second is kept back, so that the prediction's id arrives while there is time to cancel it.
        let wait = left.saturating_sub(1).min(LONGEST_WAIT);
        if wait > 0 {
            headers::add_header(&mut headers, "prefer", &format!("wait={wait}"));
        }
        headers::add_header(&mut headers, "cancel-after", &format!("{}s", left.max(SHORTEST_LIFE)));
        let input = Value::Object(input(job));
        match version(model) {
            Some(version) => {
                let url = addresses::address(base, ["predictions"])?;
                Ok(Call::post_json(url, headers, &json!({"version": version, "input": input})))
            }
            None => {
                let path = std::iter::once("models").chain(model.split('/')).chain(["predictions"]);
                Ok(Call::post_json(addresses::address(base, path)?, headers, &json!({"input": input})))
            }
        }
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        if !(200..300).contains(&reply.status) {
            return Step::Failed(failure(job, reply, &VendorError::read(&reply.body)));
        }
        let json = match Json::read(&reply.body) {
            Ok(json) => json,
            Err(error) => return Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
        };
        match json.text_at("status") {
            None => Step::Failed(not_a_prediction(job, reply, &json)),
            Some("succeeded") => succeeded(job, reply, &json),
            Some("failed") => Step::Failed(failed(job, &json).with_counted(counted(reply))),
            Some(status @ ("canceled" | "aborted")) => {
                let words = told(job, &format!("{status}: {}", error_text(&json)));
                Step::Failed(Failure::new(Class::Server, words).at_the_end().with_counted(counted(reply)))
            }
            // `starting`, `processing`, and whatever is added to them later.
            Some(_) => poll(job, reply, &json).unwrap_or_else(Step::Failed),
        }
    }
}

/// A good answer that is no prediction: an error all the same, or one that says nothing.
fn not_a_prediction(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Failure {
    let vendor_error = VendorError::from_json(json);
    if vendor_error.error { failure(job, reply, &vendor_error) } else { malformed(job, reply, "is not a prediction") }
}

/// The model's inputs: ours first, the config's options over them.
fn input(job: &Job<'_>) -> Map<String, Value> {
    let family = family(&job.model.name);
    let request = job.request;
    let mut input = Map::new();
    json_body::put(&mut input, "prompt", Some(request.prompt.as_str()));
    json_body::put(&mut input, "negative_prompt", request.negative_prompt.as_deref());
    json_body::put(&mut input, "seed", request.seed);
    // A model without the input draws one; a config that raises `max_n` says that there is one.
    json_body::put(&mut input, "num_outputs", Some(job.n).filter(|n| family.max_n > 1 || *n > 1));
    let takes_format = !family.formats.is_empty() || job.model.capabilities.formats.is_some();
    json_body::put(&mut input, "output_format", job.format.filter(|_| takes_format).map(format_word));
    json_body::put(&mut input, "output_quality", request.output_compression.filter(|_| family.output_quality));
    let own_size = put_pictures(&mut input, job, family.edit);
    if !own_size {
        put_size(&mut input, job, family.size);
    }
    for (field, value) in &job.model.options {
        input.insert(field.clone(), value.clone());
    }
    input
}

/// The pictures of an edit as `data:` URLs, and whether the model draws in their size.
fn put_pictures(input: &mut Map<String, Value>, job: &Job<'_>, how: Option<EditInput>) -> bool {
    let (Some(edit), Some(how)) = (&job.request.edit, how) else { return false };
    let mut urls = edit.images.iter().map(|image| picture_source::data_url(image.format.media_type(), &image.bytes));
    match how.takes.images {
        1 => json_body::put(input, how.image, urls.next()),
        _ => json_body::put(input, how.image, Some(urls.collect::<Vec<_>>())),
    }
    let mask = edit.mask.as_ref().map(|mask| picture_source::data_url(Format::Png.media_type(), &mask.white));
    json_body::put(input, "mask", mask);
    how.takes.keeps_size
}

fn put_size(input: &mut Map<String, Value>, job: &Job<'_>, how: SizeInput) {
    let in_pixels = |input: &mut Map<String, Value>| {
        json_body::put(input, "width", job.output_size.nominal().map(|size| size.width));
        json_body::put(input, "height", job.output_size.nominal().map(|size| size.height));
    };
    match how {
        SizeInput::Ratio => json_body::put(input, "aspect_ratio", aspect_ratio::ratio(job.output_size)),
        SizeInput::RatioAndMegapixels => {
            json_body::put(input, "aspect_ratio", aspect_ratio::ratio(job.output_size));
            let quarter = job.output_size.nominal().filter(|size| size.pixels() <= 512 * 512);
            json_body::put(input, "megapixels", quarter.map(|_| "0.25"));
        }
        SizeInput::Pixels => in_pixels(input),
        SizeInput::Unknown if SIZE_OPTIONS.iter().any(|option| job.model.options.contains_key(*option)) => {}
        SizeInput::Unknown => match job.output_size {
            // Only a config that lists shapes makes such a frame, for a model that takes shapes.
            OutputSize::Ratio { .. } => json_body::put(input, "aspect_ratio", aspect_ratio::ratio(job.output_size)),
            OutputSize::Pixels(_) | OutputSize::Default => in_pixels(input),
        },
    }
}

/// Replicate's word for a file format.
fn format_word(format: Format) -> &'static str {
    match format {
        Format::Jpeg => "jpg",
        Format::Png | Format::Webp => format.as_str(),
    }
}

/// The next look at a prediction that is not finished, and how to stop it.
fn poll(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Result<Step, Failure> {
    let id = json
        .text_at("id")
        .filter(|id| addresses::is_plain_id(id))
        .ok_or_else(|| malformed(job, reply, "is an unfinished prediction without an id"))?;
    let base = &job.account.base_url;
    let headers = headers::call_headers(job.account, "authorization", "Bearer ")?;
    let call = Call::get(addresses::address(base, ["predictions", id])?, headers.clone());
    let mut cancel = Call::get(addresses::address(base, ["predictions", id, "cancel"])?, headers);
    cancel.method = Method::POST;
    // The answer to a poll is a plain 200; by then the picture is not one of the fast ones.
    let after = Duration::from_millis(if reply.status == 200 { 1000 } else { 500 });
    Ok(Step::Again { call, after, cancel: Some(cancel), noted: None })
}

/// The pictures of a finished prediction: a link, a `data:` URL, or a list of them.
fn succeeded(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
    let output = json.get("output").map(Json::items).unwrap_or_default();
    let images: Vec<ReplyPicture> = output
        .iter()
        .filter_map(Json::text)
        // A model that writes text answers with strings too.
        .filter(|text| picture_source::is_address(text))
        .filter_map(|text| picture_source::link(&reply.body, &job.account.base_url, text))
        .map(|source| ReplyPicture { source, revised_prompt: None })
        .take(picture_source::MOST_PICTURES)
        .collect();
    if images.is_empty() {
        let failure = malformed(job, reply, "succeeded without pictures").at_the_end();
        return Step::Failed(failure.with_counted(counted(reply)));
    }
    let usage = Usage { counted: counted(reply), ..Usage::default() };
    Step::Done(JobResult { images, usage, ..JobResult::default() })
}

/// How long it ran, whatever came of it.
fn counted(reply: &Reply) -> Counted {
    Counted { seconds: number_at(&reply.body, "metrics.predict_time"), ..Counted::default() }
}

/// A prediction that ran and failed; refusals say so only in their sentence.
fn failed(job: &Job<'_>, json: &Json<'_>) -> Failure {
    let vendor_error = VendorError { message: error_text(json), ..VendorError::default() };
    // The field is the model's own word on its work, and refusals are told nowhere else.
    let class = if vendor_error.mentions(REFUSALS) { Class::Policy } else { Class::Server };
    Failure::new(class, "failed").with_reason(&told(job, &vendor_error.message)).at_the_end()
}

fn error_text(json: &Json<'_>) -> String {
    json.get("error").map(|error| VendorError::from_json(error).message).unwrap_or_default()
}

/// A failure out of an error reply.
fn failure(job: &Job<'_>, reply: &Reply, vendor_error: &VendorError) -> Failure {
    let found = vendor_error.by_status(reply.status);
    let finding = match found.class {
        Class::CallerInvalid if vendor_error.refuses(reply.status, REFUSALS) => Classification::stated(Class::Policy),
        // The one 422 that is about the model: a version that is gone or was never ours to run.
        Class::CallerInvalid if vendor_error.mentions(&["version does not exist"]) => {
            Classification::stated(Class::ModelGone).at(FailureScope::Model)
        }
        Class::ModelGone if vendor_error.misses_the_model() => Classification::stated(Class::ModelGone),
        // So many predictions a minute are an account's (PROVIDERS.md section 5).
        Class::RateLimited => found.at(FailureScope::Account),
        _ => found,
    };
    vendor_error.failure(finding, job, reply, our_field)
}

/// Our name of a model's input.
fn our_field(field: &str) -> Option<String> {
    let ours = match field.strip_prefix("input.").unwrap_or(field) {
        field @ ("prompt" | "negative_prompt" | "seed" | "output_format") => field,
        "aspect_ratio" | "megapixels" | "width" | "height" => "size",
        "num_outputs" => "n",
        "output_quality" => "output_compression",
        _ => return None,
    };
    Some(ours.to_owned())
}

#[cfg(test)]
mod tests;
