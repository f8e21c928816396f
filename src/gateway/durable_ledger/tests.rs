//! Budgets that are added while attempts are booked: no nano-dollar is lost, and none is counted twice.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use crate::config::plan::Dimension;
use crate::config::{self, ConfigText, EnvAndFiles, ProviderKind};
use crate::gateway::durable_ledger::*;
use crate::ledger::BilledModel;
use crate::ledger::counter_keys;
use crate::ledger::entry::{CostSource as From, Owner, Purpose};
use crate::money::Usd;
use crate::pricing::charged_amount::ChargedAmount;

struct Nothing;

impl EnvAndFiles for Nothing {
    fn var(&self, _name: &str) -> Option<String> {
        None
    }

    fn file(&self, _path: &Path) -> Result<String, String> {
        Err("no files here".to_owned())
    }
}

/// A plan whose provider and route have these budgets, and an alert that looks back so many days.
fn plan(state_dir: Option<&Path>, budgets: &str, days: usize) -> Plan {
    let server = state_dir.map_or(String::new(), |dir| format!("server: {{state_dir: {:?}}}\n", dir.to_str().unwrap()));
    let text = format!(
        "{server}providers:\n  p: {{kind: k, base_url: http://127.0.0.1:1/, budget: [{budgets}], models: {{m: {{price: 1}}}}}}\n\
         routes: [{{name: r, offers: [p/m], price: {{budget: [{budgets}]}}}}]\n\
         alerts: [{{name: a, when: spend_usd_per_hour > 9, over: {days}d}}]\n"
    );
    let kind = ProviderKind { name: "k", default_base_url: None, needs_key: false, known_models: &[] };
    config::load(&ConfigText { name: "test", text: &text }, &[kind], &Nothing).unwrap_or_else(|why| panic!("{why}"))
}

/// Plans that each have a budget more than the one before.
fn growing(state_dir: Option<&Path>) -> Vec<Plan> {
    let zones = ["UTC", "Asia/Tokyo", "America/New_York", "Europe/Berlin"];
    let mut budgets = "{usd: 1000000, per: total}".to_owned();
    let mut plans = vec![plan(state_dir, &budgets, 2)];
    for (days, zone) in (3..).zip(zones) {
        budgets.push_str(&format!(
            ", {{usd: 1000000, per: month, zone: {zone}}}, {{usd: 1000000, per: day, zone: {zone}}}"
        ));
        plans.push(plan(state_dir, &budgets, days));
    }
    plans
}

/// Books each amount; what was settled, and when.
fn book(durable_ledger: &DurableLedger, plan: &Plan, amounts: &[i64]) -> Vec<(Moment, Usd)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let provider = plan.providers["p"].clone();
    let mut settled = Vec::new();
    for nanos in amounts {
        let usd = Usd::from_nanos(*nanos);
        let intent = Intent {
            request: "id".into(),
            owner: Owner { tenant: "t".into(), route: "r".into(), provider: "p".into(), model: "m".into() },
            purpose: Purpose::Draw,
            pictures: 1,
            estimate: usd,
            chosen: "first",
            billed_model: BilledModel { model: Some(provider.models["m"].clone()), provider: provider.clone() },
            budgets: [&[], &[], &[]],
        };
        let charge = Charge {
            amount: ChargedAmount::Pictures { delivered: vec![usd], lost: Vec::new() },
            source: From::Table,
            tiers: None,
            fee: Usd::ZERO,
            uncertain: Usd::ZERO,
            refused: 0,
            outcome: "ok",
            took: Duration::ZERO,
            images: vec!["id".into()],
        };
        let done = runtime.block_on(async {
            let hold = durable_ledger.open(intent).unwrap().written().await.map_err(|(_, why)| why).unwrap();
            durable_ledger.settle(hold, charge).await
        });
        settled.push((done.settlement.at, done.settlement.usd));
    }
    settled
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn budgets_that_are_added_while_attempts_are_booked_count_each_of_them_once(
        amounts in proptest::collection::vec(1i64..2_000_000_000, 60..90),
        on_disk in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let plans = growing(on_disk.then(|| dir.path()));
        let ledger = Arc::new(Ledger::default());
        let place = plans[0].server.state_dir.clone().map_or(Location::Memory, Location::Dir);
        let durable_ledger = DurableLedger::open_record(ledger.clone(), &plans[0].server, place, Clock::System).unwrap();
        let ended = AtomicBool::new(false);
        let settled = std::thread::scope(|scope| {
            let booking: Vec<_> = amounts.chunks(30).map(|some| scope.spawn(|| book(&durable_ledger, &plans[0], some))).collect();
            let follower = scope.spawn(|| {
                for plan in &plans {
                    durable_ledger.follow(plan).unwrap();
                }
                ended.store(true, Ordering::Release);
            });
            let settled: Vec<_> = booking.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
            follower.join().unwrap();
            settled
        });
        prop_assert!(ended.load(Ordering::Acquire));
        prop_assert_eq!(settled.len(), amounts.len());
        let last = plans.last().unwrap();
        let counted = counter_keys(last);
        prop_assert_eq!(counted.len(), 18);
        for key in counted {
            let counter = ledger.counter(&key, Clock::System.now()).unwrap();
            let within: Vec<_> = settled.iter().filter(|(at, _)| counter.period.holds(*at)).collect();
            let usd: i64 = within.iter().map(|(_, usd)| usd.nanos()).sum();
            prop_assert_eq!((counter.settled.usd.nanos(), counter.settled.billed), (usd, within.len() as u64), "{}", key);
            prop_assert_eq!((counter.reserved, counter.under_way), (Usd::ZERO, 0));
        }
        let sum = ledger.sum(Dimension::All, "", Duration::from_secs(3 * 86_400), Clock::System.now());
        prop_assert_eq!((sum.usd.nanos(), sum.attempts), (amounts.iter().sum::<i64>(), amounts.len() as u64));
    }
}
