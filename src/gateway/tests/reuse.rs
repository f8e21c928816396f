//! Several different pictures of one request, and requests in other words, through the whole gateway.

use std::collections::BTreeSet;

use super::*;
use crate::cache::Tier;

/// One offer whose pictures cost a cent, and how the route reuses them.
fn reusing(cache: &str) -> Story {
    Story::on(&format!(
        "
providers:
  first: {{kind: openai_compatible, base_url: https://first.example/v1/, api_key: k, models: {{flux: {{price: 0.01}}}}}}
routes:
  - {{name: all, offers: [first/flux], quality: false, cache: {{{cache}}}}}
"
    ))
}

async fn ask(story: &Story, body: &str) -> Outcome {
    let request = ImageRequest::from_json(body.as_bytes()).unwrap();
    story.gateway.serve(&story.gateway.snapshot(), GatewayRequest::new(request), |_| None).await
}

fn ids(outcome: &Outcome) -> Vec<String> {
    outcome.result.iter().flatten().map(|generated| generated.id.to_string()).collect()
}

fn saved(story: &Story) -> Vec<(String, String)> {
    let page = story.gateway.scrape().unwrap();
    let lines = page.lines().filter(|line| line.starts_with("easel_saved_usd_total{"));
    let words = |line: &str| {
        let (labels, value) = line.rsplit_once(' ').unwrap();
        (labels.split('"').nth(1).unwrap().to_owned(), value.to_owned())
    };
    lines.map(words).filter(|(_, value)| value != "0").collect()
}

#[tokio::test]
async fn identical_requests_at_once_draw_as_many_different_pictures_as_the_route_wants_and_no_more() {
    let story = reusing("variants: 4");
    (0..10).for_each(|shade| story.script.answers("first.example", drawn_in(shade)));
    let asked = (0..10).map(|_| ask(&story, r#"{"prompt": "a red fox"}"#));
    let outcomes = futures_util::future::join_all(asked).await;
    assert!(outcomes.iter().all(|outcome| outcome.as_str() == "ok"), "{outcomes:?}");
    assert_eq!(story.script.called().len(), 4);
    let paid = outcomes.iter().fold(Usd::ZERO, |paid, outcome| paid.saturating_add(outcome.cost));
    assert_eq!(paid, usd("0.04"));
    let different: BTreeSet<String> = outcomes.iter().flat_map(ids).collect();
    assert_eq!(different.len(), 4);
    // From here on they take turns, and nobody is paid.
    let mut before = Vec::new();
    for _ in 0..12 {
        let outcome = ask(&story, r#"{"prompt": "a red fox"}"#).await;
        assert_eq!((outcome.cache, outcome.cost), (CacheUse::Hit(Tier::Exact), Usd::ZERO));
        assert!(ids(&outcome) != before && different.contains(&ids(&outcome)[0]));
        before = ids(&outcome);
    }
    assert!(story.script.called().is_empty());
}

#[tokio::test]
async fn a_client_that_splits_its_three_into_calls_of_one_gets_three_different_pictures() {
    let story = reusing("variants: 4");
    for round in 0..3u8 {
        (0..3).for_each(|shade| story.script.answers("first.example", drawn_in(round * 3 + shade)));
        let [a, b, c] = [(); 3].map(|()| ask(&story, r#"{"prompt": "a red fox"}"#));
        let (a, b, c) = tokio::join!(a, b, c);
        let different: BTreeSet<String> = [&a, &b, &c].into_iter().flat_map(ids).collect();
        assert_eq!(different.len(), 3, "round {round}");
        let calls = story.script.called().len();
        assert_eq!(calls, [3, 1, 0][usize::from(round)]);
        story.script.replies.lock().unwrap().clear();
    }
}

#[tokio::test]
async fn a_batch_takes_what_is_there_and_what_it_takes_is_written_down_as_saved() {
    let story = reusing("variants: 4");
    (0..4).for_each(|shade| story.script.answers("first.example", drawn_in(shade)));
    assert_eq!(ask(&story, r#"{"prompt": "a red fox", "n": 2}"#).await.cost, usd("0.02"));
    let outcome = ask(&story, r#"{"prompt": "a red fox", "n": 3}"#).await;
    assert_eq!((outcome.cache, outcome.cost, ids(&outcome).len()), (CacheUse::Pool, usd("0.02"), 3));
    assert_eq!(ids(&outcome).into_iter().collect::<BTreeSet<_>>().len(), 3);
    assert_eq!(saved(&story), [("exact".to_owned(), "0.01".to_owned())]);
    let outcome = ask(&story, r#"{"prompt": "a red fox", "n": 4}"#).await;
    assert_eq!((outcome.cache, outcome.cost), (CacheUse::Hit(Tier::Exact), Usd::ZERO));
}

#[tokio::test]
async fn with_a_seed_there_is_one_picture_however_many_the_route_wants() {
    let story = reusing("variants: 4");
    (0..4).for_each(|shade| story.script.answers("first.example", drawn_in(shade)));
    let three = ask(&story, r#"{"prompt": "a red fox", "seed": 7, "n": 3}"#).await;
    let one = ask(&story, r#"{"prompt": "a red fox", "seed": 7, "n": 1}"#).await;
    assert_eq!((one.cache, ids(&one)), (CacheUse::Hit(Tier::Exact), vec![ids(&three)[0].clone()]));
    assert_eq!(story.script.called().len(), 3);
}

#[tokio::test]
async fn other_words_are_a_hit_where_the_route_asks_for_it_and_what_they_saved_is_told_by_tier() {
    for (cache, hits) in [("near: verified", true), ("near: off", false), ("ttl: 1d", false)] {
        let story = reusing(cache);
        (0..4).for_each(|shade| story.script.answers("first.example", drawn_in(shade)));
        let first = ask(&story, r#"{"prompt": "A small red sofa in the morning light"}"#).await;
        let canonical = ask(&story, r#"{"prompt": "a small red sofa in the morning light."}"#).await;
        let near = ask(&story, r#"{"prompt": "a small red sofa in the mornign light"}"#).await;
        if hits {
            assert_eq!((canonical.cache, &canonical.near[..]), (CacheUse::Hit(Tier::Canonical), &[][..]));
            assert_eq!((near.cache, &near.near[..]), (CacheUse::Hit(Tier::Near), &["mornign=morning".to_owned()][..]));
            assert_eq!((ids(&canonical), ids(&near)), (ids(&first), ids(&first)));
            let each = |tier: &str| (tier.to_owned(), "0.01".to_owned());
            assert_eq!(saved(&story), [each("canonical"), each("near")]);
        } else {
            assert_eq!((canonical.cache, near.cache), (CacheUse::Miss, CacheUse::Miss), "{cache}");
        }
    }
}

#[tokio::test]
async fn requests_that_mean_the_same_share_a_flight_where_the_route_asks_for_it() {
    for (cache, calls) in [("near: verified", 1), ("near: off", 2)] {
        let story = reusing(cache);
        (0..2).for_each(|shade| story.script.answers("first.example", drawn_in(shade)));
        let one = ask(&story, r#"{"prompt": "A small red sofa in the morning light"}"#);
        let other = ask(&story, r#"{"prompt": "a small red sofa in the morning light"}"#);
        let (one, other) = tokio::join!(one, other);
        assert!(one.as_str() == "ok" && other.as_str() == "ok");
        assert_eq!(story.script.called().len(), calls, "{cache}");
    }
}
