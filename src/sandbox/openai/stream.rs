//! OpenAI's answer as a stream of events (PROVIDERS.md 1.5), for OpenAI and for Azure.
//!
//! Unfinished pictures go out at once, the finished ones when the work is done; only then is it charged. A client that
//! leaves before pays nothing here, as with an answer in one piece. `requests.rs` decides which request may be
//! streamed.

use std::convert::Infallible;

use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::sandbox::error_response::ErrorResponse;
use crate::sandbox::faults::Mode;
use crate::sandbox::openai::requests::ParsedRequest;
use crate::sandbox::vendor_call::VendorCall;

/// Answers a request that asks for a stream.
pub(in crate::sandbox) async fn answer(
    call: &mut VendorCall,
    parsed: ParsedRequest,
    what: &'static str,
) -> Result<Response, ErrorResponse> {
    let (partials, mut finished) = parsed.events(call, what).await?;
    let failed = call.fault == Mode::NoPictures;
    if failed {
        let message = "The server had an error while processing your request.";
        let error = json!({"type": "server_error", "code": "server_error", "message": message, "param": null});
        finished = vec![json!({"type": "error", "error": error})];
    }
    let (charge, time, guard) = (parsed.pending_charge(call), call.time, call.take_guard());
    let end = stream::once(async move {
        tokio::time::sleep(time).await;
        if !failed {
            charge.apply();
        }
        drop(guard);
        stream::iter(finished)
    });
    let events = stream::iter(partials).chain(end.flatten()).map(|event| Ok::<_, Infallible>(named(&event)));
    Ok(Sse::new(events).into_response())
}

fn named(event: &Value) -> Event {
    let name = event["type"].as_str().unwrap_or_default();
    Event::default().event(name).data(event.to_string())
}
