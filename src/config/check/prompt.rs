//! `prompt:`: what becomes of a prompt before it is drawn, and that who rewrites it can write.

use std::sync::Arc;
use std::time::Duration;

use crate::config::check::checker::Checker;
use crate::config::check::offers::KnownOffers;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{Enrich, Prompt};

const TIMEOUT: Duration = Duration::from_secs(3);
const MAX_TOKENS: u32 = 400;

/// `ttl` is how long the route keeps pictures, or would.
pub(super) fn prompt(
    checker: &mut Checker<'_>,
    written: &file::Prompt,
    at: NodePath<'_>,
    known: &KnownOffers<'_>,
    ttl: Duration,
) -> Prompt {
    let file::Prompt { prefix, suffix, enrich } = written;
    let enrich = enrich.as_ref().and_then(|written| self::enrich(checker, written, at.key("enrich"), known, ttl));
    Prompt {
        prefix: checker.text(at.key("prefix"), prefix.as_deref()).unwrap_or_default(),
        suffix: checker.text(at.key("suffix"), suffix.as_deref()).unwrap_or_default(),
        enrich,
    }
}

fn enrich(
    checker: &mut Checker<'_>,
    written: &file::Enrich,
    at: NodePath<'_>,
    known: &KnownOffers<'_>,
    ttl: Duration,
) -> Option<Enrich> {
    let file::Enrich { offer, system, timeout, max_tokens, cache } = written;
    let found = match offer {
        Some(name) => known.writer(checker, name, at.key("offer")),
        None => {
            checker.report(at.key("offer"), "`enrich` names nobody", "add `offer: provider/model`".to_owned());
            None
        }
    };
    if system.is_none() {
        // Without it a language model answers the prompt instead of rewriting it.
        let help = "add `system:` with what to do, like \"Rewrite the prompt for an image model. Answer with the prompt \
                    alone.\"";
        checker.report(at.key("system"), "`enrich` does not say what the model is to do", help.to_owned());
    }
    let system = checker.text(at.key("system"), system.as_deref());
    let timeout = checker.some_time(at.key("timeout"), timeout.as_ref(), TIMEOUT);
    let max_tokens = checker.count(at.key("max_tokens"), *max_tokens, 1, MAX_TOKENS);
    let (provider, writer) = found?;
    Some(Enrich {
        provider: Arc::clone(provider),
        writer: Arc::clone(writer),
        name: format!("{}/{}", provider.name, writer.name),
        system: system?,
        timeout,
        max_tokens,
        keep: cache.unwrap_or(true).then_some(ttl),
    })
}
