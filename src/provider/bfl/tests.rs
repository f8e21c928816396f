//! Tests of provider/bfl/mod.rs.

use serde_json::json;

use super::*;
use crate::provider::adapter::PictureSource;
use crate::provider::common::fixture::JobFixture;

const POLL: &str = "https://api.us1.bfl.ai/v1/get_result?id=t1";

fn fixture() -> JobFixture {
    JobFixture::new("bfl", "flux-2-pro", r#"{"prompt":"a red fox","size":"1024x1024"}"#)
}

fn read(status: u16, body: &str) -> Step {
    let fixture = fixture();
    Bfl.read(&fixture.job(), &fixture.reply(status, body))
}

/// The same of a task that has been asked about.
fn polled(status: u16, body: &str) -> Step {
    let mut fixture = fixture();
    fixture.polled = Some(POLL.parse().unwrap());
    fixture.noted = Some(Reported::Cents("3.0".to_owned()));
    Bfl.read(&fixture.job(), &fixture.reply(status, body))
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
        let mut fixture = fixture();
        fixture.account.base_url = base.parse().unwrap();
        assert_eq!(fixture.call().url.as_str(), "https://api.bfl.ai/v1/flux-2-pro", "{base}");
        let reply = fixture.reply(200, r#"{"id":"t-1","status":"Pending","webhook_url":"https://hook","cost":3}"#);
        let Step::Again { call, noted, .. } = Bfl.read(&fixture.job(), &reply) else { panic!("{base}") };
        assert_eq!(call.url.as_str(), "https://api.bfl.ai/v1/get_result?id=t-1", "{base}");
        assert_eq!(noted, cents("3"));
    }
}

#[test]
fn the_key_goes_to_the_vendors_hosts_and_the_accounts_own_and_nowhere_else() {
    let ask = |base: &str, poll: &str| {
        let mut fixture = fixture();
        fixture.account.base_url = base.parse().unwrap();
        let body = json!({"id": "t1", "polling_url": poll, "cost": 3}).to_string();
        match Bfl.read(&fixture.job(), &fixture.reply(200, body)) {
            Step::Again { call, .. } => {
                assert_eq!((call.url.as_str(), call.headers["x-key"] == fixture.key()), (poll, true));
                None
            }
            other => Some(lost(other).0),
        }
    };
    let (vendor, own) = ("https://api.bfl.ai/", "http://proxy.local:8080/bfl/");
    assert_eq!(ask(vendor, "https://api.bfl.example/v1/get_result?id=1"), Some(Class::Malformed));
    let mut named = fixture();
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
    let mut moved = fixture();
    moved.polled = Some("https://evil.example/x".parse().unwrap());
    let step = Bfl.read(&moved.job(), &moved.reply(200, r#"{"status":"Pending"}"#));
    assert_eq!(failed(step).class, Class::Malformed, "wherever the address comes from");
}

#[test]
fn the_cost_is_noted_digit_for_digit_where_it_is_told() {
    for (cost, noted) in
        [("3.0", Some("3.0")), ("0.1000000001", Some("0.1000000001")), ("null", None), ("-1", None), ("\"3\"", None)]
    {
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
        assert_eq!(JobFixture::new("bfl", model, wish).body(), with(more), "{model}");
    }
    let [one, two] = ["image 0", "image 1"].map(|bytes| picture_source::base64(bytes.as_bytes()));
    let body = JobFixture::new("bfl", "flux-2-max", wish).editing(2, false).body();
    let pictures = json!({"width": 1024, "height": 1024, "input_image": one, "input_image_2": two});
    assert_eq!(body, with(pictures));
    let body = JobFixture::new("bfl", "flux-kontext-max", wish).editing(1, false).body();
    assert_eq!(body, with(json!({"aspect_ratio": "1:1", "input_image": one})));
    let fill = JobFixture::new("bfl", "flux-pro-1.0-fill", wish).editing(1, true).body();
    assert_eq!(fill, with(json!({"image": one, "mask": picture_source::base64(b"mask white")})));
    let fill = JobFixture::new("bfl", "flux-pro-1.0-fill", wish).editing(1, false).body();
    assert_eq!(fill, with(json!({"image": one})), "the vendor looks for transparency in the picture");
}

#[test]
fn the_configs_options_have_the_last_word() {
    let mut fixture = fixture();
    fixture.model.options = [("disable_pup", json!(true)), ("width", json!(512))]
        .into_iter()
        .map(|(field, value)| (field.to_owned(), value))
        .collect();
    let wanted = json!({"prompt": "a red fox", "width": 512, "height": 1024, "disable_pup": true});
    assert_eq!(fixture.body(), wanted);
}
