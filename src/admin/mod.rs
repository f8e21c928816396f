//! What operators reach: metrics and health ([`handler`]), what was paid ([`ledger`]), what would become of a request
//! ([`explain`]), and what the cache holds and is to hold no more ([`cache`]).

pub mod cache;
pub mod explain;
pub mod handler;
pub mod ledger;
