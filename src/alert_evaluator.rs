//! When somebody must be told: each alert's condition held against sums and budgets, and what became of it.
//!
//! An alert is inactive, pending while its condition has not held for long enough yet, or firing. It tells two things
//! of every episode, that it began and that it ended, once each. Comparisons multiply whole numbers crosswise; nothing
//! is divided before it is compared, and nothing is floating point. No clock is read and nobody is written to here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::calendar::Moment;
use crate::config::plan::{Alert, Comparison, Condition, Dimension, Measure};
use crate::ledger;
use crate::ledger::sliding_window::WindowSum;
use crate::money::Usd;

/// The name under which an alert that looks at everything together is told.
pub const ALL: &str = "all";

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

/// What alerts are held against; the gateway fills it in.
pub trait Readings {
    /// Every name of a dimension there are sums of.
    fn names(&self, by: Dimension) -> Vec<Arc<str>>;

    /// The sum of a name over the time before `now`, as [`ledger::sliding_window::Windows::sum`] tells it.
    fn sum(&self, by: Dimension, name: &str, over: Duration, now: Moment) -> WindowSum;

    /// Every budget as it stands at `now`.
    fn budgets(&self, now: Moment) -> Vec<BudgetUse>;
}

impl<R: Readings + ?Sized> Readings for Arc<R> {
    fn names(&self, by: Dimension) -> Vec<Arc<str>> {
        (**self).names(by)
    }

    fn sum(&self, by: Dimension, name: &str, over: Duration, now: Moment) -> WindowSum {
        (**self).sum(by, name, over, now)
    }

    fn budgets(&self, now: Moment) -> Vec<BudgetUse> {
        (**self).budgets(now)
    }
}

/// A measure as the fraction it is, so that it can be compared without a rounding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// In the measure's unit, times `below`.
    above: i128,
    /// At least 0; 0 is "there is no number large enough", what pictures cost of which none was accepted.
    below: i128,
}

impl Ratio {
    fn holds(self, condition: Condition) -> bool {
        let bar = i128::from(condition.threshold).saturating_mul(self.below);
        match condition.comparison {
            Comparison::Above => self.above > bar,
            Comparison::AtLeast => self.above >= bar,
            Comparison::Below => self.above < bar,
            Comparison::AtMost => self.above <= bar,
        }
    }

    /// In the measure's unit, rounded half up; `None` where no number is large enough.
    fn rounded(self) -> Option<i64> {
        if self.below == 0 {
            return None;
        }
        i64::try_from((2 * self.above + self.below).div_euclid(2 * self.below)).ok()
    }
}

/// What the readings say about a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConditionState {
    /// It holds.
    Holds(Ratio),
    /// It does not.
    HoldsNot(Ratio),
    /// There is too little to tell.
    TooLittle,
    /// There is nothing at all.
    Nothing,
}

/// Where an alert stands, for one name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlertState {
    /// Its condition does not hold.
    #[default]
    Inactive,
    /// It holds, but not for long enough yet.
    Pending {
        /// Since when.
        since: Moment,
    },
    /// Somebody was told, and it has not ended.
    Firing {
        /// Since when the condition holds.
        since: Moment,
    },
}

impl AlertState {
    /// The number in the metric.
    pub fn number(self) -> i64 {
        match self {
            AlertState::Inactive => 0,
            AlertState::Pending { .. } => 1,
            AlertState::Firing { .. } => 2,
        }
    }
}

/// Why an alert is no longer firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResolveReason {
    /// The condition does not hold any more.
    Better,
    /// Nothing happened in the whole window, or the budget is gone: there is nothing left to complain of.
    Quiet,
    /// The alert was changed or taken out of the config.
    Withdrawn,
}

impl ResolveReason {
    /// The word in the log.
    pub fn word(self) -> &'static str {
        match self {
            ResolveReason::Better => "the condition does not hold any more",
            ResolveReason::Quiet => "nothing happened in its window",
            ResolveReason::Withdrawn => "the config does not have it any more",
        }
    }
}

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It began.
    Firing,
    /// It ended.
    Resolved(ResolveReason),
}

impl News {
    /// The word in messages.
    pub fn word(self) -> &'static str {
        match self {
            News::Firing => "firing",
            News::Resolved(_) => "resolved",
        }
    }
}

