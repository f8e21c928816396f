//! The dashboard in a real Chromium: `scripts/browser` installs what that takes and runs this.

use std::process::Command;

use easel::sandbox::{Mode, Name};
use serde_json::json;

use crate::client::Client;
use crate::world::{PROVIDERS, World, ask, ask_with};

const PROGRAM: &str = include_str!("dashboard_browser.mjs");

fn told(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run scripts/browser"))
}

/// One provider that is down, one that has spent its budget, and one that draws, dearly.
fn config() -> String {
    let providers = PROVIDERS
        .replacen("models: {any-model", "budget: {usd: 0.01, per: total}\n    models: {any-model", 1)
        .replacen("gpt-image-2: {price: 0.04}", "gpt-image-2: {price: 0.053}", 1);
    format!(
        "server: {{dashboard: {{pictures: true}}}}\n{providers}\nroutes:\n  - name: mockups\n    match: {{models: [m]}}\n    price: {{budget: {{usd: 50, per: month}}}}\n    \
         attempts: {{max: 6, per_offer: 1}}\n    offers: [stability/core, compatible/any-model, openai/gpt-image-2]\n\
         alerts:\n  - {{name: cost-drift, when: cost_per_accepted_usd > 0.012, over: 1h, min_images: 5, by: provider}}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: run scripts/browser"]
async fn a_person_goes_through_it_in_light_in_dark_and_on_a_phone_and_axe_finds_nothing_serious() {
    let world = World::new(&config()).await;
    for nth in 0..30 {
        world.draw(ask_with(&format!("mug {}", nth % 12), json!({"n": 1 + nth % 2}))).await;
    }
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Down500);
    // Fewer than trip its breaker: each of these asks it first.
    for nth in 0..3 {
        world.draw(ask(&format!("cup {nth}"))).await;
    }
    world.settled().await;
    let paid = Client::connect(world.admin).await.get("/admin/ledger?by=provider").await.json();
    let folder = std::path::PathBuf::from(told("EASEL_TEST_BROWSER"));
    let program = folder.join("dashboard_browser.mjs");
    std::fs::write(&program, PROGRAM).unwrap();
    let url = format!("http://{}/", world.admin);
    let mut node = Command::new("node");
    node.arg(program).arg(&url).arg(told("EASEL_TEST_CHROMIUM")).args(std::env::var_os("EASEL_WRITE_SCREENSHOTS"));
    let output = tokio::task::spawn_blocking(move || node.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("all of it worked"), "{said}");
    let after = Client::connect(world.admin).await.get("/admin/ledger?by=provider").await.json();
    assert_eq!(paid, after, "looking costs nothing");
}
