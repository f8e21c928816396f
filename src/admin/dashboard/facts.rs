//! What the page shows, looked up once, all in the ledger's own figures. Nothing is changed, and nothing here is HTML.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::admin::requests;
use crate::breaker::PausedUntil;
use crate::calendar::{Moment, Per, Zone};
use crate::config::plan::{Alert, Measure, Priority};
use crate::gateway::Gateway;
use crate::gateway::last_reload::Reload;
use crate::gateway::recent_pictures::RecentPicture;
use crate::gateway::snapshot::Snapshot;
use crate::ledger::counter::Budgeted;
use crate::money::Usd;
use crate::store::StoreError;
use crate::store::report::{Figures, ReportBy, ReportQuery, ReportRow};

/// Days of the chart of what an accepted picture cost.
const DAYS: u32 = 30;

/// Requests on the page.
pub const REQUESTS: usize = 200;

/// How long sums are shown again: who reloads in a row, and everybody else who looks, costs the ledger one reading.
const FRESH: Duration = Duration::from_secs(2);

/// Places of a chart: a month of days, or the hours of the longest day there is.
const MOST_PLACES: u64 = 32;

/// Names of one kind on the page. The rest is in `/admin/ledger`.
pub const MOST_ROWS: usize = 100;

/// Everything on the page.
pub struct Facts {
    /// When it was looked up.
    pub now: Moment,
    /// Whose days.
    pub zone: Zone,
    /// The config in force.
    pub snapshot: Arc<Snapshot>,
    /// The sums of the ledger.
    pub sums: Arc<Sums>,
    /// Every budget.
    pub budgets: Vec<Budgeted>,
    /// Every provider of the config.
    pub providers: Vec<ProviderFacts>,
    /// What is paused, and how long still.
    pub paused: Vec<(String, PausedFor)>,
    /// Every alert of the config, and for what it fires or is about to.
    pub alerts: Vec<AlertFacts>,
    /// The last requests, the newest first, as the access log has them.
    pub requests: Vec<Value>,
    /// The last pictures that were drawn; `None` where the config does not allow to show them.
    pub pictures: Option<Vec<Arc<RecentPicture>>>,
    /// What came of the last change of the config.
    pub last_reload: Option<Arc<Reload>>,
}

/// What the ledger adds up to.
#[derive(Default)]
pub struct Sums {
    /// Today.
    pub today: Figures,
    /// This month.
    pub month: Figures,
    /// The hours of today so far.
    pub hour_names: Vec<String>,
    /// Those of them that something was settled in.
    pub hours: Vec<(String, Figures)>,
    /// The last days.
    pub day_names: Vec<String>,
    /// What was settled in them, by provider.
    pub days: Vec<(String, String, Figures)>,
    /// This month, by provider and model.
    pub models: Vec<(String, String, Figures)>,
    /// What the cache saved today and this month, by tier.
    pub tiers: BTreeMap<String, (Figures, Figures)>,
}

/// One provider.
pub struct ProviderFacts {
    /// Its name.
    pub name: String,
    /// Calls under way, live and batch.
    pub in_flight: usize,
    /// Calls that wait.
    pub waiting: usize,
    /// Requests that wait for the end of a pause.
    pub paused: usize,
    /// Calls that the config lets run at once.
    pub limit: usize,
    /// Each model: how many may run now, and 0 passing, 1 probing, 2 paused.
    pub models: Vec<(String, usize, i64)>,
}

/// A pause as it is shown.
pub struct PausedFor {
    /// Why.
    pub why: &'static str,
    /// How long still.
    pub left: Duration,
    /// When it ends.
    pub until: Moment,
}

/// One alert.
pub struct AlertFacts {
    /// Its rule.
    pub alert: Arc<Alert>,
    /// For what it is about to fire.
    pub pending: Vec<String>,
    /// For what it fires.
    pub firing: Vec<String>,
}

