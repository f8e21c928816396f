//! What was spent and drawn in the present day or month, for everything that is counted: budgets, volume tiers,
//! commitments.
//!
//! A counter begins again when its period is over. It starts from what a record on disk says, if there is one, and
//! what is under way is part of it, so that nothing that was promised is promised twice. A clock may leap ahead and be
//! set back: what was settled belongs to the period of its moment, and each period that is come back to is as it was
//! left.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use crate::calendar::{Moment, Per, Period, Zone};
use crate::ledger::entry::{Entry, Owner, Settlement};
use crate::money::Usd;

/// Periods that a counter remembers besides the present one: a clock that wanders for two months by the day.
const REMEMBERED: usize = 64;

/// Over what is counted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CounterScope {
    /// All that is done for one client.
    Client(Arc<str>),
    /// All that is done on one route.
    Route(Arc<str>),
    /// All that one provider does.
    Provider(Arc<str>),
    /// All that one model of a provider does.
    Model(Arc<str>, Arc<str>),
}

impl CounterScope {
    /// All scopes that an owner's attempts count in.
    pub fn of(owner: &Owner) -> [CounterScope; 4] {
        let Owner { tenant, route, provider, model } = owner;
        [
            CounterScope::Client(tenant.clone()),
            CounterScope::Route(route.clone()),
            CounterScope::Provider(provider.clone()),
            CounterScope::Model(provider.clone(), model.clone()),
        ]
    }

    /// Whether an owner's attempts count in it.
    pub fn covers(&self, owner: &Owner) -> bool {
        match self {
            CounterScope::Client(name) => *name == owner.tenant,
            CounterScope::Route(name) => *name == owner.route,
            CounterScope::Provider(name) => *name == owner.provider,
            CounterScope::Model(provider, model) => *provider == owner.provider && *model == owner.model,
        }
    }
}

impl fmt::Display for CounterScope {
    /// As messages and metrics name it: `client:web`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CounterScope::Client(name) => write!(f, "client:{name}"),
            CounterScope::Route(name) => write!(f, "route:{name}"),
            CounterScope::Provider(name) => write!(f, "provider:{name}"),
            CounterScope::Model(provider, model) => write!(f, "model:{provider}/{model}"),
        }
    }
}

/// What one counter counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterKey {
    /// Over what.
    pub scope: CounterScope,
    /// How often it begins again.
    pub per: Per,
    /// Whose midnight that is.
    pub zone: Zone,
}

impl fmt::Display for CounterKey {
    /// As alerts name it: `client:web/day`, `client:web/day/Asia/Tokyo`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scope, self.per.as_str())?;
        if self.zone == Zone::default() { Ok(()) } else { write!(f, "/{}", self.zone) }
    }
}

/// Money and pictures that were settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CounterSum {
    /// Added to invoices.
    pub usd: Usd,
    /// Taken from commitments.
    pub prepaid: Usd,
    /// Possibly charged.
    pub uncertain: Usd,
    /// Pictures charged.
    pub billed: u64,
}

impl CounterSum {
    fn of(settlement: &Settlement) -> CounterSum {
        let Settlement { usd, prepaid, uncertain, billed, .. } = *settlement;
        CounterSum { usd, prepaid, uncertain, billed: u64::from(billed) }
    }

    /// Both together. Amounts that do not fit stop at the largest: a limit that far off is passed in any case.
    pub fn plus(self, other: CounterSum) -> CounterSum {
        CounterSum {
            usd: self.usd.saturating_add(other.usd),
            prepaid: self.prepaid.saturating_add(other.prepaid),
            uncertain: self.uncertain.saturating_add(other.uncertain),
            billed: self.billed.saturating_add(other.billed),
        }
    }

    /// What came after `before`, of which this is the sum too.
    fn since(self, before: CounterSum) -> CounterSum {
        let less = |now: Usd, before: Usd| now.checked_sub(before).unwrap_or(Usd::ZERO);
        CounterSum {
            usd: less(self.usd, before.usd),
            prepaid: less(self.prepaid, before.prepaid),
            uncertain: less(self.uncertain, before.uncertain),
            billed: self.billed.saturating_sub(before.billed),
        }
    }

