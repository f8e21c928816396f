//! Black Forest Labs: tasks that are submitted, asked about at the address they are given, and fetched (PROVIDERS.md
//! 9.1).
//!
//! What its models take is in `models.rs`. The address for asking stands in the reply and its host may be another
//! one of theirs; the key goes there only when the host is known to be theirs or the account's own. What a task costs
//! is told when it is taken on, and carried along as a note; a task that can't be asked about any more is lost, not
//! free, and only the vendor's own word that it failed makes it so. A task cannot be cancelled. Filters are left as
//! strict as the vendor or the config has them, so a wish for `moderation: low` is not passed on.

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use crate::capabilities::{Capabilities, ModelDefaults, OutputSize};
use crate::config::plan::{Account, Model};
use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::image::Format;
use crate::provider::adapter::{Adapter, Call, Job, JobResult, Reply, ReplyPicture, Reported, Step, Usage};
use crate::provider::bfl::models::{InputPictures, KNOWN, SizeInput, family};
use crate::provider::common::addresses;
use crate::provider::common::aspect_ratio;
use crate::provider::common::headers;
use crate::provider::common::json::{Json, number_at};
use crate::provider::common::json_body;
use crate::provider::common::key_hosts;
use crate::provider::common::picture_source;
use crate::provider::common::vendor_error::{VendorError, malformed, told};
use crate::request::Edit;

pub(in crate::provider) mod models;

/// Black Forest Labs' own API.
pub struct Bfl;

/// Where the vendor's hosts are that the key may go to.
const DOMAIN: &str = "bfl.ai";

/// Between two looks at a task.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// What a task's status means; any other is one more way of not being finished.
const STATUSES: &[(&str, StatusMeaning)] = &[
    ("Ready", StatusMeaning::Ready),
    ("Request Moderated", StatusMeaning::Failed(Class::Policy)),
    ("Content Moderated", StatusMeaning::Failed(Class::Policy)),
    ("Error", StatusMeaning::Failed(Class::Server)),
    ("Failed", StatusMeaning::Failed(Class::Server)),
    // `Task not found` is not here on purpose. It is also said right after a task was taken on, when another of the
    // vendor's machines is asked, and a task given up is paid all the same; the provider's timeout bounds the asking.
];

#[derive(Clone, Copy, Debug)]
enum StatusMeaning {
    Ready,
    Failed(Class),
}

/// Words by which a request is refused before it is a task.
const REFUSALS: &[&str] = &["request moderated", "content moderated", "content moderation", "content policy"];

/// The vendor's words for a key that it does not know.
const NO_KEY: &[&str] = &["not authenticated"];

/// The one model with a limit of its own on tasks at once.
const OWN_LIMIT: &str = "flux-kontext-max";

/// Words by which a key is refused before anybody looks whose it is, with the status of a bad input.
const KEY_WORDS: &[&str] = &["api key", "api_key", "api-key", "apikey", "x-key"];

/// The checker's words for a body that is not built as it should be, which is our doing.
const OURS: &[(&str, Class)] = &[
    ("missing", Class::AdapterBug),
    ("value_error.missing", Class::AdapterBug),
    ("extra_forbidden", Class::AdapterBug),
    ("value_error.extra", Class::AdapterBug),
    ("json_invalid", Class::AdapterBug),
    ("value_error.jsondecode", Class::AdapterBug),
];

impl Adapter for Bfl {
    fn name(&self) -> &'static str {
        "bfl"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://api.bfl.ai/")
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        KNOWN
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        &["*.bfl.ai", "*.blob.core.windows.net"]
    }

    fn capabilities(&self, _: &Account, model: &str) -> Capabilities {
        family(model).capabilities()
    }

    fn usual(&self, _: &Account, model: &Model) -> ModelDefaults {
        family(&model.name).usual
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let headers = headers(job.account)?;
        let url = address(job.account, &job.model.name)?;
        Ok(Call::post_json(url, headers, &Value::Object(body(job))))
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        let read = Json::read(&reply.body);
        let status = read.as_ref().ok().and_then(status);
        // A task that is not known (yet) may be told with 404.
        let standing = reply.status == 404 && job.polled.is_some() && status.is_some();
        if !standing && !(200..300).contains(&reply.status) {
            return Step::Failed(failure(job, reply));
        }
        match (&read, job.polled, status) {
            (Err(error), _, _) => Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
            (Ok(json), None, _) => taken_on(job, reply, json),
            (Ok(_), Some(_), None) => Step::Failed(malformed(job, reply, "does not say how the task stands")),
            (Ok(json), Some(url), Some(status)) => stands(job, reply, json, status, url),
        }
    }
}

