//! The checks of what a picture looks like, on decoded pixels.

use easel_pixels::{
    Backdrop, Decoded, Fingerprint, Histogram, Surface, Thumbnail, mosaic, noise, share_of_color, sharpness,
};

use crate::config::plan::{CheckSet, QualityCheck, QualityGate, QualityThresholds};
use crate::quality::examination::{Examination, QualityFinding, QualityMetrics};

/// Alpha below which a pixel cannot be seen.
const INVISIBLE: u8 = 8;
/// Of a million pixels, how many must be seen for a picture to be one: what `spread` leaves out at either end.
const SEEN_PPM: u32 = 500;
/// Of a million pixels, how many must not be opaque where transparency was asked for. A frame of one pixel around 1024 by
/// 1024 is four times as much, and the noise of an encoder that keeps an alpha channel is none.
pub(super) const TRANSPARENT_PPM: u32 = 1_000;
/// Structure from which on a picture shows something that could be sharp. Of 240 gradients, straight, round and of several
/// stops, as PNG and as JPEG of a quality of 60 to 90, three have more and look soft, too; what is left of anything else under a
/// Gaussian of a thirtieth of the picture has as much and more, but for hills in fog.
pub(super) const STRUCTURE: f64 = 0.0115;
/// Levels of colour between the cells of a small copy from which on a picture is neither blank nor near-uniform, as little as
/// its brightness spreads: a faint gradient from one colour to another is something to see. Noise and specks that cannot be seen
/// have up to 15, such gradients 19 and more.
const FADES: u8 = 16;
/// Entropy over its maximum below which a picture without contrast has hardly two levels. Noise that cannot be seen has more,
/// and is blank by its deviation.
const TWO_LEVELS: f64 = 0.2;

/// Measures a picture for the checks that are `needed`, and notes which of them fail.
pub(super) fn judge(examination: &mut Examination, decoded: &Decoded, gate: &QualityGate, needed: CheckSet) {
    let see_through = decoded.share_below_alpha(255);
    let white = Looks::on(decoded, Backdrop::White, gate, needed);
    let mut looks = if see_through > 0 && !white.failed.is_empty() {
        white.or(Looks::on(decoded, Backdrop::Black, gate, needed))
    } else {
        white
    };
    if needed.has(QualityCheck::Opaque) {
        looks.metrics.transparent_share = Some(share(see_through));
        let (check, limit) = (QualityCheck::Opaque, share(TRANSPARENT_PPM));
        looks.hold(check, share(see_through), limit, see_through < TRANSPARENT_PPM);
    }
    if see_through > 0 && 1_000_000 - decoded.share_below_alpha(INVISIBLE) < SEEN_PPM {
        looks.hold(QualityCheck::Blank, 0.0, gate.thresholds.blank_spread, true);
    }
    if let Some(thumbnail) = looks.thumbnail.take() {
        if needed.has(QualityCheck::Duplicate) {
            examination.fingerprint = Some(Fingerprint::of(&thumbnail));
        }
        if let Some(brand) = gate.brand.as_ref().filter(|_| needed.has(QualityCheck::BrandColor)) {
            let shares = brand.colors.iter().map(|color| share_of_color(&thumbnail, *color, brand.delta_e as f32));
            let least = shares.min().unwrap_or(1_000_000);
            looks.metrics.brand_share = Some(share(least));
            looks.hold(QualityCheck::BrandColor, share(least), share(brand.share_ppm), least < brand.share_ppm);
        }
    }
    examination.metrics = looks.metrics;
    examination.findings.extend(looks.failed);
}

fn share(ppm: u32) -> f64 {
    f64::from(ppm) / 1_000_000.0
}

/// How a picture looks on one backdrop.
struct Looks<'a> {
    limits: &'a QualityThresholds,
    needed: CheckSet,
    metrics: QualityMetrics,
    failed: Vec<QualityFinding>,
    thumbnail: Option<Thumbnail>,
}

impl<'a> Looks<'a> {
    fn on(decoded: &Decoded, backdrop: Backdrop, gate: &'a QualityGate, needed: CheckSet) -> Looks<'a> {
        let surface = Surface::new(decoded, backdrop);
        let (limits, metrics) = (&gate.thresholds, QualityMetrics::default());
        let mut looks = Looks { limits, needed, metrics, failed: Vec::new(), thumbnail: None };
        looks.thumbnail = looks.wants_thumbnail().then(|| Thumbnail::of(&surface));
        looks.judge_on(&surface);
        looks
    }

    /// Of two backdrops: a white logo is nothing on white, which says nothing of the logo. Where it can be seen on both, what
    /// fails on one alone is a matter of the backdrop.
    fn or(mut self, other: Looks<'a>) -> Looks<'a> {
        match (self.shows_nothing(), other.shows_nothing()) {
            (true, false) => other,
            (false, true) => self,
            _ => {
                let also = |finding: &QualityFinding| other.failed.iter().any(|same| same.check == finding.check);
                self.failed.retain(also);
                self
            }
        }
    }

    fn shows_nothing(&self) -> bool {
        let nothing = [QualityCheck::Blank, QualityCheck::NearUniform];
        self.failed.iter().any(|finding| nothing.contains(&finding.check))
    }

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

    fn judge_on(&mut self, surface: &Surface<'_>) {
        let by_brightness = [
            QualityCheck::Blank,
            QualityCheck::NearUniform,
            QualityCheck::LowInformation,
            QualityCheck::Dark,
            QualityCheck::Light,
        ];
        if self.needs_any(&by_brightness) {
            self.judge_brightness(&Histogram::of(surface));
        }
        if let Some(thumbnail) = self.thumbnail.as_ref().filter(|_| self.needed.has(QualityCheck::Blurred)) {
            let found = sharpness(surface, thumbnail);
            self.metrics.sharpness = found.edges;
            self.metrics.structure = Some(found.structure);
            if let Some(edges) = found.edges {
                let blurred = edges < self.limits.blur && found.structure >= STRUCTURE;
                self.hold(QualityCheck::Blurred, edges, self.limits.blur, blurred);
            }
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

    fn judge_brightness(&mut self, histogram: &Histogram) {
        let limits = self.limits;
        if self.needs_any(&[QualityCheck::Blank, QualityCheck::NearUniform]) {
            // Red on green of one brightness is something to see, too.
            let levels = histogram.spread();
            let flat = f64::from(levels) < limits.blank_spread;
            let chroma = self.thumbnail.as_ref().filter(|_| flat).map_or(0, Thumbnail::chroma_spread);
            let spread = f64::from(levels.max(chroma));
            let (deviation, band_share) = (histogram.deviation(), histogram.band_share());
            self.metrics.deviation = Some(deviation);
            self.metrics.spread = Some(spread);
            self.metrics.band_share = Some(band_share);
            let flat = spread < limits.blank_spread && chroma < FADES;
            let blank = flat && deviation < limits.blank_deviation;
            self.hold(QualityCheck::Blank, deviation, limits.blank_deviation, blank);
            let two_levels = histogram.entropy() / 8.0 < TWO_LEVELS;
            let uniform = flat && (band_share > limits.uniform_share || two_levels);
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
