//! Number words become digits.

use super::change::{Change, SameWhy};
use super::listed;
use super::lists::WordLists;
use super::small_words::{below_hundred, is_unit, ordinal, small, tens};
use super::token::{Break, Kind, Piece, Token, join};

/// Digits without the commas of thousands. Points are left: `1.000` is one to some and a thousand to others.
fn digits(text: &str) -> Option<u64> {
    let mut groups = text.split(',');
    let first = groups.next()?;
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let sound = is_digits(first) && (first == "0" || !first.starts_with('0'));
    let grouped = !text.contains(',') || first.len() <= 3 && groups.all(|group| group.len() == 3 && is_digits(group));
    if sound && grouped { text.replace(',', "").parse().ok() } else { None }
}

/// Replaces number words by digits.
pub(crate) fn replace(mut pieces: Vec<Piece>, lists: &WordLists, changes: &mut Vec<Change>) -> Vec<Piece> {
    let may_begin = |piece: &Piece| match piece {
        Piece::Token(token) if token.kind == Kind::Word => lists.listed_in.may_have(&token.text, listed::NUMBER),
        Piece::Token(token) => token.kind == Kind::Number,
        Piece::Break(_) => false,
    };
    let Some(first) = pieces.iter().position(may_begin) else { return pieces };
    let mut rest = pieces.split_off(first);
    let mut at = 0;
    while let Some(from) = rest.get(at..).filter(|rest| !rest.is_empty()) {
        let before = pieces.len().checked_sub(1).and_then(|at| word(&pieces, at)).unwrap_or_default();
        let found = from.first().filter(|piece| may_begin(piece)).and_then(|_| read(from, before));
        match found {
            Some((text, length)) => {
                let from = join((0..length).filter_map(|at| word(from, at)));
                if from != text {
                    changes.push(Change::new(from, &text, SameWhy::Number));
                }
                pieces.push(Piece::Token(Token::new(Kind::Number, text)));
                at += length;
            }
            None => {
                pieces.extend(rest.get_mut(at).map(take));
                at += 1;
            }
        }
    }
    pieces
}

fn take(piece: &mut Piece) -> Piece {
    std::mem::replace(piece, Piece::Break(Break::Comma))
}

fn word(pieces: &[Piece], at: usize) -> Option<&str> {
    match pieces.get(at)? {
        Piece::Token(token) if matches!(token.kind, Kind::Word | Kind::Number) => Some(&token.text),
        _ => None,
    }
}

/// A number at the beginning, and how many tokens it takes. "No one" counts nobody, and a baker's dozen is thirteen.
fn read(pieces: &[Piece], before: &str) -> Option<(String, usize)> {
    let first = word(pieces, 0)?;
    if first == "one" && matches!(before, "no" | "any" | "every" | "some") || before == "baker's" {
        return None;
    }
    if first == "half" && word(pieces, 1) == Some("dozen") {
        return Some(("6".into(), 2));
    }
    if first == "half" && word(pieces, 1) == Some("a") && word(pieces, 2) == Some("dozen") {
        return Some(("6".into(), 3));
    }
    if let Some(ordinal) = ordinal(first) {
        return Some((ordinal, 1));
    }
    let (mut total, mut length) = group(pieces)?;
    // Numbers above hundreds of thousands are rare enough to be left as they are.
    if word(pieces, length) == Some("thousand") && total < 1000 {
        total *= 1000;
        length += 1;
        let and = usize::from(word(pieces, length) == Some("and"));
        if let Some((rest, more)) = pieces.get(length + and..).and_then(group)
            && rest < 1000
            && is_number_word(word(pieces, length + and).unwrap_or_default())
        {
            total += rest;
            length += and + more;
        }
    }
    Some((total.to_string(), length))
}

fn is_number_word(word: &str) -> bool {
    below_hundred(word).is_some()
}

/// A number below 1,000 in words, or one in digits, with what multiplies it.
fn group(pieces: &[Piece]) -> Option<(u64, usize)> {
    let first = word(pieces, 0)?;
    let (mut value, mut length) = match first {
        "hundred" => (100, 1),
        "thousand" => (1, 0),
        "dozen" => (12, 1),
        _ => match tens(first) {
            Some(tens) => match word(pieces, 1).filter(|next| is_unit(next)).and_then(small) {
                Some(unit) => (tens + unit, 2),
                None => (tens, 1),
            },
            None => (small(first).or_else(|| digits(first))?, 1),
        },
    };
    let counted = length > 0 && !matches!(first, "hundred" | "dozen");
    if counted && word(pieces, length) == Some("dozen") && value < 1000 {
        return Some((value * 12, length + 1));
    }
    if counted && word(pieces, length) == Some("hundred") && value < 100 {
        value *= 100;
        length += 1;
    }
    if value % 100 == 0 && length > 0 && word(pieces, length - 1) == Some("hundred") {
        let and = usize::from(word(pieces, length) == Some("and"));
        let rest = pieces.get(length + and..).unwrap_or_default();
        let next = word(rest, 0).unwrap_or_default();
        if let Some(tens) = tens(next) {
            let unit = word(rest, 1).filter(|next| is_unit(next)).and_then(small);
            return Some((value + tens + unit.unwrap_or(0), length + and + 1 + usize::from(unit.is_some())));
        }
        if let Some(small) = small(next).filter(|small| *small > 0) {
            return Some((value + small, length + and + 1));
        }
    }
    Some((value, length))
}
