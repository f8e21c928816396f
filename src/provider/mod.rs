//! Each image API as two pure functions: a request becomes a call, a reply becomes pictures or the next step.
//!
//! Nothing here opens a socket, waits, or knows of routes, caches or money. Polling is data: [`Step::Again`] says what
//! to send and how long to wait, and `gateway/attempt.rs` owns the loop. A new provider is one folder, one line in
//! [`ALL`], and one folder of golden wire samples in `tests/golden`.

mod adapter;
pub mod anthropic;
pub mod azure;
pub mod bfl;
mod capability_overrides;
pub mod common;
pub mod compatible;
pub mod dashscope;
pub mod fal;
pub mod google;
pub mod openai;
pub mod openai_text;
pub mod openrouter;
pub mod replicate;
pub mod stability;
pub mod text;
#[cfg(test)]
mod vendor_error_tests;

pub use crate::provider::adapter::{
    Adapter, Call, Job, JobResult, Partial, PictureSource, Reply, ReplyPicture, Reported, Step, Usage,
};
pub use crate::provider::capability_overrides::capabilities;
pub use crate::provider::common::chat::{ChatReply, ChatRequest, NoText};
pub use crate::provider::common::headers::is_event_stream;
pub use crate::provider::common::model_end::ModelEnd;
pub use crate::provider::common::retry_after::retry_after;

/// Every wire format, by the `kind` the config uses.
pub static ALL: &[&dyn Adapter] = &[
    &openai::OpenAi,
    &azure::Azure,
    &compatible::Compatible,
    &stability::Stability,
    &replicate::Replicate,
    &openrouter::OpenRouter,
    &dashscope::DashScope,
    &fal::Fal,
    &google::Google,
    &bfl::Bfl,
];

/// The provider of this `kind`.
pub fn by_kind(kind: &str) -> Option<&'static dyn Adapter> {
    ALL.iter().copied().find(|provider| provider.name() == kind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use url::Url;

    use super::*;
    use crate::config::plan::Via;
    use crate::provider::common::fixture::JobFixture;

    /// One model for each way a provider reads a reply.
    const MODELS: &[(&str, &str)] = &[
        ("openai", "gpt-image-2"),
        ("openai_compatible", "any"),
        ("stability", "core"),
        ("stability", "stable-diffusion-xl-1024-v1-0"),
        ("replicate", "black-forest-labs/flux-schnell"),
        ("azure", "gpt-image-1"),
        ("openrouter", "openai/gpt-image-2"),
        ("dashscope", "qwen-image-2.0"),
        ("dashscope", "wan2.2-t2i-flash"),
        ("fal", "fal-ai/flux/schnell"),
        ("google", "gemini-3-pro-image"),
        ("google", "imagen-4.0-generate-001"),
        ("bfl", "flux-2-pro"),
    ];

    /// JSON built of the words that the providers look for.
    fn plausible() -> impl Strategy<Value = String> {
        let word = prop_oneof![
            Just("\"\"".to_owned()),
            Just("null".to_owned()),
            Just("-1e308".to_owned()),
            Just("\"QUJD\"".to_owned()),
            Just("\"https://cdn/1.png\"".to_owned()),
            Just("\"data:,\"".to_owned()),
            Just("\"CONTENT_FILTERED\"".to_owned()),
            Just("\"succeeded\"".to_owned()),
            Just("\"starting\"".to_owned()),
            Just("\"COMPLETED\"".to_owned()),
            Just("true".to_owned()),
            Just("\"Ready\"".to_owned()),
            Just("\"input.prompt: \\u00e9 resets in ~1e9s\"".to_owned()),
        ];
        let keys = [
            "data",
            "images",
            "b64_json",
            "url",
            "artifacts",
            "base64",
            "finishReason",
            "finish_reason",
            "image",
            "status",
            "output",
            "id",
            "error",
            "errors",
            "detail",
            "loc",
            "code",
            "message",
            "retry_after",
            "field",
            "choices",
            "native_finish_reason",
            "image_url",
            "metadata",
            "raw",
            "has_nsfw_concepts",
            "request_id",
            "response_url",
            "usage",
            "cost",
            "candidates",
            "content",
            "parts",
            "inlineData",
            "predictions",
            "bytesBase64Encoded",
            "polling_url",
            "result",
            "sample",
            "details",
        ];
        word.prop_recursive(4, 40, 6, move |inner| {
            let member = (proptest::sample::select(keys.to_vec()), inner.clone())
                .prop_map(|(key, value)| format!("\"{key}\":{value}"));
            prop_oneof![
                proptest::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                proptest::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
            ]
        })
    }

    fn read_by_all(status: u16, body: &[u8]) {
        for &(kind, model) in MODELS {
            let mut fixture = JobFixture::new(kind, model, r#"{"prompt":"a red fox","n":2}"#);
            for via in [Via::Images, Via::Chat] {
                fixture.model.via = via;
                fixture.polled = (via == Via::Chat).then(|| fixture.account.base_url.clone());
                let step = by_kind(kind).unwrap().read(&fixture.job(), &fixture.reply(status, body));
                if let Step::Done(drawn) = &step {
                    // What was charged is settled, also when it brought nothing.
                    let settled = usize::from(drawn.usage.reported.is_some());
                    let told = drawn.images.len() + usize::from(drawn.refused);
                    assert!(
                        (1..=2 * common::picture_source::MOST_PICTURES).contains(&told.max(settled)),
                        "{kind}: {step:?}"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_provider_panic(status in 0u16..1000, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            read_by_all(status, &body);
        }

        #[test]
        fn no_odd_json_makes_a_provider_panic(status in prop_oneof![Just(200u16), 400u16..600], body in plausible()) {
            read_by_all(status, body.as_bytes());
        }
    }

    #[test]
    fn every_kind_is_found_by_its_name_and_its_address_ends_with_a_slash() {
        for provider in ALL {
            assert!(by_kind(provider.name()).is_some_and(|found| found.name() == provider.name()));
            if let Some(base) = provider.default_base_url() {
                assert!(base.parse::<Url>().is_ok() && base.ends_with('/'), "{base}");
            }
        }
        assert!(by_kind("nobody").is_none());
    }
}
