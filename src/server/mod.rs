//! Easel's own Pingora server: bind, serve, drain.
//!
//! Services are Pingora's; only the outermost loop is ours. Pingora's `Server` sleeps through its whole grace period
//! even when nothing is in flight, gives every service a runtime of its own, and cannot say which port it was given; a
//! sidecar wants to stop the moment its work is done, and tests want port 0. Who already runs a Pingora server mounts
//! [`proxy::Easel`] in it instead (`examples/embed.rs`).

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pingora::listeners::tls::TlsSettings;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use pingora::server::{Fds, ListenFds};
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::config::plan::Tls;
use crate::error::{Error, Kind};
use crate::gateway::Gateway;
use crate::gateway::tend::{self, Tending};
use crate::server::access::AccessLog;
use crate::server::admin::Admin;
use crate::server::front::Front;
use crate::server::proxy::Easel;

pub mod access;
pub mod admin;
mod ask;
mod bodies;
mod body;
mod browser;
mod caller;
mod cors;
pub mod diagnostics;
mod feedback;
mod form;
mod framing;
mod front;
pub mod ledger;
pub mod lines;
mod near_path;
mod outlet;
pub mod paths;
pub mod proxy;
mod repeats;
pub mod respond;
mod stream;
mod wire;

/// How long a process that has finished waits for each of its logs.
const LAST_LINES: Duration = Duration::from_secs(1);

/// The answer to who may come back in a moment.
fn busy(message: &str) -> Error {
    Error::new(Kind::Busy, message).with_retry_after(Duration::from_secs(1))
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum NotListening {
    /// An address cannot be bound.
    #[error("cannot listen on {address}: {why}")]
    Bind {
        /// As written in the config.
        address: String,
        /// The system's words.
        why: std::io::Error,
    },
    /// Certificate or key cannot be used.
    #[error("server.tls: {0}")]
    Tls(String),
}

/// A server that answers.
pub struct Running {
    /// Where clients connect; the real port where the config said 0.
    pub addr: SocketAddr,
    /// `http` or `https`, as clients must speak.
    pub scheme: &'static str,
    /// Where metrics and health are served.
    pub admin: SocketAddr,
    gateway: Arc<Gateway>,
    log: AccessLog,
    draining: Arc<AtomicBool>,
    in_flight: Arc<AtomicUsize>,
    stop: watch::Sender<bool>,
    stop_admin: watch::Sender<bool>,
    services: Vec<JoinHandle<()>>,
    tending: Tending,
}

/// Binds both listeners and serves `gateway` on the present tokio runtime.
///
/// # Errors
/// When an address cannot be bound or the TLS files cannot be used; nothing is served then.
pub fn start(gateway: Arc<Gateway>, log: AccessLog) -> Result<Running, NotListening> {
    let live = gateway.live();
    let server = &live.plan.server;
    let (clients, addr) = bind(&server.listen)?;
    let (operators, admin) = bind(&server.admin)?;
    let tls = server.tls.as_ref().map(tls_settings).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let easel = Easel::new(gateway.clone(), log.clone(), format!("{scheme}://{}", reachable(addr)));
    let (draining, in_flight) = (easel.draining(), easel.in_flight());
    let conf = Arc::new(ServerConf::default());
    let mut proxy = HttpProxy::new(easel, conf);
    proxy.handle_init_modules();
    let mut proxy = Service::new("easel".to_owned(), Front::new(proxy, gateway.clone()));
    match tls {
        Some(tls) => proxy.add_tls_with_settings(&server.listen, None, tls),
        None => proxy.add_tcp(&server.listen),
    }
    let app = Admin { gateway: gateway.clone(), draining: draining.clone(), local: admin.ip().is_loopback() };
    let app = pingora::apps::http_app::HttpServer::new_app(app);
    let mut health = Service::new("easel admin".to_owned(), app);
    health.add_tcp(&server.admin);
    let (stop, stopping) = watch::channel(false);
    let fds = inherit(&server.listen, clients);
    let proxy = tokio::spawn(async move { proxy.start_service(Some(fds), stopping, 1).await });
    // Health is told until the very end: a draining server is alive, but not ready.
    let (stop_admin, stopping) = watch::channel(false);
    let fds = inherit(&server.admin, operators);
    let health = tokio::spawn(async move { health.start_service(Some(fds), stopping, 1).await });
    let services = vec![proxy, health];
    let tending = tend::start(&gateway);
    Ok(Running { addr, scheme, admin, gateway, log, draining, in_flight, stop, stop_admin, services, tending })
}

fn bind(address: &str) -> Result<(TcpListener, SocketAddr), NotListening> {
    let failed = |why| NotListening::Bind { address: address.to_owned(), why };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

/// Hands a bound listener to Pingora the way a predecessor process would.
fn inherit(address: &str, listener: TcpListener) -> ListenFds {
    let mut fds = Fds::new();
    fds.add(address.to_owned(), listener.into_raw_fd());
    Arc::new(fds.into())
}

/// The address a client on this machine can use; `0.0.0.0` is not one.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.port())),
        other => other,
    }
}

/// Pingora panics on files it cannot use, so they are looked at first.
fn tls_settings(tls: &Tls) -> Result<TlsSettings, NotListening> {
    for (path, mark) in [(&tls.cert, "BEGIN CERTIFICATE"), (&tls.key, "PRIVATE KEY")] {
        let bad = |why: String| NotListening::Tls(format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| bad(error.to_string()))?;
        if !text.contains(mark) {
            return Err(bad(format!("holds no PEM block with '{mark}'")));
        }
    }
    let (cert, key) = (tls.cert.to_string_lossy(), tls.key.to_string_lossy());
    let mut settings = TlsSettings::intermediate(&cert, &key).map_err(|error| NotListening::Tls(error.to_string()))?;
    settings.enable_h2();
    Ok(settings)
}

impl Running {
    /// Waits until a listener ends by itself, which it should not.
    pub async fn failed(&mut self) {
        let ended = futures_util::future::select_all(self.services.iter_mut()).await;
        if let (Err(error), _, _) = ended {
            log::error!("a listener ended: {error}");
        }
    }

    /// Stops accepting, lets what is in flight finish (client requests and drawings nobody waits for any more), and
    /// returns how many requests were cut off because the configured drain time was over.
    pub async fn drain(self) -> usize {
        let patience = self.gateway.live().plan.server.drain;
        self.draining.store(true, Ordering::Release);
        self.stop.send_replace(true);
        self.gateway.shared.work.close();
        let idle = async {
            // Pingora tells nobody when a connection ends; a short poll costs nothing while stopping.
            while self.in_flight.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.gateway.shared.work.wait().await;
        };
        let late = tokio::time::timeout(patience, idle).await.is_err();
        self.stop_admin.send_replace(true);
        for service in &self.services {
            service.abort();
        }
        drop(self.tending);
        // The last thing that may be paid for is paid; what was cut off is found open at the next start.
        self.gateway.shared.books.close().await;
        if !self.log.written(LAST_LINES).await {
            log::warn!("the last lines of the access log were not written in time");
        }
        if late { self.in_flight.load(Ordering::Acquire).max(1) } else { 0 }
    }
}
