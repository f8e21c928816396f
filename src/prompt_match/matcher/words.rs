//! From words as they were written to words as they are compared: case, hyphens, spelling, articles, listed words.

use super::change::{Change, SameWhy};
use super::listed;
use super::lists::{Phrase, Phrases, WordLists, class};
use super::numbers;
use super::small_words::{below_hundred, is_tens, is_unit};
use super::token::{Break, Kind, Piece, Token, join};
use super::vocabulary;
use super::word_set::WordSet;

/// What a hyphen before one of these may be left out for: "long-haired". A participle that is not here may have another subject
/// without its hyphen ("a dog-chased cat"), and a "man-eating shark" never loses its own.
static SECOND_PARTS: WordSet = WordSet::new(
    "colored shaped sized themed haired legged eyed faced sleeved headed footed handed winged tipped rimmed brimmed \
    tailed necked edged sided striped spotted wheeled pointed roofed walled toned style styled stricken wide",
);

/// The same behind what does nothing by itself: "leather-wrapped", "hand-painted", and no "boy-painted wall".
static DONE: WordSet = WordSet::new(
    "covered wrapped framed lined filled lit topped tiled paneled trimmed carved woven built tinted textured studded painted made \
    drawn crafted knit knitted written drenched capped encrusted bound coated dusted",
);
static BY_NOTHING: WordSet = WordSet::new(
    "hand snow ice ivy moss tree flower dust mud sand candle sun moon back rain gift palm star plant vine fog cloud water \
    jewel fresh well half machine pre",
);

/// What a hyphen behind one of these may be left out for, unless a word in -ing follows.
static FIRST_PARTS: WordSet = WordSet::new(
    "high low wide full half semi multi ultra super hyper mid soft extra long short deep light dark golden close open",
);

/// Units that are written behind a number with or without a blank. Those of one letter are left out: a 5G tower weighs no 5 g.
static UNITS: WordSet = WordSet::new("ml cl dl cm mm km kg mg oz lb lbs ft px gb tb mph kmh mp fps hz khz mhz ghz");

/// Behind one of these "a" is a letter.
pub(crate) static LETTERED: WordSet = WordSet::new(
    "letter letters vitamin grade plan type hepatitis class figure section option exhibit model note size",
);

/// All of it, but for what stands around the prompt.
/// Says before which of the pieces an article was dropped, as far as the first [`REQUEST`] of them.
pub(crate) fn normalize(pieces: Vec<Piece>, lists: &WordLists, changes: &mut Vec<Change>) -> (Vec<Piece>, u32) {
    let mut read = Words { out: Vec::with_capacity(pieces.len() + 8), may_be_in: 0, lists, changes };
    for piece in pieces {
        match piece {
            Piece::Token(token) if token.kind == Kind::Word => read.word(token),
            other => read.out.push(other),
        }
    }
    let Words { mut out, may_be_in, .. } = read;
    if may_be_in & listed::NUMBER != 0 {
        out = numbers::replace(out, lists, changes);
    }
    let articles = drop_articles(&mut out, lists, changes);
    let before = changes.len();
    if may_be_in & listed::COMPOUND != 0 {
        out = replace(out, &Replacements { phrases: &lists.compounds, list: listed::COMPOUND, lists }, changes);
    }
    // What a compound was replaced by may have a synonym.
    if may_be_in & listed::SYNONYM != 0 || changes.len() > before {
        out = replace(out, &Replacements { phrases: &lists.synonyms, list: listed::SYNONYM, lists }, changes);
    }
    (out, articles)
}

/// In so many pieces a request for a picture is over.
const REQUEST: usize = 32;

/// Words one by one: their hyphens, their units, their spelling.
struct Words<'a> {
    out: Vec<Piece>,
    /// In which lists any of them may be.
    may_be_in: u8,
    lists: &'a WordLists,
    changes: &'a mut Vec<Change>,
}

