//! Tests of provider/google/reply.rs.

use std::time::Duration;

use super::*;
use crate::provider::common::fixture::JobFixture;

fn fixture() -> JobFixture {
    JobFixture::new("google", "gemini-3-pro-image", r#"{"prompt":"a fox","size":"1024x1024"}"#)
}

fn imagen() -> JobFixture {
    JobFixture::new("google", "imagen-4.0-generate-001", r#"{"prompt":"a fox","n":4}"#)
}

fn failed(fixture: &JobFixture, status: u16, body: &str) -> Failure {
    match fixture.provider.read(&fixture.job(), &fixture.reply(status, body)) {
        Step::Failed(failure) => failure,
        other => panic!("{body}: {other:?}"),
    }
}

fn drawn(fixture: &JobFixture, body: &str) -> JobResult {
    match fixture.provider.read(&fixture.job(), &fixture.reply(200, body)) {
        Step::Done(drawn) => drawn,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn every_error_of_the_table_has_its_class() {
    for (status, body, class) in [
        (400, r#"{"status":"INVALID_ARGUMENT","message":"Unable to process input image."}"#, Class::CallerInvalid),
        (400, r#"{"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}"#, Class::Auth),
        (400, r#"{"status":"INVALID_ARGUMENT","message":"Unknown name \"x\": Cannot find field."}"#, Class::AdapterBug),
        (
            400,
            r#"{"status":"INVALID_ARGUMENT","message":"This prompt contains sensitive words that violate Google's Responsible AI practices."}"#,
            Class::Policy,
        ),
        (400, r#"{"status":"FAILED_PRECONDITION","message":"Please enable billing."}"#, Class::Quota),
        (400, r#"{"status":"FAILED_PRECONDITION","message":"User location is not supported."}"#, Class::Auth),
        (401, r#"{"status":"UNAUTHENTICATED"}"#, Class::Auth),
        (403, r#"{"status":"PERMISSION_DENIED"}"#, Class::Auth),
        (403, r#"{"status":"PERMISSION_DENIED","details":[{"reason":"BILLING_DISABLED"}]}"#, Class::Quota),
        (404, r#"{"status":"NOT_FOUND"}"#, Class::ModelGone),
        (429, r#"{"status":"RESOURCE_EXHAUSTED"}"#, Class::RateLimited),
        (
            429,
            r#"{"status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"RequestsPerDayPerProject"}]}]}"#,
            Class::Quota,
        ),
        (499, r#"{"status":"CANCELLED"}"#, Class::TimeoutAmbiguous),
        (500, r#"{"status":"INTERNAL"}"#, Class::Server),
        (503, r#"{"status":"UNAVAILABLE","message":"The model is overloaded."}"#, Class::Server),
        (504, r#"{"status":"DEADLINE_EXCEEDED"}"#, Class::TimeoutAmbiguous),
        (200, r#"{"code":503,"status":"UNAVAILABLE","message":"The model is overloaded."}"#, Class::Server),
        (200, r#"{"message":"no code"}"#, Class::Server),
    ] {
        let body = format!(r#"{{"error":{body}}}"#);
        assert_eq!(failed(&fixture(), status, &body).class, class, "{body}");
        assert_eq!(failed(&fixture(), status, &format!("[{body}]")).class, class, "in a list: {body}");
    }
    assert_eq!(failed(&fixture(), 502, "<html>Bad Gateway</html>").class, Class::Server);
}

#[test]
fn the_body_says_when_to_come_back_and_which_field_is_wrong() {
    let body = r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[
            {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"41.5s"}]}}]"#;
    assert_eq!(failed(&fixture(), 429, body).retry_after, Some(Duration::from_millis(41_500)));
    let body = r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"bad","details":[{"fieldViolations":
            [{"field":"generation_config.image_config.aspect_ratio","description":"no"}]}]}}"#;
    let failure = failed(&fixture(), 400, body);
    assert_eq!((failure.class, failure.param.as_deref()), (Class::CallerInvalid, Some("size")));
    let seed = body.replace("image_config.aspect_ratio", "seed");
    assert_eq!(failed(&fixture(), 400, &seed).class, Class::AdapterBug, "the caller sent no seed");
}

#[test]
fn an_error_about_a_reference_picture_names_our_picture_or_our_mask() {
    for (field, ours) in [
        ("instances[0].reference_images[0].reference_image", "image"),
        ("instances[0].referenceImages[1].maskImageConfig", "mask"),
        ("instances[0].prompt", "prompt"),
    ] {
        assert_eq!(our_field(field).as_deref(), Some(ours), "{field}");
    }
}

#[test]
fn a_200_without_a_picture_is_a_refusal_or_a_stumble_by_its_word() {
    for reason in REFUSING_ENDS {
        let body = format!(r#"{{"candidates":[{{"finishReason":"{reason}","finishMessage":"because"}}]}}"#);
        let failure = failed(&fixture(), 200, &body);
        assert!(failure.class == Class::Policy && failure.message.contains("because"), "{failure}");
    }
    for reason in ["NO_IMAGE", "IMAGE_OTHER", "OTHER", "MAX_TOKENS", "MALFORMED_FUNCTION_CALL", "STOP", "NEW_WORD"] {
        let body = format!(
            r#"{{"candidates":[{{"content":{{"parts":[{{"text":"I cannot"}}]}},"finishReason":"{reason}"}}]}}"#
        );
        let failure = failed(&fixture(), 200, &body);
        assert!(failure.class == Class::Server && failure.message.contains("I cannot"), "{failure}");
    }
    for reason in ["SAFETY", "OTHER", "BLOCKLIST", "IMAGE_SAFETY", "MODEL_ARMOR", "JAILBREAK"] {
        let body = format!(r#"{{"promptFeedback":{{"blockReason":"{reason}"}}}}"#);
        assert_eq!(failed(&fixture(), 200, &body).class, Class::Policy, "{reason}");
    }
    assert_eq!(failed(&fixture(), 200, r#"{"candidates":[]}"#).class, Class::Malformed);
    assert_eq!(failed(&fixture(), 200, "<html>").class, Class::Malformed);
}

#[test]
fn what_was_drawn_while_thinking_is_not_delivered() {
    let body = r#"{"candidates":[{"content":{"parts":[{"thought":true,"inlineData":{"data":"QUFB"}},
            {"text":"here"},{"thought":false,"inlineData":{"data":"QkJC"},"thoughtSignature":"x"}]},
            "finishReason":"STOP"}]}"#;
    let fixture = fixture();
    let drawn = drawn(&fixture, body);
    assert_eq!(drawn.images.len(), 1);
    let wanted = picture_source::inline(&bytes::Bytes::new(), b"QkJC");
    assert_eq!(drawn.images[0].source, wanted);
    let only = body.replace("\"thought\":false", "\"thought\":true");
    assert_eq!(failed(&fixture, 200, &only).class, Class::Server);
}

#[test]
fn a_second_picture_is_charged_and_taken_though_one_was_asked() {
    let body = r#"{"candidates":[{"content":{"parts":[{"inlineData":{"data":"QUFB"}},{"text":"or"},
            {"inlineData":{"data":"QkJC"}}]},"finishReason":"STOP"}]}"#;
    assert_eq!(drawn(&fixture(), body).images.len(), 2);
}

#[test]
fn imagen_leaves_out_what_it_withholds() {
    let body = r#"{"predictions":[{"bytesBase64Encoded":"QUFB","prompt":"a fox"},{"raiFilteredReason":"no"},
            {"bytesBase64Encoded":"QkJC","prompt":"a red fox"}]}"#;
    let drawn = drawn(&imagen(), body);
    assert_eq!((drawn.images.len(), drawn.refused, drawn.refused_billed), (2, 2, 0));
    let prompts: Vec<Option<&str>> = drawn.images.iter().map(|found| found.revised_prompt.as_deref()).collect();
    assert_eq!(prompts, [None, Some("a red fox")]);
    for body in ["{}", r#"{"predictions":[]}"#, r#"{"predictions":[{"raiFilteredReason":"58061214"}]}"#] {
        assert_eq!(failed(&imagen(), 200, body).class, Class::Policy, "{body}");
    }
    for body in ["[]", r#"{"predictions":[{"gcsUri":"gs://b/1.png"}]}"#] {
        assert_eq!(failed(&imagen(), 200, body).class, Class::Malformed, "{body}");
    }
}

#[test]
fn no_message_repeats_the_key() {
    let fixture = fixture();
    let body = format!(r#"{{"error":{{"status":"INVALID_ARGUMENT","message":"bad key {}"}}}}"#, fixture.key());
    assert!(!failed(&fixture, 400, &body).message.contains(fixture.key()));
    let body = format!(r#"{{"candidates":[{{"finishReason":"STOP","finishMessage":"{}"}}]}}"#, fixture.key());
    assert!(!failed(&fixture, 200, &body).message.contains(fixture.key()));
}
