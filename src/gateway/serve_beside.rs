//! A gateway beside another process's, while one hands over to the other: what it gives away so that both may serve, and
//! what the other does until it is alone.
//!
//! The one that ends keeps what its requests need: half of what is left of budgets and slots. The one that begins has the
//! rest at once, and everything when the other has ended. What was used of rates goes over as it stands, and links as they
//! are handed out. What else is in memory ends with its process: cached pictures that are on no disk, breakers, what is
//! known of how long calls take.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::config::plan::Plan;
use crate::gateway::Gateway;
use crate::gateway::handover::Handover;
use crate::gateway::start_and_replace_errors::StartError;
use crate::secret::Secret;
use crate::store::handover::NUMBERS;
use crate::store::{Location, StoreError};
use crate::upstream::transport::PooledClient;

/// How often is looked for what the process before has settled: a budget that is almost spent follows that soon.
const FOLLOW_EVERY: Duration = Duration::from_millis(100);

/// How often the end of the process before is tried to be written, where the disk does not take it.
const TRY_AGAIN: Duration = Duration::from_secs(1);

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
        gateway.shared.rate_limiter.restore(&handover.client_rates, Instant::now());
        gateway.shared.call_rates.restore(&handover.call_rates, Instant::now());
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
        let now = Instant::now();
        let (client_rates, call_rates) = (shared.rate_limiter.levels(now), shared.call_rates.levels(now));
        Ok(Handover { ledger, slots, secret, version: snapshot.version, client_rates, call_rates })
    }

    /// Goes on alone, because the other process is gone that this one handed over to. Blocks.
    ///
    /// # Errors
    /// When another process writes the ledger, or it cannot be written.
    pub fn take_back(&self, handover: &Handover) -> Result<(), StoreError> {
        let first = handover.ledger.last_id.saturating_add(NUMBERS);
        self.shared.durable_ledger.store().take_back()?;
        self.shared.idempotency.settle_other((first, i64::MAX))?;
        self.shared.durable_ledger.count_successor(first)?;
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
        let (interrupted, usd) = self.shared.idempotency.settle_other((i64::MIN, last))?;
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