impl Words<'_> {
    fn word(&mut self, token: Token) {
        if token.text.bytes().all(|byte| byte.is_ascii_lowercase()) {
            self.spelled(token);
        } else if let Some((number, unit)) = number_and_unit(&token.text) {
            self.push(Token::new(Kind::Number, number));
            self.push(Token::new(Kind::Word, unit));
        } else if token.text.contains('-') && !token.text.starts_with('-') {
            self.hyphens(&token.text);
        } else {
            let token = Token::word(&token.text);
            if token.kind == Kind::Word { self.spelled(token) } else { self.push(token) }
        }
    }

    fn push(&mut self, token: Token) {
        self.may_be_in |= match token.kind {
            Kind::Number => listed::NUMBER,
            _ => self.lists.listed_in.may_be_in(&token.text),
        };
        self.out.push(Piece::Token(token));
    }

    fn spelled(&mut self, token: Token) {
        let may_be_in = self.lists.listed_in.may_be_in(&token.text);
        let british = may_be_in & listed::SPELLING != 0;
        let american = if british { self.lists.spelling.get(token.text.as_str()) } else { None };
        let Some(american) = american else {
            self.may_be_in |= may_be_in;
            return self.out.push(Piece::Token(token));
        };
        let american = Token::new(Kind::Word, &**american);
        self.changes.push(Change::new(token.text, american.text.clone(), SameWhy::Spelling));
        self.push(american);
    }

    fn hyphens(&mut self, text: &str) {
        let spelling = &self.lists.spelling;
        let parts: Vec<&str> =
            text.split('-').map(|part| spelling.get(part).map_or(part, |american| &**american)).collect();
        if splits(&parts, self.lists) {
            parts.iter().for_each(|part| self.push(Token::word(part)));
            self.changes.push(Change::new(text, join(parts), SameWhy::Spelling));
            return;
        }
        let mut joined = parts.join("-");
        // "three-legged" is "3-legged", and still no leg more than the hyphen says.
        if let Some((first, rest)) = joined.split_once('-')
            && let Some(number) = below_hundred(first)
        {
            joined = format!("{number}-{rest}");
        }
        if joined != text {
            self.changes.push(Change::new(text, joined.as_str(), SameWhy::Spelling));
        }
        self.push(Token::word(&joined));
    }
}

/// `500ml` is `500 ml`.
fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| c.is_ascii_lowercase())?;
    let (number, unit) = text.split_at(end);
    let counts =
        number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && number.bytes().any(|b| b.is_ascii_digit());
    (counts && UNITS.has(unit)).then_some((number, unit))
}

fn splits(parts: &[&str], lists: &WordLists) -> bool {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return false };
    if parts.len() > 4 || parts.iter().any(|part| part.is_empty()) {
        return false;
    }
    if lists.apart.contains(parts.join(" ").as_str()) {
        return true;
    }
    if parts.len() != 2 {
        return false;
    }
    if below_hundred(first).is_some() || first.bytes().any(|byte| byte.is_ascii_digit()) {
        // "twenty-one".
        return is_tens(first) && is_unit(last);
    }
    // "un-eating" and "re-shaped" are words of their own.
    if first.len() < 3 {
        return false;
    }
    let noun = |part: &str| {
        let flags = vocabulary::flags(part);
        flags & vocabulary::NOUN != 0 && flags & (vocabulary::VERB | vocabulary::ADJECTIVE) == 0
    };
    let lifeless = BY_NOTHING.has(first) || lists.class(first) & (class::COLOR | class::MATERIAL) != 0;
    SECOND_PARTS.has(last)
        || DONE.has(last) && lifeless
        || FIRST_PARTS.has(first) && !last.ends_with("ing")
        || noun(first) && noun(last) && !last.ends_with("ing") && !last.ends_with("ed") && !last.ends_with('s')
}

/// Drops "a", "an", "the" before a word; "is", "are" between two; "that is"; "there are" at the beginning of a segment.
fn drop_articles(pieces: &mut Vec<Piece>, lists: &WordLists, changes: &mut Vec<Change>) -> u32 {
    let (mut articles, mut kept, mut at) = (0, 0, 0);
    while let Some(rest) = pieces.get(at..).filter(|rest| !rest.is_empty()) {
        let before = match pieces.get(..kept).and_then(<[Piece]>::last) {
            Some(Piece::Token(token)) => token.as_word().unwrap_or("?"),
            _ => "",
        };
        let length = dropped(rest, before, lists);
        for piece in rest.iter().take(length) {
            if let Piece::Token(token) = piece {
                changes.push(Change::new(token.text.clone(), "", SameWhy::Article));
            }
        }
        if length == 0 {
            if kept < at {
                pieces.swap(kept, at);
            }
            (kept, at) = (kept + 1, at + 1);
        } else if kept < REQUEST {
            articles |= 1 << kept;
        }
        at += length;
    }
    pieces.truncate(kept);
    articles
}

/// How many of the pieces at the beginning are dropped behind the word `before`, which is empty where a segment begins.
fn dropped(pieces: &[Piece], before: &str, lists: &WordLists) -> usize {
    let [Piece::Token(token), Piece::Token(next), rest @ ..] = pieces else { return 0 };
    // "A crisp, red apple" is praised by nobody.
    let quality = || {
        !matches!(rest, [Piece::Token(_), ..])
            && vocabulary::flags(&next.text) & vocabulary::ADJECTIVE != 0
            && lists.boosters.contains(next.text.as_str())
    };
    let be = || next.is_word("is") || next.is_word("are");
    let drops = match token.as_word() {
        // "A few" are some, "few" are hardly any.
        Some("a") => !LETTERED.has(before) && !quality() && !next.is_word("few"),
        Some("an" | "the") => !quality(),
        Some("is" | "are") => !before.is_empty() && !matches!(before, "who" | "what" | "where" | "how"),
        Some("that" | "which" | "who") if be() && !before.is_empty() => return 2,
        Some("there") if be() && before.is_empty() => return 2,
        _ => false,
    };
    usize::from(drops)
}

