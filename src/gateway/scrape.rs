//! What is looked up at the gateway for every scrape: slots, breakers, caches, budgets and the ledger's record. Counters
//! count by themselves; nothing here is measured and nothing is changed, so that scrapes do not disturb each other.

use std::time::Instant;

use crate::calendar::Zone;
use crate::config::plan::{Plan, Priority};
use crate::disk_cache::DiskCacheStats;
use crate::gateway::Gateway;
use crate::gateway::config_warnings;
use crate::gateway::idempotency_book::BookSize;
use crate::gateway::process_stats;
use crate::gateway::restart_keys::RestartKeys;
use crate::metrics::{Scrape, dollars, seconds};

impl Gateway {
    /// Looks up what is only looked up, and renders all metrics.
    ///
    /// # Errors
    /// When a metric cannot be encoded, which a test rules out.
    pub fn scrape(&self) -> Result<String, prometheus::Error> {
        self.shared.metrics.render(self.look_up()?)
    }

    /// The same as OpenMetrics, which names traces.
    ///
    /// # Errors
    /// As [`Gateway::scrape`].
    pub fn scrape_open_metrics(&self) -> Result<String, prometheus::Error> {
        self.shared.metrics.render_open_metrics(self.look_up()?)
    }

    fn look_up(&self) -> Result<Scrape, prometheus::Error> {
        let snapshot = self.snapshot();
        let mut scrape = Scrape::default();
        self.scrape_providers(&snapshot.plan, &mut scrape)?;
        scrape_model_ends(&snapshot.plan, &mut scrape)?;
        self.scrape_caches(&mut scrape)?;
        self.scrape_budgets(&snapshot.plan, &mut scrape)?;
        self.scrape_ledger(&mut scrape)?;
        self.scrape_config(&snapshot.plan, &mut scrape)?;
        if let Some(process) = process_stats::process() {
            scrape.process(&process)?;
        }
        Ok(scrape)
    }

    /// Slots and breakers of the providers of `plan`; others have none.
    fn scrape_providers(&self, plan: &Plan, scrape: &mut Scrape) -> Result<(), prometheus::Error> {
        let now = Instant::now();
        let lanes: Vec<_> =
            plan.providers.values().map(|provider| (&provider.name, self.shared.lane(provider))).collect();
        let classes = lanes.iter().flat_map(|(name, lane)| Priority::ALL.map(|class| (*name, lane, class)));
        let labels = |name: &String, class: Priority| [name.clone(), class.as_str().to_owned()];
        let running = classes.clone().map(|(name, lane, class)| (labels(name, class), gauge(lane.in_flight(class))));
        scrape.counts("in_flight", "Calls running.", ["provider", "priority"], running)?;
        let waiting = classes.map(|(name, lane, class)| (labels(name, class), gauge(lane.waiting(class))));
        scrape.counts("queue_depth", "Calls waiting for a slot.", ["provider", "priority"], waiting)?;
        let caps = plan.providers.values().flat_map(|provider| {
            let lane = self.shared.lane(provider);
            provider
                .models
                .keys()
                .chain(provider.writers.keys())
                .map(move |model| ([provider.name.clone(), model.clone()], gauge(lane.limit_of(model))))
        });
        let help = "Calls that may run at once: the limit, or less where the vendor refused calls.";
        scrape.counts("concurrency_cap", help, ["provider", "model"], caps)?;
        let paused = plan.providers.keys().map(|name| {
            let waiting = self.shared.waiting_requests.count(name);
            ([name.clone()], gauge(waiting))
        });
        scrape.counts("pause_queue_depth", "Requests waiting for the end of a pause.", ["provider"], paused)?;
        let left = plan.providers.values().map(|provider| {
            let left = self.shared.retry_budgets.left(&provider.name, provider.retry_budget, now);
            ([provider.name.clone()], gauge(left))
        });
        scrape.counts("retry_budget_left", "Calls that may repeat one that failed.", ["provider"], left)?;
        let states = plan.providers.values().flat_map(|provider| {
            let account = provider.account.fingerprint();
            provider.models.keys().chain(provider.writers.keys()).map(move |model| {
                let state = self.shared.breakers.state(&provider.name, account, model, now);
                ([provider.name.clone(), model.clone()], state)
            })
        });
        let help = "Circuit breaker: 0 passing, 1 probing, 2 tripped.";
        scrape.counts("breaker_state", help, ["provider", "model"], states)
    }

