//! What Imagen draws into a picture: two reference pictures of one instance, the one to change and the mask that shows
//! where (PROVIDERS.md section 4.3).
//!
//! Strict: exactly these two, each a whole PNG or JPEG, the mask a picture of its own and as large as the other. Not
//! here: masks that Google makes itself, pictures of a subject, a style or a sketch.

use axum::body::Bytes;
use base64_simd::STANDARD;

use crate::image::{Format, Size};
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::input_images::{decode_all, fingerprint};

const MODES: [&str; 4] =
    ["EDIT_MODE_INPAINT_INSERTION", "EDIT_MODE_INPAINT_REMOVAL", "EDIT_MODE_OUTPAINT", "EDIT_MODE_BGSWAP"];

/// A picture to draw into, and where.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct PictureEdit {
    raw: Bytes,
    mask: Bytes,
}

impl PictureEdit {
    /// Takes the reference pictures out of an instance.
    pub(in crate::sandbox) fn read(instance: &mut RequestFields) -> Result<PictureEdit, FieldError> {
        let (mut raw, mut mask, mut numbers) = (None, None, Vec::new());
        for reference in instance.list("referenceImages")? {
            let mut reference = RequestFields::of_value("referenceImages", reference)?;
            numbers.push(reference.whole("referenceId", 0..=i64::from(i32::MAX))?);
            let kind = reference.choice("referenceType", &["REFERENCE_TYPE_RAW", "REFERENCE_TYPE_MASK"])?;
            let kind = kind.ok_or_else(|| FieldError::new("referenceType", FieldErrorKind::Missing))?;
            let bytes = picture(&mut reference)?;
            let place = if kind == "REFERENCE_TYPE_RAW" { &mut raw } else { &mut mask };
            if place.replace(bytes).is_some() {
                return Err(FieldError::other("referenceImages", format!("must have one {kind}")));
            }
            if kind == "REFERENCE_TYPE_MASK" {
                mask_config(&mut reference)?;
            }
            reference.end()?;
        }
        match (raw, mask, &numbers[..]) {
            (_, _, [one, other]) if one.is_none() || one == other => {
                Err(FieldError::other("referenceId", "must be given, and another for each picture"))
            }
            (Some(raw), Some(mask), _) => Ok(PictureEdit { raw, mask }),
            _ => Err(FieldError::other("referenceImages", "must be a raw picture and a mask")),
        }
    }

    /// A hash of both pictures.
    pub(in crate::sandbox) fn fingerprint(&self) -> u64 {
        fingerprint(std::slice::from_ref(&self.raw), Some(&self.mask))
    }

    /// Decodes both; what is drawn is as large as they are.
    pub(in crate::sandbox) async fn size(self) -> Result<Size, FieldError> {
        let seen = decode_all("referenceImage", vec![self.raw, self.mask], None).await?;
        if seen.iter().any(|seen| seen.format == Format::Webp) {
            return Err(FieldError::other("referenceImage", "must be a PNG or a JPEG"));
        }
        match seen[..] {
            [raw, mask] if raw.size == mask.size => Ok(raw.size),
            _ => Err(FieldError::other("maskImageConfig", "the mask must be of the same size as the raw picture")),
        }
    }
}

/// The parameters of such a call alone.
pub(in crate::sandbox) fn mode(with: &mut RequestFields) -> Result<(), FieldError> {
    with.choice("editMode", &MODES)?.ok_or_else(|| FieldError::new("editMode", FieldErrorKind::Missing))?;
    with.whole("baseSteps", 1..=75)?;
    Ok(())
}

fn picture(reference: &mut RequestFields) -> Result<Bytes, FieldError> {
    let mut image = reference
        .object("referenceImage")?
        .ok_or_else(|| FieldError::new("referenceImage", FieldErrorKind::Missing))?;
    image.choice("mimeType", &["image/png", "image/jpeg"])?;
    let base64 = image.prompt("bytesBase64Encoded", usize::MAX)?;
    image.end()?;
    let bytes = STANDARD.decode_to_vec(base64);
    bytes.map(Bytes::from).map_err(|_| FieldError::other("bytesBase64Encoded", "Base64 decoding failed"))
}

