//! The ledger on disk: every attempt before it is sent, and what became of it, kept over `kill -9` and a full disk.
//!
//! One thread writes (`writer`), in transactions that hold all that waits; who must know that something is on disk
//! waits for its commit. Readers have connections of their own. What cannot be written is kept, tried again and told
//! ([`Health`]), never dropped in silence. The store keeps what it is given: it decides about no price and no budget.
//!
//! Sums are over settled attempts; rows past retention live on in sums (`retention`), so that a total never shrinks.

use std::future::Future;
#[cfg(feature = "cli")]
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use crate::calendar::{Moment, Period};
use crate::equivalences::Equivalence;
use crate::ledger::entry::{Owner, Verdict};
use crate::money::Usd;
use crate::store::attempts_of::RequestRows;
use crate::store::connection::WriterLock;
use crate::store::file_identity::FileIdentity;
use crate::store::queue::{Queue, QueueItem};
use crate::store::report::{Page, Report, ReportQuery, ReportRow};
use crate::store::settled_queries::{Filter, SettledRow, Sums};

pub mod answer_files;
mod apply_batch;
pub mod attempts_of;
mod columns;
pub mod connection;
mod equivalence_rows;
pub mod file_identity;
pub mod handover;
mod idempotency_keys;
mod predecessor_rows;
mod queue;
mod recovery;
pub mod report;
pub mod report_parameters;
pub mod request_lines;
mod retention;
pub mod schema;
pub mod settled_queries;
mod store_types;
#[cfg(test)]
mod tests;
mod writer;

pub use crate::store::idempotency_keys::StoredKey;
pub(crate) use crate::store::store_types::VerdictWrite;
pub use crate::store::store_types::{
    EquivalenceWrite, Health, KeyClaim, KeyWrite, Location, Options, StoreError, Unwritten, VerdictEffect, Write,
};

/// How long a store that is dropped without [`Store::close`] waits for its writer, which may hang on a dead disk.
const LAST_COMMIT: Duration = Duration::from_secs(2);

/// How long changes are gathered in memory, where nobody waits for a commit. Who asks is answered at once all the same.
const GATHER: Duration = Duration::from_millis(100);

/// A store that was opened, and what it found.
pub struct OpenedStore {
    /// The store.
    pub store: Arc<Store>,
    /// The largest id that was ever used; the next attempt's is one more.
    pub last_id: i64,
    /// Attempts that were under way when the last process died. They are settled now, as uncertain.
    pub interrupted: u64,
    /// What they may have cost.
    pub interrupted_usd: Usd,
}

/// The ledger. Dropping it writes what waits if that can be done at once; [`Store::close`] is more patient.
pub struct Store {
    place: Location,
    file: Option<FileIdentity>,
    queue: Arc<Queue>,
    lock: WriterLock,
    /// What is read from while the process before is taken up.
    pinned: Mutex<Option<Arc<Mutex<Connection>>>>,
    commit_timeout: Duration,
    ended: watch::Receiver<()>,
    gone: Mutex<mpsc::Receiver<()>>,
}

impl Store {
    /// Opens the ledger, brings it to the present version, and settles what was interrupted.
    ///
    /// # Errors
    /// When it cannot be opened, another process writes it, or it is of a newer version.
    pub fn open(place: Location, options: Options, now: Moment) -> Result<OpenedStore, StoreError> {
        Store::open_with(place, options, now, |_| Ok(()))
    }

