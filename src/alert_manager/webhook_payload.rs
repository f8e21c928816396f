//! What a webhook is sent: one flat JSON object for programs, with a sentence for people in it.
//!
//! `text` is the field that the incoming webhooks of Slack and Mattermost show. Amounts are texts with their exact
//! digits, as in the config. The webhook's own address is not part of it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::alert_evaluator::alert_event::AlertEvent;
use crate::config::plan::Measure;

/// The body for one event.
pub(super) fn message(event: &AlertEvent) -> Value {
    let alert = &event.alert;
    let budget = alert.when.measure == Measure::BudgetShare;
    json!({
        "status": event.news.as_str(),
        "alert": alert.name,
        "by": if budget { "budget" } else { alert.by.as_str() },
        "name": *event.name,
        "measure": alert.when.measure.as_str(),
        "value": event.value_text(),
        "comparison": alert.when.comparison.sign(),
        "threshold": alert.when.measure.unit().written(alert.when.threshold),
        "over": (!budget).then(|| written(alert.over)),
        "since": event.since.to_string(),
        "at": event.at.to_string(),
        "text": event.text(),
    })
}

/// A time as the config would have it, in the largest unit that it is a whole number of.
fn written(time: Duration) -> String {
    const UNITS: [(u128, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")];
    let millis = time.as_millis();
    match UNITS.into_iter().find(|(unit, _)| millis.is_multiple_of(*unit)) {
        Some((unit, word)) => format!("{}{word}", millis / unit),
        None => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_the_way_it_is_written() {
        let told = |seconds: u64| written(Duration::from_secs(seconds));
        assert_eq!([told(3600), told(5400), told(86_400), told(61)], ["1h", "90m", "1d", "61s"]);
        assert_eq!(written(Duration::from_millis(60_001)), "60001ms");
    }
}
