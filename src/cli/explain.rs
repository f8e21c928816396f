//! `easel explain`: what would become of a request, by a config and its ledger, at a process that has just started with them.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use crate::admin::explain::{ExplainQuery, MOST_BODY, explain};
use crate::calendar::Moment;
use crate::cli;
use crate::clock::{Clock, ManualClock};
use crate::gateway::Gateway;
use crate::gateway::config_loader::WithoutSecrets;
use crate::gateway::explain::{ExplainedOffer, Explanation};

/// Arguments of `easel explain`.
#[derive(Parser)]
pub struct Args {
    /// The config file.
    #[arg(short, long, default_value = "easel.yaml")]
    config: PathBuf,
    /// The request's JSON, as a client would send it; `-` for standard input.
    #[arg(short, long)]
    request: PathBuf,
    /// The request is an edit, its pictures in it as `data:` URLs.
    #[arg(long)]
    edit: bool,
    /// The client in whose name it is asked. Default: the first of the config.
    #[arg(long)]
    client: Option<String>,
    /// A header of the request, like `x-team: marketing`, for routes that match by headers.
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// This RFC 3339 moment instead of now, for budgets and months.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print it as JSON, as `POST /admin/explain` answers.
    #[arg(long)]
    json: bool,
}

/// Explains the request.
pub fn run(args: Args) -> ExitCode {
    let plan = match crate::reload::load(&args.config, &WithoutSecrets) {
        Ok(plan) => plan,
        Err(error) => return cli::problems(error),
    };
    let clock = match args.at.as_deref().map(str::parse::<Moment>) {
        None => Clock::System,
        Some(Ok(at)) => Clock::Manual(ManualClock::at(at)),
        Some(Err(_)) => return cli::failed("--at is no moment, write it like 2026-11-28T18:00:00Z"),
    };
    let body = match read(&args.request) {
        Ok(body) => body,
        Err(why) => return cli::failed(why),
    };
    let headers: Vec<(String, &str)> = match args.headers.iter().map(|text| header(text)).collect() {
        Ok(headers) => headers,
        Err(why) => return cli::failed(why),
    };
    let gateway = match Gateway::to_explain(plan, clock) {
        Ok(gateway) => gateway,
        Err(error) => return cli::failed(error),
    };
    let query = ExplainQuery { client: args.client, edit: args.edit };
    let told = |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
    match explain(&gateway, &body, &query, told) {
        // Texts, numbers and lists of them always become JSON.
        Ok(explanation) if args.json => cli::print(serde_json::to_string_pretty(&explanation).unwrap_or_default()),
        Ok(explanation) => cli::print(for_people(&explanation).trim_end()),
        Err(error) => cli::problems(format!("{}: {}", error.code(), error.message)),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut body = Vec::new();
    let most = u64::try_from(MOST_BODY).unwrap_or(u64::MAX);
    let read = match path.to_str() {
        Some("-") => std::io::stdin().take(most + 1).read_to_end(&mut body),
        _ => std::fs::File::open(path).map_err(failed)?.take(most + 1).read_to_end(&mut body),
    };
    read.map_err(failed)?;
    if body.len() > MOST_BODY { Err(format!("the request has more than {MOST_BODY} bytes")) } else { Ok(body) }
}

fn header(text: &str) -> Result<(String, &str), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| format!("--header '{text}' is not NAME: VALUE"))?;
    Ok((name.trim().to_ascii_lowercase(), value.trim()))
}

fn for_people(explanation: &Explanation) -> String {
    let Explanation { route, tenant, strategy, cache, pictures, offers, calls, queues, error, .. } = explanation;
    let mut text =
        format!("route {route}, tenant {tenant}, strategy {strategy}; cache: {cache}; pictures to buy: {pictures}\n");
    let width = offers.iter().map(|offer| offer.offer.len()).max().unwrap_or(0);
    for offer in offers {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", line(offer, width));
    }
    for call in calls {
        let _ = writeln!(text, "asks {} for {} ({})", call.offer, call.pictures, call.reason);
    }
    if !queues.is_empty() {
        let _ = writeln!(text, "waits for a slot at {}", queues.join(", "));
    }
    if let Some(error) = error {
        let _ = writeln!(text, "answers {}: {}", error.code, error.message);
    }
    text
}

fn line(offer: &ExplainedOffer, width: usize) -> String {
    let place = offer.position.map_or("-".to_owned(), |position| position.to_string());
    let mut parts = vec![format!("{place:>3}  {:width$}", offer.offer)];
    parts.extend(offer.usd_per_picture.map(|usd| format!("{usd} USD a picture")));
    parts.extend(offer.verdicts.map(|[good, bad]| format!("accepted {good}, rejected {bad}")));
    parts.extend(offer.median_ms.map(|ms| format!("median {ms} ms")));
    parts.extend(offer.hedge_after_ms.map(|ms| format!("hedged after {ms} ms")));
    if !offer.when.is_empty() {
        parts.push(format!("when {}", offer.when.join(", ")));
    }
    parts.extend(offer.paused.map(|(why, ms)| format!("paused {ms} ms ({why})")));
    parts.extend(offer.skipped.map(|why| format!("skipped: {why}")));
    parts.join("  ")
}
