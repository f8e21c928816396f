//! The invoice equals what Easel recorded, to the nano-dollar.

use std::collections::BTreeMap;
use std::time::Duration;

use easel::Usd;
use easel::sandbox::{Name, PriceRow, Rate, Settings};
use serde_json::json;
use tokio::task::JoinSet;

use crate::world::{GENERATE, World, ask_with};

const CONFIG: &str = "
providers:
  openai:
    kind: openai
    base_url: ${SANDBOX}/openai/v1/
    api_key: sk-test
    timeout: 20s
    breaker: {failures: 1000, pause: 1ms}
    models:
      gpt-image-2:
        price:
          - {size: 1024x1024, quality: low, usd: 0.006000001}
          - {size: 1024x1024, quality: high, usd: 0.211}
          - {size: 1536x1024, usd: 0.041}
          - {usd: 0.05}
      dall-e-3: {price: 0.04}
  compatible:
    kind: openai_compatible
    base_url: ${SANDBOX}/compatible/v1/
    api_key: sk-test
    timeout: 20s
    breaker: {failures: 1000, pause: 1ms}
    dialect: {cost_header: x-litellm-response-cost}
    models: {any-model: {price: 0.9, formats: [png]}}
  stability:
    kind: stability
    base_url: ${SANDBOX}/stability/
    api_key: sk-test
    timeout: 20s
    breaker: {failures: 1000, pause: 1ms}
    models: {core: {price: 0.03}, stable-diffusion-xl-1024-v1-0: {price: 0.009}}
  replicate:
    kind: replicate
    base_url: ${SANDBOX}/replicate/v1/
    api_key: r8-test
    timeout: 20s
    breaker: {failures: 1000, pause: 1ms}
    models:
      black-forest-labs/flux-schnell:
        price: [{up_to: 512x512, usd: 0.0025}, {up_to: 2048x2048, usd: 0.010000003}]
routes:
  - {name: a, match: {models: [a]}, cache: false, offers: [stability/core, openai/gpt-image-2, compatible/any-model]}
  - {name: b, match: {models: [b]}, cache: false, offers: [replicate/black-forest-labs/flux-schnell, openai/dall-e-3, stability/core]}
  - {name: c, match: {models: [c]}, cache: false, offers: [openai/gpt-image-2, stability/stable-diffusion-xl-1024-v1-0, compatible/any-model]}
  - {name: d, match: {models: [d]}, cache: false, offers: [compatible/any-model, stability/stable-diffusion-xl-1024-v1-0, replicate/black-forest-labs/flux-schnell]}
";

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn row(size: Option<&str>, up_to: Option<&str>, quality: Option<&str>, price: &str) -> PriceRow {
    PriceRow {
        model: None,
        size: size.map(|text| text.parse().unwrap()),
        up_to: up_to.map(|text| text.parse().unwrap()),
        quality: quality.map(str::to_owned),
        usd: usd(price),
    }
}

/// Vendors that charge what the config says, fail one call in ten in every way they know, and refuse some.
fn settings() -> Settings {
    let mut settings = Settings { seed: 11, ..Settings::default() };
    for name in Name::ALL {
        let vendor = settings.vendors.get_mut(name);
        let faults = &mut vendor.faults;
        faults.error_rate = Rate::percent(4);
        faults.rate_limit_rate = Rate::percent(1);
        faults.retry_after = Duration::from_millis(1);
        faults.garbage_rate = Rate::percent(2);
        faults.truncated_rate = Rate::percent(2);
        faults.empty_rate = Rate::percent(1);
        faults.refusal_rate = Rate::percent(2);
    }
    let vendors = &mut settings.vendors;
    vendors.openai.price = BTreeMap::from([("dall-e-3".to_owned(), usd("0.04"))]);
    vendors.openai.price_table = vec![
        PriceRow { model: Some("dall-e-3".into()), ..row(None, None, None, "0.04") },
        row(Some("1024x1024"), None, Some("low"), "0.006000001"),
        row(Some("1024x1024"), None, Some("high"), "0.211"),
        row(Some("1536x1024"), None, None, "0.041"),
        row(None, None, None, "0.05"),
    ];
    vendors.compatible.default_price = usd("0.006000007");
    vendors.compatible.dialect.cost_header = Some("x-litellm-response-cost".to_owned());
    vendors.stability.default_price = usd("0.03");
    vendors.stability.price = BTreeMap::from([("stable-diffusion-xl-1024-v1-0".to_owned(), usd("0.009"))]);
    vendors.replicate.price_table =
        vec![row(None, Some("512x512"), None, "0.0025"), row(None, None, None, "0.010000003")];
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_mixed_requests_with_a_tenth_failing_are_recorded_to_the_nano_dollar() {
    let world = World::with(CONFIG, settings()).await;
    let mut running = JoinSet::new();
    for worker in 0..20u32 {
        let mut client = world.client().await;
        running.spawn(async move {
            let mut told = Usd::ZERO;
            for number in 0..50u32 {
                let turn = worker * 50 + number;
                let model = ["a", "b", "c", "d"][turn as usize % 4];
                let size = ["1024x1024", "1536x1024", "1024x1024"][turn as usize % 3];
                let quality = ["low", "high", "auto"][turn as usize / 3 % 3];
                let n = [1, 1, 1, 2, 3][turn as usize % 5];
                let word = if turn % 41 == 0 { " blurred" } else { "" };
                let body = json!({"model": model, "size": size, "quality": quality, "n": n});
                let answer = client.post(GENERATE, &ask_with(&format!("picture {turn}{word}"), body)).await;
                assert!([200, 400, 429, 502, 503].contains(&answer.status), "{}", answer.text());
                told = told.checked_add(usd(answer.header("x-easel-cost-usd"))).unwrap();
            }
            told
        });
    }
    let told = easel::internals::money::sum(running.join_all().await).unwrap();
    world.settled().await;
    let invoice = world.sandbox.invoice();
    for name in Name::ALL {
        assert_eq!(invoice.vendor(name).violations, Vec::<String>::new(), "{name}");
        let recorded = world.gateway.shared.ledger.totals();
        let recorded = recorded.into_iter();
        let recorded = recorded.filter(|(account, _)| account.provider == name.as_str() && account.kind.is_invoiced());
        let recorded = easel::internals::money::sum(recorded.map(|(_, total)| total.usd)).unwrap();
        assert_eq!(recorded, invoice.vendor(name).usd, "{name}");
    }
    assert_eq!(world.spent(), world.invoiced());
    // A refusal goes back before the calls beside it have ended, so an answer may know less than the ledger.
    assert!(told <= world.invoiced() && told > usd("10"), "{told}");
    assert!(world.invoiced() > usd("10"), "most of it was drawn: {}", world.invoiced());
}

#[tokio::test]
async fn a_resellers_markup_is_on_a_price_that_is_reported_too() {
    let config = CONFIG.replace("    dialect: {cost_header", "    markup: 5.5%\n    dialect: {cost_header");
    let mut settings = Settings::default();
    settings.vendors.compatible.default_price = usd("0.006000007");
    settings.vendors.compatible.dialect.cost_header = Some("x-litellm-response-cost".to_owned());
    let world = World::with(&config, settings).await;
    let answer = world.draw(ask_with("a fox", json!({"model": "d"}))).await;
    // 0.006000007 and 5.5% of it, rounded to the nano-dollar.
    assert_eq!(answer.header("x-easel-cost-usd"), "0.006330007", "{}", answer.text());
    assert_eq!((world.spent(), world.invoiced()), (usd("0.006330007"), usd("0.006000007")));
}
