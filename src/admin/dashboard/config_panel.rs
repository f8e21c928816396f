//! The config in force without its secrets, and what the last change of it was.

use maud::{Markup, html};

use crate::admin::dashboard::facts::Facts;
use crate::admin::dashboard::pieces::panel;
use crate::gateway::last_reload::{Reload, ReloadOutcome};

/// How much of a config is on the page; a longer one is cut.
const LONGEST: usize = 32 << 10;

/// The config and its last change.
pub fn config(facts: &Facts) -> Markup {
    let text = facts.snapshot.plan.shown.as_str();
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    let body = html! {
        p { "Version " (facts.snapshot.version) " is in force." }
        (reload(facts.last_reload.as_deref()))
        details {
            summary { "The file, secrets painted over" }
            pre tabindex="0" aria-label="The config file" { code { (&text[..end]) } }
            @if end < text.len() { p { "The rest is left out here." } }
        }
    };
    panel("config", "Config", &body)
}

fn reload(reload: Option<&Reload>) -> Markup {
    let Some(Reload { at, outcome }) = reload else { return html! { p { "It has not changed since the start." } } };
    match outcome {
        ReloadOutcome::Taken { version, changed, diff } => html! {
            p { "The last change, at " time datetime=(at) { (at) } ", made it version " (version) ". Changed: " (if changed.is_empty() { "nothing" } else { changed }) "." }
            @if !diff.is_empty() {
                details { summary { "The changed lines" } pre class="diff" tabindex="0" aria-label="The changed lines" { code { (diff) } } }
            }
        },
        ReloadOutcome::Refused { problems } => html! {
            p { span class="state bad" { "refused" } " The last change, at " time datetime=(at) { (at) } ", is not in force:" }
            pre tabindex="0" aria-label="Problems of the config" { code { (problems) } }
        },
    }
}
