//! The `easel` command as a person or a supervisor meets it.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use easel::Usd;
use easel::internals::calendar::Moment;
use easel::internals::config::plan::OnLedgerError;
use easel::internals::ledger::Rejections;
use easel::internals::ledger::entry::{CostSource, Delivered, Entry, Owner, Purpose, Settlement};
use easel::internals::store::{Location, Options, Store, Write};
use easel::sandbox::{Name, Sandbox, Settings};
use serde_json::Value;

use crate::client::{Client, tells_no_secret};
use crate::world::{GENERATE, ask, route};

/// One at a time: the demo has ports that a person can paste.
static DEMO: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// The right to run the demo, until it is dropped.
pub fn demo_alone() -> std::sync::MutexGuard<'static, ()> {
    DEMO.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub fn easel() -> Command {
    Command::new(env!("CARGO_BIN_EXE_easel"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const SIX_MISTAKES: &str = "server:
  listen: 127.0.0.1:8080
  pasthrough: http://127.0.0.1:3000
providers:
  stability:
    kind: stabilty
    api_key: ${NO_SUCH_KEY_HERE}
    timeout: 10 sec
    models: {core: {}}
  openai:
    kind: openai
    api_key: sk-live-very-secret
    models: {gpt-image-2: {price: 0.04}}
routes:
  - name: r
    offers: [openai/gpt-image-1]
";

#[test]
fn check_prints_six_problems_of_six_mistakes_each_with_its_place_and_a_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("easel.yaml");
    std::fs::write(&path, SIX_MISTAKES).unwrap();
    let output = easel().arg("check").arg(&path).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for (place, word) in [
        (":3:3", "passthrough"),
        (":6:11", "stability"),
        (":7:14", "NO_SUCH_KEY_HERE"),
        (":8:14", "10s"),
        (":9:", "price"),
        (":16:14", "gpt-image-2"),
    ] {
        assert!(said.contains(place) && said.contains(word), "{place} {word} not in:\n{said}");
    }
    assert!(said.trim_end().ends_with(&format!("6 problems in {}", path.display())), "{said}");
    assert!(!said.contains("sk-live-very-secret"), "{said}");
}

#[test]
fn check_is_content_with_a_good_file_and_schema_prints_json() {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/demo.yaml");
    let output = easel().arg("check").arg(&config).env("EASEL_SANDBOX_URL", "http://127.0.0.1:1").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("is fine"), "{}", text(&output.stdout));
    let schema = easel().arg("schema").output().unwrap();
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema["properties"]["routes"].is_object(), "{schema}");
}

#[test]
fn schema_prints_a_preset_and_knows_the_others() {
    let output = easel().args(["schema", "--preset", "together"]).output().unwrap();
    assert!(text(&output.stdout).contains("\nbase_url: https://api.together.ai/v1/\n"), "{output:?}");
    let output = easel().args(["schema", "--preset", "togehter"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("siliconflow"), "{}", text(&output.stderr));
}

#[test]
fn the_demo_tells_its_story_saves_pictures_that_open_and_exits_well() {
    let folder = tempfile::tempdir().unwrap();
    let _alone = demo_alone();
    let output = easel().args(["demo", "--exit", "--out"]).arg(folder.path()).output().unwrap();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", text(&output.stderr));
    let saved = format!("The pictures are in {}\n", folder.path().canonicalize().unwrap().display());
    for word in ["cache      miss", "cache      exact", "cost       0\n", "attempts   2", "stability/core=1", &saved] {
        assert!(said.contains(word), "{word} not in:\n{said}");
    }
    assert_eq!(text(&output.stderr), "", "no log line stands between the steps");
    let files =
        |of: &Path| -> Vec<PathBuf> { std::fs::read_dir(of).unwrap().map(|entry| entry.unwrap().path()).collect() };
    let pictures: Vec<_> =
        [folder.path().to_owned(), folder.path().join("rejected")].iter().flat_map(|dir| files(dir)).collect();
    let pictures: Vec<_> = pictures
        .iter()
        .filter(|file| file.is_file() && !["json", "html"].contains(&file.extension().unwrap().to_str().unwrap()))
        .collect();
    assert_eq!(pictures.len(), 2 + 4 + 2, "{pictures:?}");
    for picture in pictures {
        assert!(image::open(picture).unwrap().width() >= 512, "{picture:?}");
    }
    let page = std::fs::read_to_string(folder.path().join("quality.html")).unwrap();
    for word in ["costs 0.018 USD; its price is 0.009", "delivered 4 of 4, each for 0.0355 USD"] {
        assert!(page.contains(word) && said.contains(word), "{word} not in:\n{said}\n{page}");
    }
    assert_eq!(
        (page.matches("<article class=\"rejected\"").count(), page.matches("<article class=\"accepted\"").count()),
        (2, 4)
    );
}

#[test]
fn a_demo_that_cannot_save_its_pictures_names_the_directory_before_it_draws_any() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let out = file.join("pictures");
    let _alone = demo_alone();
    let output = easel().args(["demo", "--exit", "--out"]).arg(&out).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    assert!(said.contains(&format!("no picture can be saved in '{}': ", out.display())), "{said}");
    assert!(said.contains("--out"), "{said}");
}

