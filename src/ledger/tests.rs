//! Limits under a crowd, prices on both sides of an edge, and nothing promised when nothing is under way.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::calendar::{Moment, Per, Period, Zone};
use crate::config::plan::{Dimension, Plan};
use crate::config::{self, ConfigText as Text, Lookup};
use crate::ledger::counter::{CounterKey, CounterSum, Scope};
use crate::ledger::entry::{CostSource, Owner, Purpose, Settlement};
use crate::ledger::window::{Change, Fact, Windows};
use crate::ledger::*;
use crate::money::Usd;
use crate::pricing::amount::Amount;
use crate::pricing::volume::{VolumePrice, VolumeTier, tiers_for};
use crate::request::ImageRequest;

const NOON: Moment = Moment::from_millis(1_795_608_000_000); // 2026-11-25T12:00:00Z

struct Nothing;

impl Lookup for Nothing {
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
    config::load(&Text { name: "test", text: &text }, &[kind], &Nothing).unwrap()
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
        budgets: [&[], &[], &plan.providers["p"].budgets],
        terms: Terms { provider, model },
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

fn open(ledger: &Arc<Ledger>, intent: Intent<'_>) -> Result<Hold, Short> {
    ledger.reserve(intent, NOON, |_| ()).map(|(hold, ())| hold)
}

fn request() -> ImageRequest {
    ImageRequest::from_json(br#"{"prompt":"a red fox","seed":7}"#).unwrap()
}

/// So many pictures at `each`, all delivered.
fn pictures(count: usize, each: Usd) -> Charge {
    Charge {
        amount: Amount::Pictures { delivered: vec![each; count], lost: Vec::new() },
        source: CostSource::Table,
        tiers: None,
        fee: Usd::ZERO,
        uncertain: Usd::ZERO,
        refused: 0,
        outcome: "ok",
        took: Duration::ZERO,
        images: (0..count).map(|index| format!("{index}").into()).collect(),
    }
}

fn settle(hold: Hold, charge: Charge) -> Settlement {
    hold.settle(charge, NOON, |_| ()).0.settlement
}

#[test]
fn a_budget_is_promised_before_it_is_spent_and_never_passed() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.3");
    let ledger = ledger(&plan);
    let first = open(&ledger, intent(&plan, 2, usd("0.6"))).unwrap();
    let short = open(&ledger, intent(&plan, 2, usd("0.6"))).unwrap_err();
    assert_eq!((short.left, short.wanted, short.limit), (usd("0.4"), usd("0.6"), usd("1")));
    assert_eq!(short.resets.unwrap().to_string(), "2026-11-26T00:00:00Z");
    assert_eq!(short.scope.to_string(), "provider:p");
    // One of the two pictures came: the other's price is free again.
    settle(first, pictures(1, usd("0.3")));
    let second = open(&ledger, intent(&plan, 2, usd("0.6"))).unwrap();
    assert_eq!(ledger.reserved(), usd("0.6"));
    second.release(NOON, |_| ()).unwrap();
    assert_eq!(ledger.reserved(), Usd::ZERO);
    assert!(open(&ledger, intent(&plan, 2, usd("0.7"))).is_ok_and(|hold| hold.id() == 3));
}

#[test]
fn a_budget_begins_again_at_its_own_midnight() {
    let plan = plan("budget: {usd: 1, per: day, zone: Asia/Tokyo},", "price: 0.3");
    let ledger = ledger(&plan);
    settle(open(&ledger, intent(&plan, 1, usd("1"))).unwrap(), pictures(1, usd("1")));
    // 15:00 UTC is midnight in Tokyo.
    let three = NOON.after(Duration::from_secs(3 * 3600));
    assert!(ledger.reserve(intent(&plan, 1, usd("0.1")), three.before(Duration::from_millis(1)), |_| ()).is_err());
    assert!(ledger.reserve(intent(&plan, 1, usd("0.1")), three, |_| ()).is_ok());
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

#[test]
fn a_clock_that_leaps_ahead_and_back_uses_up_no_other_days_budget() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.3");
    let ledger = ledger(&plan);
    let far = NOON.after(days(3650));
    spend(&ledger, &plan, "0.75", NOON);
    spend(&ledger, &plan, "1", far);
    assert_eq!(left_at(&ledger, &plan, far), Usd::ZERO);
    assert_eq!(left_at(&ledger, &plan, NOON), usd("0.25"), "the same day is as it was left");
    for day in [1, 2, 40] {
        assert_eq!(left_at(&ledger, &plan, NOON.after(days(day))), usd("1"), "{day} days later");
    }
    spend(&ledger, &plan, "0.5", NOON.after(days(40)));
    assert_eq!(left_at(&ledger, &plan, NOON.after(days(40))), usd("0.5"));
    assert_eq!(left_at(&ledger, &plan, NOON), usd("0.25"));
    assert!(!ledger.is_behind(), "all of that was counted here");
}

#[test]
fn what_is_under_way_stays_promised_whatever_the_clock_does() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.3");
    let ledger = ledger(&plan);
    let hold = open(&ledger, intent(&plan, 1, usd("0.75"))).unwrap();
    let far = NOON.after(days(3650));
    assert_eq!([NOON, far, NOON].map(|now| left_at(&ledger, &plan, now)), [usd("0.25"); 3]);
    // It is settled by a clock that is ahead, and belongs to that day.
    hold.settle(pictures(1, usd("0.5")), far, |_| ());
    assert_eq!([NOON, far].map(|now| left_at(&ledger, &plan, now)), [usd("1"), usd("0.5")]);
}

