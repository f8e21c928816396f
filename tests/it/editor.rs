//! What editors know of a config: the schema against the loader, and what other tools of YAML make of our files.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use easel::reload::{self, EnvAndFiles};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::docs::blocks::Block;
use crate::docs::configs::{complete, configs};
use crate::docs::{pages, root};
use crate::papers::configs_of_ours;
use crate::tools::tool;

/// Answers every variable and every file.
struct Anything;

impl EnvAndFiles for Anything {
    fn var(&self, name: &str) -> Option<String> {
        Some(if name.ends_with("_URL") { "http://127.0.0.1:9".to_owned() } else { "x".to_owned() })
    }

    fn file(&self, _path: &Path) -> Result<String, String> {
        Ok("x".to_owned())
    }
}

const JUDGE: &str = include_str!("editor.py");

#[derive(Deserialize)]
struct Judged {
    /// Why it is no YAML.
    unread: Option<String>,
    /// What the schema says against it.
    error: Option<String>,
    /// What PyYAML makes of it.
    dumped: Option<String>,
}

/// What an editor says of each document; and with `dump` what PyYAML writes after it has read it.
fn judged(documents: &[String], dump: bool) -> Vec<Judged> {
    let asked = json!({"schema": easel::internals::config::schema(), "documents": documents, "dump": dump});
    let mut child = Command::new(tool("EASEL_TEST_PYTHON"))
        .args(["-c", JUDGE])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || stdin.write_all(asked.to_string().as_bytes()));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let judged: Vec<Judged> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(judged.len(), documents.len());
    judged
}

/// A part of a config as a whole one, as docs' blocks are checked.
fn whole(place: &str, text: &str) -> String {
    let block = Block { place: place.to_owned(), language: String::new(), mark: String::new(), text: text.to_owned() };
    let has = |section: &str| text.lines().any(|line| line.starts_with(section));
    if has("providers:") && has("routes:") { block.text } else { serde_yaml::to_string(&complete(&block)).unwrap() }
}

/// What a config means; a problem is told with its place.
fn meant(place: &str, text: &str) -> Result<String, String> {
    match reload::check(place, text, &Anything) {
        Ok(mut plan) => {
            // They quote the text.
            (plan.warnings, plan.remote_refused) = (None, None);
            Ok(format!("{plan:?}"))
        }
        Err(problems) => Err(format!("{problems}\nin\n{text}")),
    }
}

#[test]
fn every_config_of_ours_fits_the_schema_and_means_the_same_after_a_tool_of_yaml_1_1() {
    let blocks = pages().into_iter().flat_map(|page| configs(&page)).map(|block| (block.place, block.text));
    let all: Vec<(String, String)> = configs_of_ours().into_iter().chain(blocks).collect();
    assert!(all.len() > 40, "{} configs", all.len());
    let wholes: Vec<String> = all.iter().map(|(place, text)| whole(place, text)).collect();
    let refused: Vec<String> = judged(&wholes, false)
        .into_iter()
        .zip(&all)
        .filter_map(|(judged, (place, _))| judged.error.or(judged.unread).map(|why| format!("{place}: {why}")))
        .collect();
    assert!(refused.is_empty(), "the schema refuses\n{}", refused.join("\n"));
    let texts: Vec<String> = all.iter().map(|(_, text)| text.clone()).collect();
    let mut changed = Vec::new();
    for (judged, (place, text)) in judged(&texts, true).into_iter().zip(&all) {
        let dumped = judged.dumped.unwrap_or_else(|| panic!("{place}: {:?}", judged.unread));
        let (before, after) = (meant(place, &whole(place, text)), meant(place, &whole(place, &dumped)));
        if before.is_err() || before != after {
            changed.push(format!("{place}\n{before:?}\n{after:?}"));
        }
    }
    assert!(changed.is_empty(), "PyYAML changes {} of {}:\n{}", changed.len(), all.len(), changed.join("\n"));
}

