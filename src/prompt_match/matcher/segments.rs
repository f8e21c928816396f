//! Segments: what stands between commas, which of them are praise, and which may change places.
//!
//! Order is meaning: "a man in a red shirt, blue pants, a woman in a green shirt, white pants" is another picture when the pants
//! change places. So the segments of a scene stay in their order, but for two kinds. One is what is said of the whole picture (its
//! light, view, medium): these are sorted, unless two of one kind are there, which may each belong to another thing. The other
//! are the segments behind the first of a scene where each says for itself where its thing is ("a cat on a mat").

use super::listed;
use super::lists::{WordLists, class};
use super::token::{Break, Kind, Piece, Token, join};
use super::vocabulary;
use super::word_set::WordSet;

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) tokens: Vec<Token>,
    /// Whether a colon follows.
    pub(crate) label: bool,
}

/// Segments as they are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arranged {
    /// What is in the picture, in an order that means something: places of segments.
    pub(crate) scene: Vec<usize>,
    /// What is said of the whole picture, sorted.
    pub(crate) whole: Vec<usize>,
}

/// More words than these make no segment about the whole picture.
const WHOLE_WORDS: usize = 6;

/// Splits at breaks.
pub(crate) fn split(pieces: Vec<Piece>) -> Vec<Segment> {
    let mut segments = Vec::new();
    let mut tokens = Vec::new();
    let mut pieces = pieces.into_iter();
    while let Some(piece) = pieces.next() {
        if tokens.is_empty() {
            let more = pieces.as_slice().iter().take_while(|piece| matches!(piece, Piece::Token(_))).count();
            tokens.reserve_exact(1 + more);
        }
        match piece {
            Piece::Token(token) => tokens.push(token),
            Piece::Break(end) if !tokens.is_empty() => {
                segments.push(Segment { tokens: std::mem::take(&mut tokens), label: end == Break::Colon });
            }
            Piece::Break(_) => {}
        }
    }
    if !tokens.is_empty() {
        segments.push(Segment { tokens, label: false });
    }
    segments
}

/// Whether a segment is nothing but praise, its brackets and weights aside.
pub(crate) fn is_praise(segment: &Segment, lists: &WordLists) -> bool {
    if segment.label || segment.tokens.len() > 12 {
        return false;
    }
    // Most segments are told by their first word.
    let begins = |word: &str| word.contains('-') || lists.listed_in.may_have(word, listed::BOOSTER);
    if let [Token { kind: Kind::Word, text }, ..] = &segment.tokens[..]
        && !matches!(text.as_str(), "and" | "in")
        && !begins(text)
    {
        return false;
    }
    let mut words: Vec<&str> = Vec::with_capacity(6);
    for token in &segment.tokens {
        match token.kind {
            Kind::Word | Kind::Number => words.extend(token.text.split('-')),
            Kind::Mark if matches!(token.text.as_str(), "(" | ")" | "[" | "]" | "{" | "}" | "*") => {}
            Kind::Literal if token.text.starts_with(':') => {}
            _ => return false,
        }
    }
    !words.is_empty() && words.len() <= 9 && covers(&words, lists)
}

/// Whether the words are praise after praise.
fn covers(words: &[&str], lists: &WordLists) -> bool {
    let words: &[&str] = match words {
        ["and", rest @ ..] | ["in", rest @ ..] if !rest.is_empty() => rest,
        words => words,
    };
    let Some(first) = words.first() else { return true };
    lists.listed_in.may_have(first, listed::BOOSTER)
        && (1..=words.len().min(4)).rev().any(|length| {
            let (first, rest) = words.split_at(length);
            lists.boosters.contains(join(first.iter().copied()).as_str()) && covers(rest, lists)
        })
}

