//! Tests of provider/replicate/mod.rs.

use super::*;
use crate::image::Encoded;
use crate::provider::adapter::PictureSource;
use crate::provider::common::fixture::JobFixture;

const SCHNELL: &str = "black-forest-labs/flux-schnell";
const HASH: &str = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc";

fn fixture() -> JobFixture {
    JobFixture::new("replicate", SCHNELL, r#"{"prompt":"a red fox","size":"1024x1024","n":2}"#)
}

fn read(status: u16, body: &str) -> Step {
    let fixture = fixture();
    Replicate.read(&fixture.job(), &fixture.reply(status, body))
}

#[test]
fn every_error_has_its_class_and_names_our_field() {
    let invalid = |field: &str| {
        format!(
            r#"{{"detail":"d","status":422,"title":"Input validation failed",
                    "invalid_fields":[{{"type":"x","field":"{field}","description":"bad"}}]}}"#
        )
    };
    let failed = |error: &str| format!(r#"{{"id":"p1","status":"failed","output":null,"error":"{error}"}}"#);
    let nsfw = "NSFW content detected. Try running it again, or try a different prompt.";
    let flagged = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)";
    for (status, body, class, param) in [
        (400, r#"{"detail":"bad"}"#.to_owned(), Class::CallerInvalid, None),
        (401, r#"{"detail":"Unauthenticated"}"#.to_owned(), Class::Auth, None),
        (402, r#"{"detail":"Insufficient credit"}"#.to_owned(), Class::Quota, None),
        (404, r#"{"detail":"no such model"}"#.to_owned(), Class::ModelGone, None),
        (422, invalid("input.prompt"), Class::CallerInvalid, Some("prompt")),
        (422, invalid("input.num_outputs"), Class::CallerInvalid, Some("n")),
        (422, invalid("input.aspect_ratio"), Class::CallerInvalid, Some("size")),
        (422, invalid("input.seed"), Class::AdapterBug, None),
        (422, invalid("input.go_fast"), Class::AdapterBug, None),
        (422, r#"{"detail":"The specified version does not exist"}"#.to_owned(), Class::ModelGone, None),
        (429, r#"{"detail":"throttled"}"#.to_owned(), Class::RateLimited, None),
        (503, "upstream connect error".to_owned(), Class::Server, None),
        (200, failed(nsfw), Class::Policy, None),
        (201, failed(flagged), Class::Policy, None),
        (200, failed("Prediction interrupted; please retry (code: PA)"), Class::Server, None),
        (200, failed("Director: unexpected error handling prediction (E6716)"), Class::Server, None),
        (200, failed("CUDA out of memory"), Class::Server, None),
        (200, r#"{"id":"p1","status":"failed","error":null}"#.to_owned(), Class::Server, None),
        (200, r#"{"id":"p1","status":"aborted","error":null}"#.to_owned(), Class::Server, None),
        (200, r#"{"id":"p1","status":"canceled","error":"stopped"}"#.to_owned(), Class::Server, None),
        (200, r#"{"id":"p1","status":"succeeded","output":null}"#.to_owned(), Class::Malformed, None),
        (200, r#"{"id":"p1","status":"succeeded","output":["a fox"]}"#.to_owned(), Class::Malformed, None),
        (201, r#"{"id":"../x","status":"starting"}"#.to_owned(), Class::Malformed, None),
        (201, r#"{"status":"starting"}"#.to_owned(), Class::Malformed, None),
        (200, r#"{"detail":"hello"}"#.to_owned(), Class::Server, None),
        (200, r#"{"hello":1}"#.to_owned(), Class::Malformed, None),
        (200, "<html>".to_owned(), Class::Malformed, None),
    ] {
        let Step::Failed(failure) = read(status, &body) else { panic!("{status} {body} is no failure") };
        assert_eq!((failure.class, failure.param.as_deref()), (class, param), "{status} {body}");
    }
}

#[test]
fn a_sentence_may_hold_the_waiting_time() {
    let body = r#"{"detail":"Request was throttled. Your rate limit resets in ~30s."}"#;
    let Step::Failed(failure) = read(429, body) else { panic!("a failure") };
    assert_eq!(failure.retry_after, Some(Duration::from_secs(30)));
}

#[test]
fn polling_and_cancelling_never_follow_an_address_from_the_reply() {
    let body = r#"{"id":"gm3q","status":"processing",
            "urls":{"get":"https://evil.example/p","cancel":"https://evil.example/c"}}"#;
    for (status, millis) in [(201, 500), (202, 500), (200, 1000)] {
        let Step::Again { call, after, cancel: Some(cancel), .. } = read(status, body) else { panic!("again") };
        assert_eq!(call.url.as_str(), "https://api.replicate.com/v1/predictions/gm3q");
        assert_eq!((call.method, after), (Method::GET, Duration::from_millis(millis)));
        assert_eq!(cancel.url.as_str(), "https://api.replicate.com/v1/predictions/gm3q/cancel");
        assert_eq!(cancel.method, Method::POST);
        assert!(cancel.headers["authorization"].is_sensitive());
    }
}

#[test]
fn an_output_may_be_one_link_a_list_or_the_picture_itself() {
    let sources = |output: &str| match read(200, &format!(r#"{{"status":"succeeded","output":{output}}}"#)) {
        Step::Done(drawn) => drawn.images.into_iter().map(|found| found.source).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let link = |text: &str| PictureSource::Link(text.parse().unwrap());
    assert_eq!(sources(r#""https://replicate.delivery/1.webp""#), [link("https://replicate.delivery/1.webp")]);
    let three = sources(r#"["https://a/1","https://a/2","https://a/3"]"#);
    let all = ["https://a/1", "https://a/2", "https://a/3"].map(link);
    assert_eq!(three, all, "two were asked, and the third is charged too");
    assert_eq!(sources(r#"["HTTPS://a/1","a text"]"#), [link("https://a/1")]);
    let inside = PictureSource::Inline(Encoded::Base64(bytes::Bytes::from_static(b"QUJD")));
    assert_eq!(sources(r#"["data:image/webp;base64,QUJD"]"#), [inside]);
}

#[test]
fn the_models_name_decides_the_address() {
    let call = |model: &str| {
        let fixture = JobFixture::new("replicate", model, r#"{"prompt":"x"}"#);
        (fixture.call().url.path().to_owned(), fixture.body()["version"].clone())
    };
    assert_eq!(call(SCHNELL), (format!("/v1/models/{SCHNELL}/predictions"), Value::Null));
    assert_eq!(call(&format!("stability-ai/sdxl:{HASH}")), ("/v1/predictions".to_owned(), json!(HASH)));
    assert_eq!(call(HASH), ("/v1/predictions".to_owned(), json!(HASH)));
}

#[test]
fn waiting_and_life_are_bounded_by_the_time_left() {
    for (left, prefer, life) in [(120_000, Some("wait=60"), "120s"), (10_500, Some("wait=9"), "10s"), (900, None, "5s")]
    {
        let mut fixture = fixture();
        fixture.time_left = Duration::from_millis(left);
        let headers = fixture.call().headers;
        assert_eq!(headers.get("prefer").map(|value| value.to_str().unwrap()), prefer, "{left}");
        assert_eq!(headers["cancel-after"], life, "{left}");
    }
}

#[test]
fn each_family_gets_the_size_its_own_way() {
    let input = |model: &str, options: &[(&str, Value)]| {
        let mut fixture = JobFixture::new("replicate", model, r#"{"prompt":"x","size":"512x512"}"#);
        fixture.model.options = options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        fixture.body()["input"].clone()
    };
    let flux = json!({"prompt":"x","num_outputs":1,"aspect_ratio":"1:1","megapixels":"0.25"});
    assert_eq!(input(SCHNELL, &[]), flux);
    assert_eq!(input("black-forest-labs/flux-2-pro", &[]), json!({"prompt":"x","aspect_ratio":"1:1"}));
    let sdxl = json!({"prompt":"x","num_outputs":1,"width":512,"height":512});
    assert_eq!(input(&format!("stability-ai/sdxl:{HASH}"), &[]), sdxl);
    assert_eq!(input("acme/other", &[]), json!({"prompt":"x","width":512,"height":512}));
    let own = [("resolution", json!("1K")), ("steps", json!(4))];
    assert_eq!(input("acme/other", &own), json!({"prompt":"x","resolution":"1K","steps":4}));
}
