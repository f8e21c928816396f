//! Short pauses and repeats of the one offer that there is, through the whole gateway.

use super::*;

/// One offer, a failed call of which is repeated after 10 to 20 ms.
fn one_offer(provider: &str) -> Story {
    Story::on(&format!(
        "
providers:
  first: {{kind: openai_compatible, base_url: https://first.example/v1/, api_key: k, models: {{flux: {{price: 0.01}}}}{provider}}}
routes:
  - {{name: all, offers: [first/flux], attempts: {{backoff: 20ms}}}}
"
    ))
}

/// A 503 that asks for a pause of so many milliseconds.
fn busy(millis: &'static str) -> Reply {
    let name = header::HeaderName::from_static("retry-after-ms");
    reply(503, HeaderMap::from_iter([(name, HeaderValue::from_static(millis))]), "{}".to_owned())
}

fn metric(story: &Story, line: &str) -> String {
    let page = story.gateway.scrape().unwrap();
    let found = page.lines().find(|found| found.starts_with(line)).unwrap_or_default();
    found.split_whitespace().last().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_request_whose_one_offer_asks_for_a_moment_waits_it_out_and_is_drawn() {
    let story = one_offer("");
    story.script.answers("first.example", busy("60"));
    story.script.answers("first.example", drawn());
    let outcome = story.serve("a red fox").await;
    assert_eq!((outcome.as_str(), outcome.attempts, outcome.cost), ("ok", 2, usd("0.01")));
    assert_eq!(metric(&story, "easel_pause_queue_depth{provider=\"first\"}"), "0");
    assert_eq!(metric(&story, "easel_retry_budget_left{provider=\"first\"}"), "9");
}

#[tokio::test]
async fn requests_that_meet_the_pause_of_another_wait_for_its_end_as_many_as_may() {
    let story = one_offer(", concurrency: {queue: 2}");
    story.script.answers("first.example", busy("300"));
    (0..3).for_each(|_| story.script.answers("first.example", drawn()));
    let first = story.serve("a red fox");
    let others = async {
        while metric(&story, "easel_pause_queue_depth{provider=\"first\"}") != "1" {
            tokio::task::yield_now().await;
        }
        tokio::join!(story.serve("a blue fox"), story.serve("a green fox"))
    };
    let (first, (second, third)) = tokio::join!(first, others);
    assert_eq!((first.as_str(), second.as_str(), third.as_str()), ("ok", "ok", "providers_unavailable"));
    assert_eq!(third.skipped, [("first/flux".to_owned(), "overloaded")]);
}

#[tokio::test]
async fn without_a_queue_nobody_waits_for_the_end_of_a_pause() {
    let story = one_offer(", concurrency: {queue: 0}");
    story.script.answers("first.example", busy("60"));
    let outcome = story.serve("a red fox").await;
    assert_eq!((outcome.as_str(), outcome.attempts), ("upstream_failed", 1));
}

#[tokio::test]
async fn an_outage_is_repeated_as_often_as_the_retry_budget_allows_and_no_more() {
    let story = one_offer(", breaker: {failures: 1000}, retry_budget: {ratio: 0%, min_per_second: 0}");
    let outcome = story.serve("a red fox").await;
    assert_eq!((outcome.as_str(), outcome.attempts), ("upstream_failed", 1));
    assert_eq!(outcome.skipped, [("first/flux".to_owned(), "retry_budget")]);
    assert_eq!(metric(&story, "easel_skipped_total{provider=\"first\",reason=\"retry_budget\"}"), "1");

    let story = one_offer(", breaker: {failures: 1000}, retry_budget: {ratio: 10%, min_per_second: 0}");
    for number in 0..40 {
        story.serve(&format!("fox {number}")).await;
    }
    // Ten that a new process has, and a tenth of forty.
    let calls = story.script.called().len();
    assert!((50..=54).contains(&calls), "{calls}");
}
