//! `POST {base}/chat/completions`: one instruction, one message, one answer.

use serde_json::{Map, json};

use crate::failure::Failure;
use crate::pricing::TextTokens;
use crate::provider::adapter::{Call, Reply};
use crate::provider::common::chat::{ChatReply, ChatRequest, NoText};
use crate::provider::common::json::{Json, number_at};
use crate::provider::openai_text::endpoint;

/// The call that asks for `wish`.
///
/// # Errors
/// When the account's address or key cannot be used.
pub fn chat(wish: &ChatRequest<'_>) -> Result<Call, Failure> {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(wish.model.name));
    body.insert("max_completion_tokens".to_owned(), json!(wish.max_tokens));
    let messages = json!([{"role": "system", "content": wish.system}, {"role": "user", "content": wish.user}]);
    body.insert("messages".to_owned(), messages);
    endpoint::call(wish.account, wish.model, ["chat", "completions"], body)
}

/// What `reply` to that call means.
///
/// # Errors
/// When nothing was written. Whether something is charged all the same, the failure tells by its class.
pub fn read_chat(wish: &ChatRequest<'_>, reply: &Reply) -> Result<ChatReply, Failure> {
    if let Some(failure) = endpoint::refused(wish.account, reply) {
        return Err(failure);
    }
    let malformed = |what: &str| endpoint::malformed(wish.account, reply, what);
    let json = Json::read(&reply.body).map_err(|_| malformed("is not JSON"))?;
    if let Some(failure) = endpoint::hidden_error(wish.account, reply, &json) {
        return Err(failure);
    }
    let choice = json.get("choices").and_then(|choices| choices.items().first());
    let choice = choice.ok_or_else(|| malformed("has no choices"))?;
    let message = choice.get("message").ok_or_else(|| malformed("has no message"))?;
    let refused = message.text_at("refusal").is_some_and(|words| !words.trim().is_empty());
    let text = match choice.text_at("finish_reason") {
        _ if refused => Err(NoText::Refused),
        // Servers of open models pass on how these end: with a token of theirs.
        Some("stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn") => words(message),
        Some("length") => Err(NoText::MaxTokens),
        Some("content_filter") => Err(NoText::Refused),
        // Whatever it is, its tokens are told and charged.
        Some(_) | None => Err(NoText::Stopped),
    };
    Ok(ChatReply { text, tokens: tokens(&reply.body) })
}

/// The message: a string, or a list of parts of which the texts are for the reader.
fn words(message: &Json<'_>) -> Result<String, NoText> {
    let content = message.get("content").ok_or(NoText::Empty)?;
    let text: String = match content.text() {
        Some(text) => text.to_owned(),
        None => {
            let parts = content.items().iter().filter(|part| part.text_at("type") == Some("text"));
            parts.filter_map(|part| part.text_at("text")).collect()
        }
    };
    match after_thoughts(text.trim()) {
        Some("") => Err(NoText::Empty),
        Some(text) => Ok(text.to_owned()),
        None => Err(NoText::Stopped),
    }
}

/// What follows a model's thoughts, which servers of open models leave in the text. `None` where they do not end.
fn after_thoughts(text: &str) -> Option<&str> {
    match text.strip_prefix("<think>") {
        Some(thoughts) => thoughts.split_once("</think>").map(|(_, said)| said.trim()),
        None => Some(text),
    }
}

/// What was used; `None` when the counts that are always there are not. Some servers count what a model thinks in the total
/// alone, and it is charged like what it says.
fn tokens(body: &[u8]) -> Option<TextTokens> {
    let count = |name: &str| number_at(body, &format!("usage.{name}"))?.parse::<u64>().ok();
    let (read, written) = (count("prompt_tokens")?, count("completion_tokens")?);
    let besides = count("total_tokens").unwrap_or(0).saturating_sub(read);
    let reused = count("prompt_tokens_details.cached_tokens").unwrap_or(0).min(read);
    Some(TextTokens { input: read - reused, output: written.max(besides), reused, ..TextTokens::default() })
}
