//! Why there is no reply.

use crate::failure::{Class, Failure};
use crate::upstream::transport::coding::Unreadable;

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No connection, or one that ended before the request was whole: nobody has it.
    Unreachable(String),
    /// The connection died after the request was sent, before the reply was whole.
    Lost(String),
    /// The deadline passed, or nothing came for too long. `sent`: the provider has the request.
    TimedOut {
        /// Whether the request had been sent whole.
        sent: bool,
    },
    /// The reply is larger than allowed.
    TooLarge,
    /// The reply came in a coding that is not read, or is not what its coding says.
    Unreadable(String),
    /// The name leads to an address that is not of the open internet; nothing was sent.
    Private,
}

impl Trouble {
    /// What it means for the call.
    pub fn failure(self) -> Failure {
        match self {
            Trouble::Unreachable(why) => Failure::new(Class::Unreachable, why),
            Trouble::TimedOut { sent: false } => Failure::new(Class::Unreachable, "not connected and sent in time"),
            Trouble::TimedOut { sent: true } => Failure::new(Class::TimeoutAmbiguous, "no reply in time"),
            Trouble::Lost(why) => Failure::new(Class::TimeoutAmbiguous, format!("the connection was lost: {why}")),
            Trouble::Private => Failure::new(Class::Malformed, "a picture link leads into a private network"),
            Trouble::Unreadable(why) => Failure::new(Class::Malformed, why),
            Trouble::TooLarge => Failure::new(Class::Malformed, "the reply is larger than limits.response_body"),
        }
    }
}

impl From<Unreadable> for Trouble {
    fn from(unreadable: Unreadable) -> Trouble {
        match unreadable {
            Unreadable::TooLarge => Trouble::TooLarge,
            Unreadable::Coding(why) => Trouble::Unreadable(why),
        }
    }
}
