//! In what two prompts differ, and whether all of it is explained.

use std::collections::BTreeMap;

use super::canonical::CanonicalPrompt;
use super::change::{Change, DiffersWhy, SameWhy};
use super::guards;
use super::learned::LearnedPairs;
use super::lists::{Origin, WordLists, class};
use super::segments::Segment;
use super::token::{Kind, Text, Token};
use super::typo::{self, Slip};

/// How many slips and learned pairs there may be. A second one may be in a prompt of [`SECOND_SLIP`] words: three in one prompt
/// are a prompt that somebody meant otherwise, and 99 of 100 typed prompts have no more.
const EXPLAINED: usize = 2;
/// From how many words on a prompt may have a second slip.
const SECOND_SLIP: usize = 12;
/// How many tokens of each prompt are aligned to tell its differences. Beyond, the rest is one difference.
const ALIGNED: usize = 256;
/// How many letters of each side of a difference are told.
const TOLD: usize = 200;

/// Whether a difference is one of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not.
    Same {
        /// Why.
        why: SameWhy,
    },
    /// It may be.
    Differs {
        /// Why.
        why: DiffersWhy,
    },
}

/// What stands in one prompt where something else, or nothing, stands in the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Of the first prompt.
    pub left: String,
    /// Of the second.
    pub right: String,
    /// What it means.
    pub verdict: Verdict,
}

/// What two prompts differ in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// In the order of the first prompt, as far as there is one.
    pub differences: Vec<Difference>,
    same: bool,
}

impl Comparison {
    /// Whether each difference is explained, and there are few: at most two slips or learned pairs, and the second only in a prompt
    /// of twelve words or more.
    pub fn is_same_picture(&self) -> bool {
        self.same
    }
}

/// Compares two prompts.
pub fn compare(a: &CanonicalPrompt, b: &CanonicalPrompt, lists: &WordLists) -> Comparison {
    compare_with(a, b, lists, &LearnedPairs::default())
}

/// Compares two prompts where these pairs mean the same, too.
pub fn compare_with(a: &CanonicalPrompt, b: &CanonicalPrompt, lists: &WordLists, pairs: &LearnedPairs) -> Comparison {
    if a.canonical_bytes() == b.canonical_bytes() {
        return Comparison { differences: worded(a, b), same: true };
    }
    if !a.is_english() || !b.is_english() {
        let differences = vec![difference(told(&a.text()), told(&b.text()), DiffersWhy::Language)];
        return Comparison { differences, same: false };
    }
    let (mut left, mut right) = (a.segments.clone(), b.segments.clone());
    let mut explained = Vec::new();
    while explained.len() <= EXPLAINED {
        let (only_left, only_right) = only(&left, &right);
        let found = learned(&only_left, &only_right, lists, pairs)
            .or_else(|| slips(&only_left, &only_right, [&left, &right], [&a.names, &b.names], lists));
        let Some(found) = found else { break };
        let done = match &found {
            Explained::Learned { from, to } => replace(&mut left, from, to),
            Explained::Slip { left: word, right: meant, slip: Slip::Left } => {
                replace(&mut left, std::slice::from_ref(word), std::slice::from_ref(meant))
            }
            Explained::Slip { left: meant, right: word, slip: Slip::Right } => {
                replace(&mut right, std::slice::from_ref(word), std::slice::from_ref(meant))
            }
        };
        if !done {
            break;
        }
        explained.push(found.difference());
    }
    let words: usize = left.iter().map(|segment| segment.tokens.len()).sum();
    let few = explained.len() == 1 || explained.len() == EXPLAINED && words >= SECOND_SLIP;
    if few {
        // Only what was put right has to be read again.
        let fixed = |prompt: &CanonicalPrompt, segments: Vec<Segment>| {
            if segments == prompt.segments { None } else { Some(prompt.with_segments(segments, lists)) }
        };
        let (left, right) = (fixed(a, left), fixed(b, right));
        let (a_fixed, b_fixed) = (left.as_ref().unwrap_or(a), right.as_ref().unwrap_or(b));
        // The guards have nothing left to find in equal bytes: what they guard was looked at where it was explained.
        if a_fixed.canonical_bytes() == b_fixed.canonical_bytes() {
            explained.extend(worded(a, b));
            return Comparison { differences: explained, same: true };
        }
    }
    Comparison { differences: unexplained(a, b, lists, pairs), same: false }
}

