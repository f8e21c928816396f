//! The book of learned pairs of words and its rows in the ledger, and how much may be asked of judges.
//!
//! A pair holds from the moment it is in the book. Its row is handed in then and nobody waits for it, but for what an
//! operator says: that is on disk before it is answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounterVec;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::config::plan::Learn;
use crate::equivalences::{Equivalence, EquivalenceBook, NotAsked, PairQuestion, PairState};
use crate::money::Usd;
use crate::prompt_match::{LearnedPairs, WordPair};
use crate::rate_limit::{RateLimiter, RateUnit};
use crate::spend_window::SpendWindow;
use crate::store::{EquivalenceWrite, Store, StoreError, Unwritten, Write};

/// The time of which `max_usd_per_day` is.
pub const JUDGE_WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Requests whose near misses wait to be asked about. Each has its canonical form in memory, and what is not asked about now
/// comes again if it matters.
const MOST_WAITING: usize = 64;

/// Learned pairs, and how much may be asked.
pub struct EquivalenceRecord {
    book: EquivalenceBook,
    store: Arc<Store>,
    clock: Clock,
    rates: RateLimiter,
    /// What judges cost lately, by route.
    spent: Mutex<HashMap<String, SpendWindow>>,
    /// Room for those that wait.
    waiting: Arc<Semaphore>,
    /// One question at a time, so that what one costs is known before the next.
    turn: Semaphore,
    /// Near misses by route and what came of them: `easel_near_misses_total`.
    outcomes: IntCounterVec,
}

impl EquivalenceRecord {
    /// What the ledger knows. Blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(store: &Arc<Store>, clock: Clock, outcomes: IntCounterVec) -> Result<EquivalenceRecord, StoreError> {
        let book = EquivalenceBook::default();
        book.restore(store.reading(|view| view.equivalences()).wait()?, clock.now());
        Ok(EquivalenceRecord {
            book,
            store: store.clone(),
            clock,
            rates: RateLimiter::default(),
            spent: Mutex::default(),
            waiting: Arc::new(Semaphore::new(MOST_WAITING)),
            turn: Semaphore::new(1),
            outcomes,
        })
    }

    /// The pairs that mean the same to a tenant.
    pub fn approved(&self, tenant: &str) -> Arc<LearnedPairs> {
        self.book.approved(tenant, self.clock.now())
    }

    /// Room for one more request whose near misses are asked about later.
    pub fn room(&self) -> Option<OwnedSemaphorePermit> {
        self.waiting.clone().try_acquire_owned().ok()
    }

    /// Waits until nobody else asks.
    pub async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        // It is never closed.
        self.turn.acquire().await.ok()
    }

    /// A question about a pair, if there is need for it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn ask(&self, tenant: &Arc<str>, pair: &WordPair) -> Result<PairQuestion<'_>, NotAsked> {
        self.book.ask(tenant, pair, self.clock.now())
    }

    /// A judge has answered a question.
    pub fn answered(&self, question: PairQuestion<'_>, same: bool, learn: &Learn) {
        if let Some(known) = question.answered(same, &learn.name, learn.ttl, self.clock.now()) {
            self.store.write_unawaited(Write::Equivalence(EquivalenceWrite::Known(known)));
        }
    }

    /// Takes one of the questions that a route may ask in a minute.
    pub fn take_question(&self, route: &str, learn: &Learn, now: Instant) -> bool {
        self.rates.take(route, RateUnit::Requests, learn.per_minute, 1, now).is_ok()
    }

    /// What is left of the route's money for judges.
    pub fn money_left(&self, route: &str, learn: &Learn, now: Instant) -> Usd {
        self.with_spent(route, now, |spent| spent.left(learn.max_usd_per_day, now))
    }

    /// A judge's answer came to `usd`, or may have.
    pub fn paid(&self, route: &str, usd: Usd, now: Instant) {
        self.with_spent(route, now, |spent| spent.settle(Usd::ZERO, usd, now));
    }

    /// Forgets the rates and the money of routes that are not among these.
    pub fn keep_only(&self, routes: impl Fn(&str) -> bool) {
        self.rates.keep_only(&routes);
        lock(&self.spent).retain(|route, _| routes(route));
    }

    /// Counts what came of a near miss.
    pub fn count(&self, route: &str, outcome: &'static str) {
        self.outcomes.with_label_values(&[route, outcome]).inc();
    }

    /// All pairs.
    pub fn all(&self) -> Vec<Equivalence> {
        self.book.all()
    }

    /// How many pairs there are in each state.
    pub fn counts(&self) -> [(PairState, usize); 3] {
        PairState::ALL.map(|state| (state, self.book.count(state)))
    }

    /// An operator says that two words do not mean the same. Whether there was room for it.
    ///
    /// # Errors
    /// When it is not on disk and the policy is to say so. It holds all the same until the process ends.
    pub async fn strike(&self, tenant: &str, pair: &WordPair) -> Result<bool, Unwritten> {
        let Some(known) = self.book.strike(&tenant.into(), pair, self.clock.now()) else { return Ok(false) };
        self.store.write(Write::Equivalence(EquivalenceWrite::Known(known))).await?;
        Ok(true)
    }

    /// An operator wants nothing to be known of a pair. Whether anything was.
    ///
    /// # Errors
    /// As [`EquivalenceRecord::strike`].
    pub async fn forget(&self, tenant: &str, pair: &WordPair) -> Result<bool, Unwritten> {
        let known = self.book.forget(tenant, pair);
        self.store.write(forgotten(tenant.into(), pair.clone())).await?;
        Ok(known)
    }

    /// Gives up what is over.
    pub fn expire(&self) {
        for Equivalence { tenant, pair, .. } in self.book.expire(self.clock.now()) {
            self.store.write_unawaited(forgotten(tenant, pair));
        }
    }

    fn with_spent<T>(&self, route: &str, now: Instant, act: impl FnOnce(&mut SpendWindow) -> T) -> T {
        let mut spent = lock(&self.spent);
        if let Some(window) = spent.get_mut(route) {
            return act(window);
        }
        act(spent.entry(route.to_owned()).or_insert_with(|| SpendWindow::new(JUDGE_WINDOW, now)))
    }
}

fn forgotten(tenant: Arc<str>, pair: WordPair) -> Write {
    Write::Equivalence(EquivalenceWrite::Forgotten { tenant, pair })
}

/// No code panics while it holds the lock, and each window is whole between statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
