//! What a config says by name, so that two can be compared without keeping the words of either.
//!
//! Values are kept as hashes, those from outside the file too: a changed secret is a change, and is never shown.

use std::fmt;

use xxhash_rust::xxh3::Xxh3;

use crate::config::tree::{Node, NodeKind};

/// The most differences that are told one by one.
const TOLD: usize = 12;

/// The most characters of a difference that are told.
const LONGEST: usize = 120;

/// The shape of a config, with names but without values.
#[derive(Clone, Default)]
pub struct Outline(OutlineNode);

impl fmt::Debug for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outline")
    }
}

#[derive(Clone, Default, PartialEq)]
enum OutlineNode {
    /// Nothing, or nothing that has names.
    #[default]
    Empty,
    /// A value, or a list of values.
    Value(u64),
    /// A mapping, or a list of mappings, whose order counts.
    Named { parts: Vec<(String, OutlineNode)>, ordered: bool },
}

impl Outline {
    /// The outline of a config whose references are filled in.
    pub(super) fn of(tree: &Node) -> Outline {
        Outline(part(tree))
    }

    /// Where `new` says something else, like `providers.openai.timeout, routes[default].offers`. Empty where it does
    /// not.
    pub fn differences(&self, new: &Outline) -> String {
        let mut paths = Vec::new();
        compare(&self.0, &new.0, "", &mut paths);
        let more = paths.len().saturating_sub(TOLD);
        paths.truncate(TOLD);
        let mut told = paths.join(", ");
        if more > 0 {
            told.push_str(&format!(" and {more} more"));
        }
        told
    }
}

fn part(node: &Node) -> OutlineNode {
    match &node.kind {
        NodeKind::Scalar(scalar) if scalar.is_null() => OutlineNode::Empty,
        NodeKind::Map(entries) => {
            let parts = entries.iter().map(|entry| (shown(&format!(".{}", entry.key)), part(&entry.value)));
            OutlineNode::Named { parts: parts.collect(), ordered: false }
        }
        NodeKind::List(items) if items.iter().any(|item| matches!(item.kind, NodeKind::Map(_))) => {
            let parts = items.iter().enumerate().map(|(index, item)| (item_name(index, item), part(item)));
            OutlineNode::Named { parts: parts.collect(), ordered: true }
        }
        NodeKind::Scalar(_) | NodeKind::List(_) => {
            let mut hasher = Xxh3::new();
            hash(node, &mut hasher);
            OutlineNode::Value(hasher.digest())
        }
    }
}

/// `[name]` where the item has one that stands in the file, else its number.
fn item_name(index: usize, item: &Node) -> String {
    let NodeKind::Map(entries) = &item.kind else { return format!("[{index}]") };
    let name = entries.iter().find(|entry| entry.key == "name").and_then(|entry| match &entry.value.kind {
        NodeKind::Scalar(scalar) if !scalar.expanded => Some(scalar.value.as_str()),
        _ => None,
    });
    name.map_or_else(|| format!("[{index}]"), |name| shown(&format!("[{name}]")))
}

/// A name as a line of the log can have it.
fn shown(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn hash(node: &Node, hasher: &mut Xxh3) {
    let text = match &node.kind {
        NodeKind::Scalar(scalar) => scalar.value.as_str(),
        NodeKind::List(items) => {
            hasher.update(&items.len().to_le_bytes());
            return items.iter().for_each(|item| hash(item, hasher));
        }
        NodeKind::Map(_) => return,
    };
    // With its length before it, no value runs into the next.
    hasher.update(&text.len().to_le_bytes());
    hasher.update(text.as_bytes());
}

fn compare(old: &OutlineNode, new: &OutlineNode, path: &str, out: &mut Vec<String>) {
    let Some(pairs) = named(old, new) else {
        if old != new {
            out.push(path.trim_start_matches('.').chars().take(LONGEST).collect());
        }
        return;
    };
    let before = out.len();
    let (old, new, ordered) = pairs;
    let find = |parts: &[(String, OutlineNode)], name: &str| parts.iter().position(|(key, _)| key == name);
    for (name, was) in old {
        let is = find(new, name).map_or(&OutlineNode::Empty, |at| &new[at].1);
        // What is empty has nothing to descend into: it came or went as a whole.
        compare(was, is, &format!("{path}{name}"), out);
    }
    for (name, is) in new.iter().filter(|(name, _)| find(old, name).is_none()) {
        compare(&OutlineNode::Empty, is, &format!("{path}{name}"), out);
    }
    let moved = ordered && out.len() == before && old.iter().map(|(name, _)| name).ne(new.iter().map(|(name, _)| name));
    if moved {
        out.push(format!("{} (order)", path.trim_start_matches('.')));
    }
}

type Parts = [(String, OutlineNode)];

/// The parts of both where both have names, and whether their order counts. At the top an empty file is one without
/// parts.
fn named<'a>(old: &'a OutlineNode, new: &'a OutlineNode) -> Option<(&'a Parts, &'a Parts, bool)> {
    match (old, new) {
        (OutlineNode::Named { parts: old, ordered }, OutlineNode::Named { parts: new, .. }) => {
            Some((old, new, *ordered))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::Outline;
    use crate::config::report::Findings;
    use crate::config::tree;

    fn differences(old: &str, new: &str) -> String {
        let outline = |text| Outline::of(&tree::read(text, &mut Findings::default()).unwrap());
        outline(old).differences(&outline(new))
    }

    const OLD: &str = "
server: {listen: 127.0.0.1:8080}
providers: {openai: {api_key: sk-1, timeout: 10s}, stability: {models: {core: {price: 1}}}}
routes:
  - {name: a, offers: [x/y, x/z]}
  - {name: b, offers: [x/y]}
";

    #[test]
    fn what_differs_is_named_as_far_down_as_both_say_something() {
        for (from, to, told) in [
            ("10s", "20s", "providers.openai.timeout"),
            ("sk-1", "sk-2", "providers.openai.api_key"),
            ("[x/y, x/z]", "[x/z, x/y]", "routes[a].offers"),
            ("price: 1", "price: {usd: 1}", "providers.stability.models.core.price"),
            ("name: b", "name: c", "routes[b], routes[c]"),
            ("server:", "clients: [{name: web}]\nserver:", "clients"),
            ("127.0.0.1:8080", "127.0.0.1:8080, admin: 'x'", "server.admin"),
            ("server: {listen: 127.0.0.1:8080}\n", "", "server"),
            ("server:", "# a remark\nserver:", ""),
        ] {
            assert!(OLD.contains(from), "{from}");
            assert_eq!(differences(OLD, &OLD.replacen(from, to, 1)), told, "{from} -> {to}");
        }
        let turned = "routes: [{name: b, offers: [x/y]}, {name: a, offers: [x/y, x/z]}]\n";
        let old = "routes: [{name: a, offers: [x/y, x/z]}, {name: b, offers: [x/y]}]\n";
        assert_eq!(differences(old, turned), "routes (order)");
    }

    #[test]
    fn the_line_is_bounded_and_holds_no_value() {
        let many = |value: &str| (0..500).map(|key| format!("key{key}: {value}\n")).collect::<String>();
        let told = differences(&many("sk-old"), &many("sk-new"));
        assert!(told.ends_with("key11 and 488 more"), "{told}");
        let long = |value: &str| format!("\"{}\": {value}\n", "k".repeat(900));
        let told = differences(&long("sk-old"), &long("sk-new"));
        assert!(told.len() <= super::LONGEST && !told.contains("sk-"), "{told}");
    }
}