    /// All that counts against a budget: what was paid, in advance or not, and what may have to be.
    pub fn spent(&self) -> Usd {
        self.usd.saturating_add(self.prepaid).saturating_add(self.uncertain)
    }
}

/// One counter, as it stands.
#[derive(Clone, Debug)]
pub struct Counter {
    /// What it counts.
    pub key: CounterKey,
    /// The present period.
    pub period: Period,
    /// Settled in it.
    pub settled: CounterSum,
    /// Promised to attempts under way.
    pub reserved: Usd,
    /// Pictures of attempts under way.
    pub under_way: u64,
    /// Settled in other periods, by their start, as far as the clock was there; the latest left last.
    others: VecDeque<(Moment, CounterSum)>,
    /// The first moment of the earliest period that it was begun for. Of what was settled before it knows nothing.
    known_from: Moment,
    /// Whether the present period is one of those that only the record knows of.
    unknown: bool,
}

impl Counter {
    fn new(key: CounterKey, now: Moment) -> Counter {
        let period = key.per.period(&key.zone, now);
        let (others, known_from) = (VecDeque::new(), period.start);
        let (settled, reserved) = (CounterSum::default(), Usd::ZERO);
        Counter { key, period, settled, reserved, under_way: 0, others, known_from, unknown: false }
    }

    /// Goes on in the period of `now`, which may be a later or, by a clock that was set back, an earlier one.
    fn turn(&mut self, now: Moment) {
        if self.period.holds(now) {
            return;
        }
        let left = (self.period.start, std::mem::take(&mut self.settled));
        self.period = self.key.per.period(&self.key.zone, now);
        if let Some(at) = self.others.iter().position(|(start, _)| *start == self.period.start) {
            self.settled = self.others.remove(at).map(|(_, sum)| sum).unwrap_or_default();
        } else if self.period.start < self.known_from {
            (self.known_from, self.unknown) = (self.period.start, true);
        }
        if self.others.len() >= REMEMBERED {
            self.others.pop_front();
        }
        self.others.push_back(left);
    }

    /// What was settled in the period of `at`, where that is remembered.
    fn settled_at(&mut self, at: Moment) -> Option<&mut CounterSum> {
        if self.period.holds(at) {
            return Some(&mut self.settled);
        }
        let start = self.key.per.period(&self.key.zone, at).start;
        self.others.iter_mut().find(|(known, _)| *known == start).map(|(_, sum)| sum)
    }

    /// What is spent or promised.
    pub fn used(&self) -> Usd {
        self.settled.spent().saturating_add(self.reserved)
    }

    /// What is neither spent nor promised of `limit`.
    pub fn left(&self, limit: Usd) -> Usd {
        left(limit, self.used())
    }
}

/// A budget as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgeted {
    /// What it counts.
    pub key: CounterKey,
    /// How much it is.
    pub limit: Usd,
    /// What is spent or promised of it.
    pub used: Usd,
}

impl Budgeted {
    /// What is neither spent nor promised of it.
    pub fn left(&self) -> Usd {
        left(self.limit, self.used)
    }
}

fn left(limit: Usd, used: Usd) -> Usd {
    limit.checked_sub(used).map_or(Usd::ZERO, |left| left.max(Usd::ZERO))
}

/// A counter that a record is asked about.
#[derive(Clone, Debug)]
pub(super) struct CounterRecall {
    /// What it counts.
    pub(super) key: CounterKey,
    /// The period that is asked about.
    pub(super) period: Period,
    /// What it holds of that already, and the record has as well.
    held: CounterSum,
    /// It was not counted before.
    new: bool,
}

/// All counters.
#[derive(Debug, Default)]
pub(super) struct Counters {
    by_scope: HashMap<CounterScope, Vec<Counter>>,
}

impl Counters {
    /// The counter of `key` in the present period.
    pub(super) fn get(&mut self, key: &CounterKey, now: Moment) -> Option<&mut Counter> {
        let counter = self.by_scope.get_mut(&key.scope)?.iter_mut().find(|counter| counter.key == *key)?;
        counter.turn(now);
        Some(counter)
    }