/// Puts segments into the order in which they are compared.
pub(crate) fn arrange(segments: &[Segment], lists: &WordLists) -> Arranged {
    let labels = segments.iter().filter(|segment| segment.label).count();
    let mut whole: Vec<Option<u32>> = segments.iter().map(|segment| whole_picture(segment, lists)).collect();
    for at in 0..segments.len() {
        let Some(segment) = segments.get(at) else { continue };
        let before = at.checked_sub(1);
        // What a label or a lone quality says, and what the next segment leans on, stays where it is.
        let pinned = segment.label
            || before.and_then(|before| segments.get(before)).is_some_and(|it| it.label || is_open(it, lists));
        if pinned && let Some(class) = whole.get_mut(at) {
            *class = None;
        }
        // "No text, watermark": whether there is one, only the order tells.
        let absent = whole.get(at) == Some(&None)
            && segment.tokens.len() <= 3
            && segment.tokens.last().is_some_and(|token| lists.class_of(token) & class::ABSENT != 0);
        let leans = absent || whole.get(at) == Some(&None) && at > 0 && begins_with_relation(segment, lists);
        if leans && let Some(class) = before.and_then(|before| whole.get_mut(before)) {
            *class = None;
        }
    }
    let things = whole.iter().filter(|class| class.is_none()).count();
    if labels > 1 || things > 1 && repeats(&whole) {
        return Arranged { scene: (0..segments.len()).collect(), whole: Vec::new() };
    }
    let (whole, mut scene): (Vec<usize>, Vec<usize>) =
        (0..segments.len()).partition(|at| whole.get(*at).is_some_and(Option::is_some));
    let tokens = |at: &usize| segments.get(*at).map(|segment| &segment.tokens);
    let mut arranged = Arranged { scene: Vec::new(), whole };
    arranged.whole.sort_by(|a, b| tokens(a).cmp(&tokens(b)));
    let mut rest = scene.iter().skip(1).filter_map(|at| segments.get(*at));
    let open = scene.first().and_then(|at| segments.get(*at)).is_some_and(|first| is_open(first, lists));
    let placed = labels == 0 && !open && rest.all(|segment| says_where(segment, lists));
    if placed && let Some((_, rest)) = scene.split_first_mut() {
        rest.sort_by(|a, b| tokens(a).cmp(&tokens(b)));
    }
    arranged.scene = scene;
    arranged
}

/// Two of one kind. Absences may be many, and parameters.
fn repeats(whole: &[Option<u32>]) -> bool {
    let mut seen = 0u64;
    whole.iter().flatten().any(|class| {
        let bit = if *class == 0 { 0 } else { 1u64 << (class & 63) };
        let again = seen & bit != 0;
        seen |= bit;
        again
    })
}

/// The line of `wide.txt` that a segment is of, or 0 for absences and parameters, if it is about the whole picture.
fn whole_picture(segment: &Segment, lists: &WordLists) -> Option<u32> {
    let tokens = &segment.tokens[..];
    if tokens.iter().all(|token| token.kind == Kind::Literal) {
        return Some(0);
    }
    let last = tokens.last()?;
    if tokens.len() > WHOLE_WORDS || tokens.iter().any(|token| !matches!(token.kind, Kind::Word | Kind::Number)) {
        return None;
    }
    let first = tokens.first()?;
    let class = lists.class_of(last) >> class::WIDE;
    if first.is_word("no") {
        return (tokens.len() <= 3 && lists.class_of(last) & class::ABSENT != 0 && plain(tokens.get(1..)?, lists))
            .then_some(0);
    }
    let second = tokens.get(1).and_then(Token::as_word).unwrap_or_default();
    if second == "from" && matches!(first.text.as_str(), "viewed" | "shot" | "photographed" | "taken" | "captured") {
        // Who is seen from behind has a front, and may be one of two.
        let [_, _, from] = tokens else { return None };
        return matches!(from.text.as_str(), "above" | "below" | "overhead" | "afar" | "far").then_some(VIEW);
    }
    // One painting among other things is one of them.
    let counted = first.kind == Kind::Number && first.text.bytes().all(|byte| byte.is_ascii_digit());
    if class == 0 || counted {
        return None;
    }
    let body = if BEFORE_WHOLE.has(&first.text) { tokens.get(1..)? } else { tokens };
    (!body.is_empty() && plain(body, lists)).then_some(class)
}

/// What may stand before what is said of the whole picture: "in soft light".
static BEFORE_WHOLE: WordSet = WordSet::new("in at with under during by against on");

/// The line of views in `wide.txt`.
const VIEW: u32 = 6;

/// Whether there is no relation in it, but for what makes one word of several: "depth of field", "black and white", "top view".
fn plain(tokens: &[Token], lists: &WordLists) -> bool {
    static SIDES: WordSet = WordSet::new("top front back side bottom center left right down low high rear off");
    let other = class::RELATION | class::NEGATION | class::PRONOUN;
    tokens.iter().enumerate().all(|(at, token)| {
        lists.class_of(token) & other == 0
            || token.is_word("of") && at > 0
            || token.is_word("and") && at > 0 && lists.class_of(&tokens[at - 1]) & class::COLOR != 0
            || at + 1 < tokens.len() && SIDES.has(&token.text)
    })
}

