//! When somebody must be told: each alert's condition held against sums and budgets, and what became of it.
//!
//! An alert is inactive, pending while its condition has not held for long enough yet, or firing. It tells two things
//! of every episode, that it began and that it ended, once each. No clock is read and nobody is written to here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::alert_evaluator::alert_event::{AlertEvent, News, ResolveReason};
use crate::alert_evaluator::measurement::{BudgetUse, ConditionState, measure, share};
use crate::calendar::Moment;
use crate::config::plan::{Alert, Dimension, Measure};
use crate::ledger::sliding_window::WindowSum;

pub mod alert_event;
pub mod measurement;

/// The name under which an alert that looks at everything together is told.
pub const ALL: &str = "all";

/// What alerts are held against; the gateway fills it in.
pub trait Readings {
    /// Every name of a dimension there are sums of.
    fn names(&self, by: Dimension) -> Vec<Arc<str>>;

    /// The sum of a name over the time before `now`, as [`crate::ledger::sliding_window::Windows::sum`] tells it.
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
    pub fn evaluate(&mut self, readings: &impl Readings, now: Moment) -> Evaluation {
        let mut evaluation = Evaluation::default();
        let budgets = match self.watched.iter().any(|watched| watched.alert.when.measure == Measure::BudgetShare) {
            true => readings.budgets(now),
            false => Vec::new(),
        };
        for watched in &mut self.watched {
            watched.evaluate(readings, &budgets, now, &mut evaluation);
        }
        evaluation
    }
}

impl Watched {
    fn evaluate(&mut self, readings: &impl Readings, budgets: &[BudgetUse], now: Moment, evaluation: &mut Evaluation) {
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
                evaluation.events.push(AlertEvent {
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
            evaluation.states.push((self.alert.clone(), name, state));
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

#[cfg(test)]
mod tests;
