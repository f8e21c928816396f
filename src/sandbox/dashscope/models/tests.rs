//! Tests of sandbox/dashscope/models.rs.

use super::*;

fn model(name: &str) -> Option<Model> {
    Model::of(name, &Vendor::default())
}

#[test]
fn a_snapshot_is_its_model_and_a_stranger_is_none() {
    assert_eq!(model("qwen-image-plus-2026-01-09").map(|model| model.name), Some("qwen-image-plus"));
    assert_eq!(model("qwen-image-edit-plus-2025-10-30").map(|model| model.name), Some("qwen-image-edit-plus"));
    assert!(model("qwen-image-plus-yesterday").is_none() && model("dall-e-3").is_none());
    let mut vendor = Vendor::default();
    vendor.price.insert("dall-e-3".to_owned(), crate::money::Usd::ZERO);
    assert!(Model::of("dall-e-3", &vendor).is_some(), "the settings say that it exists");
}
