//! Which offer is asked next, for which pictures, and when a request is over: a state machine without a clock or a socket.
//!
//! The driver (the gateway's loop, or a simulator's) performs each [`Action`] and tells what came of it: `started` or
//! `not_started`, `queued`, `slot_granted` or `slot_lost`, `ended`, `timer`. Between two events it calls
//! [`Dispatch::next`] until that says [`Action::Wait`] or [`Action::Finish`]. What the machine has to know of the world
//! beyond its own calls it asks [`DispatchFacts`] for; the time comes in with each call.
//!
//! Pictures are bought in calls of at most what an offer draws at once, several calls side by side. Offers are asked in
//! the route's order, those that failed this request after those that did not (`next_call`). A full provider spills to the
//! next, and only when every able one is full does the request queue. A call that takes so long that the deadline is in
//! danger is given up where another candidate may be asked (`give_up_overdue`), but it is never cut off: what it brings is kept.

mod call_end;
mod give_up_overdue;
mod handle_call_end;
mod in_flight;
mod interface;
mod next_call;
pub mod no_picture_error;
mod obstacles;
mod picture_disposition;
mod picture_places;
mod state_machine;
#[cfg(test)]
mod tests;

pub use crate::dispatch::interface::{Action, DispatchFacts, DispatchRules, EventTime};
pub use crate::dispatch::state_machine::Dispatch;
pub use call_end::CallEnd;
pub use obstacles::Obstacle;
pub use picture_disposition::Disposition;
