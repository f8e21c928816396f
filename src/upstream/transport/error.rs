//! Why an exchange brought no reply, and what that means for the call.

use crate::failure::{Class, Failure};
use crate::upstream::transport::content_encoding::Unreadable;

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportError {
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

impl TransportError {
    /// What it means for the call.
    pub fn failure(self) -> Failure {
        match self {
            TransportError::Unreachable(why) => Failure::new(Class::Unreachable, why),
            TransportError::TimedOut { sent: false } => {
                Failure::new(Class::Unreachable, "not connected and sent in time")
            }
            TransportError::TimedOut { sent: true } => Failure::new(Class::TimeoutAmbiguous, "no reply in time"),
            TransportError::Lost(why) => {
                Failure::new(Class::TimeoutAmbiguous, format!("the connection was lost: {why}"))
            }
            TransportError::Private => Failure::new(Class::Malformed, "a picture link leads into a private network"),
            TransportError::Unreadable(why) => Failure::new(Class::Malformed, why),
            TransportError::TooLarge => Failure::new(Class::Malformed, "the reply is larger than limits.response_body"),
        }
    }
}

impl From<Unreadable> for TransportError {
    fn from(unreadable: Unreadable) -> TransportError {
        match unreadable {
            Unreadable::TooLarge => TransportError::TooLarge,
            Unreadable::Coding(why) => TransportError::Unreadable(why),
        }
    }
}
