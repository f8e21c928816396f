//! What the events of OpenAI's stream mean (PROVIDERS.md 1.5), from OpenAI, from Azure or from a server like them.
//!
//! A stream is asked for only where somebody watches for unfinished pictures. Those go on to the client as they are;
//! what is finished counts as if it had come in one piece. Reading lines is the transport's business.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::failure::{Class, Failure};
use crate::image::{Format, standard, without_data_prefix};
use crate::provider::adapter::{Job, JobResult, Partial, Reply, ReplyPicture, Step, Usage};
use crate::provider::common::json::Json;
use crate::provider::common::picture_source;
use crate::provider::common::vendor_error::VendorError;
use crate::provider::openai::errors::failure;
use crate::provider::openai::pictures_and_usage::{counted, drawn, usage};

/// The unfinished picture in an event.
pub fn partial(event: &str) -> Option<Partial> {
    let json = Json::read(event.as_bytes()).ok()?;
    json.text_at("type").filter(|kind| kind.ends_with(".partial_image"))?;
    // It goes on to clients between quotes, so in the one form that has nothing to escape.
    let data = standard(Bytes::copy_from_slice(without_data_prefix(json.bytes_at("b64_json")?)))?;
    let format: Option<Format> = json.text_at("output_format").and_then(|word| word.parse().ok());
    let index = match json.get("partial_image_index") {
        Some(Json::Number(index)) => *index as u8,
        _ => 0,
    };
    (!data.is_empty()).then(|| Partial { base64: data, index, format: format.map(Format::as_str) })
}

/// Whether an event brings a finished picture.
pub fn finishes(event: &str) -> bool {
    let is_finished = |json: Json<'_>| json.text_at("type").is_some_and(|kind| kind.ends_with(".completed"));
    Json::read(event.as_bytes()).is_ok_and(is_finished)
}

