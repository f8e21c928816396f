//! Tests of provider/stability/mod.rs.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::failure::Class;
use crate::provider::common::fixture::JobFixture;
use crate::provider::stability::errors::PENALTY;

const SDXL: &str = "stable-diffusion-xl-1024-v1-0";

fn failure_of(model: &str, status: u16, body: &str) -> Failure {
    let fixture = JobFixture::new("stability", model, r#"{"prompt":"a red fox","size":"1024x1024","n":1}"#);
    match Stability.read(&fixture.job(), &fixture.reply(status, body)) {
        Step::Failed(failure) => failure,
        other => panic!("{status} {body}: {other:?}"),
    }
}

#[test]
fn every_error_has_its_class_and_names_our_field() {
    let v1 = |name: &str, message: &str| format!(r#"{{"id":"x","name":"{name}","message":"{message}"}}"#);
    let v2 = |name: &str, error: &str| format!(r#"{{"id":"x","name":"{name}","errors":["{error}"]}}"#);
    for (model, status, body, class, param) in [
        ("core", 400, v2("bad_request", "aspect_ratio: must be one of"), Class::CallerInvalid, Some("size")),
        ("core", 400, v2("bad_request", "prompt: is required"), Class::CallerInvalid, Some("prompt")),
        ("core", 400, v2("bad_request", "style_preset: no such"), Class::AdapterBug, None),
        ("core", 400, v2("bad_request", "negative_prompt: too long"), Class::AdapterBug, None),
        ("core", 401, v2("unauthorized", "missing key"), Class::Auth, None),
        ("core", 402, v2("payment_required", "no credits"), Class::Quota, None),
        ("core", 403, v2("content_moderation", "flagged"), Class::Policy, None),
        ("core", 403, v2("permission_denied", "not yours"), Class::Auth, None),
        ("core", 404, v2("not_found", "no such"), Class::ModelGone, None),
        ("core", 413, v2("payload_too_large", "10 MiB"), Class::CallerInvalid, None),
        ("core", 415, v2("bad_request", "multipart"), Class::AdapterBug, None),
        ("core", 422, v2("invalid_language", "English only"), Class::AdapterBug, None),
        ("core", 422, v2("public_figure", "no"), Class::Policy, None),
        ("core", 429, v2("rate_limit_exceeded", "150 in 10 s"), Class::RateLimited, None),
        ("core", 500, v2("internal_error", "oops"), Class::Server, None),
        ("core", 200, r#"{"seed":1}"#.to_owned(), Class::Malformed, None),
        ("core", 200, "<html>".to_owned(), Class::Malformed, None),
        (SDXL, 400, v1("invalid_prompts", "filtered words"), Class::Policy, None),
        (SDXL, 400, v1("invalid_height_or_width", "x64"), Class::CallerInvalid, Some("size")),
        (SDXL, 400, v1("invalid_samples", "accept json"), Class::AdapterBug, None),
        (SDXL, 403, v1("permission_denied", "no"), Class::Auth, None),
        (SDXL, 404, v1("not_found", "no engine"), Class::ModelGone, None),
        (SDXL, 500, v1("server_error", "oops"), Class::Server, None),
        (SDXL, 200, r#"{"artifacts":[]}"#.to_owned(), Class::Malformed, None),
        (SDXL, 200, r#"{"artifacts":[{"finishReason":"ERROR"}]}"#.to_owned(), Class::Server, None),
        (SDXL, 200, r#"{"artifacts":"#.to_owned(), Class::Malformed, None),
        (SDXL, 200, r#"{"message":"sorry"}"#.to_owned(), Class::Malformed, None),
    ] {
        let failure = failure_of(model, status, &body);
        assert_eq!((failure.class, failure.param.as_deref()), (class, param), "{status} {body}");
        assert_eq!(failure.billed, 0, "{body}");
    }
}

#[test]
fn an_error_about_the_picture_or_its_mask_names_our_field() {
    for (name, param) in [
        ("invalid_image_dimensions", "image"),
        ("invalid_mime_type", "image"),
        ("invalid_mask_image", "mask"),
        ("bad_request\",\"message\":\"init_image: is required", "image"),
    ] {
        let mut fixture = JobFixture::new("stability", SDXL, r#"{"prompt":"x"}"#).editing(1, true);
        fixture.request.size = None;
        let body = format!(r#"{{"id":"x","name":"{name}"}}"#);
        let Step::Failed(failure) = Stability.read(&fixture.job(), &fixture.reply(400, body)) else {
            panic!("a failure")
        };
        assert_eq!((failure.class, failure.param.as_deref()), (Class::CallerInvalid, Some(param)), "{name}");
    }
}

#[test]
fn too_many_requests_cost_a_minute_unless_a_header_says_otherwise() {
    let body = r#"{"name":"rate_limit_exceeded","errors":["slow down"]}"#;
    assert_eq!(failure_of("core", 429, body).retry_after, Some(PENALTY));
    let fixture = JobFixture::new("stability", "core", r#"{"prompt":"x"}"#);
    let Step::Failed(failure) = Stability.read(&fixture.job(), &fixture.reply(429, body).with("retry-after", "3"))
    else {
        panic!("a failure");
    };
    assert_eq!(failure.retry_after, Some(Duration::from_secs(3)));
}

#[test]
fn a_blurred_picture_is_a_refusal_that_costs() {
    let failure = failure_of("core", 200, r#"{"image":"QUJD","finish_reason":"CONTENT_FILTERED"}"#);
    assert_eq!((failure.class, failure.billed), (Class::Policy, 1));
    let failure = failure_of(SDXL, 200, r#"[{"base64":"QUJD","finishReason":"CONTENT_FILTERED"}]"#);
    assert_eq!((failure.class, failure.billed), (Class::Policy, 1));
    let fixture = JobFixture::new("stability", "ultra", r#"{"prompt":"x"}"#);
    let bytes = fixture.reply(200, "...").with("content-type", "image/png").with("finish-reason", "CONTENT_FILTERED");
    assert!(matches!(Stability.read(&fixture.job(), &bytes), Step::Failed(Failure { billed: 1, .. })));
}

#[test]
fn some_blurred_pictures_are_counted_beside_the_good_ones() {
    let fixture = JobFixture::new("stability", SDXL, r#"{"prompt":"x","n":3}"#);
    let body = r#"{"artifacts":[{"base64":"QUJD","finishReason":"SUCCESS"},
            {"base64":"QUJD","finishReason":"CONTENT_FILTERED"},{"base64":"QUJD","finishReason":"SUCCESS"}]}"#;
    let Step::Done(drawn) = Stability.read(&fixture.job(), &fixture.reply(200, body)) else { panic!("pictures") };
    assert_eq!((drawn.images.len(), drawn.refused, drawn.refused_billed), (2, 1, 1));
}

#[test]
fn options_stand_in_the_form_once_and_without_quotes() {
    let mut fixture = JobFixture::new("stability", "sd3.5-large", r#"{"prompt":"x","output_format":"png"}"#);
    fixture.model.options.insert("style_preset".to_owned(), json!("anime"));
    fixture.model.options.insert("cfg_scale".to_owned(), json!(7));
    fixture.model.options.insert("output_format".to_owned(), json!("png"));
    let form = String::from_utf8(fixture.call().body.to_vec()).unwrap();
    for part in ["name=\"style_preset\"\r\n\r\nanime\r\n", "name=\"cfg_scale\"\r\n\r\n7\r\n"] {
        assert!(form.contains(part), "{form}");
    }
    assert_eq!(form.matches("name=\"output_format\"").count(), 1);
}

#[test]
fn each_api_has_its_own_sizes_and_counts() {
    let able = |model: &str| {
        let fixture = JobFixture::new("stability", model, r#"{"prompt":"x"}"#);
        Stability.capabilities(&fixture.account, model)
    };
    assert_eq!((able(SDXL).max_n, able("core").max_n), (10, 1));
    assert_eq!(able(SDXL).sizes, Sizes::Listed(SDXL_SIZES.to_vec()));
    assert_eq!(able("stable-diffusion-v1-6").sizes, Sizes::Stepped(V1_STEPS));
    assert!(matches!(able("sd3.5-flash").sizes, Sizes::Ratios { shapes, .. } if shapes.len() == 9));
}
