//! Slips of the fingers: one letter too many, too few or wrong, or two swapped.

use super::change::DiffersWhy;
use super::lists::{WordLists, class};
use super::token::{Kind, Text, Token};
use super::vocabulary;

/// A shorter word is a slip away from too many others.
const KNOWN_LENGTH: usize = 5;
/// No word that this finds is longer; what is longer was not typed by hand.
const LONGEST: usize = 24;

/// Which of two tokens is the slip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slip {
    Left,
    Right,
}

/// Whether one of two tokens is the other with a slip, and nothing else it could have been meant for. Otherwise what they differ in.
///
/// Exactly one of them is a word that nobody knows: of two known words each is meant, and of two unknown ones both may be names.
/// Where the slip could be one of two words, a person has to say which.
///
/// `qualifies` is whether a thing follows both: there a colour is no slip of another thing's name.
pub(crate) fn slip(
    left: &Token,
    right: &Token,
    qualifies: bool,
    names: [&[Text]; 2],
    lists: &WordLists,
) -> Result<Slip, DiffersWhy> {
    if let Some(why) = never(left, lists).or_else(|| never(right, lists)) {
        return Err(why);
    }
    let (wrong, right_word, slip) = match (knows(left, lists), knows(right, lists)) {
        (false, true) => (&left.text, &right.text, Slip::Left),
        (true, false) => (&right.text, &left.text, Slip::Right),
        _ if is_plural(&left.text, &right.text) => return Err(DiffersWhy::Plural),
        _ => return Err(DiffersWhy::Word),
    };
    if is_plural(wrong, right_word) {
        return Err(DiffersWhy::Plural);
    }
    let [of_left, of_right] = names;
    if of_left.contains(&left.text) || of_right.contains(&right.text) {
        return Err(DiffersWhy::Brand);
    }
    let length = right_word.chars().count();
    let sound = (KNOWN_LENGTH..=LONGEST).contains(&length)
        && wrong.len() <= LONGEST
        && wrong.bytes().all(|byte| byte.is_ascii_lowercase())
        && right_word.bytes().all(|byte| byte.is_ascii_lowercase())
        && vocabulary::flags(right_word) & vocabulary::KNOWN != 0
        && is_one_edit(wrong.as_bytes(), right_word.as_bytes());
    if sound && !is_another(wrong, right_word, qualifies, lists) { Ok(slip) } else { Err(DiffersWhy::Word) }
}

/// Whether anybody means the word: the vocabulary, its names included, or one of the lists.
fn knows(token: &Token, lists: &WordLists) -> bool {
    let word = token.text.as_str();
    vocabulary::flags(word) != 0
        || lists.may_list(word) && (lists.classes.contains_key(word) || lists.synonyms.contains_key(word))
}

/// Why a token is never a slip, nor what one was meant for.
fn never(token: &Token, lists: &WordLists) -> Option<DiffersWhy> {
    match token.kind {
        Kind::Word => {}
        Kind::Number => return Some(DiffersWhy::Number),
        Kind::Quoted | Kind::Lettering => return Some(DiffersWhy::Quoted),
        Kind::Name => return Some(DiffersWhy::Brand),
        Kind::Literal | Kind::Mark => return Some(DiffersWhy::Mark),
    }
    let class = lists.class(&token.text);
    let reasons = [
        (class::NEGATION, DiffersWhy::Negation),
        (class::BRAND, DiffersWhy::Brand),
        (class::PRONOUN, DiffersWhy::Pronoun),
    ];
    // "apple" with a small letter is no maker.
    let thing = vocabulary::flags(&token.text) & vocabulary::KNOWN != 0;
    reasons.into_iter().find(|(bit, _)| class & bit != 0 && !(*bit == class::BRAND && thing)).map(|(_, why)| why)
}

/// One of more of the same, in most forms that English has.
pub(crate) fn is_plural(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let ending = |stem: &str, endings: &[&str]| long.strip_prefix(stem).is_some_and(|rest| endings.contains(&rest));
    !long.ends_with("ss") && ending(short, &["s", "es", "'s", "s'", "'"])
        || short.strip_suffix('y').is_some_and(|stem| ending(stem, &["ies"]))
        || short.strip_suffix('f').or(short.strip_suffix("fe")).is_some_and(|stem| ending(stem, &["ves"]))
        || short
            .strip_suffix("an")
            .is_some_and(|stem| a.len() == b.len() && (a == format!("{stem}en") || b == format!("{stem}en")))
        || a.len() == b.len()
            && (a.strip_suffix("an") == b.strip_suffix("en") && a.ends_with("an")
                || b.strip_suffix("an") == a.strip_suffix("en") && b.ends_with("an"))
}

