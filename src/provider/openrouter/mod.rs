//! OpenRouter: many makers' models behind one key, asked through its image API or through a chat that answers with
//! pictures (PROVIDERS.md section 7).
//!
//! What its models take is in `models.rs`. `usage.cost` is what the call is charged, and settles it digit
//! for digit. A reply of 200 may hold an error that came up while drawing, or a refusal in the shape of an answer. No
//! attribution headers are sent: they would name the caller to a third party.

use serde_json::{Map, Value, json};

use crate::capabilities::Capabilities;
use crate::config::plan::{Account, Model, Via};
use crate::failure::{Class, Classification, Failure};
use crate::image::{Format, is_data_url};
use crate::provider::adapter::{Adapter, Call, Job, JobResult, Reply, ReplyPicture, Reported, Step, Usage};
use crate::provider::common::addresses;
use crate::provider::common::headers;
use crate::provider::common::json::{Json, number_at};
use crate::provider::common::json_body;
use crate::provider::common::picture_source;
use crate::provider::common::vendor_error::{VendorError, malformed};
use crate::provider::openrouter::models::{SizeText, family};
use crate::request::{Background, Input, Quality};

pub(in crate::provider) mod models;

/// OpenRouter.
pub struct OpenRouter;

/// Words of refusal, of OpenRouter itself and of the makers it passes on.
const REFUSALS: &[(&str, Class)] = &[
    ("moderation_blocked", Class::Policy),
    ("content_policy_violation", Class::Policy),
    ("content_filter", Class::Policy),
    ("ResponsibleAIPolicyViolation", Class::Policy),
];

/// Phrases of refusal where no word tells.
const REFUSING: &[&str] =
    &["safety system", "content policy", "content management policy", "content moderation", "flagged", "nsfw"];

/// How a 403 says that the prompt was refused, and not the key.
const FLAGGED: &[&str] = &["input was flagged"];

/// How a 403 says that the key has spent what it may.
const SPENT: &[&str] = &["key limit exceeded", "limit exceeded"];

/// How a 404 says that no endpoint draws what is asked for.
const UNSUPPORTED: &[&str] = &["no endpoints found that support", "no endpoints found that can handle"];

/// How a chat that refused says that it ended, in lower case.
const REFUSING_ENDS: &[&str] = &[
    "content_filter",
    "refusal",
    "safety",
    "image_safety",
    "prohibited_content",
    "image_prohibited_content",
    "blocklist",
    "spii",
    "recitation",
    "image_recitation",
];

impl Adapter for OpenRouter {
    fn name(&self) -> &'static str {
        "openrouter"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://openrouter.ai/api/v1/")
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        &[
            "openai/gpt-image-2",
            "openai/gpt-image-2.5-flare",
            "openai/gpt-image-2.5-sunburst",
            "openai/gpt-image-2.6-flare",
            "openai/gpt-image-2.6-sunburst",
            "google/gemini-nano-banana-2.1",
            "google/gemini-3.1-flash-image",
            "google/gemini-3-pro-image",
            "black-forest-labs/flux.2-pro",
            "bytedance-seed/seedream-4.5",
        ]
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        // Pictures come inside the answer.
        &[]
    }

    fn capabilities(&self, _: &Account, model: &str) -> Capabilities {
        family(model).capabilities(model, Via::Images)
    }

    fn capabilities_of(&self, _: &Account, model: &Model) -> Capabilities {
        family(&model.name).capabilities(&model.name, model.via)
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let headers = headers::call_headers(job.account, "authorization", "Bearer ")?;
        let (path, mut body): (&[&str], _) = match job.model.via {
            Via::Images => (&["images"], images_body(job)),
            Via::Chat => (&["chat", "completions"], chat_body(job)),
        };
        body.extend(job.model.options.iter().map(|(field, value)| (field.clone(), value.clone())));
        let url = addresses::address(&job.account.base_url, path.iter().copied())?;
        Ok(Call::post_json(url, headers, &Value::Object(body)))
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        if !(200..300).contains(&reply.status) {
            return Step::Failed(failure(job, reply, Json::read(&reply.body).ok().as_ref()));
        }
        let json = match Json::read(&reply.body) {
            Ok(json) => json,
            Err(error) => return Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
        };
        let images = match job.model.via {
            Via::Images => listed(reply, &json),
            Via::Chat => in_message(reply, &json),
        };
        if images.is_empty() {
            return without_pictures(job, reply, &json);
        }
        Step::Done(JobResult { images, usage: usage(reply), ..JobResult::default() })
    }
}

