//! The ledger and its record, kept in step: promise and write down, then send; settle and write down, then tell.
//!
//! What is settled is handed to the record while the ledger is locked, so both see everything in the same order, and
//! sums that the record gives stand exactly between two entries: their place is marked under that lock, and they are read
//! after it. Nothing here prices anything.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::calendar::{Moment, Per, Period};
use crate::clock::Clock;
use crate::config::plan::{self, OnLedgerError, Plan};
use crate::dispatch::ChoiceReason;
use crate::gateway::savings::{Saving, Savings};
use crate::ledger::counter::{CounterKey, CounterScope, CounterSum};
use crate::ledger::entry::{Purpose, Verdict};
use crate::ledger::sliding_window::{KEPT, VerdictChange, WindowFact, WindowSum, Windows};
use crate::ledger::{
    BudgetExceeded, Charge, Hold, Intent, Ledger, LedgerHandover, Settled, add_to_windows, counter_keys,
};
use crate::money::Usd;
use crate::store::handover::PredecessorCursor;
use crate::store::report::{Figures, ReportBy, ReportQuery};
use crate::store::request_lines::RequestLine;
use crate::store::settled_queries::{Filter, Sums};
use crate::store::{
    Health, Location, OpenedStore, Options, ReadSnapshot, Store, StoreError, Unwritten, VerdictEffect, Write,
};

/// How long a process that ends waits for its last writes.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// The ledger and its record.
pub struct DurableLedger {
    pub(super) ledger: Arc<Ledger>,
    pub(super) store: Arc<Store>,
    savings: Savings,
    on_error: OnLedgerError,
    pub(super) clock: Clock,
    /// Verdicts that changed what was settled before.
    verdicts: AtomicU64,
    /// How far the attempts of the process before are known that hands over to this one.
    pub(super) predecessor: Mutex<Option<PredecessorCursor>>,
}

/// What was paid, in advance or not, and what may have been charged besides.
fn paid_or_may_be(figures: &Figures) -> Usd {
    figures.usd.saturating_add(figures.prepaid).saturating_add(figures.uncertain)
}

/// An attempt that may be sent once it is written down.
pub struct OpenedAttempt {
    hold: Hold,
    written: BoxFuture<'static, Result<(), Unwritten>>,
}

impl DurableLedger {
    /// Opens the record at `place` and goes on where it ends. What is booked from then on is booked by `clock`. Blocks.
    ///
    /// # Errors
    /// When it cannot be opened or read, or another process writes it that does not hand over to this one.
    pub fn open_record(
        ledger: Arc<Ledger>,
        server: &plan::Server,
        place: Location,
        clock: Clock,
        predecessor: Option<&LedgerHandover>,
    ) -> Result<DurableLedger, StoreError> {
        let now = clock.now();
        let on_error = server.ledger.on_error;
        if place == Location::Memory {
            ledger.no_fees_before(now);
        }
        let mut options = Options::new(server.ledger.retention, on_error);
        options.beside_predecessor = predecessor.is_some();
        let OpenedStore { store, last_id, interrupted, interrupted_usd } = Store::open(place, options, now)?;
        if interrupted > 0 {
            log::warn!(
                "{interrupted} calls were under way when the last process ended; up to {interrupted_usd} USD may be charged for them"
            );
        }
        ledger.resume(last_id);
        let (savings, verdicts, predecessor) = (Savings::default(), AtomicU64::new(0), predecessor.cloned());
        let opened = DurableLedger { ledger, store, savings, on_error, clock, verdicts, predecessor: Mutex::default() };
        if let Some(handover) = predecessor {
            opened.take_up(handover)?;
        }
        Ok(opened)
    }

    /// Counts all that `plan` needs to have counted, from what the record says of it. Blocks.
    ///
    /// # Errors
    /// When the record cannot be read; nothing is counted then that was not before.
    pub fn follow(&self, plan: &Plan) -> Result<(), StoreError> {
        self.recount(plan, self.clock.now())?;
        let longest = plan.longest_window().unwrap_or(KEPT);
        self.ledger.look_back(longest, |windows| {
            // The clock is read behind all that is settled, so that nothing seems to be of a clock that was ahead.
            let now = self.clock.now();
            let told = self.store.reading(move |view| refill(&view, windows, now));
            move || told.wait()
        })?;
        let now = self.clock.now();
        self.resume_fees(plan, now)?;
        self.accrue(plan, now);
        Ok(())
    }

