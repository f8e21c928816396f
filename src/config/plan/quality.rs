//! `quality:` as it runs: what a picture must be to be accepted, who else is asked, and on which threads that is found out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::image::Size;
use crate::secret::Secret;

/// What the quality gate checks in a picture. The word goes to config, log, metric and header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QualityCheck {
    /// The file does not decode to its last pixel.
    Undecodable,
    /// It has more pixels than are decoded here.
    TooManyPixels,
    /// Not the pixels that were agreed with the vendor.
    WrongSize,
    /// Not the shape that was agreed with the vendor.
    WrongRatio,
    /// Fewer pixels across or down than the route wants.
    TooSmall,
    /// One side is many times the other.
    OddRatio,
    /// One colour, or nearly.
    Blank,
    /// Nearly all of it is equally bright.
    NearUniform,
    /// Its brightness says next to nothing.
    LowInformation,
    /// Even its bright parts are dark.
    Dark,
    /// Even its dark parts are light.
    Light,
    /// No part of it is sharp.
    Blurred,
    /// Noise from edge to edge.
    StaticNoise,
    /// Large blocks of one colour each.
    Mosaic,
    /// It looks like another picture of the same request.
    Duplicate,
    /// A brand's colours are not in it.
    BrandColor,
    /// A transparent background was asked for, and no pixel is transparent.
    Opaque,
    /// Who judges pictures outside of Easel rejects it.
    Judge,
}

impl QualityCheck {
    /// Every check, in the order in which verdicts name them.
    pub const ALL: [QualityCheck; 18] = [
        QualityCheck::Undecodable,
        QualityCheck::TooManyPixels,
        QualityCheck::WrongSize,
        QualityCheck::WrongRatio,
        QualityCheck::TooSmall,
        QualityCheck::OddRatio,
        QualityCheck::Blank,
        QualityCheck::NearUniform,
        QualityCheck::LowInformation,
        QualityCheck::Dark,
        QualityCheck::Light,
        QualityCheck::Blurred,
        QualityCheck::StaticNoise,
        QualityCheck::Mosaic,
        QualityCheck::Duplicate,
        QualityCheck::BrandColor,
        QualityCheck::Opaque,
        QualityCheck::Judge,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            QualityCheck::Undecodable => "undecodable",
            QualityCheck::TooManyPixels => "too_many_pixels",
            QualityCheck::WrongSize => "wrong_size",
            QualityCheck::WrongRatio => "wrong_ratio",
            QualityCheck::TooSmall => "too_small",
            QualityCheck::OddRatio => "odd_ratio",
            QualityCheck::Blank => "blank",
            QualityCheck::NearUniform => "near_uniform",
            QualityCheck::LowInformation => "low_information",
            QualityCheck::Dark => "dark",
            QualityCheck::Light => "light",
            QualityCheck::Blurred => "blurred",
            QualityCheck::StaticNoise => "static_noise",
            QualityCheck::Mosaic => "mosaic",
            QualityCheck::Duplicate => "duplicate",
            QualityCheck::BrandColor => "brand_color",
            QualityCheck::Opaque => "opaque",
            QualityCheck::Judge => "judge",
        }
    }

    /// The check of a word.
    pub fn from_word(word: &str) -> Option<QualityCheck> {
        QualityCheck::ALL.into_iter().find(|check| check.as_str() == word)
    }

    /// Whether the picture's pixels must be decoded for it.
    pub fn needs_pixels(self) -> bool {
        match self {
            QualityCheck::WrongSize
            | QualityCheck::WrongRatio
            | QualityCheck::TooSmall
            | QualityCheck::OddRatio
            | QualityCheck::TooManyPixels
            | QualityCheck::Judge => false,
            QualityCheck::Undecodable
            | QualityCheck::Blank
            | QualityCheck::NearUniform
            | QualityCheck::LowInformation
            | QualityCheck::Dark
            | QualityCheck::Light
            | QualityCheck::Blurred
            | QualityCheck::StaticNoise
            | QualityCheck::Mosaic
            | QualityCheck::Duplicate
            | QualityCheck::BrandColor
            | QualityCheck::Opaque => true,
        }
    }
}

/// Some of the checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckSet(u32);

impl CheckSet {
    /// These checks.
    pub const fn of(checks: &[QualityCheck]) -> CheckSet {
        let (mut bits, mut at) = (0, 0);
        while at < checks.len() {
            bits |= 1 << checks[at] as u32;
            at += 1;
        }
        CheckSet(bits)
    }

