//! The canonical form of a prompt: equal bytes for the same picture in other words.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::capitals;
use super::change::{Change, SameWhy};
use super::language;
use super::lexer;
use super::listed;
use super::lists::WordLists;
use super::request;
use super::segments::{self, Arranged, Segment, arrange};
use super::sketch::{self, Sketch};
use super::token::{Kind, Piece, Text, Token, join};
use super::word_set::WordSet;
use super::words;

/// A longer prompt is the same only as itself, byte by byte: four bytes for each of the 32,000 letters that the longest prompt of a
/// vendor has.
pub const MAX_BYTES: usize = 128_000;

/// How a prompt was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// With every rule.
    English,
    /// With the rules that are safe for every script.
    AnyLanguage,
    /// Too long for any.
    Verbatim,
}

/// A prompt as it is compared.
#[derive(Clone, Debug)]
pub struct CanonicalPrompt {
    pub(crate) form: Form,
    pub(crate) arranged: Arranged,
    /// The segments as they were written, without praise and requests.
    pub(crate) segments: Vec<Segment>,
    pub(crate) changes: Vec<Change>,
    /// Words that had a capital inside a sentence: likely names.
    pub(crate) names: Vec<Text>,
    bytes: Vec<u8>,
}

/// Reads a prompt.
pub fn canonical(prompt: &str, lists: &WordLists) -> CanonicalPrompt {
    if prompt.len() > MAX_BYTES {
        return CanonicalPrompt::verbatim(Form::Verbatim, prompt);
    }
    let is_composed = prompt.is_ascii() || is_nfc_quick(prompt.chars()) == IsNormalized::Yes;
    let composed: Cow<'_, str> = if is_composed { Cow::Borrowed(prompt) } else { Cow::Owned(prompt.nfc().collect()) };
    let mut pieces = lexer::lex(&composed);
    if !language::is_english(&pieces, lists) {
        return CanonicalPrompt::verbatim(Form::AnyLanguage, &any_language(&composed));
    }
    // Most prompts have so many articles, requests and spellings.
    let (mut changes, mut names) = (Vec::with_capacity(16), Vec::new());
    capitals::fold(&mut pieces, lists, &mut names);
    let (pieces, articles) = words::normalize(pieces, lists, &mut changes);
    let pieces = words::before_quoted(pieces, &mut changes);
    let pieces = without_request(pieces, articles, lists, &mut changes);
    let segments = without_praise(segments::split(pieces), lists, &mut changes);
    CanonicalPrompt::english(segments, changes, names, lists)
}

fn text_of(pieces: &[Piece]) -> Text {
    join(pieces.iter().filter_map(|piece| match piece {
        Piece::Token(token) => Some(token.text.as_str()),
        Piece::Break(_) => None,
    }))
}

fn without_request(mut pieces: Vec<Piece>, articles: u32, lists: &WordLists, changes: &mut Vec<Change>) -> Vec<Piece> {
    let start = request::at_beginning(&pieces, articles, lists);
    let end = request::before_end(&pieces, start > 0).max(start);
    for part in [pieces.get(..start), pieces.get(end..)].into_iter().flatten() {
        let text = text_of(part);
        if !text.is_empty() {
            changes.push(Change::new(text, "", SameWhy::Boilerplate));
        }
    }
    pieces.truncate(end);
    pieces.drain(..start);
    pieces
}

/// Without segments that are nothing but praise, unless nothing else is there, and without praise before a medium at the beginning.
fn without_praise(mut segments: Vec<Segment>, lists: &WordLists, changes: &mut Vec<Change>) -> Vec<Segment> {
    if let Some(first) = segments.first_mut() {
        praise_before_medium(first, lists, changes);
    }
    static DENIES: WordSet = WordSet::new("negative avoid exclude without no not");
    let mut denied = false;
    let keeps: Vec<bool> = segments
        .iter()
        .map(|segment| {
            let keeps = denied || !segments::is_praise(segment, lists);
            // "Avoid: 4k, text" wants no 4k.
            let denies = |token: &Token| DENIES.has(&token.text);
            denied = denied || segment.label && segment.tokens.iter().any(denies);
            keeps
        })
        .collect();
    if !keeps.contains(&true) {
        return segments;
    }
    let mut keep = keeps.into_iter();
    segments.retain(|segment| {
        let keeps = keep.next().unwrap_or(true);
        if !keeps {
            let text = join(segment.tokens.iter().map(|token| token.text.as_str()));
            changes.push(Change::new(text, "", SameWhy::Booster));
        }
        keeps
    });
    for segment in &mut segments {
        // "Without people" as a segment is "no people".
        if let [first, _, ..] = &mut segment.tokens[..]
            && first.is_word("without")
        {
            *first = Token::new(Kind::Word, "no");
        }
    }
    segments
}