/// The body for the image API, with only what the model takes.
fn images_body(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    let mut body = Map::new();
    json_body::put(&mut body, "model", Some(job.model.name.as_str()));
    json_body::put(&mut body, "prompt", Some(request.prompt.as_str()));
    // Models of one picture a call may refuse the field.
    json_body::put(&mut body, "n", Some(job.n).filter(|n| *n > 1));
    match family(&job.model.name).told(job, Via::Images) {
        None => {}
        Some(SizeText::Pixels(size)) => json_body::put(&mut body, "size", Some(size.to_string())),
        Some(SizeText::Shape((across, down), tier)) => {
            json_body::put(&mut body, "aspect_ratio", Some(format!("{across}:{down}")));
            json_body::put(&mut body, "resolution", tier.map(|tier| tier.word));
        }
    }
    json_body::put(&mut body, "quality", job.quality.map(Quality::as_str));
    let background = request.background.filter(|_| takes(job).transparent);
    json_body::put(&mut body, "background", background.map(Background::as_str));
    json_body::put(&mut body, "output_format", job.format.map(Format::as_str));
    let lossy = matches!(job.format, Some(Format::Jpeg | Format::Webp));
    json_body::put(&mut body, "output_compression", request.output_compression.filter(|_| lossy));
    json_body::put(&mut body, "seed", request.seed);
    if let Some(edit) = &request.edit {
        let references: Vec<Value> = edit.images.iter().map(reference).collect();
        json_body::put(&mut body, "input_references", Some(references));
    }
    body
}

/// The body of a chat that is to answer with one picture.
fn chat_body(job: &Job<'_>) -> Map<String, Value> {
    let family = family(&job.model.name);
    let prompt = job.request.prompt.as_str();
    let content = match &job.request.edit {
        None => json!(prompt),
        Some(edit) => {
            let text = json!({"type": "text", "text": prompt});
            [text].into_iter().chain(edit.images.iter().map(reference)).collect()
        }
    };
    let mut body = Map::new();
    json_body::put(&mut body, "model", Some(job.model.name.as_str()));
    json_body::put(&mut body, "messages", Some(json!([{"role": "user", "content": content}])));
    json_body::put(
        &mut body,
        "modalities",
        Some(if family.talks { json!(["image", "text"]) } else { json!(["image"]) }),
    );
    if let Some(SizeText::Shape((across, down), tier)) = family.told(job, Via::Chat) {
        let mut config = Map::new();
        json_body::put(&mut config, "aspect_ratio", Some(format!("{across}:{down}")));
        json_body::put(&mut config, "image_size", tier.map(|tier| tier.word));
        json_body::put(&mut body, "image_config", Some(config));
    }
    json_body::put(&mut body, "seed", job.request.seed);
    json_body::put(&mut body, "stream", Some(false));
    body
}

fn takes(job: &Job<'_>) -> Capabilities {
    family(&job.model.name).capabilities(&job.model.name, job.model.via)
}

/// An input picture, as both ways write it.
fn reference(input: &Input) -> Value {
    let url = picture_source::data_url(input.format.media_type(), &input.bytes);
    json!({"type": "image_url", "image_url": {"url": url}})
}

/// The image API's pictures.
fn listed(reply: &Reply, json: &Json<'_>) -> Vec<ReplyPicture> {
    let items = json.get("data").map(Json::items).unwrap_or_default();
    let base64 = items.iter().filter_map(|item| item.bytes_at("b64_json")).filter(|text| !text.is_empty());
    let found =
        base64.map(|text| ReplyPicture { source: picture_source::inline(&reply.body, text), revised_prompt: None });
    found.take(picture_source::MOST_PICTURES).collect()
}

/// A chat's pictures.
fn in_message(reply: &Reply, json: &Json<'_>) -> Vec<ReplyPicture> {
    let choices = json.get("choices").map(Json::items).unwrap_or_default();
    let images = choices.iter().filter_map(|choice| choice.at("message.images")).flat_map(Json::items);
    let links = images.filter_map(|image| image.at("image_url.url")?.bytes());
    // Nothing but a `data:` URL was promised, and a link would be fetched from nobody knows where.
    let inside = links.filter(|link| is_data_url(link) && link.len() > b"data:".len());
    let found =
        inside.map(|link| ReplyPicture { source: picture_source::inline(&reply.body, link), revised_prompt: None });
    found.take(picture_source::MOST_PICTURES).collect()
}

fn choice<'j, 'a>(json: &'j Json<'a>) -> Option<&'j Json<'a>> {
    json.get("choices").and_then(|choices| choices.items().first())
}

/// What the call is charged. It is there for every call; a price table settles one without.
fn usage(reply: &Reply) -> Usage {
    Usage { reported: number_at(&reply.body, "usage.cost").map(Reported::Dollars), ..Usage::default() }
}

