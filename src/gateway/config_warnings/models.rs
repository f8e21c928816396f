//! Models that their kind does not know, and models that end.

use std::time::Duration;

use crate::calendar::{Moment, Zone};
use crate::config::plan::{Plan, Provider};
use crate::config::{PlacedWarning, Step, Warning};
use crate::gateway::config_warnings::place::keys;
use crate::provider::{self, ModelEnd, text};

/// From so long before its end on a model is warned of: a quarter, in which a team plans its work.
pub const NEAR: Duration = Duration::from_secs(90 * 86_400);

/// Kinds whose catalogues anybody adds to, so that a name is only told where it is nearly a known one.
const OPEN_CATALOGUES: [&str; 5] = ["azure", "fal", "openai_compatible", "openrouter", "replicate"];

/// So many letters of a longer name are a slip, and one of a name of up to five.
const SLIPS: usize = 2;

pub(super) fn models(plan: &Plan, now: Moment) -> Vec<PlacedWarning> {
    let mut found = Vec::new();
    for provider in plan.providers.values() {
        let names = provider.models.keys().chain(provider.writers.keys());
        let place = |name: &String| {
            let mut place = keys(&["providers", &provider.name, "models"]);
            place.push(Step::Name(name.clone()));
            place
        };
        for name in names {
            let ended = ends(provider, name).and_then(|end| warn_of_end(&provider.name, name, end, now));
            let warning = ended.or_else(|| unknown(provider, name));
            found.extend(warning.map(|(warning, what, help)| PlacedWarning {
                warning,
                place: place(name),
                what,
                help,
            }));
        }
    }
    found
}

/// The end of a provider's model, where one is known.
pub fn ends(provider: &Provider, model: &str) -> Option<&'static ModelEnd> {
    let model = provider.models.get(model)?;
    provider::by_kind(provider.kind)?.ends(&provider.account, model)
}

fn warn_of_end(provider: &str, model: &str, end: &ModelEnd, now: Moment) -> Option<(Warning, String, String)> {
    let at = end.at()?;
    if now.after(NEAR) < at {
        return None;
    }
    let help = match end.successor {
        Some(successor) => format!("its vendor names `{successor}` instead; write that with its own price"),
        None => "offer another model".to_owned(),
    };
    let day = Zone::default().date(at);
    Some(match now >= at {
        true => (Warning::ModelEnded, format!("`{provider}/{model}` was shut down on {day}"), help),
        false => (Warning::ModelEnds, format!("`{provider}/{model}` is shut down on {day}"), help),
    })
}

fn unknown(provider: &Provider, model: &str) -> Option<(Warning, String, String)> {
    if ends(provider, model).is_some() {
        return None;
    }
    let kind = provider.kind;
    let drawing = provider::by_kind(kind).map(|adapter| (adapter.known_models(), adapter.default_base_url()));
    let writing = text::KINDS.iter().find(|known| known.name == kind);
    let (known, own) = drawing.or_else(|| writing.map(|kind| (kind.known_models, Some(kind.default_base_url))))?;
    if is_known(known, model) {
        return None;
    }
    let at_vendor = own.and_then(|url| url.parse::<url::Url>().ok());
    let at_vendor = at_vendor.is_some_and(|url| url.host() == provider.account.base_url.host());
    // Words are asked of servers of one's own, whose models have any name.
    let near = known.iter().find(|known| is_slip(model, known)).filter(|_| at_vendor || writing.is_none());
    let what = format!("`{model}` is no model that Easel knows of kind {kind}");
    match near {
        Some(near) => Some((Warning::UnknownModel, what, format!("did you mean `{near}`?"))),
        None if at_vendor && !OPEN_CATALOGUES.contains(&kind) => {
            let help = format!("Easel takes it for a newer one; it knows {}", known.join(", "));
            Some((Warning::UnknownModel, what, help))
        }
        None => None,
    }
}

/// Whether a name is in a table, perhaps with the day of a snapshot behind it.
fn is_known(known: &[&str], model: &str) -> bool {
    let snapshot = |rest: &str| {
        let rest = rest.strip_prefix(['-', '@']).unwrap_or_default();
        matches!(rest, "latest" | "preview")
            || (rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_digit() || b == b'-'))
    };
    known.iter().any(|known| model.strip_prefix(known).is_some_and(|rest| rest.is_empty() || snapshot(rest)))
}

