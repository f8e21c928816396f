//! A sidecar as the command line runs it: binds both listeners, serves, and drains.
//!
//! Pingora's `Server` sleeps through its whole grace period even when nothing is in flight, gives every service a runtime
//! of its own, and cannot say which port it was given; a sidecar wants to stop the moment its work is done, and tests
//! want port 0.

use std::net::{SocketAddr, TcpListener as StdTcpListener, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pingora::apps::http_app::HttpServer;
use pingora::listeners::tls::Acceptor;
use pingora::proxy::HttpProxy;
use pingora::server::configuration::ServerConf;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin::handler::Admin;
use crate::admin::readiness::Readiness;
use crate::config::plan::Server;
use crate::gateway::Gateway;
use crate::gateway::background::{self, BackgroundTasks};
use crate::gateway::config_watcher::POLL_INTERVAL;
use crate::server::access_log::AccessLog;
use crate::server::connections::Connections;
use crate::server::file_descriptors;
use crate::server::listener_context::ListenerContext;
use crate::server::log_writer::LAST_LINES;
use crate::server::proxy::Easel;
use crate::server::tls_certificate::{Certificate, CertificateGauges};

/// Connections to the operator's listener that are open at once: more than probes and scrapers need.
const OPERATORS: usize = 128;

/// Connections that may wait to be taken in.
const BACKLOG: u32 = 4096;

/// The most bytes of an answer that the system holds for a client before it sends them. Left to itself it takes up to four
/// megabytes for each, and once all sockets have what it grants to them together, every connection of the machine
/// waits: 500 slow readers of 3 MB did that.
const UNSENT: u32 = 512 * 1024;

/// Longest wait for a collector to take the last spans: plenty for one that is well, and short beside any grace that a process
/// is given to end.
const LAST_SPANS: Duration = Duration::from_secs(2);

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

/// Listening sockets that another process has bound, and gives to this one.
#[derive(Default)]
pub struct BoundSockets {
    /// For `server.listen`.
    pub clients: Option<StdTcpListener>,
    /// For `server.admin`.
    pub operators: Option<StdTcpListener>,
}

/// A server that answers.
pub struct RunningSidecar {
    /// Where clients connect; the real port where the config said 0.
    pub addr: SocketAddr,
    /// `http` or `https`, as clients must speak.
    pub scheme: &'static str,
    /// Where metrics and health are served.
    pub admin: SocketAddr,
    gateway: Arc<Gateway>,
    log: AccessLog,
    /// The listening sockets, for another process.
    sockets: [OwnedFd; 2],
    draining: Arc<AtomicBool>,
    delayed: Arc<AtomicBool>,
    in_flight: Arc<AtomicUsize>,
    stop_accepting: watch::Sender<bool>,
    stop: watch::Sender<bool>,
    stop_admin: watch::Sender<bool>,
    connections: [Arc<Connections>; 2],
    services: Vec<JoinHandle<()>>,
    certificate: Option<JoinHandle<()>>,
    background_tasks: Option<BackgroundTasks>,
}

/// Binds both listeners and serves `gateway` on the present tokio runtime.
///
/// # Errors
/// When an address cannot be bound or the TLS files cannot be used; nothing is served then.
pub fn start(gateway: Arc<Gateway>, log: AccessLog) -> Result<RunningSidecar, NotListening> {
    start_on(gateway, log, BoundSockets::default())
}

/// The same on sockets that are bound already.
///
/// # Errors
/// As [`start`].
pub fn start_on(gateway: Arc<Gateway>, log: AccessLog, bound: BoundSockets) -> Result<RunningSidecar, NotListening> {
    let snapshot = gateway.snapshot();
    let (server, metrics) = (&snapshot.plan.server, &gateway.shared.metrics);
    let Bound { listener: clients, addr, socket } = bind(&server.listen, bound.clients)?;
    let Bound { listener: operators, addr: admin, socket: admin_socket } = bind(&server.admin, bound.operators)?;
    let (certificate, tls) = certificate(server).map_err(NotListening::Tls)?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let easel = Easel::new(gateway.clone(), log.clone(), format!("{scheme}://{}", reachable(addr)));
    let (draining, in_flight) = (easel.draining(), easel.in_flight());
    let connections = ["clients", "admin"].map(|listener| Connections::new(listener, metrics));
    let for_clients = for_clients(easel, &gateway, &connections[0], tls);
    let readiness = Readiness::until(draining.clone());
    let delayed = readiness.delayed();
    let for_operators = for_operators(admin, readiness, &gateway, &connections[1]);
    let (stop_accepting, accepting) = watch::channel(false);
    let (stop, stopping) = watch::channel(false);
    // Health is told until the very end: a draining server is alive, but not ready.
    let (stop_admin, stopping_admin) = watch::channel(false);
    let services = vec![
        tokio::spawn(for_clients.listen(clients, accepting, stopping)),
        tokio::spawn(for_operators.listen(operators, stopping_admin.clone(), stopping_admin)),
    ];
    let certificate = certificate.map(|certificate| {
        let success = metrics.certificate_reload_success.with_label_values(&["clients"]);
        let end = metrics.certificate_end.with_label_values(&["clients"]);
        tokio::spawn(certificate.follow(POLL_INTERVAL, CertificateGauges { success, end }))
    });
    let background_tasks = Some(background::start(&gateway));
    Ok(RunningSidecar {
        addr,
        scheme,
        admin,
        gateway,
        log,
        sockets: [socket, admin_socket],
        draining,
        delayed,
        in_flight,
        stop_accepting,
        stop,
        stop_admin,
        connections,
        services,
        certificate,
        background_tasks,
    })
}

/// The certificate of the clients' listener, and how TLS is spoken with it; none where the config has no `tls`.
fn certificate(server: &Server) -> Result<(Option<Certificate>, Option<Acceptor>), String> {
    let certificate = server.tls.as_ref().map(Certificate::open).transpose()?;
    let tls = certificate.as_ref().map(Certificate::acceptor).transpose()?;
    Ok((certificate, tls))
}

/// The listener of clients.
fn for_clients(
    easel: Easel,
    gateway: &Arc<Gateway>,
    connections: &Arc<Connections>,
    tls: Option<Acceptor>,
) -> ListenerContext<HttpProxy<Easel>> {
    let mut proxy = HttpProxy::new(easel, Arc::new(ServerConf::default()));
    proxy.handle_init_modules();
    let fitting = file_descriptors::connections();
    if gateway.snapshot().plan.server.limits.connections > fitting {
        log::warn!("the system's limit on open files allows {fitting} connections of clients at once, not more");
    }
    ListenerContext {
        app: Arc::new(proxy),
        gateway: gateway.clone(),
        connections: connections.clone(),
        most: Box::new(move |limits| limits.connections.min(fitting)),
        tls,
        http2: true,
    }
}

/// The listener of operators.
fn for_operators(
    addr: SocketAddr,
    readiness: Readiness,
    gateway: &Arc<Gateway>,
    connections: &Arc<Connections>,
) -> ListenerContext<HttpServer<Admin>> {
    let app = Admin::new(gateway.clone(), readiness, addr.ip().is_loopback());
    app.read_ahead();
    ListenerContext {
        app: Arc::new(HttpServer::new_app(app)),
        gateway: gateway.clone(),
        connections: connections.clone(),
        most: Box::new(|_| OPERATORS),
        tls: None,
        http2: false,
    }
}

/// A socket that listens.
struct Bound {
    listener: TcpListener,
    addr: SocketAddr,
    /// The same socket once more.
    socket: OwnedFd,
}

impl Bound {
    fn of(listener: TcpListener) -> std::io::Result<Bound> {
        let (addr, socket) = (listener.local_addr()?, listener.as_fd().try_clone_to_owned()?);
        Ok(Bound { listener, addr, socket })
    }
}

/// Listens on the first of an address's meanings that can be bound, if it is not `bound` already.
fn bind(address: &str, bound: Option<StdTcpListener>) -> Result<Bound, NotListening> {
    let failed = |why| NotListening::Bind { address: address.to_owned(), why };
    if let Some(bound) = bound {
        let listener = bound.set_nonblocking(true).and_then(|()| TcpListener::from_std(bound));
        return listener.and_then(Bound::of).map_err(failed);
    }
    let mut last = std::io::ErrorKind::AddrNotAvailable.into();
    for meaning in address.to_socket_addrs().map_err(failed)? {
        match listen(meaning) {
            Ok(listener) => return Bound::of(listener).map_err(failed),
            Err(why) => last = why,
        }
    }
    Err(failed(last))
}

fn listen(addr: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of the process before may linger.
    socket.set_reuseaddr(true)?;
    // What is accepted inherits it.
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// The address a client on this machine can use; `0.0.0.0` is not one.
fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], v4.port())),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], v6.port())),
        other => other,
    }
}

