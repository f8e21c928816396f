//! Every kind of price a vendor can charge by: what it puts on its invoice is what Easel has in its ledger.

use base64_simd::STANDARD;
use easel::Usd;
use easel::internals::money;
use easel::internals::store::report::{ReportBy, ReportQuery};
use easel::sandbox::{Name, Rate, Rates, Settings};
use image::{Rgba, RgbaImage};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::exchange;
use crate::world::{GENERATE, World};

const EDIT: &str = "/v1/images/edits";

/// Requests for each kind of price.
const REQUESTS: usize = 60;

/// Clients that share them.
const WORKERS: usize = 4;

/// One provider for each kind of price, each behind a route of its name.
const CONFIG: &str = "
providers:
  openai:
    kind: openai
    base_url: ${SANDBOX}/openai/v1/
    api_key: sk-test
    breaker: {failures: 1000, pause: 1ms}
    models:
      gpt-image-2:
        price:
          tokens_per_million: {text_in: 5.0007, text_cached_in: 1.25, image_in: 8.0003, image_out: 30.0009, text_out: 10}
          estimate: [{quality: low, usd: 0.02}, {usd: 0.3}]
        addons: {input_image: 0.01}
  azure:
    kind: azure
    base_url: ${SANDBOX}/azure/
    api_key: any
    breaker: {failures: 1000, pause: 1ms}
    models:
      gpt-image-1:
        price:
          tokens_per_million: {text_in: 5, text_cached_in: 1.25, image_in: 10, image_out: 40, text_out: 10}
          estimate: 0.4
        multiplier: 50%
  google:
    kind: google
    base_url: ${SANDBOX}/google/v1beta/
    api_key: any
    breaker: {failures: 1000, pause: 1ms}
    models:
      gemini-3.1-flash-image:
        price:
          tokens_per_million: {text_in: 0.5, text_cached_in: 0.0501, image_in: 0.5003, image_out: 60, text_out: 3}
          estimate: [{size: 512, usd: 0.05}, {size: 1K, usd: 0.07}, {usd: 0.2}]
  replicate:
    kind: replicate
    base_url: ${SANDBOX}/replicate/v1/
    api_key: r8-test
    breaker: {failures: 1000, pause: 1ms}
    models:
      black-forest-labs/flux-schnell:
        price: {per_second: {gpu-l40s: 0.000975001, gpu-h100: 0.001525}, hardware: gpu-l40s, estimate: 0.02}
  fal:
    kind: fal
    base_url: ${SANDBOX}/fal/
    api_key: any
    breaker: {failures: 1000, pause: 1ms}
    models:
      fal-ai/flux/schnell: {price: {per_megapixel: 0.003000001, round: nearest}, unit_price: 0.003000001}
  bfl:
    kind: bfl
    base_url: ${SANDBOX}/bfl/
    api_key: any
    breaker: {failures: 1000, pause: 1ms}
    models:
      flux-2-pro: {price: {first_megapixel: 0.03, extra_megapixel: 0.0150007, input_megapixel: 0.0100003, round: exact}}
  compatible:
    kind: openai_compatible
    base_url: ${SANDBOX}/compatible/v1/
    api_key: sk-test
    breaker: {failures: 1000, pause: 1ms}
    models:
      any-model: {price: {per_step: 0.000350001, per_tile: 0.000053, steps: 4}, formats: [png], sizes: any}
routes:
  - {name: openai, match: {models: [openai]}, cache: false, offers: [openai/gpt-image-2]}
  - {name: azure, match: {models: [azure]}, cache: false, offers: [azure/gpt-image-1]}
  - {name: google, match: {models: [google]}, cache: false, offers: [google/gemini-3.1-flash-image]}
  - {name: replicate, match: {models: [replicate]}, cache: false, offers: [replicate/black-forest-labs/flux-schnell]}
  - {name: fal, match: {models: [fal]}, cache: false, offers: [fal/fal-ai/flux/schnell]}
  - {name: bfl, match: {models: [bfl]}, cache: false, offers: [bfl/flux-2-pro]}
  - {name: compatible, match: {models: [compatible]}, cache: false, offers: [compatible/any-model]}
";

