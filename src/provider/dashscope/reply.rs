//! What DashScope's replies mean: pictures at once, a task to ask about, or what went wrong (PROVIDERS.md section 10).
//!
//! A task that is asked about answers 200 whatever became of it. It has succeeded when one of its pictures has; the
//! others are then errors in the same list. Addresses are built from the task's id below the account's own base, since
//! the key goes with them. The vendor names no field in its errors: it is looked for in the sentence.

use std::time::Duration;

use http::Method;

use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::image::Size;
use crate::provider::adapter::{Call, Job, JobResult, Reply, ReplyPicture, Reported, Step, Usage};
use crate::provider::common::addresses;
use crate::provider::common::headers;
use crate::provider::common::json::Json;
use crate::provider::common::picture_source;
use crate::provider::common::vendor_error::{VendorError, malformed};
use crate::provider::dashscope::address::address;

/// A task takes 5 to 60 seconds, and an account may ask 20 times a second for all of its tasks together.
const POLL_EVERY: Duration = Duration::from_secs(2);

/// The vendor's codes -> what they mean; a code also stands for those that go on after a dot. Earlier rows count first.
const CODES: &[(&str, Class)] = &[
    ("DataInspectionFailed", Class::Policy),
    ("data_inspection_failed", Class::Policy),
    ("IPInfringementSuspect", Class::Policy),
    ("Arrearage", Class::Quota),
    ("AllocationQuota", Class::Quota),
    ("PrepaidBillOverdue", Class::Quota),
    ("PostpaidBillOverdue", Class::Quota),
    ("Throttling", Class::RateLimited),
    ("LimitRequests", Class::RateLimited),
    ("limit_requests", Class::RateLimited),
    ("InvalidApiKey", Class::Auth),
    ("invalid_api_key", Class::Auth),
    ("Model.AccessDenied", Class::ModelGone),
    ("AccessDenied", Class::Auth),
    ("ModelNotFound", Class::ModelGone),
    ("model_not_found", Class::ModelGone),
    // Both are about getting at a picture, and ours come inside the request.
    ("InvalidParameter.DataInspection", Class::AdapterBug),
    ("InvalidURL", Class::AdapterBug),
    ("InvalidParameter", Class::CallerInvalid),
    ("InternalError", Class::Server),
    ("ServiceUnavailable", Class::Server),
];

/// Words of a sentence -> the field that it is about, by our name where we have one; earlier rows count first.
const FIELDS: &[(&str, &str)] = &[
    ("negative_prompt", "negative_prompt"),
    ("num_images", "n"),
    ("parameters.n", "n"),
    ("seed", "seed"),
    ("messages", "messages"),
    ("url error", "image"),
    ("prompt", "prompt"),
    ("size", "size"),
    ("pixels", "size"),
    ("image", "image"),
];

/// What a reply to any of our calls means.
pub fn read(job: &Job<'_>, reply: &Reply) -> Step {
    if !(200..300).contains(&reply.status) {
        let vendor_error = VendorError::read(&reply.body);
        let by_status = vendor_error.by_status(reply.status);
        return Step::Failed(failure(job, reply, vendor_error, by_status));
    }
    let json = match Json::read(&reply.body) {
        Ok(json) => json,
        Err(error) => return Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
    };
    let Some(output) = json.get("output") else {
        return Step::Failed(without_output(job, reply, &json));
    };
    match output.text_at("task_status") {
        None | Some("SUCCEEDED") => finished(job, reply, &json, output),
        Some("FAILED") => {
            let vendor_error = VendorError::from_json(output);
            Step::Failed(failure(job, reply, vendor_error, Classification::stated(Class::Server)).at_the_end())
        }
        Some("CANCELED") => Step::Failed(Failure::new(Class::Server, "the task was canceled").at_the_end()),
        // Forgotten, or never known. It may have been drawn, and what was drawn is charged.
        Some("UNKNOWN") => Step::Failed(Failure::new(Class::TimeoutAmbiguous, "the vendor does not know the task")),
        // `PENDING`, `RUNNING`, and whatever is added to them later.
        Some(status) => poll(job, reply, output, status).unwrap_or_else(Step::Failed),
    }
}

