//! Takes a prompt apart: words as they were written, text between quotation marks, marks, and what ends a segment.

use unicode_normalization::char::is_combining_mark;

use super::token::{Break, Kind, Piece, Text, Token};

/// A point behind one of these ends no sentence.
const ABBREVIATIONS: [&str; 14] =
    ["mr", "mrs", "ms", "dr", "st", "vs", "jr", "sr", "prof", "mt", "ft", "approx", "dept", "feat"];

/// How long a tag such as `<lora:name:0.8>` may be.
const TAG: usize = 100;

/// How long a text between single quotation marks may be. Without a bound, each of many apostrophes would be looked for to the end.
const SINGLE_QUOTED: usize = 500;

/// Takes a prompt apart.
pub(crate) fn lex(text: &str) -> Vec<Piece> {
    let ascii = text.is_ascii().then_some(text);
    let letters: Vec<char> =
        if ascii.is_some() { text.bytes().map(char::from).collect() } else { text.chars().collect() };
    let mut lexer = Lexer { letters: &letters, ascii, at: 0, pieces: Vec::with_capacity(letters.len() / 4 + 4) };
    while lexer.at < letters.len() {
        if !lexer.plain_word() {
            lexer.step();
        }
    }
    lexer.pieces
}

/// Whether it belongs into a word.
fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || is_combining_mark(c)
}

fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

fn is_apostrophe(c: char) -> bool {
    matches!(c, '\'' | '\u{2019}' | '\u{2bc}')
}

