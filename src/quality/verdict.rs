//! What becomes of a picture, by what failed and what its route makes of that.

use crate::config::plan::{CheckSet, QualityCheck, QualityGate};
use crate::quality::examination::QualityFinding;

/// What becomes of a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QualityVerdict {
    /// Why it is rejected; none is accepted.
    pub rejected: Vec<QualityCheck>,
    /// What is told of it though it is delivered.
    pub flagged: Vec<QualityCheck>,
    /// How bad a rejected picture is: 0 is no failed check, and of two the lower one is handed out where nothing better came.
    /// `None` is a picture that nobody could look at.
    pub badness: Option<f64>,
}

impl QualityVerdict {
    pub(super) fn of(findings: &[QualityFinding], gate: &QualityGate) -> QualityVerdict {
        let failed = |set: CheckSet| -> Vec<QualityCheck> {
            let has = |check: &QualityCheck| findings.iter().any(|finding| finding.check == *check);
            set.iter().filter(has).collect()
        };
        let rejected = failed(gate.reject);
        let unseen = findings.iter().any(|finding| weight(finding.check).is_none());
        let counts = findings.iter().filter(|finding| gate.reject.has(finding.check));
        let badness = counts.filter_map(|finding| Some(weight(finding.check)? + excess(finding))).sum();
        let flagged = failed(gate.flag.without(gate.reject));
        QualityVerdict { rejected, flagged, badness: (!unseen).then_some(badness) }
    }
}

/// How much a failed check takes from what somebody can still do with a picture: one of another size can be cut, and a
/// blank one is good for nothing. `None` cannot be looked at.
fn weight(check: QualityCheck) -> Option<f64> {
    Some(match check {
        QualityCheck::Undecodable | QualityCheck::TooManyPixels => return None,
        QualityCheck::WrongSize | QualityCheck::TooSmall | QualityCheck::OddRatio | QualityCheck::Duplicate => 1.0,
        QualityCheck::WrongRatio
        | QualityCheck::BrandColor
        | QualityCheck::LowInformation
        | QualityCheck::Dark
        | QualityCheck::Light => 3.0,
        QualityCheck::Opaque | QualityCheck::Judge => 5.0,
        QualityCheck::Blurred => 10.0,
        QualityCheck::Mosaic | QualityCheck::StaticNoise => 20.0,
        QualityCheck::Blank | QualityCheck::NearUniform => 40.0,
    })
}

/// How far beyond its limit something is, from 0 to 1, so that of two pictures with one fault the lesser one is better.
fn excess(finding: &QualityFinding) -> f64 {
    let (measured, limit) = (finding.measured.abs(), finding.limit.abs());
    let larger = measured.max(limit);
    if larger > 0.0 && larger.is_finite() { (measured - limit).abs() / larger } else { 1.0 }
}
