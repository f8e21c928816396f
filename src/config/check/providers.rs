//! `providers:`: accounts that can be reached, and models with a price.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::config::check::checker::Checker;
use crate::config::check::entra::AZURE;
use crate::config::check::google::{self, GOOGLE};
use crate::config::check::hosts::hosts;
use crate::config::check::prices::Surcharge;
use crate::config::check::text_models::{self, OPENAI_TEXT, draws_nothing};
use crate::config::check::{concurrency, dialect, entra, models, money, rates};
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::{Account, Breaker, Credentials, Dialect, Model, Provider, RetryBudget, TextModel};
use crate::config::provider_kind::ProviderKind;
use crate::config::suggest::instead;
use crate::money::Usd;
use crate::secret::Secret;

const TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);
/// A fifth of the calls, as in Finagle and Linkerd: what a provider that is down gets more than its usual traffic. Their
/// ten a second besides are made for calls of milliseconds; a provider that draws 32 pictures of 20 s at once begins not
/// two calls a second, so one lets a quiet Easel repeat whatever fails and is still a bound.
const RETRY_BUDGET: RetryBudget = RetryBudget { ratio_ppm: 200_000, min_per_second: 1 };
/// Five failures without a success between them within 30 s: one or two that stumble are made up for by the next offer
/// and need no pause, and where there is traffic an outage brings five within seconds. The first pause is about one
/// picture's time, so that an offer that hiccups is soon back. Doubled up to five minutes, an outage of hours costs twelve
/// calls an hour, and is over for Easel five minutes after its end at the latest.
const BREAKER: Breaker = Breaker {
    failures: 5,
    window: Duration::from_secs(30),
    pause: Duration::from_secs(20),
    max_pause: Duration::from_secs(300),
};

/// The kind whose differences from OpenAI are written in the config.
const COMPATIBLE: &str = "openai_compatible";

/// The kind that speaks to OpenAI itself.
const OPENAI: &str = "openai";

/// The kind that can be asked in two ways.
const OPENROUTER: &str = "openrouter";

/// The kinds whose vendors answer with the address at which a job is asked about.
const POLLED: &[&str] = &["bfl", "fal"];

/// The kinds whose vendors can be asked for a stream.
const STREAMING: &[&str] = &[OPENAI, AZURE, COMPATIBLE];

/// The keys that mean something to some kinds alone.
const KEYS_OF_KINDS: [(&str, &[&str]); 9] = [
    ("preset", &[COMPATIBLE]),
    ("dialect", &[COMPATIBLE]),
    ("organization", &[OPENAI, OPENAI_TEXT]),
    ("project", &[OPENAI, OPENAI_TEXT, GOOGLE]),
    ("location", &[GOOGLE]),
    ("credentials", &[GOOGLE]),
    ("entra", &[AZURE]),
    ("api_version", &[AZURE]),
    ("poll", POLLED),
];

/// Every provider that could be read.
pub(super) fn providers(
    checker: &mut Checker<'_>,
    providers: &BTreeMap<String, file::Provider>,
    at: NodePath<'_>,
    kinds: &[ProviderKind],
) -> BTreeMap<String, Arc<Provider>> {
    let mut read = BTreeMap::new();
    for (name, provider) in providers {
        checker.name(at.name(name), name);
        if let Some(provider) = self::provider(checker, name, provider, at.key(name), kinds) {
            read.insert(name.clone(), Arc::new(provider));
        }
    }
    read
}

