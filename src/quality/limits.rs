//! Where a gate draws its lines, for who wants to see them: each number that a check goes by, the limit that it is held
//! against, and what was measured of a picture. What fails is found elsewhere; this only tells of it.

use crate::config::plan::{QualityCheck, QualityGate};
use crate::quality::appearance::{STRUCTURE, TRANSPARENT_PPM};
use crate::quality::examination::{Examination, Expected};
use crate::quality::shape;

/// One number that a check goes by. A check fails where each of its numbers is beyond its limit, but for what `besides` says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckLimit {
    /// The check.
    pub check: QualityCheck,
    /// The number's name, as metrics call it.
    pub metric: &'static str,
    /// On which side of the limit it fails.
    pub fails: FailsWhen,
    /// The limit.
    pub limit: f64,
    /// The key in the config that sets it; `None` is fixed.
    pub setting: Option<&'static str>,
    /// What else makes it fail or pass, which no number here tells: "and ..." or "or ...".
    pub besides: Option<&'static str>,
}

/// On which side of a limit a number speaks against a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailsWhen {
    /// Below it.
    Below,
    /// Above it.
    Above,
    /// At it or below.
    AtMost,
    /// At it or above.
    AtLeast,
}

impl FailsWhen {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            FailsWhen::Below => "below",
            FailsWhen::Above => "above",
            FailsWhen::AtMost => "at_most",
            FailsWhen::AtLeast => "at_least",
        }
    }

    /// Whether a number is beyond the limit.
    pub fn is_beyond(self, measured: f64, limit: f64) -> bool {
        match self {
            FailsWhen::Below => measured < limit,
            FailsWhen::Above => measured > limit,
            FailsWhen::AtMost => measured <= limit,
            FailsWhen::AtLeast => measured >= limit,
        }
    }
}

/// What a check found in one picture.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckReport {
    /// The check.
    pub check: QualityCheck,
    /// What it makes of the picture.
    pub outcome: CheckOutcome,
    /// Each number that it goes by, and what was measured.
    pub numbers: Vec<(CheckLimit, Option<f64>)>,
}

/// What a check makes of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// Nothing is wrong with it.
    Passes,
    /// It fails, and is delivered and told.
    Flags,
    /// It fails, and is not delivered.
    Rejects,
    /// The number that it goes by could not be measured, or there was nothing to compare with.
    NotMeasured,
}

impl CheckOutcome {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            CheckOutcome::Passes => "passes",
            CheckOutcome::Flags => "flags",
            CheckOutcome::Rejects => "rejects",
            CheckOutcome::NotMeasured => "not_measured",
        }
    }
}

/// Every limit of the checks that `gate` makes of a picture of which so much was agreed, in the order of
/// [`QualityCheck::ALL`]. A judge outside has none: it is asked, not measured.
pub fn limits(gate: &QualityGate, expected: &Expected, max_pixels: u64) -> Vec<CheckLimit> {
    gate.checks().iter().flat_map(|check| limits_of(check, gate, expected, max_pixels)).collect()
}

