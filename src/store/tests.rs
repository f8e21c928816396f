//! The store against real files. Nothing sleeps: a test waits for an answer, or makes the writer try again by asking.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::mpsc::channel;

use proptest::prelude::*;
use tempfile::{TempDir, tempdir};

use crate::calendar::Zone;
use crate::config::plan::OnLedgerError;
use crate::ledger::Rejections;
use crate::ledger::entry::{CostSource, Delivered, Entry, Owner, Purpose, Settlement};
use crate::store::report::{Figures, ReportBy, ReportRow};
use crate::store::*;

mod commits;
mod handover;
mod old_rows;
mod opening;
mod rejected;
mod reports;
mod totals;
mod unwritable;

const YEAR: Duration = Duration::from_secs(86_400 * 365);

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

fn now() -> Moment {
    at("2026-11-25T12:00:00Z")
}

fn owner(tenant: &str, provider: &str) -> Owner {
    Owner { tenant: tenant.into(), route: "r".into(), provider: provider.into(), model: "m".into() }
}

fn open_of(id: i64, owner: Owner) -> Write {
    let (purpose, estimate) = (Purpose::Draw, Usd::from_nanos(7));
    Write::Open(Entry {
        id,
        at: now(),
        request: format!("req-{id}").into(),
        owner,
        purpose,
        pictures: 1,
        estimate,
        chosen: "first",
    })
}

fn opens(id: i64) -> Write {
    open_of(id, owner("web", "p"))
}

fn settled(id: i64, at: Moment, nanos: i64, images: &[&str]) -> Write {
    let picture = |image: &&str| Delivered { image: (*image).into(), usd: Usd::from_nanos(nanos) };
    let settlement = Settlement {
        at,
        usd: Usd::from_nanos(nanos),
        prepaid: Usd::from_nanos(1),
        lost: Usd::ZERO,
        uncertain: Usd::ZERO,
        source: CostSource::Table,
        billed: 1,
        refused: 0,
        rejections: Rejections::default(),
        outcome: "ok",
        took: Duration::from_micros(1500),
        pictures: images.iter().map(picture).collect(),
    };
    Write::Settle { id, settlement }
}

fn sums(store: &Store, since: Option<Moment>, filter: &Filter) -> Result<Sums, StoreError> {
    let (within, filter) = (since.map(|start| Period { start, end: None }), filter.clone());
    store.reading(move |view| view.sums(within, &filter)).wait()
}

fn recent(store: &Store, since: Moment) -> Result<Vec<SettledRow>, StoreError> {
    store.reading(move |view| view.recent(since)).wait()
}

/// Rolls up everything that is past retention, as the writer does once an hour; how many rows.
fn sweep(store: &Store, now: Moment, retention: Duration) -> Result<usize, StoreError> {
    let before = now.before(retention);
    let mut all = 0;
    loop {
        let taken = store.run_on_writer(move |ledger| Ok(retention::step(ledger, before, retention::STEP)?))()?;
        all += taken;
        if taken < retention::STEP {
            return Ok(all);
        }
    }
}

fn options(on_error: OnLedgerError) -> Options {
    Options { commit_timeout: Duration::from_secs(60), ..Options::new(YEAR, on_error) }
}

fn place(dir: &TempDir) -> Location {
    Location::Dir(dir.path().to_owned())
}

fn opened(dir: &TempDir, on_error: OnLedgerError) -> Arc<Store> {
    Store::open(place(dir), options(on_error), now()).unwrap().store
}

fn memory() -> Arc<Store> {
    Store::open(Location::Memory, options(OnLedgerError::Refuse), now()).unwrap().store
}

fn ask(dir: &Path, question: &str) -> i64 {
    connection::read(dir).unwrap().query_row(question, [], |row| row.get(0)).unwrap()
}

fn all(store: &Store) -> Sums {
    sums(store, None, &Filter::default()).unwrap()
}
