//! Prompts rewritten by a language model before they are drawn, against the strict vendors of both sorts.

use std::time::Duration;

use easel::Usd;
use easel::sandbox::{Mode, Name, Rate, Settings};
use image::{Rgba, RgbaImage};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Answer;
use crate::exchange::png;
use crate::world::{GENERATE, PROVIDERS, World, ask, ask_with, plan};

const CLAUDE: &str = "  claude:
    kind: anthropic
    base_url: ${SANDBOX}/anthropic/v1/
    api_key: sk-ant-test
    models: {claude-haiku-4-5: {price: {tokens_per_million: {text_in: 1.00, text_out: 5.00}}}}
";

/// What the vendor adds to a prompt.
const ADDED: &str = ", in soft morning light, sharp and rich in detail";

/// One route `r` over `offers` whose prompts are rewritten; `enrich` are more of its keys, `more` more lines of the
/// route.
fn config(offers: &[&str], enrich: &str, more: &str) -> String {
    // So that a busy machine is not taken for a slow vendor.
    let patience = if enrich.contains("timeout") { "" } else { ", timeout: 20s" };
    format!(
        "{PROVIDERS}{CLAUDE}\nroutes:\n  - name: r\n    match: {{models: [m]}}\n    offers: {}\n    prompt:\n      \
         enrich: {{offer: claude/claude-haiku-4-5, system: Rewrite the prompt.{enrich}{patience}}}\n{more}",
        json!(offers)
    )
}

async fn world(offers: &[&str], enrich: &str, more: &str) -> World {
    World::new(&config(offers, enrich, more)).await
}

fn word(answer: &Answer) -> &str {
    answer.header("x-easel-enriched").strip_prefix("claude/claude-haiku-4-5=").unwrap_or_default()
}

fn cost(answer: &Answer) -> Usd {
    answer.header("x-easel-cost-usd").parse().unwrap()
}

fn told(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["data"][0]["revised_prompt"].clone()
}

#[tokio::test]
async fn the_rewritten_prompt_is_what_is_drawn_and_what_the_answer_tells() {
    let world = world(&["stability/core", "openai/dall-e-3"], "", "").await;
    let answer = world.draw(ask("a red fox")).await;
    assert_eq!((told(&answer), word(&answer)), (json!(format!("a red fox{ADDED}")), "written"));
    // This model tells the prompt it was given in words of its own, so they show what reached it.
    let pinned = world.draw(ask_with("a red fox", json!({"model": "openai/dall-e-3"}))).await;
    assert!(told(&pinned).as_str().unwrap().contains(&format!("a red fox{ADDED}")), "{}", told(&pinned));
    assert_eq!(word(&pinned), "cached");
    let again = world.draw(ask("a red fox")).await;
    assert_eq!((told(&again), again.header("x-easel-enriched")), (told(&answer), ""), "a hit keeps its words");
    for vendor in [Name::Anthropic, Name::Stability, Name::OpenAi] {
        assert_eq!((world.bill(vendor).calls, world.bill(vendor).violations), (1, vec![]), "{vendor}");
    }
    assert_eq!(
        (world.spent(), cost(&answer)),
        (world.invoiced(), world.invoiced().checked_sub(cost(&pinned)).unwrap())
    );
    let metrics = world.metrics().await;
    for line in [
        "easel_enrichments_total{outcome=\"written\",route=\"r\"} 1",
        "easel_enrichments_total{outcome=\"cached\",route=\"r\"} 1",
        "easel_attempts_total{model=\"claude-haiku-4-5\",outcome=\"ok\",provider=\"claude\"} 1",
        "easel_breaker_state{model=\"claude-haiku-4-5\",provider=\"claude\"} 0",
    ] {
        assert!(metrics.lines().any(|got| got == line), "{line}\n{metrics}");
    }
    let spend = format!(
        "easel_spend_usd_total{{kind=\"enrichment\",model=\"claude-haiku-4-5\",provider=\"claude\"}} {}",
        world.bill(Name::Anthropic).usd
    );
    assert!(metrics.contains(&spend), "{spend}\n{metrics}");
    assert!(!metrics.contains("easel_prompt_cache_bytes 0"), "{metrics}");
}

