//! In which order offers are asked, by a route's strategy, and what the gateway tells of each call.

use super::*;
use crate::gateway::outcome::CallRecord;
use crate::request::{Feedback, Verdict};

/// `first` costs two cents, `second` one.
fn config(first: &str, route: &str) -> String {
    format!(
        "providers:\n  first: {{kind: openai_compatible, base_url: https://first.example/v1/, api_key: k, {first} models: {{flux: {{price: 0.02}}}}}}\n  \
         second: {{kind: openai_compatible, base_url: https://second.example/v1/, api_key: k, models: {{flux: {{price: 0.01}}}}}}\n\
         routes:\n  - {{name: all, offers: [first/flux, second/flux], cache: false, {route}}}\n"
    )
}

impl Story {
    /// Who is called for a request that is drawn at once.
    async fn drawn_by(&self, prompt: &str) -> String {
        for host in ["first.example", "second.example"] {
            self.script.replies.lock().unwrap().insert(host, VecDeque::from([drawn()]));
        }
        let outcome = self.serve(prompt).await;
        assert_eq!(outcome.as_str(), "ok", "{:?}", outcome.result.err());
        self.script.called().join(",")
    }
}

#[tokio::test]
async fn the_cheapest_offer_is_asked_first_and_what_a_commitment_pays_for_costs_nothing() {
    let story = Story::on(&config("", "strategy: cheapest"));
    assert_eq!(story.drawn_by("a fox").await, "second.example");
    let story = Story::on(&config("billing: {committed_usd_per_month: 0.05},", "strategy: cheapest"));
    let mut asked = Vec::new();
    for nth in 0..4 {
        asked.push(story.drawn_by(&format!("fox {nth}")).await);
    }
    // Two pictures are paid for; of the third half is, so it costs a cent as the other does, and the first in the list wins.
    assert_eq!(asked, ["first.example", "first.example", "first.example", "second.example"]);
}

#[tokio::test]
async fn a_cheap_offer_whose_pictures_are_rejected_is_asked_after_a_dear_one_on_that_route() {
    let story = Story::on(&config("", "strategy: {cheapest_accepted: {explore: 0%}}"));
    for shade in [1, 2] {
        story.script.answers("second.example", drawn_in(shade));
        let outcome = story.serve(&format!("fox {shade}")).await;
        assert_eq!(story.script.called(), ["second.example"]);
        let image_id = outcome.result.unwrap()[0].id.to_string();
        let feedback = Feedback { image_id, verdict: Verdict::Rejected, reason: None };
        story.gateway.judge("default".into(), feedback).await.unwrap();
    }
    // Two of two rejected, and one of two by the prior: a cent at a quarter of the pictures is as dear as two at a half.
    assert_eq!(story.drawn_by("fox 3").await, "first.example");
    let ledger = &story.gateway.shared.ledger;
    let rejected =
        |route| ledger.on_route(route, "second/flux", Duration::from_secs(3600), late_on("2026-11-30")).rejected;
    assert_eq!((rejected("all"), rejected("other")), (2, 0));
}

#[tokio::test]
async fn a_cheap_offer_whose_pictures_come_broken_is_asked_after_a_dear_one_without_anybodys_word() {
    let story = Story::on(&config("", "attempts: {backoff: 1ms}, strategy: {cheapest_accepted: {explore: 0%}}"));
    for cheap in [broken(), broken()] {
        story.script.answers("second.example", cheap);
    }
    for dear in [reply(500, HeaderMap::new(), "{}".to_owned()), drawn_in(1)] {
        story.script.answers("first.example", dear);
    }
    let outcome = story.serve("fox 1").await;
    let asked = ["second.example", "first.example", "second.example", "first.example"];
    assert_eq!((story.script.called().as_slice(), outcome.cost), (asked.map(str::to_owned).as_slice(), usd("0.04")));
    // With the prior, one in four of the cheap one's pictures and two in three of the dear one's: four cents and three.
    assert_eq!(story.drawn_by("fox 2").await, "first.example");
    let hour = |offer| {
        let ledger = &story.gateway.shared.ledger;
        let sum = ledger.on_route("all", offer, Duration::from_secs(3600), late_on("2026-11-30"));
        (sum.accepted, sum.rejected)
    };
    assert_eq!([hour("second/flux"), hour("first/flux")], [(0, 2), (2, 0)]);
    let query = ReportQuery { by: vec![ReportBy::Provider, ReportBy::Reason], ..ReportQuery::default() };
    let rows = story.gateway.shared.durable_ledger.store().report(&query).unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.keys.join(" "), row.figures.rejected, row.figures.lost)).collect();
    assert_eq!(told, [("first ".to_owned(), 0, Usd::ZERO), ("second not_a_picture".to_owned(), 2, usd("0.02"))]);
}

#[tokio::test]
async fn shares_are_kept_to_the_request() {
    let story = Story::on(&config("", "strategy: {weighted: {first/flux: 25%, second/flux: 75%}}"));
    let mut asked = Vec::new();
    for nth in 0..8 {
        asked.push(story.drawn_by(&format!("fox {nth}")).await);
    }
    assert_eq!(asked.iter().filter(|asked| *asked == "first.example").count(), 2, "{asked:?}");
}

#[tokio::test]
async fn each_call_is_told_with_why_it_was_made_what_came_of_it_and_what_it_cost() {
    let story = Story::on(&config("", "refusals: fail"));
    story.script.answers("first.example", rate_limited());
    story.script.answers("second.example", drawn());
    let outcome = story.serve("a fox").await;
    let told: Vec<_> = outcome
        .calls
        .iter()
        .map(|CallRecord { offer, reason, outcome, usd, .. }| (offer.as_str(), *reason, *outcome, *usd))
        .collect();
    assert_eq!(
        told,
        [("first/flux", "first", "rate_limited", Usd::ZERO), ("second/flux", "fallback", "ok", usd("0.01")),]
    );
    let by = vec![ReportBy::Provider, ReportBy::Chosen, ReportBy::Outcome];
    let query = ReportQuery { by, ..ReportQuery::default() };
    let rows = story.gateway.shared.durable_ledger.store().report(&query).unwrap();
    let keys: Vec<String> = rows.iter().map(|row| row.keys.join(" ")).collect();
    assert_eq!(keys, ["first first rate_limited", "second fallback ok"]);
}
