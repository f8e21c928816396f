//! Why a gateway does not start, or does not take a new plan.

use crate::disk_cache::OpenError;
use crate::gateway::snapshot::SnapshotError;
use crate::store::StoreError;

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The plan cannot run.
    #[error(transparent)]
    Plan(#[from] SnapshotError),
    /// The operating system gives no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(#[from] getrandom::Error),
    /// Two metrics share a name.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The ledger cannot be opened or read.
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// The cache's directory cannot be used.
    #[error(transparent)]
    Disk(#[from] OpenError),
    /// What another process says that hands over makes no sense.
    #[error("the process before hands over something that makes no sense")]
    BadHandover,
}

/// Why a new plan is not put in force.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// The plan cannot run.
    #[error(transparent)]
    Plan(#[from] SnapshotError),
    /// The ledger cannot be read, so what its budgets have left is not known.
    #[error(transparent)]
    Ledger(#[from] StoreError),
}
