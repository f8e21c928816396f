//! The beginning or the end of an alert's episode, and how it is told to people.

use std::sync::Arc;

use crate::calendar::Moment;
use crate::config::plan::{Alert, Comparison, Condition, Dimension, Measure};

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
    pub fn as_str(self) -> &'static str {
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
    pub fn as_str(self) -> &'static str {
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
    /// The provider, model, route, tenant or budget it is about; [`ALL`](crate::alert_evaluator::ALL) for everything together.
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
        let (name, word, unit) = (&self.alert.name, measure.as_str(), measure.unit());
        let of = match (measure, self.alert.by) {
            (Measure::BudgetShare, _) => format!("budget {}", self.name),
            (_, Dimension::All) => "everything".to_owned(),
            (_, by) => format!("{} {}", by.as_str(), self.name),
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
            News::Resolved(ended) => format!("{name} is resolved for {of}: {}", ended.as_str()),
        }
    }
}
