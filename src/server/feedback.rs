//! `POST /v1/images/feedback`: reads a verdict, hands it to the gateway, and says what became of it. It draws nothing
//! and costs nothing, so no rate counts it.

use std::sync::Arc;
use std::time::Duration;

use pingora::proxy::Session;
use serde_json::json;

use crate::error::{Error, ErrorKind};
use crate::gateway::Gateway;
use crate::gateway::feedback::FeedbackEffect;
use crate::gateway::snapshot::Snapshot;
use crate::request::Feedback;
use crate::server::request_memory::RequestMemory;
use crate::server::response::Answer;
use crate::server::{authenticate, parse_request, request_body};

/// Far more than an id, a word and a sentence take.
const BODY: usize = 64 * 1024;

/// When a ledger that cannot be written may be written again.
const COME_BACK: Duration = Duration::from_secs(5);

/// The answer to a verdict.
pub async fn answer(
    session: &mut Session,
    gateway: &Gateway,
    snapshot: &Snapshot,
    bodies: &Arc<RequestMemory>,
) -> Answer {
    judge(session, gateway, snapshot, bodies).await.unwrap_or_else(|error| Answer::error(&error))
}

async fn judge(
    session: &mut Session,
    gateway: &Gateway,
    snapshot: &Snapshot,
    bodies: &Arc<RequestMemory>,
) -> Result<Answer, Error> {
    let limits = &snapshot.plan.server.limits;
    let caller = authenticate::identify(session, &snapshot.plan).inspect_err(|_| request_body::leave(session))?;
    if let Err(error) = parse_request::json(session) {
        request_body::skip(session, limits, bodies).await;
        return Err(error);
    }
    let body = request_body::read(session, BODY, limits, bodies).await?;
    let feedback = Feedback::from_json(&body.bytes)?;
    let (image_id, verdict) = (feedback.image_id.clone(), feedback.verdict);
    let effect = gateway.judge(caller.tenant, feedback).await.map_err(|_| {
        let message = "This server cannot write its ledger now, so the verdict is not taken. Send it again.";
        Error::new(ErrorKind::Unavailable, message).with_code("ledger_unwritable").with_retry_after(COME_BACK)
    })?;
    if effect == FeedbackEffect::Unknown {
        // Said alike of what is nobody's and of what is another's.
        let message = "You were given no picture of this id, or too long ago. Ids are in x-easel-image-ids.";
        return Err(Error::new(ErrorKind::FileNotFound, message).with_code("image_not_found").with_param("image_id"));
    }
    Ok(Answer::json(
        200,
        &json!({
            "object": "image.feedback",
            "image_id": image_id,
            "verdict": verdict.as_str(),
            "changed": effect == FeedbackEffect::Changed,
        }),
    ))
}