    /// What the config says that somebody should know of in time.
    fn scrape_config(&self, plan: &Plan, scrape: &mut Scrape) -> Result<(), prometheus::Error> {
        let pending = self.began_with.changed(&RestartKeys::of(plan)).len();
        let help = "Changed keys of the config in force that take effect after a restart.";
        scrape.count("config_pending_restart", help, gauge(pending))?;
        let told = plan.providers.values().flat_map(|provider| {
            let drawn = provider.models.values().map(|model| (&model.name, &model.price));
            drawn.filter_map(|(model, price)| {
                let oldest = price.origins.iter().filter_map(|origin| origin.as_of.as_deref()).min()?;
                let midnight = Zone::default().midnight(oldest)?;
                Some(([provider.name.clone(), model.clone()], midnight.millis().div_euclid(1000)))
            })
        });
        let help = "The day, in Unix seconds, as of which the oldest of a model's prices is written.";
        scrape.counts("price_as_of_timestamp_seconds", help, ["provider", "model"], told)
    }

    fn scrape_caches(&self, scrape: &mut Scrape) -> Result<(), prometheus::Error> {
        let size = self.shared.cache.size();
        scrape.count("cache_bytes", "Bytes of pictures kept for reuse.", gauge(size.pictures))?;
        let help = "Bytes of what finds kept pictures in other words.";
        scrape.count("cache_near_index_bytes", help, gauge(size.near_index))?;
        let help = "Bytes of embeddings by which kept pictures are found.";
        scrape.count("cache_embedding_bytes", help, gauge(size.embeddings))?;
        scrape.count("link_bytes", "Bytes of pictures held behind links.", gauge(size.links))?;
        let help = "Bytes of rewritten prompts kept for reuse.";
        scrape.count("prompt_cache_bytes", help, gauge(size.prompts))?;
        let help = "Links given up before their time for want of space.";
        scrape.total("links_given_up_total", help, size.links_given_up)?;
        let help = "Bytes of what is noted of kept pictures that are on disk alone.";
        scrape.count("cache_cold_bytes", help, gauge(size.on_disk_alone))?;
        let help = "Pairs of words that a judge or an operator decided on.";
        let counts = self.shared.equivalences.counts();
        let counts = counts.into_iter().map(|(state, pairs)| ([state.as_str().to_owned()], gauge(pairs)));
        scrape.counts("equivalences", help, ["state"], counts)?;
        self.scrape_disk(scrape)?;
        self.scrape_idempotency(scrape)
    }

    /// Nothing where there is no disk.
    fn scrape_disk(&self, scrape: &mut Scrape) -> Result<(), prometheus::Error> {
        let Some(disk) = &self.shared.disk else { return Ok(()) };
        let DiskCacheStats { files, bytes, records: _, queued_bytes, written, skipped, reads, gone, writable } =
            disk.disk().stats();
        scrape.count(
            "cache_disk_bytes",
            "Bytes of kept pictures on disk, and of what is noted there.",
            gauge(bytes),
        )?;
        scrape.count("cache_disk_files", "Kept pictures on disk.", gauge(files))?;
        let help = "Bytes of pictures that wait to be written to disk.";
        scrape.count("cache_disk_queued_bytes", help, gauge(queued_bytes))?;
        let help = "Whether the cache's disk took what was written last.";
        scrape.count("cache_disk_writable", help, i64::from(writable))?;
        scrape.total("cache_disk_written_total", "Pictures written to disk.", written)?;
        let help = "Pictures that were not written to disk.";
        let skipped = skipped.into_iter().map(|(why, count)| ([why.as_str().to_owned()], count));
        scrape.totals("cache_disk_skipped_total", help, ["reason"], skipped)?;
        let help = "Looks for pictures on disk.";
        let reads = reads.into_iter().map(|(result, count)| ([result.as_str().to_owned()], count));
        scrape.totals("cache_disk_reads_total", help, ["result"], reads)?;
        let help = "Pictures that left the disk.";
        let gone = gone.into_iter().map(|(why, count)| ([why.as_str().to_owned()], count));
        scrape.totals("cache_disk_gone_total", help, ["reason"], gone)
    }

