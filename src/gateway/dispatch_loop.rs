//! Performs the dispatch of one flight: takes slots, reserves money, starts calls, waits, and tells [`Dispatch`] what came
//! of it. What is done next is decided there; this is where its actions meet sockets, guards and the clock.
//!
//! A call is never cut off: what was paid for is recorded and kept, even when every client has left meanwhile.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep_until};

use crate::concurrency_limit::Admission;
use crate::config::plan::Priority;
use crate::dispatch::{Action, ChoiceReason, Dispatch, DispatchRules, EventTime};
use crate::error::ErrorKind;
use crate::failure::{Class, Failure};
use crate::gateway::attempt::{Attempt, AttemptReport};
use crate::gateway::dispatch_loop::facts::GatewayFacts;
use crate::gateway::dispatch_loop::reserve::Reserved;
use crate::gateway::dispatch_loop::state::{Completed, DispatchLoop, now};
use crate::gateway::join_few::JoinFew;
use crate::gateway::log_context::within_request;
use crate::gateway::outcome::CallUnderWay;
use crate::gateway::routed_request::RoutedRequest;
use crate::gateway::single_flight::Flight;
use crate::gateway::timeline::{MOST_STEPS, Step, StepKind, note};
use crate::request::ImageRequest;
use crate::routing::Skip;

mod call_completion;
pub mod facts;
mod hedging;
pub mod offer_standing;
mod reserve;
pub mod slot_forecast;
pub mod state;

/// Draws `spec` and reports to `flight`. Returns when nothing more will come for the requests that wait; calls that
/// no request waits for any more end in a task of their own.
pub async fn draw(spec: RoutedRequest, flight: Arc<Flight>) {
    let (candidates, refused) = spec.evaluate_candidates();
    let (candidates, explores) = offer_standing::in_order(&spec, candidates);
    let rules = DispatchRules { explores, ..spec.rules() };
    let dispatch = Dispatch::new(rules, candidates, refused, spec.matched.route.offers.len());
    let (running, waiting, queued_as, arrivals) = (JoinFew::new(), JoinFew::new(), spec.priority, Vec::new());
    let mut dispatch_loop = DispatchLoop {
        spec,
        flight,
        dispatch,
        running,
        waiting,
        arrivals,
        granted: None,
        queued: None,
        waiting_place: None,
        queued_as,
    };
    dispatch_loop.run().await;
    dispatch_loop.leave();
}

impl DispatchLoop {
    async fn run(&mut self) {
        let deadline = loop {
            // A request that joins from here on joins another flight when this one is over.
            let time = self.time();
            self.spec.priority = self.flight.priority();
            self.tell_arrivals();
            match self.dispatch.next(&GatewayFacts { spec: &self.spec, place: self.waiting_place.as_ref() }, time) {
                Action::Start { candidate, places, granted, reason } => {
                    self.start(candidate, places, granted, reason, time);
                }
                Action::ReturnSlot => self.granted = None,
                Action::Queue(candidates) => self.queue_up(&candidates),
                Action::LeaveQueue => {
                    self.waiting.clear();
                    self.tell_waited("left");
                }
                Action::Skipped { offer, skip } => self.tell_skipped(offer, skip),
                Action::GivenUp { candidate } => {
                    log::warn!("{} is slow: not waited for any more, asking the next", self.name(candidate));
                }
                Action::NotHedged { candidate, refusal } => self.tell_not_hedged(candidate, refusal),
                Action::Wait { .. } if !self.may_wait() => self.dispatch.wait_refused(),
                Action::Wait { until } => self.wait(until.map(Instant::from_std)).await,
                Action::Finish => break time.deadline,
            }
        };
        self.tell_waited("gave_up");
        let time = EventTime { deadline, ..self.time() };
        let error = self.dispatch.error(&self.spec.matched.route.name, time, self.spec.shared.clock.now());
        if error.as_ref().is_some_and(|error| error.kind == ErrorKind::Internal) {
            log::error!("a dispatch ended without a reason");
        }
        let late = time.now >= deadline;
        self.flight.update(|progress| (progress.error, progress.out_of_time) = (error, late));
    }

