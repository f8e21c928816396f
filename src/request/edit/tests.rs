//! Tests of request/edit.rs.

use std::io::Cursor;

use ::image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use base64_simd::STANDARD;
use serde_json::json;

use super::*;

fn png(side: u32, alpha: u8) -> Bytes {
    let mut file = Cursor::new(Vec::new());
    let picture = RgbaImage::from_pixel(side, side, Rgba([1, 2, 3, alpha]));
    DynamicImage::from(picture).write_to(&mut file, ImageFormat::Png).unwrap();
    Bytes::from(file.into_inner())
}

fn text(name: &str, value: &str) -> FormField {
    FormField { name: name.to_owned(), is_file: false, bytes: Bytes::copy_from_slice(value.as_bytes()) }
}

fn file(name: &str, bytes: Bytes) -> FormField {
    FormField { name: name.to_owned(), is_file: true, bytes }
}

fn url(bytes: &Bytes) -> serde_json::Value {
    json!({"image_url": format!("data:image/png;base64,{}", STANDARD.encode_to_string(bytes))})
}

#[test]
fn a_form_and_json_with_the_same_wishes_are_the_same_request() {
    let form = EditDraft::from_edit_form(vec![
        text("prompt", "a red hat"),
        text("n", "2"),
        text("input_fidelity", "high"),
        text("seed", "7"),
        file("image[]", png(8, 255)),
        file("image[]", png(4, 255)),
        file("mask", png(8, 0)),
    ])
    .and_then(EditDraft::finish)
    .unwrap();
    let body = json!({"prompt": "a red hat", "n": 2, "input_fidelity": "high", "seed": 7,
        "images": [url(&png(8, 255)), url(&png(4, 255))], "mask": url(&png(8, 0)), "user": null});
    assert_eq!(form, EditDraft::from_edit_json(body.to_string().as_bytes()).and_then(EditDraft::finish).unwrap());
    let edit = form.edit.unwrap();
    assert_eq!((form.n, edit.images.len(), edit.fidelity), (2, 2, Some(Fidelity::High)));
    let white = ::image::load_from_memory(&edit.mask.unwrap().white).unwrap().into_luma8();
    assert!(white.pixels().all(|pixel| pixel.0 == [255]));
}

#[test]
fn null_means_absent_in_every_field_and_a_text_of_nothing_within_pictures() {
    let plain = json!({"prompt": "x", "images": [url(&png(8, 255))]});
    let read =
        |body: &serde_json::Value| EditDraft::from_edit_json(body.to_string().as_bytes()).and_then(EditDraft::finish);
    let wanted = read(&plain).unwrap();
    let nothings = [json!(null), json!(""), json!(" ")];
    for field in EDIT_FIELDS.into_iter().chain(["mask"]).filter(|field| *field != "prompt") {
        let mut body = plain.clone();
        body[field] = json!(null);
        assert_eq!(read(&body).as_ref(), Ok(&wanted), "{field}");
    }
    for nothing in &nothings {
        let mut within = plain.clone();
        within["images"][0]["file_id"] = nothing.clone();
        within["mask"] = json!({"image_url": nothing, "file_id": nothing});
        assert_eq!(read(&within).as_ref(), Ok(&wanted), "{nothing}");
        let error = read(&json!({"prompt": "x", "images": nothing})).unwrap_err();
        assert_eq!((error.param.as_deref(), error.code()), (Some("images"), "missing_required_parameter"));
        let error = read(&json!({"prompt": "x", "images": [{"image_url": nothing}]})).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("images[0]"));
    }
}

#[test]
fn a_text_of_nothing_means_absent_in_every_field_of_a_form_and_is_no_second_value() {
    let form = |more: Vec<FormField>| {
        let fields = [vec![text("prompt", "x"), file("image", png(8, 255))], more].concat();
        EditDraft::from_edit_form(fields).and_then(EditDraft::finish)
    };
    let wanted = form(vec![]).unwrap();
    for field in EDIT_FIELDS.into_iter().chain(["mask", "image", "image[]"]) {
        for nothing in ["", " "] {
            assert_eq!(form(vec![text(field, nothing)]).as_ref(), Ok(&wanted), "{field}");
        }
    }
    let two = |one: &str, other: &str| form(vec![text("n", one), text("n", other)]).map(|request| request.n);
    assert_eq!((two("", "2"), two("2", "")), (Ok(2), Ok(2)));
    assert_eq!(two("2", "2").unwrap_err().param.as_deref(), Some("n"));
    assert_eq!(form(vec![text("sise", "")]).unwrap_err().code(), "unknown_parameter");
    for empty in ["image", "mask"] {
        let error = form(vec![file(empty, Bytes::new())]).unwrap_err();
        assert!(error.message.contains("is empty"), "{}", error.message);
    }
}

