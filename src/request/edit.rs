//! Reading an edit: OpenAI's form or its JSON, the pictures in it checked before anything is paid.
//!
//! A picture must be a whole PNG, JPEG or WebP file; a mask a PNG with an alpha channel as large as the first picture.
//! Pictures come in the request itself: no address a caller names is ever fetched, and no file id is known here.
//! A variation is an edit with words of our own. Hashing pictures and decoding a mask take time, so whoever serves
//! connections calls this elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Number;

use crate::edit_mask;
use crate::error::Error;
use crate::image::{self, Encoded, Fault, Format, Picture};
use crate::request::field_names::{EDIT_FIELDS, VARIATION_FIELDS};
use crate::request::fields;
use crate::request::fields::{EXAMPLE, Fields, missing};
use crate::request::image_request::{Edit, ImageRequest, Input, Mask};
use crate::request::json_body::{BodySchema, FieldValue, Reference, References};
use crate::request::option_enums::Fidelity;

/// Pictures an edit may start from (OpenAI's bound; PROVIDERS.md 1.2).
const MAX_IMAGES: usize = 16;

/// What a variation asks of a model that takes words.
const VARIATION: &str = "Make a variation of this picture: keep its subject, style and mood, and vary the details.";

/// Fields whose text in a form is a number.
const NUMBERS: [&str; 4] = ["n", "output_compression", "partial_images", "seed"];

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    /// Its name.
    pub name: String,
    /// It was sent as a file.
    pub is_file: bool,
    /// Its value.
    pub bytes: Bytes,
}

/// An edit that is read but for the pixels of its mask.
#[derive(Debug)]
pub struct EditDraft {
    request: ImageRequest,
    mask: Option<Input>,
}

impl EditDraft {
    /// Refuses a mask of more than `most` pixels, whose reading would take long. Nothing is decoded for it.
    pub fn check_mask(&self, most: u64) -> Result<(), Error> {
        let Some(mask) = self.mask.as_ref().filter(|mask| mask.size.pixels() > most) else { return Ok(()) };
        let (size, pixels) = (mask.size, mask.size.pixels());
        let message = format!(
            "The 'mask' is {size}, which are {pixels} pixels; at most {most} are read: send it and its picture smaller."
        );
        Err(Error::invalid("mask", message))
    }

    /// Whether there are pixels to decode.
    pub fn has_mask(&self) -> bool {
        self.mask.is_some()
    }

    /// The whole request. With a mask this takes time: see [`EditDraft::check_mask`].
    pub fn finish(mut self) -> Result<ImageRequest, Error> {
        if let (Some(clear), Some(edit)) = (self.mask, &mut self.request.edit) {
            let white = edit_mask::white(&clear.bytes);
            let white = white.map_err(|why| Error::invalid("mask", format!("The 'mask' {why}.")))?;
            edit.mask = Some(Mask { clear, white });
        }
        Ok(self.request)
    }

    /// Reads `POST /v1/images/edits` sent as a form. Errors are 400s that name the field and say what to send.
    pub fn from_edit_form(form: Vec<FormField>) -> Result<EditDraft, Error> {
        let EditForm { texts, images, mask } = EditForm::read(form)?;
        request(Fields(texts), images, mask, "image")
    }

    /// Reads `POST /v1/images/variations`, which is always a form.
    pub fn from_variation_form(form: Vec<FormField>) -> Result<EditDraft, Error> {
        let EditForm { mut texts, images, mask } = EditForm::read(form)?;
        if let Some(unknown) = texts.keys().find(|name| !VARIATION_FIELDS.contains(&&***name)) {
            return Err(fields::unknown(unknown, &VARIATION_FIELDS));
        }
        if mask.is_some() {
            return Err(fields::unknown("mask", &VARIATION_FIELDS));
        }
        if images.len() > 1 {
            return Err(Error::invalid("image", "A variation starts from one 'image'; send one."));
        }
        texts.insert(Cow::Borrowed("prompt"), FieldValue::Text(Cow::Borrowed(VARIATION)));
        request(Fields(texts), images, None, "image")
    }