#[test]
fn a_ledger_that_began_ahead_asks_the_record_for_the_day_it_comes_back_to() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.3");
    let (ledger, far) = (Arc::new(Ledger::default()), NOON.after(days(3650)));
    ledger.count(&counter_keys(&plan), far, |new| told(vec![CounterSum::default(); new.len()])).unwrap();
    spend(&ledger, &plan, "0.5", NOON);
    assert!(ledger.is_behind());
    assert_eq!(ledger.count(&counter_keys(&plan), NOON, |_| || Err("the disk is away")), Err("the disk is away"));
    assert!(ledger.is_behind() && left_at(&ledger, &plan, NOON) == usd("0.5"), "it counts on meanwhile");
    // The record has what was spent before, and what was just spent.
    let record = CounterSum { usd: usd("0.9"), ..CounterSum::default() };
    ledger.count(&counter_keys(&plan), NOON, |new| told(vec![record; new.len()])).unwrap();
    assert_eq!((ledger.is_behind(), left_at(&ledger, &plan, NOON)), (false, usd("0.1")));
}

#[test]
fn a_clock_that_wanders_leaves_no_more_behind_than_a_counter_may_remember() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.3");
    let ledger = ledger(&plan);
    for day in 0..500 {
        spend(&ledger, &plan, "0.25", NOON.after(days(day)));
    }
    assert_eq!(left_at(&ledger, &plan, NOON.after(days(450))), usd("0.75"));
    assert_eq!(left_at(&ledger, &plan, NOON), usd("1"), "too long ago to be remembered");
}

#[test]
fn what_may_have_been_charged_counts_against_a_budget_but_is_on_no_invoice() {
    let plan = plan("budget: {usd: 1, per: total},", "price: 0.3");
    let ledger = ledger(&plan);
    let charge = Charge { uncertain: usd("0.6"), outcome: "timeout", ..pictures(0, Usd::ZERO) };
    settle(open(&ledger, intent(&plan, 2, usd("0.6"))).unwrap(), charge);
    let short = open(&ledger, intent(&plan, 2, usd("0.6"))).unwrap_err();
    assert_eq!((short.left, short.resets, ledger.spent()), (usd("0.4"), None, Some(Usd::ZERO)));
}

#[test]
fn an_attempt_that_was_interrupted_may_have_been_charged() {
    let plan = plan("budget: {usd: 1},", "price: 0.3");
    let ledger = ledger(&plan);
    drop(open(&ledger, intent(&plan, 1, usd("0.3"))).unwrap());
    assert_eq!(ledger.reserved(), Usd::ZERO);
    let unsure = Account { provider: "p".into(), model: "m".into(), kind: SpendKind::Uncertain };
    assert_eq!(ledger.totals(), [(unsure, Total { pictures: 1, usd: usd("0.3") })]);
    assert_eq!(open(&ledger, intent(&plan, 1, usd("0.8"))).unwrap_err().left, usd("0.7"));
}

