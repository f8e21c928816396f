//! What was agreed about a picture, and what was found out.

use easel_pixels::Fingerprint;

use crate::config::plan::QualityCheck;
use crate::image::Size;

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
    /// Levels between the darkest and the lightest of 2,000 pixels.
    pub spread: Option<f64>,
    /// The largest share of the pixels in three levels of brightness.
    pub band_share: Option<f64>,
    /// Entropy of the brightness over its maximum.
    pub information: Option<f64>,
    /// Brightness of the 99th percentile, 0 to 1.
    pub bright_parts: Option<f64>,
    /// Brightness of the 1st percentile, 0 to 1.
    pub dark_parts: Option<f64>,
    /// How sharp the edges of the sharpest part are, or, where none stands out, those of small copies.
    pub sharpness: Option<f64>,
    /// How much of a small copy's contrast is shapes that could be sharp.
    pub structure: Option<f64>,
    /// Variance of the Laplacian over that of the brightness in the calmest part.
    pub noise: Option<f64>,
    /// How far the edges of blocks stand out.
    pub mosaic: Option<f64>,
    /// The share of the pixels that has the brand's colour that is there least.
    pub brand_share: Option<f64>,
    /// The share of the pixels that are not opaque.
    pub transparent_share: Option<f64>,
    /// How much differs from the picture of the same request that is most alike: 0 is nothing, 1 is as much as there is.
    pub nearest_difference: Option<f64>,
}

impl QualityMetrics {
    /// Each number that was measured, with its name.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [
            ("deviation", self.deviation),
            ("spread", self.spread),
            ("band_share", self.band_share),
            ("information", self.information),
            ("bright_parts", self.bright_parts),
            ("dark_parts", self.dark_parts),
            ("sharpness", self.sharpness),
            ("structure", self.structure),
            ("noise", self.noise),
            ("mosaic", self.mosaic),
            ("brand_share", self.brand_share),
            ("transparent_share", self.transparent_share),
            ("nearest_difference", self.nearest_difference),
        ];
        all.into_iter().filter_map(|(name, measured)| Some((name, measured?)))
    }
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

impl Examination {
    /// Notes a check that failed.
    pub fn note(&mut self, finding: QualityFinding) {
        self.findings.push(finding);
    }
}
