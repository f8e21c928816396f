//! Makes a call fail as its [`Mode`] says: before anything is drawn, or when the good answer is on its way.
//!
//! Which fault a call meets is decided elsewhere; the vendors word the errors.

use axum::body::{Body, to_bytes};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use futures_util::stream::{self, StreamExt};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;

/// The page of a gateway that got no answer in time.
const GATEWAY_PAGE: &str = "<!doctype html><html><head><title>Gateway Timeout</title></head>\
                            <body><h1>Gateway Timeout</h1><p>The sandbox did the work all the same.</p></body></html>\n";

/// Fails a call whose `fault` comes before anything is drawn. `shape` words it as the vendor does.
pub(super) async fn inject_fault(fault: Mode, shape: fn(Mode) -> ErrorResponse) -> Result<(), ErrorResponse> {
    match fault {
        Mode::Normal
        | Mode::Refusing
        | Mode::NoPictures
        | Mode::Truncated
        | Mode::OddSize
        | Mode::Blank
        | Mode::Blurred => Ok(()),
        Mode::Down500 | Mode::RateLimited { .. } | Mode::OutOfMoney | Mode::Overloaded => Err(shape(fault)),
        Mode::Garbage => Err(ErrorResponse::garbage()),
        Mode::Hang => std::future::pending().await,
        late => {
            debug_assert!(late.comes_late(), "every other fault is injected here");
            Ok(())
        }
    }
}

/// Spoils a good answer whose `fault` comes after the work. The work is done and charged in any case, also where the
/// answer is a stream.
pub(super) fn spoil_answer(fault: Mode, answer: Response) -> Response {
    if !answer.status().is_success() {
        return answer;
    }
    match fault {
        Mode::Unreadable => first_half(answer, false),
        Mode::Cut => first_half(answer, true),
        Mode::GatewayTimeout => instead(answer, (StatusCode::GATEWAY_TIMEOUT, Html(GATEWAY_PAGE)).into_response()),
        Mode::CdnTimeout => {
            let status = StatusCode::from_u16(524).unwrap_or(StatusCode::GATEWAY_TIMEOUT);
            instead(answer, (status, Html(GATEWAY_PAGE)).into_response())
        }
        Mode::Redirect => {
            instead(answer, (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/elsewhere/")]).into_response())
        }
        _ => answer,
    }
}

/// Reads an answer to its end without sending it, and gives another.
fn instead(answer: Response, other: Response) -> Response {
    drop(tokio::spawn(to_bytes(answer.into_body(), usize::MAX)));
    other
}

/// The first half of an answer, which is over then or is `cut` off.
fn first_half(answer: Response, cut: bool) -> Response {
    let (mut parts, body) = answer.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let pieces = stream::once(async move {
        let whole = to_bytes(body, usize::MAX).await.unwrap_or_default();
        let half = Ok(whole.slice(..whole.len() / 2));
        let end = cut.then(|| Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        stream::iter([Some(half), end].into_iter().flatten())
    });
    Response::from_parts(parts, Body::from_stream(pieces.flatten()))
}
