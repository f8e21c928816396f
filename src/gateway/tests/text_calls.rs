//! Paid calls to models of words which no request makes: within every budget, on the ledger, at the most they may cost.

use tokio::time::Instant;

use super::*;
use crate::breaker::Pause;
use crate::config::plan::Priority;
use crate::failure::Class;
use crate::gateway::text_call::{LONGEST_CHAT, NoTextCall, TextAnswer, TextCall, TextCallResult};
use crate::ledger::SpendKind;
use crate::ledger::entry::{Owner, Purpose};
use crate::provider::openai_text::{EmbedReply, EmbedRequest, embed, read_embeddings};
use crate::provider::{ChatReply, ChatRequest, text};

const TEXTS: &str = "
providers:
  first: {kind: openai_compatible, base_url: https://first.example/v1/, api_key: k, models: {flux: {price: 0.01}}}
  words:
    kind: openai_text
    base_url: https://words.example/v1/
    budget: {usd: 0.001, per: day, zone: UTC}
    models:
      judge: {price: {tokens_per_million: {text_in: 1, text_out: 4}}}
      embedder: {price: {tokens_per_million: {text_in: 1}}}
routes:
  - {name: all, offers: [first/flux]}
";

/// A call of one of its models, which is made in the background for a route.
async fn call<T: TextAnswer>(
    story: &Story,
    model: &str,
    most: Option<&str>,
    run: impl AsyncFnOnce(TextCall<'_>) -> TextCallResult<T>,
) -> TextCallResult<T> {
    let snapshot = story.gateway.snapshot();
    let provider = &snapshot.plan.providers["words"];
    let (tenant, route) = ("default".into(), "all".into());
    let text_call = TextCall {
        shared: &story.gateway.shared,
        request_id: "learn-1".into(),
        owner: Owner { tenant, route, provider: "words".into(), model: model.into() },
        purpose: if model == "judge" { Purpose::Compare } else { Purpose::Embed },
        budgets: [&[], &[], &provider.budgets],
        provider,
        model: &provider.writers[model],
        priority: Priority::Batch,
        deadline: Instant::now() + Duration::from_secs(5),
        most: most.map(usd),
        longest_reply: LONGEST_CHAT,
    };
    run(text_call).await
}

/// Whether a fox and a hen are the same picture, in an answer of at most so many tokens.
async fn compare(story: &Story, max_tokens: u32, most: Option<&str>) -> TextCallResult<ChatReply> {
    call(story, "judge", most, async |text_call| {
        let (account, model, kind) = (&text_call.provider.account, text_call.model, text_call.provider.kind);
        let wish = ChatRequest { account, model, system: "Same?", user: "a fox / a hen", max_tokens };
        let call = text::chat(kind, &wish).unwrap();
        text_call.run(&call, max_tokens, |reply| text::read_chat(kind, &wish, reply)).await
    })
    .await
}

async fn vectors(story: &Story) -> TextCallResult<EmbedReply> {
    call(story, "embedder", None, async |text_call| {
        let (account, model) = (&text_call.provider.account, text_call.model);
        let wish = EmbedRequest { account, model, inputs: &["a fox"] };
        text_call.run(&embed(&wish).unwrap(), 0, |reply| read_embeddings(&wish, reply)).await
    })
    .await
}

fn said(words: &str, usage: &str) -> Reply {
    let choice = format!(r#"{{"message": {{"content": "{words}"}}, "finish_reason": "stop"}}"#);
    reply(200, HeaderMap::new(), format!(r#"{{"choices": [{choice}]{usage}}}"#))
}

const USAGE: &str = r#", "usage": {"prompt_tokens": 30, "completion_tokens": 5}"#;

fn spent(story: &Story, kind: SpendKind) -> Usd {
    let totals = story.gateway.shared.ledger.totals().into_iter();
    totals.filter(|(account, _)| account.kind == kind).map(|(_, total)| total.usd).next().unwrap_or_default()
}

#[tokio::test]
async fn each_purpose_is_paid_by_the_token_and_stands_apart_in_what_was_spent() {
    let story = Story::on(TEXTS);
    story.script.answers("words.example", said("no", USAGE));
    let told = compare(&story, 10, None).await;
    assert_eq!((told.told.unwrap().text.as_deref(), told.cost), (Ok("no"), usd("0.00005")));
    let body = r#"{"data": [{"embedding": [0.6, 0.8]}], "usage": {"prompt_tokens": 3, "total_tokens": 3}}"#;
    story.script.answers("words.example", reply(200, HeaderMap::new(), body.to_owned()));
    let told = vectors(&story).await;
    assert_eq!((told.told.unwrap().vectors, told.promised), (vec![vec![0.6, 0.8]], usd("0.000003")));
    let kinds = [SpendKind::Comparison, SpendKind::Embedding, SpendKind::Enrichment];
    assert_eq!(kinds.map(|kind| spent(&story, kind)), ["0.00005", "0.000003", "0"].map(usd));
    assert_eq!(story.gateway.shared.ledger.spent(), Some(usd("0.000053")));
}

#[tokio::test]
async fn what_could_cost_more_than_it_may_or_than_a_budget_has_left_is_not_sent() {
    let story = Story::on(TEXTS);
    let told = compare(&story, 10, Some("0.00004")).await;
    assert_eq!((told.told.unwrap_err(), told.promised), (NoTextCall::OverPrice, Usd::ZERO));
    assert_eq!(compare(&story, 400, None).await.told.unwrap_err().as_str(), "over_budget");
    assert_eq!((story.script.called(), story.gateway.shared.ledger.reserved()), (vec![], Usd::ZERO));
}

#[tokio::test]
async fn an_answer_that_does_not_say_what_it_took_is_charged_at_the_most() {
    let story = Story::on(TEXTS);
    story.script.answers("words.example", said("no", ""));
    let told = compare(&story, 10, None).await;
    // A token for each byte that was sent, and all that may be said.
    let body = r#"{"max_completion_tokens":10,"messages":[{"content":"Same?","role":"system"},{"content":"a fox / a hen","role":"user"}],"model":"judge"}"#;
    let most = Usd::from_nanos((body.len() as i64) * 1000 + 10 * 4000);
    assert_eq!((told.cost, spent(&story, SpendKind::Comparison)), (most, most));
}

#[tokio::test]
async fn a_failure_says_why_and_pauses_the_model_for_whoever_asks_next() {
    let story = Story::on(TEXTS);
    story.script.answers("words.example", rate_limited());
    let told = compare(&story, 10, None).await;
    let Err(NoTextCall::Failed(failure)) = &told.told else { panic!("it failed") };
    assert_eq!((failure.class, told.cost, told.promised), (Class::RateLimited, Usd::ZERO, Usd::ZERO));
    let paused = compare(&story, 10, None).await.told.unwrap_err();
    assert_eq!((&paused, paused.as_str()), (&NoTextCall::Paused(Pause::RateLimited), "rate_limited"));
    assert_eq!(story.script.called(), ["words.example"]);
    // Another model of the account is not.
    assert_eq!(vectors(&story).await.told.unwrap_err().as_str(), "unreachable");
}

#[tokio::test]
async fn an_answer_that_says_nothing_may_have_been_charged() {
    let story = Story::on(TEXTS);
    story.script.answers("words.example", reply(200, HeaderMap::new(), "<html>".to_owned()));
    let told = compare(&story, 10, None).await;
    assert_eq!((told.told.unwrap_err().as_str(), told.cost), ("malformed", Usd::ZERO));
    assert!(told.promised > Usd::ZERO);
    assert_eq!(spent(&story, SpendKind::Uncertain), told.promised);
}
