//! The steps of one request: look into the cache, join a flight or lead one, wait, answer.
//!
//! A [`ServeRequest`] is a request whose route is known. It decides nothing about offers (`dispatch_loop.rs` does) and
//! speaks no HTTP. A follower whose flight ran out of time before its own deadline looks again and joins another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::cache::PlacedPicture;
use crate::cache::{CacheLookup, Freshness, Miss};
use crate::canonical::Canonical;
use crate::config::plan::{OnDeadline, Priority};
use crate::dispatch;
use crate::gateway::caller::Caller;
use crate::gateway::detached_task::Detached;
use crate::gateway::dispatch_loop;
use crate::gateway::enrich::{self, RewriteCacheScope};
use crate::gateway::gateway_request::CacheWish;
use crate::gateway::outcome::{CacheUse, Outcome};
use crate::gateway::progress::ProgressSender;
use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::savings::Saving;
use crate::gateway::shared::Shared;
use crate::gateway::single_flight::{Flight, FlightKey, FlightLeader, FlightRole, Flights, Progress};
use crate::gateway::snapshot::Snapshot;
use crate::money::Usd;
use crate::request::{ImageRequest, ResponseFormat};
use crate::routing::{Caps, RouteMatch};

/// One request whose route is known.
pub struct ServeRequest {
    /// Everything that outlives a config.
    pub shared: Arc<Shared>,
    /// The config in force when it came.
    pub snapshot: Arc<Snapshot>,
    /// Its route and pinned offer.
    pub matched: RouteMatch,
    /// The request, route defaults filled in.
    pub request: Arc<ImageRequest>,
    /// Its canonical form, which is the key of the cache.
    pub canonical: Canonical,
    /// What caller and route wish of the cache.
    pub wish: CacheWish,
    /// Its own id.
    pub id: Arc<str>,
    /// The client that asks.
    pub caller: Caller,
    /// What the caller is willing to pay for it at most.
    pub max_usd: Option<Usd>,
    /// The class in which its calls wait for slots.
    pub priority: Priority,
    /// Whether what is written for this caller may be kept, and taken from what was kept.
    pub remember: bool,
    /// Where its progress is sent, if it is watched.
    pub progress: Option<ProgressSender>,
    /// When the client stops waiting.
    pub deadline: Instant,
    /// How long it waits in all.
    pub deadline_after: Duration,
}

impl ServeRequest {
    /// Serves the request to its end.
    pub async fn run(self) -> Outcome {
        loop {
            let (have, used) = match self.look_up() {
                CacheLookup::Hit(pictures) => return self.hit(pictures),
                CacheLookup::Part(pictures) => (pictures, CacheUse::Pool),
                CacheLookup::Miss(_) if self.wish == CacheWish::Use => (Vec::new(), CacheUse::Miss),
                CacheLookup::Miss(_) => (Vec::new(), CacheUse::Bypass),
            };
            match self.join_flight() {
                FlightRole::Lead(lead) => return self.lead(lead, have, used).await,
                FlightRole::Follow(flight) => {
                    self.announce(&flight);
                    let late = timeout_at(self.deadline, flight.finished()).await.is_err();
                    let progress = flight.progress();
                    let their_deadline = progress.out_of_time && progress.pictures.len() < self.wanted();
                    if late || !their_deadline {
                        return self.outcome(progress, CacheUse::Joined, late);
                    }
                }
            }
        }
    }

    fn wanted(&self) -> usize {
        usize::from(self.request.n)
    }

    /// Looks the request up in the cache, where caller and route wish that, and counts the look-up.
    fn look_up(&self) -> CacheLookup {
        let look = match self.wish {
            CacheWish::Use => self.cached(),
            CacheWish::Fresh | CacheWish::Skip => CacheLookup::Miss(Miss::Absent),
        };
        let word = match (&look, self.wish) {
            (_, CacheWish::Fresh | CacheWish::Skip) => CacheUse::Bypass.as_str(),
            (CacheLookup::Hit(_), _) => CacheUse::Exact.as_str(),
            (CacheLookup::Part(_), _) => CacheUse::Pool.as_str(),
            (CacheLookup::Miss(miss), _) => miss.as_str(),
        };
        let route = self.matched.route.name.as_str();
        self.shared.metrics.cache_requests.with_label_values(&[route, word]).inc();
        look
    }

    fn cached(&self) -> CacheLookup {
        let Some(cache) = self.matched.route.cache else { return CacheLookup::Miss(Miss::Absent) };
        let offer_digest = |offer: &str| self.snapshot.offer_digest_by_name(self.matched.index, offer);
        let freshness = Freshness { ttl: cache.ttl, now: Instant::now().into_std(), offer_digest: &offer_digest };
        self.shared.cache.look_up(&self.canonical, self.request.n, &freshness)
    }

    /// Joins an identical request in flight, unless the caller wants pictures of its own.
    fn join_flight(&self) -> FlightRole {
        let key = || {
            // A request with a lower limit may get no picture where another does, so they share no flight.
            let (canonical, max_usd) = (self.canonical.bytes().into(), self.max_usd);
            FlightKey { version: self.snapshot.version, canonical, n: self.request.n, max_usd }
        };
        match self.wish {
            CacheWish::Use => self.shared.flights.join(key(), self.deadline, self.priority, Instant::now()),
            CacheWish::Fresh | CacheWish::Skip => FlightRole::Lead(Flights::alone(self.deadline, self.priority)),
        }
    }

