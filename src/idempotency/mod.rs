//! Idempotency keys: which request of a tenant a key stands for, and what a second request with the key is told.
//!
//! A client that sends `idempotency-key` may send its request again, and pays once. The [`KeyTable`] says whether a
//! request is the first with its key, joins the first, gets the first one's answer again, or is refused and why. It
//! holds no picture, and forgets a key when the window after its first request is over, or earlier, and counted, when
//! its bounds are reached.

mod key;
mod table;
#[cfg(test)]
mod tests;

pub use crate::idempotency::key::{BadKey, IdempotencyKey, KeyName, KeyRefusal, KeyState, KeyUse};
pub use crate::idempotency::table::{Begin, Bounds, Dropped, KeyEnd, KeyTable, Removed, RemovedPart, RestoredKey};
