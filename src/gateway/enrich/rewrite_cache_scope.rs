//! For whom a rewritten prompt may be kept and reused.

use std::sync::Arc;

/// The tenant that wrote a prompt, and whether its rewritten form may be remembered.
#[derive(Clone, Debug)]
pub struct RewriteCacheScope {
    /// Nothing is shared between tenants, rewritten prompts included.
    pub tenant: Arc<str>,
    /// Whether what is written for this caller may be kept, and taken from what was kept.
    pub remember: bool,
}
