//! Reads and checks a request to DashScope on either surface; both end in one [`ParsedRequest`].
//!
//! What a model takes is in `models.rs`; its input and parameters are read in `input_and_parameters.rs`.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use serde_json::Map;

use crate::sandbox::dashscope::auth::authorise;
use crate::sandbox::dashscope::errors::{bad_body, bad_field, violation, wrong_surface};
use crate::sandbox::dashscope::input_and_parameters::DrawParameters;
use crate::sandbox::dashscope::models::{Model, Spelling};
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fields::{FieldError, FieldErrorKind, RequestFields};
use crate::sandbox::read_http_request::{read_json, text};
use crate::sandbox::vendor_call::VendorCall;

/// The header that makes a call a task.
const ASYNC: HeaderName = HeaderName::from_static("x-dashscope-async");

/// The two ways in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum Surface {
    Messages,
    Tasks,
}

/// A checked request.
#[derive(Debug)]
pub(in crate::sandbox) struct ParsedRequest {
    pub name: String,
    pub spelling: Spelling,
    pub asked: DrawParameters,
}

impl ParsedRequest {
    pub(in crate::sandbox) async fn read(
        call: &VendorCall,
        request: Request,
        surface: Surface,
    ) -> Result<ParsedRequest, ErrorResponse> {
        let (parts, body) = request.into_parts();
        authorise(&call.vendor, &parts.headers)?;
        check_surface(&parts.headers, surface)?;
        let mut fields = RequestFields::json(read_json(&parts.headers, body).await.map_err(bad_body)?);
        let name = fields.prompt("model", 300).map_err(|error| bad_field(&error))?;
        let model = Model::of(&name, &call.vendor);
        let model =
            model.ok_or_else(|| violation(StatusCode::NOT_FOUND, "ModelNotFound", "Model can not be found."))?;
        if surface == Surface::Tasks && !model.tasks {
            return Err(wrong_surface("asynchronous"));
        }
        if surface == Surface::Messages && !model.messages {
            return Err(violation(StatusCode::BAD_REQUEST, "InvalidParameter", "url error, please check url"));
        }
        // Pictures are decoded, which takes its time.
        let reading = tokio::task::spawn_blocking(move || read_fields(&model, surface, fields));
        let asked = reading.await.map_err(|_| ErrorResponse::broken())?.map_err(|error| bad_field(&error))?;
        Ok(ParsedRequest { name, spelling: model.spelling, asked })
    }
}

fn read_fields(model: &Model, surface: Surface, mut fields: RequestFields) -> Result<DrawParameters, FieldError> {
    let input = fields.object("input")?.ok_or_else(|| FieldError::new("input", FieldErrorKind::Missing))?;
    let parameters = fields.object("parameters")?.unwrap_or_else(|| RequestFields::json(Map::new()));
    fields.end()?;
    match surface {
        Surface::Messages => model.read_messages(input, parameters),
        Surface::Tasks => model.read_prompts(input, parameters),
    }
}

/// The header must say what the address says.
fn check_surface(headers: &HeaderMap, surface: Surface) -> Result<(), ErrorResponse> {
    match (surface, text(headers, &ASYNC)) {
        (Surface::Tasks, Some("enable")) | (Surface::Messages, None | Some("disable")) => Ok(()),
        (Surface::Tasks, _) => Err(wrong_surface("synchronous")),
        (Surface::Messages, _) => Err(wrong_surface("asynchronous")),
    }
}
