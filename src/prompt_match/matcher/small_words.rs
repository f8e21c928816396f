//! Words that the rules themselves know: numbers, and the small words by which English is told from other languages.

/// Small words that only English has.
pub(crate) const ENGLISH: [&str; 40] = [
    "the", "of", "with", "and", "is", "are", "by", "from", "at", "for", "his", "her", "their", "its", "two", "three",
    "that", "has", "it", "who", "near", "under", "behind", "while", "into", "over", "through", "next", "front",
    "without", "each", "standing", "wearing", "on", "my", "some", "to", "one", "four", "five",
];

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const ORDINALS: [&str; 20] = [
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
    "twentieth",
];

/// What a number in words may begin with.
pub(crate) fn begin_numbers() -> impl Iterator<Item = &'static str> {
    SMALL.into_iter().chain(TENS).chain(ORDINALS).chain(["hundred", "thousand", "dozen", "half"])
}

pub(crate) fn small(word: &str) -> Option<u64> {
    SMALL.iter().position(|it| *it == word).map(|at| at as u64)
}

pub(crate) fn tens(word: &str) -> Option<u64> {
    TENS.iter().position(|it| *it == word).map(|at| (at as u64 + 2) * 10)
}

/// The number of one word below 100.
pub(crate) fn below_hundred(word: &str) -> Option<u64> {
    small(word).or_else(|| tens(word))
}

pub(crate) fn is_tens(word: &str) -> bool {
    tens(word).is_some()
}

pub(crate) fn is_unit(word: &str) -> bool {
    small(word).is_some_and(|unit| (1..10).contains(&unit))
}

/// `1st` for "first".
pub(crate) fn ordinal(word: &str) -> Option<String> {
    let number = ORDINALS.iter().position(|it| *it == word)? + 1;
    let ending = match number {
        1 => "st",
        2 => "nd",
        3 => "rd",
        _ => "th",
    };
    Some(format!("{number}{ending}"))
}
