//! Which of Easel's endpoints answers a request: pictures, their files, models, feedback, or an error.

use std::sync::Arc;

use pingora::Result;
use pingora::proxy::Session;

use crate::error::{Error, ErrorKind};
use crate::gateway::outcome::Outcome;
use crate::gateway::snapshot::Snapshot;
use crate::server::app::Easel;
use crate::server::browser_guard::{HostCheck, OriginHeaders};
use crate::server::context::Ctx;
use crate::server::endpoint::Endpoint;
use crate::server::path_suggestion::{PathSuggestion, suggest};
use crate::server::response::Answer;
use crate::server::{browser_guard, feedback, models};

impl Easel {
    /// The answer to a request that is Easel's own. `None` when the answer was streamed, an error when it was not sent
    /// to its end.
    pub(super) async fn endpoint(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        snapshot: &Arc<Snapshot>,
        target: Endpoint,
    ) -> Result<Option<Answer>> {
        let answer = match target {
            _ if let Some(error) = foreign(session, snapshot, &target) => {
                self.turn_away(session, ctx, snapshot, &target, error)
            }
            Endpoint::Draw(operation) => return self.draw(session, ctx, snapshot, operation).await,
            Endpoint::Feedback => feedback::answer(session, &self.gateway, snapshot, &self.bodies).await,
            Endpoint::Models => models::list(session, snapshot),
            Endpoint::Model(name) => models::retrieve(session, snapshot, &name),
            Endpoint::File(name) => self.file(session, snapshot, &name).await,
            Endpoint::WrongMethod(allowed) => {
                let message = format!("This path takes {allowed} only.");
                Answer::error(&Error::new(ErrorKind::WrongMethod, message).with_detail(allowed))
            }
            Endpoint::Other => Answer::error(&unknown_path(session)),
        };
        Ok(Some(answer))
    }

    /// The answer to a web page that has no business here. Its body is not read, so its connection ends.
    fn turn_away(
        &self,
        session: &mut Session,
        ctx: &mut Ctx,
        snapshot: &Snapshot,
        target: &Endpoint,
        error: Error,
    ) -> Answer {
        session.set_keepalive(None);
        match target {
            Endpoint::Draw(_) => self.answer(ctx, snapshot, Outcome::failed(snapshot.version, error)),
            _ => Answer::error(&error),
        }
    }
}

/// Why a web page may not ask for this. A picture's link is signed and meant to be shown by any page; what is not ours
/// is not ours to refuse.
fn foreign(session: &Session, snapshot: &Snapshot, target: &Endpoint) -> Option<Error> {
    if matches!(target, Endpoint::File(_) | Endpoint::WrongMethod(_) | Endpoint::Other)
        || !snapshot.plan.clients.is_empty()
    {
        return None;
    }
    let signs = OriginHeaders::of(session.req_header());
    browser_guard::foreign(signs, &snapshot.plan.server, HostCheck::Clients).map(|foreign| foreign.error(signs))
}

fn unknown_path(session: &Session) -> Error {
    let request = session.req_header();
    let path: String = request.uri.path().chars().take(120).collect();
    let message = match suggest(request.uri.path()) {
        Some(PathSuggestion { path: meant, help }) => {
            format!("Nothing answers {} {path} here. '{meant}' is probably meant: {help}.", request.method)
        }
        None => format!("Nothing answers {} {path} here, and no 'server.passthrough' is set.", request.method),
    };
    Error::new(ErrorKind::UnknownPath, message)
}