/// A config with `@` where a value is to stand, some that are good there, and some that nobody takes.
const PLACES: &[(&str, &[&str], &[&str])] = &[
    (
        "server: {drain: @}",
        &["500ms", "10s", "1.5s", "2m", "1h", "30d", "${D}"],
        &["10", "10 s", "10sec", "s", "-1s", "1h30m", "soon", "1,5s", "2w", ""],
    ),
    (
        "cache: {memory: @}",
        &["64MiB", "2GiB", "50MB", "1.5GiB", "20000kB", "1000000000B", "${M}"],
        &["64", "64 MiB", "64mb", "64M", "-1MiB", "all", "1e3MB"],
    ),
    (
        "routes: [{name: r, offers: [a/m], price: {max_usd_per_image: @}}]",
        &["0.009", "1", "1e-3", "0.000000001", ".5", "${P}"],
        &["$0.03", "0,03", "-1", "3 cents", "0.03 USD", "1_000", "free", ""],
    ),
    (
        "routes: [{name: r, offers: [a/m], defaults: {size: @}}]",
        &["1024x1024", "1x1", "1536x1024", "${S}"],
        &["1024", "1024X768", "1024*1024", "1024 x 768", "0x10", "large", "x", "1024x"],
    ),
    (
        "providers: {a: {kind: openai, api_key: k, models: {m: {price: [{size: @, usd: 1}, {usd: 2}]}}}}",
        &["1024x1024", "512", "1K", "2K", "4K", "${S}"],
        &["3K", "1k", "1024", "8K", "big"],
    ),
    (
        "providers: {a: {kind: openai, api_key: k, models: {m: {price: 1, sizes: {ratios: [@]}}}}}",
        &["16:9", "1:1", "9:16", "${R}"],
        &["16/9", "16x9", "1.5", "wide", "16:", ":9", "-1:1"],
    ),
    (
        "routes: [{name: r, offers: [a/m], size: {tolerance: @}}]",
        &["10%", "5.5%", "0%", "15 %", "${P}"],
        &["10", "0.15", "-1%", "ten", "%", "10%%"],
    ),
    (
        "alerts: [{name: a, when: @}]",
        &["cost_per_accepted_usd > 0.012", "acceptance_rate < 40%", "error_rate>=5%", "budget_share <= 1%", "${W}"],
        &["cost > 1", "acceptance_rate = 40%", "acceptance_rate <", "> 1", "error_rate > often"],
    ),
    (
        "routes: [{name: r, offers: [a/m], quality: {brand: {colors: [@]}}}]",
        &["#0a3d62", "#FFFFFF", "${C}"],
        &["0a3d62", "#fff", "red", "#0a3d6g", "#0a3d62ff"],
    ),
    (
        "routes: [{name: r, offers: [a/m], quality: {thresholds: {blur: @}}}]",
        &["0.45", "1", "0", "${B}"],
        &["0,45", "a lot", "1e", "1.2.3", "45%"],
    ),
    (
        "routes: [{name: r, offers: [a/m, {offer: b/m}], hedge: {after: @, max_usd_per_hour: 1}}]",
        &["p95", "p50", "p99", "8s", "${A}"],
        &["p49", "p100", "95%", "P95", "8", "late"],
    ),
    ("routes: [{name: r, offers: [@]}]", &["a/m", "${O}"], &["a", "/m", "a/", "A/m", "a m", "-a/m"]),
    ("routes: [{name: @, offers: [a/m]}]", &["r", "mockups-2", "0", "${N}"], &["A", "a b", "-a", "a.b", "\u{e9}"]),
    ("providers: {@: {kind: openai, api_key: k, models: {m: {price: 1}}}}", &["a"], &["A", "a b", "-a", "a/b"]),
    (
        "providers: {a: {kind: @, api_key: k, models: {m: {price: 1}}}}",
        &["openai", "stability", "${K}"],
        &["OpenAI", "gpt", "openai ", "litellm"],
    ),
    (
        "routes: [{name: r, offers: [a/m], attempts: {max: @}}]",
        &["6", "1", "100", "${N}"],
        &["six", "-1", "1.5", "0x10", "many", "1_000"],
    ),
    (
        "routes: [{name: r, offers: [a/m], strict: @}]",
        &["true", "false", "True", "FALSE", "${T}"],
        &["yes", "no", "on", "1", "tRue", ""],
    ),
    (
        "routes: [{name: r, offers: [a/m], defaults: {quality: @}}]",
        &["low", "medium", "high", "hd", "${Q}"],
        &["best", "Medium", "ultra", "1"],
    ),
    ("routes: [{name: r, offers: [a/m], refusals: @}]", &["fail", "next", "${R}"], &["retry", "Fail", "true", "none"]),
    (
        "routes: [{name: r, offers: [a/m], cache: {near: @}}]",
        &["off", "verified", "${N}"],
        &["on", "exact", "embedding", "0.9"],
    ),
    (
        "providers: {a: {kind: openai, api_key: k, models: {m: {price: 1}}, billing: {charges: {failed: @}}}}",
        &["no", "yes", "maybe", "${C}"],
        &["never", "No way", "0", "perhaps"],
    ),
    (
        "server: {listen: '127.0.0.1:0', admin: '127.0.0.1:1', state_dir: @}",
        &["/tmp/x", "7", "true", "1.5", "${D}"],
        &[],
    ),
];

