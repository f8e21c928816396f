//! The drawing of one flight: ask offers until every wanted picture is there or nobody is left to ask.
//!
//! Pictures are bought in calls of at most what an offer draws at once, several calls side by side. Offers are asked in
//! the route's order, those that failed this request after those that did not; a full provider spills to the next, and
//! only when every able one is full does the request wait. What was paid for is kept whatever happens to the rest.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use crate::admission::{Room, Slot};
use crate::breaker::Pass;
use crate::canonical::Canonical;
use crate::config::plan::{Offer, Route};
use crate::error::Error;
use crate::failure::{Class, Failure};
use crate::gateway::Shared;
use crate::gateway::attempt::{Attempt, Report};
use crate::gateway::explain::{self, Obstacles};
use crate::gateway::flight::Flight;
use crate::gateway::live::Live;
use crate::money::Usd;
use crate::request::ImageRequest;
use crate::routing::{self, Candidate, Matched, Skip, Standing};

/// What is to be drawn, and for whom.
pub struct Order {
    /// Everything that outlives a config.
    pub shared: Arc<Shared>,
    /// The config in force when the request came.
    pub live: Arc<Live>,
    /// The route and the pinned offer.
    pub matched: Matched,
    /// The request, route defaults filled in.
    pub request: Arc<ImageRequest>,
    /// Where finished pictures are kept; `None` keeps nothing.
    pub keep: Option<Canonical>,
    /// Pictures still to be bought.
    pub missing: u8,
    /// No new call starts after this.
    pub deadline: Instant,
}

/// A call on its way: which candidate, how many pictures.
struct Running {
    candidate: usize,
    n: u8,
    report: Report,
    pass: Pass,
}

type Waiting = FuturesUnordered<BoxFuture<'static, (usize, Option<Slot>)>>;

struct Drawing {
    order: Order,
    flight: Arc<Flight>,
    candidates: Vec<Candidate>,
    failures: Vec<u32>,
    skips: Vec<Option<Skip>>,
    obstacles: Obstacles,
    running: FuturesUnordered<BoxFuture<'static, Running>>,
    waiting: Waiting,
    give_up_waiting: Option<Instant>,
    missing: u8,
    promised: Usd,
    stop: Option<Error>,
}

/// Draws `order` and reports to `flight`.
pub async fn draw(order: Order, flight: Arc<Flight>) {
    let route = order.matched.route.clone();
    let abilities = order.live.abilities(order.matched.index);
    let pinned = order.matched.pinned.as_deref();
    let (candidates, refused) = routing::appraise(&route, abilities, &order.request, pinned);
    let count = candidates.len();
    let missing = order.missing;
    let mut drawing = Drawing {
        order,
        flight,
        candidates,
        failures: vec![0; count],
        skips: vec![None; route.offers.len()],
        obstacles: Obstacles::default(),
        running: FuturesUnordered::new(),
        waiting: FuturesUnordered::new(),
        give_up_waiting: None,
        missing,
        promised: Usd::ZERO,
        stop: None,
    };
    for (offer, skip) in refused {
        drawing.note_skip(offer, skip);
    }
    drawing.run().await;
}

impl Drawing {
    async fn run(mut self) {
        loop {
            self.launch();
            if self.running.is_empty() && self.waiting.is_empty() {
                break;
            }
            let give_up = self.give_up_waiting.unwrap_or(self.order.deadline).min(self.order.deadline);
            tokio::select! {
                Some(done) = self.running.next(), if !self.running.is_empty() => self.land(done),
                Some((candidate, slot)) = self.waiting.next(), if !self.waiting.is_empty() => {
                    if let Some(slot) = slot {
                        self.take_turn(candidate, slot);
                    }
                }
                () = sleep_until(give_up), if !self.waiting.is_empty() => {
                    self.waiting.clear();
                    self.obstacles.waited_in_vain = true;
                }
            }
        }
        let error = (self.missing > 0).then(|| self.explain());
        self.flight.update(|progress| progress.error = error);
    }

    fn route(&self) -> Arc<Route> {
        self.order.matched.route.clone()
    }

    fn offer(&self, candidate: usize) -> Option<Offer> {
        let index = self.candidates.get(candidate)?.offer;
        self.order.matched.route.offers.get(index).cloned()
    }

