//! A job at an OpenAI-compatible server: its first answer names it, and it is asked about until its pictures are there.
//!
//! Which words mean what is the dialect's `poll`; a state in none of its lists means asking again, and the provider's
//! timeout bounds the asking. The key goes with every question, so an address out of an answer is followed only to the
//! account's own origin and to the hosts that the config names. Only a job's own state ends it: one that was taken on and
//! cannot be followed is lost, and may be billed.

use crate::config::plan::{AskAt, Poll};
use crate::failure::{Class, Failure};
use crate::provider::adapter::{Call, Job, Reply, Reported, Step};
use crate::provider::common::addresses;
use crate::provider::common::json::Json;
use crate::provider::common::key_hosts;
use crate::provider::common::vendor_error::{VendorError, malformed, told};
use crate::provider::compatible::endpoint_and_headers::{endpoint, headers};
use crate::provider::openai;

/// What stands for the job's id in a path.
const ID: &str = "{id}";

/// What a reply to the first call or to a question about its job means.
pub fn read(job: &Job<'_>, reply: &Reply, poll: &Poll) -> Step {
    if !(200..300).contains(&reply.status) {
        return openai::reply::read(job, reply);
    }
    let json = match Json::read(&reply.body) {
        Ok(json) => json,
        Err(error) => return Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
    };
    let state = json.at(&poll.status).and_then(as_text);
    let is_in = |words: &[String]| state.as_ref().is_some_and(|state| words.contains(state));
    if is_in(&poll.done) {
        return done(job, reply, &json);
    }
    if is_in(&poll.failed) || is_in(&poll.refused) {
        return Step::Failed(ended(job, &json, poll, is_in(&poll.refused), &state.unwrap_or_default()));
    }
    match state {
        // What says how it stands was taken on, whether or not it can be followed.
        Some(_) => again(job, reply, &json, poll).unwrap_or_else(|failure| lost(job, reply, &json, failure)),
        None => stateless(job, reply, &json, poll),
    }
}

/// A job that may be drawn and billed, and is not heard of again.
fn lost(job: &Job<'_>, reply: &Reply, json: &Json<'_>, failure: Failure) -> Step {
    Step::Lost { failure, noted: told_cost(job, reply, json) }
}

