//! OpenAI's Chat Completions and Embeddings, and every server that speaks them (vLLM, Ollama, LiteLLM, TEI and more):
//! models that write, and models that turn texts into vectors (PROVIDERS.md sections 7.2 and 13). It draws nothing.
//!
//! Pure functions like any provider's, but not an [`Adapter`](crate::provider::adapter::Adapter): what goes out is words and
//! what comes back is words or vectors, and a count of tokens.

mod completions;
mod embeddings;
mod endpoint;

pub use crate::provider::openai_text::completions::{chat, read_chat};
pub use crate::provider::openai_text::embeddings::{EmbedReply, EmbedRequest, embed, read_embeddings};

/// The `kind` in the config.
pub const NAME: &str = "openai_text";

/// Where OpenAI lives.
pub const DEFAULT_BASE_URL: &str = "https://api.openai.com/v1/";

/// Model names worth suggesting.
pub const KNOWN_MODELS: &[&str] = &[
    "gpt-5-nano",
    "gpt-5-mini",
    "gpt-5",
    "gpt-4.1-nano",
    "gpt-4.1-mini",
    "gpt-4o-mini",
    "text-embedding-3-small",
    "text-embedding-3-large",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use http::HeaderMap;
    use proptest::prelude::*;

    use super::*;
    use crate::calendar::Moment;
    use crate::config::plan::{Account, Rate, TextModel};
    use crate::failure::Class;
    use crate::money::Usd;
    use crate::pricing::TextTokenPrice;
    use crate::provider::adapter::Reply;
    use crate::provider::common::chat::ChatRequest;
    use crate::provider::common::fixture::account;

    const KEY: &str = "sk-proj-0123456789abcdef";

    fn with_model<T>(run: impl FnOnce(&Account, &TextModel) -> T) -> T {
        let price = TextTokenPrice { text_in: Usd::ZERO, text_cached_in: None, text_out: None, markup_ppm: 0 };
        let model = TextModel { name: "m".to_owned(), price, rate: Rate::default(), options: BTreeMap::new() };
        run(&account(DEFAULT_BASE_URL, KEY), &model)
    }

    fn reply(status: u16, body: Vec<u8>) -> Reply {
        Reply { status, headers: HeaderMap::new(), body: Bytes::from(body), at: Moment::default() }
    }

    fn read_by_both(reply: &Reply) {
        with_model(|account, model| {
            let wish = ChatRequest { account, model, system: "s", user: "a fox", max_tokens: 400 };
            let read = read_chat(&wish, reply).map(|written| written.text.is_ok());
            let wish = EmbedRequest { account, model, inputs: &["a fox", "a hen"] };
            let embedded = read_embeddings(&wish, reply).map(|embedded| embedded.vectors.len());
            assert!(embedded.is_err() || embedded == Ok(2), "{read:?} {embedded:?}");
        });
    }

    #[test]
    fn an_organisation_and_a_project_are_named_in_headers() {
        let mut account = account(DEFAULT_BASE_URL, KEY);
        (account.organization, account.project) = (Some("org-1".to_owned()), Some("proj-1".to_owned()));
        let call = with_model(|_, model| embed(&EmbedRequest { account: &account, model, inputs: &["x"] }).unwrap());
        let named = ["openai-organization", "openai-project"].map(|name| call.headers[name].to_str().unwrap());
        assert_eq!(named, ["org-1", "proj-1"]);
        assert!(call.headers["authorization"].is_sensitive());
    }

    #[test]
    fn a_call_takes_at_least_one_text_and_no_more_than_the_vendor_does() {
        let class = |inputs: &[&str]| {
            with_model(|account, model| {
                embed(&EmbedRequest { account, model, inputs }).map(|_| ()).map_err(|e| e.class)
            })
        };
        assert_eq!(class(&[]), Err(Class::AdapterBug));
        assert_eq!((class(&["x"; 2048]), class(&["x"; 2049])), (Ok(()), Err(Class::AdapterBug)));
    }

    #[test]
    fn the_longest_vectors_of_all_texts_fit_into_the_longest_reply() {
        let inputs = ["x"; 3];
        let longest = with_model(|account, model| EmbedRequest { account, model, inputs: &inputs }.longest_reply());
        let number = "-1.2345678901234567e-308, ";
        assert!(3 * 4096 * number.len() < longest);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(
            status in 0u16..1000, body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            read_by_both(&reply(status, body));
        }

        #[test]
        fn no_odd_numbers_make_a_reader_panic(number in prop_oneof![Just("-1".to_owned()), Just("1e99".to_owned()),
            Just("1e999".to_owned()), Just("null".to_owned()), any::<u64>().prop_map(|n| n.to_string())]) {
            let body = format!(r#"{{"choices":[{{"finish_reason":"stop","message":{{"content":"x"}}}}],"usage":{{
                "prompt_tokens":{number},"completion_tokens":{number},"total_tokens":{number},
                "prompt_tokens_details":{{"cached_tokens":{number}}}}},"data":[
                {{"index":{number},"embedding":[{number}]}},{{"index":0,"embedding":[1.5]}}]}}"#);
            read_by_both(&reply(200, body.into_bytes()));
        }
    }
}
