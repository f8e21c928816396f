//! Error responses of the compatible vendor, in the shape of its dialect.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::sandbox::compatible::dialect::ErrorShape;
use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::fields::{FieldError, FieldErrorKind};
use crate::sandbox::read_http_request::BadBody;

/// What went wrong, before it is put in the dialect's shape.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::sandbox) enum CompatibleError {
    /// A request this server does not take: status, field, sentence.
    FieldError(StatusCode, Option<String>, String),
    /// The content is refused.
    Refused,
    /// A fault, in OpenAI's shape.
    Fault(ErrorResponse),
}

impl From<FieldError> for CompatibleError {
    fn from(error: FieldError) -> CompatibleError {
        let sentence = match &error.why {
            FieldErrorKind::Unknown => format!("Unknown parameter: '{}'.", error.field),
            _ => format!("{} {}", error.field, error.sentence()),
        };
        CompatibleError::FieldError(StatusCode::BAD_REQUEST, Some(error.field), sentence)
    }
}

impl From<BadBody> for CompatibleError {
    fn from(why: BadBody) -> CompatibleError {
        let (status, sentence) = match why {
            BadBody::ContentType(given) => {
                (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("expected application/json, not '{given}'"))
            }
            BadBody::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "request body too large".to_owned()),
            BadBody::NotJson(why) => (StatusCode::BAD_REQUEST, format!("not JSON: {why}")),
            BadBody::NotAnObject => (StatusCode::BAD_REQUEST, "the body must be an object".to_owned()),
        };
        CompatibleError::FieldError(status, None, sentence)
    }
}

impl CompatibleError {
    pub(in crate::sandbox) fn into_error_response(self, shape: ErrorShape) -> ErrorResponse {
        match self {
            CompatibleError::FieldError(status, field, sentence) => {
                let fastapi = shape == ErrorShape::Fastapi && status == StatusCode::BAD_REQUEST;
                let status = if fastapi { StatusCode::UNPROCESSABLE_ENTITY } else { status };
                ErrorResponse::violation(
                    status,
                    error_body(shape, status, field.as_deref(), &sentence, "invalid_request_error", None),
                )
            }
            CompatibleError::Refused => {
                let sentence = "Your request was rejected as a result of our safety system: content_policy_violation";
                let code = Some("content_policy_violation");
                let status = StatusCode::BAD_REQUEST;
                ErrorResponse::fault(status, error_body(shape, status, None, sentence, "invalid_request_error", code))
            }
            CompatibleError::Fault(error) if shape == ErrorShape::OpenAi || error.body.is_null() => error,
            CompatibleError::Fault(error) => {
                let sentence = error.body["error"]["message"].as_str().unwrap_or("the server failed").to_owned();
                let body = error_body(shape, error.status, None, &sentence, "server_error", None);
                error.reworded(body)
            }
        }
    }
}

/// One error in the shape of this server.
pub(in crate::sandbox) fn error_body(
    shape: ErrorShape,
    status: StatusCode,
    field: Option<&str>,
    sentence: &str,
    kind: &str,
    code: Option<&str>,
) -> Value {
    match shape {
        ErrorShape::OpenAi => {
            let unknown = sentence.starts_with("Unknown parameter").then_some("unknown_parameter");
            json!({"error": {"message": sentence, "type": kind, "param": field, "code": code.or(unknown)}})
        }
        ErrorShape::Fastapi => {
            let mut place = vec!["body"];
            place.extend(field);
            json!({"detail": [{"loc": place, "msg": sentence, "type": "value_error"}]})
        }
        ErrorShape::Text => json!({"error": sentence}),
        ErrorShape::Message => json!({"message": sentence}),
        ErrorShape::CodeMessage if status == StatusCode::UNAUTHORIZED || status == StatusCode::NOT_FOUND => {
            json!(sentence)
        }
        ErrorShape::CodeMessage => {
            json!({"code": 20000 + u32::from(status.as_u16()), "message": sentence, "data": null})
        }
        ErrorShape::CodeMsg => json!({"code": u32::from(status.as_u16()) * 100 + 1, "msg": sentence}),
    }
}
