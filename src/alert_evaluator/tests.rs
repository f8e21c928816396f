//! Every step of an alert, told as a story.

use proptest::prelude::*;

use crate::alert_evaluator::measurement::Ratio;
use crate::alert_evaluator::*;
use crate::config::plan::{Comparison, Condition};
use crate::money::Usd;

/// Readings of a test: sums by name, and budgets.
#[derive(Default)]
struct FakeReadings {
    sums: BTreeMap<&'static str, WindowSum>,
    budgets: Vec<BudgetUse>,
}

impl Readings for FakeReadings {
    fn names(&self, by: Dimension) -> Vec<Arc<str>> {
        if by == Dimension::All { Vec::new() } else { self.sums.keys().map(|name| Arc::from(*name)).collect() }
    }

    fn sum(&self, _: Dimension, name: &str, _: Duration, _: Moment) -> WindowSum {
        self.sums.get(name).copied().unwrap_or_default()
    }

    fn budgets(&self, _now: Moment) -> Vec<BudgetUse> {
        self.budgets.clone()
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn rule(measure: Measure, comparison: Comparison, threshold: i64) -> Alert {
    Alert {
        name: "a".into(),
        when: Condition { measure, comparison, threshold },
        over: HOUR,
        least: 0,
        by: Dimension::All,
        hold: Duration::ZERO,
        webhook: None,
    }
}

/// cost_per_accepted_usd > 0.012
fn dear() -> Alert {
    rule(Measure::CostPerAccepted, Comparison::Above, 12_000_000)
}

fn cost(nanos: i64, accepted: u64, rejected: u64) -> WindowSum {
    WindowSum { usd: Usd::from_nanos(nanos), accepted, rejected, attempts: accepted + rejected, failures: 0 }
}

fn minute(number: i64) -> Moment {
    Moment::from_millis(number * 60_000)
}

/// One alert and the time.
struct Story {
    alerts: Alerts,
    readings: FakeReadings,
    minute: i64,
}

impl Story {
    fn of(alert: Alert) -> Story {
        let mut alerts = Alerts::default();
        assert_eq!(alerts.replace(&[Arc::new(alert)], minute(0)), []);
        Story { alerts, readings: FakeReadings::default(), minute: 0 }
    }

    /// A minute later, with this sum of everything: what is told, and where it stands.
    fn then(&mut self, sum: WindowSum) -> (Vec<News>, i64) {
        self.readings.sums.insert(ALL, sum);
        let evaluation = self.evaluate();
        (evaluation.events.iter().map(|event| event.news).collect(), evaluation.states[0].2.number())
    }

    fn evaluate(&mut self) -> Evaluation {
        self.minute += 1;
        self.alerts.evaluate(&self.readings, minute(self.minute))
    }
}

const BETTER: News = News::Resolved(ResolveReason::Better);
const QUIET: News = News::Resolved(ResolveReason::Quiet);

#[test]
fn an_episode_is_told_when_it_begins_and_when_it_ends_and_not_between() {
    let mut story = Story::of(dear());
    assert_eq!(story.then(cost(12_000_000, 1, 0)), (vec![], 0));
    assert_eq!(story.then(cost(12_000_001, 1, 0)), (vec![News::Firing], 2));
    assert_eq!(story.then(cost(90_000_000, 1, 0)), (vec![], 2));
    assert_eq!(story.then(cost(12_000_000, 1, 0)), (vec![BETTER], 0));
    assert_eq!(story.then(cost(11_000_000, 1, 0)), (vec![], 0));
    assert_eq!(story.then(cost(90_000_000, 1, 0)), (vec![News::Firing], 2));
}

#[test]
fn a_condition_that_must_hold_for_a_while_is_pending_until_then_and_starts_anew_after_a_gap() {
    let mut story = Story::of(Alert { hold: Duration::from_secs(120), ..dear() });
    let (high, low) = (cost(13_000_000, 1, 0), cost(1, 1, 0));
    assert_eq!(story.then(high), (vec![], 1));
    assert_eq!(story.then(high), (vec![], 1));
    assert_eq!(story.then(low), (vec![], 0));
    assert_eq!(story.then(high), (vec![], 1));
    assert_eq!(story.then(WindowSum::default()), (vec![], 0));
    assert_eq!(story.then(high), (vec![], 1));
    assert_eq!(story.then(high), (vec![], 1));
    story.readings.sums.insert(ALL, high);
    let event = story.evaluate().events.remove(0);
    assert_eq!((event.news, event.since, event.at), (News::Firing, minute(6), minute(8)));
}

#[test]
fn too_few_pictures_neither_begin_nor_end_an_episode() {
    let mut story = Story::of(Alert { least: 50, ..dear() });
    assert_eq!(story.then(cost(900_000_000, 10, 39)), (vec![], 0));
    assert_eq!(story.then(cost(900_000_000, 10, 40)), (vec![News::Firing], 2));
    assert_eq!(story.then(cost(1, 10, 39)), (vec![], 2));
    assert_eq!(story.then(cost(1, 10, 40)), (vec![BETTER], 0));
}

#[test]
fn too_few_pictures_break_the_time_a_condition_must_hold() {
    let mut story = Story::of(Alert { least: 2, hold: HOUR, ..dear() });
    assert_eq!(story.then(cost(900_000_000, 2, 0)), (vec![], 1));
    assert_eq!(story.then(cost(900_000_000, 1, 0)), (vec![], 0));
}

#[test]
fn an_alert_whose_window_has_emptied_ends() {
    let mut story = Story::of(Alert { least: 50, ..dear() });
    story.then(cost(900_000_000, 50, 0));
    let fee = WindowSum { usd: Usd::from_nanos(5), ..WindowSum::default() };
    assert_eq!(story.then(fee), (vec![QUIET], 0), "a fee alone says nothing about pictures");
    story.then(cost(900_000_000, 50, 0));
    let lost = WindowSum { usd: Usd::from_nanos(5), attempts: 9, ..WindowSum::default() };
    assert_eq!(story.then(lost), (vec![], 2), "paid and lost pictures are no reason to be content");
}

#[test]
fn without_an_accepted_picture_its_cost_is_above_every_threshold() {
    let mut story = Story::of(dear());
    story.readings.sums.insert(ALL, cost(1, 0, 3));
    let event = story.evaluate().events.remove(0);
    assert_eq!((event.news, event.value), (News::Firing, None));
    assert_eq!(event.text(), "a is firing for everything: cost_per_accepted_usd is beyond all numbers, above 0.012");
    let below = rule(Measure::CostPerAccepted, Comparison::Below, 12_000_000);
    assert_eq!(Story::of(below).then(cost(1, 0, 3)), (vec![], 0));
    let at_least = rule(Measure::CostPerAccepted, Comparison::AtLeast, 12_000_000);
    assert_eq!(Story::of(at_least).then(cost(0, 0, 3)), (vec![], 0), "nothing was paid for nothing");
}

#[test]
fn the_acceptance_rate_is_of_all_that_came_and_so_is_the_evidence_for_it() {
    let rule = Alert { least: 50, ..rule(Measure::AcceptanceRate, Comparison::Below, 400_000) };
    let mut story = Story::of(rule);
    assert_eq!(story.then(cost(900_000_000, 0, 49)), (vec![], 0), "fifty pictures are wanted, delivered or not");
    assert_eq!(story.then(cost(900_000_000, 20, 30)), (vec![], 0), "40% is not below it");
    assert_eq!(story.then(cost(900_000_000, 19, 31)), (vec![News::Firing], 2));
    assert_eq!(story.then(cost(900_000_000, 0, 50)), (vec![], 2), "and none is a rate as well");
    assert_eq!(story.then(cost(900_000_000, 40, 60)), (vec![BETTER], 0));
}

#[test]
fn each_name_has_an_episode_of_its_own() {
    let mut story = Story::of(Alert { by: Dimension::Provider, ..dear() });
    story.readings.sums = BTreeMap::from([("one", cost(13_000_000, 1, 0)), ("two", cost(1, 1, 0))]);
    let told = |evaluation: Evaluation| -> Vec<(String, News)> {
        evaluation.events.iter().map(|event| (event.name.to_string(), event.news)).collect()
    };
    assert_eq!(told(story.evaluate()), [("one".to_owned(), News::Firing)]);
    story.readings.sums.insert("two", cost(14_000_000, 1, 0));
    assert_eq!(told(story.evaluate()), [("two".to_owned(), News::Firing)]);
    story.readings.sums.remove("one");
    let evaluation = story.evaluate();
    let standing: Vec<(&str, i64)> =
        evaluation.states.iter().map(|(_, name, state)| (&**name, state.number())).collect();
    assert_eq!(standing, [("one", 0), ("two", 2)]);
    assert_eq!(told(evaluation), [("one".to_owned(), QUIET)]);
    assert_eq!(story.evaluate().states.len(), 1, "a name that is gone and inactive is forgotten");
}

#[test]
fn an_event_says_what_was_measured_and_since_when() {
    let mut story = Story::of(Alert { by: Dimension::Provider, ..dear() });
    story.readings.sums = BTreeMap::from([("stability", cost(25_000_001, 2, 0))]);
    let firing = story.evaluate().events.remove(0);
    assert_eq!((firing.value, firing.value_text().as_deref()), (Some(12_500_001), Some("0.012500001")));
    assert_eq!(firing.text(), "a is firing for provider stability: cost_per_accepted_usd is 0.012500001, above 0.012");
    story.readings.sums = BTreeMap::from([("stability", cost(3_000_000, 2, 0))]);
    let resolved = story.evaluate().events.remove(0);
    assert_eq!((resolved.since, resolved.at), (minute(1), minute(2)));
    assert_eq!(
        resolved.text(),
        "a is resolved for provider stability: cost_per_accepted_usd is 0.0015, no longer above 0.012"
    );
}

#[test]
fn a_reload_goes_on_with_what_did_not_change_and_ends_what_did() {
    let other = Alert { name: "b".into(), ..dear() };
    let mut alerts = Alerts::default();
    alerts.replace(&[Arc::new(dear()), Arc::new(other.clone())], minute(0));
    let readings = FakeReadings { sums: BTreeMap::from([(ALL, cost(13_000_000, 1, 0))]), ..FakeReadings::default() };
    assert_eq!(alerts.evaluate(&readings, minute(1)).events.len(), 2);
    let changed = Alert { least: 1, ..other };
    let ended = alerts.replace(&[Arc::new(changed.clone()), Arc::new(dear())], minute(2));
    let told: Vec<(&str, News, Moment)> =
        ended.iter().map(|event| (event.alert.name.as_str(), event.news, event.since)).collect();
    assert_eq!(told, [("b", News::Resolved(ResolveReason::Withdrawn), minute(1))]);
    let events = alerts.evaluate(&readings, minute(3)).events;
    let told: Vec<(&str, News)> = events.iter().map(|event| (event.alert.name.as_str(), event.news)).collect();
    assert_eq!(told, [("b", News::Firing)], "the changed one begins anew, the other one goes on");
    assert_eq!(alerts.replace(&[], minute(4)).len(), 2);
}

#[test]
fn rates_are_shares_of_pictures_or_of_calls() {
    let acceptance = rule(Measure::AcceptanceRate, Comparison::Below, 400_000);
    let mut story = Story::of(acceptance);
    assert_eq!(story.then(cost(0, 2, 3)), (vec![], 0));
    assert_eq!(story.then(cost(0, 399, 601)), (vec![News::Firing], 2));
    let calls = |failures| WindowSum { attempts: 10, failures, ..WindowSum::default() };
    assert_eq!(story.then(calls(10)), (vec![], 2), "calls without pictures say nothing about acceptance");
    let errors = Alert { least: 10, ..rule(Measure::ErrorRate, Comparison::AtLeast, 200_000) };
    let mut story = Story::of(errors);
    assert_eq!(story.then(WindowSum { attempts: 9, failures: 9, ..WindowSum::default() }), (vec![], 0));
    assert_eq!(story.then(calls(1)), (vec![], 0));
    assert_eq!(story.then(calls(2)), (vec![News::Firing], 2));
    assert_eq!(story.then(WindowSum::default()), (vec![QUIET], 0));
}

#[test]
fn spend_is_reckoned_by_the_hour_over_what_the_window_really_covers() {
    let mut alerts = Alerts::default();
    let alert = Alert { over: 2 * HOUR, ..rule(Measure::SpendPerHour, Comparison::Above, 20) };
    alerts.replace(&[Arc::new(alert)], minute(0));
    let told = |alerts: &mut Alerts, nanos: i64, at: Moment| {
        let readings = FakeReadings { sums: BTreeMap::from([(ALL, cost(nanos, 0, 0))]), ..FakeReadings::default() };
        alerts.evaluate(&readings, at).events.first().map(|event| (event.news, event.value))
    };
    assert_eq!(told(&mut alerts, 40, minute(300)), None);
    assert_eq!(told(&mut alerts, 41, minute(300)), Some((News::Firing, Some(21))), "20.5, rounded half up");
    let half = Moment::from_millis(minute(300).millis() + 30_000);
    assert_eq!(told(&mut alerts, 40, half), Some((BETTER, Some(20))), "two hours and half a minute are covered");
}

#[test]
fn no_money_at_all_is_less_than_any() {
    let mut story = Story::of(rule(Measure::SpendPerHour, Comparison::Below, 1));
    assert_eq!(story.then(WindowSum::default()), (vec![News::Firing], 2));
}

#[test]
fn every_budget_is_watched_by_itself() {
    let mut story = Story::of(rule(Measure::BudgetShare, Comparison::AtLeast, 900_000));
    let budget = |scope: &str, limit: i64, used: i64| BudgetUse {
        scope: scope.into(),
        limit: Usd::from_nanos(limit),
        used: Usd::from_nanos(used),
    };
    story.readings.budgets = vec![budget("client:web", 1000, 899), budget("route:r", 1000, 900), budget("none", 0, 0)];
    let evaluation = story.evaluate();
    assert_eq!(evaluation.events.len(), 1);
    assert_eq!(evaluation.events[0].text(), "a is firing for budget route:r: budget_share is 90%, 90% or more");
    story.readings.budgets = vec![budget("client:web", 1000, 899), budget("none", 0, 1)];
    let told: Vec<(String, News)> =
        story.evaluate().events.iter().map(|event| (event.name.to_string(), event.news)).collect();
    assert_eq!(told, [("none".to_owned(), News::Firing), ("route:r".to_owned(), QUIET)]);
}

proptest! {
    #[test]
    fn whatever_happens_beginnings_and_ends_alternate(
        sums in prop::collection::vec((0i64..30_000_000, 0u64..3, 0u64..3), 1..60),
        hold in 0u64..4,
        least in 0u64..4,
    ) {
        let mut story = Story::of(Alert { hold: Duration::from_secs(hold * 60), least, ..dear() });
        let mut firing = false;
        for (nanos, accepted, rejected) in sums {
            let (news, state) = story.then(cost(nanos, accepted, rejected));
            for news in news {
                prop_assert_eq!(news == News::Firing, !firing);
                firing = !firing;
            }
            prop_assert_eq!(state == 2, firing);
        }
    }

    #[test]
    fn a_comparison_is_exact_where_a_division_would_not_be(
        nanos in 0i64..i64::MAX,
        accepted in 1u64..1_000_000,
        threshold in 0i64..i64::MAX,
    ) {
        let condition = Condition { measure: Measure::CostPerAccepted, comparison: Comparison::Above, threshold };
        let ratio = Ratio { above: nanos.into(), below: accepted.into() };
        // Above, because what is left over after whole division is more than nothing.
        let (whole, rest) = (nanos / accepted as i64, nanos % accepted as i64);
        prop_assert_eq!(ratio.holds(condition), whole > threshold || (whole == threshold && rest > 0));
    }
}