/// What a place's config lacks to be whole.
const REST: &[(&str, &str)] = &[
    (
        "providers:",
        "providers: {a: {kind: openai, api_key: k, models: {m: {price: 1}}}, b: {kind: openai, api_key: l, models: {m: {price: 1}}}}",
    ),
    ("routes:", "routes: [{name: r, offers: [a/m]}]"),
];

fn at(place: &str, written: &str) -> String {
    let rest = REST.iter().filter(|(section, _)| !place.starts_with(section)).map(|(_, rest)| *rest);
    let lines: Vec<String> = rest.map(str::to_owned).chain([place.replacen('@', written, 1)]).collect();
    lines.join("\n") + "\n"
}

/// Every character or two of a value replaced, doubled, left out.
fn mutants(value: &str, random: &mut fastrand::Rng) -> Vec<String> {
    const SIGNS: &[&str] = &[
        "0", "1", "9", ".", "e", "E", "+", "-", "_", " ", "s", "m", "h", "K", "i", "B", "x", ":", "%", "/", "a", "#",
        "$", "=",
    ];
    let mut made = Vec::new();
    for _ in 0..14 {
        let mut chars: Vec<String> = value.chars().map(String::from).collect();
        for _ in 0..=random.usize(0..2) {
            let at = random.usize(0..=chars.len());
            let sign = SIGNS[random.usize(0..SIGNS.len())].to_owned();
            match random.u8(0..3) {
                0 => chars.insert(at, sign),
                1 if at < chars.len() => drop(chars.remove(at)),
                _ if at < chars.len() => chars[at] = sign,
                _ => chars.push(sign),
            }
        }
        made.push(chars.concat());
    }
    made
}

