//! Stability's v2beta services: the form they are asked by, and their replies (PROVIDERS.md 3.1).

use http::HeaderMap;

use crate::failure::Failure;
use crate::image::{Encoded, Format};
use crate::provider::adapter::{Call, Job, JobResult, PictureSource, Reply, ReplyPicture, Step, Usage};
use crate::provider::common::addresses;
use crate::provider::common::aspect_ratio;
use crate::provider::common::json::Json;
use crate::provider::common::multipart::MultipartForm;
use crate::provider::common::picture_source;
use crate::provider::stability::common::{fixed_seed, form_text};
use crate::provider::stability::errors::{blurred, without_pictures};

/// The one service that is below `edit/`.
pub(super) const INPAINT: &str = "inpaint";

/// How much of the input picture may change, 0 to 1, where the API wants to be told and the options do not say. Half
/// keeps what is seen and leaves room for the prompt.
const STRENGTH: &str = "0.5";

/// The call for one picture of `service`, whose models are told apart by `model`.
pub(super) fn ask(job: &Job<'_>, service: &str, model: Option<&str>, headers: HeaderMap) -> Result<Call, Failure> {
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
        ("aspect_ratio", aspect_ratio::ratio(job.output_size).filter(|_| shaped)),
        ("seed", request.seed.map(|seed| fixed_seed(seed).to_string())),
        ("output_format", job.format.map(|format| format.as_str().to_owned())),
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

/// What a reply says: one picture, or its blurred likeness.
pub(super) fn read(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
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
pub(super) fn read_bytes(reply: &Reply) -> Step {
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