/// "High quality photo of".
fn praise_before_medium(segment: &mut Segment, lists: &WordLists, changes: &mut Vec<Change>) {
    static MEDIA: WordSet =
        WordSet::new("photo photograph image picture render illustration painting drawing shot portrait");
    let word = |at: usize| segment.tokens.get(at).map(|token| token.text.as_str()).unwrap_or_default();
    let first = word(0).split(' ').next().unwrap_or_default();
    if !lists.listed_in.may_have(first, listed::BOOSTER) {
        return;
    }
    for length in (1..=3).rev() {
        let praise = join((0..length).map(word));
        if lists.boosters.contains(praise.as_str()) && MEDIA.has(word(length)) && word(length + 1) == "of" {
            segment.tokens.drain(..length);
            changes.push(Change::new(praise, "", SameWhy::Booster));
            return;
        }
    }
}

/// What is safe in every script: one kind of quotation marks and dashes, single blanks outside of quotation marks, no point at the end.
fn any_language(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut blank) = (false, false);
    for c in text.trim().chars() {
        let c = match c {
            '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{ab}' | '\u{bb}' => '"',
            '\u{2018}' | '\u{2019}' | '\u{2bc}' => '\'',
            '\u{2010}'..='\u{2015}' => '-',
            c => c,
        };
        quoted ^= c == '"';
        if c.is_whitespace() && !quoted {
            blank = true;
            continue;
        }
        if blank && !out.is_empty() {
            out.push(' ');
        }
        blank = false;
        out.push(c);
    }
    let end = out.trim_end_matches(['.', '\u{3002}', ' ']).len();
    if end > 0 && !quoted {
        out.truncate(end);
    }
    out
}

impl CanonicalPrompt {
    fn verbatim(form: Form, text: &str) -> Self {
        let segments = vec![Segment { tokens: vec![Token::new(Kind::Quoted, text)], label: false }];
        let arranged = Arranged { scene: vec![0], whole: Vec::new() };
        let bytes = encode(form, &arranged, &segments);
        Self { form, arranged, segments, changes: Vec::new(), names: Vec::new(), bytes }
    }

    fn english(segments: Vec<Segment>, changes: Vec<Change>, names: Vec<Text>, lists: &WordLists) -> Self {
        let arranged = arrange(&segments, lists);
        let bytes = encode(Form::English, &arranged, &segments);
        Self { form: Form::English, arranged, segments, changes, names, bytes }
    }

    /// The same prompt with other segments.
    pub(crate) fn with_segments(&self, segments: Vec<Segment>, lists: &WordLists) -> Self {
        Self::english(segments, Vec::new(), Vec::new(), lists)
    }

    /// Two prompts are the same picture in the canonical tier exactly if these are equal.
    pub fn canonical_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The tokens of its segments, as these are compared.
    pub(crate) fn tokens(&self) -> impl Iterator<Item = &Vec<Token>> + Clone {
        let places = self.arranged.scene.iter().chain(&self.arranged.whole);
        places.filter_map(|at| self.segments.get(*at)).map(|segment| &segment.tokens)
    }

    /// Where to look for prompts that may be the same: [`distance`](crate::distance()) of two.
    pub fn sketch(&self) -> Sketch {
        sketch::sketch(self.tokens())
    }

    /// Its segments for people, what is said of the whole picture behind a bar.
    pub fn text(&self) -> String {
        let join = |places: &[usize]| {
            let segments = places.iter().filter_map(|at| self.segments.get(*at)).map(|Segment { tokens, .. }| {
                let texts = tokens.iter().map(|token| match token.kind {
                    Kind::Quoted if self.form == Form::English => format!("\"{}\"", token.text),
                    _ => token.text.to_string(),
                });
                texts.collect::<Vec<_>>().join(" ")
            });
            segments.collect::<Vec<_>>().join(", ")
        };
        let (scene, whole) = (join(&self.arranged.scene), join(&self.arranged.whole));
        if whole.is_empty() { scene } else { format!("{scene} | {whole}") }
    }

    /// Whether it was read as English.
    pub fn is_english(&self) -> bool {
        self.form == Form::English
    }
}

/// Counts and lengths before what they count, so that no text can look like another's.
fn encode(form: Form, arranged: &Arranged, segments: &[Segment]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(form as u8);
    let number = |bytes: &mut Vec<u8>, number: usize| {
        let mut rest = number;
        while rest >= 0x80 {
            bytes.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    };
    for places in [&arranged.scene, &arranged.whole] {
        number(&mut bytes, places.len());
        for Segment { tokens, .. } in places.iter().filter_map(|at| segments.get(*at)) {
            number(&mut bytes, tokens.len());
            for token in tokens {
                bytes.push(token.kind as u8);
                number(&mut bytes, token.text.len());
                bytes.extend_from_slice(token.text.as_bytes());
            }
        }
    }
    bytes
}