#[test]
fn a_counter_that_begins_late_knows_what_is_under_way_and_what_the_record_holds() {
    let plan = plan("budget: {usd: 1},", "price: 0.3");
    let late = Arc::new(Ledger::default());
    let running = open(&late, intent(&plan, 1, usd("0.3"))).unwrap();
    assert_eq!(late.count(&counter_keys(&plan), NOON, |_| || Err("the disk is away")), Err("the disk is away"));
    let tell = |new: &[(CounterKey, Period)]| {
        let months = new.iter().map(|(_, month)| (month.start.to_string(), month.end.unwrap().to_string()));
        assert_eq!(months.collect::<Vec<_>>(), [("2026-11-01T00:00:00Z".into(), "2026-12-01T00:00:00Z".into())]);
        told(vec![CounterSum { usd: usd("0.5"), ..CounterSum::default() }])
    };
    late.count(&counter_keys(&plan), NOON, tell).unwrap();
    assert_eq!(open(&late, intent(&plan, 1, usd("0.3"))).unwrap_err().left, usd("0.2"));
    settle(running, pictures(1, usd("0.1")));
    assert_eq!(open(&late, intent(&plan, 1, usd("0.5"))).unwrap_err().left, usd("0.4"));
    assert_eq!(late.count(&counter_keys(&plan), NOON, |_| || Err("what is counted is asked for again")), Ok(()));
}

#[test]
fn while_a_record_is_read_attempts_go_on_and_count_on_top_of_what_it_tells() {
    let plan = plan("budget: [{usd: 9}, {usd: 9, per: day}],", "price: 0.3");
    let (ledger, far) = (Arc::new(Ledger::default()), NOON.after(days(40)));
    let running = open(&ledger, intent(&plan, 1, usd("0.3"))).unwrap();
    spend(&ledger, &plan, "0.5", NOON);
    let (same, record) = ((&ledger, &plan), CounterSum { usd: usd("1.5"), billed: 5, ..CounterSum::default() });
    let ask = |new: &[(CounterKey, Period)]| {
        let sums = vec![record; new.len()];
        move || {
            // The ledger is not locked: one attempt ends, one comes and goes, and one is settled by a clock far ahead.
            settle(running, pictures(1, usd("0.25")));
            spend(same.0, same.1, "0.125", NOON);
            spend(same.0, same.1, "7", far);
            Ok::<_, ()>(sums)
        }
    };
    ledger.count(&counter_keys(&plan), NOON, ask).unwrap();
    for key in counter_keys(&plan) {
        let settled = ledger.counter(&key, NOON).unwrap().settled;
        assert_eq!((settled.usd, settled.billed), (usd("1.875"), 7), "{key}");
        assert_eq!(ledger.counter(&key, far).unwrap().settled.usd, usd("7"), "{key}");
        assert_eq!(ledger.counter(&key, NOON).unwrap().reserved, Usd::ZERO);
    }
}

#[test]
fn what_a_record_misses_because_it_was_read_before_is_in_the_windows_all_the_same() {
    let plan = plan("", "price: 0.3");
    let ledger = ledger(&plan);
    spend(&ledger, &plan, "0.5", NOON);
    let same = (&ledger, &plan);
    let ask = |mut windows: Windows| {
        windows.add(NOON, &owner("t"), Fact { usd: usd("0.5"), accepted: 1, attempts: 1, ..Fact::default() });
        move || {
            spend(same.0, same.1, "0.25", NOON);
            same.0.judge(NOON, &owner("t"), Change { accepted: -1, rejected: 1 });
            Ok::<_, ()>(windows)
        }
    };
    ledger.look_back(days(31), ask).unwrap();
    let sum = ledger.sum(Dimension::All, "", days(1), NOON);
    assert_eq!((sum.usd, sum.attempts, sum.accepted, sum.rejected), (usd("0.75"), 2, 1, 1));
    assert_eq!(ledger.look_back(days(31), |_| || Err("it is told already")), Ok(()));
}

