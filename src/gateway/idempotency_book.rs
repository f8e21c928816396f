//! The book of idempotency keys: the table that decides, its rows in the ledger and the answers that are kept.
//!
//! A row is handed in while the table is locked, so both see everything in the same order. The row of a first request is
//! handed in before any of its attempts, so whenever one of these is on disk, it is too; nobody waits for it. An answer
//! is kept, and its row written, before the answer leaves: who got it once can get it again.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::calendar::Moment;
use crate::canonical::request_digest::request_digest;
use crate::config::plan;
use crate::gateway::answer_keeper::{AnswerKeeper, KeptBytes};
use crate::gateway::kept_answer::KeptAnswer;
use crate::gateway::outcome::Outcome;
use crate::gateway::single_flight::Flight;
use crate::idempotency::{
    Begin, Bounds, Dropped, IdempotencyKey, KeyEnd, KeyName, KeyRefusal, KeyState, KeyTable, Removed, RemovedPart,
};
use crate::request::ImageRequest;
use crate::store::answer_files::AnswerFiles;
use crate::store::{KeyClaim, KeyWrite, Store, StoreError, StoredKey, Write};

/// A request's key, and what the request asks for.
pub struct KeyedRequest {
    name: KeyName,
    tenant: Arc<str>,
    key: IdempotencyKey,
    digest: [u8; 32],
}

impl KeyedRequest {
    /// The key of `tenant`'s `request`, which is as the caller sent it.
    pub fn new(tenant: &Arc<str>, key: IdempotencyKey, request: &ImageRequest) -> KeyedRequest {
        let name = KeyName::of(tenant, &key);
        KeyedRequest { name, tenant: tenant.clone(), key, digest: request_digest(request) }
    }
}

/// What a request waits by that joins the first with its key.
#[derive(Clone)]
pub struct KeyWaiter {
    /// The flight that the first one is on.
    pub flight: watch::Receiver<Option<Arc<Flight>>>,
    /// How it ended, once nothing more will come.
    pub outcome: watch::Receiver<Option<Outcome>>,
}

/// Every idempotency key, and what is kept for it.
pub struct IdempotencyBook {
    table: Mutex<KeyTable<KeyWaiter>>,
    pub(super) answers: AnswerKeeper,
    pub(super) store: Arc<Store>,
    /// Whether another process takes requests with keys too, one of which hands over to the other.
    pub(super) beside_another: AtomicBool,
}

/// What a request with a key does.
pub enum Turn {
    /// It is the first: it is drawn, and then its turn is ended. Where another process takes requests too, the key has to be
    /// claimed before ([`IdempotencyBook::claim`]).
    First(FirstTurn, Option<KeyClaim>),
    /// It waits for the first.
    Join(KeyWaiter),
    /// It is answered again: the key, and when it began.
    Replay(KeyName, Moment),
    /// Neither, and why.
    Refused(KeyRefusal),
}

/// The key of a first request that is under way.
pub struct FirstTurn {
    pub(super) name: KeyName,
    pub(super) begun: Moment,
}

/// How much is kept at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookSize {
    /// Keys.
    pub keys: usize,
    /// Bytes of their answers.
    pub bytes: u64,
    /// What was dropped before its time, since the start.
    pub dropped: Dropped,
}