/// The beginning or the end of an episode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertEvent {
    /// Whose.
    pub alert: Arc<Alert>,
    /// The provider, model, route, tenant or budget it is about; [`ALL`] for everything together.
    pub name: Arc<str>,
    /// Which of the two.
    pub news: News,
    /// The measure, in its unit, rounded half up. `None` where it has no value: there is nothing to measure, or no
    /// picture was accepted and the cost of one is beyond all numbers.
    pub value: Option<i64>,
    /// Since when the condition holds or held.
    pub since: Moment,
    /// When this was found.
    pub at: Moment,
}

impl AlertEvent {
    /// The value as people write it; `none` where there is none.
    pub fn value_text(&self) -> Option<String> {
        self.value.map(|value| self.alert.when.measure.unit().written(value))
    }

    /// One sentence for people.
    pub fn text(&self) -> String {
        let Condition { measure, comparison, threshold } = self.alert.when;
        let (name, word, unit) = (&self.alert.name, measure.word(), measure.unit());
        let of = match (measure, self.alert.by) {
            (Measure::BudgetShare, _) => format!("budget {}", self.name),
            (_, Dimension::All) => "everything".to_owned(),
            (_, by) => format!("{} {}", by.word(), self.name),
        };
        let value = self.value_text().unwrap_or_else(|| "beyond all numbers".to_owned());
        // In words: some of those who show it take the signs for the beginning of a link.
        let bar = match comparison {
            Comparison::Above => format!("above {}", unit.written(threshold)),
            Comparison::AtLeast => format!("{} or more", unit.written(threshold)),
            Comparison::Below => format!("below {}", unit.written(threshold)),
            Comparison::AtMost => format!("{} or less", unit.written(threshold)),
        };
        match self.news {
            News::Firing => format!("{name} is firing for {of}: {word} is {value}, {bar}"),
            News::Resolved(ResolveReason::Better) => {
                format!("{name} is resolved for {of}: {word} is {value}, no longer {bar}")
            }
            News::Resolved(ended) => format!("{name} is resolved for {of}: {}", ended.word()),
        }
    }
}

/// An alert and where it stands, by name; names without an entry are inactive.
#[derive(Debug)]
struct Watched {
    alert: Arc<Alert>,
    states: BTreeMap<Arc<str>, AlertState>,
}

/// One line of [`Evaluation::states`]: alert, name, where it stands.
pub type AlertStatus = (Arc<Alert>, Arc<str>, AlertState);

/// What one look at the readings found.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// What is to be told, in this order.
    pub events: Vec<AlertEvent>,
    /// Where every alert stands for every name it was held against.
    pub states: Vec<AlertStatus>,
}

/// All alerts and where they stand.
#[derive(Debug, Default)]
pub struct Alerts {
    watched: Vec<Watched>,
}

impl Alerts {
    /// Watches `alerts` from now on. Those that were watched before, equal in every part, go on as they stand. Of the
    /// others the firing ones end; their events are returned.
    pub fn replace(&mut self, alerts: &[Arc<Alert>], now: Moment) -> Vec<AlertEvent> {
        let mut before = std::mem::take(&mut self.watched);
        for alert in alerts {
            let same = before.iter().position(|watched| watched.alert == *alert);
            let states = same.map(|at| before.swap_remove(at).states).unwrap_or_default();
            self.watched.push(Watched { alert: alert.clone(), states });
        }
        let mut events = Vec::new();
        for Watched { alert, states } in before {
            for (name, state) in states {
                if let AlertState::Firing { since } = state {
                    let news = News::Resolved(ResolveReason::Withdrawn);
                    events.push(AlertEvent { alert: alert.clone(), name, news, value: None, since, at: now });
                }
            }
        }
        events
    }

    /// Holds every alert against what is known now.
    pub fn look(&mut self, readings: &impl Readings, now: Moment) -> Evaluation {
        let mut look = Evaluation::default();
        let budgets = match self.watched.iter().any(|watched| watched.alert.when.measure == Measure::BudgetShare) {
            true => readings.budgets(now),
            false => Vec::new(),
        };
        for watched in &mut self.watched {
            watched.look(readings, &budgets, now, &mut look);
        }
        look
    }
}

