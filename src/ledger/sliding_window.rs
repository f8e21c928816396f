//! What was paid and what came of it, over the last hour, day or month: exact sums in minutes.
//!
//! Every settled attempt is added to five sums: everything, its provider, its model, its route and its tenant. Each is
//! kept by the minute for as long as somebody looks back, and as a total since ever. Nothing is estimated, rounded or
//! smoothed here, nothing reads a clock, and nothing decides what a sum means.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::AddAssign;
use std::sync::Arc;
use std::time::Duration;

use crate::calendar::Moment;
pub use crate::config::plan::Dimension;
use crate::config::plan::LONGEST_WINDOW;
use crate::ledger::entry::Owner;
use crate::money::Usd;

/// How long minutes are kept when nobody asks for longer.
pub const KEPT: Duration = Duration::from_secs(86_400);

/// Names of one dimension. The config bounds them; should something else ever name them, the rest share [`OTHER`].
const NAMES: usize = 1024;
/// Whose sums the names beyond that are part of.
const OTHER: &str = "other";
/// Owners whose sums are found by a single look. More than this (routes times tenants times models) begin anew.
const OWNERS: usize = 16_384;

const MINUTE: i64 = 60_000;
/// Minutes that buckets may be apart: the longest window, and as much again.
const FURTHEST: i64 = 2 * 31 * 24 * 60;
const MINUTES_OF_HOUR: i64 = 60;

/// What one settled attempt adds; a fee that is due by time is a fact without pictures and attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowFact {
    /// Money paid, from a commitment too.
    pub usd: Usd,
    /// Pictures delivered and held to be good.
    pub accepted: u32,
    /// Pictures found wanting: before they were delivered, or by who saw them.
    pub rejected: u32,
    /// Calls.
    pub attempts: u32,
    /// Those of them that failed.
    pub failures: u32,
}

/// What a later verdict changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerdictChange {
    /// Accepted pictures more, or fewer.
    pub accepted: i32,
    /// Rejected pictures more, or fewer.
    pub rejected: i32,
}

/// Facts added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowSum {
    /// Money paid. Stops at the largest amount, nine billion dollars.
    pub usd: Usd,
    /// Pictures held to be good.
    pub accepted: u64,
    /// Pictures found wanting.
    pub rejected: u64,
    /// Calls.
    pub attempts: u64,
    /// Those of them that failed.
    pub failures: u64,
}

impl WindowSum {
    /// Pictures that came, delivered or rejected before.
    pub fn pictures(&self) -> u64 {
        self.accepted.saturating_add(self.rejected)
    }

    fn judge(&mut self, change: VerdictChange) {
        self.accepted = self.accepted.saturating_add_signed(change.accepted.into());
        self.rejected = self.rejected.saturating_add_signed(change.rejected.into());
    }
}

impl From<WindowFact> for WindowSum {
    fn from(fact: WindowFact) -> WindowSum {
        WindowSum {
            usd: fact.usd,
            accepted: fact.accepted.into(),
            rejected: fact.rejected.into(),
            attempts: fact.attempts.into(),
            failures: fact.failures.into(),
        }
    }
}

impl AddAssign for WindowSum {
    fn add_assign(&mut self, other: WindowSum) {
        self.usd = self.usd.saturating_add(other.usd);
        self.accepted = self.accepted.saturating_add(other.accepted);
        self.rejected = self.rejected.saturating_add(other.rejected);
        self.attempts = self.attempts.saturating_add(other.attempts);
        self.failures = self.failures.saturating_add(other.failures);
    }
}

/// Everything paid over the pictures that are held to be good. `None` without such pictures.
pub fn cost_per_accepted(sum: &WindowSum) -> Option<Usd> {
    per_picture(sum.usd.nanos().into(), sum.accepted)
}

/// So many nano-dollars over so many pictures, rounded half up to the nano-dollar. `None` without pictures.
pub fn per_picture(nanos: i128, pictures: u64) -> Option<Usd> {
    let pictures = i128::from(pictures);
    let nanos = (2 * nanos + pictures).checked_div_euclid(2 * pictures)?;
    i64::try_from(nanos).ok().map(Usd::from_nanos)
}

/// The first moment of a window: `window` before `now`, at the beginning of its minute.
pub fn start(window: Duration, now: Moment) -> Moment {
    Moment::from_millis(minute(now.before(window)).saturating_mul(MINUTE))
}

fn minute(at: Moment) -> i64 {
    at.millis().div_euclid(MINUTE)
}

/// Sums of equal stretches of time, in their order; a stretch without facts has none.
#[derive(Debug, Default)]
struct Buckets(VecDeque<(i64, WindowSum)>);

impl Buckets {
    fn add(&mut self, number: i64, sum: WindowSum) {
        // Nearly always the newest one, or the one after it.
        let at = match self.0.back() {
            Some((last, _)) if *last < number => self.0.len(),
            _ => self.0.partition_point(|(known, _)| *known < number),
        };
        match self.0.get_mut(at) {
            Some((known, total)) if *known == number => *total += sum,
            _ => self.0.insert(at, (number, sum)),
        }
    }

