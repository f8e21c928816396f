//! What a provider sends, taken by the sandbox that reads the same documents with other eyes; and its price, told and
//! charged alike.
//!
//! The provider's own two functions are used, without the gateway: what the sandbox refuses here, the vendor would.

use bytes::Bytes;
use easel::internals::capabilities::{SizeTolerance, Unsupported};
use easel::internals::config::plan::Provider;
use easel::internals::provider::{JobResult, PictureSource, Reported, Step, by_kind, capabilities};
use easel::internals::request::{Edit, Fidelity, Mask};
use easel::sandbox::{Name, Sandbox, Settings};
use easel::{ImageRequest, Picture, Plan, Usd};
use serde_json::{Value, json};

use crate::exchange::{exchange, half_clear, job};
use crate::world::{World, ask_with, plan};

const CONFIG: &str = "
providers:
  openai:
    kind: openai
    base_url: ${SANDBOX}/openai/v1/
    api_key: sk-test
    models: {gpt-image-2.6-flare: {price: 0.04}, gpt-image-1-mini: {price: 0.04}, dall-e-2: {price: 0.04}}
  compatible:
    kind: openai_compatible
    base_url: ${SANDBOX}/compatible/v1/
    api_key: sk-test
    dialect: {edit_path: images/edits}
    models: {any-model: {price: 0.04}}
  azure:
    kind: azure
    base_url: ${SANDBOX}/azure/
    api_key: az-test
    models: {pictures-gpt-image-1: {price: 0.04, model_family: gpt-image-1}}
  azure-v1:
    kind: azure
    base_url: ${SANDBOX}/azure/
    api_key: az-test
    api_version: v1
    models: {gpt-image-1: {price: 0.04}}
  openrouter:
    kind: openrouter
    base_url: ${SANDBOX}/openrouter/api/v1/
    api_key: sk-or-test
    models:
      openai/gpt-image-2: {price: 0.04}
      google/gemini-3.1-flash-image: {price: 0.04}
      black-forest-labs/flux.2-pro: {price: 0.04, via: chat}
  google:
    kind: google
    base_url: ${SANDBOX}/google/v1beta/
    api_key: AIza-test
    models:
      gemini-3.1-flash-image: {price: 0.04}
      gemini-2.5-flash-image: {price: 0.04}
routes:
  - {name: azure, match: {models: [azure]}, offers: [azure/pictures-gpt-image-1]}
  - {name: openrouter, match: {models: [openrouter]}, offers: [openrouter/openai/gpt-image-2]}
  - {name: chat, match: {models: [chat]}, offers: [openrouter/black-forest-labs/flux.2-pro]}
";

async fn sandbox(settings: &str) -> (Sandbox, Plan) {
    let settings: Settings = serde_yaml::from_str(settings).unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
    let plan = plan(CONFIG, &sandbox.url());
    (sandbox, plan)
}

fn edit(images: usize, mask: bool) -> Edit {
    let mask = mask.then(|| Mask { clear: half_clear(64, 64), white: Bytes::new() });
    Edit { images: vec![half_clear(64, 64); images], mask, fidelity: Some(Fidelity::High) }
}

/// Asks a provider's model as the gateway would, sends it, and reads the answer.
async fn draw(sandbox: &Sandbox, provider: &Provider, model: &str, wish: &Value, edit: Option<Edit>) -> JobResult {
    let kind = by_kind(provider.kind).unwrap();
    let model = &provider.models[model];
    let mut request = ImageRequest::from_json(wish.to_string().as_bytes()).unwrap();
    request.edit = edit;
    let job = job(provider, model, &request);
    let reply = exchange(sandbox, &kind.ask(&job).unwrap()).await;
    let told = String::from_utf8_lossy(&reply.body).into_owned();
    match kind.read(&job, &reply) {
        Step::Done(drawn) => drawn,
        other => panic!("{} {}: {other:?}: {}", provider.name, model.name, &told[..told.len().min(500)]),
    }
}

fn sizes(drawn: &JobResult) -> Vec<String> {
    let size = |source: &PictureSource| match source {
        PictureSource::Inline(encoded) => Picture::inspect(encoded.clone()).unwrap().size.to_string(),
        PictureSource::Link(url) => panic!("a link: {url}"),
    };
    drawn.images.iter().map(|found| size(&found.source)).collect()
}

/// Everything a caller may wish of each model that takes it.
fn wishes() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    let gpt = json!({"prompt": "a red fox", "n": 2, "quality": "low", "output_format": "webp", "output_compression": 80,
        "background": "transparent", "moderation": "low", "style": "vivid", "complexity": "low", "user": "u",
        "size": "1536x1024"});
    let shape = json!({"prompt": "a red fox", "size": "1280x1280", "seed": 7, "quality": "low", "style": "vivid"});
    vec![
        ("openai", "gpt-image-2.6-flare", gpt.clone(), "1536x1024"),
        ("openai", "gpt-image-1-mini", gpt.clone(), "1536x1024"),
        ("openai", "dall-e-2", json!({"prompt": "x", "n": 2, "size": "512x512", "user": "u"}), "512x512"),
        ("compatible", "any-model", json!({"prompt": "x", "n": 2, "size": "320x256", "user": "u"}), "320x256"),
        ("azure", "pictures-gpt-image-1", gpt.clone(), "1536x1024"),
        ("azure-v1", "gpt-image-1", gpt.clone(), "1536x1024"),
        ("openrouter", "openai/gpt-image-2", gpt, "1536x1024"),
        ("openrouter", "google/gemini-3.1-flash-image", shape.clone(), "2048x2048"),
        ("openrouter", "black-forest-labs/flux.2-pro", shape.clone(), "2048x2048"),
        ("google", "gemini-3.1-flash-image", shape.clone(), "2048x2048"),
        ("google", "gemini-2.5-flash-image", shape, "1024x1024"),
    ]
}

