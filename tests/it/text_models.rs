//! Models of kind openai_text, against the strict vendor of words: prompts rewritten, and what it costs.

use std::time::Duration;

use easel::Usd;
use easel::sandbox::{Mode, Name, Rate, ScriptedAnswer, Settings, TokenPrice};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Answer;
use crate::scripted::{Scripted, Then, json_answer};
use crate::world::{GENERATE, PROVIDERS, World, ask, ask_with};

const WORDS: &str = "  words:
    kind: openai_text
    base_url: ${SANDBOX}/text/v1/
    api_key: sk-test
    breaker: {failures: 1000, pause: 1ms}
    models:
      gpt-4.1-nano: {price: {tokens_per_million: {text_in: 0.10, text_cached_in: 0.025, text_out: 0.40}}}
      gpt-5-nano: {price: {tokens_per_million: {text_in: 0.05, text_cached_in: 0.005, text_out: 0.40}}}
      text-embedding-3-small: {price: {tokens_per_million: {text_in: 0.02}}}
";

/// What the vendor adds to a prompt.
const ADDED: &str = ", in golden evening light, crisp and full of detail";

/// A route `r` whose prompts `model` rewrites.
fn config(model: &str, enrich: &str) -> String {
    format!(
        "{PROVIDERS}{WORDS}\nroutes:\n  - name: r\n    match: {{models: [m]}}\n    offers: [stability/core]\n    prompt:\n      \
         enrich: {{offer: words/{model}, system: Rewrite the prompt., timeout: 20s{enrich}}}\n"
    )
}

/// Vendors whose words cost what the config says.
fn priced() -> Settings {
    let mut settings = Settings { seed: 5, ..Settings::default() };
    let usd = |text: &str| text.parse::<Usd>().unwrap();
    for (model, text_in, cached) in [("gpt-4.1-nano", "0.10", "0.025"), ("gpt-5-nano", "0.05", "0.005")] {
        let price = TokenPrice { text_in: usd(text_in), text_cached_in: Some(usd(cached)), text_out: usd("0.40") };
        settings.vendors.text.token_price.insert(model.to_owned(), price);
    }
    settings
}

async fn world(model: &str) -> World {
    World::with(&config(model, ""), priced()).await
}

fn word(answer: &Answer) -> &str {
    answer.header("x-easel-enriched").split_once('=').map_or("", |(_, word)| word)
}

fn cost(answer: &Answer) -> Usd {
    answer.header("x-easel-cost-usd").parse().unwrap()
}

fn told(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"][0]["revised_prompt"].clone()
}

#[tokio::test]
async fn a_prompt_rewritten_by_an_openai_model_is_drawn_and_stands_on_the_ledger_to_the_nano_dollar() {
    let folder = tempfile::tempdir().unwrap();
    let server = format!("server: {{state_dir: '{}'}}\n", folder.path().display());
    let world = World::with(&format!("{server}{}", config("gpt-4.1-nano", "")), priced()).await;
    let answer = world.draw(ask("a red fox, cached, in a long enough description")).await;
    let expected = format!("a red fox, cached, in a long enough description{ADDED}");
    assert_eq!((told(&answer), word(&answer)), (json!(expected), "written"));
    assert_eq!((cost(&answer), world.spent()), (world.invoiced(), world.invoiced()));
    let bill = world.bill(Name::Text);
    assert_eq!((bill.calls, bill.violations), (1, vec![]));
    world.gateway.shared.durable_ledger.close().await;
    let ledger = rusqlite::Connection::open(folder.path().join("ledger.sqlite3")).unwrap();
    let row = ledger.query_row(
        "SELECT provider, model, route, outcome, usd FROM attempts WHERE purpose = 'enrich'",
        [],
        |row| {
            let text = |at| row.get::<_, String>(at);
            Ok(([text(0)?, text(1)?, text(2)?, text(3)?], row.get::<_, i64>(4)?))
        },
    );
    let (names, nanos) = row.unwrap();
    assert_eq!(names, ["words", "gpt-4.1-nano", "r", "ok"]);
    assert_eq!(Usd::from_nanos(nanos), bill.usd);
}

#[tokio::test]
async fn whatever_goes_wrong_the_callers_own_words_are_drawn_and_the_header_says_why() {
    let retry_after = Duration::from_secs(600);
    for (mode, expected, paid) in [
        (Mode::Refusing, "refused", true),
        (Mode::Truncated, "max_tokens", true),
        (Mode::NoPictures, "empty", true),
        (Mode::Down500, "server_error", false),
        (Mode::RateLimited { retry_after }, "rate_limited", false),
        (Mode::OutOfMoney, "quota", false),
        (Mode::Garbage, "malformed", false),
        (Mode::Unreadable, "malformed", true),
        (Mode::GatewayTimeout, "timeout", true),
    ] {
        let world = world("gpt-4.1-nano").await;
        world.set(Name::Text, |vendor| vendor.mode = mode);
        let answer = world.draw(ask("a red fox")).await;
        assert_eq!((told(&answer), word(&answer)), (Value::Null, expected), "{mode:?}");
        let bill = world.bill(Name::Text);
        assert_eq!((bill.calls, bill.usd > Usd::ZERO, bill.violations), (1, paid, vec![]), "{mode:?}");
        let unsure = matches!(mode, Mode::Garbage | Mode::Unreadable | Mode::GatewayTimeout);
        let metrics = world.metrics().await;
        assert_eq!(metrics.contains("easel_possibly_billed_usd_total{model=\"gpt-4.1-nano\""), unsure, "{mode:?}");
        if !unsure {
            assert_eq!(world.spent(), world.invoiced(), "{mode:?}");
        }
    }
}