struct Lexer<'a> {
    letters: &'a [char],
    /// The same as text, if each letter is a byte of it.
    ascii: Option<&'a str>,
    at: usize,
    pieces: Vec<Piece>,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.letters.get(self.at + ahead).copied()
    }

    /// The character before this one, if there is one.
    fn before(&self) -> Option<char> {
        self.at.checked_sub(1).and_then(|at| self.letters.get(at)).copied()
    }

    /// Whether a token may begin here: at the start, behind a blank or behind an opening bracket.
    fn is_fresh(&self) -> bool {
        self.before().is_none_or(|c| c.is_whitespace() || matches!(c, '(' | '[' | '{' | '/' | ','))
    }

    fn text(&self, from: usize, to: usize) -> Text {
        match self.ascii {
            Some(text) => text.get(from..to).unwrap_or_default().into(),
            None => self.letters.get(from..to).unwrap_or_default().iter().copied().collect(),
        }
    }

    fn token(&mut self, kind: Kind, text: impl Into<Text>) {
        self.pieces.push(Piece::Token(Token::new(kind, text)));
    }

    /// One break where several follow each other. A colon before a line's end stays a colon.
    fn end_segment(&mut self, end: Break) {
        if matches!(self.pieces.last(), Some(Piece::Token(_))) {
            self.pieces.push(Piece::Break(end));
        } else if let Some(Piece::Break(last)) = self.pieces.last_mut()
            && *last == Break::Comma
        {
            *last = end;
        }
    }

    fn step(&mut self) {
        let Some(c) = self.peek(0) else { return };
        let next = self.peek(1);
        let digit_next = next.is_some_and(|c| c.is_ascii_digit());
        if c == ' ' && next.is_some_and(|c| c.is_ascii_graphic()) {
            self.at += 1;
        } else if c.is_whitespace() {
            self.blank();
        } else if is_apostrophe(c)
            && matches!(next, Some('n' | 'N'))
            && self.peek(2).is_some_and(is_apostrophe)
            && self.is_fresh()
        {
            self.token(Kind::Word, "'n'");
            self.at += 3;
        } else if self.parameter() || self.tag() || self.quotation(c) {
        } else if is_letter(c)
            || matches!(c, '#' | '$' | '\u{20ac}' | '\u{a3}' | '@') && next.is_some_and(is_letter)
            || c == '.' && digit_next && self.is_fresh()
            || is_apostrophe(c) && digit_next && self.is_fresh()
            || is_dash(c) && digit_next && self.is_fresh()
        {
            self.word();
        } else {
            self.mark(c, next);
        }
    }

    /// Letters with nothing behind them that may belong into the same word: most words of most prompts.
    fn plain_word(&mut self) -> bool {
        let rest = self.letters.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|c| c.is_ascii_alphabetic()).count();
        let ends =
            length > 0 && matches!(rest.get(length), None | Some(' ' | ',' | ';' | ')' | '(' | '!' | '?' | '\n'));
        if ends {
            let text = self.text(self.at, self.at + length);
            self.token(Kind::Word, text);
            self.at += length;
            // The next letter follows at once, mostly.
            if let (Some(' '), Some(next)) = (rest.get(length), rest.get(length + 1))
                && next.is_ascii_graphic()
            {
                self.at += 1;
            }
        }
        ends
    }

    fn blank(&mut self) {
        let length = self.letters.iter().skip(self.at).take_while(|c| c.is_whitespace()).count();
        if self.letters.iter().skip(self.at).take(length).any(|c| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')) {
            self.end_segment(Break::Line);
        }
        self.at += length;
    }

    /// `--ar 16:9`: up to the next parameter or the end, as it was written.
    fn parameter(&mut self) -> bool {
        let starts = |at: usize| {
            matches!(self.letters.get(at..at + 3), Some(['-', '-', c]) if c.is_alphabetic())
                && (at == 0 || self.letters.get(at - 1).is_some_and(|c| c.is_whitespace()))
        };
        if !starts(self.at) {
            return false;
        }
        let end = (self.at + 1..self.letters.len()).find(|at| starts(*at)).unwrap_or(self.letters.len());
        let text = self.text(self.at, end);
        self.end_segment(Break::Sentence);
        self.token(Kind::Literal, text.split_whitespace().collect::<Vec<_>>().join(" "));
        self.end_segment(Break::Sentence);
        self.at = end;
        true
    }

    /// `<lora:name:0.8>`.
    fn tag(&mut self) -> bool {
        if self.peek(0) != Some('<') || !self.peek(1).is_some_and(char::is_alphabetic) {
            return false;
        }
        let inside = self.letters.iter().skip(self.at).take(TAG);
        let Some(length) = inside.take_while(|c| !c.is_whitespace()).position(|c| *c == '>') else { return false };
        let text = self.text(self.at, self.at + length + 1);
        self.token(Kind::Literal, text);
        self.at += length + 1;
        true
    }

    /// Text between quotation marks. Without a closing mark, what follows may all be text: it stays verbatim up to the end.
    fn quotation(&mut self, open: char) -> bool {
        let single = is_apostrophe(open) || matches!(open, '\u{2018}' | '\u{201a}');
        let behind_word = self.before().is_some_and(is_letter);
        let close = match open {
            _ if single => self.single_close(open, behind_word),
            '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{201f}' | '\u{ab}' | '\u{bb}' | '`' | '\u{300c}'
            | '\u{300e}' => Some(self.double_close(open).unwrap_or(self.letters.len())),
            _ => None,
        };
        let Some(close) = close else { return false };
        let text = self.text(self.at + 1, close);
        self.token(Kind::Quoted, text);
        self.at = (close + 1).min(self.letters.len());
        true
    }

    fn double_close(&self, open: char) -> Option<usize> {
        let mut depth = 0usize;
        for at in self.at + 1..self.letters.len() {
            let c = *self.letters.get(at)?;
            let closes = match open {
                '"' | '\u{201d}' | '\u{201f}' => matches!(c, '"' | '\u{201d}'),
                '\u{201c}' => matches!(c, '\u{201d}' | '"'),
                '\u{201e}' => matches!(c, '\u{201c}' | '\u{201d}' | '"'),
                '\u{ab}' => c == '\u{bb}',
                '\u{bb}' => c == '\u{ab}',
                '\u{300c}' => c == '\u{300d}',
                '\u{300e}' => c == '\u{300f}',
                _ => c == open,
            };
            if closes && depth == 0 {
                return Some(at);
            }
            if closes {
                depth -= 1;
            } else if c == open {
                depth += 1;
            }
        }
        None
    }

    /// An apostrophe stands behind a letter, before a year, or alone: only a pair around words is a pair of quotation marks.
    fn single_close(&self, open: char, behind_word: bool) -> Option<usize> {
        let first = self.peek(1)?;
        if behind_word && open != '\u{2018}' || first.is_whitespace() || first.is_ascii_digit() {
            return None;
        }
        let close = (self.at + 1..self.letters.len()).take(SINGLE_QUOTED).find(|at| {
            let is_close = self.letters.get(*at).is_some_and(|c| is_apostrophe(*c));
            let after = self.letters.get(at + 1).is_some_and(|c| is_letter(*c));
            let before = self.letters.get(at - 1).is_some_and(|c| c.is_whitespace());
            is_close && !after && !before
        })?;
        // "rock 'n' roll".
        (close > self.at + 2 || first != 'n' && first != 'N').then_some(close)
    }

    /// A word as it was written, with what belongs into it: `dog's`, `U.S.`, `f/1.8`, `16:9`, `10,000`, `half-open`, `5"`.
    fn word(&mut self) {
        let start = self.at;
        let mut text = String::new();
        while let Some(c) = self.peek(0) {
            let next = self.peek(1);
            let within = next.is_some_and(is_letter);
            let before_digit = text.chars().next_back().is_some_and(|c| c.is_ascii_digit());
            let digits = before_digit && next.is_some_and(|c| c.is_ascii_digit());
            if is_letter(c) || self.at == start && !is_dash(c) && !is_apostrophe(c) {
                text.push(c);
            } else if is_dash(c) && (self.at == start || within && c != '\u{2014}') {
                text.push('-');
            } else if is_apostrophe(c) && (within || self.at == start || before_digit || text.ends_with(['s', 'S'])) {
                text.push('\'');
            } else if matches!(c, ',' | ':') && digits || matches!(c, '/' | '_' | '@' | '&') && within {
                text.push(c);
            } else if c == ':' && self.peek(1) == Some('/') && self.peek(2) == Some('/') {
                let length = self.letters.iter().skip(self.at).take_while(|c| !c.is_whitespace()).count();
                text.push_str(&self.text(self.at, self.at + length));
                self.at += length;
                break;
            } else if c == '.' && (digits || within && joins(&text, next)) {
                text.push('.');
            } else if c == '.' && is_initials(&text) {
                // The last point of "U.S." is no sentence's.
            } else if before_digit && matches!(c, '%' | '\u{b0}' | '"' | '\u{2033}' | '\u{2032}') {
                text.push(if c == '\u{2033}' { '"' } else { c });
            } else {
                break;
            }
            self.at += 1;
        }
        let lower = text.to_lowercase();
        if self.peek(0) == Some('.') && ABBREVIATIONS.contains(&lower.as_str()) {
            self.at += 1;
        }
        self.token(Kind::Word, text);
    }

    fn mark(&mut self, c: char, next: Option<char>) {
        let spaced = self.before().is_none_or(char::is_whitespace);
        self.at += 1;
        match c {
            ',' | ';' | '|' | '\u{2022}' | '\u{b7}' | '\u{ff0c}' | '\u{3001}' => self.end_segment(Break::Comma),
            ':' if next.is_some_and(|c| c.is_ascii_digit()) && !spaced => {
                let number = |c: &&char| c.is_ascii_digit() || **c == '.';
                let length = self.letters.iter().skip(self.at).take_while(number).count();
                let text = self.text(self.at - 1, self.at + length);
                self.token(Kind::Literal, text);
                self.at += length;
            }
            ':' | '\u{ff1a}' => self.end_segment(Break::Colon),
            '.' | '\u{2026}' | '\u{3002}' => self.end_segment(Break::Sentence),
            '!' | '?' if !spaced => self.end_segment(Break::Sentence),
            _ if is_dash(c) => {
                let open_end = next.is_none_or(|c| c.is_whitespace() || is_dash(c));
                if open_end || c != '-' && c != '\u{2212}' {
                    self.end_segment(Break::Comma);
                } else {
                    self.token(Kind::Mark, "-");
                }
            }
            '&' if spaced && next.is_some_and(char::is_whitespace) => self.token(Kind::Word, "and"),
            // It only says how the character before it is to be shown.
            '\u{fe0f}' | '\u{fe0e}' => {}
            _ => self.token(Kind::Mark, c.to_string()),
        }
    }
}

/// Whether a point between two letters belongs into the word: initials, or a name such as `example.com`.
fn joins(text: &str, next: Option<char>) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    last.chars().count() == 1 || next.is_some_and(|c| c.is_lowercase() || c.is_ascii_digit())
}

/// `U.S` and `e.g`: single letters with points between them.
fn is_initials(text: &str) -> bool {
    text.contains('.') && text.split('.').all(|part| part.chars().count() == 1 && part.chars().all(char::is_alphabetic))
}
