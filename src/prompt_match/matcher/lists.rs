//! The word lists, each built in and extended by a config, and where each pair is from.

use std::sync::{Arc, LazyLock};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::listed::{self, Listed};
use super::small_words;
use super::token::{Kind, Token};
use super::vocabulary;
use super::word_map::{Map, Set};

/// Raised when the rules change: what was kept under the old ones is not found any more.
pub(crate) const RULES_VERSION: u64 = 1;

/// Who says that two words mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A list that ships with Easel.
    Builtin {
        /// Its name.
        list: &'static str,
    },
    /// The config.
    Config,
    /// A judge that was asked about a near miss.
    Learned,
}

impl Origin {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Builtin { list } => list,
            Self::Config => "config",
            Self::Learned => "learned",
        }
    }
}

/// What a config adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MoreWords {
    /// Groups of words or phrases that mean the same. The first of each is kept.
    pub synonyms: Vec<Vec<String>>,
    /// Praise that names nothing in a picture.
    pub boosters: Vec<String>,
    /// Makers and marks: never a typo, and never another.
    pub brands: Vec<String>,
    /// Colours: likewise.
    pub colors: Vec<String>,
}

/// 16 KiB, of which some 3,500 words set one bit in forty.
const LISTED_BITS: usize = 1 << 17;

/// What a word is, one bit each; above them the number of its line in `wide.txt`.
pub(crate) mod class {
    pub(crate) const COLOR: u32 = 1;
    pub(crate) const MATERIAL: u32 = 1 << 1;
    pub(crate) const SIZE: u32 = 1 << 2;
    pub(crate) const MEDIUM: u32 = 1 << 3;
    pub(crate) const RELATION: u32 = 1 << 4;
    pub(crate) const NEGATION: u32 = 1 << 5;
    pub(crate) const PRONOUN: u32 = 1 << 6;
    pub(crate) const BRAND: u32 = 1 << 7;
    pub(crate) const ABSENT: u32 = 1 << 8;
    pub(crate) const MODERN: u32 = 1 << 9;
    pub(crate) const WIDE: u32 = 12;
}

/// Words that are replaced by others.
#[derive(Clone, Debug)]
pub(crate) struct Phrase {
    pub(crate) from: Vec<Box<str>>,
    pub(crate) to: Vec<Box<str>>,
    /// Not before one of these.
    pub(crate) not_before: Vec<Box<str>>,
    /// Only at the end of a segment.
    pub(crate) at_end: bool,
    pub(crate) origin: Origin,
}

/// Phrases by their first word, longest first.
pub(crate) type Phrases = Map<Vec<Phrase>>;

/// All word lists.
#[derive(Clone)]
pub struct WordLists {
    pub(crate) classes: Map<u32>,
    pub(crate) spelling: Arc<Map<Box<str>>>,
    pub(crate) compounds: Arc<Phrases>,
    /// Compounds as they are written apart, joined by blanks.
    pub(crate) apart: Arc<Set>,
    pub(crate) synonyms: Phrases,
    /// Single words that are replaced by a single word, by that one.
    pub(crate) variants: Map<Vec<Box<str>>>,
    pub(crate) boosters: Set,
    /// Words whose capitals carry meaning, and whether they do at the beginning of a sentence.
    pub(crate) cased: Arc<Map<bool>>,
    /// In which of the lists a word is.
    pub(crate) listed_in: Listed,
    /// A bit for each word of the lists, by its hash: most words are in none, and a slip asks for hundreds.
    listed: Vec<u64>,
    digest: u64,
}

impl std::fmt::Debug for WordLists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WordLists").field("digest", &self.digest).finish_non_exhaustive()
    }
}

const SPELLING: &str = include_str!("lists/spelling.txt");
const COMPOUNDS: &str = include_str!("lists/compounds.txt");
const SYNONYMS: &str = include_str!("lists/synonyms.txt");
const BOOSTERS: &str = include_str!("lists/boosters.txt");
const CASED: &str = include_str!("lists/cased.txt");
const FOREIGN: &str = include_str!("lists/foreign.txt");
const WIDE: &str = include_str!("lists/wide.txt");
const CLASSES: [(&str, u32); 10] = [
    (include_str!("lists/colors.txt"), class::COLOR),
    (include_str!("lists/materials.txt"), class::MATERIAL),
    (include_str!("lists/sizes.txt"), class::SIZE),
    (include_str!("lists/media.txt"), class::MEDIUM),
    (include_str!("lists/relations.txt"), class::RELATION),
    (include_str!("lists/negations.txt"), class::NEGATION),
    (include_str!("lists/pronouns.txt"), class::PRONOUN),
    (include_str!("lists/brands.txt"), class::BRAND),
    (include_str!("lists/absent.txt"), class::ABSENT),
    (include_str!("lists/modern.txt"), class::MODERN),
];

static BUILTIN: LazyLock<Arc<WordLists>> = LazyLock::new(|| Arc::new(WordLists::build()));

