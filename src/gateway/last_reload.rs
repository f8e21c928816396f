//! What came of the last change of the config, for whoever asks later: what it changed, line by line, or why it was not taken.

use std::sync::{Arc, Mutex, PoisonError};

use similar::TextDiff;

use crate::calendar::Moment;

/// The longest config whose lines are compared. A real one has a tenth of that.
const LONGEST: usize = 256 << 10;

/// What is kept of a difference, or of problems, in bytes.
const KEPT: usize = 64 << 10;

/// Unchanged lines that are shown around a change.
const CONTEXT: usize = 3;

/// A change of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reload {
    /// When.
    pub at: Moment,
    /// What came of it.
    pub outcome: ReloadOutcome,
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadOutcome {
    /// It is in force.
    Taken {
        /// The number of the config.
        version: u64,
        /// What changed, by name.
        changed: String,
        /// The changed lines, secrets painted over, as a unified diff. Empty where only secrets changed.
        diff: String,
    },
    /// The one before stays in force.
    Refused {
        /// Every problem, as `easel check` prints them.
        problems: String,
    },
}

/// The last one, if there was one.
#[derive(Default)]
pub struct LastReload(Mutex<Option<Arc<Reload>>>);

impl LastReload {
    /// Notes what came of a change from one text to another, both without their secrets: its number and what changed by
    /// name, or the problems.
    pub fn store(&self, taken: Result<(u64, &str), &str>, texts: (&str, &str), at: Moment) {
        let outcome = match taken {
            Ok((version, changed)) => {
                ReloadOutcome::Taken { version, changed: changed.to_owned(), diff: diff(texts.0, texts.1) }
            }
            Err(problems) => ReloadOutcome::Refused { problems: cut(problems.to_owned()) },
        };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Reload { at, outcome }));
    }

    /// The last change.
    pub fn get(&self) -> Option<Arc<Reload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn diff(old: &str, new: &str) -> String {
    if old.len().max(new.len()) > LONGEST {
        return "the file is too long to be compared line by line".to_owned();
    }
    let diff = TextDiff::from_lines(old, new);
    cut(diff.unified_diff().context_radius(CONTEXT).to_string())
}

fn cut(mut text: String) -> String {
    if text.len() > KEPT {
        let end = (0..=KEPT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text.push_str("\n... (cut)\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_line_by_line_and_a_refusal_by_its_problems() {
        let (last, at) = (LastReload::default(), Moment::from_millis(0));
        assert_eq!(last.get(), None);
        last.store(Ok((2, "routes[r].deadline")), ("a: 1\nb: 2\n", "a: 1\nb: 3\n"), at);
        let ReloadOutcome::Taken { version, diff, .. } = &last.get().unwrap().outcome else { panic!("it was taken") };
        assert!(*version == 2 && diff.contains("\n-b: 2\n+b: 3\n"), "{diff}");
        last.store(Err("2 problems"), ("a", "a"), at);
        let ReloadOutcome::Refused { problems } = &last.get().unwrap().outcome else { panic!("it was refused") };
        assert_eq!(problems, "2 problems");
        let long = "\u{e9}".repeat(KEPT);
        assert!(cut(long).ends_with("\n... (cut)\n"));
    }
}
