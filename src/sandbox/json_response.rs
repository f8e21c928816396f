//! JSON responses, with pictures of megabytes in them.

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// A body of JSON, as axum's `Json` answers it.
///
/// axum's serialises into a writer of its own, with generic code that is compiled into this crate, which no profile but
/// `release` optimises. `Value` is printed by code that was compiled in serde_json, which every profile does.
pub(super) struct JsonResponse<T>(pub T);

impl<T: Serialize> IntoResponse for JsonResponse<T> {
    fn into_response(self) -> Response {
        match serde_json::to_value(self.0) {
            Ok(body) => ([(CONTENT_TYPE, "application/json")], body.to_string()).into_response(),
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
        }
    }
}

/// A body of JSON with numbers whose digits are given ([`serde_json::value::RawValue`]), which a `Value` would round.
pub(super) struct ExactJson<T>(pub T);

impl<T: Serialize> IntoResponse for ExactJson<T> {
    fn into_response(self) -> Response {
        match serde_json::to_string(&self.0) {
            Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
            Err(why) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
        }
    }
}
