//! The ledger and its record, kept in step: promise and write down, then send; settle and write down, then tell.
//!
//! What is settled is handed to the record while the ledger is locked, so both see everything in the same order, and
//! sums that the record gives stand exactly between two entries. Nothing here prices anything.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::calendar::Moment;
use crate::config::plan::Plan;
use crate::ledger::{Charge, Hold, Intent, Ledger, Settled, Short, keys};

/// The ledger and its record.
pub struct Books {
    ledger: Arc<Ledger>,
}

/// An attempt that may be sent once it is written down.
pub struct Opened {
    hold: Hold,
    written: BoxFuture<'static, Result<(), Unwritten>>,
}

/// The record could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritten;

impl Books {
    /// Books without a record.
    pub fn new(ledger: Arc<Ledger>) -> Books {
        Books { ledger }
    }

    /// Counts all that `plan` needs to have counted.
    pub fn follow(&self, plan: &Plan) {
        self.ledger.count(&keys(plan), now(), |_new| ());
    }

    /// Whether something new may be paid for.
    pub fn may_pay(&self) -> bool {
        true
    }

    /// Promises what an attempt may cost, or says which budget it would pass.
    pub fn open(&self, intent: Intent<'_>) -> Result<Opened, Short> {
        let (hold, written) = self
            .ledger
            .reserve(intent, now(), |_entry| -> BoxFuture<'static, _> { Box::pin(std::future::ready(Ok(()))) })?;
        Ok(Opened { hold, written })
    }

    /// Settles an attempt and returns when that is written down.
    pub async fn settle(&self, hold: Hold, charge: Charge) -> Settled {
        let (settled, _) = hold.settle(charge, now(), |_settled| ());
        settled
    }

    /// Takes the promise of an attempt back that was not sent.
    pub fn release(&self, hold: Hold) {
        hold.release(now(), |_id| ());
    }
}

impl Opened {
    /// The promise of an attempt that is not going to be sent.
    pub fn unsent(self) -> Hold {
        self.hold
    }

    /// Waits until the attempt is written down; whoever sends it before might pay for what nobody knows of.
    pub async fn written(self) -> Result<Hold, (Hold, Unwritten)> {
        match self.written.await {
            Ok(()) => Ok(self.hold),
            Err(unwritten) => Err((self.hold, unwritten)),
        }
    }
}

/// The wall clock.
pub fn now() -> Moment {
    std::time::SystemTime::now().into()
}
