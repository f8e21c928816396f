//! Two processes, one of which hands over to the other, and one budget.

use crate::ledger::entry::Entry;
use crate::ledger::tests::*;

/// How many attempts of a tenth of a dollar may begin now.
fn tenths(ledger: &Arc<Ledger>, plan: &Plan) -> usize {
    let held: Vec<Hold> = std::iter::from_fn(|| open(ledger, intent(plan, 1, usd("0.1"))).ok()).collect();
    let many = held.len();
    held.into_iter().for_each(|hold| drop(hold.release(NOON, |_| ())));
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
    let limits: Vec<(CounterKey, Usd)> = counter_keys(&plan).into_iter().map(|key| (key, usd("1"))).collect();
    new.set_aside(&old.halve_budgets(&limits, NOON));
    assert_eq!(
        (tenths(&old, &plan), tenths(&new, &plan)),
        (3, 3),
        "seven tenths were left, and nobody has the odd one"
    );
    // What the old one ends is counted in the new one as what it came to.
    let cheaper = Settlement { usd: usd("0.05"), ..Settlement::nothing(NOON) };
    assert!(new.settle_adopted(101, &cheaper, NOON) && !new.settle_adopted(101, &cheaper, NOON));
    new.release_adopted(102, NOON);
    assert_eq!(tenths(&new, &plan), 5);
    new.spend_alone();
    assert_eq!(tenths(&new, &plan), 8, "a twentieth is spent, and a tenth is still under way");
}