fn provider(
    checker: &mut Checker<'_>,
    name: &str,
    written: &file::Provider,
    at: NodePath<'_>,
    kinds: &[ProviderKind],
) -> Option<Provider> {
    let kind = self::kind(checker, at, written.kind.as_deref(), kinds);
    of_other_kinds(checker, written, at, kind);
    let location = google::location(checker, at.key("location"), written.location.as_deref());
    let base_url = self::base_url(checker, at, written.base_url.as_deref(), kind, location.as_deref());
    let dialect = written.dialect.as_ref();
    let dialect = dialect.map(|dialect| dialect::dialect(checker, dialect, at.key("dialect"), base_url.as_ref()));
    let dialect = dialect.unwrap_or_default();
    let (models, writers) = models(checker, written, at, kind, &dialect);
    let way_in = way_in(checker, name, written, at, kind, base_url.as_ref());
    let account = account(checker, written, at, base_url, location, way_in, dialect);
    let billing = money::billing(checker, &written.billing, at.key("billing"));
    let file::Provider { timeout, connect_timeout, idle_timeout, .. } = written;
    Some(Provider {
        name: name.to_owned(),
        timeout: checker.some_time(at.key("timeout"), timeout.as_ref(), TIMEOUT),
        connect_timeout: checker.some_time(at.key("connect_timeout"), connect_timeout.as_ref(), CONNECT_TIMEOUT),
        idle_timeout: checker.time(at.key("idle_timeout"), idle_timeout.as_ref(), IDLE_TIMEOUT),
        concurrency: concurrency::concurrency(checker, &written.concurrency, at, &billing),
        rate: rates::of_calls(checker, &written.rate, at.key("rate")),
        breaker: breaker(checker, &written.breaker, at.key("breaker")),
        retry_budget: retry_budget(checker, &written.retry_budget, at.key("retry_budget")),
        billing,
        budgets: money::budgets(checker, written.budget.as_ref(), at.key("budget")),
        download_hosts: hosts(checker, &written.download_hosts, at.key("download_hosts")),
        models,
        writers,
        // Nothing is given up before all the rest was looked at.
        kind: kind?.name,
        account: account?,
    })
}

/// Notes what is written there and means nothing to this kind of provider.
fn of_other_kinds(checker: &mut Checker<'_>, written: &file::Provider, at: NodePath<'_>, kind: Option<&ProviderKind>) {
    for (key, kinds) in KEYS_OF_KINDS {
        only_for(checker, at.key(key), kind, kinds, key);
    }
    for name in written.models.keys() {
        let at = at.key("models").key(name);
        only_for(checker, at.key("via"), kind, &[OPENROUTER], "via");
        only_for(checker, at.key("model_family"), kind, &[AZURE], "model_family");
        only_for(checker, at.key("partials"), kind, STREAMING, "partials");
    }
    only_for(checker, at.key("model_defaults").key("partials"), kind, STREAMING, "partials");
}

/// The key, and where tokens come from; of the two an account has one.
fn way_in(
    checker: &mut Checker<'_>,
    name: &str,
    written: &file::Provider,
    at: NodePath<'_>,
    kind: Option<&ProviderKind>,
    base_url: Option<&Url>,
) -> (Option<Secret>, Option<Credentials>) {
    google::way_in(checker, at, kind);
    entra::way_in(checker, at, kind);
    let who = match (kind, &written.preset) {
        // Azure has two ways in, and it is told which of them is missing.
        (Some(kind), _) if kind.needs_key && kind.name != AZURE => Some(format!("kind {}", kind.name)),
        // Only the vendor itself wants one; a server of one's own may have none.
        (Some(kind), _) if kind.name == OPENAI_TEXT && written.base_url.is_none() => {
            Some(format!("kind {OPENAI_TEXT} without a `base_url`"))
        }
        (_, Some(preset)) if is_of_preset(at, "base_url") => Some(format!("preset {}", preset.0)),
        _ => None,
    };
    let api_key = api_key(checker, name, at, written.api_key.as_ref(), who);
    let google = google::credentials(checker, at.key("credentials"), written.credentials.as_ref(), base_url);
    let entra = written.entra.as_ref();
    let entra = entra.and_then(|entra| entra::credentials(checker, at.key("entra"), entra, base_url));
    (api_key, google.or(entra))
}