#[tokio::test]
async fn whatever_goes_wrong_the_callers_own_words_are_drawn_and_the_header_says_why() {
    let retry_after = Duration::from_secs(600);
    for (mode, expected, paid) in [
        (Mode::Refusing, "refused", true),
        (Mode::Truncated, "max_tokens", true),
        (Mode::NoPictures, "empty", true),
        (Mode::Overloaded, "server_error", false),
        (Mode::Down500, "server_error", false),
        (Mode::RateLimited { retry_after }, "rate_limited", false),
        (Mode::OutOfMoney, "quota", false),
        (Mode::Garbage, "malformed", false),
        (Mode::Hang, "timeout", false),
    ] {
        let patience = if mode == Mode::Hang { ", timeout: 1s" } else { "" };
        let world = world(&["stability/core"], patience, "").await;
        world.set(Name::Anthropic, |vendor| vendor.mode = mode);
        let answer = world.draw(ask("a red fox")).await;
        assert_eq!((told(&answer), word(&answer)), (Value::Null, expected), "{mode:?}");
        assert_eq!((world.spent(), cost(&answer)), (world.invoiced(), world.invoiced()), "{mode:?}");
        let bill = world.bill(Name::Anthropic);
        assert_eq!((bill.calls, bill.usd > Usd::ZERO, bill.violations), (1, paid, vec![]), "{mode:?}");
        let unsure = "easel_possibly_billed_usd_total{model=\"claude-haiku-4-5\",provider=\"claude\"}";
        // No answer, and one that says nothing.
        let is_unsure = matches!(mode, Mode::Hang | Mode::Garbage);
        assert_eq!(world.metrics().await.contains(unsure), is_unsure, "{mode:?}");
    }
}

