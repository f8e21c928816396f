//! The whole way from text to plan or problems. What one room does alone is tested in that room.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::plan::{
    AskAt, CapabilityOverrides, CostUnit, Credentials, EditAs, EditOverride, ModelPattern, OnDeadline, Plan,
    RouteCache, SizeFormat, Via,
};
use super::{ConfigText, Problems, load, preset, presets, schema};
use crate::capabilities::Sizes;
use crate::config::expand::Lookup;
use crate::config::provider_kind::ProviderKind;
use crate::image::{Format, Size};
use crate::money::Usd;
use crate::pricing::{Addon, RowSize, Table, TokenPrice};
use crate::request::{Quality, ResponseFormat};
use crate::secret::Secret;

mod alerts;
mod prices;
mod prompt;

const KINDS: [ProviderKind; 9] = [
    ProviderKind {
        name: "openai",
        default_base_url: Some("https://api.openai.com/v1/"),
        needs_key: true,
        known_models: &["gpt-image-1", "gpt-image-2", "dall-e-3"],
    },
    ProviderKind { name: "openai_compatible", default_base_url: None, needs_key: false, known_models: &[] },
    ProviderKind {
        name: "stability",
        default_base_url: Some("https://api.stability.ai"),
        needs_key: true,
        known_models: &["core", "ultra"],
    },
    ProviderKind {
        name: "replicate",
        default_base_url: Some("https://api.replicate.com/v1"),
        needs_key: true,
        known_models: &[],
    },
    ProviderKind { name: "azure", default_base_url: None, needs_key: true, known_models: &[] },
    ProviderKind {
        name: "openrouter",
        default_base_url: Some("https://openrouter.ai/api/v1/"),
        needs_key: true,
        known_models: &[],
    },
    ProviderKind {
        name: "google",
        default_base_url: Some("https://generativelanguage.googleapis.com/v1beta/"),
        needs_key: false,
        known_models: &[],
    },
    ProviderKind { name: "fal", default_base_url: Some("https://queue.fal.run/"), needs_key: true, known_models: &[] },
    ProviderKind {
        name: "anthropic",
        default_base_url: Some("https://api.anthropic.com/v1/"),
        needs_key: true,
        known_models: &["claude-haiku-4-5"],
    },
];

const REFERENCE: &str = include_str!("../../conf/easel.yaml");
const DEMO: &str = include_str!("../../conf/demo.yaml");

/// The value of every variable but the ones the tests name; no problem may print it.
const SECRET: &str = "sk-live-5ec2e7";

struct World;

impl Lookup for World {
    fn var(&self, name: &str) -> Option<String> {
        match name {
            "EASEL_SANDBOX_URL" => Some("http://127.0.0.1:4100".to_owned()),
            "ALERT_WEBHOOK_URL" => Some(format!("https://hooks.example.com/{SECRET}?sig={SECRET}")),
            "UNSET" => None,
            "EMPTY" => Some(String::new()),
            "LIMIT" => Some("7".to_owned()),
            "TEN_SEC" => Some(format!("10 {SECRET}")),
            _ => Some(SECRET.to_owned()),
        }
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        if path == Path::new("/run/secrets/key") { Ok(format!("{SECRET}\n")) } else { Err("no such file".to_owned()) }
    }
}

fn read(text: &str) -> Result<Plan, Problems> {
    load(&ConfigText { name: "easel.yaml", text }, &KINDS, &World)
}

fn plan(text: &str) -> Plan {
    read(text).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Every problem as `line:column what | suggestion`.
fn problems(text: &str) -> Vec<String> {
    let problems = read(text).map(|plan| panic!("this was accepted: {plan:?}")).unwrap_err();
    problems
        .iter()
        .map(|p| format!("{}:{} {} | {}", p.line, p.column, p.what, p.suggestion.as_deref().unwrap_or("-")))
        .collect()
}

/// A config that is right, with `provider` as more keys of its only provider and `route` as more of its only route.
fn small(provider: &str, route: &str) -> String {
    format!(
        "providers:\n  a:\n    kind: openai\n    api_key: k\n    models: {{m: {{price: 0.009}}}}\n{provider}\
         routes:\n  - name: all\n    offers: [a/m]\n{route}"
    )
}

#[test]
fn six_mistakes_are_six_problems_each_with_its_place_and_what_to_write() {
    let text = "\
server:
  drian: 10s
providers:
  openai:
    kind: opanai
    api_key: ${UNSET}
    timeout: 10 sec
    models:
      gpt-image-2: {max_n: 4}
routes:
  - name: mockups
    offers: [opnai/gpt-image-2]
";
    assert_eq!(
        problems(text),
        [
            "2:3 unknown key `drian` | did you mean `drain`?",
            "5:11 unknown kind `opanai` | did you mean `openai`?",
            "6:14 the environment variable UNSET is not set | set UNSET before Easel starts, or write `$${UNSET}` to mean the text itself",
            "7:14 `10 sec` is not a time | write `10s`",
            "9:7 this model has no price | add `price: 0.03`, the dollars a picture costs",
            "12:14 `opnai/gpt-image-2` names no provider of this file | did you mean `openai/gpt-image-2`?",
        ]
    );
    let printed = read(text).unwrap_err().to_string();
    let first = "\
error: unknown key `drian`
 --> easel.yaml:2:3
  |
2 |   drian: 10s
  |   ^^^^^
  |
  = help: did you mean `drain`?
";
    assert!(printed.starts_with(first), "{printed}");
    assert!(printed.contains("   |              ^^^^^^^^^^^^^^^^^\n"), "{printed}");
    assert!(printed.ends_with("\n\n6 problems in easel.yaml"), "{printed}");
}

#[test]
fn the_annotated_reference_loads_and_means_what_its_comments_say() {
    let plan = plan(REFERENCE);
    let defaults = self::plan(&small("", ""));
    assert_eq!(plan.cache, defaults.cache);
    assert_eq!(plan.server.limits, defaults.server.limits);
    assert_eq!(
        (&plan.server.listen, &plan.server.admin, plan.server.drain, plan.server.link_ttl),
        (&defaults.server.listen, &defaults.server.admin, defaults.server.drain, defaults.server.link_ttl)
    );
    let (openai, default) = (&plan.providers["openai"], &defaults.providers["a"]);
    assert_eq!(openai.account.base_url, default.account.base_url);
    assert_eq!(openai.concurrency, default.concurrency);
    assert_eq!(openai.breaker, default.breaker);
    assert_eq!((openai.timeout, openai.connect_timeout), (default.timeout, default.connect_timeout));
    let (mockups, default) = (&plan.routes[0], &defaults.routes[0]);
    assert_eq!((mockups.max_failures, mockups.max_failures_per_offer), (6, 2));
    assert_eq!((default.max_failures, default.max_failures_per_offer), (6, 2));
    assert_eq!((mockups.size_tolerance, mockups.cache), (default.size_tolerance, default.cache));
    assert_eq!((default.deadline, default.on_deadline), (Duration::from_secs(180), OnDeadline::Partial));
    assert!(!default.refusals_go_on && !mockups.refusals_go_on);
}

#[test]
fn the_reference_shows_every_key_and_its_tls_line_loads_too() {
    fn keys(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        if let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) {
            found.extend(properties.keys().cloned());
        }
        match schema {
            serde_json::Value::Object(object) => object.values().for_each(|below| keys(below, found)),
            serde_json::Value::Array(items) => items.iter().for_each(|below| keys(below, found)),
            _ => {}
        }
    }
    let mut all = BTreeSet::new();
    keys(&schema(), &mut all);
    assert!(all.len() > 70, "{all:?}");
    let missing: Vec<&String> = all.iter().filter(|key| !REFERENCE.contains(&format!("{key}:"))).collect();
    assert!(missing.is_empty(), "conf/easel.yaml does not show {missing:?}");
    let tls = plan(&REFERENCE.replace("# tls:", "tls:")).server.tls.unwrap();
    assert_eq!(tls.key, Path::new("/etc/easel/key.pem"));
}

#[test]
fn every_key_of_the_schema_says_what_it_is() {
    fn undescribed(schema: &serde_json::Value, path: &str, found: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) {
            for (key, below) in properties {
                let path = format!("{path}.{key}");
                if below.get("description").is_none() {
                    found.push(path.clone());
                }
                undescribed(below, &path, found);
            }
        }
        for key in ["items", "additionalProperties"] {
            if let Some(below) = schema.get(key) {
                undescribed(below, path, found);
            }
        }
    }
    let mut found = Vec::new();
    undescribed(&schema(), "", &mut found);
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(schema()["additionalProperties"], false);
}

