//! What a picture is worth: it is decoded, measured and held against what its route wants. Every "no" has a word.
//!
//! [`examine`] looks at one file and finds what fails. [`Examination::compare`] holds it against the other pictures of the
//! same request, and [`Examination::verdict`] tells what becomes of it. All of it is arithmetic on bytes: nothing here has
//! a thread, a file or a clock, and the caller sees to it that it is not done where clients are served.
//!
//! What a file says of itself is looked at first: its sides cost nothing, and a file of too many pixels is never decoded.
//! Pixels are decoded only for a check that needs them, and each number is measured only for a check that goes by it. The
//! loops over pixels are a crate of their own, `pixels/`.

use easel_pixels::{Decoded, Header, Undecodable};

use crate::config::plan::{CheckSet, QualityCheck, QualityGate};
use crate::image::{Format, Size};

mod appearance;
mod examination;
#[cfg(feature = "cli")]
mod limits;
mod picture_quality;
mod shape;
mod thumbnail;
mod verdict;

#[cfg(test)]
mod tests;

pub use easel_pixels::Fingerprint;
pub use examination::{Examination, Expected, QualityFinding, QualityMetrics};
#[cfg(feature = "cli")]
pub use limits::{CheckLimit, CheckOutcome, CheckReport, FailsWhen, limits};
pub use picture_quality::PictureQuality;
pub use verdict::QualityVerdict;

/// Looks at a file by the checks of `gate`. No more than `max_pixels` are ever decoded.
pub fn examine(file: &[u8], format: Format, gate: &QualityGate, expected: &Expected, max_pixels: u64) -> Examination {
    let mut examination = Examination::default();
    let format = decoder_of(format);
    let header = match Header::read(file, format) {
        Ok(header) => header,
        Err(reason) => {
            examination.note(undecodable(reason, max_pixels));
            return examination;
        }
    };
    let size = Size::new(header.width, header.height);
    examination.size = Some(size);
    shape::judge(&mut examination, size, gate, expected);
    if header.pixels() > max_pixels {
        examination.note(undecodable(Undecodable::TooManyPixels { pixels: header.pixels() }, max_pixels));
        return examination;
    }
    let needed = needed(gate, expected);
    if needed.iter().any(QualityCheck::needs_pixels) {
        match Decoded::from_file(file, format, max_pixels) {
            Ok(decoded) => appearance::judge(&mut examination, &decoded, gate, needed),
            Err(reason) => examination.note(undecodable(reason, max_pixels)),
        }
    }
    examination
}

/// The picture in `file` as a small PNG for people to look at. `None` where it has more than `max_pixels`, or does not decode.
pub fn thumbnail(file: &[u8], format: Format, max_pixels: u64) -> Option<Vec<u8>> {
    thumbnail::of(file, decoder_of(format), max_pixels)
}

/// What decodes files of a format.
fn decoder_of(format: Format) -> easel_pixels::Format {
    match format {
        Format::Png => easel_pixels::Format::Png,
        Format::Jpeg => easel_pixels::Format::Jpeg,
        Format::Webp => easel_pixels::Format::Webp,
    }
}

/// The checks of a gate that can fail for this picture.
fn needed(gate: &QualityGate, expected: &Expected) -> CheckSet {
    let mut idle = Vec::new();
    if gate.brand.is_none() {
        idle.push(QualityCheck::BrandColor);
    }
    if !expected.transparent {
        idle.push(QualityCheck::Opaque);
    }
    gate.checks().without(CheckSet::of(&idle))
}

fn undecodable(reason: Undecodable, max_pixels: u64) -> QualityFinding {
    match reason {
        Undecodable::TooManyPixels { pixels } => {
            QualityFinding { check: QualityCheck::TooManyPixels, measured: pixels as f64, limit: max_pixels as f64 }
        }
        // None of it was seen where all of it must be.
        Undecodable::Header | Undecodable::Damaged => {
            QualityFinding { check: QualityCheck::Undecodable, measured: 0.0, limit: 1.0 }
        }
    }
}

impl Examination {
    /// Holds it against the other pictures of the same request.
    pub fn compare<'a>(&mut self, gate: &QualityGate, others: impl IntoIterator<Item = &'a Fingerprint>) {
        let Some(own) = &self.fingerprint else { return };
        if !gate.checks().has(QualityCheck::Duplicate) {
            return;
        }
        let differences = others.into_iter().map(|other| own.difference(other));
        let Some(nearest) = differences.min_by(f64::total_cmp) else { return };
        self.metrics.nearest_difference = Some(nearest);
        let limit = gate.thresholds.duplicate_difference;
        if nearest <= limit {
            self.note(QualityFinding { check: QualityCheck::Duplicate, measured: nearest, limit });
        }
    }

    /// What becomes of the picture.
    pub fn verdict(&self, gate: &QualityGate) -> QualityVerdict {
        QualityVerdict::of(&self.findings, gate)
    }
}
