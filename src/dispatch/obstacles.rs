//! What stands against asking an offer now, and what a request met of it on its way.

use std::time::Instant;

use crate::breaker::PausedUntil;
use crate::failure::{Class, Failure};
use crate::ledger::BudgetExceeded;
use crate::routing::Skip;

/// What stands against asking an offer now.
#[derive(Debug)]
pub enum Obstacle {
    /// It failed this request as often as the route allows.
    Failed,
    /// It waits for a reason, and none has come true.
    ConditionNotMet,
    /// It is paused.
    PausedUntil(PausedUntil),
    /// It failed this request, and its provider has had its share of calls that repeat such a one.
    RetryBudget,
    /// Nothing can be written down, so nothing is paid for.
    LedgerUnwritable,
    /// It would take the request over its cap.
    OverPrice(Skip),
    /// A budget has too little left.
    BudgetExceeded(BudgetExceeded),
    /// Its price does not fit into an amount.
    Unpriced,
    /// It has no slot free.
    AtCapacity,
    /// Its slot would be expected too late.
    WouldBeLate,
}

impl Obstacle {
    /// The reason as log, metric and header name it.
    pub fn skip(&self) -> Skip {
        match self {
            Obstacle::Failed => Skip::Failed,
            Obstacle::ConditionNotMet => Skip::ConditionNotMet,
            Obstacle::PausedUntil(paused_until) => Skip::Paused(paused_until.pause),
            Obstacle::RetryBudget => Skip::RetryBudget,
            Obstacle::LedgerUnwritable => Skip::LedgerUnwritable,
            Obstacle::OverPrice(skip) => *skip,
            Obstacle::BudgetExceeded(_) => Skip::OverBudget,
            Obstacle::Unpriced => Skip::Unpriced,
            Obstacle::AtCapacity => Skip::AtCapacity,
            Obstacle::WouldBeLate => Skip::WouldBeLate,
        }
    }
}

/// What a request met on its way.
#[derive(Debug, Default)]
pub struct Obstacles {
    /// The latest call that failed by a vendor's trouble.
    pub last_failure: Option<Failure>,
    /// The latest that a limit or an empty account stood in the way of.
    pub limited: Option<Failure>,
    /// The first that a vendor found wrong without blaming what the caller sent.
    pub caller_error: Option<Failure>,
    /// An offer is rate limited or out of quota for a while.
    pub used_up: bool,
    /// An offer is paused for something else.
    pub paused: bool,
    /// A provider refused the content and the route went on.
    pub refused: bool,
    /// Waited for a slot as long as allowed.
    pub queue_timed_out: bool,
    /// When the first full provider could serve a request like this in time.
    pub earliest_slot: Option<Instant>,
    /// When the first paused offer may be asked again.
    pub earliest_retry: Option<Instant>,
    /// The budget that stood in the way of the least.
    pub short: Option<BudgetExceeded>,
}

impl Obstacles {
    /// Remembers what stood against an offer, as far as the answer may tell it.
    pub fn note(&mut self, obstacle: &Obstacle) {
        match obstacle {
            Obstacle::PausedUntil(paused_until) => self.note_pause(*paused_until),
            Obstacle::BudgetExceeded(short) => self.note_short(short.clone()),
            _ => {}
        }
    }

    /// Remembers why an offer is paused, and when the first may be asked again.
    pub fn note_pause(&mut self, paused_until: PausedUntil) {
        let PausedUntil { pause, until, .. } = paused_until;
        *(if pause.is_a_limit() { &mut self.used_up } else { &mut self.paused }) = true;
        self.earliest_retry = Some(self.earliest_retry.map_or(until, |known| known.min(until)));
    }

    /// Remembers when a full provider could serve a request like this in time.
    pub fn note_late(&mut self, at: Instant) {
        self.earliest_slot = Some(self.earliest_slot.map_or(at, |known| known.min(at)));
    }

    /// Remembers a call that failed.
    pub fn note_failure(&mut self, failure: Failure) {
        match failure.class {
            Class::RateLimited | Class::Quota => self.limited = Some(failure),
            Class::CallerInvalid => {
                self.caller_error.get_or_insert(failure);
            }
            _ => self.last_failure = Some(failure),
        }
    }

    /// Remembers a budget that would have been passed; of several the one that the cheapest attempt missed.
    pub fn note_short(&mut self, short: BudgetExceeded) {
        if self.short.as_ref().is_none_or(|known| short.wanted < known.wanted) {
            self.short = Some(short);
        }
    }
}
