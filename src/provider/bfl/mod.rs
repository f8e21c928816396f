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

use crate::capabilities::{Capabilities, OutputSize, Usual};
use crate::config::plan::{Account, Model};
use crate::failure::{Class, Failure, Finding, Scope};
use crate::image::Format;
use crate::provider::adapter::{Adapter, Call, Drawn, Found, Job, Reply, Reported, Step, Usage};
use crate::provider::bfl::models::{KNOWN, Pictures, SizeInput, family};
use crate::provider::common::json::{Json, number_at};
use crate::provider::common::vendor_error::{VendorError, malformed, told};
use crate::provider::common::wire;
use crate::request::Edit;

pub(in crate::provider) mod models;

/// Black Forest Labs' own API.
pub struct Bfl;

/// Where the vendor's hosts are that the key may go to.
const DOMAIN: &str = "bfl.ai";

/// Between two looks at a task.
const POLL_EVERY: Duration = Duration::from_millis(500);

/// What a task's status means; any other is one more way of not being finished.
const STATUSES: &[(&str, Means)] = &[
    ("Ready", Means::Ready),
    ("Request Moderated", Means::Failed(Class::Policy)),
    ("Content Moderated", Means::Failed(Class::Policy)),
    ("Error", Means::Failed(Class::Server)),
    ("Failed", Means::Failed(Class::Server)),
    // `Task not found` is not here on purpose. It is also said right after a task was taken on, when another of the
    // vendor's machines is asked, and a task given up is paid all the same; the provider's timeout bounds the asking.
];

#[derive(Clone, Copy, Debug)]
enum Means {
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

    fn usual(&self, _: &Account, model: &Model) -> Usual {
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
    wire::address(&account.base_url, version.into_iter().chain([name]))
}

fn headers(account: &Account) -> Result<http::HeaderMap, Failure> {
    wire::headers(account, "x-key", "")
}

/// The task's inputs: ours first, the config's options over them.
fn body(job: &Job<'_>) -> Map<String, Value> {
    let request = job.request;
    let mut body = Map::new();
    wire::put(&mut body, "prompt", Some(request.prompt.as_str()));
    put_size(&mut body, job);
    wire::put(&mut body, "seed", request.seed);
    wire::put(&mut body, "output_format", job.format.map(Format::word));
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
            wire::put(body, "width", Some(size.width));
            wire::put(body, "height", Some(size.height));
        }
        // A config that lists shapes says that the model takes them.
        (SizeInput::Ratio(_), _) | (_, OutputSize::Ratio { .. }) => {
            wire::put(body, "aspect_ratio", wire::ratio(job.output_size))
        }
    }
}

