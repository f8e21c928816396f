//! Why a request got no picture, in words a caller can act on.
//!
//! Of the obstacles that a request met, the one is told whose removal would help most. An error names request fields,
//! limits and waiting times; it never repeats a provider's account, key or address.

use std::time::{Duration, Instant};

use crate::dispatch::obstacles::Obstacles;

use crate::calendar::{Moment, Per};
use crate::capabilities::Unsupported;
use crate::error::{Error, ErrorKind};
use crate::failure::{Class, Failure};
use crate::ledger::BudgetExceeded;
use crate::ledger::counter::CounterScope;
use crate::money::Usd;
use crate::redact_vendor_message::redact;
use crate::routing::{Cap, CapOwner, Skip};

impl Obstacles {
    /// The error for the caller. `late`: the route's deadline has passed. `today` is `now` by the wall clock. What may go
    /// better later comes before what one vendor found wrong.
    pub fn explain(&self, skips: &[Skip], route: &str, late: bool, now: Instant, today: Moment) -> Error {
        let come_back = self.earliest_retry.map(|at| at.saturating_duration_since(now).max(Duration::from_secs(1)));
        if self.refused {
            return refused(None);
        }
        if let Some(failure) = &self.last_failure {
            return failed(failure, late, come_back);
        }
        let used_up = self.used_up || self.limited.is_some();
        if late && !used_up && self.caller_error.is_none() {
            return deadline();
        }
        if skips.contains(&Skip::LedgerUnwritable) {
            return unrecorded();
        }
        if self.queue_timed_out || skips.iter().any(|skip| matches!(skip, Skip::AtCapacity | Skip::WouldBeLate)) {
            return self.full(skips, now);
        }
        if used_up || self.paused {
            return self.pausing(come_back);
        }
        if let Some(caller_error) = &self.caller_error {
            return caller_invalid(caller_error);
        }
        match (&self.short, skips.contains(&Skip::OverBudget)) {
            (Some(short), true) => over_budget(short, today),
            _ => no_offer(skips, route),
        }
    }
}

impl Obstacles {
    /// No slot was free. Whoever is told so early could not have been served in time; it is told when a request like it can
    /// be.
    fn full(&self, skips: &[Skip], now: Instant) -> Error {
        let message = match self.queue_timed_out || !skips.contains(&Skip::WouldBeLate) {
            true => "Every provider that could draw this is at its limit of concurrent calls.",
            false => "Every provider that could draw this is busy for longer than this request can wait.",
        };
        let wait = self.earliest_slot.map_or(Duration::ZERO, |at| at.saturating_duration_since(now));
        Error::new(ErrorKind::Busy, message).with_retry_after(wait.max(Duration::from_secs(1)))
    }

    /// Every offer that could draw it is paused. All clients that ask meanwhile are told the same time.
    fn pausing(&self, come_back: Option<Duration>) -> Error {
        let error = match self.paused {
            true => Error::new(ErrorKind::Unavailable, "Every provider that could draw this is paused after failures."),
            false => {
                Error::new(ErrorKind::Busy, "Every provider that could draw this is out of quota or rate limited.")
            }
        };
        let error = match &self.limited {
            Some(failure) => error.with_detail(failure.to_string()),
            None => error,
        };
        error.with_retry_after(come_back.unwrap_or(Duration::from_secs(1)))
    }
}

/// What is paid for must be written down, and that cannot be done now.
fn unrecorded() -> Error {
    let message = "This server cannot write its ledger, and pays for nothing that is not written down. Try again.";
    Error::new(ErrorKind::Unavailable, message).with_code("ledger_unwritable").with_retry_after(Duration::from_secs(5))
}

/// Which budget, how much is left, when it begins again. Names of providers and routes are no secrets; of other
/// clients nothing is said.
fn over_budget(short: &BudgetExceeded, today: Moment) -> Error {
    let BudgetExceeded { scope, per, limit, left, wanted, resets } = short;
    let whose = match scope {
        CounterScope::Client(name) => format!("of client '{name}'"),
        CounterScope::Route(name) => format!("of route '{name}'"),
        CounterScope::Provider(name) | CounterScope::Model(name, _) => format!("of provider '{name}'"),
    };
    let again = match resets {
        Some(at) => format!(" It begins again at {at}."),
        None => " It does not begin again by itself.".to_owned(),
    };
    let span = match per {
        Per::Day => "a day",
        Per::Month => "a month",
        Per::Total => "in all",
    };
    let message =
        format!("The budget {whose} ({limit} USD {span}) has {left} USD left, and this may cost {wanted} USD.{again}");
    let error = Error::new(ErrorKind::OverBudget, message).with_code("budget_exceeded");
    match resets {
        Some(at) => error.with_retry_after(at.since(today)),
        None => error,
    }
}

