//! What a vendor says went wrong, dug out of whatever shape it says it in.
//!
//! Servers spell errors in a dozen ways (PROVIDERS.md 1.6, 3, 5, 8.5): OpenAI's object, a bare string, FastAPI's list,
//! a problem document, a web page. [`VendorError`] gathers the words, the field and the sentence; each provider's own
//! table turns them into a [`Class`]. It never decides by itself and never repeats a key.

use std::time::Duration;

use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::provider::adapter::{Job, Reply};
use crate::provider::common::headers;
use crate::provider::common::http_status;
use crate::provider::common::json::Json;
use crate::provider::common::retry_after;
use crate::provider::common::waiting_words;

/// Characters of a vendor's own words that are kept.
const MESSAGE_CHARS: usize = 500;

/// An error body larger than this is not taken apart.
const BODY_BYTES: usize = 256 * 1024;

/// Codes by which servers say that all is well, in lower case.
const SUCCESSES: [&str; 6] = ["0", "200", "201", "ok", "success", "succeeded"];

/// Errors of one list that are read.
const LIST_ITEMS: usize = 8;

/// Words that many vendors give to any mistake; they do not say which one it is.
const GENERIC: &[&str] = &[
    "invalid_request_error",
    "invalid_request",
    "invalid_argument",
    "image_generation_user_error",
    "user_error",
    "bad_request",
    "badrequest",
    "badrequesterror",
    "value_error",
    "api_error",
    "error",
    "new_api_error",
    "upstream_error",
    "openai_error",
    "bad_response_status_code",
];

/// Fields that hold what a filter looks at.
const CONTENT_FIELDS: &[&str] =
    &["prompt", "text", "messages", "content", "contents", "input", "image", "images", "image_url", "image_urls"];

/// Sentences about the account, whatever else they mention.
const ABOUT_THE_ACCOUNT: &[&str] = &[
    "your account",
    "account has been",
    "account is",
    "your organization",
    "your organisation",
    "organization has been",
    "organization must",
    "your resource",
    "resource has been",
    "your subscription",
    "subscription has been",
    "your api key",
    "your key",
    "your project",
    "project has been",
    "your workspace",
    "your team",
    "virtual network",
    "suspended",
    "deactivated",
    "terms of service",
    "terms of use",
];

/// Sentences about a field's value.
const ABOUT_A_VALUE: &[&str] =
    &["not supported", "unsupported", "must be one of", "unknown parameter", "unrecognized", "invalid value"];

/// Sentences by which a model is said to be missing, its name perhaps in their midst.
const MISSING: &[&str] = &["does not exist", "do not exist", "not exist", "not found", "could not be found"];

/// The same, whole.
const NO_SUCH_MODEL: &[&str] = &["no such model", "unknown model", "invalid model name", "not a valid model"];

/// Characters between the word and what is said of it; names of models are no longer.
const MODEL_NAME: usize = 120;

/// What a vendor says went wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VendorError {
    /// Its codes, types and names, in the order found.
    pub words: Vec<String>,
    /// Its sentences, joined.
    pub message: String,
    /// The field it blames, in its own name and with dots between the parts.
    pub field: Option<String>,
    /// When to come back, where the body says so.
    pub retry_after: Option<Duration>,
    /// Whether the body was JSON; a page or a line of text was perhaps written by a proxy in between.
    pub structured: bool,
    /// Whether it says that something went wrong, and not only something: an error by its name, a code that is no
    /// success.
    pub error: bool,
    /// Whether it was a page for people's eyes, which no API writes.
    pub page: bool,
}

impl VendorError {
    /// Reads an error reply's body; anything at all is some error.
    pub fn read(body: &[u8]) -> VendorError {
        let known = if body.len() <= BODY_BYTES { Json::read(body).ok() } else { None };
        match known {
            Some(json) => VendorError::from_json(&json),
            None => {
                let head = &body[..body.len().min(4 * MESSAGE_CHARS)];
                let page = head.trim_ascii_start().first() == Some(&b'<');
                VendorError { message: String::from_utf8_lossy(head).into_owned(), page, ..VendorError::default() }
            }
        }
    }