    /// Reads `POST /v1/images/edits` sent as JSON: `images` and `mask` hold `data:` URLs.
    pub fn from_edit_json(body: &[u8]) -> Result<EditDraft, Error> {
        let shape = BodySchema { known: &EDIT_FIELDS, pictures: Some(MAX_IMAGES), example: EXAMPLE };
        let body = fields::object(body, shape)?;
        let images = match body.images {
            None => Vec::new(),
            Some(References::Not(nothing)) if nothing.is_absent() => Vec::new(),
            Some(References::List(items, count)) => {
                at_most_so_many("images", count)?;
                let items = items.iter().enumerate();
                items.map(|(index, item)| referred(&format!("images[{index}]"), item)).collect::<Result<_, _>>()?
            }
            Some(References::Not(other)) => {
                return Err(fields::wrong_type("images", "an array", &other));
            }
        };
        let mask = body.mask.filter(|mask| !mask.is_absent());
        let mask = mask.map(|mask| referred("mask", &mask)).transpose()?;
        request(Fields(body.fields), images, mask, "images")
    }
}

impl ImageRequest {
    /// Whether the prompt is our own words and not the caller's.
    pub fn is_variation(&self) -> bool {
        self.edit.is_some() && self.prompt == VARIATION
    }
}

/// A form taken apart.
#[derive(Default)]
struct EditForm {
    texts: BTreeMap<Cow<'static, str>, FieldValue<'static>>,
    images: Vec<Bytes>,
    mask: Option<Bytes>,
}

impl EditForm {
    fn read(fields: Vec<FormField>) -> Result<EditForm, Error> {
        let mut form = EditForm::default();
        for FormField { name, is_file, bytes } in fields {
            // A field that was left alone is sent as a text of nothing; a file of nothing was chosen by somebody.
            let nothing = !is_file && bytes.trim_ascii().is_empty();
            match name.as_str() {
                "image" | "image[]" | "mask" if nothing => {}
                "image" | "image[]" => form.images.push(bytes),
                "mask" if form.mask.is_some() => return Err(Error::invalid("mask", "'mask' is sent twice; send one.")),
                "mask" => form.mask = Some(bytes),
                _ if is_file => {
                    let message = format!("'{name}' is sent as a file; only 'image', 'image[]' and 'mask' are files.");
                    return Err(Error::invalid(&name, message).with_code("invalid_type"));
                }
                _ if !nothing && form.texts.get(name.as_str()).is_some_and(|value| !value.is_absent()) => {
                    return Err(Error::invalid(&name, format!("'{name}' is sent twice; send it once.")));
                }
                _ if nothing => {
                    form.texts.entry(Cow::Owned(name)).or_insert(FieldValue::Null);
                }
                _ => {
                    let value = value(&name, &bytes)?;
                    form.texts.insert(Cow::Owned(name), value);
                }
            }
        }
        Ok(form)
    }
}

/// A text of a form as the JSON value it stands for; a number or flag that is none stays text, and is told later.
fn value(name: &str, bytes: &[u8]) -> Result<FieldValue<'static>, Error> {
    let text = str::from_utf8(bytes).map_err(|_| Error::invalid(name, format!("'{name}' is not UTF-8 text.")))?;
    let plain = || FieldValue::Text(Cow::Owned(text.to_owned()));
    Ok(match text {
        "true" if name == "stream" => FieldValue::Bool(true),
        "false" if name == "stream" => FieldValue::Bool(false),
        _ if NUMBERS.contains(&name) => text.trim().parse::<Number>().map_or_else(|_| plain(), FieldValue::Number),
        _ => plain(),
    })
}

