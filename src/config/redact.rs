//! The file's text with its secrets painted over, for printing.
//!
//! A problem prints the line it stands on, and that line may hold a key somebody wrote into the file instead of
//! `${NAME}`. Painting keeps every byte offset. It goes by the key's name (misspelt ones too, since a misspelt `api_key`
//! is exactly what a problem is about) and errs on the side of hiding.

use crate::config::env_name;
use crate::config::span::Span;
use crate::config::suggest::nearest;
use crate::config::tree::{MapEntry, Node, NodeKind};

/// The keys of the config whose values are secret.
pub(super) const SECRET_KEYS: [&str; 8] =
    ["admin_token", "api_key", "client_secret", "credentials", "hmac_key", "key_sha256", "link_secret", "webhook"];

/// Words within a key that make its value a secret, whether or not the config knows the key.
pub(super) const SECRET_WORDS: [&str; 5] = ["authorization", "key", "secret", "token", "password"];

/// `text` with every secret value of `tree` painted over.
pub(super) fn values(text: &str, tree: &Node) -> String {
    let mut spans = Vec::new();
    collect(text, tree, false, &mut spans);
    next_words(text, false, &mut spans);
    paint(text, &spans)
}

/// `text` with everything painted over that follows a secret's key: for a file that is too broken to make a tree.
pub(super) fn lines(text: &str) -> String {
    let mut spans = Vec::new();
    let mut at = 0;
    // The indentation of the secret's key while the lines below it may still belong to its value.
    let mut inside: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        if inside.is_some_and(|key| indent > key || line.trim().is_empty()) {
            spans.push(at..at + line.len());
        } else {
            let word = words(line).find(|(_, word)| is_secret(word));
            inside = word.filter(|(_, word)| nearest(word, SECRET_KEYS).is_some()).map(|_| indent);
            spans.extend(word.map(|(start, word)| at + start + word.len()..at + line.len()));
        }
        user_info(text, at..at + line.len(), &mut spans);
        at += line.len();
    }
    next_words(text, true, &mut spans);
    paint(text, &spans)
}

/// The word behind every secret's key, whatever stands between: a comma for a colon makes good YAML too. Only in a broken
/// file may it stand on a later line; elsewhere that is the next key.
fn next_words(text: &str, on_later_lines: bool, spans: &mut Vec<Span>) {
    for (at, word) in words(text).filter(|(_, word)| SECRET_KEYS.contains(word)) {
        let after = at + word.len();
        let rest = &text[after..];
        let rest = if on_later_lines { rest } else { rest.split('\n').next().unwrap_or_default() };
        let Some(start) = rest.find(|c: char| c.is_alphanumeric() || c == '$') else { continue };
        let value = &rest[start..];
        let length =
            value.find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']' | '"' | '\'')).unwrap_or(value.len());
        // A whole `${NAME}` ends in the brace that would end the word.
        let length = reference(value).unwrap_or(length);
        spans.push(after + start..after + start + length);
    }
}

/// The words of `text` that could be keys, and where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    let pieces = text.split(move |c| !inside(c)).filter(|word| !word.is_empty());
    pieces.map(|word| (word.as_ptr().addr() - text.as_ptr().addr(), word))
}

fn is_secret(key: &str) -> bool {
    let lower = key.to_lowercase();
    SECRET_WORDS.iter().any(|word| lower.contains(word)) || nearest(key, SECRET_KEYS).is_some()
}

fn collect(text: &str, node: &Node, secret: bool, spans: &mut Vec<Span>) {
    match &node.kind {
        NodeKind::Scalar(_) if secret => spans.push(node.span.clone()),
        NodeKind::Scalar(_) => {
            user_info(text, node.span.clone(), spans);
            swallowed(text, &node.span, |word| SECRET_KEYS.contains(&word), spans);
        }
        NodeKind::List(items) => items.iter().for_each(|item| collect(text, item, secret, spans)),
        NodeKind::Map(entries) => {
            for entry in entries {
                if secret {
                    spans.push(entry.key_span.clone());
                }
                swallowed(text, &entry.key_span, is_secret, spans);
                if let Some(headers) = collectors_headers(entry, entries) {
                    headers.iter().for_each(|header| collect(text, &header.value, true, spans));
                    continue;
                }
                collect(text, &entry.value, secret || is_secret_entry(entry, entries), spans);
            }
        }
    }
}

/// What follows a secret's key within one text: without its colon, `api_key sk-live` is a single word to YAML.
fn swallowed(text: &str, span: &Span, is_secret: impl Fn(&str) -> bool, spans: &mut Vec<Span>) {
    let written = text.get(span.clone()).unwrap_or_default();
    if let Some((start, word)) = words(written).find(|(_, word)| is_secret(word)) {
        spans.push(span.start + start + word.len()..span.end);
    }
}

/// The headers for a collector of spans: whatever it wants to be told may be the key to it, by any name.
fn collectors_headers<'a>(entry: &'a MapEntry, siblings: &[MapEntry]) -> Option<&'a [MapEntry]> {
    let to_a_collector = entry.key == "headers" && siblings.iter().any(|sibling| sibling.key == "otlp");
    match &entry.value.kind {
        NodeKind::Map(headers) if to_a_collector => Some(headers),
        _ => None,
    }
}

