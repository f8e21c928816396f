//! The only floor that waits: it asks the policies, acts on their answers, and owns every guard while it does.
//!
//! [`Gateway::serve`] is the life of a request on one screen. What outlives a config (cache, flights, slots, breakers,
//! ledger) is in [`Shared`], keyed by name; what a config says is in [`Snapshot`], swapped whole. Nothing here speaks HTTP
//! to clients; that is `server`.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::time::Instant;

use crate::cache::{Shareholder, Shares};
use crate::canonical::Canonical;
use crate::clock::Clock;
use crate::config::plan::{OutsideJudge, Plan, Route};
use crate::error::{Error, ErrorKind};
use crate::gateway::handover::Handover;
use crate::gateway::idempotency_book::KeyedRequest;
use crate::gateway::outcome::Outcome;
use crate::gateway::picture_disk::{OnGone, PictureDisk};
use crate::gateway::restart_keys::RestartKeys;
use crate::gateway::serve_request::ServeRequest;
use crate::gateway::snapshot::Snapshot;
use crate::gateway::words_embedding::RequestEmbedding;
use crate::request::ImageRequest;
use crate::routing;
use crate::secret::Secret;
use crate::store::Location;
use crate::upstream::transport::{HttpClient, PooledClient};

mod answer_keeper;
pub mod attempt;
pub mod background;
pub mod best_effort;
mod breaker_log;
pub mod call_rates;
pub mod caller;
mod cold_pictures;
pub mod config_loader;
pub mod config_warnings;
pub mod config_watcher;
mod detached_task;
pub mod dispatch_loop;
pub mod durable_ledger;
pub mod embed_words;
pub mod enrich;
mod equivalence_record;
pub mod explain;
pub mod feedback;
pub mod gateway_request;
pub mod handover;
pub mod idempotency_book;
pub mod idempotency_handover;
mod idempotent_request;
pub mod ignored_proxy;
mod join_few;
mod kept_answer;
pub mod last_reload;
mod learn_equivalences;
pub mod ledger_handover;
pub mod log_context;
pub mod outcome;
pub mod outside_judge;
pub mod picture_disk;
pub mod picture_head;
mod process_stats;
pub mod progress;
pub mod quality_pool;
pub mod read_file;
pub mod recent_pictures;
pub mod recent_requests;
pub mod rejected_files;
mod request_outcome;
mod restart_keys;
pub mod routed_request;
pub mod savings;
mod scrape;
mod serve_beside;
mod serve_request;
pub mod shadow_hits;
pub mod shared;
pub mod single_flight;
pub mod snapshot;
mod start_and_replace_errors;
#[cfg(test)]
mod tests;
pub mod text_call;
pub mod timeline;
pub mod words_embedding;

pub use crate::gateway::caller::Caller;
pub use crate::gateway::gateway_request::{CacheWish, GatewayRequest};
pub use crate::gateway::shared::Shared;
pub use crate::gateway::start_and_replace_errors::{ReplaceError, StartError};

/// The gateway: one per process, shared by every connection.
pub struct Gateway {
    snapshot: ArcSwap<Snapshot>,
    /// One change at a time, so that versions count up without a gap.
    changing: Mutex<()>,
    link_secret: Secret,
    /// What the process began with and cannot change.
    began_with: RestartKeys,
    /// Everything that outlives a config. No part of the API: tests and benches look into it.
    #[doc(hidden)]
    pub shared: Arc<Shared>,
}

impl Gateway {
    /// A gateway that serves `plan` as version 1, with the ledger in its `state_dir`. Blocks while that is read.
    ///
    /// # Errors
    /// When the plan cannot run, or its ledger cannot be opened.
    pub fn new(plan: Plan) -> Result<Arc<Gateway>, StartError> {
        Gateway::with_parts(plan, Clock::System, Box::new(PooledClient::new()))
    }

    /// The same with a wall clock and an HTTP client of the caller's: a test or a simulation decides what time it is and
    /// what vendors answer.
    ///
    /// # Errors
    /// As [`Gateway::new`].
    pub fn with_parts(plan: Plan, clock: Clock, client: Box<dyn HttpClient>) -> Result<Arc<Gateway>, StartError> {
        let place = plan.server.state_dir.clone().map_or(Location::Memory, Location::Dir);
        Gateway::open(plan, place, clock, client, None)
    }

