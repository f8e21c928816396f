//! What a language model is asked and what it answers, whoever the vendor is: words go out, words and a count of tokens
//! come back, so sizes, pictures and polling have no place here.
//!
//! What becomes of a question that was not answered, and what the tokens cost, is not decided here.

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
