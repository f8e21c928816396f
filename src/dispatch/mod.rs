//! Which offer is asked next, for which pictures, and when a request is over: a state machine without a clock or a socket.
//!
//! The driver (the gateway's loop, or a simulator's) performs each [`Action`] and tells what came of it: `started` or
//! `not_started`, `queued`, `slot_granted` or `slot_lost`, `ended`, `timer`. Between two events it calls
//! [`Dispatch::next`] until that says [`Action::Wait`] or [`Action::Finish`]. What the machine has to know of the world
//! beyond its own calls it asks [`DispatchFacts`] for; the time comes in with each call.
//!
//! Pictures are bought in calls of at most what an offer draws at once, several calls side by side. Candidates
//! come in the order of the route's strategy (`offer_order`); those that failed this request are asked after those that did
//! not (`next_call`), and some wait for a reason (`ask_when`). A full provider spills to the next, and only when every able
//! one is full does the request queue, if it may be served in time (`queue_up`). Where every able one is paused for a moment, or the last that is left has just
//! failed, the request waits for it (`wait_for_pause`, `retry`). A call that takes so long that the deadline is in
//! danger is given up where another candidate may be asked (`give_up_overdue`), but it is never cut off: what it brings is kept.
//! One that is only later than usual is waited for, and another candidate is asked besides (`hedge`).

mod ask_when;
mod call_end;
mod choice_reason;
mod give_up_overdue;
mod handle_call_end;
mod hedge;
mod hedge_refusal;
mod in_flight;
mod interface;
mod next_call;
pub mod no_picture_error;
mod obstacles;
mod offer_order;
mod pause_wait;
mod picture_disposition;
mod picture_places;
mod queue_up;
mod retry;
mod state_machine;
#[cfg(test)]
mod tests;
mod wait_for_pause;
mod weighted_turns;

pub use crate::dispatch::interface::{Action, DispatchFacts, DispatchRules, EventTime, SlotForecast};
pub use crate::dispatch::state_machine::Dispatch;
pub use call_end::CallEnd;
pub use choice_reason::ChoiceReason;
pub use hedge_refusal::HedgeRefusal;
pub use obstacles::Obstacle;
pub use offer_order::{OfferOrder, OfferStanding, offer_order};
pub use picture_disposition::Disposition;
pub use weighted_turns::WeightedTurns;