/// A running `easel serve`, killed when the test ends.
pub struct Served {
    child: Child,
    pub addr: std::net::SocketAddr,
    pub admin: std::net::SocketAddr,
    errors: BufReader<std::process::ChildStderr>,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    /// Starts it on free ports and waits until it says where it listens.
    pub fn start(config: &Path, sandbox: &str, extra: &[(&str, &str)], log: Stdio) -> Served {
        Served::run(easel(), config, sandbox, extra, log)
    }

    /// The same on a disk on which no file grows beyond so many KiB.
    pub fn start_on_a_disk_of(kib: u32, config: &Path, sandbox: &str) -> Served {
        let mut command = Command::new("bash");
        // Without the trap the kernel ends whoever writes too much, instead of telling him.
        let limited = format!("trap '' XFSZ; ulimit -f {kib}; exec \"$0\" \"$@\"");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_easel")]);
        Served::run(command, config, sandbox, &[], Stdio::null())
    }

    /// The same where the system lets no process open more than so many files.
    pub fn start_with_files(files: u32, config: &Path, sandbox: &str) -> Served {
        let mut command = Command::new("bash");
        let limited = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        command.args(["-c", &limited, env!("CARGO_BIN_EXE_easel")]);
        Served::run(command, config, sandbox, &[], Stdio::null())
    }

    fn run(mut command: Command, config: &Path, sandbox: &str, extra: &[(&str, &str)], log: Stdio) -> Served {
        command.args(["serve", "--config"]).arg(config).env("SANDBOX", sandbox).env("EASEL_LOG", "info");
        command.envs(extra.iter().copied());
        let mut child = command.stdout(log).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("images on ") {
            line.clear();
            assert!(errors.read_line(&mut line).unwrap() > 0, "it ended before it listened");
        }
        let mut found = line.split("://").skip(1).map(|part| {
            let end = part.find([',', '\n', ' ', '"']).unwrap_or(part.len());
            part[..end].parse().unwrap()
        });
        let (addr, admin) = (found.next().unwrap(), found.next().unwrap());
        Served { child, addr, admin, errors }
    }

    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Waits until it ends, and reads nothing of what it wrote.
    pub fn wait(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Waits until it ends; what it wrote, and its own log.
    pub fn end(mut self) -> (Output, String) {
        let mut log = String::new();
        self.errors.read_to_string(&mut log).unwrap();
        let mut lines = Vec::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_end(&mut lines).unwrap();
        }
        let status = self.child.wait().unwrap();
        tells_no_secret(&lines, "standard output");
        tells_no_secret(log.as_bytes(), "the log");
        (Output { status, stdout: lines, stderr: Vec::new() }, log)
    }
}

pub fn config(folder: &Path, text: &str) -> std::path::PathBuf {
    let path = folder.join("easel.yaml");
    std::fs::write(&path, format!("server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0}}\n{text}")).unwrap();
    path
}

