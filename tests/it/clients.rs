//! Clients with keys of their own: who is let in, to what, and how much of it.

use easel::sandbox::Name;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::world::{GENERATE, PROVIDERS, World, ask, ask_with};

fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Two clients: `web` on one of two routes, with limits, and `batch` on both.
fn config() -> String {
    let (web, old, batch) = (hash("web-key"), hash("old-web-key"), hash("batch-key"));
    format!(
        "{PROVIDERS}
clients:
  - name: web
    key_sha256: [{web}, {old}]
    routes: [r]
    max_usd_per_image: 0.05
    max_usd_per_request: 0.1
    rate: {{images_per_minute: 4}}
  - {{name: batch, key_sha256: {batch}}}
routes:
  - {{name: r, match: {{models: [m]}}, offers: [stability/core]}}
  - {{name: dear, match: {{models: [dear]}}, offers: [openai/dall-e-3]}}
"
    )
}

#[tokio::test]
async fn only_who_has_a_key_is_let_in_and_nobody_is_told_how_near_a_guess_came() {
    let world = World::new(&config()).await;
    let bare = world.draw(ask("a fox")).await;
    assert_eq!(bare.error(), (401, "invalid_api_key".into(), String::new()));
    for wrong in ["Bearer web-ke", "Bearer ", "Basic web-key", "web-key"] {
        let answer = world.draw_with(ask("a fox"), &[("authorization", wrong)]).await;
        assert_eq!(answer.error().0, 401, "{wrong}");
        assert!(!answer.text().contains("web-ke"), "{}", answer.text());
        // By these words LiteLLM knows what it is.
        let told = answer.text().contains("Incorrect API key provided: ");
        assert_eq!(told, wrong == "Bearer web-ke", "{}", answer.text());
    }
    assert_eq!(world.client().await.get("/v1/models").await.status, 401);
    for key in ["Bearer web-key", "Bearer old-web-key", "bearer batch-key"] {
        assert_eq!(world.draw_with(ask("a fox"), &[("authorization", key)]).await.status, 200, "{key}");
    }
}

#[tokio::test]
async fn a_client_sees_and_uses_its_own_routes_alone() {
    let world = World::new(&config()).await;
    let no = world.draw_with(ask_with("a fox", json!({"model": "dear"})), &[("authorization", "Bearer web-key")]).await;
    assert_eq!(no.error(), (403, "route_not_allowed".into(), "model".into()));
    let mut client = world.client().await;
    client.send("GET", "/v1/models", &[("authorization", "Bearer web-key")], b"").await;
    let models = client.receive().await.unwrap().json();
    let names: Vec<&str> =
        models["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(names, ["m", "stability/core"]);
    let yes =
        world.draw_with(ask_with("a fox", json!({"model": "dear"})), &[("authorization", "Bearer batch-key")]).await;
    assert_eq!(yes.status, 200);
}

#[tokio::test]
async fn what_one_client_had_drawn_is_not_served_to_another() {
    let world = World::new(&config()).await;
    for (key, cache) in [("web-key", "miss"), ("batch-key", "miss"), ("web-key", "exact")] {
        let answer = world.draw_with(ask("a fox"), &[("authorization", &format!("Bearer {key}"))]).await;
        assert_eq!(answer.header("x-easel-cache"), cache, "{key}");
    }
    assert_eq!(world.bill(Name::Stability).pictures, 2);
}

#[tokio::test]
async fn a_client_may_ask_for_so_many_pictures_a_minute_and_no_more() {
    let world = World::new(&config()).await;
    let web = [("authorization", "Bearer web-key")];
    let too_many = world.draw_with(ask_with("a fox", json!({"n": 5})), &web).await;
    assert_eq!(too_many.error(), (400, "client_rate_limit".into(), "n".into()));
    // Over the price cap of the client, so nothing is drawn, and nothing of the rate is used up.
    let dear = world.draw_with(ask_with("a fox", json!({"n": 4})), &web).await;
    assert_eq!(dear.error().1, "price_limit");
    for prompt in ["a fox", "a cat"] {
        assert_eq!(world.draw_with(ask_with(prompt, json!({"n": 2})), &web).await.status, 200);
    }
    let limited = world.draw_with(ask("a dog"), &web).await;
    assert_eq!(limited.error(), (429, "client_rate_limit".into(), String::new()));
    let wait: u64 = limited.header("retry-after").parse().unwrap();
    assert!((1..=15).contains(&wait), "{wait}");
    assert_eq!(limited.header("x-should-retry"), "");
    assert_eq!(world.draw_with(ask("a dog"), &[("authorization", "Bearer batch-key")]).await.status, 200);
}

#[tokio::test]
async fn a_clients_own_limits_hold_beside_the_routes() {
    let world = World::new(&config()).await;
    let web = [("authorization", "Bearer web-key")];
    let dear = world.draw_with(ask_with("a fox", json!({"n": 3})), &web).await;
    assert_eq!(dear.error().1, "price_limit");
    assert!(dear.text().contains("0.12 USD, over the limit of 0.1 USD of this client"), "{}", dear.text());
    assert_eq!(world.draw_with(ask_with("a fox", json!({"n": 2})), &web).await.status, 200);
}

#[tokio::test]
async fn a_caller_may_name_the_most_it_will_pay_and_is_never_charged_more() {
    let world = World::new(&crate::world::route(&["openai/dall-e-3", "stability/core"])).await;
    let cap = |usd: &'static str| [("x-easel-max-usd", usd)];
    let dear = world.draw_with(ask_with("a fox", json!({"n": 3})), &cap("0.119999999")).await;
    assert_eq!(dear.error(), (400, "price_limit".into(), "x-easel-max-usd".into()));
    let text = dear.text();
    assert!(text.contains("0.12 USD, over the limit of 0.119999999 USD of this request"), "{text}");
    let fits = world.draw_with(ask_with("a fox", json!({"n": 3})), &cap("0.12")).await;
    assert_eq!((fits.status, fits.header("x-easel-cost-usd")), (200, "0.12"));
    // What is there already costs nothing, whatever the caller would pay.
    let free = world.draw_with(ask_with("a fox", json!({"n": 3})), &cap("0")).await;
    assert_eq!((free.status, free.header("x-easel-cache")), (200, "exact"));
    for wrong in ["", "-1", "cheap", "1,5"] {
        let answer = world.draw_with(ask("a cat"), &cap(wrong)).await;
        assert_eq!(answer.error(), (400, "invalid_value".into(), "x-easel-max-usd".into()), "{wrong}");
    }
}

#[tokio::test]
async fn who_would_pay_less_does_not_turn_away_who_would_pay_more() {
    let world = World::new(&crate::world::route(&["stability/core"])).await;
    world.set(Name::Stability, |vendor| vendor.latency = std::time::Duration::from_millis(200));
    let (poor, rich) = tokio::join!(
        world.draw_with(ask("a fox"), &[("x-easel-max-usd", "0.01")]),
        world.draw_with(ask("a fox"), &[("x-easel-max-usd", "0.05")]),
    );
    assert_eq!((poor.error().1.as_str(), rich.status), ("price_limit", 200));
    assert_eq!(world.client().await.post(GENERATE, &ask("a fox")).await.header("x-easel-cache"), "exact");
}
