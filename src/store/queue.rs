//! What waits for the writer, in the order it was handed in, and what is told of it.
//!
//! The queue is bounded: beyond its bound the oldest settlements are given up, counted, and never silently. While the
//! disk cannot be written, nobody is kept waiting: each is told at once what the policy says. Nothing here touches the
//! disk.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::config::plan::OnLedgerError;
use crate::store::store_types::{Health, Unwritten, VerdictEffect, VerdictWrite, Write};

/// Things written in one transaction at most: enough for the disk to be no limit, few enough for a reader to get in.
const BATCH: usize = 1024;

/// Who waits for a write.
pub(super) type Ack = oneshot::Sender<Result<(), Unwritten>>;

/// Something to be done with the writer's connection when all before it is written.
pub(super) type WriteJob = Box<dyn FnOnce(&mut Connection) + Send>;

/// One thing for the writer.
pub(super) enum QueueItem {
    /// A change.
    Write { write: Write, ack: Option<Ack> },
    /// A verdict, which has an answer.
    Judge { ask: VerdictWrite, reply: oneshot::Sender<Option<VerdictEffect>> },
    /// Anything else.
    Job(WriteJob),
}

/// What the writer is to do next.
pub(super) enum WriterStep {
    /// Write these; none of them to see whether the disk is there again.
    Batch(Vec<QueueItem>),
    /// Do this.
    Job(WriteJob),
    /// Nothing waits.
    Idle,
    /// Stop.
    End,
}

struct QueueState {
    items: VecDeque<QueueItem>,
    /// How many of them were there already when the present batch was taken.
    behind: usize,
    /// Since when nothing can be written: when to try again.
    again: Option<Instant>,
    /// Try again now.
    hurry: bool,
    /// Nothing comes any more.
    closing: bool,
    /// What cannot be written now is given up.
    giving_up: bool,
    /// The writer is gone.
    ended: bool,
}

/// The queue of one store.
pub(super) struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
    bound: usize,
    on_error: OnLedgerError,
    /// How long changes are gathered before they are written; where nobody waits for them, a thread need not wake for
    /// each.
    gather: Option<Duration>,
    /// What can be read without a lock.
    pub(super) gauges: Gauges,
}

/// Numbers for health and metrics.
#[derive(Default)]
pub(super) struct Gauges {
    pub(super) broken: AtomicBool,
    pub(super) waiting: AtomicUsize,
    pub(super) lost: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) last_us: AtomicU64,
    pub(super) longest_us: AtomicU64,
    pub(super) bytes: AtomicU64,
}

impl Gauges {
    pub(super) fn health(&self) -> Health {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Health {
            writable: !self.broken.load(Ordering::Acquire),
            waiting: self.waiting.load(Ordering::Relaxed),
            lost: of(&self.lost),
            failures: of(&self.failures),
            batches: of(&self.batches),
            rows: of(&self.rows),
            last_commit: Duration::from_micros(of(&self.last_us)),
            longest_commit: Duration::from_micros(of(&self.longest_us)),
            bytes: of(&self.bytes),
        }
    }
}

