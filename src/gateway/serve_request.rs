//! The steps of one request: look into the cache, join a flight or lead one, wait, answer.
//!
//! A [`ServeRequest`] is a request whose route is known. It decides nothing about offers (`dispatch_loop.rs` does) and
//! speaks no HTTP. A follower whose flight ran out of time before its own deadline looks again and joins another.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::cache::{Asked, CacheLookup, Found, Freshness, Miss, PlacedPicture};
use crate::canonical::Canonical;
use crate::canonical::config_digest::Digest;
use crate::config::plan::{Priority, RouteCache};
use crate::gateway::caller::Caller;
use crate::gateway::detached_task::Detached;
use crate::gateway::dispatch_loop;
use crate::gateway::embed_words::{self, EmbedWords};
use crate::gateway::enrich::{self, RewriteCacheScope};
use crate::gateway::gateway_request::CacheWish;
use crate::gateway::learn_equivalences::MissedRequest;
use crate::gateway::log_context::within_request;
use crate::gateway::outcome::{CacheUse, Outcome};
use crate::gateway::progress::ProgressSender;
use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::shared::Shared;
use crate::gateway::single_flight::{Flight, FlightKey, FlightLeader, FlightMember, FlightRole, Flights};
use crate::gateway::snapshot::Snapshot;
use crate::gateway::timeline::{Step, StepKind, note};
use crate::gateway::words_embedding::RequestEmbedding;
use crate::money::Usd;
use crate::prompt_match::{self, LearnedPairs};
use crate::request::ImageRequest;
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
    /// How pictures are reused for it, where they are.
    pub reuse: Option<RouteCache>,
    /// What is known of the embedding of its words.
    pub embedding: RequestEmbedding,
    /// Pairs of words that mean the same to its tenant, where the route learns them.
    pub learned: Option<Arc<LearnedPairs>>,
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
    /// What it waited for so far, where it is traced.
    pub steps: Vec<Step>,
    /// Where its progress is sent, if it is watched.
    pub progress: Option<ProgressSender>,
    /// When the client stops waiting.
    pub deadline: Instant,
    /// How long it waits in all.
    pub deadline_after: Duration,
}

impl ServeRequest {
    /// Serves the request to its end.
    pub async fn run(mut self) -> Outcome {
        loop {
            let looked = self.look_up().await;
            let available = looked.available();
            let have = match looked {
                CacheLookup::Hit(found) => return self.hit(found),
                CacheLookup::Part(found) => Some(found),
                CacheLookup::Miss(_) => None,
            };
            match self.join_flight(available) {
                FlightRole::Lead(lead) => return self.lead(lead, have).await,
                FlightRole::Follow(flight) => {
                    // The others draw what is missing of the route's variants; nobody has to wait for them.
                    if let Some(found) = self.found_among(available).await {
                        return self.hit(found);
                    }
                    self.announce(&flight);
                    let began = self.traced();
                    let late = timeout_at(self.deadline, flight.finished()).await.is_err();
                    self.note(StepKind::Follow, if late { "late" } else { "ended" }, began);
                    let progress = flight.progress();
                    let their_deadline = progress.out_of_time && progress.pictures.len() < self.wanted();
                    if late || !their_deadline {
                        let joined = Some(flight.leader().clone());
                        return Outcome { joined, ..self.outcome(progress, CacheUse::Joined, late) };
                    }
                }
            }
        }
    }

    pub(super) fn wanted(&self) -> usize {
        usize::from(self.request.n)
    }

    /// Looks the request up in the cache, where caller and route wish that, and counts the look-up.
    async fn look_up(&mut self) -> CacheLookup {
        let began = self.traced().filter(|_| self.looks());
        let mut looked = self.cached().await;
        if !matches!(looked, CacheLookup::Hit(_)) && self.embed().await {
            looked = self.cached().await;
        }
        let route = self.matched.route.name.as_str();
        self.shared.metrics.cache_requests.with_label_values(&[route, self.word(&looked)]).inc();
        self.note(StepKind::CacheLookup, self.word(&looked), began);
        looked
    }

    /// The present moment, where what happens from now on is told.
    fn traced(&self) -> Option<Instant> {
        self.snapshot.plan.server.tracing.as_ref().map(|_| Instant::now())
    }

    fn note(&mut self, kind: StepKind, result: &'static str, began: Option<Instant>) {
        if let Some(began) = began {
            note(&mut self.steps, Step::ends(kind, result, began));
        }
    }