#[test]
fn the_keys_that_are_masked_are_the_keys_the_schema_calls_secret() {
    fn secret(schema: &serde_json::Value, found: &mut BTreeSet<String>) {
        schema.as_array().into_iter().flatten().for_each(|below| secret(below, found));
        if let Some(object) = schema.as_object() {
            for (key, below) in object {
                if below.to_string().contains("\"writeOnly\":true") && !below.to_string().contains("\"properties\"") {
                    let leaf = below.get("writeOnly").is_some() || below.get("anyOf").is_some();
                    // A list of secrets is known by its own key.
                    found.extend((leaf && key != "items").then(|| key.clone()));
                }
                secret(below, found);
            }
        }
    }
    let mut found = BTreeSet::new();
    secret(&schema(), &mut found);
    assert_eq!(found, super::redact::SECRET_KEYS.map(str::to_owned).into());
}

#[test]
fn the_demo_loads_and_asks_the_cheapest_first() {
    let plan = plan(DEMO);
    let names: Vec<&str> = plan.routes[0].offers.iter().map(|offer| offer.name.as_str()).collect();
    assert_eq!(names, ["replicate/black-forest-labs/flux-schnell", "stability/core", "openai/gpt-image-2"]);
    let url = &plan.providers["replicate"].account.base_url;
    assert_eq!(url.as_str(), "http://127.0.0.1:4100/replicate/v1/");
    assert_eq!(plan.routes[0].offers[0].model.name, "black-forest-labs/flux-schnell");
}

#[test]
fn a_price_is_the_digits_that_were_written() {
    let plan = plan(&small("    markup: 5.5%\n", "    price: {max_usd_per_image: 0.1, max_usd_per_request: 1e-9}\n"));
    let price = &plan.providers["a"].models["m"].price;
    assert_eq!(price.table, Table::Flat(Usd::from_nanos(9_000_000)));
    assert_eq!(price.markup_ppm, 55_000);
    assert_eq!(plan.routes[0].max_usd_per_image, Some(Usd::from_nanos(100_000_000)));
    assert_eq!(plan.routes[0].max_usd_per_request, Some(Usd::from_nanos(1)));
}

#[test]
fn every_part_of_the_reference_arrives_in_the_plan() {
    let plan = plan(REFERENCE);
    let openai = &plan.providers["openai"];
    assert_eq!(openai.account.api_key.as_ref().unwrap().reveal(), SECRET);
    assert_eq!(openai.account.organization.as_deref(), Some("org-acme"));
    assert_eq!(openai.account.project.as_deref(), Some("proj-mockups"));
    let Table::Rows(rows) = &openai.models["gpt-image-2"].price.table else { panic!("not rows") };
    assert_eq!((rows[0].size, rows[0].quality), (Some(RowSize::Pixels(Size::new(1024, 1024))), Some(Quality::Low)));
    assert_eq!((rows[3].size, rows[3].usd), (None, Usd::from_nanos(5_000_000)));
    let addon = (Addon::TransparentBackground, Usd::from_nanos(1_000_000));
    assert_eq!(openai.models["gpt-image-2"].price.addons, [addon]);

    let sdxl = &plan.providers["stability"].models["stable-diffusion-xl-1024-v1-0"];
    assert_eq!(sdxl.capabilities.max_n, Some(4));
    assert_eq!(sdxl.capabilities.prompt_chars, Some(2000));
    assert_eq!((sdxl.capabilities.seed, sdxl.capabilities.negative_prompt), (Some(true), Some(true)));
    assert_eq!(sdxl.options["steps"], 30);
    assert!(matches!(&sdxl.capabilities.sizes, Some(Sizes::Listed(sizes)) if sizes.len() == 3));

    let Table::UpTo(tiers) = &plan.providers["replicate"].models["stability-ai/sdxl"].price.table else {
        panic!("not tiers")
    };
    assert_eq!(tiers[0], (Size::new(512, 512), Usd::from_nanos(2_500_000)));

    let janus = &plan.providers["janus"];
    assert_eq!(janus.models["janus-pro-7b"].capabilities.sizes, Some(Sizes::Any));
    let dialect = &janus.account.dialect;
    assert_eq!(dialect.auth, ("authorization".to_owned(), "Bearer ".to_owned()));
    assert_eq!(dialect.rename["negative_prompt"], "input.negative");
    assert_eq!(dialect.constants["guidance"], 4.5);
    assert_eq!(dialect.size, SizeFormat::WidthXHeight);
    assert_eq!(dialect.cost_header.as_deref(), Some("x-litellm-response-cost"));

    let claude = &plan.providers["claude"];
    assert!(claude.models.is_empty());
    let writer = &claude.writers["claude-haiku-4-5"];
    let usd = |dollars: i64| Usd::from_nanos(dollars * 1_000_000_000);
    assert_eq!(writer.price, TokenPrice { text_in: usd(1), text_out: usd(5), markup_ppm: 0 });
    assert_eq!(writer.options["temperature"], 0.7);

    let mockups = &plan.routes[0];
    assert_eq!(
        (mockups.prompt.prefix.as_str(), mockups.prompt.suffix.as_str()),
        ("Studio product photo. ", " No text.")
    );
    assert_eq!(mockups.models, [ModelPattern::Exact("mockup".into()), ModelPattern::Prefix("mockup-".into())]);
    assert_eq!(mockups.headers, [("x-team".to_owned(), "marketing".to_owned())]);
    assert_eq!(mockups.offers[2].max_usd_per_image, Some(Usd::from_nanos(60_000_000)));
    assert_eq!(mockups.deadline, Duration::from_secs(10));
    assert_eq!(mockups.cache, Some(RouteCache { ttl: Duration::from_secs(30 * 86_400) }));
    assert_eq!(mockups.defaults.size, Some(Size::new(1024, 1024)));
    assert_eq!(mockups.defaults.response_format, Some(ResponseFormat::B64Json));
    assert_eq!(plan.routes[1].defaults.response_format, None);
    assert_eq!((plan.routes[1].cache, plan.routes[1].deadline), (None, Duration::from_secs(60)));
}

#[test]
fn addresses_end_the_way_they_are_joined() {
    let text =
        small("    base_url: https://proxy.example/openai/v1\n", "") + "server: {public_url: https://x.example/a/}\n";
    let plan = plan(&text);
    assert_eq!(plan.providers["a"].account.base_url.as_str(), "https://proxy.example/openai/v1/");
    assert_eq!(plan.server.public_url.unwrap().as_str(), "https://x.example/a");
}

#[test]
fn a_value_from_outside_may_be_a_number_and_quotes_do_not_matter() {
    let plan = plan(&small("    concurrency: {limit: \"${LIMIT}\", queue: 7}\n", ""));
    assert_eq!((plan.providers["a"].concurrency.limit, plan.providers["a"].concurrency.queue), (7, 7));
}

#[test]
fn anchors_and_merge_keys_share_what_is_alike() {
    let text = "\
providers:
  a: &base
    kind: openai
    api_key: k
    timeout: 7s
    models: &models {m: {price: 0.01}}
  b:
    <<: *base
    timeout: 9s
  c: {kind: openai, api_key: k, models: *models}
routes: [{name: all, offers: [a/m, b/m, c/m]}]
";
    let plan = plan(text);
    assert_eq!(plan.providers["b"].timeout, Duration::from_secs(9));
    assert_eq!(plan.providers["b"].models, plan.providers["a"].models);
    assert_eq!(plan.providers["c"].models, plan.providers["a"].models);
}

#[test]
fn a_mistake_in_a_shared_part_is_told_once_where_it_stands() {
    let text = "\
providers:
  a: &base {kind: openai, api_key: k, timeout: 7 s, models: {m: {price: 1}}}
  b: {<<: *base}
routes: [{name: all, offers: [a/m, b/m]}]
";
    assert_eq!(problems(text), ["2:48 `7 s` is not a time | write `7s`"]);
}

/// More keys of the provider, of the route, and the problems they make.
fn check_problems(cases: &[(&str, &str, &[&str])]) {
    for (provider, route, expected) in cases {
        let text = small(provider, route);
        let found: Vec<String> = problems(&text)
            .into_iter()
            .map(|problem| problem.split_once(' ').map(|(_, what)| what.to_owned()).unwrap())
            .collect();
        assert_eq!(found, *expected, "{text}");
    }
}