/// A 2xx without a picture: an error from the midst of drawing, a refusal, or nothing at all.
fn without_pictures(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
    if error_of(json).is_some() {
        return Step::Failed(failure(job, reply, Some(json)));
    }
    let refused = choice(json).is_some_and(is_refusal);
    let cost = json.at("usage.cost");
    if cost.is_some_and(|cost| matches!(cost, Json::Number(cost) if *cost > 0.0)) {
        // Words that led to no picture are charged too, so the answer is settled like one with pictures.
        let refused = if refused { job.n } else { 0 };
        return Step::Done(JobResult { refused, usage: usage(reply), ..JobResult::default() });
    }
    let failure = malformed(job, reply, "has no pictures");
    Step::Failed(match (refused, cost) {
        (true, _) => Failure { class: Class::Policy, ..failure },
        // It says itself that nothing was charged.
        (false, Some(_)) => Failure { class: Class::Server, ..failure },
        (false, None) => failure.with_none_drawn(json.get("data").is_some_and(Json::is_empty_list)),
    })
}

/// Whether a chat ended because the content was refused.
fn is_refusal(choice: &Json<'_>) -> bool {
    let ends = ["finish_reason", "native_finish_reason"].map(|key| choice.text_at(key).unwrap_or_default());
    ends.iter().any(|end| REFUSING_ENDS.contains(&end.to_lowercase().as_str()))
        || choice.at("message.refusal").and_then(Json::text).is_some_and(|refusal| !refusal.is_empty())
}

/// The error of a body: its own, or that of its answer.
fn error_of<'j, 'a>(json: &'j Json<'a>) -> Option<&'j Json<'a>> {
    json.get("error").or_else(|| choice(json)?.get("error"))
}

/// A failure out of what OpenRouter says, and the maker behind it.
fn failure(job: &Job<'_>, reply: &Reply, json: Option<&Json<'_>>) -> Failure {
    let error = json.and_then(error_of);
    let mut vendor_error = match error.or(json) {
        Some(json) => VendorError::from_json(json),
        None => VendorError::read(&reply.body),
    };
    let metadata = error.and_then(|error| error.get("metadata"));
    if let Some(raw) = metadata.and_then(|metadata| metadata.get("raw")) {
        add(&mut vendor_error, raw);
    }
    let status = vendor_error.status_word().filter(|_| reply.status < 300).unwrap_or(reply.status);
    let flagged = metadata.is_some_and(|said| said.get("reasons").is_some() || said.get("flagged_input").is_some());
    vendor_error.error |= error.is_some();
    let finding = if flagged { Classification::stated(Class::Policy) } else { finding(&vendor_error, status) };
    vendor_error.failure(finding, job, reply, our_field)
}

/// What the status says, and the words of OpenRouter and of the maker behind it.
fn finding(vendor_error: &VendorError, status: u16) -> Classification {
    if let Some(class) = vendor_error.by_word(REFUSALS, status) {
        return Classification::stated(class);
    }
    let found = vendor_error.by_status(status);
    match found.class {
        _ if vendor_error.refuses(status, REFUSING) => Classification::stated(Class::Policy),
        // The gateway's own filter, which stands before some models.
        Class::Auth if status == 403 && vendor_error.mentions(FLAGGED) => Classification::stated(Class::Policy),
        Class::Auth if status == 403 && vendor_error.mentions(SPENT) => Classification::stated(Class::Quota),
        Class::CallerInvalid if vendor_error.mentions(&["not a valid model"]) => {
            Classification::stated(Class::ModelGone)
        }
        // Nobody behind the gateway takes what this request wants. Another request wants something else.
        Class::ModelGone if vendor_error.mentions(UNSUPPORTED) => Classification::stated(Class::AdapterBug),
        _ => found,
    }
}

/// Adds what the maker said, which is often JSON once more inside a string.
fn add(vendor_error: &mut VendorError, raw: &Json<'_>) {
    let theirs = match raw.text() {
        Some(text) => VendorError::read(text.as_bytes()),
        None => VendorError::from_json(raw),
    };
    // A status among the maker's words is about its own call.
    vendor_error.words.extend(theirs.words.into_iter().filter(|word| word.parse::<u16>().is_err()));
    vendor_error.message = format!("{}; {}", vendor_error.message, theirs.message);
    vendor_error.field = vendor_error.field.take().or(theirs.field);
}

/// Our name of a field.
fn our_field(field: &str) -> Option<String> {
    let ours = match field.rsplit('.').next().unwrap_or(field) {
        field @ ("prompt" | "n" | "size" | "quality" | "background" | "output_format" | "output_compression"
        | "seed") => field,
        "aspect_ratio" | "resolution" | "image_size" | "image_config" => "size",
        "input_references" | "image" | "image_url" => "image",
        "messages" | "content" => "prompt",
        _ => return None,
    };
    Some(ours.to_owned())
}

#[cfg(test)]
mod tests;
