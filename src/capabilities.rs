//! What a model can do, as data, and how a wish is fitted to it.
//!
//! A wish that changes what the picture shows (seed, negative prompt, transparency, file format) is either met or the
//! offer is unable, with a reason. A wish about effort (quality, style, compression) may be dropped, and is told.
//! Nothing here knows a price or a provider's name.

use crate::image::{Format, Size};
use crate::request::{Background, Edit, ImageRequest, Quality};

mod adjustment;
mod fitted;
mod result_check;
mod sizes;
mod unsupported;

pub use crate::capabilities::adjustment::Adjustment;
pub use crate::capabilities::fitted::FittedRequest;
pub use crate::capabilities::result_check::{Mismatch, ResultCheck, StrictOptions};
pub use crate::capabilities::sizes::{OutputSize, SizeBounds, SizeTolerance, Sizes, Tier};
pub use crate::capabilities::unsupported::Unsupported;

/// What one model can do in one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Pictures per call, at least 1. A larger n is split over calls.
    pub max_n: u8,
    /// Longest prompt in characters.
    pub prompt_chars: usize,
    /// Which sizes it draws.
    pub sizes: Sizes,
    /// Resolutions that are asked for by a word and charged by it, sorted by size; empty where there are none.
    pub tiers: Vec<Tier>,
    /// File formats that can be asked for; empty when the model takes no such wish.
    pub formats: Vec<Format>,
    /// Quality words it understands; others are dropped and told.
    pub qualities: Vec<Quality>,
    /// Takes a seed.
    pub seed: bool,
    /// Takes a negative prompt.
    pub negative_prompt: bool,
    /// Longest negative prompt in characters, where it takes one.
    pub negative_chars: usize,
    /// Draws an alpha channel on request.
    pub transparent: bool,
    /// Takes a compression level.
    pub compression: bool,
    /// Takes DALL-E's style words.
    pub style: bool,
    /// Shows unfinished pictures while it draws.
    pub partials: bool,
    /// Draws from a prompt alone.
    pub generate: bool,
    /// Changes pictures it is given; `None` cannot.
    pub edit: Option<Edits>,
}

/// What a model does with a wish that is left out, and which size its pictures are billed by.
///
/// Before a call nothing is made of it: what is not asked is reckoned at its dearest. After the call it says what was
/// drawn where the answer does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelDefaults {
    /// The size it draws then; `None` where nobody says, or the model decides.
    pub size: Option<Size>,
    /// The quality, likewise.
    pub quality: Option<Quality>,
    /// The size on the bill.
    pub billed: BilledSize,
}

/// The size that a vendor bills, where it tells none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BilledSize {
    /// The one that was asked, whatever came.
    #[default]
    Asked,
    /// That of the picture.
    Drawn,
}

/// What a model that changes pictures can be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edits {
    /// Pictures at once, at least 1.
    pub images: u8,
    /// Takes a mask.
    pub mask: bool,
    /// Changes nothing without one.
    pub needs_mask: bool,
    /// Draws in the first picture's own size, whatever is asked.
    pub keeps_size: bool,
    /// Takes only pictures of a size that it draws.
    pub drawn_sizes: bool,
    /// Bytes of all the pictures together.
    pub bytes: usize,
}

impl Edits {
    /// So many pictures of any weight, without a mask, for a picture of any size.
    pub const fn up_to(images: u8) -> Edits {
        Edits { images, mask: false, needs_mask: false, keeps_size: false, drawn_sizes: false, bytes: usize::MAX }
    }
}

/// What a model with tiers draws when it is told none: 1K, or the smallest that is not smaller (PROVIDERS.md 4.2).
const USUAL: Size = Size::new(1024, 1024);

impl Capabilities {
    /// Fits `request` to this model, or says why it cannot be done.
    pub fn fit(&self, request: &ImageRequest, size_tolerance: SizeTolerance) -> Result<FittedRequest, Unsupported> {
        self.check_wishes(request)?;
        let mut adjusted = Vec::new();
        let (output_size, change) = self.output_size(request, size_tolerance)?;
        adjusted.extend(change);
        let quality = request.quality.filter(|quality| self.qualities.contains(quality));
        if quality != request.quality {
            adjusted.push(Adjustment::Dropped("quality"));
        }
        if request.output_compression.is_some() && !self.compression {
            adjusted.push(Adjustment::Dropped("output_compression"));
        }
        if request.style.is_some() && !self.style {
            adjusted.push(Adjustment::Dropped("style"));
        }
        let tier = self.covering(output_size.nominal().unwrap_or(USUAL));
        let partials = if self.partials { request.partial_images } else { 0 };
        let format = request.output_format.or_else(|| self.alpha_format(request));
        Ok(FittedRequest { output_size, tier, quality, format, partials, adjusted })
    }