/// A 2xx that is an error all the same, or nothing at all.
fn without_output(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Failure {
    match json.text_at("code").filter(|code| !code.is_empty()) {
        Some(_) => failure(job, reply, VendorError::from_json(json), Classification::stated(Class::Server)),
        None => malformed(job, reply, "has no output"),
    }
}

/// The next look at a task that is not finished, and how to stop it while it waits for its turn; after that the vendor
/// stops nothing.
fn poll(job: &Job<'_>, reply: &Reply, output: &Json<'_>, status: &str) -> Result<Step, Failure> {
    let id = output
        .text_at("task_id")
        .filter(|id| addresses::is_plain_id(id))
        .ok_or_else(|| malformed(job, reply, "is an unfinished task without an id"))?;
    let headers = headers::call_headers(job.account, "authorization", "Bearer ")?;
    let cancel = Call::get(address(job.account, ["tasks", id, "cancel"])?, headers.clone());
    let cancel = (status == "PENDING").then_some(Call { method: Method::POST, ..cancel });
    let call = Call::get(address(job.account, ["tasks", id])?, headers);
    Ok(Step::Again { call, after: POLL_EVERY, cancel, noted: None })
}

/// The pictures of a finished job: `results` of a task, `choices` of an answer to messages, or of both surfaces' newer
/// models.
fn finished(job: &Job<'_>, reply: &Reply, json: &Json<'_>, output: &Json<'_>) -> Step {
    let results = items(output.get("results"));
    let contents = items(output.get("choices")).iter().flat_map(|choice| items(choice.at("message.content")));
    let images: Vec<ReplyPicture> = results
        .iter()
        .chain(contents)
        .filter_map(|item| found(job, reply, item))
        .take(picture_source::MOST_PICTURES)
        .collect();
    let errors = results.iter().filter(|item| item.get("url").is_none()).map(VendorError::from_json);
    let errors: Vec<VendorError> = errors.filter(|error| !error.is_empty()).collect();
    let told = billed(json);
    let billed = told.unwrap_or(0);
    if images.is_empty() {
        let failure = match errors.into_iter().next() {
            Some(error) => failure(job, reply, error, Classification::stated(Class::Server)),
            // It counts what it charges, and that is none.
            None if told == Some(0) => Failure { class: Class::Server, ..malformed(job, reply, "has no pictures") },
            None => malformed(job, reply, "has no pictures"),
        };
        return Step::Failed(failure.with_billed(billed.min(job.n)).at_the_end());
    }
    let drawn = u8::try_from(images.len()).unwrap_or(job.n);
    let server = Classification::stated(Class::Server);
    let refused = errors.iter().filter(|error| finding(error, server).class == Class::Policy).count();
    let refused = u8::try_from(refused).unwrap_or(u8::MAX).min(job.n.saturating_sub(drawn));
    let refused_billed = billed.saturating_sub(drawn).min(refused);
    Step::Done(JobResult { images, refused, refused_billed, usage: usage(json) })
}

fn items<'j, 'a>(list: Option<&'j Json<'a>>) -> &'j [Json<'a>] {
    list.map(Json::items).unwrap_or_default()
}

/// The picture of one list item.
fn found(job: &Job<'_>, reply: &Reply, item: &Json<'_>) -> Option<ReplyPicture> {
    let link = item.text_at("url").or_else(|| item.text_at("image")).filter(|link| !link.is_empty())?;
    let source = picture_source::link(&reply.body, &job.account.base_url, link)?;
    let rewritten = item.text_at("actual_prompt").filter(|text| !text.is_empty() && *text != job.request.prompt);
    Some(ReplyPicture { source, revised_prompt: rewritten.map(str::to_owned) })
}

/// Pictures that are charged. The newest models spell it differently.
fn billed(json: &Json<'_>) -> Option<u8> {
    let count = json.at("usage.image_count").or_else(|| json.at("usage.output_image_count"));
    count.and_then(whole).and_then(|count| u8::try_from(count).ok())
}

/// What the vendor says about the work; models differ in how they spell the size.
fn usage(json: &Json<'_>) -> Usage {
    let side = |names: [&str; 2]| names.into_iter().find_map(|name| json.at(name)).and_then(whole);
    let sides = side(["usage.width", "usage.output_width"]).zip(side(["usage.height", "usage.output_height"]));
    let text = || json.at("usage.size").and_then(Json::text).map(|size| size.replace('*', "x"));
    let size = sides.map(|(width, height)| format!("{width}x{height}")).or_else(text);
    Usage {
        size: size.and_then(|size| size.parse::<Size>().ok()),
        // A config that prices a unit prices a picture; without one the price table counts.
        reported: billed(json).map(|count| Reported::Units(count.to_string())),
        ..Usage::default()
    }
}

/// A number without a fraction.
fn whole(value: &Json<'_>) -> Option<u32> {
    match value {
        Json::Number(number) if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(number) => {
            Some(*number as u32)
        }
        _ => None,
    }
}

/// A failure out of what the vendor says; `otherwise` where its words are none we know.
fn failure(job: &Job<'_>, reply: &Reply, mut vendor_error: VendorError, otherwise: Classification) -> Failure {
    let finding = finding(&vendor_error, otherwise);
    vendor_error.field =
        FIELDS.iter().find(|(words, _)| vendor_error.mentions(&[words])).map(|(_, ours)| (*ours).to_owned());
    vendor_error.failure(finding, job, reply, |ours| Some(ours.to_owned()))
}

fn finding(vendor_error: &VendorError, otherwise: Classification) -> Classification {
    let said = |code: &str| {
        let goes_on = |word: &str| word.strip_prefix(code).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        vendor_error.words.iter().any(|word| goes_on(word))
    };
    let by_code = CODES.iter().find(|(code, _)| said(code)).map(|(_, class)| *class);
    let found = by_code.map_or(otherwise, Classification::stated);
    match found.class {
        // The same code as for a field that is wrong; by its status, or by its sentence, it is about the model.
        Class::CallerInvalid if otherwise.class == Class::ModelGone => Classification::stated(Class::ModelGone),
        Class::CallerInvalid if vendor_error.mentions(&["model not exist"]) => Classification::stated(Class::ModelGone),
        // A model of the other surface.
        Class::Auth if vendor_error.mentions(&["synchronous calls"]) => Classification::stated(Class::AdapterBug),
        Class::Auth if vendor_error.mentions(&["good standing", "overdue"]) => Classification::stated(Class::Quota),
        // The same code says of an account what it says of a model.
        Class::Auth if said("AccessDenied.Unpurchased") => found,
        Class::Auth if said("AccessDenied") => Classification::guess(Class::Auth),
        Class::RateLimited if vendor_error.mentions(&["free allocated quota"]) => {
            Classification::stated(Class::Quota).at(FailureScope::Model)
        }
        // Each model has a free allowance of its own.
        Class::Quota if said("AllocationQuota") => found.at(FailureScope::Model),
        _ => found,
    }
}

#[cfg(test)]
mod tests;
