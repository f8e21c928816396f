//! The form that access tokens are asked for with.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::header;

use crate::sandbox::vendor_call::{LARGEST_BODY, media_type, text};

/// A token request's fields, sorted by name.
pub(super) async fn form(request: Request) -> Result<Vec<(String, String)>, &'static str> {
    let (parts, body) = request.into_parts();
    let given = media_type(text(&parts.headers, &header::CONTENT_TYPE).unwrap_or_default());
    if given != "application/x-www-form-urlencoded" {
        return Err("the content type must be application/x-www-form-urlencoded");
    }
    let body = to_bytes(body, LARGEST_BODY).await.map_err(|_| "the body is too large")?;
    let mut fields: Vec<(String, String)> = url::form_urlencoded::parse(&body).into_owned().collect();
    fields.sort();
    Ok(fields)
}
