//! One process hands over to another: what it gives away so that both may serve, and what the other does until it is
//! alone.
//!
//! The one that ends keeps what its requests need: half of what is left of budgets and slots. The one that begins has the rest
//! at once, and everything when the other has ended. What is in memory ends with its process: cached pictures that
//! are on no disk, rates, breakers, what is known of how long calls take.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::config::plan::Plan;
use crate::gateway::Gateway;
use crate::gateway::ledger_handover::LedgerHandover;
use crate::gateway::start_and_replace_errors::StartError;
use crate::secret::Secret;
use crate::store::{Location, StoreError};
use crate::upstream::transport::PooledClient;

/// How often is looked for what the process before has settled: a budget that is almost spent follows that soon.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);

/// How often the end of the process before is tried to be written, where the disk does not take it.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Bytes of a process's secret: the seed of hashes, then the key of links.
pub const SECRET: usize = 40;

/// What a process says that hands over.
#[derive(Clone, Debug)]
pub struct Handover {
    /// Its ledger.
    pub ledger: LedgerHandover,
    /// The slots that it keeps of each provider's.
    pub slots: Vec<(String, usize)>,
    /// Its secret, [`SECRET`] bytes in hexadecimal: links and names of pictures go on.
    pub secret: Secret,
    /// The version of its config.
    pub version: u64,
}

impl Handover {
    /// The secret.
    pub(super) fn secret_bytes(&self) -> Result<[u8; SECRET], StartError> {
        let mut bytes = [0; SECRET];
        let text = self.secret.reveal();
        for (nth, byte) in bytes.iter_mut().enumerate() {
            let digits = text.get(2 * nth..2 * nth + 2);
            *byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).ok_or(StartError::BadHandover)?;
        }
        Ok(bytes)
    }
}

impl Gateway {
    /// Where the ledger lies that this process has opened.
    pub fn state_dir(&self) -> Option<PathBuf> {
        self.shared.durable_ledger.store().dir().cloned()
    }

    /// `server.listen` and `server.admin` when the process began.
    pub fn bound_addresses(&self) -> (String, String) {
        self.began_with.addresses()
    }

    /// Whether the process before still ends what it has under way.
    pub fn has_predecessor(&self) -> bool {
        self.shared.durable_ledger.predecessor_last().is_some()
    }

    /// A gateway that takes over from another process, which still ends its requests. Blocks while its ledger is read.
    ///
    /// # Errors
    /// As [`Gateway::new`]; or there is no `state_dir`.
    pub fn take_over(plan: Plan, clock: Clock, handover: &Handover) -> Result<Arc<Gateway>, StartError> {
        let dir = plan.server.state_dir.clone().ok_or(StartError::BadHandover)?;
        let client = Box::new(PooledClient::new());
        let gateway = Gateway::open(plan, Location::Dir(dir), clock, client, Some(handover))?;
        gateway.shared.durable_ledger.taken_up();
        gateway.set_lent(&handover.slots);
        Ok(gateway)
    }

    /// Gives away what another process needs to serve, and keeps what is needed to end what is under way. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be written; nothing is handed over then.
    pub fn hand_over(&self) -> Result<Handover, StoreError> {
        let (shared, snapshot) = (&self.shared, self.snapshot());
        shared.idempotency.set_beside_another(true);
        shared.hedge_budgets.set_handed_over(true);
        let ledger = match shared.durable_ledger.hand_over(&snapshot.plan) {
            Ok(ledger) => ledger,
            Err(error) => {
                self.serve_alone();
                return Err(error);
            }
        };
        // Those of providers that nobody has asked yet are halved too.
        snapshot.plan.providers.values().for_each(|provider| drop(shared.lane(provider)));
        let slots = shared.slots_kept(|lane| lane.halve());
        let seed: String = shared.hash_seed.to_le_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let secret = Secret::new(format!("{seed}{}", self.link_secret.reveal()));
        Ok(Handover { ledger, slots, secret, version: snapshot.version })
    }

    /// Goes on alone, because the other process did not begin. Blocks.
    ///
    /// # Errors
    /// When another process writes the ledger.
    pub fn take_back(&self) -> Result<(), StoreError> {
        self.shared.durable_ledger.take_back()?;
        self.serve_alone();
        Ok(())
    }

    fn serve_alone(&self) {
        self.shared.idempotency.set_beside_another(false);
        self.shared.hedge_budgets.set_handed_over(false);
        for provider in self.snapshot().plan.providers.values() {
            self.shared.lane(provider).lend(0);
        }
    }

    /// Leaves these slots alone: the process before has them.
    pub fn set_lent(&self, slots: &[(String, usize)]) {
        for provider in self.snapshot().plan.providers.values() {
            let lent = slots.iter().find(|(name, _)| *name == provider.name).map_or(0, |(_, slots)| *slots);
            self.shared.lane(provider).lend(lent);
        }
    }

    /// Follows what the process before does, until `ended` resolves, then takes up what it left. Does not return before that
    /// is written down.
    pub async fn follow_predecessor(self: Arc<Gateway>, ended: impl Future<Output = ()>) {
        let mut ended = std::pin::pin!(ended);
        loop {
            let gateway = self.clone();
            let followed = spawn_blocking(move || gateway.shared.durable_ledger.follow_predecessor()).await;
            if let Ok(Err(error)) = followed {
                log::warn!("what the process before has paid cannot be read: {error}");
            }
            tokio::select! {
                () = &mut ended => break,
                () = sleep(FOLLOW_EVERY) => {}
            }
        }
        loop {
            let gateway = self.clone();
            match spawn_blocking(move || gateway.end_predecessor()).await {
                Ok(Ok(())) => break,
                Ok(Err(error)) => log::warn!("what the process before left cannot be taken up yet: {error}"),
                Err(error) => log::error!("what the process before left cannot be taken up yet: {error}"),
            }
            sleep(TRY_AGAIN).await;
        }
        log::info!("the process before has ended: this one has all of budgets and slots");
    }

    fn end_predecessor(&self) -> Result<(), StoreError> {
        let Some(last) = self.shared.durable_ledger.predecessor_last() else { return Ok(()) };
        let (interrupted, usd) = self.shared.idempotency.settle_predecessor(last)?;
        if interrupted > 0 {
            log::warn!(
                "{interrupted} calls were under way when the process before ended; up to {usd} USD may be charged for them"
            );
        }
        self.shared.durable_ledger.end_predecessor()?;
        self.serve_alone();
        Ok(())
    }
}
