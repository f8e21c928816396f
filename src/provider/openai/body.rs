//! The body of a call in OpenAI's own words, for OpenAI and for Azure (PROVIDERS.md 1.1, 1.2 and 2).
//!
//! Both answer an unknown parameter with an error, so a body holds only what its model takes, by the table in
//! `models.rs`. GPT image models always answer base64 and must not be sent `response_format`; DALL-E is always
//! asked for base64. An edit is a form with the same fields and the pictures behind them. Addresses and keys are the
//! business of who calls.

use http::HeaderMap;
use serde_json::{Map, Value};
use url::Url;

use crate::failure::{Class, Failure};
use crate::image::Format;
use crate::provider::adapter::{Call, Job};
use crate::provider::common::json_body;
use crate::provider::common::multipart::MultipartForm;
use crate::provider::openai::models::{Family, ParameterSet};
use crate::request::{Background, Complexity, Edit, Fidelity, Input, Moderation, Quality, Style};

/// Fields that only drawing from a prompt takes; a model's fixed options may name them, and an edit leaves them out.
const ONLY_GENERATIONS: &[&str] = &["moderation", "style", "complexity"];

/// The call that starts `job`, at the address that `images` has for `generations` or `edits`. `model` is the name to
/// put into the body, for those who read it there.
pub fn call(
    job: &Job<'_>,
    family: &Family,
    model: Option<&str>,
    headers: HeaderMap,
    images: impl Fn(&str) -> Result<Url, Failure>,
) -> Result<Call, Failure> {
    let fields = fields(job, family, model);
    match &job.request.edit {
        None => Ok(Call::post_json(images("generations")?, headers, &Value::Object(fields))),
        Some(edit) => {
            check_pictures(family, edit)?;
            Ok(form(fields, edit, "image[]", "mask").post(images("edits")?, headers))
        }
    }
}

/// An edit as a form: the fields as texts, then the pictures under `image`, then the mask, where transparent is to
/// change.
pub fn form(fields: Map<String, Value>, edit: &Edit, image: &str, mask: &str) -> MultipartForm {
    let texts = fields.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    });
    let numbered = edit.images.iter().enumerate();
    let form =
        numbered.fold(MultipartForm::of(texts), |form, (at, input)| form.picture(image, &format!("image-{at}"), input));
    match &edit.mask {
        Some(given) => form.picture(mask, "mask", &given.clear),
        None => form,
    }
}

/// DALL-E 2 reads square PNG files only. Another model may well read what was sent.
fn check_pictures(family: &Family, edit: &Edit) -> Result<(), Failure> {
    let square = |input: &Input| input.format == Format::Png && input.size.width == input.size.height;
    match family.shape {
        ParameterSet::Classic if !edit.images.iter().all(square) => {
            Err(Failure::new(Class::AdapterBug, "this model changes square PNG pictures only"))
        }
        ParameterSet::Classic | ParameterSet::Gpt => Ok(()),
    }
}

/// The fields, with only what the model takes.
fn fields(job: &Job<'_>, family: &Family, model: Option<&str>) -> Map<String, Value> {
    let request = job.request;
    let mut body = Map::new();
    json_body::put(&mut body, "model", model);
    json_body::put(&mut body, "prompt", Some(request.prompt.as_str()));
    json_body::put(&mut body, "n", Some(job.n));
    json_body::put(&mut body, "size", job.output_size.nominal().map(|size| size.to_string()));
    json_body::put(&mut body, "quality", job.quality.map(Quality::as_str));
    json_body::put(&mut body, "user", request.user.as_deref());
    match family.shape {
        ParameterSet::Classic => json_body::put(&mut body, "response_format", Some("b64_json")),
        ParameterSet::Gpt => {
            put_file(&mut body, job);
            put_stream(&mut body, job);
        }
    }
    let edit = request.edit.as_ref();
    match edit {
        None => put_generation(&mut body, job, family),
        Some(edit) if family.fidelity => {
            json_body::put(&mut body, "input_fidelity", edit.fidelity.map(Fidelity::as_str))
        }
        Some(_) => {}
    }
    let options = job.model.options.iter();
    let options = options.filter(|(field, _)| edit.is_none() || !ONLY_GENERATIONS.contains(&field.as_str()));
    body.extend(options.map(|(field, value)| (field.clone(), value.clone())));
    body
}

/// What a GPT image model is told of the file it writes.
fn put_file(body: &mut Map<String, Value>, job: &Job<'_>) {
    let request = job.request;
    json_body::put(body, "background", request.background.map(Background::as_str));
    json_body::put(body, "output_format", job.format.map(Format::as_str));
    // Only these formats take a level; sending one with PNG is an error.
    let lossy = matches!(job.format, Some(Format::Jpeg | Format::Webp));
    json_body::put(body, "output_compression", request.output_compression.filter(|_| lossy));
}

/// A stream is asked for only where somebody watches for unfinished pictures: what is whole can be read in one piece.
pub fn put_stream(body: &mut Map<String, Value>, job: &Job<'_>) {
    if job.partials > 0 {
        json_body::put(body, "stream", Some(true));
        json_body::put(body, "partial_images", Some(job.partials));
    }
}

/// What only drawing from a prompt takes.
fn put_generation(body: &mut Map<String, Value>, job: &Job<'_>, family: &Family) {
    let request = job.request;
    if family.shape == ParameterSet::Gpt {
        json_body::put(body, "moderation", request.moderation.map(Moderation::as_str));
    }
    if family.style {
        json_body::put(body, "style", request.style.map(Style::as_str));
    }
    if family.complexity {
        json_body::put(body, "complexity", request.complexity.map(Complexity::as_str));
    }
}
