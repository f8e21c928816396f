//! What a vendor says went wrong, dug out of whatever shape it says it in.
//!
//! Servers spell errors in a dozen ways (PROVIDERS.md 1.6, 3, 5, 8.5): OpenAI's object, a bare string, FastAPI's list,
//! a problem document, a web page. [`Complaint`] gathers the words, the field and the sentence; each provider's own
//! table turns them into a [`Class`]. It never decides by itself and never repeats a key.

use std::time::Duration;

use crate::failure::{Class, Failure};
use crate::provider::json::Json;
use crate::provider::wire;
use crate::provider::{Job, Reply};

/// Characters of a vendor's own words that are kept.
const MESSAGE_CHARS: usize = 500;

/// An error body larger than this is not taken apart.
const BODY_BYTES: usize = 256 * 1024;

/// Codes by which servers say that all is well, in lower case.
const SUCCESSES: [&str; 6] = ["0", "200", "201", "ok", "success", "succeeded"];

/// Errors of one list that are read.
const LIST_ITEMS: usize = 8;

/// What a vendor says went wrong.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Complaint {
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
}

impl Complaint {
    /// Reads an error reply's body; anything at all is some complaint.
    pub fn read(body: &[u8]) -> Complaint {
        let known = if body.len() <= BODY_BYTES { Json::read(body).ok() } else { None };
        match known {
            Some(json) => Complaint::from_json(&json),
            None => {
                let head = &body[..body.len().min(4 * MESSAGE_CHARS)];
                Complaint { message: String::from_utf8_lossy(head).into_owned(), ..Complaint::default() }
            }
        }
    }

    /// Gathers what a JSON value complains of.
    pub fn from_json(json: &Json<'_>) -> Complaint {
        let mut complaint = Complaint { structured: true, ..Complaint::default() };
        complaint.gather(json);
        complaint
    }