/// Whether one edit makes one of the other: optimal string alignment at distance 1.
fn is_one_edit(a: &[u8], b: &[u8]) -> bool {
    let start = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (a.get(start..).unwrap_or_default(), b.get(start..).unwrap_or_default());
    match (a, b) {
        ([_, a @ ..], [_, b @ ..]) if a == b && a.len() == b.len() => true,
        ([a0, a1, a @ ..], [b0, b1, b @ ..]) if a0 == b1 && a1 == b0 && a == b => true,
        ([_, rest @ ..], b) if rest == b => true,
        (a, [_, rest @ ..]) if a == rest => true,
        _ => false,
    }
}

/// Which letters are around each one on a keyboard.
const KEYS: [&str; 26] = [
    "qwsz", "vghn", "xdfv", "serfcx", "wsdr", "drtgvc", "ftyhbv", "gyujnb", "ujko", "huikmn", "jiolm", "kop", "njk",
    "bhjm", "iklp", "ol", "wa", "edft", "awedxz", "rfgy", "yhji", "cfgb", "qase", "zsdc", "tghu", "asx",
];

fn is_beside(a: u8, b: u8) -> bool {
    let keys = |key: u8| KEYS.get(usize::from(key.wrapping_sub(b'a'))).copied().unwrap_or_default().as_bytes();
    a == b || keys(a).contains(&b) || keys(b).contains(&a)
}

fn is_vowel(letter: u8) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

/// How fingers or ears slip, the likeliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Edit {
    /// Two letters swapped, one doubled, one of two equal ones left out.
    Swapped,
    /// A letter left out, or one hit beside its key.
    Beside,
    /// A vowel for another.
    Vowel,
    /// Any other letter.
    Other,
}

/// The edit that made the wrong word of the right one, which are one edit apart.
fn edit_between(wrong: &[u8], right: &[u8]) -> Edit {
    let start = wrong.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (before, wrong_rest) = wrong.split_at(start);
    let right_rest = right.get(start..).unwrap_or_default();
    let last = before.last().copied();
    match (wrong_rest, right_rest) {
        ([a, ..], [b, ..]) if wrong.len() == right.len() => {
            let swapped = wrong_rest.get(1) == Some(b) && right_rest.get(1) == Some(a);
            if swapped { Edit::Swapped } else { replaced(*a, *b) }
        }
        ([extra, after @ ..], _) if wrong.len() > right.len() => inserted(last, *extra, after.first().copied()),
        (_, [left_out, ..]) if last == Some(*left_out) => Edit::Swapped,
        _ => Edit::Beside,
    }
}

fn replaced(wrong: u8, right: u8) -> Edit {
    match () {
        () if is_beside(wrong, right) => Edit::Beside,
        () if is_vowel(wrong) && is_vowel(right) => Edit::Vowel,
        () => Edit::Other,
    }
}

fn inserted(before: Option<u8>, letter: u8, after: Option<u8>) -> Edit {
    let around = [before, after];
    match () {
        () if around.contains(&Some(letter)) => Edit::Swapped,
        () if around.into_iter().flatten().any(|key| is_beside(key, letter)) => Edit::Beside,
        () => Edit::Other,
    }
}

/// Calls `visit` with each word that is one edit away, and the edit that would have made the wrong word of it. Ends as soon as
/// `visit` says so.
fn neighbours(wrong: &[u8], visit: &mut dyn FnMut(&[u8], Edit) -> bool) -> bool {
    let mut word = Vec::with_capacity(wrong.len() + 1);
    for at in 0..=wrong.len() {
        let (before, rest) = wrong.split_at(at);
        let last = before.last().copied();
        if let [first, after @ ..] = rest {
            word.clear();
            word.extend_from_slice(before);
            word.extend_from_slice(after);
            if visit(&word, inserted(last, *first, after.first().copied())) {
                return true;
            }
            if let [second, after @ ..] = after {
                word.clear();
                word.extend_from_slice(before);
                word.extend([second, first]);
                word.extend_from_slice(after);
                if first != second && visit(&word, Edit::Swapped) {
                    return true;
                }
            }
        }
        for letter in b'a'..=b'z' {
            word.clear();
            word.extend_from_slice(before);
            word.push(letter);
            word.extend_from_slice(rest);
            let doubled = last == Some(letter) || rest.first() == Some(&letter);
            if visit(&word, if doubled { Edit::Swapped } else { Edit::Beside }) {
                return true;
            }
            if let [first, after @ ..] = rest {
                word.truncate(before.len() + 1);
                word.extend_from_slice(after);
                if *first != letter && visit(&word, replaced(*first, letter)) {
                    return true;
                }
            }
        }
    }
    false
}

