//! What outlives a config: caches, flights, slots, breakers, the ledger. Each is keyed by name.

use std::sync::Arc;

use dashmap::DashMap;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::breaker::{Breakers, WaitingRequests};
use crate::cache::CacheTiers;
use crate::cache::disk_tier::DiskTier;
use crate::clock::Clock;
use crate::concurrency_limit::Lane;
use crate::config::plan::{Plan, Provider};
use crate::dispatch::WeightedTurns;
use crate::gateway::durable_ledger::DurableLedger;
use crate::gateway::equivalence_record::{EquivalenceRecord, JUDGE_WINDOW};
use crate::gateway::handover::UpgradeRefusal;
use crate::gateway::idempotency_book::IdempotencyBook;
use crate::gateway::last_reload::LastReload;
use crate::gateway::outside_judge::OutsideJudges;
use crate::gateway::picture_disk::PictureDisk;
use crate::gateway::quality_pool::QualityWorkers;
use crate::gateway::recent_pictures::RecentPictures;
use crate::gateway::recent_requests::RecentRequests;
use crate::gateway::rejected_files::RejectedFiles;
use crate::gateway::shadow_hits::ShadowHits;
use crate::gateway::single_flight::Flights;
use crate::gateway::start_and_replace_errors::StartError;
use crate::hedge_budget::{HEDGE_WINDOW, HedgeBudgets};
use crate::ledger::{Ledger, LedgerHandover};
use crate::metrics::Metrics;
use crate::rate_limit::RateLimiter;
use crate::retry_budget::RetryBudgets;
use crate::service_times::ServiceTimes;
use crate::span_exporter::SpanQueue;
use crate::store::Location;
use crate::upstream::token::AccessTokens;
use crate::upstream::transport::{HttpClient, Transport};

/// Everything that outlives a config.
pub struct Shared {
    /// The wall clock.
    pub clock: Clock,
    /// Pictures and rewritten prompts for later requests, and pictures behind links.
    pub cache: CacheTiers,
    /// Where pictures are besides.
    pub disk: Option<PictureDisk>,
    /// Requests being drawn.
    pub flights: Arc<Flights>,
    /// Circuit breakers by name.
    pub breakers: Arc<Breakers>,
    /// Requests that wait for a provider that is paused or was just failing.
    pub waiting_requests: Arc<WaitingRequests>,
    /// How many calls may repeat one that failed.
    pub retry_budgets: RetryBudgets,
    /// How many calls may be hedges, and what they may cost.
    pub hedge_budgets: HedgeBudgets,
    /// What was paid, and may still be.
    pub ledger: Arc<Ledger>,
    /// The same and its record.
    pub durable_ledger: DurableLedger,
    /// How long calls to each offer take.
    pub service_times: Arc<ServiceTimes>,
    /// Pairs of words that mean the same to a tenant.
    pub equivalences: EquivalenceRecord,
    /// What routes in shadow mode would have served.
    pub shadow_hits: ShadowHits,
    /// The last image requests, as the log tells them.
    pub recent_requests: RecentRequests,
    /// The last pictures that were drawn, where the config allows to show them.
    pub recent_pictures: RecentPictures,
    /// What came of the last change of the config.
    pub last_reload: LastReload,
    /// Requests with an idempotency key.
    pub idempotency: IdempotencyBook,
    /// What Prometheus scrapes.
    pub metrics: Metrics,
    /// How much clients asked for lately.
    pub rate_limiter: RateLimiter,
    /// How much providers and models were asked for lately.
    pub call_rates: RateLimiter,
    /// The HTTP client.
    pub transport: Arc<Transport>,
    /// Threads that look at pictures.
    pub quality_workers: QualityWorkers,
    /// Where rejected pictures are kept for a look.
    pub rejected_files: RejectedFiles,
    /// Access tokens by their credentials.
    pub tokens: AccessTokens,
    /// Drawings that go on without their client; awaited when the server stops.
    pub work: TaskTracker,
    /// Spans on their way to a collector.
    pub spans: Arc<SpanQueue>,
    /// Who is asked about pictures outside of Easel.
    pub outside_judges: OutsideJudges,
    /// Secret seed of all hashes.
    pub hash_seed: u64,
    lanes: DashMap<String, Arc<Lane>>,
    /// Whose turn it is on the routes that go by shares.
    turns: DashMap<String, WeightedTurns>,
}

