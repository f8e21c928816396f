//! What Prometheus sees of a gateway, and what several scrapers at once see.

use std::collections::BTreeSet;

use crate::client::Client;
use crate::world::{World, ask, route};

/// The names and labels on a page, without their values.
fn series(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| series.to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scrapers_at_once_each_see_the_whole_of_every_set() {
    let budgets = "    price: {budget: [{usd: 5, per: day}, {usd: 9, per: month}]}\n";
    let world = World::new(&crate::world::route_with(&["stability/core", "openai/gpt-image-2"], budgets)).await;
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    world.idle().await;
    let whole = series(&world.metrics().await);
    let named = |start: &str| whole.iter().filter(|series| series.starts_with(start)).count();
    assert_eq!((named("easel_in_flight{"), named("easel_queue_depth{"), named("easel_breaker_state{")), (8, 8, 6));
    assert_eq!((named("easel_budget_usd{"), named("easel_budget_remaining_usd{")), (2, 2));
    let scrapers: Vec<_> = (0..8)
        .map(|_| {
            let (admin, whole) = (world.admin, whole.clone());
            tokio::spawn(async move {
                let mut client = Client::connect(admin).await;
                for _ in 0..40 {
                    let seen = series(&client.get("/metrics").await.text());
                    let missing: Vec<_> = whole.difference(&seen).collect();
                    assert!(missing.is_empty(), "{missing:?}");
                }
            })
        })
        .collect();
    for scraper in scrapers {
        scraper.await.unwrap();
    }
}

#[tokio::test]
async fn what_a_reload_takes_away_is_shown_no_longer() {
    let world = World::new(&route(&["stability/core"])).await;
    assert!(world.metrics().await.contains("easel_in_flight{priority=\"live\",provider=\"replicate\"} 0"));
    let without = route(&["stability/core"]);
    let at = without.find("  replicate:").unwrap();
    let end = without.find("\nroutes:").unwrap();
    let plan = crate::world::plan(&(without[..at].to_owned() + &without[end..]), &world.sandbox.url());
    world.gateway.replace(plan).unwrap();
    let page = world.metrics().await;
    assert!(
        !page.contains("provider=\"replicate\"")
            && page.contains("easel_in_flight{priority=\"live\",provider=\"stability\"} 0"),
        "{page}"
    );
}
