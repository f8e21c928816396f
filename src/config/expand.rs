//! `${NAME}`, `${file:/path}` and `$$` within the texts of a config.
//!
//! What comes from outside the file is kept out of every message: a problem names the variable, never its value. Only
//! values are expanded, not keys, and what was filled in is not expanded again.

use std::path::Path;

use super::report::{Finding, Findings};
use super::tree::{Node, NodeKind, Scalar};
use crate::config::env_name::is_name;
use crate::config::foreign_references;
use crate::config::foreign_references::ForeignReference;
use crate::config::redact::SECRET_KEYS;
use crate::config::span::Span;
use crate::secret::Zeroizing;

/// Fills in every reference in the tree. `text` is the file's, for positions.
pub(super) fn expand(node: &mut Node, text: &str, lookup: &dyn EnvAndFiles, findings: &mut Findings) {
    fill_in(node, text, lookup, findings, ("", false));
}

/// The same below a key, and whether that key's values are secret.
fn fill_in(
    node: &mut Node,
    text: &str,
    lookup: &dyn EnvAndFiles,
    findings: &mut Findings,
    (key, secret): (&str, bool),
) {
    match &mut node.kind {
        NodeKind::List(items) => items.iter_mut().for_each(|item| fill_in(item, text, lookup, findings, (key, secret))),
        NodeKind::Map(entries) => entries.iter_mut().for_each(|entry| {
            let secret = secret || SECRET_KEYS.contains(&&*entry.key) || entry.key == "headers";
            fill_in(&mut entry.value, text, lookup, findings, (&entry.key, secret));
        }),
        NodeKind::Scalar(scalar) => {
            if let Some(foreign) = foreign_references::reference(&scalar.value, secret) {
                let (what, help) = in_other_words(&foreign, &scalar.value, lookup);
                findings.add(Finding::new(node.span.clone(), what, Some(&help)));
                node.bad = true;
                return;
            }
            if !scalar.value.contains('$') {
                return;
            }
            let written = text.get(node.span.clone()).unwrap_or_default();
            let mut filler = Filler { written, seen: 0, lookup, key, secret };
            match filler.fill(scalar) {
                // Nothing is said of what is not here and cannot be guessed.
                Ok(known) => node.bad = !known,
                Err(wrong) => {
                    for (at, what, help) in wrong {
                        let span =
                            at.map_or(node.span.clone(), |at| node.span.start + at.start..node.span.start + at.end);
                        findings.add(Finding::new(span, what, Some(&help)));
                    }
                    node.bad = true;
                }
            }
        }
    }
}

/// What is wrong with a reference in another tool's words, and what to write. A name that may be a secret is not shown.
fn in_other_words(foreign: &ForeignReference<'_>, value: &str, lookup: &dyn EnvAndFiles) -> (&'static str, String) {
    let itself = match value.trim_start().starts_with('$') {
        true => "where a dollar sign itself is meant, write `$$`",
        false => "where this very text is meant, put it in a file and write `${file:/path}`",
    };
    match foreign {
        ForeignReference::File => ("another tool's way to name a file", format!("write `${{file:/path}}`; {itself}")),
        ForeignReference::Variable(name) => {
            let plain = name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
            let name = if plain || lookup.var(name).is_some() { name } else { "NAME" };
            ("another tool's way to name an environment variable", format!("write `${{{name}}}`; {itself}"))
        }
    }
}

/// Where within the scalar (where that is known), what is wrong, and what to write.
type ReferenceError = (Option<Span>, String, String);

struct Filler<'a> {
    /// The scalar as the file has it, quotes included.
    written: &'a str,
    /// How much of `written` has been gone through.
    seen: usize,
    lookup: &'a dyn EnvAndFiles,
    /// The key that the scalar stands under, and whether its values are secret.
    key: &'a str,
    secret: bool,
}

