//! What has to be equal in two prompts, however alike they are otherwise: each check is a function of its own, as an embedding or a
//! judge stands behind the same ones.

use super::canonical::CanonicalPrompt;
use super::change::DiffersWhy;
use super::lists::{WordLists, class};
use super::token::{Kind, Text, Token};
use super::typo;

/// The first guard that two prompts fail, if one does.
pub fn guards(a: &CanonicalPrompt, b: &CanonicalPrompt, lists: &WordLists) -> Option<DiffersWhy> {
    if a.form != b.form {
        return Some(DiffersWhy::Language);
    }
    if !a.is_english() {
        // Nothing is known of its words: only what is equal byte by byte is the same.
        return (a.canonical_bytes() != b.canonical_bytes()).then_some(DiffersWhy::Language);
    }
    let (left, right) = (tokens(a), tokens(b));
    slots(&left, &right, lists)
        .or_else(|| plurals(&left, &right).then_some(DiffersWhy::Plural))
        .or_else(|| (bindings(&left, lists) != bindings(&right, lists)).then_some(DiffersWhy::Binding))
        .or_else(|| (!same_order(&left, &right, lists)).then_some(DiffersWhy::Order))
}

/// Words are counted in each other's prompt, which is quadratic: longer ones have to be equal.
const MOST_COUNTED: usize = 512;

/// All tokens in the order in which they are compared.
pub(crate) fn tokens(prompt: &CanonicalPrompt) -> Vec<&Token> {
    prompt.tokens().flatten().collect()
}

/// Whether a token is of a class.
type Belongs<'a> = &'a dyn Fn(&Token) -> bool;

/// Multisets that have to be equal: what of each class is named how often.
pub(crate) fn slots(left: &[&Token], right: &[&Token], lists: &WordLists) -> Option<DiffersWhy> {
    let of_class = |bit: u32| move |token: &Token| lists.class_of(token) & bit != 0;
    let same = |belongs: Belongs<'_>| {
        let named = |tokens: &[&Token]| {
            let named = tokens.iter().filter(|token| belongs(token));
            let mut named: Vec<Text> = named.map(|token| token.text.clone()).collect();
            named.sort_unstable();
            named
        };
        named(left) == named(right)
    };
    let checks: [(Belongs<'_>, DiffersWhy); 11] = [
        (&|token| matches!(token.kind, Kind::Quoted | Kind::Lettering), DiffersWhy::Quoted),
        (&|token| token.kind == Kind::Number, DiffersWhy::Number),
        (&of_class(class::NEGATION), DiffersWhy::Negation),
        (&of_class(class::COLOR), DiffersWhy::Color),
        (&of_class(class::MATERIAL), DiffersWhy::Material),
        (&of_class(class::SIZE), DiffersWhy::Size),
        (&of_class(class::MEDIUM), DiffersWhy::Style),
        (&|token| token.kind == Kind::Name || lists.class_of(token) & class::BRAND != 0, DiffersWhy::Brand),
        (&of_class(class::RELATION), DiffersWhy::Relation),
        (&of_class(class::PRONOUN), DiffersWhy::Pronoun),
        (&|token| matches!(token.kind, Kind::Literal | Kind::Mark), DiffersWhy::Mark),
    ];
    checks.into_iter().find(|(belongs, _)| !same(*belongs)).map(|(_, why)| why)
}

/// Whether one names a thing of which the other names several, among the first few words that only one of them has.
fn plurals(left: &[&Token], right: &[&Token]) -> bool {
    const LOOKED_AT: usize = 64;
    // So many words have to be the same in the same order: `same_order`.
    if left.len().min(right.len()) > MOST_COUNTED {
        return false;
    }
    let words = |of: &[&Token], other: &[&Token]| -> Vec<Text> {
        let only = of.iter().filter(|token| token.kind == Kind::Word && !other.contains(token));
        only.take(LOOKED_AT).map(|token| token.text.clone()).collect()
    };
    let (left, right) = (words(left, right), words(right, left));
    left.iter().any(|left| right.iter().any(|right| typo::is_plural(left, right)))
}

fn is_quality(token: &Token, lists: &WordLists) -> bool {
    let qualities = class::COLOR | class::MATERIAL | class::SIZE | class::NEGATION;
    token.kind == Kind::Number || lists.class_of(token) & qualities != 0
}

/// Each quality with the thing behind it, sorted: "red cube", "2 dog", "without hat".
fn bindings<'a>(tokens: &[&'a Token], lists: &WordLists) -> Vec<(&'a Token, Option<&'a Token>)> {
    let mut bound = Vec::new();
    let mut thing: Option<&Token> = None;
    for token in tokens.iter().rev() {
        if is_quality(token, lists) {
            bound.push((*token, thing));
        } else if lists.class_of(token) & (class::RELATION | class::PRONOUN) == 0 {
            thing = Some(token);
        }
    }
    bound.sort_unstable();
    bound
}

/// Whether the words that both have stand in the same order. A word that one of them has twice is left out on both sides, if the
/// other has it once.
fn same_order(left: &[&Token], right: &[&Token], lists: &WordLists) -> bool {
    let content = |tokens: &[&Token]| -> Vec<Token> {
        let content = tokens.iter().filter(|token| lists.class_of(token) & class::PRONOUN == 0);
        content.map(|token| (*token).clone()).collect()
    };
    let (left, right) = (content(left), content(right));
    let shared = |of: &[Token], other: &[Token]| -> Vec<Token> {
        let count = |tokens: &[Token], token: &Token| tokens.iter().filter(|it| *it == token).count();
        // Prompts of more words than these are compared by the words that stand once in each, as counting is quadratic.
        let bounded = of.len().min(other.len()) <= MOST_COUNTED;
        of.iter().filter(|token| bounded && count(other, token) == count(of, token)).cloned().collect()
    };
    let (left_shared, right_shared) = (shared(&left, &right), shared(&right, &left));
    if left.len().min(right.len()) > MOST_COUNTED { left == right } else { left_shared == right_shared }
}
