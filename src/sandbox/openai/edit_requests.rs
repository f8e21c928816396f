//! Edits in OpenAI's shape: a form with `image` or `image[]` and `mask`, or JSON with references (PROVIDERS.md 1.2).
//!
//! References are `data:` URLs only: nothing is fetched here, and there are no uploaded files to name. Azure reads its
//! forms here too, a server like OpenAI's has its own names and reads them itself.

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use serde_json::{Map, Value};

use crate::image::Format;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::input_images::{InspectedPicture, data_url, decode_all, fingerprint};
use crate::sandbox::multipart::{BadForm, Form};
use crate::sandbox::openai::errors::{bad_body, bad_field, invalid};
use crate::sandbox::openai::models::Family;
use crate::sandbox::openai::requests::RequestForm;
use crate::sandbox::read_http_request::{media_type, read_json, text};

/// The largest mask, and the largest picture for DALL-E 2.
const FOUR_MIB: usize = 4 * 1024 * 1024;

/// A request to change pictures.
pub(in crate::sandbox) struct ParsedEdit {
    /// The fields besides the pictures.
    pub fields: RequestFields,
    pub inputs: EditImages,
    pub form: RequestForm,
}

/// The pictures that an edit starts from, and its mask, as they were sent.
pub(in crate::sandbox) struct EditImages {
    /// The field that holds the pictures.
    name: &'static str,
    images: Vec<Bytes>,
    mask: Option<Bytes>,
}

impl ParsedEdit {
    /// Reads either shape.
    pub(in crate::sandbox) async fn read(request: Request) -> Result<ParsedEdit, ErrorResponse> {
        let kind = text(request.headers(), &header::CONTENT_TYPE).map(media_type).unwrap_or_default();
        if kind == "application/json" {
            let (parts, body) = request.into_parts();
            let object = read_json(&parts.headers, body).await.map_err(bad_body)?;
            return ParsedEdit::from_json(object).map_err(bad_field);
        }
        ParsedEdit::read_form(request).await
    }

    /// Reads a form, the only shape that Azure and the DALL-E models take.
    pub(in crate::sandbox) async fn read_form(request: Request) -> Result<ParsedEdit, ErrorResponse> {
        let form = Form::read(request).await.map_err(bad_form)?;
        ParsedEdit::from_form(form).map_err(bad_field)
    }

    fn from_form(mut form: Form) -> Result<ParsedEdit, FieldError> {
        let (single, list) = (form.take_one("image")?, form.take("image[]"));
        let (name, images) = match single {
            Some(_) if !list.is_empty() => return Err(FieldError::other("image", "give either 'image' or 'image[]'")),
            Some(image) => ("image", vec![image]),
            None if list.is_empty() => ("image", list),
            None => ("image[]", list),
        };
        let mask = form.take_one("mask")?;
        form.end()?;
        Ok(ParsedEdit {
            fields: RequestFields::form(form.texts),
            inputs: EditImages { name, images, mask },
            form: RequestForm::FormEdit,
        })
    }

    fn from_json(object: Map<String, Value>) -> Result<ParsedEdit, FieldError> {
        let mut fields = RequestFields::nullable(object);
        let images = match fields.any("images") {
            None => return Err(FieldError::new("images", FieldErrorKind::Missing)),
            Some(Value::Array(references)) => {
                references.iter().map(|reference| referred("images", reference)).collect::<Result<_, _>>()?
            }
            Some(other) => {
                return Err(FieldError::new(
                    "images",
                    FieldErrorKind::NotA("array", crate::sandbox::fields::kind(&other)),
                ));
            }
        };
        let mask = fields.any("mask").map(|reference| referred("mask", &reference)).transpose()?;
        Ok(ParsedEdit { fields, inputs: EditImages { name: "images", images, mask }, form: RequestForm::JsonEdit })
    }
}

/// The bytes behind `{"image_url": "data:…"}`.
fn referred(field: &str, reference: &Value) -> Result<Bytes, FieldError> {
    let object = reference.as_object().filter(|object| object.len() == 1);
    let object =
        object.ok_or_else(|| FieldError::other(field, "each must have exactly one of 'image_url' and 'file_id'"))?;
    match object.get("image_url").and_then(Value::as_str) {
        Some(url) => {
            data_url(url).ok_or_else(|| FieldError::other(field, "this sandbox takes data: URLs of pictures only"))
        }
        None => Err(FieldError::other(field, "this sandbox has no such file")),
    }
}

