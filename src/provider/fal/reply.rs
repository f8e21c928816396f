//! What fal.ai's results mean: pictures, pictures withheld, errors of the model and errors of the platform
//! (PROVIDERS.md sections 9.2 and 17).
//!
//! A result may be partly withheld: `has_nsfw_concepts` marks pictures that were blacked out. They were drawn, so they
//! count as charged, and `x-fal-billable-units` says how much the whole result costs, in units whose price the config
//! knows. Nothing here knows an address of the queue.

use http::HeaderName;

use crate::failure::{Class, Classification, Failure, FailureScope};
use crate::image::Size;
use crate::provider::adapter::{Job, JobResult, Reply, ReplyPicture, Reported, Step, Usage};
use crate::provider::common::json::Json;
use crate::provider::common::picture_source;
use crate::provider::common::vendor_error::{VendorError, malformed, told};

/// fal's words -> what they mean; earlier rows count first. The other words mean what the status means.
const WORDS: &[(&str, Class)] = &[
    ("content_policy_violation", Class::Policy),
    ("no_media_generated", Class::Policy),
    ("concurrent_requests_limit", Class::RateLimited),
    ("internal_server_error", Class::Server),
    ("generation_timeout", Class::Server),
    // A 400 that is not the caller's fault.
    ("downstream_service_error", Class::Server),
    ("downstream_service_unavailable", Class::Server),
    ("request_timeout", Class::Server),
    ("startup_timeout", Class::Server),
    ("runner_scheduling_failure", Class::Server),
    ("runner_connection_timeout", Class::Server),
    ("runner_connection_refused", Class::Server),
    ("runner_connection_error", Class::Server),
    ("runner_disconnected", Class::Server),
    ("runner_incomplete_response", Class::Server),
    ("runner_server_error", Class::Server),
    ("client_disconnected", Class::Server),
    ("client_cancelled", Class::Server),
    ("internal_error", Class::Server),
    ("bad_request", Class::AdapterBug),
    ("feature_not_supported", Class::AdapterBug),
    // Pictures go as `data:` URLs, so there is nothing that fal could fail to fetch.
    ("file_download_error", Class::AdapterBug),
    ("missing", Class::AdapterBug),
    ("value_error.missing", Class::AdapterBug),
    ("extra_forbidden", Class::AdapterBug),
    ("json_invalid", Class::AdapterBug),
];

/// Sentences of a 403 that is about money: fal locks the account.
const LOCKED: &[&str] = &["exhausted balance", "user is locked"];

/// A result that was asked for before every replica knew of it.
const TOO_EARLY: &[&str] = &["still in progress"];

/// Headers by which fal says that the same request may succeed later; the second is the older one.
const RETRYABLE: [HeaderName; 2] =
    [HeaderName::from_static("x-fal-retryable"), HeaderName::from_static("x-fal-needs-retry")];

const ERROR_TYPE: HeaderName = HeaderName::from_static("x-fal-error-type");

const BILLABLE_UNITS: HeaderName = HeaderName::from_static("x-fal-billable-units");

