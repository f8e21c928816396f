//! What would become of a request now: every offer, whether it can be asked or why not, and the calls that would start.
//!
//! It is the decision itself and no picture of it: the same route, the same candidates, the same strategy and the same
//! state machine as when a request is served, with a driver that starts nothing. Nothing is sent, reserved, counted or
//! changed. A route's turns and the chance to explore are looked at and not taken.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};

use crate::breaker::PausedUntil;
use crate::config::plan::{AskWhen, Offer, Priority, Strategy};
use crate::dispatch::{Action, Dispatch, DispatchFacts, EventTime, Obstacle, OfferStanding, SlotForecast};
use crate::error::Error;
use crate::gateway::dispatch_loop::facts::{self, GatewayFacts};
use crate::gateway::dispatch_loop::state::now;
use crate::gateway::dispatch_loop::{offer_standing, slot_forecast};
use crate::gateway::gateway_request::GatewayRequest;
use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::snapshot::Snapshot;
use crate::gateway::{Gateway, enrich};
use crate::hedge_budget::HedgeBudgetExceeded;
use crate::ledger::BudgetExceeded;
use crate::money::Usd;
use crate::routing::{Candidate, Skip};

/// Steps of the state machine that are looked at. A request for ten pictures takes some dozens.
const MOST_STEPS: usize = 10_000;

/// What would become of a request now.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The config in force.
    pub config_version: u64,
    /// The route that takes it.
    pub route: String,
    /// Whose it is.
    pub tenant: String,
    /// In which order the route asks.
    pub strategy: &'static str,
    /// What the cache has of it: `exact`, `pool`, `bypass`, or why nothing.
    pub cache: &'static str,
    /// The key under which its pictures are kept, in hex; a purge takes it.
    pub cache_key: String,
    /// Pictures that are to be bought.
    pub pictures: usize,
    /// What every offer of the route is worth, those that would be asked first first.
    pub offers: Vec<ExplainedOffer>,
    /// The calls that would start at once, in this order.
    pub calls: Vec<PlannedCall>,
    /// The offers at which it would wait for a slot.
    pub queues: Vec<String>,
    /// The error's code and sentence, where nobody could be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ExplainedError>,
}

/// One offer of the route.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedOffer {
    /// `provider/model`.
    pub offer: String,
    /// Its place in the order, from 1; `None` for one that cannot draw it.
    pub position: Option<usize>,
    /// Why it would not be asked now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<&'static str>,
    /// For what it waits, where it waits for a reason.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<&'static str>,
    /// What one picture is estimated at, volume tiers applied.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub usd_per_picture: Option<Usd>,
    /// What the pictures to be bought would add to the invoice.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub usd: Option<Usd>,
    /// Its verdicts on this route, where the strategy goes by them: accepted and rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<[u64; 2]>,
    /// The median of its recent calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_ms: Option<u128>,
    /// How late a call to it must be before another offer is asked besides, where the route hedges and enough is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hedge_after_ms: Option<u128>,
    /// How long a slot would be waited for.
    pub wait_ms: u128,
    /// Calls to its provider under way, and how many may be: as the config says, or as the vendor lets them.
    pub in_flight: [usize; 2],
    /// What its circuit breaker says: the reason, and for how many milliseconds still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<(&'static str, u128)>,
}

/// A call that would start.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct PlannedCall {
    /// `provider/model`.
    pub offer: String,
    /// Why this one.
    pub reason: &'static str,
    /// Pictures asked for.
    pub pictures: usize,
}

/// Why nobody could be asked.
#[derive(Clone, Debug, Serialize)]
pub struct ExplainedError {
    /// The code of the error that a client would get.
    pub code: String,
    /// Its sentence.
    pub message: String,
}

fn as_text<S: Serializer>(usd: &Option<Usd>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&usd.unwrap_or(Usd::ZERO))
}

impl Gateway {
    /// What would become of a request now. `header` looks up a request header by its lower-case name.
    ///
    /// # Errors
    /// Where it would be refused before any offer is looked at: no such model, fields that do not go together.
    pub fn explain<'a>(
        &self,
        snapshot: &Arc<Snapshot>,
        ask: GatewayRequest,
        header: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Explanation, Error> {
        let serving = self.prepare(snapshot, ask, header).map_err(|refused| refused.error)?;
        let (have, cache) = serving.peek();
        let spec = enrich::with_words_around(serving.routed(&have));
        let (candidates, refused) = spec.evaluate_candidates();
        let candidates = offer_standing::in_order_without_turn(&spec, candidates);
        let standings = offer_standing::standings(&spec, &candidates, now());
        let planned = Planned::of(&spec, &candidates, &refused);
        let route = &spec.matched.route;
        let mut offers: Vec<ExplainedOffer> = Vec::new();
        for (nth, candidate) in candidates.iter().enumerate() {
            let Some(offer) = route.offers.get(candidate.offer) else { continue };
            offers.push(explained(&spec, offer, candidate, &standings[nth], nth, &planned));
        }
        for (index, skip) in &refused {
            let Some(offer) = route.offers.get(*index) else { continue };
            offers.push(ExplainedOffer { skipped: Some(skip.as_str()), ..at_rest(&spec, offer, *index, now()) });
        }
        let Planned { calls, queues, error, .. } = planned;
        Ok(Explanation {
            config_version: snapshot.version,
            route: route.name.clone(),
            tenant: spec.caller.tenant.to_string(),
            strategy: route.strategy.as_str(),
            cache,
            cache_key: format!("{:032x}", serving.canonical.key()),
            pictures: spec.open.len(),
            offers,
            calls: if spec.open.is_empty() { Vec::new() } else { calls },
            queues,
            error: error.map(|error| ExplainedError { code: error.code().to_owned(), message: error.message }),
        })
    }
}

