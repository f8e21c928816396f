//! What an answer of OpenAI's shape says, whether it came in one piece or as the last event of a stream: pictures, usage,
//! price, or what went wrong.

use std::time::Duration;

use crate::config::plan::{Account, CostUnit, Dialect, SizeFormat};
use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::pricing::Counted;
use crate::provider::adapter::{Job, JobResult, Reply, ReplyPicture, Reported, Usage};
use crate::provider::common;
use crate::provider::common::json::{Json, number_at};
use crate::provider::common::picture_source;
use crate::provider::common::retry_after;
use crate::provider::common::vendor_error::{VendorError, malformed};

/// A vendor's words -> what they mean; earlier rows count first (PROVIDERS.md 1.6, 2, 8, 17).
pub(super) const WORDS: &[(&str, Class)] = &[
    ("moderation_blocked", Class::Policy),
    ("content_policy_violation", Class::Policy),
    ("content_moderation", Class::Policy),
    ("contentFilter", Class::Policy),
    ("content_filter", Class::Policy),
    ("ResponsibleAIPolicyViolation", Class::Policy),
    ("data_inspection_failed", Class::Policy),
    ("insufficient_quota", Class::Quota),
    ("billing_hard_limit_reached", Class::Quota),
    ("billing_not_active", Class::Quota),
    ("budget_exceeded", Class::Quota),
    ("insufficient_balance", Class::Quota),
    // SiliconFlow's numbers: no money, told with a 403; no such model; the content.
    ("30001", Class::Quota),
    ("20012", Class::ModelGone),
    ("20015", Class::Policy),
    ("invalid_api_key", Class::Auth),
    ("authentication_error", Class::Auth),
    ("key_model_access_denied", Class::Auth),
    ("team_model_access_denied", Class::Auth),
    ("unsupported_country_region_territory", Class::Auth),
    ("rate_limit_exceeded", Class::RateLimited),
    ("model_not_found", Class::ModelGone),
    ("DeploymentNotFound", Class::ModelGone),
    // The deployment is there, but not of an image model.
    ("OperationNotSupported", Class::ModelGone),
    ("unknown_parameter", Class::AdapterBug),
    ("unsupported_parameter", Class::AdapterBug),
    ("unsupported_value", Class::AdapterBug),
    ("missing_required_parameter", Class::AdapterBug),
    ("extra_forbidden", Class::AdapterBug),
    ("value_error.extra", Class::AdapterBug),
    ("missing", Class::AdapterBug),
    ("value_error.missing", Class::AdapterBug),
    ("json_invalid", Class::AdapterBug),
];

/// Words whose failure reaches otherwise than its class usually does.
pub(super) const REACHES: &[(&str, FailureScope)] = &[
    ("DeploymentNotFound", FailureScope::Model),
    ("key_model_access_denied", FailureScope::Model),
    ("team_model_access_denied", FailureScope::Model),
];

/// Sentences that tell a refusal where no word does.
pub(super) const REFUSALS: &[&str] =
    &["safety system", "content policy", "contentpolicyviolation", "content management policy", "nsfw"];

/// A rate limit that does not go by the model.
pub(super) const OF_ALL_MODELS: &[&str] = &["all models", "across models"];