/// The route's deadline passed without a picture.
pub fn deadline() -> Error {
    Error::new(ErrorKind::DeadlineExceeded, "The deadline passed before a picture was ready.")
}

/// A provider refused the content.
pub fn refused(failure: Option<&Failure>) -> Error {
    let why = failure.map(said).unwrap_or_default();
    let message =
        format!("The request was refused by the image provider's safety system. Change the prompt and try again.{why}");
    let mut error = Error::new(ErrorKind::Refused, message);
    error.param = failure.and_then(|failure| failure.param.clone());
    error
}

/// What the provider says of it, without what it tells of its account.
fn said(failure: &Failure) -> String {
    let words = failure.reason().map(redact).filter(|words| !words.is_empty());
    words.map(|words| format!(" The provider says: {words}")).unwrap_or_default()
}

/// A provider says the request itself is wrong.
pub fn caller_invalid(failure: &Failure) -> Error {
    let why = said(failure);
    let message = match &failure.param {
        Some(param) => format!("The image provider does not accept this '{param}'. Change it and try again.{why}"),
        None => format!("The image provider does not accept this request. Change it and try again.{why}"),
    };
    let mut error = Error::new(ErrorKind::InvalidRequest, message).with_code("invalid_value");
    error.param = failure.param.clone();
    error.with_detail(failure.to_string())
}

fn failed(failure: &Failure, late: bool, come_back: Option<Duration>) -> Error {
    let error = match failure.class {
        Class::TimeoutAmbiguous if late => deadline(),
        Class::Unrecorded => return unrecorded(),
        Class::Unlike => {
            let message =
                "What was drawn has another size or file format than was asked, and this route takes no other.";
            Error::new(ErrorKind::UpstreamFailed, message)
        }
        Class::Rejected => {
            let message = "Every picture that was drawn was rejected by this route's quality gate.";
            Error::new(ErrorKind::UpstreamFailed, message).with_code("quality_rejected")
        }
        _ => Error::new(ErrorKind::UpstreamFailed, "No provider could draw this: every one that was asked failed."),
    };
    let after = come_back.filter(|_| error.kind != ErrorKind::DeadlineExceeded);
    let error = error.with_detail(failure.to_string());
    match after {
        Some(after) => error.with_retry_after(after),
        None => error,
    }
}

/// No offer was asked, because none may be.
fn no_offer(skips: &[Skip], route: &str) -> Error {
    let cheapest = skips.iter().filter_map(|skip| match skip {
        Skip::OverPrice { usd, cap } => Some((*usd, *cap)),
        _ => None,
    });
    if let Some((usd, cap)) = cheapest.min() {
        return over_price(usd, cap, route);
    }
    let unable = skips.iter().filter_map(|skip| match skip {
        Skip::Unsupported(unable) => Some(*unable),
        _ => None,
    });
    if let Some(nearest) = unable.max_by_key(|unable| nearness(*unable)) {
        return cannot(nearest, route);
    }
    Error::invalid("size", format!("No provider of route '{route}' has a price for this size and quality."))
        .with_code("unsupported_value")
}

fn over_price(usd: Usd, cap: Cap, route: &str) -> Error {
    let whose = match cap.whose {
        CapOwner::Caller => "this request ('x-easel-max-usd')".to_owned(),
        CapOwner::Client => "this client".to_owned(),
        CapOwner::Route | CapOwner::Offer => format!("route '{route}'"),
    };
    let limit = cap.usd;
    let message = format!("The cheapest able provider would cost {usd} USD, over the limit of {limit} USD of {whose}.");
    let error = Error::new(ErrorKind::PriceLimit, message);
    if cap.whose == CapOwner::Caller { error.with_param("x-easel-max-usd") } else { error }
}

/// Of several offers that cannot, the one that comes nearest says what to change.
fn nearness(unable: Unsupported) -> usize {
    match unable {
        Unsupported::Edit | Unsupported::Generate => 0,
        Unsupported::PromptTooLong { limit } | Unsupported::NegativePromptTooLong { limit } => 2 + limit,
        Unsupported::Images { limit } => 2 + usize::from(limit),
        _ => 1,
    }
}

