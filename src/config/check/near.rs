//! `near:` of a route's cache: an embedding serves only what was certified, and what was certified is reckoned again.

use std::sync::Arc;
use std::time::Duration;

use crate::calibration::{MaxFalseHit, bound_percent, different_needed, upper_bound};
use crate::config::check::checker::Checker;
use crate::config::check::offers::KnownOffers;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::NearEmbedding;
use crate::similarity::{MOST_DIMENSIONS, Similarity};

/// An embedding takes 50 to 300 ms at a vendor, and a drawing seconds.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Whether other words count at all, and how embeddings of them do, where they do.
pub(super) fn near(
    checker: &mut Checker<'_>,
    written: Option<&file::Near>,
    at: NodePath<'_>,
    known: &KnownOffers<'_>,
) -> (bool, Option<Arc<NearEmbedding>>) {
    match written {
        None | Some(file::Near::Word(file::NearWord::Off)) => (false, None),
        Some(file::Near::Word(file::NearWord::Verified)) => (true, None),
        Some(file::Near::Embedding(written)) => (true, embedding(checker, written, at, known)),
    }
}

/// An embedding whose threshold was certified, or that serves nothing.
pub(super) fn embedding(
    checker: &mut Checker<'_>,
    written: &file::NearEmbedding,
    at: NodePath<'_>,
    known: &KnownOffers<'_>,
) -> Option<Arc<NearEmbedding>> {
    let file::NearEmbedding { embedding, max_false_hit, certified, shadow, threshold, timeout } = written;
    let found = match embedding {
        Some(name) => known.embedder(checker, name, at.key("embedding")),
        None => {
            checker.report(
                at.key("embedding"),
                "`near` names no embedding",
                "add `embedding: provider/model`".to_owned(),
            );
            None
        }
    };
    let limit = at.key("max_false_hit");
    let max_false_hit = checker.read(limit, max_false_hit.as_ref()).map(MaxFalseHit::from_ppm);
    if max_false_hit == Some(None) {
        checker.report(limit, "must be more than 0% and less than 100%", None);
    }
    let max_false_hit = max_false_hit.flatten().unwrap_or(MaxFalseHit::DEFAULT);
    let name = match embedding {
        Some(name) if !at.key("embedding").is_expanded() => name,
        _ => "PROVIDER/MODEL",
    };
    let calibrate = format!(
        "easel calibrate --pairs pairs.jsonl --max-false-hit {max_false_hit} --config easel.yaml --embedder {name}"
    );
    let (shadow, timeout) = (shadow.unwrap_or(false), checker.some_time(at.key("timeout"), timeout.as_ref(), TIMEOUT));
    let place = at.key("certified");
    let serves = match (certified, threshold) {
        (Some(_), Some(_)) => {
            let what = "`certified` has a threshold already";
            checker.report(at.key("threshold"), what, "delete one of the two".to_owned());
            None
        }
        (Some(written), None) => self::certified(checker, written, place, max_false_hit, &calibrate),
        (None, Some(written)) => {
            if !shadow {
                let help = format!("run `{calibrate}` and write what it says, or add `shadow: true`");
                checker.report(at.key("threshold"), "a threshold that nobody certified serves nothing", help);
            }
            self::threshold(checker, written, at.key("threshold")).map(|threshold| (threshold, None))
        }
        (None, None) if shadow => {
            let help = "add `threshold: 0.9`, or what `easel calibrate` certified".to_owned();
            checker.report(place, "`near` does not say from which likeness on", help);
            None
        }
        (None, None) => {
            let help =
                format!("run `{calibrate}` and write what it says, or begin with `shadow: true` and `threshold: 0.9`");
            checker.report(place, "an embedding serves nothing before its threshold is certified", help);
            None
        }
    };
    let ((provider, model), (threshold, dimensions)) = (found?, serves?);
    let (provider, model) = (Arc::clone(provider), Arc::clone(model));
    let name = format!("{}/{}", provider.name, model.name);
    Some(Arc::new(NearEmbedding { provider, model, name, threshold, dimensions, shadow, timeout }))
}

/// A threshold, and for how many dimensions, if it is as good as the limit.
fn certified(
    checker: &mut Checker<'_>,
    written: &file::CertifiedThreshold,
    at: NodePath<'_>,
    max_false_hit: MaxFalseHit,
    calibrate: &str,
) -> Option<(Similarity, Option<u16>)> {
    let file::CertifiedThreshold { threshold, negatives, false_hits, dimensions } = written;
    let keys = [
        ("threshold", threshold.is_some()),
        ("negatives", negatives.is_some()),
        ("false_hits", false_hits.is_some()),
        ("dimensions", dimensions.is_some()),
    ];
    for (key, _) in keys.into_iter().filter(|(_, given)| !given) {
        let help = format!("run `{calibrate}`, which writes all of it");
        checker.report(at.key(key), format!("`certified` has no `{key}`"), help);
    }
    let threshold = self::threshold(checker, threshold.as_ref()?, at.key("threshold"));
    let (negatives, false_hits) = ((*negatives)?, (*false_hits)?);
    let dimensions: u16 = checker.count(at.key("dimensions"), *dimensions, 1, 1);
    if usize::from(dimensions) > MOST_DIMENSIONS {
        checker.report(at.key("dimensions"), format!("must be at most {MOST_DIMENSIONS}"), None);
    }
    let limit = max_false_hit.share();
    let bound = upper_bound(false_hits, negatives);
    if bound > limit {
        let need =
            different_needed(limit).map_or(String::new(), |need| format!(" ({need} with none wrong are the fewest)"));
        let what = format!(
            "{false_hits} wrong of {negatives} may be {} with 95% confidence, which is more than {max_false_hit}",
            bound_percent(bound)
        );
        let help = format!("run `{calibrate}` with more pairs{need} and write what it says");
        checker.report(at, what, help);
    }
    Some((threshold?, Some(dimensions)))
}

fn threshold(checker: &mut Checker<'_>, written: &file::Decimal, at: NodePath<'_>) -> Option<Similarity> {
    let number = checker.read(at, Some(written))?;
    let threshold = Similarity::from_number(number).filter(|_| number > 0.0);
    if threshold.is_none() {
        checker.report(at, "must be more than 0 and at most 1", "a likeness of 1 is the same".to_owned());
    }
    threshold
}
