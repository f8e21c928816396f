//! Sums against a plain list of all facts.

use proptest::prelude::*;

use crate::ledger::sliding_window::*;

fn owner(provider: &str, model: &str, route: &str, tenant: &str) -> Owner {
    Owner { provider: provider.into(), model: model.into(), route: route.into(), tenant: tenant.into() }
}

fn at(text: &str) -> Moment {
    text.parse().unwrap()
}

fn pictures(nanos: i64, accepted: u32) -> WindowFact {
    WindowFact { usd: Usd::from_nanos(nanos), accepted, attempts: 1, ..WindowFact::default() }
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_fact_counts_for_its_provider_its_model_its_route_its_tenant_and_in_all() {
    let mut windows = Windows::default();
    let now = at("2026-11-25T12:00:00Z");
    windows.add(now, &owner("a", "x", "r", "t"), pictures(9, 1));
    windows.add(now, &owner("a", "y/z", "r", "u"), pictures(30, 2));
    let usd = |by: Dimension, name: &str| windows.sum(by, name, Some(HOUR), now).usd.nanos();
    assert_eq!(usd(Dimension::All, ""), 39);
    assert_eq!([usd(Dimension::Provider, "a"), usd(Dimension::Provider, "b")], [39, 0]);
    assert_eq!([usd(Dimension::Model, "a/x"), usd(Dimension::Model, "a/y/z"), usd(Dimension::Model, "x")], [9, 30, 0]);
    assert_eq!([usd(Dimension::Route, "r"), usd(Dimension::Tenant, "t"), usd(Dimension::Tenant, "u")], [39, 9, 30]);
    let names: Vec<&str> = windows.names(Dimension::Model).map(|name| &**name).collect();
    assert_eq!(names, ["a/x", "a/y/z"]);
    assert_eq!(windows.names(Dimension::All).count(), 0);
}

#[test]
fn a_model_has_a_sum_on_each_route_that_verdicts_change() {
    let mut windows = Windows::default();
    let now = at("2026-11-25T12:00:00Z");
    windows.add(now, &owner("a", "x", "r", "t"), pictures(9, 2));
    windows.add(now, &owner("a", "x", "r", "u"), pictures(9, 1));
    windows.add(now, &owner("a", "x", "s", "t"), pictures(9, 5));
    windows.judge(now, &owner("a", "x", "r", "t"), VerdictChange { accepted: -1, rejected: 1 });
    let sum = |route: &str| {
        let sum = windows.on_route(route, "a/x", HOUR, now);
        (sum.accepted, sum.rejected)
    };
    assert_eq!([sum("r"), sum("s"), sum("q")], [(2, 1), (5, 0), (0, 0)]);
    assert_eq!(windows.on_route("r", "a/x", HOUR, at("2026-11-25T14:00:00Z")), WindowSum::default());
}

#[test]
fn a_window_begins_with_the_minute_it_begins_in() {
    let mut windows = Windows::default();
    windows.add(at("2026-11-25T11:00:00Z"), &owner("a", "x", "r", "t"), pictures(9, 1));
    let sum = |now: &str| windows.sum(Dimension::All, "", Some(HOUR), at(now)).accepted;
    assert_eq!([sum("2026-11-25T12:00:59Z"), sum("2026-11-25T12:01:00Z")], [1, 0]);
    assert_eq!(start(HOUR, at("2026-11-25T12:00:59Z")), at("2026-11-25T11:00:00Z"));
    assert_eq!(windows.sum(Dimension::All, "", None, at("2036-11-25T12:00:00Z")).accepted, 1);
}

#[test]
fn a_clock_that_leaps_ahead_and_back_takes_no_part_in_the_windows_of_today() {
    let (mut windows, owner) = (Windows::default(), owner("a", "x", "r", "t"));
    let (now, far) = (at("2026-11-25T12:00:00Z"), at("2036-11-25T12:00:00Z"));
    windows.add(far, &owner, pictures(9, 1));
    windows.add(far, &owner, pictures(9, 1));
    windows.add(now, &owner, pictures(40, 1));
    let usd = |window, now| windows.sum(Dimension::All, "", window, now).usd.nanos();
    assert_eq!([usd(Some(HOUR), now), usd(Some(KEPT), now), usd(None, now)], [40, 40, 58]);
    // Set right by a little, a window has what was settled before.
    let mut windows = Windows::default();
    windows.add(now, &owner, pictures(9, 1));
    windows.add(now.before(HOUR / 2), &owner, pictures(40, 1));
    assert_eq!(windows.sum(Dimension::All, "", Some(HOUR), now.before(HOUR / 2)).usd.nanos(), 49);
}

#[test]
fn a_picture_of_last_week_costs_what_was_paid_for_it_until_a_month_is_no_longer_kept() {
    let (mut windows, owner) = (Windows::default(), owner("a", "x", "r", "t"));
    windows.keep(Duration::from_secs(7 * 86_400));
    windows.add(at("2026-11-18T13:00:00Z"), &owner, pictures(9, 1));
    let now = at("2026-11-25T12:00:00Z");
    let week = |windows: &Windows| windows.sum(Dimension::All, "", Some(Duration::from_secs(7 * 86_400)), now).accepted;
    windows.add(now, &owner, pictures(9, 1));
    assert_eq!(week(&windows), 2);
    windows.keep(Duration::from_secs(1));
    windows.add(now, &owner, pictures(9, 1));
    assert_eq!(week(&windows), 2, "a day is always kept, a week no longer");
}

#[test]
fn a_later_verdict_belongs_to_the_minute_the_picture_was_paid_in() {
    let (mut windows, owner) = (Windows::default(), owner("a", "x", "r", "t"));
    let (paid, now) = (at("2026-11-25T11:00:00Z"), at("2026-11-25T11:59:00Z"));
    windows.add(paid, &owner, pictures(9, 1));
    windows.add(now, &owner, pictures(9, 1));
    windows.judge(paid, &owner, VerdictChange { accepted: -1, rejected: 1 });
    let of = |sum: WindowSum| (sum.accepted, sum.rejected);
    assert_eq!(of(windows.sum(Dimension::Provider, "a", Some(HOUR), now)), (1, 1));
    assert_eq!(of(windows.sum(Dimension::Provider, "a", Some(HOUR), at("2026-11-25T12:01:00Z"))), (1, 0));
}

#[test]
fn a_verdict_on_a_picture_of_a_minute_that_is_gone_changes_totals_alone() {
    let (mut windows, owner) = (Windows::default(), owner("a", "x", "r", "t"));
    let (paid, now) = (at("2026-11-20T11:00:00Z"), at("2026-11-25T11:59:00Z"));
    windows.add(paid, &owner, pictures(9, 1));
    windows.add(now, &owner, pictures(9, 1));
    windows.judge(paid, &owner, VerdictChange { accepted: -1, rejected: 1 });
    assert_eq!(windows.sum(Dimension::All, "", Some(KEPT), now).rejected, 0);
    let total = windows.sum(Dimension::All, "", None, now);
    assert_eq!((total.accepted, total.rejected), (1, 1));
}

#[test]
fn the_cost_of_an_accepted_picture_is_rounded_half_up_and_there_is_none_without_one() {
    let cost = |nanos: i64, accepted: u64| {
        let sum = WindowSum { usd: Usd::from_nanos(nanos), accepted, ..WindowSum::default() };
        cost_per_accepted(&sum).map(Usd::nanos)
    };
    assert_eq!([cost(10, 4), cost(9, 4), cost(11, 4)], [Some(3), Some(2), Some(3)]);
    assert_eq!([cost(5, 0), cost(0, 3)], [None, Some(0)]);
    assert_eq!(cost(i64::MAX, 1), Some(i64::MAX));
}

#[test]
fn minutes_and_names_are_bounded() {
    let mut windows = Windows::default();
    for number in 0..3 * 1440i64 {
        windows.add(Moment::from_millis(number * MINUTE), &owner("a", "x", "r", "t"), pictures(1, 1));
    }
    assert!(windows.series[0].minutes.0.len() <= 1441 && windows.series[0].hours.0.len() <= 25);
    let now = windows.newest;
    for number in 0..NAMES + 10 {
        windows.add(now, &owner("a", "x", "r", &format!("t{number}")), pictures(1, 1));
    }
    assert_eq!(windows.names(Dimension::Tenant).count(), NAMES + 1);
    assert_eq!(windows.sum(Dimension::Tenant, OTHER, None, now).accepted, 11);
}

#[test]
fn the_scrape_is_told_of_the_hour_the_day_and_everything_where_there_are_pictures() {
    let mut windows = Windows::default();
    let now = at("2026-11-25T12:00:00Z");
    windows.add(now.before(2 * HOUR), &owner("a", "x", "r", "t"), pictures(40, 4));
    windows.add(now, &owner("b", "y", "r", "t"), WindowFact { rejected: 2, ..pictures(5, 0) });
    windows.add(now, &owner("c", "z", "r", "t"), pictures(1, 0));
    let told = |wanted: Dimension| -> Vec<(String, &str, Option<i64>, u64, u64)> {
        let costs = windows.costs(now).into_iter().filter(|cost| cost.by == wanted);
        costs
            .map(|cost| (cost.name.to_string(), cost.window, cost.usd.map(Usd::nanos), cost.accepted, cost.rejected))
            .collect()
    };
    let line = |name: &str, window, nanos, accepted, rejected| (name.to_owned(), window, nanos, accepted, rejected);
    let providers = [
        line("a", "1d", Some(10), 4, 0),
        line("a", "total", Some(10), 4, 0),
        line("b", "1h", None, 0, 2),
        line("b", "1d", None, 0, 2),
        line("b", "total", None, 0, 2),
    ];
    assert_eq!(told(Dimension::Provider), providers);
    let routes = [line("r", "1h", None, 0, 2), line("r", "1d", Some(12), 4, 2), line("r", "total", Some(12), 4, 2)];
    assert_eq!(told(Dimension::Route), routes);
    assert_eq!(told(Dimension::Model)[0].0, "a/x");
    assert_eq!(told(Dimension::Tenant)[0].0, "t");
}

/// What happens to the sums in a random life.
#[derive(Clone, Debug)]
enum Event {
    Add(i64, usize, WindowFact),
    /// One picture of an earlier fact is rejected after all.
    Judge(prop::sample::Index),
}

fn event() -> impl Strategy<Value = Event> {
    let fact = (0i64..1_000_000_000_000, 0u32..5, 0u32..5, 0u32..3, 0u32..3).prop_map(
        |(nanos, accepted, rejected, attempts, failures)| WindowFact {
            usd: Usd::from_nanos(nanos),
            accepted,
            rejected,
            attempts,
            failures,
        },
    );
    // Three days in milliseconds, around 1970 so that negative minutes are met too.
    let add = (-86_400_000i64..172_800_000, 0usize..8, fact).prop_map(|(at, whose, fact)| Event::Add(at, whose, fact));
    prop_oneof![4 => add, 1 => any::<prop::sample::Index>().prop_map(Event::Judge)]
}

fn one_of_eight(number: usize) -> Owner {
    let pick = |bit: usize| if number & (1 << bit) == 0 { "a" } else { "b" };
    owner(pick(0), pick(1), pick(2), pick(0))
}

fn name_of(by: Dimension, owner: &Owner) -> String {
    match by {
        Dimension::All => String::new(),
        Dimension::Provider => owner.provider.to_string(),
        Dimension::Model => format!("{}/{}", owner.provider, owner.model),
        Dimension::Route => owner.route.to_string(),
        Dimension::Tenant => owner.tenant.to_string(),
        Dimension::Offer => format!("{}/{}/{}", owner.route, owner.provider, owner.model),
    }
}

fn naively(facts: &[(Moment, Owner, WindowFact)], by: Dimension, name: &str, from: Option<Moment>) -> WindowSum {
    let mut sum = WindowSum::default();
    for (at, owner, fact) in facts {
        if name_of(by, owner) == name && from.is_none_or(|from| *at >= from) {
            sum += WindowSum::from(*fact);
        }
    }
    sum
}

proptest! {
    #[test]
    fn every_sum_is_the_sum_of_the_facts_in_its_window(
        events in prop::collection::vec(event(), 1..80),
        later in 0u64..7_200_000,
        window in 1u64..86_400_000,
    ) {
        let (mut windows, mut facts) = (Windows::default(), Vec::<(Moment, Owner, WindowFact)>::new());
        for event in events {
            match event {
                Event::Add(millis, whose, fact) => {
                    let (at, owner) = (Moment::from_millis(millis), one_of_eight(whose));
                    windows.add(at, &owner, fact);
                    facts.push((at, owner, fact));
                }
                Event::Judge(which) if !facts.is_empty() => {
                    let (at, owner, fact) = which.get_mut(&mut facts);
                    if fact.accepted > 0 {
                        fact.accepted -= 1;
                        fact.rejected += 1;
                        windows.judge(*at, owner, VerdictChange { accepted: -1, rejected: 1 });
                    }
                }
                Event::Judge(_) => {}
            }
        }
        let newest = facts.iter().map(|(at, _, _)| *at).max().unwrap_or_default();
        let (now, window) = (newest.after(Duration::from_millis(later)), Duration::from_millis(window));
        for (by, name) in [(Dimension::All, ""), (Dimension::Provider, "b"), (Dimension::Model, "a/b"), (Dimension::Route, "a"), (Dimension::Tenant, "b"), (Dimension::Offer, "b/a/b")] {
            let from = start(window, now);
            prop_assert_eq!(windows.sum(by, name, Some(window), now), naively(&facts, by, name, Some(from)));
            prop_assert_eq!(windows.sum(by, name, None, now), naively(&facts, by, name, None));
        }
    }
}