fn cannot(unable: Unsupported, route: &str) -> Error {
    let message = match unable {
        Unsupported::PromptTooLong { limit } => {
            format!("'prompt' is too long for route '{route}': its models read at most {limit} characters.")
        }
        Unsupported::NegativePromptTooLong { limit } => {
            format!("'negative_prompt' is too long for route '{route}': its models read at most {limit} characters.")
        }
        Unsupported::Images { limit } => format!("The models of route '{route}' start from at most {limit} pictures."),
        Unsupported::ImageSize => {
            format!(
                "The models of route '{route}' start from pictures of certain sizes alone, and this is none of them."
            )
        }
        Unsupported::ImageBytes { limit } => {
            format!("The models of route '{route}' start from at most {limit} bytes of pictures in all.")
        }
        Unsupported::MaskMissing => {
            format!("The models of route '{route}' change only what a 'mask' shows. Add one.")
        }
        Unsupported::Mask => {
            format!("No model of route '{route}' takes a 'mask'. Leave it out and say in the prompt what to change.")
        }
        Unsupported::Edit | Unsupported::Generate => {
            let what =
                if unable == Unsupported::Edit { "changes pictures" } else { "draws without a picture to start from" };
            return Error::new(ErrorKind::ModelNotFound, format!("No model of route '{route}' {what}."))
                .with_param("model");
        }
        other => format!("No provider of route '{route}' can draw this '{}'. Change or drop it.", other.param()),
    };
    Error::invalid(unable.param(), message).with_code("unsupported_value")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::{Pause, PausedUntil};
    use crate::dispatch::obstacles::Obstacle;

    fn explain(obstacles: &Obstacles, skips: &[Skip], late: bool, now: Instant) -> Error {
        obstacles.explain(skips, "all", late, now, Moment::default())
    }

    #[test]
    fn of_several_limits_the_one_that_comes_nearest_to_the_request_is_told() {
        let told = |unable: &[Unsupported]| {
            let skips: Vec<Skip> = unable.iter().copied().map(Skip::Unsupported).collect();
            explain(&Obstacles::default(), &skips, false, Instant::now()).message
        };
        let (long, short) = (Unsupported::PromptTooLong { limit: 4000 }, Unsupported::PromptTooLong { limit: 100 });
        assert!(told(&[long, short, Unsupported::Mask, Unsupported::Edit]).contains("4000 characters"));
        assert!(
            told(&[Unsupported::NegativePromptTooLong { limit: 0 }, Unsupported::Mask]).contains("'negative_prompt'")
        );
        let (many, few) = (Unsupported::Images { limit: 16 }, Unsupported::Images { limit: 1 });
        assert!(told(&[many, few, Unsupported::Mask]).contains("at most 16 pictures"));
        assert!(told(&[Unsupported::Mask, Unsupported::Edit]).contains("'mask'"), "another model may change pictures");
    }

    #[test]
    fn of_several_budgets_the_one_that_the_cheapest_attempt_missed_is_told() {
        let (limit, left) = (Usd::from_nanos(1_000_000_000), Usd::from_nanos(10_000_000));
        let mut obstacles = Obstacles::default();
        for (route, nanos) in [("dear", 50_000_000), ("cheap", 20_000_000), ("middling", 30_000_000)] {
            let (scope, wanted) = (CounterScope::Route(route.into()), Usd::from_nanos(nanos));
            let missed = BudgetExceeded { scope, per: Per::Day, limit, left, wanted, resets: None };
            obstacles.note(&Obstacle::BudgetExceeded(missed));
        }
        let error = explain(&obstacles, &[Skip::OverBudget], false, Instant::now());
        assert_eq!((error.kind, error.code()), (ErrorKind::OverBudget, "budget_exceeded"));
        assert!(error.message.contains("of route 'cheap'") && error.message.contains("0.02 USD"), "{}", error.message);
    }

    #[test]
    fn a_call_that_timed_out_is_the_deadlines_fault_only_once_that_has_passed() {
        let mut obstacles = Obstacles::default();
        obstacles.note_failure(Failure::new(Class::TimeoutAmbiguous, ""));
        let kind = |late| explain(&obstacles, &[], late, Instant::now()).kind;
        assert_eq!(kind(false), ErrorKind::UpstreamFailed);
        assert_eq!(kind(true), ErrorKind::DeadlineExceeded);
    }

    #[test]
    fn a_pause_that_stood_in_the_way_is_told_with_the_time_of_the_first_that_ends() {
        let now = Instant::now();
        let mut obstacles = Obstacles::default();
        for (pause, seconds) in [(Pause::RateLimited, 40), (Pause::Quota, 30)] {
            let until = now + Duration::from_secs(seconds);
            obstacles.note(&Obstacle::PausedUntil(PausedUntil { pause, until, opens: until }));
        }
        let error = explain(&obstacles, &[], false, now);
        assert_eq!((error.kind, error.retry_after), (ErrorKind::Busy, Some(Duration::from_secs(30))));
        obstacles.note(&Obstacle::PausedUntil(PausedUntil { pause: Pause::Auth, until: now, opens: now }));
        assert_eq!(explain(&obstacles, &[], false, now).kind, ErrorKind::Unavailable);
    }
}
