//! `providers:`: accounts that can be reached, and models with a price.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use crate::abilities::Sizes;
use crate::config::Kind;
use crate::config::check::google::{self, GOOGLE};
use crate::config::check::writers::{self, ANTHROPIC};
use crate::config::check::{Checker, dialect, prices};
use crate::config::file;
use crate::config::place::Place;
use crate::config::plan::{AbilityOverrides, Account, Breaker, Concurrency, Model, Provider, Via};
use crate::config::suggest::instead;
use crate::secret::Secret;

const TIMEOUT: Duration = Duration::from_secs(120);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CONCURRENCY: Concurrency = Concurrency { limit: 32, queue: 256, max_wait: Duration::from_secs(10) };
const BREAKER: Breaker = Breaker { failures: 5, window: Duration::from_secs(30), pause: Duration::from_secs(20) };

/// The kind whose differences from OpenAI are written in the config.
const COMPATIBLE: &str = "openai_compatible";

/// The kind that sends OpenAI's organisation and project headers.
const OPENAI: &str = "openai";

/// The kind whose models are deployments with names of their own.
const AZURE: &str = "azure";

/// The kind that can be asked in two ways.
const OPENROUTER: &str = "openrouter";

/// Every provider that could be read.
pub(super) fn providers(
    checker: &mut Checker<'_>,
    providers: &BTreeMap<String, file::Provider>,
    at: Place<'_>,
    kinds: &[Kind],
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
    provider: &file::Provider,
    at: Place<'_>,
    kinds: &[Kind],
) -> Option<Provider> {
    let file::Provider {
        kind,
        base_url,
        api_key,
        organization,
        project,
        location,
        credentials,
        api_version,
        timeout,
        connect_timeout,
        concurrency: written_concurrency,
        breaker: written_breaker,
        markup,
        download_hosts,
        models: written_models,
        dialect,
    } = provider;
    let kind = self::kind(checker, at, kind.as_deref(), kinds);
    let location = google::location(checker, at.key("location"), location.as_deref());
    let base_url = self::base_url(checker, at, base_url.as_deref(), kind, location.as_deref());
    let dialect = match (&base_url, dialect) {
        (_, None) => Default::default(),
        (base_url, Some(dialect)) => dialect::dialect(checker, dialect, at.key("dialect"), base_url.as_ref()),
    };
    only_for(checker, at.key("dialect"), kind, &[COMPATIBLE], "`dialect`");
    only_for(checker, at.key("organization"), kind, &[OPENAI], "`organization`");
    only_for(checker, at.key("project"), kind, &[OPENAI, GOOGLE], "`project`");
    only_for(checker, at.key("location"), kind, &[GOOGLE], "`location`");
    only_for(checker, at.key("credentials"), kind, &[GOOGLE], "`credentials`");
    google::way_in(checker, at, kind);
    only_for(checker, at.key("api_version"), kind, &[AZURE], "`api_version`");
    let api_key = self::api_key(checker, name, at, api_key.as_ref(), kind);
    let organization = checker.header_value(at.key("organization"), organization.as_deref());
    let project = checker.header_value(at.key("project"), project.as_deref());
    let credentials = google::credentials(checker, at.key("credentials"), credentials.as_ref());
    let api_version = self::api_version(checker, at.key("api_version"), api_version.as_deref());
    let markup_ppm = checker.read(at.key("markup"), markup.as_ref()).unwrap_or(0);
    for name in written_models.keys() {
        let at = at.key("models").key(name);
        only_for(checker, at.key("via"), kind, &[OPENROUTER], "`via`");
        only_for(checker, at.key("model_family"), kind, &[AZURE], "`model_family`");
    }
    let writes = kind.is_some_and(|kind| kind.name == ANTHROPIC);
    if writes && at.key("download_hosts").is_given() {
        let what = "`download_hosts` means nothing to a provider that draws nothing";
        checker.report(at.key("download_hosts"), what, "delete it".to_owned());
    }
    let (models, writers) = match writes {
        true => (BTreeMap::new(), writers::writers(checker, written_models, at.key("models"), markup_ppm)),
        false => (models(checker, written_models, at.key("models"), markup_ppm), BTreeMap::new()),
    };
    let timeout = checker.some_time(at.key("timeout"), timeout.as_ref(), TIMEOUT);
    let connect_timeout = checker.some_time(at.key("connect_timeout"), connect_timeout.as_ref(), CONNECT_TIMEOUT);
    let concurrency = concurrency(checker, written_concurrency, at.key("concurrency"));
    let breaker = breaker(checker, written_breaker, at.key("breaker"));
    let download_hosts = hosts(checker, download_hosts, at.key("download_hosts"));
    Some(Provider {
        name: name.to_owned(),
        kind: kind?.name,
        account: Account {
            base_url: base_url?,
            api_key,
            organization,
            project,
            location,
            credentials,
            api_version,
            dialect,
        },
        timeout,
        connect_timeout,
        concurrency,
        breaker,
        download_hosts,
        models,
        writers,
    })
}