impl Filler<'_> {
    /// Fills in every reference, and says whether the text is known then: what is not here may be taken as present.
    fn fill(&mut self, scalar: &mut Scalar) -> Result<bool, Vec<ReferenceError>> {
        let (mut out, mut wrong, mut expanded, mut known) = (String::new(), Vec::new(), false, true);
        let mut rest = scalar.value.as_str();
        while let Some(at) = rest.find('$') {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                self.find("$$");
                out.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let Some(end) = after.find('}') else {
                    let help = "close it with `}`, or write `$$` for a dollar sign".to_owned();
                    wrong.push((self.find("${"), "`${` without its `}`".to_owned(), help));
                    break;
                };
                let name = &after[..end];
                let span = self.find(&format!("${{{name}}}"));
                match self.resolve(name) {
                    Ok(Some(value)) => out.push_str(&value),
                    Ok(None) => match stand_in(self.key, self.secret, &out) {
                        Some(value) => out.push_str(value),
                        None => known = false,
                    },
                    Err((what, help)) => wrong.push((span, what, help)),
                }
                expanded = true;
                rest = &after[end + 1..];
            } else {
                self.find("$");
                out.push('$');
            }
        }
        out.push_str(rest);
        if !wrong.is_empty() {
            return Err(wrong);
        }
        scalar.value = out;
        scalar.expanded = expanded;
        Ok(known)
    }

    /// Where the next `piece` stands in the file.
    fn find(&mut self, piece: &str) -> Option<Span> {
        let at = self.seen + self.written.get(self.seen..)?.find(piece)?;
        self.seen = at + piece.len();
        Some(at..self.seen)
    }

    /// The value of what stands between the braces, or what is wrong and what to do. `None`: it is not here, and taken as
    /// present.
    fn resolve(&self, name: &str) -> Result<Option<Zeroizing<String>>, (String, String)> {
        let absent = self.lookup.absent_is_present();
        if let Some(path) = name.strip_prefix("file:").filter(|path| !path.is_empty()) {
            return match self.lookup.file(Path::new(path)) {
                // A file of one secret usually ends with a line end that is not part of it.
                Ok(text) => {
                    let text = Zeroizing::new(text);
                    Ok(Some(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned())))
                }
                Err(_) if absent => Ok(None),
                Err(why) => {
                    Err((format!("cannot read the file {path}: {why}"), "check the path and what is there".into()))
                }
            };
        }
        if !is_name(name) {
            if let Some(name) = foreign_references::with_default(name) {
                let help = format!("write `${{{name}}}`, and set {name} before Easel starts");
                return Err(("a reference has no default here".to_owned(), help));
            }
            let help = match foreign_references::braced(name) {
                Some(name) => format!("write `${{{name}}}`"),
                None => {
                    "write `${NAME}` for a variable, `${file:/path}` for a file, or `$$` for a dollar sign".to_owned()
                }
            };
            return Err(("not the name of an environment variable".to_owned(), help));
        }
        match self.lookup.var(name) {
            Some(value) => Ok(Some(Zeroizing::new(value))),
            None if absent => Ok(None),
            None => {
                let help = format!("set {name} before Easel starts, or write `$${{{name}}}` to mean the text itself");
                Err((format!("the environment variable {name} is not set"), help))
            }
        }
    }
}

/// Environment and files, handed in so that this floor reads neither.
pub trait EnvAndFiles {
    /// The value of an environment variable, `None` when it is not set.
    fn var(&self, name: &str) -> Option<String>;

    /// The text of a file, or in a few words why it cannot be read. The words are printed; they must not contain the
    /// file's text.
    fn file(&self, path: &Path) -> Result<String, String>;

    /// Whether what is not there is taken as present, so that a config can be checked where its secrets are not.
    fn absent_is_present(&self) -> bool {
        false
    }
}

/// What stands for a secret that is not here. It goes nowhere: nothing is served by such a config.
const ABSENT: &str = "absent";

/// Keys whose texts are addresses, and what stands for the beginning of one.
const ADDRESSES: [&str; 6] = ["authority", "base_url", "passthrough", "public_url", "url", "webhook"];
const ABSENT_ADDRESS: &str = "https://absent.invalid";

/// Secrets that may be any text.
const ANY_TEXT: [&str; 5] = ["admin_token", "api_key", "client_secret", "hmac_key", "link_secret"];

