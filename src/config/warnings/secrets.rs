//! Secrets that stand in the file itself. A key for a server on this machine is none worth stealing.

use crate::config::node_path::NodePath;
use crate::config::plan::Plan;
use crate::config::redact::{SECRET_KEYS, SECRET_WORDS};
use crate::config::report::Finding;
use crate::config::tree::{MapEntry, Node, NodeKind};
use crate::config::warnings::addresses::{is_this_machine, is_within};
use crate::config::warnings::warner::Warner;
use crate::config::warnings::word::Warning;

/// A hash opens nothing.
const NO_SECRET: &str = "key_sha256";

/// An address that whoever knows it can write to.
const WEBHOOK: &str = "webhook";

pub(super) fn secrets(warner: &mut Warner, plan: &Plan, tree: &Node, at: NodePath<'_>) {
    let NodeKind::Map(sections) = &tree.kind else { return };
    for section in sections {
        match (&section.value.kind, section.key.as_str()) {
            (NodeKind::Map(providers), "providers") => {
                for provider in providers {
                    let at_home = plan.providers.get(&provider.key);
                    if at_home.is_some_and(|provider| is_this_machine(&provider.account.base_url)) {
                        continue;
                    }
                    look(warner, &provider.value, Some(&provider.key));
                }
            }
            _ => look(warner, &section.value, None),
        }
    }
    in_clear(warner, plan, at);
}

/// Looks below a node; `provider` is its provider's name.
fn look(warner: &mut Warner, node: &Node, provider: Option<&str>) {
    match &node.kind {
        NodeKind::Scalar(_) => {}
        NodeKind::List(items) => items.iter().for_each(|item| look(warner, item, provider)),
        NodeKind::Map(entries) => {
            for entry in entries {
                let key = entry.key.as_str();
                match &entry.value.kind {
                    NodeKind::Scalar(scalar) if SECRET_KEYS.contains(&key) && key != NO_SECRET => {
                        let written = !scalar.expanded && !scalar.is_null() && !entry.value.bad;
                        if written && !is_public(key, &scalar.value) {
                            warner.findings.add(literal(entry.span().clone(), key, provider));
                        }
                    }
                    NodeKind::Map(headers) if key == "headers" && (provider.is_some() || to_collector(entries)) => {
                        headers.iter().for_each(|header| literal_header(warner, header, provider));
                    }
                    _ => look(warner, &entry.value, provider),
                }
            }
        }
    }
}

/// Whether these keys say where spans go.
fn to_collector(entries: &[MapEntry]) -> bool {
    entries.iter().any(|entry| entry.key == "otlp")
}

/// Warns of a header that is sent to a vendor or a collector and by its name holds a secret.
fn literal_header(warner: &mut Warner, header: &MapEntry, provider: Option<&str>) {
    let name = header.key.to_lowercase();
    let secret = SECRET_WORDS.iter().any(|word| name.contains(word));
    if let NodeKind::Scalar(scalar) = &header.value.kind
        && secret
        && !scalar.expanded
        && !scalar.is_null()
        && !header.value.bad
    {
        warner.findings.add(literal(header.span().clone(), &name.replace('-', "_"), provider));
    }
}

/// Whether a text under a secret's key is known to be none: a word of the config, or an address within a network.
fn is_public(key: &str, value: &str) -> bool {
    match key {
        "credentials" => value == "metadata",
        WEBHOOK => value.parse().is_ok_and(|url| is_within(&url)),
        _ => false,
    }
}

fn literal(span: std::ops::Range<usize>, key: &str, provider: Option<&str>) -> Finding {
    let name = provider.map(|name| format!("{}_", name.to_uppercase().replace('-', "_"))).unwrap_or_default();
    let name = format!("{name}{}", key.to_uppercase());
    let what = format!("`{key}` stands in the file, so whoever reads the file has it");
    let help =
        format!("write `${{{name}}}` and set that variable, or `${{file:/run/secrets/{}}}`", name.to_lowercase());
    Finding::warning(Warning::LiteralSecret, span, what, Some(&help))
}

/// Keys that cross a network where others can read them.
fn in_clear(warner: &mut Warner, plan: &Plan, tree: NodePath<'_>) {
    for (name, provider) in &plan.providers {
        let account = &provider.account;
        let secret = account.api_key.is_some() || account.credentials.is_some() || !account.dialect.headers.is_empty();
        let at = tree.key("providers").key(name);
        if secret && account.base_url.scheme() == "http" && !is_within(&account.base_url) {
            let place = at.key("base_url");
            let what =
                format!("the key of `{name}` goes to {} unencrypted", account.base_url.host_str().unwrap_or("it"));
            warner.warn(Warning::KeyInClear, place, what, "write https:// instead of http://");
        }
    }
    if let Some(tracing) = plan.server.tracing.as_ref().filter(|tracing| !tracing.headers.is_empty())
        && tracing.otlp.scheme() == "http"
        && !is_within(&tracing.otlp)
    {
        let place = tree.key("server").key("tracing").key("otlp");
        let what = "the headers for the collector go over the network unencrypted";
        warner.warn(Warning::KeyInClear, place, what, "write https:// instead of http://");
    }
    for (index, alert) in plan.alerts.iter().enumerate() {
        let url = alert.webhook.as_ref().and_then(|webhook| webhook.reveal().parse::<url::Url>().ok());
        if url.is_some_and(|url| url.scheme() == "http" && !is_within(&url)) {
            let place = tree.key("alerts").item(index).key(WEBHOOK);
            let what = "this address is a secret, and goes over the network unencrypted";
            warner.warn(Warning::KeyInClear, place, what, "write https:// instead of http://");
        }
    }
}
