//! `easel ledger`: what was paid, read from the ledger's file. Serving goes on meanwhile, and nothing is changed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use crate::admin::ledger::{cells, render_json};
use crate::admin::requests::RequestStory;
use crate::cli;
use crate::gateway::config_loader::WithoutSecrets;
use crate::store::report;
use crate::store::report::{Report, ReportQuery, ReportRow};
use crate::store::report_parameters::ReportParameters;
use crate::store::settled_queries::Filter;

/// Arguments of `easel ledger`.
#[derive(Parser)]
pub struct Args {
    /// The config file whose `server.state_dir` holds the ledger.
    #[arg(short, long, default_value = "easel.yaml")]
    config: PathBuf,
    /// The directory that holds the ledger, instead of a config.
    #[arg(long, conflicts_with = "config")]
    state_dir: Option<PathBuf>,
    /// Tell all that the ledger has of one request, by its x-easel-request-id, instead of a report.
    #[arg(long, value_name = "ID", conflicts_with_all = ["by", "since", "until", "month", "tenant", "route", "provider", "model"])]
    request: Option<String>,
    /// Group by these: day, hour, provider, model, route, tenant, source, request, chosen (why the offer was asked), reason (why
    /// pictures were rejected before they were delivered), outcome, tier (how the cache found what it saved), purpose (to draw, to
    /// rewrite a prompt, to compare two, to embed one, or to reserve capacity).
    #[arg(long, default_value = "provider,model")]
    by: String,
    /// From this day or RFC 3339 moment on.
    #[arg(long)]
    since: Option<String>,
    /// Before this day or RFC 3339 moment.
    #[arg(long)]
    until: Option<String>,
    /// This month, like 2026-11.
    #[arg(long, conflicts_with_all = ["since", "until"])]
    month: Option<String>,
    /// Whose days and months, like Europe/Berlin.
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// Only this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only this route.
    #[arg(long)]
    route: Option<String>,
    /// Only this provider.
    #[arg(long)]
    provider: Option<String>,
    /// Only this model.
    #[arg(long)]
    model: Option<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    format: ReportFormat,
}

/// How a report is printed.
#[derive(Clone, Copy, ValueEnum)]
enum ReportFormat {
    /// For people, with a last line for all.
    Table,
    /// For spreadsheets: RFC 4180, a line of titles first.
    Csv,
    /// For programs, as `/admin/ledger` answers.
    Json,
}

/// Prints the report.
pub fn run(args: Args) -> ExitCode {
    let Args { config, state_dir, request, by, since, until, month, zone, tenant, route, provider, model, format } =
        args;
    let filter = Filter { tenant, route, provider, model };
    let parameters = ReportParameters { by: Some(by), since, until, month, zone: Some(zone), filter };
    let query = match parameters.query() {
        Ok(query) => query,
        Err(error) => return cli::failed(error.message),
    };
    let state_dir = match state_dir.map_or_else(|| said_by(&config), Ok) {
        Ok(state_dir) => state_dir,
        Err(ended) => return ended,
    };
    if let Some(id) = request {
        return tell_request(&state_dir, &id, format);
    }
    let text = report::of_file(&state_dir, &query).map_err(|error| error.to_string()).and_then(|rows| match format {
        ReportFormat::Table => table(&query, &rows),
        ReportFormat::Csv => csv(&query, &rows),
        ReportFormat::Json => json(&query, rows),
    });
    match text {
        Ok(text) => cli::print(text.trim_end()),
        Err(why) => cli::failed(why),
    }
}

/// All that is known of one request.
fn tell_request(state_dir: &Path, id: &str, format: ReportFormat) -> ExitCode {
    match RequestStory::of_file(state_dir, id) {
        Ok(story) => cli::print(match format {
            ReportFormat::Json => format!("{:#}", story.json()),
            ReportFormat::Table => story.text().trim_end().to_owned(),
            ReportFormat::Csv => return cli::failed("a request is told as table or json, not as csv"),
        }),
        Err(why) => cli::failed(why),
    }
}

/// Where a config keeps its ledger.
fn said_by(config: &Path) -> Result<PathBuf, ExitCode> {
    let plan = crate::reload::load(config, &WithoutSecrets).map_err(cli::problems)?;
    let nowhere = || {
        cli::failed(format!(
            "{} has no server.state_dir, so its ledger is in the memory of the process that serves it: \
             ask its /admin/ledger",
            config.display()
        ))
    };
    plan.server.state_dir.ok_or_else(nowhere)
}

fn titles(query: &ReportQuery) -> Vec<String> {
    let figures = cells(&report::Figures::default()).into_iter().map(|(title, _)| title);
    query.by.iter().map(|by| by.as_str()).chain(figures).map(str::to_owned).collect()
}

fn line(keys: impl Iterator<Item = String>, figures: &report::Figures) -> Vec<String> {
    keys.chain(cells(figures).into_iter().map(|(_, cell)| cell.to_string())).collect()
}

fn csv(query: &ReportQuery, rows: &[ReportRow]) -> Result<String, String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let lines = rows.iter().map(|row| line(row.keys.iter().cloned(), &row.figures));
    for line in std::iter::once(titles(query)).chain(lines) {
        writer.write_record(line).map_err(|error| error.to_string())?;
    }
    let bytes = writer.into_inner().map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

/// As `/admin/ledger` answers, all in one page.
fn json(query: &ReportQuery, rows: Vec<ReportRow>) -> Result<String, String> {
    let total = report::total(&rows).map_err(|error| error.to_string())?;
    Ok(format!("{:#}", render_json(query, &Report { rows, total, more: false })))
}

/// Columns that are nothing throughout are left out, so that the rest fits a terminal.
fn table(query: &ReportQuery, rows: &[ReportRow]) -> Result<String, String> {
    if rows.is_empty() {
        return Ok("nothing was settled in that time".to_owned());
    }
    let total = report::total(rows).map_err(|error| error.to_string())?;
    let by = query.by.len();
    let mut lines = vec![titles(query)];
    lines.extend(rows.iter().map(|row| line(row.keys.iter().map(|key| known(key)), &row.figures)));
    if by > 0 {
        lines.push(line((0..by).map(|nth| if nth == 0 { "all".to_owned() } else { String::new() }), &total));
    }
    let nothing = |column: usize| lines.iter().skip(1).all(|line| matches!(line[column].as_str(), "" | "0"));
    let columns: Vec<usize> = (0..lines[0].len()).filter(|column| *column < by || !nothing(*column)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = columns.iter().map(|column| width(*column)).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = columns.iter().zip(&widths).map(|(column, width)| match *column < by {
            true => format!("{:<width$}", line[*column]),
            false => format!("{:>width$}", line[*column]),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    Ok(text)
}

/// A key that is not known, such as the provider of a picture from the cache.
fn known(key: &str) -> String {
    if key.is_empty() { "-".to_owned() } else { key.to_owned() }
}