fn name(provider: &str) -> Name {
    match provider {
        "openai" => Name::OpenAi,
        "compatible" => Name::Compatible,
        "openrouter" => Name::OpenRouter,
        "google" => Name::Google,
        _ => Name::Azure,
    }
}

#[tokio::test]
async fn every_wish_is_sent_in_a_form_that_the_strict_vendor_takes_and_is_charged_as_told() {
    let (sandbox, plan) = sandbox("{vendors: {openrouter: {default_price: 0.000000301}}}").await;
    for (provider, model, wish, size) in wishes() {
        sandbox.reset();
        let drawn = draw(&sandbox, &plan.providers[provider], model, &wish, None).await;
        let pictures = wish["n"].as_u64().unwrap_or(1);
        assert_eq!(sizes(&drawn), vec![size; pictures as usize], "{provider}/{model}");
        let bill = sandbox.invoice().vendor(name(provider)).clone();
        assert_eq!((bill.pictures, &bill.violations[..]), (pictures, &[][..]), "{provider}/{model}");
        let reported = drawn.usage.reported.map(|reported| match reported {
            Reported::Dollars(text) => Usd::rounded(&text).unwrap(),
            other => panic!("{other:?}"),
        });
        assert_eq!(reported, (provider == "openrouter").then_some(bill.usd), "{provider}/{model}");
    }
}

#[tokio::test]
async fn every_edit_is_sent_in_a_form_that_the_strict_vendor_takes() {
    let (sandbox, plan) = sandbox("{}").await;
    for (provider, model, mut wish, size) in wishes() {
        let provider = &plan.providers[provider];
        let able =
            capabilities(by_kind(provider.kind).unwrap(), &provider.account, &provider.models[model]).edit.unwrap();
        // JPEG and WebP are none the worse for a transparent background that nobody asked for.
        wish.as_object_mut().unwrap().remove("background");
        for (images, mask) in [(1, false), (usize::from(able.images), false), (1, true)] {
            if mask && !able.mask {
                continue;
            }
            sandbox.reset();
            let drawn = draw(&sandbox, provider, model, &wish, Some(edit(images, mask))).await;
            assert_eq!(sizes(&drawn)[0], size, "{}/{model}", provider.name);
            let bill = sandbox.invoice().vendor(name(&provider.name)).clone();
            assert_eq!(bill.violations, [""; 0], "{}/{model}", provider.name);
            assert_eq!(bill.pictures, wish["n"].as_u64().unwrap_or(1), "{}/{model}", provider.name);
        }
    }
}

#[tokio::test]
async fn a_model_that_takes_no_mask_is_not_asked_with_one() {
    let (_sandbox, plan) = sandbox("{}").await;
    let provider = &plan.providers["openrouter"];
    let mut request = ImageRequest::from_json(br#"{"prompt":"x"}"#).unwrap();
    request.edit = Some(edit(1, true));
    for model in provider.models.values() {
        let able = capabilities(by_kind("openrouter").unwrap(), &provider.account, model);
        assert_eq!(
            able.fit(&request, SizeTolerance { tolerance_ppm: 0, strict: false }),
            Err(Unsupported::Mask),
            "{}",
            model.name
        );
    }
}

#[tokio::test]
async fn what_azure_and_openrouter_charge_is_what_the_ledger_says() {
    let settings =
        serde_yaml::from_str("{vendors: {azure: {default_price: 0.04}, openrouter: {default_price: 0.000000301}}}");
    let world = World::with(CONFIG, settings.unwrap()).await;
    for model in ["azure", "openrouter", "chat"] {
        let answer = world.draw(ask_with("a red fox", json!({"model": model, "n": 3}))).await;
        assert_eq!((answer.status, answer.json()["data"].as_array().map(Vec::len)), (200, Some(3)), "{model}");
        assert_eq!(world.spent(), world.invoiced(), "{model}");
    }
    // Three at Azure's price, six at a price that only OpenRouter's answers tell.
    assert_eq!(world.spent(), Usd::from_nanos(120_000_000 + 6 * 301));
    let refused = world.draw(ask_with("forbidden", json!({"model": "openrouter"}))).await;
    assert_eq!(refused.error(), (400, "moderation_blocked".to_owned(), String::new()));
    let refused = world.draw(ask_with("forbidden too", json!({"model": "chat"}))).await;
    assert_eq!(refused.error(), (400, "moderation_blocked".to_owned(), String::new()));
    assert_eq!(world.spent(), world.invoiced());
}
