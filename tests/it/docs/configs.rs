//! Every YAML block goes through what reads it: the config's check, the sandbox's settings, or a YAML reader.

use std::path::Path;

use easel::internals::provider::text;
use easel::reload;
use easel::reload::EnvAndFiles;
use easel::sandbox::Settings;
use serde_yaml::{Mapping, Value};

use super::blocks::{Block, blocks};
use super::pages;
use crate::commands::easel;

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

/// A page's configs.
pub fn configs(page: &Path) -> Vec<Block> {
    blocks(page).into_iter().filter(|block| block.is("yaml", "")).collect()
}

fn mapping(text: &str, place: &str) -> Mapping {
    serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{place}: {error}"))
}

/// A whole config from a part of one. Sections that it lacks are README's, except that providers without routes get one
/// route, of README's name, over all their models that draw; where none does, README's draw.
pub fn complete(block: &Block) -> Mapping {
    let mut config = mapping(&block.text, &block.place);
    let readme = configs(Path::new("README.md")).remove(0);
    let readme = mapping(&readme.text, "README.md");
    if config.contains_key("providers") && !config.contains_key("routes") {
        if offers(&config["providers"]).is_empty() {
            config["providers"].as_mapping_mut().unwrap().extend(readme["providers"].as_mapping().unwrap().clone());
        }
        let offers = offers(&config["providers"]);
        let route = serde_json::json!([{"name": readme["routes"][0]["name"].as_str(), "offers": offers}]);
        config.insert("routes".into(), serde_yaml::to_value(route).unwrap());
    }
    for section in ["providers", "routes"] {
        if !config.contains_key(section) {
            config.insert(section.into(), readme[section].clone());
        }
    }
    config
}

fn offers(providers: &Value) -> Vec<String> {
    let models = |provider: &Value| provider["models"].as_mapping().cloned().unwrap_or_default();
    let providers = providers.as_mapping().unwrap().iter();
    let draws = |provider: &Value| text::KINDS.iter().all(|kind| provider["kind"] != kind.name);
    let providers = providers.filter(|(_, provider)| draws(provider));
    let named = providers.flat_map(|(name, provider)| {
        let name = name.as_str().unwrap().to_owned();
        models(provider).into_iter().map(move |(model, _)| format!("{name}/{}", model.as_str().unwrap()))
    });
    named.collect()
}

#[test]
fn every_config_and_every_part_of_one_passes_the_check() {
    let all: Vec<Block> = pages().iter().flat_map(|page| configs(page)).collect();
    assert!(all.len() > 20, "{} configs", all.len());
    let mut problems = Vec::new();
    for block in all {
        let whole = mapping(&block.text, &block.place);
        let is_whole = whole.contains_key("providers") && whole.contains_key("routes");
        let text = if is_whole { block.text.clone() } else { serde_yaml::to_string(&complete(&block)).unwrap() };
        match reload::check(&block.place, &text, &Anything) {
            Ok(plan) => problems.extend(plan.remote_refused.map(|problems| problems.to_string())),
            Err(error) => problems.push(error.to_string()),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn the_config_of_the_front_page_has_no_warning() {
    let block = configs(Path::new("README.md")).remove(0);
    let plan = reload::check_at("README.md", &block.text, &Anything, "2026-11-30T00:00:00Z".parse().unwrap()).unwrap();
    assert_eq!(plan.warnings.map(|warnings| warnings.to_string()), None);
}

#[test]
fn settings_of_the_sandbox_and_other_programs_yaml_can_be_read() {
    for block in pages().iter().flat_map(|page| blocks(page)) {
        let read = match block.mark.as_str() {
            _ if block.language != "yaml" => continue,
            "sandbox" => serde_yaml::from_str::<Settings>(&block.text).map(drop),
            _ => serde_yaml::from_str::<Value>(&block.text).map(drop),
        };
        if let Err(error) = read {
            panic!("{}: {error}", block.place);
        }
    }
}

#[test]
fn a_wrong_config_is_refused_with_what_the_page_says() {
    let all: Vec<Block> = pages().iter().flat_map(|page| blocks(page)).collect();
    let mut seen = 0;
    for pair in all.windows(2).filter(|pair| pair[0].is("yaml", "wrong")) {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        std::fs::write(folder.path().join("bad.yaml"), &pair[0].text).unwrap();
        let output = easel().args(["check", "bad.yaml"]).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", pair[0].place);
        assert_eq!(pair[1].text.trim(), said.trim(), "{}", pair[1].place);
        seen += 1;
    }
    assert!(seen > 0, "no page shows what the check says");
}