enum Explained {
    Learned { from: Vec<Token>, to: Vec<Token> },
    Slip { left: Token, right: Token, slip: Slip },
}

impl Explained {
    /// Whether a learned pair is everything in which two places differ.
    fn is_all_of(&self, left: &[&Token], right: &[&Token]) -> bool {
        match self {
            Self::Learned { from, to } => left.iter().copied().eq(from) && right.iter().copied().eq(to),
            Self::Slip { .. } => false,
        }
    }

    fn difference(&self) -> Difference {
        let (left, right, why) = match self {
            Self::Learned { from, to } => (join(from), join(to), SameWhy::Synonym { origin: Origin::Learned }),
            Self::Slip { left, right, .. } => (left.text.to_string(), right.text.to_string(), SameWhy::Typo),
        };
        Difference { left, right, verdict: Verdict::Same { why } }
    }
}

/// The tokens that only one of two prompts has, or has more often.
fn only<'a>(left: &'a [Segment], right: &'a [Segment]) -> (Vec<&'a Token>, Vec<&'a Token>) {
    let sorted = |segments: &'a [Segment]| {
        let mut tokens: Vec<&Token> = segments.iter().flat_map(|segment| &segment.tokens).collect();
        tokens.sort_unstable();
        tokens
    };
    let (left, right) = (sorted(left), sorted(right));
    let (mut only_left, mut only_right) = (Vec::new(), Vec::new());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    loop {
        match (left.peek(), right.peek()) {
            (Some(a), Some(b)) if a == b => {
                left.next();
                right.next();
            }
            (Some(a), Some(b)) if a < b => only_left.extend(left.next()),
            (Some(_), None) => only_left.extend(left.next()),
            (_, Some(_)) => only_right.extend(right.next()),
            (None, None) => return (only_left, only_right),
        }
    }
}

/// A learned pair of which each side is all or part of what only one of the prompts has.
fn learned(left: &[&Token], right: &[&Token], lists: &WordLists, pairs: &LearnedPairs) -> Option<Explained> {
    if pairs.is_empty() || left.len() > 16 || right.len() > 16 {
        return None;
    }
    let has = |tokens: &[&Token], all: &[Token]| all.iter().all(|token| tokens.contains(&token));
    let pairs = left.iter().flat_map(|token| pairs.beginning_with(&token.text));
    let mut fitting = pairs.filter(|pair| has(left, &pair.from) && has(right, &pair.to));
    let guarded = |from: &[Token], to: &[Token]| {
        let (from, to): (Vec<&Token>, Vec<&Token>) = (from.iter().collect(), to.iter().collect());
        guards::slots(&from, &to, lists).is_some()
    };
    let pair = fitting.find(|pair| !guarded(&pair.from, &pair.to))?;
    Some(Explained::Learned { from: pair.from.clone(), to: pair.to.clone() })
}

/// A slip, if there are so few other words that it may be one of two.
fn slips(
    left: &[&Token],
    right: &[&Token],
    segments: [&[Segment]; 2],
    names: [&[Text]; 2],
    lists: &WordLists,
) -> Option<Explained> {
    if left.len() != right.len() || left.len() > EXPLAINED {
        return None;
    }
    left.iter().find_map(|left| {
        right.iter().find_map(|right| {
            let [of_left, of_right] = segments;
            let qualifies = before_thing(of_left, left, lists) && before_thing(of_right, right, lists);
            let slip = typo::slip(left, right, qualifies, names, lists).ok();
            // "Coouch" is a slip of what is kept as "sofa".
            let variants =
                |of: &Token| lists.variants.get(of.text.as_str()).into_iter().flatten().map(|word| Token::word(word));
            let slip = slip.or_else(|| {
                let is = |slip: Slip| move |found: Result<Slip, _>| found == Ok(slip);
                let of_left =
                    || variants(right).map(|word| typo::slip(left, &word, qualifies, names, lists)).any(is(Slip::Left));
                let of_right = || {
                    variants(left).map(|word| typo::slip(&word, right, qualifies, names, lists)).any(is(Slip::Right))
                };
                if of_left() { Some(Slip::Left) } else { of_right().then_some(Slip::Right) }
            })?;
            Some(Explained::Slip { left: (*left).clone(), right: (*right).clone(), slip })
        })
    })
}

