//! `alerts:`.

use std::time::Duration;

use super::{REFERENCE, SECRET, plan, problems, read, small};
use crate::config::plan::{Alert, Comparison, Condition, Dimension, Measure};

/// A config that is right but for the alerts below.
fn config(alerts: &[&str]) -> String {
    let items: String = alerts.iter().map(|alert| format!("  - {{{alert}}}\n")).collect();
    small("", &format!("alerts:\n{items}"))
}

/// What is wrong, without the places.
fn told(alerts: &[&str]) -> Vec<String> {
    let text = config(alerts);
    if read(&text).is_ok() {
        return Vec::new();
    }
    problems(&text).iter().map(|told| told.split_once(' ').unwrap().1.to_owned()).collect()
}

fn only(alert: &str) -> Alert {
    Alert::clone(&plan(&config(&[alert])).alerts[0])
}

#[test]
fn an_alert_needs_a_name_and_a_condition_and_the_rest_has_defaults() {
    let alert = only("name: dear, when: cost_per_accepted_usd > 0.012");
    let when = Condition { measure: Measure::CostPerAccepted, comparison: Comparison::Above, threshold: 12_000_000 };
    let expected = Alert {
        name: "dear".into(),
        when,
        over: Duration::from_secs(3600),
        least: 0,
        by: Dimension::All,
        hold: Duration::ZERO,
        webhook: None,
    };
    assert_eq!(alert, expected);
    assert!(plan(&small("", "")).alerts.is_empty());
}

#[test]
fn every_part_of_an_alert_arrives_in_the_plan() {
    let alerts = plan(REFERENCE).alerts;
    let drift = &alerts[0];
    assert_eq!((drift.name.as_str(), drift.least, drift.by), ("cost-drift", 50, Dimension::Provider));
    assert!(drift.webhook.as_ref().unwrap().reveal().ends_with(SECRET));
    assert!(!format!("{drift:?}").contains(SECRET));
    let failing = &alerts[1];
    assert_eq!((failing.least, failing.over, failing.when.threshold), (20, Duration::from_secs(600), 200_000));
    let held = only("name: a, when: budget_share>=90.5%, for: 5m");
    assert_eq!((held.hold, held.when.threshold), (Duration::from_secs(300), 905_000));
}

#[test]
fn a_condition_is_a_measure_a_sign_and_a_number_of_the_measures_unit() {
    let when = |text: &str| {
        let when = only(&format!("name: a, when: {text}")).when;
        (when.measure, when.comparison, when.threshold)
    };
    assert_eq!(when("spend_usd_per_hour >= 20"), (Measure::SpendPerHour, Comparison::AtLeast, 20_000_000_000));
    assert_eq!(when("acceptance_rate < 40%"), (Measure::AcceptanceRate, Comparison::Below, 400_000));
    assert_eq!(when("error_rate<=0.5%"), (Measure::ErrorRate, Comparison::AtMost, 5_000));
    assert_eq!(when("cost_per_accepted_usd  >  0.000000001").2, 1);
}

#[test]
fn a_condition_that_cannot_be_read_is_answered_with_the_one_that_was_meant() {
    for (text, expected) in [
        (
            "cost_per_acepted_usd > 0.012",
            "`cost_per_acepted_usd > 0.012` watches none of cost_per_accepted_usd, acceptance_rate, spend_usd_per_hour, \
             budget_share, error_rate | write `cost_per_accepted_usd > 0.012`",
        ),
        (
            "acceptance_rate < 40",
            "`acceptance_rate < 40` has a number that is not a percentage | write `acceptance_rate < 40%`",
        ),
        (
            "spend_usd_per_hour > $20",
            "`spend_usd_per_hour > $20` has a number that is not a decimal number of dollars, write it like 0.009 | \
             write `spend_usd_per_hour > 20`",
        ),
        (
            "error_rate == 20%",
            "`error_rate == 20%` does not compare with >, >=, < or <= | write a measure, one of > >= < <= and a number, \
             like `cost_per_accepted_usd > 0.012` or `acceptance_rate < 40%`",
        ),
        ("error_rate > 100%", "this never holds: `error_rate` is never > 100% | -"),
        ("acceptance_rate <= 100%", "this always holds: `acceptance_rate` is always <= 100% | -"),
        ("spend_usd_per_hour < 0", "this never holds: `spend_usd_per_hour` is never < 0 | -"),
    ] {
        assert_eq!(told(&[&format!("name: a, when: {text}")]), [expected], "{text}");
    }
}

