//! The process that ends: starts its successor, hands over, and serves what it has to the end.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use crate::gateway::Gateway;
use crate::gateway::handover::{Handover, UpgradeRefusal};
use crate::sidecar::RunningSidecar;
use crate::upgrade::channel::{Channel, send_sockets};
use crate::upgrade::message::{Books, GivenLink, Message, PROTOCOL};

/// Tells a process that its standard input is the one that it takes over from.
pub const ENVIRONMENT: &str = "EASEL_UPGRADE";

/// How long the new process may take to read its config, and then to open the ledger. A ledger of a million attempts is read in
/// some seconds; whoever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a successor that failed may take to end, before its ledger's lock is asked for.
const LAST_BREATH: Duration = Duration::from_secs(5);

/// How often the ledger is asked for again.
const TAKE_BACK_EVERY: Duration = Duration::from_secs(1);

/// How long connections are served on that are there, so that busy ones go by themselves: pools of clients keep idle ones for
/// about as long.
pub const GIVES_WAY: Duration = Duration::from_secs(10);

/// How often the other process is told of links that were handed out and slots that are free.
const TELL_EVERY: Duration = Duration::from_millis(20);

/// How long the last links may take: as long as one message.
const LAST_MESSAGES: Duration = Duration::from_secs(10);

const ENDED: &str = "it has ended; its own lines say why";

/// How this process was started, to be started again.
#[derive(Clone)]
pub struct Program {
    name: OsString,
    args: Vec<OsString>,
}

impl Program {
    /// This process's. The name is looked up anew, so that a new version in the same place is started, a link included.
    pub fn of_this_process() -> Option<Program> {
        let mut args = std::env::args_os();
        Some(Program { name: args.next()?, args: args.collect() })
    }
}

/// A refusal, and what is known of it besides.
pub struct NotUpgraded {
    /// Why.
    pub why: UpgradeRefusal,
    /// The system's words, or what to do.
    pub detail: String,
}

fn refuse<E: ToString>(why: UpgradeRefusal) -> impl Fn(E) -> NotUpgraded {
    move |error| NotUpgraded { why, detail: error.to_string() }
}

/// A process that has read its config and waits. Dropped, it is killed.
pub struct Successor {
    /// `None` once it serves.
    child: Option<Child>,
    channel: Channel,
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.start_kill();
        }
    }
}

impl Successor {
    /// Starts `program` with the sockets of `running`, and waits until it has read its config.
    ///
    /// # Errors
    /// Why there is none; nothing has changed then.
    pub async fn start(
        program: &Program,
        gateway: &Gateway,
        running: &RunningSidecar,
    ) -> Result<Successor, NotUpgraded> {
        let hello = hello(gateway, running)?;
        let (mine, theirs) = UnixStream::pair().map_err(refuse(UpgradeRefusal::NotStarted))?;
        send_sockets(&mine, running.sockets()).map_err(refuse(UpgradeRefusal::NotStarted))?;
        let mut command = Command::new(&program.name);
        command.args(&program.args).env(ENVIRONMENT, "1").stdin(Stdio::from(OwnedFd::from(theirs)));
        let child = command.spawn().map_err(refuse(UpgradeRefusal::NotStarted));
        // Its end of the channel is held by nobody else, so that its end is noticed.
        drop(command);
        let channel = Channel::over(mine).map_err(refuse(UpgradeRefusal::NotStarted))?;
        let mut successor = Successor { child: Some(child?), channel };
        successor.channel.send(&hello).await.map_err(refuse(UpgradeRefusal::Ended))?;
        match successor.said().await? {
            Message::Loaded => Ok(successor),
            _ => Err(refuse(UpgradeRefusal::Ended)("it does not say that it has read its config")),
        }
    }

    /// Hands over, and waits until the new process serves. `gateway` goes on alone where it does not.
    ///
    /// # Errors
    /// Why it does not serve.
    pub async fn hand_over(mut self, gateway: &Arc<Gateway>) -> Result<ServingSuccessor, NotUpgraded> {
        if let Some(disk) = &gateway.shared.disk {
            // One process at a time has it. What is drawn here from now on is kept in memory.
            disk.close().await;
        }
        let handed_over = {
            let gateway = gateway.clone();
            spawn_blocking(move || gateway.hand_over()).await.map_err(refuse(UpgradeRefusal::Ledger))?
        };
        let handover = handed_over.map_err(refuse(UpgradeRefusal::Ledger))?;
        match self.serves(&handover).await {
            Ok(()) => {
                // It outlives this process.
                let pid = self.child.take().and_then(|child| child.id()).unwrap_or_default();
                Ok(ServingSuccessor { pid, told: self })
            }
            Err(why) => {
                self.end().await;
                take_back(gateway, handover).await;
                Err(why)
            }
        }
    }

    async fn serves(&mut self, handover: &Handover) -> Result<(), NotUpgraded> {
        let books = Message::Books(Books::from(handover));
        self.channel.send(&books).await.map_err(refuse(UpgradeRefusal::Ended))?;
        match self.said().await? {
            Message::Serving => Ok(()),
            _ => Err(refuse(UpgradeRefusal::Ended)("it does not say that it serves")),
        }
    }

    /// What the new process says next.
    async fn said(&mut self) -> Result<Message, NotUpgraded> {
        match timeout(PATIENCE, self.channel.next()).await {
            Ok(Ok(Some(message))) => Ok(message),
            Ok(Ok(None)) => Err(refuse(UpgradeRefusal::Ended)(ENDED)),
            // It has not read what it was told.
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionReset => Err(refuse(UpgradeRefusal::Ended)(ENDED)),
            Ok(Err(error)) => Err(refuse(UpgradeRefusal::Ended)(error)),
            Err(_) => Err(refuse(UpgradeRefusal::TimedOut)(format!("it has said nothing for {PATIENCE:?}"))),
        }
    }