/// Whether a thing or another quality follows the token in its segment.
fn before_thing(segments: &[Segment], token: &Token, lists: &WordLists) -> bool {
    let mut pairs = segments.iter().flat_map(|segment| segment.tokens.windows(2));
    pairs.any(|pair| match pair {
        [first, next] => first == token && next.kind == Kind::Word && lists.class_of(next) & class::RELATION == 0,
        _ => false,
    })
}

/// Puts other tokens in place of the first that are these.
fn replace(segments: &mut [Segment], from: &[Token], to: &[Token]) -> bool {
    for segment in segments {
        if let Some(at) = segment.tokens.windows(from.len().max(1)).position(|tokens| tokens == from) {
            segment.tokens.splice(at..at + from.len(), to.iter().cloned());
            return true;
        }
    }
    false
}

/// What was changed in one prompt and not in the other, where all of that is explained.
fn worded(a: &CanonicalPrompt, b: &CanonicalPrompt) -> Vec<Difference> {
    let mut counts: BTreeMap<(&str, &str, &str), (SameWhy, i32)> = BTreeMap::new();
    for (prompt, step) in [(a, 1), (b, -1)] {
        for Change { from, to, why } in &prompt.changes {
            counts.entry((to, from, why.as_str())).or_insert((*why, 0)).1 += step;
        }
    }
    let mut left: Vec<(&str, &str, SameWhy)> = Vec::new();
    let mut right = Vec::new();
    for ((to, from, _), (why, count)) in counts {
        let side = if count > 0 { &mut left } else { &mut right };
        side.extend((0..count.unsigned_abs()).map(|_| (from, to, why)));
    }
    let mut differences = Vec::new();
    let article = |why: &SameWhy| matches!(why, SameWhy::Article | SameWhy::Booster | SameWhy::Boilerplate);
    for (from, to, why) in left {
        // "Couch" here and "settee" there are both kept as "sofa".
        let other = right.iter().position(|(_, other, _)| !to.is_empty() && *other == to).map(|at| right.remove(at).0);
        let right = other.unwrap_or(if article(&why) { "" } else { to });
        differences.push(Difference { left: told(from), right: told(right), verdict: Verdict::Same { why } });
    }
    for (from, to, why) in right {
        differences.push(Difference { left: told(to), right: told(from), verdict: Verdict::Same { why } });
    }
    differences
}