    /// Starts as many calls as are wanted and possible now.
    fn launch(&mut self) {
        while self.missing > 0 && self.may_start() {
            let Some((candidate, slot, pass)) = self.choose() else {
                self.queue_up();
                return;
            };
            self.start(candidate, slot, pass);
        }
        if self.missing == 0 {
            self.waiting.clear();
        }
    }

    fn may_start(&self) -> bool {
        self.stop.is_none()
            && Instant::now() < self.order.deadline
            && self.failures.iter().sum::<u32>() < self.order.matched.route.max_failures
    }

    /// The first candidate that may be called now; why the others may not is noted.
    fn choose(&mut self) -> Option<(usize, Slot, Pass)> {
        let mut order: Vec<usize> = (0..self.candidates.len()).collect();
        order.sort_by_key(|candidate| self.failures.get(*candidate).copied().unwrap_or(u32::MAX));
        for candidate in order {
            let Some(offer) = self.offer(candidate) else { continue };
            if let Some(skip) = self.against(candidate, &offer) {
                self.note_skip(self.candidates[candidate].offer, skip);
                continue;
            }
            let Some(slot) = self.order.shared.lane(&offer.provider).try_slot() else {
                self.note_skip(self.candidates[candidate].offer, Skip::AtCapacity);
                continue;
            };
            match self.order.shared.breakers.pass(&offer.provider.name, &offer.name, now()) {
                Ok(pass) => return Some((candidate, slot, pass)),
                Err(cooling) => self.note_skip(self.candidates[candidate].offer, Skip::CoolingDown(cooling.pause)),
            }
        }
        None
    }

    /// What stands against asking a candidate now, free slots aside.
    fn against(&mut self, candidate: usize, offer: &Offer) -> Option<Skip> {
        let cooling = self.order.shared.breakers.cooling(&offer.provider.name, &offer.name, now());
        if let Some(cooling) = cooling {
            self.obstacles.note_cooling(cooling.until);
        }
        let failed = self.failures[candidate] >= self.order.matched.route.max_failures_per_offer;
        if let Some(skip) = (Standing { failed, cooling }).skip() {
            return Some(skip);
        }
        let usd = self.candidates[candidate].usd;
        routing::affordable(&self.order.matched.route, usd, self.missing, self.promised).err()
    }

    /// Nobody is free: waits at every able provider that has room in its queue, unless it waits already.
    fn queue_up(&mut self) {
        if !self.waiting.is_empty() || self.obstacles.waited_in_vain {
            return;
        }
        let mut longest = std::time::Duration::ZERO;
        for candidate in 0..self.candidates.len() {
            let Some(offer) = self.offer(candidate) else { continue };
            if self.against(candidate, &offer).is_some() {
                continue;
            }
            match self.order.shared.lane(&offer.provider).ask() {
                Room::Full => {}
                Room::Slot(slot) => {
                    self.waiting.push(Box::pin(std::future::ready((candidate, Some(slot)))));
                }
                Room::Wait(ticket) => {
                    longest = longest.max(offer.provider.concurrency.max_wait);
                    self.waiting.push(Box::pin(async move { (candidate, ticket.await.ok()) }));
                }
            }
        }
        self.give_up_waiting = Some(Instant::now() + longest);
    }

    /// A slot came for a candidate that waited.
    fn take_turn(&mut self, candidate: usize, slot: Slot) {
        let Some(offer) = self.offer(candidate) else { return };
        if self.missing == 0 || !self.may_start() || self.against(candidate, &offer).is_some() {
            return;
        }
        if let Ok(pass) = self.order.shared.breakers.pass(&offer.provider.name, &offer.name, now()) {
            self.start(candidate, slot, pass);
        }
    }

