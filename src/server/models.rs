//! Answers `GET /v1/models` and `GET /v1/models/{id}`.

use pingora::proxy::Session;

use crate::error::{Error, ErrorKind};
use crate::gateway::snapshot::Snapshot;
use crate::server::authenticate;
use crate::server::response;
use crate::server::response::Answer;

/// The models that the caller may name.
pub(super) fn list(session: &Session, snapshot: &Snapshot) -> Answer {
    match authenticate::identify(session, &snapshot.plan) {
        Ok(caller) => response::models(&snapshot.model_names(|route| caller.may_use(route))),
        Err(error) => Answer::error(&error),
    }
}

/// The model of this name, if the caller may name it.
pub(super) fn retrieve(session: &Session, snapshot: &Snapshot, name: &str) -> Answer {
    let caller = match authenticate::identify(session, &snapshot.plan) {
        Ok(caller) => caller,
        Err(error) => return Answer::error(&error),
    };
    if snapshot.model_names(|route| caller.may_use(route)).contains(&name) {
        return Answer::json(200, &response::model(name));
    }
    let shown: String = name.chars().take(80).collect();
    let message = format!("The model '{shown}' does not exist here. GET /v1/models lists what does.");
    Answer::error(&Error::new(ErrorKind::ModelNotFound, message).with_param("model"))
}