    /// Tells the dispatch of calls whose pictures are there, as far as that is new.
    fn tell_arrivals(&mut self) {
        let dispatch = &mut self.dispatch;
        self.arrivals.retain(|(call, arrived)| {
            let new = arrived.load(Ordering::Acquire);
            if new {
                dispatch.pictures_arrived(*call);
            }
            !new
        });
    }

    /// Waits until a call ends, a slot comes, or it is `until`.
    async fn wait(&mut self, until: Option<Instant>) {
        tokio::select! {
            biased;
            completed = self.running.next() => self.complete(completed),
            (candidate, slot) = self.waiting.next() => match slot {
                Some(slot) => {
                    self.granted = Some(slot);
                    self.tell_waited("granted");
                    self.dispatch.slot_granted(candidate);
                }
                None => self.dispatch.slot_lost(),
            },
            // A live request has joined a batch job: what waits as batch waits as live from now on, and what is late may be
            // hedged.
            () = self.flight.raised(), if self.waits_as_batch() || self.hedges_once_raised() => {
                if self.waits_as_batch() {
                    self.requeue();
                }
            }
            // The moment is only looked at where there is one.
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                let time = self.time();
                self.dispatch.timer(time);
            }
        }
    }

    /// Lets calls that no request waits for any more end by themselves, with all they bring.
    fn leave(mut self) {
        self.waiting_place = None;
        if self.running.is_empty() {
            return;
        }
        self.waiting.clear();
        let (work, late) = (self.spec.shared.work.clone(), self.flight.late_calls());
        let id = self.spec.request_id.clone();
        work.spawn(within_request(id, async move {
            let _late = late;
            while !self.running.is_empty() {
                let completed = self.running.next().await;
                let (pictures, cost) = (completed.report.pictures.len(), completed.report.cost);
                self.complete(completed);
                log::info!("a call nobody waited for brought {pictures} pictures for {cost} USD");
            }
        }));
    }

    fn waits_as_batch(&self) -> bool {
        !self.waiting.is_empty() && self.queued_as == Priority::Batch
    }

    fn hedges_once_raised(&self) -> bool {
        self.spec.priority == Priority::Batch && self.spec.matched.route.hedge.is_some()
    }

    /// Leaves the queues, so that the dispatch asks for the same slots once more.
    fn requeue(&mut self) {
        for _ in 0..self.waiting.len() {
            self.dispatch.slot_lost();
        }
        self.waiting.clear();
    }

    /// Asks these candidates' providers for a slot each.
    fn queue_up(&mut self, candidates: &[usize]) {
        self.queued_as = self.flight.priority();
        let (mut waiting, mut longest) = (0, Duration::ZERO);
        let mut awaited = Vec::new();
        for candidate in candidates.iter().copied() {
            let Some(offer) = self.offer(candidate).cloned() else { continue };
            match self.spec.shared.lane(&offer.provider).admit(&self.claim(&offer)) {
                Admission::Full => continue,
                Admission::Slot(slot) => self.waiting.push(std::future::ready((candidate, Some(slot)))),
                Admission::Wait(ticket) => {
                    longest = longest.max(offer.provider.concurrency.max_wait);
                    if self.spec.snapshot.plan.server.tracing.is_some() && awaited.len() < MOST_STEPS {
                        awaited.push(offer.name.clone());
                    }
                    self.waiting.push(async move { (candidate, ticket.await) });
                }
            }
            waiting += 1;
        }
        if !awaited.is_empty() && self.queued.is_none() {
            self.queued = Some((Instant::now(), awaited));
        }
        self.dispatch.queued(waiting, longest, now());
    }

    /// Notes how long slots were waited for, where they were and the request is traced.
    fn tell_waited(&mut self, result: &'static str) {
        let Some((began, offers)) = self.queued.take() else { return };
        let step = Step { offers, ..Step::ends(StepKind::Queue, result, began) };
        self.flight.update(|progress| note(&mut progress.steps, step));
    }

    /// Starts a call, or tells what the dispatch did not know of when it said so.
    fn start(&mut self, candidate: usize, places: Vec<u8>, granted: bool, reason: ChoiceReason, time: EventTime) {
        let slot = self.granted.take().filter(|_| granted);
        let hedge = match self.reserve_hedge(candidate, places.len(), reason) {
            Ok(hedge) => hedge,
            Err(exceeded) => return self.dispatch.hedge_exceeded(exceeded),
        };
        match self.reserve(candidate, &places, reason, slot) {
            Ok(reserved) => self.send(candidate, places, Reserved { hedge, ..reserved }, reason, time),
            Err(obstacle) => self.dispatch.not_started(candidate, obstacle),
        }
    }

    fn send(&mut self, candidate: usize, places: Vec<u8>, reserved: Reserved, reason: ChoiceReason, time: EventTime) {
        self.waiting_place = None;
        let Reserved { offer, provider, slot, pass, opened, hedge } = reserved;
        self.flight.update(|progress| {
            progress.attempts += 1;
            let (reason, began, asked) = (reason.as_str(), Instant::now(), places.len());
            progress.under_way.push(CallUnderWay { offer: offer.name.clone(), reason, began, asked });
            progress.skipped.retain(|(name, _)| *name != offer.name);
        });
        let attempt = Arc::new(Attempt {
            shared: self.spec.shared.clone(),
            provider,
            request: self.request_for(&places),
            revised_prompt: self.spec.revised_prompt.clone(),
            offer,
            candidate: self.dispatch.candidate(candidate).clone(),
            n: u8::try_from(places.len()).unwrap_or(u8::MAX),
            body_limit: self.spec.snapshot.plan.server.limits.response_body,
            arrived: Arc::default(),
            gate: self.spec.matched.route.quality.clone(),
            max_pixels: self.spec.snapshot.plan.quality.max_pixels,
            route: self.spec.matched.route.name.as_str().into(),
            request_id: self.spec.request_id.clone(),
            memory_reservation: self.spec.shared.transport.replies.reserve(),
            flight: self.flight.clone(),
        });
        let call = self.dispatch.started(candidate, places, time);
        self.arrivals.push((call, attempt.arrived.clone()));
        if reason == ChoiceReason::Hedge {
            log::info!("{} is asked for what another is late with", attempt.offer.name);
            self.flight.update(|progress| progress.hedging = self.dispatch.hedging_usd());
        }
        let edits = self.spec.request.edit.is_some();
        let timing = self.spec.shared.service_times.begin(&attempt.offer.name, edits, time.now);
        self.running.push(async move {
            let began = Instant::now();
            let ended = AssertUnwindSafe(attempt.run(opened)).catch_unwind().await;
            let report = ended.unwrap_or_else(|_| {
                let failure = Failure::new(Class::AdapterBug, "the attempt panicked");
                AttemptReport { failure: Some(failure), ..AttemptReport::default() }
            });
            Completed { call, report, pass, timing, reason, began, hedge, slot }
        });
    }

    /// The request for the pictures at `places`. The same seed would draw the same picture for each of them, so the
    /// seed counts up with the place.
    fn request_for(&self, places: &[u8]) -> Arc<ImageRequest> {
        let seed = self.seed_for(places);
        if seed == self.spec.request.seed {
            return self.spec.request.clone();
        }
        Arc::new(ImageRequest { seed, ..(*self.spec.request).clone() })
    }

    /// The seed of that request, where it has one.
    fn seed_for(&self, places: &[u8]) -> Option<u32> {
        let first = places.first().copied().unwrap_or(0);
        self.spec.request.seed.map(|seed| seed.wrapping_add(u32::from(first)))
    }

    /// Counts why an offer is not asked, and notes it in the flight's progress.
    fn tell_skipped(&self, offer: usize, skip: Skip) {
        let Some(known) = self.spec.matched.route.offers.get(offer) else { return };
        self.spec.shared.metrics.skipped.with_label_values(&[known.provider.name.as_str(), skip.as_str()]).inc();
        self.flight.update(|progress| {
            progress.skipped.retain(|(name, _)| *name != known.name);
            progress.skipped.push((known.name.clone(), skip.as_str()));
        });
    }
}