#[tokio::test]
async fn a_door_that_nobody_said_is_open_is_a_problem_to_check_and_serves_this_machine_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let path = folder.path().join("easel.yaml");
    let written = |more: &str| {
        let server = "server: {listen: '0.0.0.0:0', admin: '127.0.0.1:0'}";
        std::fs::write(&path, format!("{server}\n{more}\n{}", route(&["stability/core"]))).unwrap();
        easel().arg("check").arg(&path).env("SANDBOX", sandbox.url()).output().unwrap()
    };
    let open = written("clients: anyone");
    assert!(open.status.success(), "{}", text(&open.stderr));
    let shut = written("");
    assert_eq!(shut.status.code(), Some(1));
    let said = text(&shut.stderr);
    assert!(said.contains(":1:18") && said.contains("`clients: anyone`"), "{said}");
    let served = Served::start(&path, &sandbox.url(), &[], Stdio::null());
    let here = std::net::SocketAddr::from(([127, 0, 0, 1], served.addr.port()));
    assert_eq!(Client::connect(here).await.post(GENERATE, &ask("x")).await.status, 200);
}

#[tokio::test]
async fn sigterm_lets_what_is_in_flight_finish_and_then_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    sandbox.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(500));
    let served =
        Served::start(&config(folder.path(), &route(&["stability/core"])), &sandbox.url(), &[], Stdio::piped());
    let mut client = Client::connect(served.addr).await;
    client.send("POST", GENERATE, &[("content-type", "application/json")], ask("x").to_string().as_bytes()).await;
    sandbox.until(Name::Stability, |bill| bill.in_flight == 1).await;
    served.signal("TERM");
    let mut ready = 200;
    while ready == 200 {
        ready = Client::connect(served.admin).await.get("/readyz").await.status;
    }
    assert_eq!(ready, 503);
    let answer = client.receive().await.unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, "close"));
    let (output, log) = tokio::task::spawn_blocking(|| served.end()).await.unwrap();
    assert!(output.status.success(), "{log}");
    let line: Value = serde_json::from_str(text(&output.stdout).lines().next().unwrap()).unwrap();
    assert_eq!((line["status"].as_u64(), line["config_version"].as_u64()), (Some(200), Some(1)));
    assert_eq!((&line["image"]["cost_usd"], &line["image"]["route"]), (&"0.04".into(), &"r".into()));
    assert!(!text(&output.stdout).contains("sk-test"));
}

#[tokio::test]
async fn sighup_reloads_and_a_bad_file_is_reported_like_check_does() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let path = config(folder.path(), &route(&["stability/core"]));
    let mut served = Served::start(&path, &sandbox.url(), &[], Stdio::piped());
    config(folder.path(), &route(&["stability/croe"]));
    served.signal("HUP");
    let mut log = String::new();
    while !log.contains("problem") {
        assert!(served.errors.read_line(&mut log).unwrap() > 0, "{log}");
    }
    assert!(log.contains("version 1 stays in force"), "{log}");
    let mut all = log.clone();
    while !all.contains("1 problem in") {
        assert!(served.errors.read_line(&mut all).unwrap() > 0, "{all}");
    }
    assert!(all.contains("core"), "{all}");
    assert_eq!(Client::connect(served.addr).await.post(GENERATE, &ask("x")).await.status, 200);
    let page = Client::connect(served.admin).await.get("/metrics").await.text();
    assert!(page.contains("easel_config_reload_success 0"), "{page}");
}

#[test]
fn an_address_in_use_and_a_missing_file_are_told_plainly() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("easel.yaml");
    let listen = taken.local_addr().unwrap();
    std::fs::write(
        &path,
        format!("server: {{listen: \"{listen}\", admin: 127.0.0.1:0}}\n{}", route(&["stability/core"])),
    )
    .unwrap();
    let output = easel().args(["serve", "--config"]).arg(&path).env("SANDBOX", "http://127.0.0.1:1").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(&format!("cannot listen on {listen}")), "{}", text(&output.stderr));
    let output = easel().args(["serve", "--config", "/nowhere/easel.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/nowhere/easel.yaml"), "{}", text(&output.stderr));
}

