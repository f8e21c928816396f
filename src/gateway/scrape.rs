//! What is read off the gateway at every scrape: slots, breakers, caches, budgets and the ledger's record. Counters
//! count by themselves; nothing here is measured, only looked at.

use std::time::Instant;

use crate::gateway::{Gateway, books};
use crate::metrics::seconds;

impl Gateway {
    /// Brings the gauges up to date and renders all metrics.
    pub fn scrape(&self) -> Result<String, prometheus::Error> {
        let (live, metrics, now) = (self.live(), &self.shared.metrics, Instant::now());
        // Providers that are gone from the config must not keep their last figures.
        for gauges in [&metrics.in_flight, &metrics.queue_depth, &metrics.breaker_state] {
            gauges.reset();
        }
        for provider in live.plan.providers.values() {
            let lane = self.shared.lane(provider);
            metrics.in_flight.with_label_values(&[&provider.name]).set(gauge(lane.in_flight()));
            metrics.queue_depth.with_label_values(&[&provider.name]).set(gauge(lane.waiting()));
            let account = provider.account.fingerprint();
            for model in provider.models.keys().chain(provider.writers.keys()) {
                let state = self.shared.breakers.state(&provider.name, account, model, now);
                metrics.breaker_state.with_label_values(&[&provider.name, model]).set(state);
            }
        }
        metrics.cache_bytes.set(gauge(self.shared.exact.bytes()));
        metrics.link_bytes.set(gauge(self.shared.links.bytes()));
        metrics.prompt_bytes.set(gauge(self.shared.words.bytes()));
        metrics.links_given_up.set(gauge(self.shared.links.given_up()));
        metrics.show_budgets(&self.shared.ledger.budgets(&live.plan, books::now()));
        self.show_record();
        metrics.render()
    }

    /// How the ledger's record does.
    fn show_record(&self) {
        let (metrics, health) = (&self.shared.metrics, self.shared.books.health());
        metrics.ledger_writable.set(i64::from(health.writable));
        metrics.ledger_waiting.set(gauge(health.waiting));
        metrics.ledger_lost.set(gauge(health.lost));
        metrics.ledger_failures.set(gauge(health.failures));
        for (which, took) in [("last", health.last_commit), ("longest", health.longest_commit)] {
            metrics.ledger_commit_seconds.with_label_values(&[which]).set(seconds(took));
        }
    }
}

/// A count as gauges take it.
fn gauge(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
