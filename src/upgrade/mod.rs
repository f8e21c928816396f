//! A running Easel starts its successor, and both serve until the old one's requests are done: an upgrade in which no
//! connection is refused and no request cut off.
//!
//! The old process starts the program anew and gives it its two listening sockets over a socket pair, which is the new one's
//! standard input. The new one reads the config and says so. Then the old one gives away half of what is left of budgets and
//! slots, and the ledger's lock ([`Gateway::hand_over`](crate::gateway::Gateway::hand_over)); the new one opens the ledger
//! beside it, serves, and says so. From then on the old one takes no new connections, asks its clients to come by new ones, and
//! ends when all it had is done. Whatever fails before the new one serves changes nothing: the old one goes on.

pub mod channel;
pub mod message;
pub mod predecessor;
pub mod successor;
