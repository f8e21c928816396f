//! What would become of a request, for operators: the request's JSON in, the decision out. Nothing is sent or changed.

use std::sync::Arc;

use crate::error::Error;
use crate::gateway::explain::Explanation;
use crate::gateway::snapshot::Snapshot;
use crate::gateway::{Caller, Gateway, GatewayRequest};
use crate::request::{EditDraft, ImageRequest};

/// Bytes of a request that is explained: a prompt, or an edit with a picture or two in it as base64.
pub const MOST_BODY: usize = 8 * 1024 * 1024;

/// What is asked besides the request itself.
#[derive(Debug, Default)]
pub struct ExplainQuery {
    /// The client in whose name; `None` is the first, or anybody where the config lists none.
    pub client: Option<String>,
    /// Whether the body is that of an edit.
    pub edit: bool,
}

impl ExplainQuery {
    /// Reads `client=web&operation=edit`.
    ///
    /// # Errors
    /// When a word means nothing.
    pub fn read(query: &str) -> Result<ExplainQuery, Error> {
        let mut read = ExplainQuery::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match (&*name, &*value) {
                ("client", name) => read.client = Some(name.to_owned()),
                ("operation", "edit") => read.edit = true,
                ("operation", "generate") => read.edit = false,
                ("operation", _) => return Err(Error::invalid("operation", "'operation' is generate or edit")),
                (name, _) => {
                    let message = format!("'{name}' means nothing here, only client and operation");
                    return Err(Error::invalid(name, message).with_code("unknown_parameter"));
                }
            }
        }
        Ok(read)
    }
}

/// The decision on the request in `body`. `header` looks up a request header by its lower-case name.
///
/// # Errors
/// What is wrong with the request, or that there is no such client.
pub fn explain<'a>(
    gateway: &Gateway,
    body: &[u8],
    query: &ExplainQuery,
    header: impl Fn(&str) -> Option<&'a str>,
) -> Result<Explanation, Error> {
    let snapshot = gateway.snapshot();
    let request = match query.edit {
        true => {
            let draft = EditDraft::from_edit_json(body)?;
            draft.check_mask(snapshot.plan.server.limits.mask_pixels)?;
            draft.finish()?
        }
        false => ImageRequest::from_json(body)?,
    };
    let caller = caller(&snapshot, query.client.as_deref())?;
    gateway.explain(&snapshot, GatewayRequest { caller, ..GatewayRequest::new(request) }, header)
}

fn caller(snapshot: &Arc<Snapshot>, name: Option<&str>) -> Result<Caller, Error> {
    let clients = &snapshot.plan.clients;
    let found = match name {
        None => clients.first(),
        Some(name) => match clients.iter().find(|client| client.name == name) {
            Some(client) => Some(client),
            None => {
                let known: Vec<&str> = clients.iter().map(|client| client.name.as_str()).collect();
                let known = if known.is_empty() { "this config lists none".to_owned() } else { known.join(", ") };
                return Err(Error::invalid("client", format!("There is no client '{name}': {known}.")));
            }
        },
    };
    Ok(found.map_or_else(Caller::anybody, |client| Caller::client(client.clone())))
}
