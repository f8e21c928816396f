//! The checks of a picture's sides, which its header tells.

use crate::config::plan::{QualityCheck, QualityGate};
use crate::image::Size;
use crate::quality::examination::{Examination, Expected, QualityFinding};

/// Notes which of them fail.
pub(super) fn judge(examination: &mut Examination, size: Size, gate: &QualityGate, expected: &Expected) {
    let (checks, limits) = (gate.checks(), &gate.thresholds);
    let [width, height] = [size.width, size.height].map(f64::from);
    let mut note = |check: QualityCheck, measured: f64, limit: f64, fails: bool| {
        if fails && checks.has(check) {
            examination.note(QualityFinding { check, measured, limit });
        }
    };
    if let Some(agreed) = expected.size {
        let off = off(width, agreed.width.into()).max(off(height, agreed.height.into()));
        note(QualityCheck::WrongSize, off, limits.size_tolerance, off > limits.size_tolerance);
    }
    let agreed = expected.ratio.or(expected.size.map(|size| (size.width, size.height)));
    if let Some((across, down)) = agreed.filter(|(across, down)| *across > 0 && *down > 0) {
        let off = off(width / height, f64::from(across) / f64::from(down));
        note(QualityCheck::WrongRatio, off, limits.size_tolerance, off > limits.size_tolerance);
    }
    if let Some(least) = gate.min_size {
        let [wide, high] = [least.width, least.height].map(f64::from);
        let part = (width / wide.max(1.0)).min(height / high.max(1.0));
        note(QualityCheck::TooSmall, part, 1.0, part < 1.0);
    }
    let ratio = width.min(height) / width.max(height).max(1.0);
    note(QualityCheck::OddRatio, ratio, limits.odd_ratio, ratio < limits.odd_ratio);
}

/// By which share of what was agreed something misses it. What rounding adds is no miss.
fn off(measured: f64, agreed: f64) -> f64 {
    ((measured - agreed).abs() / agreed.max(1e-9) - 1e-9).max(0.0)
}
