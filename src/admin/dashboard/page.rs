//! The pages' frame: head, navigation, and the order of the panels.

use maud::{DOCTYPE, Markup, html};

use crate::admin::dashboard::facts::Facts;
use crate::admin::dashboard::{config_panel, money_panel, provider_panel, request_panel};
use crate::admin::requests::RequestStory;

/// The overview.
pub fn overview(facts: &Facts) -> String {
    let Facts { now, zone, snapshot, .. } = facts;
    let body = html! {
        p class="lead" {
            "As of " time datetime=(now) { (now) } ", days of " (zone) ". Config version " (snapshot.version) ". "
            a href="/" { "Reload" }
            span id="live" hidden { " or " label { input type="checkbox" id="refresh"; " every 5 seconds" } }
        }
        (provider_panel::alerts(facts))
        (money_panel::spend(facts))
        (money_panel::accepted_cost(facts))
        (money_panel::savings(facts))
        (provider_panel::providers(facts))
        (request_panel::recent_pictures(facts))
        (request_panel::requests(facts))
        (config_panel::config(facts))
    };
    let panels = [
        ("alerts", "Alerts"),
        ("spend", "Spend"),
        ("accepted", "Cost per accepted image"),
        ("savings", "Savings"),
        ("providers", "Providers"),
        ("requests", "Requests"),
        ("config", "Config"),
    ];
    frame("Easel", &panels, &body)
}

/// All of one request, or why nothing is known of it.
pub fn story(id: &str, story: Result<&RequestStory, &str>) -> String {
    let body = match story {
        Ok(story) => request_panel::story(story),
        Err(why) => html! { p { (why) } },
    };
    frame(&format!("Request {id}"), &[("/", "All requests")], &body)
}

fn frame(title: &str, panels: &[(&str, &str)], body: &Markup) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="stylesheet" href="/dashboard.css";
                link rel="icon" href="/dashboard.svg";
                script src="/dashboard.js" defer {}
            }
            body {
                a class="skip" href="#main" { "Skip to the figures" }
                header {
                    h1 { (title) }
                    nav aria-label="Panels" {
                        ul {
                            @for (target, name) in panels {
                                li { a href=(if target.starts_with('/') { (*target).to_owned() } else { format!("#{target}") }) { (name) } }
                            }
                        }
                    }
                }
                main id="main" { (body) }
                footer { p { "Easel " (env!("CARGO_PKG_VERSION")) ". Figures are those of " a href="/admin/ledger" { "/admin/ledger" } ", " a href="/metrics" { "/metrics" } " has the rest." } }
            }
        }
    }
    .into_string()
}
