//! Every YAML we hand out loads, and the code keeps the shape the design draws.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use easel::reload;
use easel::reload::EnvAndFiles;
use easel::sandbox::Settings;

use crate::docs::{layout, pages, root};

/// Answers every variable and every file.
struct Anything;

impl EnvAndFiles for Anything {
    fn var(&self, name: &str) -> Option<String> {
        Some(if name.ends_with("_URL") { "http://127.0.0.1:9".to_owned() } else { "x".to_owned() })
    }

    fn file(&self, _path: &Path) -> Result<String, String> {
        Ok("x".to_owned())
    }

    /// The directories are those of the machines that will serve.
    fn absent_is_present(&self) -> bool {
        true
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|ending| ending == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The configs in conf/, deploy/ and examples/ with their names, the settings of the sandbox among them.
fn papers() -> Vec<(String, String)> {
    let mut papers = Vec::new();
    for path in ["conf", "deploy", "examples"].into_iter().flat_map(|folder| files(&root().join(folder), "yaml")) {
        // Rules for Prometheus are its own tool's to check, in `tools`, and what other programs read of deploy/ is theirs, in
        // `deploy`.
        let foreign = path.starts_with(root().join("deploy")) && !path.ends_with("easel.yaml");
        if !foreign && !path.starts_with(root().join("conf/prometheus")) {
            papers.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
    papers
}

/// Those that are configs of Easel.
pub fn configs_of_ours() -> Vec<(String, String)> {
    papers().into_iter().filter(|(name, _)| !is_of_the_sandbox(name)).collect()
}

fn is_of_the_sandbox(name: &str) -> bool {
    name.ends_with("conf/demo-sandbox.yaml")
}

#[test]
fn every_yaml_in_conf_deploy_and_examples_loads_without_a_warning() {
    let papers = papers();
    assert!(papers.len() >= 4, "{papers:?}");
    let mut problems = Vec::new();
    for (name, text) in papers {
        if is_of_the_sandbox(&name) {
            if let Err(error) = serde_yaml::from_str::<Settings>(&text) {
                problems.push(format!("{name}: {error}"));
            }
        } else {
            // At a day of its own, so that the test says the same tomorrow.
            match reload::check_at(&name, &text, &Anything, "2026-11-30T00:00:00Z".parse().unwrap()) {
                Ok(plan) => {
                    let told = plan.remote_refused.into_iter().chain(plan.warnings);
                    problems.extend(told.map(|problems| problems.to_string()));
                }
                Err(error) => problems.push(error.to_string()),
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What stands in the config's schema under `limits`.
fn keys_of_limits() -> Vec<String> {
    let schema = easel::internals::config::schema();
    let limits = &schema["properties"]["server"]["properties"]["limits"]["properties"];
    let limits = limits.as_object().expect("the schema has limits");
    limits.keys().cloned().collect()
}

#[test]
fn every_key_of_limits_is_on_their_page_with_its_default() {
    let page = std::fs::read_to_string(root().join("docs/reference/limits.md")).unwrap();
    let reference = std::fs::read_to_string(root().join("conf/easel.yaml")).unwrap();
    // A row says `50 MiB` and `33,177,600` where the config says 50MiB and 33177600.
    let plain = |row: &str| row.replace([' ', ','], "");
    let rows: Vec<String> = page.lines().filter(|line| line.starts_with('|')).map(plain).collect();
    let keys = keys_of_limits();
    assert!(keys.len() >= 9, "{keys:?}");
    for key in keys {
        let shown = reference.lines().find_map(|line| line.trim().strip_prefix(&format!("{key}:")).map(str::trim));
        let default = shown.and_then(|shown| shown.split_whitespace().next()).expect("the reference shows every key");
        let row = rows.iter().find(|row| row.contains(&format!("`server.limits.{key}`")));
        let row = row.unwrap_or_else(|| panic!("docs/reference/limits.md has no row for server.limits.{key}"));
        assert!(
            row.contains(default),
            "docs/reference/limits.md does not say that {key} is {default} by default:\n{row}"
        );
    }
}

/// Models that their vendors have shut down, or will before 2027: OpenAI's (its deprecations page, read 2026-11), and
/// Google's Imagen and Gemini 2.5 (its migration page, and its changelog of 2026-10-06).
const ENDED: &[&str] = &[
    "dall-e-2",
    "dall-e-3",
    "gpt-image-1",
    "gpt-image-1-mini",
    "gpt-image-1.5",
    "chatgpt-image-latest",
    "gemini-2.5-flash-image",
    "gemini-3.1-flash-image",
    "imagen-3.0-generate-002",
    "imagen-4.0-generate-001",
];

#[test]
fn nothing_we_hand_out_draws_with_a_model_that_its_vendor_has_shut_down() {
    let folders = ["conf", "deploy", "examples"].map(|folder| files(&root().join(folder), "yaml"));
    let papers = folders.into_iter().flatten().chain(pages().into_iter().map(|page| root().join(page)));
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let mut found = Vec::new();
    for path in papers {
        let text = std::fs::read_to_string(&path).unwrap();
        let words: BTreeSet<&str> = text.split(|c| !is_name(c)).map(|word| word.trim_end_matches('.')).collect();
        found.extend(ENDED.iter().filter(|ended| words.contains(*ended)).map(|ended| (path.clone(), *ended)));
    }
    assert_eq!(found, []);
}

/// The floors of DESIGN.md section 4: a module may use those of its own floor's number and below.
const FLOORS: &[(u8, &[&str])] = &[
    (
        0,
        &[
            "calendar",
            "calibration",
            "canonical",
            "capabilities",
            "config",
            "edit_mask",
            "error",
            "failure",
            "image",
            "money",
            "rsa_key",
            "pricing",
            "prompt_match",
            "redact_vendor_message",
            "request",
            "secret",
            "signed_links",
            "spend_window",
            "similarity",
        ],
    ),
    (
        1,
        &[
            "alert_evaluator",
            "breaker",
            "cache",
            "concurrency_limit",
            "dispatch",
            "equivalences",
            "hedge_budget",
            "ledger",
            "metrics",
            "quality",
            "rate_limit",
            "retry_budget",
            "routing",
            "idempotency",
            "service_times",
        ],
    ),
    (2, &["provider"]),
    (3, &["alert_manager", "clock", "disk_cache", "gateway", "sandbox", "span_exporter", "store", "upstream"]),
    (4, &["admin", "server", "sidecar", "upgrade"]),
];

fn floor_of(module: &str) -> u8 {
    let found = FLOORS.iter().find(|(_, modules)| modules.contains(&module));
    found.unwrap_or_else(|| panic!("module '{module}' has no floor: give it one here and in DESIGN")).0
}

/// The modules of each floor, as a plan has them: a line begins with its floor's number, or goes on with the one before.
fn planned(text: &str) -> Vec<(u8, String)> {
    let plan = text.split("5  ").nth(1).and_then(|rest| rest.split("```").next()).expect("a plan in a code block");
    let mut floor = 5;
    let mut modules = Vec::new();
    for line in plan.lines() {
        let line = line.trim_start_matches("//!").trim_start();
        let line = match line.split_once("  ") {
            Some((number, rest)) if number.parse::<u8>().is_ok() => {
                floor = number.parse().unwrap();
                rest
            }
            _ => line,
        };
        modules.extend(
            line.split(' ').map(|word| (floor, word.trim_start_matches("src/").trim_end_matches('/').to_owned())),
        );
    }
    modules
}

#[test]
fn the_library_s_plan_and_the_page_of_rooms_have_every_module_on_its_floor() {
    let library = planned(&std::fs::read_to_string(root().join("src/lib.rs")).unwrap());
    let page = layout::listed().into_iter().map(|(room, floor)| (floor, room)).collect();
    for (plan, planned) in [("src/lib.rs", library), ("docs/about/layout.md", page)] {
        for (floor, modules) in FLOORS {
            for module in *modules {
                assert!(
                    planned.contains(&(*floor, (*module).to_owned())),
                    "{plan}: `{module}` is not on floor {floor}"
                );
            }
        }
    }
}

/// Code files of floors 0 to 4 with the top-level module they belong to; modules that exist only for tests are left
/// out, and so are the tests inside the others.
pub(crate) fn code() -> Vec<(PathBuf, String, String)> {
    let src = root().join("src");
    let texts: Vec<(PathBuf, String)> =
        files(&src, "rs").into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect();
    let only_tests: BTreeSet<PathBuf> = texts.iter().flat_map(|(path, text)| modules_for_tests(path, text)).collect();
    let mut code = Vec::new();
    for (path, text) in texts {
        let inside = path.strip_prefix(&src).unwrap();
        let room = inside.components().next().unwrap().as_os_str().to_string_lossy().replace(".rs", "");
        let is_test = path.ancestors().any(|folder| only_tests.contains(&folder.with_extension("")));
        if ["lib", "main", "cli", "internals"].contains(&room.as_str()) || is_test {
            continue;
        }
        let inner = ["mod tests {", "pub mod tests {", "pub(super) mod tests {"];
        let tests = inner.iter().filter_map(|inner| text.find(&format!("#[cfg(test)]\n{inner}"))).min();
        let tested = &text[..tests.unwrap_or(text.len())];
        let lines = tested.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.push((path.clone(), room, lines.collect::<Vec<_>>().join("\n")));
    }
    code
}

/// The modules in files of their own that the file at `path` has for tests alone: their paths without `.rs`.
fn modules_for_tests(path: &Path, text: &str) -> Vec<PathBuf> {
    let below = match path.file_stem().is_some_and(|name| name == "mod" || name == "lib") {
        true => path.parent().unwrap().to_owned(),
        false => path.with_extension(""),
    };
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| rest.split_once(';')?.0.split_once("mod "));
    declared
        .filter(|(visible, _)| visible.is_empty() || visible.starts_with("pub"))
        .filter(|(_, name)| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .map(|(_, name)| below.join(name))
        .collect()
}

/// Which top-level modules each top-level module uses outside its tests.
fn arrows() -> BTreeMap<String, BTreeSet<String>> {
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (_, room, text) in code() {
        let targets = arrows.entry(room.clone()).or_default();
        for used in text.split("crate::").skip(1) {
            let module: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if module != room && !module.is_empty() {
                targets.insert(module);
            }
        }
    }
    arrows
}

#[test]
fn arrows_between_modules_point_down_and_never_in_a_circle() {
    let arrows = arrows();
    let mut up = Vec::new();
    for (from, targets) in &arrows {
        up.extend(targets.iter().filter(|to| floor_of(to) > floor_of(from)).map(|to| format!("{from} -> {to}")));
    }
    assert!(up.is_empty(), "arrows that point up: {up:?}");
    let mut left = arrows.clone();
    // Modules that use nobody still standing are taken away; what cannot be taken away stands in a circle.
    loop {
        let free: Vec<String> = left
            .iter()
            .filter(|(_, uses)| !uses.iter().any(|to| left.contains_key(to)))
            .map(|(name, _)| name.clone())
            .collect();
        if free.is_empty() {
            break;
        }
        left.retain(|name, _| !free.contains(name));
    }
    assert!(left.is_empty(), "a circle among {:?}", left.keys());
    assert!(!arrows["config"].contains("provider"), "config is given provider names, it does not ask");
    assert!(
        arrows["provider"]
            .iter()
            .all(|to| !["routing", "service_times", "cache", "money", "ledger"].contains(&to.as_str()))
    );
    assert!(arrows["sandbox"].iter().all(|to| floor_of(to) == 0), "the sandbox is an independent reading: {arrows:?}");
}

#[test]
fn floors_below_three_open_no_socket_or_file_read_no_clock_and_wait_for_nothing() {
    const WORDS: [&str; 7] = [
        "std::fs::",
        "std::net::Tcp",
        "std::net::Udp",
        "Instant::now()",
        "SystemTime::now()",
        "tokio::spawn",
        ".await",
    ];
    for (path, _, text) in code().into_iter().filter(|(_, room, _)| floor_of(room) <= 2) {
        for word in WORDS {
            assert!(!text.contains(word), "{} uses {word}", path.display());
        }
    }
}