fn told(text: &str) -> String {
    match text.char_indices().nth(TOLD) {
        Some((end, _)) => format!("{}\u{2026}", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn join(tokens: &[Token]) -> String {
    tokens.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
}

fn difference(left: String, right: String, why: DiffersWhy) -> Difference {
    Difference { left, right, verdict: Verdict::Differs { why } }
}

/// The differences of two prompts that are not the same, with what each is one of.
fn unexplained(a: &CanonicalPrompt, b: &CanonicalPrompt, lists: &WordLists, pairs: &LearnedPairs) -> Vec<Difference> {
    let (left, right) = (guards::tokens(a), guards::tokens(b));
    let start = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let (left, right) = (left.get(start..).unwrap_or_default(), right.get(start..).unwrap_or_default());
    let end = left.iter().rev().zip(right.iter().rev()).take_while(|(a, b)| a == b).count();
    let left = left.get(..left.len() - end).unwrap_or_default();
    let right = right.get(..right.len() - end).unwrap_or_default();
    let sorted = |tokens: &[&Token]| {
        let mut tokens: Vec<Token> = tokens.iter().map(|token| (*token).clone()).collect();
        tokens.sort_unstable();
        tokens
    };
    let side = |tokens: &[&Token]| {
        told(&tokens.iter().take(TOLD).map(|token| token.text.as_str()).collect::<Vec<_>>().join(" "))
    };
    if sorted(left) == sorted(right) {
        let why = match guards::guards(a, b, lists) {
            Some(DiffersWhy::Binding) => DiffersWhy::Binding,
            _ => DiffersWhy::Order,
        };
        return vec![difference(side(left), side(right), why)];
    }
    let mut differences = Vec::new();
    for (left, right) in blocks(left, right) {
        let learned = learned(left, right, lists, pairs);
        let whole = learned.is_some_and(|found| found.is_all_of(left, right));
        let verdict = match whole {
            true => Verdict::Same { why: SameWhy::Synonym { origin: Origin::Learned } },
            false => verdict(left, right, [&a.names, &b.names], lists),
        };
        differences.push(Difference { left: side(left), right: side(right), verdict });
    }
    // Slips alone, and too many of them.
    let all_same = differences.iter().all(|difference| matches!(difference.verdict, Verdict::Same { .. }));
    if all_same {
        differences.iter_mut().for_each(|it| it.verdict = Verdict::Differs { why: DiffersWhy::TooMany });
    }
    differences
}

/// Tokens between those that both have, in order.
fn blocks<'a, 't>(left: &'a [&'t Token], right: &'a [&'t Token]) -> Vec<(&'a [&'t Token], &'a [&'t Token])> {
    if left.len() > ALIGNED || right.len() > ALIGNED {
        return vec![(left, right)];
    }
    // The longest common subsequence of what is left from each place on.
    let columns = right.len() + 1;
    let mut longest = vec![0u16; (left.len() + 1) * columns];
    let at = |row: usize, column: usize| row * columns + column;
    for row in (0..left.len()).rev() {
        for column in (0..right.len()).rev() {
            longest[at(row, column)] = if left[row] == right[column] {
                longest[at(row + 1, column + 1)] + 1
            } else {
                longest[at(row + 1, column)].max(longest[at(row, column + 1)])
            };
        }
    }
    let mut blocks = Vec::new();
    let (mut row, mut column) = (0, 0);
    let mut begins = (0, 0);
    loop {
        let ends = row == left.len() && column == right.len();
        let equal = row < left.len() && column < right.len() && left[row] == right[column];
        if (ends || equal) && begins != (row, column) {
            blocks.push((&left[begins.0..row], &right[begins.1..column]));
        }
        if ends {
            return blocks;
        }
        if equal {
            (row, column) = (row + 1, column + 1);
            begins = (row, column);
        } else if column == right.len()
            || row < left.len() && longest[at(row + 1, column)] >= longest[at(row, column + 1)]
        {
            row += 1;
        } else {
            column += 1;
        }
    }
}

fn verdict(left: &[&Token], right: &[&Token], names: [&[Text]; 2], lists: &WordLists) -> Verdict {
    let differs = |why| Verdict::Differs { why };
    if let ([left], [right]) = (left, right) {
        match typo::slip(left, right, false, names, lists) {
            Ok(_) => return Verdict::Same { why: SameWhy::Typo },
            Err(_) if typo::is_plural(&left.text, &right.text) => return differs(DiffersWhy::Plural),
            Err(_) => {}
        }
    }
    let any = |is: &dyn Fn(&Token) -> bool| left.iter().chain(right).any(|token| is(token));
    if any(&|token| matches!(token.kind, Kind::Quoted | Kind::Lettering)) {
        return differs(DiffersWhy::Quoted);
    }
    if any(&|token| token.kind == Kind::Number) {
        return differs(DiffersWhy::Number);
    }
    let reasons = [
        (class::NEGATION, DiffersWhy::Negation),
        (class::COLOR, DiffersWhy::Color),
        (class::MATERIAL, DiffersWhy::Material),
        (class::SIZE, DiffersWhy::Size),
        (class::BRAND, DiffersWhy::Brand),
        (class::MEDIUM, DiffersWhy::Style),
        (class::RELATION, DiffersWhy::Relation),
        (class::PRONOUN, DiffersWhy::Pronoun),
    ];
    for (bit, why) in reasons {
        if any(&|token| lists.class_of(token) & bit != 0) {
            return differs(why);
        }
    }
    if any(&|token| token.kind == Kind::Name) {
        return differs(DiffersWhy::Brand);
    }
    if any(&|token| matches!(token.kind, Kind::Literal | Kind::Mark)) {
        return differs(DiffersWhy::Mark);
    }
    differs(DiffersWhy::Word)
}
