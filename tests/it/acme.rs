//! A vendor that Easel has no code for, known to it by `examples/acme.yaml` alone: the file as it is handed out, only
//! its address, its key and its pause being the test's own. The sandbox speaks Acme's accent in words of its own.

use std::time::Duration;

use base64_simd::STANDARD;
use easel::Usd;
use easel::internals::ledger::SpendKind;
use easel::sandbox::{Mode, Name, Settings};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

use crate::exchange::png;
use crate::world::{World, pictures};

const EXAMPLE: &str = include_str!("../../examples/acme.yaml");

/// Acme's own price is not the one in the file, so that only what its answers tell makes the sums meet.
const ACME: &str = "
vendors:
  compatible:
    key: acme-key
    default_price: 0.017
    dialect:
      auth_header: x-acme-key
      auth_prefix: ''
      headers: {x-acme-version: '2'}
      rename: {model: engine, prompt: description, n: count, seed: settings.seed, negative_prompt: settings.avoid,
        image: source}
      nested: true
      knows: [n, seed, negative_prompt, output_format]
      extra: [safety]
      size: width_star_height
      max_n: 4
      list: output.images
      bare_items: true
      answer: base64
      created: false
      cost_at: usage.usd
      errors: message
      jobs: {id: job.id, state: job.state, address: links.self, refused: blocked, reason: error.message}
";

/// The example with what a test has to change.
fn example() -> String {
    let mut config = EXAMPLE.to_owned();
    for (theirs, ours) in [
        ("base_url: https://api.acme.example/v2/", "base_url: ${SANDBOX}/compatible/v1/"),
        ("${ACME_API_KEY}", "acme-key"),
        ("every: 500ms", "every: 5ms"),
    ] {
        assert!(config.contains(theirs), "{theirs}");
        config = config.replace(theirs, ours);
    }
    config
}

async fn acme(config: &str) -> World {
    let settings: Settings = serde_yaml::from_str(ACME).unwrap();
    World::with(config, settings).await
}

fn ask(prompt: &str, more: Value) -> Value {
    let mut body = json!({"model": "acme/acme-1", "prompt": prompt, "size": "1024x1024"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn fox() -> Value {
    let file = png(RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, 9])));
    json!([{"image_url": format!("data:image/png;base64,{}", STANDARD.encode_to_string(file))}])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_known_by_yaml_alone_draws_changes_refuses_and_fails_and_its_invoice_is_the_ledger() {
    let world = acme(&example()).await;
    let wish = json!({"n": 3, "seed": 7, "negative_prompt": "text", "output_format": "jpeg", "size": "1500x1000"});
    let drawn = world.draw(ask("a red fox", wish)).await;
    assert_eq!((drawn.status, pictures(&drawn)), (200, vec![(1536, 1024); 3]));
    assert_eq!(drawn.headers["x-easel-cost-usd"], "0.051");

    let edit = ask("a hat", json!({"images": fox(), "n": 2}));
    let changed = world.client().await.post("/v1/images/edits", &edit).await;
    assert_eq!((changed.status, pictures(&changed)), (200, vec![(1024, 1024); 2]));

    // The small model draws one a call and changes nothing.
    let four = world.draw(json!({"prompt": "a fox", "n": 4})).await;
    assert_eq!((pictures(&four).len(), four.headers["x-easel-attempts"].as_str()), (4, "4"));
    let unable = ask("a hat", json!({"model": "acme/acme-1-mini", "images": fox()}));
    assert_eq!(world.client().await.post("/v1/images/edits", &unable).await.error().0, 404);

    let refused = world.draw(ask("a forbidden fox", json!({}))).await;
    assert_eq!(refused.error(), (400, "moderation_blocked".to_owned(), String::new()));
    world.set(Name::Compatible, |vendor| vendor.mode = Mode::NoPictures);
    let failed = world.draw(ask("a fox that fails", json!({}))).await;
    assert_eq!(failed.error().0, 502, "{}", failed.text());

    world.settled().await;
    assert_eq!(world.bill(Name::Compatible).violations, [""; 0]);
    assert_eq!(world.spent(), world.invoiced());
    let totals = world.gateway.shared.ledger.totals();
    assert!(totals.iter().all(|(account, _)| account.kind != SpendKind::Uncertain), "an ended job is no open question");
    assert_eq!(world.spent(), Usd::from_nanos((3 + 2 + 4) * 17_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_may_also_be_asked_about_at_the_address_that_the_answer_gives() {
    let by_id = "id: job.id\n        path: jobs/{id}\n";
    assert!(example().contains(by_id));
    let world = acme(&example().replace(by_id, "url: links.self\n")).await;
    let drawn = world.draw(ask("a red fox", json!({"n": 2}))).await;
    assert_eq!((drawn.status, pictures(&drawn).len()), (200, 2));
    assert_eq!((world.spent(), world.bill(Name::Compatible).violations_total), (world.invoiced(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_taken_on_and_lost_is_possibly_billed() {
    let world =
        acme(&example().replace("    kind: openai_compatible\n", "    kind: openai_compatible\n    timeout: 2s\n"))
            .await;
    world.set(Name::Compatible, |vendor| vendor.latency = Duration::from_secs(3600));
    let mut client = world.client().await;
    let asking = tokio::spawn(async move { client.post(crate::world::GENERATE, &ask("a fox", json!({"n": 2}))).await });
    world.sandbox.until(Name::Compatible, |bill| bill.in_flight == 1).await;
    // From now on nobody learns how the job stands.
    world.set(Name::Compatible, |vendor| vendor.key = Some("another".to_owned()));
    assert_eq!(asking.await.unwrap().status, 502);
    let totals = world.gateway.shared.ledger.totals();
    let uncertain = totals.into_iter().find(|(account, _)| account.kind == SpendKind::Uncertain).unwrap().1;
    assert_eq!((uncertain.pictures, uncertain.usd), (2, Usd::from_nanos(40_000_000)));
    assert_eq!(world.spent(), Usd::ZERO);
}
