//! What both endpoints share: headers, the fields that the config adds, usage, and what an error means.

use serde_json::{Map, Value};
use url::Url;

use crate::config::plan::{Account, TextModel};
use crate::failure::{Class, Failure};
use crate::provider::adapter::{Call, Reply};
use crate::provider::common::addresses;
use crate::provider::common::headers;
use crate::provider::common::json::Json;
use crate::provider::common::vendor_error::{VendorError, short};
use crate::provider::openai::errors;

/// Bytes of an answer that cannot be read which are told in the log.
const TOLD_BYTES: usize = 500;

/// What the vendor says of a text that is too long. Nobody else would read it either.
const TOO_LONG: &[(&str, Class)] =
    &[("context_length_exceeded", Class::CallerInvalid), ("string_above_max_length", Class::CallerInvalid)];

/// The same in sentences, where OpenAI's embeddings and other servers have no word for it.
const TOO_LONG_WORDS: &[&str] = &["maximum context length", "context length exceeded"];

/// A call of `model` at the end of this path. What the config says under `options` has the last word, as with models that
/// draw; `null` there takes a field out, for servers that know no such field.
pub(super) fn call<'a>(
    account: &'a Account,
    model: &TextModel,
    path: impl IntoIterator<Item = &'a str>,
    mut body: Map<String, Value>,
) -> Result<Call, Failure> {
    let url: Url = addresses::address(&account.base_url, path)?;
    let mut headers = headers::call_headers(account, "authorization", "Bearer ")?;
    if let Some(organization) = &account.organization {
        headers::add_header(&mut headers, "openai-organization", organization);
    }
    if let Some(project) = &account.project {
        headers::add_header(&mut headers, "openai-project", project);
    }
    for (field, value) in &model.options {
        match value {
            Value::Null => body.remove(field),
            value => body.insert(field.clone(), value.clone()),
        };
    }
    Ok(Call::post_json(url, headers, &Value::Object(body)))
}

/// The error of an answer whose status says that there is one.
pub(super) fn refused(account: &Account, reply: &Reply) -> Option<Failure> {
    (!(200..300).contains(&reply.status)).then(|| failure(account, reply, &VendorError::read(&reply.body)))
}

/// The error that hides in an answer of good status.
pub(super) fn hidden_error(account: &Account, reply: &Reply, json: &Json<'_>) -> Option<Failure> {
    json.get("error").map(|_| failure(account, reply, &VendorError::from_json(json)))
}

/// The answer is not what the API promises.
pub(super) fn malformed(account: &Account, reply: &Reply, what: &str) -> Failure {
    let head = String::from_utf8_lossy(&reply.body[..reply.body.len().min(TOLD_BYTES)]);
    Failure::new(Class::Malformed, told(account, &format!("HTTP {} {what}: {head}", reply.status)))
}

/// The class by the vendor's words, else by the status. A request that the vendor finds invalid is ours, not the caller's:
/// the caller gave words only.
fn failure(account: &Account, reply: &Reply, vendor_error: &VendorError) -> Failure {
    let status = vendor_error.status_word().filter(|_| reply.status < 300).unwrap_or(reply.status);
    let mut finding = errors::finding(vendor_error, status);
    let says_so = vendor_error.class_by_word(TOO_LONG).is_some() || vendor_error.mentions(TOO_LONG_WORDS);
    let too_long = status == 413 || says_so;
    finding.class = match finding.class {
        // A page that anybody on the way may have written.
        Class::CallerInvalid if !vendor_error.structured && status != 413 => Class::Malformed,
        Class::CallerInvalid if !too_long => Class::AdapterBug,
        class => class,
    };
    let words = format!("HTTP {} {}: {}", reply.status, vendor_error.words.join(" "), vendor_error.message);
    let failure = Failure::found(finding, told(account, &words));
    match finding.class {
        Class::RateLimited | Class::Server => failure.with_retry_after(vendor_error.come_back(finding.class, reply)),
        _ => failure,
    }
}

/// Words for the operator's log, without the key.
fn told(account: &Account, words: &str) -> String {
    short(&headers::without_key(account, words))
}
