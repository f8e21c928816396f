//! What Google's answers mean (PROVIDERS.md 4.2 to 4.4).
//!
//! A 200 is no promise: Gemini refuses by answering without a picture and saying in one word why, and the same shape
//! tells of a model that merely stumbled. The two tables here tell these apart. Imagen leaves out what it withholds,
//! and charges only for what it gives.

use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::pricing::Counted;
use crate::provider::adapter::{Job, JobResult, Reply, ReplyPicture, Step, Usage};
use crate::provider::common;
use crate::provider::common::json::Json;
use crate::provider::common::picture_source;
use crate::provider::common::retry_after;
use crate::provider::common::vendor_error::{VendorError, malformed, told};
use crate::provider::google::models::Method;

/// How a candidate ends whose content was refused. Every other end is the model's own failure.
const REFUSING_ENDS: [&str; 8] = [
    "SAFETY",
    "PROHIBITED_CONTENT",
    "BLOCKLIST",
    "SPII",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "RECITATION",
    "IMAGE_RECITATION",
];

/// Google's words that say more than the status.
const WORDS: &[(&str, Class)] = &[
    ("API_KEY_INVALID", Class::Auth),
    ("API_KEY_EXPIRED", Class::Auth),
    ("BILLING_DISABLED", Class::Quota),
    ("CONSUMER_SUSPENDED", Class::Auth),
    ("CONSUMER_INVALID", Class::Auth),
    ("SERVICE_DISABLED", Class::Auth),
    ("API_KEY_SERVICE_BLOCKED", Class::Auth),
    ("API_KEY_HTTP_REFERRER_BLOCKED", Class::Auth),
    ("API_KEY_IP_ADDRESS_BLOCKED", Class::Auth),
    ("ACCESS_TOKEN_EXPIRED", Class::Auth),
    ("UNAUTHENTICATED", Class::Auth),
    // By somebody in between: nobody says how far it was.
    ("CANCELLED", Class::TimeoutAmbiguous),
    ("DEADLINE_EXCEEDED", Class::TimeoutAmbiguous),
];

/// Imagen's refusals of a prompt, which come as an invalid argument and in no fixed words.
const REFUSING: &[&str] = &[
    "responsible ai",
    "sensitive words",
    "usage guidelines",
    "prohibited use policy",
    "safety filter",
    "flagged",
    "violate",
];

/// Something we wrote that Google does not know.
const UNKNOWN: &[&str] = &["unknown name", "invalid json payload", "cannot find field"];

/// No waiting brings money.
const BROKE: &[&str] = &["billing", "credits are depleted", "spending cap"];

/// What `reply` means to a job asked by this method.
pub fn read(job: &Job<'_>, reply: &Reply, method: Method) -> Step {
    if !(200..300).contains(&reply.status) {
        return Step::Failed(failure(job, reply));
    }
    match (Json::read(&reply.body), method) {
        (Err(error), _) => Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
        // An error in an answer of 200, in a list of one or not.
        (Ok(json), _) if json.items().first().is_some_and(|first| first.get("error").is_some()) => {
            Step::Failed(failure(job, reply))
        }
        (Ok(json), Method::GenerateContent) => content(job, reply, &json),
        (Ok(json), Method::Predict) => predictions(job, reply, &json),
    }
}

/// Gemini's answer.
fn content(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
    let candidates = json.get("candidates").map(Json::items).unwrap_or_default();
    let parts = || candidates.iter().filter_map(|candidate| candidate.at("content.parts")).flat_map(Json::items);
    // Sketches that the model made while it thought are not what was asked for.
    let shown = || parts().filter(|part| part.get("thought") != Some(&Json::Bool(true)));
    // Some gateways in front of Google write the field as its protobuf does.
    let inside = shown().filter_map(|part| part.get("inlineData").or_else(|| part.get("inline_data")));
    let data = inside.filter_map(|inside| inside.bytes_at("data")).filter(|data| !data.is_empty());
    let found =
        data.map(|data| ReplyPicture { source: picture_source::inline(&reply.body, data), revised_prompt: None });
    let images: Vec<ReplyPicture> = found.take(picture_source::MOST_PICTURES).collect();
    if !images.is_empty() {
        let usage = Usage { counted: counted(json), ..Usage::default() };
        return Step::Done(JobResult { images, usage, ..JobResult::default() });
    }
    let words = shown().filter_map(|part| part.text_at("text")).next().unwrap_or_default();
    // What was refused, or came to nothing, took its tokens all the same.
    Step::Failed(without_pictures(job, reply, json, candidates, words).with_counted(counted(json)))
}