    /// As [`Store::open`]; `prepare` may change the writer's connection, as a small disk would.
    fn open_with(
        place: Location,
        options: Options,
        now: Moment,
        prepare: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<OpenedStore, StoreError> {
        let mut opened = connection::open(&place)?;
        let (interrupted, interrupted_usd) = match options.beside_predecessor {
            true => (0, Usd::ZERO),
            false => recovery::settle_interrupted(&mut opened.ledger)?,
        };
        let last_id = recovery::last_id(&opened.ledger)?;
        prepare(&opened.ledger)?;
        let gather = (!matches!(place, Location::Dir(_))).then_some(GATHER);
        let queue = Arc::new(Queue::new(options.backlog, options.on_error, gather));
        let (end, ended) = watch::channel(());
        let (going, gone) = mpsc::channel();
        let (file, lock) = (opened.file.clone(), opened.lock.clone());
        let writer = writer::StoreWriter::new(opened, queue.clone(), &options, now);
        // Dropped when the thread ends, however it ends; after the writer, whose file is closed by then.
        let last = EndSignal { queue: queue.clone(), lock: lock.clone(), _end: end, _going: going };
        std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || {
                let _last = last;
                writer.run();
            })
            .map_err(StoreError::NoThread)?;
        let (commit_timeout, gone) = (options.commit_timeout, Mutex::new(gone));
        let store = Store { place, file, queue, lock, pinned: Mutex::default(), commit_timeout, ended, gone };
        if options.beside_predecessor {
            store.pin()?;
        }
        Ok(OpenedStore { store: Arc::new(store), last_id, interrupted, interrupted_usd })
    }

    /// Hands in a change, at once, and resolves when it is on disk; in memory, at once. While nothing can be written it
    /// resolves at once too: with [`OnLedgerError::Continue`] well.
    ///
    /// # Errors
    /// With [`OnLedgerError::Refuse`], when it is not on disk. A new attempt is not recorded then and must not be sent;
    /// anything else is kept and written when that is possible again. With either policy, when the tables can never
    /// hold it, such as an id that is another's.
    ///
    /// [`OnLedgerError::Continue`]: crate::config::plan::OnLedgerError::Continue
    /// [`OnLedgerError::Refuse`]: crate::config::plan::OnLedgerError::Refuse
    pub fn write(&self, write: Write) -> impl Future<Output = Result<(), Unwritten>> + Send + use<> {
        let opens = match &write {
            Write::Open(entry) => Some(entry.id),
            _ => None,
        };
        let handed_in = self.queue.write(write, matches!(self.place, Location::Dir(_)));
        let (queue, commit_timeout) = (self.queue.clone(), self.commit_timeout);
        async move {
            let Some(written) = handed_in? else { return Ok(()) };
            match timeout(commit_timeout, written).await {
                Ok(Ok(answer)) => answer,
                // Too slow, or the writer is gone.
                Ok(Err(_)) | Err(_) => {
                    let answer = queue.answer();
                    if let (Err(_), Some(id)) = (answer, opens) {
                        let _ = queue.write(Write::Release { id }, false);
                    }
                    answer
                }
            }
        }
    }

    /// Hands in a change that nobody waits for.
    pub fn write_unawaited(&self, write: Write) {
        // Without anybody who waits there is nobody to be told; what is lost is counted and logged.
        let _ = self.queue.write(write, false);
    }

    /// Takes a tenant's verdict on a picture: on its newest delivery to that tenant. `None` if there was none. On disk
    /// when it resolves.
    ///
    /// # Errors
    /// When nothing can be written at present; the verdict is not kept then.
    pub async fn judge(
        &self,
        image: &str,
        tenant: &str,
        verdict: Verdict,
        reason: Option<String>,
        now: Moment,
    ) -> Result<Option<VerdictEffect>, StoreError> {
        let ask = VerdictWrite { image: image.to_owned(), tenant: tenant.to_owned(), verdict, reason, now };
        let (reply, judged) = oneshot::channel();
        self.queue.ask(QueueItem::Judge { ask, reply });
        judged.await.map_err(|_| StoreError::Unwritten)
    }

    /// Looks whether its file is still there, which nothing else would notice before the next call is to be written down.
    pub fn look(&self) {
        if let Some(why) = self.file.as_ref().and_then(FileIdentity::is_lost)
            && self.queue.note_unwritable()
        {
            log::error!("the ledger cannot be written: {why}; what waits is kept and tried again");
        }
    }

    /// How it does; cheap enough for every request.
    pub fn health(&self) -> Health {
        self.queue.gauges.health()
    }