#[test]
fn every_mistake_of_an_alert_is_told_with_what_to_write() {
    let cost = "when: cost_per_accepted_usd > 1";
    let budget = "name: a, when: budget_share > 90%";
    for (alert, expected) in [
        (
            format!("name: a, {cost}, over: 32d"),
            "`32d` is longer than 31 days, and older amounts are not kept | write 31d or less",
        ),
        (
            format!("name: a, {cost}, over: 30s"),
            "`30s` is shorter than a minute, and amounts are kept by the minute | write 1m or more",
        ),
        (
            format!("name: a, {cost}, over: 60"),
            "`60` is a time without a unit | write `60s` or `60ms`, whichever is meant",
        ),
        (cost.to_owned(), "this alert has no name | add `name:`"),
        ("name: a".to_owned(), "this alert does not say when | add `when:`, like `cost_per_accepted_usd > 0.012`"),
        (
            format!("name: Dear One, {cost}"),
            "`Dear One` is not a usable name | use lower-case letters, digits, `-` and `_`, beginning with a letter or a \
             digit",
        ),
        (
            format!("name: a, {cost}, by: vendor"),
            "expected `provider`, `model`, `route`, `tenant`, `offer`, found `vendor` | the words here are: provider, model, route, tenant, offer",
        ),
        (format!("name: a, {cost}, min_image: 3"), "unknown key `min_image` | did you mean `min_images`?"),
        (format!("{budget}, over: 1d"), "`budget_share` looks over the budget's own period | leave it out"),
        (format!("{budget}, by: route"), "`budget_share` looks at every budget by itself already | leave it out"),
        (format!("{budget}, min_images: 9"), "`min_images` says nothing about `budget_share` | leave it out"),
        (
            "name: a, when: error_rate > 9%, min_images: 9".to_owned(),
            "`min_images` says nothing about `error_rate` | a failed call has no pictures: write `min_attempts`",
        ),
        (
            format!("name: a, {cost}, min_attempts: 9"),
            "`min_attempts` says nothing about `cost_per_accepted_usd` | leave it out",
        ),
    ] {
        assert_eq!(told(&[&alert]), [expected], "{alert}");
    }
}

#[test]
fn two_alerts_of_one_name_are_one_too_many() {
    let cost = "name: a, when: cost_per_accepted_usd > 1";
    assert_eq!(
        told(&[cost, "name: b, when: error_rate > 1%", cost]),
        ["there is an alert `a` already, on line 10 | give each alert a name of its own"]
    );
}

#[test]
fn a_webhook_is_an_address_that_no_problem_shows() {
    let help = "write it like https://hooks.example.com/services/T0/B0/x, best as ${NAME}";
    for (webhook, expected) in [
        (SECRET.to_owned(), "this webhook is not a URL"),
        (format!("slack://hooks/{SECRET}"), "this webhook is neither http nor https"),
        (format!("https://{SECRET}@hooks.example.com/"), "this webhook must not have a user name or password"),
    ] {
        let alert = format!("name: a, when: error_rate > 1%, webhook: \"{webhook}\"");
        assert_eq!(told(&[&alert]), [format!("{expected} | {help}")]);
        let printed = read(&config(&[&alert])).unwrap_err().to_string();
        assert!(!printed.contains(SECRET), "{printed}");
    }
    let empty = told(&["name: a, when: error_rate > 1%, webhook: \"${EMPTY}\""]);
    assert_eq!(empty, ["what this refers to is empty | -"]);
}
