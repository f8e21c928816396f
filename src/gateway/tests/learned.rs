//! Near misses that a judge is asked about, and what is served because of what it said.

use serde_json::{Value, json};

use super::*;
use crate::cache::Tier;
use crate::prompt_match::WordPair;

/// A route that learns from `judge.example` by these rules.
fn learning(rules: &str) -> Story {
    Story::on(&config(rules))
}

fn config(rules: &str) -> String {
    format!(
        "
providers:
  first: {{kind: openai_compatible, base_url: https://first.example/v1/, api_key: k, models: {{flux: {{price: 0.01}}}}}}
  judge:
    kind: openai_text
    base_url: https://judge.example/v1/
    api_key: k
    models:
      small: {{price: {{tokens_per_million: {{text_in: 1.00, text_out: 2.00}}}}}}
      vectors: {{price: {{tokens_per_million: {{text_in: 1.00}}}}}}
routes:
  - name: all
    offers: [first/flux]
    quality: false
    cache: {{near: verified, learn: {{{rules}}}}}
"
    )
}

/// A model that writes is asked, by these rules.
fn asking(rules: &str) -> Story {
    learning(&format!("judge: judge/small, {rules}"))
}

/// The vectors of two prompts, so alike.
fn vectors(cosine: f64) -> Reply {
    let vector = |index: usize, vector: [f64; 2]| json!({"object": "embedding", "index": index, "embedding": vector});
    let data = [vector(0, [1.0, 0.0]), vector(1, [cosine, (1.0 - cosine * cosine).sqrt()])];
    let usage = json!({"prompt_tokens": 20, "total_tokens": 20});
    reply(
        200,
        HeaderMap::new(),
        json!({"object": "list", "data": data, "model": "vectors", "usage": usage}).to_string(),
    )
}

/// An answer of the judge, which costs 0.000102 USD.
fn says(word: &str) -> Reply {
    says_of(word, 100)
}

/// An answer to a question of so many tokens.
fn says_of(word: &str, tokens: u32) -> Reply {
    let body = json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "small",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": word}}],
        "usage": {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1},
    });
    reply(200, HeaderMap::new(), body.to_string())
}

/// Serves a prompt and waits until all is done that it left to be done.
async fn serve(story: &Story, prompt: &str) -> Outcome {
    story.script.answers("first.example", drawn_in(prompt.len() as u8));
    let outcome = story.serve(prompt).await;
    let idle = async {
        while !story.gateway.shared.work.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), idle).await.unwrap();
    outcome
}

/// What came of near misses so far.
fn outcomes(story: &Story) -> Vec<(String, u32)> {
    let page = story.gateway.scrape().unwrap();
    let lines = page.lines().filter(|line| line.starts_with("easel_near_misses_total{"));
    let told = lines
        .map(|line| (line.split('"').nth(1).unwrap().to_owned(), line.rsplit(' ').next().unwrap().parse().unwrap()));
    told.collect()
}

fn asked_judge(story: &Story) -> usize {
    story.script.called().iter().filter(|host| *host == "judge.example").count()
}

#[tokio::test]
async fn a_pair_that_the_judge_approves_is_reused_from_then_on_and_its_price_is_on_the_ledger() {
    let story = asking("max_usd_per_day: 1.00");
    story.script.answers("judge.example", says("same"));
    let first = serve(&story, "a photo of a bunny in a garden").await;
    let second = serve(&story, "a photo of a rabbit in a garden").await;
    assert_eq!((first.cache, second.cache), (CacheUse::Miss, CacheUse::Miss), "nobody waits for the judge");
    assert_eq!(second.cost, usd("0.01"), "who missed pays for no judge");
    assert_eq!(outcomes(&story), [("approved".to_owned(), 1)]);
    let third = serve(&story, "a drawing of a bunny on a lawn").await;
    let fourth = serve(&story, "a drawing of a rabbit on a lawn").await;
    assert_eq!((third.cache, fourth.cache), (CacheUse::Miss, CacheUse::Hit(Tier::Near)));
    assert_eq!(fourth.near, ["rabbit=bunny"]);
    assert_eq!(asked_judge(&story), 1);
    let told: Value = serde_json::from_slice(&story.script.told.lock().unwrap()["judge.example"]).unwrap();
    let question: Value = serde_json::from_str(told["messages"][1]["content"].as_str().unwrap()).unwrap();
    let fragments = ["photo of bunny in garden", "photo of rabbit in garden"];
    assert_eq!(question, json!({"words": ["bunny", "rabbit"], "fragments": fragments}));
    let query = ReportQuery { by: vec![ReportBy::Purpose, ReportBy::Tenant], ..ReportQuery::default() };
    let rows = story.gateway.shared.durable_ledger.store().report(&query).unwrap();
    let paid: Vec<(&str, &str, Usd)> = rows
        .iter()
        .map(|row| (row.keys[0].as_str(), row.keys[1].as_str(), row.figures.usd))
        .filter(|row| row.2 > Usd::ZERO)
        .collect();
    assert_eq!(paid, [("compare", "default", usd("0.000102")), ("draw", "default", usd("0.03"))]);
}

