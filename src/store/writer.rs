//! The one thread that writes: all that waits goes into one transaction, and who waits is answered after its commit.
//!
//! When the disk does not take a batch, it stays in front and is tried again after a growing pause. The writer decides
//! nothing about money; it also sees to it that rows grow no older than they may.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::calendar::Moment;
use crate::store::apply_batch::ItemResult;
use crate::store::connection;
use crate::store::file_identity::FileIdentity;
use crate::store::queue::{Queue, QueueItem, WriterStep};
use crate::store::store_types::Unwritten;
use crate::store::store_types::{Options, Write};
use crate::store::{apply_batch, retention};

/// The pause after a first failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest pause: somebody who makes room on a disk is noticed soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often old rows are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// What the thread owns.
pub(super) struct StoreWriter {
    ledger: Connection,
    file: Option<FileIdentity>,
    queue: Arc<Queue>,
    retention: Duration,
    /// In memory: rows kept at most.
    bound: Option<usize>,
    rows: usize,
    /// The newest moment that was seen: the store's own clock.
    newest: Moment,
    swept: Option<Moment>,
    pause: Duration,
}

impl StoreWriter {
    /// Takes over the opened ledger.
    pub(super) fn new(
        opened: connection::StoreConnections,
        queue: Arc<Queue>,
        options: &Options,
        now: Moment,
    ) -> StoreWriter {
        let bound = opened.file.is_none().then_some(options.memory_rows);
        StoreWriter {
            ledger: opened.ledger,
            file: opened.file,
            queue,
            retention: options.retention,
            bound,
            rows: 0,
            newest: now,
            swept: None,
            pause: FIRST_PAUSE,
        }
    }

    /// Writes until the queue is closed and empty, or what is left is given up.
    pub(super) fn run(mut self) {
        loop {
            let busy = self.is_sweep_due();
            match self.queue.next(busy) {
                WriterStep::Batch(batch) => {
                    if !self.commit(batch) && self.queue.is_giving_up() {
                        break;
                    }
                }
                WriterStep::Job(job) => job(&mut self.ledger),
                WriterStep::Idle => {}
                WriterStep::End => break,
            }
            if busy {
                self.sweep();
            }
        }
        // A reader that finds no WAL needs none.
        if let Err((_, error)) = self.ledger.close() {
            log::warn!("the ledger was not closed well: {error}");
        }
    }

    /// Whether the disk took the batch.
    fn commit(&mut self, batch: Vec<QueueItem>) -> bool {
        let begun = Instant::now();
        let written = match self.file.as_ref().and_then(FileIdentity::is_lost) {
            Some(why) => Err(why),
            None => apply_batch::batch(&mut self.ledger, &batch).map_err(|error| error.to_string()),
        };
        match written {
            Ok(said) => {
                self.count(&batch, begun.elapsed());
                if self.queue.note_recovered() {
                    let lost = self.queue.gauges.lost.load(Ordering::Relaxed);
                    log::info!("the ledger is written again; {lost} changes were lost since the start");
                }
                self.pause = FIRST_PAUSE;
                for (item, said) in batch.into_iter().zip(said) {
                    self.tell(item, said);
                }
                true
            }
            Err(error) => {
                self.queue.gauges.failures.fetch_add(1, Ordering::Relaxed);
                if self.queue.note_failed(batch, Instant::now() + self.pause) {
                    log::error!("the ledger cannot be written: {error}; what waits is kept and tried again");
                }
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                false
            }
        }
    }

    fn count(&mut self, batch: &[QueueItem], took: Duration) {
        let gauges = &self.queue.gauges;
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        gauges.batches.fetch_add(1, Ordering::Relaxed);
        gauges.rows.fetch_add(u64::try_from(batch.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        gauges.last_us.store(took, Ordering::Relaxed);
        gauges.longest_us.fetch_max(took, Ordering::Relaxed);
        match connection::bytes(&self.ledger) {
            Ok(bytes) => gauges.bytes.store(bytes, Ordering::Relaxed),
            Err(error) => log::debug!("the ledger does not tell its size: {error}"),
        }
        for item in batch {
            let at = match item {
                QueueItem::Write { write: Write::Open(entry), .. } => {
                    self.rows += 1;
                    entry.at
                }
                QueueItem::Write { write: Write::Settle { settlement, .. }, .. } => settlement.at,
                QueueItem::Write { write: Write::Saved { at, .. }, .. } => *at,
                QueueItem::Judge { ask, .. } => ask.now,
                QueueItem::Write {
                    write: Write::Release { .. } | Write::Key(_) | Write::Equivalence(_) | Write::Request(_),
                    ..
                }
                | QueueItem::Job(_) => continue,
            };
            self.newest = self.newest.max(at);
        }
    }

    /// Answers who waits for what was committed.
    fn tell(&self, item: QueueItem, said: ItemResult) {
        match (item, said) {
            (QueueItem::Judge { reply, .. }, ItemResult::VerdictEffect(judged)) => drop(reply.send(judged)),
            (QueueItem::Write { write, ack }, ItemResult::Invalid(why)) => {
                log::error!("the ledger cannot hold {write:?}: {why}");
                self.queue.gauges.lost.fetch_add(1, Ordering::Relaxed);
                ack.map(|ack| ack.send(Err(Unwritten)));
            }
            (QueueItem::Write { ack: Some(ack), .. }, _) => drop(ack.send(Ok(()))),
            // Who asks for a verdict that makes no sense hears nothing, which is an error to him.
            _ => {}
        }
    }

    fn is_sweep_due(&self) -> bool {
        let old = self.swept.is_none_or(|swept| self.newest.since(swept) >= SWEEP_EVERY);
        old || self.bound.is_some_and(|bound| self.rows > bound.saturating_add(bound / 10))
    }

    /// One step of rolling up. A failure is no news: whatever it is, the next batch meets it too.
    fn sweep(&mut self) {
        let done = match self.bound {
            Some(bound) if self.rows > bound => retention::rows(&self.ledger).and_then(|rows| {
                self.rows = rows;
                let spare = rows.saturating_sub(bound).min(retention::STEP);
                let taken = retention::step(&mut self.ledger, Moment::from_millis(i64::MAX), spare)?;
                // Rows that are all under way cannot be taken; they are looked at again when as many more came.
                self.rows = if taken == 0 { 0 } else { rows - taken };
                Ok(taken == spare)
            }),
            _ => {
                let before = self.newest.before(self.retention);
                retention::step(&mut self.ledger, before, retention::STEP).map(|taken| taken < retention::STEP)
            }
        };
        match done {
            Ok(false) => {}
            Ok(true) => self.swept = Some(self.newest),
            Err(error) => {
                log::warn!("old rows of the ledger stay for now: {error}");
                self.rows = self.bound.unwrap_or(self.rows).min(self.rows);
                self.swept = Some(self.newest);
            }
        }
    }
}
