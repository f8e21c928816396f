//! What a language model is asked and what it answers, whoever the vendor is: words go out, words and a count of tokens
//! come back, so sizes, pictures and polling have no place here.
//!
//! What becomes of a question that was not answered, and what the tokens cost, is not decided here.

use serde_json::Value;

use crate::config::plan::{Account, TextModel};
use crate::pricing::TextTokens;

/// What a model is asked, and how.
#[derive(Clone, Copy, Debug)]
pub struct ChatRequest<'a> {
    /// Where to call and with which key.
    pub account: &'a Account,
    /// The model and its fixed options.
    pub model: &'a TextModel,
    /// What the model is told to do.
    pub system: &'a str,
    /// What it is to do it with.
    pub user: &'a str,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
}

/// What vendors call the longest answer, and how many answers are given.
const LONGEST: [&str; 2] = ["max_tokens", "max_completion_tokens"];
const ANSWERS: &str = "n";

impl ChatRequest<'_> {
    /// The most tokens that can be written and charged. What the config sends besides may be a longer bound than was asked
    /// for, or a wish for several answers.
    pub fn most_tokens(&self) -> u32 {
        let told = |name: &str| self.model.options.get(name).and_then(Value::as_u64);
        let longest = LONGEST.iter().filter_map(|name| told(name)).max().unwrap_or(0).max(self.max_tokens.into());
        u32::try_from(longest.saturating_mul(told(ANSWERS).unwrap_or(1).max(1))).unwrap_or(u32::MAX)
    }
}

/// An answer that was given and is paid for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatReply {
    /// The words, or why there are none to use.
    pub text: Result<String, NoText>,
    /// What the answer took; `None` where a server does not say.
    pub tokens: Option<TextTokens>,
}

/// Why an answer has no words to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoText {
    /// The model would not.
    Refused,
    /// The words end where the answer reached its longest.
    MaxTokens,
    /// The model stopped for something other than having finished.
    Stopped,
    /// It finished without a word.
    Empty,
}

impl NoText {
    /// The word for log, metric and header.
    pub fn as_str(self) -> &'static str {
        match self {
            NoText::Refused => "refused",
            NoText::MaxTokens => "max_tokens",
            NoText::Stopped => "stopped",
            NoText::Empty => "empty",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::config::plan::Rate;
    use crate::money::Usd;
    use crate::pricing::TextTokenPrice;
    use crate::provider::common::fixture::account;

    #[test]
    fn what_the_config_sends_besides_can_make_an_answer_longer_and_never_shorter() {
        let account = account("https://host/", "k");
        let most = |options: Value| {
            let price = TextTokenPrice { text_in: Usd::ZERO, text_cached_in: None, text_out: None, markup_ppm: 0 };
            let options: BTreeMap<String, Value> = serde_json::from_value(options).unwrap();
            let model = TextModel { name: "m".to_owned(), price, rate: Rate::default(), options };
            ChatRequest { account: &account, model: &model, system: "s", user: "u", max_tokens: 400 }.most_tokens()
        };
        assert_eq!([most(json!({})), most(json!({"temperature": 9000})), most(json!({"max_tokens": 50}))], [400; 3]);
        assert_eq!(most(json!({"max_completion_tokens": null, "max_tokens": 900})), 900);
        assert_eq!(most(json!({"max_completion_tokens": 900, "n": 3})), 2700);
        assert_eq!(most(json!({"max_tokens": u64::MAX, "n": 9})), u32::MAX);
    }
}