/// `tls: {cert, key}` holds file names, and a mapping under a word like `tokenmix` is a provider or a model.
fn is_secret_entry(entry: &MapEntry, siblings: &[MapEntry]) -> bool {
    let file_name = entry.key == "key" && siblings.iter().any(|sibling| sibling.key == "cert");
    match entry.value.kind {
        NodeKind::Map(_) => nearest(&entry.key, SECRET_KEYS).is_some(),
        NodeKind::Scalar(_) | NodeKind::List(_) => is_secret(&entry.key) && !file_name,
    }
}

/// The `user:password@` of a URL within `span`.
fn user_info(text: &str, span: Span, spans: &mut Vec<Span>) {
    let Some(written) = text.get(span.clone()) else { return };
    for (at, _) in written.match_indices("://") {
        let rest = &written[at + 3..];
        let authority = &rest[..rest.find(['/', '?', '#', ' ', '\n', '"', '\'']).unwrap_or(rest.len())];
        if let Some(end) = authority.rfind('@') {
            let start = span.start + at + 3;
            spans.push(start..start + end);
        }
    }
}

/// Paints `spans`, except for references to the outside (`${NAME}`), which are what one wants to see.
fn paint(text: &str, spans: &[Span]) -> String {
    let mut painted = String::with_capacity(text.len());
    let mut hidden = vec![false; text.len()];
    for span in spans {
        hidden.get_mut(span.clone()).into_iter().for_each(|bytes| bytes.fill(true));
    }
    let mut reference_until = 0;
    for (at, c) in text.char_indices() {
        if at >= reference_until
            && let Some(length) = reference(&text[at..])
        {
            reference_until = at + length;
        }
        let keep = at < reference_until || c.is_whitespace() || !hidden[at];
        painted.push(if keep { c } else { star(c) });
    }
    painted
}

/// The length of the `${NAME}` or `${file:/path}` that `text` begins with.
fn reference(text: &str) -> Option<usize> {
    let inside = text.strip_prefix("${")?;
    let end = inside.find('}')?;
    let name = &inside[..end];
    let is_name = env_name::is_name(name);
    let is_file = name.strip_prefix("file:").is_some_and(|path| path.starts_with(['/', '.']) && !path.contains('\n'));
    (is_name || is_file).then_some(end + 3)
}

/// A mark as long in UTF-8 as `c`.
fn star(c: char) -> char {
    match c.len_utf8() {
        1 => '*',
        2 => '\u{b7}',
        3 => '\u{2022}',
        _ => '\u{1f7b2}',
    }
}

#[cfg(test)]
mod tests {
    use super::{lines, values};
    use crate::config::report::Findings;
    use crate::config::tree;

    fn redacted(text: &str) -> String {
        values(text, &tree::read(text, &mut Findings::default()).unwrap())
    }

    #[test]
    fn a_key_written_into_the_file_is_painted_over_and_a_reference_is_not() {
        assert_eq!(redacted("{api_key: sk-live-1, kind: a}"), "{api_key: *********, kind: a}");
        assert_eq!(redacted("api_key: ${OPENAI_API_KEY}"), "api_key: ${OPENAI_API_KEY}");
        assert_eq!(redacted("api_key: x${A}y"), "api_key: *${A}*");
        assert_eq!(redacted("api_kye: \"sk\"\napi_kye: sk2"), "api_kye: ****\napi_kye: ***");
        assert_eq!(redacted("api_key: ${sk-live}"), "api_key: **********");
        assert_eq!(redacted("{kind: a, api_key sk-live-1}"), "{kind: a, api_key *********}");
        assert_eq!(redacted("kind: a\n  api_key sk-live-1"), "kind: a\n  api_key *********");
        assert_eq!(redacted("{api_key, : sk-live-1}"), "{api_key, : *********}");
        assert_eq!(redacted("tls: {cert: a.pem, key: k.pem}"), "tls: {cert: a.pem, key: k.pem}");
        assert_eq!(redacted("u: http://joe:pw@host/x"), "u: http://******@host/x");
        assert_eq!(redacted("{otlp: a, headers: {x-team: sk-1}}"), "{otlp: a, headers: {x-team: ****}}");
        assert_eq!(redacted("headers: {x-team: web}"), "headers: {x-team: web}");
    }

    #[test]
    fn painting_keeps_every_byte_in_its_place() {
        let text = "api_key: \"k\u{e9}y\u{20ac}\u{1f600}\" # end";
        assert_eq!(redacted(text).find("# end"), text.find("# end"));
        assert_eq!(redacted(text).len(), text.len());
    }

    #[test]
    fn a_broken_file_is_painted_by_lines() {
        let text = "providers:\n  openai: {api_key: sk-1, x\n  b:\n    api_key:\n      sk-2\n    kind: \"\n";
        let painted = lines(text);
        assert!(!painted.contains("sk-1") && !painted.contains("sk-2"), "{painted}");
        assert!(painted.contains("    kind: \""), "{painted}");
        assert_eq!(painted.len(), text.len());
    }
}
