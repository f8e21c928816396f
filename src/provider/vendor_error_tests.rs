//! The table of vendors' errors: what each documented answer is taken for, who is paused by it, how wide and for how
//! long, and whether the next offer is asked. Compiled for tests only.
//!
//! The rows are PROVIDERS.md's, plus answers that were seen in the field. Each is read by its provider and handed to the
//! breakers as the gateway does it.

use std::time::{Duration, Instant};

use crate::breaker::{BreakerTarget, Breakers, ModelOperation};
use crate::config::plan::Breaker;
use crate::failure::{Class, Failure};
use crate::provider::adapter::Step;
use crate::provider::common::fixture::JobFixture;

mod azure;
mod bfl;
mod compatible;
mod dashscope;
mod fal;
mod google;
mod openai;
mod openrouter;
mod replicate;
mod stability;
mod waiting_times;

const LIMITS: Breaker = Breaker {
    failures: 5,
    window: Duration::from_secs(30),
    pause: Duration::from_secs(20),
    max_pause: Duration::from_secs(300),
};

/// What an answer leads to, in one line: `class | who is paused, why, for how many seconds | what is next`.
///
/// `account`, `model` and `operation` are how wide the pause is; `counts` is none, but one failure of the operation;
/// `-` is nothing at all. `next` is another offer; `back` is the answer to the client; `last` is another offer first,
/// and the answer to the client if none draws.
fn verdict(failure: &Failure) -> String {
    let next = match failure.class {
        Class::Policy => "back",
        Class::CallerInvalid if failure.is_the_callers() => "back",
        Class::CallerInvalid => "last",
        _ => "next",
    };
    format!("{} | {} | {next}", failure.class.as_str(), pause(failure))
}

fn pause(failure: &Failure) -> String {
    let now = Instant::now();
    let asked = |model, operation| BreakerTarget { provider: "p", account: 1, model, operation };
    let fail = |breakers: &std::sync::Arc<Breakers>| {
        let pass = breakers.pass(asked("m", ModelOperation::Generate), now).unwrap();
        pass.failed(failure, LIMITS, 0, now)
    };
    let breakers = Breakers::new();
    let Some(paused_until) = fail(&breakers) else {
        let tripped = (0..4).any(|_| fail(&breakers).is_some());
        return if tripped { "counts" } else { "-" }.to_owned();
    };
    let hit = |model, operation| breakers.paused_until(asked(model, operation), now).is_some();
    let elsewhere = BreakerTarget { account: 2, ..asked("m", ModelOperation::Generate) };
    assert!(breakers.paused_until(elsewhere, now).is_none(), "another key has nothing to do with it");
    let width = match (hit("other", ModelOperation::Generate), hit("m", ModelOperation::Edit)) {
        (true, true) => "account",
        (false, true) => "model",
        (_, false) => "operation",
    };
    format!("{width} {} {}", paused_until.pause.as_str(), (paused_until.until - now).as_secs())
}

/// Reads a row's answer. The request has a prompt and a size of the caller's own.
fn read(kind: &str, model: &str, status: u16, retry_after: &str, body: &str) -> Failure {
    let fixture = JobFixture::new(kind, model, r#"{"prompt":"a red fox","size":"1024x1024"}"#);
    let reply = fixture.reply(status, body);
    let reply = if retry_after.is_empty() { reply } else { reply.with("retry-after", retry_after) };
    match fixture.provider.read(&fixture.job(), &reply) {
        Step::Failed(failure) => failure,
        other => panic!("{kind} {status} {body}: {other:?}"),
    }
}

/// One row: status, `retry-after`, body, verdict.
type BlameCase<'a> = (u16, &'a str, &'a str, &'a str);

