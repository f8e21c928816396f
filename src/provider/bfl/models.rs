//! Black Forest Labs' models: how each is told a size, which pictures it starts from, which files it writes
//! (PROVIDERS.md 9.1).
//!
//! Data. A model nobody has described takes what all that draw in pixels take, and changes no pictures.

use crate::capabilities::{BilledSize, Capabilities, Edits, ModelDefaults, SizeBounds, Sizes};
use crate::image::{Format, Size};
use crate::request::PROMPT_MAX_CHARS;

/// Models with the same inputs.
#[derive(Debug)]
pub struct Family {
    /// How their names begin.
    prefix: &'static str,
    pub size: SizeInput,
    pub pictures: InputPictures,
    formats: &'static [Format],
    /// What they draw where nothing is asked, and what is billed of it.
    pub usual: ModelDefaults,
}

/// How a size is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeInput {
    /// `width` and `height`.
    Pixels(SizeBounds),
    /// `aspect_ratio`; about so many pixels.
    Ratio(u64),
    /// Not at all: the picture is as large as the one it starts from.
    Same,
}

/// Which pictures a model starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputPictures {
    /// None.
    None,
    /// Up to so many, as `input_image`, `input_image_2` and so on.
    Numbered(u8),
    /// Exactly one, as `image`, with a `mask` whose white is to change. Without one the vendor changes what is
    /// transparent in the picture, as OpenAI does.
    Masked,
}

/// FLUX.2 draws any size up to four megapixels; no bound on the shape is documented.
const FLUX_2: SizeBounds = SizeBounds {
    multiple_of: 16,
    min_side: 64,
    max_side: Size::MAX_SIDE,
    min_pixels: 64 * 64,
    max_pixels: 2048 * 2048,
    max_ratio: Size::MAX_SIDE,
};

/// FLUX.3 draws from 768 by 768 to 4K. The sizes are from a reseller's page; that they are told like FLUX.2's is
/// presumed, because its maker's own schema was not to be had.
const FLUX_3: SizeBounds = SizeBounds { min_pixels: 768 * 768, max_pixels: 4096 * 4096, ..FLUX_2 };

/// FLUX.1's sizes.
const FLUX_1: SizeBounds = SizeBounds {
    multiple_of: 32,
    min_side: 256,
    max_side: 1440,
    min_pixels: 256 * 256,
    max_pixels: 1440 * 1440,
    max_ratio: 6,
};

/// The models without pixels take any shape from 21:9 to 9:21; these are the common ones.
const SHAPES: [(u32, u32); 11] =
    [(1, 1), (21, 9), (16, 9), (3, 2), (4, 3), (5, 4), (4, 5), (3, 4), (2, 3), (9, 16), (9, 21)];

/// A model nobody has described; the others are written over it.
const ANY: Family = Family {
    prefix: "",
    size: SizeInput::Pixels(FLUX_1),
    pictures: InputPictures::None,
    formats: &[Format::Png, Format::Jpeg],
    usual: ModelDefaults { size: None, quality: None, billed: BilledSize::Asked },
};

/// FLUX.2's larger models.
const TWO: Family = Family {
    prefix: "flux-2-",
    size: SizeInput::Pixels(FLUX_2),
    pictures: InputPictures::Numbered(8),
    formats: &Format::ALL,
    // A size that is left out is chosen by the model.
    ..ANY
};

/// The first whose prefix fits counts; the last fits everything.
static FAMILIES: &[Family] = &[
    Family { prefix: "flux-2-klein-", pictures: InputPictures::Numbered(4), ..TWO },
    TWO,
    // Which files it writes and which pictures it takes nobody has said.
    Family { prefix: "flux-3-", size: SizeInput::Pixels(FLUX_3), ..ANY },
    Family { prefix: "flux-pro-1.1-ultra", size: SizeInput::Ratio(2048 * 2048), ..ANY },
    Family { prefix: "flux-pro-1.1", usual: ModelDefaults { size: Some(Size::new(1024, 768)), ..ANY.usual }, ..ANY },
    // More than one picture is experimental there.
    Family { prefix: "flux-kontext", size: SizeInput::Ratio(1024 * 1024), pictures: InputPictures::Numbered(1), ..ANY },
    Family { prefix: "flux-pro-1.0-fill", size: SizeInput::Same, pictures: InputPictures::Masked, ..ANY },
    ANY,
];

/// Models worth suggesting.
pub const KNOWN: &[&str] = &[
    "flux-2-pro",
    "flux-2-max",
    "flux-2-flex",
    "flux-2-klein-4b",
    "flux-2-klein-9b",
    "flux-3-image",
    "flux-3-image-klein",
    "flux-pro-1.1",
    "flux-pro-1.1-ultra",
    "flux-dev",
    "flux-kontext-pro",
    "flux-kontext-max",
    "flux-pro-1.0-fill",
];

