//! How a provider's answer can fail, in the classes that decide what happens next (PROVIDERS.md section 17).
//!
//! Providers name the class, `gateway` and the breaker act on it. Nothing here retries or waits.

use std::fmt;
use std::time::Duration;

use crate::pricing::Counted;

/// What kind of failure a provider's answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The vendor finds the request wrong. With a `param` it blames what the caller itself sent, and that goes back at
    /// once; without one it may be this vendor's own taste, and the next is asked.
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
    /// Whole pictures as the request asked, which the route's quality gate does not accept. It says nothing against the
    /// offer, and the next picture may be better.
    Rejected,
    /// The model is not there (any more).
    ModelGone,
    /// The attempt could not be written down first, so it was not made.
    Unrecorded,
}

impl Class {
    /// Every class, for metrics and tables.
    pub const ALL: [Class; 14] = [
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
        Class::Rejected,
        Class::ModelGone,
        Class::Unrecorded,
    ];

    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
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
            Class::Rejected => "rejected",
            Class::ModelGone => "model_gone",
            Class::Unrecorded => "ledger_unwritable",
        }
    }
}

/// How far the cause of a failure reaches, as far as the evidence goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureScope {
    /// Everything that is asked with this account: its key, its money, a limit that vendors keep by account.
    Account,
    /// Everything that is asked of this model.
    Model,
    /// This model at what it was asked to do: to draw, or to change a picture.
    Operation,
}

/// What a vendor's answer is found to say: the class, how far it reaches, and whether the vendor said so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classification {
    /// What kind of failure.
    pub class: Class,
    /// How far its cause reaches.
    pub scope: FailureScope,
    /// Whether the vendor says so in words that it documents, which is enough to pause at once. An answer that may be
    /// anybody's, such as a firewall's page, only counts as one failure.
    pub stated: bool,
}

impl Classification {
    /// The vendor says so itself; as wide as such failures usually are.
    pub fn stated(class: Class) -> Classification {
        let scope = match class {
            Class::Auth | Class::Quota => FailureScope::Account,
            // Most vendors limit by model (PROVIDERS.md 1.6, 2, 4.4, 10).
            Class::RateLimited => FailureScope::Model,
            _ => FailureScope::Operation,
        };
        Classification { class, scope, stated: true }
    }

    /// It looks like it, and one look proves nothing.
    pub fn guess(class: Class) -> Classification {
        Classification { stated: false, ..Classification::stated(class) }
    }

    /// The same, reaching so far.
    pub fn at(self, scope: FailureScope) -> Classification {
        Classification { scope, ..self }
    }
}

/// One failed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind.
    pub class: Class,
    /// How far its cause reaches.
    pub scope: FailureScope,
    /// Whether the vendor itself says so; else it only counts as one failure.
    pub stated: bool,
    /// The provider's words, for the operator's log. May name the account; never shown to a caller.
    pub message: String,
    /// Where in `message` the vendor's own sentence begins; `None` where it has none. Failures go through many hands, so
    /// they are kept small.
    pub sentence: Option<u16>,
    /// The request field the provider blames, where it names one of ours.
    pub param: Option<String>,
    /// When the provider says to come back.
    pub retry_after: Option<Duration>,
    /// Pictures the provider charges for although it delivered none of them.
    pub billed: u8,
    /// The vendor's own word on how a job it had taken on came to its end. Asking again would change nothing, and
    /// `billed` is all that it costs.
    pub ended: bool,
    /// The vendor's own word, in an answer that was read whole, that it drew nothing: a list of pictures that is empty.
    /// What was asked for is not on its way, so it may be asked for there again. It may be charged all the same.
    pub drew_none: bool,
    /// The vendor had too much to do to take it on (529), whoever it is that asks so much.
    pub overloaded: bool,
    /// What the vendor counted until then, which it may charge. In a box, because few failures have any.
    pub counted: Option<Box<Counted>>,
}

impl Failure {
    /// A failure nothing is billed for.
    pub fn new(class: Class, message: impl Into<String>) -> Failure {
        Failure::found(Classification::stated(class), message)
    }

    /// A failure as it was found in a vendor's answer.
    pub fn found(finding: Classification, message: impl Into<String>) -> Failure {
        let Classification { class, scope, stated } = finding;
        Failure {
            class,
            scope,
            stated,
            message: message.into(),
            sentence: None,
            param: None,
            retry_after: None,
            billed: 0,
            ended: false,
            drew_none: false,
            overloaded: false,
            counted: None,
        }
    }

    /// Whether fewer calls at once may be what helps: the vendor limits them, or is overloaded.
    pub fn too_many(&self) -> bool {
        self.class == Class::RateLimited || self.overloaded
    }

    /// The same failure with the provider's waiting time.
    pub fn with_retry_after(mut self, after: Option<Duration>) -> Failure {
        self.retry_after = after;
        self
    }

    /// The same failure with the vendor's own sentence about the request at the end of its message.
    pub fn with_reason(mut self, sentence: &str) -> Failure {
        self.message.push_str(": ");
        self.sentence = u16::try_from(self.message.len()).ok().filter(|_| !sentence.is_empty());
        self.message.push_str(sentence);
        self
    }

    /// The vendor's own sentence about the request, where it has one. It may name the account: it is made fit for a
    /// caller where it is shown to one.
    pub fn reason(&self) -> Option<&str> {
        self.message.get(usize::from(self.sentence?)..)
    }

    /// Whether a vendor blames what the caller itself sent: it goes back at once, and nobody else is asked.
    pub fn is_the_callers(&self) -> bool {
        self.class == Class::CallerInvalid && self.param.is_some()
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

    /// The same failure, where the vendor lists the pictures that it drew and there is none.
    pub fn with_none_drawn(mut self, drew_none: bool) -> Failure {
        self.drew_none = drew_none;
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
        write!(f, "{}: {}", self.class.as_str(), self.message)
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
