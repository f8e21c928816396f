//! A request as the server hands it over to the gateway.

use std::sync::Arc;
use std::time::Duration;

use crate::config::plan::Priority;
use crate::gateway::caller::Caller;
use crate::gateway::progress::ProgressSender;
use crate::idempotency::IdempotencyKey;
use crate::money::Usd;
use crate::request::ImageRequest;

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
    /// How long the caller waits, where that is less than the route says.
    pub deadline_after: Option<Duration>,
    /// What the caller wishes of the cache.
    pub cache: CacheWish,
    /// Its idempotency key: with the same key and request the caller gets the same answer and pays once.
    pub idempotency_key: Option<IdempotencyKey>,
    /// Whether somebody waits for it. A caller whose config says batch stays batch.
    pub priority: Priority,
    /// Where its progress is sent, if it is watched.
    pub progress: Option<ProgressSender>,
}

impl GatewayRequest {
    /// A request of anybody's that uses the cache and has no limit of its own.
    pub fn new(request: ImageRequest) -> GatewayRequest {
        let id = format!("{:016x}", fastrand::u64(..)).into();
        GatewayRequest {
            request,
            id,
            caller: Caller::anybody(),
            max_usd: None,
            deadline_after: None,
            cache: CacheWish::Use,
            priority: Priority::Live,
            idempotency_key: None,
            progress: None,
        }
    }
}