fn begins_with_relation(segment: &Segment, lists: &WordLists) -> bool {
    static SIDES: WordSet = WordSet::new(
        "left right top bottom front back middle center side corner edge foreground inner outer upper lower",
    );
    let Some(first) = segment.tokens.first() else { return false };
    let class = lists.class_of(first);
    class & class::RELATION != 0 && !SIDES.has(&first.text)
        || class & class::PRONOUN != 0
        || is_verb(&segment.tokens, lists)
}

/// Whether a segment begins with what its neighbour does: "eats", "holding", "covered in".
fn is_verb(tokens: &[Token], lists: &WordLists) -> bool {
    /// Participles without -ed: "made of wood".
    static IRREGULAR: WordSet = WordSet::new(
        "made built held worn seen shot taken drawn written lit sat stood hung torn broken cut bent bound blown caught \
        dug driven eaten fed flown found frozen grown hidden hit hurt kept known laid led left lost met put read ridden risen sent set shown \
        shut spread spun split stuck sunk swept swollen thrown tied told upset won woven wound wrung been done gone given begun ran run \
        sits stands lies held sewn sown strewn slung stung struck swung born borne cast chosen clad fallen forgotten fought",
    );
    static HOLDING: WordSet = WordSet::new(
        "holding wearing carrying riding eating drinking playing pulling pushing reading watching using making facing showing \
        driving throwing catching hugging kissing feeding chasing following leading leaving touching cutting",
    );
    static NOUNS: WordSet = WordSet::new(
        "lighting painting morning evening ceiling building clothing wedding swimming living dining string king ring \
        wing spring earring drawing rendering engraving etching greeting clearing railing awning paving flooring shopping wrapping packaging",
    );
    static BEHIND_DONE: WordSet =
        WordSet::new("by in with of from on as to around at over under behind beside near into against");
    let Some(word) = tokens.first().and_then(Token::as_word) else { return false };
    if IRREGULAR.has(word) {
        return next_relates(tokens, lists);
    }
    let flags = vocabulary::flags(word);
    let verb = |word: &str| vocabulary::flags(word) & vocabulary::VERB != 0;
    let next = tokens.get(1).and_then(Token::as_word);
    if word.len() < 3 || NOUNS.has(word) {
        return false;
    }
    if word.ends_with("ing") {
        // "A sleeping cat", and not "sleeping on a mat", "holding a cup".
        let quality = flags & vocabulary::MAY_BE_ADJECTIVE != 0 && !HOLDING.has(word);
        return !quality || next.is_none_or(|next| lists.class(next) & class::RELATION != 0 || next.ends_with("ly"));
    }
    if word.ends_with("ed") {
        return next.is_none_or(|next| BEHIND_DONE.has(next));
    }
    if verb(word) {
        return flags & vocabulary::NOUN == 0;
    }
    // "Drops of water".
    next != Some("of") && (word.strip_suffix('s').is_some_and(verb) || word.strip_suffix("es").is_some_and(verb))
}

/// Whether a segment names qualities alone, whose thing follows behind the comma: "a red, round table". What is said of the whole
/// picture, as "minimalist" is, has a line of its own.
fn is_open(segment: &Segment, lists: &WordLists) -> bool {
    segment.tokens.iter().all(|token| {
        let class = lists.class_of(token);
        let quality = class & (class::COLOR | class::MATERIAL | class::SIZE) != 0;
        let adjective = token.as_word().is_some_and(|word| vocabulary::flags(word) & vocabulary::ADJECTIVE != 0);
        let article = matches!(token.as_word(), Some("a" | "an" | "the"));
        token.kind == Kind::Number || article || class >> class::WIDE == 0 && (quality || adjective)
    })
}

/// Whether nothing, or a relation, follows the first word.
fn next_relates(tokens: &[Token], lists: &WordLists) -> bool {
    tokens.get(1).is_none_or(|next| lists.class_of(next) & class::RELATION != 0)
}

/// Whether a segment says for itself where its thing is, and leans on no neighbour.
fn says_where(segment: &Segment, lists: &WordLists) -> bool {
    static LEANS: WordSet = WordSet::new(
        "around behind nearby alongside above below beside underneath under inside outside opposite next between after before top bottom front back",
    );
    let tokens = &segment.tokens[..];
    let relation =
        tokens.iter().skip(1).any(|token| lists.class_of(token) & class::RELATION != 0 && !token.is_word("and"));
    let pronoun = tokens.iter().any(|token| lists.class_of(token) & class::PRONOUN != 0);
    let open = tokens.last().is_some_and(|token| LEANS.has(&token.text));
    relation && !pronoun && !open && !begins_with_relation(segment, lists)
}