impl IdempotencyBook {
    /// Opens the book where `server` keeps its state, and goes on with the keys that are there. Blocks.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub fn open(
        server: &plan::Server,
        store: &Arc<Store>,
        now: Moment,
        beside_another: bool,
    ) -> Result<IdempotencyBook, StoreError> {
        let (mut table, bounds) = (KeyTable::new(NO_BOUNDS), bounds(&server.idempotency));
        let answers = match &server.state_dir {
            None => AnswerKeeper::in_memory(),
            Some(dir) => {
                let keys = store.reading(|view| view.idempotency_keys()).wait()?;
                take_up(dir, keys, &mut table, beside_another)
            }
        };
        let beside_another = AtomicBool::new(beside_another);
        let book = IdempotencyBook { table: Mutex::new(table), answers, store: store.clone(), beside_another };
        book.change(|table| table.resize(bounds, now));
        Ok(book)
    }

    /// Says what a request does that came now. `request_id` is its own; `waiter` is what others wait by that join it.
    pub fn begin(
        &self,
        keyed: KeyedRequest,
        request_id: &Arc<str>,
        now: Moment,
        waiter: impl FnOnce() -> KeyWaiter,
    ) -> Turn {
        let KeyedRequest { name, tenant, key, digest } = keyed;
        self.change(|table| match table.begin(name, &tenant, digest, now, waiter) {
            Begin::First(_) => {
                let (key, request) = (key.as_str().into(), request_id.clone());
                let claim = KeyClaim { name, begun: now, tenant, key, digest, request };
                let turn = FirstTurn { name, begun: now };
                if self.beside_another.load(Ordering::Acquire) && self.answers.is_durable() {
                    return Turn::First(turn, Some(claim));
                }
                self.write(KeyWrite::Begun(claim));
                Turn::First(turn, None)
            }
            Begin::Join(waiter) => Turn::Join(waiter),
            Begin::Replay(begun) => Turn::Replay(name, begun),
            Begin::Refused(why) => Turn::Refused(why),
        })
    }

    /// Keeps the answer of a first request, and ends its turn. On disk when it resolves.
    pub async fn answered(&self, turn: &FirstTurn, outcome: &Outcome) {
        let kept = match KeptAnswer::of(outcome) {
            Some(answer) => self.keep(turn, answer).await,
            None => None,
        };
        let (end, state) = match kept {
            Some(kept) => (KeyEnd::Answered(kept.bytes), KeyState::Answered),
            None => (KeyEnd::Gone, KeyState::Gone),
        };
        let FirstTurn { name, begun } = *turn;
        let bytes = kept.map_or(0, |kept| kept.bytes);
        let ended = KeyWrite::Ended { name, begun, state, bytes, checksum: kept.and_then(|kept| kept.checksum) };
        let written = self.change(|table| {
            let written = self.answers.is_durable().then(|| self.store.write(Write::Key(ended)));
            table.end(name, end);
            written
        });
        if let Some(written) = written
            && written.await.is_err()
        {
            log::warn!("an answer is kept for its idempotency key, and the ledger does not say so yet");
        }
    }

    /// Ends the turn of a first request that was not answered. `charged`: something was, or may have been, paid for it.
    pub fn failed(&self, turn: &FirstTurn, charged: bool) {
        let FirstTurn { name, begun } = *turn;
        self.change(|table| {
            if charged {
                table.end(name, KeyEnd::Failed);
                self.write(KeyWrite::Ended { name, begun, state: KeyState::Failed, bytes: 0, checksum: None });
            } else {
                table.end(name, KeyEnd::Forgotten);
                self.write(KeyWrite::Forgotten { name, begun });
            }
        });
    }

    /// Ends the turn of a first request whose work was cut off. The ledger still says that it is under way, and
    /// the next start looks at what it paid.
    pub fn interrupted(&self, turn: &FirstTurn) {
        self.change(|table| table.end(turn.name, KeyEnd::Interrupted));
    }

    /// The answer of a key that began then. `None` where it is lost, which every later request is told too.
    ///
    /// # Errors
    /// When it cannot be read now, and may be later.
    pub async fn answer(&self, name: KeyName, begun: Moment) -> io::Result<Option<KeptAnswer>> {
        match self.answers.get(name, begun).await {
            Ok(answer) => Ok(Some(answer)),
            Err(why) if matches!(why.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                log::warn!("the answer of an idempotency key is lost: {why}");
                self.change(|table| table.lost(name));
                Ok(None)
            }
            Err(why) => Err(why),
        }
    }

    /// Forgets the keys whose window is over.
    pub fn expire(&self, now: Moment) {
        self.change(|table| table.expire(now));
    }

    /// Takes new bounds.
    pub fn resize(&self, rules: &plan::Idempotency, now: Moment) {
        self.change(|table| table.resize(bounds(rules), now));
    }

    /// How much is kept at present.
    pub fn size(&self) -> BookSize {
        let table = self.lock();
        BookSize { keys: table.len(), bytes: table.bytes(), dropped: table.dropped() }
    }

    /// Keeps an answer, if there is room for it at all and the disk takes it.
    async fn keep(&self, turn: &FirstTurn, answer: KeptAnswer) -> Option<KeptBytes> {
        let bytes = self.answers.weigh(&answer);
        if !self.lock().fits(bytes) {
            log::warn!("{bytes} bytes of an answer are more than server.idempotency.pictures: it is not kept");
            return None;
        }
        let kept = self.answers.keep(turn.name, turn.begun, answer).await;
        kept.inspect_err(|why: &io::Error| log::error!("an answer cannot be kept for its idempotency key: {why}")).ok()
    }

    /// Changes the table and removes what it gives up, from the ledger at once and from disk when there is time.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut KeyTable<KeyWaiter>) -> T) -> T {
        let mut left = Vec::new();
        let changed = {
            let mut table = self.lock();
            let changed = change(&mut table);
            for Removed { name, begun, part } in table.take_removed() {
                self.write(match part {
                    RemovedPart::Key => KeyWrite::Forgotten { name, begun },
                    RemovedPart::Pictures => {
                        KeyWrite::Ended { name, begun, state: KeyState::Gone, bytes: 0, checksum: None }
                    }
                });
                left.extend(self.answers.remove(name, begun));
            }
            changed
        };
        if !left.is_empty() {
            let remove = move || left.into_iter().for_each(|remove| remove());
            match Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn_blocking(remove)),
                Err(_) => remove(),
            }
        }
        changed
    }

    fn write(&self, key: KeyWrite) {
        if self.answers.is_durable() {
            self.store.write_unawaited(Write::Key(key));
        }
    }

    fn lock(&self) -> MutexGuard<'_, KeyTable<KeyWaiter>> {
        // The table is whole between its statements, and a key of a request that panicked is ended by that request.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While an earlier process' keys are taken up, nothing goes.