#[tokio::test]
async fn a_vendor_that_is_not_there_costs_a_request_nothing() {
    let config = config(&["stability/core"], "", "").replace("${SANDBOX}/anthropic/v1/", "http://127.0.0.1:1/");
    let world = World::new(&config).await;
    let answer = world.draw(ask("a red fox")).await;
    assert_eq!((told(&answer), word(&answer)), (Value::Null, "unreachable"));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_refused_key_pauses_the_model_and_not_the_pictures() {
    let world = world(&["stability/core"], "", "").await;
    world.set(Name::Anthropic, |vendor| vendor.key = Some("another".to_owned()));
    for prompt in ["a fox", "a hen", "an owl"] {
        assert_eq!(word(&world.draw(ask(prompt)).await), "auth", "{prompt}");
    }
    assert_eq!((world.bill(Name::Anthropic).calls, world.bill(Name::Stability).calls), (1, 3));
}

#[tokio::test]
async fn no_slot_at_the_writer_is_not_waited_for_at_the_cost_of_the_picture() {
    let config = config(&["stability/core"], ", timeout: 60s", "")
        .replace("api_key: sk-ant-test", "api_key: sk-ant-test\n    concurrency: {limit: 1, queue: 0}");
    let world = World::new(&config).await;
    world.set(Name::Anthropic, |vendor| vendor.mode = Mode::Hang);
    let mut first = world.client().await;
    first.send("POST", GENERATE, &[("content-type", "application/json")], ask("one").to_string().as_bytes()).await;
    world.sandbox.until(Name::Anthropic, |bill| bill.in_flight == 1).await;
    assert_eq!(word(&world.draw(ask("two")).await), "at_capacity");
}

#[tokio::test]
async fn a_writer_that_hangs_takes_at_most_half_of_the_time_there_is() {
    let world = world(&["stability/core"], ", timeout: 600s", "    deadline: {after: 4s, then: fail}\n").await;
    world.set(Name::Anthropic, |vendor| vendor.mode = Mode::Hang);
    let answer = world.draw(ask("a red fox")).await;
    assert_eq!((answer.status, word(&answer)), (200, "timeout"), "{}", answer.text());
}

#[tokio::test]
async fn the_same_request_again_pays_nothing_and_another_size_pays_the_words_once() {
    let world = world(&["stability/core"], "", "").await;
    let first = world.draw(ask("a red fox")).await;
    assert_eq!(cost(&world.draw(ask("a red fox")).await), Usd::ZERO);
    let wide = world.draw(ask_with("a red fox", json!({"size": "1536x1024"}))).await;
    assert_eq!((word(&wide), told(&wide)), ("cached", told(&first)));
    assert_eq!((cost(&wide), world.bill(Name::Anthropic).calls), ("0.04".parse().unwrap(), 1));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn what_is_not_kept_is_written_again() {
    let world = world(&["stability/core"], ", cache: false", "").await;
    world.draw(ask("a red fox")).await;
    assert_eq!(word(&world.draw(ask_with("a red fox", json!({"size": "1536x1024"}))).await), "written");
    assert_eq!((world.bill(Name::Anthropic).calls, world.spent()), (2, world.invoiced()));
}

#[tokio::test]
async fn words_are_kept_on_a_route_that_keeps_no_pictures() {
    let world = world(&["stability/core"], "", "    cache: false\n").await;
    assert_eq!([word(&world.draw(ask("a fox")).await), word(&world.draw(ask("a fox")).await)], ["written", "cached"]);
    assert_eq!((world.bill(Name::Anthropic).calls, world.bill(Name::Stability).calls), (1, 2));
}

#[tokio::test]
async fn who_wants_nothing_stored_leaves_no_words_behind_and_takes_none() {
    let world = world(&["stability/core"], "", "").await;
    let private = [("cache-control", "no-store")];
    for headers in [&private[..], &[], &private[..]] {
        assert_eq!(word(&world.draw_with(ask("a red fox"), headers).await), "written");
    }
    let fresh = world.draw_with(ask("a red fox"), &[("cache-control", "no-cache")]).await;
    assert_eq!((word(&fresh), world.bill(Name::Anthropic).calls), ("cached", 3));
}

#[tokio::test]
async fn the_same_prompt_in_ten_sizes_at_once_is_rewritten_once() {
    let world = world(&["openai/gpt-image-2"], ", timeout: 20s", "").await;
    world.set(Name::Anthropic, |vendor| vendor.latency = Duration::from_millis(50));
    let mut running = JoinSet::new();
    for side in 0..10u32 {
        let mut client = world.client().await;
        let body = ask_with("a red fox", json!({"size": format!("{}x1024", 1024 + side * 16)}));
        running.spawn(async move { client.post(GENERATE, &body).await });
    }
    let answers = running.join_all().await;
    let mut words: Vec<&str> = answers.iter().map(word).collect();
    words.sort_unstable();
    assert_eq!(words, [vec!["cached"; 9], vec!["written"]].concat());
    let told = easel::internals::money::sum(answers.iter().map(cost)).unwrap();
    assert_eq!((world.bill(Name::Anthropic).calls, told, world.spent()), (1, world.invoiced(), world.invoiced()));
}

#[tokio::test]
async fn twenty_identical_requests_at_once_pay_one_rewriting_and_one_picture() {
    let world = world(&["stability/core"], ", timeout: 20s, cache: false", "").await;
    world.set(Name::Anthropic, |vendor| vendor.latency = Duration::from_millis(50));
    let mut running = JoinSet::new();
    for _ in 0..20 {
        let mut client = world.client().await;
        running.spawn(async move { client.post(GENERATE, &ask("the same fox")).await });
    }
    let answers = running.join_all().await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!((world.bill(Name::Anthropic).calls, world.bill(Name::Stability).calls), (1, 1));
    let told = easel::internals::money::sum(answers.iter().map(cost)).unwrap();
    assert_eq!((told, world.spent()), (world.invoiced(), world.invoiced()));
}

#[tokio::test]
async fn a_threshold_that_words_and_picture_do_not_fit_under_keeps_the_picture() {
    let limit = |usd: &str| format!("    price: {{max_usd_per_request: {usd}}}\n");
    let tight = world(&["stability/core"], "", &limit("0.081")).await;
    let answer = tight.draw(ask_with("a red fox", json!({"n": 2}))).await;
    assert_eq!((word(&answer), cost(&answer)), ("over_price", "0.08".parse().unwrap()));
    assert_eq!((tight.bill(Name::Anthropic).calls, tight.bill(Name::Stability).pictures), (0, 2));
    let wide = world(&["stability/core"], "", &limit("0.083")).await;
    let answer = wide.draw(ask_with("a red fox", json!({"n": 2}))).await;
    assert_eq!((word(&answer), wide.bill(Name::Stability).pictures), ("written", 2));
    assert!(cost(&answer) < "0.083".parse().unwrap() && cost(&answer) == wide.invoiced());
}

#[tokio::test]
async fn words_do_not_push_a_dearer_offer_out_of_its_place() {
    let limit = "    price: {max_usd_per_request: 0.061}\n";
    let config = config(&["openai/gpt-image-2", "stability/core"], "", limit)
        .replace("gpt-image-2: {price: 0.04}", "gpt-image-2: {price: 0.06}");
    let world = World::new(&config).await;
    let answer = world.draw(ask("a red fox")).await;
    assert_eq!((word(&answer), answer.header("x-easel-served-by")), ("over_price", "openai/gpt-image-2=1"));
    // Where only the cheaper one can draw, the limit leaves room enough.
    let seeded = world.draw(ask_with("a red fox", json!({"seed": 7}))).await;
    assert_eq!((word(&seeded), seeded.header("x-easel-served-by")), ("written", "stability/core=1"));
}

#[tokio::test]
async fn what_the_words_cost_counts_when_a_lost_picture_is_to_be_bought_again() {
    let world = world(&["stability/core"], "", "    price: {max_usd_per_request: 0.08}\n").await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Truncated);
    let answer = world.draw(ask("a red fox")).await;
    assert_eq!((word(&answer), answer.header("x-easel-attempts")), ("written", "1"), "{}", answer.text());
    assert!(world.invoiced() < "0.08".parse().unwrap() && world.spent() == world.invoiced());
    // Without the words the second picture is within the limit.
    world.set(Name::Anthropic, |vendor| vendor.mode = Mode::Down500);
    let answer = world.draw(ask("a red hen")).await;
    assert_eq!((word(&answer), answer.header("x-easel-attempts")), ("server_error", "2"), "{}", answer.text());
}

#[tokio::test]
async fn nothing_is_paid_for_words_that_nobody_could_draw() {
    let world = world(&["stability/core"], "", "").await;
    let refused = world.draw(ask_with("a red fox", json!({"output_format": "png", "background": "transparent"}))).await;
    assert_eq!((refused.status, refused.header("x-easel-enriched")), (400, ""), "{}", refused.text());
    assert_eq!((world.bill(Name::Anthropic).calls, world.spent()), (0, Usd::ZERO));
}

#[tokio::test]
async fn words_too_long_for_an_offer_that_could_read_the_callers_are_not_used() {
    let short = config(&["stability/core", "openai/gpt-image-2"], "", "")
        .replace("core: {price: 0.04}", "core: {price: 0.04, prompt_chars: 40}");
    let world = World::new(&short).await;
    let answer = world.draw(ask("a red fox")).await;
    assert_eq!((told(&answer), word(&answer)), (Value::Null, "too_long"));
    assert_eq!(answer.header("x-easel-served-by"), "stability/core=1");
    assert_eq!((world.spent(), cost(&answer)), (world.invoiced(), world.invoiced()), "it was paid for all the same");
    // The caller's own words are too long for the first offer, which therefore has no say.
    let answer = world.draw(ask("a red fox in a long sentence about the snow")).await;
    assert_eq!((word(&answer), answer.header("x-easel-served-by")), ("written", "openai/gpt-image-2=1"));
}

#[tokio::test]
async fn a_change_to_what_becomes_of_prompts_serves_no_old_picture() {
    let world = world(&["stability/core"], "", "").await;
    let plain = config(&["stability/core"], "", "");
    let prompt = "    prompt:\n";
    let changes = [
        plain.clone(),
        plain.replace("Rewrite the prompt.", "Rewrite the prompt in French."),
        plain.replace(prompt, "    prompt:\n      prefix: 'Studio. '\n"),
        plain.replace(prompt, "    prompt:\n      suffix: 'Studio. '\n"),
        plain.replace("claude-haiku-4-5", "claude-sonnet-4-6"),
        plain.replace("Rewrite the prompt.", "Rewrite the prompt., max_tokens: 300"),
        plain.split(prompt).next().unwrap().to_owned(),
    ];
    for (number, config) in changes.iter().enumerate() {
        world.gateway.replace(plan(config, &world.sandbox.url())).unwrap();
        for (cache, calls) in [("miss", number as u64 + 1), ("exact", number as u64 + 1)] {
            let answer = world.draw(ask("a red fox")).await;
            assert_eq!((answer.header("x-easel-cache"), world.bill(Name::Stability).calls), (cache, calls), "{config}");
        }
    }
    // What changes no picture throws none away.
    let patient = config(&["stability/core"], ", timeout: 9s, cache: false", "");
    world.gateway.replace(plan(&patient, &world.sandbox.url())).unwrap();
    assert_eq!(world.draw(ask("a red fox")).await.header("x-easel-cache"), "exact");
}

#[tokio::test]
async fn a_prefix_and_a_suffix_go_around_the_callers_words_as_they_are() {
    let config = config(&["stability/core"], "", "");
    let (before, _) = config.split_once("      enrich:").unwrap();
    let world = World::new(&format!("{before}      prefix: 'Studio photo. '\n      suffix: ' No text.'\n")).await;
    let answer = world.draw(ask("a red fox")).await;
    assert_eq!(told(&answer), "Studio photo. a red fox No text.");
    assert_eq!((answer.header("x-easel-enriched"), world.bill(Name::Anthropic).calls), ("", 0));
}

#[tokio::test]
async fn an_edit_sends_its_words_and_a_variation_has_none() {
    let config = config(&["stability/ultra"], "", "").replace("core: {price: 0.04}", "ultra: {price: 0.04}");
    let world = World::new(&config).await;
    let file = png(RgbaImage::from_fn(512, 512, |x, y| Rgba([x as u8, y as u8, 90, 255])));
    let url = format!("data:image/png;base64,{}", base64_simd::STANDARD.encode_to_string(&file));
    let body = json!({"model": "m", "prompt": "make it snow", "images": [{"image_url": url}]});
    let answer = world.client().await.post("/v1/images/edits", &body).await;
    assert_eq!((told(&answer), word(&answer)), (json!(format!("make it snow{ADDED}")), "written"));
    let mut form = b"--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x\r\n\
        content-disposition: form-data; name=\"image\"; filename=\"a.png\"\r\ncontent-type: image/png\r\n\r\n"
        .to_vec();
    form.extend_from_slice(&file);
    form.extend_from_slice(b"\r\n--x--\r\n");
    let mut client = world.client().await;
    let kind = [("content-type", "multipart/form-data; boundary=x")];
    client.send("POST", "/v1/images/variations", &kind, &form).await;
    let varied = client.receive().await.unwrap();
    assert_eq!((told(&varied), varied.header("x-easel-enriched")), (Value::Null, ""));
    assert_eq!((world.bill(Name::Anthropic).calls, world.bill(Name::Stability).calls), (1, 2));
}

/// Vendors of both sorts that go wrong in every way they know.
fn faulty() -> Settings {
    let mut settings = Settings { seed: 3, ..Settings::default() };
    for name in [Name::Anthropic, Name::Stability, Name::OpenAi] {
        let vendor = settings.vendors.get_mut(name);
        let faults = &mut vendor.faults;
        faults.error_rate = Rate::percent(5);
        faults.garbage_rate = Rate::percent(3);
        faults.truncated_rate = Rate::percent(5);
        faults.empty_rate = Rate::percent(3);
        faults.refusal_rate = Rate::percent(5);
        faults.overload_rate = Rate::percent(5);
    }
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_requests_with_faults_cost_what_both_invoices_say() {
    let patient = "breaker: {failures: 1000, pause: 1ms}\n    api_key";
    let config = config(&["stability/core", "openai/gpt-image-2"], ", timeout: 20s", "").replace("api_key", patient);
    let world = World::with(&config, faulty()).await;
    let mut running = JoinSet::new();
    for worker in 0..10u32 {
        let mut client = world.client().await;
        running.spawn(async move {
            let mut told = Vec::new();
            for number in 0..50u32 {
                let turn = worker * 50 + number;
                let cached = if turn % 3 == 0 { ", cached" } else { "" };
                let body = ask_with(&format!("picture {}{cached}", turn / 2), json!({"n": 1 + turn % 2}));
                let answer = client.post(GENERATE, &body).await;
                assert!([200, 400, 502, 503].contains(&answer.status), "{}", answer.text());
                told.push((word(&answer).to_owned(), cost(&answer)));
            }
            told
        });
    }
    let told: Vec<(String, Usd)> = running.join_all().await.into_iter().flatten().collect();
    world.settled().await;
    for vendor in [Name::Anthropic, Name::Stability, Name::OpenAi] {
        assert_eq!(world.bill(vendor).violations, Vec::<String>::new(), "{vendor}");
    }
    let claude = world.gateway.shared.ledger.totals().into_iter();
    let claude = claude.filter(|(account, _)| account.provider == "claude" && account.kind.is_invoiced());
    let claude = easel::internals::money::sum(claude.map(|(_, total)| total.usd)).unwrap();
    assert_eq!(claude, world.bill(Name::Anthropic).usd);
    assert_eq!(world.spent(), world.invoiced());
    let sum = easel::internals::money::sum(told.iter().map(|(_, cost)| *cost)).unwrap();
    assert!(sum <= world.invoiced() && sum > "5".parse().unwrap(), "{sum}");
    for expected in ["written", "cached", "refused", "max_tokens", "server_error", "malformed", "empty"] {
        assert!(told.iter().any(|(word, _)| word == expected), "nothing was {expected}");
    }
}