/// An address of the API; the base may end with its version or not.
fn address(account: &Account, name: &str) -> Result<Url, Failure> {
    let last = account.base_url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty()));
    let version = (last != Some("v1")).then_some("v1");
    addresses::address(&account.base_url, version.into_iter().chain([name]))
}

fn headers(account: &Account) -> Result<http::HeaderMap, Failure> {
    headers::call_headers(account, "x-key", "")
}

/// The task's inputs: ours first, the config's options over them.
fn body(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    let mut body = Map::new();
    json_body::put(&mut body, "prompt", Some(request.prompt.as_str()));
    put_size(&mut body, job);
    json_body::put(&mut body, "seed", request.seed);
    json_body::put(&mut body, "output_format", job.format.map(Format::as_str));
    if let Some(edit) = &request.edit {
        put_pictures(&mut body, edit, family(&job.model.name).pictures);
    }
    body.extend(job.model.options.iter().map(|(field, value)| (field.clone(), value.clone())));
    body
}

fn put_size(body: &mut Map<String, Value>, job: &Job<'_>) {
    match (family(&job.model.name).size, job.output_size) {
        (SizeInput::Same, _) | (_, OutputSize::Default) => {}
        (SizeInput::Pixels(_), OutputSize::Pixels(size)) => {
            json_body::put(body, "width", Some(size.width));
            json_body::put(body, "height", Some(size.height));
        }
        // A config that lists shapes says that the model takes them.
        (SizeInput::Ratio(_), _) | (_, OutputSize::Ratio { .. }) => {
            json_body::put(body, "aspect_ratio", aspect_ratio::ratio(job.output_size))
        }
    }
}

fn put_pictures(body: &mut Map<String, Value>, edit: &Edit, pictures: InputPictures) {
    let first = match pictures {
        InputPictures::None => return,
        InputPictures::Numbered(_) => "input_image",
        InputPictures::Masked => "image",
    };
    for (number, image) in (1..).zip(&edit.images) {
        let field = if number == 1 { first.to_owned() } else { format!("input_image_{number}") };
        json_body::put(body, &field, Some(picture_source::base64(&image.bytes)));
    }
    let mask = edit.mask.as_ref().filter(|_| pictures == InputPictures::Masked);
    json_body::put(body, "mask", mask.map(|mask| picture_source::base64(&mask.white)));
}

/// How a task stands; some of the vendor's answers call it `state`.
fn status<'j>(json: &'j Json<'_>) -> Option<&'j str> {
    json.text_at("status").or_else(|| json.text_at("state"))
}

/// A new task: where to ask about it, and what it costs. From here on it is drawn and charged, asked about or not.
fn taken_on(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
    let (address, id) = (json.text_at("polling_url"), json.text_at("id"));
    if address.or(id).is_none() {
        let is_an_error = VendorError::from_json(json).error;
        return Step::Failed(match is_an_error {
            true => failure(job, reply),
            false => malformed(job, reply, "is no task: it has neither an id nor a polling_url"),
        });
    }
    let noted = cost(reply);
    let url = match (address, id.filter(|id| addresses::is_plain_id(id))) {
        (Some(text), _) => Url::parse(text).map_err(|_| malformed(job, reply, "has a polling_url that is no address")),
        // With a webhook, which an option may have set, the vendor gives no address.
        (None, Some(id)) => result_address(job.account, id),
        (None, None) => Err(malformed(job, reply, "has no polling_url, and an id that is none")),
    };
    let step = url.and_then(|url| look_again(job, reply, &url, noted.clone()));
    step.unwrap_or_else(|failure| Step::Lost { failure, noted })
}

/// Where every task can be asked about that the account's own host has taken on.
fn result_address(account: &Account, id: &str) -> Result<Url, Failure> {
    let mut url = address(account, "get_result")?;
    url.query_pairs_mut().append_pair("id", id);
    Ok(url)
}

/// What a reply says that the task costs.
fn cost(reply: &Reply) -> Option<Reported> {
    number_at(&reply.body, "cost").filter(|cost| !cost.starts_with('-')).map(Reported::Cents)
}

