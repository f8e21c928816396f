//! Plain words that tools take for something else than Easel does.
//!
//! Easel reads YAML 1.2, and a text is a text wherever one is wanted. Who loads a config with a tool of YAML 1.1 (PyYAML,
//! Ansible, older Helm) and writes it out again gets `false` for `no`, 8 for `010` and 750 for `12:30`, and of YAML 1.2 15
//! for `0o17`. So a plain word that would come back as another one is a problem here: in quotes it means itself to all.

/// What Easel takes a plain text for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Itself, letter by letter.
    Text,
    /// A number, so that only its value counts. How it may be written is the business of who reads it.
    Number,
    /// Whatever YAML 1.2 says that it is.
    Anything,
    /// One of the config's own words, known in whatever way it comes back.
    OwnWord,
}

/// What a tool makes of the plain text `text`, where it would write something else than it has read, or mean something else
/// by it.
pub(super) fn read_otherwise(text: &str, wanted: Wanted) -> Option<&'static str> {
    match wanted {
        Wanted::OwnWord => return None,
        // Eight or ten.
        Wanted::Number => return is_octal(text).then_some("a number of another base"),
        Wanted::Text | Wanted::Anything => {}
    }
    let number = wanted == Wanted::Anything;
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "yes" | "no" | "on" | "off" => return Some("a truth value"),
        "true" | "false" if text != lower && !number => return Some("a truth value"),
        ".inf" | "+.inf" | "-.inf" | ".nan" if text != lower => return Some("a number"),
        _ => {}
    }
    if is_time_of_day(text) {
        return Some("a number of minutes or seconds");
    }
    if is_another_base(text) {
        return Some("a number of another base");
    }
    if text.contains('_') && is_decimal(&text.replace('_', "")) {
        return Some("a number");
    }
    if !number && is_decimal(text) && !is_written_as_read(text) {
        return Some("a number");
    }
    // YAML 1.1 wants a point and a sign.
    let exponent = text.find(['e', 'E']).map(|at| (&text[..at], &text[at + 1..]));
    if wanted == Wanted::Anything
        && is_decimal(text)
        && exponent.is_some_and(|(before, after)| !before.contains('.') || !after.starts_with(['+', '-']))
    {
        return Some("a text");
    }
    if is_date(text) && !is_plain_date(text) {
        return Some("a date");
    }
    None
}

/// Digits, a point and an exponent, as both versions know numbers.
fn is_decimal(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    rest.bytes().any(|byte| byte.is_ascii_digit())
        && rest.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
        && rest.parse::<f64>().is_ok()
}

/// Whether a tool that has read this number writes the same text.
fn is_written_as_read(text: &str) -> bool {
    let whole = text.parse::<i64>().is_ok_and(|whole| whole.to_string() == text);
    // More digits than these no tool keeps.
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    whole
        || (digits <= 15 && text.contains('.') && text.parse::<f64>().is_ok_and(|number| format!("{number:?}") == text))
}

/// `12:30` and `1:30:00.5`: digits to the base of sixty.
fn is_time_of_day(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let mut parts = rest.split(':');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let first = parts.next().is_some_and(digits);
    let mut more = false;
    let small = parts.all(|part| {
        more = true;
        let whole = part.split('.').next().unwrap_or_default();
        part.len() <= 12
            && (1..=2).contains(&whole.len())
            && whole.parse::<u8>().is_ok_and(|part| part < 60)
            && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    });
    first && more && small
}

/// `0x1f`, `0b10`, `0o17`, and `010`, which is eight.
fn is_another_base(text: &str) -> bool {
    let rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all = |digits: &str, known: fn(u8) -> bool| {
        digits.bytes().any(known) && digits.bytes().all(|byte| known(byte) || byte == b'_')
    };
    match rest.as_bytes() {
        [b'0', b'x', ..] => all(&rest[2..], |byte| byte.is_ascii_hexdigit()),
        [b'0', b'b', ..] => all(&rest[2..], |byte| matches!(byte, b'0' | b'1')),
        [b'0', b'o', ..] => all(&rest[2..], |byte| byte.is_ascii_digit()),
        _ => is_octal(text),
    }
}

/// `010`, which is eight to YAML 1.1.
fn is_octal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text).strip_prefix('0').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
}

/// `2026-12-01`, with or without a time after it.
fn is_date(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let year = parts.next().is_some_and(|year| year.len() == 4 && digits(year));
    let month = parts.next().is_some_and(|month| month.len() <= 2 && digits(month));
    let Some(rest) = parts.next().filter(|_| year && month) else { return false };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    (1..=2).contains(&end)
        && (end == rest.len() || matches!(rest.as_bytes()[end], b't' | b'T' | b' ') && rest.contains(':'))
}

/// A date that every tool writes as it was.
fn is_plain_date(text: &str) -> bool {
    text.len() == 10 && is_date(text)
}

#[cfg(test)]
mod tests {
    use super::{Wanted, read_otherwise};

    #[test]
    fn what_comes_back_from_another_tool_as_it_went_in_is_let_be() {
        for text in [
            "openai",
            "gpt-image-2",
            "10s",
            "64MiB",
            "1024x1024",
            "10%",
            "v1",
            "2026-12-01",
            "2025-04-01-preview",
            "0",
            "7",
            "-7",
            "1.5",
            "0.1",
            "true",
            "false",
            "512",
            "1K",
            "127.0.0.1",
            "127.0.0.1:8080",
            "[::1]:8080",
            "localhost:80",
            "qwen3:4b",
            "provider/model",
            "FLUX.1",
            "nobody",
            "offer",
            "y",
            "n",
            "",
            "*",
            "none",
            "1:1:x",
            "10:99",
            "a:1",
            "0s",
            "0x",
            "0xyz",
            "2026-12",
            "2026-12-01x",
            "7762fd07cf82",
            "e5",
            "-",
            "+",
            ".",
            "...",
            "-a",
            "1e",
            "é",
        ] {
            assert_eq!(read_otherwise(text, Wanted::Text), None, "{text}");
        }
        for number in
            ["0.10", "1.0", "1e-9", "3.45e-05", "0.000000001", "12", "1.", ".5", "+1", "0", "0.5", "0x1f", "1_000"]
        {
            assert_eq!(read_otherwise(number, Wanted::Number), None, "{number}");
        }
    }

    #[test]
    fn what_would_come_back_as_something_else_is_told() {
        for text in [
            "no",
            "No",
            "YES",
            "on",
            "off",
            "True",
            "FALSE",
            "010",
            "-017",
            "0o17",
            "0x1F",
            "0b101",
            "1_000",
            "1_0.5",
            "12:30",
            "1:30:00",
            "16:9",
            "190:20:30.15",
            "1.10",
            "1.0e+3",
            "1e3",
            "+7",
            "1.",
            ".5",
            "00",
            "2026-1-2",
            "2026-12-01T10:00:00Z",
            "2026-12-01 10:00:00",
            "0.12345678901234567",
            ".Inf",
            ".NaN",
        ] {
            assert!(read_otherwise(text, Wanted::Text).is_some(), "{text}");
        }
        assert!(read_otherwise("010", Wanted::Number).is_some());
        for (value, told) in [("1e3", true), ("1.5e3", true), ("1.5e+3", false), ("1.50", false), ("True", false)] {
            assert_eq!(read_otherwise(value, Wanted::Anything).is_some(), told, "{value}");
        }
        assert_eq!(read_otherwise("no", Wanted::OwnWord), None);
    }
}
