//! What a prompt is made of.

use smol_str::SmolStrBuilder;

/// A word, or a text of several. Up to 23 bytes, as almost every word of a prompt has, it takes no memory of its own.
pub(crate) type Text = smol_str::SmolStr;

/// What a token is. Tokens of different kinds are never equal, whatever their text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// A word in lower case.
    Word,
    /// Anything with a digit in it.
    Number,
    /// Text between quotation marks, verbatim.
    Quoted,
    /// Text to render that nobody put into quotation marks, verbatim.
    Lettering,
    /// A word whose capitals carry meaning, as they were written: `Apple`, `US`.
    Name,
    /// What is meant for a program: `--ar 16:9`, `<lora:x>`, the weight of `(red:1.3)`.
    Literal,
    /// One character that is neither letter, digit, blank nor punctuation between segments: emoji, brackets.
    Mark,
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: Text,
}

impl Token {
    pub(crate) fn new(kind: Kind, text: impl Into<Text>) -> Self {
        Self { kind, text: text.into() }
    }

    /// A word, or a number if it has a digit.
    pub(crate) fn word(text: &str) -> Self {
        let digit = text.bytes().any(|byte| byte.is_ascii_digit()) || text.chars().any(char::is_numeric);
        Self::new(if digit { Kind::Number } else { Kind::Word }, text)
    }

    /// Its text, if it is a word in lower case.
    pub(crate) fn as_word(&self) -> Option<&str> {
        (self.kind == Kind::Word).then_some(self.text.as_str())
    }

    pub(crate) fn is_word(&self, text: &str) -> bool {
        self.kind == Kind::Word && self.text == text
    }
}

/// What ends a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Break {
    /// `,`, `;`, `|`, ` - `.
    Comma,
    /// `:`, which leaves what is before it a label of what is behind it.
    Colon,
    /// `.`, `!`, `?`.
    Sentence,
    /// The end of a line.
    Line,
}

/// A token or what is between two segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Token(Token),
    Break(Break),
}

/// A text in lower case, in a buffer that is used for one text after another.
pub(crate) fn lower<'a>(text: &str, buffer: &'a mut String) -> &'a str {
    if text.is_ascii() {
        buffer.clear();
        buffer.push_str(text);
        buffer.make_ascii_lowercase();
    } else {
        *buffer = text.to_lowercase();
    }
    buffer
}

/// Words with blanks between them.
pub(crate) fn join<'a>(words: impl IntoIterator<Item = &'a str>) -> Text {
    let mut joined = SmolStrBuilder::new();
    for (at, word) in words.into_iter().enumerate() {
        if at > 0 {
            joined.push(' ');
        }
        joined.push_str(word);
    }
    joined.finish()
}
