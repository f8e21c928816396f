//! The process that begins: takes sockets and books over from the one that started it, and follows what that one still
//! ends.

use std::env;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::config::plan::Plan;
use crate::gateway::Gateway;
use crate::gateway::StartError;
use crate::gateway::handover::Handover;
use crate::sidecar::BoundSockets;
use crate::upgrade::channel::{Channel, MessageReader, SOCKETS, receive_sockets};
use crate::upgrade::message::{Message, PROTOCOL};
use crate::upgrade::predecessor::ENVIRONMENT;

/// Why this process cannot take over.
#[derive(Debug, thiserror::Error)]
pub enum NotTakenOver {
    /// Nothing that could be understood came from the process before.
    #[error("the process before: {0}")]
    Channel(#[from] io::Error),
    /// It has said something else, or has ended.
    #[error("the process before has not said {0}")]
    Unsaid(&'static str),
    /// It is of another version.
    #[error(
        "the process before hands over by protocol {theirs}, and this one takes over by protocol {PROTOCOL}: stop the one and start the other"
    )]
    Protocol {
        /// Its version.
        theirs: u32,
    },
    /// It has another ledger.
    #[error("server.state_dir is {now}, and the process before has {before}: this takes effect after a restart")]
    OtherStateDir {
        /// In the config of this process.
        now: String,
        /// In that of the other.
        before: String,
    },
    /// The gateway does not start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// The process that hands over to this one.
pub struct Predecessor {
    channel: Channel,
    sockets: [TcpListener; SOCKETS],
}

impl Predecessor {
    /// The one at standard input, where the environment says that it is there. Blocks until its sockets are.
    ///
    /// # Errors
    /// When something else is there.
    pub fn of_this_process() -> Result<Option<Predecessor>, NotTakenOver> {
        if env::var_os(ENVIRONMENT).is_none() {
            return Ok(None);
        }
        let input = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        let sockets = receive_sockets(&input)?;
        Ok(Some(Predecessor { channel: Channel::over(input)?, sockets }))
    }

    /// Says that the config is read, and takes over. Blocks while the ledger is read.
    ///
    /// # Errors
    /// Why not; the other process goes on then.
    pub async fn take_over(
        mut self,
        plan: Plan,
    ) -> Result<(Arc<Gateway>, BoundSockets, EndingPredecessor), NotTakenOver> {
        let sockets = self.sockets_for(&plan).await?;
        self.channel.send(&Message::Loaded).await?;
        let Some(Message::Books(books)) = self.channel.next().await? else {
            return Err(NotTakenOver::Unsaid("what it hands over"));
        };
        let gateway = Gateway::take_over(plan, Clock::System, &Handover::from(books))?;
        Ok((gateway, sockets, EndingPredecessor(self.channel)))
    }

    /// Those of its sockets that `plan` listens on.
    async fn sockets_for(&mut self, plan: &Plan) -> Result<BoundSockets, NotTakenOver> {
        let Some(Message::Hello { protocol, listen, admin, state_dir }) = self.channel.next().await? else {
            return Err(NotTakenOver::Unsaid("what it is"));
        };
        if protocol != PROTOCOL {
            return Err(NotTakenOver::Protocol { theirs: protocol });
        }
        let server = &plan.server;
        if server.state_dir.as_ref() != Some(&state_dir) {
            let now = server.state_dir.as_ref().map_or("not set".to_owned(), |dir| dir.display().to_string());
            return Err(NotTakenOver::OtherStateDir { now, before: state_dir.display().to_string() });
        }
        let [clients, operators] = &self.sockets;
        let shared = |socket: &TcpListener, same: bool| same.then(|| socket.try_clone()).transpose();
        Ok(BoundSockets {
            clients: shared(clients, server.listen == listen)?,
            operators: shared(operators, server.admin == admin)?,
        })
    }
}

/// A process that ends what it has under way.
pub struct EndingPredecessor(Channel);

impl EndingPredecessor {
    /// Says that this process serves, and follows what the other still does, in a task.
    ///
    /// # Errors
    /// When it is gone already; this process serves all the same.
    pub async fn follow(mut self, gateway: &Arc<Gateway>) -> io::Result<()> {
        let said = self.0.send(&Message::Serving).await;
        let (told, writer) = self.0.split();
        let listener = gateway.clone();
        tokio::spawn(gateway.clone().follow_predecessor(async move {
            // The other process knows by its end of the channel that this one is there.
            let _writer = writer;
            until_ended(told, &listener).await;
        }));
        said
    }
}

/// Takes up slots as they are free, until the other process has ended.
async fn until_ended(mut told: MessageReader, gateway: &Gateway) {
    loop {
        match told.next().await {
            Ok(Some(Message::Slots { slots })) => gateway.set_lent(&slots),
            Ok(Some(Message::Link(link))) => {
                let left = Duration::from_millis(link.left_ms);
                if let Some(picture) = link.picture() {
                    gateway.shared.cache.hold_link(&Arc::new(picture), left, Instant::now());
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => {
                log::warn!("the process before says something else: {error}");
                return;
            }
        }
    }
}