/// Replaces listed words within segments, the longest first.
fn replace(mut pieces: Vec<Piece>, replacements: &Replacements<'_>, changes: &mut Vec<Change>) -> Vec<Piece> {
    // Mostly there are none, and nothing moves.
    let Some(first) = (0..pieces.len()).find(|at| replacements.at(&pieces, *at).is_some()) else { return pieces };
    let mut rest = pieces.split_off(first);
    let mut at = 0;
    while at < rest.len() {
        match replacements.at(&rest, at) {
            Some(phrase) => {
                pieces.extend(phrase.to.iter().map(|word| Piece::Token(Token::word(word))));
                let text = |words: &[Box<str>]| join(words.iter().map(|word| &**word));
                let why = SameWhy::Synonym { origin: phrase.origin };
                changes.push(Change::new(text(&phrase.from), text(&phrase.to), why));
                at += phrase.from.len();
            }
            None => {
                pieces.extend(rest.get_mut(at).map(take));
                at += 1;
            }
        }
    }
    pieces
}

/// Phrases, and the list that their first words are noted in.
struct Replacements<'a> {
    phrases: &'a Phrases,
    list: u8,
    lists: &'a WordLists,
}

impl<'a> Replacements<'a> {
    /// The phrase that begins at a place.
    fn at(&self, pieces: &[Piece], at: usize) -> Option<&'a Phrase> {
        let Some(Piece::Token(token)) = pieces.get(at) else { return None };
        let first = token.as_word().filter(|word| self.lists.listed_in.may_have(word, self.list))?;
        self.phrases.get(first)?.iter().find(|phrase| {
            let end = at + phrase.from.len();
            phrase.from.iter().enumerate().all(|(index, word)| is_word_at(pieces, at + index, word))
                && (!phrase.at_end || !matches!(pieces.get(end), Some(Piece::Token(_))))
                && !phrase.not_before.iter().any(|word| is_named_at(pieces, end, word))
        })
    }
}

/// What nobody looks at again is moved: most of a prompt's words stay as they are.
pub(crate) fn take(piece: &mut Piece) -> Piece {
    std::mem::replace(piece, Piece::Break(Break::Comma))
}

fn is_word_at(pieces: &[Piece], at: usize, word: &str) -> bool {
    matches!(pieces.get(at), Some(Piece::Token(token)) if token.kind != Kind::Quoted && token.kind != Kind::Lettering && token.text == word)
}

/// The same, whatever its capitals: "Big Ben".
fn is_named_at(pieces: &[Piece], at: usize, word: &str) -> bool {
    let named = |token: &Token| matches!(token.kind, Kind::Word | Kind::Name) && token.text.eq_ignore_ascii_case(word);
    matches!(pieces.get(at), Some(Piece::Token(token)) if named(token))
}

/// "Saying", "that reads" and their like before quoted text, and "the words" for "the text" there.
pub(crate) fn before_quoted(pieces: Vec<Piece>, changes: &mut Vec<Change>) -> Vec<Piece> {
    let is_quoted = |piece: &Piece| matches!(piece, Piece::Token(token) if token.kind == Kind::Quoted);
    if !pieces.iter().any(is_quoted) {
        return pieces;
    }
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if is_quoted(&piece) {
            let last = out.iter().rev().map_while(|piece| match piece {
                Piece::Token(token) => token.as_word(),
                Piece::Break(_) => None,
            });
            // A sign that says, and a man who says, are not both read: who has a mouth keeps his verb.
            let last: Vec<&str> = last.take(3).collect();
            let (length, to) = match last[..] {
                ["says" | "reads", "that" | "which", bears] if BEARS.has(bears) => (2, "reading"),
                ["saying" | "says" | "reads", bears, ..] if BEARS.has(bears) => (1, "reading"),
                ["words" | "word", ..] => (1, "text"),
                _ => (0, ""),
            };
            if length > 0 {
                let from = join(last.iter().take(length).rev().copied());
                changes.push(Change::new(from, to, SameWhy::BeforeQuoted));
                out.truncate(out.len() - length);
                out.push(Piece::Token(Token::new(Kind::Word, to)));
            }
        }
        out.push(piece);
    }
    out
}

/// What can be read.
pub(crate) static BEARS: WordSet = WordSet::new(
    "sign signs banner banners poster posters label labels text shirt shirts billboard plaque card cards caption letters words \
    board sticker stickers signboard placard placards neon cover logo t-shirt tag note book screen display inscription graffiti writing",
);
