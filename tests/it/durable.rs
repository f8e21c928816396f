//! What was paid is on disk before it counts: after `kill -9`, after a restart, on a full disk, and behind a lock.
//!
//! Processes are real, and so is SQLite's file; what the vendor charged is the vendor's own word.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use easel::Usd;
use easel::internals::calendar::{Moment, Per, Zone};
use easel::internals::config::plan::OnLedgerError;
use easel::internals::ledger::entry::{CostSource, Entry, Owner, Purpose, Settlement};
use easel::internals::store::report;
use easel::internals::store::report::{ReportBy, ReportQuery};
use easel::internals::store::{Location, Options, Store, Write};
use easel::sandbox::{Mode, Name, Sandbox, Settings};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::client::{Answer, Client};
use crate::commands::Served;
use crate::world::{GENERATE, PROVIDERS, World, ask, ask_with};

fn usd(text: &str) -> Usd {
    text.parse().unwrap()
}

/// A config that keeps its ledger in `folder`, with one route that caches nothing.
fn config(folder: &Path, budget: &str, ledger: &str) -> String {
    let state = folder.join("state");
    format!(
        "server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0, state_dir: '{}'{ledger}}}\n{PROVIDERS}
routes:
  - name: r
    match: {{models: [m]}}
    offers: [stability/core]
    cache: false
    price: {{budget: {budget}}}
",
        state.display()
    )
}

fn serve(folder: &Path, text: &str, sandbox: &Sandbox) -> Served {
    let path = folder.join("easel.yaml");
    std::fs::write(&path, text).unwrap();
    Served::start(&path, &sandbox.url(), &[], Stdio::null())
}

async fn stop(served: Served) {
    served.signal("TERM");
    let (output, log) = tokio::task::spawn_blocking(|| served.end()).await.unwrap();
    assert!(output.status.success(), "{log}");
}

async fn draw(addr: SocketAddr, prompt: &str) -> Answer {
    Client::connect(addr).await.post(GENERATE, &ask(prompt)).await
}