fn limits_of(check: QualityCheck, gate: &QualityGate, expected: &Expected, max_pixels: u64) -> Vec<CheckLimit> {
    use FailsWhen::{Above, AtLeast, AtMost, Below};
    let at = &gate.thresholds;
    let has_shape = expected.ratio.is_some() || expected.size.is_some();
    let limit = |metric, fails, limit, setting| CheckLimit {
        check,
        metric,
        fails,
        limit,
        setting: Some(setting),
        besides: None,
    };
    let fixed = |metric, fails, limit| CheckLimit { check, metric, fails, limit, setting: None, besides: None };
    let spread = limit("spread", Below, at.blank_spread, "thresholds.blank_spread");
    match check {
        QualityCheck::Undecodable => vec![fixed("decoded", Below, 1.0)],
        QualityCheck::TooManyPixels => vec![limit("pixels", Above, max_pixels as f64, "quality.max_pixels")],
        QualityCheck::WrongSize if expected.size.is_some() => {
            vec![limit("size_off", Above, at.size_tolerance, "thresholds.size_tolerance")]
        }
        QualityCheck::WrongRatio if has_shape => {
            vec![limit("ratio_off", Above, at.size_tolerance, "thresholds.size_tolerance")]
        }
        QualityCheck::TooSmall if gate.min_size.is_some() => vec![limit("part_of_min_size", Below, 1.0, "min_size")],
        QualityCheck::OddRatio => vec![limit("side_ratio", Below, at.odd_ratio, "thresholds.odd_ratio")],
        QualityCheck::Blank => {
            let deviation = limit("deviation", Below, at.blank_deviation, "thresholds.blank_deviation");
            vec![CheckLimit { besides: Some("and no colour fades"), ..deviation }, spread]
        }
        QualityCheck::NearUniform => {
            let band_share = limit("band_share", Above, at.uniform_share, "thresholds.uniform_share");
            vec![CheckLimit { besides: Some("or of two levels"), ..band_share }, spread]
        }
        QualityCheck::LowInformation => {
            vec![limit("information", Below, at.low_information, "thresholds.low_information")]
        }
        QualityCheck::Dark => vec![limit("bright_parts", Below, at.dark, "thresholds.dark")],
        QualityCheck::Light => vec![limit("dark_parts", Above, at.light, "thresholds.light")],
        QualityCheck::Blurred => {
            vec![limit("sharpness", Below, at.blur, "thresholds.blur"), fixed("structure", AtLeast, STRUCTURE)]
        }
        QualityCheck::StaticNoise => vec![limit("noise", Above, at.noise, "thresholds.noise")],
        QualityCheck::Mosaic => vec![CheckLimit {
            besides: Some("and its blocks are flat and of many colours"),
            ..limit("mosaic", Above, at.mosaic, "thresholds.mosaic")
        }],
        QualityCheck::Duplicate => {
            vec![limit("nearest_difference", AtMost, at.duplicate_difference, "thresholds.duplicate_difference")]
        }
        QualityCheck::BrandColor => {
            let brand = gate.brand.iter();
            brand.map(|brand| limit("brand_share", Below, share(brand.share_ppm), "brand.share")).collect()
        }
        QualityCheck::Opaque if expected.transparent => {
            vec![fixed("transparent_share", Below, share(TRANSPARENT_PPM))]
        }
        QualityCheck::WrongSize
        | QualityCheck::WrongRatio
        | QualityCheck::TooSmall
        | QualityCheck::Opaque
        | QualityCheck::Judge => Vec::new(),
    }
}

fn share(ppm: u32) -> f64 {
    f64::from(ppm) / 1_000_000.0
}

impl Examination {
    /// What each check found, whose limits are `limits`.
    pub fn report(&self, gate: &QualityGate, expected: &Expected, limits: &[CheckLimit]) -> Vec<CheckReport> {
        let of_one_check = limits.chunk_by(|one, next| one.check == next.check);
        of_one_check
            .filter_map(|limits| {
                let check = limits.first()?.check;
                let numbers: Vec<_> =
                    limits.iter().map(|limit| (*limit, self.measured(limit, gate, expected))).collect();
                let failed = self.findings.iter().any(|finding| finding.check == check);
                let outcome = if failed && gate.reject.has(check) {
                    CheckOutcome::Rejects
                } else if failed {
                    CheckOutcome::Flags
                } else if numbers.iter().any(|(_, measured)| measured.is_none()) {
                    CheckOutcome::NotMeasured
                } else {
                    CheckOutcome::Passes
                };
                Some(CheckReport { check, outcome, numbers })
            })
            .collect()
    }

    fn measured(&self, limit: &CheckLimit, gate: &QualityGate, expected: &Expected) -> Option<f64> {
        match limit.check {
            QualityCheck::Undecodable => self.decoded().map(|decoded| f64::from(u8::from(decoded))),
            QualityCheck::TooManyPixels => self.size.map(|size| size.pixels() as f64),
            QualityCheck::WrongSize | QualityCheck::WrongRatio | QualityCheck::TooSmall | QualityCheck::OddRatio => {
                shape::measured(limit.check, self.size?, gate, expected)
            }
            _ => self.metrics.named().find(|(name, _)| *name == limit.metric).map(|(_, measured)| measured),
        }
    }

    /// Whether the file decodes to its last pixel; `None` where nobody tried, because it has too many of them.
    fn decoded(&self) -> Option<bool> {
        let found = |check| self.findings.iter().any(|finding| finding.check == check);
        if found(QualityCheck::TooManyPixels) { None } else { Some(!found(QualityCheck::Undecodable)) }
    }
}