    fn get_mut(&mut self, number: i64) -> Option<&mut WindowSum> {
        let at = self.0.binary_search_by_key(&number, |(known, _)| *known).ok()?;
        self.0.get_mut(at).map(|(_, sum)| sum)
    }

    /// Drops those before `first`, and those so far after it that only a clock that was ahead can have made them.
    fn forget(&mut self, first: i64, last: i64) {
        while self.0.front().is_some_and(|(number, _)| *number < first) {
            self.0.pop_front();
        }
        while self.0.back().is_some_and(|(number, _)| *number > last) {
            self.0.pop_back();
        }
    }

    fn add_up(&self, from: i64, before: i64, sum: &mut WindowSum) {
        let first = self.0.partition_point(|(number, _)| *number < from);
        let rest = self.0.range(first..).take_while(|(number, _)| *number < before);
        rest.for_each(|(_, bucket)| *sum += *bucket);
    }
}

/// The sums of one name.
#[derive(Debug, Default)]
struct Series {
    total: WindowSum,
    minutes: Buckets,
    /// The same by the hour, so that a month is added up in hundreds of steps and not in tens of thousands.
    hours: Buckets,
}

impl Series {
    fn add(&mut self, minute: i64, fact: WindowSum, first: i64) {
        self.total += fact;
        if minute >= first {
            self.minutes.add(minute, fact);
            self.hours.add(minute.div_euclid(MINUTES_OF_HOUR), fact);
        }
        let last = first.saturating_add(FURTHEST);
        self.minutes.forget(first, last);
        self.hours.forget(first.div_euclid(MINUTES_OF_HOUR), last.div_euclid(MINUTES_OF_HOUR));
    }

    fn judge(&mut self, minute: i64, change: VerdictChange) {
        self.total.judge(change);
        let Some(bucket) = self.minutes.get_mut(minute) else { return };
        bucket.judge(change);
        if let Some(bucket) = self.hours.get_mut(minute.div_euclid(MINUTES_OF_HOUR)) {
            bucket.judge(change);
        }
    }

    /// From `minute` on, to the end of the hour after `last`'s: minutes up to the next full hour, hours from there.
    fn sum(&self, minute: i64, last: i64) -> WindowSum {
        let hour = minute.saturating_add(MINUTES_OF_HOUR - 1).div_euclid(MINUTES_OF_HOUR);
        let mut sum = WindowSum::default();
        self.minutes.add_up(minute, hour.saturating_mul(MINUTES_OF_HOUR), &mut sum);
        self.hours.add_up(hour, last.div_euclid(MINUTES_OF_HOUR).saturating_add(2), &mut sum);
        sum
    }
}

/// The names of one dimension and where their sums are.
type Names = BTreeMap<Arc<str>, usize>;

/// Where an owner's sums are: everything, provider, model, route, tenant, offer. What has no name has no sum
/// of its own.
type SumIndexes = [Option<usize>; 6];

/// Offers of routes whose sums are kept; the config bounds them. Should more ever be named, they have no sums: what an offer is
/// worth is decided by them, and not by those of others.
const OFFERS: usize = 4096;

/// What an offer of a route is called among all: `route/provider/model`.
fn offer_name(route: &str, model: &str) -> String {
    format!("{route}/{model}")
}

/// What came of the money over one window, for the scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// What the name is a name of.
    pub by: Dimension,
    /// Whose pictures.
    pub name: Arc<str>,
    /// `1h`, `1d` or `total`.
    pub window: &'static str,
    /// Everything paid over the accepted pictures, if there are any.
    pub usd: Option<Usd>,
    /// Pictures held to be good.
    pub accepted: u64,
    /// Pictures found wanting.
    pub rejected: u64,
}

/// The windows that are told of in the metrics.
const TOLD: [(&str, Option<Duration>); 3] =
    [("1h", Some(Duration::from_secs(3600))), ("1d", Some(Duration::from_secs(86_400))), ("total", None)];

/// All sums. The caller holds the lock around it.
#[derive(Debug)]
pub struct Windows {
    series: Vec<Series>,
    names: HashMap<Dimension, Names>,
    owners: HashMap<Owner, SumIndexes>,
    kept: Duration,
    /// The moment of the latest call, or of a later fee.
    newest: Moment,
}

impl Default for Windows {
    fn default() -> Windows {
        Windows {
            series: vec![Series::default()],
            names: HashMap::new(),
            owners: HashMap::new(),
            kept: KEPT,
            newest: Moment::from_millis(i64::MIN),
        }
    }
}

impl Windows {
    /// Minutes are kept for `time` from now on: at least a day, at most 31. What is gone already does not come back.
    pub fn keep(&mut self, time: Duration) {
        self.kept = time.clamp(KEPT, LONGEST_WINDOW);
    }

    /// How long minutes are kept.
    pub fn kept(&self) -> Duration {
        self.kept
    }