#[test]
fn the_hundred_thousandth_picture_is_the_last_at_the_first_price() {
    let plan = plan("", "price: 0.009, volume: [{from: 100000, usd: 0.005}]");
    let ledger = ledger_after(&plan, CounterSum { billed: 99_998, ..CounterSum::default() });
    let (provider, model) = (&plan.providers["p"], &plan.providers["p"].models["m"]);
    let request = request();
    assert_eq!(ledger.tiered((provider, model), &request, usd("0.009"), 4, NOON), Some(usd("0.009")));
    let paid = settle(open(&ledger, intent(&plan, 4, usd("0.036"))).unwrap(), pictures(4, usd("0.009")));
    let each: Vec<String> = paid.pictures.iter().map(|picture| picture.usd.to_string()).collect();
    assert_eq!((each.join(" ").as_str(), paid.usd), ("0.009 0.009 0.005 0.005", usd("0.028")));
    assert_eq!(ledger.tiered((provider, model), &request, usd("0.009"), 4, NOON), Some(usd("0.005")));
    // Next month it begins again.
    let december = NOON.after(Duration::from_secs(30 * 86_400));
    assert_eq!(ledger.tiered((provider, model), &request, usd("0.009"), 1, december), Some(usd("0.009")));
}

#[test]
fn a_tiers_own_price_takes_the_place_of_the_tables_and_of_nothing_on_top() {
    let plan = plan(
        "markup: 10%, fee: 0.001,",
        "price: 0.02, multiplier: 50%, addons: {seed: 0.003}, volume: [{from: 2, usd: 0.01}, {from: 4, discount: 50%}]",
    );
    let ledger = ledger(&plan);
    let (provider, model) = (&plan.providers["p"], &plan.providers["p"].models["m"]);
    let tiers = tiers_for(&model.volume, &model.price, &request());
    // 0.02 and 0.01 by half, with the seed, and 10% on both.
    let (listed, own, fee) = (usd("0.0143"), usd("0.0088"), usd("0.001"));
    assert_eq!(model.price.per_picture(&request(), None, None), Some(listed));
    let call = || {
        let first = listed.checked_add(fee).unwrap();
        let amount = Amount::Pictures { delivered: vec![first, listed], lost: Vec::new() };
        let charge = Charge { amount, tiers: tiers.clone(), fee, ..pictures(2, listed) };
        settle(open(&ledger, intent(&plan, 2, usd("1"))).unwrap(), charge)
    };
    let each = |paid: &Settlement| paid.pictures.iter().map(|picture| picture.usd).collect::<Vec<_>>();
    assert_eq!(each(&call()), [usd("0.0153"), listed]);
    let most = |ledger: &Ledger| ledger.tiered((provider, model), &request(), usd("0.0153"), 1, NOON);
    assert_eq!(most(&ledger), own.checked_add(fee));
    assert_eq!(each(&call()), [usd("0.0098"), own]);
    assert_eq!(each(&call()), [usd("0.00765"), usd("0.00715")], "a discount is on all of it");
    // What is counted for the whole call is a price of the table's kind too.
    let counted = Charge {
        amount: Amount::Total { usd: usd("0.5"), billed: 2 },
        source: CostSource::Usage,
        tiers: Some(vec![VolumeTier { from: 0, price: VolumePrice::Flat(own) }]),
        fee,
        ..pictures(2, Usd::ZERO)
    };
    let paid = settle(open(&ledger, intent(&plan, 2, usd("1"))).unwrap(), counted);
    assert_eq!(each(&paid), [usd("0.0098"), own]);
}

#[test]
fn a_price_that_rises_is_reckoned_with_all_that_is_under_way() {
    let plan = plan("", "price: 0, volume: [{from: 10, usd: 0.01}]");
    let ledger = ledger(&plan);
    let (provider, model) = (&plan.providers["p"], &plan.providers["p"].models["m"]);
    let request = request();
    assert_eq!(ledger.tiered((provider, model), &request, Usd::ZERO, 4, NOON), Some(Usd::ZERO));
    let _running = open(&ledger, intent(&plan, 8, Usd::ZERO)).unwrap();
    assert_eq!(ledger.tiered((provider, model), &request, Usd::ZERO, 2, NOON), Some(Usd::ZERO));
    assert_eq!(ledger.tiered((provider, model), &request, Usd::ZERO, 3, NOON), Some(usd("0.01")));
}

