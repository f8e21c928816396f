//! The table of keys: one entry a key, in the order of age by tenant, bounded in keys, bytes and time.
//!
//! What is under way is never dropped: somebody pays for it. When a bound is reached, the oldest goes first of the tenant
//! that holds the most, so that no tenant pushes another's keys out. Too many bytes cost answers their pictures and no
//! key is forgotten for it: its next request is told so, and nothing is bought twice. Too many keys cost whole keys, and
//! that is counted, because a request with a forgotten key is drawn and paid for as a first one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::calendar::Moment;
use crate::idempotency::key::{KeyName, KeyRefusal, KeyState};

/// How much the table may hold, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long a key stands for its request, from when that came.
    pub window: Duration,
    /// Keys at most.
    pub keys: usize,
    /// Bytes of answers at most.
    pub bytes: u64,
}

/// What a request with a key is to do.
#[derive(Debug)]
pub enum Begin<W> {
    /// It is the first: it is drawn.
    First(W),
    /// The first is under way: wait for it.
    Join(W),
    /// The first was answered: answer the same. When the key began.
    Replay(Moment),
    /// Neither, and why.
    Refused(KeyRefusal),
}

/// How the first request of a key ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyEnd {
    /// It was answered, and this many bytes are kept to answer again.
    Answered(u64),
    /// It was answered, and nothing is kept.
    Gone,
    /// It failed and was, or may have been, paid for.
    Failed,
    /// Nobody knows.
    Interrupted,
    /// It failed and cost nothing: the key is free again.
    Forgotten,
}

/// What was removed of the table, to be removed from disk as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Which key.
    pub name: KeyName,
    /// When it began.
    pub begun: Moment,
    /// What of it.
    pub part: RemovedPart,
}

/// What of a key was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedPart {
    /// All of it.
    Key,
    /// Its answer's pictures.
    Pictures,
}

/// A key as the ledger remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredKey {
    /// Its name.
    pub name: KeyName,
    /// Whose it is.
    pub tenant: Arc<str>,
    /// The digest of its request.
    pub digest: [u8; 32],
    /// When it began.
    pub begun: Moment,
    /// How it stands.
    pub state: KeyState,
    /// Bytes of its answer that are kept.
    pub bytes: u64,
}

/// How many were dropped before their time, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Keys.
    pub keys: u64,
    /// Answers whose pictures were dropped, or were too much from the beginning.
    pub pictures: u64,
}

/// Every key that stands for a request. `W` is what a request that joins another waits by.
pub struct KeyTable<W> {
    bounds: Bounds,
    entries: HashMap<KeyName, KeyEntry<W>>,
    tenants: BTreeMap<Arc<str>, TenantKeys>,
    bytes: u64,
    dropped: Dropped,
    removed: Vec<Removed>,
}

struct KeyEntry<W> {
    tenant: Arc<str>,
    digest: [u8; 32],
    begun: Moment,
    state: EntryState<W>,
}

enum EntryState<W> {
    UnderWay(W),
    Answered(u64),
    Refused(KeyRefusal),
}

/// What a tenant holds, without what is under way.
#[derive(Default)]
struct TenantKeys {
    by_age: BTreeSet<(Moment, KeyName)>,
    answers: BTreeSet<(Moment, KeyName)>,
    bytes: u64,
}

impl<W: Clone> KeyTable<W> {
    /// A table without keys.
    pub fn new(bounds: Bounds) -> KeyTable<W> {
        KeyTable {
            bounds,
            entries: HashMap::new(),
            tenants: BTreeMap::new(),
            bytes: 0,
            dropped: Dropped::default(),
            removed: Vec::new(),
        }
    }

    /// What a request does that came now with the key `name` of `tenant`, `digest` being what it asks for. `waiter` is
    /// what those wait by that join it, if it is the first.
    pub fn begin(
        &mut self,
        name: KeyName,
        tenant: &Arc<str>,
        digest: [u8; 32],
        now: Moment,
        waiter: impl FnOnce() -> W,
    ) -> Begin<W> {
        self.expire(now);
        if let Some(entry) = self.entries.get(&name) {
            return match &entry.state {
                _ if entry.digest != digest => Begin::Refused(KeyRefusal::Reused),
                EntryState::UnderWay(waiter) => Begin::Join(waiter.clone()),
                EntryState::Answered(_) => Begin::Replay(entry.begun),
                EntryState::Refused(why) => Begin::Refused(*why),
            };
        }
        let waiter = waiter();
        let state = EntryState::UnderWay(waiter.clone());
        self.entries.insert(name, KeyEntry { tenant: tenant.clone(), digest, begun: now, state });
        self.shrink();
        Begin::First(waiter)
    }

