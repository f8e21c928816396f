//! Which request is being worked for, so that the log says it with whatever is logged meanwhile, wherever that is.

use std::sync::Arc;

tokio::task_local! {
    static REQUEST: Arc<str>;
}

/// `work`, all lines of which the log has under this request's id.
pub fn within_request<F: Future>(id: Arc<str>, work: F) -> impl Future<Output = F::Output> {
    REQUEST.scope(id, work)
}

/// The id of the request that is being worked for here, if it is one.
#[cfg(feature = "cli")]
pub fn current_request() -> Option<Arc<str>> {
    REQUEST.try_with(Arc::clone).ok()
}
