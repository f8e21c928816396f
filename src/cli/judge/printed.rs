//! What is printed of the gate and of each file: lines for people, of at most a hundred characters where names allow it,
//! or a line of JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::cli::contact_sheet::FileVerdict;
use crate::cli::judge::chosen_gate::ChosenGate;
use crate::cli::judge::look::{Found, JudgedFile};
use crate::config::plan::CheckSet;
use crate::quality::{CheckLimit, CheckOutcome, CheckReport, FailsWhen};

/// The longest line.
const WIDTH: usize = 100;
/// Where a list begins behind its title.
const INDENT: usize = 12;

/// The gate: what rejects, what flags, what is not done here.
pub fn head(gate: &ChosenGate) -> String {
    let words = |set: CheckSet| -> Vec<String> {
        let made = set.iter().filter(|check| gate.limits.iter().any(|limit| limit.check == *check));
        made.map(|check| check.as_str().to_owned()).collect()
    };
    let mut text = format!("the gate is that of {}\n", escaped(&gate.from));
    text += &list("rejects", &words(gate.gate.reject));
    text += &list("flags", &words(gate.gate.flag));
    text += &list("not made", &gate.not_made());
    if gate.has_judge() {
        text += "  judge     not asked\n";
    }
    text + "  A check fails where each of its numbers is as the brackets say.\n\n"
}

/// A title and what belongs to it, over as many lines as it takes.
fn list(title: &str, words: &[String]) -> String {
    let (mut text, mut line) = (String::new(), format!("  {title:<9}"));
    for (nth, word) in words.iter().enumerate() {
        let comma = if nth + 1 < words.len() { "," } else { "" };
        if line.len() + word.len() + 2 > WIDTH {
            text += &line;
            text.push('\n');
            line = " ".repeat(INDENT - 1);
        }
        line += &format!(" {word}{comma}");
    }
    if words.is_empty() { text } else { text + &line + "\n" }
}

/// A file: its verdict, and below it each check with its numbers.
pub fn text(judged: &JudgedFile, gate: &ChosenGate) -> String {
    let found = match &judged.found {
        // Why is told where errors go.
        Err(_) => return format!("{}  unreadable\n\n", name(&judged.path)),
        Ok(found) => found,
    };
    let mut text = format!("{}  {}  {}\n", name(&judged.path), verdict(judged), about(found));
    for report in reports(found, gate) {
        let numbers: Vec<String> = report.numbers.iter().map(|(limit, measured)| number(limit, *measured)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<9}{:<17}{}", outcome(report.outcome), report.check.as_str(), numbers.join(", "));
    }
    text + "\n"
}

/// What each check found; nothing of what is no picture.
pub fn reports(found: &Found, gate: &ChosenGate) -> Vec<CheckReport> {
    match found.format {
        None => Vec::new(),
        Some(_) => found.examination.report(&gate.gate, &gate.expected, &gate.limits),
    }
}

/// `accepted`, `flagged: dark`, `rejected: blurred (flagged: dark)`.
pub fn verdict(judged: &JudgedFile) -> String {
    let word = judged.verdict().as_str();
    let Ok(found) = &judged.found else { return word.to_owned() };
    let flagged = found.flagged.join(", ");
    match judged.verdict() {
        FileVerdict::Rejected if !flagged.is_empty() => {
            format!("{word}: {} (flagged: {flagged})", found.rejected.join(", "))
        }
        FileVerdict::Rejected => format!("{word}: {}", found.rejected.join(", ")),
        FileVerdict::Flagged => format!("{word}: {flagged}"),
        FileVerdict::Accepted | FileVerdict::Unreadable => word.to_owned(),
    }
}

/// Size, format and how long it took.
pub fn about(found: &Found) -> String {
    let size = found.examination.size.map(|size| format!("{size} "));
    let format = found.format.map(|format| format!("{}, ", format.as_str()));
    format!("({}{}{:.0} ms)", size.unwrap_or_default(), format.unwrap_or_default(), found.took.as_secs_f64() * 1e3)
}

fn outcome(outcome: CheckOutcome) -> &'static str {
    match outcome {
        CheckOutcome::Passes => "ok",
        CheckOutcome::Flags => "FLAGS",
        CheckOutcome::Rejects => "REJECTS",
        CheckOutcome::NotMeasured => "-",
    }
}

fn number(limit: &CheckLimit, measured: Option<f64>) -> String {
    let besides = limit.besides.map(|besides| format!(", {besides}")).unwrap_or_default();
    let measured = measured.map_or("not measured".to_owned(), digits);
    format!("{} {measured} ({} {}{besides})", limit.metric, words(limit.fails), digits(limit.limit))
}

/// On which side of its limit a number speaks against a picture.
pub fn words(fails: FailsWhen) -> &'static str {
    match fails {
        FailsWhen::Below => "below",
        FailsWhen::Above => "above",
        FailsWhen::AtMost => "at most",
        FailsWhen::AtLeast => "at least",
    }
}

/// Four digits behind the point, of which zeros at the end are left out.
pub fn digits(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A file as JSON.
pub fn json(judged: &JudgedFile, gate: &ChosenGate) -> Value {
    let file = judged.path.to_string_lossy();
    let verdict = judged.verdict().as_str();
    let found = match &judged.found {
        Err(why) => return json!({"file": file, "verdict": verdict, "error": why}),
        Ok(found) => found,
    };
    let mut metrics = Map::new();
    let mut limits = Vec::new();
    for report in reports(found, gate) {
        for (limit, measured) in &report.numbers {
            metrics.extend(measured.map(|measured| (limit.metric.to_owned(), json!(measured))));
            limits.push(json!({
                "check": report.check.as_str(),
                "outcome": report.outcome.as_str(),
                "metric": limit.metric,
                "measured": measured,
                "fails": limit.fails.as_str(),
                "limit": limit.limit,
                "setting": limit.setting,
            }));
        }
    }
    let findings = found
        .findings()
        .iter()
        .map(|finding| json!({"check": finding.check.as_str(), "measured": finding.measured, "limit": finding.limit}));
    json!({
        "file": file,
        "verdict": verdict,
        "rejected": found.rejected,
        "flagged": found.flagged,
        "size": found.examination.size.map(|size| size.to_string()),
        "format": found.format.map(|format| format.as_str()),
        "bytes": found.bytes,
        "metrics": metrics,
        "limits": limits,
        "findings": findings.collect::<Vec<_>>(),
        "judge": gate.has_judge().then_some("not asked"),
        "ms": found.took.as_secs_f64() * 1e3,
    })
}

/// A file's name for a terminal.
pub fn name(path: &Path) -> String {
    escaped(&path.to_string_lossy())
}

/// Text without what would move a terminal's cursor, colour its lines, or turn what follows around.
fn escaped(text: &str) -> String {
    let moves = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let one = |c: char| if moves(c) { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(one).collect()
}