    /// A gateway that explains requests and serves none, by what the ledger in the plan's `state_dir` says, where there is
    /// one. That is only read: another process may write it meanwhile.
    ///
    /// # Errors
    /// As [`Gateway::new`].
    #[cfg(feature = "cli")]
    pub fn to_explain(mut plan: Plan, clock: Clock) -> Result<Arc<Gateway>, StartError> {
        // Everything else that lies there belongs to the process that serves.
        plan.disk_cache = None;
        let dir = plan.server.state_dir.take().filter(|dir| dir.join(crate::store::connection::FILE).exists());
        Gateway::open(
            plan,
            dir.map_or(Location::Memory, Location::ReadOnly),
            clock,
            Box::new(PooledClient::new()),
            None,
        )
    }

    fn open(
        plan: Plan,
        place: Location,
        clock: Clock,
        client: Box<dyn HttpClient>,
        predecessor: Option<&Handover>,
    ) -> Result<Arc<Gateway>, StartError> {
        let on_gone = OnGone::default();
        let disk = plan.disk_cache.as_ref().map(|disk| PictureDisk::open(disk, clock.clone(), on_gone.clone()));
        let (disk, left) = disk.transpose()?.unzip();
        let mut secret = [0u8; 40];
        match (&disk, predecessor) {
            // Kept there, so that ids and links are the same after a restart.
            (Some(disk), _) => secret.copy_from_slice(disk.disk().secret()),
            (None, Some(handover)) => secret = handover.secret_bytes()?,
            (None, None) => getrandom::fill(&mut secret)?,
        }
        let hex: String = secret[8..].iter().map(|byte| format!("{byte:02x}")).collect();
        let mut seed = [0u8; 8];
        seed.copy_from_slice(&secret[..8]);
        let ledger = predecessor.map(|handover| &handover.ledger);
        let shared = Shared::open(&plan, place, clock.clone(), client, u64::from_le_bytes(seed), disk, ledger)?;
        let link_secret = Secret::new(hex);
        let version = predecessor.map_or(1, |handover| handover.version.saturating_add(1));
        let snapshot = Snapshot::new(version, plan, &link_secret)?;
        shared.cache.restore(left.unwrap_or_default(), |route| snapshot.near_lists(route), std::time::Instant::now());
        shared.durable_ledger.follow(&snapshot.plan)?;
        shared.recall_hedges(&snapshot.plan)?;
        shared.recall_judges(&snapshot.plan)?;
        shared.outside_judges.keep_only(judges(&snapshot.plan));
        shared.cache.resize(&snapshot.plan.cache, cache_shares(&snapshot.plan), std::time::Instant::now());
        let told = shared.ledger.clone();
        shared.metrics.tell_costs(move || told.costs(clock.now()))?;
        let began_with = RestartKeys::of(&snapshot.plan);
        let gateway = Gateway {
            began_with,
            snapshot: ArcSwap::from_pointee(snapshot),
            changing: Mutex::default(),
            link_secret,
            shared: Arc::new(shared),
        };
        let shared = Arc::downgrade(&gateway.shared);
        let forget = move |name: &[u8; 32]| {
            if let Some(shared) = shared.upgrade() {
                shared.cache.gone_from_disk(name);
            }
        };
        // Nobody else has set it.
        let _ = on_gone.set(Box::new(forget));
        gateway.record_reload(version);
        Ok(Arc::new(gateway))
    }