fn account(
    checker: &mut Checker<'_>,
    written: &file::Provider,
    at: NodePath<'_>,
    base_url: Option<Url>,
    location: Option<String>,
    (api_key, credentials): (Option<Secret>, Option<Credentials>),
    dialect: Dialect,
) -> Option<Account> {
    let file::Provider { organization, project, api_version, poll, .. } = written;
    Some(Account {
        api_key,
        organization: checker.header_value(at.key("organization"), organization.as_deref()),
        project: checker.header_value(at.key("project"), project.as_deref()),
        location,
        credentials,
        api_version: self::api_version(checker, at.key("api_version"), api_version.as_deref()),
        poll_hosts: hosts(checker, &poll.hosts, at.key("poll").key("hosts")),
        dialect,
        base_url: base_url?,
    })
}

/// The models that draw, or those that write prompts: a provider has the one sort or the other.
fn models(
    checker: &mut Checker<'_>,
    written: &file::Provider,
    at: NodePath<'_>,
    kind: Option<&ProviderKind>,
    dialect: &Dialect,
) -> (BTreeMap<String, Arc<Model>>, BTreeMap<String, Arc<TextModel>>) {
    let markup_ppm = checker.read(at.key("markup"), written.markup.as_ref()).unwrap_or(0);
    let fee = checker.read(at.key("fee"), written.fee.as_ref()).unwrap_or(Usd::ZERO);
    // Each model has them already; here they are checked where no model is.
    models::capabilities(checker, &written.model_defaults, at.key("model_defaults"));
    if let Some(kind) = kind.filter(|kind| draws_nothing(kind.name)) {
        return (BTreeMap::new(), text_models::writers(checker, &written.models, at, kind.name, markup_ppm));
    }
    let models = models::models(checker, &written.models, at.key("models"), Surcharge { markup_ppm, fee });
    if kind.is_some_and(|kind| kind.name == COMPATIBLE) {
        for (name, model) in &models {
            let place = at.key("models").key(name);
            dialect::promises(checker, dialect, &model.capabilities, place);
            dialect::tells_price(checker, dialect, &model.price, place.key("price"));
        }
    }
    (models, BTreeMap::new())
}

fn kind<'k>(
    checker: &mut Checker<'_>,
    at: NodePath<'_>,
    written: Option<&str>,
    kinds: &'k [ProviderKind],
) -> Option<&'k ProviderKind> {
    let place = at.key("kind");
    let names = kinds.iter().map(|kind| kind.name);
    let Some(name) = written else {
        let help = format!("add `kind:` with one of {}", names.collect::<Vec<_>>().join(", "));
        checker.report(place, "this provider has no kind", help);
        return None;
    };
    let kind = kinds.iter().find(|kind| kind.name == name);
    if kind.is_none() {
        let help = if place.is_expanded() { None } else { instead(name, names, "the kinds are") };
        checker.report(place, format!("unknown kind {}", place.shown()), help);
    }
    kind
}