/// Asks again at the same address.
fn look_again(job: &Job<'_>, reply: &Reply, url: &Url, noted: Option<Reported>) -> Result<Step, Failure> {
    if !key_hosts::may_have_the_key(job.account, url, DOMAIN) {
        return Err(malformed(job, reply, "has a polling_url at a host that must not get the key"));
    }
    let call = Call::get(url.clone(), headers(job.account)?);
    Ok(Step::Again { call, after: POLL_EVERY, cancel: None, noted })
}

/// A task that was asked about. What it costs now counts before what it was to cost.
fn stands(job: &Job<'_>, reply: &Reply, json: &Json<'_>, status: &str, url: &Url) -> Step {
    let noted = cost(reply).or_else(|| job.noted.cloned());
    match STATUSES.iter().find(|(word, _)| *word == status).map(|(_, means)| *means) {
        None => look_again(job, reply, url, noted).unwrap_or_else(Step::Failed),
        Some(StatusMeaning::Failed(class)) => {
            Step::Failed(Failure::new(class, status).with_reason(&told(job, &reasons(json))).at_the_end())
        }
        Some(StatusMeaning::Ready) => ready(job, reply, json, noted),
    }
}

/// The picture of a finished task.
fn ready(job: &Job<'_>, reply: &Reply, json: &Json<'_>, noted: Option<Reported>) -> Step {
    let sample = json.at("result.sample").and_then(Json::text);
    let found = sample.filter(|text| !text.is_empty());
    let found = found.and_then(|text| picture_source::link(&reply.body, &job.account.base_url, text));
    let Some(source) = found else {
        return Step::Lost { failure: malformed(job, reply, "is ready without a picture"), noted };
    };
    let prompt = json.at("result.prompt").and_then(Json::text);
    let revised_prompt = prompt.filter(|text| !text.is_empty() && *text != job.request.prompt).map(str::to_owned);
    let usage = Usage { reported: noted, ..Usage::default() };
    Step::Done(JobResult { images: vec![ReplyPicture { source, revised_prompt }], usage, ..JobResult::default() })
}

/// Why a task failed, in as many of the vendor's words as there are.
fn reasons(json: &Json<'_>) -> String {
    let details = json.get("details");
    let said = [Some(json), details].into_iter().flatten().map(|json| VendorError::from_json(json).message);
    let listed = details.and_then(|details| details.get("Moderation Reasons")).map(Json::items).unwrap_or_default();
    let listed = listed.iter().filter_map(Json::text).map(str::to_owned);
    said.chain(listed).filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ")
}

/// A failure out of an error reply.
fn failure(job: &Job<'_>, reply: &Reply) -> Failure {
    let vendor_error = VendorError::read(&reply.body);
    let found = vendor_error.by_status(reply.status);
    let finding = match found.class {
        Class::CallerInvalid if vendor_error.structured && is_about_the_key(&vendor_error) => {
            Classification::stated(Class::Auth)
        }
        Class::CallerInvalid if vendor_error.refuses(reply.status, REFUSALS) => Classification::stated(Class::Policy),
        Class::CallerInvalid => vendor_error.by_word(OURS, reply.status).map_or(found, Classification::stated),
        Class::Auth if vendor_error.structured && vendor_error.mentions(NO_KEY) => Classification::stated(Class::Auth),
        // So many tasks at once may be under way for one account, whichever models draw them.
        Class::RateLimited if job.model.name != OWN_LIMIT => found.at(FailureScope::Account),
        _ => found,
    };
    vendor_error.failure(finding, job, reply, our_field)
}

/// Whether it is the key that has the wrong form; it stands in a header, which the checker names as a field.
fn is_about_the_key(vendor_error: &VendorError) -> bool {
    vendor_error.mentions(KEY_WORDS) || vendor_error.field.as_deref().is_some_and(|field| field.ends_with("x-key"))
}

/// Our name of a model's input.
fn our_field(field: &str) -> Option<String> {
    // Where a model's inputs have a name, it stands before the field.
    let ours = match field.rsplit('.').next().unwrap_or(field) {
        field @ ("prompt" | "seed" | "output_format" | "mask") => field,
        "width" | "height" | "aspect_ratio" => "size",
        "image" | "image_prompt" => "image",
        field if field.starts_with("input_image") => "image",
        _ => return None,
    };
    Some(ours.to_owned())
}

#[cfg(test)]
mod tests;
