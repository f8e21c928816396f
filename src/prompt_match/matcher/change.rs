//! What was changed in a prompt before it is compared, and what two prompts differ in.

use super::lists::Origin;
use super::token::Text;

/// Why two wordings are one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SameWhy {
    /// A slip of the fingers.
    Typo,
    /// Listed, or learned.
    Synonym {
        /// By whom.
        origin: Origin,
    },
    /// British and American, or with and without a hyphen.
    Spelling,
    /// A number in words and in digits.
    Number,
    /// Praise that names nothing in the picture.
    Booster,
    /// Articles, and "is" or "are" between two words.
    Article,
    /// What asks for a picture, not what is in it.
    Boilerplate,
    /// "Saying", "that reads" and their like before text to render.
    BeforeQuoted,
}

impl SameWhy {
    /// For JSON, logs and people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Typo => "typo",
            Self::Synonym { .. } => "synonym",
            Self::Spelling => "spelling",
            Self::Number => "number",
            Self::Booster => "booster",
            Self::Article => "article",
            Self::Boilerplate => "boilerplate",
            Self::BeforeQuoted => "before_quoted",
        }
    }
}

/// Why two wordings may be two pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiffersWhy {
    /// Text to render.
    Quoted,
    /// A number, a size with a unit, a date.
    Number,
    /// "No", "without", "not".
    Negation,
    /// A colour.
    Color,
    /// What something is made of.
    Material,
    /// Size, amount, age or shape.
    Size,
    /// A medium or a style.
    Style,
    /// A maker, or a word whose capitals mean something.
    Brand,
    /// A preposition, a side, a conjunction.
    Relation,
    /// Who is meant: "he", "it".
    Pronoun,
    /// One or more of the same.
    Plural,
    /// What is meant for a program: weights, parameters, emoji, brackets.
    Mark,
    /// The same words in another order.
    Order,
    /// The same words, of which a quality goes with another thing.
    Binding,
    /// A language whose words are compared only as they are.
    Language,
    /// Too many differences, each of which would be explained.
    TooMany,
    /// Any other word.
    Word,
}

impl DiffersWhy {
    /// For JSON, logs, metrics and people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quoted => "quoted",
            Self::Number => "number",
            Self::Negation => "negation",
            Self::Color => "color",
            Self::Material => "material",
            Self::Size => "size",
            Self::Style => "style",
            Self::Brand => "brand",
            Self::Relation => "relation",
            Self::Pronoun => "pronoun",
            Self::Plural => "plural",
            Self::Mark => "mark",
            Self::Order => "order",
            Self::Binding => "binding",
            Self::Language => "language",
            Self::TooMany => "too_many",
            Self::Word => "word",
        }
    }
}

/// A change that made one wording of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) from: Text,
    pub(crate) to: Text,
    pub(crate) why: SameWhy,
}

impl Change {
    pub(crate) fn new(from: impl Into<Text>, to: impl Into<Text>, why: SameWhy) -> Self {
        Self { from: from.into(), to: to.into(), why }
    }
}
