//! What Prometheus sees of a gateway, and what several scrapers at once see.

use std::collections::BTreeSet;

use easel::Usd;
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::world::{World, ask, plan, route, route_with};

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

/// The value of one series.
fn value(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')).map(|value| value.parse().unwrap())
}

#[tokio::test]
async fn what_was_spent_is_told_by_route_and_by_client_and_each_adds_up_to_all_of_it() {
    let client = |name: &str| {
        let hash: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("  - {{name: {name}, key_sha256: {hash}}}\n")
    };
    let clients = format!("clients:\n{}{}", client("web"), client("batch"));
    let second = "  - {name: s, match: {models: [dear]}, offers: [openai/gpt-image-2]}\n";
    let world = World::new(&(clients + &route_with(&["stability/core"], second))).await;
    for (key, model) in [("web", "m"), ("web", "dear"), ("batch", "m")] {
        let bearer = format!("Bearer {key}");
        let mut body = ask(key);
        body["model"] = model.into();
        let answer = world.draw_with(body, &[("authorization", &bearer)]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    world.idle().await;
    let page = world.metrics().await;
    for (series, usd) in [
        ("easel_route_spend_usd_total{route=\"r\"}", 0.08),
        ("easel_route_spend_usd_total{route=\"s\"}", 0.04),
        ("easel_tenant_spend_usd_total{tenant=\"web\"}", 0.08),
        ("easel_tenant_spend_usd_total{tenant=\"batch\"}", 0.04),
    ] {
        assert_eq!(value(&page, series), Some(usd), "{series} in\n{page}");
    }
    assert_eq!(world.spent(), "0.12".parse::<Usd>().unwrap());
}

#[tokio::test]
async fn what_counts_is_called_so_and_a_gauge_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let disk = format!("cache: {{disk: {{dir: {}}}}}\n", folder.path().display());
    let world = World::new(&(disk + &route(&["stability/core", "openai/gpt-image-2"]))).await;
    world.draw(ask("a fox")).await;
    let page = world.metrics().await;
    let types: Vec<(&str, &str)> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect();
    assert!(types.len() > 50, "{types:?}");
    for (name, kind) in types {
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        // Libraries of Prometheus call these so.
        assert!(name.starts_with("easel_") || name.starts_with("process_"), "{name}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_process_is_told_of_by_the_names_that_every_dashboard_knows() {
    let world = World::new(&route(&["stability/core"])).await;
    let page = world.metrics().await;
    for name in
        ["open_fds", "max_fds", "threads", "resident_memory_bytes", "virtual_memory_bytes", "start_time_seconds"]
    {
        let series = format!("process_{name}");
        assert!(value(&page, &series).is_some_and(|value| value > 0.0), "{series} in\n{page}");
    }
    assert!(page.contains("# TYPE process_cpu_seconds_total counter\n"), "{page}");
}

#[tokio::test]
async fn keys_that_wait_for_a_restart_are_counted_until_they_say_again_what_the_process_began_with() {
    let world = World::new(&route(&["stability/core"])).await;
    let pending = async || value(&world.metrics().await, "easel_config_pending_restart").unwrap();
    assert_eq!(pending().await, 0.0);
    for (server, waiting) in [
        ("{threads: 3}", 1.0),
        ("{threads: 3, ledger: {retention: 90d}}", 2.0),
        ("{drain: 7s, link_ttl: 2h}", 0.0),
        ("{threads: 3}", 1.0),
        ("{}", 0.0),
    ] {
        let config = format!("server: {server}\n{}", route(&["stability/core"]));
        world.gateway.replace(plan(&config, &world.sandbox.url())).unwrap();
        assert_eq!(pending().await, waiting, "{server}");
    }
}

#[tokio::test]
async fn the_oldest_day_of_a_models_prices_is_told_and_nothing_of_prices_without_one() {
    let rows =
        "[{size: 1024x1024, usd: 0.04, as_of: 2026-03-01}, {quality: high, usd: 0.2}, {usd: 0.05, as_of: 2026-01-31}]";
    let config = route(&["stability/core", "openai/gpt-image-2"])
        .replace("gpt-image-2: {price: 0.04}", &format!("gpt-image-2: {{price: {rows}}}"));
    let page = World::new(&config).await.metrics().await;
    let told: Vec<&str> =
        page.lines().filter(|line| line.starts_with("easel_price_as_of_timestamp_seconds{")).collect();
    // 2026-01-31T00:00:00Z.
    assert_eq!(told, ["easel_price_as_of_timestamp_seconds{model=\"gpt-image-2\",provider=\"openai\"} 1769817600"]);
}

#[tokio::test]
async fn an_outcome_is_the_code_that_the_caller_reads() {
    let budget = "    price: {budget: {usd: 0.01, per: day}}\n";
    let world = World::new(&route_with(&["stability/core"], budget)).await;
    let answer = world.draw(ask("a fox")).await;
    assert_eq!((answer.status, answer.error().1.as_str()), (429, "budget_exceeded"), "{}", answer.text());
    let page = world.metrics().await;
    assert_eq!(value(&page, "easel_requests_total{outcome=\"budget_exceeded\",route=\"r\"}"), Some(1.0), "{page}");
}