    /// Kills it, and waits until it is gone and holds nothing.
    async fn end(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = timeout(LAST_BREATH, child.kill()).await;
        }
    }
}

/// What this process says first.
fn hello(gateway: &Gateway, running: &RunningSidecar) -> Result<Message, NotUpgraded> {
    let state_dir = may_hand_over(gateway.state_dir(), std::process::id(), gateway.has_predecessor())?;
    let (listen, admin) = running.addresses();
    Ok(Message::Hello { protocol: PROTOCOL, listen, admin, state_dir })
}

/// The state directory of a process that may hand over.
fn may_hand_over(state_dir: Option<PathBuf>, pid: u32, has_predecessor: bool) -> Result<PathBuf, NotUpgraded> {
    let (why, detail) = if has_predecessor {
        let detail = "the process before this one still ends its requests; try again when it has ended";
        (UpgradeRefusal::PredecessorEnds, detail)
    } else if pid == 1 {
        (UpgradeRefusal::FirstProcess, "a container ends with its first process: start a new container instead")
    } else {
        let no_state = "set server.state_dir: without it what was spent is known to this process alone";
        return state_dir.ok_or_else(|| refuse(UpgradeRefusal::NoStateDir)(no_state));
    };
    Err(refuse(why)(detail))
}

/// Goes on alone. The lock is there again as soon as the other process is gone; until then this one has half of its budgets.
async fn take_back(gateway: &Arc<Gateway>, handover: Handover) {
    let handover = Arc::new(handover);
    loop {
        let (again, handover) = (gateway.clone(), handover.clone());
        match spawn_blocking(move || again.take_back(&handover)).await {
            Ok(Ok(())) => break,
            Ok(Err(error)) => log::error!("the ledger cannot be taken back yet: {error}"),
            Err(error) => log::error!("the ledger cannot be taken back yet: {error}"),
        }
        sleep(TAKE_BACK_EVERY).await;
    }
    if gateway.shared.disk.is_some() {
        log::warn!("new pictures are kept in memory only, and not in cache.disk, until the next start");
    }
}

/// A process that serves in place of this one.
pub struct ServingSuccessor {
    /// Its number.
    pub pid: u32,
    told: Successor,
}

impl ServingSuccessor {
    /// Sends it, until [`HandoverSender::finish`], the links that are handed out here, and slots of calls that end.
    pub fn start_sending(self, gateway: Arc<Gateway>) -> HandoverSender {
        let (state, told) = watch::channel(SendingState::Serving);
        let task = SenderTask { successor: self.told, gateway, links: HashMap::new(), slots: Vec::new() };
        HandoverSender { state, task: tokio::spawn(task.run(told)) }
    }
}

/// What this process still does while it sends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SendingState {
    /// Requests come on connections that are there, and need slots.
    Serving,
    /// None come any more.
    Ending,
    /// All are answered.
    Done,
}

/// A task that sends the other process links and slots.
pub struct HandoverSender {
    state: watch::Sender<SendingState>,
    task: JoinHandle<()>,
}

impl HandoverSender {
    /// No request comes here any more: slots are given away as calls end.
    pub fn no_more_requests(&self) {
        self.state.send_replace(SendingState::Ending);
    }

    /// All requests are answered: sends what is left, and ends.
    pub async fn finish(self) {
        self.state.send_replace(SendingState::Done);
        let _ = timeout(LAST_MESSAGES, self.task).await;
    }
}

struct SenderTask {
    successor: Successor,
    gateway: Arc<Gateway>,
    /// Until when the other process holds which picture.
    links: HashMap<Arc<str>, Instant>,
    slots: Vec<(String, usize)>,
}

impl SenderTask {
    async fn run(mut self, state: watch::Receiver<SendingState>) {
        loop {
            let now = *state.borrow();
            if self.links().await.is_err() || (now != SendingState::Serving && self.slots().await.is_err()) {
                // It is gone, and nobody is left to tell.
                return;
            }
            if now == SendingState::Done {
                return;
            }
            sleep(TELL_EVERY).await;
        }
    }

    async fn links(&mut self) -> io::Result<()> {
        let now = Instant::now();
        self.links.retain(|_, until| *until > now);
        for (picture, until) in self.gateway.shared.cache.links_in_memory(now) {
            if self.links.get(&picture.id).is_none_or(|held| *held < until) {
                let given = GivenLink::of(&picture, until.saturating_duration_since(now));
                self.successor.channel.send(&Message::Link(given)).await?;
                self.links.insert(picture.id.clone(), until);
            }
        }
        Ok(())
    }

    async fn slots(&mut self) -> io::Result<()> {
        let slots = self.gateway.shared.slots_kept(|lane| lane.keep());
        if slots != self.slots {
            self.successor.channel.send(&Message::Slots { slots: slots.clone() }).await?;
            self.slots = slots;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_ledger_and_no_predecessor_and_may_end_hands_over() {
        let asked = |state_dir: Option<&str>, pid, has_predecessor| {
            may_hand_over(state_dir.map(PathBuf::from), pid, has_predecessor).map_err(|refused| refused.why.as_str())
        };
        assert_eq!(asked(Some("/state"), 7, false), Ok("/state".into()));
        assert_eq!(asked(None, 7, false), Err("no_state_dir"));
        assert_eq!(asked(Some("/state"), 1, false), Err("first_process"));
        assert_eq!(asked(Some("/state"), 7, true), Err("predecessor_ends"));
    }
}