#[tokio::test]
async fn a_model_that_thinks_itself_to_its_end_is_paid_and_one_told_to_think_little_writes() {
    let world = World::with(&config("gpt-5-nano", ", max_tokens: 60"), priced()).await;
    let answer = world.draw(ask("a red fox")).await;
    assert_eq!((told(&answer), word(&answer)), (Value::Null, "max_tokens"));
    assert_eq!((cost(&answer), world.spent()), (world.invoiced(), world.invoiced()));
    let brief = config("gpt-5-nano", ", max_tokens: 60").replace(
        "text_cached_in: 0.005, text_out: 0.40}}",
        "text_cached_in: 0.005, text_out: 0.40}}, options: {reasoning_effort: minimal}",
    );
    let world = World::with(&brief, priced()).await;
    assert_eq!(word(&world.draw(ask("a red fox")).await), "written");
}

#[tokio::test]
async fn a_server_of_ones_own_needs_no_key_and_takes_the_fields_that_it_knows() {
    let server = Scripted::start(|_| {
        let message = json!({"role": "assistant", "content": "<think>hm</think>a fox of one's own"});
        Then::Answer(json_answer(
            200,
            &json!({"choices": [{"message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 20, "completion_tokens": 9, "total_tokens": 29}}),
        ))
    })
    .await;
    let own = config("gpt-4.1-nano", "")
        .replace("${SANDBOX}/text/v1/\n    api_key: sk-test", &format!("http://{}/v1/", server.addr))
        .replace(
            "text_cached_in: 0.025, text_out: 0.40}}",
            "text_out: 0.40}}, options: {max_completion_tokens: null, max_tokens: 77}",
        );
    let world = World::new(&own).await;
    assert_eq!(told(&world.draw(ask("a red fox")).await), "a fox of one's own");
    let asked = server.asked().remove(0);
    assert_eq!((asked.path.as_str(), &asked.json()["max_tokens"]), ("/v1/chat/completions", &json!(77)));
    assert!(asked.json().get("max_completion_tokens").is_none());
    assert!(asked.head.iter().all(|line| !line.starts_with("authorization:")), "{:?}", asked.head);
}

#[tokio::test]
async fn what_the_model_says_is_what_is_drawn() {
    let world = world("gpt-4.1-nano").await;
    world.set(Name::Text, |vendor| {
        vendor.answers = vec![ScriptedAnswer { when: "Rewrite".to_owned(), say: "  a blue hen \n".to_owned() }];
    });
    assert_eq!(told(&world.draw(ask("a red fox")).await), "a blue hen");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_requests_with_faults_cost_what_both_invoices_say() {
    let mut settings = priced();
    for name in [Name::Text, Name::Stability] {
        let faults = &mut settings.vendors.get_mut(name).faults;
        faults.error_rate = Rate::percent(5);
        faults.garbage_rate = Rate::percent(3);
        faults.truncated_rate = Rate::percent(5);
        faults.empty_rate = Rate::percent(3);
        faults.refusal_rate = Rate::percent(5);
    }
    let world = World::with(&config("gpt-5-nano", ""), settings).await;
    let mut running = JoinSet::new();
    for worker in 0..6u32 {
        let mut client = world.client().await;
        running.spawn(async move {
            let mut words = Vec::new();
            for number in 0..50u32 {
                let turn = worker * 50 + number;
                let cached = if turn % 3 == 0 { ", cached" } else { "" };
                let body = ask_with(&format!("picture {}{cached}", turn / 2), json!({"n": 1 + turn % 2}));
                let answer = client.post(GENERATE, &body).await;
                assert!([200, 400, 502, 503].contains(&answer.status), "{}", answer.text());
                words.push(word(&answer).to_owned());
            }
            words
        });
    }
    let words: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    world.settled().await;
    assert_eq!(world.bill(Name::Text).violations, Vec::<String>::new());
    let totals = world.gateway.shared.ledger.totals().into_iter();
    let paid = totals.filter(|(account, _)| account.provider == "words" && account.kind.is_invoiced());
    assert_eq!(easel::internals::money::sum(paid.map(|(_, total)| total.usd)), Some(world.bill(Name::Text).usd));
    for expected in ["written", "cached", "refused", "max_tokens", "server_error", "malformed", "empty"] {
        assert!(words.iter().any(|word| word == expected), "nothing was {expected}");
    }
}

#[tokio::test]
async fn what_the_options_let_a_model_write_counts_against_what_a_request_may_cost() {
    let limit = |options: &str| {
        let priced = "text_cached_in: 0.025, text_out: 0.40}}";
        let config = config("gpt-4.1-nano", "").replace(priced, &format!("{priced}{options}"));
        format!("{config}    price: {{max_usd_per_request: 0.0403}}\n")
    };
    let world = World::with(&limit(""), priced()).await;
    assert_eq!(word(&world.draw(ask("a red fox")).await), "written");
    let longer = limit(", options: {max_completion_tokens: 4000}");
    let world = World::with(&longer, priced()).await;
    assert_eq!((word(&world.draw(ask("a red fox")).await), world.bill(Name::Text).calls), ("over_price", 0));
}
