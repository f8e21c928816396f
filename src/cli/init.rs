//! `easel init`: a small config for the keys that are in the environment. It asks for nothing.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::cli;
use crate::config::EnvAndFiles;
use crate::gateway::config_loader::{self, ProcessEnv};

mod vendors;

use vendors::{VENDORS, Vendor};

/// Arguments of `easel init`.
#[derive(Parser)]
pub struct Args {
    /// Where the config is written; `-` for standard output.
    #[arg(long, short, value_name = "FILE", default_value = "easel.yaml")]
    output: PathBuf,
    /// Write over a file that is there.
    #[arg(long)]
    force: bool,
}

/// Writes the config.
pub fn run(args: &Args) -> ExitCode {
    let found = found(&ProcessEnv);
    let text = config(&found);
    // A config that is handed out is checked like any other; what is wrong with this one is our own mistake.
    if let Err(problems) = config_loader::check("easel.yaml", &text, &ProcessEnv) {
        return cli::failed(format!(
            "the config that was made is not good, which is a mistake of Easel's:\n{problems}"
        ));
    }
    let to_output = args.output.as_os_str() == "-";
    if to_output {
        return cli::print(text.trim_end());
    }
    let mut options = OpenOptions::new();
    options.write(true);
    match args.force {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    let file = args.output.display();
    match options.open(&args.output).and_then(|mut out| out.write_all(text.as_bytes())) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return cli::failed(format!("{file} is there already: name another file with --output, or use --force"));
        }
        Err(error) => return cli::failed(format!("{file}: {error}")),
        Ok(()) => {}
    }
    cli::say(next(&found, &file.to_string()));
    ExitCode::SUCCESS
}

/// The vendors whose key is there, each with the variable that holds it.
fn found(env: &dyn EnvAndFiles) -> Vec<(&'static Vendor, &'static str)> {
    let held = |variable: &&str| env.var(variable).is_some_and(|key| !key.trim().is_empty());
    let with_key = |vendor: &'static Vendor| Some((vendor, vendor.variables.iter().copied().find(held)?));
    VENDORS.iter().filter_map(with_key).collect()
}

/// The first lines of every file.
const HEAD: &str = "\
# yaml-language-server: $schema=./easel.schema.json
# Written by `easel init`. `easel check FILE` tells every mistake, `easel schema > easel.schema.json` lets an editor know the
# keys, and docs/reference/config.md has all of them. The prices are those that we knew of in November 2026; your contract has yours.
";

/// The whole config.
fn config(found: &[(&Vendor, &str)]) -> String {
    if found.is_empty() {
        return format!("{HEAD}{SANDBOX}");
    }
    let providers: String = found.iter().map(|(vendor, variable)| vendor.provider(variable)).collect();
    let offers: String =
        found.iter().map(|(vendor, _)| format!("      - {}/{}\n", vendor.name, vendor.model)).collect();
    let quality = if found.iter().any(|(vendor, _)| vendor.name == "openai") { ", quality: medium" } else { "" };
    let dearest = "    # price: {max_usd_per_image: 0.10}   # an offer that costs more is not asked\n";
    format!(
        "{HEAD}
providers:
{providers}
routes:
  # Any model name gets here. Offers are asked in this order, the next one when one is down, slow or full; `strategy: cheapest`
  # asks the cheapest first.
  - name: pictures
    offers:
{offers}    defaults: {{size: 1024x1024{quality}}}
    deadline: 120s
{dearest}
# server: {{state_dir: ./state}}   # keeps what was paid, and budgets, over a restart
"
    )
}

/// Where no key is there: the pretend vendors.
const SANDBOX: &str = "\
#
# No vendor's key was in the environment, so this one asks the pretend vendors of `easel sandbox`, which cost nothing.

providers:
  openai:
    kind: openai
    base_url: http://127.0.0.1:9100/openai/v1/
    api_key: any
    models: {gpt-image-2: {price: 0.04}}
  stability:
    kind: stability
    base_url: http://127.0.0.1:9100/stability/
    api_key: any
    models: {core: {price: 0.04}}

routes:
  # Any model name gets here.
  - name: pictures
    offers: [openai/gpt-image-2, stability/core]
    defaults: {size: 1024x1024}
";

/// What was written, and what to do now.
fn next(found: &[(&Vendor, &str)], file: &str) -> String {
    let names: Vec<&str> = found.iter().map(|(vendor, _)| vendor.name).collect();
    let first = match names.is_empty() {
        false => format!("Wrote {file}, for {}.", names.join(", ")),
        true => {
            let variables: Vec<&str> = VENDORS.iter().filter_map(|vendor| vendor.variables.first().copied()).collect();
            format!(
                "Wrote {file}. No vendor's key was in the environment ({}), so it asks the pretend vendors of the sandbox; start \
                 them with\n\n  easel sandbox",
                variables.join(", ")
            )
        }
    };
    format!(
        "{first}

Serve it:
  easel serve {file}

Draw a first picture:
  curl http://127.0.0.1:8080/v1/images/generations -H 'content-type: application/json' \\
    -d '{{\"prompt\": \"a red fox in the snow\", \"response_format\": \"url\"}}'

An OpenAI client takes this base URL: http://127.0.0.1:8080/v1"
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// An environment with these variables.
    struct Held(Vec<&'static str>);

    impl EnvAndFiles for Held {
        fn var(&self, name: &str) -> Option<String> {
            self.0.contains(&name).then(|| "key-1".to_owned())
        }

        fn file(&self, _path: &Path) -> Result<String, String> {
            Err("no file".to_owned())
        }
    }

    #[test]
    fn every_variable_of_every_vendor_makes_a_config_without_a_problem_or_a_warning() {
        let all: Vec<&str> = VENDORS.iter().flat_map(|vendor| vendor.variables.iter().copied()).collect();
        let each = all.iter().map(|variable| vec![*variable]);
        for held in each.chain([vec![], all.clone()]) {
            let env = Held(held.clone());
            let found = found(&env);
            assert_eq!(found.is_empty(), held.is_empty());
            let text = config(&found);
            let plan =
                config_loader::check_at("easel.yaml", &text, &env, "2026-11-30T00:00:00Z".parse().unwrap()).unwrap();
            assert!(plan.warnings.is_none() && plan.remote_refused.is_none(), "{:?}\n{text}", plan.warnings);
            assert_eq!(plan.routes[0].offers.len(), found.len().max(if held.is_empty() { 2 } else { 1 }));
            assert!(!text.contains("key-1"), "a key is written out:\n{text}");
        }
        let names: std::collections::BTreeSet<&str> = VENDORS.iter().map(|vendor| vendor.name).collect();
        assert_eq!(names.len(), VENDORS.len(), "a name is there twice");
    }

    #[test]
    fn every_kind_that_draws_and_can_be_reached_with_a_key_alone_has_its_variable() {
        for kind in config_loader::kinds().iter().filter(|kind| kind.needs_key && kind.default_base_url.is_some()) {
            let writes = kind.name == "anthropic";
            let known = VENDORS.iter().any(|vendor| vendor.lines.contains(&format!("kind: {}\n", kind.name)));
            assert!(writes || known, "{} has no line here", kind.name);
        }
    }
}
