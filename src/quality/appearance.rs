//! The checks of what a picture looks like, on decoded pixels.

use easel_pixels::{
    Backdrop, Decoded, Fingerprint, Histogram, Likeness, Surface, Thumbnail, mosaic, noise, share_of_color, sharpness,
};

use crate::config::plan::{CheckSet, QualityCheck, QualityGate, QualityThresholds};
use crate::quality::examination::{Examination, QualityFinding, QualityMetrics};

/// Alpha below which a pixel cannot be seen.
const INVISIBLE: u8 = 8;
/// Of a million pixels, how many must be seen for a picture to be one: what `spread` leaves out at either end.
const SEEN_PPM: u32 = 500;
/// Of a million pixels, how many must not be opaque where transparency was asked for. A frame of one pixel around 1024 by
/// 1024 is four times as much, and the noise of an encoder that keeps an alpha channel is none.
const TRANSPARENT_PPM: u32 = 1_000;
/// Variance of the Laplacian of a small copy above which a picture shows something that could be sharp: a gradient
/// from white to black over all of the picture, or round its middle, has less than 3.
const STRUCTURE: f64 = 8.0;
/// Levels by which a colour may differ between two copies of one picture. JPEG of quality 60 moves one by up to 6.
const COLOR_MOVES: u8 = 20;

/// Measures a picture for the checks that are `needed`, and notes which of them fail.
pub(super) fn judge(examination: &mut Examination, decoded: &Decoded, gate: &QualityGate, needed: CheckSet) {
    let mut looks = Looks { limits: &gate.thresholds, needed, metrics: QualityMetrics::default(), failed: Vec::new() };
    let see_through = decoded.share_below_alpha(255);
    if needed.has(QualityCheck::Opaque) {
        looks.metrics.transparent_share = Some(share(see_through));
        let (check, limit) = (QualityCheck::Opaque, share(TRANSPARENT_PPM));
        looks.hold(check, share(see_through), limit, see_through < TRANSPARENT_PPM);
    }
    if see_through > 0 && 1_000_000 - decoded.share_below_alpha(INVISIBLE) < SEEN_PPM {
        looks.hold(QualityCheck::Blank, 0.0, gate.thresholds.blank_spread, true);
    }
    let surface = Surface::new(decoded, Backdrop::White);
    let thumbnail = looks.wants_thumbnail().then(|| Thumbnail::of(&surface));
    let failed_before = looks.failed.len();
    looks.judge_on(&surface, thumbnail.as_ref());
    // A white logo is nothing on white: what fails there must fail on black as well.
    if see_through > 0 && looks.failed.len() > failed_before {
        let failed = looks.failed.split_off(failed_before);
        let needed = CheckSet::of(&failed.iter().map(|finding| finding.check).collect::<Vec<_>>());
        let mut on_black =
            Looks { limits: &gate.thresholds, needed, metrics: QualityMetrics::default(), failed: Vec::new() };
        let surface = Surface::new(decoded, Backdrop::Black);
        let thumbnail = on_black.wants_thumbnail().then(|| Thumbnail::of(&surface));
        on_black.judge_on(&surface, thumbnail.as_ref());
        if on_black.failed.len() < failed.len() {
            looks.metrics = on_black.metrics.or(looks.metrics);
        }
        looks.failed.extend(on_black.failed);
    }
    if let Some(thumbnail) = &thumbnail {
        if needed.has(QualityCheck::Duplicate) {
            examination.fingerprint = Some(Fingerprint::of(thumbnail));
        }
        if let Some(brand) = gate.brand.as_ref().filter(|_| needed.has(QualityCheck::BrandColor)) {
            let shares = brand.colors.iter().map(|color| share_of_color(thumbnail, *color, brand.delta_e as f32));
            let least = shares.min().unwrap_or(1_000_000);
            looks.metrics.brand_share = Some(share(least));
            looks.hold(QualityCheck::BrandColor, share(least), share(brand.share_ppm), least < brand.share_ppm);
        }
    }
    examination.metrics = looks.metrics;
    examination.findings.extend(looks.failed);
}

/// Whether two pictures show the same.
pub(super) fn is_duplicate(likeness: &Likeness, limits: &QualityThresholds) -> bool {
    likeness.bits <= limits.duplicate_distance
        && likeness.difference <= limits.duplicate_difference
        && likeness.color <= COLOR_MOVES
}

fn share(ppm: u32) -> f64 {
    f64::from(ppm) / 1_000_000.0
}

struct Looks<'a> {
    limits: &'a QualityThresholds,
    needed: CheckSet,
    metrics: QualityMetrics,
    failed: Vec<QualityFinding>,
}

