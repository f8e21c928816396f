//! `quality:` as written, of a route and of Easel itself: what a picture must be, who else is asked, and on which threads.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::scalar::{Bytes, Color, Decimal, Hidden, Percent, Pixels, QualityCheck, Time};

/// Which pictures are accepted: the usual checks, or none.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum RouteQuality {
    /// The usual checks, or none.
    Switch(bool),
    /// Checks of one's own.
    Gate(Box<QualityGate>),
}

/// Which pictures are accepted.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct QualityGate {
    /// A picture that fails one of these is not delivered, and drawn again. Default: undecodable, too_many_pixels,
    /// wrong_size, wrong_ratio, blank, near_uniform, blurred, static_noise, mosaic, duplicate, opaque, and what is set below.
    pub(in crate::config) reject: Option<Vec<QualityCheck>>,
    /// A picture that fails one of these is delivered, counted, and told in `x-easel-flagged`. Default: odd_ratio,
    /// low_information, dark and light.
    pub(in crate::config) flag: Option<Vec<QualityCheck>>,
    /// Checks that are not made, where both lists are too much to write. Default: none.
    pub(in crate::config) ignore: Vec<QualityCheck>,
    /// Where each check draws the line.
    pub(in crate::config) thresholds: QualityThresholds,
    /// The fewest pixels across and down (too_small). Default: any.
    pub(in crate::config) min_size: Option<Pixels>,
    /// Colours that must be in each picture (brand_color). Default: none.
    pub(in crate::config) brand: Option<Brand>,
    /// Deliver the least bad picture when no attempt brought a better one, and say so in `x-easel-rejected`. Default false.
    pub(in crate::config) deliver_best: Option<bool>,
    /// Somebody outside of Easel who is asked about each picture (judge). Default: nobody.
    pub(in crate::config) judge: Option<Judge>,
}

/// Where each check draws the line. Brightness goes from 0 to 255 unless something else is said.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct QualityThresholds {
    /// The share of a side by which a picture may miss the agreed size, and the share by which it may miss its shape. Default 5%.
    pub(in crate::config) size_tolerance: Option<Percent>,
    /// The shorter side over the longer one, below which a shape is odd. Default 0.35.
    pub(in crate::config) odd_ratio: Option<Decimal>,
    /// Standard deviation of the brightness, below which a picture is blank that is below `blank_spread` too. Default 4.
    pub(in crate::config) blank_deviation: Option<Decimal>,
    /// Levels between the darkest and the lightest of 2,000 pixels, below which a picture is blank that is below
    /// `blank_deviation` too, and near-uniform that is above `uniform_share`. Default 40.
    pub(in crate::config) blank_spread: Option<Decimal>,
    /// The share of the pixels that may be equally bright, within three levels, where nothing stands out. Default 98%.
    pub(in crate::config) uniform_share: Option<Percent>,
    /// Entropy of the brightness over the 8 bits that it could have, below which a picture has low information. Default 0.3.
    pub(in crate::config) low_information: Option<Decimal>,
    /// Brightness from 0 to 1 that the brightest hundredth must reach, or the picture is dark. Default 0.32.
    pub(in crate::config) dark: Option<Decimal>,
    /// Brightness from 0 to 1 that the darkest hundredth must not pass, or the picture is light. Default 0.95.
    pub(in crate::config) light: Option<Decimal>,
    /// How sharp the edges in the sharpest of 8 by 8 tiles must be, or the picture is blurred: 4 is an edge of one pixel, 0.25
    /// one that is softened by a pixel, 0.016 by four. Default 0.45.
    pub(in crate::config) blur: Option<Decimal>,
    /// Variance of the Laplacian over that of the brightness in the calmest of 8 by 8 tiles, above which a picture is static
    /// noise: 20 where no pixel has to do with the next. Default 10.
    pub(in crate::config) noise: Option<Decimal>,
    /// Steps at the edges of flat blocks over steps elsewhere, above which a picture is a mosaic. Default 2.
    pub(in crate::config) mosaic: Option<Decimal>,
    /// How much of what is in two pictures of a request may differ, where one lies best on the other, for them to be duplicates;
    /// each of 64 bits of their difference hashes in which they differ adds 1%. Default 22%.
    pub(in crate::config) duplicate_difference: Option<Percent>,
}

/// Colours that must be in each picture.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Brand {
    /// The colours, like "#0a3d62"; each must be there. Required.
    pub(in crate::config) colors: Vec<Color>,
    /// How far a pixel may be from a colour and still have it, in CIEDE2000. Default 10.
    pub(in crate::config) delta_e: Option<Decimal>,
    /// The share of the visible pixels that must have a colour. Default 1%.
    pub(in crate::config) share: Option<Percent>,
}

/// Somebody outside of Easel who is asked about each picture.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Judge {
    /// Where it is asked, by POST. Required.
    pub(in crate::config) url: Option<String>,
    /// Signs each question, so that the judge knows who asks. Default: unsigned.
    pub(in crate::config) hmac_key: Option<Hidden>,
    /// Longest wait for a verdict, the wait for a turn included. Default 2s.
    pub(in crate::config) timeout: Option<Time>,
    /// Pictures that it is asked about at once. Default 4.
    pub(in crate::config) concurrency: Option<u64>,
    /// What becomes of a picture that it does not answer for. Default accept.
    pub(in crate::config) on_error: Option<OnJudgeError>,
    /// Whether it is told the prompt. Default false.
    pub(in crate::config) send_prompt: Option<bool>,
    /// Whether it is sent the picture; else only what Easel measured. Default true.
    pub(in crate::config) send_picture: Option<bool>,
    /// The score, from 0 to 1, below which a picture is rejected that the judge itself neither accepts nor rejects. Default:
    /// scores only rank.
    pub(in crate::config) min_score: Option<Decimal>,
}

/// What becomes of a picture that the judge does not answer for.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum OnJudgeError {
    /// It is accepted.
    Accept,
    /// It is rejected.
    Reject,
}

/// How pictures are looked at, for all routes.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct QualityPool {
    /// Threads that decode and measure pictures. Default: one for every two cores.
    pub(in crate::config) threads: Option<u64>,
    /// Bytes of pictures that wait for a thread; a call that brings more waits with it. Default 64MiB.
    pub(in crate::config) queue: Option<Bytes>,
    /// The most pixels that are decoded; a larger picture fails too_many_pixels. Default 33177600 (7680x4320).
    pub(in crate::config) max_pixels: Option<u64>,
    /// Keeps rejected pictures for a look. Default: none are kept.
    pub(in crate::config) keep_rejected: Option<KeepRejected>,
}

/// Rejected pictures, kept for a look.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct KeepRejected {
    /// A directory of their own. Required.
    pub(in crate::config) dir: Option<String>,
    /// Bytes that it holds; beyond, the oldest go. Default 200MiB.
    pub(in crate::config) at_most: Option<Bytes>,
}
