//! Writes the completion that a chat is answered with.

use serde_json::{Value, json};

use crate::sandbox::faults::Mode;
use crate::sandbox::text::chat_requests::ParsedChat;
use crate::sandbox::text::usage::TextUsage;
use crate::sandbox::vendor_call::VendorCall;

/// What stands around every request, in characters.
const AROUND: usize = 32;

/// What was written.
pub(super) struct Completion {
    text: String,
    refusal: Option<&'static str>,
    finish_reason: &'static str,
    pub(super) usage: TextUsage,
}

impl Completion {
    pub(super) fn write(parsed: &ParsedChat, call: &VendorCall) -> Completion {
        let ParsedChat { prompt, said, thoughts, .. } = parsed;
        let scripted = call.vendor.answers.iter().find(|answer| said.contains(&answer.when));
        let whole = match scripted {
            Some(answer) => answer.say.clone(),
            None => format!("{prompt}, in golden evening light, crisp and full of detail"),
        };
        let room = parsed.max_tokens.unwrap_or(u64::MAX).saturating_sub(*thoughts).saturating_mul(4);
        let longest = usize::try_from(room).unwrap_or(usize::MAX);
        let cut = |length: usize| whole.chars().take(length).collect::<String>();
        let (text, refusal, finish_reason) = match call.fault {
            _ if call.refuses(prompt) => (String::new(), Some("I'm sorry, but I can't help with that."), "stop"),
            Mode::NoPictures => (String::new(), None, "stop"),
            Mode::Truncated => (cut(longest.min(whole.chars().count() / 2)), None, "length"),
            _ if whole.chars().count() > longest => (cut(longest), None, "length"),
            _ => (whole, None, "stop"),
        };
        let (read, written) = (said.chars().count() + AROUND, text.chars().count());
        // Of what was to be thought, no more is charged than the answer may have.
        let thoughts = (*thoughts).min(parsed.max_tokens.unwrap_or(u64::MAX).saturating_sub(1));
        let usage = TextUsage::of_writing(read, prompt.contains("cached"), written, thoughts);
        Completion { text, refusal, finish_reason, usage }
    }

    pub(super) fn to_json(&self, model: &str, seed: u64) -> Value {
        let content = if self.refusal.is_some() { Value::Null } else { json!(self.text) };
        json!({
            "id": format!("chatcmpl-{seed:016x}"),
            "object": "chat.completion",
            "created": 1_764_450_000,
            "model": model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": self.refusal, "annotations": []},
                "logprobs": null,
                "finish_reason": self.finish_reason,
            }],
            "usage": self.usage.to_json(),
            "service_tier": "default",
            "system_fingerprint": null,
        })
    }
}
