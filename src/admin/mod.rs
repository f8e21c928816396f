//! What operators reach: metrics and health ([`handler`]), what was paid ([`ledger`]), and what would become of a request
//! ([`explain`]). Nothing here changes anything.

pub mod explain;
pub mod handler;
pub mod ledger;