const NO_BOUNDS: Bounds = Bounds { window: std::time::Duration::MAX, keys: usize::MAX, bytes: u64::MAX };

fn bounds(rules: &plan::Idempotency) -> Bounds {
    Bounds { window: rules.window, keys: rules.keys, bytes: rules.pictures }
}

/// Takes up the keys of an earlier process, and looks which of their answers are still there. Where that process still
/// writes some, what is under way is its own until it has ended.
fn take_up(
    state_dir: &Path,
    mut keys: Vec<StoredKey>,
    table: &mut KeyTable<KeyWaiter>,
    beside_another: bool,
) -> AnswerKeeper {
    let files = AnswerFiles::of(state_dir);
    keys.retain(|stored| !beside_another || stored.key.state != KeyState::UnderWay);
    let answers = keys.iter().filter(|stored| stored.key.state == KeyState::Answered);
    let answers: Vec<_> = answers.map(|stored| (&stored.key, stored.checksum)).collect();
    let there: Vec<_> = answers.iter().map(|(key, _)| (key.name, key.begun, key.bytes)).collect();
    let missing = if beside_another { Ok(files.missing(&there)) } else { files.sweep(&there) };
    let missing = missing.unwrap_or_else(|why| {
        log::warn!("the answers of idempotency keys in {} cannot be looked at: {why}", state_dir.display());
        Vec::new()
    });
    let kept = answers.iter().filter_map(|(key, checksum)| Some((key.name, key.begun, key.bytes, (*checksum)?)));
    let keeper = AnswerKeeper::on_disk(files, kept);
    keys.into_iter().for_each(|stored| table.restore(stored.key));
    missing.into_iter().for_each(|name| table.lost(name));
    keeper
}