/// What was read last. Days that are over are read again only when a verdict has changed one, or another day begins.
#[derive(Default)]
pub struct LastSums(Mutex<LastRead>);

#[derive(Default)]
struct LastRead {
    sums: Option<(Instant, String, Arc<Sums>)>,
    earlier: Option<(EarlierKey, Arc<Vec<ReportRow>>)>,
}

/// What the sums of the days that are over hang on.
#[derive(Clone, PartialEq)]
struct EarlierKey {
    zone: String,
    today: Moment,
    verdicts: u64,
    /// What could not be written may be written later, and be of a day that is over.
    writable: bool,
}

impl LastSums {
    /// Reads ahead what the first page would wait for: a month of a ledger with 100,000 calls takes a few tenths of a second.
    /// Blocks.
    pub fn read_ahead(&self, gateway: &Gateway) {
        let zone = Zone::default();
        let dates = Dates::of(&zone, gateway.shared.clock.now());
        if let Err(error) = self.lock().earlier(gateway, &zone, &dates) {
            log::debug!("the ledger was not read ahead for the page: {error}");
        }
    }

    fn lock(&self) -> MutexGuard<'_, LastRead> {
        // What was read is whole, whatever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sums of `zone`'s days, of at most two seconds ago. Blocks.
    fn read(&self, gateway: &Gateway, zone: &Zone, now: Moment) -> Result<Arc<Sums>, StoreError> {
        // Whoever comes meanwhile waits for this reading instead of beginning another.
        let mut last = self.lock();
        let whose = zone.to_string();
        if let Some((at, of, sums)) = &last.sums
            && *of == whose
            && at.elapsed() < FRESH
        {
            return Ok(sums.clone());
        }
        let dates = Dates::of(zone, now);
        let earlier = last.earlier(gateway, zone, &dates)?;
        let today = report(gateway, zone, (Some(dates.today), None), &BY_HOUR)?;
        let sums = Arc::new(add_up(zone, &dates, &earlier, &today)?);
        last.sums = Some((Instant::now(), whose, sums.clone()));
        Ok(sums)
    }
}

/// Looks everything up. Blocks.
///
/// # Errors
/// When the ledger cannot be read.
pub fn collect(gateway: &Gateway, last: &LastSums, zone: Zone) -> Result<Facts, StoreError> {
    let (snapshot, now) = (gateway.snapshot(), gateway.shared.clock.now());
    let instant = Instant::now();
    gateway.shared.durable_ledger.write_savings();
    let paused = gateway.shared.breakers.paused(instant);
    Ok(Facts {
        sums: last.read(gateway, &zone, now)?,
        budgets: gateway.shared.ledger.budgets(&snapshot.plan, now),
        providers: providers(gateway, &snapshot, instant),
        paused: paused.into_iter().take(MOST_ROWS).map(|(what, until)| (what, shown(until, instant, now))).collect(),
        alerts: alerts(gateway, &snapshot),
        requests: requests::newest(gateway, REQUESTS),
        pictures: snapshot.plan.server.dashboard_pictures.then(|| gateway.shared.recent_pictures.newest()),
        last_reload: gateway.shared.last_reload.get(),
        now,
        zone,
        snapshot,
    })
}

fn shown(paused: PausedUntil, instant: Instant, now: Moment) -> PausedFor {
    let left = paused.opens.saturating_duration_since(instant);
    PausedFor { why: paused.pause.as_str(), left, until: now.after(left) }
}

impl LastRead {
    /// The days that are over, as they were read last where nothing has changed them.
    fn earlier(&mut self, gateway: &Gateway, zone: &Zone, dates: &Dates) -> Result<Arc<Vec<ReportRow>>, StoreError> {
        let verdicts = gateway.shared.durable_ledger.verdicts();
        let writable = gateway.shared.durable_ledger.health().writable;
        let key = EarlierKey { zone: zone.to_string(), today: dates.today, verdicts, writable };
        if let Some((known, rows)) = &self.earlier
            && *known == key
        {
            return Ok(rows.clone());
        }
        let rows = Arc::new(report(gateway, zone, (Some(dates.first), Some(dates.today)), &BY_DAY)?);
        self.earlier = Some((key, rows.clone()));
        Ok(rows)
    }
}

