//! What can be seen from outside: wire formats against golden samples.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod golden;
