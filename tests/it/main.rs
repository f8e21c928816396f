//! What can be seen from outside, one binary for all of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod client;
mod crowd; // single flight, concurrency caps, the queue
mod golden; // wire formats against golden samples, no network
mod h2;
mod money; // invoice and ledger
mod passthrough; // what is not Easel's
mod refusals; // bad input
mod serve; // requests that work
mod trouble; // failing providers, leaving clients, deadlines
mod world;
