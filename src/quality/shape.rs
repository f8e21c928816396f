//! The checks of a picture's sides, which its header tells.

use crate::config::plan::{QualityCheck, QualityGate};
use crate::image::Size;
use crate::quality::examination::{Examination, Expected, QualityFinding};

/// Notes which of them fail.
pub(super) fn judge(examination: &mut Examination, size: Size, gate: &QualityGate, expected: &Expected) {
    let (checks, limits) = (gate.checks(), &gate.thresholds);
    let mut hold = |check: QualityCheck, limit: f64, fails: fn(f64, f64) -> bool| {
        let measured = measured(check, size, gate, expected).filter(|_| checks.has(check));
        if let Some(measured) = measured.filter(|measured| fails(*measured, limit)) {
            examination.note(QualityFinding { check, measured, limit });
        }
    };
    hold(QualityCheck::WrongSize, limits.size_tolerance, |off, limit| off > limit);
    hold(QualityCheck::WrongRatio, limits.size_tolerance, |off, limit| off > limit);
    hold(QualityCheck::TooSmall, 1.0, |part, limit| part < limit);
    hold(QualityCheck::OddRatio, limits.odd_ratio, |ratio, limit| ratio < limit);
}

/// The number that one of these checks goes by; `None` where nothing was agreed that it could be held against.
pub(super) fn measured(check: QualityCheck, size: Size, gate: &QualityGate, expected: &Expected) -> Option<f64> {
    let [width, height] = [size.width, size.height].map(f64::from);
    match check {
        QualityCheck::WrongSize => {
            expected.size.map(|agreed| off(width, agreed.width.into()).max(off(height, agreed.height.into())))
        }
        QualityCheck::WrongRatio => {
            let agreed = expected.ratio.or(expected.size.map(|size| (size.width, size.height)));
            let (across, down) = agreed.filter(|(across, down)| *across > 0 && *down > 0)?;
            Some(off(width / height, f64::from(across) / f64::from(down)))
        }
        QualityCheck::TooSmall => gate.min_size.map(|least| {
            let [wide, high] = [least.width, least.height].map(f64::from);
            (width / wide.max(1.0)).min(height / high.max(1.0))
        }),
        QualityCheck::OddRatio => Some(width.min(height) / width.max(height).max(1.0)),
        _ => None,
    }
}

/// By which share of what was agreed something misses it. What rounding adds is no miss.
fn off(measured: f64, agreed: f64) -> f64 {
    ((measured - agreed).abs() / agreed.max(1e-9) - 1e-9).max(0.0)
}