impl Looks<'_> {
    fn hold(&mut self, check: QualityCheck, measured: f64, limit: f64, fails: bool) {
        let known = self.failed.iter().any(|finding| finding.check == check);
        if fails && self.needed.has(check) && !known {
            self.failed.push(QualityFinding { check, measured, limit });
        }
    }

    fn needs_any(&self, checks: &[QualityCheck]) -> bool {
        checks.iter().any(|check| self.needed.has(*check))
    }

    fn wants_thumbnail(&self) -> bool {
        self.needs_any(&[
            QualityCheck::Blank,
            QualityCheck::NearUniform,
            QualityCheck::Blurred,
            QualityCheck::Duplicate,
            QualityCheck::BrandColor,
        ])
    }

    fn judge_on(&mut self, surface: &Surface<'_>, thumbnail: Option<&Thumbnail>) {
        let by_brightness = [
            QualityCheck::Blank,
            QualityCheck::NearUniform,
            QualityCheck::LowInformation,
            QualityCheck::Dark,
            QualityCheck::Light,
        ];
        if self.needs_any(&by_brightness) {
            self.judge_brightness(&Histogram::of(surface), thumbnail);
        }
        if let Some(thumbnail) = thumbnail.filter(|_| self.needed.has(QualityCheck::Blurred)) {
            let found = sharpness(surface, thumbnail);
            self.metrics.sharpness = Some(found.edges);
            self.metrics.structure = Some(found.structure);
            let blurred = found.edges < self.limits.blur && found.structure >= STRUCTURE;
            self.hold(QualityCheck::Blurred, found.edges, self.limits.blur, blurred);
        }
        if self.needed.has(QualityCheck::StaticNoise) {
            let found = noise(surface);
            self.metrics.noise = Some(found);
            self.hold(QualityCheck::StaticNoise, found, self.limits.noise, found > self.limits.noise);
        }
        if self.needed.has(QualityCheck::Mosaic) {
            let found = mosaic(surface);
            self.metrics.mosaic = Some(found.step);
            let is_mosaic = found.step > self.limits.mosaic && found.is_flat() && !found.is_drawn();
            self.hold(QualityCheck::Mosaic, found.step, self.limits.mosaic, is_mosaic);
        }
    }

    fn judge_brightness(&mut self, histogram: &Histogram, thumbnail: Option<&Thumbnail>) {
        let limits = self.limits;
        if self.needs_any(&[QualityCheck::Blank, QualityCheck::NearUniform]) {
            // Red on green of one brightness is something to see, too.
            let levels = histogram.spread();
            let flat = f64::from(levels) < limits.blank_spread;
            let chroma = thumbnail.filter(|_| flat).map_or(0, Thumbnail::chroma_spread);
            let spread = f64::from(levels.max(chroma));
            let (deviation, band_share) = (histogram.deviation(), histogram.band_share());
            self.metrics.deviation = Some(deviation);
            self.metrics.spread = Some(spread);
            self.metrics.band_share = Some(band_share);
            let flat = spread < limits.blank_spread;
            let blank = flat && deviation < limits.blank_deviation;
            self.hold(QualityCheck::Blank, deviation, limits.blank_deviation, blank);
            let uniform = flat && band_share > limits.uniform_share;
            self.hold(QualityCheck::NearUniform, band_share, limits.uniform_share, uniform);
        }
        if self.needed.has(QualityCheck::LowInformation) {
            let information = histogram.entropy() / 8.0;
            self.metrics.information = Some(information);
            let low = information < limits.low_information;
            self.hold(QualityCheck::LowInformation, information, limits.low_information, low);
        }
        if self.needed.has(QualityCheck::Dark) {
            let bright = f64::from(histogram.percentile(0.99)) / 255.0;
            self.metrics.bright_parts = Some(bright);
            self.hold(QualityCheck::Dark, bright, limits.dark, bright < limits.dark);
        }
        if self.needed.has(QualityCheck::Light) {
            let dark = f64::from(histogram.percentile(0.01)) / 255.0;
            self.metrics.dark_parts = Some(dark);
            self.hold(QualityCheck::Light, dark, limits.light, dark > limits.light);
        }
    }
}

impl QualityMetrics {
    /// These, and those of `other` where there are none.
    fn or(self, other: QualityMetrics) -> QualityMetrics {
        QualityMetrics {
            deviation: self.deviation.or(other.deviation),
            spread: self.spread.or(other.spread),
            band_share: self.band_share.or(other.band_share),
            information: self.information.or(other.information),
            bright_parts: self.bright_parts.or(other.bright_parts),
            dark_parts: self.dark_parts.or(other.dark_parts),
            sharpness: self.sharpness.or(other.sharpness),
            structure: self.structure.or(other.structure),
            noise: self.noise.or(other.noise),
            mosaic: self.mosaic.or(other.mosaic),
            ..other
        }
    }
}
