//! Two processes, one of which hands over to the other, and one budget.

use crate::ledger::entry::Entry;
use crate::ledger::tests::*;

/// How many attempts of a tenth of a dollar may begin now.
fn tenths(ledger: &Arc<Ledger>, plan: &Plan) -> usize {
    let held: Vec<Hold> = std::iter::from_fn(|| open(ledger, intent(plan, 1, usd("0.1"))).ok()).collect();
    let many = held.len();
    for hold in held {
        hold.release(NOON, |_| ());
    }
    many
}

fn entry(id: i64) -> Entry {
    let (request, estimate) = ("r1".into(), usd("0.1"));
    Entry { id, at: NOON, request, owner: owner("t"), purpose: Purpose::Draw, pictures: 1, estimate, chosen: "" }
}

#[test]
fn two_processes_that_share_a_budget_never_spend_more_than_it_together() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.1");
    let (old, new) = (ledger(&plan), Arc::new(Ledger::default()));
    assert_eq!(tenths(&old, &plan), 10);
    // Three tenths are under way in the old one when it hands over. The new one begins to count afterwards.
    for id in 101..=103 {
        old.adopt(entry(id));
        new.adopt(entry(id));
    }
    new.count(&counter_keys(&plan), NOON, |keys| told(vec![CounterSum::default(); keys.len()])).unwrap();
    new.set_aside(&old.halve_budgets(&plan, NOON));
    assert_eq!(
        (tenths(&old, &plan), tenths(&new, &plan)),
        (3, 3),
        "seven tenths were left, and nobody has the odd one"
    );
    assert_eq!(tenths(&old, &plan), 0, "an allowance only becomes less");
    // What the old one ends is counted in the new one as what it came to.
    let cheaper = Settlement { usd: usd("0.05"), ..Settlement::nothing(NOON) };
    assert!(new.settle_adopted(101, &cheaper, NOON) && !new.settle_adopted(101, &cheaper, NOON));
    new.release_adopted(102, NOON);
    assert_eq!(tenths(&new, &plan), 5);
    assert_eq!(new.under_way_up_to(1_000), [103]);
    new.spend_alone();
    assert_eq!(tenths(&new, &plan), 8, "a twentieth is spent, and a tenth is still under way");
}

#[test]
fn a_budget_that_begins_again_is_no_new_allowance_for_the_process_that_ends() {
    let plan = plan("budget: {usd: 1, per: day},", "price: 0.1");
    let (old, new) = (ledger(&plan), Arc::new(Ledger::default()));
    new.count(&counter_keys(&plan), NOON, |keys| told(vec![CounterSum::default(); keys.len()])).unwrap();
    new.set_aside(&old.halve_budgets(&plan, NOON));
    let tomorrow = NOON.after(Duration::from_secs(86_400));
    let opened = |ledger: &Arc<Ledger>| {
        let held: Vec<_> =
            std::iter::from_fn(|| ledger.reserve(intent(&plan, 1, usd("0.1")), tomorrow, |_| ()).ok()).collect();
        held.len()
    };
    assert_eq!((opened(&old), opened(&new)), (5, 5));
}