/// The bytes behind `{"image_url": "data:..."}`.
fn referred(field: &str, reference: &Reference<'_>) -> Result<Bytes, Error> {
    let how = "send {\"image_url\": \"data:image/png;base64,...\"}";
    let Reference::Object { image_url, file_id, other } = reference else {
        return Err(Error::invalid(field, format!("'{field}' must be an object: {how}.")).with_code("invalid_type"));
    };
    match (image_url, file_id, other) {
        (Some(FieldValue::Text(url)), false, false) if image::is_data_url(url.as_bytes()) => {
            let bytes = image::decode(image::without_data_prefix(url.as_bytes()));
            bytes.map(Bytes::from).ok_or_else(|| Error::invalid(field, format!("'{field}' is not valid base64.")))
        }
        (Some(FieldValue::Text(_)), false, false) => {
            let message = format!("'{field}' is an address; Easel fetches no pictures from elsewhere: {how}.");
            Err(Error::invalid(field, message).with_code("unsupported_value"))
        }
        (None, true, false) => {
            let message = format!("'{field}' is a file id; no files are stored here: {how}.");
            Err(Error::invalid(field, message).with_code("unsupported_value"))
        }
        _ => Err(Error::invalid(field, format!("'{field}' needs a text as its 'image_url', and nothing else: {how}."))),
    }
}

fn at_most_so_many(field: &str, count: usize) -> Result<(), Error> {
    match count > MAX_IMAGES {
        true => {
            Err(Error::invalid(field, format!("'{field}' holds {count} pictures; at most {MAX_IMAGES} are taken.")))
        }
        false => Ok(()),
    }
}

/// The request with its pictures, checked. `field` is what the caller knows them by.
fn request(fields: Fields<'_>, images: Vec<Bytes>, mask: Option<Bytes>, field: &str) -> Result<EditDraft, Error> {
    let fidelity = fields.word("input_fidelity", Fidelity::ALL, Fidelity::as_str)?;
    let request = fields.read(&EDIT_FIELDS)?;
    if images.is_empty() {
        return Err(missing(field, "send at least one PNG, JPEG or WebP picture"));
    }
    at_most_so_many(field, images.len())?;
    let images = images.into_iter().map(|bytes| input(field, bytes)).collect::<Result<Vec<_>, _>>()?;
    let mask = mask.map(|bytes| read_mask(bytes, &images[0])).transpose()?;
    let edit = Some(Edit { images, mask: None, fidelity });
    Ok(EditDraft { request: ImageRequest { edit, ..request }, mask })
}

fn input(field: &str, bytes: Bytes) -> Result<Input, Error> {
    if bytes.is_empty() {
        return Err(Error::invalid(field, format!("The picture in '{field}' is empty: it has 0 bytes.")));
    }
    let picture = Picture::inspect(Encoded::Raw(bytes.clone())).map_err(|fault| {
        let what = match fault {
            Fault::Truncated => "ends before its format says it does: send the whole file",
            Fault::NotAPicture | Fault::Svg | Fault::OtherFormat | Fault::BadBase64 => {
                "is not a PNG, JPEG or WebP file"
            }
        };
        Error::invalid(field, format!("The picture in '{field}' {what}."))
    })?;
    Ok(Input::new(bytes, picture.format, picture.size))
}

fn read_mask(bytes: Bytes, first: &Input) -> Result<Input, Error> {
    let clear = input("mask", bytes)?;
    if clear.format != Format::Png {
        return Err(Error::invalid("mask", "The 'mask' must be a PNG file."));
    }
    if clear.size != first.size {
        let (mask, image) = (clear.size, first.size);
        return Err(Error::invalid(
            "mask",
            format!(
                "The 'mask' is {mask} and the first picture {image}; both must be of one size. A picture's size is the \
                 one its file has: a tag that turns it is not applied."
            ),
        ));
    }
    Ok(clear)
}

#[cfg(test)]
mod tests;