    /// The smallest tier that covers `asked`, else the largest.
    fn covering(&self, asked: Size) -> Option<Tier> {
        self.tiers.iter().find(|tier| tier.covers(asked)).or_else(|| self.tiers.last()).copied()
    }

    /// The size to ask for, and what changed.
    fn output_size(
        &self,
        request: &ImageRequest,
        size_tolerance: SizeTolerance,
    ) -> Result<(OutputSize, Option<Adjustment>), Unsupported> {
        let own = request.edit.as_ref().filter(|_| self.edit.is_some_and(|edit| edit.keeps_size));
        match (own.and_then(|edit| edit.images.first()), request.size) {
            (Some(first), Some(asked)) if asked != first.size && size_tolerance.strict => Err(Unsupported::Size),
            (Some(first), asked) => {
                let changed = asked.filter(|asked| *asked != first.size);
                let change =
                    changed.map(|asked| Adjustment::Changed("size", asked.to_string(), first.size.to_string()));
                Ok((OutputSize::Pixels(first.size), change))
            }
            (None, None) => Ok((OutputSize::Default, None)),
            (None, Some(asked)) => self.sizes.fit(asked, size_tolerance),
        }
    }

    fn check_operation(&self, edit: Option<&Edit>) -> Result<(), Unsupported> {
        let Some(edit) = edit else {
            return if self.generate { Ok(()) } else { Err(Unsupported::Generate) };
        };
        let able = self.edit.ok_or(Unsupported::Edit)?;
        if edit.images.len() > usize::from(able.images) {
            return Err(Unsupported::Images { limit: able.images });
        }
        let bytes = edit.images.iter().fold(0, |sum: usize, image| sum.saturating_add(image.bytes.len()));
        match edit.mask {
            _ if bytes > able.bytes => Err(Unsupported::ImageBytes { limit: able.bytes }),
            _ if able.drawn_sizes && !edit.images.iter().all(|image| self.sizes.has(image.size)) => {
                Err(Unsupported::ImageSize)
            }
            Some(_) if !able.mask => Err(Unsupported::Mask),
            None if able.needs_mask => Err(Unsupported::MaskMissing),
            _ => Ok(()),
        }
    }

    /// A format that can be transparent, where that is wished for and the model might write one that cannot.
    fn alpha_format(&self, request: &ImageRequest) -> Option<Format> {
        let wished = request.background == Some(Background::Transparent);
        let may_write_other = self.formats.iter().any(|format| !format.has_alpha());
        self.formats.iter().copied().find(|format| wished && may_write_other && format.has_alpha())
    }

    /// Whether it draws a transparent background for who asks for one.
    pub fn draws_transparent(&self) -> bool {
        self.transparent && self.writes_alpha()
    }

    /// Whether any of its file formats can be transparent; where none is known, that is left to the vendor.
    fn writes_alpha(&self) -> bool {
        self.formats.is_empty() || self.formats.iter().any(|format| format.has_alpha())
    }

    fn check_wishes(&self, request: &ImageRequest) -> Result<(), Unsupported> {
        self.check_operation(request.edit.as_ref())?;
        if request.prompt.chars().count() > self.prompt_chars {
            return Err(Unsupported::PromptTooLong { limit: self.prompt_chars });
        }
        if request.seed.is_some() && !self.seed {
            return Err(Unsupported::Seed);
        }
        match &request.negative_prompt {
            Some(_) if !self.negative_prompt => return Err(Unsupported::NegativePrompt),
            Some(text) if text.chars().count() > self.negative_chars => {
                return Err(Unsupported::NegativePromptTooLong { limit: self.negative_chars });
            }
            _ => {}
        }
        if request.background == Some(Background::Transparent) && !self.draws_transparent() {
            return Err(Unsupported::Background);
        }
        match request.output_format {
            Some(format) if !self.formats.contains(&format) => Err(Unsupported::OutputFormat),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