/// What the vendor said of the cost, now or before.
fn told_cost(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Option<Reported> {
    openai::pictures_and_usage::reported_cost(&job.account.dialect, reply, json).or_else(|| job.noted.cloned())
}

/// The pictures; what the vendor said of the cost before counts where it says nothing now.
fn done(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
    match openai::pictures_and_usage::drawn(job, reply, json) {
        Ok(mut drawn) => {
            drawn.usage.reported = told_cost(job, reply, json);
            Step::Done(drawn)
        }
        Err(failure) if job.polled.is_some() => lost(job, reply, json, failure),
        Err(failure) => Step::Failed(failure),
    }
}

/// An answer without a state: the pictures at once, a job that does not say how it stands, or an error.
fn stateless(job: &Job<'_>, reply: &Reply, json: &Json<'_>, poll: &Poll) -> Step {
    match done(job, reply, json) {
        Step::Failed(failure) => again(job, reply, json, poll).unwrap_or(Step::Failed(failure)),
        Step::Lost { .. } => Step::Failed(malformed(job, reply, "does not say how the job stands")),
        drawn => drawn,
    }
}

/// A job that ended without pictures. The vendor's own words decide whether its content was refused.
fn ended(job: &Job<'_>, json: &Json<'_>, poll: &Poll, refused: bool, state: &str) -> Failure {
    let why = poll.error.as_deref().and_then(|path| json.at(path)).unwrap_or(json);
    let vendor_error = VendorError::from_json(why);
    let class = match refused {
        true => Class::Policy,
        false => openai::errors::class_of_words(&vendor_error).unwrap_or(Class::Server),
    };
    let head = told(job, &format!("{state} {}", vendor_error.words.join(" ")));
    Failure::new(class, head).with_reason(&told(job, &vendor_error.message)).at_the_end()
}

/// The next question.
fn again(job: &Job<'_>, reply: &Reply, json: &Json<'_>, poll: &Poll) -> Result<Step, Failure> {
    let base = &job.account.base_url;
    let url = match (job.polled, &poll.at) {
        (Some(url), _) => url.clone(),
        (None, AskAt::Path { id, path }) => {
            let id = json.at(id).and_then(as_text).filter(|id| addresses::is_plain_id(id));
            let id = id.ok_or_else(|| malformed(job, reply, "names no job"))?;
            endpoint(base, &path.replace(ID, &id))?
        }
        (None, AskAt::Url { url, hosts }) => {
            let address = json.at(url).and_then(Json::text).filter(|text| !text.is_empty());
            let address = address.and_then(|text| base.join(text).ok());
            let address = address.ok_or_else(|| malformed(job, reply, "has no address to ask at"))?;
            if !key_hosts::may_be_asked(job.account, &address, hosts) {
                return Err(malformed(job, reply, "has an address to ask at that must not get the key"));
            }
            address
        }
    };
    let call = Call::get(url, headers(job.account)?);
    Ok(Step::Again { call, after: poll.every, cancel: None, noted: told_cost(job, reply, json) })
}

/// A word as a vendor may write it: some states and ids are numbers.
fn as_text(json: &Json<'_>) -> Option<String> {
    match json {
        Json::Text(text) => Some(text.to_string()),
        Json::Number(number) => Some(number.to_string()),
        Json::Bool(flag) => Some(flag.to_string()),
        Json::Null | Json::Long(_) | Json::List(_) | Json::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::provider::common::fixture::JobFixture;

    fn poll(at: AskAt) -> Poll {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Poll {
            at,
            status: "job.state".to_owned(),
            done: words(&["succeeded", "2"]),
            failed: words(&["failed", "cancelled"]),
            refused: words(&["blocked"]),
            error: Some("error.message".to_owned()),
            every: Duration::from_millis(700),
        }
    }

    fn by_id() -> JobFixture {
        fixture(AskAt::Path { id: "job.id".to_owned(), path: "jobs/{id}?full=1".to_owned() })
    }

    fn by_url() -> JobFixture {
        let hosts = ["*.acme.example", "queue.example"].iter().map(|host| host.parse().unwrap()).collect();
        fixture(AskAt::Url { url: "status_url".to_owned(), hosts })
    }

    fn fixture(at: AskAt) -> JobFixture {
        let mut fixture = JobFixture::new("openai_compatible", "m", r#"{"prompt":"a red fox","n":2}"#);
        fixture.account.dialect.list = "output.images".to_owned();
        fixture.account.dialect.cost_at = Some("cost".to_owned());
        fixture.account.dialect.poll = Some(poll(at));
        fixture
    }

    fn read(fixture: &JobFixture, status: u16, body: &str) -> Step {
        fixture.provider.read(&fixture.job(), &fixture.reply(status, body))
    }

    fn polled(mut fixture: JobFixture) -> JobFixture {
        fixture.polled = Some("https://server.example/prefix/v1/jobs/j-1".parse().unwrap());
        fixture
    }

    /// Where the next question goes.
    fn asked(step: Step) -> String {
        match step {
            Step::Again { call, after, cancel: None, .. } => {
                assert_eq!((call.method, after), (http::Method::GET, Duration::from_millis(700)));
                assert!(call.headers["authorization"].is_sensitive());
                call.url.into()
            }
            other => panic!("{other:?}"),
        }
    }

    fn class(step: Step) -> Class {
        match step {
            Step::Failed(failure) | Step::Lost { failure, .. } => failure.class,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_job_is_asked_about_by_its_id_below_the_base_and_stays_at_that_address() {
        for (id, part) in [(r#""j_1""#, "j_1"), ("17", "17")] {
            let body = format!(r#"{{"job":{{"id":{id},"state":"queued"}}}}"#);
            let url = format!("https://server.example/prefix/v1/jobs/{part}?full=1");
            assert_eq!(asked(read(&by_id(), 202, &body)), url);
        }
        assert_eq!(
            asked(read(&by_id(), 200, r#"{"job":{"id":"j"}}"#)),
            "https://server.example/prefix/v1/jobs/j?full=1"
        );
        for state in ["queued", "3", "who knows"] {
            let body = format!(r#"{{"job":{{"id":"other","state":"{state}"}}}}"#);
            assert_eq!(asked(read(&polled(by_id()), 200, &body)), "https://server.example/prefix/v1/jobs/j-1");
        }
        for id in [r#""../../x""#, r#""""#, r#""a/b""#, "null", "{}"] {
            let body = format!(r#"{{"job":{{"id":{id},"state":"queued"}}}}"#);
            assert_eq!(class(read(&by_id(), 202, &body)), Class::Malformed, "{id}");
        }
    }

    #[test]
    fn the_key_goes_to_an_address_of_the_answer_only_where_the_config_lets_it() {
        let ask =
            |address: &str| read(&by_url(), 202, &format!(r#"{{"status_url":"{address}","job":{{"state":"q"}}}}"#));
        for (address, url) in [
            ("/v1/jobs/1", "https://server.example/v1/jobs/1"),
            ("https://server.example/x", "https://server.example/x"),
            ("https://eu.acme.example/x", "https://eu.acme.example/x"),
            ("https://queue.example/x", "https://queue.example/x"),
        ] {
            assert_eq!(asked(ask(address)), url);
        }
        for address in [
            "http://server.example/x",
            "https://server.example:8443/x",
            "http://queue.example/x",
            "https://queue.example:444/x",
            "https://acme.example/x",
            "https://evilacme.example/x",
            "https://queue.example.evil.example/x",
            "file:///etc/passwd",
            "",
        ] {
            assert_eq!(class(ask(address)), Class::Malformed, "{address}");
        }
        assert_eq!(class(read(&by_url(), 202, r#"{"job":{"state":"q"}}"#)), Class::Malformed);
    }

    #[test]
    fn a_done_job_has_its_pictures_and_the_price_that_was_told_last() {
        let pictures = |state: &str, cost: &str| {
            format!(r#"{{"job":{{"state":{state}}},"output":{{"images":["QUJD","QUJD","QUJD"]}},"cost":{cost}}}"#)
        };
        let mut fixture = polled(by_id());
        fixture.noted = Some(Reported::Dollars("0.01".to_owned()));
        for (cost, told) in [("null", "0.01"), ("0.02", "0.02")] {
            let Step::Done(drawn) = read(&fixture, 200, &pictures("\"succeeded\"", cost)) else { panic!() };
            assert_eq!((drawn.images.len(), drawn.usage.reported), (3, Some(Reported::Dollars(told.to_owned()))));
        }
        assert!(matches!(read(&fixture, 200, &pictures("2", "1")), Step::Done(_)));
        // Done at once, with and without saying so.
        assert!(matches!(read(&by_id(), 200, &pictures("\"succeeded\"", "1")), Step::Done(_)));
        assert!(matches!(read(&by_id(), 200, r#"{"output":{"images":["QUJD"]}}"#), Step::Done(_)));
        let Step::Again { noted, .. } = read(&by_id(), 202, r#"{"job":{"id":"j","state":"q"},"cost":0.03}"#) else {
            panic!()
        };
        assert_eq!(noted, Some(Reported::Dollars("0.03".to_owned())));
        assert_eq!(
            class(read(&fixture, 200, r#"{"job":{"state":"succeeded"},"output":{"images":[]}}"#)),
            Class::Malformed
        );
    }

    #[test]
    fn a_job_that_failed_says_why_in_its_words() {
        for (state, error, wanted) in [
            ("failed", r#"{"message":"out of memory"}"#, Class::Server),
            ("cancelled", "null", Class::Server),
            ("failed", r#"{"message":"Rejected by our safety system."}"#, Class::Policy),
            ("blocked", r#"{"message":"no"}"#, Class::Policy),
        ] {
            let body = format!(r#"{{"job":{{"id":"j","state":"{state}"}},"error":{error}}}"#);
            for fixture in [by_id(), polled(by_id())] {
                let Step::Failed(failure) = read(&fixture, 200, &body) else { panic!("{body}") };
                assert_eq!((failure.class, failure.ended), (wanted, true), "{body}");
            }
        }
        let mut fixture = polled(by_id());
        fixture.account.dialect.poll.as_mut().unwrap().error = None;
        let body = r#"{"job":{"state":"failed"},"error":{"code":"content_policy_violation"}}"#;
        assert_eq!(class(read(&fixture, 200, body)), Class::Policy);
    }

    #[test]
    fn what_was_taken_on_and_cannot_be_followed_is_lost_and_what_says_nothing_is_no_end_of_a_job() {
        let noted = |step| match step {
            Step::Lost { noted, .. } => noted,
            other => panic!("{other:?}"),
        };
        let told = Some(Reported::Dollars("0.03".to_owned()));
        assert_eq!(noted(read(&by_id(), 202, r#"{"job":{"state":"queued"},"cost":0.03}"#)), told);
        let ready = r#"{"job":{"state":"succeeded"},"cost":0.03,"output":{"images":[]}}"#;
        assert_eq!(noted(read(&polled(by_id()), 200, ready)), told);
        for body in ["<html>", r#"{"job":{}}"#] {
            for fixture in [by_id(), polled(by_id())] {
                let Step::Failed(failure) = read(&fixture, 200, body) else { panic!("{body}") };
                assert_eq!((failure.class, failure.ended), (Class::Malformed, false), "{body}");
            }
        }
        assert_eq!(class(read(&by_id(), 200, r#"{"error":{"code":"insufficient_quota"}}"#)), Class::Quota);
        assert_eq!(class(read(&by_id(), 429, "{}")), Class::RateLimited);
    }
}
