//! `easel serve`: load, listen, follow changes of the config, hand over on SIGUSR2, drain on SIGTERM.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use clap::Parser;
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::cli;
use crate::config::plan::Plan;
use crate::gateway;
use crate::gateway::Gateway;
use crate::gateway::config_loader::ProcessEnv;
use crate::gateway::config_watcher::{POLL_INTERVAL, Watch};
use crate::gateway::handover::UpgradeRefusal;
use crate::server::access_log::AccessLog;
use crate::server::log_writer::stream;
use crate::server::process_log::{ProcessLog, tell_panics};
use crate::sidecar::{self, BoundSockets, RunningSidecar};
use crate::upgrade::predecessor::{GIVES_WAY, NotUpgraded, Program, ServingSuccessor, Successor};
use crate::upgrade::successor::{EndingPredecessor, Predecessor};

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
    let Begun { gateway, sockets, predecessor } = match begin(plan).await {
        Ok(begun) => begun,
        Err(error) => return cli::failed(error),
    };
    diagnostics.lines().count_in(gateway.shared.metrics.diagnostic_lines_dropped.clone());
    let log = if access_log { to_stdout(&gateway) } else { Ok(AccessLog::off()) };
    let log = match log {
        Ok(log) => log,
        Err(error) => return cli::failed(format!("no access log: {error}")),
    };
    let running = match sidecar::start_on(gateway.clone(), log, sockets) {
        Ok(running) => running,
        Err(error) => return cli::failed(error),
    };
    // From here on nothing goes to standard error but through the log: nobody may be reading there.
    tell_panics();
    log::info!("images on {}://{}, metrics and health on http://{}", running.scheme, running.addr, running.admin);
    match predecessor {
        None => tell_service_manager(&[NotifyState::Ready]),
        Some(predecessor) => match predecessor.follow(&gateway).await {
            Ok(()) => log::info!("this process takes over: new connections come here, the process before ends its own"),
            Err(error) => log::warn!("the process before is gone already: {error}"),
        },
    }
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

/// A gateway, and what the process before gave for it.
struct Begun {
    gateway: Arc<Gateway>,
    sockets: BoundSockets,
    predecessor: Option<EndingPredecessor>,
}

/// Opens the gateway, as the successor of another process where that is at standard input.
async fn begin(plan: Plan) -> Result<Begun, String> {
    match Predecessor::of_this_process().map_err(|error| error.to_string())? {
        None => {
            let gateway = Gateway::new(plan).map_err(|error| error.to_string())?;
            Ok(Begun { gateway, sockets: BoundSockets::default(), predecessor: None })
        }
        Some(predecessor) => {
            let (gateway, sockets, predecessor) =
                predecessor.take_over(plan).await.map_err(|error| error.to_string())?;
            Ok(Begun { gateway, sockets, predecessor: Some(predecessor) })
        }
    }
}

/// Tells systemd, where it has started this process and wants to know (`Type=notify`).
fn tell_service_manager(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        log::warn!("the service manager is not told: {error}");
    }
}

/// The signals that mean something here.
struct Signals {
    hup: Signal,
    term: Signal,
    interrupt: Signal,
    upgrade: Signal,
}

impl Signals {
    /// From now on they do nothing by themselves.
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            hup: signal(SignalKind::hangup())?,
            term: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }
}

/// The config as it is followed.
struct FollowedConfig {
    reload_now: mpsc::Sender<()>,
    follower: JoinHandle<Option<Watch>>,
}

impl FollowedConfig {
    /// Follows the config; without a watch, whose task has failed and said so, nothing is followed.
    fn start(watch: Option<Watch>, gateway: Arc<Gateway>) -> FollowedConfig {
        let (reload_now, asked) = mpsc::channel(1);
        let follower = tokio::spawn(async move { watch?.follow(gateway, POLL_INTERVAL, asked).await });
        FollowedConfig { reload_now, follower }
    }

    /// Lets a reload that is under way end, and follows no longer. `None` where following has failed.
    async fn stop(self) -> Option<Watch> {
        drop(self.reload_now);
        self.follower.await.ok().flatten()
    }
}

