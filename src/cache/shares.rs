//! What each tenant and each route holds of the memory, so that none takes more than its share.
//!
//! Who is over its share gives way to itself: of its own pools those go that were asked for longest ago, as far as a sample
//! of them shows. What others hold stays.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use dashmap::DashMap;

/// A queue may have so many entries that lead nowhere besides as many as there are pools, before they are looked for.
const SLACK: usize = 64;

/// A tenant or a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Shareholder {
    /// Who asks.
    Tenant(Arc<str>),
    /// Where it asks.
    Route(Arc<str>),
}

/// How many bytes of pictures each may hold at the most; whoever is not named is bounded by the memory alone.
pub type Shares = HashMap<Shareholder, u64>;

/// What a tenant or a route holds.
#[derive(Default)]
pub(super) struct Holdings {
    bytes: AtomicU64,
    /// The keys of its pools, in the order in which they came or were passed over.
    order: Mutex<VecDeque<u128>>,
}

/// Bytes of a pool that count as somebody's until this is dropped.
pub(super) struct Held {
    of: Arc<Holdings>,
    bytes: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Holdings {
    /// Counts so many bytes.
    pub(super) fn hold(self: &Arc<Holdings>, bytes: u64) -> Held {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Held { of: self.clone(), bytes }
    }

    /// Bytes that it holds.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Notes a pool that is new. `is_there` tells of any whether it still is.
    pub(super) fn joined(&self, key: u128, is_there: impl Fn(u128) -> bool) {
        let mut order = self.lock();
        order.push_back(key);
        if order.len() > SLACK && order.len().is_power_of_two() {
            order.retain(|key| is_there(*key));
        }
    }

    /// The next pool to be looked at, which is passed over unless it is taken out.
    pub(super) fn next(&self) -> Option<u128> {
        self.lock().pop_front()
    }

    /// Passes a pool over.
    pub(super) fn pass_over(&self, key: u128) {
        self.lock().push_back(key);
    }

    /// How many pools may have to be looked at.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<u128>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All holdings, and what each may be.
#[derive(Default)]
pub(super) struct ShareBook {
    shares: RwLock<Arc<Shares>>,
    holdings: DashMap<Shareholder, Arc<Holdings>>,
}

impl ShareBook {
    /// What somebody holds.
    pub(super) fn of(&self, holder: &Shareholder) -> Arc<Holdings> {
        if let Some(known) = self.holdings.get(holder) {
            return known.clone();
        }
        self.holdings.entry(holder.clone()).or_default().clone()
    }

    /// What somebody may hold at the most, where that is said.
    pub(super) fn share(&self, holder: &Shareholder) -> Option<u64> {
        self.shares.read().unwrap_or_else(PoisonError::into_inner).get(holder).copied()
    }

    /// Changes the shares. Gives back who holds more than it may now.
    pub(super) fn resize(&self, shares: Shares) -> Vec<Shareholder> {
        // Whoever left the config and holds nothing any more is forgotten.
        self.holdings.retain(|_, held| held.bytes() > 0 || Arc::strong_count(held) > 1);
        *self.shares.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shares);
        let over = |holder: &Shareholder, held: u64| self.share(holder).is_some_and(|share| held > share);
        let all = self.holdings.iter();
        all.filter(|held| over(held.key(), held.value().bytes())).map(|held| held.key().clone()).collect()
    }

    /// Who holds how many bytes.
    pub(super) fn all(&self) -> Vec<(Shareholder, u64)> {
        self.holdings.iter().map(|held| (held.key().clone(), held.value().bytes())).collect()
    }
}
