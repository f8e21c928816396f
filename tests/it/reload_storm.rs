//! A running `easel serve` whose config file is changed again and again, well and badly, and which hands over to a new process,
//! under a steady load.

use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use easel::Usd;
use easel::sandbox::{Name, Sandbox, Settings};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use crate::client::{Answer, Client};
use crate::upgrade::Line;
use crate::world::{GENERATE, pictures};

const KEY: (&str, &str) = ("authorization", "Bearer storm-key");
const WRONG: (&str, &str) = ("authorization", "Bearer storm-kay");

/// Connections of the load, each with one request at a time.
const LANES: u32 = 8;

/// Versions are told apart by this many names, so that labels of metrics stay few. Neighbours always differ.
const NAMES: u32 = 8;

/// What is done to the config file in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// An editor writes a draft and renames it over the file.
    Replaced,
    /// The file is emptied and written in pieces, with pauses in which it is looked at.
    Slowly,
    /// Kubernetes swaps `..data`.
    Swapped,
    /// A new process takes over, with a new version of the config.
    Upgraded,
    /// What must not be taken.
    Bad(Mistake),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    UnknownKey,
    NoYaml,
    Emptied,
    NoClients,
}

const GOOD: [Step; 3] = [Step::Replaced, Step::Slowly, Step::Swapped];
const MISTAKES: [Mistake; 4] = [Mistake::UnknownKey, Mistake::NoYaml, Mistake::Emptied, Mistake::NoClients];

/// Steps at random, each sort as often as chance has it. A bad one is followed by a good one: whether a second bad one
/// was refused does not show in a metric that is 0 already.
fn steps(seed: u64, count: usize) -> Vec<(Step, bool)> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bad_before = true;
    let one = |_| {
        let bad = !bad_before && random.bool();
        bad_before = bad;
        let step =
            if bad { Step::Bad(MISTAKES[random.usize(..MISTAKES.len())]) } else { GOOD[random.usize(..GOOD.len())] };
        (step, random.u8(..3) == 0)
    };
    let mut steps: Vec<(Step, bool)> = (0..count).map(one).collect();
    steps.insert(count / 2, (Step::Upgraded, false));
    steps
}

fn name(version: u32) -> String {
    format!("v{}", version % NAMES)
}

/// Its price, which stands elsewhere in the file than the route's name.
fn price(name: &str) -> String {
    format!("0.04{}", name[1..].parse::<u32>().unwrap() + 1)
}

/// A config whose route, model and price name one version. Clients stand last and every value in braces, so that no
/// beginning of it is a config with the clients' keys: halves must be refused, or nobody needs a key.
fn config(version: u32, state_dir: &Path) -> String {
    let name = name(version);
    let key: String = Sha256::digest(b"storm-key").iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "server: {{listen: '127.0.0.1:0', admin: '127.0.0.1:0', state_dir: '{}'}}
providers:
  compatible: {{kind: openai_compatible, base_url: '${{SANDBOX}}/compatible/v1/', api_key: sk-test, timeout: 20s, models: {{{name}: {{price: {}}}}}}}
routes:
  - {{name: {name}, offers: [compatible/{name}]}}
clients:
  - {{name: web, key_sha256: {key}}}
",
        state_dir.display(),
        price(&name)
    )
}

fn mistaken(mistake: Mistake, version: u32, state_dir: &Path) -> String {
    let good = config(version, state_dir);
    match mistake {
        Mistake::UnknownKey => good.replace("offers:", "ofers:"),
        Mistake::NoYaml => good.replace("models: {", "models: [{"),
        Mistake::Emptied => String::new(),
        Mistake::NoClients => good[..good.find("clients:").unwrap()].to_owned(),
    }
}

/// A folder as Kubernetes mounts it: `easel.yaml` -> `..data/easel.yaml`, `..data` -> a folder of its own.
struct Mounted {
    folder: tempfile::TempDir,
    swaps: u32,
}

