//! What an HTTP status says by itself.

use crate::failure::Class;

/// Anthropic's status for an API that is overloaded; others send it too. No RFC has it.
pub const OVERLOADED: u16 = 529;

/// The class an HTTP status has by itself.
///
/// A gateway in front of the vendor has statuses for having waited in vain: the request had been handed on, so it may
/// have been drawn. Cloudflare's 521, 523, 525, 526 and 530 are about the connection, which never came to be.
pub fn class_of_status(status: u16) -> Class {
    match status {
        // 408 and 499: timed out, or given up by whoever asked for us. 504: no answer in time. Cloudflare's 520: an
        // answer it could not read; 522: no sign of life, perhaps only after the request was sent; 524: no answer in
        // time; 527: lost on the way. 598 and 599 are other proxies' words for timeouts.
        408 | 499 | 504 | 520 | 522 | 524 | 527 | 598 | 599 => Class::TimeoutAmbiguous,
        401 | 403 => Class::Auth,
        402 => Class::Quota,
        404 | 410 => Class::ModelGone,
        405 | 406 | 411 | 415 => Class::AdapterBug,
        409 | 425 | 500..=599 => Class::Server,
        429 => Class::RateLimited,
        400..=499 => Class::CallerInvalid,
        // A redirect is not followed, and a success without pictures is no success.
        _ => Class::Malformed,
    }
}
