//! `easel check FILE`: everything that is wrong with configs or hardly meant, or that nothing is.

use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use annotate_snippets::Renderer;
use clap::builder::PossibleValuesParser;
use clap::{Parser, ValueEnum};
use serde_json::{Value, json};

use crate::cli;
use crate::config::plan::Plan;
use crate::config::{EnvAndFiles, Problem, Problems, Warning};
use crate::gateway;
use crate::gateway::config_loader::{self, LoadError, ProcessEnv, WithoutSecrets};
use crate::gateway::read_file;

/// Arguments of `easel check`.
#[derive(Parser)]
pub struct Args {
    /// The config files; `-` for standard input.
    #[arg(default_value = "easel.yaml")]
    files: Vec<PathBuf>,
    /// Warnings are as bad as problems: the exit code is 1.
    #[arg(long)]
    deny_warnings: bool,
    /// A warning that is meant so, by its word; it is not told. May be given several times.
    #[arg(long, value_name = "WORD", value_parser = PossibleValuesParser::new(Warning::ALL.map(Warning::as_str)), hide_possible_values = true)]
    allow: Vec<String>,
    /// Take environment variables and secret files that are not here as present, and look at no other files: for CI.
    #[arg(long)]
    without_secrets: bool,
    /// How it is told: for people, or a line of JSON for each problem and warning.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Colours: where standard error is a terminal and `NO_COLOR` is not set, always, or never.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// What draws problems and warnings for people.
    fn renderer(self) -> Renderer {
        let wanted = || std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let styled = match self {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => std::io::stderr().is_terminal() && wanted(),
        };
        if styled { Renderer::styled() } else { Renderer::plain() }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Checks the files.
pub fn run(args: Args) -> ExitCode {
    let lookup: &dyn EnvAndFiles = if args.without_secrets { &WithoutSecrets } else { &ProcessEnv };
    let (mut well, renderer) = (true, args.color.renderer());
    let mut said = String::new();
    for file in &args.files {
        let checked = match load(file, lookup) {
            Ok(checked) => checked,
            Err(why) => return cli::failed(why),
        };
        let allowed = |problem: &Problem| {
            !problem.warning.is_some_and(|warning| args.allow.iter().any(|word| word == warning.as_str()))
        };
        let warnings = checked.as_ref().ok().and_then(|plan| plan.warnings.as_ref()?.filtered(allowed));
        let refused = match &checked {
            Ok(plan) => plan.remote_refused.is_some(),
            Err(_) => true,
        };
        well = well && !refused && !(args.deny_warnings && warnings.is_some());
        match args.format {
            Format::Text => said.push_str(&for_people(file, &checked, warnings.as_ref(), &renderer)),
            Format::Json => said.push_str(&lines(file, &checked, warnings.as_ref())),
        }
    }
    let told = match said.trim_end() {
        "" => ExitCode::SUCCESS,
        said => cli::print(said),
    };
    if well || told != ExitCode::SUCCESS { told } else { ExitCode::from(1) }
}

/// The plan of a file or of standard input, or what is wrong with it. Fails where standard input cannot be read.
fn load(file: &Path, lookup: &dyn EnvAndFiles) -> Result<Result<Plan, LoadError>, String> {
    if file.as_os_str() != "-" {
        return Ok(config_loader::load(file, lookup));
    }
    let mut text = String::new();
    let read = std::io::stdin().take(read_file::CONFIG + 1).read_to_string(&mut text);
    read.map_err(|error| format!("standard input cannot be read: {error}"))?;
    if text.len() as u64 > read_file::CONFIG {
        return Err(format!("standard input has more than {} bytes", read_file::CONFIG));
    }
    Ok(config_loader::check("standard input", &text, lookup))
}

/// What a terminal is told: problems and warnings on standard error, and the answer where the file is fine.
fn for_people(
    file: &Path,
    checked: &Result<Plan, LoadError>,
    warnings: Option<&Problems>,
    renderer: &Renderer,
) -> String {
    let plan = match checked {
        Ok(plan) => plan,
        Err(LoadError::Problems(problems)) => {
            cli::problems(problems.render(renderer));
            return String::new();
        }
        Err(error) => {
            cli::problems(error);
            return String::new();
        }
    };
    if let Some(warnings) = warnings {
        cli::problems(format!("{}\n", warnings.render(renderer)));
    }
    if let Some(problem) = &plan.remote_refused {
        cli::problems(problem.render(renderer));
        return String::new();
    }
    let offers: usize = plan.routes.iter().map(|route| route.offers.len()).sum();
    let count = match warnings.map_or(0, Problems::len) {
        0 => String::new(),
        1 => ", 1 warning".to_owned(),
        more => format!(", {more} warnings"),
    };
    let notes = gateway::ignored_proxy::ignored_proxy(&ProcessEnv).into_iter();
    let notes = notes.chain(gateway::config_warnings::notes(plan));
    let notes: String = notes.map(|note| format!("note: {note}\n")).collect();
    let (providers, routes) = (plan.providers.len(), plan.routes.len());
    format!("{} is fine: {providers} providers, {routes} routes, {offers} offers{count}\n{notes}", file.display())
}

/// A line of JSON for each problem and each warning.
fn lines(file: &Path, checked: &Result<Plan, LoadError>, warnings: Option<&Problems>) -> String {
    let problems = match checked {
        Ok(plan) => plan.remote_refused.as_ref(),
        Err(LoadError::Problems(problems)) => Some(problems),
        Err(error) => {
            let message = error.to_string();
            return format!("{}\n", line(file, Value::Null, Value::Null, ("error", None), &message, None));
        }
    };
    let all = problems.into_iter().chain(warnings).flat_map(Problems::iter);
    let one = |problem: &Problem| {
        let Problem { line: at, column, what, suggestion, warning, .. } = problem;
        let severity = if warning.is_some() { "warning" } else { "error" };
        let word = warning.map(Warning::as_str);
        line(file, json!(at), json!(column), (severity, word), what, suggestion.as_deref()).to_string() + "\n"
    };
    all.map(one).collect()
}

fn line(
    file: &Path,
    line: Value,
    column: Value,
    (severity, word): (&str, Option<&str>),
    message: &str,
    suggestion: Option<&str>,
) -> Value {
    json!({
        "file": file.display().to_string(),
        "line": line,
        "column": column,
        "severity": severity,
        "word": word,
        "message": message,
        "suggestion": suggestion,
    })
}