/// The family of the model by this name.
pub fn family(model: &str) -> &'static Family {
    FAMILIES.iter().find(|family| model.starts_with(family.prefix)).unwrap_or(&ANY)
}

impl Family {
    /// What its models can do. A task draws one picture; more are more tasks.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            tiers: Vec::new(),
            partials: false,
            max_n: 1,
            prompt_chars: PROMPT_MAX_CHARS,
            sizes: match self.size {
                SizeInput::Pixels(steps) => Sizes::Stepped(steps),
                SizeInput::Ratio(pixels) => Sizes::Ratios { shapes: SHAPES.to_vec(), pixels },
                SizeInput::Same => Sizes::Listed(Vec::new()),
            },
            formats: self.formats.to_vec(),
            qualities: Vec::new(),
            seed: true,
            negative_prompt: false,
            negative_chars: PROMPT_MAX_CHARS,
            transparent: false,
            compression: false,
            style: false,
            generate: self.pictures != InputPictures::Masked,
            edit: match self.pictures {
                InputPictures::None => None,
                InputPictures::Numbered(images) => Some(Edits::up_to(images)),
                InputPictures::Masked => Some(Edits { mask: true, keeps_size: true, ..Edits::up_to(1) }),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capabilities::{SizeTolerance, Unsupported};
    use crate::provider::common::fixture::JobFixture;

    fn fit(model: &str, wish: &str, images: usize, mask: bool) -> Result<Vec<String>, Unsupported> {
        let mut fixture = JobFixture::new("bfl", model, wish);
        if images > 0 {
            fixture = fixture.editing(images, mask);
        }
        let size_tolerance = SizeTolerance { tolerance_ppm: 150_000, strict: false };
        let fitted = family(model).capabilities().fit(&fixture.request, size_tolerance)?;
        Ok(fitted.adjusted.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_family_draws_its_own_sizes_and_writes_its_own_files() {
        for (model, wish, told) in [
            ("flux-2-pro", r#""size":"2048x2048","output_format":"webp""#, Ok(vec![])),
            ("flux-2-max", r#""size":"1000x1000""#, Ok(vec!["size 1000x1000 -> 992x992"])),
            ("flux-2-flex", r#""size":"4096x4096""#, Ok(vec!["size 4096x4096 -> 2048x2048"])),
            ("flux-2-klein-9b", r#""size":"64x64""#, Ok(vec![])),
            ("flux-3-image", r#""size":"4096x4096""#, Ok(vec![])),
            ("flux-3-image-klein", r#""size":"512x512""#, Ok(vec!["size 512x512 -> 768x768"])),
            ("flux-3-image", r#""output_format":"webp""#, Err(Unsupported::OutputFormat)),
            ("flux-pro-1.1", r#""size":"1440x1440","output_format":"png""#, Ok(vec![])),
            ("flux-pro-1.1", r#""size":"1536x1024""#, Ok(vec!["size 1536x1024 -> 1440x1024"])),
            ("flux-pro-1.1", r#""output_format":"webp""#, Err(Unsupported::OutputFormat)),
            ("flux-pro-1.1-ultra", r#""size":"1792x1024""#, Ok(vec!["size 1792x1024 -> 16:9"])),
            ("flux-pro-1.1-ultra", r#""size":"4096x512""#, Err(Unsupported::Size)),
            ("flux-kontext-max", r#""size":"1024x1024""#, Ok(vec![])),
            ("something-new", r#""size":"1024x768""#, Ok(vec![])),
            ("flux-2-pro", r#""negative_prompt":"x""#, Err(Unsupported::NegativePrompt)),
            ("flux-2-pro", r#""background":"transparent""#, Err(Unsupported::Background)),
        ] {
            let told = told.map(|told| told.into_iter().map(str::to_owned).collect());
            assert_eq!(fit(model, &format!(r#"{{"prompt":"x",{wish}}}"#), 0, false), told, "{model} {wish}");
        }
    }

    #[test]
    fn each_family_starts_from_as_many_pictures_as_it_takes() {
        let fit = |model, images, mask| fit(model, r#"{"prompt":"x"}"#, images, mask).err();
        for (model, limit) in [("flux-2-max", 8), ("flux-2-klein-4b", 4), ("flux-kontext-pro", 1)] {
            assert_eq!(fit(model, usize::from(limit), false), None, "{model}");
            assert_eq!(fit(model, usize::from(limit) + 1, false), Some(Unsupported::Images { limit }), "{model}");
            assert_eq!(fit(model, 1, true), Some(Unsupported::Mask), "{model}");
        }
        for model in ["flux-pro-1.1", "flux-pro-1.1-ultra", "flux-dev", "something-new"] {
            assert_eq!(fit(model, 1, false), Some(Unsupported::Edit), "{model}");
        }
        let fill = "flux-pro-1.0-fill";
        assert_eq!((fit(fill, 0, false), fit(fill, 1, true)), (Some(Unsupported::Generate), None));
    }
}