fn kind<'k>(checker: &mut Checker<'_>, at: Place<'_>, written: Option<&str>, kinds: &'k [Kind]) -> Option<&'k Kind> {
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
    at: Place<'_>,
    written: Option<&str>,
    kind: Option<&Kind>,
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
fn stops_before_openai(checker: &mut Checker<'_>, place: Place<'_>, url: &Url) {
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

fn api_key(
    checker: &mut Checker<'_>,
    name: &str,
    at: Place<'_>,
    written: Option<&file::Hidden>,
    kind: Option<&Kind>,
) -> Option<Secret> {
    let place = at.key("api_key");
    if written.is_none()
        && let Some(kind) = kind.filter(|kind| kind.needs_key)
    {
        let variable = name.to_uppercase().replace('-', "_");
        let help = format!("add `api_key: ${{{variable}_API_KEY}}`");
        checker.report(place, format!("kind {} needs an `api_key`", kind.name), help);
    }
    checker.header_value(place, written.map(|key| key.0.as_str())).map(Secret::new)
}

/// A date, with or without `-preview`, or one of Azure's words.
fn api_version(checker: &mut Checker<'_>, at: Place<'_>, written: Option<&str>) -> Option<String> {
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

fn only_for(checker: &mut Checker<'_>, place: Place<'_>, kind: Option<&Kind>, kinds: &[&str], what: &str) {
    if place.is_given() && kind.is_some_and(|kind| !kinds.contains(&kind.name)) {
        let help = format!("delete it, or use kind {}", kinds.join(" or "));
        checker.report(place, format!("{what} means nothing to this kind of provider"), help);
    }
}

fn concurrency(checker: &mut Checker<'_>, written: &file::Concurrency, at: Place<'_>) -> Concurrency {
    let file::Concurrency { limit, queue, max_wait } = written;
    Concurrency {
        limit: checker.count(at.key("limit"), *limit, 1, CONCURRENCY.limit),
        queue: checker.count(at.key("queue"), *queue, 0, CONCURRENCY.queue),
        max_wait: checker.time(at.key("max_wait"), max_wait.as_ref(), CONCURRENCY.max_wait),
    }
}

fn breaker(checker: &mut Checker<'_>, written: &file::Breaker, at: Place<'_>) -> Breaker {
    let file::Breaker { failures, window, pause } = written;
    Breaker {
        failures: checker.count(at.key("failures"), *failures, 1, BREAKER.failures),
        window: checker.some_time(at.key("window"), window.as_ref(), BREAKER.window),
        pause: checker.some_time(at.key("pause"), pause.as_ref(), BREAKER.pause),
    }
}

fn hosts(checker: &mut Checker<'_>, hosts: &[String], at: Place<'_>) -> Vec<String> {
    for (index, host) in hosts.iter().enumerate() {
        let name = host.strip_prefix("*.").unwrap_or(host);
        let good = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'));
        if !good {
            let place = at.item(index);
            let help = "write the host alone, like cdn.example.com or *.example.com".to_owned();
            checker.report(place, format!("{} is not a host", place.shown()), help);
        }
    }
    hosts.iter().map(|host| host.to_lowercase()).collect()
}

fn models(
    checker: &mut Checker<'_>,
    models: &BTreeMap<String, file::Model>,
    at: Place<'_>,
    markup_ppm: u32,
) -> BTreeMap<String, Arc<Model>> {
    let mut read = BTreeMap::new();
    for (name, model) in models {
        let place = at.key(name);
        model_name(checker, name, at);
        let abilities = abilities(checker, model, place);
        if let Some(price) = prices::price(checker, model, place, markup_ppm) {
            let family = checker.text(place.key("model_family"), model.model_family.as_deref());
            let via = model.via.map_or(Via::default(), via);
            let model = Model { name: name.clone(), price, abilities, options: model.options.clone(), via, family };
            read.insert(name.clone(), Arc::new(model));
        }
    }
    read
}

/// Notes a name that no vendor's model can have. `at` is where the models are.
pub(super) fn model_name(checker: &mut Checker<'_>, name: &str, at: Place<'_>) {
    if name.trim().is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        checker.report(at.name(name), "a model's name has no spaces and is not empty", None);
    }
}

fn via(written: file::Via) -> Via {
    match written {
        file::Via::Images => Via::Images,
        file::Via::Chat => Via::Chat,
    }
}

fn abilities(checker: &mut Checker<'_>, model: &file::Model, at: Place<'_>) -> AbilityOverrides {
    let file::Model {
        price: _,
        addons: _,
        unit_price: _,
        max_n,
        sizes: written_sizes,
        formats,
        prompt_chars,
        seed,
        negative_prompt,
        options: _,
        via: _,
        model_family: _,
    } = model;
    let formats = formats.as_ref().map(|formats| {
        let place = at.key("formats");
        let read = formats.iter().enumerate();
        read.filter_map(|(index, format)| checker.read(place.item(index), Some(format))).collect()
    });
    AbilityOverrides {
        max_n: max_n.map(|n| checker.count(at.key("max_n"), Some(n), 1, 1)),
        sizes: written_sizes.as_ref().map(|written| sizes(checker, written, at.key("sizes"))),
        formats,
        prompt_chars: prompt_chars.map(|chars| checker.count(at.key("prompt_chars"), Some(chars), 1, 1)),
        seed: *seed,
        negative_prompt: *negative_prompt,
    }
}

fn sizes(checker: &mut Checker<'_>, sizes: &file::Sizes, at: Place<'_>) -> Sizes {
    match sizes {
        file::Sizes::Word(file::AnySize::Any) => Sizes::Any,
        file::Sizes::Listed(listed) => {
            if listed.is_empty() && !at.lost_items() {
                checker.report(at, "a model that draws no size is no use", "list sizes, or write `any`".to_owned());
            }
            let read = listed.iter().enumerate();
            Sizes::Listed(read.filter_map(|(index, size)| checker.read(at.item(index), Some(size))).collect())
        }
    }
}