#[test]
fn each_mistake_in_a_form_names_its_field() {
    let picture = || file("image", png(8, 255));
    let cut = png(8, 255);
    for (form, field) in [
        (vec![text("prompt", "x")], "image"),
        (vec![picture()], "prompt"),
        (vec![text("prompt", "x"), text("prompt", "y"), picture()], "prompt"),
        (vec![text("prompt", "x"), text("n", "many"), picture()], "n"),
        (vec![text("prompt", "x"), text("n", "1.5"), picture()], "n"),
        (vec![text("prompt", "x"), text("style", "vivid"), picture()], "style"),
        (vec![text("prompt", "x"), file("size", png(8, 255)), picture()], "size"),
        (vec![text("prompt", "x"), file("image", Bytes::from_static(b"GIF89a"))], "image"),
        (vec![text("prompt", "x"), file("image", Bytes::new())], "image"),
        (vec![text("prompt", "x"), file("image", cut.slice(..cut.len() - 9))], "image"),
        (vec![text("prompt", "x"), picture(), file("mask", png(4, 0))], "mask"),
        (vec![text("prompt", "x"), picture(), file("mask", png(8, 0)), file("mask", png(8, 0))], "mask"),
        ([vec![text("prompt", "x")], vec![picture(); 17]].concat(), "image"),
    ] {
        let error = EditDraft::from_edit_form(form).unwrap_err();
        assert_eq!((error.param.as_deref(), error.kind.status()), (Some(field), 400), "{error:?}");
    }
}

#[test]
fn a_mask_of_too_many_pixels_is_refused_before_it_is_decoded() {
    let form = || vec![text("prompt", "x"), file("image", png(8, 255)), file("mask", png(8, 0))];
    let draft = EditDraft::from_edit_form(form()).unwrap();
    draft.check_mask(64).unwrap();
    let error = draft.check_mask(63).unwrap_err();
    assert_eq!(error.param.as_deref(), Some("mask"));
    assert!(error.message.contains("8x8, which are 64 pixels; at most 63"), "{}", error.message);
    assert!(EditDraft::from_edit_form(form()[..2].to_vec()).unwrap().check_mask(1).is_ok(), "pictures are not decoded");
}

#[test]
fn no_address_or_file_id_of_a_caller_is_followed() {
    for (reference, says) in [
        (json!({"image_url": "http://169.254.169.254/latest"}), "fetches no pictures"),
        (json!({"file_id": "file-1"}), "no files are stored"),
        (json!({"image_url": "data:image/png;base64,!!"}), "base64"),
        (json!({"image_url": "data:,", "detail": "x"}), "nothing else"),
        (json!({"image_url": {"url": "data:,"}}), "needs a text"),
        (json!({"image_url": "data:,", "file_id": "f"}), "nothing else"),
        (json!("data:,"), "must be an object"),
    ] {
        let body = json!({"prompt": "x", "images": [reference]});
        let error = EditDraft::from_edit_json(body.to_string().as_bytes()).unwrap_err();
        assert_eq!(error.param.as_deref(), Some("images[0]"));
        assert!(error.message.contains(says), "{}", error.message);
    }
}

#[test]
fn a_variation_is_an_edit_in_our_own_words_and_takes_no_others() {
    let request = EditDraft::from_variation_form(vec![file("image", png(8, 255)), text("n", "3")])
        .and_then(EditDraft::finish)
        .unwrap();
    assert_eq!((request.prompt.as_str(), request.n, request.edit.unwrap().images.len()), (VARIATION, 3, 1));
    for extra in [text("prompt", "x"), file("mask", png(8, 0)), text("quality", "high")] {
        let form = vec![file("image", png(8, 255)), extra.clone()];
        let error = EditDraft::from_variation_form(form).unwrap_err();
        assert_eq!(error.param, Some(extra.name));
    }
}
