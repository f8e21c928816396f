//! Vertex AI's tokens over HTTP: one for everybody, a fresh one when it is refused, and none of it in an answer.
//!
//! The sandbox reads the signed statements claim by claim, with a key that opens nothing anywhere.

use easel::Usd;
use easel::sandbox::{Name, Settings};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::world::{World, ask, ask_with};

const KEY: &str = include_str!("google_key.pem");

const CONFIG: &str = "
providers:
  vertex:
    kind: google
    base_url: ${SANDBOX}/google/
    project: p1
    location: global
    credentials: 'CREDENTIALS'
    models: {gemini-3.1-flash-image: {price: 0.04}}
  gemini:
    kind: google
    base_url: ${SANDBOX}/google/v1beta/
    api_key: AIza-test-key
    models: {gemini-3.1-flash-image: {price: 0.04}, imagen-4.0-generate-001: {price: 0.04}}
routes:
  - {name: vertex, match: {models: [m]}, offers: [vertex/gemini-3.1-flash-image]}
  - {name: gemini, match: {models: [g]}, offers: [gemini/gemini-3.1-flash-image]}
  - {name: imagen, match: {models: [i]}, offers: [gemini/imagen-4.0-generate-001]}
";

/// A world whose service account, `CREDENTIALS` in the config, asks the sandbox for tokens. The sandbox's port is known
/// only when it listens, so the account stands in a config that replaces the first.
pub async fn with_account(config: &str, settings: Settings) -> World {
    let world = World::with(&config.replace("CREDENTIALS", "metadata"), settings).await;
    let account = json!({"type": "service_account", "client_email": "easel@p1.iam.gserviceaccount.com",
        "private_key_id": "k1", "private_key": KEY, "token_uri": format!("{}/google/token", world.sandbox.url())});
    let config = config.replace("CREDENTIALS", &account.to_string());
    world.gateway.replace(crate::world::plan(&config, &world.sandbox.url())).unwrap();
    world
}

async fn world(settings: &str) -> World {
    with_account(CONFIG, serde_yaml::from_str(settings).unwrap()).await
}

fn different(number: u32) -> Value {
    ask(&format!("a red fox, number {number}"))
}

#[tokio::test]
async fn twenty_requests_at_once_share_one_token_and_later_ones_keep_it() {
    let world = world("{}").await;
    let answers = join_all((0..20).map(|number| world.draw(different(number)))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{}", answers[0].text());
    assert_eq!(world.sandbox.tokens(Name::Google), 1);
    assert_eq!(world.draw(different(20)).await.status, 200);
    assert_eq!(world.sandbox.tokens(Name::Google), 1);
    let bill = world.bill(Name::Google);
    assert_eq!((bill.pictures, &bill.violations[..]), (21, &[][..]));
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_refused_token_is_replaced_and_the_call_made_once_more() {
    let world = world("{}").await;
    assert_eq!(world.draw(different(1)).await.status, 200);
    world.sandbox.revoke_tokens(Name::Google);
    assert_eq!(world.draw(different(2)).await.status, 200);
    assert_eq!(world.sandbox.tokens(Name::Google), 2);
    assert_eq!(world.bill(Name::Google).violations_total, 1, "the old token was sent once");
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_token_that_is_refused_again_is_not_tried_a_third_time() {
    let world = world("{vendors: {google: {token_life: 0s}}}").await;
    let answer = world.draw(different(1)).await;
    assert!(answer.status >= 500, "{}: {}", answer.status, answer.text());
    assert_eq!(world.bill(Name::Google).violations_total, 2);
    for secret in ["ya29", "BEGIN PRIVATE KEY", "gserviceaccount", "AIza"] {
        assert!(!answer.text().contains(secret), "{secret}: {}", answer.text());
    }
    assert_eq!(world.spent(), Usd::ZERO);
}

#[tokio::test]
async fn the_gemini_api_is_asked_with_a_key_that_no_answer_shows() {
    let world = world("{vendors: {google: {key: AIza-test-key}}}").await;
    let answer = world.draw(ask_with("a fox", json!({"model": "i", "n": 4}))).await;
    assert_eq!((answer.status, answer.json()["data"].as_array().map(Vec::len)), (200, Some(4)), "{}", answer.text());
    let refused = world.draw(ask_with("forbidden", json!({"model": "i"}))).await;
    assert_eq!(refused.error().1, "moderation_blocked");
    // Last, because a key that is refused pauses its provider.
    world.set(Name::Google, |vendor| vendor.key = Some("AIza-another".to_owned()));
    let answer = world.draw(ask_with("a hen", json!({"model": "g"}))).await;
    assert!(answer.status >= 500 && !answer.text().contains("AIza"), "{}", answer.text());
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test]
async fn a_picture_costs_what_its_tier_costs_in_every_shape() {
    let rows = [("512x512", "0.045"), ("1024x1024", "0.067"), ("2048x2048", "0.101"), ("4096x4096", "0.151")];
    let rows = |key: &str| rows.map(|(size, usd)| format!("{{{key}: {size}, usd: {usd}}}")).join(", ");
    let config = format!(
        "
providers:
  gemini:
    kind: google
    base_url: ${{SANDBOX}}/google/v1beta/
    api_key: AIza-test-key
    models: {{gemini-3.1-flash-image: {{price: [{}]}}}}
routes:
  - {{name: all, match: {{models: [m]}}, offers: [gemini/gemini-3.1-flash-image]}}
  - name: cheap
    match: {{models: [cheap]}}
    offers: [gemini/gemini-3.1-flash-image]
    price: {{max_usd_per_image: 0.067}}
",
        rows("up_to")
    );
    let settings = format!("{{vendors: {{google: {{price_table: [{}]}}}}}}", rows("size"));
    let world = World::with(&config, serde_yaml::from_str(&settings).unwrap()).await;
    for (size, usd) in [
        ("512x512", "0.045"),
        ("1024x1024", "0.067"),
        ("1280x720", "0.067"),
        ("1376x768", "0.067"),
        ("1200x896", "0.067"),
        ("1536x1024", "0.101"),
        ("3840x2160", "0.151"),
        ("auto", "0.067"),
    ] {
        let answer = world.draw(ask_with("a fox", json!({"size": size}))).await;
        assert_eq!((answer.status, answer.header("x-easel-cost-usd")), (200, usd), "{size}: {}", answer.text());
        let capped = world.draw(ask_with("a hen", json!({"size": size, "model": "cheap"}))).await;
        let status = if usd <= "0.067" { 200 } else { 400 };
        assert_eq!(capped.status, status, "{size} under a threshold of $0.067: {}", capped.text());
    }
    assert_eq!(world.bill(Name::Google).violations, [""; 0]);
    assert_eq!(world.spent(), world.invoiced());
}
