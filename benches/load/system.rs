//! The systems: Easel, the bare Pingora services beside it, and the origin behind them, each in a process of its own.
//!
//! The program starts itself again with [`FLAG`] and the system's name. A system listens on a port the kernel chooses,
//! prints it, and ends when its standard input does, so none is left behind. All run on the same runtime with the same
//! number of threads, the one `easel serve` builds.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use easel::internals::server::log_writer::stream;
use easel::reload::{POLL_INTERVAL, ProcessEnv, Watch};
use easel::{AccessLog, Gateway};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::prelude::HttpPeer;
use pingora::proxy::{ProxyHttp, ProxyServiceBuilder, Session};
use pingora::server::configuration::ServerConf;
use pingora::server::{Fds, ListenFds};
use pingora::services::Service as _;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use crate::picture::Body;
use crate::{Failed, Options, say};

/// The hidden first argument of a process that is a system.
pub const FLAG: &str = "--system";

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The provider behind everybody; not measured.
    Origin,
    /// Bare Pingora that answers from memory.
    Direct,
    /// Bare Pingora in front of the origin.
    PassThrough,
    /// Easel in front of the origin.
    Easel,
    /// The same with its ledger on disk.
    Recorded,
    /// Easel with its access log, which goes to a pipe.
    Logged,
}

impl Kind {
    const ALL: [Kind; 6] = [Kind::Origin, Kind::Direct, Kind::PassThrough, Kind::Easel, Kind::Recorded, Kind::Logged];

    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Origin => "origin",
            Kind::Direct => "direct",
            Kind::PassThrough => "pass-through",
            Kind::Easel => "easel",
            Kind::Recorded => "easel+disk",
            Kind::Logged => "easel+log",
        }
    }
}

impl FromStr for Kind {
    type Err = Failed;

    fn from_str(word: &str) -> Result<Kind, Failed> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| format!("no system '{word}'").into())
    }
}

/// A running system; dropping it ends it.
pub struct System {
    /// Where it listens.
    pub addr: SocketAddr,
    child: Child,
}

