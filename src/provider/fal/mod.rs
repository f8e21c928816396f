//! fal.ai's queue: submit, ask how it stands, fetch the result, cancel (PROVIDERS.md section 9.2).
//!
//! The queue answers with the addresses to go on with, whose paths are not the ones that were posted to. They are
//! followed only on the account's own host or on fal's, because the key goes with them; anything else is a malformed
//! reply. Which of its replies is being read is seen by its content: a queue's has a `status`, a result has pictures.
//! `COMPLETED` only says that there is a result, which may be an error; the model's error is the end of a request, an
//! error in getting at it is not. What an endpoint takes is in `models.rs`, its inputs are written in `body.rs`, results
//! and errors are read in `reply.rs`.

use std::time::Duration;

use http::Method;
use serde_json::Value;
use url::Url;

use crate::capabilities::{BilledSize, Capabilities, ModelDefaults};
use crate::config::plan::{Account, Model};
use crate::failure::{Class, Failure};
use crate::provider::adapter::{Adapter, Call, Job, Reply, Step};
use crate::provider::common::addresses;
use crate::provider::common::headers;
use crate::provider::common::json::Json;
use crate::provider::common::key_hosts;
use crate::provider::common::vendor_error::{VendorError, malformed, told};

mod body;
pub(in crate::provider) mod models;
pub(in crate::provider) mod reply;

/// fal.ai's own queue.
pub struct Fal;

/// Where fal's hosts are that the key may go to.
const FAL_DOMAIN: &str = "fal.run";

/// How long to wait before the first look, and before every further one.
const FIRST_LOOK: Duration = Duration::from_millis(500);
const NEXT_LOOK: Duration = Duration::from_secs(1);

impl Adapter for Fal {
    fn name(&self) -> &'static str {
        "fal"
    }

    fn default_base_url(&self) -> Option<&'static str> {
        Some("https://queue.fal.run/")
    }

    fn needs_key(&self) -> bool {
        true
    }

    fn known_models(&self) -> &'static [&'static str] {
        &models::NAMES
    }

    fn download_hosts(&self) -> &'static [&'static str] {
        &["fal.media", "*.fal.media"]
    }

    fn capabilities(&self, _: &Account, model: &str) -> Capabilities {
        models::capabilities(model)
    }

    /// fal bills the megapixels that its result tells; where it tells none, those of the picture.
    fn usual(&self, _: &Account, _: &Model) -> ModelDefaults {
        ModelDefaults { billed: BilledSize::Drawn, ..ModelDefaults::default() }
    }

    fn ask(&self, job: &Job<'_>) -> Result<Call, Failure> {
        let url = addresses::address(&job.account.base_url, job.model.name.split('/'))?;
        let mut headers = headers::call_headers(job.account, "authorization", "Key ")?;
        // The queue would retry a failed picture up to ten times behind our back.
        headers::add_header(&mut headers, "x-fal-no-retry", "1");
        // What has not been started by the time nobody waits any more is not started, and not charged.
        let left = job.time_left.as_secs().max(1);
        headers::add_header(&mut headers, "x-fal-request-timeout", &left.to_string());
        Ok(Call::post_json(url, headers, &Value::Object(body::input(job))))
    }

    fn read(&self, job: &Job<'_>, reply: &Reply) -> Step {
        if !(200..300).contains(&reply.status) {
            return Step::Failed(reply::failure(job, reply, &VendorError::read(&reply.body)));
        }
        let json = match Json::read(&reply.body) {
            Ok(json) => json,
            Err(error) => return Step::Failed(malformed(job, reply, &format!("is not JSON ({error})"))),
        };
        let has_pictures = json.get("images").or_else(|| json.get("image")).is_some();
        match json.text_at("status").filter(|_| !has_pictures) {
            None => reply::result(job, reply, &json),
            Some("COMPLETED") => completed(job, reply, &json).unwrap_or_else(|why| astray(&json, why)),
            Some(status @ ("CANCELLED" | "FAILED" | "ERROR")) => {
                let said = VendorError::from_json(&json).message;
                Step::Failed(Failure::new(Class::Server, told(job, &format!("{status}: {said}"))).at_the_end())
            }
            // `IN_QUEUE`, `IN_PROGRESS`, and whatever is added to them later.
            Some(_) => waiting(job, reply, &json).unwrap_or_else(|why| astray(&json, why)),
        }
    }
}

