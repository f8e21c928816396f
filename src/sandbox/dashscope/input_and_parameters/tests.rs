//! Tests of sandbox/dashscope/input_and_parameters.rs.

use crate::sandbox::dashscope::input_and_parameters::*;
use crate::sandbox::settings::Vendor;

fn model(name: &str) -> Option<Model> {
    Model::of(name, &Vendor::default())
}

#[test]
fn a_model_draws_its_own_sizes_and_no_others() {
    for (name, good, bad) in [
        ("qwen-image", "1664*928", "1024*1024"),
        ("qwen-image-max", "928*1664", "928*1665"),
        ("qwen-image-2.0", "1792*1024", "2048*2049"),
        ("qwen-image-edit-plus", "512*2048", "500*2048"),
        ("wan2.2-t2i-flash", "1440*1440", "768*2700"),
        ("wan2.5-t2i-preview", "768*2700", "512*512"),
        ("wan2.6-t2i", "1280*1280", "2048*2048"),
        ("wan2.6-image", "2048*2048", "3840*500"),
        ("z-image-turbo", "1536*864", "1536x864"),
    ] {
        let size = |text: &str| model(name).unwrap().size(text).map(|size| format!("{}*{}", size.width, size.height));
        assert_eq!(size(good).as_deref(), Ok(good), "{name}");
        assert!(size(bad).is_err(), "{name} {bad}");
    }
    assert!(model("qwen-image-edit").unwrap().size("1024*1024").is_err());
    for text in ["", "*", "0*512", "1024*", "+1024*1024", "1024*1024*1"] {
        assert!(model("qwen-image-2.0").unwrap().size(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_changed_picture_keeps_the_shape_of_its_input() {
    assert_eq!(like(Size::new(1024, 1024), 1024 * 1024), Size::new(1024, 1024));
    assert_eq!(like(Size::new(1600, 900), 1280 * 1280), Size::new(1712, 960));
    assert_eq!(like(Size::new(8000, 1), 16), Size::new(352, 16));
}
