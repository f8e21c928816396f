//! The wall clock, as those above floor 2 read it. Policies are handed the moment that is read here.

use crate::calendar::Moment;

/// The present moment.
pub fn now() -> Moment {
    std::time::SystemTime::now().into()
}