/// What Gemini counted.
fn counted(json: &Json<'_>) -> Counted {
    Counted { tokens: common::usage::gemini(json), ..Counted::default() }
}

/// A 200 without a picture: a refusal of the prompt or of what was drawn, or a model that did not get there.
fn without_pictures(job: &Job<'_>, reply: &Reply, json: &Json<'_>, candidates: &[Json<'_>], words: &str) -> Failure {
    if let Some(reason) = json.at("promptFeedback.blockReason").and_then(Json::text) {
        let message = json.at("promptFeedback.blockReasonMessage").and_then(Json::text).unwrap_or_default();
        return Failure::new(Class::Policy, "the prompt was blocked")
            .with_reason(&told(job, &format!("{reason} {message}")));
    }
    let end = candidates.iter().find_map(|candidate| Some((candidate, candidate.text_at("finishReason")?)));
    let Some((candidate, reason)) = end else {
        return malformed(job, reply, "has no pictures");
    };
    let class = if REFUSING_ENDS.contains(&reason) { Class::Policy } else { Class::Server };
    let message = candidate.text_at("finishMessage").unwrap_or(words);
    Failure::new(class, "no picture").with_reason(&told(job, &format!("finished with {reason}: {message}")))
}

/// Imagen's answer, in which what was withheld has a reason or is missing.
fn predictions(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
    let list = json.get("predictions").map(Json::items).unwrap_or_default();
    let images: Vec<ReplyPicture> = list
        .iter()
        .filter_map(|item| {
            let data = item.bytes_at("bytesBase64Encoded").filter(|data| !data.is_empty())?;
            let revised_prompt = item.text_at("prompt").filter(|prompt| *prompt != job.request.prompt);
            Some(ReplyPicture {
                source: picture_source::inline(&reply.body, data),
                revised_prompt: revised_prompt.map(str::to_owned),
            })
        })
        .take(picture_source::MOST_PICTURES)
        .collect();
    let missing = job.n.saturating_sub(u8::try_from(images.len()).unwrap_or(u8::MAX));
    if !images.is_empty() {
        return Step::Done(JobResult { images, refused: missing, ..JobResult::default() });
    }
    let reason = list.iter().find_map(|item| item.text_at("raiFilteredReason"));
    let bare = matches!(json, Json::Object(_)) && list.is_empty() && json.get("error").is_none();
    match reason {
        Some(reason) => Step::Failed(Failure::new(Class::Policy, "withheld").with_reason(&told(job, reason))),
        None if bare => Step::Failed(Failure::new(Class::Policy, "every picture was withheld, no reason is given")),
        None => Step::Failed(malformed(job, reply, "has no pictures")),
    }
}

/// A failure out of Google's error, which some endpoints wrap in a list of one.
fn failure(job: &Job<'_>, reply: &Reply) -> Failure {
    let json = Json::read(&reply.body).ok();
    let error = json.as_ref().and_then(|json| json.items().first()).and_then(|first| first.get("error"));
    let mut vendor_error = match error {
        Some(error) => VendorError::from_json(error),
        None => VendorError::read(&reply.body),
    };
    let mut quotas = Quotas::default();
    if let Some(error) = error {
        vendor_error.words.extend(error.text_at("status").map(str::to_owned));
        for detail in error.get("details").map(Json::items).unwrap_or_default() {
            add(&mut vendor_error, &mut quotas, detail);
        }
    }
    vendor_error.error |= error.is_some();
    let status = vendor_error.status_word().filter(|_| reply.status < 300).unwrap_or(reply.status);
    vendor_error.failure(finding(&vendor_error, quotas, status), job, reply, our_field)
}

/// What the status and Google's words say; sentences tell causes apart that have the same words.
fn finding(vendor_error: &VendorError, quotas: Quotas, status: u16) -> Classification {
    if let Some(class) = vendor_error.by_word(WORDS, status) {
        return Classification::stated(class);
    }
    let said = |word: &str| vendor_error.words.iter().any(|said| said == word);
    let found = vendor_error.by_status(status);
    match found.class {
        Class::RateLimited if vendor_error.mentions(&BROKE[1..]) => Classification::stated(Class::Quota),
        Class::RateLimited => {
            let class = if quotas.daily { Class::Quota } else { Class::RateLimited };
            let scope = if quotas.of_all_models { FailureScope::Account } else { FailureScope::Model };
            Classification::stated(class).at(scope)
        }
        Class::CallerInvalid if vendor_error.mentions(UNKNOWN) => Classification::stated(Class::AdapterBug),
        Class::CallerInvalid if said("FAILED_PRECONDITION") => {
            // Billing or the country we call from: another account may do.
            Classification::stated(if vendor_error.mentions(BROKE) { Class::Quota } else { Class::Auth })
        }
        Class::CallerInvalid if said("INVALID_ARGUMENT") && vendor_error.refuses(status, REFUSING) => {
            Classification::stated(Class::Policy)
        }
        // The permission is one on a model; what is wrong with the whole account has words of its own.
        Class::Auth if said("PERMISSION_DENIED") && !vendor_error.is_about_the_account() => {
            Classification::stated(Class::Auth).at(FailureScope::Model)
        }
        Class::ModelGone if said("NOT_FOUND") => Classification::stated(Class::ModelGone),
        _ => found,
    }
}

/// Which allowances are used up.
#[derive(Clone, Copy, Debug, Default)]
struct Quotas {
    /// One of a day.
    daily: bool,
    /// One that all models draw on.
    of_all_models: bool,
}

/// Adds what one of an error's details says.
fn add(vendor_error: &mut VendorError, used_up: &mut Quotas, detail: &Json<'_>) {
    vendor_error.words.extend(detail.text_at("reason").map(str::to_owned));
    if let Some(delay) = detail.text_at("retryDelay") {
        vendor_error.retry_after = delay.strip_suffix('s').and_then(|delay| retry_after::seconds(delay.parse().ok()?));
    }
    let fields = detail.get("fieldViolations").map(Json::items).unwrap_or_default();
    let field = fields.iter().find_map(|violation| violation.text_at("field")).filter(|field| !field.is_empty());
    vendor_error.field = vendor_error.field.take().or_else(|| field.map(str::to_owned));
    let quotas = detail.get("violations").map(Json::items).unwrap_or_default();
    for id in quotas.iter().filter_map(|violation| violation.text_at("quotaId")) {
        used_up.daily |= id.contains("PerDay");
        used_up.of_all_models |= id.contains("PerProject") && !id.contains("PerModel") && !id.contains("BaseModel");
    }
}

/// Our name of a field, which Google writes in either case.
fn our_field(field: &str) -> Option<String> {
    let plain: String = field.to_lowercase().chars().filter(|c| *c != '_').collect();
    let last = plain.rsplit('.').next().unwrap_or_default();
    let ours = match last {
        "samplecount" => "n",
        "aspectratio" | "imagesize" | "sampleimagesize" => "size",
        "negativeprompt" => "negative_prompt",
        "seed" => "seed",
        "mimetype" | "imageoutputoptions" | "outputoptions" => "output_format",
        "compressionquality" => "output_compression",
        "safetysetting" => "moderation",
        _ if plain.contains("maskimage") => "mask",
        _ if plain.contains("inlinedata") || plain.contains("referenceimage") => "image",
        _ if plain.starts_with("safetysettings") => "moderation",
        _ if plain.starts_with("contents") || plain.starts_with("instances") => "prompt",
        _ => return None,
    };
    Some(ours.to_owned())
}

#[cfg(test)]
mod tests;
