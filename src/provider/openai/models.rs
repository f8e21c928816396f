//! OpenAI's image models: which parameters, sizes and input pictures each family takes (PROVIDERS.md 1.1 and 1.2).
//!
//! Data only. OpenAI and Azure serve the same models, and resellers pass their names on, so this table stands apart
//! from what is sent to whom. A name it does not know is taken for a model like gpt-image-2.

use crate::capabilities::{BilledSize, Capabilities, Edits, ModelDefaults, SizeBounds, Sizes};
use crate::image::{Format, Size};
use crate::provider::common::model_end::ModelEnd;
use crate::request::{PROMPT_MAX_CHARS, Quality};

/// Which parameters a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterSet {
    /// `response_format`, and no word on the file.
    Classic,
    /// `background`, `moderation`, `output_format`, `output_compression`; base64 only.
    Gpt,
}

/// The sizes of a family.
#[derive(Clone, Copy, Debug)]
pub enum DrawnSizes {
    /// Only these.
    Listed(&'static [Size]),
    /// Any within [`FREE`].
    Free,
}

/// Models that take the same parameters.
#[derive(Debug)]
pub struct Family {
    /// How the names of its models begin.
    prefix: &'static str,
    /// Which parameters they take.
    pub shape: ParameterSet,
    max_n: u8,
    prompt_chars: usize,
    draws: DrawnSizes,
    qualities: &'static [Quality],
    /// Take DALL-E 3's style.
    pub style: bool,
    /// Take gpt-image-2.6's complexity.
    pub complexity: bool,
    /// What they can be given to change.
    edit: Option<Edits>,
    /// Take `input_fidelity`.
    pub fidelity: bool,
    /// What they draw where nothing is asked. A GPT image model's `auto` decides by the prompt, and tells.
    pub usual: ModelDefaults,
}

const SQUARE: Size = Size::new(1024, 1024);
const GPT_1_SIZES: &[Size] = &[SQUARE, Size::new(1536, 1024), Size::new(1024, 1536)];
const DALL_E_2_SIZES: &[Size] = &[Size::new(256, 256), Size::new(512, 512), SQUARE];
const DALL_E_3_SIZES: &[Size] = &[SQUARE, Size::new(1792, 1024), Size::new(1024, 1792)];

/// The free sizes of gpt-image-2 and later (PROVIDERS.md 1.1).
const FREE: SizeBounds = SizeBounds {
    multiple_of: 16,
    min_side: 16,
    max_side: 3840,
    min_pixels: 655_360,
    max_pixels: 8_294_400,
    max_ratio: 3,
};

const THREE: &[Quality] = &[Quality::Low, Quality::Medium, Quality::High];
const FIVE: &[Quality] = &[Quality::Low, Quality::Medium, Quality::High, Quality::Xhigh, Quality::Max];

/// A family of GPT image models; the exceptions are written over it.
const GPT: Family = Family {
    prefix: "",
    shape: ParameterSet::Gpt,
    max_n: 10,
    prompt_chars: 32_000,
    draws: DrawnSizes::Free,
    qualities: THREE,
    style: false,
    complexity: false,
    edit: Some(Edits { mask: true, ..Edits::up_to(16) }),
    fidelity: true,
    usual: ModelDefaults { size: None, quality: None, billed: BilledSize::Asked },
};

/// DALL-E's defaults (PROVIDERS.md 1.1 and 1.7).
const CLASSIC: ModelDefaults =
    ModelDefaults { size: Some(SQUARE), quality: Some(Quality::Standard), billed: BilledSize::Asked };

/// Every family; the first whose prefix fits counts. The last fits everything: a model newer than this table is taken
/// to be like gpt-image-2.
static FAMILIES: &[Family] = &[
    Family {
        prefix: "dall-e-3",
        shape: ParameterSet::Classic,
        max_n: 1,
        prompt_chars: 4_000,
        draws: DrawnSizes::Listed(DALL_E_3_SIZES),
        qualities: &[Quality::Standard, Quality::Hd],
        style: true,
        complexity: false,
        edit: None,
        fidelity: false,
        usual: CLASSIC,
    },
    Family {
        prefix: "dall-e-2",
        shape: ParameterSet::Classic,
        max_n: 10,
        prompt_chars: 1_000,
        draws: DrawnSizes::Listed(DALL_E_2_SIZES),
        qualities: &[Quality::Standard],
        style: false,
        complexity: false,
        edit: Some(Edits { mask: true, ..Edits::up_to(1) }),
        fidelity: false,
        usual: CLASSIC,
    },
    Family { prefix: "gpt-image-1-mini", draws: DrawnSizes::Listed(GPT_1_SIZES), fidelity: false, ..GPT },
    Family { prefix: "gpt-image-1", draws: DrawnSizes::Listed(GPT_1_SIZES), ..GPT },
    Family { prefix: "chatgpt-image", draws: DrawnSizes::Listed(GPT_1_SIZES), ..GPT },
    Family { prefix: "gpt-image-2.5", qualities: FIVE, ..GPT },
    Family { prefix: "gpt-image-2.6", qualities: FIVE, complexity: true, ..GPT },
    GPT,
];

/// A model of `ENDS`, which the vendor's page follows with two of the newest generation.
const fn end(model: &'static str, ends: &'static str) -> ModelEnd {
    ModelEnd { model, ends, successor: Some("gpt-image-2.6-flare") }
}

/// What OpenAI has shut down or will: https://developers.openai.com/api/docs/deprecations, read 2026-11. The day of DALL-E
/// is by two third parties, as the page has taken it off its list (PROVIDERS.md 0.1).
pub const ENDS: &[ModelEnd] = &[
    end("dall-e-2", "2026-05-12"),
    end("dall-e-3", "2026-05-12"),
    end("gpt-image-1", "2026-10-23"),
    end("gpt-image-1-mini", "2026-12-01"),
    end("gpt-image-1.5*", "2026-12-01"),
    end("chatgpt-image-latest", "2026-12-01"),
];

/// The family of the model by this name.
pub fn family(model: &str) -> &'static Family {
    FAMILIES.iter().find(|family| model.starts_with(family.prefix)).unwrap_or(&GPT)
}

