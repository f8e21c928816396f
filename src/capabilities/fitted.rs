//! A request as it was fitted to a model.

use crate::capabilities::adjustment::Adjustment;
use crate::capabilities::sizes::{OutputSize, Tier};
use crate::image::{Format, Size};
use crate::request::Quality;

/// A request as one model will be asked for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FittedRequest {
    /// The size to ask for.
    pub output_size: OutputSize,
    /// The resolution to ask for, where the model has tiers; its usual one when no size was asked.
    pub tier: Option<Tier>,
    /// The quality to ask for.
    pub quality: Option<Quality>,
    /// The file format to ask for.
    pub format: Option<Format>,
    /// Unfinished pictures to ask for. Fewer than wished are no change worth telling: there may always be fewer.
    pub partials: u8,
    /// What was changed.
    pub adjusted: Vec<Adjustment>,
}

impl FittedRequest {
    /// The first wish that is dropped. A file's compression and a picture's style are wishes too.
    pub fn dropped(&self) -> Option<&'static str> {
        self.adjusted.iter().find_map(|adjusted| match adjusted {
            Adjustment::Dropped(field) => Some(*field),
            Adjustment::Changed(..) => None,
        })
    }

    /// The size that prices the picture before it is drawn; `None` when only the model knows.
    pub fn priced(&self) -> Option<Size> {
        self.tier.map(Tier::square).or_else(|| self.output_size.nominal())
    }
}
