//! The body of a request to fal.ai: a job written in the inputs of its endpoint.
//!
//! Which inputs an endpoint takes is in `models.rs`. The options of the model's config are written over ours.

use serde_json::{Map, Value, json};

use crate::capabilities::OutputSize;
use crate::image::Format;
use crate::provider::adapter::Job;
use crate::provider::common::aspect_ratio;
use crate::provider::common::json_body;
use crate::provider::common::picture_source;
use crate::provider::fal::models::{FalModel, InputPictures, Masking, SizeInput, model};
use crate::request::{Edit, Quality};

/// Options by which a model's config says that it takes the size in its own way.
const SIZE_OPTIONS: [&str; 6] = ["image_size", "aspect_ratio", "width", "height", "size", "resolution"];

/// The endpoint's inputs: ours first, the config's options over them.
pub fn input(job: &Job<'_>) -> Map<String, Value> {
    let model = model(&job.model.name);
    let request = job.request;
    let mut input = Map::new();
    json_body::put(&mut input, "prompt", Some(request.prompt.as_str()));
    json_body::put(&mut input, "negative_prompt", request.negative_prompt.as_deref());
    json_body::put(&mut input, "seed", request.seed);
    // An endpoint without the input draws one; a config that raises `max_n` says that there is one.
    json_body::put(&mut input, "num_images", Some(job.n).filter(|n| model.max_n > 1 || *n > 1));
    let takes_format = !model.formats.is_empty() || job.model.capabilities.formats.is_some();
    json_body::put(&mut input, "output_format", job.format.filter(|_| takes_format).map(Format::as_str));
    json_body::put(&mut input, "quality", job.quality.filter(|_| model.quality).map(Quality::as_str));
    let background = request.background.filter(|_| model.background);
    json_body::put(&mut input, "background", background.map(|background| background.as_str()));
    if let Some(edit) = &request.edit {
        put_edit(&mut input, model, edit);
    }
    put_size(&mut input, job, model);
    for (field, value) in &job.model.options {
        input.insert(field.clone(), value.clone());
    }
    input
}

/// The pictures to change and the mask, as `data:` URLs.
fn put_edit(input: &mut Map<String, Value>, model: &FalModel, edit: &Edit) {
    let mut urls = edit.images.iter().map(|image| picture_source::data_url(image.format.media_type(), &image.bytes));
    match model.pictures {
        InputPictures::None => {}
        InputPictures::One => json_body::put(input, "image_url", urls.next()),
        InputPictures::Many(_) => json_body::put(input, "image_urls", Some(urls.collect::<Vec<_>>())),
    }
    let white = edit.mask.as_ref().map(|mask| picture_source::data_url(Format::Png.media_type(), &mask.white));
    match model.mask {
        Masking::Must(field) | Masking::May(field) => json_body::put(input, field, white),
        Masking::None => {}
    }
    let fidelity = edit.fidelity.filter(|_| model.background);
    json_body::put(input, "input_fidelity", fidelity.map(|fidelity| fidelity.as_str()));
}

/// The size as the endpoint is told it.
fn put_size(input: &mut Map<String, Value>, job: &Job<'_>, model: &FalModel) {
    let in_pixels = job.output_size.nominal().map(|size| json!({"width": size.width, "height": size.height}));
    match model.size {
        SizeInput::Pixels(_) => json_body::put(input, "image_size", in_pixels),
        SizeInput::Words(_) => {
            json_body::put(input, "image_size", job.output_size.nominal().map(|size| size.to_string()))
        }
        SizeInput::Ratio(..) => json_body::put(input, "aspect_ratio", aspect_ratio::ratio(job.output_size)),
        SizeInput::OfInput => {}
        SizeInput::Unknown if SIZE_OPTIONS.iter().any(|option| job.model.options.contains_key(*option)) => {}
        SizeInput::Unknown => match job.output_size {
            // Only a config that lists shapes makes such a frame, for a model that takes shapes.
            OutputSize::Ratio { .. } => json_body::put(input, "aspect_ratio", aspect_ratio::ratio(job.output_size)),
            OutputSize::Pixels(_) | OutputSize::Default => json_body::put(input, "image_size", in_pixels),
        },
    }
}

#[cfg(test)]
mod tests;