/// The same prices, as each vendor writes them.
const RATES: [(Name, &str); 7] = [
    (
        Name::OpenAi,
        "image_tokens: {gpt-image-2: {text_in: 5.0007, text_cached_in: 1.25, image_in: 8.0003, image_out: 30.0009, text_out: 10}}",
    ),
    // Half of the list price, which is what was agreed.
    (
        Name::Azure,
        "image_tokens: {gpt-image-1: {text_in: 2.5, text_cached_in: 0.625, image_in: 5, image_out: 20, text_out: 5}}",
    ),
    (
        Name::Google,
        "image_tokens: {gemini-3.1-flash-image: {text_in: 0.5, text_cached_in: 0.0501, image_in: 0.5003, image_out: 60, text_out: 3}}",
    ),
    (Name::Replicate, "per_second: {black-forest-labs/flux-schnell: 0.000975001}"),
    (Name::Fal, "per_megapixel: {fal-ai/flux/schnell: {usd: 0.003000001, round: nearest}}"),
    (Name::Bfl, "per_megapixel: {flux-2-pro: {usd: 0.03, extra: 0.0150007, input: 0.0100003, round: exact}}"),
    (Name::Compatible, "per_step: {any-model: {usd: 0.000350001, tile: 0.000053, steps: 4}}"),
];

/// Vendors that charge so, and fail about one call in eight in every way they know.
fn settings(tells_cost: bool, faulty: bool) -> Settings {
    let mut settings = Settings { seed: 7, ..Settings::default() };
    for (name, rates) in RATES {
        let vendor = settings.vendors.get_mut(name);
        vendor.rates = serde_yaml::from_str::<Rates>(rates).unwrap();
        vendor.tells_cost = tells_cost;
        if faulty {
            // A limit that is reached pauses an offer, and there is no other here.
            let faults = &mut vendor.faults;
            faults.error_rate = Rate::percent(3);
            faults.garbage_rate = Rate::percent(2);
            faults.truncated_rate = Rate::percent(2);
            faults.empty_rate = Rate::percent(1);
            faults.refusal_rate = Rate::percent(3);
        }
    }
    settings
}

/// The request of this turn: another size, quality and number each time, some with a word that the vendor minds.
fn request(model: &str, turn: usize) -> (&'static str, Value) {
    let size = ["512x512", "1024x1024", "1024x768", "768x1024"][turn % 4];
    let size = if matches!(model, "openai" | "azure") { ["1024x1024", "1536x1024"][turn % 2] } else { size };
    let word = ["", " cached by the way", " thinking", " withheld", ""][turn % 5];
    let word = if turn % 17 == 3 { " forbidden" } else { word };
    let prompt = format!("picture {turn} for {model}{word}");
    let mut body = json!({"model": model, "prompt": prompt, "size": size, "n": 1 + usize::from(turn % 3 == 2)});
    if matches!(model, "openai" | "azure") {
        body["quality"] = json!(["low", "medium", "high"][turn / 2 % 3]);
    }
    let edits = matches!(model, "openai" | "azure" | "google" | "bfl") && turn.is_multiple_of(4);
    if !edits {
        return (GENERATE, body);
    }
    let side = 300 + 50 * u32::try_from(turn).unwrap();
    let file = exchange::png(RgbaImage::from_pixel(side, 600, Rgba([200, 30, 30, 255])));
    let picture = json!({"image_url": format!("data:image/png;base64,{}", STANDARD.encode_to_string(file))});
    body["images"] = if turn.is_multiple_of(8) { json!([picture, picture]) } else { json!([picture]) };
    (EDIT, body)
}

/// Asks each vendor so often, all vendors at once; what the answers said they cost, in all.
async fn ask_all(world: &World) -> Usd {
    let mut asking = JoinSet::new();
    for (name, worker) in RATES.iter().flat_map(|(name, _)| (0..WORKERS).map(|worker| (*name, worker))) {
        let mut client = world.client().await;
        asking.spawn(async move {
            let mut told = Usd::ZERO;
            for turn in (worker..REQUESTS).step_by(WORKERS) {
                let (path, body) = request(name.as_str(), turn);
                let answer = client.post(path, &body).await;
                assert!([200, 400, 429, 502, 503].contains(&answer.status), "{name} {body}: {}", answer.text());
                told = told.checked_add(answer.header("x-easel-cost-usd").parse().unwrap()).unwrap();
            }
            told
        });
    }
    money::sum(asking.join_all().await).unwrap()
}

fn recorded(world: &World, name: Name) -> Usd {
    let totals = world.gateway.shared.ledger.totals().into_iter();
    let invoiced = totals.filter(|(account, _)| account.provider == name.as_str() && account.kind.is_invoiced());
    money::sum(invoiced.map(|(_, total)| total.usd)).unwrap()
}