    /// What a look is called in metrics.
    fn word(&self, looked: &CacheLookup) -> &'static str {
        match looked {
            CacheLookup::Hit(found) => found.tier().as_str(),
            CacheLookup::Part(_) => CacheUse::Pool.as_str(),
            CacheLookup::Miss(_) if !self.looks() => CacheUse::Bypass.as_str(),
            CacheLookup::Miss(miss) => miss.as_str(),
        }
    }

    /// Whether kept pictures may be its answer.
    fn looks(&self) -> bool {
        self.wish == CacheWish::Use && self.reuse.is_some()
    }

    async fn cached(&self) -> CacheLookup {
        match self.reuse {
            Some(reuse) if self.looks() => self.cached_as(&reuse).await,
            _ => CacheLookup::Miss(Miss::Absent),
        }
    }

    /// What is there, where the route reuses it like this.
    async fn cached_as(&self, reuse: &RouteCache) -> CacheLookup {
        let offer_digest = self.offer_digests();
        let near = self.matched.route.near_embedding.as_ref().filter(|near| !near.shadow);
        let by = near.and_then(|near| Some(self.embedding.words.as_ref()?.asked(near)));
        self.shared.look_up(&self.asked(reuse, &offer_digest), by.as_ref()).await
    }

    /// Asks for the embedding of its words, once, where the route finds pictures by that; whether some may be found now.
    async fn embed(&mut self) -> bool {
        let (near, reuse) = match (&self.matched.route.near_embedding, self.reuse) {
            (Some(near), Some(reuse)) if self.looks() && !self.canonical.seeded() => (near.clone(), reuse),
            _ => return false,
        };
        if std::mem::replace(&mut self.embedding.tried, true) {
            return false;
        }
        let words = EmbedWords { spec: self.routed(&[]), near: near.clone() };
        self.embedding = words.run(self.canonical.prompt()).await;
        if let Some(words) = self.embedding.words.as_ref().filter(|_| near.shadow) {
            let offer_digest = self.offer_digests();
            embed_words::tell_shadow(&self.routed(&[]), &self.asked(&reuse, &offer_digest), &near, words);
        }
        self.embedding.words.is_some() && !near.shadow
    }

    /// How each offer draws now.
    fn offer_digests(&self) -> impl Fn(&str) -> Option<Digest> + Sync {
        |offer| self.snapshot.offer_digest_by_name(self.matched.index, offer)
    }

    /// All pictures wanted, from the `available` ones that are there, if those are enough for this request alone.
    async fn found_among(&self, available: u8) -> Option<Found> {
        let reuse = self.reuse.filter(|_| self.looks() && available >= self.request.n)?;
        match self.cached_as(&RouteCache { variants: available, ..reuse }).await {
            CacheLookup::Hit(found) => Some(found),
            CacheLookup::Part(_) | CacheLookup::Miss(_) => None,
        }
    }

    fn asked<'a>(&'a self, reuse: &RouteCache, offer_digest: &'a (dyn Fn(&str) -> Option<Digest> + Sync)) -> Asked<'a> {
        Asked {
            canonical: &self.canonical,
            n: self.request.n,
            variants: reuse.variants,
            near: reuse.near.then_some(&self.snapshot.word_lists),
            learned: self.learned.as_deref(),
            serves: true,
            caller: caller_hash(&self.caller, &self.request),
            freshness: Freshness { ttl: reuse.ttl, now: Instant::now().into_std(), offer_digest },
        }
    }

    /// Joins an identical request in flight, unless the caller wants pictures of its own. `available` pictures are there
    /// already: where the route wants more different ones, so many flights may be under way at once.
    fn join_flight(&self, available: u8) -> FlightRole {
        if self.wish != CacheWish::Use {
            return FlightRole::Lead(Flights::alone(self.member()));
        }
        let room = self.reuse.map_or(1, |reuse| self.asked(&reuse, &|_| None).flights(available));
        self.shared.flights.join(self.flight_key(), room, self.member(), Instant::now())
    }

    fn member(&self) -> FlightMember {
        FlightMember { request_id: self.id.clone(), deadline: self.deadline, priority: self.priority }
    }

    fn flight_key(&self) -> FlightKey {
        let near = self.reuse.is_some_and(|reuse| reuse.near) && !self.canonical.seeded();
        let canonical = match near {
            // Whoever asks the same in a form that means the same may have the same pictures.
            true => {
                let words = prompt_match::canonical(self.canonical.prompt(), &self.snapshot.word_lists);
                [self.canonical.hard_key(), words.canonical_bytes()].concat().into()
            }
            false => self.canonical.bytes().into(),
        };
        // A request with a lower limit may get no picture where another does, so they share no flight.
        FlightKey { version: self.snapshot.version, canonical, n: self.request.n, max_usd: self.max_usd }
    }

    async fn lead(&self, lead: FlightLeader, have: Option<Found>) -> Outcome {
        let flight = lead.flight().clone();
        self.announce(&flight);
        // Another flight may have filled the cache since it was looked up. Followers that joined meanwhile get that too.
        let again = self.cached().await;
        let others = lead.others();
        let again = match self.reuse {
            // What was drawn meanwhile, and what the others draw, are all that the route wants.
            Some(reuse) if others > 0 && self.asked(&reuse, &|_| None).flights(again.available()) <= others => {
                self.found_among(again.available()).await.map_or(again, CacheLookup::Hit)
            }
            _ => again,
        };
        let have = match again {
            CacheLookup::Hit(found) => {
                flight.update(|progress| progress.pictures.clone_from(&found.pictures));
                return self.hit(found);
            }
            CacheLookup::Part(found) => Some(found),
            CacheLookup::Miss(_) => have,
        };
        let used = match &have {
            Some(_) => CacheUse::Pool,
            None if self.looks() => CacheUse::Miss,
            None => CacheUse::Bypass,
        };
        if let Some(found) = &have {
            self.save(found);
        }
        self.learn_from_miss();
        let near = have.as_ref().map(|found| found.differences.clone()).unwrap_or_default();
        let similarity = have.as_ref().and_then(|found| found.similarity);
        let pictures = have.map(|found| found.pictures).unwrap_or_default();
        let late = timeout_at(self.deadline, self.drawing(lead, pictures)).await.is_err();
        Outcome { near, similarity, ..self.outcome(flight.progress(), used, late) }
    }

    /// Leaves it to be asked about later what kept pictures it missed by one pair of words.
    fn learn_from_miss(&self) {
        let Some(reuse) = self.reuse.filter(|_| self.looks() && self.matched.route.learn.is_some()) else { return };
        let missed = MissedRequest {
            shared: self.shared.clone(),
            snapshot: self.snapshot.clone(),
            matched: self.matched.clone(),
            canonical: self.canonical.clone(),
            reuse,
            id: self.id.clone(),
            caller: self.caller.clone(),
        };
        missed.leave();
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
        let began = self.traced();
        let drawing = async move {
            let spec = enrich::prepare(spec, &rewrite_scope, &flight).await;
            if let Some(began) = began {
                flight.update(|progress| {
                    let word = progress.enriched.as_ref().map(|(_, word)| *word);
                    progress.steps.extend(word.map(|word| Step::ends(StepKind::Rewrite, word, began)));
                });
            }
            dispatch_loop::draw(spec, flight).await;
            drop(lead);
        };
        Detached::new(within_request(self.id.clone(), drawing), self.shared.work.clone())
    }

    /// What the cache has of the request, and the word for that; nothing is counted.
    pub fn peek(&self) -> (Vec<PlacedPicture>, &'static str) {
        let offer_digest = self.offer_digests();
        let looked = match self.reuse {
            Some(reuse) if self.looks() => self.shared.peek(&self.asked(&reuse, &offer_digest)),
            _ => CacheLookup::Miss(Miss::Absent),
        };
        let word = self.word(&looked);
        match looked {
            CacheLookup::Hit(found) | CacheLookup::Part(found) => (found.pictures, word),
            CacheLookup::Miss(_) => (Vec::new(), word),
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
            embedding: self.embedding.words.clone(),
            keep: (self.wish != CacheWish::Skip && self.reuse.is_some()).then(|| self.canonical.clone()),
            drawn_for: caller_hash(&self.caller, &self.request),
            revised_prompt: None,
            spent: self.embedding.promised,
            open,
            deadline: self.deadline,
            deadline_after: self.deadline_after,
        }
    }
}

/// Who asks, as far as the same picture twice in a row would be noticed: a tenant's own user, where it names one.
fn caller_hash(caller: &Caller, request: &ImageRequest) -> u64 {
    xxh3_64_with_seed(request.user.as_deref().unwrap_or_default().as_bytes(), xxh3_64(caller.tenant.as_bytes()))
}
