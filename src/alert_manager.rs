//! Looks at the alerts every few seconds and tells what it finds to the log, to the metrics and to webhooks.
//!
//! The policy in `alert_evaluator` decides when an alert begins and ends, and the ledger adds up the sums; this room is handed
//! both. It takes a changed config at its next look. It does not remember over a restart which alerts fire, so it tells
//! them again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::alert_evaluator::alert_event::{AlertEvent, News};
use crate::alert_evaluator::{AlertStatus, Alerts, Readings};
pub use crate::alert_manager::output_handles::AlertOutputs;
use crate::alert_manager::webhook::{Pauses, WebhookQueue};
use crate::calendar::Moment;
use crate::clock::Clock;
use crate::config::plan::Alert;

/// Time between two looks: short beside the minute that sums are kept by, long beside what a look takes.
pub const EVERY: Duration = Duration::from_secs(5);

/// Looks at the alerts for as long as the task runs. Whoever started it has to abort it; messages to webhooks that were
/// under way by then are still tried while the runtime lives. `clock` says when it looks.
pub fn start(alerting: Alerting<impl Readings + Send + 'static>, clock: Clock) -> JoinHandle<()> {
    tokio::spawn(alerting.run(EVERY, clock))
}

/// The alerts of the config in force and that config's version, asked for at each look.
pub type AlertRules = Box<dyn Fn() -> (u64, Vec<Arc<Alert>>) + Send>;

/// The alerts, the readings they are held against, and where they stand.
pub struct Alerting<R> {
    rules: AlertRules,
    readings: R,
    outputs: AlertOutputs,
    alerts: Alerts,
    /// The config whose alerts these are.
    version: u64,
    /// The labels that are in the metric.
    shown: BTreeSet<(String, String)>,
    webhooks: WebhookQueue,
}

impl<R: Readings> Alerting<R> {
    /// Nothing was looked at yet.
    pub fn new(rules: AlertRules, readings: R, outputs: AlertOutputs) -> Alerting<R> {
        let webhooks = WebhookQueue::new(outputs.clone(), Pauses::default());
        Alerting { rules, readings, outputs, alerts: Alerts::default(), version: 0, shown: BTreeSet::new(), webhooks }
    }

    /// Looks every so often by tokio's clock, beginning at once. The wall time of a look is `clock`'s.
    pub async fn run(mut self, every: Duration, clock: Clock) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.evaluate(clock.now());
        }
    }

    /// One look, at `now`. It waits for nobody; webhooks are written to by tasks of their own.
    pub fn evaluate(&mut self, now: Moment) {
        let (version, alerts) = (self.rules)();
        if version != self.version {
            self.version = version;
            let ended = self.alerts.replace(&alerts, now);
            ended.iter().for_each(|event| self.tell(event));
        }
        let evaluation = self.alerts.evaluate(&self.readings, now);
        evaluation.events.iter().for_each(|event| self.tell(event));
        self.show(&evaluation.states);
        self.webhooks.sweep();
    }

    fn tell(&mut self, event: &AlertEvent) {
        match event.news {
            News::Firing => log::warn!("alert {}", event.text()),
            News::Resolved(_) => log::info!("alert {}", event.text()),
        }
        self.webhooks.send(event);
    }

    /// Brings the metric up to date. What is gone leaves it; what stays is never missing from a scrape between.
    fn show(&mut self, states: &[AlertStatus]) {
        let gauges = &self.outputs.state;
        let mut shown = BTreeSet::new();
        for (alert, name, state) in states {
            gauges.with_label_values(&[alert.name.as_str(), name]).set(state.number());
            shown.insert((alert.name.clone(), name.to_string()));
        }
        for (alert, name) in self.shown.difference(&shown) {
            // It is there: it was set when it was shown.
            let _ = gauges.remove_label_values(&[alert, name]);
        }
        self.shown = shown;
    }
}

mod output_handles;
#[cfg(test)]
mod tests;
mod webhook;
mod webhook_payload;