/// The pictures of a result.
pub fn result(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Step {
    let listed = json.get("images").or_else(|| json.get("image")).map(Json::items).unwrap_or_default();
    let flags = json.get("has_nsfw_concepts").or_else(|| json.get("nsfw_content_detected"));
    let flags = flags.map(Json::items).unwrap_or_default();
    let withheld = |at: usize| flags.get(at) == Some(&Json::Bool(true));
    let revised_prompt = json.text_at("prompt").filter(|text| !text.is_empty() && *text != job.request.prompt);
    let images: Vec<ReplyPicture> = listed
        .iter()
        .enumerate()
        .take(picture_source::MOST_PICTURES)
        .filter(|(at, _)| !withheld(*at))
        .filter_map(|(_, item)| item.text().or_else(|| item.text_at("url")))
        .filter_map(|text| picture_source::link(&reply.body, &job.account.base_url, text).filter(|_| !text.is_empty()))
        .map(|source| ReplyPicture { source, revised_prompt: revised_prompt.map(str::to_owned) })
        .collect();
    let told = listed.len().max(usize::from(job.n)).min(picture_source::MOST_PICTURES);
    let refused = u8::try_from((0..told).filter(|at| withheld(*at)).count()).unwrap_or(job.n);
    if images.is_empty() && refused == 0 {
        return Step::Failed(without_pictures(job, reply, json));
    }
    // A black picture was drawn and then blacked out. fal exempts server errors from the bill and nothing else.
    Step::Done(JobResult { images, refused, refused_billed: refused, usage: usage(reply, listed) })
}

/// Whether the reply is to the last question about a request, for its result. The ones before it end in `status`.
fn at_result(job: &Job<'_>) -> bool {
    job.polled.is_some_and(|url| !url.path().trim_end_matches('/').ends_with("/status"))
}

/// Whether an answer in place of a result is the model's own, and as good as it gets. What a proxy or the queue says
/// of getting at the result is not.
fn is_the_models(vendor_error: &VendorError, class: Class) -> bool {
    let its_kind = matches!(class, Class::Server | Class::Policy | Class::CallerInvalid | Class::AdapterBug);
    vendor_error.structured && its_kind && !vendor_error.mentions(TOO_EARLY)
}

/// A failure out of an error reply.
pub fn failure(job: &Job<'_>, reply: &Reply, vendor_error: &VendorError) -> Failure {
    let mut vendor_error = vendor_error.clone();
    vendor_error.words.extend(reply.header(&ERROR_TYPE).map(str::to_owned));
    let by_word = vendor_error.by_word(WORDS, reply.status);
    let found = by_word.map_or_else(|| vendor_error.by_status(reply.status), Classification::stated);
    let finding = match found.class {
        Class::Auth if vendor_error.mentions(LOCKED) => Classification::stated(Class::Quota),
        Class::CallerInvalid if vendor_error.mentions(TOO_EARLY) => Classification::stated(Class::Server),
        // What may succeed later as it is cannot be wrong.
        Class::CallerInvalid if by_word.is_none() && is_retryable(reply) => Classification::stated(Class::Server),
        // fal names the application; any other 404 may be about a path.
        Class::ModelGone if vendor_error.mentions(&["application"]) => Classification::stated(Class::ModelGone),
        // So many requests at once are an account's.
        Class::RateLimited => found.at(FailureScope::Account),
        _ => found,
    };
    let class = finding.class;
    let failure = vendor_error.failure(finding, job, reply, our_field).with_billed(billed(job, reply, class));
    if at_result(job) && is_the_models(&vendor_error, class) { failure.at_the_end() } else { failure }
}

/// A failure of fal's own machinery, told by the queue. The error of a model is not read from here.
pub fn failed_machinery(job: &Job<'_>, status: &Json<'_>) -> Option<Failure> {
    let vendor_error = VendorError::from_json(status);
    let class = vendor_error.class_by_word(WORDS).filter(|class| *class == Class::Server)?;
    let words = format!("COMPLETED {}: {}", vendor_error.words.join(" "), vendor_error.message);
    Some(Failure::new(class, told(job, &words)).at_the_end())
}

fn is_retryable(reply: &Reply) -> bool {
    RETRYABLE.iter().filter_map(|name| reply.header(name)).any(|value| matches!(value.trim(), "true" | "1"))
}

/// A result without a picture: the error hidden in it, or none.
fn without_pictures(job: &Job<'_>, reply: &Reply, json: &Json<'_>) -> Failure {
    let vendor_error = VendorError::from_json(json);
    if !vendor_error.is_empty() {
        return failure(job, reply, &vendor_error);
    }
    let failure = malformed(job, reply, "has no pictures").with_billed(billed(job, reply, Class::Malformed));
    if at_result(job) { failure.at_the_end() } else { failure }
}

/// Pictures that a failed request is charged for. Server errors never are; a refusal or a bad input may be when the
/// model had begun, and then its reply has units.
fn billed(job: &Job<'_>, reply: &Reply, class: Class) -> u8 {
    let units = reply.header(&BILLABLE_UNITS).and_then(|text| text.trim().parse::<f64>().ok());
    match units {
        Some(units) if units > 0.0 && class != Class::Server => (units.ceil() as u8).clamp(1, job.n.max(1)),
        _ => 0,
    }
}

/// What fal says it drew and charged.
fn usage(reply: &Reply, listed: &[Json<'_>]) -> Usage {
    let first = listed.first();
    let side = |key| match first.and_then(|item| item.get(key)) {
        Some(Json::Number(pixels)) if *pixels >= 1.0 && *pixels <= f64::from(u32::MAX) => Some(*pixels as u32),
        _ => None,
    };
    let media_type = first.and_then(|item| item.text_at("content_type"));
    Usage {
        size: side("width").zip(side("height")).map(|(width, height)| Size::new(width, height)),
        quality: None,
        format: media_type.and_then(|text| text.strip_prefix("image/")).and_then(|word| word.parse().ok()),
        reported: billable_units(reply).map(Reported::Units),
        ..Usage::default()
    }
}

/// The number in `x-fal-billable-units`, as written.
fn billable_units(reply: &Reply) -> Option<String> {
    let text = reply.header(&BILLABLE_UNITS)?.trim();
    text.parse::<f64>().is_ok_and(|units| units.is_finite() && units >= 0.0).then(|| text.to_owned())
}

/// Our name of an endpoint's input.
fn our_field(field: &str) -> Option<String> {
    let ours = match field.split('.').next().unwrap_or(field) {
        field @ ("prompt" | "negative_prompt" | "seed" | "output_format" | "quality" | "background"
        | "input_fidelity") => field,
        "image_size" | "aspect_ratio" => "size",
        "num_images" => "n",
        "image_url" | "image_urls" => "image",
        "mask_url" | "mask_image_url" => "mask",
        _ => return None,
    };
    Some(ours.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::image::Encoded;
    use crate::provider::adapter::{Adapter, PictureSource};
    use crate::provider::common::fixture::JobFixture;
    use crate::provider::fal::Fal;

    fn fixture() -> JobFixture {
        JobFixture::new("fal", "fal-ai/flux/schnell", r#"{"prompt":"a red fox","size":"1024x768","n":3}"#)
    }

    fn read(status: u16, headers: &[(&'static str, &str)], body: &str) -> Step {
        let fixture = fixture();
        let reply = headers.iter().fold(fixture.reply(status, body), |reply, (name, value)| reply.with(name, value));
        Fal.read(&fixture.job(), &reply)
    }

    fn drawn(headers: &[(&'static str, &str)], body: &str) -> JobResult {
        match read(200, headers, body) {
            Step::Done(drawn) => drawn,
            other => panic!("{other:?}"),
        }
    }

    fn failed(status: u16, headers: &[(&'static str, &str)], body: &str) -> Failure {
        match read(status, headers, body) {
            Step::Failed(failure) => failure,
            other => panic!("{other:?}"),
        }
    }

    fn model_error(field: &str, kind: &str) -> String {
        format!(r#"{{"detail":[{{"loc":["body","{field}"],"msg":"bad","type":"{kind}","url":"u","input":"x"}}]}}"#)
    }

    #[test]
    fn every_error_has_its_class_and_names_our_field() {
        let request_error = |kind: &str| format!(r#"{{"detail":"text","error_type":"{kind}"}}"#);
        let detail = |text: &str| format!(r#"{{"detail":"{text}"}}"#);
        for (status, body, class, param) in [
            (422, model_error("prompt", "content_policy_violation"), Class::Policy, None),
            (422, model_error("prompt", "no_media_generated"), Class::Policy, None),
            (422, model_error("prompt", "string_too_long"), Class::CallerInvalid, Some("prompt")),
            (422, model_error("image_size", "value_error"), Class::CallerInvalid, Some("size")),
            (422, model_error("num_images", "less_than_equal"), Class::CallerInvalid, Some("n")),
            (422, model_error("seed", "value_error"), Class::AdapterBug, None),
            (422, model_error("guidance_scale", "value_error"), Class::AdapterBug, None),
            (422, model_error("prompt", "missing"), Class::AdapterBug, None),
            (422, model_error("prompt", "feature_not_supported"), Class::AdapterBug, None),
            (400, model_error("prompt", "downstream_service_error"), Class::Server, None),
            (500, model_error("prompt", "internal_server_error"), Class::Server, None),
            (504, request_error("request_timeout"), Class::Server, None),
            (503, request_error("runner_scheduling_failure"), Class::Server, None),
            (499, request_error("client_cancelled"), Class::Server, None),
            (400, request_error("bad_request"), Class::AdapterBug, None),
            (429, request_error("concurrent_requests_limit"), Class::RateLimited, None),
            (400, detail("Request is still in progress"), Class::Server, None),
            (401, detail("No user found for Key ID and Secret"), Class::Auth, None),
            (403, detail("not allowed"), Class::Auth, None),
            (403, detail("User is locked. Reason: Exhausted balance."), Class::Quota, None),
            (402, detail("Payment required"), Class::Quota, None),
            (404, detail("Application 'nothing' not found"), Class::ModelGone, None),
            (400, r#"{"message":"bad"}"#.to_owned(), Class::CallerInvalid, None),
            (502, "<html>".to_owned(), Class::Server, None),
            (422, "<html>".to_owned(), Class::Malformed, None),
            (200, r#"{"images":[]}"#.to_owned(), Class::Malformed, None),
            (200, r#"{"images":[{"url":""}]}"#.to_owned(), Class::Malformed, None),
            (200, r#"{"images":null,"seed":1}"#.to_owned(), Class::Malformed, None),
            (200, model_error("prompt", "content_policy_violation"), Class::Policy, None),
            (200, "[]".to_owned(), Class::Malformed, None),
            (200, "<html>".to_owned(), Class::Malformed, None),
        ] {
            let failure = failed(status, &[], &body);
            assert_eq!((failure.class, failure.param.as_deref()), (class, param), "{status} {body}");
        }
    }

    #[test]
    fn the_models_own_error_is_the_end_of_a_request_and_trouble_in_getting_at_it_is_not() {
        let ended = |polled: &str, status: u16, body: &str| {
            let mut fixture = fixture();
            fixture.polled = Some(format!("https://queue.fal.run/fal-ai/flux/requests/7a1f{polled}").parse().unwrap());
            let Step::Failed(failure) = Fal.read(&fixture.job(), &fixture.reply(status, body)) else {
                panic!("{body}")
            };
            failure.ended
        };
        let error = |kind: &str| model_error("prompt", kind);
        for (status, body, last) in [
            (500, error("internal_server_error"), true),
            (504, error("generation_timeout"), true),
            (400, error("downstream_service_error"), true),
            (503, r#"{"detail":"lost","error_type":"runner_disconnected"}"#.to_owned(), true),
            (422, error("content_policy_violation"), true),
            (422, error("value_error"), true),
            (200, r#"{"images":[]}"#.to_owned(), true),
            (502, "<html>Bad Gateway</html>".to_owned(), false),
            (200, "<html>".to_owned(), false),
            (400, r#"{"detail":"Request is still in progress"}"#.to_owned(), false),
            (401, r#"{"detail":"No user found for Key ID and Secret"}"#.to_owned(), false),
            (404, r#"{"detail":"Request not found"}"#.to_owned(), false),
            (429, r#"{"detail":"slow down"}"#.to_owned(), false),
        ] {
            assert_eq!(ended("", status, &body), last, "{status} {body}");
            assert_eq!(ended("/response", status, &body), last, "{status} {body}");
            assert!(!ended("/status", status, &body), "{status} {body}");
        }
    }

    #[test]
    fn headers_say_what_a_body_does_not() {
        let plain = r#"{"detail":"oops"}"#;
        assert_eq!(failed(422, &[("x-fal-error-type", "content_policy_violation")], plain).class, Class::Policy);
        assert_eq!(failed(400, &[("x-fal-retryable", "true")], plain).class, Class::Server);
        assert_eq!(failed(400, &[("x-fal-needs-retry", "1")], plain).class, Class::Server);
        assert_eq!(failed(400, &[("x-fal-retryable", "false")], plain).class, Class::CallerInvalid);
        let limited = failed(429, &[("retry-after", "3")], plain);
        assert_eq!((limited.class, limited.retry_after), (Class::RateLimited, Some(Duration::from_secs(3))));
    }

    #[test]
    fn a_mistake_in_a_picture_is_the_callers_when_there_is_one() {
        let fixture = JobFixture::new("fal", "fal-ai/flux-pro/v1/fill", r#"{"prompt":"x"}"#).editing(1, true);
        for (field, param) in [("image_url", "image"), ("mask_url", "mask")] {
            let reply = fixture.reply(422, model_error(field, "image_too_small"));
            let Step::Failed(failure) = Fal.read(&fixture.job(), &reply) else { panic!("a failure") };
            assert_eq!((failure.class, failure.param.as_deref()), (Class::CallerInvalid, Some(param)));
        }
    }

    #[test]
    fn a_failure_is_billed_only_when_its_reply_has_units() {
        let refusal = model_error("prompt", "content_policy_violation");
        assert_eq!(failed(422, &[], &refusal).billed, 0);
        assert_eq!(failed(422, &[("x-fal-billable-units", "0")], &refusal).billed, 0);
        assert_eq!(failed(422, &[("x-fal-billable-units", "1.0")], &refusal).billed, 1);
        assert_eq!(failed(422, &[("x-fal-billable-units", "99")], &refusal).billed, 3, "three were asked");
        let server = model_error("prompt", "internal_server_error");
        assert_eq!(failed(500, &[("x-fal-billable-units", "1")], &server).billed, 0);
        assert_eq!(failed(200, &[("x-fal-billable-units", "2")], r#"{"images":[]}"#).billed, 2);
    }

    #[test]
    fn pictures_are_links_or_data_and_one_more_than_asked_is_taken_too() {
        let sources = |images: &str| -> Vec<PictureSource> {
            let drawn = drawn(&[], &format!(r#"{{"images":{images}}}"#));
            drawn.images.into_iter().map(|found| found.source).collect()
        };
        let link = |text: &str| PictureSource::Link(text.parse().unwrap());
        let four = r#"[{"url":"https://v3.fal.media/0"},{"url":"https://v3.fal.media/1"},
            {"url":"https://v3.fal.media/2"},{"url":"https://v3.fal.media/3"}]"#;
        let all = [0, 1, 2, 3].map(|at| link(&format!("https://v3.fal.media/{at}")));
        assert_eq!(sources(four), all, "three were asked");
        assert_eq!(sources(r#"["https://fal.media/1"]"#), [link("https://fal.media/1")]);
        let inside = PictureSource::Inline(Encoded::Base64(bytes::Bytes::from_static(b"QUJD")));
        assert_eq!(sources(r#"[{"url":"data:image/png;base64,QUJD"}]"#), [inside]);
        let single = drawn(&[], r#"{"image":{"url":"https://fal.media/1","width":8,"height":4}}"#);
        assert_eq!((single.images.len(), single.usage.size), (1, Some(Size::new(8, 4))));
    }

    #[test]
    fn a_blacked_out_picture_is_withheld_and_charged_and_the_others_are_delivered() {
        let images =
            r#""images":[{"url":"https://fal.media/0"},{"url":"https://fal.media/1"},{"url":"https://fal.media/2"}]"#;
        for key in ["has_nsfw_concepts", "nsfw_content_detected"] {
            let drawn = drawn(&[], &format!(r#"{{{images},"{key}":[false,true,false]}}"#));
            let links: Vec<_> = drawn.images.into_iter().map(|found| found.source).collect();
            assert_eq!(
                links,
                ["https://fal.media/0", "https://fal.media/2"].map(|t| PictureSource::Link(t.parse().unwrap()))
            );
            assert_eq!((drawn.refused, drawn.refused_billed), (1, 1));
        }
        let none =
            drawn(&[("x-fal-billable-units", "3")], &format!(r#"{{{images},"has_nsfw_concepts":[true,true,true]}}"#));
        assert_eq!((none.images.len(), none.refused, none.refused_billed), (0, 3, 3));
        assert_eq!(none.usage.reported, Some(Reported::Units("3".to_owned())), "all of it is settled by the units");
    }

    #[test]
    fn units_are_reported_as_written_and_nonsense_is_not() {
        let body =
            r#"{"images":[{"url":"https://fal.media/0","width":1024,"height":768,"content_type":"image/jpeg"}]}"#;
        let reported = |text: &str| drawn(&[("x-fal-billable-units", text)], body).usage.reported;
        assert_eq!(reported("0.786432"), Some(Reported::Units("0.786432".to_owned())));
        assert_eq!(reported(" 2 "), Some(Reported::Units("2".to_owned())));
        for nonsense in ["", "many", "NaN", "inf", "-1"] {
            assert_eq!(reported(nonsense), None, "{nonsense}");
        }
        let usage = drawn(&[], body).usage;
        assert_eq!((usage.size, usage.format), (Some(Size::new(1024, 768)), Some(crate::image::Format::Jpeg)));
    }

    #[test]
    fn a_prompt_that_was_rewritten_is_told() {
        let prompt = |text: &str| {
            let body = format!(r#"{{"images":[{{"url":"https://fal.media/0"}}],"prompt":"{text}"}}"#);
            drawn(&[], &body).images[0].revised_prompt.clone()
        };
        assert_eq!(prompt("a red fox"), None);
        assert_eq!(prompt("a red fox at dusk").as_deref(), Some("a red fox at dusk"));
    }
}