/// How days that are over are asked for.
const BY_DAY: [ReportBy; 4] = [ReportBy::Day, ReportBy::Provider, ReportBy::Model, ReportBy::Tier];

/// How today is.
const BY_HOUR: [ReportBy; 4] = [ReportBy::Hour, ReportBy::Provider, ReportBy::Model, ReportBy::Tier];

fn report(
    gateway: &Gateway,
    zone: &Zone,
    (since, until): (Option<Moment>, Option<Moment>),
    by: &[ReportBy],
) -> Result<Vec<ReportRow>, StoreError> {
    let query = ReportQuery { since, until, by: by.to_vec(), zone: zone.clone(), ..ReportQuery::default() };
    gateway.shared.durable_ledger.store().report(&query)
}

/// Which days are on the page.
struct Dates {
    now: Moment,
    today: Moment,
    /// The first day of the charts, or of the month where that is earlier.
    first: Moment,
    first_of_chart: Moment,
    first_of_month: String,
}

impl Dates {
    fn of(zone: &Zone, now: Moment) -> Dates {
        let (today, month) = (Per::Day.period(zone, now).start, Per::Month.period(zone, now).start);
        let first_of_chart = today.before(Duration::from_secs(u64::from(DAYS - 1) * 86_400));
        Dates { now, today, first: first_of_chart.min(month), first_of_chart, first_of_month: zone.date(month) }
    }
}

fn add_up(zone: &Zone, dates: &Dates, earlier: &[ReportRow], today: &[ReportRow]) -> Result<Sums, StoreError> {
    let Dates { now, today: midnight, first_of_chart, first_of_month, .. } = dates;
    let hour_names = names(*midnight, *now, Duration::from_secs(3_600), |at| zone.hour(at));
    let day_names = names(*first_of_chart, *now, Duration::from_secs(86_400), |at| zone.date(at));
    let mut sums = Sums { hour_names, day_names, ..Sums::default() };
    let mut tables = Tables::default();
    for row in earlier {
        let [day, provider, model, tier] = keys(&row.keys);
        tables.add(&mut sums, (&day, &provider, &model, &tier), (day >= *first_of_month, false), &row.figures)?;
    }
    let date = zone.date(*midnight);
    for row in today {
        let [hour, provider, model, tier] = keys(&row.keys);
        tables.add(&mut sums, (&date, &provider, &model, &tier), (true, true), &row.figures)?;
        // What the cache saved is known by the day, and the ledger says noon.
        if !tier.is_empty() {
            continue;
        }
        match sums.hours.last_mut() {
            Some((last, figures)) if *last == hour => *figures = plus(*figures, &row.figures)?,
            _ => sums.hours.push((hour, row.figures)),
        }
    }
    (sums.days, sums.models) = (flat(tables.days), flat(tables.models));
    Ok(sums)
}

/// Sums by two names.
type ByPair = BTreeMap<(String, String), Figures>;

#[derive(Default)]
struct Tables {
    days: ByPair,
    models: ByPair,
}

impl Tables {
    /// Adds a row of a day, a provider, its model and a tier of the cache to all that it is part of.
    fn add(
        &mut self,
        sums: &mut Sums,
        (day, provider, model, tier): (&str, &str, &str, &str),
        (this_month, today): (bool, bool),
        figures: &Figures,
    ) -> Result<(), StoreError> {
        let add = |sum: &mut Figures| plus(*sum, figures).map(|more| *sum = more);
        if today {
            add(&mut sums.today)?;
        }
        if this_month {
            add(&mut sums.month)?;
        }
        if !tier.is_empty() && this_month {
            let (of_today, of_month) = sums.tiers.entry(tier.to_owned()).or_default();
            add(of_month)?;
            if today {
                add(of_today)?;
            }
        }
        if !provider.is_empty() {
            add(self.days.entry((day.to_owned(), provider.to_owned())).or_default())?;
            if this_month {
                add(self.models.entry((provider.to_owned(), model.to_owned())).or_default())?;
            }
        }
        Ok(())
    }
}

