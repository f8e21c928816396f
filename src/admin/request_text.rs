//! The story of one request for people, a line for each thing that happened.

use std::fmt::Write as _;

use serde_json::Value;

use crate::admin::requests::RequestStory;
use crate::money::Usd;
use crate::store::attempts_of::{AttemptRow, PictureOrigin, PictureRow};

impl RequestStory {
    /// The story for people.
    pub fn text(&self) -> String {
        let mut text = format!("request {}\n", self.id);
        match &self.line {
            Some(line) => tell_line(&mut text, line),
            None => text.push_str("  its line is not kept any more; the access log has it\n"),
        }
        if !self.rows.attempts.is_empty() {
            text.push_str("calls in the ledger\n");
            self.rows.attempts.iter().for_each(|attempt| tell_attempt(&mut text, attempt));
            let sums: Vec<String> = self.sums().into_iter().map(|(name, usd)| format!("{name} {usd}")).collect();
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(text, "in all: {}", sums.join(", "));
        }
        for PictureOrigin { image, request, offer, at, usd } in self.drawn_before() {
            let at = at.map_or_else(String::new, |at| format!(" at {at}"));
            let _ = writeln!(text, "picture {image} was drawn by {offer} for request {request}{at}, for {usd} USD");
        }
        text
    }
}

/// What the line says, a sentence for each thing.
fn tell_line(text: &mut String, line: &Value) {
    let image = &line["image"];
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let ms = line["duration_us"].as_u64().unwrap_or_default() / 1_000;
    let _ = writeln!(text, "  {} {}, answered {} in {ms} ms", word(&line["time"]), word(&line["path"]), line["status"]);
    let asked = ["client", "model", "n", "size", "quality", "prompt_hash", "prompt"];
    let named = asked.into_iter().filter_map(|name| image.get(name).map(|value| format!("{name} {}", word(value))));
    let _ = writeln!(text, "  asked for: {}", named.collect::<Vec<_>>().join(", "));
    let told = ["route", "outcome", "param", "cache", "joined", "idempotency", "cost_usd", "attempts"];
    let named = told.into_iter().filter_map(|name| image.get(name).map(|value| format!("{name} {}", word(value))));
    let _ = writeln!(text, "  came to: {}", named.collect::<Vec<_>>().join(", "));
    for call in image["tried"].as_array().into_iter().flatten() {
        let [offer, reason, outcome, usd] = ["offer", "reason", "outcome", "usd"].map(|name| word(&call[name]));
        let _ = writeln!(text, "  asked {offer} ({reason}): {outcome} after {} ms, {usd} USD", call["ms"]);
    }
    for offer in image["under_way"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  asked {}: it had not answered yet", word(offer));
    }
    for skipped in image["skipped"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  did not ask {}: {}", word(&skipped[0]), word(&skipped[1]));
    }
    for offer in image["not_needed"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  did not ask {}: its turn did not come", word(offer));
    }
    for adjusted in image["adjusted"].as_array().into_iter().flatten() {
        let _ = writeln!(text, "  drawn otherwise than asked: {}", word(adjusted));
    }
}

fn tell_attempt(text: &mut String, attempt: &AttemptRow) {
    let AttemptRow { id, owner, purpose, chosen, opened_at, asked, estimate, usd, source, .. } = attempt;
    let AttemptRow { billed, accepted, rejected, refused, reason, lost, prepaid, uncertain, .. } = attempt;
    let chosen = if chosen.is_empty() { String::new() } else { format!(" ({chosen})") };
    let outcome = match attempt.settled_at {
        Some(_) => format!("{} after {} ms", attempt.outcome, attempt.latency_us / 1_000),
        None => "under way".to_owned(),
    };
    let _ = write!(text, "  {id}: {purpose} by {}/{}{chosen} at {opened_at}: {outcome}", owner.provider, owner.model);
    let _ = write!(text, "; pictures: asked {asked}, billed {billed}, accepted {accepted}, rejected {rejected}");
    if !reason.is_empty() {
        let _ = write!(text, " ({reason})");
    }
    let _ = write!(text, ", refused {refused}; estimated {estimate} USD, paid {usd} USD");
    if !source.is_empty() {
        let _ = write!(text, " (known by: {source})");
    }
    for (name, usd) in [("prepaid", prepaid), ("lost", lost), ("uncertain", uncertain)] {
        if *usd > Usd::ZERO {
            let _ = write!(text, ", {name} {usd} USD");
        }
    }
    text.push('\n');
    for PictureRow { image, usd, verdict, reason } in &attempt.pictures {
        let reason = reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let _ = writeln!(text, "     picture {image}: {usd} USD, {verdict}{reason}");
    }
}
