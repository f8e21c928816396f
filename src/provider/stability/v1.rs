//! Stability's v1 engines: JSON for a picture out of words, a form for one out of a picture, and their replies
//! (PROVIDERS.md 3.2).
//!
//! What starts from a picture has its size, and that must be a size the engine draws: a picture of another is not sent,
//! and not made to fit either.

use http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::capabilities::Edits;
use crate::capabilities::SizeBounds;
use crate::failure::Class;
use crate::failure::Failure;
use crate::image::Format;
use crate::image::Size;
use crate::provider::adapter::{Call, Job, JobResult, Reply, ReplyPicture, Step, Usage};
use crate::provider::common::addresses;
use crate::provider::common::json::Json;
use crate::provider::common::json_body;
use crate::provider::common::multipart::MultipartForm;
use crate::provider::common::picture_source;
use crate::provider::common::vendor_error::malformed;
use crate::provider::stability::common::{fixed_seed, form_text};
use crate::provider::stability::errors::{blurred, without_pictures};
use crate::request::Edit;

/// The only sizes SDXL 1.0 draws.
pub const SDXL_SIZES: [Size; 9] = [
    Size::new(1024, 1024),
    Size::new(1152, 896),
    Size::new(896, 1152),
    Size::new(1216, 832),
    Size::new(832, 1216),
    Size::new(1344, 768),
    Size::new(768, 1344),
    Size::new(1536, 640),
    Size::new(640, 1536),
];

/// What v1 says of every engine.
pub const V1_STEPS: SizeBounds = SizeBounds {
    multiple_of: 64,
    min_side: 128,
    max_side: 8192,
    min_pixels: 262_144,
    max_pixels: 1_048_576,
    max_ratio: 64,
};

/// Sent unless the model's options say otherwise: the documents disagree about the default.
const V1_DIFFUSION_STEPS: u32 = 30;

/// What the engines take of an edit. That they refuse pictures of other sizes than they draw is from memory.
pub const EDITS: Edits = Edits { mask: true, keeps_size: true, drawn_sizes: true, ..Edits::up_to(1) };

/// How much of the input picture is kept, 0 to 1: the API's own default, sent because the options may say otherwise.
const IMAGE_STRENGTH: &str = "0.35";

/// How the input picture counts, by its strength or by a schedule of steps: words for a whole picture alone. Sent with
/// a mask or with no picture at all they are errors.
const ABOUT_THE_PICTURE: [&str; 4] = ["init_image_mode", "image_strength", "step_schedule_start", "step_schedule_end"];

/// The call for pictures of `engine`.
pub fn ask(job: &Job<'_>, engine: &str, headers: HeaderMap) -> Result<Call, Failure> {
    match &job.request.edit {
        None => from_words(job, engine, headers),
        Some(edit) => from_picture(job, edit, engine, headers),
    }
}

fn from_words(job: &Job<'_>, engine: &str, headers: HeaderMap) -> Result<Call, Failure> {
    let url = addresses::address(&job.account.base_url, ["v1", "generation", engine, "text-to-image"])?;
    let request = job.request;
    let mut prompts = vec![json!({"text": request.prompt, "weight": 1})];
    if let Some(negative) = &request.negative_prompt {
        prompts.push(json!({"text": negative, "weight": -1}));
    }
    // The API's own default of 512 is a size that SDXL refuses.
    let size = job.output_size.nominal().unwrap_or(SDXL_SIZES[0]);
    let mut body = Map::new();
    json_body::put(&mut body, "text_prompts", Some(prompts));
    json_body::put(&mut body, "width", Some(size.width));
    json_body::put(&mut body, "height", Some(size.height));
    json_body::put(&mut body, "samples", Some(job.n));
    json_body::put(&mut body, "steps", Some(V1_DIFFUSION_STEPS));
    json_body::put(&mut body, "seed", request.seed.map(fixed_seed));
    for (field, value) in job.model.options.iter().filter(|(field, _)| !ABOUT_THE_PICTURE.contains(&field.as_str())) {
        body.insert(field.clone(), value.clone());
    }
    Ok(Call::post_json(url, headers, &Value::Object(body)))
}