#[test]
fn what_is_wrong_with_a_provider_is_told() {
    let time = "write a number and a unit: 500ms, 10s, 2m, 1h or 30d";
    check_problems(&[
        ("    timeout: 0s\n", "", &[&format!("must be longer than nothing | {time}")]),
        ("    timeout: soon\n", "", &[&format!("`soon` is not a time | {time}")]),
        ("    timeout: 10w\n", "", &["`10w` has an unknown unit of time | write `10s`"]),
        ("    concurrency: {limit: 0}\n", "", &["must be at least 1 | -"]),
        ("    concurrency: {limit: -1}\n", "", &["expected a whole number, found `-1` | -"]),
        ("    breaker: {failures: 5000000000}\n", "", &["is too large a number | -"]),
        (
            "    base_url: api.openai.com/v1\n",
            "",
            &["`api.openai.com/v1` is not a URL | write it like https://api.example.com/v1/"],
        ),
        (
            "    base_url: localhost:8000\n",
            "",
            &["`localhost:8000` is neither http nor https | write `http://localhost:8000` or `https://localhost:8000`"],
        ),
        ("    base_url: https://api.example/v1?key=x\n", "", &["this URL must not have a query | -"]),
        ("    base_url: https://me:pw@api.example/\n", "", &["this URL must not have a user name or password | -"]),
        ("    markup: 10\n", "", &["`10` is not a percentage | write `10%`"]),
        (
            "    download_hosts: [\"https://cdn.example\"]\n",
            "",
            &[
                "`\"https://cdn.example\"` is not a host | write the host alone, like cdn.example.com, *.example.com or cdn.local:8443",
            ],
        ),
        (
            "    dialect: {size: WxH}\n",
            "",
            &["`dialect` means nothing to this kind of provider | delete it, or use kind openai_compatible"],
        ),
        (
            "    api_version: v1\n",
            "",
            &["`api_version` means nothing to this kind of provider | delete it, or use kind azure"],
        ),
        ("    modles: {}\n", "", &["unknown key `modles` | did you mean `models`?"]),
        (
            "    retries: 3\n",
            "",
            &[
                "unknown key `retries` | the keys here are: api_key, api_version, base_url, billing, breaker, budget, concurrency, connect_timeout, credentials, dialect, download_hosts, entra, ...",
            ],
        ),
        ("    breaker: 5\n", "", &["expected a mapping, found `5` | the keys here are: failures, pause, window"]),
        ("    timeout: [1s]\n", "", &["expected a time, found a list | write it like 500ms, 10s, 2m, 1h, 30d"]),
    ]);
}

#[test]
fn what_is_wrong_with_a_route_is_told() {
    check_problems(&[
        (
            "",
            "    deadline: {after: 10s, then: parital}\n",
            &["expected `partial`, `fail`, found `parital` | did you mean `partial`?"],
        ),
        ("", "    size: {strict: yes}\n", &["expected true or false, found `yes` | write `true`"]),
        ("", "    size: {tolerance: 0.15}\n", &["`0.15` is not a percentage | write `15%`"]),
        (
            "",
            "    defaults: {size: 1024, quality: good, output_format: jpg, response_format: link}\n",
            &[
                "`1024` is not a size | write `1024x1024`",
                "expected `low`, `medium`, `high`, `xhigh`, `max`, `standard`, `hd`, found `good` | the words here are: low, medium, high, xhigh, max, standard, hd",
                "expected `png`, `jpeg`, `webp`, found `jpg` | did you mean `jpeg`?",
                "expected `url`, `b64_json`, found `link` | the words here are: url, b64_json",
            ],
        ),
        ("", "    attempts: {max: 0}\n", &["must be at least 1 | -"]),
        ("", "    cache: maybe\n", &["expected true or false or a mapping, found `maybe` | the keys here are: ttl"]),
        (
            "",
            "    match: {models: []}\n",
            &["an empty list matches no request | name models, or leave `models` out to match every name"],
        ),
        ("", "    match: {models: [\"a*b\"]}\n", &["`\"a*b\"`: a `*` may stand only at the end | -"]),
        ("", "    match: {headers: {\"x team\": y}}\n", &["`\"x team\"` is not the name of a header | -"]),
        (
            "",
            "    price: {max_usd_per_image: -1}\n",
            &["`-1` is less than nothing | write dollars as a plain number, like 0.009"],
        ),
        ("", "    name: again\n", &["the key `name` is given twice | keep one of the two; the first stands above"]),
    ]);
}

/// The problems of a route with these offers, with two providers of which `b` has two models.
fn offer_problems(offers: &str) -> Vec<String> {
    let text = format!(
        "providers:\n  a: {{kind: openai, api_key: k, models: {{m: {{price: 1}}}}}}\n  \
         bee: {{kind: stability, api_key: k, models: {{core: {{price: 1}}, x/y: {{price: 1}}}}}}\n\
         routes: [{{name: r, offers: {offers}}}]\n"
    );
    match read(&text) {
        Ok(_) => Vec::new(),
        Err(_) => problems(&text),
    }
}

#[test]
fn an_offer_names_a_provider_and_one_of_its_models() {
    assert!(offer_problems("[bee/x/y, bee/core, {offer: a/m}]").is_empty());
    assert_eq!(
        offer_problems("[bee/cor]"),
        ["4:29 `bee/cor` is not among the models of `bee` | did you mean `bee/core`?",]
    );
    assert_eq!(
        offer_problems("[bee/ultra]"),
        ["4:29 `bee/ultra` is not among the models of `bee` | add `ultra` with its price under `providers.bee.models`",]
    );
    assert_eq!(
        offer_problems("[a/gpt-image-2]"),
        [
            "4:29 `a/gpt-image-2` is not among the models of `a` | add `gpt-image-2` with its price under `providers.a.models`",
        ]
    );
    assert_eq!(
        offer_problems("[be/core]"),
        ["4:29 `be/core` names no provider of this file | did you mean `bee/core`?",]
    );
    assert_eq!(offer_problems("[core]"), ["4:29 `core` is not provider/model | did you mean `bee/core`?"]);
    assert_eq!(
        offer_problems("[{max_usd_per_image: 1}]"),
        ["4:30 this offer names nobody | add `offer: provider/model`",]
    );
    assert_eq!(
        offer_problems("[a/m, a/m]"),
        [
            "4:34 `a/m` is offered twice on this route | delete one; `attempts: {per_offer: 2}` asks the same offer again",
        ]
    );
    assert_eq!(offer_problems("[]"), ["4:20 this route has no offers | add `offers: [provider/model]`"]);
}

#[test]
fn what_is_missing_is_told_at_what_lacks_it() {
    assert_eq!(
        problems(""),
        [
            "1:1 there are no routes, so no request could be answered | add `routes:` with a list like `- {name: all, offers: [provider/model]}`",
        ]
    );
    let text =
        "providers:\n  a: {models: {m: {}}}\n  b: {kind: openai_compatible}\n  c-d: {kind: openai}\nroutes:\n  - {}\n";
    let kinds = KINDS.map(|kind| kind.name).join(", ");
    assert_eq!(
        problems(text),
        [
            &*format!("2:3 this provider has no kind | add `kind:` with one of {kinds}"),
            "2:16 this model has no price | add `price: 0.03`, the dollars a picture costs",
            "3:3 kind openai_compatible needs a `base_url` | add `base_url: https://host/v1/`",
            "4:3 kind openai needs an `api_key` | add `api_key: ${C_D_API_KEY}`",
            "6:5 this route has no name | add `name:`, as logs and metrics will show it",
            "6:5 this route has no offers | add `offers: [provider/model]`",
        ]
    );
}