    /// Whether a clock that was set back led a counter to a period of which only a record knows.
    pub(super) fn any_unknown(&self) -> bool {
        self.by_scope.values().flatten().any(|counter| counter.unknown)
    }

    /// Begins to count `key`, those under way included; `None` if it is counted already, and nothing has to be
    /// recalled for it.
    pub(super) fn begin<'a>(
        &mut self,
        key: &CounterKey,
        under_way: impl Iterator<Item = &'a Entry>,
        now: Moment,
    ) -> Option<CounterRecall> {
        if let Some(Counter { period, settled, unknown, .. }) = self.get(key, now) {
            return unknown.then(|| CounterRecall { key: key.clone(), period: *period, held: *settled, new: false });
        }
        let mut counter = Counter::new(key.clone(), now);
        for entry in under_way.filter(|entry| key.scope.covers(&entry.owner)) {
            counter.reserved = counter.reserved.saturating_add(entry.estimate);
            counter.under_way += u64::from(entry.pictures);
        }
        let begun = CounterRecall { key: key.clone(), period: counter.period, held: CounterSum::default(), new: true };
        self.by_scope.entry(key.scope.clone()).or_default().push(counter);
        Some(begun)
    }

    /// Takes up all that a record held of a period when its counter was begun. What was settled since comes on top.
    pub(super) fn recall(&mut self, begun: &CounterRecall, sum: CounterSum) {
        let CounterRecall { key, period, held, .. } = begun;
        let counters = self.by_scope.get_mut(&key.scope).into_iter().flatten();
        for counter in counters.filter(|counter| counter.key == *key) {
            if let Some(settled) = counter.settled_at(period.start) {
                *settled = sum.plus(settled.since(*held));
            }
            counter.unknown &= counter.period.start != period.start;
        }
    }

    /// Counts what has only just begun no longer.
    pub(super) fn forget(&mut self, begun: &CounterRecall) {
        if let Some(counters) = self.by_scope.get_mut(&begun.key.scope) {
            counters.retain(|counter| counter.key != begun.key || !begun.new);
        }
    }

    /// Promises what an attempt may cost.
    pub(super) fn reserve(&mut self, entry: &Entry) {
        self.each(&entry.owner, entry.at, |counter| {
            counter.reserved = counter.reserved.saturating_add(entry.estimate);
            counter.under_way += u64::from(entry.pictures);
        });
    }

    /// Takes a promise back.
    pub(super) fn release(&mut self, entry: &Entry, now: Moment) {
        self.each(&entry.owner, now, |counter| {
            // Both were added before, here or in `begin`.
            counter.reserved = counter.reserved.checked_sub(entry.estimate).unwrap_or(Usd::ZERO);
            counter.under_way = counter.under_way.saturating_sub(u64::from(entry.pictures));
        });
    }

    /// Counts what an attempt came to.
    pub(super) fn settle(&mut self, owner: &Owner, settlement: &Settlement) {
        let sum = CounterSum::of(settlement);
        self.each(owner, settlement.at, |counter| counter.settled = counter.settled.plus(sum));
    }

    /// Counts a fee that was due in the past, in the period that it was due in.
    pub(super) fn settle_late(&mut self, owner: &Owner, settlement: &Settlement) {
        let (sum, at) = (CounterSum::of(settlement), settlement.at);
        self.all(owner, |counter| {
            if let Some(settled) = counter.settled_at(at) {
                *settled = settled.plus(sum);
            }
        });
    }

    fn each(&mut self, owner: &Owner, now: Moment, mut change: impl FnMut(&mut Counter)) {
        self.all(owner, |counter| {
            counter.turn(now);
            change(counter);
        });
    }

    fn all(&mut self, owner: &Owner, mut change: impl FnMut(&mut Counter)) {
        if self.by_scope.is_empty() {
            return;
        }
        for scope in CounterScope::of(owner) {
            self.by_scope.get_mut(&scope).into_iter().flatten().for_each(&mut change);
        }
    }
}
