//! What people write around a prompt to ask for it, at its beginning and at its end.

use super::listed;
use super::lists::{WordLists, class};
use super::token::{Break, Kind, Piece, Token, join};
use super::verbs;
use super::word_set::WordSet;

const IMAGE: &[&str] = &["image", "picture", "pic", "img", "visual", "graphic"];
const DESCRIBES: &[&str] =
    &["beautiful", "nice", "good", "great", "detailed", "new", "single", "simple", "realistic", "clear"];

/// Reads a request from the beginning.
struct Reader<'a> {
    pieces: &'a [Piece],
    at: usize,
    lists: &'a WordLists,
    /// Before which pieces an article stood.
    articles: u32,
}

impl<'a> Reader<'a> {
    fn word(&self, ahead: usize) -> &'a str {
        match self.pieces.get(self.at + ahead) {
            Some(Piece::Token(token)) => token.as_word().unwrap_or("?"),
            _ => "",
        }
    }

    fn skip(&mut self, words: &[&str]) -> bool {
        let found = words.contains(&self.word(0));
        self.at += usize::from(found);
        found
    }

    fn all(&mut self, words: &[&str]) -> bool {
        let found = words.iter().enumerate().all(|(ahead, word)| self.word(ahead) == *word);
        self.at += if found { words.len() } else { 0 };
        found
    }

    fn is_break(&self, ahead: usize) -> Option<Break> {
        match self.pieces.get(self.at + ahead) {
            Some(Piece::Break(end)) => Some(*end),
            _ => None,
        }
    }

    fn skip_break(&mut self) {
        self.at += usize::from(self.is_break(0).is_some());
    }

    /// "Hi there, please": whether it was polite. A greeting alone asks for nothing.
    fn greeting(&mut self) -> bool {
        let start = self.at;
        if self.skip(&["hi", "hello", "hey", "greetings"]) {
            self.skip(&["there", "everyone", "team"]);
            if self.is_break(0).is_none() {
                // "Hello Kitty".
                self.at = start;
            }
            self.skip_break();
        }
        self.please()
    }

    fn please(&mut self) -> bool {
        let polite = self.skip(&["please", "kindly", "pls", "plz"]);
        if polite && self.is_break(0).is_some() {
            self.skip_break();
        }
        polite
    }

    /// "Can you", "I would like you to", "help me": whether a verb has to follow, or may.
    fn wish(&mut self) -> Option<bool> {
        if self.skip(&["can", "could", "would", "will"]) {
            let you = self.skip(&["you", "u"]) || self.skip(&["i", "we"]) && self.skip(&["get", "have", "see"]);
            let gets = matches!(self.word(0), "get" | "have" | "see");
            self.please();
            let help = self.skip(&["help"]) && self.skip(&["me", "us"]);
            if help {
                self.skip(&["to"]);
            }
            return you.then_some(!gets);
        }
        if self.all(&["help", "me"]) || self.all(&["help", "us"]) {
            self.skip(&["to"]);
            return Some(true);
        }
        if self.all(&["let's"]) || self.all(&["lets"]) || self.all(&["let", "us"]) {
            return Some(true);
        }
        let asks = if self.skip(&["i'd", "we'd"]) {
            self.skip(&["like", "love", "want"])
        } else if self.skip(&["i'm"]) || self.all(&["i", "am"]) || self.skip(&["we're"]) {
            self.all(&["looking", "for"])
        } else if self.skip(&["i", "we"]) {
            let would = self.skip(&["would"]);
            self.skip(&["really"]);
            would && self.skip(&["like", "love"]) || self.skip(&["want", "need", "require"])
        } else {
            return None;
        };
        if !asks {
            return None;
        }
        if self.word(0) == "you" && self.word(1) == "to" {
            self.at += 1;
        }
        let verb = self.skip(&["to"]);
        if verb && self.skip(&["see", "have", "get"]) {
            return Some(false);
        }
        Some(verb)
    }

    /// "Image of", "picture that shows", "this image:". Praise may stand before the word.
    fn image(&mut self, asked: bool) -> bool {
        let start = self.at;
        let this = self.skip(&["this", "following"]);
        if this {
            self.skip(&["following"]);
        }
        self.praise();
        let image = self.skip(IMAGE);
        let of = image
            && (self.skip(&["of", "showing", "depicting"]) || asked && self.skip(&["with", "where"]) || self.shows());
        let colon = (image || this) && self.is_break(0) == Some(Break::Colon);
        self.at += usize::from(colon && !of);
        if of || colon {
            return true;
        }
        self.at = start;
        false
    }

    /// "Image based on this description:": whatever stands before the colon, if it says that what follows is the prompt.
    fn described(&mut self) -> bool {
        let colon = (1..=8).find(|ahead| self.is_break(*ahead).is_some());
        let Some(colon) = colon.filter(|ahead| self.is_break(*ahead) == Some(Break::Colon)) else { return false };
        let says = |list: &[&str]| (0..colon).any(|ahead| list.contains(&self.word(ahead)));
        let found = says(&["description", "prompt", "following", "this", "text", "brief", "request", "scene"])
            && (says(IMAGE) || says(&["following", "this"]));
        self.at += if found { colon + 1 } else { 0 };
        found
    }

    fn shows(&mut self) -> bool {
        matches!(self.word(0), "that" | "which")
            && matches!(self.word(1), "shows" | "depicts" | "has" | "contains" | "features" | "displays")
            && {
                self.at += 2;
                true
            }
    }

    /// "High quality", before an image.
    fn praise(&mut self) {
        let begins = self.lists.listed_in.may_have(self.word(0), listed::BOOSTER);
        for length in 1..=3 {
            let is_praise = |words| self.lists.boosters.contains(join(words).as_str());
            if begins && is_praise((0..length).map(|ahead| self.word(ahead)))
                || length == 1 && DESCRIBES.contains(&self.word(0))
            {
                self.at += length;
                return self.praise();
            }
        }
    }

    /// "Photo of": what is made when a sentence begins with "make" and names a medium.
    fn medium(&self) -> bool {
        let of = (1..=4).find(|ahead| self.word(*ahead) == "of");
        of.is_some_and(|of| self.lists.class(self.word(of - 1)) & class::MEDIUM != 0)
    }

    /// Whether something that can be drawn may follow.
    fn thing_follows(&self) -> bool {
        match self.pieces.get(self.at) {
            Some(Piece::Token(token)) => {
                self.lists.class_of(token) & (class::RELATION | class::NEGATION | class::PRONOUN) == 0
            }
            _ => false,
        }
    }

    /// Whether a thing follows: it has an article, a number, a colour or a medium. "I want you", "draw poker" have none.
    fn thing_is_named(&self) -> bool {
        let qualities = class::COLOR | class::MATERIAL | class::SIZE;
        let quality = |token: &Token| token.kind == Kind::Number || self.lists.class_of(token) & qualities != 0;
        let first = self.pieces.get(self.at);
        self.articles >> self.at.min(31) & 1 == 1
            || matches!(first, Some(Piece::Token(token)) if quality(token))
            || self.medium()
    }

    fn request(&mut self) -> bool {
        let polite = self.greeting();
        let start = self.at;
        let wish = self.wish();
        if wish.is_none() {
            self.at = start;
        }
        let polite = self.please() || polite;
        let asked = polite || wish.is_some();
        let before = self.at;
        let verb = self.word(0);
        if verbs::is_request(verb) {
            self.at += 1;
            let me = self.skip(&["me", "us"]) | (self.all(&["for", "me"]) || self.all(&["for", "us"]));
            let asks = asked || me || verbs::asks(verb) || verbs::asks_for_a_thing(verb) && self.thing_is_named();
            // "Make me a picture of", "draw this:".
            if self.described() || self.image(true) || self.thing_follows() && (asks || self.medium()) {
                return true;
            }
            self.at = before;
        }
        if self.image(false) {
            return true;
        }
        for length in 1..=2 {
            let last = matches!(self.word(length - 1), "prompt" | "request" | "task" | "description");
            let image = length == 1 || IMAGE.contains(&self.word(0));
            if last && image && self.is_break(length) == Some(Break::Colon) {
                self.at += length + 1;
                return true;
            }
        }
        asked && wish != Some(true) && self.thing_is_named()
    }
}

