//! The drawing of one flight: ask offers until every wanted picture is there or nobody is left to ask.
//!
//! Pictures are bought in calls of at most what an offer draws at once, several calls side by side. Offers are asked in
//! the route's order, those that failed this request after those that did not; a full provider spills to the next, and
//! only when every able one is full does the request wait. A call that takes so long that the deadline is in danger is
//! not waited for while somebody else may be asked, but it is never cut off: what was paid for is recorded and kept,
//! whoever has left meanwhile.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

use crate::admission::{Room, Slot};
use crate::breaker::{Cooling, Pass};
use crate::canonical::Canonical;
use crate::clock;
use crate::config::plan::Offer;
use crate::error::{Error, ErrorKind};
use crate::failure::{Class, Failure};
use crate::gateway::attempt::{Attempt, Report};
use crate::gateway::dispatch_loop::places::Places;
use crate::gateway::explain::Obstacles;
use crate::gateway::flight::Flight;
use crate::gateway::in_flight::InFlight;
use crate::gateway::join_few::Together;
use crate::gateway::journal::Opened;
use crate::gateway::snapshot::Live;
use crate::gateway::{Caller, Shared};
use crate::ledger::Short;
use crate::money::Usd;
use crate::request::ImageRequest;
use crate::routing::{Candidate, Caps, Matched, Skip, Standing};

mod completion;
mod places;
mod reserve;

/// What is to be drawn, and for whom.
pub struct Order {
    /// Everything that outlives a config.
    pub shared: Arc<Shared>,
    /// The config in force when the request came.
    pub live: Arc<Live>,
    /// The route and the pinned offer.
    pub matched: Matched,
    /// The request's own id.
    pub request_id: Arc<str>,
    /// Who asks.
    pub caller: Caller,
    /// What the request may cost.
    pub caps: Caps,
    /// The request, route defaults filled in.
    pub request: Arc<ImageRequest>,
    /// Where finished pictures are kept; `None` keeps nothing.
    pub keep: Option<Canonical>,
    /// The prompt, where it is not the caller's own any more.
    pub revised_prompt: Option<Arc<str>>,
    /// What was paid for it, in advance or not, or may have been.
    pub spent: Usd,
    /// Which of the wanted pictures are to be bought; the others are there already.
    pub open: BTreeSet<u8>,
    /// When the one it was ordered for stops waiting. Others on the flight may wait longer.
    pub deadline: Instant,
}

/// A call that has ended.
struct Completed {
    call: u32,
    report: Report,
    pass: Pass,
}

/// A candidate that may be called now, with all that it takes.
struct Chosen {
    candidate: usize,
    slot: Slot,
    pass: Pass,
    opened: Opened,
    /// Which of the wanted pictures it will draw.
    places: Vec<u8>,
}

/// How a candidate did for this request.
#[derive(Clone, Copy, Default)]
struct Tried {
    failures: u32,
    /// Asking again is pointless, however many failures the route allows.
    out: bool,
    /// How long its last call took.
    took: Duration,
}

/// What stands against asking a candidate, and the facts behind it.
#[derive(Default)]
struct Bar {
    skip: Option<Skip>,
    cooling: Option<Cooling>,
    short: Option<Short>,
}

struct DispatchLoop {
    order: Order,
    flight: Arc<Flight>,
    candidates: Vec<Candidate>,
    tried: Vec<Tried>,
    skips: Vec<Option<Skip>>,
    obstacles: Obstacles,
    running: Together<Completed>,
    in_flight: InFlight,
    waiting: Together<(usize, Option<Slot>)>,
    give_up_waiting: Option<Instant>,
    places: Places,
    promised: Usd,
    stop: Option<Error>,
}

/// Draws `order` and reports to `flight`. Returns when nothing more will come for those who wait; calls that nobody
/// waits for any more end in a task of their own.
pub async fn draw(order: Order, flight: Arc<Flight>) {
    let route = order.matched.route.clone();
    let (candidates, refused) = order.appraise();
    let mut dispatch = DispatchLoop {
        places: Places::new(order.request.n, order.request.seed.is_some(), order.open.clone()),
        promised: order.spent,
        order,
        flight,
        tried: vec![Tried::default(); candidates.len()],
        candidates,
        skips: vec![None; route.offers.len()],
        obstacles: Obstacles::default(),
        running: Together::new(),
        in_flight: InFlight::default(),
        waiting: Together::new(),
        give_up_waiting: None,
        stop: None,
    };
    for (offer, skip) in refused {
        dispatch.note_skip(offer, skip);
    }
    dispatch.run().await;
    dispatch.leave();
}

