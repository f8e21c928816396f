//! `easel demo`: the whole story without any key, told step by step.
//!
//! Starts the sandbox and a gateway on `conf/demo.yaml`, sends real requests over real sockets, saves the first picture
//! and says who was asked, at what price and why. With `--exit` it ends after the tour, with 0 only if all of it worked.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use http::HeaderMap;
use serde_json::{Value, json};
use url::Url;

use crate::cli;
use crate::config::EnvAndFiles;
use crate::config::plan::KeepRejected;
use crate::gateway::Gateway;
use crate::gateway::config_loader::ProcessEnv;
use crate::money::Usd;
use crate::provider::{Call, Reply};
use crate::sandbox::{Mode, Name, Sandbox, Settings};
use crate::server::access_log::AccessLog;
use crate::sidecar::{self, RunningSidecar};
use crate::upstream::transport::{AllowedTargets, Bounds, IDLE, Transport};

mod quality_step;

/// The demo's config, the same file that lies in `conf/`.
const CONFIG: &str = include_str!("../../conf/demo.yaml");
/// The variable in it that says where the sandbox is.
const SANDBOX_URL: &str = "EASEL_SANDBOX_URL";

/// What is logged between the steps where `EASEL_LOG` says nothing: neither a vendor that fails on purpose nor Pingora.
pub const FILTER: &str = "error,pingora=off";

/// Arguments of `easel demo`.
#[derive(Parser)]
pub struct Args {
    /// End after the tour; exit code 0 only if all of it worked.
    #[arg(long)]
    exit: bool,
    /// The directory that the pictures are saved in.
    #[arg(long, default_value = "easel-demo")]
    out: PathBuf,
}