/// `image-to-image`, and `masking` below it where white is to change.
fn from_picture(job: &Job<'_>, edit: &Edit, engine: &str, headers: HeaderMap) -> Result<Call, Failure> {
    let masking = edit.mask.as_ref().map(|_| "masking");
    let path = ["v1", "generation", engine, "image-to-image", masking.unwrap_or_default()];
    let url = addresses::address(&job.account.base_url, path)?;
    let (request, options) = (job.request, &job.model.options);
    let whole = |value: &str| masking.is_none().then(|| value.to_owned());
    let negative = request.negative_prompt.as_ref();
    let wished = [
        ("text_prompts[0][text]", Some(request.prompt.clone())),
        ("text_prompts[0][weight]", Some("1".to_owned())),
        ("text_prompts[1][text]", negative.cloned()),
        ("text_prompts[1][weight]", negative.map(|_| "-1".to_owned())),
        ("init_image_mode", whole("IMAGE_STRENGTH")),
        // With a schedule of steps there is no strength.
        ("image_strength", whole(IMAGE_STRENGTH).filter(|_| !options.contains_key("init_image_mode"))),
        ("mask_source", masking.map(|_| "MASK_IMAGE_WHITE".to_owned())),
        ("samples", Some(job.n.to_string())),
        ("steps", Some(V1_DIFFUSION_STEPS.to_string())),
        ("seed", request.seed.map(|seed| fixed_seed(seed).to_string())),
    ];
    let given = options.iter().filter(|(name, _)| masking.is_none() || !ABOUT_THE_PICTURE.contains(&name.as_str()));
    let given: Vec<(String, String)> = given.map(|(name, value)| (name.clone(), form_text(value))).collect();
    let wished = wished.into_iter().filter(|(name, _)| !options.contains_key(*name));
    let fields = wished.filter_map(|(name, value)| Some((name.to_owned(), value?))).chain(given);
    let mut form = MultipartForm::of(fields);
    for image in &edit.images {
        form = form.picture("init_image", "image", image);
    }
    if let Some(mask) = &edit.mask {
        form = form.file("mask_image", "mask.png", Format::Png.media_type(), mask.white.clone());
    }
    Ok(form.post(url, headers))
}

/// What a reply says: a list of artifacts, each with its own verdict. The documents call the list bare, the API does not.
pub(super) fn read(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::{SizeTolerance, Unsupported};
    use crate::provider::common::fixture::JobFixture;

    const SDXL: &str = "stable-diffusion-xl-1024-v1-0";

    fn fixture(options: &[(&str, Value)]) -> JobFixture {
        let mut fixture = JobFixture::new("stability", SDXL, r#"{"prompt":"x","seed":0}"#);
        fixture.model.options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        fixture
    }

    fn form(fixture: &JobFixture) -> String {
        String::from_utf8(fixture.call().body.to_vec()).unwrap()
    }

    #[test]
    fn options_about_the_input_picture_are_sent_with_a_whole_picture_alone() {
        let schedule =
            [("init_image_mode", json!("STEP_SCHEDULE")), ("step_schedule_start", json!(0.4)), ("cfg_scale", json!(9))];
        let whole = form(&fixture(&schedule).editing(1, false));
        for part in ["init_image_mode\"\r\n\r\nSTEP_SCHEDULE", "step_schedule_start\"\r\n\r\n0.4", "cfg_scale\""] {
            assert!(whole.contains(part), "{whole}");
        }
        assert!(!whole.contains("image_strength") && whole.matches("init_image_mode").count() == 1, "{whole}");
        let masked = form(&fixture(&schedule).editing(1, true));
        assert!(!masked.contains("init_image_mode") && !masked.contains("step_schedule"), "{masked}");
        assert!(masked.contains("cfg_scale\"\r\n\r\n9"), "{masked}");
        let body = fixture(&schedule).body();
        assert_eq!((body.get("init_image_mode"), body.get("cfg_scale")), (None, Some(&json!(9))));
    }

    #[test]
    fn a_picture_of_a_size_that_the_engine_does_not_draw_is_not_sent() {
        let size_tolerance = SizeTolerance { tolerance_ppm: 1_000_000, strict: false };
        for (model, side, wanted) in [
            (SDXL, 1024, None),
            (SDXL, 512, Some(Unsupported::ImageSize)),
            ("stable-diffusion-v1-6", 512, None),
            ("stable-diffusion-v1-6", 500, Some(Unsupported::ImageSize)),
        ] {
            let mut fixture = JobFixture::new("stability", model, r#"{"prompt":"x"}"#).editing(1, true);
            fixture.request.edit.as_mut().unwrap().images[0].size = Size::new(side, side);
            let able = fixture.provider.capabilities(&fixture.account, model);
            assert_eq!(able.fit(&fixture.request, size_tolerance).err(), wanted, "{model} {side}");
        }
    }
}