    /// Marks the present moment, at once, so that `read` sees what was handed in before it and nothing of what comes
    /// after it. The reading itself is done by who waits for it, with a connection of its own where there is a file.
    pub fn reading<T: Send + 'static>(
        &self,
        read: impl FnOnce(ReadSnapshot<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> PendingRead<T> {
        if let Some(pinned) = self.pinned() {
            return PendingRead(Box::new(move || read(ReadSnapshot(&connection::lock(&pinned)))));
        }
        match self.place.dir() {
            None => PendingRead(self.run_on_writer(move |ledger| read(ReadSnapshot(ledger)))),
            Some(dir) => {
                let dir = dir.clone();
                let stands = self.run_on_writer(move |_| connection::as_it_stands(&dir));
                PendingRead(Box::new(move || read(ReadSnapshot(&stands()?))))
            }
        }
    }

    /// The last moment of the last hour before `before` that is booked of a provider's fee for reserved capacity. Blocks.
    ///
    /// # Errors
    /// When something before it cannot be written or read.
    pub fn last_fee(&self, provider: &str, before: Option<Moment>) -> Result<Option<Moment>, StoreError> {
        let provider = provider.to_owned();
        self.reading(move |ReadSnapshot(ledger)| Ok(settled_queries::last_fee(ledger, &provider, before)?)).wait()
    }

    /// A table of what was settled. While nothing can be written, of what is on disk. Blocks.
    ///
    /// # Errors
    /// When nothing can be read, or a sum does not fit.
    pub fn report(&self, query: &ReportQuery) -> Result<Vec<ReportRow>, StoreError> {
        if let Some(dir) = self.place.dir() {
            let _ = self.flush();
            return report::of_file(dir, query);
        }
        let query = query.clone();
        self.reading(move |ReadSnapshot(ledger)| report::report(ledger, &query)).wait()
    }

    /// A page of the same. Blocks.
    ///
    /// # Errors
    /// As [`Store::report`].
    pub fn page(&self, query: &ReportQuery, page: &Page) -> Result<Report, StoreError> {
        if let Some(dir) = self.place.dir() {
            let _ = self.flush();
            return report::page(&connection::read(dir)?, query, page);
        }
        let (query, page) = (query.clone(), page.clone());
        self.reading(move |ReadSnapshot(ledger)| report::page(ledger, &query, &page)).wait()
    }

    /// What is known of one request. `images` are pictures of which it is asked who drew them. Blocks.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn request(&self, id: &str, images: &[String]) -> Result<RequestRows, StoreError> {
        if let Some(dir) = self.place.dir() {
            let _ = self.flush();
            return attempts_of::read(&connection::read(dir)?, id, images);
        }
        let (id, images) = (id.to_owned(), images.to_vec());
        self.reading(move |ReadSnapshot(ledger)| attempts_of::read(ledger, &id, &images)).wait()
    }

    /// The lines of the newest requests that called somebody, the newest first. Blocks.
    ///
    /// # Errors
    /// When nothing can be read.
    pub fn newest_requests(&self, count: usize) -> Result<Vec<String>, StoreError> {
        self.reading(move |ReadSnapshot(ledger)| Ok(request_lines::newest(ledger, count)?)).wait()
    }

    /// Waits until everything handed in before is written. Blocks.
    ///
    /// # Errors
    /// When it cannot be written at present.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.run_on_writer(|_| Ok(()))()
    }

    /// Writes everything, as long as `close_timeout` lasts, and ends. Whether all was written. Changes that are handed in
    /// later are refused and logged.
    pub async fn close(&self, close_timeout: Duration) -> bool {
        let before = self.health().lost;
        self.queue.close(false);
        let mut ended = self.ended.clone();
        // The other end says nothing; it is dropped when the writer is.
        let end = async move { while ended.changed().await.is_ok() {} };
        if timeout(close_timeout, end).await.is_err() {
            self.queue.close(true);
            return false;
        }
        self.health().lost == before
    }

    /// Has something done on the writer's thread, after everything handed in before; what it gives waits for it.
    fn run_on_writer<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Callback<T> {
        let (reply, done) = mpsc::channel();
        self.queue.ask(QueueItem::Job(Box::new(move |ledger| drop(reply.send(job(ledger))))));
        Box::new(move || done.recv().map_err(|_| StoreError::Unwritten)?)
    }
}