impl Watched {
    fn look(&mut self, readings: &impl Readings, budgets: &[BudgetUse], now: Moment, look: &mut Evaluation) {
        for name in self.names(readings, budgets) {
            let finding = self.find(readings, budgets, &name, now);
            let before = self.states.get(&name).copied().unwrap_or_default();
            let (state, news) = next(before, finding, self.alert.hold, now);
            if let (Some(news), AlertState::Firing { since } | AlertState::Pending { since }) =
                (news, of(before, state))
            {
                let value = match finding {
                    ConditionState::Holds(ratio) | ConditionState::HoldsNot(ratio) => ratio.rounded(),
                    ConditionState::TooLittle | ConditionState::Nothing => None,
                };
                look.events.push(AlertEvent {
                    alert: self.alert.clone(),
                    name: name.clone(),
                    news,
                    value,
                    since,
                    at: now,
                });
            }
            match state {
                AlertState::Inactive => self.states.remove(&name),
                state => self.states.insert(name.clone(), state),
            };
            look.states.push((self.alert.clone(), name, state));
        }
    }

    /// Everything it is held against: what there is now, and what it is not done with.
    fn names(&self, readings: &impl Readings, budgets: &[BudgetUse]) -> BTreeSet<Arc<str>> {
        let mut names: BTreeSet<Arc<str>> = match (self.alert.when.measure, self.alert.by) {
            (Measure::BudgetShare, _) => budgets.iter().map(|budget| budget.scope.clone()).collect(),
            (_, Dimension::All) => BTreeSet::from([ALL.into()]),
            (_, by) => readings.names(by).into_iter().collect(),
        };
        names.extend(self.states.keys().cloned());
        names
    }

    fn find(&self, readings: &impl Readings, budgets: &[BudgetUse], name: &str, now: Moment) -> ConditionState {
        let alert = &self.alert;
        let measured = match alert.when.measure {
            Measure::BudgetShare => share(budgets.iter().find(|budget| *budget.scope == *name)),
            _ => measure(alert, &readings.sum(alert.by, name, alert.over, now), now),
        };
        match measured {
            Ok(ratio) if ratio.holds(alert.when) => ConditionState::Holds(ratio),
            Ok(ratio) => ConditionState::HoldsNot(ratio),
            Err(finding) => finding,
        }
    }
}

/// Whichever of the two states knows since when: the one it ended in, or the one it began with.
fn of(before: AlertState, after: AlertState) -> AlertState {
    if after == AlertState::Inactive { before } else { after }
}

/// The step from one state to the next, and whether it is told.
///
/// Too little evidence neither begins nor ends an episode, but it breaks the time a condition must hold without a gap.
fn next(before: AlertState, finding: ConditionState, hold: Duration, now: Moment) -> (AlertState, Option<News>) {
    match (before, finding) {
        (AlertState::Firing { .. }, ConditionState::Holds(_) | ConditionState::TooLittle) => (before, None),
        (AlertState::Firing { .. }, ConditionState::HoldsNot(_)) => {
            (AlertState::Inactive, Some(News::Resolved(ResolveReason::Better)))
        }
        (AlertState::Firing { .. }, ConditionState::Nothing) => {
            (AlertState::Inactive, Some(News::Resolved(ResolveReason::Quiet)))
        }
        (AlertState::Inactive | AlertState::Pending { .. }, ConditionState::Holds(_)) => {
            let since = if let AlertState::Pending { since } = before { since } else { now };
            match now.since(since) >= hold {
                true => (AlertState::Firing { since }, Some(News::Firing)),
                false => (AlertState::Pending { since }, None),
            }
        }
        (AlertState::Inactive | AlertState::Pending { .. }, _) => (AlertState::Inactive, None),
    }
}

/// The alert's measure of a sum, or why there is none.
fn measure(alert: &Alert, sum: &WindowSum, now: Moment) -> Result<Ratio, ConditionState> {
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
fn share(budget: Option<&BudgetUse>) -> Result<Ratio, ConditionState> {
    let Some(BudgetUse { limit, used, .. }) = budget else { return Err(ConditionState::Nothing) };
    let (limit, used) = (i128::from(limit.nanos()), i128::from(used.nanos()));
    if limit <= 0 && used <= 0 {
        return Err(ConditionState::TooLittle);
    }
    Ok(Ratio { above: used * MILLION, below: limit.max(0) })
}

#[cfg(test)]
mod tests;
