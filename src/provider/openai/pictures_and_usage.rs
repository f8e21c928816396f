//! Reads pictures, usage and price out of the JSON of an Images API answer, whether it came in one piece or as the last
//! event of a stream.

use crate::config::plan::{Account, CostUnit, Dialect};
use crate::failure::Failure;
use crate::pricing::Counted;
use crate::provider::adapter::{Job, JobResult, Reply, ReplyPicture, Reported, Usage};
use crate::provider::common;
use crate::provider::common::json::{Json, number_at};
use crate::provider::common::picture_source;
use crate::provider::common::vendor_error::{VendorError, malformed};
use crate::provider::openai::errors::failure;

/// The pictures of a good reply, or what it says instead.
pub fn drawn(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Result<JobResult, Failure> {
    let images = pictures(job, reply, json);
    if images.is_empty() {
        return Err(without_pictures(job, reply, json));
    }
    Ok(JobResult { images, refused: 0, refused_billed: 0, usage: usage(job, reply, json) })
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