/// A ledger with an attempt of each tenant, still being written. Where the tenant comes behind a reason, its picture was
/// rejected for that.
fn written(dir: &Path, tenants: &[&str]) -> std::sync::Arc<Store> {
    let at: Moment = "2026-11-25T23:30:00Z".parse().unwrap();
    let options = Options::new(Duration::from_secs(86_400 * 400), OnLedgerError::Refuse);
    let store = Store::open(Location::Dir(dir.to_owned()), options, at).unwrap().store;
    for (id, tenant) in (1..).zip(tenants) {
        let (rejections, tenant): (Rejections, &str) = match tenant.strip_prefix("blank:") {
            Some(tenant) => (["blank"].into_iter().collect(), tenant),
            None => (Rejections::default(), tenant),
        };
        let delivered = rejections.count() == 0;
        let owner =
            Owner { tenant: tenant.into(), route: "r".into(), provider: "stability".into(), model: "core".into() };
        let usd: Usd = "0.040000001".parse().unwrap();
        let (request, purpose) = (format!("req-{id}").into(), Purpose::Draw);
        store.write_unawaited(Write::Open(Entry {
            id,
            at,
            request,
            owner,
            purpose,
            pictures: 1,
            estimate: usd,
            chosen: "first",
        }));
        let settlement = Settlement {
            at,
            usd,
            prepaid: Usd::ZERO,
            lost: Usd::ZERO,
            uncertain: Usd::ZERO,
            source: CostSource::Table,
            billed: 1,
            refused: 0,
            rejections,
            outcome: "ok",
            took: Duration::from_secs(1),
            pictures: delivered.then(|| Delivered { image: "fox".into(), usd }).into_iter().collect(),
        };
        store.write_unawaited(Write::Settle { id, settlement });
    }
    store.flush().unwrap();
    store
}

fn ledger(dir: &Path, words: &[&str]) -> Output {
    easel().args(["ledger", "--state-dir"]).arg(dir).args(words).output().unwrap()
}

#[test]
fn the_ledger_is_printed_exactly_while_another_process_writes_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path(), &["web", "say \"hi\", you"]);
    let said = text(&ledger(folder.path(), &[]).stdout);
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    let titles = ["provider", "model", "attempts", "billed", "accepted", "usd", "cost_per_accepted_usd", "average_ms"];
    assert_eq!(lines[0], titles);
    assert_eq!(lines[1], ["stability", "core", "2", "2", "2", "0.080000002", "0.040000001", "1000"], "{said}");
    assert_eq!(lines[2][..2], ["all", "2"], "{said}");
    let csv = text(&ledger(folder.path(), &["--by", "tenant", "--format", "csv"]).stdout);
    assert!(csv.starts_with("tenant,attempts,billed,") && csv.lines().count() == 3, "{csv}");
    assert!(csv.contains("\n\"say \"\"hi\"\", you\",1,1,1,0,0,0.040000001,"), "{csv}");
    assert!(csv.lines().all(|line| line.ends_with(",average_ms") || line.ends_with(",1000")), "{csv}");
    let words = ["--by", "day", "--month", "2026-11", "--zone", "Europe/Berlin", "--tenant", "web", "--format", "json"];
    let json: Value = serde_json::from_slice(&ledger(folder.path(), &words).stdout).unwrap();
    assert_eq!((&json["rows"][0]["day"], &json["total"]["usd"]), (&"2026-11-26".into(), &"0.040000001".into()));
    assert_eq!(json["rows"][0]["average_ms"], 1000);
    let none = text(&ledger(folder.path(), &["--until", "2026-11-25"]).stdout);
    assert!(none.contains("nothing was settled"), "{none}");
    store.write_unawaited(Write::Release { id: 9 });
    store.flush().unwrap();
}

