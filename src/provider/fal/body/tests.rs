//! Tests of provider/fal/body.rs.

use super::*;
use crate::provider::common::fixture::JobFixture;

fn body(model: &str, request: &str) -> Value {
    JobFixture::new("fal", model, request).body()
}

fn edited(model: &str, request: &str, images: usize, mask: bool) -> Value {
    JobFixture::new("fal", model, request).editing(images, mask).body()
}

fn picture(words: &str) -> String {
    picture_source::data_url("image/png", words.as_bytes())
}

#[test]
fn each_family_gets_the_size_its_own_way() {
    let square = r#"{"prompt":"x","size":"1024x1024"}"#;
    let pixels = json!({"width": 1024, "height": 1024});
    for (model, field, size) in [
        ("fal-ai/flux/schnell", "image_size", pixels.clone()),
        ("fal-ai/flux-pro/v1.1", "image_size", pixels.clone()),
        ("openai/gpt-image-2", "image_size", pixels.clone()),
        ("fal-ai/gpt-image-1/text-to-image", "image_size", json!("1024x1024")),
        ("fal-ai/flux-pro/v1.1-ultra", "aspect_ratio", json!("1:1")),
        ("fal-ai/nano-banana", "aspect_ratio", json!("1:1")),
        ("acme/unknown", "image_size", pixels.clone()),
    ] {
        let body = body(model, square);
        assert_eq!(body[field], size, "{model}");
        let fields = body.as_object().unwrap().keys().filter(|key| SIZE_OPTIONS.contains(&key.as_str())).count();
        assert_eq!(fields, 1, "{model}");
    }
    let mut own = JobFixture::new("fal", "acme/unknown", square);
    own.model.options = [("resolution".to_owned(), json!("1K"))].into();
    assert_eq!(own.body(), json!({"prompt":"x","resolution":"1K"}));
}

#[test]
fn a_model_is_sent_only_what_it_takes() {
    let effort = r#"{"prompt":"x","quality":"high","background":"opaque","user":"me","output_compression":5}"#;
    assert_eq!(body("fal-ai/flux/dev", effort), json!({"prompt":"x","num_images":1}));
    let gpt = json!({"prompt":"x","num_images":1,"quality":"high","background":"opaque"});
    assert_eq!(body("fal-ai/gpt-image-1.5", effort), gpt);
    let gpt_2 = json!({"prompt":"x","num_images":1,"quality":"high"});
    assert_eq!(body("openai/gpt-image-2", effort), gpt_2);
    assert_eq!(body("fal-ai/flux-2-pro", effort), json!({"prompt":"x"}), "no num_images");
    assert_eq!(body("acme/unknown", effort), json!({"prompt":"x"}));
}

#[test]
fn pictures_go_where_the_model_takes_them_and_a_mask_is_white_where_it_is_to_change() {
    let plain = r#"{"prompt":"x"}"#;
    let kontext = edited("fal-ai/flux-pro/kontext", plain, 1, false);
    assert_eq!(kontext, json!({"prompt":"x","num_images":1,"image_url":picture("image 0")}));
    let multi = edited("fal-ai/flux-pro/kontext/multi", plain, 2, false);
    assert_eq!(multi["image_urls"], json!([picture("image 0"), picture("image 1")]));
    for (model, one, field) in [
        ("fal-ai/flux-pro/v1/fill", true, "mask_url"),
        ("fal-ai/flux-general/inpainting", true, "mask_url"),
        ("fal-ai/gpt-image-1.5/edit", false, "mask_image_url"),
        ("openai/gpt-image-2/edit", false, "mask_url"),
    ] {
        let body = edited(model, plain, 1, true);
        assert_eq!(body[field], json!(picture("mask white")), "{model}");
        assert_eq!(body.get("image_url").is_some(), one, "{model}");
        assert_eq!(body.get("image_urls").is_some(), !one, "{model}");
    }
}

#[test]
fn a_model_that_draws_in_the_size_of_its_input_is_sent_no_size() {
    for size in ["1024x1024", "512x512"] {
        let body = edited("fal-ai/flux/dev/image-to-image", &json!({"prompt":"x","size":size}).to_string(), 1, false);
        assert_eq!(body, json!({"prompt":"x","num_images":1,"image_url":picture("image 0")}), "{size}");
    }
}
