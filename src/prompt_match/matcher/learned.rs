//! Pairs of words that mean the same because somebody approved them: a judge that was asked about a near miss.
//!
//! They are kept apart from the word lists: a pair that is approved, expires or is struck changes no canonical form and no
//! sketch, so that nothing has to be indexed anew, and each tenant has its own, so that the prompts of one can teach
//! another nothing.

use super::token::Token;
use super::word_map::Map;

/// Two words or phrases as they stand in canonical forms, the lesser first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WordPair {
    lesser: Box<str>,
    greater: Box<str>,
}

impl WordPair {
    /// Of two texts in any order.
    pub fn of(a: &str, b: &str) -> WordPair {
        let plain = |text: &str| text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ").into_boxed_str();
        let (a, b) = (plain(a), plain(b));
        if a <= b { WordPair { lesser: a, greater: b } } else { WordPair { lesser: b, greater: a } }
    }

    /// The lesser and the greater.
    pub fn words(&self) -> [&str; 2] {
        [&self.lesser, &self.greater]
    }
}

/// Approved pairs, ready to be looked for.
#[derive(Clone, Debug, Default)]
pub struct LearnedPairs {
    /// By the first word of either side.
    by_first: Map<Vec<Learned>>,
}

/// A pair, seen from one of its sides.
#[derive(Clone, Debug)]
pub(crate) struct Learned {
    pub(crate) from: Vec<Token>,
    pub(crate) to: Vec<Token>,
}

impl LearnedPairs {
    /// These.
    pub fn of<'p>(pairs: impl IntoIterator<Item = &'p WordPair>) -> LearnedPairs {
        let mut learned = LearnedPairs::default();
        for pair in pairs {
            learned.add(pair);
        }
        learned
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_first.is_empty()
    }

    /// Those that begin with a word.
    pub(crate) fn beginning_with(&self, word: &str) -> &[Learned] {
        self.by_first.get(word).map_or(&[], Vec::as_slice)
    }

    /// These and one more.
    pub(crate) fn and(&self, pair: &WordPair) -> LearnedPairs {
        let mut all = self.clone();
        all.add(pair);
        all
    }

    fn add(&mut self, pair: &WordPair) {
        let [lesser, greater] = pair.words().map(|side| side.split_whitespace().map(Token::word).collect::<Vec<_>>());
        for (from, to) in [(&lesser, &greater), (&greater, &lesser)] {
            if let (Some(first), false) = (from.first(), to.is_empty()) {
                let same_first = self.by_first.entry(first.text.as_str().into()).or_default();
                same_first.push(Learned { from: from.clone(), to: to.clone() });
            }
        }
    }
}
