//! Idempotency keys while two processes take requests, one of which hands over to the other.
//!
//! The ledger's file says whose request a key is: whoever writes it first. A client that sends its request again reaches
//! either of the two, and pays once.

use std::sync::atomic::Ordering;

use tokio::task::spawn_blocking;

use crate::calendar::Moment;
use crate::gateway::idempotency_book::IdempotencyBook;
use crate::idempotency::{KeyEnd, KeyName, KeyRefusal, KeyState};
use crate::money::Usd;
use crate::store::{KeyClaim, StoreError, StoredKey};

/// How a request is answered whose key stands for a request of another process.
pub enum Claimed {
    /// As that one was.
    Replay(KeyName, Moment),
    /// Not at all, and why.
    Refused(KeyRefusal),
}

impl IdempotencyBook {
    /// From now on another process takes requests with keys too, or none does any more.
    pub fn set_beside_another(&self, beside: bool) {
        self.beside_another.store(beside, Ordering::Release);
    }

    /// Claims a key for its first request here. `None` where it is this request's: it is drawn.
    pub async fn claim(&self, claim: KeyClaim) -> Option<Claimed> {
        let (store, digest) = (self.store.clone(), claim.digest);
        match spawn_blocking(move || store.claim_key(claim)).await {
            Ok(Ok(taken)) => taken.map(|taken| self.stands_for(&taken, digest)),
            // What cannot be written is told to whoever calls a provider.
            Ok(Err(why)) => {
                log::warn!("an idempotency key cannot be claimed: {why}");
                None
            }
            Err(why) => {
                log::error!("an idempotency key could not be claimed: {why}");
                None
            }
        }
    }

    /// Takes up how a key stands that is another process's, and says what a request gets that asks for `digest`.
    fn stands_for(&self, taken: &StoredKey, digest: [u8; 32]) -> Claimed {
        let StoredKey { key, .. } = taken;
        self.change(|table| table.end(key.name, KeyEnd::Forgotten));
        if key.state != KeyState::UnderWay {
            self.take_up(taken);
        }
        match key.state {
            _ if key.digest != digest => Claimed::Refused(KeyRefusal::Reused),
            KeyState::UnderWay => Claimed::Refused(KeyRefusal::Elsewhere),
            KeyState::Answered => Claimed::Replay(key.name, key.begun),
            KeyState::Gone => Claimed::Refused(KeyRefusal::Gone),
            KeyState::Failed => Claimed::Refused(KeyRefusal::Failed),
            KeyState::Interrupted => Claimed::Refused(KeyRefusal::Interrupted),
        }
    }

    /// Takes up a key of another process, unless it is known.
    fn take_up(&self, stored: &StoredKey) {
        let StoredKey { key, checksum } = stored;
        self.change(|table| {
            if !table.knows(&key.name) {
                if let Some(checksum) = checksum {
                    self.answers.take_up(key.name, key.begun, key.bytes, *checksum);
                }
                table.restore(key.clone());
            }
        });
    }

    /// The other process has ended: settles the keys that it left under way with all that it left, of attempts with numbers
    /// after the first of `numbers` and up to the second, and takes up what it answered. Returns how many attempts were under
    /// way, and what they may have cost. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn settle_other(&self, numbers: (i64, i64)) -> Result<(u64, Usd), StoreError> {
        let own = self.change(|table| table.under_way());
        let settled = self.store.settle_other(numbers, own)?;
        let keys = self.store.reading(|view| view.idempotency_keys()).wait()?;
        // What is under way now is this process's own.
        keys.iter().filter(|stored| stored.key.state != KeyState::UnderWay).for_each(|stored| self.take_up(stored));
        self.set_beside_another(false);
        Ok(settled)
    }
}