impl Mounted {
    fn new() -> Mounted {
        let mut mounted = Mounted { folder: tempfile::tempdir().unwrap(), swaps: 0 };
        mounted.swap(&config(0, &mounted.state_dir()));
        symlink("..data/easel.yaml", mounted.path()).unwrap();
        mounted
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state_dir(&self) -> PathBuf {
        self.at("state")
    }

    fn path(&self) -> PathBuf {
        self.at("easel.yaml")
    }

    fn swap(&mut self, text: &str) {
        self.swaps += 1;
        let target = format!("..swap_{}", self.swaps);
        std::fs::create_dir(self.at(&target)).unwrap();
        std::fs::write(self.at(&target).join("easel.yaml"), text).unwrap();
        symlink(&target, self.at("..data_tmp")).unwrap();
        std::fs::rename(self.at("..data_tmp"), self.at("..data")).unwrap();
        let _ = std::fs::remove_dir_all(self.at(&format!("..swap_{}", self.swaps - 1)));
    }

    fn rename_over(&self, text: &str) {
        std::fs::write(self.at("draft"), text).unwrap();
        std::fs::rename(self.at("draft"), std::fs::canonicalize(self.path()).unwrap()).unwrap();
    }

    /// Pieces longer apart than two looks, so that halves are seen and settle. With a signal right after each.
    async fn write_slowly(&self, text: &str, served: &Line, hup: bool) {
        for end in [0, text.len() / 3, text.find("clients:").unwrap(), text.len() - 30] {
            std::fs::write(self.path(), &text[..end]).unwrap();
            if hup {
                served.signal(served.newest(), "HUP");
            }
            sleep(Duration::from_millis(300)).await;
        }
        std::fs::write(self.path(), text).unwrap();
    }
}

async fn gauge(admin: SocketAddr, name: &str) -> String {
    let page = Client::connect(admin).await.get("/metrics").await.text();
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{name} not in:\n{page}")).to_owned()
}

/// Waits until the last reload was taken (`1`) or refused (`0`).
async fn until_reload_success(served: &Line, wanted: &str, step: Step) {
    let waiting = async {
        while gauge(served.admin, "easel_config_reload_success").await != wanted {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("{step:?} never gave {wanted}"));
}

/// What the load has counted.
#[derive(Default, Debug)]
struct Count {
    drawn: u64,
    reused: u64,
    refused: u64,
    paid: Usd,
}

impl Count {
    /// Checks a picture's answer: all it tells is of one version.
    fn take(&mut self, answer: &Answer) {
        assert_eq!((answer.status, pictures(answer).len()), (200, 1), "{}", answer.text());
        let route = answer.header("x-easel-route");
        if answer.header("x-easel-cache") != "miss" {
            assert_eq!(answer.header("x-easel-cost-usd"), "0");
            self.reused += 1;
            return;
        }
        assert_eq!(answer.header("x-easel-served-by"), format!("compatible/{route}=1"));
        assert_eq!(answer.header("x-easel-cost-usd"), price(route), "another version's price");
        self.drawn += 1;
        self.paid = self.paid.checked_add(price(route).parse().unwrap()).unwrap();
    }
}

/// Requests at a steady pace over one connection: seven of ten are drawn, one may be reused, two have no right key.
async fn lane(lane: u32, addr: SocketAddr, every: Duration, stop: Arc<AtomicBool>) -> Count {
    let mut count = Count::default();
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut client = Client::connect(addr).await;
    for number in 0u64.. {
        tick.tick().await;
        if stop.load(Ordering::Acquire) {
            break;
        }
        let prompt = if number % 10 == 2 { "kept".to_owned() } else { format!("lane {lane} request {number}") };
        let body = json!({"prompt": prompt, "size": "64x64"});
        let stranger: Option<&[(&str, &str)]> = match number % 10 {
            0 => Some(&[]),
            1 => Some(&[WRONG]),
            _ => None,
        };
        if let Some(headers) = stranger {
            let answer = Client::connect(addr).await.post_with(GENERATE, &body, headers).await;
            assert_eq!(answer.status, 401, "let in without a key: {}", answer.text());
            count.refused += 1;
        } else {
            let answer = client.post_with(GENERATE, &body, &[KEY]).await;
            count.take(&answer);
            if answer.header("connection") == "close" {
                client = Client::connect(addr).await;
            }
        }
    }
    count
}

/// Asks until a fresh picture is drawn by `version`.
async fn until_in_force(addr: SocketAddr, version: u32, step: Step, count: &mut Count) {
    let mut client = Client::connect(addr).await;
    let asking = async {
        for number in 0u64.. {
            let body = json!({"prompt": format!("probe {version} {step:?} {number}"), "size": "64x64"});
            let answer = client.post_with(GENERATE, &body, &[KEY]).await;
            count.take(&answer);
            if answer.header("x-easel-route") == name(version) {
                return;
            }
            if answer.header("connection") == "close" {
                client = Client::connect(addr).await;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(30), asking).await.unwrap_or_else(|_| panic!("{step:?}: {version} never in force"));
}

/// One step: changes the file and waits until that is taken, or refused.
async fn take(step: Step, hup: bool, mounted: &mut Mounted, served: &Line, version: &mut u32, count: &mut Count) {
    if let Step::Bad(mistake) = step {
        std::fs::write(mounted.path(), mistaken(mistake, *version + 1, &mounted.state_dir())).unwrap();
        if hup {
            served.signal(served.newest(), "HUP");
        }
        until_reload_success(served, "0", step).await;
        // The old version serves on: the first answer is of it.
        let body = json!({"prompt": format!("after {version} {step:?}"), "size": "64x64"});
        let answer = Client::connect(served.addr).await.post_with(GENERATE, &body, &[KEY]).await;
        assert_eq!(answer.header("x-easel-route"), name(*version), "{step:?} was taken");
        count.take(&answer);
        return;
    }
    *version += 1;
    let text = config(*version, &mounted.state_dir());
    match step {
        Step::Slowly => mounted.write_slowly(&text, served, hup).await,
        Step::Swapped => mounted.swap(&text),
        Step::Upgraded => {
            mounted.rename_over(&text);
            served.upgrade().await;
        }
        Step::Replaced | Step::Bad(_) => mounted.rename_over(&text),
    }
    if hup && step != Step::Upgraded {
        served.signal(served.newest(), "HUP");
    }
    until_in_force(served.addr, *version, step, count).await;
    until_reload_success(served, "1", step).await;
}

#[expect(clippy::print_stdout, reason = "scripts/reloads is there to see how much there was")]
async fn storm(seed: u64, changes: usize, requests_per_second: u32) {
    let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
    let mut mounted = Mounted::new();
    let mut served = Line::start_with(&mounted.path(), &[("SANDBOX", Path::new(&sandbox.url()))]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let every = Duration::from_secs(1) * LANES / requests_per_second;
    let mut lanes = JoinSet::new();
    for number in 0..LANES {
        lanes.spawn(lane(number, served.addr, every, stop.clone()));
    }
    let (mut version, mut count) = (0, Count::default());
    for (step, hup) in steps(seed, changes) {
        take(step, hup, &mut mounted, &served, &mut version, &mut count).await;
    }
    stop.store(true, Ordering::Release);
    for lane in lanes.join_all().await {
        count.drawn += lane.drawn;
        count.reused += lane.reused;
        count.refused += lane.refused;
        count.paid = count.paid.checked_add(lane.paid).unwrap();
    }
    assert!(count.drawn > 0 && count.reused > 0 && count.refused > 0, "{count:?}");
    assert_eq!(
        sandbox.invoice().vendor(Name::Compatible).calls,
        count.drawn,
        "calls paid and answers drawn: {count:?}"
    );
    served.until_alone().await;
    let told = Client::connect(served.admin).await.get("/admin/ledger?by=tenant").await.json();
    assert_eq!(told["rows"][0]["attempts"].as_u64(), Some(count.drawn), "the ledger: {told}");
    let usd: Usd = told["rows"][0]["usd"].as_str().unwrap().parse().unwrap();
    assert_eq!(usd, count.paid, "dollars in the ledger, and told to clients");
    println!("{count:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_every_sort_under_load_fail_no_request_mix_no_versions_and_let_nobody_in() {
    storm(1, 12, 50).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: scripts/reloads"]
async fn a_hundred_changes_under_two_hundred_requests_a_second_do_neither() {
    storm(17, 100, 200).await;
}
