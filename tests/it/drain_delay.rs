//! `server.drain_delay`: how `easel serve` stops where whoever sends requests has to learn of it first.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use easel::sandbox::{Name, Sandbox, Settings};

use crate::client::Client;
use crate::commands::{Served, easel};
use crate::world::{GENERATE, ask, route};

/// A sandbox, and an Easel before it that serves on for so long after SIGTERM.
async fn serving(delay: &str) -> (Sandbox, Served, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let path: PathBuf = folder.path().join("easel.yaml");
    let server = format!("server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0, drain_delay: {delay}}}\n");
    std::fs::write(&path, server + &route(&["stability/core"])).unwrap();
    let served = Served::start(&path, &sandbox.url(), &[], Stdio::null());
    (sandbox, served, folder)
}

/// Waits until it says that it is not ready, and why.
async fn not_ready(served: &Served) -> String {
    loop {
        let told = Client::connect(served.admin).await.get("/readyz").await;
        if told.status == 503 {
            return told.text();
        }
        assert_eq!((told.status, told.text().as_str()), (200, "ready\n"));
    }
}

async fn ended(served: Served) -> String {
    let (output, log) = tokio::task::spawn_blocking(|| served.end()).await.unwrap();
    assert!(output.status.success(), "{log}");
    log
}

#[tokio::test]
async fn after_sigterm_readiness_says_no_while_new_connections_are_served_until_a_second_one_begins_the_drain() {
    let (sandbox, served, _folder) = serving("1h").await;
    let mut kept = Client::connect(served.addr).await;
    assert_eq!(
        kept.post(GENERATE, &ask("a cat")).await.header("connection"),
        "keep-alive",
        "nobody is asked to leave before"
    );
    served.signal("TERM");
    assert_eq!(not_ready(&served).await, "drain_delay\n");
    assert_eq!(Client::connect(served.admin).await.get("/healthz").await.status, 200);
    let admin = served.admin.to_string();
    let asked = easel().args(["health", "--ready", "--admin", &admin]).output().unwrap();
    assert_eq!(asked.status.code(), Some(1), "{asked:?}");
    // Both learn that the next request is better sent elsewhere.
    let on_a_new_one = Client::connect(served.addr).await.post(GENERATE, &ask("a dog")).await;
    assert_eq!((on_a_new_one.status, on_a_new_one.header("connection")), (200, "close"));
    let on_the_kept_one = kept.post(GENERATE, &ask("a hen")).await;
    assert_eq!((on_the_kept_one.status, on_the_kept_one.header("connection")), (200, "close"));
    // The second signal ends the delay and not what is in flight.
    sandbox.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(500));
    let mut drawing = Client::connect(served.addr).await;
    drawing.send("POST", GENERATE, &[("content-type", "application/json")], ask("x").to_string().as_bytes()).await;
    sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    served.signal("TERM");
    assert_eq!(drawing.receive().await.unwrap().status, 200);
    let addr = served.addr;
    let log = ended(served).await;
    assert!(log.contains("serving for another 3600s (server.drain_delay)"), "{log}");
    assert!(log.contains("no new connections"), "{log}");
    assert!(std::net::TcpStream::connect(addr).is_err(), "the port is shut");
}

#[tokio::test]
async fn the_delay_ends_by_itself() {
    let (_sandbox, served, _folder) = serving("300ms").await;
    served.signal("TERM");
    let log = ended(served).await;
    let at = |words: &str| log.find(words).unwrap_or_else(|| panic!("{words} not in:\n{log}"));
    assert!(at("serving for another 300ms") < at("no new connections"), "{log}");
}

#[tokio::test]
async fn who_presses_ctrl_c_waits_for_no_delay() {
    let (_sandbox, served, _folder) = serving("1h").await;
    served.signal("INT");
    let log = ended(served).await;
    assert!(!log.contains("drain_delay"), "{log}");
}
