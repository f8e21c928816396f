//! The whole way from text to plan or problems. What one room does alone is tested in that room.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::plan::{
    AskAt, Cache, CacheWords, CapabilityOverrides, CostUnit, Credentials, EditAs, EditOverride, ModelPattern,
    OnDeadline, Plan, RouteCache, SizeFormat, Via,
};
use super::{ConfigText, Problems, load, loader_schema, preset, presets};
use crate::capabilities::Sizes;
use crate::config::expand::EnvAndFiles;
use crate::config::provider_kind::ProviderKind;
use crate::image::{Format, Size};
use crate::money::Usd;
use crate::pricing::{Addon, RowSize, Table, TextTokenPrice};
use crate::request::{Quality, ResponseFormat};
use crate::secret::Secret;

mod alerts;
mod azure;
mod capabilities;
mod dialect;
mod empty_keys;
mod google;
mod near;
mod prices;
mod prompt;
mod providers;
mod quality;
mod reference;
mod routes;
mod server;
mod warnings;

const KINDS: [ProviderKind; 10] = [
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
    ProviderKind {
        name: "openai_text",
        default_base_url: Some("https://api.openai.com/v1/"),
        needs_key: false,
        known_models: &["gpt-5-nano"],
    },
];

const REFERENCE: &str = include_str!("../../conf/easel.yaml");
const DEMO: &str = include_str!("../../conf/demo.yaml");

/// The value of every variable but the ones the tests name; no problem may print it.
const SECRET: &str = "sk-live-5ec2e7";

struct World;

impl EnvAndFiles for World {
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
    load(&ConfigText { name: "easel.yaml", text }, &KINDS, &World).map(|loaded| loaded.with_warnings(&[]))
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

/// A config with the provider `a` of an OpenAI-compatible server, and its model `m`.
fn compatible(provider: &str, model: &str) -> String {
    format!(
        "providers:\n  a: {{kind: openai_compatible, {provider}, models: {{m: {{price: 1{model}}}}}}}\n\
         routes: [{{name: r, offers: [a/m]}}]\n"
    )
}

/// A config with one provider of this kind and one model.
fn one(kind: &str, provider: &str, model: &str) -> String {
    let provider = format!("kind: {kind}, api_key: k, {provider}models: {{m: {{price: 1{model}}}}}");
    format!("providers:\n  a: {{{provider}}}\nroutes: [{{name: r, offers: [a/m]}}]\n")
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
        "1:3 expected a mapping, found a list | the keys here are: alerts, cache, clients, providers, quality, routes, server"
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
