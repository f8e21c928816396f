//! Whose gate the files are held to, and what was agreed about them.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli;
use crate::cli::judge::Args;
use crate::config::instead;
use crate::config::plan::{QualityCheck, QualityGate, QualityPool, Route};
use crate::gateway::config_loader::ProcessEnv;
use crate::quality::{CheckLimit, Expected, limits};

/// A gate, and all that it goes by.
pub struct ChosenGate {
    /// Where it is from, for people.
    pub from: String,
    /// The gate.
    pub gate: Arc<QualityGate>,
    /// What was agreed about each picture.
    pub expected: Expected,
    /// The most pixels that are decoded.
    pub max_pixels: u64,
    /// Whether the files are the pictures of one request.
    pub together: bool,
    /// Every limit.
    pub limits: Vec<CheckLimit>,
}

impl ChosenGate {
    /// The one that the command line names. Where there is none, that was told, and the command ends.
    pub fn of(args: &Args) -> Result<ChosenGate, ExitCode> {
        let (from, gate, max_pixels) = match &args.config {
            None => ("the usual checks".to_owned(), Arc::default(), QualityPool::MAX_PIXELS),
            Some(config) => of_route(config, args.route.as_deref())?,
        };
        let expected = Expected { size: args.size, ratio: None, transparent: args.transparent };
        let mut limits = limits(&gate, &expected, max_pixels);
        // A picture by itself has no other that it could be like.
        limits.retain(|limit| args.together || limit.check != QualityCheck::Duplicate);
        Ok(ChosenGate { from, gate, expected, max_pixels, together: args.together, limits })
    }

    /// Checks that are not made here though the gate has them, each with what they lack.
    pub fn not_made(&self) -> Vec<String> {
        let lacking = [
            (QualityCheck::WrongSize, self.expected.size.is_none(), "--size"),
            (QualityCheck::WrongRatio, self.expected.size.is_none(), "--size"),
            (QualityCheck::Opaque, !self.expected.transparent, "--transparent"),
            (QualityCheck::Duplicate, !self.together, "--together"),
        ];
        let lacking = lacking.into_iter().filter(|(check, lacks, _)| *lacks && self.gate.checks().has(*check));
        lacking.map(|(check, _, option)| format!("{} (no {option})", check.as_str())).collect()
    }

    /// Whether a judge outside would be asked besides.
    pub fn has_judge(&self) -> bool {
        self.gate.judge.is_some() && self.gate.checks().has(QualityCheck::Judge)
    }
}

fn of_route(config: &Path, name: Option<&str>) -> Result<(String, Arc<QualityGate>, u64), ExitCode> {
    let plan = crate::reload::load(config, &ProcessEnv).map_err(cli::problems)?;
    let names = || plan.routes.iter().map(|route| route.name.as_str());
    let route: &Route = match (name, plan.routes.as_slice()) {
        (None, [only]) => only,
        (None, _) => {
            let all = names().collect::<Vec<_>>().join(", ");
            return Err(cli::failed(format!("{} has several routes, say --route: {all}", config.display())));
        }
        (Some(name), routes) => routes.iter().find(|route| route.name == name).ok_or_else(|| {
            let help = instead(name, names().collect::<Vec<_>>(), "routes").unwrap_or_default();
            cli::failed(format!("{} has no route '{name}': {help}", config.display()))
        })?,
    };
    let Some(gate) = &route.quality else {
        let why = "has `quality: false`, so no picture is looked at there";
        return Err(cli::failed(format!("route '{}' of {} {why}", route.name, config.display())));
    };
    let from = format!("route {} of {}", route.name, config.display());
    Ok((from, gate.clone(), plan.quality.max_pixels))
}
