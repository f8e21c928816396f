//! From YAML text to a [`plan::Plan`], or to a list of everything that is wrong with it.
//!
//! The text passes through six rooms: `tree` reads YAML and remembers where everything stood, `expand` fills in
//! `${NAME}`, `fill_presets_and_model_defaults` adds what its name says, `schema_check` compares it with the JSON Schema of
//! `file` (the YAML exactly as written), `check` turns that into the plan, and `report` prints problems. Each room notes
//! all it can find and leaves out what it could not read, so that the next one still sees the rest. Nothing here reads a
//! file or the environment; both are handed in.

mod check;
mod diff;
mod editor_schema;
mod env_name;
mod expand;
mod file;
mod fill_presets_and_model_defaults;
mod foreign_references;
mod free_value;
mod node_path;
pub mod plan;
mod presets;
mod provider_kind;
mod redact;
mod report;
mod schema_check;
mod schema_union;
mod span;
mod suggest;
mod tree;
mod units;
mod warnings;
mod yaml_hints;
mod yaml_versions;

pub use crate::config::diff::Outline;
#[cfg(feature = "cli")]
pub use report::Problem;
pub use report::Problems;

pub use crate::config::expand::EnvAndFiles;
pub use crate::config::provider_kind::ProviderKind;
#[cfg(feature = "cli")]
pub use crate::config::suggest::instead;
pub use crate::config::warnings::{PlacedWarning, Step, Warning};
use node_path::NodePath;
use plan::{Plan, ShownText};
use report::{Finding, Findings};
use tree::Node;

use crate::secret::Zeroizing;

/// A config file's name and text.
#[derive(Clone, Copy, Debug)]
pub struct ConfigText<'a> {
    /// The file's name as problems print it.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// A config without problems, and where everything in it stands. It holds keys in the clear, so it is not `Debug`.
pub struct Loaded {
    /// What runs, without its warnings.
    pub plan: Plan,
    name: String,
    /// The file's text, redacted.
    text: String,
    tree: Zeroizing<Node>,
    warnings: Findings,
}

impl Loaded {
    /// The plan with its warnings: what the config itself shows, and `more` of who knows the vendors and the machine.
    pub fn with_warnings(self, more: &[PlacedWarning]) -> Plan {
        let Loaded { plan, name, text, tree, mut warnings } = self;
        let found = more.iter().filter_map(|warning| warning.found(NodePath::root(&text, &tree)));
        found.for_each(|finding| warnings.add(finding));
        let warnings = (!warnings.is_empty()).then(|| warnings.into_problems(&name, text));
        Plan { warnings, ..plan }
    }
}

/// Reads and checks a config; `kinds` are the providers this build knows.
///
/// Fails with every problem there is, not just the first.
pub fn load(source: &ConfigText<'_>, kinds: &[ProviderKind], lookup: &dyn EnvAndFiles) -> Result<Loaded, Problems> {
    let mut findings = Findings::default();
    // Keys are in it. Each has its place in the plan, and is overwritten here.
    let mut tree = match tree::read(source.text, &mut findings) {
        Ok(tree) => Zeroizing::new(tree),
        Err(broken) => {
            findings.add(broken);
            return Err(findings.into_problems(source.name, redact::lines(source.text)));
        }
    };
    // From here on only the redacted text is quoted, so no later room can print a key that stands in the file.
    let text = redact::values(source.text, &tree);
    expand::expand(&mut tree, &text, lookup, &mut findings);
    let written = Outline::of(&tree);
    fill_presets_and_model_defaults::fill(&mut tree, &mut findings);
    let mut remote_refused = Findings::default();
    let plan = match schema_check::read(&mut tree, &text, &mut findings) {
        Some(file) => check::check(&file, NodePath::root(&text, &tree), kinds, &mut findings, &mut remote_refused),
        None => None,
    };
    match plan {
        Some(plan) if findings.is_empty() => {
            let warnings = warnings::warnings(&plan, &text, &tree, kinds);
            let remote_refused =
                (!remote_refused.is_empty()).then(|| remote_refused.into_problems(source.name, text.clone()));
            let plan = Plan { written, shown: ShownText::new(&text), remote_refused, ..plan };
            Ok(Loaded { plan, name: source.name.to_owned(), text, tree, warnings })
        }
        _ => {
            if findings.is_empty() {
                // Every room notes why it gives up; should one forget, a bad file must still not pass as a good one.
                findings.add(Finding::new(0..0, "this file cannot be read as a config", None));
            }
            findings.extend(remote_refused);
            Err(findings.into_problems(source.name, text))
        }
    }
}

/// The JSON Schema of the config file, for editors and for `easel schema`; `kinds` are the providers this build knows.
pub fn schema(kinds: &[ProviderKind]) -> serde_json::Value {
    editor_schema::editor_schema(&schema_check::SCHEMA, kinds)
}

/// The schema by which a file is read: without what only an editor knows.
pub fn loader_schema() -> serde_json::Value {
    schema_check::SCHEMA.clone()
}

/// The names of the presets.
pub fn presets() -> impl Iterator<Item = &'static str> {
    presets::ALL.iter().map(|(name, _)| *name)
}

/// A preset as YAML, for `easel schema --preset`.
pub fn preset(name: &str) -> Option<&'static str> {
    presets::text(name)
}

#[cfg(test)]
mod tests;
