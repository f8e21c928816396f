//! What was paid, to whom, and for what; and what may still be promised.
//!
//! An attempt is opened by [`Ledger::reserve`], which promises its price against every budget it counts in or says
//! which of them it would pass, and is closed by its [`Hold`]. In between the promise stands, so no number of attempts
//! side by side can pass a limit. Amounts are exact; nothing is estimated here and nothing is rounded but a price.
//! The gateway's durable ledger writes entries down, in the order in which it is told of them here; what was written down
//! before comes back in the same order, while nothing else can happen.

mod accrue_fees;
mod billed_model;
mod charge;
pub mod counter;
pub mod entry;
mod fee_hours;
mod feedback;
mod hold;
mod plan_counters;
pub mod predecessor;
mod price_settlement;
mod queries;
mod rejections;
mod reserve;
mod restore;
mod shared_budgets;
pub mod sliding_window;
mod spend;
mod state;

pub use crate::ledger::billed_model::BilledModel;
pub use crate::ledger::price_settlement::Settled;
pub use crate::ledger::sliding_window::event::add_to_windows;
pub use charge::Charge;
pub use hold::Hold;
pub use plan_counters::counter_keys;
pub use predecessor::LedgerHandover;
pub use rejections::Rejections;
pub use reserve::{BudgetExceeded, Intent};
pub use spend::SpendKind;
#[cfg(test)]
pub use spend::{SpendAccount, Total};
pub use state::Ledger;

#[cfg(test)]
mod tests;