#[test]
fn a_commitment_is_used_up_to_the_last_nano_dollar_before_anything_is_charged() {
    let plan = plan("billing: {committed_usd_per_month: 500},", "price: 0.012000001");
    let ledger = ledger_after(&plan, CounterSum { prepaid: usd("499.99"), ..CounterSum::default() });
    let each = usd("0.012000001");
    let edge = settle(open(&ledger, intent(&plan, 2, usd("0.024000002"))).unwrap(), pictures(2, each));
    assert_eq!((edge.prepaid, edge.usd), (usd("0.01"), usd("0.014000002")));
    let after = settle(open(&ledger, intent(&plan, 1, each)).unwrap(), pictures(1, each));
    assert_eq!((after.prepaid, after.usd), (Usd::ZERO, each));
    let of = |kind| ledger.totals().into_iter().find(|(account, _)| account.kind == kind).unwrap().1.usd;
    assert_eq!((of(SpendKind::Prepaid), ledger.spent()), (usd("0.01"), Some(usd("0.026000003"))));
}

#[test]
fn what_a_vendor_tells_for_a_whole_call_is_shared_out_without_a_rest() {
    let plan = plan("", "price: 1, volume: [{from: 0, discount: 50%}]");
    let ledger = ledger(&plan);
    let total =
        |source, usd, billed| Charge { amount: Amount::Total { usd, billed }, source, ..pictures(2, Usd::ZERO) };
    let told = settle(open(&ledger, intent(&plan, 3, usd("3"))).unwrap(), total(CostSource::Reported, usd("0.01"), 3));
    let each: Vec<i64> = told.pictures.iter().map(|picture| picture.usd.nanos()).collect();
    assert_eq!((each, told.usd, told.lost), (vec![3_333_334, 3_333_333], usd("0.01"), Usd::from_nanos(3_333_333)));
    // What is counted here has no discount in it yet.
    let counted = settle(open(&ledger, intent(&plan, 2, usd("3"))).unwrap(), total(CostSource::Usage, usd("0.01"), 2));
    assert_eq!((counted.usd, counted.billed), (usd("0.005"), 2));
}

#[test]
fn an_amount_that_does_not_fit_is_told_not_invented() {
    let plan = plan("", "price: 1");
    let ledger = ledger(&plan);
    let most = Usd::from_nanos(i64::MAX);
    settle(open(&ledger, intent(&plan, 2, Usd::ZERO)).unwrap(), pictures(2, most));
    assert_eq!(ledger.spent(), None);
}

#[test]
fn a_crowd_never_passes_a_budget_and_leaves_nothing_promised() {
    let plan = Arc::new(plan("budget: {usd: 1},", "price: 0.01"));
    let ledger = ledger(&plan);
    let crowd = (0..8).map(|_| {
        let (plan, ledger) = (plan.clone(), ledger.clone());
        std::thread::spawn(move || {
            let bought = (0..100).filter_map(|_| open(&ledger, intent(&plan, 1, usd("0.01"))).ok());
            bought.map(|hold| settle(hold, pictures(1, usd("0.01"))).billed).sum::<u32>()
        })
    });
    let crowd: Vec<_> = crowd.collect();
    let bought: u32 = crowd.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!((bought, ledger.spent(), ledger.reserved()), (100, Some(usd("1")), Usd::ZERO));
}

/// What happens to one attempt of a story.
#[derive(Clone, Debug)]
enum Fate {
    Drawn { delivered: usize, lost: usize },
    Told(i64),
    Unsure,
    Unsent,
}

fn fates() -> impl Strategy<Value = Vec<(u32, Fate)>> {
    let fate = prop_oneof![
        (0usize..5, 0usize..3).prop_map(|(delivered, lost)| Fate::Drawn { delivered, lost }),
        (0i64..1_000_000_000).prop_map(Fate::Told),
        Just(Fate::Unsure),
        Just(Fate::Unsent),
    ];
    proptest::collection::vec((1u32..5, fate), 0..60)
}