impl Shared {
    /// Everything that `plan` needs, with the ledger at `place`. Blocks while that is read. `clock` tells when
    /// something is paid, `client` carries out the calls, `hash_seed` is secret, pictures are on `disk` as well. `predecessor`
    /// is what another process says that hands over to this one.
    ///
    /// # Errors
    /// When the ledger cannot be opened, or two metrics share a name.
    pub fn open(
        plan: &Plan,
        place: Location,
        clock: Clock,
        client: Box<dyn HttpClient>,
        hash_seed: u64,
        disk: Option<PictureDisk>,
        predecessor: Option<&LedgerHandover>,
    ) -> Result<Shared, StartError> {
        let ledger = Arc::new(Ledger::default());
        let durable_ledger =
            DurableLedger::open_record(ledger.clone(), &plan.server, place, clock.clone(), predecessor)?;
        let idempotency =
            IdempotencyBook::open(&plan.server, durable_ledger.store(), clock.now(), predecessor.is_some())?;
        let metrics = Metrics::new(&ledger)?;
        let near_misses = metrics.near_misses.clone();
        let equivalences = EquivalenceRecord::open(durable_ledger.store(), clock.clone(), near_misses)?;
        let replies = metrics.response_body_bytes.clone();
        let outside_judges = OutsideJudges::new(clock.clone(), hash_seed, &metrics);
        let rejected_files = RejectedFiles::new(plan.quality.keep_rejected.clone(), metrics.rejected_files.clone());
        for why in UpgradeRefusal::ALL {
            // Those that have not happened are told as well: an alert sees the first one.
            metrics.upgrades_refused.with_label_values(&[why.as_str()]);
        }
        let spans = Arc::new(SpanQueue::new(metrics.trace_spans.clone(), metrics.trace_spans_dropped.clone()));
        let quality_workers = QualityWorkers::new(&plan.quality, metrics.quality_queue_bytes.clone());
        Ok(Shared {
            clock,
            cache: CacheTiers::new(
                &plan.cache,
                disk.clone().map(|disk| Arc::new(disk) as Arc<dyn DiskTier>),
                hash_seed,
            ),
            disk,
            flights: Arc::default(),
            breakers: Breakers::new(),
            waiting_requests: Arc::default(),
            retry_budgets: RetryBudgets::default(),
            hedge_budgets: HedgeBudgets::default(),
            service_times: Arc::default(),
            metrics,
            durable_ledger,
            equivalences,
            shadow_hits: ShadowHits::default(),
            last_reload: LastReload::default(),
            recent_pictures: RecentPictures::default(),
            recent_requests: RecentRequests::default(),
            idempotency,
            ledger,
            rate_limiter: RateLimiter::default(),
            call_rates: RateLimiter::default(),
            transport: Arc::new(Transport::new(client, plan.server.limits.response_bodies, replies)),
            quality_workers,
            rejected_files,
            tokens: AccessTokens::default(),
            work: TaskTracker::new(),
            outside_judges,
            spans,
            hash_seed,
            lanes: DashMap::new(),
            turns: DashMap::new(),
        })
    }

    /// Counts what an earlier process paid for hedges in the last hour, where `plan` bounds that. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn recall_hedges(&self, plan: &Plan) -> Result<(), StartError> {
        if plan.routes.iter().all(|route| route.hedge.is_none()) {
            return Ok(());
        }
        let hour = self.clock.now().before(HEDGE_WINDOW);
        for (route, usd) in self.durable_ledger.hedge_costs(hour)? {
            self.hedge_budgets.recall(&route, usd, Instant::now().into_std());
        }
        Ok(())
    }

    /// Counts what an earlier process paid in the last day for judges of near misses, where `plan` bounds that. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn recall_judges(&self, plan: &Plan) -> Result<(), StartError> {
        if plan.routes.iter().all(|route| route.learn.is_none()) {
            return Ok(());
        }
        let day = self.clock.now().before(JUDGE_WINDOW);
        for (route, usd) in self.durable_ledger.judge_costs(day)? {
            self.equivalences.paid(&route, usd, Instant::now().into_std());
        }
        Ok(())
    }

    /// Does something with a route's turns.
    pub fn with_turns<T>(&self, route: &str, act: impl FnOnce(&mut WeightedTurns) -> T) -> T {
        if let Some(mut turns) = self.turns.get_mut(route) {
            return act(&mut turns);
        }
        act(&mut self.turns.entry(route.to_owned()).or_default())
    }

    /// Keeps of each provider's slots what `keep` says, and tells how many that are.
    pub fn slots_kept(&self, keep: impl Fn(&Arc<Lane>) -> usize) -> Vec<(String, usize)> {
        let mut kept: Vec<_> = self.lanes.iter().map(|lane| (lane.key().clone(), keep(lane.value()))).collect();
        kept.sort();
        kept
    }

    /// The concurrency lane of a provider, made on first use.
    pub fn lane(&self, provider: &Provider) -> Arc<Lane> {
        if let Some(lane) = self.lanes.get(&provider.name) {
            return lane.clone();
        }
        let new = || Lane::new(provider.concurrency);
        self.lanes.entry(provider.name.clone()).or_insert_with(new).clone()
    }
}