impl DispatchLoop {
    async fn run(&mut self) {
        let deadline = loop {
            // A request that joins from here on joins another flight when this one is over.
            let deadline = self.flight.deadline();
            self.lose_patience();
            self.launch();
            if self.is_over() {
                break deadline;
            }
            let (overdue, give_up) = (self.in_flight.next_look(Instant::now()), self.waits_until());
            tokio::select! {
                biased;
                completed = self.running.next() => self.complete(completed),
                (candidate, slot) = self.waiting.next() => {
                    if let Some(slot) = slot {
                        self.take_turn(candidate, slot);
                    }
                }
                () = sleep_until(overdue.unwrap_or(deadline)), if overdue.is_some() => {}
                () = sleep_until(give_up), if !self.waiting.is_empty() => self.wait_no_longer(),
            }
        };
        let error = (!self.places.complete()).then(|| self.explain());
        let late = Instant::now() >= deadline;
        self.flight.update(|progress| (progress.error, progress.out_of_time) = (error, late));
    }

    /// Whether nothing more will come for those who wait.
    fn is_over(&self) -> bool {
        let none = self.flight.glance(|progress| progress.pictures.is_empty());
        let idle = self.running.is_empty() && self.waiting.is_empty();
        // A refusal goes back at once; pictures that are there are worth waiting for their sisters.
        self.places.complete() || idle || (self.stop.is_some() && none)
    }

    /// How long a slot is waited for.
    fn waits_until(&self) -> Instant {
        let deadline = self.flight.deadline();
        self.give_up_waiting.unwrap_or(deadline).min(deadline)
    }

    /// Gives up waiting for a slot, unless somebody has boarded meanwhile who has more time.
    fn wait_no_longer(&mut self) {
        if Instant::now() >= self.waits_until() {
            self.waiting.clear();
            self.obstacles.waited_in_vain = true;
        }
    }

    /// Lets calls nobody waits for any more end by themselves, with all they bring.
    fn leave(mut self) {
        if self.running.is_empty() {
            return;
        }
        self.waiting.clear();
        let work = self.order.shared.work.clone();
        work.spawn(async move {
            while !self.running.is_empty() {
                let completed = self.running.next().await;
                let (pictures, cost) = (completed.report.pictures.len(), completed.report.cost);
                self.complete(completed);
                log::info!("a call nobody waited for brought {pictures} pictures for {cost} USD");
            }
        });
    }

    fn offer(&self, candidate: usize) -> Option<&Offer> {
        let index = self.candidates.get(candidate)?.offer;
        self.order.matched.route.offers.get(index)
    }

    /// Starts as many calls as are wanted and possible now.
    fn launch(&mut self) {
        while self.places.open() > 0 && self.may_start() {
            let Some(chosen) = self.choose() else {
                self.queue_up();
                return;
            };
            self.start(chosen);
        }
        self.waiting.clear();
    }

    /// Several failures of one offer at once are one piece of news, so each offer's count is bounded.
    fn may_start(&self) -> bool {
        let route = &self.order.matched.route;
        let failures: u32 = self.tried.iter().map(|tried| tried.failures.min(route.max_failures_per_offer)).sum();
        self.stop.is_none() && Instant::now() < self.flight.deadline() && failures < route.max_failures
    }

    /// The first candidate that may be called now; why the others may not is noted.
    fn choose(&mut self) -> Option<Chosen> {
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        order.sort_by_key(|candidate| self.tried[*candidate].failures);
        for candidate in order {
            let Some(offer) = self.offer(candidate).cloned() else { continue };
            let skip = match self.against(candidate, &offer) {
                Some(skip) => skip,
                None => match self.order.shared.lane(&offer.provider).try_slot() {
                    None => Skip::AtCapacity,
                    Some(slot) => match self.buy(candidate, &offer, slot) {
                        Ok(chosen) => return Some(chosen),
                        Err(skip) => skip,
                    },
                },
            };
            self.note_skip(self.candidates[candidate].offer, skip);
        }
        None
    }

