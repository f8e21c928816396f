//! `models:` of a provider as written: what each costs and can do.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::file::call_rate::CallRate;
use crate::config::file::money::VolumeTier;
use crate::config::file::price::{Addons, Price};
use crate::config::file::scalar::{Dollars, FileFormat, Percent, Pixels, Quality, Ratio};

/// One model: its price, and what it can do where Easel does not know.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("examples" = [{"price": 0.03}]))]
pub(in crate::config) struct Model {
    /// Dollars a picture: one number, rows by size and quality, steps by resolution, or a mapping that says by what the
    /// vendor charges. For a model that writes, dollars by the token. Required.
    pub(in crate::config) price: Option<Price>,
    /// Prices by how many pictures of this model were charged in a month.
    pub(in crate::config) volume: Vec<VolumeTier>,
    /// What the model may be asked for in a minute, besides what the provider may. Default: without limit.
    pub(in crate::config) rate: CallRate,
    /// Charged on top for each picture whose request uses them.
    pub(in crate::config) addons: Addons,
    /// The part of the price that is charged, as for batches at half of it; never on what the vendor reports, nor on
    /// add-ons. Default 100%.
    pub(in crate::config) multiplier: Option<Percent>,
    /// Dollars for one of the vendor's own billing units, where its answers say how many a call took (fal, dashscope).
    pub(in crate::config) unit_price: Option<Dollars>,
    /// What it can do, where Easel does not know or knows it wrong.
    #[serde(flatten)]
    pub(in crate::config) capabilities: Capabilities,
    /// Sent with every call, in the vendor's own words. At kind openai_text, null takes a field out.
    pub(in crate::config) options: BTreeMap<String, serde_json::Value>,
    /// Asked through OpenRouter's image API, or through a chat that answers with pictures; only for kind openrouter.
    /// Default images.
    pub(in crate::config) via: Option<Via>,
    /// The OpenAI model behind an Azure deployment, like gpt-image-2: it decides what can be asked; only for kind
    /// azure. Default: the deployment's own name.
    pub(in crate::config) model_family: Option<String>,
}

/// What a model can do.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(in crate::config) struct Capabilities {
    /// Whether it draws from a prompt alone.
    pub(in crate::config) generate: Option<bool>,
    /// Whether it changes pictures, or within which bounds; this only takes away from what Easel can send.
    pub(in crate::config) edit: Option<Edit>,
    /// Pictures one call can draw.
    pub(in crate::config) max_n: Option<u64>,
    /// Sizes it draws: a list, shapes, a grid, `any` to send on whatever is asked, or `none` to send none.
    pub(in crate::config) sizes: Option<Sizes>,
    /// File formats that can be asked for.
    pub(in crate::config) formats: Option<Vec<FileFormat>>,
    /// Qualities it knows; Easel drops a wish for another and says so.
    pub(in crate::config) qualities: Option<Vec<Quality>>,
    /// Longest prompt in characters.
    pub(in crate::config) prompt_chars: Option<u64>,
    /// Whether it takes a seed.
    pub(in crate::config) seed: Option<bool>,
    /// Whether it takes a negative prompt.
    pub(in crate::config) negative_prompt: Option<bool>,
    /// Whether it shows unfinished pictures in a stream, as OpenAI's GPT image models do.
    pub(in crate::config) partials: Option<bool>,
    /// Whether it draws a transparent background on request.
    pub(in crate::config) transparent: Option<bool>,
    /// Whether it takes a compression level.
    pub(in crate::config) compression: Option<bool>,
    /// Whether it takes a style.
    pub(in crate::config) style: Option<bool>,
}

/// Whether a model changes pictures.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Edit {
    /// It does, or it does not.
    Switch(bool),
    /// It does, within these bounds.
    Within(EditBounds),
}

/// What a model that changes pictures can be given.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct EditBounds {
    /// Pictures at once.
    pub(in crate::config) images: Option<u64>,
    /// Whether it takes a mask.
    pub(in crate::config) mask: Option<bool>,
    /// Whether it draws in the first picture's own size, whatever is asked.
    pub(in crate::config) keeps_size: Option<bool>,
}

/// OpenRouter's two ways to ask for pictures.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum Via {
    /// The image API.
    Images,
    /// A chat completion that answers with pictures.
    Chat,
}

/// The sizes a model draws.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Sizes {
    /// Whatever is asked, or none.
    Word(SizeWord),
    /// Only these.
    Listed(Vec<Pixels>),
    /// Shapes or a grid.
    Ruled(SizeRules),
}

/// Sizes by a rule: either shapes, or every size on a grid within bounds.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(in crate::config) struct SizeRules {
    /// The shapes it draws, like 16:9; the model decides the pixels.
    pub(in crate::config) ratios: Option<Vec<Ratio>>,
    /// About how large such a picture is. Default 1024x1024.
    pub(in crate::config) pixels: Option<Pixels>,
    /// Both sides are multiples of this. Default 1.
    pub(in crate::config) multiple_of: Option<u64>,
    /// Shortest side. Default 1.
    pub(in crate::config) min_side: Option<u64>,
    /// Longest side.
    pub(in crate::config) max_side: Option<u64>,
    /// No fewer pixels in all than this size has.
    pub(in crate::config) min_pixels: Option<Pixels>,
    /// No more pixels in all than this size has.
    pub(in crate::config) max_pixels: Option<Pixels>,
    /// The long side over the short one, at most.
    pub(in crate::config) max_ratio: Option<u64>,
}

/// A word in place of sizes.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum SizeWord {
    /// Whatever is asked is sent on.
    Any,
    /// It is told no size, and draws what it draws.
    None,
}
