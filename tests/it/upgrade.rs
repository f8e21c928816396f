//! Upgrades: a running `easel serve` starts its successor, and both serve until the first one's requests are done.
//!
//! Processes, sockets, signals and SQLite's file are real; what a vendor charged is the vendor's own word.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::client::{Answer, Client, tells_no_secret};
use crate::commands::easel;
use crate::scripted::{Scripted, Then, drawn, json_answer};
use crate::world::GENERATE;

/// How long a test waits for something that takes well under a second: the machine may be busy.
const LONG: Duration = Duration::from_secs(60);

const QUEUED: &str = "easel_queue_depth{priority=\"live\",provider=\"home\"}";

/// Processes of Easel, one of which hands over to the next.
pub struct Line {
    first: Child,
    log: PathBuf,
    /// Where all of them listen.
    pub addr: SocketAddr,
    pub admin: SocketAddr,
}

impl Drop for Line {
    fn drop(&mut self) {
        for pid in self.successors() {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = self.first.kill();
        let _ = self.first.wait();
        tells_no_secret(self.log().as_bytes(), "the log");
    }
}

impl Line {
    /// Starts the first one.
    pub async fn start(config: &Path) -> Line {
        Line::start_with(config, &[]).await
    }

    /// The same with more in its environment.
    pub async fn start_with(config: &Path, environment: &[(&str, &Path)]) -> Line {
        let log = config.with_extension("log");
        let to_log = std::fs::File::create(&log).unwrap();
        let mut command = easel();
        command.args(["serve", "--config"]).arg(config).env("EASEL_LOG", "info").envs(environment.iter().copied());
        let first = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(to_log).spawn().unwrap();
        let nowhere = ([127, 0, 0, 1], 0).into();
        let mut line = Line { first, log, addr: nowhere, admin: nowhere };
        let log = line.until_logged("images on ", 1).await;
        let told = log.lines().find(|told| told.contains("images on ")).unwrap();
        let mut found = told.split("://").skip(1).map(|part| {
            let end = part.find([',', '\n', ' ', '"']).unwrap_or(part.len());
            part[..end].parse().unwrap()
        });
        (line.addr, line.admin) = (found.next().unwrap(), found.next().unwrap());
        line
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until these words were logged so often; the log.
    pub async fn until_logged(&self, words: &str, often: usize) -> String {
        let waiting = async {
            loop {
                let log = self.log();
                if log.matches(words).count() >= often {
                    return log;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match tokio::time::timeout(LONG, waiting).await {
            Ok(log) => log,
            Err(_) => panic!("'{words}' is not there {often} times:\n{}", self.log()),
        }
    }

    /// The processes that came after the first.
    fn successors(&self) -> Vec<u32> {
        let log = self.log();
        let told = log.lines().filter_map(|line| line.split_once("] process ").or(line.split_once(" process ")));
        told.filter_map(|(_, rest)| rest.split_once(" serves: ")?.0.parse().ok()).collect()
    }

    /// The process that serves now.
    pub fn newest(&self) -> u32 {
        self.successors().last().copied().unwrap_or(self.first.id())
    }

    pub fn signal(&self, pid: u32, name: &str) {
        assert!(Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap().success());
    }

    /// Has the newest process start its successor, and waits until that one serves.
    pub async fn upgrade(&self) {
        let often = self.successors().len() + 1;
        self.signal(self.newest(), "USR2");
        self.until_logged(" serves: this one takes no new connections", often).await;
    }

    /// Waits until all processes but the newest have ended.
    pub async fn until_alone(&mut self) {
        let many = self.successors().len();
        self.until_logged("this one has all of budgets and slots", many).await;
        let ended = async {
            while self.first.try_wait().unwrap().is_none() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, ended).await.expect("the first process does not end");
    }

    pub async fn draw(&self, body: &Value, headers: &[(&str, &str)]) -> Answer {
        Client::connect(self.addr).await.post_with(GENERATE, body, headers).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        Client::connect(self.admin).await.get(path).await
    }

    /// What a gauge or counter says, by the beginning of its line.
    async fn metric(&self, named: &str) -> String {
        let page = self.get("/metrics").await.text();
        let line = page.lines().find(|line| line.starts_with(named));
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
    }

    /// What was paid, as the ledger's report has it: calls, pictures, dollars, and what may have been charged.
    async fn paid(&self) -> (u64, u64, String, String) {
        let told = self.get("/admin/ledger?by=provider").await.json();
        let row = &told["rows"][0];
        let [attempts, pictures] = ["attempts", "accepted"].map(|name| row[name].as_u64().unwrap_or_default());
        let [usd, uncertain] = ["usd", "uncertain_usd"].map(|name| row[name].as_str().unwrap_or("0").to_owned());
        (attempts, pictures, usd, uncertain)
    }
}

/// A vendor that answers at once, but for prompts with `slow` in them: these when the word is given.
struct Painter {
    scripted: Scripted,
    word: watch::Sender<bool>,
}

impl Painter {
    async fn start() -> Painter {
        let (word, given) = watch::channel(false);
        let scripted = Scripted::start(move |asked| {
            let drawn = json_answer(200, &drawn());
            match asked.json()["prompt"].as_str() {
                Some(prompt) if prompt.contains("slow") => Then::Held(drawn, given.clone()),
                _ => Then::Answer(drawn),
            }
        })
        .await;
        Painter { scripted, word }
    }

    fn release(&self) {
        self.word.send_replace(true);
    }

    /// Waits until so many requests have come.
    async fn until_asked(&self, many: usize) {
        let asked = async {
            while self.scripted.asked().len() < many {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, asked).await.expect("the vendor is not asked");
    }
}

/// A config with a ledger in `folder` and a painter at a cent, on a route that caches nothing.
fn write_config(folder: &Path, painter: &Painter, [server, provider, route]: [&str; 3]) -> PathBuf {
    let path = folder.join("easel.yaml");
    let (state, vendor) = (folder.join("state"), painter.scripted.addr);
    let text = format!(
        "server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0, state_dir: '{}'{server}}}
providers:
  home: {{kind: openai_compatible, base_url: 'http://{vendor}/v1/', models: {{flux: {{price: 0.01}}}}{provider}}}
routes:
  - {{name: r, match: {{models: [m]}}, offers: [home/flux], cache: false{route}}}
",
        state.display()
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn prompt(words: &str) -> Value {
    json!({"model": "m", "prompt": words})
}

impl Line {
    /// A request that the vendor has got and does not answer yet.
    async fn slow(&self, painter: &Painter, headers: &[(&str, &str)]) -> Client {
        let before = painter.scripted.asked().len();
        let mut client = Client::connect(self.addr).await;
        let headers = [&[("content-type", "application/json")], headers].concat();
        client.send("POST", GENERATE, &headers, prompt("a slow cat").to_string().as_bytes()).await;
        painter.until_asked(before + 1).await;
        client
    }
}

#[tokio::test]
async fn the_new_process_takes_what_is_new_while_the_old_one_finishes_what_it_has_and_every_cent_is_counted_once() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let mut line = Line::start(&write_config(folder.path(), &painter, ["", "", ""])).await;
    let mut kept = Client::connect(line.addr).await;
    assert_eq!(kept.post(GENERATE, &prompt("a hen")).await.header("connection"), "keep-alive");
    let mut slow = line.slow(&painter, &[]).await;
    line.upgrade().await;
    // A new connection reaches the new process. The one that was there is still served, and asked to go.
    let new = line.draw(&prompt("a dog"), &[]).await;
    assert_eq!((new.status, new.header("connection")), (200, "keep-alive"));
    let on_the_kept_one = kept.post(GENERATE, &prompt("a cow")).await;
    assert_eq!((on_the_kept_one.status, on_the_kept_one.header("connection")), (200, "close"));
    painter.release();
    assert_eq!(slow.receive().await.unwrap().status, 200);
    line.until_alone().await;
    assert_eq!(line.paid().await, (4, 4, "0.04".into(), "0".into()));
    assert_eq!(line.metric("easel_config_version").await, "2", "versions count on");
    assert_eq!(
        line.metric("easel_spend_usd_total{").await,
        "0.03",
        "what it paid itself, and what it saw the other settle"
    );
    // And once more, from the one that took over.
    line.upgrade().await;
    line.until_alone().await;
    assert_eq!(line.draw(&prompt("a pig"), &[]).await.status, 200);
    assert_eq!(line.paid().await, (5, 5, "0.05".into(), "0".into()));
}

#[tokio::test]
async fn two_processes_never_spend_more_than_a_budget_together_and_the_last_one_has_all_of_it() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let budget = [", ledger: {on_error: refuse}", "", ", price: {budget: {usd: 0.10, per: day}}"];
    let mut line = Line::start(&write_config(folder.path(), &painter, budget)).await;
    let mut kept = Client::connect(line.addr).await;
    assert_eq!(kept.post(GENERATE, &prompt("a hen")).await.status, 200);
    let mut slow = line.slow(&painter, &[]).await;
    line.upgrade().await;
    // Eight cents are left, and four of them are the new process's.
    let mut drawn = 0;
    while line.draw(&prompt("a dog"), &[]).await.status == 200 {
        drawn += 1;
    }
    assert_eq!(drawn, 4);
    // The old one has four cents of its own.
    assert_eq!(kept.post(GENERATE, &prompt("a cow")).await.status, 200);
    painter.release();
    assert_eq!(slow.receive().await.unwrap().status, 200);
    line.until_alone().await;
    while line.draw(&prompt("a pig"), &[]).await.status == 200 {
        drawn += 1;
    }
    assert_eq!(drawn, 7, "what the old one has not spent");
    assert_eq!(line.paid().await.2, "0.1");
}

#[tokio::test]
async fn a_limit_of_calls_holds_for_both_processes_together() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let one = ["", ", concurrency: {limit: 1, max_wait: 60s}", ""];
    let mut line = Line::start(&write_config(folder.path(), &painter, one)).await;
    let mut slow = line.slow(&painter, &[]).await;
    line.upgrade().await;
    let (addr, body) = (line.addr, prompt("a dog"));
    let waiting = tokio::spawn(async move { Client::connect(addr).await.post(GENERATE, &body).await });
    let queued = async {
        while line.metric(QUEUED).await != "1" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, queued).await.expect("nothing waits for a slot");
    assert_eq!(painter.scripted.asked().len(), 1, "the old process has the one slot");
    painter.release();
    assert_eq!(slow.receive().await.unwrap().status, 200);
    drop(slow);
    assert_eq!(waiting.await.unwrap().status, 200);
    line.until_alone().await;
}

#[tokio::test]
async fn what_the_old_process_had_under_way_when_it_was_killed_may_have_been_paid_for_and_the_new_one_says_so() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let mut line = Line::start(&write_config(folder.path(), &painter, ["", "", ""])).await;
    let slow = line.slow(&painter, &[("idempotency-key", "k")]).await;
    let first = line.newest();
    line.upgrade().await;
    line.signal(first, "KILL");
    line.until_alone().await;
    drop(slow);
    assert!(line.log().contains("1 calls were under way when the process before ended; up to 0.01"), "{}", line.log());
    assert_eq!(line.paid().await, (1, 0, "0".into(), "0.01".into()));
    let again = line.draw(&prompt("a slow cat"), &[("idempotency-key", "k")]).await;
    assert_eq!((again.status, again.error().1.as_str()), (409, "idempotency_interrupted"));
}

#[tokio::test]
async fn a_request_that_is_sent_again_reaches_either_process_and_is_paid_for_once() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let mut line = Line::start(&write_config(folder.path(), &painter, ["", "", ""])).await;
    let key = [("idempotency-key", "order-1")];
    let mut kept = Client::connect(line.addr).await;
    assert_eq!(kept.post(GENERATE, &prompt("a hen")).await.status, 200);
    let mut slow = line.slow(&painter, &key).await;
    line.upgrade().await;
    // While the old process draws it, the new one says when to ask again, and that it is worth it.
    let again = line.draw(&prompt("a slow cat"), &key).await;
    assert_eq!((again.status, again.error().1.as_str()), (409, "idempotency_elsewhere"));
    assert_eq!((again.header("retry-after"), again.header("x-should-retry")), ("1", ""), "worth it: nothing says no");
    let other = line.draw(&prompt("a slow dog"), &key).await;
    assert_eq!(other.error().1, "idempotency_key_reused");
    // What is the new process's is so for the old one too.
    let second = [("idempotency-key", "order-2")];
    assert_eq!(line.draw(&prompt("a dog"), &second).await.status, 200);
    let on_the_old_one = kept.post_with(GENERATE, &prompt("a dog"), &second).await;
    assert_eq!(on_the_old_one.header("x-easel-idempotency"), "replayed");
    painter.release();
    assert_eq!(slow.receive().await.unwrap().status, 200);
    // As soon as it is there, the new process answers the same.
    let replayed = line.draw(&prompt("a slow cat"), &key).await;
    assert_eq!((replayed.status, replayed.header("x-easel-idempotency")), (200, "replayed"));
    line.until_alone().await;
    assert_eq!(line.draw(&prompt("a slow cat"), &key).await.header("x-easel-idempotency"), "replayed");
    assert_eq!(painter.scripted.asked().len(), 3);
}

#[tokio::test]
async fn a_successor_that_cannot_serve_changes_nothing_and_the_next_one_may() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let path = write_config(folder.path(), &painter, ["", "", ", price: {budget: {usd: 0.04, per: day}}"]);
    let mut line = Line::start(&path).await;
    let good = std::fs::read_to_string(&path).unwrap();
    // It cannot read its config; or it has read it, and another ledger stands there now.
    let other_ledger = good.replace("/state'", "/other'");
    for (nth, bad) in ["providers: [".to_owned(), other_ledger].iter().enumerate() {
        std::fs::write(&path, bad).unwrap();
        line.signal(line.newest(), "USR2");
        line.until_logged("not upgraded (ended)", nth + 1).await;
        assert_eq!(line.draw(&prompt("a hen"), &[]).await.status, 200);
    }
    assert_eq!(line.metric("easel_upgrades_refused_total{reason=\"ended\"}").await, "2");
    // It has got the ledger and cannot listen: the old process has all of its budget and its ledger again.
    std::fs::write(&path, good.replace("listen: 127.0.0.1:0", "listen: 192.0.2.1:1")).unwrap();
    line.signal(line.newest(), "USR2");
    line.until_logged("not upgraded (ended)", 3).await;
    for status in [200, 200, 429] {
        assert_eq!(line.draw(&prompt("a dog"), &[]).await.status, status, "{}", line.log());
    }
    // It follows its config again, and can be upgraded.
    std::fs::write(&path, good.replace("usd: 0.04", "usd: 0.05")).unwrap();
    line.until_logged("is in force, changed: ", 1).await;
    line.upgrade().await;
    line.until_alone().await;
    assert_eq!(line.draw(&prompt("a pig"), &[]).await.status, 200);
    assert_eq!(line.draw(&prompt("a pig"), &[]).await.status, 429);
    assert_eq!(line.paid().await.2, "0.05");
}

#[tokio::test]
async fn without_a_state_dir_nothing_can_be_handed_over_and_the_process_goes_on() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let path = write_config(folder.path(), &painter, ["", "", ""]);
    let text = std::fs::read_to_string(&path).unwrap();
    let state = format!(", state_dir: '{}'", folder.path().join("state").display());
    assert!(text.contains(&state));
    std::fs::write(&path, text.replace(&state, "")).unwrap();
    let line = Line::start(&path).await;
    line.signal(line.newest(), "USR2");
    line.until_logged("not upgraded (no_state_dir): set server.state_dir", 1).await;
    assert_eq!(line.draw(&prompt("a hen"), &[]).await.status, 200);
    assert_eq!(line.metric("easel_upgrades_refused_total{reason=\"no_state_dir\"}").await, "1");
}

#[tokio::test]
async fn a_client_that_has_used_its_rate_has_used_it_at_the_new_process_too() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let path = write_config(folder.path(), &painter, ["", "", ""]);
    let key: String = Sha256::digest(b"the-key").iter().map(|byte| format!("{byte:02x}")).collect();
    let clients = format!("clients: [{{name: web, key_sha256: {key}, rate: {{images_per_minute: 3}}}}]\n");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, clients + &text).unwrap();
    let mut line = Line::start(&path).await;
    let key = [("authorization", "Bearer the-key")];
    for words in ["a hen", "a dog", "a cow"] {
        assert_eq!(line.draw(&prompt(words), &key).await.status, 200);
    }
    line.upgrade().await;
    let refused = line.draw(&prompt("a pig"), &key).await;
    assert_eq!((refused.status, refused.error().1.as_str()), (429, "client_rate_limit"));
    line.until_alone().await;
}

