//! Limits under a crowd, prices on both sides of an edge, and nothing promised when nothing is under way.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::calendar::{Moment, Per, Period, Zone};
use crate::config::plan::{Dimension, Plan};
use crate::config::{self, ConfigText as Text, EnvAndFiles};
use crate::ledger::counter::{CounterKey, CounterScope, CounterSum};
use crate::ledger::entry::{CostSource, Owner, Purpose, Settlement};
use crate::ledger::sliding_window::{VerdictChange, WindowFact, Windows};
use crate::ledger::*;
use crate::money::Usd;
use crate::pricing::charged_amount::ChargedAmount;
use crate::pricing::volume_tiers::{VolumePrice, VolumeTier, tiers_for};
use crate::request::ImageRequest;

mod budgets;
mod monthly_fee;
mod predecessor;
mod prices;
mod rejected;
mod restore;

const NOON: Moment = Moment::from_millis(1_795_608_000_000); // 2026-11-25T12:00:00Z

struct Nothing;

impl EnvAndFiles for Nothing {
    fn var(&self, _name: &str) -> Option<String> {
        None
    }

    fn file(&self, _path: &std::path::Path) -> Result<String, String> {
        Err("no files here".to_owned())
    }
}

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// A plan with one provider, whose `billing` and model are as written.
fn plan(provider: &str, model: &str) -> Plan {
    let text = format!(
        "providers:\n  p: {{kind: k, base_url: http://127.0.0.1:1/, {provider} models: {{m: {{{model}}}}}}}\n\
         routes:\n  - {{name: r, offers: [p/m]}}\n"
    );
    let kind = config::ProviderKind { name: "k", default_base_url: None, needs_key: false, known_models: &[] };
    config::load(&Text { name: "test", text: &text }, &[kind], &Nothing).unwrap_or_else(|why| panic!("{why}")).plan
}

fn owner(tenant: &str) -> Owner {
    Owner { tenant: tenant.into(), route: "r".into(), provider: "p".into(), model: "m".into() }
}

fn intent<'a>(plan: &'a Plan, pictures: u32, estimate: Usd) -> Intent<'a> {
    let provider = plan.providers["p"].clone();
    let model = Some(provider.models["m"].clone());
    Intent {
        request: "id".into(),
        owner: owner("t"),
        purpose: Purpose::Draw,
        pictures,
        estimate,
        chosen: "first",
        budgets: [&[], &[], &plan.providers["p"].budgets],
        billed_model: BilledModel { provider, model },
    }
}

fn ledger(plan: &Plan) -> Arc<Ledger> {
    ledger_after(plan, CounterSum::default())
}

/// A ledger whose every counter begins with `sum`.
fn ledger_after(plan: &Plan, sum: CounterSum) -> Arc<Ledger> {
    let ledger = Arc::new(Ledger::default());
    ledger.count(&counter_keys(plan), NOON, |new| told(vec![sum; new.len()])).unwrap();
    ledger
}

/// What a record tells at once.
fn told<T>(what: T) -> impl FnOnce() -> Result<T, ()> {
    move || Ok(what)
}

fn open(ledger: &Arc<Ledger>, intent: Intent<'_>) -> Result<Hold, BudgetExceeded> {
    ledger.reserve(intent, NOON, |_| ()).map(|(hold, ())| hold)
}

fn request() -> ImageRequest {
    ImageRequest::from_json(br#"{"prompt":"a red fox","seed":7}"#).unwrap()
}

/// So many pictures at `each`, all delivered.
fn pictures(count: usize, each: Usd) -> Charge {
    Charge {
        amount: ChargedAmount::Pictures { delivered: vec![each; count], lost: Vec::new() },
        source: CostSource::Table,
        tiers: None,
        fee: Usd::ZERO,
        uncertain: Usd::ZERO,
        refused: 0,
        rejections: Rejections::default(),
        outcome: "ok",
        took: Duration::ZERO,
        images: (0..count).map(|index| format!("{index}").into()).collect(),
    }
}

fn settle(hold: Hold, charge: Charge) -> Settlement {
    hold.settle(charge, NOON, |_| ()).0.settlement
}

/// A day's budget of one dollar, and what is left of it at a moment.
fn left_at(ledger: &Arc<Ledger>, plan: &Plan, now: Moment) -> Usd {
    ledger.counter(&counter_keys(plan)[0], now).unwrap().left(usd("1"))
}

fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// Spends at a moment.
fn spend(ledger: &Arc<Ledger>, plan: &Plan, amount: &str, now: Moment) {
    let (hold, ()) = ledger.reserve(intent(plan, 1, usd(amount)), now, |_| ()).unwrap();
    hold.settle(pictures(1, usd(amount)), now, |_| ());
}