/// Tells the story.
pub fn run(args: Args) -> ExitCode {
    let runtime = match cli::runtime(None) {
        Ok(runtime) => runtime,
        Err(error) => return cli::failed(format!("no runtime: {error}")),
    };
    match runtime.block_on(tour(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => cli::failed(format!("the demo did not work: {why}")),
    }
}

async fn tour(args: Args) -> Result<(), String> {
    let setup = DemoSetup::set(args.out).await?;
    setup.first_picture().await?;
    setup.same_again().await?;
    setup.first_provider_down().await?;
    setup.half_rejected().await?;
    setup.reckoning()?;
    setup.where_pictures_are();
    if args.exit {
        return setup.shut_down().await;
    }
    setup.stay_up();
    tokio::signal::ctrl_c().await.map_err(text)?;
    setup.shut_down().await
}

/// Environment of the demo: the sandbox's address, and the real one behind it.
struct DemoEnv {
    sandbox_url: String,
}

impl EnvAndFiles for DemoEnv {
    fn var(&self, name: &str) -> Option<String> {
        if name == SANDBOX_URL { Some(self.sandbox_url.clone()) } else { ProcessEnv.var(name) }
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        ProcessEnv.file(path)
    }
}

/// Everything that runs during the demo.
struct DemoSetup {
    sandbox: Sandbox,
    gateway: Arc<Gateway>,
    running: RunningSidecar,
    client: Arc<Transport>,
    out: PathBuf,
}

impl DemoSetup {
    async fn set(out: PathBuf) -> Result<DemoSetup, String> {
        std::fs::create_dir_all(&out).map_err(|error| not_writable(&out, &error))?;
        let settings = sandbox_settings()?;
        let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), settings).await.map_err(text)?;
        let env = DemoEnv { sandbox_url: sandbox.url() };
        let mut plan = crate::reload::check("conf/demo.yaml", CONFIG, &env).map_err(text)?;
        for address in [&mut plan.server.listen, &mut plan.server.admin] {
            // The demo must not fail because something else lives on its usual port.
            if std::net::TcpListener::bind(address.as_str()).is_err() {
                *address = "127.0.0.1:0".to_owned();
            }
        }
        let keep_rejected = KeepRejected { dir: out.join(quality_step::REJECTED), at_most: quality_step::AT_MOST };
        plan.quality.keep_rejected = Some(keep_rejected);
        let gateway = Gateway::new(plan).map_err(text)?;
        let log = AccessLog::off();
        let running = sidecar::start(gateway.clone(), log).map_err(text)?;
        cli::say("Easel demo: a gateway and local providers that speak the real wire formats. No key, no bill.");
        cli::say(format!("  providers  {} (pretend money, real PNGs)", sandbox.url()));
        cli::say(format!("  gateway    http://{}/v1  (OpenAI's Images API)", running.addr));
        let client = gateway.shared.transport.clone();
        Ok(DemoSetup { sandbox, gateway, running, client, out })
    }

    async fn first_picture(&self) -> Result<(), String> {
        cli::say("\n1. A first picture");
        let answer = self.draw("demo", "a red fox in the snow, studio light").await?;
        answer.tell();
        answer.expect("x-easel-cache", "miss")?;
        let path = self.save(&answer, "first").await?;
        cli::say(format!("   saved      {}", path.display()));
        Ok(())
    }

    async fn same_again(&self) -> Result<(), String> {
        cli::say("\n2. The same request again");
        let answer = self.draw("demo", "a red fox in the snow, studio light").await?;
        answer.tell();
        answer.expect("x-easel-cache", "exact")?;
        answer.expect("x-easel-cost-usd", "0")
    }

    async fn first_provider_down(&self) -> Result<(), String> {
        let first = self.first_offer()?;
        cli::say(format!("\n3. Another request, while {first} answers 500"));
        let vendor = Name::ALL.into_iter().find(|name| first.starts_with(name.as_str()));
        let vendor = vendor.ok_or_else(|| format!("{first} is not in the sandbox"))?;
        self.sandbox.set(vendor, |vendor| vendor.mode = Mode::Down500);
        let answer = self.draw("demo", "a blue bench under a cherry tree").await?;
        self.sandbox.set(vendor, |vendor| vendor.mode = Mode::Normal);
        answer.tell();
        let second = answer.header("x-easel-served-by");
        if second.starts_with(&first) {
            return Err(format!("{first} was down and still served"));
        }
        answer.expect("x-easel-attempts", "2")?;
        let path = self.save(&answer, "second-provider").await?;
        cli::say(format!("   saved      {}", path.display()));
        Ok(())
    }

    fn reckoning(&self) -> Result<(), String> {
        cli::say("\n5. The reckoning");
        let spent = self.gateway.shared.ledger.spent().ok_or("the ledger does not fit")?;
        let invoiced = self.sandbox.invoice().total.ok_or("the invoice does not fit")?;
        cli::say(format!("   Easel recorded {spent} USD, the providers' invoices say {invoiced} USD"));
        cli::say(format!("   the cache saved {} USD", self.gateway.shared.ledger.total_saved()));
        if spent == invoiced && spent > Usd::ZERO { Ok(()) } else { Err("spend and invoice differ".to_owned()) }
    }

    fn where_pictures_are(&self) {
        let folder = self.out.canonicalize().unwrap_or_else(|_| self.out.clone());
        cli::say(format!("\nThe pictures are in {}", folder.display()));
    }

    fn stay_up(&self) {
        cli::say("\nIt stays up until Ctrl-C. Paste this:");
        cli::say(format!(
            "  curl -s http://{}/v1/images/generations -H 'content-type: application/json' \\\n    -d '{}'",
            self.running.addr,
            json!({"model": "demo", "prompt": "a green bowl on a wooden table", "response_format": "url"}),
        ));
        cli::say(format!("  curl -s http://{}/metrics | grep easel_spend", self.running.admin));
    }

    async fn shut_down(self) -> Result<(), String> {
        let cut_off = self.running.drain().await;
        self.sandbox.stop().await;
        if cut_off == 0 { Ok(()) } else { Err(format!("{cut_off} requests were cut off")) }
    }

    /// The offer the demo route asks first.
    fn first_offer(&self) -> Result<String, String> {
        let snapshot = self.gateway.snapshot();
        let offer = snapshot.plan.routes.first().and_then(|route| route.offers.first());
        offer.map(|offer| offer.name.clone()).ok_or_else(|| "the demo route has no offers".to_owned())
    }

    async fn draw(&self, model: &str, prompt: &str) -> Result<ImageReply, String> {
        cli::say(format!("   prompt     {prompt}"));
        self.send_request(model, prompt).await
    }

    async fn send_request(&self, model: &str, prompt: &str) -> Result<ImageReply, String> {
        let url = Url::parse(&format!("http://{}/v1/images/generations", self.running.addr)).map_err(text)?;
        let body = json!({"model": model, "prompt": prompt, "response_format": "url"});
        let reply = self.send(&Call::post_json(url, HeaderMap::new(), &body)).await?;
        if reply.status != 200 {
            return Err(format!("{}: {}", reply.status, String::from_utf8_lossy(&reply.body)));
        }
        Ok(ImageReply { reply })
    }

    /// Follows the answer's link, makes sure the picture opens, and saves it.
    async fn save(&self, answer: &ImageReply, name: &str) -> Result<PathBuf, String> {
        let body: Value = serde_json::from_slice(&answer.reply.body).map_err(text)?;
        let link = body["data"][0]["url"].as_str().ok_or("the answer holds no link")?;
        let file = self.send(&Call::get(Url::parse(link).map_err(text)?, HeaderMap::new())).await?;
        let format = image::guess_format(&file.body).map_err(text)?;
        image::load_from_memory_with_format(&file.body, format).map_err(text)?;
        let extension = format.extensions_str().first().copied().unwrap_or("img");
        let path = self.out.join(format!("{name}.{extension}"));
        std::fs::write(&path, &file.body).map_err(|error| not_writable(&self.out, &error))?;
        Ok(path)
    }

    async fn send(&self, call: &Call) -> Result<Reply, String> {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let (connect, reach) = (Duration::from_secs(5), AllowedTargets::Anywhere);
        let bounds = Bounds { deadline, connect, silence: None, idle: IDLE, body: 64 << 20, reach };
        let received = self.client.send(call, bounds).await;
        received.map(|received| received.reply).map_err(|trouble| format!("{}: {trouble:?}", call.url))
    }
}