    fn start(&mut self, candidate: usize, slot: Slot, pass: Pass) {
        let Some(offer) = self.offer(candidate) else { return };
        let chosen = self.candidates[candidate].clone();
        let Some(provider) = self.order.live.provider(self.order.matched.index, chosen.offer) else { return };
        let n = self.missing.min(chosen.max_n);
        self.missing -= n;
        self.promised = self.promised.saturating_add(chosen.usd.checked_mul(u32::from(n)).unwrap_or(Usd::ZERO));
        self.skips[chosen.offer] = None;
        let adjusted = chosen.fitted.adjusted.iter().map(ToString::to_string).collect::<Vec<_>>();
        self.flight.update(|progress| {
            progress.attempts += 1;
            progress
                .adjusted
                .extend(adjusted.into_iter().filter(|told| !progress.adjusted.contains(told)).collect::<Vec<_>>());
        });
        let attempt = Attempt {
            shared: self.order.shared.clone(),
            provider,
            offer,
            candidate: chosen,
            request: self.order.request.clone(),
            n,
            body_limit: self.order.live.plan.server.limits.response_body,
        };
        self.running.push(Box::pin(async move {
            let report = attempt.run().await;
            drop(slot);
            Running { candidate, n, report, pass }
        }));
    }

    /// Takes in what a call brought.
    fn land(&mut self, done: Running) {
        let Running { candidate, n, report, pass } = done;
        let limits = self.offer(candidate).map(|offer| offer.provider.breaker);
        match (&report.failure, limits) {
            (Some(failure), Some(limits)) => pass.failed(failure, limits, now()),
            _ => pass.succeeded(),
        }
        let got = u8::try_from(report.pictures.len()).unwrap_or(u8::MAX).min(n);
        self.missing += n - got;
        let estimate = self.candidates[candidate].usd.checked_mul(u32::from(n)).unwrap_or(Usd::ZERO);
        let settled = self.promised.checked_sub(estimate).and_then(|rest| rest.checked_add(report.cost));
        self.promised = settled.unwrap_or(self.promised);
        self.keep(&report);
        if report.refused > 0 || report.failure.as_ref().is_some_and(|failure| failure.class == Class::Policy) {
            self.refused(candidate, report.failure.as_ref());
        } else if let Some(failure) = report.failure {
            self.failed(candidate, failure);
        }
    }

    /// Delivers and caches at once, so that whatever happens later these pictures are not lost.
    fn keep(&mut self, report: &Report) {
        if let (Some(canonical), Some(cache), false) =
            (&self.order.keep, self.order.matched.route.cache, report.pictures.is_empty())
        {
            let kept = self.order.shared.exact.keep(canonical, &report.pictures, cache.ttl, now());
            if !kept {
                log::warn!("pictures of route {} are larger than the cache's share", self.order.matched.route.name);
            }
        }
        self.flight.update(|progress| {
            progress.pictures.extend(report.pictures.iter().cloned());
            progress.cost = progress.cost.saturating_add(report.cost);
        });
    }

    fn refused(&mut self, candidate: usize, failure: Option<&Failure>) {
        if self.route().refusals_go_on {
            self.failures[candidate] = self.order.matched.route.max_failures_per_offer;
            self.obstacles.refused = true;
            return;
        }
        let param = failure.and_then(|failure| failure.param.clone());
        self.stop = Some(explain::refused(param));
    }

    fn failed(&mut self, candidate: usize, failure: Failure) {
        let name = self.offer(candidate).map(|offer| offer.name).unwrap_or_default();
        log::warn!("{name} failed: {failure}");
        if failure.class == Class::CallerInvalid {
            self.stop = Some(explain::caller_invalid(&failure));
            return;
        }
        let hopeless = matches!(
            failure.class,
            Class::Auth
                | Class::Quota
                | Class::RateLimited
                | Class::ModelGone
                | Class::AdapterBug
                | Class::TimeoutAmbiguous
        );
        let failures = &mut self.failures[candidate];
        *failures =
            if hopeless { self.order.matched.route.max_failures_per_offer.max(*failures + 1) } else { *failures + 1 };
        self.obstacles.last_failure = Some(failure);
    }

    /// Counts a reason once per request and offer, and remembers the latest for the answer.
    fn note_skip(&mut self, offer: usize, skip: Skip) {
        let route = self.route();
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
        match self.stop.take() {
            Some(error) => error,
            None => {
                let skips: Vec<Skip> = self.skips.iter().copied().flatten().collect();
                let late = Instant::now() >= self.order.deadline;
                self.obstacles.explain(&skips, &self.order.matched.route.name, late, now())
            }
        }
    }
}

/// The clock as the policies take it; a paused test clock pauses this too.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
