//! What an error of Stability's means, and what a picture that its filter blurred counts as.

use std::time::Duration;

use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::provider::adapter::{Job, Reply};
use crate::provider::common::json::Json;
use crate::provider::common::vendor_error::{VendorError, malformed};

/// After too many requests a key is locked for this long, and no header says so.
pub(super) const PENALTY: Duration = Duration::from_secs(60);

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

/// A filtered output is described as a successful generation, so it counts as charged.
pub(super) fn blurred(pictures: u8) -> Failure {
    Failure::new(Class::Policy, "CONTENT_FILTERED: drawn, then blurred by the content filter").with_billed(pictures)
}

/// A reply without a picture: the error that it tells, or a reply that cannot be understood.
pub(super) fn without_pictures(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Failure {
    let vendor_error = VendorError::from_json(json);
    if vendor_error.is_empty() { malformed(job, reply, "has no pictures") } else { failure(job, reply, &vendor_error) }
}

/// A failure out of an error's name, its field and its status.
pub(super) fn failure(job: &Job<'_>, reply: &Reply, vendor_error: &VendorError) -> Failure {
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