#[test]
fn the_ledger_has_a_line_for_each_reason_to_reject_pictures_and_what_it_cost() {
    let folder = tempfile::tempdir().unwrap();
    let store = written(folder.path(), &["web", "blank:web"]);
    let said = text(&ledger(folder.path(), &["--by", "model,reason"]).stdout);
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    let titles = ["model", "reason", "attempts", "billed", "accepted", "rejected", "usd"];
    assert_eq!(lines[0][..7], titles, "{said}");
    assert_eq!(lines[1][..7], ["core", "-", "1", "1", "1", "0", "0.040000001"], "{said}");
    assert_eq!(lines[2][..7], ["core", "blank", "1", "1", "0", "1", "0.040000001"], "{said}");
    assert_eq!(lines[3][..6], ["all", "2", "2", "1", "1", "0.080000002"], "{said}");
    drop(store);
}

#[test]
fn a_ledger_that_is_not_there_and_words_that_mean_nothing_are_told_plainly() {
    let folder = tempfile::tempdir().unwrap();
    let output = ledger(folder.path(), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there is no ledger at"), "{}", text(&output.stderr));
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_none(), "looking makes no file");
    let of_config = |text: &str| {
        let path = folder.path().join("easel.yaml");
        std::fs::write(&path, text).unwrap();
        easel().args(["ledger", "--config"]).arg(&path).env("SANDBOX", "http://127.0.0.1:1").output().unwrap()
    };
    let without = of_config(&route(&["stability/core"]));
    assert!(text(&without.stderr).contains("has no server.state_dir"), "{without:?}");
    let kept = folder.path().join("kept");
    let store = written(&kept, &["web"]);
    let with = of_config(&format!("server: {{state_dir: '{}'}}\n{}", kept.display(), route(&["stability/core"])));
    assert!(text(&with.stdout).contains("0.040000001"), "{with:?}");
    drop(store);
    let output = ledger(folder.path(), &["--by", "colour"]);
    assert!(text(&output.stderr).contains("cannot group by 'colour', only by day, hour, provider"), "{output:?}");
}

#[cfg(unix)]
#[test]
fn a_file_that_never_ends_is_a_problem_with_its_place_and_nothing_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let (config, pipe) = (folder.path().join("easel.yaml"), folder.path().join("pipe"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (path, is) in [("/dev/zero", "a device"), (pipe.to_str().unwrap(), "a pipe")] {
        let keys = format!(
            "providers:\n  a:\n    kind: stability\n    api_key: ${{file:{path}}}\n    models: {{core: {{price: 1}}}}\n"
        );
        std::fs::write(&config, keys + "routes: [{name: r, offers: [a/core]}]\n").unwrap();
        let output = easel().args(["check", config.to_str().unwrap()]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("easel.yaml:4:14") && told.contains(&format!("it is {is}")), "{told}");
        let output = easel().args(["check", path]).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.code() == Some(1) && told.contains(&format!("{path}: it is {is}")), "{told}");
    }
}

#[tokio::test]
async fn health_is_told_by_the_exit_code_and_a_file_may_be_served_by_its_name_alone() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let path = config(folder.path(), &route(&["stability/core"]));
    let health = |admin: &str, more: &[&str]| {
        let output = easel().args(["health", "--admin", admin]).args(more).output().unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let served = Served::start(&path, &sandbox.url(), &[], Stdio::null());
    let admin = served.admin.to_string();
    assert_eq!(health(&admin, &[]), (Some(0), "ok\n".to_owned(), String::new()));
    assert_eq!(health(&admin, &["--ready"]), (Some(0), "ready\n".to_owned(), String::new()));
    let wrong = health(&served.addr.to_string(), &[]);
    assert!(wrong.0 == Some(1) && wrong.2.contains("/healthz answers "), "{wrong:?}");
    drop(served);
    let gone = health(&admin, &[]);
    assert!(gone.0 == Some(1) && gone.2.contains("does not answer"), "{gone:?}");
    let both = easel().args(["serve", "a.yaml", "--config", "b.yaml"]).output().unwrap();
    assert!(both.status.code() == Some(2) && text(&both.stderr).contains("cannot be used with"), "{both:?}");
    let absent = easel().args(["serve", "no-such.yaml"]).output().unwrap();
    assert!(absent.status.code() == Some(1) && text(&absent.stderr).contains("no-such.yaml"), "{absent:?}");
}
