//! Looks at the alerts every few seconds and tells what it finds: to the log, to the metrics, and to webhooks.
//!
//! What an alert means and when it begins and ends is `alert`'s business; what the sums are is the ledger's. A config
//! that changed is taken at the next look. What is firing is not remembered over a restart: it is told again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::alert::{Alerts, Budget, Event, News, Readings, Standing};
use crate::calendar::Moment;
use crate::config::plan::By;
use crate::gateway::alarm::post::{Pauses, Post};
use crate::gateway::{Gateway, journal};
use crate::ledger::counter::Budgeted;
use crate::ledger::window::Sum;

mod message;
mod post;

/// Time between two looks: short beside the minute that sums are kept by, long beside what a look takes.
pub const EVERY: Duration = Duration::from_secs(5);

/// Watches the alerts of `gateway` for as long as the task runs. It has to be aborted; what it was about to post to a
/// webhook is still tried while the runtime lives.
pub fn start(gateway: Arc<Gateway>, readings: impl Readings + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(Alarm::new(gateway, readings).watch(EVERY))
}

impl Readings for Gateway {
    fn names(&self, by: By) -> Vec<Arc<str>> {
        self.shared.ledger.names(by)
    }

    fn sum(&self, by: By, name: &str, over: Duration, now: Moment) -> Sum {
        self.shared.ledger.sum(by, name, over, now)
    }

    fn budgets(&self, now: Moment) -> Vec<Budget> {
        let budgets = self.shared.ledger.budgets(&self.live().plan, now).into_iter();
        budgets.map(|Budgeted { key, limit, used }| Budget { scope: key.to_string().into(), limit, used }).collect()
    }
}

/// The alerts of a gateway, the readings they are held against, and where they stand.
pub struct Alarm<R> {
    gateway: Arc<Gateway>,
    readings: R,
    alerts: Alerts,
    /// The config whose alerts these are.
    version: u64,
    /// The labels that are in the metric.
    shown: BTreeSet<(String, String)>,
    post: Post,
}

impl<R: Readings> Alarm<R> {
    /// Nothing was looked at yet.
    pub fn new(gateway: Arc<Gateway>, readings: R) -> Alarm<R> {
        let post = Post::new(gateway.shared.clone(), Pauses::default());
        Alarm { gateway, readings, alerts: Alerts::default(), version: 0, shown: BTreeSet::new(), post }
    }

    /// Looks every so often, beginning at once.
    pub async fn watch(mut self, every: Duration) {
        let mut ticks = tokio::time::interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.look(journal::now());
        }
    }

    /// One look, at `now`. It waits for nobody; webhooks are written to by tasks of their own.
    pub fn look(&mut self, now: Moment) {
        let live = self.gateway.live();
        if live.version != self.version {
            self.version = live.version;
            let ended = self.alerts.replace(&live.plan.alerts, now);
            ended.iter().for_each(|event| self.tell(event));
        }
        let look = self.alerts.look(&self.readings, now);
        look.events.iter().for_each(|event| self.tell(event));
        self.show(&look.states);
        self.post.sweep();
    }

    fn tell(&mut self, event: &Event) {
        match event.news {
            News::Firing => log::warn!("alert {}", event.text()),
            News::Resolved(_) => log::info!("alert {}", event.text()),
        }
        self.post.send(event);
    }

    /// Brings the metric up to date. What is gone leaves it; what stays is never missing from a scrape between.
    fn show(&mut self, states: &[Standing]) {
        let gauges = &self.gateway.shared.metrics.alert_state;
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

#[cfg(test)]
mod tests;
