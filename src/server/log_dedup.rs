//! Deduplicates lines of the diagnostics that repeat: the first ones are shown, the others are counted.
//!
//! Anybody who can connect can make some lines appear, a failed TLS handshake each time, and a provider that is down
//! makes one for each request. Lines are alike when level, target and message are, apart from numbers, addresses and
//! ids. The time comes in as an argument.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use log::Level;
use xxhash_rust::xxh3::Xxh3;

/// How long like lines are counted together.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Lines of a kind that are shown in a window before the others are only counted.
pub const SHOWN: u32 = 10;

/// Kinds of lines that are counted at once. What is of another kind is shown.
const KINDS: usize = 512;

/// How much of a message a sum repeats, in characters.
const QUOTED: usize = 160;

/// The kinds of lines that appeared lately.
#[derive(Default)]
pub struct LogDedup {
    kinds: HashMap<u64, LineKind>,
    /// When each began, the oldest first.
    began: VecDeque<(Instant, u64)>,
    /// Kinds with lines that were not shown.
    held: usize,
}

#[derive(Default)]
struct LineKind {
    shown: u32,
    sum: Option<HeldLines>,
}

/// Lines that were not shown.
#[derive(Debug, PartialEq, Eq)]
pub struct HeldLines {
    /// Their level.
    pub level: Level,
    /// Their target.
    pub target: String,
    /// How many.
    pub count: u64,
    /// The first of them, or its beginning.
    pub first: String,
}

impl LogDedup {
    /// Whether a line is to be shown; else it is counted. Windows that are over have to be [ended](Self::ended) before.
    pub fn show(&mut self, now: Instant, level: Level, target: &str, message: &str) -> bool {
        let key = key(level, target, message);
        if !self.kinds.contains_key(&key) {
            if self.kinds.len() >= KINDS {
                return true;
            }
            self.began.push_back((now, key));
        }
        let kind = self.kinds.entry(key).or_default();
        if kind.shown < SHOWN {
            kind.shown += 1;
            return true;
        }
        let sum = kind.sum.get_or_insert_with(|| {
            self.held += 1;
            let first = message.lines().next().unwrap_or_default().chars().take(QUOTED).collect();
            HeldLines { level, target: target.to_owned(), count: 0, first }
        });
        sum.count += 1;
        false
    }

    /// Forgets the windows that are over, and says what was not shown in them.
    pub fn ended(&mut self, now: Instant) -> Vec<HeldLines> {
        let over = self.began.iter().take_while(|(began, _)| now.saturating_duration_since(*began) >= WINDOW).count();
        let sums: Vec<HeldLines> =
            self.began.drain(..over).filter_map(|(_, key)| self.kinds.remove(&key)?.sum).collect();
        self.held -= sums.len();
        sums
    }

    /// Forgets everything, and says what was not shown.
    pub fn end(&mut self) -> Vec<HeldLines> {
        let mut kinds = std::mem::take(self);
        kinds.began.drain(..).filter_map(|(_, key)| kinds.kinds.remove(&key)?.sum).collect()
    }

    /// When the oldest window is over, if something has to be said at the end of one.
    pub fn due(&self) -> Option<Instant> {
        self.began.front().filter(|_| self.held > 0).map(|(began, _)| *began + WINDOW)
    }
}

/// What like lines have in common.
fn key(level: Level, target: &str, message: &str) -> u64 {
    let mut hash = Xxh3::new();
    hash.update(&[level as u8]);
    hash.update(target.as_bytes());
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_');
    let mut rest = message;
    while !rest.is_empty() {
        let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        hash.update(if is_number(word) { b"#" } else { word.as_bytes() });
        let end = after.find(in_word).unwrap_or(after.len());
        let (between, after) = after.split_at(end);
        hash.update(b" ");
        hash.update(between.as_bytes());
        rest = after;
    }
    hash.digest()
}