/// Whether a word may be a thing or a quality: a person who names one did not mean what only is done, or "been".
fn is_thing(word: &str, lists: &WordLists) -> bool {
    let thing = |word: &str| {
        let flags = vocabulary::flags(word);
        flags & (vocabulary::NOUN | vocabulary::ADJECTIVE | vocabulary::MAY_BE_ADJECTIVE) != 0
            && flags & vocabulary::VERB == 0
    };
    let stems = [word.strip_suffix('s'), word.strip_suffix("es")];
    lists.classes.contains_key(word)
        || thing(word)
        || stems.into_iter().flatten().any(thing)
        || word.ends_with("ies")
        || word.ends_with("ves")
}

/// Whether a word may say what a thing is like.
fn is_quality(word: &str) -> bool {
    vocabulary::flags(word) & (vocabulary::ADJECTIVE | vocabulary::MAY_BE_ADJECTIVE) != 0
}

/// Whether the slip could be another word than the one it was taken for: a word as common, from which fingers slip as easily, or
/// another of the same list, however fingers slip. A colour, a material, a size, a side: the wrong one is another picture.
fn is_another(wrong: &str, taken_for: &str, qualifies: bool, lists: &WordLists) -> bool {
    let slipped = edit_between(wrong.as_bytes(), taken_for.as_bytes());
    // There are more words than a vocabulary has: a mecha is no mocha. Hands slip otherwise.
    if slipped > Edit::Beside {
        return true;
    }
    let taken = vocabulary::flags(taken_for);
    let common = if taken & vocabulary::BASIC == 0 { vocabulary::COMMON } else { vocabulary::BASIC };
    // Of two words from which fingers slip as easily, the one that is asked for far more often, and stood in the same prompt, is meant.
    let alike = if taken & vocabulary::COMMONEST == 0 { common } else { vocabulary::COMMONEST };
    // What somebody does is another picture only beside what somebody does.
    let verb =
        vocabulary::flags(taken_for) & vocabulary::VERB != 0 || taken_for.ends_with("ing") || taken_for.ends_with("ed");
    let slots = class::COLOR | class::MATERIAL | class::SIZE | class::RELATION | class::NEGATION;
    let slot = lists.class(taken_for) & slots;
    let quality = qualifies && slot & (class::COLOR | class::MATERIAL | class::SIZE) != 0;
    // Where one letter is wrong, any other may have been meant in its place: a "plabe" is a plane or a plate.
    let same = wrong.bytes().zip(taken_for.bytes()).take_while(|(a, b)| a == b).count();
    let replaces = wrong.len() == taken_for.len() && wrong.get(same + 1..) == taken_for.get(same + 1..);
    let is_wrong_letter = |word: &str| {
        replaces
            && word.len() == wrong.len()
            && word.get(..same) == wrong.get(..same)
            && word.get(same + 1..) == wrong.get(same + 1..)
    };
    neighbours(wrong.as_bytes(), &mut |word, edit| {
        let Ok(word) = std::str::from_utf8(word) else { return false };
        let edit = if is_wrong_letter(word) { edit.min(slipped) } else { edit };
        let counts = edit <= slipped || slot != 0 && edit <= Edit::Vowel;
        if !counts || word == taken_for || !lists.may_list(word) && vocabulary::flags(word) & common == 0 {
            return false;
        }
        let american = lists.spelling.get(word).map_or(word, |american| &**american);
        let class = lists.class(american);
        let common = if edit < slipped { common } else { alike };
        let known = vocabulary::flags(word) & common != 0 || class != 0 || lists.synonyms.contains_key(word);
        class & slot != 0 && edit <= Edit::Vowel
            || edit <= slipped
                && known
                && american != taken_for
                && if quality { is_quality(word) } else { verb || is_thing(word, lists) }
    })
}
