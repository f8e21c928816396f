//! Tests of sandbox/bfl/requests.rs.

use serde_json::{Value, json};

use super::*;
use crate::sandbox::settings::Vendor;
use crate::sandbox::test_inputs::picture;

async fn read(model: &str, body: Value) -> Result<ParsedRequest, String> {
    let fields = RequestFields::nullable(body.as_object().cloned().unwrap());
    let model = Model::of(model, &Vendor::default()).unwrap();
    model.read(fields).await.map_err(|error| error.field)
}

fn base64(side: u32, format: Format, transparent: bool) -> String {
    STANDARD.encode_to_string(picture(side, format, transparent))
}

#[tokio::test]
async fn each_model_draws_its_own_sizes_and_files() {
    let input = base64(200, Format::Jpeg, false);
    for (model, wish, size, format) in [
        ("flux-2-pro", json!({}), (1024, 1024), Format::Jpeg),
        ("flux-2-pro", json!({"width": 0, "height": 0}), (1024, 1024), Format::Jpeg),
        ("flux-2-max", json!({"width": 2048, "height": 2048, "output_format": "webp"}), (2048, 2048), Format::Webp),
        ("flux-2-klein-4b", json!({"input_image": input}), (192, 192), Format::Jpeg),
        ("flux-pro-1.1", json!({}), (1024, 768), Format::Jpeg),
        ("flux-dev", json!({"width": 1440, "height": 256, "output_format": "png"}), (1440, 256), Format::Png),
        ("flux-pro-1.1-ultra", json!({"raw": true}), (2720, 1536), Format::Jpeg),
        ("flux-pro-1.1-ultra", json!({"aspect_ratio": "1:1"}), (2048, 2048), Format::Jpeg),
        ("flux-kontext-pro", json!({"aspect_ratio": "3:7"}), (656, 1552), Format::Png),
        ("flux-kontext-pro", json!({"input_image": input}), (1024, 1024), Format::Png),
    ] {
        let mut body = json!({"prompt": "x"});
        body.as_object_mut().unwrap().extend(wish.as_object().cloned().unwrap());
        let parsed = read(model, body).await.unwrap();
        assert_eq!((parsed.size, parsed.format), (Size::new(size.0, size.1), format), "{model} {wish}");
    }
}

#[tokio::test]
async fn what_a_model_does_not_take_is_refused_by_name() {
    let input = base64(64, Format::Png, false);
    for (model, wish, field) in [
        ("flux-2-pro", json!({"width": 1000}), "width"),
        ("flux-2-pro", json!({"height": 48}), "height"),
        ("flux-2-pro", json!({"width": 4096, "height": 2048}), "width"),
        ("flux-2-pro", json!({"steps": 20}), "steps"),
        ("flux-2-pro", json!({"aspect_ratio": "1:1"}), "aspect_ratio"),
        ("flux-2-pro", json!({"safety_tolerance": 6}), "safety_tolerance"),
        ("flux-2-pro", json!({"seed": "7"}), "seed"),
        ("flux-2-pro", json!({"input_image": "data:image/png;base64,QUJD"}), "input_image"),
        ("flux-2-pro", json!({"input_image": "QUJD"}), "input_image"),
        ("flux-2-pro", json!({"input_image_9": input}), "input_image_9"),
        ("flux-2-klein-9b", json!({"input_image_5": input}), "input_image_5"),
        ("flux-2-klein-9b", json!({"disable_pup": true}), "disable_pup"),
        ("flux-2-flex", json!({"steps": 51}), "steps"),
        ("flux-pro-1.1", json!({"width": 1456}), "width"),
        ("flux-pro-1.1", json!({"width": 0}), "width"),
        ("flux-pro-1.1", json!({"width": 1040}), "width"),
        ("flux-pro-1.1", json!({"output_format": "webp"}), "output_format"),
        ("flux-pro-1.1", json!({"input_image": input}), "input_image"),
        ("flux-pro-1.1-ultra", json!({"width": 1024}), "width"),
        ("flux-pro-1.1-ultra", json!({"aspect_ratio": "22:9"}), "aspect_ratio"),
        ("flux-kontext-max", json!({"aspect_ratio": "wide"}), "aspect_ratio"),
        ("flux-kontext-max", json!({"aspect_ratio": "0:0"}), "aspect_ratio"),
        ("flux-2-pro", json!({"n": 1}), "n"),
        ("flux-2-pro", json!({"webhook_url": "nowhere"}), "webhook_url"),
        ("flux-2-pro", json!({"prompt": null}), "prompt"),
    ] {
        let mut body = json!({"prompt": "x"});
        body.as_object_mut().unwrap().extend(wish.as_object().cloned().unwrap());
        assert_eq!(read(model, body).await.err().as_deref(), Some(field), "{model} {wish}");
    }
    assert!(Model::of("flux-9", &Vendor::default()).is_none());
}

#[tokio::test]
async fn a_mask_is_black_and_white_and_as_large_as_its_picture() {
    let (png, clear) = (base64(64, Format::Png, false), base64(64, Format::Png, true));
    let fill = async |body: Value| read("flux-pro-1.0-fill", body).await;
    let parsed = fill(json!({"image": png, "mask": png, "prompt": "a hat"})).await.unwrap();
    assert_eq!(parsed.size, Size::new(64, 64));
    let without = fill(json!({"image": clear})).await.unwrap();
    assert_ne!(without.fingerprint, parsed.fingerprint);
    for (body, field) in [
        (json!({"image": png}), "mask"),
        (json!({"image": png, "mask": clear}), "mask"),
        (json!({"image": png, "mask": base64(32, Format::Png, false)}), "mask"),
        (json!({"image": png, "mask": "QUJD"}), "mask"),
        (json!({"mask": png}), "image"),
        (json!({"image": png, "mask": png, "width": 64}), "width"),
    ] {
        assert_eq!(fill(body).await.err().as_deref(), Some(field));
    }
}