/// What stands for a text of which a part is not here; `None` where nothing can. `before` is what the text begins with.
fn stand_in(key: &str, secret: bool, before: &str) -> Option<&'static str> {
    match key {
        // The machine's own identity is what no file is needed for.
        "credentials" => Some("metadata"),
        _ if ADDRESSES.contains(&key) => Some(if before.is_empty() { ABSENT_ADDRESS } else { ABSENT }),
        _ if ANY_TEXT.contains(&key) || (secret && key != "key_sha256") => Some(ABSENT),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::report::Findings;
    use super::super::tree;
    use super::{EnvAndFiles, ForeignReference, NodeKind, expand, in_other_words};

    struct World;

    impl EnvAndFiles for World {
        fn var(&self, name: &str) -> Option<String> {
            (name == "KEY").then(|| "sk-${KEY}".to_owned())
        }

        fn file(&self, path: &Path) -> Result<String, String> {
            if path == Path::new("/run/key") { Ok("from file\n".into()) } else { Err("no such file".into()) }
        }
    }

    /// The first value of the mapping, or the printed problems.
    fn expanded(text: &str) -> Result<String, String> {
        let mut findings = Findings::default();
        let mut node = tree::read(text, &mut findings).unwrap();
        expand(&mut node, text, &World, &mut findings);
        if !findings.is_empty() {
            return Err(findings.into_problems("x.yaml", text.to_owned()).to_string());
        }
        let NodeKind::Map(entries) = node.kind else { unreachable!() };
        match entries.into_iter().next().unwrap().value.kind {
            NodeKind::Scalar(scalar) => Ok(scalar.value),
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn variables_and_files_are_filled_in_once_and_two_dollars_are_one() {
        assert_eq!(expanded("a: x ${KEY} y").unwrap(), "x sk-${KEY} y");
        assert_eq!(expanded("a: \"${file:/run/key}!\"").unwrap(), "from file!");
        assert_eq!(expanded("a: $${KEY} $5 $").unwrap(), "${KEY} $5 $");
    }

    #[test]
    fn what_is_missing_is_named_and_underlined() {
        let printed = expanded("a: $${NOPE} ${NOPE}").unwrap_err();
        assert!(printed.contains("the environment variable NOPE is not set"), "{printed}");
        assert!(printed.contains("x.yaml:1:13"), "{printed}");
        assert!(printed.contains("|             ^^^^^^^\n"), "{printed}");
        let printed = expanded("a: ${file:/nope}").unwrap_err();
        assert!(printed.contains("cannot read the file /nope: no such file"), "{printed}");
    }

    #[test]
    fn a_half_written_reference_is_told() {
        assert!(expanded("a: \"${KEY\"").unwrap_err().contains("`${` without its `}`"));
        for text in ["a: ${}", "a: ${KEY:x}", "a: ${1X}", "a: ${file:}"] {
            let printed = expanded(text).unwrap_err();
            assert!(printed.contains("not the name of an environment variable"), "{printed}");
            assert!(printed.contains("write `${NAME}` for a variable"), "{printed}");
        }
    }

    #[test]
    fn another_tools_reference_is_told_how_it_is_written_here_and_shows_no_secret() {
        for text in ["a: ${env:KEY}", "a: ${{ secrets.KEY }}", "a: $KEY", "a: os.environ/KEY", "api_key: \"{{KEY}}\""] {
            let printed = expanded(text).unwrap_err();
            assert!(printed.contains("environment variable") && printed.contains("write `${KEY}`"), "{printed}");
        }
        let printed = expanded("a: ${NOPE:-hush}").unwrap_err();
        assert!(printed.contains("has no default here") && printed.contains("write `${NOPE}`, and set"), "{printed}");
        let help = |foreign| in_other_words(&foreign, "$x", &World).1;
        assert!(help(ForeignReference::Variable("hunter2")).starts_with("write `${NAME}`; where a dollar sign itself"));
        assert!(help(ForeignReference::Variable("OPENAI_API_KEY")).starts_with("write `${OPENAI_API_KEY}`"));
        let printed = expanded("api_key: file:/run/key").unwrap_err();
        assert!(printed.contains("way to name a file") && printed.contains("write `${file:/path}`"), "{printed}");
        assert_eq!(expanded("api_key: $$KEY").unwrap(), "$KEY");
        assert_eq!(expanded("prompt: \"{{KEY}}\"").unwrap(), "{{KEY}}");
    }
}
