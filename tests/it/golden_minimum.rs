//! Which golden samples there must be, by the convention at the top of `golden.rs`: for every kind in its folder, for
//! every preset by its prefix there.
//!
//! What a kind or preset can do is taken from the table of docs/reference/providers.md, which `table.rs` holds over HTTP. Whether a sample is
//! right is `golden.rs`'s business; here it only has to be what its name says.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use easel::internals::provider::ALL;
use serde_json::Value;

use crate::golden::{folder, names_in};
use crate::table::rows;

/// A sample that must be there.
struct Need {
    /// How its name begins.
    name: &'static str,
    /// What it has beside that, where several have the name.
    with: &'static str,
    /// Whether a sample is what the name says.
    fits: fn(&Value) -> bool,
}

const fn need(name: &'static str, fits: fn(&Value) -> bool) -> Need {
    Need { name, with: "", fits }
}

const fn need_with(name: &'static str, with: &'static str, fits: fn(&Value) -> bool) -> Need {
    Need { name, with, fits }
}

/// How the reply is read, where it brings no pictures.
fn failed(sample: &Value) -> &str {
    let outcome = &sample["outcome"];
    outcome["failed"].as_str().or(outcome["lost"].as_str()).unwrap_or_default()
}

/// What is asked for in a call that is shown.
fn asked(sample: &Value, field: &str) -> Value {
    let call = sample.get("call").map(|_| &sample["request"][field]);
    call.cloned().unwrap_or_default()
}

/// Fewer pictures than were asked for.
fn is_short(sample: &Value) -> bool {
    let images = sample["outcome"]["images"].as_array().map_or(0, Vec::len) as u64;
    images > 0 && images < sample["request"]["n"].as_u64().unwrap_or(1)
}

/// What a kind needs by its row, or a preset by its own and its text.
fn needs(row: &BTreeMap<&'static str, String>, preset: Option<&str>) -> Vec<Need> {
    let mut needs = vec![
        need("plain", |sample| !asked(sample, "prompt").is_null()),
        // Several wanted: all by one call, or the call of one of them.
        need("n", |sample| asked(sample, "n").as_u64() > Some(1)),
        need("refusal", |sample| failed(sample) == "refused"),
        need("rate_limit", |sample| failed(sample) == "rate_limited"),
        need("malformed", |sample| failed(sample) == "malformed"),
    ];
    let can = |column: &str| row[column] != "no";
    if can("edit") {
        needs.push(need("edit", |sample| sample.get("call").is_some() && sample["edit"]["mask"] != true));
    }
    if can("mask") {
        needs.push(need_with("edit", "with a mask", |sample| {
            sample.get("call").is_some() && sample["edit"]["mask"] == true
        }));
    }
    if row["n"] != "1" {
        needs.push(need("partial", is_short));
    }
    // A vendor with an address has accounts; a server of one's own has none.
    if preset.is_none_or(|text| text.contains("\nbase_url:")) {
        needs.push(need("quota", |sample| failed(sample) == "quota"));
    }
    // A preset's `plain` has every wish: what it renames and what it drops.
    let wishes = if preset.is_some() { "plain" } else { "every_parameter" };
    needs.push(need(wishes, |sample| !asked(sample, "prompt").is_null()));
    if can("seed") {
        needs.push(need_with(wishes, "with a seed", |sample| !asked(sample, "seed").is_null()));
    }
    if can("negative prompt") {
        needs.push(need_with(wishes, "with a negative prompt", |sample| !asked(sample, "negative_prompt").is_null()));
    }
    needs
}

/// The samples of a kind, or of one of its presets, by what their names say beside that.
fn samples(kind: &str, preset: Option<&str>) -> BTreeMap<String, Value> {
    let folder = folder().join(kind);
    // `janus_hosted` begins like `janus`.
    let owner =
        |rest: &str| easel::internals::config::presets().filter(|name| rest.starts_with(&format!("{name}_"))).max();
    let of = |file: String| {
        let said = match file.strip_prefix("preset_") {
            None => preset.is_none().then(|| file.clone())?,
            Some(rest) if owner(rest) == preset => rest.strip_prefix(preset?)?.trim_start_matches('_').to_owned(),
            Some(_) => return None,
        };
        let text = fs::read_to_string(folder.join(&file)).unwrap();
        Some((said, serde_json::from_str(&text).unwrap()))
    };
    names_in(&folder).into_iter().filter_map(of).collect()
}

#[test]
fn every_provider_has_a_folder_of_samples_and_every_folder_a_provider() {
    let kinds: BTreeSet<String> = ALL.iter().map(|provider| provider.name().to_owned()).collect();
    // The kinds that write instead of drawing have samples of another form, which `golden_words.rs` reads.
    let mut folders = names_in(&folder());
    for kind in easel::internals::provider::text::KINDS {
        assert!(folders.remove(kind.name), "{}", kind.name);
    }
    assert_eq!(folders, kinds);
}

#[test]
fn every_kind_and_every_preset_has_the_least_samples_and_their_names_are_true() {
    let mut missing = Vec::new();
    for (subject, row) in rows() {
        let preset = subject.strip_prefix("preset: ");
        let kind = if preset.is_some() { "openai_compatible" } else { &subject };
        let samples = samples(kind, preset);
        for Need { name, with, fits } in needs(&row, preset.and_then(easel::internals::config::preset)) {
            let mut named = samples.iter().filter(|(file, _)| file.starts_with(name));
            if !named.any(|(_, sample)| fits(sample)) {
                missing.push(format!("{subject}: no `{name}*` that is one {with}"));
            }
        }
        let told =
            [("refusal", "refused"), ("rate_limit", "rate_limited"), ("malformed", "malformed"), ("quota", "quota")];
        for (name, class) in told {
            let false_one = samples.iter().find(|(file, sample)| file.starts_with(name) && failed(sample) != class);
            missing.extend(false_one.map(|(file, _)| format!("{subject}: {file} is no {name}")));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