    /// Gathers what a JSON value complains of.
    pub fn from_json(json: &Json<'_>) -> VendorError {
        let mut vendor_error = VendorError { structured: true, ..VendorError::default() };
        vendor_error.gather(json);
        vendor_error
    }

    /// Whether anything was said at all.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.message.is_empty()
    }

    /// The class of the first row of `table` whose word the vendor used.
    pub fn class_by_word(&self, table: &[(&str, Class)]) -> Option<Class> {
        table.iter().find(|(word, _)| self.words.iter().any(|said| said == word)).map(|(_, class)| *class)
    }

    /// The same where the status does not contradict it: no key, no money and too much at once are nothing about the
    /// request, and neither is trouble at the vendor.
    pub fn by_word(&self, table: &[(&str, Class)], status: u16) -> Option<Class> {
        let class = self.class_by_word(table)?;
        let about_the_request =
            matches!(class, Class::CallerInvalid | Class::AdapterBug | Class::Policy | Class::ModelGone);
        let contradicted = match status {
            401 | 402 | 429 => about_the_request,
            403 => class == Class::Policy && self.is_about_the_account(),
            500.. => about_the_request && class != Class::Policy,
            _ => false,
        };
        (!contradicted).then_some(class)
    }

    /// What the status says where no word of the vendor's does. A key that is refused is the vendor's word; who may not,
    /// and what is not found, may come from anybody on the way and be about anything.
    pub fn by_status(&self, status: u16) -> Classification {
        let of_one_model = self.field.as_deref() == Some("model") || self.mentions(&["model"]);
        let finding = match self.class_by_status(status) {
            Class::Auth if status == 401 && !self.page => Classification::stated(Class::Auth),
            Class::Auth if self.structured && self.is_about_the_account() => Classification::stated(Class::Auth),
            class @ (Class::Auth | Class::ModelGone) => Classification::guess(class),
            Class::Quota if self.page => Classification::guess(Class::Quota),
            class => Classification::stated(class),
        };
        // A key may be good for other models.
        if finding.class == Class::Auth && of_one_model { finding.at(FailureScope::Model) } else { finding }
    }

    /// Whether it says that the content was refused, in one of these phrases. A phrase counts only where the status says
    /// that the request is at fault, no word says what else is wrong, no other field is blamed, and the sentence is not
    /// about the account or about a value: vendors speak of their content policy on many occasions.
    pub fn refuses(&self, status: u16, phrases: &[&str]) -> bool {
        let generic = |word: &String| {
            word.parse::<u64>().is_ok() || GENERIC.contains(&word.to_lowercase().replace(' ', "_").as_str())
        };
        let of_content = |field: &String| {
            let last = field.rsplit('.').next().unwrap_or(field);
            CONTENT_FIELDS.contains(&last.trim_end_matches("[]"))
        };
        matches!(status, 200..=299 | 400 | 422)
            && self.structured
            && self.words.iter().all(generic)
            && self.field.iter().all(of_content)
            && !self.is_about_the_account()
            && !self.mentions(ABOUT_A_VALUE)
            && self.mentions(phrases)
    }

    /// Whether the sentence is about the account and not about the request.
    pub fn is_about_the_account(&self) -> bool {
        self.mentions(ABOUT_THE_ACCOUNT)
    }

    /// Whether the sentence says that there is no such model.
    pub fn misses_the_model(&self) -> bool {
        let message = self.message.to_lowercase();
        let said_of_it = |(at, _): (usize, &str)| {
            let rest: String = message[at..].chars().take(MODEL_NAME).collect();
            MISSING.iter().any(|phrase| rest.contains(phrase))
        };
        self.mentions(NO_SUCH_MODEL) || message.match_indices("model").any(said_of_it)
    }

    /// Whether the sentence holds one of these phrases (written in lower case).
    pub fn mentions(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        phrases.iter().any(|phrase| message.contains(phrase))
    }

    /// The class of an answer by its status. Where that is a good one, an error in the body is the vendor's own trouble,
    /// and without one the answer says nothing.
    pub fn class_by_status(&self, status: u16) -> Class {
        match http_status::class_of_status(status) {
            Class::Malformed if self.error && status < 300 => Class::Server,
            class => class,
        }
    }

    /// An HTTP status among the words; resellers put one into bodies they send with 200.
    pub fn status_word(&self) -> Option<u16> {
        self.words.iter().filter_map(|word| word.parse().ok()).find(|status| (400..600).contains(status))
    }

    /// This error as a failure, as it was found. `ours` gives our name of the vendor's field.
    ///
    /// A mistake is the caller's for certain only if the vendor speaks for itself and blames what the caller sent. One
    /// that blames nothing may be this vendor's own taste, and what the caller never sent is no mistake of its own:
    /// another vendor may well draw the same request.
    pub fn failure(
        &self,
        finding: Classification,
        job: &Job<'_>,
        reply: &Reply,
        ours: impl Fn(&str) -> Option<String>,
    ) -> Failure {
        let head = told(job, &self.head(reply.status));
        let rest = MESSAGE_CHARS.saturating_sub(head.chars().count() + 2);
        let failure = Failure::found(finding, head).with_reason(&bounded(&redacted(job, &self.message), rest));
        let failure = Failure { overloaded: reply.status == http_status::OVERLOADED, ..failure };
        match finding.class {
            Class::CallerInvalid if !self.structured => Failure { class: Class::Malformed, ..failure },
            // Said by a server and not by an API, it means that the request never came to its end there (RFC 9110
            // 15.5.9).
            Class::TimeoutAmbiguous if reply.status == 408 && !self.structured => {
                Failure { class: Class::Server, ..failure }
            }
            Class::CallerInvalid => match self.field.as_deref().map(ours) {
                None => failure,
                Some(Some(field)) if job.request.caller_sent(&field) => failure.with_param(Some(field)),
                // The words are the caller's, with others' around them or in their place.
                Some(Some(field)) if field == "prompt" => failure,
                Some(_) => Failure { class: Class::AdapterBug, ..failure },
            },
            class @ (Class::RateLimited | Class::Server) => failure.with_retry_after(self.come_back(class, reply)),
            _ => failure,
        }
    }

    /// When to come back: `retry-after` before the body's own field, that before its sentence, and at last the headers of
    /// the limits that were met. A page that anybody may have written is believed about a rate limit alone.
    pub fn come_back(&self, class: Class, reply: &Reply) -> Option<Duration> {
        let limited = class == Class::RateLimited;
        let told = retry_after::retry_after(reply).or(self.retry_after);
        let sentence = Some(&self.message).filter(|_| limited || self.structured);
        told.or_else(|| waiting_words::waiting_time_in(sentence?))
            .or_else(|| waiting_words::rate_limit_reset(reply).filter(|_| limited))
    }

    /// The status, the vendor's codes, and the field it blames.
    fn head(&self, status: u16) -> String {
        let words = self.words.iter().map(|word| format!(" {word}")).collect::<String>();
        let field = self.field.as_ref().map(|field| format!(" ({field})")).unwrap_or_default();
        format!("HTTP {status}{words}{field}")
    }

    fn gather(&mut self, json: &Json<'_>) {
        match json {
            Json::Text(_) | Json::Long(_) => self.say(json.text().unwrap_or_default()),
            Json::List(items) => items.iter().take(LIST_ITEMS).for_each(|item| self.gather(item)),
            Json::Object(members) => members.iter().for_each(|(name, value)| self.gather_member(name, value)),
            Json::Null | Json::Bool(_) | Json::Number(_) => {}
        }
    }

    fn gather_member(&mut self, name: &str, value: &Json<'_>) {
        self.error |= is_an_error(name, value);
        match (name, value) {
            ("code" | "type" | "name" | "error_type", Json::Text(word)) if says(word) => {
                self.words.push(word.to_string());
            }
            ("code", Json::Number(number)) => self.words.push(number.to_string()),
            ("param" | "field", Json::Text(field)) if says(field) => self.blame(field.to_string()),
            ("loc", Json::List(parts)) => self.blame_location(parts),
            ("retry_after", Json::Number(seconds)) => self.retry_after = retry_after::seconds(*seconds),
            ("message" | "msg" | "description" | "title", text) => self.say(text.text().unwrap_or_default()),
            ("error" | "errors" | "detail" | "inner_error" | "innererror" | "invalid_fields", inner) => {
                self.gather(inner);
            }
            _ => {}
        }
    }

    fn say(&mut self, text: &str) {
        if self.message.len() > 4 * MESSAGE_CHARS || text.is_empty() {
            return;
        }
        if !self.message.is_empty() {
            self.message.push_str("; ");
        }
        self.message.push_str(text);
    }

    fn blame(&mut self, field: String) {
        if !field.is_empty() {
            self.field.get_or_insert(field);
        }
    }

    /// FastAPI's place of an error: `["body", "size"]`, numbers for list elements.
    fn blame_location(&mut self, parts: &[Json<'_>]) {
        let names: Vec<&str> = parts.iter().filter_map(Json::text).collect();
        let names = names.strip_prefix(&["body"]).unwrap_or(&names);
        if !names.is_empty() {
            self.blame(names.join("."));
        }
    }
}

