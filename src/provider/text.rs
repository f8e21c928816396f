//! The kinds of provider that write instead of drawing, by their names in the config.

use crate::failure::{Class, Failure};
use crate::provider::adapter::{Call, Reply};
use crate::provider::common::chat::{ChatReply, ChatRequest};
use crate::provider::{anthropic, openai_text};

/// One kind of provider that draws nothing.
pub struct TextKind {
    /// The `kind` in the config.
    pub name: &'static str,
    /// Where the vendor lives, when the config gives no `base_url`.
    pub default_base_url: &'static str,
    /// Whether a config without an `api_key` is a mistake wherever the vendor lives.
    pub needs_key: bool,
    /// Model names worth suggesting.
    pub known_models: &'static [&'static str],
    /// The call that asks a model.
    chat: fn(&ChatRequest<'_>) -> Result<Call, Failure>,
    /// What the reply to it means.
    read_chat: fn(&ChatRequest<'_>, &Reply) -> Result<ChatReply, Failure>,
}

/// Every such kind.
pub static KINDS: &[TextKind] = &[
    TextKind {
        name: anthropic::NAME,
        default_base_url: anthropic::DEFAULT_BASE_URL,
        needs_key: true,
        known_models: anthropic::KNOWN_MODELS,
        chat: anthropic::chat,
        read_chat: anthropic::read_chat,
    },
    TextKind {
        name: openai_text::NAME,
        default_base_url: openai_text::DEFAULT_BASE_URL,
        needs_key: false,
        known_models: openai_text::KNOWN_MODELS,
        chat: openai_text::chat,
        read_chat: openai_text::read_chat,
    },
];

/// The call that asks for `wish` at a provider of this kind.
///
/// # Errors
/// When the account's address or key cannot be used, or the kind has no models that write.
pub fn chat(kind: &str, wish: &ChatRequest<'_>) -> Result<Call, Failure> {
    (by_name(kind)?.chat)(wish)
}

/// What `reply` to that call means.
///
/// # Errors
/// When nothing was written. Whether something is charged all the same, the failure tells by its class.
pub fn read_chat(kind: &str, wish: &ChatRequest<'_>, reply: &Reply) -> Result<ChatReply, Failure> {
    (by_name(kind)?.read_chat)(wish, reply)
}

fn by_name(kind: &str) -> Result<&'static TextKind, Failure> {
    let none = || Failure::new(Class::AdapterBug, format!("kind {kind} has no models that write"));
    KINDS.iter().find(|known| known.name == kind).ok_or_else(none)
}