/// What is told once it is known.
type Callback<T> = Box<dyn FnOnce() -> Result<T, StoreError> + Send>;

/// What is read of the ledger as it stood at one moment.
pub struct PendingRead<T>(Callback<T>);

impl<T> PendingRead<T> {
    /// Reads. Blocks.
    ///
    /// # Errors
    /// When something before that moment cannot be written, or nothing can be read.
    pub fn wait(self) -> Result<T, StoreError> {
        (self.0)()
    }
}

/// The ledger as it stood at one moment.
pub struct ReadSnapshot<'a>(&'a Connection);

impl ReadSnapshot<'_> {
    /// Exact sums over attempts settled within a period; `None` is all there ever was. Rows past retention are known by
    /// the quarter of an hour they were settled in.
    ///
    /// # Errors
    /// When it cannot be read, or a sum does not fit.
    pub fn sums(&self, within: Option<Period>, filter: &Filter) -> Result<Sums, StoreError> {
        Ok(settled_queries::sums(self.0, within, filter)?)
    }

    /// Attempts settled at `since` or later, oldest first, as far as retention goes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn recent(&self, since: Moment) -> Result<Vec<SettledRow>, StoreError> {
        Ok(settled_queries::recent(self.0, since)?)
    }

    /// What was settled before `before`, by owner.
    ///
    /// # Errors
    /// When it cannot be read, or a sum does not fit.
    pub fn owners(&self, before: Moment) -> Result<Vec<(Owner, Sums)>, StoreError> {
        Ok(settled_queries::owners(self.0, before)?)
    }

    /// Every idempotency key that stands for a request.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn idempotency_keys(&self) -> Result<Vec<StoredKey>, StoreError> {
        Ok(idempotency_keys::all(self.0)?)
    }

    /// Every pair of words that was decided on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn equivalences(&self) -> Result<Vec<Equivalence>, StoreError> {
        Ok(equivalence_rows::all(self.0)?)
    }
}

/// What the ledger in `dir` has of one request, whether somebody writes it or not. The pictures in its line are looked for, too.
///
/// # Errors
/// When there is no ledger, or it cannot be read.
#[cfg(feature = "cli")]
pub fn request_of(dir: &Path, id: &str, images: impl Fn(&str) -> Vec<String>) -> Result<RequestRows, StoreError> {
    let ledger = connection::read(dir)?;
    let rows = attempts_of::read(&ledger, id, &[])?;
    let images = rows.line.as_deref().map(images).unwrap_or_default();
    if images.is_empty() { Ok(rows) } else { attempts_of::read(&ledger, id, &images) }
}

/// Every pair of words that was decided on, of a ledger that another process may write. None where there is no ledger.
///
/// # Errors
/// When it cannot be read.
#[cfg(feature = "cli")]
pub fn equivalences_of(dir: &Path) -> Result<Vec<Equivalence>, StoreError> {
    match connection::read(dir) {
        Ok(ledger) => Ok(equivalence_rows::all(&ledger)?),
        // Nothing was ever decided on in the one that is not there, or is older than such pairs are.
        Err(StoreError::Missing { .. } | StoreError::TooOld { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.queue.close(true);
        let gone = self.gone.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Nothing is ever sent: this ends when the writer does.
        let _ = gone.recv_timeout(LAST_COMMIT);
    }
}

/// Tells everybody that the writer has ended.
struct EndSignal {
    queue: Arc<Queue>,
    lock: WriterLock,
    _end: watch::Sender<()>,
    _going: mpsc::Sender<()>,
}

impl Drop for EndSignal {
    fn drop(&mut self) {
        self.lock.release();
        let left = self.queue.end();
        if left > 0 {
            log::error!("the ledger ended without {left} changes that could not be written");
        }
    }
}
