//! Edits at the server that resembles OpenAI: its form, with the pictures under the dialect's own names.
//!
//! Everything else is as in `mod.rs`. JSON is refused at their path; a dialect may have the pictures among the fields
//! of any request instead, as `data:` URLs.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use crate::sandbox::compatible::auth::authorise;
use crate::sandbox::compatible::dialect::{Dialect, EditStyle};
use crate::sandbox::compatible::errors::CompatibleError;
use crate::sandbox::compatible::execute::execute;
use crate::sandbox::compatible::requests::ParsedRequest;
use crate::sandbox::fields::{FieldError, RequestFields};
use crate::sandbox::input_images::{data_url, decode_all, fingerprint};
use crate::sandbox::multipart::{BadForm, Form};
use crate::sandbox::settings::Name;
use crate::sandbox::state::SandboxState;
use crate::sandbox::vendor_call::VendorCall;

/// Pictures at once.
const MOST: usize = 16;

/// The hash of the pictures among a request's fields, where the dialect has them there; 0 where there are none.
pub(in crate::sandbox) async fn in_body(fields: &mut RequestFields, dialect: &Dialect) -> Result<u64, FieldError> {
    let name = dialect.rename.get("image").map_or("image", String::as_str);
    let given = match dialect.edits {
        EditStyle::Form => return Ok(0),
        EditStyle::Url | EditStyle::Urls => fields.any(name),
    };
    let urls = match (given, dialect.edits) {
        (None, _) => return Ok(0),
        (Some(Value::String(url)), EditStyle::Url) => vec![Value::String(url)],
        (Some(Value::Array(urls)), EditStyle::Urls) => urls,
        (Some(_), _) => return Err(FieldError::other(name, "must be written in the other way")),
    };
    let images = urls.iter().map(|url| data_url(url.as_str()?)).collect::<Option<Vec<_>>>();
    let images = images.ok_or_else(|| FieldError::other(name, "must be a data: URL of a picture"))?;
    let fingerprint = fingerprint(&images, None);
    decode_all(name, images, None).await?;
    Ok(fingerprint)
}

/// `POST /compatible/v1/images/edits`.
pub(in crate::sandbox) async fn edit(State(shared): State<Arc<SandboxState>>, request: Request) -> Response {
    let mut call = VendorCall::admit(&shared, Name::Compatible, request.headers());
    let shape = call.vendor.dialect.errors;
    let answer = answer(&mut call, request).await.map_err(|error| error.into_error_response(shape));
    call.close(answer)
}

async fn answer(call: &mut VendorCall, request: Request) -> Result<Response, CompatibleError> {
    authorise(&call.vendor, request.headers())?;
    let mut form = Form::read(request).await?;
    let rename = &call.vendor.dialect.rename;
    let mask = form.take_one(rename.get("mask").map_or("mask", String::as_str))?;
    let (name, images) = match rename.get("image") {
        Some(theirs) => (theirs.as_str(), form.take(theirs)),
        None => match form.take_one("image")? {
            Some(image) => ("image", vec![image]),
            None => ("image[]", form.take("image[]")),
        },
    };
    form.end()?;
    if images.len() > MOST {
        return Err(FieldError::other(name, format!("must be at most {MOST} pictures")).into());
    }
    let mut fields = RequestFields::form(form.texts);
    fields.choice(rename.get("input_fidelity").map_or("input_fidelity", String::as_str), &["high", "low"])?;
    let mut parsed = ParsedRequest::read(fields, &call.vendor)?;
    parsed.fingerprint = fingerprint(&images, mask.as_ref());
    decode_all(name, images, mask).await?;
    execute(call, parsed).await
}

