//! `easel serve`: load, listen, follow changes of the config, drain on SIGTERM.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Parser;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::cli;
use crate::config::plan::Plan;
use crate::gateway;
use crate::gateway::Gateway;
use crate::gateway::config_loader::ProcessEnv;
use crate::gateway::config_watcher::{POLL_INTERVAL, Watch};
use crate::server::access_log::AccessLog;
use crate::server::log_writer::stream;
use crate::server::process_log::{ProcessLog, tell_panics};
use crate::sidecar::{self, RunningSidecar};

/// How often memory that nobody uses goes back to the system.
const GIVE_BACK: Duration = Duration::from_secs(10);

/// Arguments of `easel serve`.
#[derive(Parser)]
pub struct Args {
    /// The config file.
    #[arg(value_name = "FILE", conflicts_with = "config")]
    file: Option<PathBuf>,
    /// The same, as an option.
    #[arg(short, long, default_value = "easel.yaml")]
    config: PathBuf,
    /// Write no access log.
    #[arg(long)]
    no_access_log: bool,
}

/// Runs until told to stop.
pub fn run(args: Args, diagnostics: &ProcessLog) -> ExitCode {
    let (watch, loaded) = Watch::open(args.file.unwrap_or(args.config), Arc::new(ProcessEnv));
    let plan = match loaded {
        Ok(plan) => plan,
        Err(error) => return cli::problems(error),
    };
    let runtime = match cli::runtime(plan.server.threads) {
        Ok(runtime) => runtime,
        Err(error) => return cli::failed(format!("no runtime: {error}")),
    };
    runtime.block_on(serve(watch, plan, !args.no_access_log, diagnostics))
}

async fn serve(watch: Watch, plan: Plan, access_log: bool, diagnostics: &ProcessLog) -> ExitCode {
    // Before anything is served: until then a signal would end the process at once, requests and all.
    let signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return cli::failed(format!("no signals: {error}")),
    };
    diagnostics.follow(plan.server.log);
    if plan.server.state_dir.is_none() {
        log::warn!("server.state_dir is not set: what is paid is kept in memory and forgotten at the end");
    }
    gateway::config_watcher::log_remote_refused(&plan);
    gateway::config_watcher::log_warnings(plan.warnings.as_ref());
    let proxy = gateway::ignored_proxy::ignored_proxy(&ProcessEnv);
    for note in proxy.into_iter().chain(gateway::config_warnings::notes(&plan)) {
        log::warn!("{note}");
    }
    let gateway = match Gateway::new(plan) {
        Ok(gateway) => gateway,
        Err(error) => return cli::failed(error),
    };
    diagnostics.lines().count_in(gateway.shared.metrics.diagnostic_lines_dropped.clone());
    let log = if access_log { to_stdout(&gateway) } else { Ok(AccessLog::off()) };
    let log = match log {
        Ok(log) => log,
        Err(error) => return cli::failed(format!("no access log: {error}")),
    };
    let running = match sidecar::start(gateway.clone(), log) {
        Ok(running) => running,
        Err(error) => return cli::failed(error),
    };
    // From here on nothing goes to standard error but through the log: nobody may be reading there.
    tell_panics();
    log::info!("images on {}://{}, metrics and health on http://{}", running.scheme, running.addr, running.admin);
    tokio::spawn(return_free_memory());
    tokio::spawn(follow_log_rules(diagnostics.clone(), gateway.clone()));
    until_stopped(gateway, watch, running, signals).await
}

/// Gives memory back to the system. The allocator does that with what has been free for a second whenever one of its
/// threads ends, or much is asked of it; neither happens in a process that has become idle. So a thread ends now and then.
async fn return_free_memory() {
    loop {
        tokio::time::sleep(GIVE_BACK).await;
        // The next one may have what this one could not get.
        drop(thread::Builder::new().name("give back".to_owned()).spawn(|| drop(Box::new([0_u8; 64]))));
    }
}

/// Has the log written as the config says that is in force.
async fn follow_log_rules(diagnostics: ProcessLog, gateway: Arc<Gateway>) {
    let mut followed = gateway.snapshot().plan.server.log;
    loop {
        tokio::time::sleep(POLL_INTERVAL).await;
        let rules = gateway.snapshot().plan.server.log;
        if rules != followed {
            diagnostics.follow(rules);
            followed = rules;
        }
    }
}

fn to_stdout(gateway: &Gateway) -> std::io::Result<AccessLog> {
    AccessLog::to(stream(std::io::stdout())?, gateway)
}

/// The signals that mean something here.
struct Signals {
    hup: Signal,
    term: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they do nothing by themselves.
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            hup: signal(SignalKind::hangup())?,
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }
}

/// Follows SIGHUP and the file until SIGTERM or SIGINT, then drains. SIGTERM comes from what others reach Easel by, so
/// it is announced for `server.drain_delay` first; who presses Ctrl-C waits for nobody. One signal more ends the delay, and
/// another the wait for what is in flight.
async fn until_stopped(gateway: Arc<Gateway>, watch: Watch, mut running: RunningSidecar, signals: Signals) -> ExitCode {
    let Signals { mut hup, mut term, mut interrupt } = signals;
    let (reload_now, asked) = mpsc::channel(1);
    tokio::spawn(watch.follow(gateway, POLL_INTERVAL, asked));
    loop {
        tokio::select! {
            _ = hup.recv() => {
                // A reload that already waits will read the same file.
                let _ = reload_now.try_send(());
            }
            _ = term.recv() => {
                tokio::select! {
                    () = running.announce() => {}
                    _ = term.recv() => {}
                    _ = interrupt.recv() => {}
                }
                break;
            }
            _ = interrupt.recv() => break,
            () = running.failed() => {
                log::error!("a listener ended");
                return ExitCode::from(2);
            }
        }
    }
    log::info!("stopping: no new connections, finishing what is in flight");
    tokio::select! {
        cut_off = running.drain() => {
            if cut_off > 0 {
                log::warn!("{cut_off} requests were cut off at the end of server.drain");
            }
        }
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    ExitCode::SUCCESS
}
