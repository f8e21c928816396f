//! Keys with nothing behind them. The loader takes one for a key that is not there, and with it goes the cap, the budget or
//! the check of pictures that somebody was about to write.
//!
//! The schema tells where that is so: in a vendor's own words nothing is a value, and a name of the user's own may stand
//! alone.

use serde_json::Value as Schema;

use crate::config::report::Finding;
use crate::config::schema_check::SCHEMA;
use crate::config::schema_union::SchemaUnion;
use crate::config::tree::{MapEntry, Node, NodeKind};
use crate::config::warnings::warner::Warner;
use crate::config::warnings::word::Warning;

pub(super) fn empty_keys(warner: &mut Warner, tree: &Node) {
    look(warner, tree, &SCHEMA);
}

/// Looks below a node, at what `schema` knows.
fn look(warner: &mut Warner, node: &Node, schema: &Schema) {
    let known = SchemaUnion::of(schema);
    if known.anything || node.bad {
        return;
    }
    match (&node.kind, known.list, known.map) {
        (NodeKind::List(items), Some(schema), _) => items.iter().for_each(|item| look(warner, item, schema)),
        (NodeKind::Map(entries), _, Some(schema)) => {
            for entry in entries.iter().filter(|entry| !entry.value.bad) {
                let property = schema.get("properties").and_then(|properties| properties.get(&entry.key));
                match (property, schema.get("additionalProperties")) {
                    (Some(schema), _) if entry.value.is_null() => empty(warner, entry, schema),
                    (Some(schema), _) | (None, Some(schema)) => look(warner, &entry.value, schema),
                    (None, None) => {}
                }
            }
        }
        _ => {}
    }
}

fn empty(warner: &mut Warner, entry: &MapEntry, schema: &Schema) {
    let key = &entry.key;
    let example = SchemaUnion::of(schema).example();
    let (what, help) = match (entry.takes_out, entry.value.span.is_empty()) {
        // Somebody wrote "nothing" where it is worth something.
        (true, false) => return,
        (true, true) => {
            let what = format!("nothing stands behind `{key}`, which takes out the value that would be filled in");
            (what, "write `null` if that is meant, or give it a value".to_owned())
        }
        (false, _) => {
            let what = format!("nothing stands behind `{key}`, so Easel takes it for a key that is not there");
            (what, format!("{}, or delete the key", example.unwrap_or_else(|| "give it a value".to_owned())))
        }
    };
    warner.findings.add(Finding::warning(Warning::EmptyKey, entry.span().clone(), what, Some(&help)));
}