    fn scrape_idempotency(&self, scrape: &mut Scrape) -> Result<(), prometheus::Error> {
        let BookSize { keys, bytes, dropped } = self.shared.idempotency.size();
        scrape.count("idempotency_keys", "Idempotency keys that stand for a request.", gauge(keys))?;
        scrape.count("idempotency_bytes", "Bytes of answers kept for idempotency keys.", gauge(bytes))?;
        let help = "Idempotency keys, and pictures of answers, given up before their time.";
        let dropped = [("key", dropped.keys), ("pictures", dropped.pictures)];
        let dropped = dropped.map(|(what, count)| ([what.to_owned()], count));
        scrape.totals("idempotency_dropped_total", help, ["what"], dropped)
    }

    /// Every budget of `plan`, all as of one moment.
    fn scrape_budgets(&self, plan: &Plan, scrape: &mut Scrape) -> Result<(), prometheus::Error> {
        let budgets = self.shared.ledger.budgets(plan, self.shared.clock.now());
        let labels = ["scope", "per", "zone"];
        let of = |budget: &crate::ledger::counter::Budgeted| {
            let key = &budget.key;
            [key.scope.to_string(), key.per.as_str().to_owned(), key.zone.to_string()]
        };
        let limits = budgets.iter().map(|budget| (of(budget), dollars(budget.limit)));
        scrape.amounts("budget_usd", "Dollars that may be spent in a period.", labels, limits)?;
        let left = budgets.iter().map(|budget| (of(budget), dollars(budget.left())));
        scrape.amounts("budget_remaining_usd", "Dollars neither spent nor promised of it.", labels, left)
    }

    /// How the ledger's record does.
    fn scrape_ledger(&self, scrape: &mut Scrape) -> Result<(), prometheus::Error> {
        let health = self.shared.durable_ledger.health();
        let help = "1 when what is paid can be written down.";
        scrape.count("ledger_writable", help, i64::from(health.writable))?;
        scrape.count("ledger_waiting", "Changes that wait to be written down.", gauge(health.waiting))?;
        let help = "Changes given up; what they paid is not on disk.";
        scrape.total("ledger_lost_total", help, health.lost)?;
        let help = "Transactions that failed.";
        scrape.total("ledger_failed_commits_total", help, health.failures)?;
        let help = "Bytes of the ledger, in its file or in memory.";
        scrape.count("ledger_bytes", help, gauge(health.bytes))?;
        let took = [("last", health.last_commit), ("longest", health.longest_commit)];
        let took = took.map(|(which, took)| ([which.to_owned()], seconds(took)));
        scrape.amounts("ledger_commit_seconds", "Time of a transaction.", ["which"], took)
    }
}

/// When the vendors shut down those of the plan's models of which that is known.
fn scrape_model_ends(plan: &Plan, scrape: &mut Scrape) -> Result<(), prometheus::Error> {
    let ends = plan.providers.values().flat_map(|provider| {
        provider.models.keys().filter_map(move |model| {
            let at = config_warnings::ends(provider, model)?.at()?;
            Some(([provider.name.clone(), model.clone()], at.millis() / 1000))
        })
    });
    let help = "When the vendor shuts the model down, in Unix seconds.";
    scrape.counts("model_end_timestamp_seconds", help, ["provider", "model"], ends)
}

/// A count as gauges take it.
fn gauge(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