/// The sandbox charges what `conf/demo.yaml` says its models cost, and takes a moment to draw.
fn sandbox_settings() -> Result<Settings, String> {
    serde_yaml::from_str(include_str!("../../conf/demo-sandbox.yaml")).map_err(text)
}

/// An answered image request.
struct ImageReply {
    reply: Reply,
}

impl ImageReply {
    fn header(&self, name: &str) -> &str {
        self.reply.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    fn expect(&self, name: &str, wanted: &str) -> Result<(), String> {
        let got = self.header(name);
        if got == wanted { Ok(()) } else { Err(format!("{name} is '{got}', not '{wanted}'")) }
    }

    /// What happened, from the headers any client gets.
    fn tell(&self) {
        let lines = [
            ("served by", "x-easel-served-by"),
            ("cache", "x-easel-cache"),
            ("cost", "x-easel-cost-usd"),
            ("attempts", "x-easel-attempts"),
            ("not asked", "x-easel-skipped"),
            ("adjusted", "x-easel-adjusted"),
            ("size", "x-easel-size"),
        ];
        for (label, header) in lines {
            let value = self.header(header);
            if !value.is_empty() {
                cli::say(format!("   {label:<10} {value}"));
            }
        }
    }
}

/// Names the directory that no picture can be saved in, and what helps.
fn not_writable(folder: &Path, error: &io::Error) -> String {
    format!("no picture can be saved in '{}': {error}; --out names another directory", folder.display())
}

fn text(error: impl Display) -> String {
    error.to_string()
}
