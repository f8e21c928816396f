//! `price:` as written: one number, rows, or a mapping that says by what a vendor charges.
//!
//! A mapping has the keys of every kind of price; which of them belong together is `check`'s business.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::scalar::{Dollars, Pixels, Quality, RowSize};

/// What a model costs.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Price {
    /// Every picture costs the same.
    Flat(Dollars),
    /// By size and quality, or by resolution.
    Rows(Vec<PriceRow>),
    /// By what the vendor computes or counts.
    Mapping(Box<PriceMapping>),
}

/// A price of one kind: by the megapixel, step, tile, token or second, or as the vendor reports it.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct PriceMapping {
    /// Dollars a picture, the same for each; this form has room for `as_of` and `source`.
    pub(in crate::config) usd: Option<Dollars>,
    /// Dollars for a megapixel (a million pixels) of a picture.
    pub(in crate::config) per_megapixel: Option<Dollars>,
    /// Dollars for a picture's first megapixel, where those after it cost something else.
    pub(in crate::config) first_megapixel: Option<Dollars>,
    /// Dollars for each megapixel after the first; required beside `first_megapixel`.
    pub(in crate::config) extra_megapixel: Option<Dollars>,
    /// Dollars for each megapixel of the pictures to start from, beside `first_megapixel`. Default 0.
    pub(in crate::config) input_megapixel: Option<Dollars>,
    /// What a part of a megapixel is charged as. Default up.
    pub(in crate::config) round: Option<Round>,
    /// Dollars for a step of the model.
    pub(in crate::config) per_step: Option<Dollars>,
    /// Dollars for each tile of 512x512 that a picture covers, beside `per_step`.
    pub(in crate::config) per_tile: Option<Dollars>,
    /// Steps of a picture, beside `per_step`. Default: `steps` or `num_inference_steps` of the model's `options`.
    pub(in crate::config) steps: Option<u64>,
    /// Dollars for a million tokens, by their kind.
    pub(in crate::config) tokens_per_million: Option<TokensPerMillion>,
    /// Dollars for a second of computing, one number or by hardware.
    pub(in crate::config) per_second: Option<PerSecond>,
    /// The hardware that the model runs on, where `per_second` has several.
    pub(in crate::config) hardware: Option<String>,
    /// `true`: the vendor's answers tell what a call costs.
    pub(in crate::config) reported: Option<bool>,
    /// What a picture is reckoned to cost before the call, and after it where the vendor tells nothing; required with
    /// tokens, seconds and reported prices. One number or rows.
    pub(in crate::config) estimate: Option<Estimate>,
    /// The day on which the price was so, like 2026-11-01. Only for people.
    pub(in crate::config) as_of: Option<String>,
    /// The page that says so. Only for people.
    pub(in crate::config) source: Option<String>,
}

/// What a part of a megapixel is charged as.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Round {
    /// A whole one.
    Up,
    /// A whole one or none, whichever is nearer, but at least one for a picture.
    Nearest,
    /// A part.
    Exact,
}

/// Dollars for a second of computing.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum PerSecond {
    /// On whatever it runs.
    One(Dollars),
    /// By the vendor's name for the hardware.
    ByHardware(BTreeMap<String, Dollars>),
}

/// What a picture is reckoned to cost.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Estimate {
    /// Every picture the same.
    Flat(Dollars),
    /// By size and quality, or by resolution.
    Rows(Vec<PriceRow>),
}

/// Dollars for a million tokens.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct TokensPerMillion {
    /// Text that the model reads. Required for a model that writes.
    pub(in crate::config) text_in: Option<Dollars>,
    /// Text that it found in the vendor's cache. Default: as `text_in`. Not for kind anthropic, whose cache has factors.
    pub(in crate::config) text_cached_in: Option<Dollars>,
    /// Pictures that it reads. Only for models that draw.
    pub(in crate::config) image_in: Option<Dollars>,
    /// Pictures that it found in the vendor's cache. Default: as `image_in`. Only for models that draw.
    pub(in crate::config) image_cached_in: Option<Dollars>,
    /// Pictures that it draws. Only for models that draw, and required for them.
    pub(in crate::config) image_out: Option<Dollars>,
    /// Text that it writes. Required for a model that is to write; one of embeddings has none.
    pub(in crate::config) text_out: Option<Dollars>,
}

/// One row of a price table: either size and quality, or up_to.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct PriceRow {
    /// Exactly this size, or every size of a resolution: 512, 1K, 2K or 4K; absent means any.
    pub(in crate::config) size: Option<RowSize>,
    /// Exactly this quality; absent means any.
    pub(in crate::config) quality: Option<Quality>,
    /// Every picture of at most as many pixels as this size.
    pub(in crate::config) up_to: Option<Pixels>,
    /// Dollars a picture.
    pub(in crate::config) usd: Option<Dollars>,
    /// The day on which the price was so, like 2026-11-01. Only for people.
    pub(in crate::config) as_of: Option<String>,
    /// The page that says so. Only for people.
    pub(in crate::config) source: Option<String>,
}

/// Dollars a picture on top of its price.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct Addons {
    /// The request has a negative prompt.
    pub(in crate::config) negative_prompt: Option<Dollars>,
    /// The request asks for an alpha channel.
    pub(in crate::config) transparent_background: Option<Dollars>,
    /// The request names a style.
    pub(in crate::config) style: Option<Dollars>,
    /// The request fixes the seed.
    pub(in crate::config) seed: Option<Dollars>,
    /// For each picture to start from. With a price by tokens or seconds only part of the estimate, because what is
    /// counted has them in it.
    pub(in crate::config) input_image: Option<Dollars>,
}
