//! From words as they were written to words as they are compared: case, hyphens, spelling, articles, listed words.

use super::change::{Change, SameWhy};
use super::lists::{Phrases, WordLists, class};
use super::numbers;
use super::token::{Break, Kind, Piece, Token};
use super::vocabulary;

/// What a hyphen before one of these may be left out for: "long-haired". A participle that is not here may have another subject
/// without its hyphen ("a dog-chased cat"), and a "man-eating shark" never loses its own.
const SECOND_PARTS: &str = " colored shaped sized themed haired legged eyed faced sleeved headed footed handed winged tipped rimmed brimmed \
    tailed necked edged sided striped spotted wheeled pointed roofed walled toned style styled stricken wide ";

/// The same behind what does nothing by itself: "leather-wrapped", "hand-painted", and no "boy-painted wall".
const DONE: &str = " covered wrapped framed lined filled lit topped tiled paneled trimmed carved woven built tinted textured studded painted made \
    drawn crafted knit knitted written drenched capped encrusted bound coated dusted ";
const BY_NOTHING: &str = " hand snow ice ivy moss tree flower dust mud sand candle sun moon back rain gift palm star plant vine fog cloud water \
    jewel fresh well half machine pre ";

/// What a hyphen behind one of these may be left out for, unless a word in -ing follows.
const FIRST_PARTS: &str = " high low wide full half semi multi ultra super hyper mid soft extra long short deep light dark golden close open ";

/// Units that are written behind a number with or without a blank. Those of one letter are left out: a 5G tower weighs no 5 g.
const UNITS: &str = " ml cl dl cm mm km kg mg oz lb lbs ft px gb tb mph kmh mp fps hz khz mhz ghz ";

/// Behind one of these "a" is a letter.
pub(crate) const LETTERED: &str =
    " letter letters vitamin grade plan type hepatitis class figure section option exhibit model note size ";

pub(crate) fn is_in(list: &str, word: &str) -> bool {
    !word.is_empty()
        && !word.contains(' ')
        && list.match_indices(word).any(|(at, _)| {
            let bytes = list.as_bytes();
            at > 0 && bytes.get(at - 1) == Some(&b' ') && bytes.get(at + word.len()) == Some(&b' ')
        })
}

/// All of it, but for what stands around the prompt.
/// Says before which of the pieces an article was dropped, as far as the first [`REQUEST`] of them.
pub(crate) fn normalize(pieces: Vec<Piece>, lists: &WordLists, changes: &mut Vec<Change>) -> (Vec<Piece>, u32) {
    let mut out = Vec::with_capacity(pieces.len() + 8);
    for piece in pieces {
        match piece {
            Piece::Token(token) if token.kind == Kind::Word => word(token, lists, changes, &mut out),
            other => out.push(other),
        }
    }
    let out = numbers::replace(out, changes);
    let (out, articles) = drop_articles(out, lists, changes);
    let out = replace(out, &lists.compounds, changes);
    (replace(out, &lists.synonyms, changes), articles)
}

/// In so many pieces a request for a picture is over.
const REQUEST: usize = 32;

/// One word: its hyphens, its unit, its spelling.
fn word(token: Token, lists: &WordLists, changes: &mut Vec<Change>, out: &mut Vec<Piece>) {
    let plain = token.text.bytes().all(|byte| byte.is_ascii_lowercase());
    if plain {
        out.push(Piece::Token(spelled(token, lists, changes)));
        return;
    }
    if let Some((number, unit)) = number_and_unit(&token.text) {
        out.push(Piece::Token(Token::new(Kind::Number, number)));
        out.push(Piece::Token(Token::new(Kind::Word, unit)));
        return;
    }
    if token.text.contains('-') && !token.text.starts_with('-') {
        hyphens(&token.text, lists, changes, out);
        return;
    }
    let token = Token::word(&token.text);
    out.push(Piece::Token(if token.kind == Kind::Word { spelled(token, lists, changes) } else { token }));
}

fn spelled(token: Token, lists: &WordLists, changes: &mut Vec<Change>) -> Token {
    match lists.spelling.get(token.text.as_str()) {
        Some(american) => {
            changes.push(Change::new(&token.text, american, SameWhy::Spelling));
            Token::new(Kind::Word, &**american)
        }
        None => token,
    }
}

/// `500ml` is `500 ml`.
fn number_and_unit(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| c.is_ascii_lowercase())?;
    let (number, unit) = text.split_at(end);
    let counts =
        number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && number.bytes().any(|b| b.is_ascii_digit());
    (counts && is_in(UNITS, unit)).then_some((number, unit))
}

