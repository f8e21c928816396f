//! What the ledger is told of pictures that their viewers accepted or rejected.

use crate::calendar::Moment;
use crate::ledger::entry::Owner;
use crate::ledger::sliding_window::VerdictChange;
use crate::ledger::sliding_window::event::WindowEvent;
use crate::ledger::state::Ledger;

impl Ledger {
    /// Changes what is held of pictures that were delivered by an attempt of `owner` that was settled at `at`.
    pub fn judge(&self, at: Moment, owner: &Owner, change: VerdictChange) {
        self.lock().see(WindowEvent::Judged { at, owner: owner.clone(), change });
    }
}