/// What a model by this name draws where nothing is asked, perhaps behind a reseller's prefix such as `openai/`. Nothing
/// is presumed of a name that is not in the table.
pub fn usual(model: &str) -> ModelDefaults {
    let name = model.rsplit('/').next().unwrap_or(model);
    let named = FAMILIES.iter().find(|family| !family.prefix.is_empty() && name.starts_with(family.prefix));
    named.map(|family| family.usual).unwrap_or_default()
}

/// Whether this is the name of a GPT image model, perhaps behind a reseller's prefix such as `openai/`.
pub fn is_gpt_image(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.starts_with("gpt-image") || name.starts_with("chatgpt-image")
}

/// The family of one of OpenAI's models by the name that a reseller gives it, perhaps with a prefix such as `openai/`;
/// `None` for anybody else's.
pub fn resold(model: &str) -> Option<&'static Family> {
    let name = model.rsplit('/').next().unwrap_or(model);
    (is_gpt_image(name) || name.starts_with("dall-e")).then(|| family(name))
}

impl Family {
    /// What its models can do.
    pub fn capabilities(&self) -> Capabilities {
        let gpt = self.shape == ParameterSet::Gpt;
        Capabilities {
            tiers: Vec::new(),
            partials: gpt,
            max_n: self.max_n,
            prompt_chars: self.prompt_chars,
            sizes: match self.draws {
                DrawnSizes::Listed(sizes) => Sizes::Listed(sizes.to_vec()),
                DrawnSizes::Free => Sizes::Stepped(FREE),
            },
            // DALL-E takes no such wish, but what it draws is PNG.
            formats: if gpt { Format::ALL.to_vec() } else { vec![Format::Png] },
            qualities: self.qualities.to_vec(),
            seed: false,
            negative_prompt: false,
            negative_chars: PROMPT_MAX_CHARS,
            transparent: gpt,
            compression: gpt,
            style: self.style,
            generate: true,
            edit: self.edit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_its_own_sizes_counts_and_qualities() {
        let able = |model: &str| family(model).capabilities();
        assert_eq!((able("dall-e-3").max_n, able("dall-e-2").max_n, able("gpt-image-1").max_n), (1, 10, 10));
        assert_eq!(able("gpt-image-1.5").sizes, Sizes::Listed(GPT_1_SIZES.to_vec()));
        assert_eq!(able("gpt-image-1-mini").sizes, Sizes::Listed(GPT_1_SIZES.to_vec()));
        assert_eq!(able("chatgpt-image-latest").sizes, Sizes::Listed(GPT_1_SIZES.to_vec()));
        for model in ["gpt-image-2", "gpt-image-2-2026-04-21", "gpt-image-2.5-flare", "gpt-image-7"] {
            assert_eq!(able(model).sizes, Sizes::Stepped(FREE), "{model}");
        }
        assert!(able("gpt-image-2.6-sunburst").qualities.contains(&Quality::Max));
        assert!(!able("gpt-image-2").qualities.contains(&Quality::Max));
    }

    #[test]
    fn a_resellers_name_for_one_of_openais_models_is_recognised_and_nobody_elses() {
        let complexity = |model: &str| resold(model).map(|family| family.complexity);
        assert_eq!(complexity("openai/gpt-image-2.6-flare"), Some(true));
        assert_eq!((complexity("gpt-image-2"), complexity("azure/dall-e-3")), (Some(false), Some(false)));
        assert_eq!((complexity("janus-pro-7b"), complexity("my-gpt-image-2.6")), (None, None));
    }

    #[test]
    fn dall_e_3_changes_no_picture_dall_e_2_one_and_the_others_sixteen() {
        let images = |model: &str| family(model).capabilities().edit.map(|edits| (edits.images, edits.mask));
        assert_eq!(images("dall-e-3"), None);
        assert_eq!(images("dall-e-2"), Some((1, true)));
        for model in ["gpt-image-1", "gpt-image-1-mini", "gpt-image-2.6-flare", "gpt-image-7"] {
            assert_eq!(images(model), Some((16, true)), "{model}");
        }
    }
}