    /// Whether `check` is among them.
    pub fn has(self, check: QualityCheck) -> bool {
        self.0 & (1 << check as u32) != 0
    }

    /// Those of either.
    pub fn and(self, other: CheckSet) -> CheckSet {
        CheckSet(self.0 | other.0)
    }

    /// Those that are not in `other`.
    pub fn without(self, other: CheckSet) -> CheckSet {
        CheckSet(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Them, in the order of [`QualityCheck::ALL`].
    pub fn iter(self) -> impl Iterator<Item = QualityCheck> {
        QualityCheck::ALL.into_iter().filter(move |check| self.has(*check))
    }
}

/// What a route's pictures must be to be accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityGate {
    /// Who fails one of these is not delivered.
    pub reject: CheckSet,
    /// Who fails one of these is delivered, counted and told.
    pub flag: CheckSet,
    /// The checks that the config names itself; others are there by default.
    pub named: CheckSet,
    /// Where each check draws the line.
    pub thresholds: QualityThresholds,
    /// The fewest pixels across and down; `None` is any.
    pub min_size: Option<Size>,
    /// Colours that must be there; `None` is none.
    pub brand: Option<Arc<Brand>>,
    /// Whether the least bad picture is delivered when no attempt brought a better one.
    pub deliver_best: bool,
    /// Who else is asked; `None` is nobody.
    pub judge: Option<Arc<OutsideJudge>>,
}

impl QualityGate {
    /// What rejects a picture where the config does not say what does: each is a defect that no prompt asks for.
    pub const REJECT: CheckSet = CheckSet::of(&[
        QualityCheck::Undecodable,
        QualityCheck::TooManyPixels,
        QualityCheck::WrongSize,
        QualityCheck::WrongRatio,
        QualityCheck::TooSmall,
        QualityCheck::Blank,
        QualityCheck::NearUniform,
        QualityCheck::Blurred,
        QualityCheck::StaticNoise,
        QualityCheck::Mosaic,
        QualityCheck::Duplicate,
        QualityCheck::BrandColor,
        QualityCheck::Opaque,
        QualityCheck::Judge,
    ]);
    /// What flags it: a prompt may ask for a night scene, fog, or a banner.
    pub const FLAG: CheckSet =
        CheckSet::of(&[QualityCheck::OddRatio, QualityCheck::LowInformation, QualityCheck::Dark, QualityCheck::Light]);

    /// The gate of a route whose config says nothing of it: what does not decode is no picture.
    pub fn decodes() -> QualityGate {
        let reject = CheckSet::of(&[QualityCheck::Undecodable, QualityCheck::TooManyPixels]);
        QualityGate { reject, flag: CheckSet::default(), ..QualityGate::default() }
    }

    /// Every check that is made.
    pub fn checks(&self) -> CheckSet {
        self.reject.and(self.flag)
    }
}

impl Default for QualityGate {
    fn default() -> QualityGate {
        QualityGate {
            reject: QualityGate::REJECT,
            flag: QualityGate::FLAG,
            named: CheckSet::default(),
            thresholds: QualityThresholds::default(),
            min_size: None,
            brand: None,
            deliver_best: false,
            judge: None,
        }
    }
}

/// Where each check draws the line. Brightness is Rec. 601 luma from 0 to 255 unless something else is said.
#[derive(Clone, Debug, PartialEq)]
pub struct QualityThresholds {
    /// Largest share of a side by which a picture may miss the agreed size (`wrong_size`), and its shape (`wrong_ratio`).
    pub size_tolerance: f64,
    /// Shorter side over longer side below which a shape is odd (`odd_ratio`).
    pub odd_ratio: f64,
    /// Standard deviation of the brightness below which, together with `blank_spread`, a picture is blank.
    pub blank_deviation: f64,
    /// Levels between the darkest and the lightest of 2,000 pixels below which a picture is blank or near-uniform.
    pub blank_spread: f64,
    /// Share of the pixels in one band of three levels of brightness above which, together with `blank_spread`, a picture
    /// is near-uniform.
    pub uniform_share: f64,
    /// Entropy over its maximum of eight bits below which a picture has low information.
    pub low_information: f64,
    /// Brightness, from 0 to 1, of the 99th percentile below which a picture is dark.
    pub dark: f64,
    /// Brightness, from 0 to 1, of the 1st percentile above which a picture is light.
    pub light: f64,
    /// Energy of the Laplacian over that of the gradient at the edges in the sharpest of 8 by 8 tiles below which a picture
    /// is blurred: 4 is an edge of one pixel, 0.25 one that is softened by a pixel, 0.016 by four.
    pub blur: f64,
    /// Variance of the Laplacian over that of the brightness in the calmest of 8 by 8 tiles above which a picture is noise.
    pub noise: f64,
    /// Steps at the edges of flat blocks over steps elsewhere, both added up, above which it is a mosaic.
    pub mosaic: f64,
    /// How much of what is in two pictures may differ for them to be duplicates, 0 to 1.
    pub duplicate_difference: f64,
}

/// Colours that must be in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Brand {
    /// The colours, sRGB.
    pub colors: Vec<[u8; 3]>,
    /// CIEDE2000 up to which a pixel has a colour.
    pub delta_e: f64,
    /// The share of the pixels, of a million, that must have each colour.
    pub share_ppm: u32,
}