/// Follows SIGHUP and the file until SIGTERM or SIGINT, then drains; on SIGUSR2 starts its successor, and drains when that one
/// serves.
async fn until_stopped(gateway: Arc<Gateway>, watch: Watch, mut running: RunningSidecar, signals: Signals) -> ExitCode {
    let mut signals = signals;
    let mut config = FollowedConfig::start(Some(watch), gateway.clone());
    loop {
        tokio::select! {
            _ = signals.hup.recv() => {
                // A reload that already waits will read the same file.
                let _ = config.reload_now.try_send(());
            }
            _ = signals.term.recv() => {
                announce(&running, &mut signals).await;
                break;
            }
            _ = signals.interrupt.recv() => break,
            _ = signals.upgrade.recv() => {
                let upgraded = tokio::select! {
                    upgraded = upgrade(&gateway, &mut running, config) => upgraded,
                    // Whoever stops the one stops the other: a successor that does not serve yet is killed.
                    _ = signals.term.recv() => break,
                    _ = signals.interrupt.recv() => break,
                };
                match upgraded {
                    Upgraded::Not(followed) => config = followed,
                    Upgraded::To(successor) => return give_way(gateway, running, *successor, signals).await,
                }
            }
            () = running.failed() => {
                log::error!("a listener ended");
                return ExitCode::from(2);
            }
        }
    }
    log::info!("stopping: no new connections, finishing what is in flight");
    drain(running, &mut signals).await
}

/// SIGTERM comes from what others reach Easel by, so it is announced for `server.drain_delay` first; who presses Ctrl-C waits
/// for nobody. One signal more ends the delay, and another the wait for what is in flight.
async fn announce(running: &RunningSidecar, signals: &mut Signals) {
    tell_service_manager(&[NotifyState::Stopping]);
    tokio::select! {
        () = running.announce() => {}
        _ = signals.term.recv() => {}
        _ = signals.interrupt.recv() => {}
    }
}

async fn drain(running: RunningSidecar, signals: &mut Signals) -> ExitCode {
    tokio::select! {
        cut_off = running.drain() => {
            if cut_off > 0 {
                log::warn!("{cut_off} requests were cut off at the end of server.drain");
            }
        }
        _ = signals.term.recv() => {}
        _ = signals.interrupt.recv() => {}
    }
    ExitCode::SUCCESS
}

/// How an upgrade came out.
enum Upgraded {
    /// Another process serves.
    To(Box<ServingSuccessor>),
    /// None does, and this one goes on.
    Not(FollowedConfig),
}

/// Starts a successor and hands over to it. The config stays as it is meanwhile.
async fn upgrade(gateway: &Arc<Gateway>, running: &mut RunningSidecar, config: FollowedConfig) -> Upgraded {
    log::info!("upgrading: starting the process that takes over");
    let prepared = match Program::of_this_process() {
        Some(program) => Successor::start(&program, gateway, running).await,
        None => Err(NotUpgraded { why: UpgradeRefusal::NotStarted, detail: "this process has no name".to_owned() }),
    };
    let successor = match prepared {
        Ok(successor) => successor,
        Err(refused) => {
            tell_refused(gateway, &refused);
            return Upgraded::Not(config);
        }
    };
    let watch = config.stop().await;
    running.pause_background();
    match successor.hand_over(gateway).await {
        Ok(successor) => Upgraded::To(Box::new(successor)),
        Err(refused) => {
            tell_refused(gateway, &refused);
            running.resume_background();
            Upgraded::Not(FollowedConfig::start(watch, gateway.clone()))
        }
    }
}

fn tell_refused(gateway: &Gateway, refused: &NotUpgraded) {
    let NotUpgraded { why, detail } = refused;
    gateway.shared.metrics.upgrades_refused.with_label_values(&[why.as_str()]).inc();
    log::error!("not upgraded ({}): {detail}; this process goes on", why.as_str());
}

/// Another process serves: ends what this one has. The first signal ends the wait for connections that are idle, and another
/// one that for requests.
async fn give_way(
    gateway: Arc<Gateway>,
    running: RunningSidecar,
    successor: ServingSuccessor,
    mut signals: Signals,
) -> ExitCode {
    let pid = successor.pid;
    log::info!("process {pid} serves: this one takes no new connections and finishes what it has");
    tell_service_manager(&[NotifyState::MainPid(pid), NotifyState::Ready]);
    let longest = gateway.snapshot().plan.server.drain_delay.max(GIVES_WAY);
    let sending = successor.start_sending(gateway);
    tokio::select! {
        () = running.give_way(longest) => {}
        _ = signals.term.recv() => {}
        _ = signals.interrupt.recv() => {}
    }
    sending.no_more_requests();
    let code = drain(running, &mut signals).await;
    sending.finish().await;
    log::info!("this process has ended what it had; process {pid} has everything");
    code
}
