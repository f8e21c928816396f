//! What fires, what is paused, and how full each provider is.

use maud::{Markup, html};

use crate::admin::dashboard::facts::{AlertFacts, Facts, ProviderFacts};
use crate::admin::dashboard::pieces::{panel, table, text};

/// Alerts, those that fire first.
pub fn alerts(facts: &Facts) -> Markup {
    let firing = facts.alerts.iter().filter(|alert| !alert.firing.is_empty()).count();
    let mut alerts: Vec<&AlertFacts> = facts.alerts.iter().collect();
    alerts.sort_by_key(|alert| (alert.firing.is_empty(), alert.pending.is_empty()));
    let rows: Vec<Vec<Markup>> = alerts
        .into_iter()
        .map(|AlertFacts { alert, pending, firing }| {
            let when = &alert.when;
            let condition = format!(
                "{} {} {}",
                when.measure.as_str(),
                when.comparison.sign(),
                when.measure.unit().written(when.threshold)
            );
            let state = match (firing.is_empty(), pending.is_empty()) {
                (false, _) => html! { span class="state bad" { "firing" } " for " (firing.join(", ")) },
                (true, false) => html! { span class="state warn" { "pending" } " for " (pending.join(", ")) },
                (true, true) => html! { span class="state good" { "quiet" } },
            };
            vec![text(&alert.name), state, text(condition), text(alert.by.as_str())]
        })
        .collect();
    let body = html! {
        p role="status" {
            @if firing == 0 && facts.paused.is_empty() { "Nothing fires and nothing is paused." }
            @else { "Alerts that fire: " (firing) ". Circuit breakers that are tripped: " (facts.paused.len()) "." }
        }
        @if !rows.is_empty() { (table("Alerts", &["alert", "state", "fires when", "by"], 0..0, &rows)) }
    };
    panel("alerts", "Alerts", &body)
}

/// Calls under way, caps, queues and breakers.
pub fn providers(facts: &Facts) -> Markup {
    let rows: Vec<Vec<Markup>> = facts
        .providers
        .iter()
        .map(|provider| {
            let ProviderFacts { name, in_flight, waiting, paused, limit, models } = provider;
            let cap = models.iter().map(|(_, cap, _)| *cap).min().unwrap_or(*limit);
            let cap = if cap < *limit {
                html! { strong { (cap) } " of " (limit) }
            } else {
                text(limit)
            };
            vec![text(name), text(in_flight), cap, text(waiting), text(paused), states(models)]
        })
        .collect();
    let titles = ["provider", "in flight", "effective cap", "queue", "wait for a pause", "models"];
    let paused: Vec<Vec<Markup>> = facts
        .paused
        .iter()
        .map(|(what, paused)| {
            vec![text(what), text(paused.why), text(paused.until), html! { (paused.left.as_secs()) " s" }]
        })
        .collect();
    let body = html! {
        (table("Providers", &titles, 1..5, &rows))
        @if !paused.is_empty() { (table("Circuit breakers that are tripped", &["what", "why", "ends", "left"], 3..4, &paused)) }
    };
    panel("providers", "Providers", &body)
}

fn states(models: &[(String, usize, i64)]) -> Markup {
    html! {
        ul class="states" {
            @for (model, _, state) in models {
                li {
                    @match state {
                        0 => span class="state good" { "passing" },
                        1 => span class="state warn" { "probing" },
                        _ => span class="state bad" { "paused" },
                    }
                    " " (model)
                }
            }
        }
    }
}