    /// Adds what was settled before any minute that is kept.
    pub fn recall(&mut self, owner: &Owner, sum: WindowSum) {
        for spot in self.spots(owner).into_iter().flatten() {
            if let Some(series) = self.series.get_mut(spot) {
                series.total += sum;
            }
        }
    }

    /// Adds what was settled at `at`. Facts may come in any order; those older than what is kept count in totals only.
    /// A call is settled now, so it tells the time, also when a clock that was ahead was set back.
    pub fn add(&mut self, at: Moment, owner: &Owner, fact: WindowFact) {
        self.newest = if fact.attempts > 0 { at } else { self.newest.max(at) };
        let first = minute(self.newest.before(self.kept));
        for spot in self.spots(owner).into_iter().flatten() {
            if let Some(series) = self.series.get_mut(spot) {
                series.add(minute(at), fact.into(), first);
            }
        }
    }

    /// Changes what became of pictures that were settled at `at`. Where that minute is gone, only totals change.
    pub fn judge(&mut self, at: Moment, owner: &Owner, change: VerdictChange) {
        for spot in self.spots(owner).into_iter().flatten() {
            if let Some(series) = self.series.get_mut(spot) {
                series.judge(minute(at), change);
            }
        }
    }

    /// The sum of `name` over the time before `now`, or since ever. The window begins with the minute it begins in, see
    /// [`start`]; it ends within two hours after `now`, so that facts from before the clock was set right by a little are
    /// part of it, and those of a clock that was years ahead are not. A name that nobody has sums to nothing; [`Dimension::All`] has but one sum, whatever the name.
    pub fn sum(&self, by: Dimension, name: &str, window: Option<Duration>, now: Moment) -> WindowSum {
        let spot = match by {
            Dimension::All => Some(0),
            named => self.names.get(&named).and_then(|names| names.get(name)).copied(),
        };
        let Some(series) = spot.and_then(|spot| self.series.get(spot)) else { return WindowSum::default() };
        match window {
            Some(window) => series.sum(minute(start(window, now)), minute(now)),
            None => series.total,
        }
    }

    /// The sum of a `provider/model` on a route over the time before `now`, as [`Windows::sum`] takes it.
    pub fn on_route(&self, route: &str, model: &str, window: Duration, now: Moment) -> WindowSum {
        self.sum(Dimension::Offer, &offer_name(route, model), Some(window), now)
    }

    /// Every name of a dimension that something was added for, in order of name. [`Dimension::All`] has none.
    pub fn names(&self, by: Dimension) -> impl Iterator<Item = &Arc<str>> {
        self.names.get(&by).into_iter().flat_map(Names::keys)
    }

    /// What an accepted picture cost, by every name, over the last hour and day and since ever. Windows without pictures
    /// are left out.
    pub fn costs(&self, now: Moment) -> Vec<Cost> {
        let mut costs = Vec::new();
        for by in Dimension::NAMED {
            for name in self.names(by) {
                for (window, time) in TOLD {
                    let sum = self.sum(by, name, time, now);
                    let (name, usd) = (name.clone(), cost_per_accepted(&sum));
                    if sum.pictures() > 0 {
                        costs.push(Cost { by, name, window, usd, accepted: sum.accepted, rejected: sum.rejected });
                    }
                }
            }
        }
        costs
    }

    fn spots(&mut self, owner: &Owner) -> SumIndexes {
        if let Some(spots) = self.owners.get(owner) {
            return *spots;
        }
        let model = if owner.model.is_empty() { String::new() } else { format!("{}/{}", owner.provider, owner.model) };
        let model: Arc<str> = model.into();
        let spots = [
            Some(0),
            self.spot(Dimension::Provider, &owner.provider),
            self.spot(Dimension::Model, &model),
            self.spot(Dimension::Route, &owner.route),
            self.spot(Dimension::Tenant, &owner.tenant),
            self.offer(&owner.route, &model),
        ];
        if self.owners.len() >= OWNERS {
            self.owners.clear();
        }
        self.owners.insert(owner.clone(), spots);
        spots
    }

    fn offer(&mut self, route: &str, model: &str) -> Option<usize> {
        if route.is_empty() || model.is_empty() {
            return None;
        }
        let (name, names) = (offer_name(route, model), self.names.entry(Dimension::Offer).or_default());
        if names.len() >= OFFERS && !names.contains_key(name.as_str()) {
            return None;
        }
        Some(*names.entry(name.into()).or_insert_with(|| {
            self.series.push(Series::default());
            self.series.len() - 1
        }))
    }

    fn spot(&mut self, by: Dimension, name: &Arc<str>) -> Option<usize> {
        if name.is_empty() {
            return None;
        }
        let names = self.names.entry(by).or_default();
        let name = if names.len() < NAMES || names.contains_key(name) { name.clone() } else { OTHER.into() };
        Some(*names.entry(name).or_insert_with(|| {
            self.series.push(Series::default());
            self.series.len() - 1
        }))
    }
}

pub(in crate::ledger) mod event;
#[cfg(test)]
mod tests;