fn mask_config(reference: &mut RequestFields) -> Result<(), FieldError> {
    let missing = || FieldError::new("maskImageConfig", FieldErrorKind::Missing);
    let mut config = reference.object("maskImageConfig")?.ok_or_else(missing)?;
    config.choice("maskMode", &["MASK_MODE_USER_PROVIDED"])?.ok_or_else(missing)?;
    config.number("dilation", 0.0..=1.0)?;
    config.end()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::image::{Encoded, Picture};
    use crate::sandbox::test_client::{Reply, sandbox, send};
    use crate::sandbox::test_inputs::picture;
    use crate::sandbox::{Name, Sandbox};

    const TARGET: &str = "imagen-3.0-capability-001:predict";

    async fn ask(sandbox: &Sandbox, token: &str, body: &Value) -> Reply {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let path = format!("/google/v1/projects/p/locations/us-central1/publishers/google/models/{TARGET}");
        send(sandbox.addr(), "POST", &path, &headers, body.to_string().as_bytes()).await
    }

    async fn token(sandbox: &Sandbox) -> String {
        let headers = [("metadata-flavor", "Google")];
        let reply = send(sandbox.addr(), "GET", "/google/metadata/token", &headers, b"").await;
        reply.json()["access_token"].as_str().unwrap().to_owned()
    }

    fn body(raw: &Bytes, mask: &Bytes) -> Value {
        let image = |bytes: &Bytes| json!({"bytesBase64Encoded": STANDARD.encode_to_string(bytes)});
        json!({"instances": [{"prompt": "a hat", "referenceImages": [
            {"referenceId": 1, "referenceType": "REFERENCE_TYPE_RAW", "referenceImage": image(raw)},
            {"referenceId": 2, "referenceType": "REFERENCE_TYPE_MASK", "referenceImage": image(mask),
                "maskImageConfig": {"maskMode": "MASK_MODE_USER_PROVIDED"}}]}],
            "parameters": {"editMode": "EDIT_MODE_INPAINT_INSERTION", "sampleCount": 2}})
    }

    #[tokio::test]
    async fn a_picture_is_drawn_into_in_its_own_size_and_every_flaw_is_told() {
        let sandbox = sandbox("{}").await;
        let token = token(&sandbox).await;
        let (raw, mask) = (picture(64, Format::Jpeg, false), picture(64, Format::Png, false));
        let good = body(&raw, &mask);
        let reply = ask(&sandbox, &token, &good).await.json();
        let predictions = reply["predictions"].as_array().unwrap();
        let base64 = predictions[1]["bytesBase64Encoded"].as_str().unwrap().to_owned();
        assert_eq!(Picture::inspect(Encoded::Base64(base64.into())).unwrap().size, Size::new(64, 64));
        let references = "/instances/0/referenceImages";
        let flaws: [(&str, Value); 9] = [
            ("/instances/0", json!({"prompt": "a hat"})),
            ("/parameters/editMode", json!("EDIT_MODE_SOMETHING")),
            ("/parameters", json!({"sampleCount": 1})),
            ("/parameters/sampleCount", json!(5)),
            ("/parameters", json!({"editMode": "EDIT_MODE_INPAINT_INSERTION", "aspectRatio": "1:1"})),
            (&format!("{references}/1/referenceId"), json!(1)),
            (&format!("{references}/1/maskImageConfig/maskMode"), json!("MASK_MODE_BACKGROUND")),
            (&format!("{references}/1/referenceType"), json!("REFERENCE_TYPE_RAW")),
            (references, good["instances"][0]["referenceImages"].as_array().unwrap()[..1].into()),
        ];
        let count = flaws.len() as u64;
        for (at, with) in flaws {
            let mut bad = good.clone();
            *bad.pointer_mut(at).unwrap() = with;
            let reply = ask(&sandbox, &token, &bad).await;
            assert_eq!(
                (reply.status, reply.json()["error"]["status"].as_str()),
                (400, Some("INVALID_ARGUMENT")),
                "{at}"
            );
        }
        for (raw, mask) in [(&picture(32, Format::Png, false), &mask), (&picture(64, Format::Webp, false), &mask)] {
            assert_eq!(ask(&sandbox, &token, &body(raw, mask)).await.status, 400);
        }
        let bill = sandbox.invoice().vendor(Name::Google).clone();
        assert_eq!((bill.pictures, bill.violations_total), (2, count + 2));
    }

    #[tokio::test]
    async fn the_gemini_api_does_not_have_it() {
        let sandbox = sandbox("{}").await;
        let png = picture(64, Format::Png, false);
        let headers = [("x-goog-api-key", "any"), ("content-type", "application/json")];
        let body = body(&png, &png).to_string();
        let path = format!("/google/v1beta/models/{TARGET}");
        assert_eq!(send(sandbox.addr(), "POST", &path, &headers, body.as_bytes()).await.status, 404);
    }
}
