//! Fills in what is written elsewhere: a provider's `preset`, and its `model_defaults` in each of its models.
//!
//! It works on the tree, before anything is judged: what is filled in is checked exactly like what the user writes, and
//! what the user writes wins, key by key. What comes from a preset points at the word that named it, since the file has
//! nothing else to underline. An unknown preset is left to `schema_check`, whose schema knows the names.

use crate::config::presets;
use crate::config::report::{Finding, Findings};
use crate::config::span::Span;
use crate::config::tree::{self, MAX_NODES, MapEntry, Node, NodeKind};

/// The kind that presets are for.
const COMPATIBLE: &str = "openai_compatible";

/// Fills in every provider of the file.
pub(super) fn fill(root: &mut Node, findings: &mut Findings) {
    let Some(NodeKind::Map(providers)) = entry(root, "providers").map(|providers| &mut providers.kind) else { return };
    for provider in providers {
        preset(&mut provider.value, presets::text);
        model_defaults(&mut provider.value, findings);
    }
}

/// The provider's preset, unless it is of a kind that has none.
fn preset(provider: &mut Node, text: impl Fn(&str) -> Option<&'static str>) {
    if entry(provider, "kind").is_some_and(|kind| as_text(kind).is_some_and(|kind| kind != COMPATIBLE)) {
        return;
    }
    let Some(named) = entry(provider, "preset") else { return };
    let span = named.span.clone();
    let Some(text) = as_text(named).and_then(text) else { return };
    // A test reads every preset, so there is nothing to report here.
    if let Ok(mut filling) = tree::read(text, &mut Findings::default()) {
        point_at(&mut filling, &span);
        add(provider, &filling);
    }
}

/// What is said of all models, in each of them, as long as the whole does not outgrow what a file may hold.
fn model_defaults(provider: &mut Node, findings: &mut Findings) {
    let Some(defaults) = entry(provider, "model_defaults").cloned() else { return };
    let Some(NodeKind::Map(models)) = entry(provider, "models").map(|models| &mut models.kind) else { return };
    if defaults.count().saturating_mul(models.len()) > MAX_NODES {
        let what = format!("more than {MAX_NODES} values, counted in every model");
        findings.add(Finding::new(defaults.span, what, None));
        return;
    }
    for model in models {
        add(&mut model.value, &defaults);
    }
}

/// A key whose value is one thing, though it may be written as a mapping: half of one rule and half of another is none.
const WHOLE: &str = "sizes";

/// Adds the entries of `more` that `node` does not have; where both have a mapping, its entries likewise.
fn add(node: &mut Node, more: &Node) {
    let NodeKind::Map(more) = &more.kind else { return };
    if node.is_null() {
        node.kind = NodeKind::Map(Vec::new());
    }
    let NodeKind::Map(entries) = &mut node.kind else { return };
    for new in more {
        match entries.iter_mut().find(|entry| entry.key == new.key && !entry.value.bad) {
            Some(own) if own.key == WHOLE => {}
            Some(own) => {
                add(&mut own.value, &new.value);
                own.takes_out |= own.value.is_null() && !new.value.is_null();
            }
            None => entries.push(new.clone()),
        }
    }
}

/// Lets everything below point at `span`.
fn point_at(node: &mut Node, span: &Span) {
    node.span = span.clone();
    match &mut node.kind {
        NodeKind::Scalar(_) => {}
        NodeKind::List(items) => items.iter_mut().for_each(|item| point_at(item, span)),
        NodeKind::Map(entries) => {
            for MapEntry { key_span, value, .. } in entries {
                *key_span = span.clone();
                point_at(value, span);
            }
        }
    }
}

fn entry<'n>(node: &'n mut Node, key: &str) -> Option<&'n mut Node> {
    let NodeKind::Map(entries) = &mut node.kind else { return None };
    entries.iter_mut().find(|entry| entry.key == key && !entry.value.bad).map(|entry| &mut entry.value)
}

fn as_text(node: &Node) -> Option<&str> {
    match &node.kind {
        NodeKind::Scalar(scalar) => Some(&scalar.value),
        NodeKind::List(_) | NodeKind::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let mut root = tree::read(text, &mut Findings::default()).unwrap();
        let Some(NodeKind::Map(providers)) = entry(&mut root, "providers").map(|node| &mut node.kind) else { panic!() };
        for provider in providers {
            preset(&mut provider.value, |name| {
                (name == "acme").then_some("base_url: https://acme.example/\ndialect: {list: images, drop: [n, seed]}")
            });
            model_defaults(&mut provider.value, &mut Findings::default());
        }
        shown(&root)
    }

    fn shown(node: &Node) -> String {
        let joined = |parts: Vec<String>| parts.join(", ");
        match &node.kind {
            NodeKind::Scalar(scalar) => scalar.value.clone(),
            NodeKind::List(items) => format!("[{}]", joined(items.iter().map(shown).collect())),
            NodeKind::Map(entries) => {
                let entries = entries.iter().map(|entry| format!("{}: {}", entry.key, shown(&entry.value)));
                format!("{{{}}}", joined(entries.collect()))
            }
        }
    }

    #[test]
    fn what_is_written_wins_key_by_key_and_lists_are_replaced_whole() {
        let own = "providers: {a: {preset: acme, dialect: {drop: [user], url: link}}}";
        let all = "{providers: {a: {preset: acme, dialect: {drop: [user], url: link, list: images}, \
                   base_url: https://acme.example/}}}";
        assert_eq!(filled(own), all);
        assert_eq!(
            filled("providers: {a: {kind: openai, preset: acme}}"),
            "{providers: {a: {kind: openai, preset: acme}}}"
        );
        assert_eq!(filled("providers: {a: {preset: acne}}"), "{providers: {a: {preset: acne}}}");
    }

    #[test]
    fn what_all_models_can_do_is_filled_into_each_of_them() {
        let own = "providers: {a: {model_defaults: {max_n: 4, edit: {mask: false}}, models: {m: , o: {max_n: 1, edit: false}}}}";
        assert!(filled(own).ends_with("models: {m: {max_n: 4, edit: {mask: false}}, o: {max_n: 1, edit: false}}}}}"));
    }

    #[test]
    fn a_rule_for_sizes_is_taken_or_left_as_a_whole() {
        let own = "providers: {a: {model_defaults: {sizes: {max_side: 9}}, models: {m: {sizes: {ratios: ['1:1']}}}}}";
        assert!(filled(own).ends_with("models: {m: {sizes: {ratios: [1:1]}}}}}}"));
    }

    #[test]
    fn defaults_are_not_copied_without_end() {
        let (seeds, models) = ("1, ".repeat(400), (0..400).map(|n| format!("m{n}: {{}}, ")).collect::<String>());
        let text = format!("providers: {{a: {{model_defaults: {{formats: [{seeds}]}}, models: {{{models}}}}}}}");
        let (mut root, mut findings) = (tree::read(&text, &mut Findings::default()).unwrap(), Findings::default());
        fill(&mut root, &mut findings);
        assert!(!findings.is_empty() && root.count() < 2_000);
    }

    #[test]
    fn what_comes_from_a_preset_points_at_its_name() {
        let text = "providers: {a: {preset: together}}";
        let mut root = tree::read(text, &mut Findings::default()).unwrap();
        fill(&mut root, &mut Findings::default());
        let NodeKind::Map(providers) = &mut entry(&mut root, "providers").unwrap().kind else { panic!() };
        let dialect = entry(&mut providers[0].value, "dialect").unwrap();
        assert_eq!(&text[dialect.span.clone()], "together");
    }
}