    /// The first request of a key ended. Nothing happens to a key that is not under way.
    pub fn end(&mut self, name: KeyName, end: KeyEnd) {
        let Some(entry) = self.entries.get(&name).filter(|entry| matches!(entry.state, EntryState::UnderWay(_))) else {
            return;
        };
        let (tenant, begun) = (entry.tenant.clone(), entry.begun);
        let state = match end {
            KeyEnd::Forgotten => {
                self.entries.remove(&name);
                return;
            }
            KeyEnd::Answered(bytes) if bytes <= self.bounds.bytes => EntryState::Answered(bytes),
            KeyEnd::Answered(_) | KeyEnd::Gone => {
                if let KeyEnd::Answered(_) = end {
                    self.removed.push(Removed { name, begun, part: RemovedPart::Pictures });
                }
                self.dropped.pictures += 1;
                EntryState::Refused(KeyRefusal::Gone)
            }
            KeyEnd::Failed => EntryState::Refused(KeyRefusal::Failed),
            KeyEnd::Interrupted => EntryState::Refused(KeyRefusal::Interrupted),
        };
        self.settle(name, &tenant, begun, state);
        self.shrink();
    }

    /// The pictures of an answer could not be found: its next request is told so.
    pub fn lost(&mut self, name: KeyName) {
        if let Some(entry) = self.entries.get(&name)
            && let EntryState::Answered(_) = entry.state
        {
            let (tenant, begun) = (entry.tenant.clone(), entry.begun);
            self.drop_pictures(&tenant, begun, name);
        }
    }

    /// Takes up a key that an earlier process left. What is under way there is none of these.
    pub fn restore(&mut self, key: RestoredKey) {
        let RestoredKey { name, tenant, digest, begun, state, bytes } = key;
        let state = match state {
            KeyState::Answered => EntryState::Answered(bytes),
            KeyState::Gone => EntryState::Refused(KeyRefusal::Gone),
            KeyState::Failed => EntryState::Refused(KeyRefusal::Failed),
            KeyState::UnderWay | KeyState::Interrupted => EntryState::Refused(KeyRefusal::Interrupted),
        };
        let kept = EntryState::Refused(KeyRefusal::Interrupted);
        self.entries.insert(name, KeyEntry { tenant: tenant.clone(), digest, begun, state: kept });
        self.settle(name, &tenant, begun, state);
    }

    /// The keys whose first request is under way.
    pub fn under_way(&self) -> Vec<KeyName> {
        let under_way = |entry: &KeyEntry<W>| matches!(entry.state, EntryState::UnderWay(_));
        self.entries.iter().filter(|(_, entry)| under_way(entry)).map(|(name, _)| *name).collect()
    }

    /// Whether a key stands for a request.
    pub fn knows(&self, name: &KeyName) -> bool {
        self.entries.contains_key(name)
    }

    /// Forgets the keys whose window is over.
    pub fn expire(&mut self, now: Moment) {
        let window = self.bounds.window;
        let oldest = |keys: &TenantKeys| keys.by_age.first().copied().filter(|(begun, _)| begun.after(window) <= now);
        let old: Vec<Arc<str>> =
            self.tenants.iter().filter(|(_, keys)| oldest(keys).is_some()).map(|(tenant, _)| tenant.clone()).collect();
        for tenant in old {
            while let Some((begun, name)) = self.tenants.get(&tenant).and_then(oldest) {
                self.forget(&tenant, begun, name);
            }
        }
    }

    /// Changes the bounds. What is too much goes at once.
    pub fn resize(&mut self, bounds: Bounds, now: Moment) {
        self.bounds = bounds;
        self.expire(now);
        self.shrink();
    }

