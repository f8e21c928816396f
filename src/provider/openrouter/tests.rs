//! Tests of provider/openrouter/mod.rs.

use std::time::Duration;

use super::*;
use crate::provider::adapter::PictureSource;
use crate::provider::common::fixture::JobFixture;

const WISH: &str = r#"{"prompt":"a fox","size":"1024x1024","quality":"high","output_format":"webp",
        "output_compression":80,"background":"opaque","moderation":"low","style":"vivid","user":"u"}"#;

fn fixture() -> JobFixture {
    JobFixture::new("openrouter", "google/gemini-3.1-flash-image", r#"{"prompt":"a fox"}"#)
}

fn chat() -> JobFixture {
    let mut fixture = fixture();
    fixture.model.via = Via::Chat;
    fixture
}

fn failed(fixture: &JobFixture, status: u16, body: &str) -> Failure {
    match OpenRouter.read(&fixture.job(), &fixture.reply(status, body)) {
        Step::Failed(failure) => failure,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn each_model_is_sent_only_what_it_takes() {
    let openai = json!({"model": "openai/gpt-image-2", "prompt": "a fox", "size": "1024x1024", "quality": "high",
        "output_format": "webp", "output_compression": 80, "background": "opaque"});
    assert_eq!(JobFixture::new("openrouter", "openai/gpt-image-2", WISH).body(), openai);
    let wish = r#"{"prompt":"a fox","size":"1536x1024","quality":"high","background":"opaque","seed":7}"#;
    let google = json!({"model": "google/gemini-3.1-flash-image", "prompt": "a fox", "aspect_ratio": "3:2",
        "resolution": "2K", "seed": 7});
    assert_eq!(JobFixture::new("openrouter", "google/gemini-3.1-flash-image", wish).body(), google);
}

#[test]
fn a_chat_is_asked_for_the_modalities_the_model_has() {
    let modalities = |model: &str| {
        let mut fixture = JobFixture::new("openrouter", model, r#"{"prompt":"x"}"#);
        fixture.model.via = Via::Chat;
        fixture.body()["modalities"].clone()
    };
    assert_eq!(modalities("google/gemini-3-pro-image"), json!(["image", "text"]));
    assert_eq!(modalities("black-forest-labs/flux.2-pro"), json!(["image"]));
}

#[test]
fn the_cost_survives_to_the_last_digit() {
    for (cost, nanos) in [("0.0000012", 1_200), ("1e-7", 100), ("0.1", 100_000_000), ("0.045", 45_000_000)] {
        let body = format!(r#"{{"data":[{{"b64_json":"QUJD"}}],"usage":{{"total_tokens":1,"cost":{cost}}}}}"#);
        let fixture = fixture();
        let Step::Done(drawn) = OpenRouter.read(&fixture.job(), &fixture.reply(200, body)) else { panic!("{cost}") };
        let Some(Reported::Dollars(text)) = drawn.usage.reported else { panic!("{cost}") };
        assert_eq!(text, cost);
        assert_eq!(crate::money::Usd::rounded(&text).map(crate::money::Usd::nanos), Ok(nanos));
    }
}

#[test]
fn every_error_has_its_class() {
    let error = |code: u16, message: &str| format!(r#"{{"error":{{"code":{code},"message":"{message}"}}}}"#);
    let with = |code: u16, metadata: &str| {
        format!(
            r#"{{"error":{{"code":{code},"message":"Provider returned error","metadata":{metadata}}},"user_id":"u"}}"#
        )
    };
    let moderation = r#"{"reasons":["violence"],"flagged_input":"a…","provider_name":"OpenAI","model_slug":"m"}"#;
    let raw = r#"{"provider_name":"OpenAI","raw":"{\"error\":{\"message\":
            \"Your request was rejected by the safety system.\",\"code\":\"moderation_blocked\"}}"}"#
        .replace("\n", "");
    let raw = raw.as_str();
    let raw_status = r#"{"provider_name":"Google","raw":{"error":{"code":400,"message":"bad","status":"INVALID"}}}"#;
    for (status, body, class) in [
        (400, error(400, "prompt: too long"), Class::CallerInvalid),
        (400, error(400, "foo/bar is not a valid model ID"), Class::ModelGone),
        (400, with(400, raw), Class::Policy),
        (502, with(502, raw_status), Class::Server),
        (401, error(401, "No auth credentials found"), Class::Auth),
        (402, error(402, "Insufficient credits"), Class::Quota),
        (403, with(403, moderation), Class::Policy),
        (403, error(403, "Your chosen model requires moderation and your input was flagged"), Class::Policy),
        (403, error(403, "Key limit exceeded (daily limit)."), Class::Quota),
        (403, error(403, "Not for you"), Class::Auth),
        (404, error(404, "No endpoints found for x."), Class::ModelGone),
        (404, error(404, "No endpoints found that support the requested output modalities"), Class::AdapterBug),
        (400, error(400, "'moderation' takes another value"), Class::CallerInvalid),
        (408, error(408, "Timeout"), Class::TimeoutAmbiguous),
        (200, error(504, "no answer from the provider"), Class::TimeoutAmbiguous),
        (200, r#"{"error":{"message":"without a number"}}"#.to_owned(), Class::Server),
        (413, error(413, "Too large"), Class::CallerInvalid),
        (429, error(429, "Rate limit exceeded"), Class::RateLimited),
        (500, error(500, "Internal Server Error"), Class::Server),
        (502, error(502, "Provider returned error"), Class::Server),
        (503, error(503, "No provider available"), Class::Server),
        (200, error(429, "overloaded while drawing"), Class::RateLimited),
        (200, error(402, "ran dry"), Class::Quota),
        (
            200,
            r#"{"choices":[{"error":{"code":502,"message":"m"},"finish_reason":"error"}]}"#.to_owned(),
            Class::Server,
        ),
    ] {
        assert_eq!(failed(&fixture(), status, &body).class, class, "{status} {body}");
        assert_eq!(failed(&chat(), status, &body).class, class, "{status} {body}");
    }
    let later = fixture().reply(429, error(429, "m")).with("retry-after", "7");
    let fixture = fixture();
    let Step::Failed(failure) = OpenRouter.read(&fixture.job(), &later) else { panic!("a failure") };
    assert_eq!(failure.retry_after, Some(Duration::from_secs(7)));
}

#[test]
fn a_makers_error_names_our_field_if_the_caller_sent_it() {
    let body = r#"{"error":{"code":400,"message":"Provider returned error","metadata":{"provider_name":"OpenAI",
            "raw":"{\"error\":{\"message\":\"Invalid size\",\"param\":\"size\",\"code\":\"invalid_value\"}}"}}}"#;
    let blamed = JobFixture::new("openrouter", "openai/gpt-image-2", r#"{"prompt":"x","size":"1024x1024"}"#);
    let failure = failed(&blamed, 400, body);
    assert_eq!((failure.class, failure.param.as_deref()), (Class::CallerInvalid, Some("size")));
    assert!(failure.message.contains("Invalid size"), "{failure}");
    assert_eq!(failed(&fixture(), 400, body).class, Class::AdapterBug);
}

#[test]
fn a_chat_that_refused_is_a_refusal_however_it_says_so() {
    for answer in [
        r#"{"finish_reason":"content_filter","message":{"content":""}}"#,
        r#"{"finish_reason":"stop","native_finish_reason":"IMAGE_SAFETY","message":{"content":null}}"#,
        r#"{"finish_reason":"stop","message":{"content":null,"refusal":"I cannot draw that."}}"#,
    ] {
        let body = format!(r#"{{"choices":[{answer}],"usage":{{"cost":0}}}}"#);
        assert_eq!(failed(&chat(), 200, &body).class, Class::Policy, "{answer}");
    }
    let talk = r#"{"choices":[{"finish_reason":"stop","message":{"content":"What colour?","refusal":null}}]}"#;
    assert_eq!(failed(&chat(), 200, talk).class, Class::Malformed);
}

#[test]
fn words_without_a_picture_that_are_charged_are_settled() {
    for (end, refused) in [("content_filter", 1), ("stop", 0)] {
        let body = format!(r#"{{"choices":[{{"finish_reason":"{end}","message":{{}}}}],"usage":{{"cost":0.0003}}}}"#);
        let fixture = chat();
        let Step::Done(drawn) = OpenRouter.read(&fixture.job(), &fixture.reply(200, &body)) else { panic!("{body}") };
        assert_eq!((drawn.images.len(), drawn.refused, drawn.refused_billed), (0, refused, 0));
        assert_eq!(drawn.usage.reported, Some(Reported::Dollars("0.0003".to_owned())));
    }
}

#[test]
fn a_chats_picture_is_inside_its_answer_and_is_not_fetched_from_elsewhere() {
    let answer = |url: &str| {
        format!(r#"{{"choices":[{{"message":{{"images":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}}}]}}"#)
    };
    let fixture = chat();
    let reply = fixture.reply(200, answer("data:image/png;base64,QUJD"));
    let Step::Done(drawn) = OpenRouter.read(&fixture.job(), &reply) else { panic!("a picture") };
    assert!(matches!(&drawn.images[..], [ReplyPicture { source: PictureSource::Inline(_), .. }]));
    assert_eq!(failed(&fixture, 200, &answer("https://elsewhere.example/1.png")).class, Class::Malformed);
}
