//! A slow vendor over real sockets, and another that is asked besides: what clients see, what the ledger has, what vendors
//! charge.

use std::process::Stdio;
use std::time::Duration;

use easel::Usd;
use easel::sandbox::{Name, Sandbox, Settings};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::commands::Served;
use crate::world::{GENERATE, World, ask, ask_with, pictures, route_with};

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

fn config(hedge: &str) -> String {
    route_with(&["stability/core", "openai/gpt-image-2"], &format!("    hedge: {hedge}\n"))
}

/// What the ledger has of calls made for this reason: how many, and what they cost.
async fn chosen(world: &World, reason: &str) -> (u64, Usd) {
    let report = Client::connect(world.admin).await.get("/admin/ledger?by=chosen").await.json();
    let rows = report["rows"].as_array().unwrap();
    let Some(row) = rows.iter().find(|row| row["chosen"] == reason) else { return (0, Usd::ZERO) };
    (row["attempts"].as_u64().unwrap(), usd(row["usd"].as_str().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_vendor_s_picture_is_drawn_by_another_and_kept_for_the_next_request() {
    let world = World::new(&config("{after: 1s, at_most: 100%, max_usd_per_hour: 1}")).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_secs(3));
    let drawn = world.draw(ask("a fox")).await;
    assert_eq!((drawn.status, drawn.header("x-easel-served-by")), (200, "openai/gpt-image-2=1"));
    assert_eq!((drawn.header("x-easel-attempts"), drawn.header("x-easel-cost-usd")), ("2", "0.08"));
    world.idle().await;
    assert_eq!((world.spent(), world.invoiced()), (usd("0.08"), usd("0.08")));
    assert_eq!((chosen(&world, "first").await, chosen(&world, "hedge").await), ((1, usd("0.04")), (1, usd("0.04"))));
    assert!(world.metrics().await.contains("easel_hedges_total{outcome=\"won\",route=\"r\"} 1\n"));

    // Of three that the next one wants two are there, and the third is drawn in time.
    world.set(Name::Stability, |vendor| vendor.latency = Duration::ZERO);
    let more = world.draw(ask_with("a fox", json!({"n": 3}))).await;
    assert_eq!((pictures(&more).len(), more.header("x-easel-cache")), (3, "pool"));
    assert_eq!(more.header("x-easel-served-by"), "openai/gpt-image-2=1,stability/core=2");
    assert_eq!(world.spent(), world.invoiced());
}

#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_calls_some_of_them_late_cost_what_the_vendors_charge_and_hedges_stay_in_their_bounds() {
    let world = World::new(&config("{after: 40ms, at_most: 20%, max_usd_per_hour: 0.40}")).await;
    world.set(Name::Stability, |vendor| vendor.jitter = Duration::from_millis(120));
    let mut crowd = JoinSet::new();
    for worker in 0..8 {
        let mut client = world.client().await;
        crowd.spawn(async move {
            let mut told = Vec::new();
            for number in 0..25 {
                let answer = client.post(GENERATE, &ask(&format!("fox {worker} {number}"))).await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                told.push(usd(answer.header("x-easel-cost-usd")).nanos());
            }
            told.into_iter().sum::<i64>()
        });
    }
    let told: i64 = crowd.join_all().await.into_iter().sum();
    world.idle().await;
    let (others, other_usd) = chosen(&world, "first").await;
    let (hedges, hedge_usd) = chosen(&world, "hedge").await;
    assert_eq!(others, 200);
    assert!(hedges > 0 && hedges <= 200 / 5 && hedge_usd <= usd("0.40"), "{hedges} for {hedge_usd}");
    let paid = other_usd.checked_add(hedge_usd).unwrap();
    assert_eq!((world.spent(), world.invoiced(), Usd::from_nanos(told)), (paid, paid, paid));
    let refused: Value = json!(world.metrics().await.contains("easel_hedges_total{outcome=\"dollars\",route=\"r\"}"));
    assert_eq!(refused, json!(true), "more were late than the dollars pay for");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_does_not_begin_another_hour_of_dollars() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    sandbox.set(Name::Stability, |vendor| vendor.latency = Duration::from_secs(2));
    let path = folder.path().join("easel.yaml");
    let state = folder.path().join("state");
    let server = format!("server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0, state_dir: '{}'}}", state.display());
    let hedge = "{after: 100ms, at_most: 100%, max_usd_per_hour: 0.07}";
    std::fs::write(&path, format!("{server}\n{}", config(hedge))).unwrap();
    for (prompt, attempts) in [("a fox", "2"), ("another fox", "1")] {
        let served = Served::start(&path, &sandbox.url(), &[], Stdio::null());
        let drawn = Client::connect(served.addr).await.post(GENERATE, &ask(prompt)).await;
        assert_eq!((drawn.status, drawn.header("x-easel-attempts")), (200, attempts), "{prompt}");
        served.signal("TERM");
        let (output, log) = tokio::task::spawn_blocking(|| served.end()).await.unwrap();
        assert!(output.status.success(), "{log}");
    }
    assert_eq!(sandbox.invoice().total, Some(usd("0.12")));
}