impl EditImages {
    /// Checks whether models of this family can start from these pictures. Gives their hash, and how many tokens they
    /// are: 65 for each begun tile of 512x512.
    pub(in crate::sandbox) async fn check(self, family: Family) -> Result<(u64, u64), FieldError> {
        let EditImages { name, images, mask } = self;
        let most = match family {
            Family::Dalle3 => {
                return Err(FieldError::other("model", "Invalid value: this model does not edit images."));
            }
            Family::Dalle2 => 1,
            Family::Gpt1 | Family::Gpt2 | Family::Gpt25 | Family::Gpt26 => 16,
        };
        if images.len() > most {
            return Err(FieldError::other(
                name,
                format!("Invalid '{name}': too many images, expected at most {most}."),
            ));
        }
        let largest = images.iter().map(Bytes::len).max().unwrap_or(0);
        if mask.as_ref().is_some_and(|mask| mask.len() >= FOUR_MIB) {
            return Err(FieldError::other("mask", "must be less than 4MB"));
        }
        let fingerprint = fingerprint(&images, mask.as_ref());
        let seen = decode_all(name, images, mask).await?;
        let square_png = |seen: &InspectedPicture| seen.format == Format::Png && seen.size.width == seen.size.height;
        if family == Family::Dalle2 && !(seen.iter().all(square_png) && largest < FOUR_MIB) {
            return Err(FieldError::other(name, "Uploaded image must be a square PNG and less than 4 MB."));
        }
        let tiles = |seen: &InspectedPicture| {
            u64::from(seen.size.width.div_ceil(512)) * u64::from(seen.size.height.div_ceil(512))
        };
        Ok((fingerprint, seen.iter().map(|seen| 65 * tiles(seen)).sum()))
    }
}

