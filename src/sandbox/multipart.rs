//! Reads a `multipart/form-data` body: its texts, and its files by name.
//!
//! Which names and how many a vendor takes is its own business, and so is how it words an error.

use axum::body::Bytes;
use axum::extract::multipart::{Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};

use crate::sandbox::fields::{FieldError, FieldErrorKind};
use crate::sandbox::read_http_request::text;

/// A form's fields and files, in the order sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Form {
    /// Every text once.
    pub texts: Vec<(String, String)>,
    files: Vec<(String, Bytes)>,
}

/// Why a request is not a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BadForm {
    /// The content type is this instead (empty when there is none).
    ContentType(String),
    /// Over the limit.
    TooLarge,
    /// Not a form; the parser's message.
    Broken(String),
    /// This text field stands there twice.
    Twice(String),
}

impl Form {
    /// Reads a request's form. What has a file name is a file, the rest are texts.
    pub(super) async fn read(request: Request) -> Result<Form, BadForm> {
        let given = text(request.headers(), &header::CONTENT_TYPE).unwrap_or_default().to_owned();
        let mut fields = Multipart::from_request(request, &()).await.map_err(|_| BadForm::ContentType(given))?;
        let mut form = Form::default();
        while let Some(field) = fields.next_field().await.map_err(broken)? {
            let name = field.name().unwrap_or_default().to_owned();
            if field.file_name().is_some() {
                form.files.push((name, field.bytes().await.map_err(broken)?));
            } else if form.texts.iter().any(|(known, _)| *known == name) {
                return Err(BadForm::Twice(name));
            } else {
                form.texts.push((name, field.text().await.map_err(broken)?));
            }
        }
        Ok(form)
    }

    /// The files of this name, taken out.
    pub(super) fn take(&mut self, name: &str) -> Vec<Bytes> {
        let (taken, left) = self.files.drain(..).partition::<Vec<_>, _>(|(known, _)| known == name);
        self.files = left;
        taken.into_iter().map(|(_, bytes)| bytes).collect()
    }

    /// The only file of this name, taken out.
    pub(super) fn take_one(&mut self, name: &str) -> Result<Option<Bytes>, FieldError> {
        let mut files = self.take(name);
        match files.len() {
            0 | 1 => Ok(files.pop()),
            _ => Err(FieldError::other(name, "must be given once")),
        }
    }

    /// No file may be left.
    pub(super) fn end(&self) -> Result<(), FieldError> {
        self.files.first().map_or(Ok(()), |(name, _)| Err(FieldError::new(name, FieldErrorKind::Unknown)))
    }
}

fn broken(why: MultipartError) -> BadForm {
    if why.status() == StatusCode::PAYLOAD_TOO_LARGE { BadForm::TooLarge } else { BadForm::Broken(why.body_text()) }
}
