//! A JSON body without the inside of its very long strings, and the way back.
//!
//! A JSON reader looks at every byte of a string, and a picture in base64 is megabytes of one. Finding the string's
//! end is all there is to learn from them, which a plain search for the next quote does many times faster. Only the
//! insides of strings are left out, so what is not JSON stays so. It knows nothing of values; that is [`crate::provider::common::json`].

use std::borrow::Cow;

use memchr::{memchr, memchr2};

/// Strings from this length on are abridged; shorter ones gain nothing.
const LONG: usize = 4096;
/// What stays of them.
const KEPT: usize = 16;

/// The short form of a body.
pub struct ElidedJson<'a> {
    body: &'a [u8],
    short: Cow<'a, [u8]>,
    cuts: Vec<Cut>,
}

/// A place in the short form where bytes of the body are missing.
struct Cut {
    at: usize,
    /// Bytes missing here and before.
    missing: usize,
}

impl<'a> ElidedJson<'a> {
    /// Abridges `body`. Strings with escapes stay as they are, because they will have to be copied anyway.
    pub fn of(body: &'a [u8]) -> ElidedJson<'a> {
        // RFC 8259 8.1 lets a reader ignore a byte order mark, which some servers write all the same.
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        let (mut short, mut cuts) = (Vec::new(), Vec::new());
        let (mut done, mut from) = (0, 0);
        while let Some((start, end, plain)) = next_string(body, from) {
            // Base64 is ASCII; in other text the cut could fall between the bytes of one character.
            if plain && end - start >= LONG && body[start..=start + KEPT].is_ascii() {
                short.extend_from_slice(&body[done..start + KEPT]);
                done = end;
                cuts.push(Cut { at: short.len(), missing: end - short.len() });
            }
            from = end + 1;
        }
        if cuts.is_empty() {
            return ElidedJson { body, short: Cow::Borrowed(body), cuts };
        }
        short.extend_from_slice(&body[done..]);
        ElidedJson { body, short: Cow::Owned(short), cuts }
    }

    /// The short form.
    pub fn short(&self) -> &[u8] {
        &self.short
    }

    /// The string in the body of which `text` is the short form; where `text` lies tells which one that is. `None`
    /// when it does not lie in [`Self::short`].
    pub fn whole(&self, text: &str) -> Option<&'a [u8]> {
        let start = text.as_ptr().addr().checked_sub(self.short.as_ptr().addr())?;
        let end = start + text.len();
        self.body.get(self.place(start)..self.place(end))
    }

    /// Where in the body a place of the short form is.
    fn place(&self, at: usize) -> usize {
        let cuts = self.cuts.partition_point(|cut| cut.at <= at);
        at + self.cuts[..cuts].last().map_or(0, |cut| cut.missing)
    }
}

/// The next string from `from` on, where no string is open: its first byte, the place of its closing quote, and
/// whether it has no escapes.
fn next_string(body: &[u8], from: usize) -> Option<(usize, usize, bool)> {
    let start = from + memchr(b'"', body.get(from..)?)? + 1;
    let (mut end, mut plain) = (start, true);
    loop {
        end += memchr2(b'"', b'\\', body.get(end..)?)?;
        if body[end] == b'"' {
            return Some((start, end, plain));
        }
        // What is escaped ends no string, whatever it is.
        plain = false;
        end += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_strings_are_left_out_and_found_again_by_their_place() {
        let (one, two) = ("x".repeat(LONG), "y".repeat(LONG + 7));
        let body = format!(r#"{{"a":"{one}","b":"short","c":["{two}","{one}"],"d":"\"{one}\\"}}"#);
        let elided = ElidedJson::of(body.as_bytes());
        let short = str::from_utf8(elided.short()).unwrap();
        let (x, y) = ("x".repeat(KEPT), "y".repeat(KEPT));
        assert_eq!(short, format!(r#"{{"a":"{x}","b":"short","c":["{y}","{x}"],"d":"\"{one}\\"}}"#));
        let whole = |text: &str, nth: usize| {
            let (at, _) = short.match_indices(&format!("\"{text}\"")).nth(nth).unwrap();
            elided.whole(&short[at + 1..at + 1 + text.len()]).map(|bytes| str::from_utf8(bytes).unwrap())
        };
        assert_eq!(whole(&x, 0), Some(&*one));
        assert_eq!(whole("short", 0), Some("short"));
        assert_eq!(whole(&y, 0), Some(&*two));
        assert_eq!(whole(&x, 1), Some(&*one));
    }

    #[test]
    fn no_character_is_cut_in_two() {
        let body = format!("\"{}{}\"", "x".repeat(KEPT - 1), "\u{e9}".repeat(LONG));
        assert_eq!(ElidedJson::of(body.as_bytes()).short(), body.as_bytes());
        let body = format!("\"{}{}\"", "x".repeat(KEPT + 1), "\u{e9}".repeat(LONG));
        assert!(ElidedJson::of(body.as_bytes()).short().len() < body.len());
    }

    #[test]
    fn a_body_of_short_strings_or_without_an_end_is_left_alone() {
        for body in ["{\"a\":\"b\"}", "", "\"", "\"\\", &format!("\"{}", "x".repeat(LONG))] {
            let elided = ElidedJson::of(body.as_bytes());
            assert_eq!(elided.short(), body.as_bytes());
            assert_eq!(elided.short().as_ptr(), body.as_ptr());
        }
    }
}
