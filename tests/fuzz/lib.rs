//! What the fuzz targets do with the bytes they are given: one function a target.
//!
//! Each says what must hold whatever comes in; that nothing panics goes without saying. `scripts/fuzz` gives them what
//! libFuzzer makes up; tests/it/fuzz.rs gives them the seeds and all that was ever found (tests/fuzz/found).

mod config;
mod multipart;
mod picture;
mod prompts;
mod reply;
mod request_json;

pub use config::config;
pub use multipart::multipart;
pub use picture::picture;
pub use prompts::prompts;
pub use reply::{CONTENT_TYPES, JOBS, STATUSES, reply};
pub use request_json::request_json;

/// A key that no message may show.
pub const KEY: &str = "key-0123456789abcdef";