fn bad_form(why: BadForm) -> ErrorResponse {
    let bad =
        |message: &str, param, code| ErrorResponse::violation(StatusCode::BAD_REQUEST, invalid(message, param, code));
    match why {
        BadForm::ContentType(given) => bad(
            &format!("Unsupported content type: '{given}'. Use 'multipart/form-data'."),
            None,
            Some("unsupported_content_type"),
        ),
        BadForm::TooLarge => {
            ErrorResponse::violation(StatusCode::PAYLOAD_TOO_LARGE, invalid("Request body too large.", None, None))
        }
        BadForm::Broken(why) => bad(&format!("Could not parse multipart form ({why})."), None, None),
        BadForm::Twice(name) => {
            bad(&format!("Duplicate parameter: '{name}'."), Some(&name), Some("duplicate_parameter"))
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;

    use super::*;
    use crate::image::{Encoded, Picture, Size};
    use crate::money::Usd;
    use crate::sandbox::settings::Name;
    use crate::sandbox::test_client::{Reply, post, sandbox, send};
    use crate::sandbox::test_inputs::{FORM, as_url, form, picture};
    use crate::sandbox::{Mode, Sandbox};

    const PATH: &str = "/openai/v1/images/edits";

    type Files<'a> = &'a [(&'a str, &'a Bytes)];
    type Texts = Vec<(&'static str, &'static str)>;

    async fn edit(sandbox: &Sandbox, texts: &[(&str, &str)], files: Files<'_>) -> Reply {
        let headers = [("authorization", "Bearer any"), ("content-type", FORM)];
        send(sandbox.addr(), Method::POST.as_str(), PATH, &headers, &form(texts, files)).await
    }

    fn size(reply: &Reply) -> Size {
        let text =
            reply.json()["data"][0]["b64_json"].as_str().unwrap_or_else(|| panic!("{}", reply.json())).to_owned();
        Picture::inspect(Encoded::Base64(text.into())).unwrap().size
    }

    const GPT: &[(&str, &str)] = &[("model", "gpt-image-1"), ("prompt", "make it blue"), ("size", "1536x1024")];

    #[tokio::test]
    async fn pictures_are_changed_from_a_form_and_from_json_and_charged_once() {
        let sandbox = sandbox("{vendors: {openai: {default_price: 0.05}}}").await;
        let (png, jpeg) = (picture(64, Format::Png, false), picture(48, Format::Jpeg, false));
        let mask = picture(64, Format::Png, true);
        let with_mask = edit(&sandbox, GPT, &[("image[]", &png), ("image[]", &jpeg), ("mask", &mask)]).await;
        assert_eq!(size(&with_mask), Size::new(1536, 1024));
        let every = [GPT, &[("n", "1"), ("input_fidelity", "high"), ("user", "u"), ("quality", "low")]].concat();
        assert_eq!(size(&edit(&sandbox, &every, &[("image", &png)]).await), Size::new(1536, 1024));
        let body = json!({"model": "gpt-image-2", "prompt": "x", "n": 1, "moderation": "low",
            "images": [{"image_url": as_url(&png)}], "mask": {"image_url": as_url(&mask)}});
        assert_eq!(size(&post(&sandbox, PATH, body).await), Size::new(1024, 1024));
        let classic = [("model", "dall-e-2"), ("prompt", "x"), ("size", "512x512"), ("response_format", "b64_json")];
        assert_eq!(size(&edit(&sandbox, &classic, &[("image", &png), ("mask", &mask)]).await), Size::new(512, 512));
        let invoice = sandbox.invoice();
        let bill = invoice.vendor(Name::OpenAi);
        assert_eq!((bill.pictures, bill.usd, &bill.violations[..]), (4, Usd::from_nanos(200_000_000), &[][..]));
    }

    #[tokio::test]
    async fn what_is_wrong_in_a_form_is_named_and_costs_nothing() {
        let sandbox = sandbox("{}").await;
        let (png, jpeg) = (picture(64, Format::Png, false), picture(64, Format::Jpeg, false));
        let (small, junk) = (picture(32, Format::Png, true), Bytes::from_static(b"\x89PNG\r\n"));
        let clear = picture(64, Format::Png, true);
        let seventeen = vec![("image[]", &png); 17];
        let dalle = [("model", "dall-e-2"), ("prompt", "x")];
        let with = |more: &'static [(&str, &str)]| [GPT, more].concat();
        let cases: [(Texts, Files<'_>, &str); 16] = [
            (with(&[]), &[], "image"),
            (with(&[]), &[("image", &junk)], "image"),
            (with(&[]), &[("image", &png), ("image", &png)], "image"),
            (with(&[]), &[("image", &png), ("image[]", &png)], "image"),
            (with(&[]), &seventeen, "image[]"),
            (with(&[]), &[("picture", &png), ("image", &png)], "picture"),
            (with(&[]), &[("image", &png), ("mask", &png)], "mask"),
            (with(&[]), &[("image", &png), ("mask", &small)], "mask"),
            (with(&[("moderation", "low")]), &[("image", &png)], "moderation"),
            (with(&[("response_format", "b64_json")]), &[("image", &png)], "response_format"),
            (with(&[("mask", "x")]), &[("image", &png)], "mask"),
            (with(&[("n", "many")]), &[("image", &png)], "n"),
            (
                vec![("model", "gpt-image-1-mini"), ("prompt", "x"), ("input_fidelity", "high")],
                &[("image", &png)],
                "input_fidelity",
            ),
            (vec![("model", "dall-e-3"), ("prompt", "x")], &[("image", &png)], "model"),
            (dalle.to_vec(), &[("image", &jpeg)], "image"),
            (dalle.to_vec(), &[("image[]", &png), ("image[]", &clear)], "image[]"),
        ];
        let count = cases.len() as u64;
        for (texts, files, param) in cases {
            let reply = edit(&sandbox, &texts, files).await;
            assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some(param)), "{}", reply.json());
        }
        let bill = sandbox.invoice().vendor(Name::OpenAi).clone();
        assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, count));
    }

    #[tokio::test]
    async fn references_in_json_are_data_urls_each_with_one_key() {
        let sandbox = sandbox("{}").await;
        let url = as_url(&picture(64, Format::Png, false));
        for (images, status) in [
            (json!([{"image_url": url}]), 200),
            (json!([{"image_url": "https://host.example/1.png"}]), 400),
            (json!([{"file_id": "file-1"}]), 400),
            (json!([{"image_url": url, "file_id": "file-1"}]), 400),
            (json!([url]), 400),
            (json!(url), 400),
            (json!([]), 400),
            (json!(null), 400),
        ] {
            let body = json!({"model": "gpt-image-1", "prompt": "x", "images": images});
            assert_eq!(post(&sandbox, PATH, body).await.status, status, "{images}");
        }
    }

    #[tokio::test]
    async fn an_edit_meets_the_same_faults_and_needs_the_same_key() {
        let sandbox = sandbox("{}").await;
        let png = picture(64, Format::Png, false);
        let forbidden = [("model", "gpt-image-1"), ("prompt", "forbidden")];
        let reply = edit(&sandbox, &forbidden, &[("image", &png)]).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (400, Some("moderation_blocked")));
        sandbox.set(Name::OpenAi, |vendor| vendor.mode = Mode::Down500);
        assert_eq!(edit(&sandbox, GPT, &[("image", &png)]).await.status, 500);
        let headers = [("content-type", FORM)];
        let reply = send(sandbox.addr(), "POST", PATH, &headers, &form(GPT, &[("image", &png)])).await;
        assert_eq!(reply.status, 401);
        let headers = [("authorization", "Bearer any"), ("content-type", "text/plain")];
        assert_eq!(send(sandbox.addr(), "POST", PATH, &headers, b"x").await.status, 400);
    }

    #[tokio::test]
    async fn another_input_gives_another_picture() {
        let (first, second) = (picture(64, Format::Png, false), picture(48, Format::Png, false));
        let drawn = async |input: &Bytes| {
            let sandbox = sandbox("{}").await;
            edit(&sandbox, GPT, &[("image", input)]).await.json()["data"][0].clone()
        };
        assert_eq!(drawn(&first).await, drawn(&first).await);
        assert_ne!(drawn(&first).await, drawn(&second).await);
    }
}