impl Default for QualityThresholds {
    /// Each number lies between what was measured of good pictures and of spoilt ones: `cargo bench --bench gate` measures both
    /// again. Where no other source is named, they were measured on drawn pictures of 17 kinds, in four sizes and three formats,
    /// and on five of a diffusion model.
    fn default() -> QualityThresholds {
        QualityThresholds {
            // Models round sides to multiples of 8 to 64: a twentieth of 1024 is 51.
            size_tolerance: 0.05,
            // CleanVision's.
            odd_ratio: 0.35,
            // Good ones have 13 and more but for faint textures and gradients, which spread; noise that cannot be seen 1.4 to 2.3.
            blank_deviation: 4.0,
            // Good ones have 63 and more, faint textures 25 with more deviation; black noise 10, two levels up to 30.
            blank_spread: 40.0,
            // A small logo on white has up to 0.997, and spreads over 200 levels.
            uniform_share: 0.98,
            // CleanVision's, and so is `dark`.
            low_information: 0.3,
            dark: 0.32,
            // CleanVision's, but of the 1st percentile and not the 5th: a logo on white has less than a twentieth of ink.
            light: 0.95,
            // Good ones have 0.51 and more, the least of them a model's, enlarged; 99 in 100 softened ones, as PNG and as JPEG of a
            // quality of 75 and 90, up to 0.37.
            blur: 0.45,
            // Good ones have up to 6, noise from 18 to 20; fine grain on 256 pixels may have as much.
            noise: 10.0,
            // Good ones have up to 1.5 (JPEG of a gradient), mosaics 1000, or 2.4 and more where JPEG's blocks lie across theirs.
            mosaic: 2.0,
            // The same picture again, as JPEG of a quality of 60, smaller, or shifted by a few pixels, has up to 0.206 in all but
            // one of 1,080 pairs; another one of its kind from 0.231.
            duplicate_difference: 0.22,
        }
    }
}

/// Who is asked besides about each picture, outside of Easel.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideJudge {
    /// Where it is asked, by POST.
    pub url: Url,
    /// Signs what is sent; `None` sends it unsigned.
    pub hmac_key: Option<Secret>,
    /// Longest wait for its verdict, the wait for a turn included.
    pub timeout: Duration,
    /// Pictures that it is asked about at once.
    pub concurrency: usize,
    /// What becomes of a picture that it does not answer for.
    pub on_error: OnJudgeError,
    /// Whether it is told the prompt.
    pub send_prompt: bool,
    /// Whether it is sent the picture itself.
    pub send_picture: bool,
    /// Its score, from 0 to 1, below which a picture is rejected that it neither accepts nor rejects.
    pub min_score: Option<f64>,
}

/// What becomes of a picture that the judge does not answer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnJudgeError {
    /// It is accepted.
    Accept,
    /// It is rejected.
    Reject,
}

/// How pictures are looked at, for all routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QualityPool {
    /// Threads that decode and measure.
    pub threads: usize,
    /// Bytes of pictures that wait for one of them; who brings more waits outside.
    pub queue: u64,
    /// The most pixels that are decoded.
    pub max_pixels: u64,
    /// Where rejected pictures are kept for a look; `None` keeps none.
    pub keep_rejected: Option<KeepRejected>,
}

impl QualityPool {
    /// The most pixels that are decoded where the config names no other number. 8K UHD, twice what the largest models draw
    /// (4096 by 4096). While it is looked at, a pixel takes some five bytes, of a progressive JPEG up to eleven: 350 MiB.
    pub const MAX_PIXELS: u64 = 7680 * 4320;
}

/// Where rejected pictures are kept for a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeepRejected {
    /// The directory.
    pub dir: PathBuf,
    /// Bytes that it holds at most; the oldest go first.
    pub at_most: u64,
}