    /// What stands against asking a candidate now, free slots aside. It is remembered for the answer.
    fn against(&mut self, candidate: usize, offer: &Offer) -> Option<Skip> {
        let Bar { skip, cooling, short } = self.bar(candidate, offer, self.places.open());
        if let Some(cooling) = cooling {
            self.obstacles.note_cooling(cooling);
        }
        if let Some(short) = short {
            self.obstacles.note_short(short);
        }
        skip
    }

    /// The same for a call for so many pictures, only looked at.
    fn bar(&self, candidate: usize, offer: &Offer, pictures: u8) -> Bar {
        let cooling = self.order.shared.breakers.cooling(self.order.asked(offer), now());
        if let Some(skip) = (Standing { failed: self.is_out(candidate), cooling }).skip() {
            return Bar { skip: Some(skip), cooling, short: None };
        }
        if !self.order.shared.journal.may_pay() {
            return Bar { skip: Some(Skip::LedgerUnwritable), ..Bar::default() };
        }
        if let Err(skip) = self.order.caps.affordable(self.candidates[candidate].usd, pictures, self.promised) {
            return Bar { skip: Some(skip), ..Bar::default() };
        }
        let short = self.short(candidate, offer, pictures);
        Bar { skip: short.as_ref().map(|_| Skip::OverBudget), cooling: None, short }
    }

    fn is_out(&self, candidate: usize) -> bool {
        let tried = self.tried[candidate];
        tried.out || tried.failures >= self.order.matched.route.max_failures_per_offer
    }

    /// Nobody is free: waits at every able provider that has room in its queue, unless it waits already.
    fn queue_up(&mut self) {
        if !self.waiting.is_empty() || self.obstacles.waited_in_vain {
            return;
        }
        let mut longest = Duration::ZERO;
        for candidate in 0..self.candidates.len() {
            let Some(offer) = self.offer(candidate).cloned() else { continue };
            if self.against(candidate, &offer).is_some() {
                continue;
            }
            match self.order.shared.lane(&offer.provider).ask() {
                Room::Full => {}
                Room::Slot(slot) => {
                    self.waiting.push(std::future::ready((candidate, Some(slot))));
                }
                Room::Wait(ticket) => {
                    longest = longest.max(offer.provider.concurrency.max_wait);
                    self.waiting.push(async move { (candidate, ticket.await.ok()) });
                }
            }
        }
        self.give_up_waiting = Some(Instant::now() + longest);
    }

    /// A slot came for a candidate that waited.
    fn take_turn(&mut self, candidate: usize, slot: Slot) {
        let Some(offer) = self.offer(candidate).cloned() else { return };
        if self.places.open() == 0 || !self.may_start() || self.against(candidate, &offer).is_some() {
            return;
        }
        match self.buy(candidate, &offer, slot) {
            Ok(chosen) => self.start(chosen),
            Err(skip) => self.note_skip(self.candidates[candidate].offer, skip),
        }
    }

    fn start(&mut self, bought: Chosen) {
        let Chosen { candidate, slot, pass, opened, places } = bought;
        let chosen = self.candidates[candidate].clone();
        let index = self.order.matched.index;
        let (offer, provider) = (self.offer(candidate).cloned(), self.order.live.provider(index, chosen.offer));
        let (Some(offer), Some(provider)) = (offer, provider) else {
            // Whatever was chosen exists; if it did not, nothing is sent and nothing stays promised.
            self.order.shared.journal.release(opened.unsent());
            return;
        };
        self.places.begin(&places);
        let n = u8::try_from(places.len()).unwrap_or(u8::MAX);
        self.promised = self.promised.saturating_add(chosen.usd.checked_mul(u32::from(n)).unwrap_or(Usd::ZERO));
        self.skips[chosen.offer] = None;
        self.flight.update(|progress| {
            progress.attempts += 1;
            progress.skipped.retain(|(name, _)| *name != offer.name);
        });
        let attempt = Arc::new(Attempt {
            shared: self.order.shared.clone(),
            provider,
            request: self.request_for(&places),
            revised_prompt: self.order.revised_prompt.clone(),
            offer,
            candidate: chosen,
            n,
            body_limit: self.order.live.plan.server.limits.response_body,
            tab: self.order.shared.transport.replies.tab(),
            flight: self.flight.clone(),
        });
        let call = self.in_flight.begin(candidate, places, Instant::now(), self.patience());
        self.running.push(async move {
            let ended = AssertUnwindSafe(attempt.run(opened)).catch_unwind().await;
            drop(slot);
            let report = ended.unwrap_or_else(|_| {
                let failure = Failure::new(Class::AdapterBug, "the attempt panicked");
                Report { failure: Some(failure), ..Report::default() }
            });
            Completed { call, report, pass }
        });
    }