    /// Goes on with monthly fees where an earlier process ended. Hours of later months, which a clock that was ahead
    /// booked, are no reason to leave this one's out.
    fn resume_fees(&self, plan: &Plan, now: Moment) -> Result<(), StoreError> {
        let charging = plan.providers.values().filter(|provider| provider.billing.reserved.is_some());
        for provider in charging.filter(|provider| !self.ledger.knows_fees_of(&provider.name)) {
            let month = Per::Month.period(&provider.billing.zone, now);
            if let Some(last) = self.store.last_fee(&provider.name, month.end)? {
                self.ledger.booked_until(provider, last.after(Duration::from_millis(1)));
            }
        }
        Ok(())
    }

    /// Counts what is not counted yet, from what the record says of it. Blocks.
    ///
    /// # Errors
    /// As [`DurableLedger::follow`].
    fn recount(&self, plan: &Plan, now: Moment) -> Result<(), StoreError> {
        self.ledger.count(&counter_keys(plan), now, |new| {
            let new = new.to_vec();
            let told =
                self.store.reading(move |view| new.iter().map(|(key, period)| sum(&view, key, *period)).collect());
            move || told.wait()
        })
    }

    /// Takes up what the record says of a time before this process began, where the clock was set back to it. Blocks,
    /// if there is something to do.
    pub fn catch_up(&self, plan: &Plan) {
        if self.ledger.is_behind()
            && let Err(error) = self.recount(plan, self.clock.now())
        {
            log::warn!("the clock was set back, and the ledger cannot be read: {error}");
        }
    }

    /// Books what is due of monthly fees.
    pub fn accrue(&self, plan: &Plan, now: Moment) {
        for provider in plan.providers.values() {
            self.ledger.accrue(provider, now, |entry, settlement| {
                let (id, settlement) = (entry.id, settlement.clone());
                self.store.write_unawaited(Write::Open(entry));
                self.store.write_unawaited(Write::Settle { id, settlement });
            });
        }
    }

    /// Whether something new may be paid for.
    pub fn may_pay(&self) -> bool {
        self.on_error == OnLedgerError::Continue || self.store.health().writable
    }

    /// What hedges came to, or may have, that were settled since a moment, by route. Blocks.
    ///
    /// # Errors
    /// When the record cannot be read, or a sum does not fit.
    pub fn hedge_costs(&self, since: Moment) -> Result<Vec<(String, Usd)>, StoreError> {
        let by = vec![ReportBy::Chosen, ReportBy::Route];
        let rows = self.store.report(&ReportQuery { since: Some(since), by, ..ReportQuery::default() })?;
        let hedges = rows
            .into_iter()
            .filter(|row| row.keys.first().is_some_and(|chosen| chosen == ChoiceReason::Hedge.as_str()));
        Ok(hedges.filter_map(|row| Some((row.keys.get(1)?.clone(), paid_or_may_be(&row.figures)))).collect())
    }

    /// What judges came to, or may have, that were asked since a moment whether two prompts mean the same, by route. Blocks.
    ///
    /// # Errors
    /// When the record cannot be read, or a sum does not fit.
    pub fn judge_costs(&self, since: Moment) -> Result<Vec<(String, Usd)>, StoreError> {
        let by = vec![ReportBy::Purpose, ReportBy::Route];
        let rows = self.store.report(&ReportQuery { since: Some(since), by, ..ReportQuery::default() })?;
        let compared =
            rows.into_iter().filter(|row| row.keys.first().is_some_and(|purpose| purpose == Purpose::Compare.as_str()));
        Ok(compared.filter_map(|row| Some((row.keys.get(1)?.clone(), paid_or_may_be(&row.figures)))).collect())
    }

    /// How many verdicts have changed what was settled before. Nothing else changes the sums of a day that is over.
    pub fn verdicts(&self) -> u64 {
        self.verdicts.load(Ordering::Acquire)
    }

    /// How the record does.
    pub fn health(&self) -> Health {
        self.store.health()
    }