fn put_pictures(body: &mut Map<String, Value>, edit: &Edit, pictures: Pictures) {
    let first = match pictures {
        Pictures::None => return,
        Pictures::Numbered(_) => "input_image",
        Pictures::Masked => "image",
    };
    for (number, image) in (1..).zip(&edit.images) {
        let field = if number == 1 { first.to_owned() } else { format!("input_image_{number}") };
        wire::put(body, &field, Some(wire::base64(&image.bytes)));
    }
    let mask = edit.mask.as_ref().filter(|_| pictures == Pictures::Masked);
    wire::put(body, "mask", mask.map(|mask| wire::base64(&mask.white)));
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
    let url = match (address, id.filter(|id| wire::is_plain_id(id))) {
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
    if !wire::may_have_the_key(job.account, url, DOMAIN) {
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
        Some(Means::Failed(class)) => {
            Step::Failed(Failure::new(class, status).with_reason(&told(job, &reasons(json))).at_the_end())
        }
        Some(Means::Ready) => ready(job, reply, json, noted),
    }
}

/// The picture of a finished task.
fn ready(job: &Job<'_>, reply: &Reply, json: &Json<'_>, noted: Option<Reported>) -> Step {
    let sample = json.at("result.sample").and_then(Json::text);
    let found = sample.filter(|text| !text.is_empty());
    let found = found.and_then(|text| wire::link(&reply.body, &job.account.base_url, text));
    let Some(source) = found else {
        return Step::Lost { failure: malformed(job, reply, "is ready without a picture"), noted };
    };
    let prompt = json.at("result.prompt").and_then(Json::text);
    let revised_prompt = prompt.filter(|text| !text.is_empty() && *text != job.request.prompt).map(str::to_owned);
    let usage = Usage { reported: noted, ..Usage::default() };
    Step::Done(Drawn { images: vec![Found { source, revised_prompt }], usage, ..Drawn::default() })
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
    let complaint = VendorError::read(&reply.body);
    let found = complaint.by_status(reply.status);
    let finding = match found.class {
        Class::CallerInvalid if complaint.structured && is_about_the_key(&complaint) => Finding::stated(Class::Auth),
        Class::CallerInvalid if complaint.refuses(reply.status, REFUSALS) => Finding::stated(Class::Policy),
        Class::CallerInvalid => complaint.by_word(OURS, reply.status).map_or(found, Finding::stated),
        Class::Auth if complaint.structured && complaint.mentions(NO_KEY) => Finding::stated(Class::Auth),
        // So many tasks at once may be under way for one account, whichever models draw them.
        Class::RateLimited if job.model.name != OWN_LIMIT => found.at(Scope::Account),
        _ => found,
    };
    complaint.failure(finding, job, reply, our_field)
}

/// Whether it is the key that has the wrong form; it stands in a header, which the checker names as a field.
fn is_about_the_key(complaint: &VendorError) -> bool {
    complaint.mentions(KEY_WORDS) || complaint.field.as_deref().is_some_and(|field| field.ends_with("x-key"))
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
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::adapter::PictureSource;
    use crate::provider::common::fixture::Desk;

    const POLL: &str = "https://api.us1.bfl.ai/v1/get_result?id=t1";

    fn desk() -> Desk {
        Desk::new("bfl", "flux-2-pro", r#"{"prompt":"a red fox","size":"1024x1024"}"#)
    }

    fn read(status: u16, body: &str) -> Step {
        let desk = desk();
        Bfl.read(&desk.job(), &desk.reply(status, body))
    }

    /// The same of a task that has been asked about.
    fn polled(status: u16, body: &str) -> Step {
        let mut desk = desk();
        desk.polled = Some(POLL.parse().unwrap());
        desk.noted = Some(Reported::Cents("3.0".to_owned()));
        Bfl.read(&desk.job(), &desk.reply(status, body))
    }

    fn failed(step: Step) -> Failure {
        match step {
            Step::Failed(failure) => failure,
            other => panic!("{other:?} is no failure"),
        }
    }

    /// The class and the note of a task that was taken on and lost.
    fn lost(step: Step) -> (Class, Option<Reported>) {
        match step {
            Step::Lost { failure, noted } => (failure.class, noted),
            other => panic!("{other:?} is not lost"),
        }
    }

    fn cents(text: &str) -> Option<Reported> {
        Some(Reported::Cents(text.to_owned()))
    }

    #[test]
    fn every_error_has_its_class_and_names_our_field() {
        let invalid = |loc: &str| format!(r#"{{"detail":[{{"loc":{loc},"msg":"bad","type":"value_error"}}]}}"#);
        for (status, body, class, param) in [
            (400, r#"{"detail":"bad"}"#.to_owned(), Class::CallerInvalid, None),
            (400, r#"{"detail":"Request Moderated"}"#.to_owned(), Class::Policy, None),
            (401, r#"{"detail":"Not authenticated"}"#.to_owned(), Class::Auth, None),
            (403, r#"{"detail":"Not authenticated"}"#.to_owned(), Class::Auth, None),
            (402, r#"{"detail":"Insufficient credits"}"#.to_owned(), Class::Quota, None),
            (404, r#"{"detail":"Not Found"}"#.to_owned(), Class::ModelGone, None),
            (404, r#"{"status":"Task not found"}"#.to_owned(), Class::ModelGone, None),
            (422, invalid(r#"["body","prompt"]"#), Class::CallerInvalid, Some("prompt")),
            (422, invalid(r#"["body","Flux2ProInputs","width"]"#), Class::CallerInvalid, Some("size")),
            (422, invalid(r#"["body","input_image_2"]"#), Class::AdapterBug, None),
            (422, invalid(r#"["body","seed"]"#), Class::AdapterBug, None),
            (422, invalid(r#"["body","safety_tolerance"]"#), Class::AdapterBug, None),
            (429, r#"{"error":"rate_limit_exceeded","message":"slow"}"#.to_owned(), Class::RateLimited, None),
            (500, "Internal Server Error".to_owned(), Class::Server, None),
            (503, "upstream connect error".to_owned(), Class::Server, None),
            (422, "<html>".to_owned(), Class::Malformed, None),
            (422, r#"{"detail":"The API key is malformed"}"#.to_owned(), Class::Auth, None),
            (
                422,
                r#"{"detail":[{"loc":["header","x-key"],"msg":"bad","type":"uuid_parsing"}]}"#.to_owned(),
                Class::Auth,
                None,
            ),
            (422, invalid(r#"["body","prompt"]"#).replace("value_error", "missing"), Class::AdapterBug, None),
            (422, invalid(r#"["body","prompt"]"#).replace("value_error", "extra_forbidden"), Class::AdapterBug, None),
            (422, invalid(r#"["body"]"#).replace("value_error", "json_invalid"), Class::AdapterBug, None),
            (200, "<html>".to_owned(), Class::Malformed, None),
            (200, r#"{"status":"Pending","cost":3.0}"#.to_owned(), Class::Malformed, None),
        ] {
            let failure = failed(read(status, &body));
            assert_eq!((failure.class, failure.param.as_deref()), (class, param), "{status} {body}");
        }
    }

    #[test]
    fn every_status_of_a_task_has_its_meaning_and_an_unknown_one_is_asked_about_again() {
        for status in ["Pending", "Reasoning", "Generating", "Task not found", "Dreaming", ""] {
            for (http, key) in [(200, "status"), (200, "state"), (404, "status")] {
                let step = polled(http, &json!({"id": "t1", key: status}).to_string());
                let Step::Again { call, after, cancel, noted } = step else { panic!("{status}: {step:?}") };
                assert_eq!((call.url.as_str(), after, cancel), (POLL, Duration::from_millis(500), None), "{status}");
                assert_eq!(noted, Some(Reported::Cents("3.0".to_owned())), "{status}");
                assert!(call.headers["x-key"].is_sensitive());
            }
        }
        for (status, class) in [
            ("Request Moderated", Class::Policy),
            ("Content Moderated", Class::Policy),
            ("Error", Class::Server),
            ("Failed", Class::Server),
        ] {
            let details = json!({"Moderation Reasons": ["Violence", "Gore"]});
            let failure = failed(polled(200, &json!({"status": status, "details": details}).to_string()));
            assert_eq!((failure.class, failure.billed, failure.ended), (class, 0, true), "{status}");
            assert!(failure.message.contains("Violence"), "{failure}");
        }
        for (http, body) in [
            (200, "{}"),
            (200, "[]"),
            (200, r#"{"status":1}"#),
            (200, r#"{"id":"t1","status":"Rea"#),
            (200, "<html>"),
            (404, r#"{"detail":"Not Found"}"#),
            (500, r#"{"detail":"oops"}"#),
        ] {
            assert!(!failed(polled(http, body)).ended, "{body} is nobody's word on the task");
        }
    }

    #[test]
    fn a_task_that_was_taken_on_and_cannot_be_followed_is_lost_at_the_cost_it_told() {
        for (told, noted) in [
            (r#""polling_url":"get_result","cost":3.0"#, cents("3.0")),
            (r#""polling_url":"https://evil.example/x","cost":7"#, cents("7")),
            (r#""polling_url":"https://user@api.bfl.ai/v1/get_result?id=t1""#, None),
            (r#""polling_url":"https://:secret@api.bfl.ai/v1/get_result?id=t1""#, None),
        ] {
            assert_eq!(lost(read(200, &format!(r#"{{"id":"t1",{told}}}"#))), (Class::Malformed, noted), "{told}");
        }
        assert_eq!(lost(read(200, r#"{"id":"../t1","cost":3.0}"#)), (Class::Malformed, cents("3.0")));
        let empty = json!({"status": "Ready", "result": {"sample": ""}}).to_string();
        assert_eq!(lost(polled(200, &empty)), (Class::Malformed, cents("3.0")));
        assert_eq!(lost(polled(200, r#"{"status":"Ready","cost":4.5}"#)), (Class::Malformed, cents("4.5")));
    }

    #[test]
    fn a_picture_in_the_place_of_its_link_is_taken() {
        let ready = json!({"status": "Ready", "result": {"sample": "data:image/png;base64,QUJD"}}).to_string();
        let Step::Done(drawn) = polled(200, &ready) else { panic!("done") };
        assert!(matches!(drawn.images[0].source, PictureSource::Inline(_)));
    }

    #[test]
    fn the_cost_a_finished_task_tells_counts_before_the_one_it_was_to_have() {
        let done = |more: &str| {
            let body = format!(r#"{{"status":"Ready","result":{{"sample":"https://d.bfl.ai/1"{more}"#);
            let Step::Done(drawn) = polled(200, &body) else { panic!("{body}") };
            (drawn.usage.reported, drawn.images[0].revised_prompt.clone())
        };
        assert_eq!(done("}}"), (cents("3.0"), None));
        assert_eq!(done(r#"},"cost":4.50}"#), (cents("4.50"), None));
        assert_eq!(done(r#"},"cost":null}"#), (cents("3.0"), None));
        assert_eq!(done(r#","prompt":"a red fox"}}"#), (cents("3.0"), None));
        assert_eq!(done(r#","prompt":"a red fox, oil on canvas"}}"#).1.as_deref(), Some("a red fox, oil on canvas"));
        let Step::Again { noted, .. } = polled(200, r#"{"status":"Pending","cost":4}"#) else { panic!("again") };
        assert_eq!(noted, cents("4"));
    }

    #[test]
    fn a_base_may_end_with_the_version_and_a_task_without_an_address_is_asked_about_there() {
        for base in ["https://api.bfl.ai", "https://api.bfl.ai/", "https://api.bfl.ai/v1", "https://api.bfl.ai/v1/"] {
            let mut desk = desk();
            desk.account.base_url = base.parse().unwrap();
            assert_eq!(desk.call().url.as_str(), "https://api.bfl.ai/v1/flux-2-pro", "{base}");
            let reply = desk.reply(200, r#"{"id":"t-1","status":"Pending","webhook_url":"https://hook","cost":3}"#);
            let Step::Again { call, noted, .. } = Bfl.read(&desk.job(), &reply) else { panic!("{base}") };
            assert_eq!(call.url.as_str(), "https://api.bfl.ai/v1/get_result?id=t-1", "{base}");
            assert_eq!(noted, cents("3"));
        }
    }

    #[test]
    fn the_key_goes_to_the_vendors_hosts_and_the_accounts_own_and_nowhere_else() {
        let ask = |base: &str, poll: &str| {
            let mut desk = desk();
            desk.account.base_url = base.parse().unwrap();
            let body = json!({"id": "t1", "polling_url": poll, "cost": 3}).to_string();
            match Bfl.read(&desk.job(), &desk.reply(200, body)) {
                Step::Again { call, .. } => {
                    assert_eq!((call.url.as_str(), call.headers["x-key"] == desk.key()), (poll, true));
                    None
                }
                other => Some(lost(other).0),
            }
        };
        let (vendor, own) = ("https://api.bfl.ai/", "http://proxy.local:8080/bfl/");
        assert_eq!(ask(vendor, "https://api.bfl.example/v1/get_result?id=1"), Some(Class::Malformed));
        let mut named = desk();
        named.account.poll_hosts = vec!["*.bfl.example".parse().unwrap()];
        let body = r#"{"id":"t1","polling_url":"https://api.bfl.example/v1/get_result?id=1"}"#;
        let step = Bfl.read(&named.job(), &named.reply(200, body));
        assert!(matches!(step, Step::Again { call, .. } if call.url.host_str() == Some("api.bfl.example")));
        for (base, poll) in [
            (vendor, "https://api.bfl.ai/v1/get_result?id=1"),
            (vendor, "https://api.us1.bfl.ai/v1/get_result?id=1"),
            (vendor, "https://bfl.ai/x"),
            (own, "http://proxy.local:8080/v1/get_result?id=1"),
            (own, "https://api.eu.bfl.ai/v1/get_result?id=1"),
        ] {
            assert_eq!(ask(base, poll), None, "{base} {poll}");
        }
        for (base, poll) in [
            (vendor, "http://api.bfl.ai/v1/get_result?id=1"),
            (vendor, "https://evil.example/v1/get_result?id=1"),
            (vendor, "https://evilbfl.ai/x"),
            (vendor, "https://api.bfl.ai.evil.example/x"),
            (vendor, "https://api.bfl.ai@evil.example/x"),
            (own, "https://proxy.local:8080/v1/get_result?id=1"),
            (own, "http://proxy.local/v1/get_result?id=1"),
            (own, "http://proxy.local:8081/v1/get_result?id=1"),
            (own, "file:///etc/passwd"),
        ] {
            assert_eq!(ask(base, poll), Some(Class::Malformed), "{base} {poll}");
        }
        let mut moved = desk();
        moved.polled = Some("https://evil.example/x".parse().unwrap());
        let step = Bfl.read(&moved.job(), &moved.reply(200, r#"{"status":"Pending"}"#));
        assert_eq!(failed(step).class, Class::Malformed, "wherever the address comes from");
    }

    #[test]
    fn the_cost_is_noted_digit_for_digit_where_it_is_told() {
        for (cost, noted) in [
            ("3.0", Some("3.0")),
            ("0.1000000001", Some("0.1000000001")),
            ("null", None),
            ("-1", None),
            ("\"3\"", None),
        ] {
            let step = read(200, &format!(r#"{{"id":"t1","polling_url":"{POLL}","cost":{cost},"output_mp":1.05}}"#));
            let Step::Again { noted: found, .. } = step else { panic!("{step:?}") };
            assert_eq!(found, noted.map(|text| Reported::Cents(text.to_owned())), "{cost}");
        }
    }

    #[test]
    fn each_model_is_sent_only_what_it_takes() {
        let wish = r#"{"prompt":"a fox","size":"1024x1024","seed":7,"quality":"high","output_format":"jpeg","user":"u",
            "output_compression":80,"background":"opaque","moderation":"low","style":"vivid","complexity":"low"}"#;
        let common = json!({"prompt": "a fox", "seed": 7, "output_format": "jpeg"});
        let with = |more: Value| {
            let mut body = common.clone();
            body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            body
        };
        for (model, more) in [
            ("flux-2-pro", json!({"width": 1024, "height": 1024})),
            ("flux-pro-1.1", json!({"width": 1024, "height": 1024})),
            ("flux-dev", json!({"width": 1024, "height": 1024})),
            ("something-new", json!({"width": 1024, "height": 1024})),
            ("flux-pro-1.1-ultra", json!({"aspect_ratio": "1:1"})),
            ("flux-kontext-pro", json!({"aspect_ratio": "1:1"})),
        ] {
            assert_eq!(Desk::new("bfl", model, wish).body(), with(more), "{model}");
        }
        let [one, two] = ["image 0", "image 1"].map(|bytes| wire::base64(bytes.as_bytes()));
        let body = Desk::new("bfl", "flux-2-max", wish).editing(2, false).body();
        let pictures = json!({"width": 1024, "height": 1024, "input_image": one, "input_image_2": two});
        assert_eq!(body, with(pictures));
        let body = Desk::new("bfl", "flux-kontext-max", wish).editing(1, false).body();
        assert_eq!(body, with(json!({"aspect_ratio": "1:1", "input_image": one})));
        let fill = Desk::new("bfl", "flux-pro-1.0-fill", wish).editing(1, true).body();
        assert_eq!(fill, with(json!({"image": one, "mask": wire::base64(b"mask white")})));
        let fill = Desk::new("bfl", "flux-pro-1.0-fill", wish).editing(1, false).body();
        assert_eq!(fill, with(json!({"image": one})), "the vendor looks for transparency in the picture");
    }

    #[test]
    fn the_configs_options_have_the_last_word() {
        let mut desk = desk();
        desk.model.options = [("disable_pup", json!(true)), ("width", json!(512))]
            .into_iter()
            .map(|(field, value)| (field.to_owned(), value))
            .collect();
        let wanted = json!({"prompt": "a red fox", "width": 512, "height": 1024, "disable_pup": true});
        assert_eq!(desk.body(), wanted);
    }
}
