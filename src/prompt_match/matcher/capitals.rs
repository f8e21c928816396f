//! Upper and lower case, and text to render that nobody put into quotation marks.

use super::lists::{WordLists, class};
use super::token::{Break, Kind, Piece, Token};
use super::verbs;
use super::vocabulary;
use super::words::{BEARS, LETTERED, is_in};

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
pub(crate) fn fold(pieces: Vec<Piece>, lists: &WordLists, names: &mut Vec<String>) -> Vec<Piece> {
    let capitals = capitals(&pieces);
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut lettering = false;
    let mut starts = true;
    let mut before = String::new();
    let mut pieces = pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        let token = match piece {
            Piece::Token(token) if token.kind == Kind::Word => token,
            other => {
                lettering &= !matches!(other, Piece::Break(_));
                starts |= matches!(other, Piece::Break(_));
                if matches!(other, Piece::Break(Break::Sentence | Break::Line | Break::Colon)) {
                    before.clear();
                }
                out.push(other);
                continue;
            }
        };
        if lettering {
            out.push(Piece::Token(Token::new(Kind::Lettering, token.text)));
            continue;
        }
        let next_name = matches!(pieces.peek(), Some(Piece::Token(next)) if next.text.starts_with(char::is_uppercase)
            && !matches!(next.text.as_str(), "A" | "An" | "The"));
        let article_fits = matches!(pieces.peek(), Some(Piece::Token(next)) if next.kind == Kind::Word);
        let folded = fold_word(token, capitals, starts, (&before, article_fits, next_name), lists, names);
        starts = false;
        if may_precede_text(&folded.text)
            && let Some(Piece::Token(next)) = pieces.peek()
            && next.kind == Kind::Word
        {
            // "The title The Cat": a capital that nothing else asks for begins what is written.
            let capital =
                capitals == Capitals::Some && next.text.starts_with(char::is_uppercase) && folded.text != "reading";
            lettering = capital || starts_lettering(&before, &folded.text, &next.text.to_lowercase(), lists);
        }
        before.clone_from(&folded.text);
        out.push(Piece::Token(folded));
    }
    out
}

fn capitals(pieces: &[Piece]) -> Capitals {
    let (mut words, mut content, mut title, mut upper, mut small) = (0, 0, 0, 0, false);
    for piece in pieces {
        let Piece::Token(token) = piece else { continue };
        let Some(first) = token.text.chars().find(|c| c.is_alphabetic()).filter(|_| token.kind == Kind::Word) else {
            continue;
        };
        words += 1;
        if first.is_lowercase() && !is_small(&token.text) {
            return Capitals::Some;
        }
        upper += usize::from(!token.text.chars().any(char::is_lowercase));
        if is_small(&token.text.to_lowercase()) {
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
fn is_small(word: &str) -> bool {
    matches!(
        word,
        "a" | "an"
            | "the"
            | "of"
            | "on"
            | "in"
            | "and"
            | "with"
            | "by"
            | "at"
            | "to"
            | "from"
            | "for"
            | "is"
            | "are"
            | "or"
            | "as"
            | "into"
            | "over"
            | "under"
            | "near"
            | "its"
            | "his"
            | "her"
            | "it"
            | "that"
            | "next"
    )
}

fn fold_word(
    token: Token,
    capitals: Capitals,
    starts: bool,
    (before, article_fits, next_name): (&str, bool, bool),
    lists: &WordLists,
    names: &mut Vec<String>,
) -> Token {
    if token.text.contains("://") {
        return Token::new(Kind::Literal, token.text);
    }
    if !token.text.chars().any(char::is_uppercase) {
        return token;
    }
    let lower = token.text.to_lowercase();
    if capitals == Capitals::All {
        return Token::new(Kind::Word, lower);
    }
    let stem = token.text.split(['\'', '-']).next().unwrap_or_default();
    let listed = lists.cased.get(stem).copied();
    // "Grade A", "an A in red". Before any other word an "A" is an article.
    let letter = token.text.chars().count() == 1
        && token.text != "I"
        && !starts
        && (token.text != "A" || !article_fits || is_in(LETTERED, before) || is_in(" a an the ", before));
    let both = vocabulary::KNOWN | vocabulary::NAME;
    let name = !starts && capitals == Capitals::Some && vocabulary::flags(&stem.to_lowercase()) & both == both;
    if letter || listed == Some(true) || listed.is_some() && !starts || name {
        return Token::new(Kind::Name, token.text);
    }
    // "Imagine Dragons" asks for nothing.
    if starts && next_name && verbs::is_request(&lower) {
        return Token::new(Kind::Name, token.text);
    }
    let only_name = vocabulary::flags(&lower) & both == vocabulary::NAME;
    if !starts || only_name {
        names.push(lower.clone());
    }
    Token::new(Kind::Word, lower)
}

/// The words that [`starts_lettering`] asks for.
fn may_precede_text(word: &str) -> bool {
    says(word) || names_text(word) || word == "reading"
}

fn says(word: &str) -> bool {
    matches!(
        word,
        "says" | "saying" | "titled" | "captioned" | "labeled" | "labelled" | "spells" | "spelling" | "reads"
    )
}

fn names_text(word: &str) -> bool {
    matches!(
        word,
        "word"
            | "words"
            | "text"
            | "letter"
            | "letters"
            | "phrase"
            | "slogan"
            | "caption"
            | "lettering"
            | "message"
            | "title"
    )
}

/// Whether what follows a word is to be rendered: "a sign that says Open".
fn starts_lettering(before: &str, word: &str, next: &str, lists: &WordLists) -> bool {
    const NO_TEXT: &str = " a an the on in at by to from his her their its and under while books with of is are that which about for it or \
        across above below saying reading reads says written near around inside visible ";
    if is_in(NO_TEXT, next) || is_in(" no without any ", before) {
        return false;
    }
    let class = lists.class(next);
    says(word)
        || word == "reading" && is_in(BEARS, before)
        || names_text(word) && class & (class::RELATION | class::NEGATION) == 0
}
