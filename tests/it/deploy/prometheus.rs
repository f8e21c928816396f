//! Every query of the dashboard and of the rules, asked of a real Prometheus that scrapes a real Easel.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use easel::sandbox::{Mode, Name};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::grafana::{dashboard, queries};
use crate::client::Client;
use crate::tls::{certificate, trusting};
use crate::tools::tool;
use crate::world::{GENERATE, PROVIDERS, World, ask, ask_with};

/// Longest wait for what two scrapes and one evaluation show.
const PATIENCE: Duration = Duration::from_secs(60);

/// A Prometheus with the rules, which scrapes one Easel; killed when the test ends.
struct Prometheus {
    child: Child,
    addr: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Prometheus {
    async fn start(easel: SocketAddr) -> Prometheus {
        let folder = tempfile::tempdir().unwrap();
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("conf/prometheus");
        let config = folder.path().join("prometheus.yaml");
        let text = format!(
            "global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n\
             rule_files: [{}/easel-rules.yaml, {}/easel-recording-rules.yaml]\n\
             scrape_configs: [{{job_name: easel, static_configs: [{{targets: ['{easel}']}}]}}]\n",
            rules.display(),
            rules.display(),
        );
        // What is added up every five minutes is not waited for that long.
        let month = std::fs::read_to_string(rules.join("easel-recording-rules.yaml")).unwrap();
        let own = folder.path().join("easel-recording-rules.yaml");
        std::fs::write(&own, month.replace("interval: 5m", "interval: 500ms")).unwrap();
        let text = text.replace(&format!("{}/easel-recording-rules.yaml", rules.display()), own.to_str().unwrap());
        std::fs::write(&config, text).unwrap();
        // It cannot say which port it was given, so a free one is found for it; somebody else may be faster.
        for _ in 0..5 {
            let addr = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut child = Command::new(tool("EASEL_TEST_PROMETHEUS"))
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
                .arg(format!("--web.listen-address={addr}"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let until = Instant::now() + PATIENCE;
            while child.try_wait().unwrap().is_none() && Instant::now() < until {
                if tokio::net::TcpStream::connect(addr).await.is_ok() {
                    return Prometheus { child, addr, _folder: folder };
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("prometheus does not start");
    }

    async fn get(&self, path: &str) -> Value {
        let answer = Client::connect(self.addr).await.get(path).await;
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{path}: {} {}", answer.status, answer.text()))
    }

    /// How many series a query has; what is wrong with it, if anything.
    async fn series(&self, query: &str) -> Result<usize, String> {
        let path = format!("/api/v1/query?query={}", utf8_percent_encode(query, NON_ALPHANUMERIC));
        let answer = self.get(&path).await;
        match answer["data"]["result"].as_array() {
            Some(result) => Ok(result.len()),
            None => Err(format!("{query}: {answer}")),
        }
    }

    /// Those of the queries that have no data when all the others have some.
    async fn empty(&self, queries: &BTreeSet<String>, may_be_empty: &[&str]) -> Vec<String> {
        let until = Instant::now() + PATIENCE;
        let mut left: Vec<String> = queries.iter().cloned().collect();
        loop {
            let mut empty = Vec::new();
            for query in left {
                if self.series(&query).await.unwrap() == 0 {
                    empty.push(query);
                }
            }
            left = empty;
            let awaited = left.iter().any(|query| !may_be_empty.iter().any(|part| query.contains(part)));
            if !awaited || Instant::now() > until {
                return left;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// An Easel that has everything that a query asks for: two routes, budgets, a disk, a certificate, judges, dated prices.
fn config(folder: &Path) -> String {
    let own = certificate();
    std::fs::write(folder.join("cert.pem"), own.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), own.signing_key.serialize_pem()).unwrap();
    let dated = PROVIDERS.replace("core: {price: 0.04}", "core: {price: {usd: 0.04, as_of: 2026-01-31}}");
    let folder = folder.display();
    format!(
        "server: {{tls: {{cert: {folder}/cert.pem, key: {folder}/key.pem}}}}
cache: {{disk: {{dir: {folder}/cache}}}}
alerts: [{{name: dear, when: cost_per_accepted_usd > 0.012, by: provider, min_images: 1}}]
{dated}
  text:
    kind: openai_text
    base_url: ${{SANDBOX}}/text/v1/
    api_key: sk-test
    models: {{gpt-4.1-nano: {{price: {{tokens_per_million: {{text_in: 1.00, text_out: 2.00}}}}}}}}
routes:
  - name: r
    match: {{models: [m]}}
    offers: [stability/core, openai/gpt-image-2]
    price: {{budget: [{{usd: 5, per: day}}, {{usd: 50, per: month}}]}}
    cache: {{near: verified, learn: {{judge: text/gpt-4.1-nano, max_usd_per_day: 0.50}}}}
  - name: judged
    match: {{models: [judged]}}
    offers: [openai/gpt-image-2]
    quality: {{judge: {{url: 'http://127.0.0.1:9/judge', timeout: 200ms}}}}
"
    )
}

/// Requests that are drawn, found again, refused, fail and are rejected.
async fn traffic(world: &World, folder: &Path) {
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    let pem = std::fs::read(folder.join("cert.pem")).unwrap();
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let mut client = trusting(roots, world).await.unwrap();
    let mut draw = async |body: Value| client.post(GENERATE, &body).await;
    assert_eq!(draw(ask("a photo of a rabbit in a garden")).await.status, 200);
    assert_eq!(draw(ask("a photo of a rabbit in a garden")).await.header("x-easel-cache"), "exact");
    draw(ask("a photo of a bunny in a garden")).await;
    assert_eq!(draw(ask_with("a fox", json!({"model": "judged"}))).await.status, 200);
    assert_eq!(draw(ask_with("a hen", json!({"n": 0}))).await.status, 400);
    // Only the second offer draws so many pixels across.
    draw(ask_with("a wide barn", json!({"size": "4096x512"}))).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Down500);
    assert_eq!(draw(ask("a cow")).await.status, 200);
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Truncated);
    draw(ask("a goat")).await;
}

/// The words in a query that may be metrics: with a prefix of Easel's, or recorded.
fn metrics(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let known = |word: &&str| word.starts_with("easel_") || word.starts_with("process_") || word.contains(":easel_");
    words.filter(known).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_of_dashboard_and_rules_is_valid_and_has_data_when_an_easel_has_something_to_tell() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(&config(folder.path())).await;
    let prometheus = Prometheus::start(world.admin).await;
    traffic(&world, folder.path()).await;

    // What Grafana would put in place of its variables.
    let of_grafana = queries(&dashboard()).into_iter().map(|query| {
        let filled = query.replace("$instance", ".*").replace("$alert_usd", "0.012").replace("$__rate_interval", "30s");
        assert!(!filled.contains('$'), "{query}");
        filled
    });
    let asked: BTreeSet<String> = of_grafana.collect();
    assert!(asked.len() > 50, "{}", asked.len());
    // A note on the time axis is there when a config has just been taken.
    let empty = prometheus.empty(&asked, &["changes(easel_config_version"]).await;
    assert!(empty.iter().all(|query| query.starts_with("changes(")), "no data for\n{}", empty.join("\n"));

    let rules = prometheus.get("/api/v1/rules").await;
    let rules: Vec<&Value> = rules["data"]["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert!(rules.len() > 15, "{rules:?}");
    let (mut recorded, mut named) = (BTreeSet::new(), BTreeSet::new());
    for rule in &rules {
        assert_eq!((&rule["health"], &rule["lastError"]), (&json!("ok"), &Value::Null), "{rule}");
        if rule["type"] == "recording" {
            recorded.insert(rule["name"].as_str().unwrap().to_owned());
        }
        named.extend(metrics(rule["query"].as_str().unwrap()));
    }
    // An alert is quiet where nothing is wrong, but each metric that it looks at is there, and each record has been made.
    named.extend(recorded);
    let empty = prometheus.empty(&named, &[]).await;
    assert!(empty.is_empty(), "nothing is called {empty:?}");
}
