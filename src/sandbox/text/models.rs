//! The models, and what each of them is for.

use crate::sandbox::settings::Vendor;

/// What a model does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TextModelFamily {
    /// Writes, and thinks before: it takes no temperature, and its thoughts are charged.
    Reasons,
    /// Writes.
    Writes,
    /// Turns texts into vectors, of as many numbers as are asked for up to so many.
    Embeds(i64),
    /// Turns texts into vectors of one length.
    EmbedsFixed,
}

/// The models that are always there.
pub(super) const MODELS: [(&str, TextModelFamily); 9] = [
    ("gpt-5-nano", TextModelFamily::Reasons),
    ("gpt-5-mini", TextModelFamily::Reasons),
    ("gpt-5", TextModelFamily::Reasons),
    ("gpt-4.1-nano", TextModelFamily::Writes),
    ("gpt-4.1-mini", TextModelFamily::Writes),
    ("gpt-4o-mini", TextModelFamily::Writes),
    ("text-embedding-3-small", TextModelFamily::Embeds(1536)),
    ("text-embedding-3-large", TextModelFamily::Embeds(3072)),
    ("text-embedding-ada-002", TextModelFamily::EmbedsFixed),
];

impl TextModelFamily {
    /// `None` where there is no such model. One that only the settings name embeds if its name says so, and else writes.
    pub(super) fn of(model: &str, vendor: &Vendor) -> Option<TextModelFamily> {
        let known = MODELS.iter().find(|(name, _)| *name == model).map(|(_, family)| *family);
        let own = || vendor.token_price.contains_key(model).then(|| TextModelFamily::by_name(model));
        known.or_else(own)
    }

    fn by_name(model: &str) -> TextModelFamily {
        if model.contains("embed") { TextModelFamily::Embeds(4096) } else { TextModelFamily::Writes }
    }

    pub(super) fn embeds(self) -> bool {
        matches!(self, TextModelFamily::Embeds(_) | TextModelFamily::EmbedsFixed)
    }
}
