//! The last requests, each with its whole decision, and the page about one.

use maud::{Markup, html};
use serde_json::Value;

use crate::admin::dashboard::facts::{Facts, REQUESTS};
use crate::admin::dashboard::pieces::{panel, table, text};
use crate::admin::requests::RequestStory;

/// The last pictures that were drawn, where the config allows it.
pub fn recent_pictures(facts: &Facts) -> Markup {
    let Some(pictures) = &facts.pictures else { return html! {} };
    let body = html! {
        @if pictures.is_empty() { p { "none that is still held" } }
        ul class="pictures" {
            @for picture in pictures {
                li {
                    a href={ "/requests/" (picture.request) } {
                        img src={ "/pictures/" (picture.id) ".png" } loading="lazy" width="64" height="64" alt={ "drawn by " (picture.drawn_by) ", " (picture.size) };
                    }
                    span { (picture.drawn_by) }
                }
            }
        }
    };
    panel("pictures", "Recent pictures", &body)
}

/// Bytes of decisions on the page, before it is compressed. Older requests beyond it unfold to the link alone: the page stays
/// below 150 KB however many offers a route has, and however long their names are.
const DECISIONS: usize = 56 * 1024;

/// The last requests, the newest first.
pub fn requests(facts: &Facts) -> Markup {
    panel("requests", "Requests", &list(&facts.requests))
}

fn list(requests: &[Value]) -> Markup {
    let mut room = DECISIONS;
    let decisions: Vec<Option<Markup>> = requests
        .iter()
        .map(|line| {
            let decision = decision(line);
            room = room.saturating_sub(decision.0.len());
            (room > 0).then_some(decision)
        })
        .collect();
    html! {
        p { "The last " (requests.len()) " image requests of clients that are known, at most " (REQUESTS) ". Each unfolds to what was decided." }
        @if requests.is_empty() { p { "none yet" } }
        ol class="requests" { @for (line, decision) in requests.iter().zip(&decisions) { (request(line, decision.as_ref())) } }
    }
}

fn request(line: &Value, decision: Option<&Markup>) -> Markup {
    let (image, id) = (&line["image"], word(&line["request_id"]));
    let outcome = word(&image["outcome"]);
    let class = match outcome.as_str() {
        "ok" => "state good",
        "partial" => "state warn",
        _ => "state bad",
    };
    html! {
        li {
            details {
                summary {
                    (moment(&word(&line["time"]))) " " span class=(class) { (outcome) }
                    " " (word(&image["route"])) " " (word(&image["cache"])) " $" (word(&image["cost_usd"])) " " (ms(line)) " ms"
                }
                @if let Some(decision) = decision { (decision) }
                p { a href={ "/requests/" (id) } { "All of " (id) } }
            }
        }
    }
}

/// The time of the day in `2026-11-28T18:03:12.306Z`, with all of it for who asks.
fn moment(time: &str) -> Markup {
    html! { time datetime=(time) { (time.get(11..19).unwrap_or(time)) } }
}