impl From<BadForm> for CompatibleError {
    fn from(why: BadForm) -> CompatibleError {
        let (status, sentence) = match why {
            BadForm::ContentType(given) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("expected multipart/form-data, not '{given}'"))
            }
            BadForm::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "request body too large".to_owned()),
            BadForm::Broken(why) => (StatusCode::BAD_REQUEST, format!("not a form: {why}")),
            BadForm::Twice(name) => return FieldError::other(&name, "must be given once").into(),
        };
        CompatibleError::FieldError(status, None, sentence)
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use serde_json::json;

    use super::*;
    use crate::image::{Encoded, Format, Picture, Size};
    use crate::money::Usd;
    use crate::sandbox::Sandbox;
    use crate::sandbox::test_client::{Reply, post, sandbox, send};
    use crate::sandbox::test_inputs::{FORM, as_url, form, picture};

    const PATH: &str = "/compatible/v1/images/edits";

    async fn edit(sandbox: &Sandbox, texts: &[(&str, &str)], files: &[(&str, &Bytes)]) -> Reply {
        let headers = [("authorization", "Bearer any"), ("content-type", FORM)];
        send(sandbox.addr(), "POST", PATH, &headers, &form(texts, files)).await
    }

    const TEXTS: &[(&str, &str)] =
        &[("model", "any"), ("prompt", "x"), ("n", "2"), ("size", "320x256"), ("response_format", "b64_json")];

    #[tokio::test]
    async fn pictures_are_changed_under_either_name_or_the_dialects_and_charged_once() {
        let sandbox = sandbox("{vendors: {compatible: {default_price: 0.006}}}").await;
        let (png, mask) = (picture(64, Format::Png, false), picture(64, Format::Png, true));
        for files in [&[("image", &png)][..], &[("image[]", &png), ("image[]", &png), ("mask", &mask)]] {
            let json = edit(&sandbox, TEXTS, files).await.json();
            let text = json["data"][1]["b64_json"].as_str().unwrap().to_owned();
            assert_eq!(Picture::inspect(Encoded::Base64(text.into())).unwrap().size, Size::new(320, 256));
        }
        assert_eq!(sandbox.invoice().total, Some(Usd::from_nanos(24_000_000)));
        sandbox.set(Name::Compatible, |vendor| {
            vendor.dialect.rename.insert("image".to_owned(), "input".to_owned());
        });
        assert_eq!(edit(&sandbox, TEXTS, &[("input", &png), ("input", &png)]).await.status, 200);
        assert_eq!(edit(&sandbox, TEXTS, &[("image", &png)]).await.status, 400);
    }

    #[tokio::test]
    async fn a_dialect_may_have_the_pictures_among_the_fields() {
        let dialect = "{edits: url, rename: {image: image_url}, answer: base64}";
        let sandbox = sandbox(&format!("{{vendors: {{compatible: {{dialect: {dialect}}}}}}}")).await;
        let url = as_url(&picture(64, Format::Png, false));
        let ask = async |image: Value| {
            let body = json!({"model": "m", "prompt": "x", "size": "64x64", "seed": 1, "image_url": image});
            post(&sandbox, "/compatible/v1/images/generations", body).await
        };
        let (plain, changed) = (ask(Value::Null).await.json(), ask(json!(url)).await.json());
        assert!(plain["data"].is_array() && changed["data"].is_array() && plain["data"] != changed["data"]);
        for bad in [json!([url]), json!("https://host/1.png"), json!("data:image/png;base64,QUJD")] {
            assert_eq!(ask(bad).await.json()["error"]["param"], "image_url");
        }
        sandbox.set(Name::Compatible, |vendor| vendor.dialect.edits = EditStyle::Urls);
        assert_eq!(ask(json!([url, url])).await.status, 200);
    }

    #[tokio::test]
    async fn files_must_be_pictures_and_masks_must_fit() {
        let sandbox = sandbox("{}").await;
        let (png, junk) = (picture(64, Format::Png, false), Bytes::from_static(b"GIF89a"));
        let small = picture(32, Format::Png, true);
        for (files, param) in [
            (&[][..], "image[]"),
            (&[("image", &junk)], "image"),
            (&[("image", &png), ("mask", &png)], "mask"),
            (&[("image", &png), ("mask", &small)], "mask"),
            (&[("image", &png), ("other", &png)], "other"),
            (&[("image", &png), ("image[]", &png)], "image[]"),
        ] {
            let reply = edit(&sandbox, TEXTS, files).await;
            assert_eq!((reply.status, reply.json()["error"]["param"].as_str()), (400, Some(param)));
        }
        let headers = [("authorization", "Bearer any"), ("content-type", "application/json")];
        assert_eq!(send(sandbox.addr(), "POST", PATH, &headers, b"{}").await.status, 415);
        let bill = sandbox.invoice().vendor(Name::Compatible).clone();
        assert_eq!((bill.usd, bill.violations_total), (Usd::ZERO, 7));
    }
}