/// The pictures in the events of a stream. An error may come after some of them; it counts if there are none.
pub fn read(job: &Job<'_>, reply: &Reply) -> Step {
    let (mut images, mut usage_told, mut failed) = (Vec::new(), Usage::default(), None);
    for event in serde_json::Deserializer::from_slice(&reply.body).into_iter::<&RawValue>() {
        let Ok(event) = event else { break };
        let Ok(json) = Json::read(event.get().as_bytes()) else { continue };
        if json.text_at("type").is_some_and(|kind| kind.ends_with(".completed")) {
            let data = json
                .bytes_at("b64_json")
                .filter(|data| !data.is_empty() && images.len() < picture_source::MOST_PICTURES);
            let source = data.and_then(|data| picture_source::inline_or_link(&reply.body, &job.account.base_url, data));
            images.extend(source.map(|source| ReplyPicture { source, revised_prompt: None }));
            // Each picture comes with what it took by itself.
            let before = usage_told.counted.tokens;
            usage_told = usage(job, reply, &json);
            let tokens = usage_told.counted.tokens;
            usage_told.counted.tokens = before.zip(tokens).map(|(all, more)| all.plus(more)).or(tokens).or(before);
        } else if json.get("type").is_none()
            && let Ok(drawn) = drawn(job, reply, &json)
        {
            // A server that does not stream may answer in one piece all the same, whatever it calls that.
            images.extend(drawn.images);
            usage_told = drawn.usage;
        } else if json.get("error").is_some() || json.get("code").is_some() {
            let failure = failure(job, reply, &VendorError::from_json(&json));
            // No status speaks here. What no word explains is the vendor's own trouble.
            let class = if failure.class == Class::Malformed { Class::Server } else { failure.class };
            failed = Some(Failure { class, ..failure }.with_counted(counted(&json)));
        }
    }
    match (images.is_empty(), failed) {
        (false, _) => Step::Done(JobResult { images, refused: 0, refused_billed: 0, usage: usage_told }),
        (true, Some(failure)) => Step::Failed(failure),
        // Something may have been drawn.
        (true, None) => Step::Failed(Failure::new(Class::TimeoutAmbiguous, "the stream ended without a picture")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::common::fixture::JobFixture;

    const DONE: &str = r#"{"type":"image_generation.completed","b64_json":"QUJD","size":"1536x1024","quality":"low",
        "usage":{"output_tokens":400}}"#;

    fn read_events(events: &str) -> Step {
        let fixture = JobFixture::new("openai", "gpt-image-2", r#"{"prompt":"x","stream":true,"partial_images":2}"#);
        let reply = fixture.reply(200, events).with("content-type", "text/event-stream; charset=utf-8");
        fixture.provider.read(&fixture.job(), &reply)
    }

    #[test]
    fn a_stream_is_asked_for_only_where_unfinished_pictures_are_wanted_and_the_model_shows_them() {
        let told = |model: &str, wish: &str| {
            let body = JobFixture::new("openai", model, &format!(r#"{{"prompt":"x"{wish}}}"#)).body();
            (body.get("stream").is_some(), body.get("partial_images").and_then(serde_json::Value::as_u64))
        };
        assert_eq!(told("gpt-image-2", r#","stream":true,"partial_images":2"#), (true, Some(2)));
        assert_eq!(told("gpt-image-2", r#","stream":true"#), (false, None));
        assert_eq!(told("gpt-image-2", r#","partial_images":2"#), (false, None));
        assert_eq!(told("dall-e-3", r#","stream":true,"partial_images":2"#), (false, None));
    }

    #[test]
    fn only_an_unfinished_picture_is_one() {
        let event = r#"{"type":"image_edit.partial_image","b64_json":"QUJD","partial_image_index":1,
            "output_format":"jpeg"}"#;
        let shown = Partial { base64: Bytes::from_static(b"QUJD"), index: 1, format: Some("jpeg") };
        assert_eq!(partial(event), Some(shown));
        assert_eq!(partial(&event.replace("QUJD", "QU\\nJD")), partial(event), "in the form that clients take");
        for other in [DONE, "", "[DONE]", &event.replace("QUJD", "QU\u{e9}"), &event.replace("QUJD", "")] {
            assert_eq!(partial(other), None, "{other}");
        }
    }

    #[test]
    fn the_finished_picture_counts_and_what_it_echoes() {
        let Step::Done(drawn) = read_events(DONE) else { panic!("not done") };
        assert_eq!(drawn.images.len(), 1);
        assert_eq!(drawn.usage.size, Some("1536x1024".parse().unwrap()));
        let Step::Done(more) = read_events(&format!("{DONE}\n{DONE}\n[DONE]")) else { panic!("not done") };
        assert_eq!(more.images.len(), 2, "a second one is charged too");
    }

    #[test]
    fn an_answer_in_one_piece_is_read_although_it_is_called_a_stream() {
        let answer = "{\n \"data\": [{\"b64_json\": \"QUJD\"}],\n \"usage\": {\"output_tokens\": 400}}";
        let Step::Done(drawn) = read_events(answer) else { panic!("not done") };
        assert_eq!((drawn.images.len(), drawn.usage.counted.tokens.is_some()), (1, true));
    }

    #[test]
    fn only_an_event_with_a_finished_picture_finishes() {
        assert!(finishes(DONE) && finishes(&DONE.replace("image_generation", "image_edit")));
        for other in ["", "[DONE]", r#"{"type":"image_edit.partial_image"}"#, r#"{"type":"error"}"#] {
            assert!(!finishes(other), "{other}");
        }
    }

    #[test]
    fn an_error_in_the_stream_is_what_it_says_and_a_silent_end_leaves_the_price_open() {
        let failed = |events: &str| match read_events(events) {
            Step::Failed(failure) => failure.class,
            other => panic!("{other:?}"),
        };
        let refused = r#"{"type":"error","error":{"code":"moderation_blocked","message":"no","param":null}}"#;
        assert_eq!(failed(refused), Class::Policy);
        assert_eq!(failed(r#"{"code":"moderation_blocked","message":"no","param":null,"type":"x"}"#), Class::Policy);
        assert_eq!(
            failed(r#"{"code":"server_error","message":"oh","param":null,"type":"server_error"}"#),
            Class::Server
        );
        for events in ["", "[DONE]", r#"{"type":"image_generation.completed"}"#] {
            assert_eq!(failed(events), Class::TimeoutAmbiguous, "{events}");
        }
    }
}
