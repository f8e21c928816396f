//! Writes the message that Anthropic answers with.

use serde_json::{Value, json};

use crate::sandbox::anthropic::requests::ParsedRequest;
use crate::sandbox::anthropic::usage::TokenUsage;
use crate::sandbox::faults::Mode;
use crate::sandbox::vendor_call::VendorCall;

/// What was written.
pub(super) struct Message {
    text: String,
    stop_reason: &'static str,
    pub(super) usage: TokenUsage,
}

impl Message {
    pub(super) fn write(parsed: &ParsedRequest, call: &VendorCall) -> Message {
        let prompt = &parsed.prompt;
        let whole = format!("{prompt}, in soft morning light, sharp and rich in detail");
        let longest = usize::try_from(parsed.max_tokens).unwrap_or(usize::MAX).saturating_mul(4);
        let cut = |length: usize| whole.chars().take(length).collect::<String>();
        let (text, stop_reason) = match call.fault {
            _ if call.refuses(prompt) => (String::new(), "refusal"),
            Mode::NoPictures => (String::new(), "end_turn"),
            Mode::Truncated => (cut(longest.min(whole.chars().count() / 2)), "max_tokens"),
            _ if whole.chars().count() > longest => (cut(longest), "max_tokens"),
            _ => (whole, "end_turn"),
        };
        let usage = TokenUsage::of(parsed.read_chars(), text.chars().count(), prompt.contains("cached"));
        Message { text, stop_reason, usage }
    }

    pub(super) fn to_json(&self, model: &str, seed: u64) -> Value {
        let content = if self.text.is_empty() { json!([]) } else { json!([{"type": "text", "text": self.text}]) };
        json!({
            "id": format!("msg_{seed:016x}"),
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": content,
            "stop_reason": self.stop_reason,
            "stop_sequence": null,
            "usage": self.usage.to_json(),
        })
    }
}