#[tokio::test]
async fn a_process_hands_over_once_it_has_all_itself() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let mut line = Line::start(&write_config(folder.path(), &painter, ["", "", ""])).await;
    let mut slow = line.slow(&painter, &[]).await;
    line.upgrade().await;
    line.signal(line.newest(), "USR2");
    line.until_logged("not upgraded (predecessor_ends)", 1).await;
    painter.release();
    assert_eq!(slow.receive().await.unwrap().status, 200);
    drop(slow);
    line.until_alone().await;
    line.upgrade().await;
    line.until_alone().await;
    assert_eq!(line.draw(&prompt("a hen"), &[]).await.status, 200);
}

#[tokio::test]
async fn another_process_is_kept_out_of_the_ledger_before_and_after_an_upgrade() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let path = write_config(folder.path(), &painter, ["", "", ""]);
    let mut line = Line::start(&path).await;
    let taken = || {
        let output = easel().args(["serve", "--config"]).arg(&path).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(taken().contains("another easel"));
    line.upgrade().await;
    assert!(taken().contains("another easel"));
    line.until_alone().await;
    assert!(taken().contains("another easel"));
}

#[tokio::test]
async fn links_that_either_process_has_handed_out_lead_to_their_pictures_before_and_after_the_old_one_ends() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let mut line = Line::start(&write_config(folder.path(), &painter, ["", "", ""])).await;
    let link =
        |answer: &Answer| answer.json()["data"][0]["url"].as_str().unwrap().split_once("/v1/").unwrap().1.to_owned();
    let linked = |words: &str| json!({"model": "m", "prompt": words, "response_format": "url"});
    let mut kept = Client::connect(line.addr).await;
    let before = link(&kept.post(GENERATE, &linked("a hen")).await);
    let slow = line.slow(&painter, &[]).await;
    line.upgrade().await;
    let after = link(&kept.post(GENERATE, &linked("a cow")).await);
    let new = link(&line.draw(&linked("a dog"), &[]).await);
    let links = [before, after, new];
    for link in &links {
        assert_eq!(Client::connect(line.addr).await.get(&format!("/v1/{link}")).await.status, 200, "{link}");
    }
    painter.release();
    drop((slow, kept));
    line.until_alone().await;
    for link in &links {
        let picture = Client::connect(line.addr).await.get(&format!("/v1/{link}")).await;
        assert_eq!((picture.status, picture.body == crate::scripted::picture()), (200, true), "{link}");
    }
}