/// What the state machine would have done at once.
#[derive(Default)]
struct Planned {
    calls: Vec<PlannedCall>,
    queues: Vec<String>,
    /// The latest reason by the offer's place in the route.
    skips: HashMap<usize, Skip>,
    error: Option<Error>,
}

impl Planned {
    fn of(spec: &RoutedRequest, candidates: &[Candidate], refused: &[(usize, Skip)]) -> Planned {
        let mut planned = Planned::default();
        if spec.open.is_empty() {
            return planned;
        }
        let route = &spec.matched.route;
        let mut dispatch = Dispatch::new(spec.rules(), candidates.to_vec(), refused.to_vec(), route.offers.len());
        let time = EventTime { now: now(), deadline: spec.deadline.into_std() };
        let name = |dispatch: &Dispatch, candidate: usize| {
            route.offers.get(dispatch.candidate(candidate).offer).map(|offer| offer.name.clone()).unwrap_or_default()
        };
        let mut facts = PlannedFacts { spec, taken: Vec::new() };
        for _ in 0..MOST_STEPS {
            match dispatch.next(&facts, time) {
                Action::Start { candidate, places, reason, granted: _ } => {
                    let Candidate { offer, usd, .. } = *dispatch.candidate(candidate);
                    if !facts.has_free_slot(offer) {
                        dispatch.not_started(candidate, Obstacle::AtCapacity);
                        continue;
                    }
                    let pictures = u32::try_from(places.len()).unwrap_or(u32::MAX);
                    facts.take(offer, pictures, usd.checked_mul(pictures).unwrap_or(usd));
                    let (offer, pictures) = (name(&dispatch, candidate), places.len());
                    planned.calls.push(PlannedCall { offer, reason: reason.as_str(), pictures });
                    dispatch.started(candidate, places, time);
                }
                Action::Queue(queued) => {
                    planned.queues = queued.iter().map(|candidate| name(&dispatch, *candidate)).collect();
                    planned.queues.dedup();
                    dispatch.queued(queued.len(), Duration::from_secs(1), time.now);
                }
                Action::Skipped { offer, skip } => {
                    planned.skips.insert(offer, skip);
                }
                Action::ReturnSlot | Action::LeaveQueue | Action::GivenUp { .. } | Action::NotHedged { .. } => {}
                Action::Wait { .. } => return planned,
                Action::Finish => break,
            }
        }
        planned.error = dispatch.error(&route.name, time, spec.shared.clock.now());
        planned
    }
}

/// What the dispatch asks about the world, with what the planned calls would have taken of it.
struct PlannedFacts<'a> {
    spec: &'a RoutedRequest,
    /// Each planned call.
    taken: Vec<TakenCall<'a>>,
}

/// What a planned call would have taken.
struct TakenCall<'a> {
    provider: &'a str,
    model: Arc<str>,
    pictures: u32,
    usd: Usd,
}

impl<'a> PlannedFacts<'a> {
    fn offer(&self, offer: usize) -> Option<&'a Offer> {
        self.spec.matched.route.offers.get(offer)
    }

    /// What the calls so far would have promised, to one provider or to all.
    fn promised(&self, provider: Option<&str>) -> Usd {
        let counted = self.taken.iter().filter(|taken| provider.is_none_or(|provider| provider == taken.provider));
        counted.fold(Usd::ZERO, |sum, taken| sum.saturating_add(taken.usd))
    }

    fn take(&mut self, offer: usize, pictures: u32, usd: Usd) {
        let taken = |offer: &'a Offer| {
            let (provider, model) = (offer.provider.name.as_str(), offer.model.name.as_str().into());
            TakenCall { provider, model, pictures, usd }
        };
        self.taken.extend(self.offer(offer).map(taken));
    }

    /// The planned calls to an offer's provider, and their pictures.
    fn before(&self, offer: &Offer) -> (u32, u32) {
        let taken = self.taken.iter().filter(|taken| taken.provider == offer.provider.name);
        taken.fold((0, 0), |(calls, pictures), taken| (calls + 1, pictures + taken.pictures))
    }

    /// The models of the planned calls to a provider.
    fn running(&self, provider: &str) -> Vec<Arc<str>> {
        self.taken.iter().filter(|taken| taken.provider == provider).map(|taken| taken.model.clone()).collect()
    }

    fn now(&self) -> GatewayFacts<'a> {
        GatewayFacts { spec: self.spec, place: None }
    }
}