impl Queue {
    pub(super) fn new(bound: usize, on_error: OnLedgerError, gather: Option<Duration>) -> Queue {
        let state = QueueState {
            items: VecDeque::new(),
            behind: 0,
            again: None,
            hurry: false,
            closing: false,
            giving_up: false,
            ended: false,
        };
        Queue { state: Mutex::new(state), wake: Condvar::new(), bound, on_error, gather, gauges: Gauges::default() }
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What who waits is told when the disk cannot be written.
    pub(super) fn answer(&self) -> Result<(), Unwritten> {
        match self.on_error {
            OnLedgerError::Refuse => Err(Unwritten),
            OnLedgerError::Continue => Ok(()),
        }
    }

    /// Hands in a change. `Ok(None)`: nobody need wait; `Ok(Some)`: the writer will answer.
    ///
    /// # Errors
    /// When it is not on disk and the policy says so. A new attempt is not kept then, anything else is.
    pub(super) fn write(
        &self,
        write: Write,
        wait: bool,
    ) -> Result<Option<oneshot::Receiver<Result<(), Unwritten>>>, Unwritten> {
        let mut state = self.state();
        let well = state.again.is_none() && !state.closing && !state.ended && state.items.len() < self.bound / 2;
        if matches!(write, Write::Request(_)) && !well {
            // It is in the access log, and the room is for what was paid.
            return Ok(None);
        }
        if state.closing || state.ended {
            log::error!("the ledger is closed and does not hold: {write:?}");
            self.gauges.lost.fetch_add(1, Ordering::Relaxed);
            return self.answer().map(|()| None);
        }
        if state.again.is_some() {
            let answer = if wait { self.answer() } else { Ok(()) };
            if !(answer.is_err() && matches!(write, Write::Open(_))) {
                self.push(&mut state, QueueItem::Write { write, ack: None });
            }
            return answer.map(|()| None);
        }
        let (ack, written) = if wait { Some(oneshot::channel()).unzip() } else { (None, None) };
        self.push(&mut state, QueueItem::Write { write, ack });
        Ok(written)
    }

    /// Hands in something whose sender is dropped unanswered when the disk cannot be written.
    pub(super) fn ask(&self, item: QueueItem) {
        let mut state = self.state();
        if state.ended {
            return;
        }
        // Who asks may be the one to find that the disk is well again.
        state.hurry = true;
        self.push(&mut state, item);
    }

    fn push(&self, state: &mut QueueState, item: QueueItem) {
        state.items.push_back(item);
        self.shed(state);
        self.gauges.waiting.store(state.items.len(), Ordering::Relaxed);
        let few = (2..BATCH).contains(&state.items.len());
        if self.gather.is_none() || state.hurry || !few {
            self.wake.notify_one();
        }
    }

    /// Gives up the oldest settlements beyond the bound. Attempts that are under way stay: they are bounded by what is
    /// in flight.
    fn shed(&self, state: &mut QueueState) {
        while state.items.len() > self.bound {
            let oldest = state.items.iter().position(|item| {
                matches!(
                    item,
                    QueueItem::Write {
                        write: Write::Settle { .. }
                            | Write::Saved { .. }
                            | Write::Key(_)
                            | Write::Equivalence(_)
                            | Write::Request(_),
                        ..
                    }
                )
            });
            let Some(QueueItem::Write { write, ack }) = oldest.and_then(|oldest| state.items.remove(oldest)) else {
                return;
            };
            if let Some(ack) = ack {
                let _ = ack.send(self.answer());
            }
            if let Write::Settle { id, .. } = &write {
                let opened = |item: &QueueItem| matches!(item, QueueItem::Write { write: Write::Open(entry), .. } if entry.id == *id);
                state.items.iter().position(opened).and_then(|open| state.items.remove(open));
            }
            log::error!("more waits for the ledger than may, it will not hold: {write:?}");
            self.gauges.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What to do next; waits for it, unless `busy`: then it is [`WriterStep::Idle`] when nothing waits.
    pub(super) fn next(&self, busy: bool) -> WriterStep {
        let (mut state, mut gathered) = (self.state(), false);
        loop {
            let few = (1..BATCH).contains(&state.items.len()) && !state.hurry && !state.closing;
            if let Some(time) = self.gather.filter(|_| few && !gathered) {
                gathered = true;
                (state, _) = self.wake.wait_timeout(state, time).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            if let Some(again) = state.again {
                let now = Instant::now();
                if now < again && !state.hurry && !state.giving_up {
                    let (back, _) = self.wake.wait_timeout(state, again - now).unwrap_or_else(PoisonError::into_inner);
                    state = back;
                    continue;
                }
            }
            state.hurry = false;
            if let Some(job) = job_in_front(&mut state) {
                self.gauges.waiting.store(state.items.len(), Ordering::Relaxed);
                return WriterStep::Job(job);
            }
            let batch = take(&mut state.items);
            state.behind = state.items.len();
            if !batch.is_empty() || state.again.is_some() {
                return WriterStep::Batch(batch);
            }
            if state.closing {
                return WriterStep::End;
            }
            if busy {
                return WriterStep::Idle;
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The disk took everything so far. Whether that is news.
    pub(super) fn note_recovered(&self) -> bool {
        let mut state = self.state();
        self.gauges.waiting.store(state.items.len(), Ordering::Relaxed);
        self.gauges.broken.store(false, Ordering::Release);
        state.again.take().is_some()
    }

    /// The disk did not take `batch`: it goes back to the front, everybody is told, and the writer rests until `again`.
    /// Whether that is news.
    pub(super) fn note_failed(&self, batch: Vec<QueueItem>, again: Instant) -> bool {
        let mut state = self.state();
        let behind = state.behind;
        // Who asked after the batch was taken is owed a try of his own.
        let late = |(nth, item)| {
            if nth < behind || matches!(item, QueueItem::Write { .. }) { self.keep(item) } else { Some(item) }
        };
        let waiting = std::mem::take(&mut state.items).into_iter().enumerate().filter_map(late);
        state.items = batch.into_iter().filter_map(|item| self.keep(item)).chain(waiting).collect();
        self.shed(&mut state);
        self.gauges.waiting.store(state.items.len(), Ordering::Relaxed);
        self.gauges.broken.store(true, Ordering::Release);
        state.again.replace(again).is_none()
    }

    /// Somebody else found that nothing can be written: the writer is to try by itself. Whether that is news.
    pub(super) fn note_unwritable(&self) -> bool {
        let mut state = self.state();
        if state.again.is_some() || state.closing || state.ended {
            return false;
        }
        self.gauges.broken.store(true, Ordering::Release);
        state.again = Some(Instant::now());
        self.wake.notify_one();
        true
    }

    /// What is kept of an item that cannot be written now. A new attempt that is refused is none; that is written down
    /// as well, because a commit that failed may still have reached the disk.
    fn keep(&self, item: QueueItem) -> Option<QueueItem> {
        let QueueItem::Write { write, ack } = item else { return None };
        let Some(ack) = ack else { return Some(QueueItem::Write { write, ack: None }) };
        let _ = ack.send(self.answer());
        let write = match (write, self.on_error) {
            (Write::Open(entry), OnLedgerError::Refuse) => Write::Release { id: entry.id },
            (write, _) => write,
        };
        Some(QueueItem::Write { write, ack: None })
    }

    /// Nothing comes any more; what waits is written first. With `giving_up`, what cannot be written now is lost.
    pub(super) fn close(&self, giving_up: bool) {
        let mut state = self.state();
        state.closing = true;
        state.hurry = true;
        state.giving_up |= giving_up;
        self.wake.notify_one();
    }

    /// Whether what cannot be written now is to be lost.
    pub(super) fn is_giving_up(&self) -> bool {
        self.state().giving_up
    }

    /// The writer is gone; how many changes it leaves behind.
    pub(super) fn end(&self) -> usize {
        let mut state = self.state();
        state.ended = true;
        let left = std::mem::take(&mut state.items);
        let left = left.into_iter().filter(|item| matches!(item, QueueItem::Write { .. })).count();
        self.gauges.waiting.store(0, Ordering::Relaxed);
        self.gauges.lost.fetch_add(u64::try_from(left).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.gauges.broken.store(true, Ordering::Release);
        left
    }
}

/// A job in front is done by itself, unless the disk is ill: then only a probe tells whether it may be.
fn job_in_front(state: &mut QueueState) -> Option<WriteJob> {
    if state.again.is_some() || !matches!(state.items.front(), Some(QueueItem::Job(_))) {
        return None;
    }
    match state.items.pop_front() {
        Some(QueueItem::Job(job)) => Some(job),
        _ => None,
    }
}

/// The changes and verdicts in front, as many as go into one transaction.
fn take(items: &mut VecDeque<QueueItem>) -> Vec<QueueItem> {
    let many = items.iter().take(BATCH).take_while(|item| !matches!(item, QueueItem::Job(_))).count();
    items.drain(..many).collect()
}
