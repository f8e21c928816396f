//! What a reply in the shape of OpenAI's Images API means, from OpenAI itself or from a server like it.
//!
//! The account's dialect says where the list is and how its items are spelled; OpenAI's own account has the default
//! one. Tolerant of what PROVIDERS.md 8.5 lists (`data:` prefixes, relative links, bare strings, no `created`, no
//! `usage`), strict in one thing: a reply without a picture is a failure whatever its status.

use crate::failure::{Class, Failure};
use crate::provider::adapter::{Job, Reply, Step};
use crate::provider::common::headers;
use crate::provider::common::json::Json;
use crate::provider::common::vendor_error::{VendorError, malformed};
use crate::provider::openai::errors::failure;
use crate::provider::openai::pictures_and_usage::{counted, drawn, reported_cost};
use crate::provider::openai::stream;

/// What a reply to a generation call means.
pub fn read(job: &Job<'_>, reply: &Reply) -> Step {
    if !(200..300).contains(&reply.status) {
        let counted = Json::read(&reply.body).map(|json| counted(&json)).unwrap_or_default();
        return Step::Failed(failure(job, reply, &VendorError::read(&reply.body)).with_counted(counted));
    }
    if headers::is_event_stream(&reply.headers) {
        return stream::read(job, reply);
    }
    let json = match Json::read(&reply.body) {
        Ok(json) => json,
        Err(error) => return unreadable(job, reply, malformed(job, reply, &format!("is not JSON ({error})"))),
    };
    match drawn(job, reply, &json) {
        Ok(drawn) => Step::Done(drawn),
        Err(failure) if failure.class == Class::Malformed => unreadable(job, reply, failure),
        Err(failure) => Step::Failed(failure),
    }
}

