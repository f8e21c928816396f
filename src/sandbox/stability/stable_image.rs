//! Stability AI, version 2beta: Stable Image core, ultra and sd3 (PROVIDERS.md section 3.1).
//!
//! Forms only: a JSON body is refused, however right its fields. One picture a call, by aspect ratio, never by pixels.
//! The sizes drawn are SD3's own for about one million pixels; core's are the same ratios at the 1.5 million its page
//! promises, computed, for want of a published list. `ultra` and `sd3` also start from a picture, `inpaint` changes part of
//! one, white where its mask allows it; what starts from a picture is drawn in its size. Not here: the other edits.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use serde_json::{Value, json};

use crate::image::{Format, Size};
use crate::sandbox::call::{No, VendorCall, act_out, bearer, draw, media_type, text};
use crate::sandbox::desk::Desk;
use crate::sandbox::draw::Sketch;
use crate::sandbox::edits;
use crate::sandbox::edits::{BadForm, Form, mark};
use crate::sandbox::faults::Mode;
use crate::sandbox::fields::{Fields, Why, Wrong};
use crate::sandbox::settings::{Name, Vendor};
use crate::sandbox::stability::answers::{is_blurred, seed_of, tell};
use crate::sandbox::stability::errors::fault_words;
use crate::sandbox::stability::v1::STYLES;

/// Ratios and what SD3 draws for them.
const RATIOS: [(&str, Size); 9] = [
    ("21:9", Size::new(1536, 640)),
    ("16:9", Size::new(1344, 768)),
    ("3:2", Size::new(1216, 832)),
    ("5:4", Size::new(1088, 896)),
    ("1:1", Size::new(1024, 1024)),
    ("4:5", Size::new(896, 1088)),
    ("2:3", Size::new(832, 1216)),
    ("9:16", Size::new(768, 1344)),
    ("9:21", Size::new(640, 1536)),
];

/// The models of the `sd3` service. The last is in the price list but not in the schema's enum; it is taken here.
const SD3: [&str; 4] = ["sd3.5-large", "sd3.5-large-turbo", "sd3.5-medium", "sd3.5-flash"];

/// Which endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    Core,
    Ultra,
    Sd3,
    Inpaint,
}

/// `POST /stability/v2beta/stable-image/generate/{service}`.
pub(in crate::sandbox) async fn generate(
    State(desk): State<Arc<Desk>>,
    Path(service): Path<String>,
    request: Request,
) -> Response {
    let service = match service.as_str() {
        "core" => Some(Service::Core),
        "ultra" => Some(Service::Ultra),
        "sd3" => Some(Service::Sd3),
        _ => None,
    };
    serve(&desk, service, request).await
}

/// `POST /stability/v2beta/stable-image/edit/{service}`.
pub(in crate::sandbox) async fn edit(
    State(desk): State<Arc<Desk>>,
    Path(service): Path<String>,
    request: Request,
) -> Response {
    serve(&desk, (service == "inpaint").then_some(Service::Inpaint), request).await
}

async fn serve(desk: &Arc<Desk>, service: Option<Service>, request: Request) -> Response {
    let call = VendorCall::admit(desk, Name::Stability, request.headers());
    let answer = answer(&call, service, request).await;
    call.close(answer)
}

async fn answer(call: &VendorCall, service: Option<Service>, request: Request) -> Result<Response, No> {
    authorise(&call.vendor, request.headers())?;
    let missing = || wrong(StatusCode::NOT_FOUND, "not_found", "no such service: use core, ultra, sd3 or inpaint");
    let service = service.ok_or_else(missing)?;
    let json = wants_json(request.headers())?;
    let given = text(request.headers(), &header::CONTENT_TYPE).unwrap_or_default().to_owned();
    let form = Form::read(request).await.map_err(|bad| bad_form(bad, &given))?;
    let order = read(service, form).await.map_err(|wrong| bad_field(&wrong))?;
    act_out(call.fate, fault).await?;
    if call.refuses(&order.prompt) {
        let words = "Your request was flagged by our content moderation system, as a result your request was denied \
                     and you were not charged.";
        return Err(No::fault(StatusCode::FORBIDDEN, error("content_moderation", words)));
    }
    call.work().await;
    order.fill(call, json).await
}