    /// The config in force. A request takes it once and keeps it to its end.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts a new plan in force, whole, and returns its version. Caches, slots and breakers follow its bounds. Blocks
    /// while the ledger is read for budgets that are new.
    ///
    /// # Errors
    /// When the plan cannot run or the ledger cannot be read; the one before stays in force.
    pub fn replace(&self, plan: Plan) -> Result<u64, ReplaceError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.snapshot().version + 1;
        let snapshot = Snapshot::new(version, plan, &self.link_secret)?;
        self.shared.durable_ledger.follow(&snapshot.plan)?;
        self.shared.cache.resize(&snapshot.plan.cache, cache_shares(&snapshot.plan), std::time::Instant::now());
        if let (Some(disk), Some(config)) = (&self.shared.disk, &snapshot.plan.disk_cache) {
            disk.disk().resize(config.size);
        }
        self.shared.idempotency.resize(&snapshot.plan.server.idempotency, self.shared.clock.now());
        self.shared.transport.replies.resize(snapshot.plan.server.limits.response_bodies);
        self.shared.quality_workers.resize(&snapshot.plan.quality);
        if !snapshot.plan.server.dashboard_pictures {
            self.shared.recent_pictures.clear();
        }
        self.shared.rejected_files.follow(snapshot.plan.quality.keep_rejected.clone());
        for provider in snapshot.plan.providers.values() {
            let has_model = |model: &str| provider.models.contains_key(model) || provider.writers.contains_key(model);
            self.shared.lane(provider).resize(provider.concurrency, has_model);
        }
        // A new key is tried at once, since breakers go by the account; what is held against an old one is forgotten.
        let accounts =
            snapshot.plan.providers.values().map(|provider| (&*provider.name, provider.account.fingerprint()));
        self.shared.breakers.keep_only(&accounts.collect::<Vec<_>>());
        self.shared.call_rates.keep_only(|who| {
            let (provider, model) =
                who.split_once('/').map_or((who, None), |(provider, model)| (provider, Some(model)));
            let known = snapshot.plan.providers.get(provider);
            known.is_some_and(|known| {
                model.is_none_or(|model| known.models.contains_key(model) || known.writers.contains_key(model))
            })
        });
        self.shared.retry_budgets.keep_only(|provider| snapshot.plan.providers.contains_key(provider));
        // Also of a route that hedges no more: whoever turns it off and on again has no second hour of dollars.
        self.shared.hedge_budgets.keep_only(|route| snapshot.plan.routes.iter().any(|known| known.name == route));
        self.shared.equivalences.keep_only(|route| snapshot.plan.routes.iter().any(|known| known.name == route));
        self.shared.outside_judges.keep_only(judges(&snapshot.plan));
        self.snapshot.store(Arc::new(snapshot));
        self.record_reload(version);
        Ok(version)
    }

    fn record_reload(&self, version: u64) {
        let metrics = &self.shared.metrics;
        metrics.reload_success.set(1);
        metrics.config_version.set(i64::try_from(version).unwrap_or(i64::MAX));
        metrics.reload_timestamp.set(self.shared.clock.now().millis() / 1000);
    }

    /// The life of a request. `header` looks up a request header by its lower-case name.
    pub async fn serve<'a>(
        &self,
        snapshot: &Arc<Snapshot>,
        ask: GatewayRequest,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Outcome {
        let id = ask.id.clone();
        log_context::within_request(id, self.serve_within(snapshot, ask, header)).await
    }

    async fn serve_within<'a>(
        &self,
        snapshot: &Arc<Snapshot>,
        ask: GatewayRequest,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Outcome {
        // What the caller asked for, before the route adds its own.
        let keyed = ask.idempotency_key.clone().map(|key| KeyedRequest::new(&ask.caller.tenant, key, &ask.request));
        match (self.prepare(snapshot, ask, header), keyed) {
            (Ok(serving), None) => serving.run().await,
            // Boxed, because most requests have no key, and what lies in here is moved for each.
            (Ok(serving), Some(keyed)) => Box::pin(idempotent_request::serve(serving, keyed)).await,
            (Err(refused), _) => Outcome { route: refused.route, ..Outcome::failed(snapshot.version, refused.error) },
        }
    }

    /// The request on its route, before anything is looked up for it; or why it has none, and the route if it has one.
    fn prepare<'a>(
        &self,
        snapshot: &Arc<Snapshot>,
        ask: GatewayRequest,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<ServeRequest, Box<Refused>> {
        let GatewayRequest {
            mut request,
            id,
            caller,
            max_usd,
            deadline_after,
            cache,
            priority,
            idempotency_key: _,
            progress,
        } = ask;
        let (routes, model) = (&snapshot.plan.routes, request.model.as_deref());
        let Some(matched) = routing::find(routes, |route| caller.may_use(route), model, &header) else {
            let elsewhere = routing::find(routes, |_| true, model, &header).is_some();
            let error = if elsewhere { forbidden(model) } else { unknown_model(snapshot, &caller, model) };
            return Err(Box::new(Refused { route: None, error }));
        };
        let route = matched.route.clone();
        let defaulted = request.output_format.is_none();
        fill_in(&mut request, &route);
        request
            .check_together(defaulted)
            .map_err(|error| Box::new(Refused { route: Some(route.name.clone()), error }))?;
        let (pinned, seed) = (matched.pinned.as_deref(), self.shared.hash_seed);
        let deadline_after = deadline_after.map_or(route.deadline, |deadline_after| deadline_after.min(route.deadline));
        let rules = snapshot.rules(matched.index, pinned);
        let canonical = Canonical::under(rules, &caller.tenant, &route.name, pinned, &request, seed);
        // Pictures that callers bring are their own, and what is made of them is kept only where the route says so.
        let reuse = route.cache.filter(|reuse| request.edit.is_none() || reuse.edits);
        Ok(ServeRequest {
            shared: self.shared.clone(),
            snapshot: snapshot.clone(),
            matched,
            request: Arc::new(request),
            canonical,
            wish: if route.cache.is_none() { CacheWish::Skip } else { cache },
            learned: route.learn.as_ref().map(|_| self.shared.equivalences.approved(&caller.tenant)),
            reuse,
            embedding: RequestEmbedding::default(),
            remember: cache != CacheWish::Skip,
            id,
            max_usd,
            priority: caller.priority().lowered_to(priority),
            caller,
            steps: Vec::new(),
            progress,
            deadline: Instant::now() + deadline_after,
            deadline_after,
        })
    }
}

