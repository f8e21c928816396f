//! The client that asks: its tenant, what it may use, and its budgets.

use std::sync::Arc;

use crate::config::plan::{Budget, Client, Priority, Route};

/// The tenant where the config lists no clients.
const ANYBODY: &str = "default";

/// The client that asks.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose a request is; nothing is shared between tenants.
    pub tenant: Arc<str>,
    /// What the config says of it; `None` where it lists no clients.
    pub client: Option<Arc<Client>>,
}

impl Caller {
    /// The one tenant there is where the config lists no clients.
    pub fn anybody() -> Caller {
        Caller { tenant: ANYBODY.into(), client: None }
    }

    /// A client of the config.
    pub fn client(client: Arc<Client>) -> Caller {
        Caller { tenant: client.name.as_str().into(), client: Some(client) }
    }

    /// Whether it may use a route.
    pub fn may_use(&self, route: &Route) -> bool {
        self.client.as_ref().is_none_or(|client| client.may_use(&route.name))
    }

    /// Whether somebody waits for its pictures, as the config says.
    pub fn priority(&self) -> Priority {
        self.client.as_ref().map_or(Priority::Live, |client| client.priority)
    }

    /// What may be spent for it.
    pub fn budgets(&self) -> &[Budget] {
        self.client.as_ref().map_or(&[], |client| &client.budgets)
    }
}