/// The account's address, with a slash at its end so that joining a path appends it.
fn base_url(
    checker: &mut Checker<'_>,
    at: NodePath<'_>,
    written: Option<&str>,
    kind: Option<&ProviderKind>,
    location: Option<&str>,
) -> Option<Url> {
    let place = at.key("base_url");
    let mut url = match (written, kind) {
        (Some(written), _) => checker.url(place, Some(written))?,
        (None, Some(kind)) if kind.name == GOOGLE && location.is_some() => google::host(location?)?,
        (None, Some(kind)) => match kind.default_base_url.map(Url::parse) {
            Some(Ok(url)) => url,
            Some(Err(_)) | None => {
                let example =
                    if kind.name == AZURE { "https://RESOURCE.openai.azure.com/" } else { "https://host/v1/" };
                let help = format!("add `base_url: {example}`");
                checker.report(place, format!("kind {} needs a `base_url`", kind.name), help);
                return None;
            }
        },
        (None, None) => return None,
    };
    if kind.is_some_and(|kind| kind.name == AZURE) {
        stops_before_openai(checker, place, &url);
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

/// Azure's own pages show addresses with the path that Easel adds by itself.
fn stops_before_openai(checker: &mut Checker<'_>, place: NodePath<'_>, url: &Url) {
    let path = format!("{}/", url.path());
    let Some((prefix, _)) = path.split_once("/openai/") else { return };
    let mut short = url.clone();
    short.set_path(&format!("{prefix}/"));
    let help = match place.is_expanded() {
        true => "leave out `/openai` and what follows".to_owned(),
        false => format!("write `{short}`"),
    };
    checker.report(place, "Easel adds `/openai/...` to this address by itself", help);
}

/// Whether what stands under `key` was filled in by the preset. A vendor that is reached at the address its preset
/// knows wants a key.
fn is_of_preset(at: NodePath<'_>, key: &str) -> bool {
    at.key(key).is_given() && at.key(key).span() == at.key("preset").span()
}

/// The vendor's key; `who` is told where there must be one.
fn api_key(
    checker: &mut Checker<'_>,
    name: &str,
    at: NodePath<'_>,
    written: Option<&file::Hidden>,
    who: Option<String>,
) -> Option<Secret> {
    let place = at.key("api_key");
    if written.is_none()
        && let Some(who) = who
    {
        let variable = name.to_uppercase().replace('-', "_");
        checker.report(place, format!("{who} needs an `api_key`"), format!("add `api_key: ${{{variable}_API_KEY}}`"));
    }
    checker.header_value(place, written.map(|key| key.0.reveal())).map(Secret::new)
}

/// A date, with or without `-preview`, or one of Azure's words.
fn api_version(checker: &mut Checker<'_>, at: NodePath<'_>, written: Option<&str>) -> Option<String> {
    let version = checker.text(at, written)?;
    let date = version.strip_suffix("-preview").unwrap_or(&version);
    let is_digit_or_dash =
        |(at, byte): (usize, u8)| if matches!(at, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() };
    let is_date = date.len() == 10 && date.bytes().enumerate().all(is_digit_or_dash);
    if !is_date && version != "v1" {
        let help = "write it like 2025-04-01-preview, or `v1` for addresses without a version".to_owned();
        checker.report(at, format!("{} is not an api-version", at.shown()), help);
        return None;
    }
    Some(version)
}

fn only_for(checker: &mut Checker<'_>, place: NodePath<'_>, kind: Option<&ProviderKind>, kinds: &[&str], what: &str) {
    if place.is_given() && kind.is_some_and(|kind| !kinds.contains(&kind.name)) {
        let help = format!("delete it, or use kind {}", kinds.join(" or "));
        checker.report(place, format!("`{what}` means nothing to this kind of provider"), help);
    }
}

fn breaker(checker: &mut Checker<'_>, written: &file::Breaker, at: NodePath<'_>) -> Breaker {
    let file::Breaker { failures, window, pause, max_pause } = written;
    let pause = checker.some_time(at.key("pause"), pause.as_ref(), BREAKER.pause);
    let longest = at.key("max_pause");
    let max_pause = checker.time(longest, max_pause.as_ref(), BREAKER.max_pause.max(pause));
    if max_pause < pause {
        checker.report(longest, "is shorter than the first pause", "make it at least as long as `pause`".to_owned());
    }
    Breaker {
        failures: checker.count(at.key("failures"), *failures, 1, BREAKER.failures),
        window: checker.some_time(at.key("window"), window.as_ref(), BREAKER.window),
        pause,
        max_pause,
    }
}

fn retry_budget(checker: &mut Checker<'_>, written: &file::RetryBudget, at: NodePath<'_>) -> RetryBudget {
    let file::RetryBudget { ratio, min_per_second } = written;
    RetryBudget {
        ratio_ppm: checker.read(at.key("ratio"), ratio.as_ref()).unwrap_or(RETRY_BUDGET.ratio_ppm),
        min_per_second: checker.count(at.key("min_per_second"), *min_per_second, 0, RETRY_BUDGET.min_per_second),
    }
}