/// Who is asked about the pictures of some route.
fn judges(plan: &Plan) -> impl Iterator<Item = &OutsideJudge> {
    plan.routes.iter().filter_map(|route| route.quality.as_ref()?.judge.as_deref())
}

/// What clients and routes may hold of the cache's memory.
fn cache_shares(plan: &Plan) -> Shares {
    let bytes = |ppm: u32| plan.cache.memory / 1_000_000 * u64::from(ppm);
    let clients = plan
        .clients
        .iter()
        .filter_map(|client| Some((Shareholder::Tenant(client.name.as_str().into()), bytes(client.cache_share_ppm?))));
    let routes = plan
        .routes
        .iter()
        .filter_map(|route| Some((Shareholder::Route(route.name.as_str().into()), bytes(route.cache?.share_ppm?))));
    clients.chain(routes).collect()
}

/// Why a request is not looked at any further.
struct Refused {
    /// The route that it came to, if it came to one.
    route: Option<String>,
    error: Error,
}

/// Route defaults where the request is silent.
fn fill_in(request: &mut ImageRequest, route: &Route) {
    let defaults = &route.defaults;
    request.filled.size = request.size.is_none() && defaults.size.is_some();
    request.filled.quality = request.quality.is_none() && defaults.quality.is_some();
    request.filled.output_format = request.output_format.is_none() && defaults.output_format.is_some();
    request.size = request.size.or(defaults.size);
    request.quality = request.quality.or(defaults.quality);
    request.output_format = request.output_format.or(defaults.output_format);
    // A stream carries base64 alone. A client that asks for a stream has not asked for links, so the default gives way.
    let wished = if request.stream { None } else { defaults.response_format };
    request.response_format = request.response_format.or(wished);
}

fn forbidden(model: Option<&str>) -> Error {
    let what = model.map_or("requests without 'model'".to_owned(), |model| format!("the model '{model}'"));
    let message = format!("This client may not use {what}. GET /v1/models lists what it may use.");
    Error::new(ErrorKind::Forbidden, message).with_param("model")
}

fn unknown_model(snapshot: &Snapshot, caller: &Caller, model: Option<&str>) -> Error {
    let names = snapshot.model_names(|route| caller.may_use(route));
    let Some(model) = model else {
        return Error::new(ErrorKind::ModelNotFound, "No route takes a request without 'model' here. Name one.")
            .with_param("model");
    };
    let nearest = names
        .iter()
        .map(|name| (strsim::osa_distance(name, model), name))
        .min()
        .filter(|(distance, name)| *distance <= name.len() / 2)
        .map(|(_, name)| format!(" Did you mean '{name}'?"))
        .unwrap_or_default();
    Error::new(
        ErrorKind::ModelNotFound,
        format!("The model '{model}' does not exist here.{nearest} GET /v1/models lists what does."),
    )
    .with_param("model")
}