/// A number, with a unit or without, an address or an id: `12ms`, `10.0.0.1:443`, `fe80::1`, `9f3c00d1`. A name with a
/// number in it, `gpt-image-2`, is none.
fn is_number(word: &str) -> bool {
    let digit = |byte: u8| byte.is_ascii_digit();
    let of_id = |byte: u8| byte.is_ascii_hexdigit() || !byte.is_ascii_alphanumeric() && byte.is_ascii();
    word.as_bytes().first().copied().is_some_and(digit) || (word.bytes().any(digit) && word.bytes().all(of_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "pingora_core";

    fn shown(repeats: &mut LogDedup, now: Instant, messages: impl IntoIterator<Item = String>) -> usize {
        messages.into_iter().filter(|message| repeats.show(now, Level::Error, TARGET, message)).count()
    }

    #[test]
    fn like_lines_are_shown_ten_times_and_then_summed_up_at_the_end_of_their_window() {
        let (mut repeats, now) = (LogDedup::default(), Instant::now());
        let lines = (0..224).map(|nth| format!("handshake error from 10.0.{nth}.7:{nth}443: after {nth}ms"));
        assert_eq!(shown(&mut repeats, now, lines), 10);
        let end = now + WINDOW;
        assert_eq!(repeats.due(), Some(end));
        assert_eq!(repeats.ended(end - Duration::from_millis(1)), []);
        let first = "handshake error from 10.0.10.7:10443: after 10ms".to_owned();
        assert_eq!(
            repeats.ended(end),
            [HeldLines { level: Level::Error, target: TARGET.to_owned(), count: 214, first }]
        );
        assert_eq!((repeats.due(), repeats.ended(end)), (None, vec![]));
        assert_eq!(shown(&mut repeats, end, ["handshake error from 10.0.1.7:443: after 1ms".to_owned()]), 1);
        assert_eq!(repeats.due(), None, "nothing is held back");
    }

    #[test]
    fn lines_are_alike_apart_from_numbers_addresses_and_ids_but_not_apart_from_names() {
        let same = |one: &str, other: &str| key(Level::Warn, "t", one) == key(Level::Warn, "t", other);
        assert!(same("from [fe80::1]:443: eof", "from [2001:db8::ff]:9: eof"));
        assert!(same("00a1b2c3d4e5f607: passthrough failed", "ffa1b2c3d4e5f600: passthrough failed"));
        assert!(same("took 1.5s, 3MiB", "took 20ms, 12KiB"));
        assert!(!same("openai/gpt-image-1 failed", "openai/gpt-image-2 failed"));
        assert!(!same("stability failed", "replicate failed"));
        assert!(key(Level::Warn, "t", "x") != key(Level::Error, "t", "x"));
        assert!(key(Level::Warn, "t", "x") != key(Level::Warn, "u", "x"));
    }

    #[test]
    fn the_kinds_are_bounded_and_what_is_of_no_kind_is_shown() {
        let (mut repeats, now) = (LogDedup::default(), Instant::now());
        let word = |nth: usize| format!("line {}", "x".repeat(nth));
        assert_eq!(shown(&mut repeats, now, (0..KINDS).map(word)), KINDS);
        assert_eq!(shown(&mut repeats, now, (0..100).map(|_| word(KINDS))), 100);
        assert_eq!((repeats.kinds.len(), repeats.began.len()), (KINDS, KINDS));
        assert_eq!(repeats.ended(now + WINDOW), []);
        assert_eq!((repeats.kinds.len(), repeats.began.len()), (0, 0));
    }

    #[test]
    fn what_was_not_shown_is_said_at_the_end_of_all() {
        let (mut repeats, now) = (LogDedup::default(), Instant::now());
        shown(&mut repeats, now, (0..12).map(|_| "x".repeat(1000)));
        let sums = repeats.end();
        assert_eq!((sums.len(), sums[0].count, sums[0].first.len()), (1, 2, QUOTED));
        assert_eq!((repeats.due(), repeats.end()), (None, vec![]));
    }
}