#[test]
fn the_schema_refuses_nothing_that_the_loader_takes_and_what_is_plainly_wrong_is_refused_by_both() {
    let mut random = fastrand::Rng::with_seed(17);
    let (mut documents, mut bad_from) = (Vec::new(), Vec::new());
    // Quoted and plain, for that can mean two things.
    let forms = |value: &str| [json!(value).to_string(), value.to_owned()];
    for (place, good, _) in PLACES {
        for value in *good {
            for form in forms(value) {
                // In braces, a reference and a colour need their quotes.
                if form.starts_with('"') || !form.starts_with(['$', '#']) {
                    let text = at(place, &form);
                    documents.push(text);
                }
            }
            let mutants = mutants(value, &mut random);
            // A key without a value is no key to the loader, and a mistake to an editor.
            let forms = mutants.iter().flat_map(|value| forms(value)).filter(|form| !form.trim().is_empty());
            documents.extend(forms.map(|form| at(place, &form)));
        }
    }
    for (place, _, bad) in PLACES {
        let bad = bad.iter().map(|value| at(place, &json!(value).to_string()));
        bad_from.extend(bad);
    }
    let taken: Vec<bool> = documents.iter().map(|text| meant("easel.yaml", text).is_ok()).collect();
    let many = taken.iter().filter(|taken| **taken).count();
    assert!(many > 300, "{many} of {} are taken, too few to tell", taken.len());
    let mut wrong = Vec::new();
    for ((judged, taken), text) in judged(&documents, false).into_iter().zip(taken).zip(&documents) {
        if let (Some(error), true) = (judged.error, taken) {
            wrong.push(format!("refused by the schema alone: {error}\n{text}"));
        }
    }
    for (judged, text) in judged(&bad_from, false).into_iter().zip(&bad_from) {
        if meant("easel.yaml", text).is_ok() {
            wrong.push(format!("taken by the loader:\n{text}"));
        }
        if judged.error.is_none() && judged.unread.is_none() {
            wrong.push(format!("taken by the schema:\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_good_at_a_place_is_taken_there() {
    for (place, good, _) in PLACES {
        for value in good.iter().filter(|value| !value.starts_with('$')) {
            let text = at(place, &json!(value).to_string());
            if let Err(problems) = meant("easel.yaml", &text) {
                // Words that need more beside them, and a name that others refer to, are still of the right form.
                assert!(!problems.contains("is not a") && !problems.contains("expected"), "{problems}");
            }
        }
    }
}

/// Where in `config` the schema requires a key: the way to each, the key last.
fn required(schema: &Value, config: &serde_yaml::Value, way: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        if one.get("type").is_some() || one.get("properties").is_some() {
            required(one, config, way, found);
        }
    }
    match config {
        serde_yaml::Value::Mapping(entries) => {
            for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                if entries.contains_key(key) {
                    found.push(way.iter().cloned().chain([key.to_owned()]).collect());
                }
            }
            for (key, value) in entries {
                let key = key.as_str().unwrap_or_default();
                let below = schema["properties"].get(key).unwrap_or(&schema["additionalProperties"]);
                way.push(key.to_owned());
                required(below, value, way, found);
                way.pop();
            }
        }
        serde_yaml::Value::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                way.push(index.to_string());
                required(&schema["items"], item, way, found);
                way.pop();
            }
        }
        _ => {}
    }
}

/// `config` without what stands at the end of the way.
fn without(config: &serde_yaml::Value, way: &[String]) -> serde_yaml::Value {
    let mut config = config.clone();
    let (last, before) = way.split_last().unwrap();
    let mut node = &mut config;
    for step in before {
        node = match node {
            serde_yaml::Value::Sequence(items) => &mut items[step.parse::<usize>().unwrap()],
            other => other.get_mut(step.as_str()).unwrap(),
        };
    }
    node.as_mapping_mut().unwrap().remove(last.as_str());
    config
}

#[test]
fn the_loader_too_refuses_a_config_without_a_key_that_the_schema_requires() {
    let schema = easel::internals::config::schema();
    let mut seen = std::collections::BTreeSet::new();
    for (name, text) in configs_of_ours() {
        let mut config: serde_yaml::Value = serde_yaml::from_str(&text).unwrap();
        config.apply_merge().unwrap();
        let (mut way, mut found) = (Vec::new(), Vec::new());
        required(&schema, &config, &mut way, &mut found);
        for way in found {
            let key = way.last().unwrap().clone();
            // Each key a few times is enough.
            let text = serde_yaml::to_string(&without(&config, &way)).unwrap();
            assert!(meant(&name, &text).is_err(), "{name}: {} may be left out", way.join("."));
            seen.insert(key);
        }
    }
    for key in ["providers", "routes", "name", "offers", "price", "key_sha256", "usd", "when"] {
        assert!(seen.contains(key), "{key} is required nowhere: {seen:?}");
    }
    let kind = "providers: {a: {api_key: k, models: {m: {price: 1}}}}\nroutes: [{name: r, offers: [a/m]}]\n";
    let preset = "providers: {a: {preset: vllm, base_url: 'http://h/', models: {m: {price: 1}}}}\nroutes: [{name: r, offers: [a/m]}]\n";
    let told = judged(&[kind.to_owned(), preset.to_owned()], false);
    assert!(told[0].error.is_some() && told[1].error.is_none(), "{:?}", told[1].error);
}

