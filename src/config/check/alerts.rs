//! `alerts:`: conditions that can be read and can come true, names that tell alerts apart, webhooks that can be reached.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{Alert, Comparison, Condition, Dimension, LONGEST_WINDOW, Measure};
use crate::secret::Secret;

const OVER: Duration = Duration::from_secs(3600);
/// Sums are kept by the minute; a shorter window would be longer than it says.
const SHORTEST_WINDOW: Duration = Duration::from_secs(60);
/// All of it, in millionths.
const WHOLE: i64 = 1_000_000;
const WEBHOOK: &str = "write it like https://hooks.example.com/services/T0/B0/x, best as ${NAME}";

/// Every alert that could be read.
pub(super) fn alerts(checker: &mut Checker<'_>, alerts: &[file::Alert], at: NodePath<'_>) -> Vec<Arc<Alert>> {
    let mut read: Vec<(Arc<Alert>, NodePath<'_>)> = Vec::new();
    for (index, written) in alerts.iter().enumerate() {
        let place = at.item(index);
        let Some(alert) = alert(checker, written, place) else { continue };
        if let Some((_, earlier)) = read.iter().find(|(earlier, _)| earlier.name == alert.name) {
            let what = format!("there is an alert {} already, on line {}", place.key("name").shown(), earlier.line());
            checker.report(place.key("name"), what, "give each alert a name of its own".to_owned());
        }
        read.push((Arc::new(alert), place));
    }
    read.into_iter().map(|(alert, _)| alert).collect()
}

fn alert(checker: &mut Checker<'_>, written: &file::Alert, at: NodePath<'_>) -> Option<Alert> {
    let file::Alert { name, when, over, min_images, min_attempts, by, hold, webhook } = written;
    if name.is_none() {
        checker.report(at.key("name"), "this alert has no name", "add `name:`".to_owned());
    }
    if when.is_none() {
        let help = format!("add `when:`, like `{}`", file::When::EXAMPLE);
        checker.report(at.key("when"), "this alert does not say when", help);
    }
    let name = name.as_ref().filter(|name| checker.name(at.key("name"), name));
    let window = window(checker, over.as_ref(), at.key("over"));
    let hold = checker.time(at.key("for"), hold.as_ref(), Duration::ZERO);
    let webhook = webhook.as_ref().and_then(|url| self::webhook(checker, url.0.reveal(), at.key("webhook")));
    let condition = checker.read(at.key("when"), when.as_ref())?;
    can_come_true(checker, condition, at.key("when"));
    pointless(checker, condition.measure, at);
    let least = if condition.measure == Measure::ErrorRate { min_attempts } else { min_images };
    Some(Alert {
        name: name?.clone(),
        when: condition,
        over: window,
        least: least.unwrap_or(0),
        by: by.map_or(Dimension::All, dimension),
        hold,
        webhook,
    })
}

fn dimension(by: file::Dimension) -> Dimension {
    match by {
        file::Dimension::Provider => Dimension::Provider,
        file::Dimension::Model => Dimension::Model,
        file::Dimension::Route => Dimension::Route,
        file::Dimension::Tenant => Dimension::Tenant,
        file::Dimension::Offer => Dimension::Offer,
    }
}

fn window(checker: &mut Checker<'_>, written: Option<&file::Time>, at: NodePath<'_>) -> Duration {
    let window = checker.time(at, written, OVER);
    if window > LONGEST_WINDOW {
        let what = format!("{} is longer than 31 days, and older amounts are not kept", at.shown());
        checker.report(at, what, "write 31d or less".to_owned());
    } else if window < SHORTEST_WINDOW {
        let what = format!("{} is shorter than a minute, and amounts are kept by the minute", at.shown());
        checker.report(at, what, "write 1m or more".to_owned());
    }
    window
}

/// A rate is a part of a whole.
fn can_come_true(checker: &mut Checker<'_>, condition: Condition, at: NodePath<'_>) {
    let rate = matches!(condition.measure, Measure::AcceptanceRate | Measure::ErrorRate);
    let (measure, sign, bar) = (condition.measure.as_str(), condition.comparison.sign(), condition.threshold);
    let never = match condition.comparison {
        Comparison::Above => rate && bar >= WHOLE,
        Comparison::AtLeast => rate && bar > WHOLE,
        Comparison::Below => bar == 0,
        Comparison::AtMost => false,
    };
    let always = match condition.comparison {
        Comparison::Below => rate && bar > WHOLE,
        Comparison::AtMost => rate && bar >= WHOLE,
        Comparison::AtLeast => bar == 0,
        Comparison::Above => false,
    };
    if never || always {
        let word = if never { "never" } else { "always" };
        let what = format!("this {word} holds: `{measure}` is {word} {sign} {}", condition.measure.unit().written(bar));
        checker.report(at, what, None);
    }
}

/// Keys that say nothing about what is measured here.
fn pointless(checker: &mut Checker<'_>, measure: Measure, at: NodePath<'_>) {
    let word = measure.as_str();
    let mut unless = |wanted: bool, key: &str, why: String, help: &str| {
        if !wanted && at.key(key).is_given() {
            checker.report(at.name(key), why, help.to_owned());
        }
    };
    let budget = measure == Measure::BudgetShare;
    let pictures = matches!(measure, Measure::CostPerAccepted | Measure::AcceptanceRate);
    let calls = measure == Measure::ErrorRate;
    let remove = "leave it out";
    let instead = if calls { "a failed call has no pictures: write `min_attempts`" } else { remove };
    unless(!budget, "over", format!("`{word}` looks over the budget's own period"), remove);
    unless(!budget, "by", format!("`{word}` looks at every budget by itself already"), remove);
    unless(pictures, "min_images", format!("`min_images` says nothing about `{word}`"), instead);
    unless(calls, "min_attempts", format!("`min_attempts` says nothing about `{word}`"), remove);
}

/// Where an alert is posted. It may have a query, for many services keep their secret there; nothing of it is shown.
fn webhook(checker: &mut Checker<'_>, written: &str, at: NodePath<'_>) -> Option<Secret> {
    let text = checker.text(at, Some(written))?;
    let wrong = match Url::parse(&text) {
        Err(_) => "this webhook is not a URL",
        Ok(url) if !matches!(url.scheme(), "http" | "https") => "this webhook is neither http nor https",
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "this webhook must not have a user name or password"
        }
        Ok(_) => return Some(Secret::new(text)),
    };
    checker.report(at, wrong, WEBHOOK.to_owned());
    None
}