fn check(kind: &str, model: &str, rows: &[BlameCase<'_>]) {
    let wrong: Vec<String> = rows
        .iter()
        .map(|(status, after, body, wanted)| (read(kind, model, *status, after, body), status, body, wanted))
        .map(|(failure, status, body, wanted)| (verdict(&failure), status, body, wanted))
        .filter(|(told, _, _, wanted)| told != *wanted)
        .map(|(told, status, body, wanted)| format!("{status} {body}\n  is     {told}\n  wanted {wanted}"))
        .collect();
    assert!(wrong.is_empty(), "{kind} {model}:\n{}", wrong.join("\n"));
}

const REFUSED: &str = "refused | - | back";
const BACK: &str = "caller_invalid | - | back";
const LAST: &str = "caller_invalid | - | last";
const OURS: &str = "adapter_bug | - | next";
const NO_KEY: &str = "auth | account auth 60 | next";
const NOT_THIS_MODEL: &str = "auth | model auth 60 | next";
const NO_MONEY: &str = "quota | account quota 300 | next";
const MAYBE_AUTH: &str = "auth | counts | next";
const MAYBE_GONE: &str = "model_gone | counts | next";
const GONE: &str = "model_gone | operation model_gone 600 | next";
const SILENT: &str = "timeout | counts | next";
const TROUBLE: &str = "server_error | counts | next";
const PAGE: &str = "<html><h1>Access denied</h1></html>";

/// What every kind makes of what any proxy on the way may say.
#[test]
fn a_page_on_the_way_is_one_failure_of_one_operation_and_no_more() {
    for (kind, model) in [
        ("openai", "gpt-image-2"),
        ("azure", "gpt-image-1"),
        ("openai_compatible", "any"),
        ("stability", "core"),
        ("stability", "stable-diffusion-xl-1024-v1-0"),
        ("replicate", "black-forest-labs/flux-schnell"),
        ("openrouter", "openai/gpt-image-2"),
        ("dashscope", "qwen-image-2.0"),
        ("fal", "fal-ai/flux/schnell"),
        ("google", "gemini-3-pro-image"),
        ("bfl", "flux-2-pro"),
    ] {
        check(
            kind,
            model,
            &[
                (400, "", PAGE, "malformed | counts | next"),
                (401, "", PAGE, MAYBE_AUTH),
                (402, "", PAGE, "quota | counts | next"),
                (403, "", PAGE, MAYBE_AUTH),
                (403, "", "", MAYBE_AUTH),
                (404, "", PAGE, MAYBE_GONE),
                (404, "", "", MAYBE_GONE),
                (413, "", PAGE, "malformed | counts | next"),
                (422, "", PAGE, "malformed | counts | next"),
                (500, "", PAGE, TROUBLE),
                (502, "", PAGE, TROUBLE),
                (503, "", PAGE, TROUBLE),
                (503, "7", PAGE, "server_error | operation overloaded 7 | next"),
            ],
        );
    }
}

#[test]
fn an_answer_in_no_table_goes_on_to_the_next_offer() {
    for (kind, model) in [("openai", "gpt-image-2"), ("openai_compatible", "any"), ("openrouter", "openai/gpt-image-2")]
    {
        let body = r#"{"error":{"message":"a teapot","type":"teapot","param":null,"code":"short_and_stout"}}"#;
        let rows: Vec<BlameCase<'_>> =
            [400, 412, 418, 422, 424, 428, 431, 451].map(|status| (status, "", body, LAST)).into();
        check(kind, model, &rows);
    }
}

#[test]
fn a_reason_is_the_vendors_sentence_without_its_codes_and_the_key() {
    let body =
        r#"{"error":{"message":"No key key-0123456789abcdef reads (red:1.3)","type":"t","param":null,"code":"c"}}"#;
    let failure = read("openai", "gpt-image-2", 400, "", body);
    assert_eq!(failure.reason(), Some("No key *** reads (red:1.3)"));
    assert_eq!(failure.message, "HTTP 400 t c: No key *** reads (red:1.3)");
}

#[test]
fn what_the_route_put_into_a_request_is_not_the_callers_mistake() {
    let body =
        |field: &str| format!(r#"{{"error":{{"message":"m","type":"t","param":"{field}","code":"invalid_value"}}}}"#);
    let verdict_of = |field: &str, fill: fn(&mut crate::request::Filled)| {
        let wish = r#"{"prompt":"x","size":"1024x1024","quality":"high","output_format":"png"}"#;
        let mut fixture = JobFixture::new("openai", "gpt-image-2", wish);
        fill(&mut fixture.request.filled);
        match fixture.provider.read(&fixture.job(), &fixture.reply(400, body(field))) {
            Step::Failed(failure) => verdict(&failure),
            other => panic!("{other:?}"),
        }
    };
    for field in ["size", "quality", "output_format", "prompt"] {
        assert_eq!(verdict_of(field, |_| {}), BACK, "{field}");
    }
    assert_eq!(verdict_of("size", |filled| filled.size = true), OURS);
    assert_eq!(verdict_of("quality", |filled| filled.quality = true), OURS);
    assert_eq!(verdict_of("output_format", |filled| filled.output_format = true), OURS);
    assert_eq!(verdict_of("prompt", |filled| filled.prompt = true), LAST);
}
