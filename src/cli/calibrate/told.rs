//! What a calibration comes to, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::calibration::{Certified, CurveRow, MaxFalseHit, NotCertified, bound_percent};
use crate::money::Usd;

/// What is told of a calibration.
pub(super) struct Told<'a> {
    pub(super) result: &'a Result<Certified, NotCertified>,
    pub(super) curve: &'a [CurveRow],
    pub(super) counted: Counted,
    pub(super) limit: MaxFalseHit,
    /// provider/model, where it is known.
    pub(super) embedder: Option<&'a str>,
    pub(super) dimensions: Option<usize>,
    /// What was paid.
    pub(super) usd: Option<Usd>,
}

/// How many pairs there are of each kind.
#[derive(Clone, Copy, Default)]
pub(super) struct Counted {
    pub(super) same: usize,
    pub(super) different: usize,
    pub(super) same_guarded: usize,
    pub(super) different_guarded: usize,
    pub(super) repeated: usize,
}

impl Told<'_> {
    /// What is written at the route's `cache`.
    fn yaml(&self, certified: &Certified) -> String {
        let Certified { threshold, negatives, false_hits, .. } = certified;
        let embedder = self.embedder.unwrap_or("PROVIDER/MODEL");
        let dimensions = self.dimensions.map_or("DIMENSIONS".to_owned(), |dimensions| dimensions.to_string());
        format!(
            "near: {{embedding: {embedder}, max_false_hit: {}, certified: {{threshold: {threshold}, negatives: \
             {negatives}, false_hits: {false_hits}, dimensions: {dimensions}}}}}",
            self.limit
        )
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let Counted { same, different, same_guarded, different_guarded, repeated } = self.counted;
        let mut text = format!(
            "{} pairs: {same} mean one picture ({same_guarded} of them a guard stops), {different} different pictures \
             ({different_guarded} a guard stops)\n",
            same + different
        );
        // Writing to a String cannot fail.
        if repeated > 0 {
            let _ = writeln!(text, "{repeated} lines say again what another said, and do not count");
        }
        if let Some(usd) = self.usd {
            let _ = writeln!(text, "the embeddings cost {usd} USD");
        }
        let _ = writeln!(text, "\nthreshold   found   wrong   wrong, with 95% confidence at most");
        for CurveRow { threshold, hits, false_hits, bound } in self.curve {
            let _ = writeln!(text, "{threshold:>9}{hits:>8}{false_hits:>8}   {}", bound_percent(*bound));
        }
        text.push('\n');
        text.push_str(&match self.result {
            Ok(certified) => {
                let Certified { threshold, negatives, false_hits, bound, positives, hits } = certified;
                let bound = bound_percent(*bound);
                format!(
                    "certified: from {threshold} on {hits} of {positives} are found, and {false_hits} of {negatives} \
                     wrongly, with 95% confidence {bound} at most. At the route's `cache` write\n\n  {}",
                    self.yaml(certified)
                )
            }
            Err(why) => format!("not certified: {}", self.why(*why)),
        });
        text
    }

    fn why(&self, why: NotCertified) -> String {
        let limit = self.limit;
        match why {
            NotCertified::TooFewDifferent { have, need } => {
                let need = need.map_or("more than there can be".to_owned(), |need| format!("{need} at the least"));
                format!(
                    "for {limit} it takes pairs that mean different pictures, {need} and none of them wrong: there are {have}"
                )
            }
            NotCertified::TooManyFalseHits { false_hits, negatives, bound } => format!(
                "even at 1.000 {false_hits} of {negatives} pairs that mean different pictures would hit, with 95% \
                 confidence {} at most, which is more than {limit}",
                bound_percent(bound)
            ),
            NotCertified::NothingFound { positives: 0, .. } => {
                "there is no pair that means one picture, so there would be nothing to find".to_owned()
            }
            NotCertified::NothingFound { positives, lowest } => format!(
                "{limit} can be kept from {lowest} on, and none of the {positives} pairs that mean one picture would be \
                 found from there on"
            ),
        }
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let Counted { same, different, same_guarded, different_guarded, repeated } = self.counted;
        let curve = self.curve.iter().map(|CurveRow { threshold, hits, false_hits, bound }| {
            json!({"threshold": threshold.number(), "hits": hits, "false_hits": false_hits, "bound": bound})
        });
        let mut summary = json!({
            "certified": null, "refused": null, "yaml": null,
            "same": same, "different": different, "same_guarded": same_guarded, "different_guarded": different_guarded,
            "repeated": repeated, "max_false_hit_ppm": self.limit.ppm(), "embedder": self.embedder,
            "dimensions": self.dimensions, "usd": self.usd.map(|usd| usd.to_string()), "curve": curve.collect::<Vec<_>>(),
        });
        match self.result {
            Ok(certified) => {
                let Certified { threshold, negatives, false_hits, bound, positives, hits } = certified;
                summary["certified"] = json!({
                    "threshold": threshold.number(), "negatives": negatives, "false_hits": false_hits, "bound": bound,
                    "positives": positives, "hits": hits,
                });
                summary["yaml"] = json!(self.yaml(certified));
            }
            Err(why) => summary["refused"] = json!({"reason": why.as_str(), "why": self.why(*why)}),
        }
        json!({"summary": summary})
    }
}
