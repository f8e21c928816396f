//! The default gate held against a drawn case, for the test and for `cargo bench --bench gate`.

use std::sync::Arc;

use easel::internals::config::plan::{Brand, QualityGate};
use easel::internals::image::{Format, Size};
use easel::internals::quality::{Examination, Expected, examine};
use easel_fixtures::{Case, File, Kind, Pair};

/// Rows without a promise: damage after which the codes happen to fit, what can be told from a gradient by nobody, and what was
/// so faint or so dark that a coarse JPEG has more of its own noise than of the picture.
pub const NOT_PROMISED: &[&str] = &["zeros within (JPEG)", "blurred hills in fog", "blurred, JPEG of 75"];

const MAX_PIXELS: u64 = 1 << 24;

pub fn format(file: &File) -> Format {
    match file.kind {
        Kind::Png => Format::Png,
        Kind::Jpeg => Format::Jpeg,
        Kind::Webp => Format::Webp,
    }
}

/// The row of a case, and what is wrong with its verdict.
pub fn judge(case: &Case) -> (&'static str, Option<String>) {
    let size = |(width, height)| Size::new(width, height);
    let brand = case.brand.map(|color| Arc::new(Brand { colors: vec![color], delta_e: 10.0, share_ppm: 10_000 }));
    let gate = QualityGate { min_size: case.least.map(size), brand, ..QualityGate::default() };
    let expected = Expected { size: case.agreed.map(size), ratio: case.ratio, transparent: case.transparent };
    let found = examine(&case.file.bytes, format(&case.file), &gate, &expected, MAX_PIXELS);
    let verdict = found.verdict(&gate);
    let failed: Vec<&str> = verdict.rejected.iter().chain(&verdict.flagged).map(|check| check.as_str()).collect();
    let right = if case.wanted.is_empty() {
        verdict.rejected.is_empty()
    } else {
        failed.iter().any(|check| case.wanted.contains(check))
    };
    (case.row, (!right).then(|| format!("{}: {}", case.what, told(&failed, &found))))
}

/// The row of a pair, and what is wrong with the verdict on its second picture.
pub fn judge_pair(pair: &Pair) -> (&'static str, Option<String>) {
    let gate = QualityGate::default();
    let look = |file: &File| examine(&file.bytes, format(file), &gate, &Expected::default(), MAX_PIXELS);
    let (one, mut other) = (look(&pair.one), look(&pair.other));
    other.compare(&gate, &one.fingerprint);
    let failed: Vec<&str> = other.verdict(&gate).rejected.iter().map(|check| check.as_str()).collect();
    let right = failed.contains(&"duplicate") == pair.same;
    (pair.row, (!right).then(|| format!("{}: {}", pair.what, told(&failed, &other))))
}

fn told(failed: &[&str], found: &Examination) -> String {
    let numbers: Vec<String> = found.metrics.named().map(|(name, measured)| format!("{name} {measured:.3}")).collect();
    format!("{failed:?} {}", numbers.join(" "))
}
