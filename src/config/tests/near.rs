//! `near:` of a route's cache: which embeddings may serve.

use std::time::Duration;

use super::{plan, problems, read};

/// A config whose route finds pictures like this.
fn config(near: &str) -> String {
    format!(
        "providers:\n  a: {{kind: openai, api_key: k, models: {{m: {{price: 0.009}}}}}}\n  \
         claude: {{kind: anthropic, api_key: k, models: {{haiku: {{price: {{tokens_per_million: {{text_in: 1, text_out: 5}}}}}}}}}}\n  \
         words: {{kind: openai_text, api_key: k, models: {{small: {{price: {{tokens_per_million: {{text_in: 0.02}}}}}}}}}}\n\
         routes:\n  - name: all\n    offers: [a/m]\n    cache: {{near: {near}}}\n"
    )
}

fn told(near: &str) -> Vec<String> {
    let text = config(near);
    if read(&text).is_ok() { Vec::new() } else { problems(&text) }
}

const CERTIFIED: &str = "certified: {threshold: 0.934, negatives: 1200, false_hits: 2, dimensions: 256}";

#[test]
fn what_calibrate_writes_serves_from_its_threshold_on_and_includes_what_is_verified() {
    let plan = plan(&config(&format!("{{embedding: words/small, max_false_hit: 1%, {CERTIFIED}}}")));
    let route = &plan.routes[0];
    let near = route.near_embedding.as_ref().unwrap();
    assert!(route.cache.unwrap().near && !near.shadow);
    assert_eq!((near.name.as_str(), near.threshold.to_string().as_str()), ("words/small", "0.934"));
    assert_eq!((near.dimensions, near.timeout), (Some(256), Duration::from_secs(1)));
    let words = |near: &str| {
        let route = &self::plan(&config(near)).routes[0];
        (route.cache.unwrap().near, route.near_embedding.is_some())
    };
    assert_eq!((words("off"), words("verified")), ((false, false), (true, false)));
}

#[test]
fn a_shadow_needs_a_threshold_that_nobody_has_certified_or_one_that_somebody_has() {
    let near = |near: &str| plan(&config(near)).routes[0].near_embedding.clone().unwrap();
    let shadow = near("{embedding: words/small, shadow: true, threshold: 0.9, timeout: 300ms}");
    assert_eq!((shadow.shadow, shadow.dimensions, shadow.timeout), (true, None, Duration::from_millis(300)));
    assert_eq!(near(&format!("{{embedding: words/small, shadow: true, {CERTIFIED}}}")).dimensions, Some(256));
    assert_eq!(
        told("{embedding: words/small, shadow: true}"),
        ["8:13 `near` does not say from which likeness on | add `threshold: 0.9`, or what `easel calibrate` certified"]
    );
}

#[test]
fn nothing_serves_that_is_not_certified_and_the_command_that_would_is_told() {
    let command = "easel calibrate --pairs pairs.jsonl --max-false-hit 1% --config easel.yaml --embedder words/small";
    assert_eq!(
        told("{embedding: words/small}"),
        [format!(
            "8:13 an embedding serves nothing before its threshold is certified | run `{command}` and write what it says, or \
             begin with `shadow: true` and `threshold: 0.9`"
        )]
    );
    assert_eq!(
        told("{embedding: words/small, threshold: 0.9}"),
        [format!(
            "8:55 a threshold that nobody certified serves nothing | run `{command}` and write what it says, or add `shadow: true`"
        )]
    );
    // The bound is reckoned again: 5 of 1,000 are 1.05% at the most, 4 are 0.91%.
    let certified = |negatives: u64, false_hits: u64, limit: &str| {
        let numbers = format!("threshold: 0.9, negatives: {negatives}, false_hits: {false_hits}, dimensions: 256");
        told(&format!("{{embedding: words/small, max_false_hit: {limit}, certified: {{{numbers}}}}}"))
    };
    assert_eq!(certified(1000, 4, "1%"), Vec::<String>::new());
    let refused = certified(1000, 5, "1%");
    assert!(
        refused[0].contains("5 wrong of 1000 may be 1.049% with 95% confidence, which is more than 1%"),
        "{refused:?}"
    );
    assert!(refused[0].contains("with more pairs (299 with none wrong are the fewest)"), "{refused:?}");
    assert_eq!((certified(298, 0, "1%").len(), certified(299, 0, "1%").len()), (1, 0));
    assert_eq!((certified(2994, 0, "0.1%").len(), certified(2995, 0, "0.1%").len()), (1, 0));
    let other = certified(100, 0, "0.1%");
    assert!(other[0].contains("--max-false-hit 0.1% --config"), "{other:?}");
}

#[test]
fn what_is_wrong_with_an_embedding_is_told() {
    let with = |more: &str| told(&format!("{{embedding: words/small, {more}}}"));
    for (written, what) in [
        (
            "{max_false_hit: 1%, shadow: true, threshold: 0.9}",
            "`near` names no embedding | add `embedding: provider/model`",
        ),
        (
            "{embedding: claude/haiku, shadow: true, threshold: 0.9}",
            "`claude/haiku` embeds nothing: its provider is of kind anthropic | name a model of a provider of kind openai_text",
        ),
        (
            "{embedding: words/smal, shadow: true, threshold: 0.9}",
            "`words/smal` is not among the models of `words` | did you mean `words/small`?",
        ),
        ("{embeding: words/small, shadow: true, threshold: 0.9}", "unknown key `embeding` | did you mean `embedding`?"),
    ] {
        let told = told(written);
        assert!(told.iter().any(|told| told.contains(what)), "{told:?}");
    }
    for (more, what) in [
        ("shadow: true, threshold: 1.2", "must be more than 0 and at most 1 | a likeness of 1 is the same"),
        ("shadow: true, threshold: 0", "must be more than 0 and at most 1"),
        ("shadow: true, threshold: 0.9, max_false_hit: 0%", "must be more than 0% and less than 100%"),
        ("shadow: true, threshold: 0.9, timeout: 0s", "must be longer than nothing"),
        (
            "certified: {threshold: 0.9, negatives: 300, dimensions: 256}",
            "`certified` has no `false_hits` | run `easel",
        ),
        ("certified: {threshold: 0.9, negatives: 300, false_hits: 0, dimensions: 5000}", "must be at most 4096"),
        (
            "certified: {threshold: 0.9, negatives: 300, false_hits: 0, dimensions: 256}, threshold: 0.9",
            "`certified` has a threshold already | delete one of the two",
        ),
    ] {
        let told = with(more);
        assert!(told.iter().any(|told| told.contains(what)), "{more}: {told:?}");
    }
    assert!(problems(&config("verify"))[0].contains("found `verify`"));
}