proptest! {
    /// The same story told twice: once by the ledger, once by plain sums over single pictures.
    #[test]
    fn what_is_recorded_is_what_a_second_reckoning_finds(
        fates in fates(),
        price in 0i64..20_000_000,
        tiers in proptest::collection::btree_map(0u64..120, 0i64..20_000_000, 0..4),
        committed in 0i64..500_000_000,
    ) {
        let mut plan = plan("billing: {committed_usd_per_month: 1},", "price: 1");
        let provider = Arc::make_mut(plan.providers.get_mut("p").unwrap());
        provider.billing.committed = Some(Usd::from_nanos(committed));
        let model = Arc::make_mut(provider.models.get_mut("m").unwrap());
        model.volume =
            tiers.iter().map(|(from, usd)| VolumeTier { from: *from, price: VolumePrice::Flat(Usd::from_nanos(*usd)) }).collect();
        let ledger = ledger(&plan);
        let (mut count, mut worth, mut unsure) = (0u64, 0i64, 0i64);
        for (n, fate) in fates {
            let hold = open(&ledger, intent(&plan, n, Usd::from_nanos(price * i64::from(n)))).unwrap();
            match fate {
                Fate::Drawn { delivered, lost } => {
                    for _ in 0..delivered + lost {
                        worth += tiers.range(..=count).next_back().map_or(price, |(_, usd)| *usd);
                        count += 1;
                    }
                    let each = Usd::from_nanos(price);
                    let amount = Amount::Pictures { delivered: vec![each; delivered], lost: vec![each; lost] };
                    settle(hold, Charge { amount, ..pictures(delivered, each) });
                }
                Fate::Told(nanos) => {
                    (worth, count) = (worth + nanos, count + u64::from(n));
                    let amount = Amount::Total { usd: Usd::from_nanos(nanos), billed: n };
                    settle(hold, Charge { amount, source: CostSource::Reported, ..pictures(n as usize, Usd::ZERO) });
                }
                Fate::Unsure => {
                    unsure += price * i64::from(n);
                    drop(hold);
                }
                Fate::Unsent => {
                    hold.release(NOON, |_| ());
                }
            }
        }
        let of = |kind: SpendKind| -> i64 {
            ledger.totals().iter().filter(|(account, _)| account.kind == kind).map(|(_, total)| total.usd.nanos()).sum()
        };
        prop_assert_eq!(ledger.spent().unwrap().nanos(), (worth - committed).max(0));
        prop_assert_eq!(of(SpendKind::Prepaid), worth.min(committed));
        prop_assert_eq!(of(SpendKind::Uncertain), unsure);
        prop_assert_eq!(ledger.reserved(), Usd::ZERO);
        let key = CounterKey { scope: Scope::Model("p".into(), "m".into()), per: Per::Month, zone: Zone::default() };
        if !tiers.is_empty() {
            prop_assert_eq!(ledger.counter(&key, NOON).unwrap().settled.billed, count);
        }
    }
}

#[test]
fn an_hour_of_reserved_capacity_is_part_of_what_its_pictures_cost_and_of_the_budget() {
    let plan = plan("budget: {usd: 300}, billing: {reserved_usd_per_month: 216},", "price: 0.009");
    let ledger = ledger(&plan);
    ledger.look_back(window::KEPT, told).unwrap();
    let (one, mut noted) = (NOON.before(Duration::from_secs(60)), Vec::new());
    ledger.accrue(&plan.providers["p"], one, |entry, settlement| noted.push((entry.id, entry.at, settlement.usd)));
    // 720 hours at 30 cents, of which 24 days and 11 hours have passed.
    assert_eq!(noted.len(), 587);
    assert_eq!(noted[586], (587, "2026-11-25T10:59:59.999Z".parse().unwrap(), usd("0.3")));
    assert_eq!(ledger.counter(&counter_keys(&plan)[0], one).unwrap().left(usd("300")), usd("123.9"));
    settle(open(&ledger, intent(&plan, 1, usd("0.009"))).unwrap(), pictures(1, usd("0.009")));
    ledger.accrue(&plan.providers["p"], NOON, |entry, _| assert_eq!(entry.id, 589));
    let hour = |by, name: &str| ledger.sum(by, name, Duration::from_secs(3600), NOON);
    assert_eq!((hour(Dimension::Provider, "p").usd, hour(Dimension::Provider, "p").attempts), (usd("0.309"), 1));
    assert_eq!(hour(Dimension::Route, "r").usd, usd("0.009"), "nobody's fee is everybody's");
    assert_eq!(ledger.sum(Dimension::All, "", Duration::from_secs(600), NOON).usd, usd("0.059"), "a share a minute");
    assert_eq!(ledger.names(Dimension::Tenant), ["t".into()]);
}

