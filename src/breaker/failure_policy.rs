//! What a failure says against an offer: a pause at once, one more failure, or nothing.
//!
//! The evidence decides how wide a pause is. An error that the vendor states about the account (key, money) pauses the
//! account; a rate limit pauses the model or, where the vendor limits by account, the account. Errors, timeouts and
//! garbage pause one operation of one model after several of them, and so do answers that may come from anybody, such
//! as a firewall's page.

use std::time::Duration;

use crate::breaker::pause::Pause;
use crate::failure::{Class, Failure};

/// Pause after a 429 that does not say how long. Vendors count over windows of a second to a minute, and most 429s of a
/// burst are over within seconds; one that is not says so again, and the next pause costs one call.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(2);
/// Pause when the account is out of money or quota; waiting does not help, a person must act. Five minutes cost twelve
/// refused calls an hour, and are the longest that drawing waits after the account was filled.
const QUOTA_PAUSE: Duration = Duration::from_secs(300);
/// Pause when the credentials were refused; a reload may bring better ones. A minute, because a key that was just made
/// is unknown to some of a vendor's servers for about so long, and many refused keys in a row lock an account.
const AUTH_PAUSE: Duration = Duration::from_secs(60);
/// Pause when the model is gone. A model that was retired stays so; ten minutes are for one that is being deployed.
const GONE_PAUSE: Duration = Duration::from_secs(600);
/// No provider's own waiting time is believed beyond this: limits by the day name hours, and often more room is given
/// before, so one call in ten minutes looks.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// What a failure calls for: a pause at once, as wide as its scope, and whether it counts as one failure of the
/// operation.
pub struct FailurePolicy {
    /// Why to pause, and for how long.
    pub pause: Option<(Pause, Duration)>,
    /// Whether it is one failure more of the operation.
    pub counts: bool,
}

/// What a failure calls for; none where it is no fault of the offer.
pub fn failure_policy(failure: &Failure) -> Option<FailurePolicy> {
    let told = failure.retry_after.map(|told| told.min(LONGEST_PAUSE));
    let at_least = |own: Duration| told.map_or(own, |told| told.max(own));
    let pause = match failure.class {
        Class::CallerInvalid
        | Class::Policy
        | Class::AdapterBug
        | Class::Unlike
        | Class::Rejected
        | Class::Unrecorded => {
            return None;
        }
        Class::RateLimited => Some((Pause::RateLimited, told.unwrap_or(RATE_LIMIT_PAUSE))),
        Class::Quota => Some((Pause::Quota, at_least(QUOTA_PAUSE))),
        Class::Auth => Some((Pause::Auth, at_least(AUTH_PAUSE))),
        Class::ModelGone => Some((Pause::ModelGone, GONE_PAUSE)),
        Class::Server | Class::Unreachable | Class::TimeoutAmbiguous | Class::Malformed => {
            let pause = told.map(|told| (Pause::Overloaded, told));
            return Some(FailurePolicy { pause, counts: true });
        }
    };
    // What the vendor did not say itself is one failure and no more.
    Some(FailurePolicy { pause: pause.filter(|_| failure.stated), counts: !failure.stated })
}
