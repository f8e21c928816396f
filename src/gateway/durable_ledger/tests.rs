//! Budgets that are added while attempts are booked: no nano-dollar is lost, and none is counted twice.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use crate::clock::ManualClock;
use crate::config::plan::Dimension;
use crate::config::{self, ConfigText, EnvAndFiles, ProviderKind};
use crate::gateway::durable_ledger::*;
use crate::ledger::BilledModel;
use crate::ledger::counter_keys;
use crate::ledger::entry::{CostSource as From, Owner, Purpose};
use crate::money::Usd;
use crate::pricing::charged_amount::ChargedAmount;

mod handover;

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
    config::load(&ConfigText { name: "test", text: &text }, &[kind], &Nothing)
        .unwrap_or_else(|why| panic!("{why}"))
        .plan
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
    let mut settled = Vec::new();
    for nanos in amounts {
        let charge = charged(Usd::from_nanos(*nanos), vec!["id".into()], &[]);
        let done = runtime.block_on(pay(durable_ledger, intent(plan, "r", "t"), charge));
        settled.push((done.settlement.at, done.settlement.usd));
    }
    settled
}

/// A call for one picture that is about to be made.
fn intent<'a>(plan: &'a Plan, route: &str, tenant: &str) -> Intent<'a> {
    let provider = plan.providers["p"].clone();
    Intent {
        request: "id".into(),
        owner: Owner { tenant: tenant.into(), route: route.into(), provider: "p".into(), model: "m".into() },
        purpose: Purpose::Draw,
        pictures: 1,
        estimate: Usd::from_nanos(1),
        chosen: "first",
        billed_model: BilledModel { model: Some(provider.models["m"].clone()), provider },
        budgets: [&[], &[], &[]],
    }
}

/// Each of these pictures at `each`, and one more for each of these reasons to reject it.
fn charged(each: Usd, images: Vec<Arc<str>>, reasons: &[&'static str]) -> Charge {
    Charge {
        amount: ChargedAmount::Pictures { delivered: vec![each; images.len()], lost: vec![each; reasons.len()] },
        source: From::Table,
        tiers: None,
        fee: Usd::ZERO,
        uncertain: Usd::ZERO,
        refused: 0,
        rejections: reasons.iter().copied().collect(),
        outcome: if images.is_empty() { "malformed" } else { "ok" },
        took: Duration::ZERO,
        images,
    }
}

/// Opens a call and settles it.
async fn pay(durable_ledger: &DurableLedger, intent: Intent<'_>, charge: Charge) -> Settled {
    let hold = durable_ledger.open(intent).unwrap().written().await.map_err(|(_, why)| why).unwrap();
    durable_ledger.settle(hold, charge).await
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
        let durable_ledger = DurableLedger::open_record(ledger.clone(), &plans[0].server, place, Clock::System, None).unwrap();
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

/// One call in a random life: whose it is, what its pictures cost, how many are delivered, why others are not, and which
/// of the delivered ones their viewers reject.
type RandomCall = (usize, i64, Vec<bool>, Vec<&'static str>);

fn random_call() -> impl Strategy<Value = RandomCall> {
    let reasons = proptest::sample::select(vec!["blank", "truncated", "wrong_size"]);
    let delivered = proptest::collection::vec(any::<bool>(), 0..4);
    (0usize..4, 0i64..1_000_000_000, delivered, proptest::collection::vec(reasons, 0..4))
}

/// Every sum that a ledger knows of the calls of [`random_call`].
fn all_sums(ledger: &Ledger, now: Moment) -> Vec<WindowSum> {
    let names = [(Dimension::All, vec![""]), (Dimension::Provider, vec!["p"]), (Dimension::Model, vec!["p/m"])];
    let names = names.into_iter().chain([(Dimension::Route, vec!["r", "s"]), (Dimension::Tenant, vec!["t", "u"])]);
    let day = Duration::from_secs(86_400);
    let named = names.flat_map(|(by, names)| names.into_iter().map(move |name| ledger.sum(by, name, day, now)));
    named.chain(["r", "s"].map(|route| ledger.on_route(route, "p/m", day, now))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_sums_of_a_ledger_that_is_opened_again_are_those_of_the_one_that_was_live_rejected_pictures_included(
        calls in proptest::collection::vec(random_call(), 1..30),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(Some(dir.path()), "{usd: 1000000, per: total}", 2);
        let mut now: Moment = "2026-11-25T12:00:00Z".parse().unwrap();
        let clock = ManualClock::at(now);
        let open = || {
            let (ledger, place) = (Arc::new(Ledger::default()), Location::Dir(dir.path().to_owned()));
            let clock = Clock::Manual(clock.clone());
            let durable_ledger = DurableLedger::open_record(ledger.clone(), &plan.server, place, clock, None).unwrap();
            durable_ledger.follow(&plan).unwrap();
            (ledger, durable_ledger)
        };
        let (live, durable_ledger) = open();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (mut accepted, mut rejected) = (0, 0);
        for (nth, (whose, nanos, delivered, reasons)) in calls.iter().enumerate() {
            let (route, tenant) = (["r", "s"][whose % 2], ["t", "u"][whose / 2]);
            let images: Vec<Arc<str>> = (0..delivered.len()).map(|picture| format!("{nth}/{picture}").into()).collect();
            let charge = charged(Usd::from_nanos(*nanos), images.clone(), reasons);
            runtime.block_on(async {
                pay(&durable_ledger, intent(&plan, route, tenant), charge).await;
                for image in images.iter().zip(delivered).filter(|(_, liked)| !**liked).map(|(image, _)| image) {
                    for changed in [true, false] {
                        let judged = durable_ledger.judge(image, tenant, Verdict::Rejected, None).await.unwrap();
                        assert_eq!(judged.unwrap().changed, changed, "the same word twice counts once");
                    }
                }
            });
            let liked = delivered.iter().filter(|liked| **liked).count();
            accepted += liked;
            rejected += delivered.len() - liked + reasons.len();
            now = now.after(Duration::from_secs(47));
            clock.set(now);
        }
        let sums = all_sums(&live, now);
        prop_assert_eq!((sums[0].accepted, sums[0].rejected), (accepted as u64, rejected as u64));
        let costs = live.costs(now);
        // As after kill -9: nobody says goodbye.
        drop(durable_ledger);
        let (again, _durable_ledger) = open();
        prop_assert_eq!(all_sums(&again, now), sums);
        prop_assert_eq!(again.costs(now), costs);
    }
}
