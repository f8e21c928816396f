//! What operators reach: metrics and health ([`handler`]), and what was paid ([`ledger`]). Nothing here changes anything.

pub mod handler;
pub mod ledger;