/// How many pieces at the beginning ask for a picture, if a prompt is left behind them.
pub(crate) fn at_beginning(pieces: &[Piece], articles: u32, lists: &WordLists) -> usize {
    let mut reader = Reader { pieces, at: 0, lists, articles };
    let asks = reader.request();
    reader.skip_break();
    let leaves = pieces.get(reader.at..).is_some_and(|rest| rest.iter().any(|piece| matches!(piece, Piece::Token(_))));
    if asks && leaves { reader.at } else { 0 }
}

/// How many pieces are left before thanks at the end. Without a comma, only where a request stands at the beginning.
pub(crate) fn before_end(pieces: &[Piece], asked: bool) -> usize {
    const ENDS: [&[&str]; 12] = [
        &["please"],
        &["thanks"],
        &["thank", "you"],
        &["thx"],
        &["for", "me"],
        &["if", "possible"],
        &["if", "you", "can"],
        &["thanks", "in", "advance"],
        &["thank", "you", "very", "much"],
        &["thanks", "lot"],
        &["pls"],
        &["plz"],
    ];
    static LAST: WordSet = WordSet::new("please thanks you thx me possible can advance much lot pls plz");
    let mut end = pieces.len();
    loop {
        let before = end;
        while end > 0 && matches!(pieces.get(end - 1), Some(Piece::Break(Break::Comma | Break::Sentence | Break::Line)))
        {
            end -= 1;
        }
        let last = end.checked_sub(1).and_then(|last| pieces.get(last));
        if !matches!(last, Some(Piece::Token(token)) if LAST.has(&token.text)) {
            return end;
        }
        for words in ENDS {
            let Some(start) = end.checked_sub(words.len()) else { continue };
            let is_at = |(at, word): (usize, &&str)| matches!(pieces.get(start + at), Some(Piece::Token(token)) if token.is_word(word));
            // A label's value is no thanks, and "a gift for me" is one without a comma.
            let parted = matches!(pieces.get(start.wrapping_sub(1)), Some(Piece::Break(end)) if *end != Break::Colon);
            let bare = (asked || matches!(words, ["please" | "pls" | "plz"]))
                && matches!(pieces.get(start.wrapping_sub(1)), Some(Piece::Token(_)));
            if start > 0 && words.iter().enumerate().all(is_at) && (parted || bare) {
                end = start;
                break;
            }
        }
        if end == before {
            return end;
        }
    }
}