    /// The deadline that a call is held against: of all requests in the flight, the one it was ordered for has the least
    /// time left, and somebody else must be asked early enough for that one too.
    fn patience(&self) -> Instant {
        if Instant::now() < self.order.deadline { self.order.deadline } else { self.flight.deadline() }
    }

    /// The request for the pictures at `places`. The same seed would draw the same picture for each of them, so the
    /// seed counts up with the place.
    fn request_for(&self, places: &[u8]) -> Arc<ImageRequest> {
        let first = places.first().copied().unwrap_or(0);
        match self.order.request.seed {
            Some(seed) if first > 0 => {
                let seed = Some(seed.wrapping_add(u32::from(first)));
                Arc::new(ImageRequest { seed, ..(*self.order.request).clone() })
            }
            _ => self.order.request.clone(),
        }
    }

    /// Calls that are overdue are not waited for any more, if there is somebody else who can be asked. They go on.
    fn lose_patience(&mut self) {
        for (call, slow, pictures) in self.in_flight.overdue(Instant::now()) {
            let mut others = (0..self.candidates.len()).filter(|other| *other != slow);
            if !self.may_start() || !others.any(|other| self.is_hopeful(other, pictures)) {
                continue;
            }
            let places = self.in_flight.give_up(call);
            self.places.give_back(&places);
            self.tried[slow].failures += 1;
            self.tried[slow].out = true;
            let name = self.offer(slow).map(|offer| offer.name.clone()).unwrap_or_default();
            log::warn!("{name} is slow: not waited for any more, asking the next");
            self.obstacles.note_failure(Failure::new(Class::TimeoutAmbiguous, "no reply in half the time left"));
        }
    }

    /// Whether asking this one in place of a slow one is worth its price: it is not being waited for itself, was not
    /// too slow before, and nothing stands against asking it for so many pictures now.
    fn is_hopeful(&self, candidate: usize, pictures: u8) -> bool {
        let left = self.flight.deadline().saturating_duration_since(Instant::now());
        let Some(offer) = self.offer(candidate) else { return false };
        !self.in_flight.asks(candidate)
            && self.tried[candidate].took < left
            && self.order.shared.lane(&offer.provider).has_room()
            && self.bar(candidate, offer, pictures).skip.is_none()
    }

    /// Counts a reason once per request and offer, and remembers the latest for the answer.
    fn note_skip(&mut self, offer: usize, skip: Skip) {
        let route = self.order.matched.route.clone();
        let Some(known) = route.offers.get(offer) else { return };
        if self.skips[offer].map(Skip::word) != Some(skip.word()) {
            self.order.shared.metrics.skipped.with_label_values(&[known.provider.name.as_str(), skip.word()]).inc();
            self.flight.update(|progress| {
                progress.skipped.retain(|(name, _)| *name != known.name);
                progress.skipped.push((known.name.clone(), skip.word()));
            });
        }
        self.skips[offer] = Some(skip);
    }

    fn explain(&mut self) -> Error {
        if let Some(error) = self.stop.take() {
            return error;
        }
        let skips: Vec<Skip> = self.skips.iter().copied().flatten().collect();
        let late = Instant::now() >= self.flight.deadline();
        let error = self.obstacles.explain(&skips, &self.order.matched.route.name, late, now(), clock::now());
        if error.kind == ErrorKind::Internal {
            log::error!("a drawing ended without a reason");
        }
        error
    }
}

/// The clock as the policies take it; a paused test clock pauses this too.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