/// A request that can't be followed: the queue has it and may draw it, unless that is the queue's own word on its end.
fn astray(json: &Json<'_>, failure: Failure) -> Step {
    let taken_on = json.text_at("request_id").or_else(|| json.text_at("status_url")).is_some();
    if failure.ended || !taken_on { Step::Failed(failure) } else { Step::Lost { failure, noted: None } }
}

/// The next look at a request that is not finished, and how to stop it.
fn waiting(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Result<Step, Failure> {
    let headers = headers::call_headers(job.account, "authorization", "Key ")?;
    let call = Call::get(address(job, reply, json, "status_url", &["status"])?, headers.clone());
    // Only has an effect before the drawing starts; afterwards it is answered and ignored.
    let mut cancel = Call::get(address(job, reply, json, "cancel_url", &["cancel"])?, headers);
    cancel.method = Method::PUT;
    // Accepting is answered with 200, a look at unfinished work with 202.
    let after = if reply.status == 202 { NEXT_LOOK } else { FIRST_LOOK };
    Ok(Step::Again { call, after, cancel: Some(cancel), noted: None })
}

/// The result is there: it is fetched, unless the queue says already that its own machinery failed. What a model
/// complains of is told in full by its result only.
fn completed(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Result<Step, Failure> {
    if let Some(failure) = reply::failed_machinery(job, json) {
        return Err(failure);
    }
    let headers = headers::call_headers(job.account, "authorization", "Key ")?;
    let call = Call::get(address(job, reply, json, "response_url", &[])?, headers);
    Ok(Step::Again { call, after: Duration::ZERO, cancel: None, noted: None })
}

/// The address that the reply gives as `field`, or the one that fal's document describes: the first two parts of the
/// model's name, the request's id, and `tail`.
fn address(job: &Job<'_>, reply: &Reply, json: &Json<'_>, field: &str, tail: &[&str]) -> Result<Url, Failure> {
    if let Some(text) = json.text_at(field) {
        let elsewhere = || malformed(job, reply, &format!("has a {field} that the key must not go to"));
        return Url::parse(text)
            .ok()
            .filter(|url| key_hosts::may_have_the_key(job.account, url, FAL_DOMAIN))
            .ok_or_else(elsewhere);
    }
    let id = json
        .text_at("request_id")
        .filter(|id| addresses::is_plain_id(id))
        .ok_or_else(|| malformed(job, reply, &format!("has neither a {field} nor a request_id")))?;
    let path = job.model.name.split('/').take(2).chain(["requests", id]).chain(tail.iter().copied());
    addresses::address(&job.account.base_url, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::common::fixture::JobFixture;

    const SCHNELL: &str = "fal-ai/flux/schnell";
    const ROOT: &str = "https://queue.fal.run/fal-ai/flux/requests/7a1f";

    fn fixture() -> JobFixture {
        JobFixture::new("fal", SCHNELL, r#"{"prompt":"a red fox","n":2}"#)
    }

    fn status(word: &str, root: &str) -> String {
        format!(
            r#"{{"status":"{word}","request_id":"7a1f","queue_position":0,"response_url":"{root}",
                "status_url":"{root}/status","cancel_url":"{root}/cancel"}}"#
        )
    }

    fn read_at(base: &str, http: u16, body: &str) -> Step {
        let mut fixture = fixture();
        fixture.account.base_url = base.parse().unwrap();
        Fal.read(&fixture.job(), &fixture.reply(http, body))
    }

    fn read(http: u16, body: &str) -> Step {
        read_at("https://queue.fal.run/", http, body)
    }

    #[test]
    fn a_request_is_queued_without_retries_and_started_in_time_or_not_at_all() {
        let mut fixture = fixture();
        fixture.time_left = Duration::from_millis(10_900);
        let call = fixture.call();
        assert_eq!(call.url.as_str(), "https://queue.fal.run/fal-ai/flux/schnell");
        assert_eq!(
            (&call.headers["x-fal-no-retry"], &call.headers["x-fal-request-timeout"]),
            (&"1".parse().unwrap(), &"10".parse().unwrap())
        );
        assert_eq!(call.headers["authorization"], format!("Key {}", fixture.key()));
        fixture.time_left = Duration::from_millis(300);
        assert_eq!(fixture.call().headers["x-fal-request-timeout"], "1", "fal takes no less");
    }

    #[test]
    fn a_request_is_looked_at_where_the_queue_says_and_can_be_stopped() {
        for (http, word, millis) in [(200, "IN_QUEUE", 500), (202, "IN_PROGRESS", 1000), (202, "THINKING", 1000)] {
            let Step::Again { call, after, cancel: Some(cancel), .. } = read(http, &status(word, ROOT)) else {
                panic!("{word}")
            };
            assert_eq!((call.method, call.url.as_str()), (Method::GET, format!("{ROOT}/status").as_str()));
            assert_eq!(after, Duration::from_millis(millis));
            assert_eq!((cancel.method, cancel.url.as_str()), (Method::PUT, format!("{ROOT}/cancel").as_str()));
            assert!(call.headers["authorization"].is_sensitive() && cancel.headers["authorization"].is_sensitive());
        }
    }

    #[test]
    fn a_completed_request_is_fetched_at_once_and_there_is_nothing_to_cancel() {
        let Step::Again { call, after, cancel, .. } = read(200, &status("COMPLETED", ROOT)) else { panic!("again") };
        assert_eq!((call.url.as_str(), after, cancel), (ROOT, Duration::ZERO, None));
    }

    #[test]
    fn addresses_that_are_not_told_are_built_below_the_account() {
        let base = "http://127.0.0.1:4100/fal/";
        let Step::Again { call, cancel: Some(cancel), .. } =
            read_at(base, 202, r#"{"status":"IN_QUEUE","request_id":"7a1f"}"#)
        else {
            panic!("again")
        };
        assert_eq!(call.url.as_str(), "http://127.0.0.1:4100/fal/fal-ai/flux/requests/7a1f/status");
        assert_eq!(cancel.url.as_str(), "http://127.0.0.1:4100/fal/fal-ai/flux/requests/7a1f/cancel");
        let Step::Again { call, .. } = read_at(base, 200, r#"{"status":"COMPLETED","request_id":"7a1f"}"#) else {
            panic!("again")
        };
        assert_eq!(call.url.as_str(), "http://127.0.0.1:4100/fal/fal-ai/flux/requests/7a1f");
        let Step::Failed(failure) = read(200, r#"{"status":"IN_QUEUE"}"#) else {
            panic!("nothing says that it has it")
        };
        assert_eq!(failure.class, Class::Malformed);
        let Step::Lost { failure, noted: None } = read(200, r#"{"status":"COMPLETED","request_id":"../x"}"#) else {
            panic!("lost")
        };
        assert_eq!(failure.class, Class::Malformed);
    }

    #[test]
    fn the_key_goes_to_the_accounts_own_host_and_to_fal_only() {
        let base = "http://127.0.0.1:4100/fal/";
        for (root, allowed) in [
            ("http://127.0.0.1:4100/fal/fal-ai/flux/requests/1", true),
            ("https://queue.fal.run/fal-ai/flux/requests/1", true),
            ("https://eu.queue.fal.run/fal-ai/flux/requests/1", true),
            ("http://127.0.0.1:4101/fal-ai/flux/requests/1", false),
            ("https://127.0.0.1:4100/fal-ai/flux/requests/1", false),
            ("http://queue.fal.run/fal-ai/flux/requests/1", false),
            ("https://queue.fal.run:8443/fal-ai/flux/requests/1", false),
            ("https://queue.fal.run.evil.example/requests/1", false),
            ("https://evilfal.run/requests/1", false),
            ("https://evil.example/?.fal.run", false),
            ("fal-ai/flux/requests/1", false),
        ] {
            for word in ["IN_QUEUE", "COMPLETED"] {
                let step = read_at(base, 200, &status(word, root));
                assert_eq!(matches!(step, Step::Again { .. }), allowed, "{root}: {step:?}");
                if !allowed {
                    let Step::Lost { failure, .. } = step else { panic!("{root}: the queue has it all the same") };
                    assert_eq!(failure.class, Class::Malformed, "{root}");
                }
            }
        }
    }

    #[test]
    fn a_queue_that_gave_up_is_not_asked_again() {
        for body in [
            r#"{"status":"COMPLETED","request_id":"7a1f","error":"Runner disconnected","error_type":"runner_disconnected"}"#,
            r#"{"status":"CANCELLED","request_id":"7a1f"}"#,
            r#"{"status":"FAILED","request_id":"7a1f","error":"lost"}"#,
        ] {
            let Step::Failed(failure) = read(200, body) else { panic!("{body}") };
            assert_eq!((failure.class, failure.ended), (Class::Server, true), "{body}");
        }
        let refused =
            r#"{"status":"COMPLETED","request_id":"7a1f","error":"flagged","error_type":"content_policy_violation"}"#;
        assert!(matches!(read(200, refused), Step::Again { .. }), "the result says which field and what it costs");
    }
}