/// The value of one line of the metrics page.
async fn metric(admin: SocketAddr, line: &str) -> String {
    let page = Client::connect(admin).await.get("/metrics").await.text();
    let found = page.lines().find_map(|shown| shown.strip_prefix(line)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {line} in\n{page}")).to_owned()
}

async fn sandbox() -> Sandbox {
    Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap()
}

/// The ledger's figures by request.
fn by_request(folder: &Path) -> BTreeMap<String, report::Figures> {
    let query = ReportQuery { by: vec![ReportBy::Request], ..ReportQuery::default() };
    let rows = report::of_file(&folder.join("state"), &query).unwrap();
    rows.into_iter().map(|row| (row.keys[0].clone(), row.figures)).collect()
}

/// Asks one picture after the other on one connection until that ends; what was answered, and what each cost.
async fn ask_on(addr: SocketAddr, name: usize, answered: Arc<AtomicUsize>, enough: Arc<Notify>) -> Vec<(String, Usd)> {
    let (mut client, mut told) = (Client::connect(addr).await, Vec::new());
    for number in 0.. {
        let body = ask(&format!("picture {number} of {name}")).to_string();
        client.send("POST", GENERATE, &[("content-type", "application/json")], body.as_bytes()).await;
        let Some(answer) = client.receive().await else { break };
        assert_eq!(answer.status, 200, "{}", answer.text());
        told.push((answer.header("x-easel-request-id").to_owned(), usd(answer.header("x-easel-cost-usd"))));
        if answered.fetch_add(1, Ordering::Relaxed) == 60 {
            enough.notify_one();
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_under_load_loses_no_attempt_that_was_answered_and_the_budget_goes_on_from_there() {
    let (folder, sandbox) = (tempfile::tempdir().unwrap(), sandbox().await);
    sandbox.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(30));
    let text = config(folder.path(), "{usd: 8, per: month}", "");
    let served = serve(folder.path(), &text, &sandbox);
    let (answered, enough, mut crowd) = (Arc::<AtomicUsize>::default(), Arc::new(Notify::new()), JoinSet::new());
    for name in 0..12 {
        crowd.spawn(ask_on(served.addr, name, answered.clone(), enough.clone()));
    }
    enough.notified().await;
    served.signal("KILL");
    let told: Vec<(String, Usd)> = crowd.join_all().await.into_iter().flatten().collect();
    drop(served);
    assert!(told.len() > 60, "{}", told.len());

    let again = serve(folder.path(), &text, &sandbox);
    let rows = by_request(folder.path());
    for (request, cost) in &told {
        let row = rows.get(request).unwrap_or_else(|| panic!("{request} was answered and is not in the ledger"));
        assert_eq!((row.usd, row.accepted), (*cost, 1), "{request}");
    }
    let sum = |of: fn(&report::Figures) -> Usd| easel::internals::money::sum(rows.values().map(of)).unwrap();
    let (paid, unsure) = (sum(|row| row.usd), sum(|row| row.uncertain));
    let invoiced = sandbox.invoice().vendor(Name::Stability).usd;
    assert!(paid <= invoiced && invoiced <= paid.checked_add(unsure).unwrap(), "{paid} {invoiced} {unsure}");
    assert!(unsure > Usd::ZERO, "somebody was always being drawn for");

    let left = usd("8").checked_sub(paid).and_then(|left| left.checked_sub(unsure)).unwrap();
    let shown = metric(again.admin, "easel_budget_remaining_usd{per=\"month\",scope=\"route:r\",zone=\"UTC\"}").await;
    assert_eq!(usd(&shown), left);
    let (mut client, mut drawn) = (Client::connect(again.addr).await, 0);
    loop {
        let answer = client.post(GENERATE, &ask(&format!("after {drawn}"))).await;
        if answer.status == 429 {
            assert_eq!(answer.error().1, "budget_exceeded");
            break;
        }
        drawn += 1;
    }
    assert_eq!(drawn, left.nanos() / usd("0.04").nanos());
    assert!(sandbox.invoice().vendor(Name::Stability).usd <= usd("8"));
}

#[tokio::test]
async fn a_restart_goes_on_with_the_month_its_tiers_its_commitment_and_what_a_picture_cost() {
    let (folder, sandbox) = (tempfile::tempdir().unwrap(), sandbox().await);
    let text = config(folder.path(), "{usd: 8, per: month}", "")
        .replace("core: {price: 0.04}", "core: {price: 0.04, volume: [{from: 3, usd: 0.01}]}")
        .replace("  stability:\n", "  stability:\n    billing: {committed_usd_per_month: 0.07}\n");
    let served = serve(folder.path(), &text, &sandbox);
    assert_eq!(draw(served.addr, "one").await.header("x-easel-cost-usd"), "0");
    assert_eq!(draw(served.addr, "two").await.header("x-easel-cost-usd"), "0.01", "0.03 of the commitment were left");
    stop(served).await;
    let served = serve(folder.path(), &text, &sandbox);
    let cost = "easel_cost_per_accepted_usd{by=\"provider\",name=\"stability\",window=\"total\"}";
    assert_eq!(metric(served.admin, cost).await, "0.04");
    assert_eq!(draw(served.addr, "three").await.header("x-easel-cost-usd"), "0.04", "the commitment is used up");
    assert_eq!(draw(served.addr, "four").await.header("x-easel-cost-usd"), "0.01", "the fourth is of the next tier");
    assert_eq!(metric(served.admin, cost).await, "0.0325");
    stop(served).await;
    let rows = by_request(folder.path());
    assert_eq!(easel::internals::money::sum(rows.values().map(|row| row.usd)), Some(usd("0.06")));
}

#[tokio::test]
async fn after_kill_9_pictures_that_were_rejected_are_still_part_of_what_an_accepted_one_costs() {
    let (folder, sandbox) = (tempfile::tempdir().unwrap(), sandbox().await);
    let text = config(folder.path(), "{usd: 8, per: month}", "");
    let served = serve(folder.path(), &text, &sandbox);
    sandbox.set(Name::Stability, |vendor| vendor.mode = Mode::Truncated);
    assert_eq!(draw(served.addr, "one").await.status, 502);
    let images = |verdict: &str, window: &str| {
        format!("easel_window_images{{by=\"provider\",name=\"stability\",verdict=\"{verdict}\",window=\"{window}\"}}")
    };
    assert_eq!(metric(served.admin, &images("rejected", "1h")).await, "2", "it was asked twice");
    served.signal("KILL");
    drop(served);
    sandbox.set(Name::Stability, |vendor| vendor.mode = Mode::Normal);
    let served = serve(folder.path(), &text, &sandbox);
    assert_eq!(draw(served.addr, "two").await.status, 200);
    for window in ["1h", "1d", "total"] {
        let (accepted, rejected) = (images("accepted", window), images("rejected", window));
        let told = (metric(served.admin, &accepted).await, metric(served.admin, &rejected).await);
        assert_eq!(told, ("1".to_owned(), "2".to_owned()), "{window}");
    }
    let cost = "easel_cost_per_accepted_usd{by=\"provider\",name=\"stability\",window=\"1h\"}";
    assert_eq!(metric(served.admin, cost).await, "0.12");
    stop(served).await;
}

#[tokio::test]
async fn a_second_process_is_not_let_into_the_same_ledger() {
    let (folder, sandbox) = (tempfile::tempdir().unwrap(), sandbox().await);
    let text = config(folder.path(), "{usd: 8}", "");
    let _served = serve(folder.path(), &text, &sandbox);
    let second = std::process::Command::new(env!("CARGO_BIN_EXE_easel"))
        .args(["serve", "--config"])
        .arg(folder.path().join("easel.yaml"))
        .env("SANDBOX", sandbox.url())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains("is being written by another easel: one state_dir serves one process"), "{said}");
}

#[tokio::test]
async fn on_a_full_disk_nothing_more_is_paid_for_and_everybody_is_told() {
    let (folder, sandbox) = (tempfile::tempdir().unwrap(), sandbox().await);
    let path = folder.path().join("easel.yaml");
    std::fs::write(&path, config(folder.path(), "{usd: 100}", "")).unwrap();
    let served = Served::start_on_a_disk_of(200, &path, &sandbox.url());
    let mut client = Client::connect(served.addr).await;
    let (mut drawn, refused) = loop {
        let number = sandbox.invoice().vendor(Name::Stability).pictures;
        let answer = client.post(GENERATE, &ask(&format!("picture {number}"))).await;
        if answer.status != 200 {
            break (number, answer);
        }
    };
    assert_eq!(refused.error(), (503, "ledger_unwritable".into(), String::new()), "{}", refused.text());
    assert!(drawn > 0 && refused.header("retry-after").parse::<u64>().is_ok(), "{drawn} {refused:?}");
    assert_eq!(metric(served.admin, "easel_ledger_writable").await, "0");
    let skipped = "easel_skipped_total{provider=\"stability\",reason=\"ledger_unwritable\"}";
    while client.post(GENERATE, &ask("no more")).await.status == 200 {
        // A smaller change may still have found room.
        drawn += 1;
    }
    assert_ne!(metric(served.admin, skipped).await, "0");
    assert_eq!(sandbox.invoice().vendor(Name::Stability).pictures, drawn, "what is refused is not sent");
    assert!(sandbox.invoice().vendor(Name::Stability).violations.is_empty());
}

/// Holds the ledger's file locked, as a careless backup would.
fn locked(folder: &Path) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(folder.join("state/ledger.sqlite3")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[tokio::test]
async fn behind_a_lock_a_sidecar_that_may_continue_goes_on_says_so_and_writes_all_of_it_later() {
    let folder = tempfile::tempdir().unwrap();
    let text = config(folder.path(), "{usd: 100}", ", ledger: {on_error: continue}");
    let world = World::new(&text).await;
    let lock = locked(folder.path());
    for number in 0..3 {
        assert_eq!(world.draw(ask(&format!("picture {number}"))).await.status, 200);
    }
    assert_eq!(metric(world.admin, "easel_ledger_writable").await, "0");
    assert_ne!(metric(world.admin, "easel_ledger_waiting").await, "0");
    drop(lock);
    let store = world.gateway.shared.durable_ledger.store().clone();
    tokio::task::spawn_blocking(move || store.flush()).await.unwrap().unwrap();
    assert_eq!(metric(world.admin, "easel_ledger_writable").await, "1");
    assert_eq!(metric(world.admin, "easel_ledger_lost_total").await, "0");
    let paid = easel::internals::money::sum(by_request(folder.path()).values().map(|row| row.usd)).unwrap();
    assert_eq!((paid, world.invoiced()), (usd("0.12"), usd("0.12")));
}

#[tokio::test]
async fn behind_a_lock_a_sidecar_that_must_know_refuses_until_the_lock_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(&config(folder.path(), "{usd: 100}", "")).await;
    let lock = locked(folder.path());
    let no = world.draw(ask("a fox")).await;
    assert_eq!(no.error(), (503, "ledger_unwritable".into(), String::new()), "{}", no.text());
    assert_eq!(world.bill(Name::Stability).calls, 0);
    drop(lock);
    let store = world.gateway.shared.durable_ledger.store().clone();
    tokio::task::spawn_blocking(move || store.flush()).await.unwrap().unwrap();
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    assert_eq!(world.gateway.shared.ledger.reserved(), Usd::ZERO);
    assert_eq!(by_request(folder.path()).len(), 1, "what was refused left nothing behind");
}

#[tokio::test]
async fn the_operator_reads_over_http_what_was_paid_and_a_stranger_does_not() {
    let world =
        World::new(&format!("server: {{admin_token: tell-me}}\n{}", crate::world::route(&["stability/core"]))).await;
    let answer = world.draw(ask("a fox")).await;
    let hit = world.draw(ask("a fox")).await;
    assert_eq!((answer.header("x-easel-cache"), hit.header("x-easel-cache")), ("miss", "exact"));
    let get = async |path: &str, token: &str| {
        let mut admin = Client::connect(world.admin).await;
        admin.send("GET", path, &[("authorization", token)], b"").await;
        admin.receive().await.unwrap()
    };
    let report = get("/admin/ledger?by=route,provider", "Bearer tell-me").await.json();
    let row = &report["rows"][1];
    assert_eq!((&row["route"], &row["provider"], &row["usd"]), (&"r".into(), &"stability".into(), &"0.04".into()));
    assert_eq!((&report["total"]["usd"], &report["total"]["saved_usd"]), (&"0.04".into(), &"0.04".into()), "{report}");
    let wrong = get("/admin/ledger?by=colour", "Bearer tell-me").await;
    let error = &wrong.json()["error"];
    let told = [&error["type"], &error["param"], &error["code"]];
    assert_eq!((wrong.status, told), (400, [&"invalid_request_error".into(), &"by".into(), &"invalid_value".into()]));
    assert!(wrong.text().contains("only by day, hour, provider"), "{}", wrong.text());
    for token in ["", "Bearer tell-you", "Basic tell-me"] {
        assert_eq!(get("/admin/ledger", token).await.status, 401, "{token}");
    }
    assert_eq!(get("/metrics", "").await.status, 200);
}

#[tokio::test]
async fn a_listener_that_others_reach_tells_nobody_of_money_without_a_token() {
    let world = World::new(&crate::world::route(&["stability/core"])).await;
    assert_eq!(Client::connect(world.admin).await.get("/admin/ledger").await.status, 200);
    let mut plan = crate::world::plan(&crate::world::route(&["stability/core"]), &world.sandbox.url());
    plan.server.admin = "0.0.0.0:0".to_owned();
    let gateway = easel::Gateway::new(plan).unwrap();
    let log = easel::AccessLog::off();
    let open = easel::sidecar::start(gateway, log).unwrap();
    let admin = SocketAddr::from(([127, 0, 0, 1], open.admin.port()));
    let no = Client::connect(admin).await.get("/admin/ledger").await;
    assert!(no.status == 403 && no.text().contains("server.admin_token"), "{}", no.text());
}

#[tokio::test]
async fn a_monthly_fee_is_booked_hour_by_hour_and_a_restart_books_no_hour_twice() {
    let (folder, sandbox) = (tempfile::tempdir().unwrap(), sandbox().await);
    let text = config(folder.path(), "{usd: 8}", "")
        .replace("  stability:\n", "  stability:\n    billing: {reserved_usd_per_month: 744}\n");
    let month = |at: Moment| Per::Month.period(&Zone::default(), at);
    let begun = month(SystemTime::now().into());
    for _ in 0..2 {
        stop(serve(folder.path(), &text, &sandbox)).await;
    }
    let ended = month(SystemTime::now().into());
    if begun != ended {
        return; // The month turned during this test; its hours are of two months.
    }
    let hours = |length: Duration| i64::try_from(length.as_secs() / 3600).unwrap();
    let booked = by_request(folder.path()).remove("").unwrap_or_default();
    let (passed, all) = (i64::try_from(booked.attempts).unwrap(), hours(begun.end.unwrap().since(begun.start)));
    let now: Moment = SystemTime::now().into();
    assert!((0..=1).contains(&(hours(now.since(begun.start)) - passed)), "{passed} hours of {all}");
    assert_eq!(booked.usd.nanos(), usd("744").nanos() * passed / all);
}

/// Puts a call into the ledger as an earlier process would have: this month, so many pictures, so much of a commitment.
fn earlier(folder: &Path, billed: u32, prepaid: Usd) {
    let at: Moment = SystemTime::now().into();
    let options = Options::new(Duration::from_secs(86_400 * 400), OnLedgerError::Refuse);
    let store = Store::open(Location::Dir(folder.join("state")), options, at).unwrap().store;
    let name = Arc::<str>::from;
    let owner = Owner { tenant: name("default"), route: name("r"), provider: name("stability"), model: name("core") };
    let (request, purpose, estimate) = (name("earlier"), Purpose::Draw, Usd::ZERO);
    store.write_unawaited(Write::Open(Entry {
        id: 1,
        at,
        request,
        owner,
        purpose,
        pictures: billed,
        estimate,
        chosen: "first",
    }));
    let settlement = Settlement { prepaid, billed, source: CostSource::Table, ..Settlement::nothing(at) };
    store.write_unawaited(Write::Settle { id: 1, settlement });
    store.flush().unwrap();
}

#[tokio::test]
async fn the_hundred_thousandth_picture_of_a_month_is_the_last_at_the_first_price_whoever_drew_the_others() {
    let folder = tempfile::tempdir().unwrap();
    earlier(folder.path(), 99_998, Usd::ZERO);
    let core = "core: {price: 0.009000001, volume: [{from: 100000, usd: 0.005000003}]}";
    let world = World::new(&config(folder.path(), "{usd: 8}", "").replace("core: {price: 0.04}", core)).await;
    // One picture a call, and no two calls are priced at the same place.
    let answer = world.draw(ask_with("four foxes", json!({"n": 4}))).await;
    assert_eq!(answer.header("x-easel-cost-usd"), "0.028000008");
}

#[tokio::test]
async fn the_last_cent_of_five_hundred_dollars_is_used_up_before_anything_is_charged() {
    let folder = tempfile::tempdir().unwrap();
    earlier(folder.path(), 1, usd("499.99"));
    let text = config(folder.path(), "{usd: 600}", "")
        .replace("core: {price: 0.04}", "core: {price: 0.012000001}")
        .replace("  stability:\n", "  stability:\n    billing: {committed_usd_per_month: 500}\n");
    let world = World::new(&text).await;
    assert_eq!(world.draw(ask("a fox")).await.header("x-easel-cost-usd"), "0.002000001");
    assert_eq!(world.draw(ask("a cat")).await.header("x-easel-cost-usd"), "0.012000001");
}