#[test]
fn a_fee_of_last_month_is_not_paid_out_of_this_months_budget() {
    let plan = plan("budget: {usd: 300}, billing: {reserved_usd_per_month: 216},", "price: 0.009");
    let ledger = ledger(&plan);
    ledger.booked_until(&plan.providers["p"], "2026-10-31T22:00:00Z".parse().unwrap());
    let mut booked = Usd::ZERO;
    let first = "2026-11-01T01:00:00Z".parse().unwrap();
    ledger.accrue(&plan.providers["p"], first, |_, settlement| booked = booked.checked_add(settlement.usd).unwrap());
    // Two hours of October at a 744th, one of November at a 720th.
    assert_eq!(booked, usd("0.880645162"));
    assert_eq!(ledger.counter(&counter_keys(&plan)[0], first).unwrap().settled.usd, usd("0.3"));
    // A clock that leaps ahead books what is left of this month and a part of another; back again, nothing is due twice
    // and nothing is left out until that year.
    let far = "2036-05-01T02:00:00Z".parse().unwrap();
    let all = |ledger: &Ledger, now| {
        let mut sum = Usd::ZERO;
        ledger.accrue(&plan.providers["p"], now, |_, settlement| sum = sum.checked_add(settlement.usd).unwrap());
        sum
    };
    // What is left of 720 hours at 0.3, and two of 744.
    assert_eq!(all(&ledger, far), usd("216.280645161"));
    assert_eq!(all(&ledger, NOON), Usd::ZERO, "November is booked");
    assert_eq!(all(&ledger, "2026-12-01T01:00:00Z".parse().unwrap()), usd("0.290322580"));
    let quiet = Arc::new(Ledger::default());
    quiet.no_fees_before(NOON);
    quiet.accrue(&plan.providers["p"], NOON, |entry, _| panic!("{entry:?} is of before this ledger began"));
}

#[test]
fn a_fee_is_shared_out_by_the_minute_without_a_rest() {
    let mut windows = Windows::default();
    let fee = Fact { usd: Usd::from_nanos(6_059), ..Fact::default() };
    add_to_windows(&mut windows, NOON, &owner(""), Purpose::Reserve, "ok", fee);
    let sum = |seconds| windows.sum(Dimension::All, "", Some(Duration::from_secs(seconds)), NOON).usd.nanos();
    assert_eq!([sum(0), sum(60), sum(3600)], [100 + 59, 200 + 59, 6_059]);
}

#[test]
fn what_is_left_of_a_budget_is_neither_spent_nor_promised_and_never_less_than_nothing() {
    let key = CounterKey { scope: Scope::Route("r".into()), per: Per::Month, zone: Zone::default() };
    let left = |used| counter::Budgeted { key: key.clone(), limit: usd("1"), used: usd(used) }.left();
    assert_eq!([left("0.4"), left("1"), left("1.5")], [usd("0.6"), Usd::ZERO, Usd::ZERO]);
}

#[test]
fn a_counter_is_named_with_its_time_zone_unless_that_is_utc() {
    let name = |zone: Zone| CounterKey { scope: Scope::Route("r".into()), per: Per::Month, zone }.to_string();
    assert_eq!(name(Zone::default()), "route:r/month");
    assert_eq!(name("Asia/Tokyo".parse().unwrap()), "route:r/month/Asia/Tokyo");
}