#[test]
fn the_schema_has_words_for_every_key_and_no_null() {
    fn look(schema: &Value, way: &str, wrong: &mut Vec<String>) {
        if schema["type"] == "null" || schema["type"].as_array().is_some_and(|types| types.contains(&json!("null"))) {
            wrong.push(format!("{way}: null"));
        }
        for gone in ["format", "default"] {
            if schema.get(gone).is_some_and(|value| !value.is_object()) {
                wrong.push(format!("{way}: {gone}"));
            }
        }
        for (key, below) in schema["properties"].as_object().into_iter().flatten() {
            if below["description"].as_str().is_none_or(|words| words.len() < 3) {
                wrong.push(format!("{way}.{key}: nothing is said of it"));
            }
            look(below, &format!("{way}.{key}"), wrong);
        }
        for list in ["anyOf", "oneOf"] {
            schema[list].as_array().into_iter().flatten().for_each(|one| look(one, way, wrong));
        }
        for one in ["items", "additionalProperties"] {
            schema.get(one).into_iter().for_each(|below| look(below, way, wrong));
        }
    }
    let schema = easel::internals::config::schema();
    let mut wrong = Vec::new();
    look(&schema, "", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(schema["title"], "Config of Easel");
    let kinds = &schema["properties"]["providers"]["additionalProperties"]["properties"]["kind"];
    let kinds = kinds["anyOf"][0]["enum"].as_array().unwrap();
    assert!(kinds.contains(&json!("openai")) && kinds.contains(&json!("openai_text")), "{kinds:?}");
}

#[test]
fn the_first_line_of_every_example_names_the_schema() {
    let examples = configs_of_ours().into_iter().filter(|(name, _)| !name.contains("conf/demo"));
    for (name, text) in examples {
        let first = text.lines().next().unwrap_or_default();
        assert_eq!(first, "# yaml-language-server: $schema=./easel.schema.json", "{name}");
    }
    let page = std::fs::read_to_string(root().join("docs/operate/editor.md")).unwrap();
    assert!(page.contains("# yaml-language-server: $schema=./easel.schema.json"), "the page says another");
}

#[test]
fn what_other_tools_take_for_something_else_is_told_before_it_is_sent_or_named() {
    let told = |line: &str| {
        let text = at(line, "");
        let problems = reload::check("easel.yaml", &text, &Anything).map(|_| ()).unwrap_err().to_string();
        problems.lines().find(|line| line.starts_with("error")).unwrap_or_default().to_owned()
    };
    let model = |model: &str| format!("providers: {{a: {{kind: openai, api_key: k, models: {{m: {model}}}}}}}");
    for (line, what) in [
        (model("{price: 010}"), "error: other tools take `010` for a number of another base"),
        (model("{price: 1, max_n: 010}"), "error: other tools take `010` for a number of another base"),
        (model("{price: 1, options: {hdr: on}}"), "error: other tools take `on` for a truth value"),
        (
            model("{price: 1, options: {at: 12:30}}"),
            "error: other tools take `12:30` for a number of minutes or seconds",
        ),
        (model("{price: 1, options: {steps: 1_000}}"), "error: other tools take `1_000` for a number"),
        (model("{price: 1, options: {scale: 1e3}}"), "error: other tools take `1e3` for a text"),
        (model("{price: 1, options: {no: 1}}"), "error: other tools take `no` for a truth value"),
        ("routes: [{name: on, offers: [a/m]}]".to_owned(), "error: other tools take `on` for a truth value"),
        (
            "routes: [{name: r, offers: [a/m], match: {models: [1.10]}}]".to_owned(),
            "error: other tools take `1.10` for a number",
        ),
    ] {
        assert_eq!(told(&line), what, "{line}");
    }
    for line in ["{name: 'on', offers: [a/m]}", "{name: r, offers: [a/m], match: {models: ['1.10', 2024, gpt-4.1]}}"] {
        assert!(meant("easel.yaml", &at(&format!("routes: [{line}]"), "")).is_ok(), "{line}");
    }
    let charges = |word: &str| {
        let charges = format!(
            "{{kind: openai, api_key: k, models: {{m: {{price: 1}}}}, billing: {{charges: {{failed: {word}}}}}}}"
        );
        let text = at(&format!("providers: {{a: {charges}}}"), "");
        reload::check("easel.yaml", &text, &Anything).map(|plan| format!("{:?}", plan.providers)).unwrap()
    };
    // What PyYAML makes of `no` and `yes`.
    assert_eq!((charges("false"), charges("true")), (charges("no"), charges("yes")));
    assert_ne!(charges("no"), charges("yes"));
}
