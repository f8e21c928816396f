//! A provider's models as they run.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::capabilities::Sizes;
use crate::config::plan::client::Rate;
use crate::image::Format;
use crate::pricing::volume_tiers::VolumeTier;
use crate::pricing::{Price, TextTokenPrice};
use crate::request::Quality;

/// One model of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The name the vendor knows.
    pub name: String,
    /// What its pictures cost.
    pub price: Price,
    /// Prices by the pictures of this model in a month; sorted by `from`.
    pub volume: Vec<VolumeTier>,
    /// What it may be asked for.
    pub rate: Rate,
    /// What the config says it can do, over the kind's own knowledge.
    pub capabilities: CapabilityOverrides,
    /// Sent with every call to this model, in the vendor's own words.
    pub options: BTreeMap<String, Value>,
    /// Which of OpenRouter's two ways it is asked.
    pub via: Via,
    /// The model behind an Azure deployment; `None` where the deployment has the model's name.
    pub family: Option<String>,
}

/// One model of words of one provider: it writes, or turns texts into vectors. It draws nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct TextModel {
    /// The name the vendor knows.
    pub name: String,
    /// What its tokens cost.
    pub price: TextTokenPrice,
    /// What it may be asked for.
    pub rate: Rate,
    /// Sent with every call to this model, in the vendor's own words.
    pub options: BTreeMap<String, Value>,
}

/// OpenRouter's two ways to ask for pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// The image API.
    #[default]
    Images,
    /// A chat completion that answers with pictures.
    Chat,
}

/// Capabilities stated in the config; absent ones keep the kind's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CapabilityOverrides {
    /// Pictures per call.
    pub max_n: Option<u8>,
    /// Sizes it draws.
    pub sizes: Option<Sizes>,
    /// File formats that can be asked for.
    pub formats: Option<Vec<Format>>,
    /// Longest prompt in characters.
    pub prompt_chars: Option<usize>,
    /// Takes a seed.
    pub seed: Option<bool>,
    /// Takes a negative prompt.
    pub negative_prompt: Option<bool>,
    /// Qualities it knows.
    pub qualities: Option<Vec<Quality>>,
    /// Shows unfinished pictures in a stream.
    pub partials: Option<bool>,
    /// Draws an alpha channel on request.
    pub transparent: Option<bool>,
    /// Takes a compression level.
    pub compression: Option<bool>,
    /// Takes a style.
    pub style: Option<bool>,
    /// Draws from a prompt alone.
    pub generate: Option<bool>,
    /// Changes pictures.
    pub edit: Option<EditOverride>,
}

/// What the config says of a model's way to change pictures. It can only take away: pictures that a kind has no way to
/// send would be left out unnoticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOverride {
    /// It changes none.
    Never,
    /// It does, within these bounds; absent ones keep the kind's.
    Within {
        /// Pictures at once.
        images: Option<u8>,
        /// Takes a mask.
        mask: Option<bool>,
        /// Draws in the first picture's own size.
        keeps_size: Option<bool>,
    },
}
