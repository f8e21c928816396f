//! What an attempt is booked at: volume tiers, commitments, shares, and the same reckoned a second time.

use super::*;

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
        let amount = ChargedAmount::Pictures { delivered: vec![first, listed], lost: Vec::new() };
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
        amount: ChargedAmount::Total { usd: usd("0.5"), billed: 2 },
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
        |source, usd, billed| Charge { amount: ChargedAmount::Total { usd, billed }, source, ..pictures(2, Usd::ZERO) };
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
                    let amount = ChargedAmount::Pictures { delivered: vec![each; delivered], lost: vec![each; lost] };
                    settle(hold, Charge { amount, ..pictures(delivered, each) });
                }
                Fate::Told(nanos) => {
                    (worth, count) = (worth + nanos, count + u64::from(n));
                    let amount = ChargedAmount::Total { usd: Usd::from_nanos(nanos), billed: n };
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
        let key = CounterKey { scope: CounterScope::Model("p".into(), "m".into()), per: Per::Month, zone: Zone::default() };
        if !tiers.is_empty() {
            prop_assert_eq!(ledger.counter(&key, NOON).unwrap().settled.billed, count);
        }
    }
}
