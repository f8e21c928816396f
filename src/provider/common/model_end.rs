//! When a vendor shuts a model down, and what it names instead. The tables are with the vendors' models.

use crate::calendar::{Moment, Zone};

/// The end of one model, or of all whose names begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelEnd {
    /// The model's name; with `*` at its end, how names begin.
    pub model: &'static str,
    /// The day from which it may be gone.
    pub ends: &'static str,
    /// What the vendor names instead.
    pub successor: Option<&'static str>,
}

impl ModelEnd {
    /// When that day begins, UTC.
    pub fn at(&self) -> Option<Moment> {
        Zone::default().midnight(self.ends)
    }

    fn is_of(&self, model: &str) -> bool {
        match self.model.strip_suffix('*') {
            Some(prefix) => model.starts_with(prefix),
            None => model == self.model,
        }
    }
}

/// The end of the model by this name; the first that fits counts.
pub fn find(ends: &'static [ModelEnd], model: &str) -> Option<&'static ModelEnd> {
    ends.iter().find(|end| end.is_of(model))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{azure, google, openai};

    #[test]
    fn every_end_is_a_day_and_no_model_is_followed_by_one_that_ends_as_well() {
        for ends in [openai::models::ENDS, azure::ENDS, google::models::ENDS, google::models::VERTEX_ENDS] {
            for end in ends {
                assert!(end.at().is_some(), "{end:?}");
                let followed = end.successor.and_then(|successor| find(ends, successor));
                assert_eq!(followed, None, "{end:?}");
            }
        }
    }

    #[test]
    fn a_model_is_found_by_its_name_or_by_how_it_begins() {
        let ends = |model| find(openai::models::ENDS, model).map(|end| end.ends);
        assert_eq!(ends("gpt-image-1"), Some("2026-10-23"));
        assert_eq!(ends("gpt-image-1-mini"), Some("2026-12-01"));
        assert_eq!(ends("gpt-image-1.5-2025-12-16"), Some("2026-12-01"));
        assert_eq!((ends("gpt-image-2"), ends("gpt-image-10")), (None, None));
        assert!(find(google::models::ENDS, "imagen-4.0-generate-001").is_some());
    }
}