async fn agree(world: &World) {
    let told = ask_all(world).await;
    world.settled().await;
    for (name, _) in RATES {
        let bill = world.bill(name);
        assert_eq!(bill.violations, Vec::<String>::new(), "{name}");
        assert!(bill.pictures > REQUESTS as u64 / 2, "most of it was drawn: {name} {bill:?}");
        assert_eq!(recorded(world, name), bill.usd, "{name}");
    }
    assert_eq!(world.spent(), world.invoiced());
    assert!(told <= world.invoiced(), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_price_is_recorded_to_the_nano_dollar_where_the_vendor_tells_what_it_can() {
    agree(&World::with(CONFIG, settings(true, true)).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn megapixels_are_recorded_to_the_nano_dollar_where_the_vendor_tells_nothing() {
    agree(&World::with(CONFIG, settings(false, true)).await).await;
}

#[tokio::test]
async fn a_stream_is_charged_by_the_tokens_that_its_end_tells() {
    let world = World::with(CONFIG, settings(true, false)).await;
    let body = json!({"model": "openai", "prompt": "a fox", "size": "1024x1024", "quality": "low", "n": 2,
        "stream": true, "partial_images": 1});
    assert_eq!(world.draw(body).await.status, 200);
    world.settled().await;
    assert_eq!(world.spent(), world.invoiced());
    // Twice 9 tokens read and 272 drawn.
    assert_eq!(world.spent(), "0.016410502".parse().unwrap());
    assert_eq!(sources(&world), ["usage"]);
}

#[tokio::test]
async fn what_was_refused_after_it_was_drawn_is_charged_by_its_tokens_and_what_failed_by_its_seconds() {
    let world = World::with(CONFIG, settings(true, false)).await;
    let answer = world.draw(json!({"model": "google", "prompt": "a withheld fox", "size": "1024x1024"})).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    // 4 tokens read and 1120 drawn.
    assert_eq!(answer.header("x-easel-cost-usd"), "0.067202");
    let answer = world.draw(json!({"model": "replicate", "prompt": "a forbidden fox", "size": "1024x1024"})).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert!(recorded(&world, Name::Replicate) > Usd::ZERO);
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_token_without_a_price_leaves_the_call_to_its_estimate_and_a_fee_is_once_on_each_charged_call() {
    let config = CONFIG
        .replace(
            "{text_in: 5.0007, text_cached_in: 1.25, image_in: 8.0003, image_out: 30.0009, text_out: 10}",
            "{image_out: 30}",
        )
        .replace("base_url: ${SANDBOX}/openai/v1/", "base_url: ${SANDBOX}/openai/v1/\n    markup: 10%\n    fee: 0.001");
    let world = World::with(&config, settings(true, false)).await;
    let ask =
        |prompt: &str| json!({"model": "openai", "prompt": prompt, "size": "1024x1024", "quality": "low", "n": 2});
    let answer = world.draw(ask("a fox")).await;
    // Twice the estimate of 0.02 and 10% of it, and one call's fee.
    assert_eq!(answer.header("x-easel-cost-usd"), "0.045", "{}", answer.text());
    let refused = world.draw(ask("a forbidden fox")).await;
    assert_eq!((refused.status, refused.header("x-easel-cost-usd")), (400, "0"), "{}", refused.text());
    assert_eq!(world.spent(), "0.045".parse().unwrap());
    assert_eq!(sources(&world), ["estimate", "nothing"]);
}

/// Where the amounts in the ledger come from, each word once.
fn sources(world: &World) -> Vec<String> {
    let query = ReportQuery { by: vec![ReportBy::Source], ..ReportQuery::default() };
    let rows = world.gateway.shared.durable_ledger.store().report(&query).unwrap();
    rows.into_iter().map(|row| row.keys[0].clone()).collect()
}

#[tokio::test]
async fn the_ledger_says_of_each_amount_whether_it_was_told_counted_or_looked_up() {
    let world = World::with(CONFIG, settings(true, false)).await;
    let mut told = Vec::new();
    for model in ["fal", "openai", "compatible"] {
        let answer = world.draw(json!({"model": model, "prompt": "a fox", "size": "1024x1024"})).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        told = sources(&world);
    }
    assert_eq!(told, ["reported", "table", "usage"]);
}
