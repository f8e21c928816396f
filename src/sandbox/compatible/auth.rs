//! Checks the headers that the compatible vendor's dialect asks for, and its key.

use axum::http::{HeaderMap, HeaderName, StatusCode};

use crate::sandbox::compatible::errors::CompatibleError;
use crate::sandbox::read_http_request::text;
use crate::sandbox::settings::Vendor;

pub(super) fn authorise(vendor: &Vendor, headers: &HeaderMap) -> Result<(), CompatibleError> {
    let dialect = &vendor.dialect;
    for (name, wanted) in &dialect.headers {
        if headers.get(name.as_str()).is_none_or(|value| value != wanted.as_str()) {
            return Err(CompatibleError::FieldError(
                StatusCode::BAD_REQUEST,
                None,
                format!("the header {name} must be {wanted}"),
            ));
        }
    }
    let key = HeaderName::try_from(dialect.auth_header.as_str())
        .ok()
        .and_then(|name| text(headers, &name)?.strip_prefix(dialect.auth_prefix.as_str()));
    if vendor.accepts(key) || (dialect.open && key.is_none()) {
        Ok(())
    } else {
        Err(CompatibleError::FieldError(StatusCode::UNAUTHORIZED, None, "invalid or missing API key".to_owned()))
    }
}