    async fn lead(&self, lead: FlightLeader, have: Vec<PlacedPicture>, used: CacheUse) -> Outcome {
        let flight = lead.flight().clone();
        self.announce(&flight);
        // Another flight may have filled the cache since it was looked up. Followers that joined meanwhile get that too.
        let again = if self.wish == CacheWish::Use { self.cached() } else { CacheLookup::Miss(Miss::Absent) };
        let (have, used) = match again {
            CacheLookup::Hit(pictures) => {
                flight.update(|progress| progress.pictures.clone_from(&pictures));
                return self.hit(pictures);
            }
            CacheLookup::Part(pictures) => (pictures, CacheUse::Pool),
            CacheLookup::Miss(_) => (have, used),
        };
        let late = timeout_at(self.deadline, self.drawing(lead, have)).await.is_err();
        self.outcome(flight.progress(), used, late)
    }

    fn announce(&self, flight: &Arc<Flight>) {
        if let Some(progress) = &self.progress {
            progress.announce(flight);
        }
    }

    /// Prepares and draws, as work that goes on if the client disconnects.
    fn drawing(&self, lead: FlightLeader, have: Vec<PlacedPicture>) -> Detached {
        let spec = self.routed(&have);
        let flight: Arc<Flight> = lead.flight().clone();
        let known = have.iter().filter_map(|placed| placed.generated.quality.as_ref()?.fingerprint.clone());
        flight.with_fingerprints(|fingerprints| fingerprints.extend(known));
        flight.update(|progress| progress.pictures = have);
        let rewrite_scope = RewriteCacheScope { tenant: self.caller.tenant.clone(), remember: self.remember };
        let drawing = async move {
            let spec = enrich::prepare(spec, &rewrite_scope, &flight).await;
            dispatch_loop::draw(spec, flight).await;
            drop(lead);
        };
        Detached::new(drawing, self.shared.work.clone())
    }

    /// What the cache has of the request, and the word for that; nothing is counted.
    pub fn peek(&self) -> (Vec<PlacedPicture>, &'static str) {
        match self.wish {
            CacheWish::Fresh | CacheWish::Skip => (Vec::new(), CacheUse::Bypass.as_str()),
            CacheWish::Use => match self.cached() {
                CacheLookup::Hit(pictures) => (pictures, CacheUse::Exact.as_str()),
                CacheLookup::Part(pictures) => (pictures, CacheUse::Pool.as_str()),
                CacheLookup::Miss(miss) => (Vec::new(), miss.as_str()),
            },
        }
    }

    /// What is to be drawn where these pictures are there.
    pub fn routed(&self, have: &[PlacedPicture]) -> RoutedRequest {
        let there: BTreeSet<u8> = have.iter().map(|placed| placed.place).collect();
        let open = (0..self.request.n).filter(|place| !there.contains(place)).collect();
        RoutedRequest {
            shared: self.shared.clone(),
            snapshot: self.snapshot.clone(),
            matched: self.matched.clone(),
            request_id: self.id.clone(),
            caller: self.caller.clone(),
            priority: self.priority,
            caps: Caps::of(&self.matched.route, self.caller.client.as_deref(), self.max_usd),
            request: self.request.clone(),
            keep: (self.wish != CacheWish::Skip).then(|| self.canonical.clone()),
            revised_prompt: None,
            spent: Usd::ZERO,
            open,
            deadline: self.deadline,
            deadline_after: self.deadline_after,
        }
    }

    fn hit(&self, pictures: Vec<PlacedPicture>) -> Outcome {
        let saved = pictures.iter().fold(Usd::ZERO, |total, placed| total.saturating_add(placed.generated.usd));
        self.shared.durable_ledger.saved(Saving {
            tenant: &self.caller.tenant,
            route: &self.matched.route.name,
            tier: CacheUse::Exact.as_str(),
            pictures: pictures.len(),
            usd: saved,
        });
        self.outcome(Progress { pictures, ..Progress::default() }, CacheUse::Exact, false)
    }

    /// The outcome of what there is. A follower and a hit pay nothing.
    fn outcome(&self, mut progress: Progress, cache: CacheUse, late: bool) -> Outcome {
        progress.best_effort.fill(&mut progress.pictures, self.request.n, self.request.seed.is_some());
        progress.pictures.sort_by_key(|placed| placed.place);
        let complete = progress.pictures.len() == self.wanted();
        let partial_is_fine = !late || self.matched.route.on_deadline == OnDeadline::Partial;
        let result = if complete || (!progress.pictures.is_empty() && partial_is_fine) {
            Ok(progress.pictures.into_iter().map(|placed| placed.generated).collect())
        } else {
            Err(progress.error.unwrap_or_else(dispatch::no_picture_error::deadline))
        };
        if let Err(error) = &result
            && let Some(detail) = &error.detail
        {
            log::warn!("route {}: {}: {detail}", self.matched.route.name, error.code());
        }
        let led = cache != CacheUse::Joined;
        Outcome {
            version: self.snapshot.version,
            route: Some(self.matched.route.name.clone()),
            cache,
            idempotency: None,
            cost: if led { progress.cost.saturating_add(progress.hedging) } else { Usd::ZERO },
            attempts: if led { progress.attempts } else { 0 },
            calls: if led { progress.calls } else { Vec::new() },
            skipped: progress.skipped,
            enriched: progress.enriched,
            wanted: self.request.n,
            format: self.request.response_format.unwrap_or(ResponseFormat::B64Json),
            result,
        }
    }
}