/// The order, its pictures looked at.
async fn read(service: Service, mut form: Form) -> Result<Order, Wrong> {
    // The vendor's own sample sends an empty file called `none` only to make its client write a form.
    form.take("none");
    let texts = form.texts.iter().filter(|(name, text)| name != "none" || !text.is_empty()).cloned().collect();
    let (image, mask) = (form.take_one("image")?, form.take_one("mask")?);
    form.end()?;
    let order = Order::read(service, Fields::form(texts), image.is_some())?;
    if mask.is_some() && service != Service::Inpaint {
        return Err(Wrong::new("mask", Why::Unknown));
    }
    let Some(image) = image else { return Ok(order) };
    let mark = mark(std::slice::from_ref(&image), mask.as_ref());
    let seen = edits::look("image", vec![image], None).await?.remove(0);
    if let Some(mask) = mask {
        let masked = edits::look("mask", vec![mask], None).await?.remove(0);
        if masked.size != seen.size {
            return Err(Wrong::other("mask", "must be of the same size as the image"));
        }
    }
    let size = if service == Service::Ultra { order.size } else { seen.size };
    Ok(Order { size, mark, ..order })
}

fn bad_form(bad: BadForm, given: &str) -> No {
    match bad {
        BadForm::TooLarge => wrong(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", "body: must be at most 10MiB"),
        BadForm::ContentType(_) => {
            bad_field(&Wrong::other("content-type", format!("must be multipart/form-data, not '{given}'")))
        }
        BadForm::Broken(words) => bad_field(&Wrong::other("body", words)),
        BadForm::Twice(name) => bad_field(&Wrong::other(&name, "must be given once")),
    }
}

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Order {
    model: String,
    prompt: String,
    size: Size,
    format: Format,
    seed: u32,
    /// Another for other input pictures.
    mark: u64,
}

impl Order {
    /// `pictured`: the form brings a picture along.
    fn read(service: Service, mut fields: Fields, pictured: bool) -> Result<Order, Wrong> {
        let prompt = fields.prompt("prompt", 10_000)?;
        fields.bounded("negative_prompt", 10_000)?;
        let shaped = service == Service::Ultra || !(pictured || service == Service::Inpaint);
        let ratio = if shaped { fields.choice("aspect_ratio", &RATIOS.map(|(name, _)| name))? } else { None };
        let seed = fields.whole("seed", 0..=4_294_967_294)?;
        let format = fields.choice("output_format", &["jpeg", "png", "webp"])?;
        fields.choice("style_preset", &STYLES)?;
        let model = match service {
            Service::Core => "core".to_owned(),
            Service::Ultra => "ultra".to_owned(),
            Service::Sd3 => read_sd3(&mut fields, pictured)?,
            Service::Inpaint if !pictured => return Err(Wrong::new("image", Why::Missing)),
            Service::Inpaint => "inpaint".to_owned(),
        };
        if pictured && matches!(service, Service::Ultra | Service::Sd3) {
            fields.number("strength", 0.0..=1.0)?.ok_or_else(|| Wrong::new("strength", Why::Missing))?;
        }
        if pictured && service == Service::Core {
            return Err(Wrong::new("image", Why::Unknown));
        }
        fields.end()?;
        Ok(Order {
            model,
            prompt,
            size: size(service, ratio.as_deref().unwrap_or("1:1")),
            format: format.and_then(|word| word.parse().ok()).unwrap_or(Format::Png),
            seed: seed.and_then(|seed| u32::try_from(seed).ok()).unwrap_or(0),
            mark: 0,
        })
    }

    /// Draws, charges and answers.
    async fn fill(self, call: &VendorCall, json: bool) -> Result<Response, No> {
        let seed = seed_of(self.seed, call);
        if call.fate == Mode::NoPictures {
            let body = json!({"seed": seed, "finish_reason": "SUCCESS"});
            return Ok(if json { Json(body).into_response() } else { ().into_response() });
        }
        let blurred = is_blurred(&self.prompt);
        let reason = if blurred { "CONTENT_FILTERED" } else { "SUCCESS" };
        let sketch = call.sketch(&self.prompt, u64::from(seed) ^ self.mark, 0, self.size);
        let mut files = draw(vec![Sketch { blurred, format: self.format, ..sketch }]).await?;
        let file = files.pop().unwrap_or_default();
        // Nothing is awaited from here on: what is charged is answered.
        call.charge(&self.model, self.size, None, 1, u32::from(blurred))?;
        let media_type = self.format.media_type();
        if json {
            let body = json!({"image": STANDARD.encode_to_string(&file), "seed": seed, "finish_reason": reason});
            let content_type = format!("application/json; type={media_type}");
            return Ok(([(header::CONTENT_TYPE, content_type)], body.to_string()).into_response());
        }
        let mut answer = ([(header::CONTENT_TYPE, media_type)], file).into_response();
        tell(&mut answer, reason, seed);
        Ok(answer)
    }
}

/// The fields of `sd3` alone, and its model.
fn read_sd3(fields: &mut Fields, pictured: bool) -> Result<String, Wrong> {
    let mode = fields.choice("mode", &["text-to-image", "image-to-image"])?;
    if (mode.as_deref() == Some("image-to-image")) != pictured {
        return Err(Wrong::other("mode", "must be image-to-image with an image, and only then"));
    }
    fields.number("cfg_scale", 1.0..=10.0)?;
    Ok(fields.choice("model", &SD3)?.unwrap_or_else(|| "sd3.5-large".to_owned()))
}

fn size(service: Service, ratio: &str) -> Size {
    let (_, size) = RATIOS.iter().find(|(name, _)| *name == ratio).copied().unwrap_or(RATIOS[4]);
    match service {
        Service::Ultra | Service::Sd3 | Service::Inpaint => size,
        Service::Core => {
            let side = |this: u32, other: u32| {
                let exact = (1_500_000 * u64::from(this) / u64::from(other)).isqrt();
                u32::try_from((exact + 8) / 16 * 16).unwrap_or(this)
            };
            Size::new(side(size.width, size.height), side(size.height, size.width))
        }
    }
}

fn wants_json(headers: &HeaderMap) -> Result<bool, No> {
    match media_type(text(headers, &header::ACCEPT).unwrap_or_default()).as_str() {
        "" | "*/*" | "image/*" => Ok(false),
        "application/json" => Ok(true),
        _ => Err(bad_field(&Wrong::other("accept", "must be image/* or application/json"))),
    }
}

fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), No> {
    match bearer(headers) {
        key if vendor.accepts(key) => Ok(()),
        None => Err(wrong(StatusCode::UNAUTHORIZED, "unauthorized", "authorization: is required")),
        Some(_) => Err(wrong(StatusCode::UNAUTHORIZED, "unauthorized", "authorization: invalid API key")),
    }
}

