//! Tests of config/tree.rs.

use super::super::report::Findings;
use super::{Node, NodeKind, read};

fn tree(text: &str) -> Node {
    read(text, &mut Findings::default()).unwrap()
}

/// What stands in the text at every key and value.
fn written(text: &str) -> Vec<(String, String)> {
    let NodeKind::Map(entries) = tree(text).kind else { panic!("not a mapping") };
    let shown = |span: &crate::config::span::Span| text[span.clone()].to_owned();
    entries.iter().map(|entry| (shown(&entry.key_span), shown(&entry.value.span))).collect()
}

#[test]
fn every_text_knows_where_it_stands() {
    let text =
        "a: \"k\u{e9}\\\"y\" # end\nb: x # c\n'c': 'it''s'   # d\n\u{e9}: \u{20ac} \nlist: [x, y]\nmap: {k: v}\n";
    let expected = [
        ("a", "\"k\u{e9}\\\"y\""),
        ("b", "x"),
        ("'c'", "'it''s'"),
        ("\u{e9}", "\u{20ac}"),
        ("list", "x"),
        ("map", "k: v"),
    ];
    assert_eq!(written(text), expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

#[test]
fn what_is_written_beats_what_is_merged_and_the_first_merged_beats_the_next() {
    let text = "x: &x {a: 1, b: 1, c: 1}\ny: &y {b: 2, c: 2, d: 2}\nz: {c: 3, <<: [*x, *y]}\n";
    let NodeKind::Map(mut entries) = tree(text).kind else { panic!("not a mapping") };
    let NodeKind::Map(merged) = entries.remove(2).value.kind else { panic!("not a mapping") };
    let merged: Vec<String> = merged
        .into_iter()
        .filter(|entry| !entry.value.bad)
        .map(|entry| match entry.value.kind {
            NodeKind::Scalar(scalar) => format!("{}={}", entry.key, scalar.value),
            _ => entry.key,
        })
        .collect();
    assert_eq!(merged, ["c=3", "a=1", "b=1", "d=2"]);
}

#[test]
fn the_same_key_twice_is_told_and_the_first_counts() {
    let mut findings = Findings::default();
    let Ok(Node { kind: NodeKind::Map(entries), .. }) = read("a: 1\nb: 2\na: 3\n", &mut findings) else {
        panic!("not a mapping")
    };
    assert_eq!(entries.iter().map(|entry| entry.value.bad).collect::<Vec<_>>(), [false, false, true]);
    assert!(!findings.is_empty());
}
