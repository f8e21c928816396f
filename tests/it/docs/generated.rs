//! Pages made from the code: the config's keys from its JSON Schema, the command line from `--help`.
//!
//! `scripts/docs` writes them; here they must be as it would write them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::root;
use crate::commands::easel;

/// What a format or a type of the schema is called on the page. The page explains the formats.
const TYPES: &[(&str, &str)] = &[
    ("duration", "time"),
    ("bytes", "memory"),
    ("size", "size"),
    ("usd", "dollars"),
    ("percent", "percent"),
    ("ratio", "ratio"),
    ("condition", "condition"),
    ("string", "text"),
    ("integer", "number"),
    ("number", "number"),
    ("boolean", "true or false"),
    ("array", "list"),
    ("object", "section"),
];

const HEAD: &str = "# Config

<!-- scripts/docs makes this page from the config's JSON Schema (`easel schema`). Do not edit it. -->

Every key, by section. `NAME` stands for a name of your choice, `[]` for each item of a list.
[`conf/easel.yaml`](../../conf/easel.yaml) shows the keys at work, and `easel check` reports every mistake in a file.

Any text may contain `${NAME}`, which reads an environment variable, or `${file:/run/secrets/name}`, which reads a file;
`$$` is a plain dollar sign. Times are like `500ms`, `10s`, `2m`, `1h`, `30d`; memory like `64MiB`, `2GiB`, `50MB`; sizes like
`1024x1024`; percent like `10%`; ratios like `16:9`. Dollars are plain numbers, exact to nine digits. Keys at the top that begin
with `x-` are yours: Easel does not read them, and anchors may stand there.
";

/// What a node may be, less `null` and with alternatives within alternatives laid out flat.
fn alternatives(node: &Value) -> Vec<&Value> {
    let nested = ["anyOf", "oneOf"].iter().find_map(|key| node[*key].as_array());
    match nested {
        Some(nested) => nested.iter().filter(|one| one["type"] != "null").flat_map(alternatives).collect(),
        None => vec![node],
    }
}

/// What may be written there, in a few words.
fn values(node: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    for one in alternatives(node) {
        let types = one["type"].as_array().cloned().unwrap_or_else(|| vec![one["type"].clone()]);
        let found = match (&one["const"], one["enum"].as_array()) {
            (Value::Null, Some(list)) => {
                list.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect()
            }
            (Value::Null, None) => {
                let names = std::iter::once(&one["format"]).chain(&types).filter_map(Value::as_str);
                let known = names.filter_map(|name| TYPES.iter().find(|(schema, _)| *schema == name));
                known.take(1).map(|(_, page)| (*page).to_owned()).collect::<Vec<_>>()
            }
            (one, _) => vec![format!("`{}`", one.to_string().trim_matches('"'))],
        };
        words.extend(found.into_iter().filter(|word| !words.contains(word)).collect::<Vec<_>>());
    }
    words.join(", ")
}

fn sentence(node: &Value) -> String {
    node["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|")
}

fn anchor(path: &str) -> String {
    path.to_lowercase().chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// Whether a section of its own follows for what stands there.
fn has_keys(node: &Value) -> bool {
    alternatives(node).iter().any(|one| {
        let below = [&one["items"], &one["additionalProperties"]];
        one["properties"].is_object() || below.into_iter().any(|node| node.is_object() && has_keys(node))
    })
}

/// The page of the config's keys.
#[derive(Default)]
struct Keys {
    text: String,
    /// Tables that are on the page, and where.
    tables: BTreeMap<String, String>,
}

impl Keys {
    fn section(&mut self, path: &str, node: &Value) {
        for one in alternatives(node) {
            if let Some(properties) = one["properties"].as_object() {
                self.table(path, properties);
            }
            if has_keys(&one["additionalProperties"]) {
                self.section(&format!("{path}.NAME"), &one["additionalProperties"]);
            }
            if has_keys(&one["items"]) {
                self.section(&format!("{path}[]"), &one["items"]);
            }
        }
    }

    fn table(&mut self, path: &str, properties: &serde_json::Map<String, Value>) {
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let row = |(key, node): (&String, &Value)| format!("| `{key}` | {} | {} |\n", values(node), sentence(node));
        let table: String = properties.iter().map(row).collect();
        let title = if path.is_empty() { "Top level" } else { path };
        match self.tables.get(&table) {
            // A list of what may also stand alone.
            Some(_) if path.strip_suffix("[]").is_some_and(|alone| self.text.contains(&format!("\n## {alone}\n"))) => {
                return;
            }
            Some(first) => {
                self.text += &format!("\n## {title}\n\nThe same keys as [{first}](#{}).\n", anchor(first));
                return;
            }
            None => self.tables.insert(table.clone(), path.to_owned()),
        };
        self.text += &format!("\n## {title}\n\n| key | value | meaning |\n|---|---|---|\n{table}");
        for (key, node) in properties {
            self.section(&below(key), node);
        }
    }
}

fn config_page() -> String {
    let mut keys = Keys::default();
    keys.section("", &easel::internals::config::loader_schema());
    format!("{HEAD}{}", keys.text)
}

fn help(words: &[&str]) -> String {
    let output = easel().args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "{words:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim_end().to_owned() + "\n").collect::<String>().trim_end().to_owned()
}

fn cli_page() -> String {
    let whole = help(&[]);
    let commands = whole.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let commands = commands.filter_map(|line| line.split_whitespace().next()).filter(|command| *command != "help");
    let mut page = format!(
        "# Command line\n\n<!-- scripts/docs makes this page from `--help`. Do not edit it. -->\n\nExit codes of every \
         command: 0 is well, 1 is a config with problems or (`easel judge`) a rejected picture, 2 is a failure to run.\n\n```text\n{whole}\n```\n"
    );
    for command in commands {
        page += &format!("\n## easel {command}\n\n```text\n{}\n```\n", help(&[command]));
    }
    page
}

#[test]
fn pages_that_are_made_from_the_code_are_as_scripts_docs_would_write_them() {
    let write = std::env::var_os("EASEL_WRITE_DOCS").is_some();
    for (name, made) in [("config.md", config_page()), ("cli.md", cli_page())] {
        let path = root().join("docs/reference").join(name);
        if write {
            std::fs::write(&path, &made).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(found == made, "docs/reference/{name} is stale: run scripts/docs");
    }
}
