//! What an alert measures: a ratio out of sums and budgets, exact, and whether it fulfils the condition.
//!
//! Comparisons multiply whole numbers crosswise; nothing is divided before it is compared, and nothing is floating point.

use std::sync::Arc;

use crate::calendar::Moment;
use crate::config::plan::{Alert, Comparison, Condition, Measure};
use crate::ledger;
use crate::ledger::sliding_window::WindowSum;
use crate::money::Usd;

const MILLION: i128 = 1_000_000;

const MILLIS_PER_HOUR: i128 = 3_600_000;

/// A budget as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetUse {
    /// Whose it is, like `client:web/month`.
    pub scope: Arc<str>,
    /// Its size.
    pub limit: Usd,
    /// What is used of it, reservations included where they count.
    pub used: Usd,
}

/// A measure as the fraction it is, so that it can be compared without a rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// In the measure's unit, times `below`.
    pub(super) above: i128,
    /// At least 0; 0 is "there is no number large enough", what pictures cost of which none was accepted.
    pub(super) below: i128,
}

impl Ratio {
    pub(super) fn holds(self, condition: Condition) -> bool {
        let bar = i128::from(condition.threshold).saturating_mul(self.below);
        match condition.comparison {
            Comparison::Above => self.above > bar,
            Comparison::AtLeast => self.above >= bar,
            Comparison::Below => self.above < bar,
            Comparison::AtMost => self.above <= bar,
        }
    }

    /// In the measure's unit, rounded half up; `None` where no number is large enough.
    pub(super) fn rounded(self) -> Option<i64> {
        if self.below == 0 {
            return None;
        }
        i64::try_from((2 * self.above + self.below).div_euclid(2 * self.below)).ok()
    }
}

/// What the readings say about a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConditionState {
    /// It holds.
    Holds(Ratio),
    /// It does not.
    HoldsNot(Ratio),
    /// There is too little to tell.
    TooLittle,
    /// There is nothing at all.
    Nothing,
}

/// The alert's measure of a sum, or why there is none.
pub(super) fn measure(alert: &Alert, sum: &WindowSum, now: Moment) -> Result<Ratio, ConditionState> {
    let (nanos, accepted, pictures) =
        (i128::from(sum.usd.nanos()), i128::from(sum.accepted), i128::from(sum.pictures()));
    let evidence = match alert.when.measure {
        // No money is a fact as well.
        Measure::SpendPerHour | Measure::BudgetShare => {
            let begin = ledger::sliding_window::start(alert.over, now);
            let millis = i128::from(now.millis().saturating_sub(begin.millis()));
            return Ok(Ratio { above: nanos * MILLIS_PER_HOUR, below: millis.max(1) });
        }
        // A fee that is due by time is not evidence of what a picture costs.
        _ if sum.attempts == 0 && pictures == 0 => return Err(ConditionState::Nothing),
        Measure::ErrorRate => sum.attempts,
        Measure::CostPerAccepted | Measure::AcceptanceRate => sum.pictures(),
    };
    if evidence < alert.least {
        return Err(ConditionState::TooLittle);
    }
    match alert.when.measure {
        Measure::CostPerAccepted if accepted == 0 && nanos == 0 => Err(ConditionState::TooLittle),
        Measure::CostPerAccepted => Ok(Ratio { above: nanos, below: accepted }),
        _ if evidence == 0 => Err(ConditionState::TooLittle),
        Measure::ErrorRate => Ok(Ratio { above: i128::from(sum.failures) * MILLION, below: sum.attempts.into() }),
        _ => Ok(Ratio { above: accepted * MILLION, below: pictures }),
    }
}

/// How much of a budget is used. One of nothing is full as soon as anything is used of it.
pub(super) fn share(budget: Option<&BudgetUse>) -> Result<Ratio, ConditionState> {
    let Some(BudgetUse { limit, used, .. }) = budget else { return Err(ConditionState::Nothing) };
    let (limit, used) = (i128::from(limit.nanos()), i128::from(used.nanos()));
    if limit <= 0 && used <= 0 {
        return Err(ConditionState::TooLittle);
    }
    Ok(Ratio { above: used * MILLION, below: limit.max(0) })
}