/// Whether one name is the other with a slip of the pen. Another number is another model.
fn is_slip(model: &str, known: &str) -> bool {
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let most = if model.len().min(known.len()) <= 5 { 1 } else { SLIPS };
    let (plain, known_plain) = (model.to_lowercase().replace('_', "-"), known.to_lowercase());
    digits(model) == digits(known) && strsim::damerau_levenshtein(&plain, &known_plain) <= most
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::config_loader::{ProcessEnv, check_at};

    /// What is told of one model of a provider, at a moment.
    fn told(provider: &str, model: &str, now: &str) -> Vec<(Warning, String)> {
        let text = format!(
            "providers: {{p: {{{provider}, models: {{{model}: {{price: 0.01}}}}}}}}\nroutes: [{{name: r, offers: [p/{model}]}}]\n"
        );
        let plan = check_at("easel.yaml", &text, &ProcessEnv, now.parse().unwrap()).unwrap();
        models(&plan, now.parse().unwrap()).into_iter().map(|one| (one.warning, one.what + "; " + &one.help)).collect()
    }

    const OPENAI: &str = "kind: openai, api_key: k";
    const LATE_2026: &str = "2026-11-30T00:00:00Z";

    #[test]
    fn a_model_is_warned_of_ninety_days_before_its_end_and_from_its_end_on() {
        let word =
            |now: &str| told(OPENAI, "gpt-image-1-mini", now).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(word("2026-09-01T23:59:59Z"), []);
        assert_eq!(word("2026-09-02T00:00:00Z"), [Warning::ModelEnds]);
        assert_eq!(word("2026-11-30T23:59:59Z"), [Warning::ModelEnds]);
        assert_eq!(word("2026-12-01T00:00:00Z"), [Warning::ModelEnded]);
        let told = &told(OPENAI, "gpt-image-1-mini", LATE_2026)[0].1;
        assert!(told.contains("shut down on 2026-12-01") && told.contains("`gpt-image-2.6-flare`"), "{told}");
    }

    #[test]
    fn the_model_behind_a_deployment_ends_on_azures_own_day_and_vertex_has_days_of_its_own() {
        let azure = "kind: azure, base_url: 'https://a.openai.azure.com/', api_key: k";
        let text = format!(
            "providers: {{p: {{{azure}, models: {{pictures: {{price: 0.01, model_family: gpt-image-1.5}}}}}}}}\n\
             routes: [{{name: r, offers: [p/pictures]}}]\n"
        );
        let now: Moment = LATE_2026.parse().unwrap();
        let plan = check_at("easel.yaml", &text, &ProcessEnv, now).unwrap();
        let told_of: Vec<String> = models(&plan, now).into_iter().map(|one| one.what).collect();
        assert_eq!(told_of, ["`p/pictures` is shut down on 2026-12-16"]);
        let flash = "gemini-3.1-flash-image";
        let late = "2027-05-01T00:00:00Z";
        assert_eq!(told("kind: google, api_key: k", flash, late), []);
        let vertex = "kind: google, project: a, location: global, credentials: metadata";
        assert_eq!(told(vertex, flash, late)[0].0, Warning::ModelEnds);
    }

    #[test]
    fn a_misspelt_model_is_told_with_the_one_that_was_meant() {
        let only = |provider: &str, model: &str| match told(provider, model, LATE_2026).as_slice() {
            [] => String::new(),
            [(Warning::UnknownModel, told)] => told.clone(),
            more => panic!("{more:?}"),
        };
        assert!(only("kind: stability, api_key: k", "corre").contains("did you mean `core`?"));
        let sandbox = "kind: stability, api_key: k, base_url: 'http://127.0.0.1:1/'";
        assert!(only(sandbox, "corre").contains("did you mean `core`?"));
        assert_eq!(only(sandbox, "my-own"), "");
        assert!(only("kind: stability, api_key: k", "my-own").contains("Easel knows of kind stability"));
        assert!(only("kind: replicate, api_key: k", "black-forest-labs/flux-schnel").contains("flux-schnell`?"));
        assert_eq!(only("kind: replicate, api_key: k", "acme/mockups"), "");
        for known in ["gpt-image-2", "gpt-image-2.6-flare-2026-11-04"] {
            assert_eq!(only(OPENAI, known), "", "{known}");
        }
        // Another number is another model, which may well be newer than the table.
        assert!(only(OPENAI, "gpt-image-3").contains("takes it for a newer one"));
        assert!(!only(OPENAI, "gpt-image-3").contains("did you mean"));
        let own = "kind: openai_compatible, base_url: 'http://127.0.0.1:1/v1/'";
        assert_eq!(only(own, "gpt-imag-2"), "");
    }
}