    /// Whether anything was said at all.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty() && self.message.is_empty()
    }

    /// The class of the first row of `table` whose word the vendor used.
    pub fn class_by_word(&self, table: &[(&str, Class)]) -> Option<Class> {
        table.iter().find(|(word, _)| self.words.iter().any(|said| said == word)).map(|(_, class)| *class)
    }

    /// Whether the sentence holds one of these phrases (written in lower case).
    pub fn mentions(&self, phrases: &[&str]) -> bool {
        let message = self.message.to_lowercase();
        phrases.iter().any(|phrase| message.contains(phrase))
    }

    /// The class of an answer by its status. Where that is a good one, an error in the body is the vendor's own trouble,
    /// and without one the answer says nothing.
    pub fn class_by_status(&self, status: u16) -> Class {
        match wire::class_of_status(status) {
            Class::Malformed if self.error && status < 300 => Class::Server,
            class => class,
        }
    }

    /// An HTTP status among the words; resellers put one into bodies they send with 200.
    pub fn status_word(&self) -> Option<u16> {
        self.words.iter().filter_map(|word| word.parse().ok()).find(|status| (400..600).contains(status))
    }

    /// This complaint as a failure of `class`. `ours` gives our name of the vendor's field.
    ///
    /// A mistake is the caller's only if the vendor speaks for itself and blames nothing that the caller never sent;
    /// otherwise another vendor may well draw the same request.
    pub fn failure(
        &self,
        class: Class,
        job: &Job<'_>,
        reply: &Reply,
        ours: impl Fn(&str) -> Option<String>,
    ) -> Failure {
        let failure = Failure::new(class, self.told(job, reply.status));
        match class {
            Class::CallerInvalid if !self.structured => Failure { class: Class::Malformed, ..failure },
            // Said by a server and not by an API, it means that the request never came to its end there (RFC 9110
            // 15.5.9).
            Class::TimeoutAmbiguous if reply.status == 408 && !self.structured => {
                Failure { class: Class::Server, ..failure }
            }
            Class::CallerInvalid => match self.field.as_deref().map(ours) {
                None => failure,
                Some(Some(field)) if wire::caller_sent(job.request, &field) => failure.with_param(Some(field)),
                Some(_) => Failure { class: Class::AdapterBug, ..failure },
            },
            Class::RateLimited | Class::Server => {
                failure.with_retry_after(wire::retry_after(reply).or(self.retry_after))
            }
            _ => failure,
        }
    }

    /// The vendor's words on one line, bounded, without the key.
    fn told(&self, job: &Job<'_>, status: u16) -> String {
        let words = self.words.join(" ");
        let field = self.field.as_ref().map(|field| format!(" ({field})")).unwrap_or_default();
        let whole = format!("HTTP {status} {words}{field}: {}", self.message);
        told(job, &whole)
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
            ("code" | "type" | "name" | "error_type", Json::Text(word)) => self.words.push(word.to_string()),
            ("code", Json::Number(number)) => self.words.push(number.to_string()),
            ("param" | "field", Json::Text(field)) => self.blame(field.to_string()),
            ("loc", Json::List(parts)) => self.blame_location(parts),
            ("retry_after", Json::Number(seconds)) => self.retry_after = wire::seconds(*seconds),
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

/// A failure because the reply is not what the API promises.
pub fn malformed(job: &Job<'_>, reply: &Reply, what: &str) -> Failure {
    let head = &reply.body[..reply.body.len().min(MESSAGE_CHARS)];
    let whole = format!("HTTP {} {what}: {}", reply.status, String::from_utf8_lossy(head));
    Failure::new(Class::Malformed, told(job, &whole))
}

/// Words for the operator's log: the key blotted out before anything is cut, no line breaks, bounded.
pub fn told(job: &Job<'_>, words: &str) -> String {
    let mut words = wire::without_key(job.account, words);
    if let Some(token) = job.bearer {
        words = words.replace(token.reveal(), "***");
    }
    short(&words)
}

/// Words on one line, bounded. Keys must have been blotted out before, or the cut may leave the first part of one.
pub fn short(words: &str) -> String {
    let one_line: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut told = one_line.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = told.char_indices().nth(MESSAGE_CHARS) {
        told.truncate(end);
        told.push('…');
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_error_gives_up_its_words_its_field_and_its_sentence() {
        for (body, words, field, message) in [
            (r#"{"error":{"message":"m","type":"t","param":"size","code":"c"}}"#, "t c", Some("size"), "m"),
            (r#"{"error":"text"}"#, "", None, "text"),
            (r#"{"message":"text"}"#, "", None, "text"),
            (r#"{"code":20012,"msg":"text","data":null}"#, "20012", None, "text"),
            (r#"{"error":{"code":429,"message":"slow"}}"#, "429", None, "slow"),
            (r#"{"detail":"text"}"#, "", None, "text"),
            (
                r#"{"detail":[{"loc":["body","input",0,"size"],"msg":"bad","type":"value_error"}]}"#,
                "value_error",
                Some("input.size"),
                "bad",
            ),
            (
                r#"{"detail":"d","status":422,"title":"t","invalid_fields":[{"field":"input.prompt","description":"e"}]}"#,
                "",
                Some("input.prompt"),
                "d; t; e",
            ),
            (r#"{"id":"x","name":"bad_request","errors":["a: b","c: d"]}"#, "bad_request", None, "a: b; c: d"),
            (r#"{"error":{"code":"f","inner_error":{"code":"g"}}}"#, "f g", None, ""),
            (r#"[{"error":{"code":"f","message":"m"}}]"#, "f", None, "m"),
            (r#""Invalid token""#, "", None, "Invalid token"),
        ] {
            let complaint = Complaint::read(body.as_bytes());
            assert_eq!(complaint.words.join(" "), words, "{body}");
            assert_eq!((complaint.field.as_deref(), complaint.message.as_str()), (field, message), "{body}");
            assert!(complaint.structured, "{body}");
        }
    }

    #[test]
    fn an_error_is_told_from_other_things_that_are_said() {
        for error in [
            r#"{"error":"out of memory"}"#,
            r#"{"error":{"message":"m"}}"#,
            r#"{"errors":["x"]}"#,
            r#"{"detail":"d"}"#,
            r#"{"code":20012,"message":"m"}"#,
            r#"{"code":"Throttling"}"#,
            r#"{"status":"error","message":"m"}"#,
            r#"{"success":false,"message":"m"}"#,
            r#"[{"error":{"code":500}}]"#,
        ] {
            let complaint = Complaint::read(error.as_bytes());
            assert!(complaint.error, "{error}");
            assert_eq!(complaint.class_by_status(200), Class::Server, "{error}");
            assert_eq!(complaint.class_by_status(302), Class::Malformed, "{error}");
        }
        for quiet in [
            "{}",
            r#"{"data":[]}"#,
            r#"{"message":"done"}"#,
            r#"{"code":0,"msg":"success","data":null}"#,
            r#"{"code":"200","data":[]}"#,
            r#"{"error":null,"errors":[],"detail":""}"#,
            r#"{"success":true,"status":"ok"}"#,
            "<html>504</html>",
        ] {
            let complaint = Complaint::read(quiet.as_bytes());
            assert!(!complaint.error, "{quiet}");
            assert_eq!(complaint.class_by_status(200), Class::Malformed, "{quiet}");
        }
    }

    #[test]
    fn a_page_is_kept_as_text_and_known_to_be_no_json() {
        let page = Complaint::read(b"<html><h1>502 Bad Gateway</h1></html>");
        assert!(!page.structured && page.message.contains("Bad Gateway"));
        let endless = vec![b'['; BODY_BYTES + 1];
        assert!(!Complaint::read(&endless).structured);
    }

    #[test]
    fn a_body_may_say_when_to_come_back_and_hide_a_status() {
        let complaint = Complaint::read(br#"{"error":{"code":503,"message":"busy"},"retry_after":5}"#);
        assert_eq!(complaint.retry_after, Some(Duration::from_secs(5)));
        assert_eq!(complaint.status_word(), Some(503));
    }
}
