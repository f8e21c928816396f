//! Easel in a Pingora server of your own, beside a service of your own.
//!
//! Try it without keys, in two terminals:
//!
//! ```text
//! cargo run -- sandbox
//! cargo run --example embed -- examples/sandbox.yaml
//! ```
//!
//! It serves pictures on `server.listen`, metrics on `server.admin` and a greeting on 127.0.0.1:8090, and follows
//! changes of the file. The process, its runtimes and its signals are Pingora's here, so `server.tls` is refused
//! rather than ignored; the rest of the config means what it always means.

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use async_trait::async_trait;
use easel::reload::{POLL_INTERVAL, ProcessEnv, Watch};
use easel::{AccessLog, Admin, Easel, Gateway, Readiness, background};
use http::Response;
use pingora::apps::HttpServerOptions;
use pingora::apps::http_app::{HttpServer, ServeHttp};
use pingora::protocols::http::ServerSession;
use pingora::proxy::ProxyServiceBuilder;
use pingora::server::configuration::ServerConf;
use pingora::server::{Server, ShutdownWatch};
use pingora::services::background::{BackgroundService, background_service};
use pingora::services::listening::Service;
use tokio::sync::mpsc;

/// Where your own service listens.
const GREETING: &str = "127.0.0.1:8090";

fn main() -> ExitCode {
    env_logger::init_from_env(env_logger::Env::default().default_filter_or("info"));
    let Some(config) = std::env::args_os().nth(1) else {
        log::error!("say which config: cargo run --example embed -- easel.yaml");
        return ExitCode::from(2);
    };
    match assemble(config.into()) {
        Ok(server) => server.run_forever(),
        Err(error) => {
            log::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// One Pingora server with everything in it. No tokio runtime is needed yet: Pingora makes one for each service.
fn assemble(config: PathBuf) -> Result<Server, Box<dyn Error>> {
    let (watch, plan) = Watch::open(config, Arc::new(ProcessEnv));
    let plan = plan?;
    if plan.server.tls.is_some() {
        return Err("this example serves plain HTTP: add TLS to the Pingora service, not to the config".into());
    }
    // Pingora waits this long after SIGTERM, busy or not: the time that pictures being drawn have to be finished.
    let conf = ServerConf { grace_period_seconds: Some(plan.server.drain.as_secs()), ..ServerConf::default() };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();

    let (listen, admin) = (plan.server.listen.clone(), plan.server.admin.clone());
    // Pingora gives a service one thread unless told otherwise.
    let threads = plan.server.threads.map_or_else(|| available_parallelism().map(NonZero::get), Ok)?;
    let gateway = Gateway::new(plan)?;
    let log = AccessLog::to(std::io::stdout(), &gateway)?;
    // Picture links start with this where the config has no `server.public_url`.
    let easel = Easel::new(gateway.clone(), log, format!("http://{listen}"));
    let draining = easel.draining();

    let mut options = HttpServerOptions::default();
    options.h2c = true;
    let mut pictures =
        ProxyServiceBuilder::new(&server.configuration, easel).name("easel").server_options(options).build();
    pictures.threads = Some(threads);
    pictures.add_tcp(&listen);
    server.add_service(pictures);

    // What money was spent on is told to who is on this machine; to anybody else with `server.admin_token`.
    let local = admin.parse::<SocketAddr>().is_ok_and(|address| address.ip().is_loopback());
    let app = Admin::new(gateway.clone(), Readiness::until(draining.clone()), local);
    let mut metrics = Service::new("easel admin".to_owned(), HttpServer::new_app(app));
    metrics.add_tcp(&admin);
    server.add_service(metrics);

    let mut greeting = Service::new("greeting".to_owned(), HttpServer::new_app(Greeting));
    greeting.add_tcp(GREETING);
    server.add_service(greeting);

    server
        .add_service(background_service("easel config", Keeper { gateway, watch: Mutex::new(Some(watch)), draining }));
    log::info!("pictures on http://{listen}, metrics on http://{admin}, a greeting on http://{GREETING}");
    Ok(server)
}

/// Follows the config file, and tells Easel when the server stops.
struct Keeper {
    gateway: Arc<Gateway>,
    /// Taken when the service starts.
    watch: Mutex<Option<Watch>>,
    draining: Arc<AtomicBool>,
}

#[async_trait]
impl BackgroundService for Keeper {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        // A message on `reload_now` reloads at once; connect it to SIGHUP or to an endpoint of your own.
        let (_reload_now, asked) = mpsc::channel(1);
        let Some(watch) = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        // Alerts and monthly fees need somebody to look at the clock.
        let _background_tasks = background::start(&self.gateway);
        tokio::select! {
            _ = watch.follow(self.gateway.clone(), POLL_INTERVAL, asked) => {}
            // An error means that the server is gone, which is the same.
            _ = shutdown.changed() => {}
        }
        self.draining.store(true, Ordering::Release);
        // What is still being drawn is finished and written down while Pingora waits; what is not is found open at the
        // next start and counted as possibly charged.
    }
}

/// Your own service.
struct Greeting;

#[async_trait]
impl ServeHttp for Greeting {
    async fn response(&self, _session: &mut ServerSession) -> Response<Vec<u8>> {
        let body = b"Pictures are next door.\n".to_vec();
        let mut response = Response::new(body);
        let length = response.body().len();
        response.headers_mut().insert(http::header::CONTENT_LENGTH, length.into());
        response
    }
}