/// Version 2beta's envelope: a list of `errors`.
fn error(name: &str, words: &str) -> Value {
    json!({"id": "sandbox", "name": name, "errors": [words]})
}

fn wrong(status: StatusCode, name: &str, words: &str) -> No {
    No::violation(status, error(name, words))
}

fn bad_field(field: &Wrong) -> No {
    wrong(StatusCode::BAD_REQUEST, "bad_request", &format!("{}: {}", field.field, field.sentence()))
}

fn fault(mode: Mode) -> No {
    let (status, name, words) = fault_words(mode);
    No::fault(status, error(name, words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Encoded, Picture};
    use crate::money::Usd;
    use crate::sandbox::client::{Reply, sandbox, send};
    use crate::sandbox::{Mode, Sandbox};

    type Texts<'a> = &'a [(&'a str, &'a str)];

    /// A form by hand, with a key and this `accept`.
    async fn form(sandbox: &Sandbox, service: &str, accept: &str, fields: Texts<'_>) -> Reply {
        let mut body = String::new();
        for (name, value) in fields {
            body += &format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        }
        body += "--cut--\r\n";
        let headers = [
            ("authorization", "Bearer any"),
            ("accept", accept),
            ("content-type", "multipart/form-data; boundary=cut"),
        ];
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
        assert_eq!(
            reply.json()["errors"],
            json!(["content-type: must be multipart/form-data, not 'application/json'"])
        );
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
            let told = reply.json()["errors"][0].as_str().unwrap().to_owned();
            assert_eq!(reply.status, 400, "{told}");
            assert!(told.starts_with(words), "{told}");
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
                let head =
                    format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.png\"\r\n\r\n");
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
}
