//! `learn:` of a route's cache: who is asked can write, and no money is spent without a number that a person wrote.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::config::check::checker::Checker;
use crate::config::check::near;
use crate::config::check::offers::KnownOffers;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{EquivalenceJudge, Learn};
use crate::money::Usd;

/// An answer has a word, but a model that thinks before it, or runs on a laptop, takes its time, and nobody waits for it.
const TIMEOUT: Duration = Duration::from_secs(30);

/// As long as a picture is reused.
const TTL: Duration = Duration::from_secs(30 * 86_400);

/// Some 14,000 in a day, of which a small model makes a dollar or two.
const PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();

/// Who is asked on a route whose cache finds other words (`near`), or does not; `None` where it is not written, or not whole.
pub(super) fn learn(
    checker: &mut Checker<'_>,
    written: Option<&file::Learn>,
    at: NodePath<'_>,
    known: &KnownOffers<'_>,
    near: bool,
) -> Option<Learn> {
    let file::Learn { judge, max_usd_per_day, per_minute, ttl, timeout } = written?;
    if !near {
        let help = "write `near: verified` beside it, or delete it".to_owned();
        checker.report(at, "a pair of words that was learned is of use only where other words are looked for", help);
    }
    let judge_at = at.key("judge");
    let found = match judge {
        Some(file::EquivalenceJudge::Model(name)) => chat(checker, name, judge_at, known),
        Some(file::EquivalenceJudge::Embedding(written)) => embedding(checker, written, judge_at, known),
        None if judge_at.is_bad() => None,
        None => {
            checker.report(judge_at, "`learn` names nobody to ask", "add `judge: provider/model`".to_owned());
            None
        }
    };
    let usd = max_usd(checker, max_usd_per_day.as_ref(), at.key("max_usd_per_day"));
    let per_minute = checker.count(at.key("per_minute"), *per_minute, 1, PER_MINUTE.get());
    let ttl = checker.some_time(at.key("ttl"), ttl.as_ref(), TTL);
    let timeout = checker.some_time(at.key("timeout"), timeout.as_ref(), TIMEOUT);
    let (judge, name) = found?;
    Some(Learn {
        judge,
        name,
        max_usd_per_day: usd?,
        per_minute: NonZeroU32::new(per_minute).unwrap_or(PER_MINUTE),
        ttl,
        timeout,
    })
}

fn chat(
    checker: &mut Checker<'_>,
    name: &str,
    at: NodePath<'_>,
    known: &KnownOffers<'_>,
) -> Option<(EquivalenceJudge, Arc<str>)> {
    let (provider, model) = known.writer(checker, name, at)?;
    let name = format!("{}/{}", provider.name, model.name).into();
    Some((EquivalenceJudge::Chat { provider: Arc::clone(provider), model: Arc::clone(model) }, name))
}

/// What was certified is reckoned again, as for embeddings that serve by themselves.
fn embedding(
    checker: &mut Checker<'_>,
    written: &file::NearEmbedding,
    at: NodePath<'_>,
    known: &KnownOffers<'_>,
) -> Option<(EquivalenceJudge, Arc<str>)> {
    for key in ["shadow", "threshold", "timeout"].into_iter().filter(|key| at.key(key).is_given()) {
        let what = format!("`{key}` means nothing to a judge, who works off the request's path");
        checker.report(at.key(key), what, "delete it".to_owned());
    }
    let near = near::embedding(checker, written, at, known)?;
    let name = near.name.as_str().into();
    Some((EquivalenceJudge::Embedding(near), name))
}

fn max_usd(checker: &mut Checker<'_>, written: Option<&file::Dollars>, at: NodePath<'_>) -> Option<Usd> {
    if written.is_none() && !at.is_bad() {
        let help = "add `max_usd_per_day:`, like 1.00".to_owned();
        checker.report(at, "`learn` does not say what its answers may cost", help);
    }
    let usd = checker.read(at, written)?;
    if usd == Usd::ZERO {
        checker.report(at, "this pays for no answer", "write more than 0, or leave `learn` out".to_owned());
    }
    Some(usd)
}
