//! Tests of sandbox/stability/stable_image.rs.

use super::*;
use crate::image::{Encoded, Picture};
use crate::money::Usd;
use crate::sandbox::test_client::{Reply, sandbox, send};
use crate::sandbox::{Mode, Sandbox};

type Texts<'a> = &'a [(&'a str, &'a str)];

/// A form by hand, with a key and this `accept`.
async fn form(sandbox: &Sandbox, service: &str, accept: &str, fields: Texts<'_>) -> Reply {
    let mut body = String::new();
    for (name, value) in fields {
        body += &format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    }
    body += "--cut--\r\n";
    let headers =
        [("authorization", "Bearer any"), ("accept", accept), ("content-type", "multipart/form-data; boundary=cut")];
    send(sandbox.addr(), "POST", &path(service), &headers, body.as_bytes()).await
}

fn path(service: &str) -> String {
    format!("/stability/v2beta/stable-image/generate/{service}")
}

fn size(reply: Reply) -> Size {
    Picture::inspect(Encoded::Raw(reply.body.into())).unwrap().size
}

#[tokio::test]
async fn a_picture_comes_as_bytes_with_its_seed_in_a_header() {
    let sandbox = sandbox("{vendors: {stability: {price: {core: 0.03}}}}").await;
    let fields = [("prompt", "a red bicycle"), ("seed", "7"), ("output_format", "jpeg"), ("none", "")];
    let reply = form(&sandbox, "core", "image/*", &fields).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("image/jpeg")));
    assert_eq!((reply.header("seed"), reply.header("finish-reason")), (Some("7"), Some("SUCCESS")));
    let again = form(&sandbox, "core", "*/*", &fields).await;
    assert_eq!(reply.body, again.body, "the same seed draws the same picture");
    assert_eq!(size(reply), Size::new(1232, 1232));
    assert_eq!(sandbox.invoice().vendor(Name::Stability).usd, Usd::from_nanos(60_000_000));
}

#[tokio::test]
async fn json_has_a_content_type_with_a_parameter_and_no_seed_header() {
    let sandbox = sandbox("{}").await;
    let fields =
        [("prompt", "a red bicycle"), ("aspect_ratio", "16:9"), ("model", "sd3.5-medium"), ("cfg_scale", "4.5")];
    let reply = form(&sandbox, "sd3", "application/json", &fields).await;
    assert_eq!(reply.header("content-type"), Some("application/json; type=image/png"));
    assert_eq!((reply.header("seed"), reply.header("finish-reason")), (None, None));
    let json = reply.json();
    assert_eq!(json["finish_reason"], "SUCCESS");
    assert!(json["seed"].as_u64().is_some_and(|seed| seed > 0));
    let picture = Picture::inspect(Encoded::Base64(json["image"].as_str().unwrap().to_owned().into())).unwrap();
    assert_eq!(picture.size, Size::new(1344, 768));
    assert_eq!(sandbox.invoice().vendor(Name::Stability).by_model["sd3.5-medium"].pictures, 1);
}

#[tokio::test]
async fn only_a_form_will_do() {
    let sandbox = sandbox("{}").await;
    let headers = [("authorization", "Bearer any"), ("content-type", "application/json")];
    let reply = send(sandbox.addr(), "POST", &path("ultra"), &headers, br#"{"prompt": "x"}"#).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (400, Some("bad_request")));
    assert_eq!(reply.json()["errors"], json!(["content-type: must be multipart/form-data, not 'application/json'"]));
    let reply = send(sandbox.addr(), "POST", &path("ultra"), &headers[1..], b"{}").await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (401, Some("unauthorized")));
    assert_eq!(sandbox.invoice().vendor(Name::Stability).violations_total, 2);
}

#[tokio::test]
async fn every_field_that_is_out_of_line_is_named_and_noted() {
    let sandbox = sandbox("{}").await;
    let long = "x".repeat(10_001);
    let cases: [(&str, Texts<'_>, &str); 13] = [
        ("core", &[], "prompt: is required"),
        ("core", &[("prompt", "")], "prompt: must not be empty"),
        ("core", &[("prompt", &long)], "prompt: must have at most 10000 characters"),
        ("core", &[("prompt", "x"), ("width", "1024")], "width: is not a known field"),
        ("core", &[("prompt", "x"), ("n", "2")], "n: is not a known field"),
        ("core", &[("prompt", "x"), ("aspect_ratio", "4:3")], "aspect_ratio: must be one of"),
        ("core", &[("prompt", "x"), ("seed", "4294967295")], "seed: must be less than or equal to 4294967294"),
        ("core", &[("prompt", "x"), ("seed", "many")], "seed: must be of type integer"),
        ("core", &[("prompt", "x"), ("output_format", "jpg")], "output_format: must be one of"),
        ("core", &[("prompt", "x"), ("model", "sd3.5-large")], "model: is not a known field"),
        ("ultra", &[("prompt", "x"), ("cfg_scale", "4")], "cfg_scale: is not a known field"),
        ("sd3", &[("prompt", "x"), ("model", "sd2")], "model: must be one of"),
        ("sd3", &[("prompt", "x"), ("prompt", "y")], "prompt: must be given once"),
    ];
    for (count, (service, fields, words)) in cases.iter().enumerate() {
        let reply = form(&sandbox, service, "image/*", fields).await;
        let message = reply.json()["errors"][0].as_str().unwrap().to_owned();
        assert_eq!(reply.status, 400, "{message}");
        assert!(message.starts_with(words), "{message}");
        assert_eq!(sandbox.invoice().vendor(Name::Stability).violations_total, count as u64 + 1);
    }
    assert_eq!(form(&sandbox, "core", "image/png", &[("prompt", "x")]).await.status, 400);
    assert_eq!(form(&sandbox, "sdxl", "image/*", &[("prompt", "x")]).await.status, 404);
}

#[tokio::test]
async fn a_body_over_ten_mebibytes_is_too_large() {
    let sandbox = sandbox("{}").await;
    let reply = form(&sandbox, "core", "image/*", &[("prompt", &"x".repeat(10 << 20))]).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (413, Some("payload_too_large")));
}