/// Whether a member of a body says that something went wrong.
fn is_an_error(name: &str, value: &Json<'_>) -> bool {
    let said = match value {
        Json::Null | Json::Bool(false) => false,
        Json::Text(text) => !text.is_empty(),
        Json::List(items) => !items.is_empty(),
        Json::Object(members) => !members.is_empty(),
        Json::Bool(true) | Json::Number(_) | Json::Long(_) => true,
    };
    match (name, value) {
        ("error" | "errors" | "detail" | "error_type" | "inner_error" | "innererror" | "invalid_fields", _) => said,
        ("code", Json::Number(code)) => *code != 0.0 && !(200.0..300.0).contains(code),
        ("code", Json::Text(code)) => said && !SUCCESSES.contains(&&*code.to_ascii_lowercase()),
        ("status" | "type", Json::Text(word)) => matches!(&*word.to_ascii_lowercase(), "error" | "failed" | "failure"),
        ("success" | "ok", Json::Bool(well)) => !well,
        _ => false,
    }
}

/// Whether a word says anything; LiteLLM writes Python's nothing as a text.
fn says(word: &str) -> bool {
    !matches!(word, "" | "None" | "null")
}

/// A failure because the reply is not what the API promises.
pub fn malformed(job: &Job<'_>, reply: &Reply, what: &str) -> Failure {
    let head = &reply.body[..reply.body.len().min(MESSAGE_CHARS)];
    let whole = format!("HTTP {} {what}: {}", reply.status, String::from_utf8_lossy(head));
    Failure::new(Class::Malformed, told(job, &whole))
}

/// Words for the operator's log: the key redacted before anything is cut, no line breaks, bounded.
pub fn told(job: &Job<'_>, words: &str) -> String {
    short(&redacted(job, words))
}

/// Words without the key or the token that went with the call.
fn redacted(job: &Job<'_>, words: &str) -> String {
    let words = headers::without_key(job.account, words);
    match job.bearer {
        Some(token) => words.replace(token.reveal(), "***"),
        None => words,
    }
}

/// Words on one line, bounded. Keys must have been redacted before, or the cut may leave the first part of one.
pub fn short(words: &str) -> String {
    bounded(words, MESSAGE_CHARS)
}

fn bounded(words: &str, most: usize) -> String {
    let one_line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut told = one_line.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = told.char_indices().nth(most) {
        told.truncate(end);
        told.push('…');
    }
    told
}

#[cfg(test)]
mod tests;