fn lines(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

fn words(list: &'static str) -> impl Iterator<Item = &'static str> {
    lines(list).flat_map(str::split_whitespace)
}

fn split(text: &str) -> Vec<Box<str>> {
    text.split_whitespace().map(Box::from).collect()
}

impl WordLists {
    /// What ships with Easel.
    pub fn builtin() -> Arc<Self> {
        Arc::clone(&BUILTIN)
    }

    /// These lists and more. A word that is in both keeps what it was here.
    pub fn extended(&self, more: &MoreWords) -> Self {
        let mut lists = self.clone();
        for group in &more.synonyms {
            if let Some((to, variants)) = group.split_first() {
                let to = lists.plain(to);
                // A hyphen that no rule leaves out stays in a prompt.
                let whole = |text: &&String| split(&text.to_lowercase());
                let variants =
                    variants.iter().map(|text| lists.plain(text)).chain(variants.iter().map(|text| whole(&text)));
                let variants: Vec<Vec<Box<str>>> = variants.filter(|from| !from.is_empty() && *from != to).collect();
                for from in variants {
                    let to = to.clone();
                    add_phrase(
                        &mut lists.synonyms,
                        Phrase { from, to, not_before: Vec::new(), at_end: false, origin: Origin::Config },
                    );
                }
            }
        }
        let boosters = more.boosters.iter().map(|text| lists.plain(text).join(" "));
        let boosters: Vec<String> = boosters.filter(|text| !text.is_empty()).collect();
        lists.boosters.extend(boosters.into_iter().map(Box::from));
        for (words, class) in [(&more.brands, class::BRAND), (&more.colors, class::COLOR)] {
            let words: Vec<Box<str>> = words.iter().flat_map(|text| lists.plain(text)).collect();
            for word in words {
                *lists.classes.entry(word).or_default() |= class;
            }
        }
        lists.index();
        let added = format!("{:?}{:?}{:?}{:?}", more.synonyms, more.boosters, more.brands, more.colors);
        if added != "[][][][]" {
            lists.digest = xxh3_64_with_seed(added.as_bytes(), lists.digest);
        }
        lists
    }

    /// Changes when anything does on which a canonical form or a sketch depends.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn class(&self, word: &str) -> u32 {
        let may = self.listed_in.may_have(word, listed::CLASS);
        if may { self.classes.get(word).copied().unwrap_or_default() } else { 0 }
    }

    fn index(&mut self) {
        let mut listed = vec![0u64; LISTED_BITS / 64];
        let all = self.classes.keys().chain(self.spelling.keys()).chain(self.synonyms.keys());
        for word in all {
            let bit = xxh3_64(word.as_bytes()) as usize % LISTED_BITS;
            if let Some(bits) = listed.get_mut(bit / 64) {
                *bits |= 1 << (bit % 64);
            }
        }
        self.listed = listed;
        let mut variants = Map::<Vec<Box<str>>>::default();
        for Phrase { from, to, .. } in self.synonyms.values().flatten() {
            if let ([from], [to]) = (&from[..], &to[..]) {
                variants.entry(to.clone()).or_default().push(from.clone());
            }
        }
        self.variants = variants;
        let mut listed_in = Listed::default();
        let mut note = |word: &str, list: u8| listed_in.note(word, list);
        self.classes.keys().for_each(|word| note(word, listed::CLASS));
        self.spelling.keys().for_each(|word| note(word, listed::SPELLING));
        self.compounds.keys().for_each(|word| note(word, listed::COMPOUND));
        self.synonyms.keys().for_each(|word| note(word, listed::SYNONYM));
        words(FOREIGN).for_each(|word| note(word, listed::FOREIGN));
        let praise = self.boosters.iter().filter_map(|praise| praise.split(' ').next());
        praise.for_each(|first| note(first, listed::BOOSTER));
        small_words::begin_numbers().for_each(|word| note(word, listed::NUMBER));
        small_words::ENGLISH.into_iter().for_each(|word| note(word, listed::ENGLISH));
        self.listed_in = listed_in;
    }

    /// Whether a word may be in one of the lists: false is certain.
    pub(crate) fn may_list(&self, word: &str) -> bool {
        let bit = xxh3_64(word.as_bytes()) as usize % LISTED_BITS;
        self.listed.get(bit / 64).is_some_and(|bits| bits >> (bit % 64) & 1 == 1)
    }

    /// The classes of a token. A number is nothing of the lists, whatever its text is.
    pub(crate) fn class_of(&self, token: &Token) -> u32 {
        if matches!(token.kind, Kind::Word | Kind::Name) { self.class(&token.text) } else { 0 }
    }

    /// A text of the lists as its words stand in a prompt after spelling, compounds and articles.
    fn plain(&self, text: &str) -> Vec<Box<str>> {
        let words = text.to_lowercase().replace('-', " ");
        let words = words.split_whitespace().filter(|word| !matches!(*word, "a" | "an" | "the"));
        let words: Vec<Box<str>> =
            words.map(|word| self.spelling.get(word).cloned().unwrap_or_else(|| Box::from(word))).collect();
        replace(&words, &self.compounds)
    }

    fn build() -> Self {
        let mut lists = Self {
            classes: Map::default(),
            spelling: Arc::default(),
            compounds: Arc::default(),
            apart: Arc::default(),
            synonyms: Map::default(),
            variants: Map::default(),
            boosters: Set::default(),
            cased: Arc::default(),
            listed_in: Listed::default(),
            listed: Vec::new(),
            digest: RULES_VERSION,
        };
        let pairs = lines(SPELLING).filter_map(|line| line.split_once(' '));
        lists.spelling = Arc::new(pairs.map(|(from, to)| (Box::from(from), Box::from(to))).collect());
        let (compounds, apart) = compounds();
        (lists.compounds, lists.apart) = (Arc::new(compounds), Arc::new(apart));
        lists.synonyms = lists.built_in_synonyms();
        lists.boosters = lines(BOOSTERS).map(|line| Box::from(lists.plain(line).join(" "))).collect();
        let cased = lines(CASED).flat_map(|line| {
            let start = line.starts_with('!');
            line.trim_start_matches('!').split_whitespace().map(move |word| (Box::from(word), start))
        });
        lists.cased = Arc::new(cased.collect());
        for (text, class) in CLASSES {
            words(text).for_each(|word| *lists.classes.entry(Box::from(word)).or_default() |= class);
        }
        for (number, line) in lines(WIDE).enumerate() {
            let heads = line.split_once(':').map_or(line, |(_, heads)| heads);
            for word in heads.split_whitespace() {
                *lists.classes.entry(Box::from(word)).or_default() |= (number as u32 + 1) << class::WIDE;
            }
        }
        let texts = CLASSES.map(|(text, _)| text);
        let texts = texts.iter().chain(&[SPELLING, COMPOUNDS, SYNONYMS, BOOSTERS, CASED, FOREIGN, WIDE]);
        lists.index();
        lists.digest = texts.fold(RULES_VERSION, |digest, text| digest.rotate_left(7) ^ xxh3_64(text.as_bytes()));
        lists
    }

    fn built_in_synonyms(&self) -> Phrases {
        let mut phrases = Phrases::default();
        for line in lines(SYNONYMS) {
            let (group, not_before) = line.split_once('!').unwrap_or((line, ""));
            let mut group = group.split('=').map(str::trim);
            let to = self.plain(group.next().unwrap_or_default());
            for variant in group {
                let at_end = variant.ends_with('$');
                let from = self.plain(variant.trim_end_matches('$'));
                let origin = Origin::Builtin { list: "synonyms" };
                let not_before = split(not_before);
                if from != to {
                    add_phrase(&mut phrases, Phrase { from, to: to.clone(), not_before, at_end, origin });
                }
            }
        }
        phrases
    }
}

/// Where the rules of two lists begin alike, the longer goes first, and the first of equally long ones wins.
fn add_phrase(phrases: &mut Phrases, phrase: Phrase) {
    let Some(first) = phrase.from.first().cloned() else { return };
    let same_first = phrases.entry(first).or_default();
    same_first.push(phrase);
    same_first.sort_by_key(|phrase| std::cmp::Reverse(phrase.from.len()));
}

/// One word is kept where it is a common one: what the other lists say of it is said of one word.
fn compounds() -> (Phrases, Set) {
    let (mut phrases, mut apart) = (Phrases::default(), Set::default());
    for line in lines(COMPOUNDS) {
        let variants: Vec<Vec<Box<str>>> = line.split('=').map(split).collect();
        let is_word = |variant: &&Vec<Box<str>>| matches!(&variant[..], [word] if vocabulary::flags(word) & 1 != 0);
        let Some(to) = variants.iter().find(is_word).or(variants.first()) else { continue };
        for from in variants.iter().filter(|from| *from != to) {
            let origin = Origin::Builtin { list: "compounds" };
            add_phrase(
                &mut phrases,
                Phrase { from: from.clone(), to: to.clone(), not_before: Vec::new(), at_end: false, origin },
            );
        }
        apart.extend(variants.iter().filter(|variant| variant.len() > 1).map(|variant| Box::from(variant.join(" "))));
    }
    (phrases, apart)
}

fn replace(words: &[Box<str>], phrases: &Phrases) -> Vec<Box<str>> {
    let mut out = Vec::with_capacity(words.len());
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let rest = words.get(at..).unwrap_or_default();
        let found = phrases.get(word).and_then(|list| list.iter().find(|phrase| rest.starts_with(&phrase.from)));
        match found {
            Some(phrase) => {
                out.extend(phrase.to.iter().cloned());
                at += phrase.from.len();
            }
            None => {
                out.push(word.clone());
                at += 1;
            }
        }
    }
    out
}