/// The pictures of a good reply, or what it says instead.
pub fn drawn(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Result<JobResult, Failure> {
    let images = pictures(job, reply, json);
    if images.is_empty() {
        return Err(without_pictures(job, reply, json));
    }
    Ok(JobResult { images, refused: 0, refused_billed: 0, usage: usage(job, reply, json) })
}

/// What a vendor's words or sentences say by themselves, whatever the status they come with.
pub fn class_of_words(vendor_error: &VendorError) -> Option<Class> {
    let refused = vendor_error.refuses(200, REFUSALS).then_some(Class::Policy);
    vendor_error.class_by_word(WORDS).or(refused)
}

/// A failure out of what the vendor says.
pub fn failure(job: &Job<'_>, reply: &Reply, vendor_error: &VendorError) -> Failure {
    let status = match vendor_error.status_word() {
        Some(inner) if reply.status < 300 => inner,
        _ => reply.status,
    };
    let finding = finding(vendor_error, status);
    let failure = vendor_error.failure(finding, job, reply, |field| our_field(&job.account.dialect, field));
    match failure.class {
        Class::RateLimited if failure.retry_after.is_none() => {
            failure.with_retry_after(told_waiting_time(&vendor_error.message))
        }
        _ => failure,
    }
}

/// What a vendor says with this status: its words first, then the status, and sentences only where neither tells.
pub(super) fn finding(vendor_error: &VendorError, status: u16) -> Classification {
    if let Some(class) = vendor_error.by_word(WORDS, status) {
        let reaches = REACHES.iter().find(|(word, _)| vendor_error.words.iter().any(|said| said == word));
        let finding = Classification::stated(class);
        return reaches.map_or(finding, |(_, scope)| finding.at(*scope));
    }
    if vendor_error.refuses(status, REFUSALS) {
        return Classification::stated(Class::Policy);
    }
    let finding = vendor_error.by_status(status);
    match finding.class {
        // "The model 'x' does not exist" is sometimes a 400, and sometimes one that blames this field.
        Class::CallerInvalid if vendor_error.field.as_deref() == Some("model") => {
            Classification::stated(Class::ModelGone)
        }
        Class::CallerInvalid | Class::ModelGone if vendor_error.misses_the_model() => {
            Classification::stated(Class::ModelGone)
        }
        Class::RateLimited if vendor_error.mentions(OF_ALL_MODELS) => finding.at(FailureScope::Account),
        _ => finding,
    }
}

/// `Please retry after 26 seconds.`, as Azure says it, also where it sends no header.
pub(super) fn told_waiting_time(message: &str) -> Option<Duration> {
    let (_, rest) = message.split_once("retry after ")?;
    let (number, unit) = rest.split_once(' ')?;
    if unit.starts_with("second") { retry_after::seconds(number.parse().ok()?) } else { None }
}

/// A 2xx without a picture: the error hidden in it, or none.
pub(super) fn without_pictures(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Failure {
    let vendor_error = VendorError::from_json(json);
    if vendor_error.is_empty() {
        let lists_none = lists(&job.account.dialect).iter().any(|path| json.at(path).is_some_and(Json::is_empty_list));
        return malformed(job, reply, "has no pictures").with_none_drawn(lists_none).with_counted(counted(json));
    }
    failure(job, reply, &vendor_error).with_counted(counted(json))
}

/// Our name of a field as this dialect spells it.
pub(super) fn our_field(dialect: &Dialect, field: &str) -> Option<String> {
    let last = field.rsplit('.').next().unwrap_or(field);
    let is_theirs = |theirs: &str| theirs == field || theirs.rsplit('.').next() == Some(last);
    let renamed = dialect.rename.iter().find(|(_, theirs)| is_theirs(theirs)).map(|(ours, _)| ours.as_str());
    let ours = match renamed.unwrap_or(last) {
        "width" | "height" if dialect.size == SizeFormat::TwoFields => "size",
        "aspect_ratio" if dialect.size == SizeFormat::AspectRatio => "size",
        "image[]" => "image",
        ours => ours,
    };
    Some(ours.to_owned())
}

/// The pictures of a reply.
pub(super) fn pictures(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Vec<ReplyPicture> {
    let dialect = &job.account.dialect;
    lists(dialect)
        .into_iter()
        .filter_map(|path| json.at(path))
        .map(|list| list.items().iter().filter_map(|item| found(job.account, reply, item)))
        .map(|found| found.take(picture_source::MOST_PICTURES).collect::<Vec<_>>())
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// Where the list of pictures may be. Servers change between `data` and `images` from one version to the next
/// (PROVIDERS.md 6).
pub(super) fn lists(dialect: &Dialect) -> [&str; 3] {
    [dialect.list.as_str(), "data", "images"]
}

/// The picture of one list item.
pub(super) fn found(account: &Account, reply: &Reply, item: &Json<'_>) -> Option<ReplyPicture> {
    let dialect = &account.dialect;
    let source = match item {
        Json::Text(_) | Json::Long(_) => picture_source::inline_or_link(&reply.body, &account.base_url, item.bytes()?),
        _ => item
            .at(&dialect.base64)
            .and_then(Json::bytes)
            .and_then(|text| picture_source::inline_or_link(&reply.body, &account.base_url, text))
            .or_else(|| {
                let text = item.at(&dialect.url).and_then(Json::text).filter(|text| !text.is_empty())?;
                picture_source::link(&reply.body, &account.base_url, text)
            }),
    }?;
    let revised_prompt = item.text_at("revised_prompt").filter(|text| !text.is_empty()).map(str::to_owned);
    Some(ReplyPicture { source, revised_prompt })
}

/// What the vendor says it drew and charged.
pub fn usage(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Usage {
    let echo = |key| json.text_at(key);
    Usage {
        size: echo("size").and_then(|text| text.parse().ok()),
        quality: echo("quality").and_then(|text| text.parse().ok()),
        format: echo("output_format").and_then(|text| text.parse().ok()),
        reported: reported_cost(&job.account.dialect, reply, json),
        counted: counted(json),
    }
}

/// What the vendor counted.
pub fn counted(json: &Json<'_>) -> Counted {
    Counted { tokens: common::usage::openai(json), ..Counted::default() }
}

/// What the call costs, where the dialect says that it is told: in a header, or in the answer. LiteLLM writes `None`
/// when it knows no price.
pub fn reported_cost(dialect: &Dialect, reply: &Reply, json: &Json<'_>) -> Option<Reported> {
    let header = dialect.cost_header.as_ref().and_then(|name| reply.headers.get(name.as_str())?.to_str().ok());
    let in_body = || {
        let path = dialect.cost_at.as_ref()?;
        let text = json.at(path).and_then(Json::text).map(str::to_owned);
        text.or_else(|| number_at(&reply.body, path))
    };
    let told = header.map(|text| text.trim().to_owned()).filter(|text| is_amount(text));
    let told = told.or_else(|| in_body().filter(|text| is_amount(text)))?;
    Some(match dialect.cost_unit {
        CostUnit::Usd => Reported::Dollars(told),
        CostUnit::Cents => Reported::Cents(told),
        CostUnit::Units => Reported::Units(told),
    })
}

/// Whether a text looks like an amount, by its signs alone: the exact reading is done where money is known. Nothing
/// negative is believed.
pub(super) fn is_amount(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
}