/// An answer that says nothing of the work; a header may tell all the same what the call costs.
fn unreadable(job: &Job<'_>, reply: &Reply, failure: Failure) -> Step {
    match reported_cost(&job.account.dialect, reply, &Json::Null) {
        Some(cost) => Step::Lost { failure, noted: Some(cost) },
        None => Step::Failed(failure),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::config::plan::CostUnit;
    use crate::image::Encoded;
    use crate::provider::adapter::PictureSource;
    use crate::provider::adapter::Reported;
    use crate::provider::common::fixture::JobFixture;
    use crate::provider::common::picture_source;

    use std::time::Duration;

    fn fixture() -> JobFixture {
        JobFixture::new("openai", "gpt-image-1", r#"{"prompt":"a red fox","size":"1024x1024","n":2}"#)
    }

    fn images(step: Step) -> Vec<PictureSource> {
        match step {
            Step::Done(drawn) => drawn.images.into_iter().map(|found| found.source).collect(),
            other => panic!("no pictures: {other:?}"),
        }
    }

    #[test]
    fn every_error_has_its_class_and_names_our_field() {
        let error = |kind: &str, code: &str, param: &str| {
            format!(r#"{{"error":{{"message":"m","type":"{kind}","param":{param},"code":{code}}}}}"#)
        };
        let invalid = |code: &str, param: &str| error("invalid_request_error", code, param);
        let refused = error("image_generation_user_error", "\"moderation_blocked\"", "null");
        let old_refusal = r#"{"error":{"message":"Your request was rejected as a result of our safety system.",
            "type":"invalid_request_error","param":null,"code":null}}"#;
        let fastapi = |field: &str, kind: &str| {
            format!(r#"{{"detail":[{{"loc":["body","{field}"],"msg":"bad","type":"{kind}"}}]}}"#)
        };
        for (status, body, class, param) in [
            (400, invalid("\"invalid_value\"", "\"size\""), Class::CallerInvalid, Some("size")),
            (400, invalid("null", "null"), Class::CallerInvalid, None),
            (400, invalid("\"invalid_value\"", "\"style\""), Class::AdapterBug, None),
            (400, invalid("\"unknown_parameter\"", "\"response_format\""), Class::AdapterBug, None),
            (400, invalid("\"invalid_value\"", "\"model\""), Class::ModelGone, None),
            (400, refused, Class::Policy, None),
            (400, old_refusal.to_owned(), Class::Policy, None),
            (403, invalid("\"content_moderation\"", "null"), Class::Policy, None),
            (400, invalid("\"billing_hard_limit_reached\"", "null"), Class::Quota, None),
            (401, invalid("\"invalid_api_key\"", "null"), Class::Auth, None),
            (403, invalid("null", "null"), Class::Auth, None),
            (402, r#"{"message":"no credit"}"#.to_owned(), Class::Quota, None),
            (404, invalid("\"model_not_found\"", "null"), Class::ModelGone, None),
            (408, String::new(), Class::Server, None),
            (408, r#"{"error":{"code":408,"message":"timed out"}}"#.to_owned(), Class::TimeoutAmbiguous, None),
            (409, String::new(), Class::Server, None),
            (413, r#"{"message":"too large"}"#.to_owned(), Class::CallerInvalid, None),
            (415, "text".to_owned(), Class::AdapterBug, None),
            (422, fastapi("size", "value_error"), Class::CallerInvalid, Some("size")),
            (422, fastapi("user", "value_error"), Class::AdapterBug, None),
            (422, fastapi("size", "extra_forbidden"), Class::AdapterBug, None),
            (429, error("requests", "\"rate_limit_exceeded\"", "null"), Class::RateLimited, None),
            (429, error("insufficient_quota", "\"insufficient_quota\"", "null"), Class::Quota, None),
            (500, error("server_error", "null", "null"), Class::Server, None),
            (502, "<html>Bad Gateway</html>".to_owned(), Class::Server, None),
            (400, "<html>Bad Request</html>".to_owned(), Class::Malformed, None),
            (400, "\"Invalid prompt\"".to_owned(), Class::CallerInvalid, None),
            (302, String::new(), Class::Malformed, None),
            (200, r#"{"error":{"code":429,"message":"slow down"}}"#.to_owned(), Class::RateLimited, None),
            (200, r#"{"error":"out of memory"}"#.to_owned(), Class::Server, None),
            (200, r#"{"error":{"code":504,"message":"no answer"}}"#.to_owned(), Class::TimeoutAmbiguous, None),
            (200, r#"{"data":[],"message":"done"}"#.to_owned(), Class::Malformed, None),
            (504, error("server_error", "null", "null"), Class::TimeoutAmbiguous, None),
            (524, "<html>error code: 524</html>".to_owned(), Class::TimeoutAmbiguous, None),
            (521, "<html>error code: 521</html>".to_owned(), Class::Server, None),
            (200, r#"{"created":1,"data":[]}"#.to_owned(), Class::Malformed, None),
            (200, r#"{"data":[{"b64_json":null}]}"#.to_owned(), Class::Malformed, None),
            (200, r#"{"data":[{"b64_json":"QUJ"#.to_owned(), Class::Malformed, None),
            (200, "<html>Welcome</html>".to_owned(), Class::Malformed, None),
        ] {
            let fixture = fixture();
            let Step::Failed(failure) = read(&fixture.job(), &fixture.reply(status, &body)) else {
                panic!("{status} {body} is no failure");
            };
            assert_eq!((failure.class, failure.param.as_deref()), (class, param), "{status} {body}");
        }
    }

    #[test]
    fn a_waiting_time_is_kept_where_waiting_helps() {
        let fixture = fixture();
        let after = |body: &str| {
            let reply = fixture.reply(429, body).with("retry-after", "7");
            match read(&fixture.job(), &reply) {
                Step::Failed(failure) => failure.retry_after,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(after(r#"{"error":"slow down"}"#), Some(Duration::from_secs(7)));
        assert_eq!(after(r#"{"error":{"code":"insufficient_quota"}}"#), None);
    }

    #[test]
    fn a_key_in_an_error_is_blotted_out_and_the_message_is_bounded() {
        let fixture = fixture();
        let body = format!(r#"{{"error":"the key {} is unknown {}"}}"#, fixture.key(), "x".repeat(5_000));
        let page = format!("<html>{} {}", " ".repeat(1_000), fixture.key().repeat(60));
        for (status, body) in [(401, &body), (200, &body), (400, &page), (200, &page)] {
            let Step::Failed(failure) = read(&fixture.job(), &fixture.reply(status, body)) else { panic!("{status}") };
            assert!(failure.message.chars().count() <= 501, "{}", failure.message.len());
            assert!(!failure.message.contains(&fixture.key()[..8]), "{}", failure.message);
        }
    }

    #[test]
    fn base64_is_a_slice_of_the_reply_even_behind_a_data_prefix_and_survives_escapes() {
        let fixture = fixture();
        let body =
            r#"{"data":[{"b64_json":"data:image\/png;base64,QUJD\nQUJD"},{"b64_json":"data:image/png;base64,QUJD"}]}"#;
        let reply = fixture.reply(200, body);
        let found = images(read(&fixture.job(), &reply));
        let [PictureSource::Inline(Encoded::Base64(copied)), PictureSource::Inline(Encoded::Base64(shared))] =
            &found[..]
        else {
            panic!("{found:?}");
        };
        assert_eq!((&copied[..], &shared[..]), (&b"QUJDQUJD"[..], &b"QUJD"[..]));
        assert!(reply.body.as_ptr_range().contains(&shared.as_ptr()));
        assert!(!reply.body.as_ptr_range().contains(&copied.as_ptr()));
    }

    #[test]
    fn a_price_is_told_in_a_header_or_in_the_answer_digit_for_digit() {
        let mut fixture = fixture();
        fixture.account.dialect.cost_header = Some("x-cost".to_owned());
        fixture.account.dialect.cost_at = Some("usage.cost".to_owned());
        let cost = |fixture: &JobFixture, header: &str, cost: &str| {
            let body = format!(r#"{{"data":[{{"url":"https://cdn/1.png"}}],"usage":{{"cost":{cost}}}}}"#);
            match read(&fixture.job(), &fixture.reply(200, body).with("x-cost", header)) {
                Step::Done(drawn) => drawn.usage.reported,
                other => panic!("{other:?}"),
            }
        };
        let usd = |text: &str| Some(Reported::Dollars(text.to_owned()));
        assert_eq!(cost(&fixture, "3.45e-05", "1"), usd("3.45e-05"));
        assert_eq!(cost(&fixture, "None", "0.0300000000000000001"), usd("0.0300000000000000001"));
        assert_eq!(cost(&fixture, "inf", r#""0.04""#), usd("0.04"));
        for nothing in ["null", "-1", r#""free""#, "{}"] {
            assert_eq!(cost(&fixture, "NaN", nothing), None, "{nothing}");
        }
        fixture.account.dialect.cost_unit = CostUnit::Cents;
        assert_eq!(cost(&fixture, "4", "1"), Some(Reported::Cents("4".to_owned())));
        fixture.account.dialect.cost_unit = CostUnit::Units;
        assert_eq!(cost(&fixture, "4", "1"), Some(Reported::Units("4".to_owned())));
    }

    #[test]
    fn a_link_in_the_place_of_base64_is_followed_and_base64_in_the_place_of_a_link_is_the_picture() {
        let fixture = fixture();
        let png = picture_source::base64(b"\x89PNG\r\n\x1a\n and what follows");
        let found =
            |item: &str| images(read(&fixture.job(), &fixture.reply(200, format!(r#"{{"data":[{item}]}}"#)))).remove(0);
        let link = |text: &str| PictureSource::Link(fixture.account.base_url.join(text).unwrap());
        let inside = PictureSource::Inline(Encoded::Base64(Bytes::from(png.clone())));
        assert_eq!(found(r#"{"b64_json":"https://cdn/1.png"}"#), link("https://cdn/1.png"));
        assert_eq!(found(r#"{"b64_json":"/1.png"}"#), link("/1.png"));
        assert_eq!(found(&format!(r#"{{"url":"{png}"}}"#)), inside);
        assert_eq!(found(&format!(r#"{{"url":"DATA:;base64,{png}","b64_json":""}}"#)), inside);
    }

    #[test]
    fn a_picture_may_lie_deeper_in_its_item() {
        let mut fixture = fixture();
        fixture.account.dialect.list = "output.images".to_owned();
        fixture.account.dialect.base64 = "file.data".to_owned();
        let reply = fixture.reply(200, r#"{"output":{"images":[{"file":{"data":"QUJD"}},"QUJD"]}}"#);
        let found = images(read(&fixture.job(), &reply));
        assert!(matches!(&found[..], [PictureSource::Inline(_), PictureSource::Inline(_)]), "{found:?}");
    }

    #[test]
    fn a_bare_string_is_a_link_when_it_looks_like_one() {
        let fixture = fixture();
        let jpeg = images(read(&fixture.job(), &fixture.reply(200, r#"{"data":["/9j/4AAQSkZJRg=="]}"#)));
        assert!(matches!(&jpeg[..], [PictureSource::Inline(_)]));
        let link = images(read(&fixture.job(), &fixture.reply(200, r#"{"images":["/files/1.png","https://cdn/2"]}"#)));
        assert!(matches!(&link[..], [PictureSource::Link(_), PictureSource::Link(_)]));
    }

    #[test]
    fn more_pictures_than_were_asked_are_taken_too_since_they_are_charged() {
        let fixture = fixture();
        let listed = |count: usize| format!(r#"{{"data":[{}]}}"#, vec![r#"{"b64_json":"AA=="}"#; count].join(","));
        for (sent, taken) in [(2, 2), (3, 3), (500, picture_source::MOST_PICTURES)] {
            assert_eq!(images(read(&fixture.job(), &fixture.reply(200, listed(sent)))).len(), taken, "{sent}");
        }
    }
}