impl DispatchFacts for PlannedFacts<'_> {
    fn paused_until(&self, offer: usize, pictures: u8, now: Instant) -> Option<PausedUntil> {
        let offer = self.offer(offer)?;
        facts::paused_until(self.now(), offer, (pictures.into(), self.before(offer)), now)
    }

    fn may_pay(&self) -> bool {
        self.now().may_pay()
    }

    fn short(&self, offer: usize, usd: Usd) -> Option<BudgetExceeded> {
        let offer = self.offer(offer)?;
        let (ledger, today) = (&self.spec.shared.ledger, self.spec.shared.clock.now());
        let owner = self.spec.owner(&offer.provider.name, &offer.model.name);
        let [client, route, provider] = self.spec.budgets(offer);
        let wanted = |provider: Option<&str>| usd.saturating_add(self.promised(provider));
        let of_all = ledger.short(&owner, [client, route, &[]], wanted(None), today);
        let of_provider = ledger.short(&owner, [&[], &[], provider], wanted(Some(&offer.provider.name)), today);
        [of_all, of_provider].into_iter().flatten().min_by_key(|short| short.left)
    }

    fn may_retry(&self, offer: usize, now: Instant) -> bool {
        self.now().may_retry(offer, now)
    }

    fn max_wait(&self, offer: usize) -> Duration {
        self.now().max_wait(offer)
    }

    fn has_free_slot(&self, offer: usize) -> bool {
        let Some(offer) = self.offer(offer) else { return false };
        let running = self.running(&offer.provider.name);
        self.spec.shared.lane(&offer.provider).has_room(&offer.model.name, &running)
    }

    fn slot_forecast(&self, offer: usize, calls: u8, now: Instant) -> Option<SlotForecast> {
        let offer = self.offer(offer)?;
        let running = self.running(&offer.provider.name);
        slot_forecast::slot_forecast(self.spec, offer, (self.spec.priority, calls.into(), &running), now)
    }

    fn hedge_after(&self, offer: usize, now: Instant) -> Option<Duration> {
        GatewayFacts { spec: self.spec, place: None }.hedge_after(offer, now)
    }

    fn hedge_exceeds(&self, usd: Usd, now: Instant) -> Option<HedgeBudgetExceeded> {
        GatewayFacts { spec: self.spec, place: None }.hedge_exceeds(usd, now)
    }
}

fn explained(
    spec: &RoutedRequest,
    offer: &Offer,
    candidate: &Candidate,
    standing: &OfferStanding,
    nth: usize,
    planned: &Planned,
) -> ExplainedOffer {
    let judged = matches!(spec.matched.route.strategy, Strategy::CheapestAccepted(_));
    let asked = planned.calls.iter().any(|call| call.offer == offer.name);
    ExplainedOffer {
        position: Some(nth + 1),
        skipped: planned.skips.get(&candidate.offer).filter(|_| !asked).map(|skip| skip.as_str()),
        when: candidate.when.iter().copied().map(AskWhen::as_str).collect(),
        usd_per_picture: Some(candidate.usd),
        usd: Some(standing.usd),
        verdicts: judged.then_some([standing.accepted, standing.rejected]),
        median_ms: standing.service.map(|time| time.as_millis()),
        wait_ms: standing.wait.as_millis(),
        ..at_rest(spec, offer, candidate.offer, now())
    }
}

/// What is known of an offer whatever is asked of it.
fn at_rest(spec: &RoutedRequest, offer: &Offer, index: usize, now: Instant) -> ExplainedOffer {
    let paused = GatewayFacts { spec, place: None }.paused_until(index, 1, now);
    let left = |until: Instant| until.saturating_duration_since(now).as_millis();
    ExplainedOffer {
        offer: offer.name.clone(),
        position: None,
        skipped: None,
        when: Vec::new(),
        usd_per_picture: None,
        usd: None,
        verdicts: None,
        median_ms: None,
        hedge_after_ms: GatewayFacts { spec, place: None }.hedge_after(index, now).map(|time| time.as_millis()),
        wait_ms: 0,
        in_flight: [in_flight(spec, offer), spec.shared.lane(&offer.provider).limit_of(&offer.model.name)],
        paused: paused.map(|paused| (paused.pause.as_str(), left(paused.until))),
    }
}

/// Calls under way at an offer's provider, of all classes.
fn in_flight(spec: &RoutedRequest, offer: &Offer) -> usize {
    let lane = spec.shared.lane(&offer.provider);
    Priority::ALL.into_iter().map(|class| lane.in_flight(class)).sum()
}