#[tokio::test]
async fn pictures_on_disk_go_over_to_the_new_process() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let path = write_config(folder.path(), &painter, ["", "", ""]);
    let text = std::fs::read_to_string(&path).unwrap().replace(", cache: false", "");
    let disk = format!("cache: {{disk: {{dir: '{}', size: 64MiB}}}}\n", folder.path().join("cache").display());
    std::fs::write(&path, disk + &text).unwrap();
    let mut line = Line::start(&path).await;
    assert_eq!(line.draw(&prompt("a hen"), &[]).await.status, 200);
    line.upgrade().await;
    let again = line.draw(&prompt("a hen"), &[]).await;
    assert_eq!((again.status, again.header("x-easel-cache")), (200, "exact"));
    line.until_alone().await;
    assert_eq!(line.draw(&prompt("a hen"), &[]).await.header("x-easel-cache"), "exact");
    assert_eq!(painter.scripted.asked().len(), 1);
}

#[tokio::test]
async fn systemd_is_told_when_easel_serves_and_which_process_it_is_after_an_upgrade() {
    let (folder, painter) = (tempfile::tempdir().unwrap(), Painter::start().await);
    let socket = tokio::net::UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let told = async || {
        let mut bytes = [0; 200];
        let many = tokio::time::timeout(LONG, socket.recv(&mut bytes)).await.expect("systemd is not told").unwrap();
        String::from_utf8_lossy(&bytes[..many]).into_owned()
    };
    let path = write_config(folder.path(), &painter, ["", "", ""]);
    let mut line = Line::start_with(&path, &[("NOTIFY_SOCKET", &folder.path().join("notify"))]).await;
    assert_eq!(told().await.trim(), "READY=1");
    line.upgrade().await;
    assert_eq!(told().await.trim(), format!("MAINPID={}\nREADY=1", line.newest()));
    line.until_alone().await;
    line.signal(line.newest(), "TERM");
    assert_eq!(told().await.trim(), "STOPPING=1");
}
