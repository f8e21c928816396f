//! How a provider's answer can fail, in the classes that decide what happens next (PROVIDERS.md section 17).
//!
//! Providers name the class, `gateway` and the cool-downs act on it. Nothing here retries or waits.

use std::fmt;
use std::time::Duration;

use crate::pricing::Counted;

/// What kind of failure a provider's answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The caller's request is wrong for any provider; goes back at once.
    CallerInvalid,
    /// We sent something this provider does not take; another may.
    AdapterBug,
    /// The content was refused; goes back unless the route says `refusals: next`.
    Policy,
    /// Our credentials were not accepted.
    Auth,
    /// The account is out of money or quota; waiting does not help.
    Quota,
    /// Too many requests for now.
    RateLimited,
    /// Overload or a fault on the provider's side.
    Server,
    /// No connection: refused, unresolved, TLS. Nothing was sent, so nothing was billed.
    Unreachable,
    /// No answer in time after the request was sent, or somebody in between says that there was none; it may have been
    /// billed.
    TimeoutAmbiguous,
    /// An answer that is not what the API promises: garbage, an HTML page, a truncated picture, no pictures. With a
    /// status that reports no error it may have been billed.
    Malformed,
    /// Whole pictures, but not as the request asked, for a route that takes no others. It says nothing against the offer.
    Unlike,
    /// The model is not there (any more).
    ModelGone,
    /// The attempt could not be written down first, so it was not made.
    Unrecorded,
}

impl Class {
    /// Every class, for metrics and tables.
    pub const ALL: [Class; 13] = [
        Class::CallerInvalid,
        Class::AdapterBug,
        Class::Policy,
        Class::Auth,
        Class::Quota,
        Class::RateLimited,
        Class::Server,
        Class::Unreachable,
        Class::TimeoutAmbiguous,
        Class::Malformed,
        Class::Unlike,
        Class::ModelGone,
        Class::Unrecorded,
    ];

    /// The word for log and metric.
    pub fn word(self) -> &'static str {
        match self {
            Class::CallerInvalid => "caller_invalid",
            Class::AdapterBug => "adapter_bug",
            Class::Policy => "refused",
            Class::Auth => "auth",
            Class::Quota => "quota",
            Class::RateLimited => "rate_limited",
            Class::Server => "server_error",
            Class::Unreachable => "unreachable",
            Class::TimeoutAmbiguous => "timeout",
            Class::Malformed => "malformed",
            Class::Unlike => "not_as_asked",
            Class::ModelGone => "model_gone",
            Class::Unrecorded => "ledger_unwritable",
        }
    }
}

/// One failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub class: Class,
    /// The provider's words, for the operator's log. May name the account; never shown to a caller.
    pub message: String,
    /// The request field the provider blames, where it names one of ours.
    pub param: Option<String>,
    /// When the provider says to come back.
    pub retry_after: Option<Duration>,
    /// Pictures the provider charges for although it delivered none of them.
    pub billed: u8,
    /// The vendor's own word on how a job it had taken on came to its end. Asking again would change nothing, and
    /// `billed` is all that it costs.
    pub ended: bool,
    /// What the vendor counted until then, which it may charge. In a box, because few failures have any.
    pub counted: Option<Box<Counted>>,
}

impl Failure {
    /// A failure nothing is billed for.
    pub fn new(class: Class, message: impl Into<String>) -> Failure {
        Failure {
            class,
            message: message.into(),
            param: None,
            retry_after: None,
            billed: 0,
            ended: false,
            counted: None,
        }
    }

    /// The same failure with the provider's waiting time.
    pub fn with_retry_after(mut self, after: Option<Duration>) -> Failure {
        self.retry_after = after;
        self
    }

    /// The same failure naming the request field at fault.
    pub fn with_param(mut self, param: Option<String>) -> Failure {
        self.param = param;
        self
    }

    /// The same failure with pictures that are charged all the same.
    pub fn with_billed(mut self, billed: u8) -> Failure {
        self.billed = billed;
        self
    }

    /// The same failure with what the vendor counted.
    pub fn with_counted(mut self, counted: Counted) -> Failure {
        self.counted = (counted != Counted::default()).then(|| Box::new(counted));
        self
    }

    /// Whether the work may have been done and billed all the same, when this failure came out of an answer of `status`;
    /// `None` is an answer that was not read to its end.
    ///
    /// An error status is a word on the request: it was not carried out. A success or a redirect that brings no picture
    /// and names no error is no such word, and neither is a gateway that says it got no answer in time.
    pub fn leaves_the_bill_open(&self, status: Option<u16>) -> bool {
        match self.class {
            Class::TimeoutAmbiguous => true,
            Class::Malformed => status.is_none_or(|status| status < 400),
            _ => false,
        }
    }

    /// The same failure as the end of a job.
    pub fn at_the_end(mut self) -> Failure {
        self.ended = true;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.word(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_that_names_an_error_says_that_nothing_is_billed() {
        let open = |class, status| Failure::new(class, "x").leaves_the_bill_open(status);
        for status in [Some(200), Some(202), Some(204), Some(302), Some(307), None] {
            assert!(open(Class::Malformed, status), "{status:?}");
        }
        assert!(!open(Class::Malformed, Some(400)) && !open(Class::Malformed, Some(422)));
        for class in Class::ALL.into_iter().filter(|class| *class != Class::Malformed) {
            for status in [Some(200), Some(307), Some(500), None] {
                assert_eq!(open(class, status), class == Class::TimeoutAmbiguous, "{class:?} {status:?}");
            }
        }
    }
}
