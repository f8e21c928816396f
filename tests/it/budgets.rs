//! Budgets: set aside before they are spent, never passed, and told when they are used up.

use easel::Usd;
use easel::sandbox::{Name, Rate};
use serde_json::json;
use tokio::task::JoinSet;

use crate::world::{GENERATE, PROVIDERS, World, ask, ask_with};

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// A config whose route `r` has `budget` and whose provider has `billing`, both in YAML.
fn config(budget: &str, core: &str) -> String {
    let providers = PROVIDERS.replace("core: {price: 0.04}", core);
    format!(
        "{providers}
routes:
  - name: r
    match: {{models: [m]}}
    offers: [stability/core]
    cache: false
    price: {{budget: {budget}}}
"
    )
}

#[tokio::test]
async fn five_hundred_at_once_spend_a_budget_that_pays_for_a_hundred_and_not_a_cent_more() {
    let config = config("{usd: 4, per: month}", "core: {price: 0.04}").replace(
        "timeout: 20s\n    models: {core",
        "timeout: 20s\n    concurrency: {limit: 64, queue: 1000, max_wait: 60s}\n    models: {core",
    );
    let world = World::new(&config).await;
    let mut crowd = JoinSet::new();
    for index in 0..500 {
        let addr = world.addr;
        crowd.spawn(async move {
            let body = ask_with(&format!("picture {index}"), json!({"size": "1024x1024"}));
            crate::client::Client::connect(addr).await.post(GENERATE, &body).await
        });
    }
    let (mut drawn, mut short) = (0, 0);
    while let Some(answer) = crowd.join_next().await {
        let answer = answer.unwrap();
        match answer.status {
            200 => drawn += 1,
            429 => {
                assert_eq!(answer.error().1, "budget_exceeded", "{}", answer.text());
                short += 1;
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    world.settled().await;
    let bill = world.bill(Name::Stability);
    assert!(bill.usd <= usd("4"), "{bill:?}");
    assert_eq!((bill.usd, world.gateway.shared.ledger.reserved()), (world.spent(), Usd::ZERO));
    assert_eq!((drawn, bill.usd), (100, usd("4")), "the budget is used to the end; {short} were turned away");
}

#[tokio::test]
async fn who_is_turned_away_learns_which_budget_how_much_is_left_and_when_it_begins_again() {
    let world = World::new(&config("[{usd: 0.1, per: day}, {usd: 9, per: total}]", "core: {price: 0.04}")).await;
    assert_eq!(world.draw(ask_with("a fox", json!({"n": 2}))).await.status, 200);
    let no = world.draw(ask("a cat")).await;
    assert_eq!(no.error(), (429, "budget_exceeded".into(), String::new()));
    assert_eq!(no.json()["error"]["type"], "insufficient_quota");
    let text = no.text();
    assert!(text.contains("The budget of route 'r' (0.1 USD a day) has 0.02 USD left"), "{text}");
    assert!(text.contains("this may cost 0.04 USD. It begins again at 2"), "{text}");
    assert_eq!(no.header("x-should-retry"), "false");
    let seconds: u64 = no.header("retry-after").parse().unwrap();
    assert!(seconds <= 86_400, "{seconds}");
    assert_eq!(no.header("x-easel-skipped"), "stability/core=over_budget");
    assert!(world.metrics().await.contains("easel_skipped_total{provider=\"stability\",reason=\"over_budget\"} 1"));
}

#[tokio::test]
async fn a_providers_budget_sends_requests_on_to_the_next() {
    let providers = PROVIDERS.replace("  stability:\n", "  stability:\n    budget: {usd: 0.04, per: total}\n");
    let config = format!(
        "{providers}\nroutes:\n  - {{name: r, match: {{models: [m]}}, cache: false, offers: [stability/core, openai/dall-e-3]}}\n"
    );
    let world = World::new(&config).await;
    assert_eq!(world.draw(ask("a fox")).await.header("x-easel-served-by"), "stability/core=1");
    let second = world.draw(ask("a fox")).await;
    assert_eq!(second.header("x-easel-served-by"), "openai/dall-e-3=1");
    assert_eq!(second.header("x-easel-skipped"), "stability/core=over_budget");
}

#[tokio::test]
async fn what_a_failure_or_a_refusal_set_aside_is_free_again() {
    let world = World::new(&config("{usd: 0.04, per: total}", "core: {price: 0.04}")).await;
    world.set(Name::Stability, |vendor| vendor.faults.error_rate = Rate::percent(100));
    assert_eq!(world.draw(ask("a fox")).await.status, 502);
    world.set(Name::Stability, |vendor| vendor.faults.error_rate = Rate::percent(0));
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    assert_eq!(world.draw(ask("a cat")).await.error().1, "budget_exceeded");
}

#[tokio::test]
async fn a_changed_config_does_not_forget_what_a_budget_spent() {
    let before = config("{usd: 0.1, per: month}", "core: {price: 0.04}");
    let world = World::new(&before).await;
    assert_eq!(world.draw(ask_with("a fox", json!({"n": 2}))).await.status, 200);
    let after = before.replace("usd: 0.1", "usd: 0.11");
    world.gateway.replace(crate::world::plan(&after, &world.sandbox.url())).unwrap();
    assert!(world.draw(ask("a cat")).await.text().contains("(0.11 USD a month) has 0.03 USD left"));
}

#[tokio::test]
async fn a_volume_tier_and_a_commitment_are_told_and_booked_as_they_are() {
    let config = config("{usd: 9}", "core: {price: 0.04, volume: [{from: 3, usd: 0.01}]}")
        .replace("  stability:\n", "  stability:\n    billing: {committed_usd_per_month: 0.05}\n");
    let world = World::new(&config).await;
    let first = world.draw(ask_with("a fox", json!({"n": 2}))).await;
    // 0.08 of which 0.05 is paid for already.
    assert_eq!(first.header("x-easel-cost-usd"), "0.03");
    let second = world.draw(ask_with("a cat", json!({"n": 2}))).await;
    assert_eq!(second.header("x-easel-cost-usd"), "0.05", "one at 0.04, one at 0.01");
    let metrics = world.metrics().await;
    let prepaid = "easel_prepaid_usd_total{model=\"core\",provider=\"stability\"} 0.05";
    assert!(metrics.lines().any(|line| line == prepaid), "{metrics}");
    assert_eq!(world.spent(), usd("0.08"));
}

#[tokio::test]
async fn a_running_server_looks_at_its_alerts_and_shows_what_is_left_of_every_budget() {
    let text = config("{usd: 0.1, per: day, zone: Asia/Tokyo}", "core: {price: 0.04}");
    let world = World::new(&format!("{text}alerts:\n  - {{name: budgets, when: budget_share > 90%}}\n")).await;
    let looked = "easel_alert_state{alert=\"budgets\",name=\"route:r/day/Asia/Tokyo\"} 0";
    // The first look is at the start, by a task of its own.
    while !world.metrics().await.lines().any(|line| line == looked) {}
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    let page = world.metrics().await;
    for line in [
        "easel_budget_usd{per=\"day\",scope=\"route:r\",zone=\"Asia/Tokyo\"} 0.1",
        "easel_budget_remaining_usd{per=\"day\",scope=\"route:r\",zone=\"Asia/Tokyo\"} 0.06",
        "easel_ledger_writable 1",
    ] {
        assert!(page.lines().any(|shown| shown == line), "no {line} in\n{page}");
    }
}