#[tokio::test]
async fn a_pair_that_the_judge_refuses_is_asked_about_once_and_one_that_it_evades_again() {
    let story = asking("max_usd_per_day: 1.00");
    for word in ["different", "It depends.", "different"] {
        story.script.answers("judge.example", says(word));
    }
    let mut asked = Vec::new();
    for prompt in
        ["a photo of a bunny in a garden", "a photo of a rabbit in a garden", "a drawing of a bunny on a lawn"]
    {
        serve(&story, prompt).await;
        asked.push(asked_judge(&story));
    }
    serve(&story, "a drawing of a rabbit on a lawn").await;
    asked.push(asked_judge(&story));
    assert_eq!(asked, [0, 1, 0, 0], "the pair is known");
    // A puppy is nothing it knows of; what it evaded is asked again where it matters again.
    for prompt in [
        "an oil painting of a dog in a basket",
        "an oil painting of a puppy in a basket",
        "an oil painting of a puppy in a blue basket",
        "an oil painting of a dog in a blue basket",
    ] {
        serve(&story, prompt).await;
    }
    assert_eq!(asked_judge(&story), 2);
    let told: BTreeMap<String, u32> = outcomes(&story).into_iter().collect();
    let expected = [("known", 1), ("refused", 2), ("unclear", 1)];
    assert_eq!(told.iter().map(|(outcome, count)| (outcome.as_str(), *count)).collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn no_more_is_asked_than_a_minute_allows() {
    let story = asking("max_usd_per_day: 1.00, per_minute: 1");
    story.script.answers("judge.example", says("different"));
    for prompt in ["a bunny in a garden", "a rabbit in a garden", "a hare in a garden"] {
        serve(&story, prompt).await;
    }
    assert_eq!(asked_judge(&story), 1);
    let told: BTreeMap<String, u32> = outcomes(&story).into_iter().collect();
    assert!(told["over_rate"] >= 1, "{told:?}");
}

#[tokio::test]
async fn a_question_that_may_cost_more_than_is_left_of_the_day_is_not_asked_after_a_reload_either() {
    // At most a question costs some 0.003 USD: its bytes, and 1,024 tokens of an answer. This one came to 0.001.
    let rules = "judge: judge/small, max_usd_per_day: 0.0036";
    let story = learning(rules);
    story.script.answers("judge.example", says_of("different", 1000));
    for prompt in ["a bunny in a garden", "a rabbit in a garden", "a hare in a garden"] {
        serve(&story, prompt).await;
    }
    let plan = config_loader::check("test.yaml", &config(rules), &ProcessEnv).unwrap();
    story.gateway.replace(plan).unwrap();
    serve(&story, "a bunny in a meadow").await;
    assert_eq!(asked_judge(&story), 1);
    let told: BTreeMap<String, u32> = outcomes(&story).into_iter().collect();
    assert!(told["over_day"] >= 2, "{told:?}");
    assert_eq!(
        story
            .gateway
            .shared
            .durable_ledger
            .store()
            .report(&ReportQuery { by: vec![ReportBy::Purpose], ..ReportQuery::default() })
            .unwrap()[0]
            .figures
            .usd,
        usd("0.001002")
    );
}

#[tokio::test]
async fn a_struck_pair_serves_nothing_more_and_is_asked_about_no_more() {
    let story = asking("max_usd_per_day: 1.00");
    story.script.answers("judge.example", says("same"));
    serve(&story, "a photo of a bunny in a garden").await;
    serve(&story, "a photo of a rabbit in a garden").await;
    serve(&story, "a drawing of a bunny on a lawn").await;
    let record = &story.gateway.shared.equivalences;
    assert!(record.strike("default", &WordPair::of("rabbit", "bunny")).await.unwrap());
    let after = serve(&story, "a drawing of a rabbit on a lawn").await;
    assert_eq!((after.cache, asked_judge(&story)), (CacheUse::Miss, 1));
    assert_eq!(
        record.counts().map(|(state, pairs)| (state.as_str(), pairs)),
        [("approved", 0), ("refused", 0), ("struck", 1)]
    );
}

#[tokio::test]
async fn a_judge_that_fails_leaves_the_pair_to_be_asked_about_again() {
    let story = asking("max_usd_per_day: 1.00");
    story.script.answers("judge.example", reply(500, HeaderMap::new(), "{}".to_owned()));
    serve(&story, "a photo of a bunny in a garden").await;
    serve(&story, "a photo of a rabbit in a garden").await;
    assert_eq!(outcomes(&story), [("server_error".to_owned(), 1)]);
    assert!(story.gateway.shared.equivalences.all().is_empty());
}

#[tokio::test]
async fn a_model_that_embeds_approves_where_both_prompts_are_as_alike_as_was_certified() {
    let certified = "{threshold: 0.95, negatives: 400, false_hits: 0, dimensions: DIMENSIONS}";
    let judge = format!(
        "judge: {{embedding: judge/vectors, max_false_hit: 1%, certified: {certified}}}, max_usd_per_day: 1.00"
    );
    for (cosine, dimensions, told, found) in [
        (0.96, "2", "approved", CacheUse::Hit(Tier::Near)),
        (0.94, "2", "refused", CacheUse::Miss),
        (0.96, "3", "unclear", CacheUse::Miss),
    ] {
        let story = learning(&judge.replace("DIMENSIONS", dimensions));
        story.script.answers("judge.example", vectors(cosine));
        serve(&story, "a photo of a bunny in a garden").await;
        serve(&story, "a photo of a rabbit in a garden").await;
        assert_eq!(outcomes(&story), [(told.to_owned(), 1)], "{cosine} {dimensions}");
        let body: Value = serde_json::from_slice(&story.script.told.lock().unwrap()["judge.example"]).unwrap();
        assert_eq!(body["input"], json!(["photo of rabbit in garden", "photo of bunny in garden"]));
        serve(&story, "a drawing of a bunny on a lawn").await;
        let last = serve(&story, "a drawing of a rabbit on a lawn").await;
        assert_eq!(last.cache, found, "{cosine} {dimensions}");
    }
}
