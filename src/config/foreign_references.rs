//! References to the environment in other tools' words: `$KEY`, `os.environ/KEY`, `{{ .Env.KEY }}` and their like.
//!
//! Taken literally such a text is a key that no vendor knows, and the mistake shows at the first request. Only a whole
//! value is looked at, so a text that merely has such characters in it stays what it is. Nothing is looked up here.

use crate::config::env_name::is_name;

/// What stands around a name, wherever it is read. Nobody means these as a text.
const ANYWHERE: [(&str, &str); 11] = [
    ("$env:", ""),
    ("$(", ")"),
    ("$", ""),
    ("os.environ/", ""),
    ("os.environ[", "]"),
    ("os.environ.get(", ")"),
    ("os.getenv(", ")"),
    ("process.env.", ""),
    ("process.env[", "]"),
    ("ENV[", "]"),
    ("getenv(", ")"),
];

/// What a prompt, for one, may well say, and a secret hardly.
const IN_SECRETS: [(&str, &str); 7] =
    [("{{", "}}"), ("%(", ")s"), ("%", "%"), ("env:", ""), ("env.", ""), ("env/", ""), ("ENV:", "")];

/// What may stand before the name within them.
const WITHIN: [&str; 9] = [".Env.", "Env.", "env.", "env:", "env ", "ENV.", "secrets.", "vars.", "."];

/// What other tools write for a file's text.
const FILES: [&str; 2] = ["file:/", "@/"];

/// A reference in another tool's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForeignReference<'a> {
    /// To this environment variable.
    Variable(&'a str),
    /// To a file.
    File,
}

/// What a whole value refers to in another tool's words. `secret`: it is a secret's.
pub(super) fn reference(value: &str, secret: bool) -> Option<ForeignReference<'_>> {
    let value = value.trim();
    if secret && FILES.iter().any(|file| value.starts_with(file)) {
        return Some(ForeignReference::File);
    }
    let words = ANYWHERE.iter().chain(IN_SECRETS.iter().filter(|_| secret));
    let mut found = words.filter_map(|(before, after)| name(value.strip_prefix(before)?.strip_suffix(after)?));
    found.next().or_else(|| begins(value)).or_else(|| in_address(value)).map(ForeignReference::Variable)
}

/// The name that braces stand around in another tool's words: `env:KEY`, `{ secrets.KEY `.
pub(super) fn braced(inside: &str) -> Option<&str> {
    name(inside.trim_start_matches('{')).or_else(|| match reference(inside, true) {
        Some(ForeignReference::Variable(name)) => Some(name),
        Some(ForeignReference::File) | None => None,
    })
}

/// The name before a shell's default.
pub(super) fn with_default(inside: &str) -> Option<&str> {
    let end = inside.find([':', '-', '=', '?', '+'])?;
    let shell = inside[end..].trim_start_matches(':').starts_with(['-', '=', '?', '+']);
    inside.get(..end).filter(|name| shell && is_name(name))
}

/// A name, in quotes or not, with another tool's words before it or not.
fn name(inside: &str) -> Option<&str> {
    let inside = unquoted(inside.split(',').next().unwrap_or(inside));
    let rest = WITHIN.iter().find_map(|word| inside.strip_prefix(word)).unwrap_or(inside);
    Some(unquoted(rest)).filter(|name| is_name(name))
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches(['"', '\'']).trim()
}

/// `$HOME/easel`: a shell's path.
fn begins(value: &str) -> Option<&str> {
    let (name, _) = value.strip_prefix('$')?.split_once('/')?;
    Some(name).filter(|name| is_name(name))
}

/// `http://$HOST:8000/`: a name in capitals within an address.
fn in_address(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let (before, rest) = rest.split_once('$')?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let capitals = |name: &&str| is_name(name) && !name.bytes().any(|b| b.is_ascii_lowercase());
    Some(&rest[..end]).filter(capitals).filter(|_| !before.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_value_in_another_tools_words_is_a_reference() {
        for value in [
            "$KEY",
            "$env:KEY",
            "$(KEY)",
            "os.environ/KEY",
            "os.environ[\"KEY\"]",
            "os.environ.get('KEY', 'x')",
            "os.getenv(\"KEY\")",
            "process.env.KEY",
            "process.env['KEY']",
            "ENV[\"KEY\"]",
            "$KEY/below",
            "http://$KEY:8000/v1",
            "https://a.test/$KEY",
        ] {
            assert_eq!(reference(value, false), Some(ForeignReference::Variable("KEY")), "{value}");
        }
        for value in [
            "{{KEY}}",
            "{{ .Env.KEY }}",
            "{{ env.KEY }}",
            "{{ env \"KEY\" }}",
            "{{ secrets.KEY }}",
            "%KEY%",
            "%(KEY)s",
            "env:KEY",
            "env.KEY",
            "env/KEY",
        ] {
            assert_eq!(reference(value, true), Some(ForeignReference::Variable("KEY")), "{value}");
            assert_eq!(reference(value, false), None, "{value}: a prompt may say so");
        }
        for value in ["file:/run/secrets/key", "file:///run/secrets/key", "@/run/secrets/key"] {
            assert_eq!(
                (reference(value, true), reference(value, false)),
                (Some(ForeignReference::File), None),
                "{value}"
            );
        }
    }

    #[test]
    fn a_text_that_merely_has_such_characters_is_itself() {
        for value in [
            "sk-live-1234",
            "pa$word",
            "$5",
            "$",
            "$$KEY",
            "$$HOME/x",
            "100%",
            "%20%",
            "a{{KEY}}",
            "${KEY}",
            "my process.env.KEY",
            "https://a.test/$web",
            "https://a.test/?$filter=x",
            "environment",
            "os.environ",
            "",
        ] {
            assert_eq!(reference(value, true), None, "{value}");
        }
    }

    #[test]
    fn braces_around_another_tools_words_still_name_a_variable() {
        for inside in ["env:KEY", "env.KEY", "{ secrets.KEY ", "{KEY", "process.env.KEY", "os.environ/KEY", " KEY "] {
            assert_eq!(braced(inside), Some("KEY"), "{inside}");
        }
        for inside in ["KEY:-x", "KEY-x", "KEY:=x", "KEY:?", "KEY?x", "KEY:+x"] {
            assert_eq!(with_default(inside), Some("KEY"), "{inside}");
        }
        for inside in ["", "1X", "file:", "a b", "KEY:x", "-x"] {
            assert_eq!(braced(inside).or_else(|| with_default(inside)), None, "{inside}");
        }
    }
}
