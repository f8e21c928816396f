//! Tests of provider/fal/models.rs.

use std::collections::BTreeSet;

use super::*;
use crate::capabilities::{SizeTolerance, Unsupported};
use crate::provider::common::fixture::JobFixture;

#[test]
fn every_model_is_named_once_and_draws_or_edits() {
    let names: BTreeSet<&str> = NAMES.into_iter().collect();
    assert_eq!(names.len(), NAMES.len());
    for name in NAMES {
        let able = capabilities(name);
        assert!(able.generate != able.edit.is_some(), "{name}");
        assert!((1..=4).contains(&able.max_n), "{name}");
    }
}

#[test]
fn a_model_that_changes_what_a_mask_shows_is_unable_without_one_and_the_others_are_not() {
    let request = JobFixture::new("fal", FLUX.name, r#"{"prompt":"x"}"#).editing(1, false).request;
    let size_tolerance = SizeTolerance { tolerance_ppm: 0, strict: false };
    assert!(capabilities("openai/gpt-image-2/edit").fit(&request, size_tolerance).is_ok());
    for model in ["fal-ai/flux-pro/v1/fill", "fal-ai/flux-general/inpainting", "fal-ai/fast-sdxl/inpainting"] {
        assert_eq!(capabilities(model).fit(&request, size_tolerance), Err(Unsupported::MaskMissing), "{model}");
    }
}