#[tokio::test]
async fn forbidden_is_refused_free_of_charge_and_blurred_is_charged() {
    let sandbox = sandbox("{}").await;
    let reply = form(&sandbox, "ultra", "image/*", &[("prompt", "a forbidden bicycle")]).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (403, Some("content_moderation")));
    assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
    let reply = form(&sandbox, "ultra", "image/*", &[("prompt", "a blurred bicycle")]).await;
    assert_eq!((reply.status, reply.header("finish-reason")), (200, Some("CONTENT_FILTERED")));
    assert_eq!(size(reply), Size::new(1024, 1024));
    let invoice = sandbox.invoice();
    let bill = invoice.vendor(Name::Stability);
    assert_eq!((bill.refused_billed, bill.pictures, bill.violations_total), (1, 1, 0));
    assert_eq!(bill.usd, Usd::from_nanos(40_000_000));
}

#[tokio::test]
async fn each_fault_looks_as_it_does_at_the_vendor() {
    let sandbox = sandbox("{}").await;
    let meet = async |mode| {
        sandbox.set(Name::Stability, |vendor| vendor.mode = mode);
        form(&sandbox, "core", "application/json", &[("prompt", "x")]).await
    };
    let reply = meet(Mode::RateLimited { retry_after: std::time::Duration::from_secs(9) }).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (429, Some("rate_limit_exceeded")));
    assert_eq!(reply.header("retry-after"), None, "this vendor does not say when to come back");
    let reply = meet(Mode::OutOfMoney).await;
    assert_eq!((reply.status, reply.json()["name"].as_str()), (402, Some("payment_required")));
    let reply = meet(Mode::Down500).await;
    assert_eq!((reply.status, reply.json()["errors"].as_array().map(Vec::len)), (500, Some(1)));
    assert_eq!(meet(Mode::NoPictures).await.json().get("image"), None);
    assert_eq!(sandbox.invoice().total, Some(Usd::ZERO));
}

#[tokio::test]
async fn what_starts_from_a_picture_is_checked_and_drawn_in_its_size() {
    let sandbox = sandbox("{}").await;
    let png = |side: u32| {
        let mut file = std::io::Cursor::new(Vec::new());
        image::RgbImage::new(side, side).write_to(&mut file, image::ImageFormat::Png).unwrap();
        file.into_inner()
    };
    let edit = async |path: &str, texts: Texts<'_>, files: &[(&str, Vec<u8>)]| {
        let mut body = Vec::new();
        for (name, text) in texts {
            body.extend(
                format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n").into_bytes(),
            );
        }
        for (name, bytes) in files {
            let head = format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.png\"\r\n\r\n");
            body.extend([head.as_bytes(), bytes, b"\r\n"].concat());
        }
        body.extend(b"--cut--\r\n");
        let headers = [("authorization", "Bearer any"), ("content-type", "multipart/form-data; boundary=cut")];
        let path = format!("/stability/v2beta/stable-image/{path}");
        send(sandbox.addr(), "POST", &path, &headers, &body).await
    };
    let (prompt, strength) = (("prompt", "a hat"), ("strength", "0.5"));
    let image = |side| ("image", png(side));
    let drawn = edit("edit/inpaint", &[prompt], &[image(96), ("mask", png(96))]).await;
    assert_eq!(size(drawn), Size::new(96, 96));
    let drawn = edit("generate/sd3", &[prompt, strength, ("mode", "image-to-image")], &[image(80)]).await;
    assert_eq!(size(drawn), Size::new(80, 80));
    let drawn = edit("generate/ultra", &[prompt, strength, ("aspect_ratio", "3:2")], &[image(80)]).await;
    assert_eq!(size(drawn), Size::new(1216, 832));
    assert_eq!(sandbox.invoice().vendor(Name::Stability).violations_total, 0);
    for (path, texts, files) in [
        ("edit/inpaint", vec![prompt], vec![]),
        ("edit/inpaint", vec![prompt], vec![image(96), ("mask", png(64))]),
        ("edit/inpaint", vec![prompt], vec![("image", b"no picture".to_vec())]),
        ("edit/inpaint", vec![prompt, ("aspect_ratio", "1:1")], vec![image(96)]),
        ("generate/ultra", vec![prompt], vec![image(96)]),
        ("generate/ultra", vec![prompt, strength], vec![]),
        ("generate/sd3", vec![prompt, strength], vec![image(96)]),
        ("generate/core", vec![prompt, strength], vec![image(96)]),
    ] {
        assert_eq!(edit(path, &texts, &files).await.status, 400, "{path} {texts:?}");
    }
    assert_eq!(sandbox.invoice().vendor(Name::Stability).pictures, 3);
}
