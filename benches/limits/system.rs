//! Pretend vendors and an Easel before them, each a process of its own, and what the kernel says of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::{self, Request};
use crate::{Failed, cpu};

/// What the metrics say is held.
const HELD: [&str; 5] = [
    "easel_cache_bytes",
    "easel_link_bytes",
    "easel_ledger_bytes",
    "easel_request_body_bytes",
    "easel_response_body_bytes",
];

/// A process that ends when this is dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // What has ended by itself cannot be killed, and need not be.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Vendors and gateway.
pub struct System {
    easel: Process,
    _sandbox: Process,
    _folder: tempfile::TempDir,
    /// Where clients connect.
    pub addr: SocketAddr,
    /// Where metrics are.
    pub admin: SocketAddr,
}

/// How an Easel is set up.
#[derive(Clone, Copy, Default)]
pub struct Setup {
    /// YAML of the section `server`, a key a line.
    pub server: &'static str,
    /// YAML of the top level.
    pub more: &'static str,
    /// Where calls go instead of to the sandbox.
    pub vendor: Option<SocketAddr>,
    /// The least size of a picture file.
    pub picture: usize,
    /// Whether callers need the key [`http::KEY`].
    pub keys: bool,
}

impl System {
    /// Starts both and asks for one picture, so that what every process takes once is taken.
    pub fn start(setup: &Setup) -> Result<System, Failed> {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let settings = folder.path().join("sandbox.yaml");
        std::fs::write(&settings, format!("vendors: {{openai: {{min_bytes: {}}}}}\n", setup.picture))?;
        let settings = settings.display().to_string();
        let (sandbox, vendors) =
            spawn(&["sandbox", "--listen", "127.0.0.1:0", "--settings", &settings], "sandbox on ")?;
        let vendors = setup.vendor.map_or(vendors.concat(), |addr| format!("http://{addr}"));
        let config = folder.path().join("easel.yaml");
        std::fs::write(&config, text(setup, vendors.trim()))?;
        let config = config.display().to_string();
        let (easel, told) = spawn(&["serve", "--no-access-log", "--config", &config], "images on ")?;
        let [addr, admin] = addresses(&told.concat()).ok_or("Easel told no addresses")?;
        let system = System { easel, _sandbox: sandbox, _folder: folder, addr, admin };
        http::exchange(system.addr, &Request::get("/v1/models"))?;
        system.page()?;
        Ok(system)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.easel.0.id()
    }

    /// Resident memory in bytes.
    pub fn memory(&self) -> Result<u64, Failed> {
        memory(self.pid())
    }

    /// CPU time so far.
    pub fn cpu(&self) -> Result<Duration, Failed> {
        Ok(Duration::from_nanos(cpu::nanoseconds(self.pid())?))
    }

    /// The page of metrics.
    pub fn page(&self) -> Result<String, Failed> {
        Ok(String::from_utf8(http::exchange(self.admin, &Request::get("/metrics"))?.body)?)
    }

    /// What its metrics say that it holds, in bytes.
    pub fn held(&self) -> Result<u64, Failed> {
        HELD.iter().map(|gauge| self.gauge(gauge)).sum()
    }

    /// What a gauge says, its labels summed.
    fn gauge(&self, name: &str) -> Result<u64, Failed> {
        let page = self.page()?;
        let of_it =
            page.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{'])));
        let values = of_it.map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<f64>());
        Ok(values.sum::<Result<f64, _>>()? as u64)
    }
}

/// Resident memory of a process in bytes.
pub fn memory(pid: u32) -> Result<u64, Failed> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}

fn text(setup: &Setup, vendors: &str) -> String {
    let server: String = setup.server.lines().map(|line| format!("  {line}\n")).collect();
    let clients = match setup.keys {
        true => format!("clients: [{{name: web, key_sha256: {}}}]\n", http::KEY_SHA256),
        false => String::new(),
    };
    let more = setup.more;
    format!(
        "server:\n  listen: 127.0.0.1:0\n  admin: 127.0.0.1:0\n  threads: 2\n  drain: 1s\n{server}{clients}{more}\n\
         providers:\n  v: {{kind: openai, base_url: \"{vendors}/openai/v1/\", api_key: any, \
         models: {{gpt-image-2: {{price: 0.04}}}}}}\n\
         routes:\n  - {{name: r, offers: [v/gpt-image-2], defaults: {{size: 1024x1024}}, deadline: 60s}}\n"
    )
}

/// Starts `easel` and reads what it says until a line has `mark`; that line's words after it are returned.
fn spawn(arguments: &[&str], mark: &str) -> Result<(Process, Vec<String>), Failed> {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_easel")));
    let child =
        command.args(arguments).env("RUST_LOG", "info").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut process = Process(child);
    let (told, heard) = std::sync::mpsc::channel();
    let out = process.0.stdout.take().map(|out| Box::new(out) as Box<dyn std::io::Read + Send>);
    let err = process.0.stderr.take().map(|err| Box::new(err) as Box<dyn std::io::Read + Send>);
    for stream in [out, err].into_iter().flatten() {
        let told = told.clone();
        // Reads to the end, so that the process never waits for a reader.
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = told.send(line);
            }
        });
    }
    drop(told);
    let end = Instant::now() + Duration::from_secs(20);
    let mut said = String::new();
    while let Ok(line) = heard.recv_timeout(end.saturating_duration_since(Instant::now())) {
        if let Some((_, rest)) = line.split_once(mark) {
            return Ok((process, vec![rest.to_owned()]));
        }
        said += &format!("\n{line}");
    }
    Err(format!("easel {} does not say '{mark}':{said}", arguments.join(" ")).into())
}

/// Of `http://A, metrics and health on http://B`.
fn addresses(told: &str) -> Option<[SocketAddr; 2]> {
    let mut found =
        told.split("://").skip(1).map(|rest| rest.split([',', ' ', '/']).next().unwrap_or_default().parse().ok());
    Some([found.next()??, found.next()??])
}