impl System {
    /// Starts a system and waits for its port. `origin` is who stands behind it.
    pub fn start(kind: Kind, body: Body, origin: Option<&System>, options: Options) -> Result<System, Failed> {
        let origin = origin.map_or("-".to_owned(), |origin| origin.addr.to_string());
        let mut child = Command::new(std::env::current_exe()?)
            .args([FLAG, kind.as_str(), body.as_str(), &origin, &options.threads.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut out = BufReader::new(child.stdout.take().ok_or("no output")?);
        let mut line = String::new();
        out.read_line(&mut line)?;
        // The access log is read as a container's runtime reads it, which costs this process and not the system.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let addr = line.trim().parse().map_err(|_| format!("{} did not start", kind.as_str()))?;
        Ok(System { addr, child })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for System {
    fn drop(&mut self) {
        // Ended or not, there is nothing more to do about it.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Is a system, until standard input ends. `words`: kind, body, origin, threads.
pub fn run(words: &[String]) -> Result<(), Failed> {
    let [kind, body, origin, threads] = words else { return Err("a system takes four words".into()) };
    let (kind, body): (Kind, Body) = (kind.parse()?, body.parse()?);
    let threads = threads.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .thread_name("bench")
        .build()?;
    let _inside = runtime.enter();
    // The sender lives as long as the service: without it Pingora would take the closed channel for a stop.
    let (_stop, stopping) = watch::channel(false);
    let addr = match kind {
        Kind::Origin | Kind::Direct => serve(Direct { body: body.answer()? }, stopping)?,
        Kind::PassThrough => serve(PassThrough { origin: origin.parse()? }, stopping)?,
        Kind::Easel => easel(origin, None, false)?,
        Kind::Recorded => easel(origin, Some(tempfile::tempdir()?), false)?,
        Kind::Logged => easel(origin, None, true)?,
    };
    say(addr);
    let mut rest = Vec::new();
    std::io::stdin().read_to_end(&mut rest)?;
    Ok(())
}

/// Serves `proxy` on the present runtime, the way Easel serves itself.
fn serve<P>(proxy: P, stopping: watch::Receiver<bool>) -> Result<SocketAddr, Failed>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    const NAME: &str = "127.0.0.1:0";
    let listener = TcpListener::bind(NAME)?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    let mut fds = Fds::new();
    fds.add(NAME.to_owned(), listener.into_raw_fd());
    let fds: ListenFds = Arc::new(fds.into());
    let conf = Arc::new(ServerConf::default());
    let mut service = ProxyServiceBuilder::new(&conf, proxy).build();
    service.add_tcp(NAME);
    tokio::spawn(async move { service.start_service(Some(fds), stopping, 1).await });
    Ok(addr)
}

/// Easel as `easel serve` runs it, with its access log or without, following its file included. That is part of the cost, and of the
/// saving: with a timer that is always due soon, tokio need not be woken for every deadline a request sets. `state` is
/// where the ledger is, in memory without.
fn easel(origin: &str, state: Option<TempDir>, logged: bool) -> Result<SocketAddr, Failed> {
    let ledger = state.as_ref().map_or_else(String::new, |dir| format!(", state_dir: '{}'", dir.path().display()));
    // What it costs to move a picture; what it costs to look at one is measured in benches/gate.
    // The cache is small enough that the big misses of the warm-up fill it: what is measured is a full cache, every
    // new picture taking the place of an old one.
    let yaml = format!(
        "server: {{listen: 127.0.0.1:0, admin: 127.0.0.1:0{ledger}}}\n\
         cache: {{memory: 64MiB}}\n\
         providers:\n  \
           origin:\n    \
             kind: openai\n    \
             base_url: http://{origin}/v1/\n    \
             api_key: none\n    \
             concurrency: {{limit: 64}}\n    \
             models: {{gpt-image-1: {{price: 0.01}}}}\n\
         routes:\n  \
           - name: pictures\n    \
             match: {{models: [picture]}}\n    \
             quality: false\n    \
             offers: [origin/gpt-image-1]\n"
    );
    let mut file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    file.write_all(yaml.as_bytes())?;
    let (watch, loaded) = Watch::open(file.path().to_owned(), Arc::new(ProcessEnv));
    let gateway = Gateway::new(loaded?)?;
    let log = match logged {
        true => AccessLog::to(stream(std::io::stdout())?, &gateway)?,
        false => AccessLog::off(),
    };
    let running = easel::sidecar::start(gateway.clone(), log)?;
    let addr = running.addr;
    tokio::spawn(async move {
        let (_reload_now, asked) = mpsc::channel(1);
        watch.follow(gateway, POLL_INTERVAL, asked).await;
        // Dropping these would stop the listeners and take the files away.
        drop((running, file, state));
    });
    Ok(addr)
}

/// Answers every request with `body`, from memory.
struct Direct {
    body: Bytes,
}

#[async_trait]
impl ProxyHttp for Direct {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn request_filter(&self, session: &mut Session, _ctx: &mut ()) -> Result<bool> {
        while session.downstream_session.read_request_body().await?.is_some() {}
        let mut header = ResponseHeader::build(200, Some(2))?;
        header.insert_header("content-type", "application/json")?;
        header.insert_header("content-length", self.body.len())?;
        session.write_response_header(Box::new(header), false).await?;
        session.write_response_body(Some(self.body.clone()), true).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Err(pingora::Error::new(pingora::ErrorType::InternalError))
    }
}

/// Hands every request to `origin`.
struct PassThrough {
    origin: SocketAddr,
}

#[async_trait]
impl ProxyHttp for PassThrough {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _session: &mut Session, _ctx: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.origin, false, String::new())))
    }
}
