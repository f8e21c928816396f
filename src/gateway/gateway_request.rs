//! A request as the server hands it over, and the client that sends it.

use std::sync::Arc;

use crate::config::plan::{Budget, Client, Route};
use crate::gateway::progress::ProgressSender;
use crate::money::Usd;
use crate::request::ImageRequest;

/// The tenant where the config lists no clients.
const ANYBODY: &str = "default";

/// What the caller wishes of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheWish {
    /// Use what is there, keep what is drawn.
    Use,
    /// Draw fresh pictures, keep them (`cache-control: no-cache`).
    Fresh,
    /// Draw fresh pictures, keep none (`cache-control: no-store`).
    Skip,
}

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

    /// What may be spent for it.
    pub fn budgets(&self) -> &[Budget] {
        self.client.as_ref().map_or(&[], |client| &client.budgets)
    }
}

/// A request as the server hands it over.
pub struct GatewayRequest {
    /// What is wanted.
    pub request: ImageRequest,
    /// The request's own id, as logs, answers and the ledger name it.
    pub id: Arc<str>,
    /// The client that asks.
    pub caller: Caller,
    /// What the caller is willing to pay for it at most.
    pub max_usd: Option<Usd>,
    /// What the caller wishes of the cache.
    pub cache: CacheWish,
    /// Where its progress is sent, if it is watched.
    pub progress: Option<ProgressSender>,
}

impl GatewayRequest {
    /// A request of anybody's that uses the cache and has no limit of its own.
    pub fn new(request: ImageRequest) -> GatewayRequest {
        let id = format!("{:016x}", fastrand::u64(..)).into();
        GatewayRequest { request, id, caller: Caller::anybody(), max_usd: None, cache: CacheWish::Use, progress: None }
    }
}