    /// What was removed since the last time.
    pub fn take_removed(&mut self) -> Vec<Removed> {
        std::mem::take(&mut self.removed)
    }

    /// Whether an answer of so many bytes can be kept at all.
    pub fn fits(&self, bytes: u64) -> bool {
        bytes <= self.bounds.bytes
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of answers.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many were dropped before their time.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    fn settle(&mut self, name: KeyName, tenant: &Arc<str>, begun: Moment, state: EntryState<W>) {
        let keys = self.tenants.entry(tenant.clone()).or_default();
        keys.by_age.insert((begun, name));
        if let EntryState::Answered(bytes) = state {
            keys.answers.insert((begun, name));
            keys.bytes += bytes;
            self.bytes += bytes;
        }
        if let Some(entry) = self.entries.get_mut(&name) {
            entry.state = state;
        }
    }

    /// Keeps the bounds.
    fn shrink(&mut self) {
        while self.bytes > self.bounds.bytes {
            let most = self.tenants.iter().max_by_key(|(_, keys)| keys.bytes);
            let oldest = most.and_then(|(tenant, keys)| Some((tenant.clone(), keys.answers.first().copied()?)));
            let Some((tenant, (begun, name))) = oldest else { break };
            self.drop_pictures(&tenant, begun, name);
        }
        while self.entries.len() > self.bounds.keys {
            let most = self.tenants.iter().max_by_key(|(_, keys)| keys.by_age.len());
            let oldest = most.and_then(|(tenant, keys)| Some((tenant.clone(), keys.by_age.first().copied()?)));
            // What is left is under way, which is bounded by the requests in flight.
            let Some((tenant, (begun, name))) = oldest else { break };
            self.dropped.keys += 1;
            self.forget(&tenant, begun, name);
        }
    }

    fn drop_pictures(&mut self, tenant: &Arc<str>, begun: Moment, name: KeyName) {
        self.release_answer(tenant, begun, name);
        if let Some(entry) = self.entries.get_mut(&name) {
            entry.state = EntryState::Refused(KeyRefusal::Gone);
        }
        self.dropped.pictures += 1;
        self.removed.push(Removed { name, begun, part: RemovedPart::Pictures });
    }

    fn forget(&mut self, tenant: &Arc<str>, begun: Moment, name: KeyName) {
        self.release_answer(tenant, begun, name);
        if let Some(keys) = self.tenants.get_mut(tenant) {
            keys.by_age.remove(&(begun, name));
            if keys.by_age.is_empty() {
                self.tenants.remove(tenant);
            }
        }
        self.entries.remove(&name);
        self.removed.push(Removed { name, begun, part: RemovedPart::Key });
    }

    /// Takes the bytes of an answer out of the sums.
    fn release_answer(&mut self, tenant: &Arc<str>, begun: Moment, name: KeyName) {
        let Some(KeyEntry { state: EntryState::Answered(bytes), .. }) = self.entries.get(&name) else { return };
        self.bytes -= bytes;
        if let Some(keys) = self.tenants.get_mut(tenant) {
            keys.answers.remove(&(begun, name));
            keys.bytes -= bytes;
        }
    }
}

/// The table's sums counted anew.
#[cfg(test)]
pub(super) struct Audit {
    pub(super) bounds: Bounds,
    pub(super) under_way: usize,
    /// Bytes by the entries.
    pub(super) answered: u64,
    /// Keys in the order of age.
    pub(super) listed: usize,
    /// Bytes by tenant.
    pub(super) tenants: Vec<(Arc<str>, u64)>,
}

#[cfg(test)]
impl<W> KeyTable<W> {
    pub(super) fn audit(&self) -> Audit {
        let bytes = |entry: &KeyEntry<W>| if let EntryState::Answered(bytes) = entry.state { bytes } else { 0 };
        Audit {
            bounds: self.bounds,
            under_way: self.entries.values().filter(|entry| matches!(entry.state, EntryState::UnderWay(_))).count(),
            answered: self.entries.values().map(bytes).sum(),
            listed: self.tenants.values().map(|keys| keys.by_age.len()).sum(),
            tenants: self.tenants.iter().map(|(tenant, keys)| (tenant.clone(), keys.bytes)).collect(),
        }
    }
}