    /// The record, for reports.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Promises what an attempt may cost, or says which budget it would pass.
    pub fn open(&self, intent: Intent<'_>) -> Result<OpenedAttempt, BudgetExceeded> {
        let (hold, written) = self.ledger.reserve(intent, self.clock.now(), |entry| -> BoxFuture<'static, _> {
            Box::pin(self.store.write(Write::Open(entry.clone())))
        })?;
        Ok(OpenedAttempt { hold, written })
    }

    /// Settles an attempt and returns when that is written down. What cannot be written now is kept and written when it
    /// can: it is paid for in any case, and its pictures are not held back.
    pub async fn settle(&self, hold: Hold, charge: Charge) -> Settled {
        let (settled, written) = hold.settle(charge, self.clock.now(), |settled| {
            self.store.write(Write::Settle { id: settled.id, settlement: settled.settlement.clone() })
        });
        if let Some(written) = written
            && written.await.is_err()
        {
            log::warn!("attempt {} is paid for and not on disk yet", settled.id);
        }
        settled
    }

    /// Takes the promise of an attempt back that was not sent.
    pub fn release(&self, hold: Hold) {
        hold.release(self.clock.now(), |id| self.store.write_unawaited(Write::Release { id }));
    }

    /// Notes what pictures from the cache would have cost.
    pub fn saved(&self, saving: Saving<'_>) {
        self.ledger.saved(saving.tier, saving.usd);
        self.savings.add(saving);
    }

    /// Hands in what the cache saved since the last time.
    pub fn write_savings(&self) {
        self.savings.take(self.clock.now()).into_iter().for_each(|saved| self.store.write_unawaited(saved));
    }

    /// Remembers what was told of a request that called somebody, so that it can be told again. Nobody waits for that.
    pub fn told(&self, id: &str, line: &str) {
        let told = RequestLine { id: id.into(), at: self.clock.now(), line: line.into() };
        self.store.write_unawaited(Write::Request(told));
    }

    /// Takes a tenant's verdict on a picture. `None` if it never received it. On disk when it resolves.
    ///
    /// # Errors
    /// When nothing can be written at present; the verdict is not kept then.
    pub async fn judge(
        &self,
        image: &str,
        tenant: &str,
        verdict: Verdict,
        reason: Option<String>,
    ) -> Result<Option<VerdictEffect>, StoreError> {
        let judged = self.store.judge(image, tenant, verdict, reason, self.clock.now()).await?;
        if let Some(VerdictEffect { owner, entry_at, changed: true, .. }) = &judged {
            let change = match verdict {
                Verdict::Accepted => VerdictChange { accepted: 1, rejected: -1 },
                Verdict::Rejected => VerdictChange { accepted: -1, rejected: 1 },
            };
            self.ledger.judge(*entry_at, owner, change);
            self.verdicts.fetch_add(1, Ordering::Release);
        }
        Ok(judged)
    }

    /// Writes all that waits and ends the record.
    pub async fn close(&self) {
        self.write_savings();
        if !self.store.close(LAST_WRITES).await {
            log::error!("the ledger could not be written to its end");
        }
    }
}

/// What was settled in a counter's period so far. A clock that was ahead may have left entries of later ones.
fn sum(view: &ReadSnapshot<'_>, key: &CounterKey, period: Period) -> Result<CounterSum, StoreError> {
    let within = (key.per != Per::Total).then_some(period);
    let Sums { usd, prepaid, uncertain, billed, .. } = view.sums(within, &filter(&key.scope))?;
    Ok(CounterSum { usd, prepaid, uncertain, billed })
}

/// Everything that was settled: by the minute as far as `windows` goes back, before that in sums.
fn refill(view: &ReadSnapshot<'_>, mut windows: Windows, now: Moment) -> Result<Windows, StoreError> {
    let since = now.before(windows.kept());
    for (owner, Sums { usd, prepaid, accepted, rejected, attempts, .. }) in view.owners(since)? {
        let usd = usd.saturating_add(prepaid);
        windows.recall(&owner, WindowSum { usd, accepted, rejected, attempts, failures: 0 });
    }
    for row in view.recent(since)? {
        if row.at > now {
            // Of a clock that was ahead: part of what there was ever, and of no window that ends now.
            let (usd, accepted, rejected) = (row.cost, row.accepted.into(), row.rejected.into());
            windows.recall(&row.owner, WindowSum { usd, accepted, rejected, attempts: 1, failures: 0 });
            continue;
        }
        let fact =
            WindowFact { usd: row.cost, accepted: row.accepted, rejected: row.rejected, ..WindowFact::default() };
        add_to_windows(&mut windows, row.at, &row.owner, row.purpose, &row.outcome, fact);
    }
    Ok(windows)
}

fn filter(scope: &CounterScope) -> Filter {
    let mut filter = Filter::default();
    match scope {
        CounterScope::Client(name) => filter.tenant = Some(name.to_string()),
        CounterScope::Route(name) => filter.route = Some(name.to_string()),
        CounterScope::Provider(name) => filter.provider = Some(name.to_string()),
        CounterScope::Model(provider, model) => {
            filter.provider = Some(provider.to_string());
            filter.model = Some(model.to_string());
        }
    }
    filter
}

impl OpenedAttempt {
    /// The promise of an attempt that is not going to be sent.
    pub fn unsent(self) -> Hold {
        self.hold
    }

    /// Waits until the attempt is written down. A call that was sent before might be paid for without a record of it.
    pub async fn written(self) -> Result<Hold, (Hold, Unwritten)> {
        match self.written.await {
            Ok(()) => Ok(self.hold),
            Err(unwritten) => Err((self.hold, unwritten)),
        }
    }
}

#[cfg(test)]
mod tests;
