//! A world for one test: pretend providers on real sockets, a gateway on port 0, and a client.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use easel::reload::EnvAndFiles;
use easel::sandbox::{Bill, Name, Sandbox, Settings, Vendor};
use easel::sidecar::{self, RunningSidecar};
use easel::{AccessLog, Gateway, Plan, Usd, reload};
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// Where image requests go.
pub const GENERATE: &str = "/v1/images/generations";

/// The environment of a test: where the sandbox is.
pub struct Env(pub String);

impl EnvAndFiles for Env {
    fn var(&self, name: &str) -> Option<String> {
        (name == "SANDBOX").then(|| self.0.clone())
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        std::fs::read_to_string(path).map_err(|error| error.to_string())
    }
}

/// Sandbox and gateway.
pub struct World {
    pub sandbox: Sandbox,
    pub gateway: Arc<Gateway>,
    _running: RunningSidecar,
    pub addr: SocketAddr,
    pub admin: SocketAddr,
}

impl World {
    /// Starts everything on the given config, `${SANDBOX}` being the providers' address.
    pub async fn new(config: &str) -> World {
        World::with(config, Settings::default()).await
    }

    /// The same with providers of the test's own making.
    pub async fn with(config: &str, settings: Settings) -> World {
        let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), settings).await.unwrap();
        let plan = plan(config, &sandbox.url());
        let gateway = Gateway::new(plan).unwrap();
        let log = AccessLog::off();
        let running = sidecar::start(gateway.clone(), log).unwrap();
        let (addr, admin) = (running.addr, running.admin);
        World { sandbox, gateway, _running: running, addr, admin }
    }

    /// A fresh connection.
    pub async fn client(&self) -> Client {
        Client::connect(self.addr).await
    }

    /// One image request on a connection of its own.
    pub async fn draw(&self, body: Value) -> Answer {
        self.client().await.post(GENERATE, &body).await
    }

    /// The same with headers.
    pub async fn draw_with(&self, body: Value, headers: &[(&str, &str)]) -> Answer {
        self.client().await.post_with(GENERATE, &body, headers).await
    }

    /// A vendor's bill.
    pub fn bill(&self, vendor: Name) -> Bill {
        self.sandbox.invoice().vendor(vendor).clone()
    }

    /// Changes a vendor.
    pub fn set(&self, vendor: Name, change: impl FnOnce(&mut Vendor)) {
        self.sandbox.set(vendor, change);
    }

    /// What Easel recorded as paid.
    pub fn spent(&self) -> Usd {
        self.gateway.shared.ledger.spent().unwrap()
    }

    /// What the vendors charge in all.
    pub fn invoiced(&self) -> Usd {
        self.sandbox.invoice().total.unwrap()
    }

    /// Waits until no drawing goes on behind its client's back.
    pub async fn settled(&self) {
        let work = &self.gateway.shared.work;
        work.close();
        work.wait().await;
    }

    /// Waits until nobody is served, nothing is drawn behind anybody's back, nothing is promised, and no vendor works.
    pub async fn idle(&self) {
        let shared = &self.gateway.shared;
        let busy = || shared.metrics.requests_in_flight.get() > 0 || !shared.work.is_empty();
        let polling = async {
            while busy() || shared.ledger.reserved() != Usd::ZERO {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), polling).await.expect("something is never done");
        for name in Name::ALL {
            self.sandbox.until(name, |bill| bill.in_flight == 0).await;
        }
    }

    /// The metrics page.
    pub async fn metrics(&self) -> String {
        Client::connect(self.admin).await.get("/metrics").await.text()
    }
}

/// A checked plan on free ports.
pub fn plan(config: &str, sandbox: &str) -> Plan {
    let mut plan = match reload::check("test.yaml", config, &Env(sandbox.to_owned())) {
        Ok(plan) => plan,
        Err(error) => panic!("{error}"),
    };
    plan.server.listen = "127.0.0.1:0".to_owned();
    plan.server.admin = "127.0.0.1:0".to_owned();
    plan
}

/// The four vendors of the sandbox as providers, each with one model at the sandbox's default price.
pub const PROVIDERS: &str = "
providers:
  openai:
    kind: openai
    base_url: ${SANDBOX}/openai/v1/
    api_key: sk-test
    timeout: 20s
    models: {gpt-image-2: {price: 0.04}, dall-e-3: {price: 0.04}}
  compatible:
    kind: openai_compatible
    base_url: ${SANDBOX}/compatible/v1/
    api_key: sk-test
    timeout: 20s
    models: {any-model: {price: 0.04, formats: [png, jpeg, webp]}}
  stability:
    kind: stability
    base_url: ${SANDBOX}/stability/
    api_key: sk-test
    timeout: 20s
    models: {core: {price: 0.04}, stable-diffusion-xl-1024-v1-0: {price: 0.04}}
  replicate:
    kind: replicate
    base_url: ${SANDBOX}/replicate/v1/
    api_key: r8-test
    timeout: 20s
    models: {black-forest-labs/flux-schnell: {price: 0.04}}
";

/// A config with the sandbox's providers and one route `r` over `offers`.
pub fn route(offers: &[&str]) -> String {
    route_with(offers, "")
}

/// The same, with more lines in the route, each indented by four spaces.
pub fn route_with(offers: &[&str], more: &str) -> String {
    format!("{PROVIDERS}\nroutes:\n  - name: r\n    match: {{models: [m]}}\n    offers: {}\n{more}", json!(offers))
}

/// An image request to route `r`.
pub fn ask(prompt: &str) -> Value {
    json!({"model": "m", "prompt": prompt, "size": "1024x1024"})
}

/// `ask` with other fields set.
pub fn ask_with(prompt: &str, more: Value) -> Value {
    let mut body = ask(prompt);
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

/// The pictures of an answer, decoded, with their sizes.
pub fn pictures(answer: &Answer) -> Vec<(u32, u32)> {
    let body = answer.json();
    let data = body["data"].as_array().unwrap_or_else(|| panic!("{}: {}", answer.status, answer.text()));
    let decode = |item: &Value| {
        let base64 = item["b64_json"].as_str().unwrap();
        let bytes = base64_simd::STANDARD.decode_to_vec(base64).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap();
        (picture.width(), picture.height())
    };
    data.iter().map(decode).collect()
}