fn flat(rows: ByPair) -> Vec<(String, String, Figures)> {
    rows.into_iter().map(|((one, other), figures)| (one, other, figures)).collect()
}

/// What the hours or days from `first` to `last` are called, each once, whatever a change of the clock makes of them.
fn names(first: Moment, last: Moment, step: Duration, name: impl Fn(Moment) -> String) -> Vec<String> {
    let steps = last.since(first).as_secs() / step.as_secs().max(1) + 1;
    let places =
        (0..steps.min(MOST_PLACES)).map(|nth| first.after(step.saturating_mul(u32::try_from(nth).unwrap_or(0))));
    let mut names: Vec<String> = places.filter(|at| *at <= last).map(&name).chain([name(last)]).collect();
    names.dedup();
    names
}

fn plus(sum: Figures, more: &Figures) -> Result<Figures, StoreError> {
    sum.and(more).ok_or(StoreError::TooMuch)
}

/// The keys of a row; the ledger gives as many as it was asked for.
fn keys<const N: usize>(keys: &[String]) -> [String; N] {
    let mut keys = keys.iter().cloned();
    std::array::from_fn(|_| keys.next().unwrap_or_default())
}

fn providers(gateway: &Gateway, snapshot: &Snapshot, now: Instant) -> Vec<ProviderFacts> {
    let of_all = |count: &dyn Fn(Priority) -> usize| Priority::ALL.into_iter().map(count).sum();
    let providers = snapshot.plan.providers.values().take(MOST_ROWS).map(|provider| {
        let (lane, account) = (gateway.shared.lane(provider), provider.account.fingerprint());
        let names = provider.models.keys().chain(provider.writers.keys()).take(MOST_ROWS);
        let model = |name: &String| {
            let state = gateway.shared.breakers.state(&provider.name, account, name, now);
            (name.clone(), lane.limit_of(name), state)
        };
        ProviderFacts {
            name: provider.name.clone(),
            in_flight: of_all(&|class| lane.in_flight(class)),
            waiting: of_all(&|class| lane.waiting(class)),
            paused: gateway.shared.waiting_requests.count(&provider.name),
            limit: provider.concurrency.limit,
            models: names.map(model).collect(),
        }
    });
    providers.collect()
}

fn alerts(gateway: &Gateway, snapshot: &Snapshot) -> Vec<AlertFacts> {
    let states = gateway.shared.metrics.alert_states();
    let in_state = |name: &str, wanted: i64| -> Vec<String> {
        let of = states.iter().filter(|(alert, _, state)| alert == name && *state == wanted);
        of.map(|(_, of, _)| of.clone()).collect()
    };
    let alerts = snapshot.plan.alerts.iter().take(MOST_ROWS).map(|alert| AlertFacts {
        alert: alert.clone(),
        pending: in_state(&alert.name, 1),
        firing: in_state(&alert.name, 2),
    });
    alerts.collect()
}

/// The line above which an alert fires that watches what an accepted picture costs: its name, and dollars.
pub fn cost_line(snapshot: &Snapshot) -> Option<(&str, Usd)> {
    let watching = snapshot.plan.alerts.iter().filter(|alert| alert.when.measure == Measure::CostPerAccepted);
    let lowest = watching.min_by_key(|alert| alert.when.threshold)?;
    Some((&lowest.name, Usd::from_nanos(lowest.when.threshold)))
}