fn hyphens(text: &str, lists: &WordLists, changes: &mut Vec<Change>, out: &mut Vec<Piece>) {
    let parts: Vec<&str> =
        text.split('-').map(|part| lists.spelling.get(part).map_or(part, |american| &**american)).collect();
    if splits(&parts, lists) {
        out.extend(parts.iter().map(|part| Piece::Token(Token::word(part))));
        changes.push(Change::new(text, &parts.join(" "), SameWhy::Spelling));
        return;
    }
    let mut joined = parts.join("-");
    // "three-legged" is "3-legged", and still no leg more than the hyphen says.
    if let Some((first, rest)) = joined.split_once('-')
        && let Some(number) = numbers::below_hundred(first)
    {
        joined = format!("{number}-{rest}");
    }
    if joined != text {
        changes.push(Change::new(text, &joined, SameWhy::Spelling));
    }
    out.push(Piece::Token(Token::word(&joined)));
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
    if numbers::below_hundred(first).is_some() || first.bytes().any(|byte| byte.is_ascii_digit()) {
        // "twenty-one".
        return numbers::is_tens(first) && numbers::is_unit(last);
    }
    // "un-eating" and "re-shaped" are words of their own.
    if first.len() < 3 {
        return false;
    }
    let noun = |part: &str| {
        let flags = vocabulary::flags(part);
        flags & vocabulary::NOUN != 0 && flags & (vocabulary::VERB | vocabulary::ADJECTIVE) == 0
    };
    let lifeless = is_in(BY_NOTHING, first) || lists.class(first) & (class::COLOR | class::MATERIAL) != 0;
    is_in(SECOND_PARTS, last)
        || is_in(DONE, last) && lifeless
        || is_in(FIRST_PARTS, first) && !last.ends_with("ing")
        || noun(first) && noun(last) && !last.ends_with("ing") && !last.ends_with("ed") && !last.ends_with('s')
}

/// Drops "a", "an", "the" before a word; "is", "are" between two; "that is"; "there are" at the beginning of a segment.
fn drop_articles(mut pieces: Vec<Piece>, lists: &WordLists, changes: &mut Vec<Change>) -> (Vec<Piece>, u32) {
    let mut articles = 0;
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut at = 0;
    while at < pieces.len() {
        let before = match out.last() {
            Some(Piece::Token(token)) => token.as_word().unwrap_or("?"),
            _ => "",
        };
        let length = dropped(pieces.get(at..).unwrap_or_default(), before, lists);
        if length == 0 {
            out.extend(pieces.get_mut(at).map(take));
            at += 1;
        } else if out.len() < REQUEST {
            articles |= 1 << out.len();
        }
        for piece in pieces.iter().skip(at).take(length) {
            if let Piece::Token(token) = piece {
                changes.push(Change::new(&token.text, "", SameWhy::Article));
            }
        }
        at += length;
    }
    (out, articles)
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
    let be = next.is_word("is") || next.is_word("are");
    let drops = match token.as_word() {
        // "A few" are some, "few" are hardly any.
        Some("a") => !is_in(LETTERED, before) && !quality() && !next.is_word("few"),
        Some("an" | "the") => !quality(),
        Some("is" | "are") => !before.is_empty() && !matches!(before, "who" | "what" | "where" | "how"),
        Some("that" | "which" | "who") if be && !before.is_empty() => return 2,
        Some("there") if be && before.is_empty() => return 2,
        _ => false,
    };
    usize::from(drops)
}

/// Replaces listed words within segments, the longest first.
fn replace(mut pieces: Vec<Piece>, phrases: &Phrases, changes: &mut Vec<Change>) -> Vec<Piece> {
    let mut out = Vec::with_capacity(pieces.len());
    let mut at = 0;
    while let Some(piece) = pieces.get(at) {
        let found = match piece {
            Piece::Token(token) => token.as_word().and_then(|word| phrases.get(word)).and_then(|list| {
                list.iter().find(|phrase| {
                    phrase.from.iter().enumerate().all(|(index, word)| is_word_at(&pieces, at + index, word))
                        && (!phrase.at_end || !matches!(pieces.get(at + phrase.from.len()), Some(Piece::Token(_))))
                        && !phrase.not_before.iter().any(|word| is_named_at(&pieces, at + phrase.from.len(), word))
                })
            }),
            Piece::Break(_) => None,
        };
        match found {
            Some(phrase) => {
                out.extend(phrase.to.iter().map(|word| Piece::Token(Token::word(word))));
                changes.push(Change::new(
                    &phrase.from.join(" "),
                    &phrase.to.join(" "),
                    SameWhy::Synonym { origin: phrase.origin },
                ));
                at += phrase.from.len();
            }
            None => {
                out.extend(pieces.get_mut(at).map(take));
                at += 1;
            }
        }
    }
    out
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
    let mut out: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        if matches!(&piece, Piece::Token(token) if token.kind == Kind::Quoted) {
            let last = out.iter().rev().map_while(|piece| match piece {
                Piece::Token(token) => token.as_word(),
                Piece::Break(_) => None,
            });
            // A sign that says, and a man who says, are not both read: who has a mouth keeps his verb.
            let last: Vec<&str> = last.take(3).collect();
            let (length, to) = match last[..] {
                ["says" | "reads", "that" | "which", bears] if is_in(BEARS, bears) => (2, "reading"),
                ["saying" | "says" | "reads", bears, ..] if is_in(BEARS, bears) => (1, "reading"),
                ["words" | "word", ..] => (1, "text"),
                _ => (0, ""),
            };
            if length > 0 {
                let from: Vec<&str> = last.iter().take(length).rev().copied().collect();
                changes.push(Change::new(&from.join(" "), to, SameWhy::BeforeQuoted));
                out.truncate(out.len() - length);
                out.push(Piece::Token(Token::new(Kind::Word, to)));
            }
        }
        out.push(piece);
    }
    out
}

/// What can be read.
pub(crate) const BEARS: &str = " sign signs banner banners poster posters label labels text shirt shirts billboard plaque card cards caption letters words \
    board sticker stickers signboard placard placards neon cover logo t-shirt tag note book screen display inscription graffiti writing ";
