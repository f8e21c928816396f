//! Upper and lower case, and text to render that nobody put into quotation marks.

use super::lists::{WordLists, class};
use super::token::{Break, Kind, Piece, Text, Token, lower};
use super::verbs;
use super::vocabulary;
use super::word_set::WordSet;
use super::words::{BEARS, LETTERED};

/// How the capitals of a prompt are used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Capitals {
    /// At the beginning of sentences, and where they mean something.
    Some,
    /// In each of the two words that are not small: they say something where a word is listed.
    Likely,
    /// In each word but the small ones, or in every letter: they say nothing.
    All,
}

/// Words in lower case, but for capitals that mean something, and for text to render that nobody put into quotation marks.
pub(crate) fn fold(pieces: &mut [Piece], lists: &WordLists, names: &mut Vec<Text>) {
    let mut buffer = String::with_capacity(32);
    let capitals = capitals(pieces, &mut buffer);
    let mut lettering = false;
    let mut starts = true;
    let mut before = "";
    let mut rest = pieces;
    while let Some((piece, behind)) = std::mem::take(&mut rest).split_first_mut() {
        rest = behind;
        if let Piece::Break(end) = piece {
            (lettering, starts) = (false, true);
            if *end != Break::Comma {
                before = "";
            }
            continue;
        }
        let Piece::Token(token) = piece else { continue };
        if token.kind != Kind::Word {
            continue;
        }
        if lettering {
            token.kind = Kind::Lettering;
            continue;
        }
        let next = match rest.first() {
            Some(Piece::Token(next)) => Some(next),
            _ => None,
        };
        fold_word(token, capitals, starts, (before, next), lists, names, &mut buffer);
        starts = false;
        if MAY_PRECEDE_TEXT.has(&token.text)
            && let Some(next) = next.filter(|next| next.kind == Kind::Word)
        {
            // "The title The Cat": a capital that nothing else asks for begins what is written.
            let capital =
                capitals == Capitals::Some && next.text.starts_with(char::is_uppercase) && token.text != "reading";
            lettering = capital || starts_lettering(before, &token.text, lower(&next.text, &mut buffer), lists);
        }
        before = &token.text;
    }
}

fn capitals(pieces: &[Piece], buffer: &mut String) -> Capitals {
    let (mut words, mut content, mut title, mut upper, mut small) = (0, 0, 0, 0, false);
    for piece in pieces {
        let Piece::Token(token) = piece else { continue };
        let Some(first) = token.text.chars().find(|c| c.is_alphabetic()).filter(|_| token.kind == Kind::Word) else {
            continue;
        };
        words += 1;
        if first.is_lowercase() && !SMALL.has(&token.text) {
            return Capitals::Some;
        }
        upper += usize::from(!token.text.chars().any(char::is_lowercase));
        if SMALL.has(lower(&token.text, buffer)) {
            small |= first.is_uppercase() && words > 1;
        } else {
            content += 1;
            title += usize::from(first.is_uppercase());
        }
    }
    let all = words >= 3 && upper == words || title == content && (content >= 3 || small && content >= 2);
    match () {
        () if all => Capitals::All,
        () if title == content && content == 2 && words >= 4 => Capitals::Likely,
        () => Capitals::Some,
    }
}

/// Words that have no capital in a title.
static SMALL: WordSet = WordSet::new(
    "a an the of on in and with by at to from for is are or as into over under near its his her it that next",
);

/// One word in lower case, or what its capitals make of it, behind and before others.
fn fold_word(
    token: &mut Token,
    capitals: Capitals,
    starts: bool,
    (before, next): (&str, Option<&Token>),
    lists: &WordLists,
    names: &mut Vec<Text>,
    buffer: &mut String,
) {
    if token.text.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return;
    }
    if token.text.contains(':') && token.text.contains("://") {
        token.kind = Kind::Literal;
        return;
    }
    if !token.text.chars().any(char::is_uppercase) {
        return;
    }
    if capitals == Capitals::All {
        token.text = lower(&token.text, buffer).into();
        return;
    }
    let stem = token.text.split(['\'', '-']).next().unwrap_or_default();
    let listed = lists.cased.get(stem).copied();
    let article_fits = next.is_some_and(|next| next.kind == Kind::Word);
    // "Grade A", "an A in red". Before any other word an "A" is an article.
    let letter = token.text.chars().count() == 1
        && token.text != "I"
        && !starts
        && (token.text != "A" || !article_fits || LETTERED.has(before) || matches!(before, "a" | "an" | "the"));
    let both = vocabulary::KNOWN | vocabulary::NAME;
    let name = !starts && capitals == Capitals::Some && vocabulary::flags(lower(stem, buffer)) & both == both;
    let next_name = next.is_some_and(|next| {
        next.text.starts_with(char::is_uppercase) && !matches!(next.text.as_str(), "A" | "An" | "The")
    });
    let lower = lower(&token.text, buffer);
    if letter || listed == Some(true) || listed.is_some() && !starts || name
        // "Imagine Dragons" asks for nothing.
        || starts && next_name && verbs::is_request(lower)
    {
        token.kind = Kind::Name;
        return;
    }
    let only_name = vocabulary::flags(lower) & both == vocabulary::NAME;
    if !starts || only_name {
        names.push(lower.into());
    }
    token.text = lower.into();
}

/// The words that [`starts_lettering`] asks for: one look tells most words.
static MAY_PRECEDE_TEXT: WordSet = WordSet::new(
    "reading says saying titled captioned labeled labelled spells spelling reads \
    word words text letter letters phrase slogan caption lettering message title",
);

static SAYS: WordSet = WordSet::new("says saying titled captioned labeled labelled spells spelling reads");

static NAMES_TEXT: WordSet =
    WordSet::new("word words text letter letters phrase slogan caption lettering message title");

/// Whether what follows a word is to be rendered: "a sign that says Open".
fn starts_lettering(before: &str, word: &str, next: &str, lists: &WordLists) -> bool {
    static NO_TEXT: WordSet = WordSet::new(
        "a an the on in at by to from his her their its and under while books with of is are that which about for it or \
        across above below saying reading reads says written near around inside visible",
    );
    if NO_TEXT.has(next) || matches!(before, "no" | "without" | "any") {
        return false;
    }
    let class = lists.class(next);
    SAYS.has(word)
        || word == "reading" && BEARS.has(before)
        || NAMES_TEXT.has(word) && class & (class::RELATION | class::NEGATION) == 0
}