#[test]
fn a_price_table_is_of_one_sort_and_every_row_counts() {
    let price = |price: &str| {
        let text = format!(
            "providers:\n  a: {{kind: openai, api_key: k, models: {{m: {{price: {price}}}}}}}\nroutes: [{{name: r, offers: [a/m]}}]\n"
        );
        problems(&text).into_iter().map(|problem| problem.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(price("[]"), ["a price needs at least one row | add `- {size: 1024x1024, usd: 0.03}`"]);
    assert_eq!(price("[{size: 1x1}]"), ["this row has no price | add `usd: 0.03`"]);
    assert_eq!(
        price("[{up_to: 1x1, usd: 1}, {size: 2x2, usd: 2}]"),
        ["`up_to` cannot be mixed with other rows | use either `up_to` in every row, or `size` and `quality`",]
    );
    assert_eq!(
        price("[{up_to: 2x2, usd: 1}, {up_to: 4x1, usd: 2}]"),
        ["another row has as many pixels | delete one of the two",]
    );
    assert_eq!(
        price("[{quality: low, usd: 1}, {size: 2x2, quality: low, usd: 2}]"),
        [
            "this row is never reached: the row on line 2 comes first and covers it | put the general row last, or delete one",
        ]
    );
    assert_eq!(price("$0.03"), ["`$0.03` is not a decimal number of dollars, write it like 0.009 | write `0.03`"]);
    assert_eq!(
        price("0.0000000001"),
        [
            "`0.0000000001` is finer than a nano-dollar (nine digits after the point) | write dollars as a plain number, like 0.009",
        ]
    );
    assert_eq!(
        price("{}"),
        [
            "this price does not say by what it is charged | write `price: 0.03`, the dollars a picture costs, or one of usd, per_megapixel, first_megapixel, per_step, tokens_per_million, per_second, reported",
        ]
    );
}

#[test]
fn a_route_that_no_request_reaches_is_told_and_one_with_a_narrower_match_is_not() {
    let routes = |routes: &str| {
        let text =
            format!("providers:\n  a: {{kind: openai, api_key: k, models: {{m: {{price: 1}}}}}}\nroutes:\n{routes}");
        match read(&text) {
            Ok(_) => Vec::new(),
            Err(_) => problems(&text),
        }
    };
    let help = "put the more general route last";
    assert_eq!(
        routes("- {name: all, offers: [a/m]}\n- {name: x, match: {models: [x]}, offers: [a/m]}\n"),
        [format!("5:21 no request gets here: route `all` (line 4) takes them all | {help}")]
    );
    assert_eq!(
        routes(
            "- {name: p, match: {models: [\"m-*\"]}, offers: [a/m]}\n- {name: q, match: {models: [m-1, \"m-2*\"]}, offers: [a/m]}\n"
        ),
        [format!("5:21 no request gets here: route `p` (line 4) takes them all | {help}")]
    );
    let fine = "\
- {name: team, match: {headers: {x-team: a}}, offers: [a/m]}
- {name: exact, match: {models: [x]}, offers: [a/m]}
- {name: prefix, match: {models: [\"x*\", y]}, offers: [a/m]}
- {name: rest, offers: [a/m]}
";
    assert!(routes(fine).is_empty(), "{:?}", routes(fine));
    assert_eq!(
        routes("- {name: r, match: {models: [x]}, offers: [a/m]}\n- {name: r, match: {models: [y]}, offers: [a/m]}\n"),
        ["5:10 another route is called `r` (line 4) | give each route a name of its own"]
    );
    // What a misspelt key meant is not known, so it is not held against the next route.
    let misspelt = routes(
        "- {name: all, mtach: {models: [x]}, offers: [a/m]}\n- {name: x, match: {models: [y]}, offers: [a/m]}\n",
    );
    assert_eq!(misspelt, ["4:15 unknown key `mtach` | did you mean `match`?"]);
}

#[test]
fn names_are_fit_for_metrics_and_offers() {
    let text = "providers:\n  My AI: {kind: openai, api_key: k, models: {m: {price: 1}}}\nroutes: [{name: A, offers: [My AI/m]}]\n";
    let help = "use lower-case letters, digits, `-` and `_`, beginning with a letter or a digit";
    assert_eq!(
        problems(text),
        [format!("2:3 `My AI` is not a usable name | {help}"), format!("3:17 `A` is not a usable name | {help}"),]
    );
}

#[test]
fn addresses_of_the_server_are_checked() {
    let server = |server: &str| {
        let text = small("", "") + &format!("server: {{{server}}}\n");
        problems(&text).into_iter().map(|problem| problem.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        server("listen: \"8080\""),
        ["`\"8080\"` is not host:port | write an address and a port, like 127.0.0.1:8080",]
    );
    assert_eq!(
        server("admin: \"0.0.0.0:99999\""),
        ["`\"0.0.0.0:99999\"` is not host:port | write an address and a port, like 127.0.0.1:9901",]
    );
    assert_eq!(
        server("admin: 127.0.0.1:8080"),
        ["clients and admin cannot share `127.0.0.1:8080` | give `listen` and `admin` different ports",]
    );
    assert_eq!(server("tls: {cert: a.pem}"), ["`tls` needs `key` too | add `key:` with the name of a PEM file"]);
    assert_eq!(
        server("passthrough: http://a.example/x"),
        ["must not have a path: requests keep their own | write `http://a.example`",]
    );
    assert_eq!(server("threads: 0"), ["must be at least 1 | -"]);
    assert_eq!(server("limits: {request_body: 50 MB}"), ["`50 MB` is not an amount of memory | write `50MB`"]);
    assert_eq!(server("limits: {request_body: 50MX}"), ["`50MX` has an unknown unit of memory | write `50MB`"]);
    plan(&(small("", "") + "server: {listen: \"[::1]:0\", admin: localhost:0}\n"));
}

#[test]
fn an_address_that_others_reach_needs_clients_or_the_word_that_anyone_may_ask() {
    let listen = |listen: &str, more: &str| read(&format!("{}server: {{listen: \"{listen}\"}}\n{more}", small("", "")));
    let client =
        "clients: [{name: web, key_sha256: 0f5f2a0e4f1a3f7b8ad2b3f1c4a7d9e05c6f7081920a1b2c3d4e5f60718293a4}]\n";
    for address in ["0.0.0.0:8080", "[::]:8080", "10.1.2.3:80", "pod.internal:80", "localhost.example:80"] {
        for more in ["", "# clients: anyone\n"] {
            let problems = listen(address, more).unwrap().shut.unwrap();
            let told = problems.iter().next().unwrap();
            assert_eq!(problems.len(), 1, "{problems}");
            assert!(told.what.contains(address), "{problems}");
            assert!(told.suggestion.as_ref().unwrap().contains("`clients: anyone`"), "{problems}");
        }
        let open = listen(address, "clients: anyone\n").unwrap();
        assert!(open.anyone && open.shut.is_none());
        let listed = listen(address, client).unwrap();
        assert!(!listed.anyone && listed.shut.is_none());
        // Among other problems it is one of them.
        assert_eq!(listen(address, "cache: {memory: much}\n").unwrap_err().len(), 2);
    }
    for address in ["127.0.0.1:8080", "127.8.8.8:1", "[::1]:8080", "[::ffff:127.0.0.1]:1", "localhost:0", "LocalHost:1"]
    {
        assert!(listen(address, "").unwrap().shut.is_none(), "{address}");
    }
    assert_eq!(listen("127.0.0.1:1", "clients: everyone\n").unwrap_err().len(), 1);
}

#[test]
fn links_that_nobody_else_can_open_are_told() {
    let told = |server: &str| plan(&(small("", "") + "clients: anyone\nserver: " + server)).server.unusable_links();
    for any in ["{listen: '0.0.0.0:80'}", "{listen: '[::]:80'}"] {
        assert!(told(any).is_some_and(|note| note.contains("server.public_url")), "{any}");
    }
    for good in [
        "{listen: '127.0.0.1:80'}",
        "{listen: '10.0.0.1:80'}",
        "{listen: '0.0.0.0:80', public_url: 'https://a.example'}",
    ] {
        assert_eq!(told(good), None, "{good}");
    }
}

#[test]
fn names_and_pages_of_the_server_are_checked_and_kept_as_browsers_send_them() {
    let wrong = |server: &str| {
        let mut problems = problems(&(small("", "") + &format!("server: {{{server}}}\n")));
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0).split_once(' ').unwrap().1.to_owned()
    };
    for (page, help) in [("https://a.example/x", "write scheme, host and port alone"), ("*", "name each origin")] {
        let told = wrong(&format!("cors: {{origins: ['{page}']}}"));
        assert!(told.contains("is not an origin") && told.contains(help), "{told}");
    }
    assert!(wrong("hosts: ['easel:8080']").contains("is not a host's name"));
    let more = "server: {hosts: [Easel.Internal.], cors: {origins: ['HTTPS://UI.example:443', 'http://[::1]:80', 'tauri://localhost']}}\n";
    let server = plan(&(small("", "") + more)).server;
    assert_eq!(server.hosts, ["easel.internal"]);
    assert_eq!(server.cors, ["https://ui.example", "http://[::1]", "tauri://localhost"]);
}

#[test]
fn a_dialect_is_checked_word_by_word() {
    let dialect = |dialect: &str| {
        let text = format!(
            "providers:\n  a: {{kind: openai_compatible, base_url: https://a.example/v1, models: {{m: {{price: 1}}}}, dialect: {{{dialect}}}}}\nroutes: [{{name: r, offers: [a/m]}}]\n"
        );
        read(&text)
    };
    let wrong = |text: &str| {
        let problems = dialect(text).unwrap_err();
        problems.iter().map(|problem| problem.what.clone()).collect::<Vec<_>>()
    };
    assert_eq!(wrong("path: https://evil.example/"), ["`https://evil.example/` is not a path below `base_url`"]);
    assert_eq!(wrong("path: ../other"), ["`../other` is not a path below `base_url`"]);
    assert_eq!(wrong("edit_path: ../other"), ["`../other` is not a path below `base_url`"]);
    assert_eq!(wrong("rename: {promt: text}"), ["Easel sends no field `promt`"]);
    assert_eq!(wrong("drop: [n, stile]"), ["Easel sends no field `stile`"]);
    assert_eq!(wrong("auth_header: \"x key\""), ["`\"x key\"` is not the name of a header"]);
    let read = |text: &str| dialect(text).unwrap().providers["a"].account.dialect.clone();
    assert_eq!(read("auth_header: X-Key").auth, ("x-key".to_owned(), String::new()));
    assert_eq!(read("auth_header: authorization, auth_prefix: Key").auth.1, "Key ");
    assert_eq!(read("response_format: none").response_format, None);
    assert_eq!(read("path: /generate, size: W*H").path, "generate");
    assert_eq!(read("edit_path: /edit, rename: {image: input}").edit_path.as_deref(), Some("edit"));
    assert_eq!(read("size: W*H").edit_path, None);
    assert_eq!(wrong("headers: {authorization: x}"), ["Easel writes the header authorization by itself"]);
    assert_eq!(wrong("auth_header: x-key, headers: {X-Key: x}"), ["Easel writes the header x-key by itself"]);
    assert_eq!(wrong("headers: {x y: x}"), ["`x y` is not the name of a header"]);
    assert_eq!(read("headers: {X-Project: p}").headers, [("x-project".to_owned(), Secret::new("p"))]);
    assert_eq!(wrong("edit_as: json"), ["nothing says where pictures are changed"]);
    assert_eq!(read("edit_path: e, edit_as: json_list").edit_as, EditAs::JsonList);
    assert_eq!(wrong("cost_unit: cents"), ["nothing says where the price of a call is told"]);
    let cost = read("cost_at: usage.cost., cost_unit: cents");
    assert_eq!((cost.cost_at.as_deref(), cost.cost_unit), (Some("usage.cost"), CostUnit::Cents));
}

#[test]
fn a_job_is_asked_about_by_its_id_or_at_its_address() {
    let base = "base_url: https://a.example/v1";
    let poll = |poll: &str| read(&compatible(&format!("{base}, dialect: {{poll: {{{poll}}}}}"), ""));
    let good = |text: &str| poll(text).unwrap().providers["a"].account.dialect.poll.clone().unwrap();
    let by_id = good("id: job.id, path: '/jobs/{id}', done: [ok]");
    assert_eq!(by_id.at, AskAt::Path { id: "job.id".to_owned(), path: "jobs/{id}".to_owned() });
    assert_eq!((by_id.status.as_str(), by_id.every), ("status", Duration::from_secs(1)));
    let by_url = good("url: urls.get, hosts: ['*.A.example'], status: state, done: [ok], failed: [no], every: 250ms");
    assert_eq!(by_url.at, AskAt::Url { url: "urls.get".to_owned(), hosts: vec!["*.a.example".parse().unwrap()] });
    assert_eq!((by_url.status.as_str(), by_url.every), ("state", Duration::from_millis(250)));
    for (text, what) in [
        ("id: job.id, path: 'jobs/{id}'", "nothing says when a job is done"),
        ("id: job.id, done: [ok]", "this does not say where to ask about a job"),
        ("path: 'jobs/{id}', url: u, done: [ok]", "this does not say where to ask about a job"),
        ("id: job.id, path: jobs, done: [ok]", "`jobs` has no {id}"),
        (
            "id: job.id, path: 'https://evil.example/{id}', done: [ok]",
            "`'https://evil.example/{id}'` is not a path below",
        ),
        ("id: job.id, path: 'jobs/{id}', hosts: [b.example], done: [ok]", "`hosts` means nothing without `url`"),
        ("url: u, hosts: ['https://b.example'], done: [ok]", "`'https://b.example'` is not a host"),
        ("url: u, done: [ok], failed: [ok]", "`ok` stands in two of the lists"),
        ("url: u, done: [ok], every: 0s", "must be longer than nothing"),
        ("url: u, done: [ok], evry: 1s", "unknown key `evry`"),
    ] {
        let problems = poll(text).unwrap_err();
        let told: Vec<&str> = problems.iter().map(|problem| problem.what.as_str()).collect();
        assert!(told.len() == 1 && told[0].starts_with(what), "{text}: {told:?}");
    }
}

/// A config with the provider `a` of an OpenAI-compatible server, and its model `m`.
fn compatible(provider: &str, model: &str) -> String {
    format!(
        "providers:\n  a: {{kind: openai_compatible, {provider}, models: {{m: {{price: 1{model}}}}}}}\n\
         routes: [{{name: r, offers: [a/m]}}]\n"
    )
}

#[test]
fn a_preset_means_what_it_would_mean_written_out() {
    for name in presets() {
        let written = preset(name).unwrap();
        let indented: String = written.lines().map(|line| format!("    {line}\n")).collect();
        let key = "api_key: k, base_url: https://own.example/v1";
        let by_name = plan(&compatible(&format!("preset: {name}, {key}"), ""));
        // Below the base URL and the key of the user's own, which win.
        let text = format!(
            "providers:\n  a:\n{}    api_key: k\n    base_url: https://own.example/v1\n    models: {{m: {{price: 1}}}}\n\
             routes: [{{name: r, offers: [a/m]}}]\n",
            indented.replace("    base_url:", "    # base_url:")
        );
        let in_full = plan(&text);
        assert_eq!(format!("{:?}", by_name.providers), format!("{:?}", in_full.providers), "{name}");
        assert!(written.starts_with("# "), "{name} says where its facts are from");
        assert!(written.contains("\nkind: openai_compatible\n"), "{name}");
    }
}

#[test]
fn what_is_written_beside_a_preset_wins_key_by_key() {
    let provider = |provider: &str, model: &str| plan(&compatible(provider, model)).providers["a"].clone();
    let plain = provider("preset: together, api_key: k", "");
    assert_eq!(plain.account.base_url.as_str(), "https://api.together.ai/v1/");
    assert_eq!(plain.account.dialect.size, SizeFormat::TwoFields);
    assert_eq!(plain.models["m"].capabilities.max_n, Some(4));
    let own = provider("preset: together, api_key: k, dialect: {response_format: url, drop: []}", ", max_n: 2");
    let dialect = &own.account.dialect;
    assert_eq!((dialect.size, dialect.response_format.as_deref()), (SizeFormat::TwoFields, Some("url")));
    assert!(dialect.drop.is_empty());
    assert_eq!((own.models["m"].capabilities.max_n, own.models["m"].capabilities.seed), (Some(2), Some(true)));
}

#[test]
fn an_unknown_preset_is_told_with_the_one_that_was_meant_and_a_hosted_one_wants_a_key() {
    let told = problems(&compatible("preset: togehter, base_url: https://a.example", ""));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("found `togehter` | did you mean `together`?"), "{told:?}");
    let told = problems(&compatible("preset: together", ""));
    assert_eq!(told, ["2:3 preset together needs an `api_key` | add `api_key: ${A_API_KEY}`"]);
    assert!(read(&compatible("preset: together, base_url: https://own.example", "")).is_ok());
    let told = problems(&compatible("preset: vllm", ""));
    assert_eq!(told, ["2:3 kind openai_compatible needs a `base_url` | add `base_url: https://host/v1/`"]);
    let told = problems(&small("    preset: together\n", ""));
    assert_eq!(
        told,
        ["6:13 `preset` means nothing to this kind of provider | delete it, or use kind openai_compatible"]
    );
    let schema = schema();
    let words = &schema["properties"]["providers"]["additionalProperties"]["properties"]["preset"]["enum"];
    let words: Vec<&str> = words.as_array().unwrap().iter().filter_map(|word| word.as_str()).collect();
    assert_eq!(words, presets().collect::<Vec<_>>());
}

#[test]
fn everything_a_model_can_do_may_be_stated_and_stated_for_all() {
    let all = ", generate: true, edit: {images: 3, mask: false, keeps_size: true}, max_n: 2, formats: [png], \
               qualities: [low, hd], prompt_chars: 9, seed: true, negative_prompt: false, partials: true, \
               transparent: true, compression: true, style: false, sizes: {ratios: [16:9, '1:1'], pixels: 512x512}";
    let dialect = "base_url: https://a.example, dialect: {edit_path: edits}";
    let able = |provider: &str, model: &str| {
        plan(&compatible(provider, model)).providers["a"].models["m"].capabilities.clone()
    };
    let stated = able(dialect, all);
    let wanted = CapabilityOverrides {
        generate: Some(true),
        edit: Some(EditOverride::Within { images: Some(3), mask: Some(false), keeps_size: Some(true) }),
        max_n: Some(2),
        formats: Some(vec![Format::Png]),
        qualities: Some(vec![Quality::Low, Quality::Hd]),
        prompt_chars: Some(9),
        seed: Some(true),
        negative_prompt: Some(false),
        partials: Some(true),
        transparent: Some(true),
        compression: Some(true),
        style: Some(false),
        sizes: Some(Sizes::Ratios { shapes: vec![(16, 9), (1, 1)], pixels: 512 * 512 }),
    };
    assert_eq!(stated, wanted);
    let defaults = format!("{dialect}, model_defaults: {{{}}}", &all[2..]);
    assert_eq!(able(&defaults, ", edit: false"), CapabilityOverrides { edit: Some(EditOverride::Never), ..wanted });
    let Some(Sizes::Stepped(steps)) =
        able(dialect, ", sizes: {multiple_of: 16, max_side: 1024, max_pixels: 512x512}").sizes
    else {
        panic!("no grid")
    };
    assert_eq!((steps.multiple_of, steps.min_side, steps.max_side, steps.max_pixels), (16, 16, 1024, 512 * 512));
    assert_eq!(able(dialect, ", sizes: none").sizes, Some(Sizes::None));
    assert_eq!(able(dialect, ", sizes: any").sizes, Some(Sizes::Any));
}

#[test]
fn abilities_that_make_no_sense_are_told() {
    let told = |provider: &str, model: &str| {
        let provider = format!("base_url: https://a.example, {provider}");
        let problems = read(&compatible(&provider, model)).unwrap_err();
        problems.iter().map(|problem| problem.what.clone()).collect::<Vec<_>>()
    };
    for (provider, model, what) in [
        ("dialect: {}", ", edit: {images: 1}", "the dialect has no `edit_path`, so no picture can be changed"),
        ("dialect: {drop: [seed]}", ", seed: true", "the dialect drops `seed`, so it cannot be asked for"),
        ("dialect: {drop: [n]}", ", max_n: 2", "the dialect drops `n`, so it cannot be asked for"),
        ("dialect: {}", ", generate: false, edit: false", "a model that neither draws nor changes pictures is no use"),
        ("dialect: {edit_path: e}", ", edit: {images: 0}", "must be at least 1"),
        ("dialect: {}", ", sizes: {ratios: []}", "a model that draws no shape is no use"),
        ("dialect: {}", ", sizes: {ratios: [16/9]}", "`16/9` is not a shape"),
        ("dialect: {}", ", sizes: {ratios: [1:1], max_side: 9}", "`max_side` means nothing beside `ratios`"),
        ("dialect: {}", ", sizes: {pixels: 1x1}", "`pixels` means nothing without `ratios`"),
        ("dialect: {}", ", sizes: {min_side: 900, max_side: 800}", "no size is within these bounds"),
        ("dialect: {}", ", qualities: [lo]", "expected `low`"),
        ("model_defaults: {sizes: []}", "", "a model that draws no size is no use"),
        ("model_defaults: {price: 1}", "", "unknown key `price`"),
    ] {
        let told = told(provider, model);
        assert!(told.len() == 1 && told[0].starts_with(what), "{provider}{model}: {told:?}");
    }
}

/// A config with one provider of this kind and one model.
fn one(kind: &str, provider: &str, model: &str) -> String {
    let provider = format!("kind: {kind}, api_key: k, {provider}models: {{m: {{price: 1{model}}}}}");
    format!("providers:\n  a: {{{provider}}}\nroutes: [{{name: r, offers: [a/m]}}]\n")
}

#[test]
fn azure_has_a_version_and_the_model_behind_each_deployment() {
    let base = "base_url: https://r.openai.azure.com/, ";
    let read = |more: &str, model: &str| plan(&one("azure", &format!("{base}{more}"), model)).providers["a"].clone();
    let provider = read("", "");
    assert_eq!((provider.account.api_version.clone(), provider.models["m"].family.clone()), (None, None));
    let provider = read("api_version: 2024-02-01, ", ", model_family: dall-e-3");
    assert_eq!(provider.account.api_version.as_deref(), Some("2024-02-01"));
    assert_eq!(provider.models["m"].family.as_deref(), Some("dall-e-3"));
    for version in ["v1", "2025-04-01-preview"] {
        assert_eq!(read(&format!("api_version: {version}, "), "").account.api_version.as_deref(), Some(version));
    }
    let wrong = |version: &str| problems(&one("azure", &format!("{base}api_version: {version}, "), ""));
    for version in ["2025-4-1", "preview", "v2", "2025-04-01-beta"] {
        let what = format!(
            "`{version}` is not an api-version | write it like 2025-04-01-preview, or `v1` for addresses without a version"
        );
        assert!(matches!(&wrong(version)[..], [problem] if problem.ends_with(&what)), "{:?}", wrong(version));
    }
    for path in ["openai", "openai/v1/", "openai/deployments/d"] {
        let told = problems(&one("azure", &format!("base_url: https://r.openai.azure.com/{path}, "), ""));
        let what = "Easel adds `/openai/...` to this address by itself | write `https://r.openai.azure.com/`";
        assert!(matches!(&told[..], [problem] if problem.ends_with(what)), "{told:?}");
    }
    let missing = problems(&one("azure", "", ""));
    let told = "kind azure needs a `base_url` | add `base_url: https://RESOURCE.openai.azure.com/`";
    assert!(missing[0].ends_with(told), "{missing:?}");
}

/// A config with a provider of Azure's that is opened as `keys` say.
fn azure(keys: &str) -> String {
    let keys = format!("kind: azure, base_url: 'https://r.openai.azure.com/', {keys}");
    format!("providers:\n  a: {{{keys}, models: {{m: {{price: 1}}}}}}\nroutes: [{{name: r, offers: [a/m]}}]\n")
}

#[test]
fn azure_is_opened_by_an_application_of_entras_or_by_the_machine_itself() {
    let credentials = |keys: &str| plan(&azure(keys)).providers["a"].account.credentials.clone();
    assert_eq!(
        (credentials("api_key: k"), credentials("entra: managed_identity")),
        (None, Some(Credentials::Metadata))
    );
    for (authority, host) in [
        ("", "https://login.microsoftonline.com/"),
        (", authority: 'https://login.microsoftonline.us'", "https://login.microsoftonline.us/"),
        (", authority: 'https://proxy.local/login/'", "https://proxy.local/login/"),
    ] {
        let keys = format!("entra: {{tenant: t-1, client_id: app, client_secret: '${{S}}'{authority}}}");
        let wanted = Credentials::Entra {
            token_uri: format!("{host}t-1/oauth2/v2.0/token").parse().unwrap(),
            client_id: "app".to_owned(),
            client_secret: Secret::new(SECRET),
        };
        assert_eq!(credentials(&keys), Some(wanted), "{authority}");
    }
}

#[test]
fn half_an_application_of_entras_is_told_and_its_secret_is_never_shown() {
    let told = |keys: &str| {
        let problems = read(&azure(keys)).unwrap_err().to_string();
        assert!(!problems.contains(SECRET), "{problems}");
        self::problems(&azure(keys)).join("\n")
    };
    let entra = |more: &str| format!("entra: {{client_secret: {SECRET}{more}}}");
    let good = ", tenant: t, client_id: c";
    for (keys, what) in [
        ("timeout: 1s".to_owned(), "kind azure needs an `api_key` or `entra` | add `api_key: ${AZURE_OPENAI_API_KEY}`"),
        (format!("api_key: k, {}", entra(good)), "`api_key` and `entra` are two ways into the same account | keep one"),
        (entra(", client_id: c"), "`entra` needs a `tenant` | add `tenant: contoso.onmicrosoft.com`"),
        (entra(", tenant: t"), "`entra` needs a `client_id` | add `client_id: ${AZURE_CLIENT_ID}`"),
        (
            "entra: {tenant: t, client_id: c}".to_owned(),
            "`entra` needs a `client_secret` | add `client_secret: ${AZURE_",
        ),
        (
            entra(", client_id: c, tenant: a/b"),
            "`a/b` is not a tenant | write the directory's id, or one of its domains",
        ),
        (entra(", client_id: c, tenant: .."), "`..` is not a tenant"),
        (entra(", client_id: c, tenant: common"), "`common` is not a tenant"),
        (entra(&format!("{good}, authority: login")), "`login` is not a URL"),
        (entra(&format!("{good}, authority: 'http://login.local/'")), "this authority is plain http, and the secret"),
        (entra(", tenent: t, client_id: c"), "unknown key `tenent` | did you mean `tenant`?"),
        ("entra: managed".to_owned(), "`managed_identity`"),
    ] {
        assert!(told(&keys).contains(what), "{keys}: {}", told(&keys));
    }
    let at_home =
        azure(&entra(&format!("{good}, authority: 'http://login.local/'"))).replace("https://r.o", "http://r.o");
    assert!(plan(&at_home).providers["a"].account.credentials.is_some());
    let other = problems(&one("openai", "entra: managed_identity, ", "")).join("\n");
    assert!(other.contains("`entra` means nothing to this kind of provider | delete it, or use kind azure"), "{other}");
}

/// A config with a provider of Google's.
fn google(keys: &str) -> String {
    format!(
        "providers:\n  a: {{kind: google, {keys}, models: {{m: {{price: 1}}}}}}\nroutes: [{{name: r, offers: [a/m]}}]\n"
    )
}

/// A key that signs tokens in tests and opens nothing.
const KEY: &str = include_str!("../../tests/it/google_key.pem");

/// A service account's JSON, quoted for YAML, with one member replaced.
fn service_account(member: &str, value: &str) -> String {
    let mut json = serde_json::json!({"type": "service_account", "client_email": "e@p", "private_key_id": "k1",
        "private_key": KEY,
        "token_uri": "https://oauth2.googleapis.com/token"});
    json[member] = value.into();
    format!("'{json}'")
}

#[test]
fn google_has_two_ways_in_and_the_location_decides_the_host() {
    let account = |keys: &str| plan(&google(keys)).providers["a"].account.clone();
    assert_eq!(account("api_key: k").base_url.as_str(), "https://generativelanguage.googleapis.com/v1beta/");
    for (location, host) in [
        ("europe-west4", "https://europe-west4-aiplatform.googleapis.com/"),
        ("global", "https://aiplatform.googleapis.com/"),
        ("eu", "https://aiplatform.eu.rep.googleapis.com/"),
    ] {
        let keys = format!("credentials: metadata, project: p, location: {location}");
        let account = account(&keys);
        assert_eq!((account.base_url.as_str(), account.credentials), (host, Some(Credentials::Metadata)));
    }
    let keys = format!(
        "credentials: {}, project: p, location: us, base_url: 'http://h/x'",
        service_account("private_key_id", "k2")
    );
    let account = account(&keys);
    assert_eq!(account.base_url.as_str(), "http://h/x/");
    let Some(Credentials::ServiceAccount { key_id, private_key, .. }) = account.credentials else { panic!("none") };
    assert_eq!(key_id.as_deref(), Some("k2"));
    assert_eq!(private_key.reveal(), KEY);
}

#[test]
fn half_a_way_in_to_google_is_told_and_credentials_are_never_shown() {
    let told = |keys: &str| {
        let told = problems(&google(keys)).join("\n");
        assert!(!read(&google(keys)).unwrap_err().to_string().contains(SECRET), "{keys}");
        told
    };
    for (keys, what) in [
        ("timeout: 1s", "kind google needs an `api_key` or `credentials`"),
        ("api_key: k, location: us, project: p", "`api_key` is for the Gemini API"),
        ("credentials: metadata, location: us", "`credentials` is of no use without `project`"),
        ("credentials: metadata, project: p", "`credentials` is of no use without `location`"),
        ("project: p, location: us", "`project` is of no use without `credentials`"),
        ("credentials: metadata, project: p, location: 'a.b/c'", "is not a location | write a region like"),
        ("credentials: nonsense, project: p, location: us", "this is not a service account's JSON"),
    ] {
        assert!(told(keys).contains(what), "{keys}: {}", told(keys));
    }
    for (member, value, what) in [
        ("type", "authorized_user", "does not say `\"type\": \"service_account\"`"),
        ("client_email", "", "has no `client_email`"),
        ("private_key", "", "has no `private_key`"),
        ("private_key", SECRET, "is not PEM"),
        ("private_key", &format!("-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"), "is not PEM"),
        ("private_key", &KEY[..KEY.len() / 2 / 65 * 65], "`private_key` of this service account is"),
        ("token_uri", "file:///etc/passwd", "is not a URL"),
        ("token_uri", "http://oauth2.googleapis.com/token", "is plain http"),
    ] {
        let keys = format!("credentials: {}, project: p, location: us", service_account(member, value));
        assert!(told(&keys).contains(what), "{member}: {}", told(&keys));
        assert!(KEY.lines().skip(2).all(|line| !told(&keys).contains(line)), "{member}");
    }
    let plain = service_account("token_uri", "http://token.local/token");
    let at_home = format!("credentials: {plain}, project: p, location: us, base_url: 'http://vertex.local/'");
    assert!(plan(&google(&at_home)).providers["a"].account.credentials.is_some());
    let abroad = format!("credentials: {plain}, project: p, location: us, base_url: 'https://vertex.example/'");
    let told = problems(&google(&abroad)).join("\n");
    assert!(told.contains("let the file say `https://oauth2.googleapis.com/token`"), "{told}");
    let other = problems(&one("openai", "location: us, ", "")).join("\n");
    assert!(other.contains("`location` means nothing to this kind of provider"), "{other}");
}

#[test]
fn a_model_of_openrouter_is_asked_in_one_of_two_ways() {
    let via = |model: &str| plan(&one("openrouter", "", model)).providers["a"].models["m"].via;
    assert_eq!((via(""), via(", via: images"), via(", via: chat")), (Via::Images, Via::Images, Via::Chat));
    let told = |kind: &str, model: &str| {
        let found = problems(&one(kind, "", model));
        found.into_iter().map(|problem| problem.split_once(' ').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        told("openrouter", ", via: post"),
        ["expected `images`, `chat`, found `post` | the words here are: images, chat"]
    );
    let means_nothing = |key: &str, kind: &str| {
        vec![format!("`{key}` means nothing to this kind of provider | delete it, or use kind {kind}")]
    };
    assert_eq!(told("openai", ", via: chat"), means_nothing("via", "openrouter"));
    assert_eq!(told("openai", ", model_family: dall-e-3"), means_nothing("model_family", "azure"));
    let streaming = means_nothing("partials", "openai or azure or openai_compatible");
    assert_eq!(told("stability", ", partials: true"), streaming);
}

#[test]
fn a_secret_never_appears_in_any_problem() {
    // Each text names a secret in one way or another and has at least one problem on the same line.
    let written_out = [
        format!("providers: {{a: {{kind: opnai, api_key: {SECRET}}}}}"),
        format!("providers: {{a: {{kind: openai, api_kye: {SECRET}}}}}"),
        format!("providers: {{a: {{kind: openai, api_key: [{SECRET}]}}}}"),
        format!("providers: {{a: {{kind: openai, api_key: {{x: {SECRET}}}}}}}"),
        format!("providers: {{a: {{kind: openai, api_key: ${{{SECRET}}}}}}}"),
        format!("providers: {{a: {{kind: openai, api_key: \"{SECRET}\\u0007\"}}}}"),
        format!("providers: {{a: {{kind: openai, api_key: x, api_key: {SECRET}}}}}"),
        format!("providers: {{a: {{kind: openai, api_key: {SECRET}"),
        format!("providers:\n  a:\n    api_key:\n      \"{SECRET}\n"),
        format!("providers: {{a: {{kind: openai, base_url: \"ftp://me:{SECRET}@host/\"}}}}"),
        format!("providers: {{a: {{kind: opnai, api_key: x, <<: {{api_key: {SECRET}}}}}}}"),
        format!("providers: {{a: {{kind: azure, entra: {{tenent: t, client_secret: {SECRET}}}}}}}"),
        format!("providers: {{a: {{kind: azure, entra: {{client_secert: {SECRET}}}}}}}"),
        format!("providers:\n  a:\n    entra:\n      client_secret:\n        \"{SECRET}\n"),
        format!("sever: {{link_secret: {SECRET}}}"),
        format!("server: {{link_secrets: {SECRET}}}"),
    ];
    let from_outside = [
        "providers: {a: {kind: \"${KIND}\", api_key: \"${KEY}\"}}",
        "providers: {a: {kind: openai, base_url: \"${URL}\", timeout: \"${TEN_SEC}\", markup: \"${M}\"}}",
        "providers: {a: {kind: openai, concurrency: {limit: \"${L}\"}, breaker: \"${B}\"}}",
        "providers: {a: {kind: openai, api_key: \"${KEY}\\u0007\", base_url: \"${KEY}://x\", download_hosts: [\"${K}/\"]}}",
        "providers: {a: {kind: openai, models: {m: {price: \"${P}\", sizes: [\"${S}\"], formats: [\"${F}\"]}}}}",
        "server: {listen: \"${A}\", public_url: \"${U}\", limits: {request_body: \"${file:/run/secrets/key}\"}}",
        "routes: [{name: \"${N} x\", offers: [\"${O}\", \"a/${O}\", \"${O}/m\"], refusals: \"${R}\", size: {strict: \"${S}\"}}]",
        "routes: [{name: n, match: {models: [\"${M}*x\"]}, deadline: \"${D}\", defaults: {size: \"${S}\", quality: \"${Q}\"}}]",
    ];
    for text in written_out.iter().map(String::as_str).chain(from_outside) {
        let problems = read(text).unwrap_err();
        let printed = format!("{problems}\n{problems:?}");
        assert!(!printed.contains(SECRET), "{text}\n{printed}");
        assert!(problems.iter().all(|problem| !format!("{problem:?}").contains(SECRET)), "{text}");
    }
    assert!(!format!("{:?}", plan(REFERENCE).providers).contains(SECRET));
}

#[test]
fn an_empty_secret_is_a_problem_and_a_file_may_hold_one() {
    assert_eq!(
        problems(&small("", "").replace("api_key: k", "api_key: ${EMPTY}")),
        ["4:14 what this refers to is empty | -",]
    );
    let plan = plan(&small("", "").replace("api_key: k", "api_key: ${file:/run/secrets/key}"));
    assert_eq!(plan.providers["a"].account.api_key.as_ref().unwrap().reveal(), SECRET);
}

#[test]
fn text_that_is_no_yaml_is_told_where_it_breaks() {
    for (text, place) in [
        ("server: [", "1:10"),
        ("server:\n\tlisten: x\n", "2:2"),
        ("server: {}\n---\nserver: {}\n", "2:1"),
        ("a: *nope\n", "1:4"),
        ("a: \"x\u{0}\"\n", "1:6"),
        ("a: \"unterminated\n", "1:4"),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(place), "{text:?} {found:?}");
    }
    let unquoted = problems("server: {listen: ${A}}\n");
    assert!(unquoted[0].ends_with("write \"${NAME}\" in quotes"), "{unquoted:?}");
    assert_eq!(
        problems("- a\n")[0],
        "1:3 expected a mapping, found a list | the keys here are: alerts, cache, clients, providers, routes, server"
    );
    for (text, told) in [
        ("clients: {web: {}}\n", "1:1 expected `anyone` or a list, found a mapping | begin each entry with `- `"),
        ("providers: [openai]\n", "1:1 expected a mapping, found a list | write it as `name: value`"),
    ] {
        assert_eq!(problems(text)[0], told);
    }
    assert!(problems("? [a]\n: b\n")[0].starts_with("1:4 a key is a plain word"));
    assert!(problems("server: !x {}\n").iter().any(|problem| problem.contains("tags mean nothing")));
}

#[test]
fn aliases_of_aliases_are_bounded() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{}", level - 1);
        text += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(", "));
    }
    assert!(problems(&text)[0].contains("more than 100000 values"));
    assert!(problems(&"[".repeat(100))[0].contains("levels deep"));
    assert!(problems("a: &a [*a]\n")[0].contains("inside the very thing"));
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_change_nothing() {
    let windows = REFERENCE.replace('\n', "\r\n");
    assert_eq!(plan(&windows).server, plan(REFERENCE).server);
    let found = problems("\u{feff}server:\r\n  drian: 10s\r\n");
    assert!(found[0].contains("2:3 unknown key `drian`") || found[1].contains("2:3 unknown key `drian`"), "{found:?}");
}

/// One change to a text: something put in, taken out or doubled.
fn mutated(text: &str, at: prop::sample::Index, end: prop::sample::Index, put: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let start = at.index(chars.len());
    let length = end.index(20).min(chars.len() - start);
    let mut out: String = chars[..start].iter().collect();
    out.push_str(put);
    out.extend(&chars[start + length..]);
    out
}

#[test]
fn a_route_whose_name_comes_from_elsewhere_is_not_suggested_to_a_client() {
    let digest = "0".repeat(64);
    let text = format!(
        "providers:\n  p: {{kind: openai, api_key: k, models: {{dall-e-3: {{price: 0.04}}}}}}\n\
         routes:\n  - {{name: all, offers: [p/dall-e-3]}}\n\
         clients:\n  - {{name: web, key_sha256: \"{digest}\", routes: [al]}}\n"
    );
    assert!(problems(&text)[0].contains("`all`"), "{:?}", problems(&text));
    let expanded = text.replace("name: all", "name: \"${KEY}all\"");
    assert_eq!(problems(&expanded), ["6:106 `al` names no route of this file | -"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_reader_panic(text in "(?s).{0,200}") {
        if let Err(problems) = read(&text) {
            prop_assert!(problems.len() > 0 && !problems.to_string().is_empty());
        }
    }

    #[test]
    fn no_text_of_yaml_signs_makes_the_reader_panic(text in "[\\[\\]{}:,*&!|>'\"%@`#?~<$ \n\r\tab0-]{0,80}") {
        if let Err(problems) = read(&text) {
            prop_assert!(!problems.to_string().is_empty());
        }
    }

    #[test]
    fn one_wrong_character_does_not_show_a_key_that_is_written_out(
        at in any::<prop::sample::Index>(), put in "([\\[\\]{}:,*&!|>'\"%#?~<$ \n\t-]|x)?",
    ) {
        let text = "providers:\n  a: {kind: opnai, timeout: 1, api_key: SECRET, markup: 2}\n  b:\n    kind: nope\n    \
                    api_key: SECRET\n  c: {api_key: \"SECRET\"}\nserver:\n  link_secret: 'SECRET'\n  x: 1\n";
        let text = text.replace("SECRET", SECRET);
        let at = at.index(text.len());
        // A sign that cuts the key's name in two leaves nothing to know it by.
        let within = |name: &str| text.match_indices(name).find(|(start, _)| (start + 1..start + name.len()).contains(&at));
        let at = within("api_key").or(within("link_secret")).map_or(at, |(start, _)| start);
        for skipped in 0..2 {
            let changed = format!("{}{put}{}", &text[..at], text.get(at + skipped..).unwrap_or_default());
            let printed = read(&changed).unwrap_err().to_string();
            prop_assert!(!printed.contains(SECRET), "{}\n{}", changed, printed);
        }
    }

    #[test]
    fn no_change_to_the_reference_makes_the_reader_panic_or_print_a_secret(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(),
            "([\\[\\]{}:,*&!|>'\"%#?~<$ \n-]|null|0|-1|\\$\\{KEY\\}|key: )?"), 1..4),
    ) {
        let text = edits.iter().fold(REFERENCE.to_owned(), |text, (at, end, put)| mutated(&text, *at, *end, put));
        if let Err(problems) = read(&text) {
            let printed = problems.to_string();
            prop_assert!(!printed.contains(SECRET), "{}", printed);
            prop_assert!(!printed.contains("cannot be read"), "{}", printed);
        }
    }
}
