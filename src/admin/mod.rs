//! What operators reach: metrics and health ([`handler`], [`readiness`]), what was paid ([`ledger`]), what became of a
//! request ([`requests`]) and what would ([`explain`]), what the cache holds and is to hold no more ([`cache`]), and which words it has learned
//! to mean the same ([`equivalences`]). [`dashboard`] is the page for people.

pub mod cache;
mod dashboard;
pub mod equivalences;
pub mod explain;
pub mod handler;
pub mod ledger;
pub mod readiness;
#[cfg(feature = "cli")]
mod request_text;
pub mod requests;
mod response_headers;