fn ms(line: &Value) -> u64 {
    line["duration_us"].as_u64().unwrap_or_default() / 1_000
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Who asked for what, every offer asked or not and why, and what came of it.
fn decision(line: &Value) -> Markup {
    let image = &line["image"];
    let asked = ["client", "model", "n", "size", "quality", "prompt", "prompt_hash", "joined", "idempotency", "param"];
    let list = |name: &str| image[name].as_array().map(Vec::as_slice).unwrap_or_default();
    html! {
        ul class="decision" {
            li {
                "status " (line["status"]) ", config " (line["config_version"])
                @for name in asked { @if let Some(value) = image.get(name) { ", " (name) " " (word(value)) } }
            }
            @for call in list("tried") {
                li { "asked " (word(&call["offer"])) " (" (word(&call["reason"])) "): " (word(&call["outcome"])) ", " (call["ms"]) " ms, $" (word(&call["usd"])) }
            }
            @for offer in list("under_way") { li { "asked " (word(offer)) ": not answered yet" } }
            @for skipped in list("skipped") { li { "not asked " (word(&skipped[0])) ": " (word(&skipped[1])) } }
            @if let not_needed @ [_, ..] = list("not_needed") {
                li { "not asked " (not_needed.iter().map(word).collect::<Vec<_>>().join(", ")) ": its turn did not come" }
            }
            @for change in list("adjusted") { li { "adjusted: " (word(change)) } }
            @if let Some(served_by) = image["served_by"].as_object().filter(|offers| !offers.is_empty()) {
                li { "served by" @for (offer, count) in served_by { " " (offer) "=" (count) } }
            }
        }
    }
}

/// The page about one request.
pub fn story(story: &RequestStory) -> Markup {
    let told = story.json();
    let list = |name: &str| told[name].as_array().cloned().unwrap_or_default();
    let cell = |row: &Value, name: &str| text(word(&row[name]));
    let amount = |row: &Value, name: &str| html! { "$" (word(&row[name])) };
    let calls: Vec<Vec<Markup>> = list("attempts")
        .iter()
        .map(|row| {
            let mut cells: Vec<Markup> = ["attempt", "offer", "purpose", "chosen", "opened_at", "outcome", "source"]
                .map(|name| cell(row, name))
                .into();
            cells.extend(["ms", "asked", "billed", "accepted", "rejected"].map(|name| cell(row, name)));
            cells.extend(
                ["estimate_usd", "usd", "prepaid_usd", "lost_usd", "uncertain_usd"].map(|name| amount(row, name)),
            );
            cells
        })
        .collect();
    let titles = [
        "attempt",
        "offer",
        "purpose",
        "chosen",
        "opened at",
        "outcome",
        "known by",
        "ms",
        "asked",
        "billed",
        "accepted",
        "rejected",
        "estimate_usd",
        "usd",
        "prepaid_usd",
        "lost_usd",
        "uncertain_usd",
    ];
    let total = &told["total"];
    html! {
        section id="decision" aria-labelledby="decision-title" {
            h2 id="decision-title" { "What was decided" }
            @if told["request"].is_null() { p { "Its line is not kept any more; the access log has it." } }
            @else {
                p { (word(&told["request"]["time"])) ", " (word(&told["request"]["path"])) ", answered " (told["request"]["status"]) " in " (ms(&told["request"])) " ms" }
                (decision(&told["request"]))
            }
        }
        section id="calls" aria-labelledby="calls-title" {
            h2 id="calls-title" { "What was paid" }
            p id="total" {
                "$" (word(&total["usd"])) " on the invoice, $" (word(&total["prepaid_usd"])) " out of commitments; $" (word(&total["lost_usd"]))
                " of it bought nothing, $" (word(&total["uncertain_usd"])) " may be charged besides."
            }
            (table("Calls in the ledger", &titles, 7..17, &calls))
            (pictures(&list("attempts")))
            @for origin in list("drawn_before") {
                p {
                    "Picture " (word(&origin["image"])) " was drawn by " (word(&origin["offer"])) " for request "
                    a href={ "/requests/" (word(&origin["request_id"])) } { (word(&origin["request_id"])) } ", for $" (word(&origin["usd"])) "."
                }
            }
        }
    }
}

fn pictures(attempts: &[Value]) -> Markup {
    let pictures = attempts.iter().flat_map(|attempt| attempt["pictures"].as_array().into_iter().flatten());
    let rows: Vec<Vec<Markup>> = pictures
        .map(|picture| {
            let [image, verdict, reason] = ["image", "verdict", "reason"].map(|name| text(word(&picture[name])));
            vec![image, verdict, reason, html! { "$" (word(&picture["usd"])) }]
        })
        .collect();
    table("Pictures delivered", &["picture", "verdict", "reason", "usd"], 3..4, &rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn decisions_have_a_bound_in_bytes_and_the_newest_are_told() {
        let offers: Vec<String> = (0..40).map(|nth| format!("provider/a-model-with-a-long-name-{nth}")).collect();
        let line = |nth: usize| {
            json!({
                "request_id": format!("id-{nth}"), "time": "2026-11-28T18:03:12.306Z", "duration_us": 1, "status": 200,
                "image": {"outcome": "ok", "route": "r", "cache": "miss", "cost_usd": "0.01", "not_needed": offers},
            })
        };
        let page = list(&(0..REQUESTS).map(line).collect::<Vec<_>>()).0;
        assert!(page.len() < 130_000, "{}", page.len());
        let told = page.matches("its turn did not come").count();
        assert!((10..REQUESTS).contains(&told), "{told}");
        assert_eq!(page.matches("All of id-").count(), REQUESTS);
        let last = page.rfind("its turn did not come").unwrap();
        assert!(last < page.find(&format!("All of id-{}", told)).unwrap(), "the newest ones");
    }
}