impl RunningSidecar {
    /// Waits until a listener ends by itself, which it should not.
    pub async fn failed(&mut self) {
        let ended = futures_util::future::select_all(self.services.iter_mut()).await;
        if let (Err(error), _, _) = ended {
            log::error!("a listener ended: {error}");
        }
    }

    /// Says that it will stop, and goes on serving for `server.drain_delay`, so that whoever sends requests here learns of
    /// it before the port is shut: it is not ready any more, and asks its clients to come by a new connection each time,
    /// which a load balancer leads elsewhere.
    pub async fn announce(&self) {
        let delay = self.gateway.snapshot().plan.server.drain_delay;
        if delay.is_zero() {
            return;
        }
        self.delayed.store(true, Ordering::Release);
        self.draining.store(true, Ordering::Release);
        log::info!("stopping: not ready any more, but serving for another {delay:?} (server.drain_delay)");
        tokio::time::sleep(delay).await;
    }

    /// `server.listen` and `server.admin` as the sockets were bound.
    pub fn addresses(&self) -> (String, String) {
        self.gateway.bound_addresses()
    }

    /// The listening sockets, for a process that takes over: clients' and operators'.
    pub fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        self.sockets.each_ref().map(AsFd::as_fd)
    }

    /// Stops what the process does by itself, because another one does it now.
    pub fn pause_background(&mut self) {
        self.background_tasks = None;
    }

    /// Goes on with that.
    pub fn resume_background(&mut self) {
        self.background_tasks = Some(background::start(&self.gateway));
    }

    /// Leaves new connections and operators to another process that listens on the same sockets, and goes on serving on
    /// the connections that are there until they are closed, or `longest` is over: each answer asks its client to come by a
    /// new connection. Whoever shuts a connection at once would cut off what its client is about to send.
    pub async fn give_way(&self, longest: Duration) {
        self.stop_accepting.send_replace(true);
        self.stop_admin.send_replace(true);
        self.draining.store(true, Ordering::Release);
        let [clients, _] = &self.connections;
        let gone = async {
            while clients.open() > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(longest, gone).await;
    }

    /// Stops accepting, lets what is in flight finish (client requests and drawings nobody waits for any more), and
    /// returns how many requests were cut off because the configured drain time was over.
    pub async fn drain(self) -> usize {
        let drain_timeout = self.gateway.snapshot().plan.server.drain;
        self.draining.store(true, Ordering::Release);
        self.delayed.store(false, Ordering::Release);
        // A socket that somebody holds takes connections in that nobody serves.
        drop(self.sockets);
        self.stop_accepting.send_replace(true);
        self.stop.send_replace(true);
        self.gateway.shared.work.close();
        let idle = async {
            // Pingora tells nobody when a connection ends; a short poll costs nothing while stopping.
            while self.in_flight.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.gateway.shared.work.wait().await;
        };
        let late = tokio::time::timeout(drain_timeout, idle).await.is_err();
        self.stop_admin.send_replace(true);
        for task in self.services.iter().chain(&self.certificate) {
            task.abort();
        }
        for connections in &self.connections {
            connections.end();
        }
        self.gateway.shared.spans.close(LAST_SPANS).await;
        drop(self.background_tasks);
        // The last thing that may be paid for is paid; what was cut off is found open at the next start.
        if let Some(disk) = &self.gateway.shared.disk {
            disk.close().await;
        }
        self.gateway.shared.durable_ledger.close().await;
        if !self.log.written(LAST_LINES).await {
            log::warn!("the last lines of the access log were not written in time");
        }
        if late { self.in_flight.load(Ordering::Acquire).max(1) } else { 0 }
    }
}

#[cfg(test)]
#[cfg(any(target_os = "android", target_os = "linux"))]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn the_system_holds_a_bounded_part_of_an_answer_for_every_connection_taken_in() {
        let listener = listen(([127, 0, 0, 1], 0).into()).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(socket2::SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), UNSENT);
    }
}
