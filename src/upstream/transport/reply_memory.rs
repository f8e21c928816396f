//! Bounds the memory that replies take at once, over all calls.
//!
//! A reply counts piece by piece as it arrives, and for as long as its call needs it: until its pictures are in the
//! cache, behind a link or in an answer. A reply that finds no room waits, because it is paid for, and nothing of it is
//! read meanwhile. Many that are read in part could wait for each other for ever; so one call at a time may go over the
//! bound, until it has ended and the next takes its turn.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use prometheus::IntGauge;
use tokio::sync::{Mutex, Notify, OwnedSemaphorePermit, Semaphore};

/// The first bytes of a reply wait for nothing: how a job stands, a token, an error. Only pictures are larger.
const SMALL: usize = 64 * 1024;

/// All replies together.
#[derive(Debug)]
pub struct Replies {
    held: AtomicUsize,
    most: AtomicUsize,
    /// The number of bytes held, for Prometheus.
    gauge: IntGauge,
    /// Whose turn it is to get the next bytes that are given back.
    turn: Mutex<()>,
    waiting: AtomicUsize,
    given_back: Notify,
    /// The right to go over the bound.
    over: Arc<Semaphore>,
}

impl Replies {
    /// None yet, and at most `most` bytes of them; `gauge` tells how many there are.
    pub fn new(most: usize, gauge: IntGauge) -> Arc<Replies> {
        Arc::new(Replies {
            held: AtomicUsize::new(0),
            most: AtomicUsize::new(most),
            gauge,
            turn: Mutex::default(),
            waiting: AtomicUsize::new(0),
            given_back: Notify::new(),
            over: Arc::new(Semaphore::new(1)),
        })
    }

    /// Changes the bound.
    pub fn resize(&self, most: usize) {
        self.most.store(most, Ordering::Release);
        self.given_back.notify_waiters();
    }

    /// What one call, and all that it leads to, takes of them.
    pub fn reserve(self: &Arc<Replies>) -> Arc<CallReservation> {
        let over = OnceLock::new();
        Arc::new(CallReservation { replies: self.clone(), kept: AtomicUsize::new(0), over, allowed: Notify::new() })
    }

    fn add(&self, bytes: usize) {
        self.held.fetch_add(bytes, Ordering::AcqRel);
        self.gauge.add(bytes as i64);
    }

    fn release(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        self.held.fetch_sub(bytes, Ordering::AcqRel);
        self.gauge.sub(bytes as i64);
        self.given_back.notify_waiters();
    }

    /// Counts `bytes` if there is room for them.
    fn add_within(&self, bytes: usize) -> bool {
        let most = self.most.load(Ordering::Acquire);
        let room = |held: usize| held.checked_add(bytes).filter(|held| *held <= most);
        let added = self.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).is_ok();
        if added {
            self.gauge.add(bytes as i64);
        }
        added
    }
}

/// The bytes of one call's replies.
#[derive(Debug)]
pub struct CallReservation {
    replies: Arc<Replies>,
    /// Those that are needed until the call has ended.
    kept: AtomicUsize,
    /// The right to go over the bound. It is the call's until it has ended: its replies may wait for each other.
    over: OnceLock<OwnedSemaphorePermit>,
    allowed: Notify,
}

impl CallReservation {
    /// A reply that is to come.
    pub fn reply(self: &Arc<CallReservation>) -> ReplyReservation {
        ReplyReservation { memory_reservation: self.clone(), bytes: 0 }
    }

    /// Counts bytes that were made of a reply, until the call has ended. They wait for nothing: what they were made of
    /// goes soon.
    pub fn keep(&self, bytes: usize) {
        self.replies.add(bytes);
        self.kept.fetch_add(bytes, Ordering::AcqRel);
    }

    /// Counts `bytes` when there is room for them, or when this is the call that may go over the bound.
    async fn take(&self, bytes: usize) {
        let replies = &self.replies;
        if self.over.get().is_some() {
            return replies.add(bytes);
        }
        if replies.waiting.load(Ordering::Acquire) == 0 && replies.add_within(bytes) {
            return;
        }
        let _waiting = Waiting::begin(&replies.waiting);
        tokio::select! {
            biased;
            () = replies.in_turn(bytes) => {}
            () = self.allowed() => replies.add(bytes),
            right = replies.over.clone().acquire_owned() => {
                if let Ok(right) = right {
                    // There is one right, so nobody has set another here.
                    let _ = self.over.set(right);
                    self.allowed.notify_waiters();
                }
                replies.add(bytes);
            }
        }
    }

    /// Waits until another reply of this call got the right to go over the bound.
    async fn allowed(&self) {
        loop {
            let mut allowed = pin!(self.allowed.notified());
            allowed.as_mut().enable();
            if self.over.get().is_some() {
                return;
            }
            allowed.await;
        }
    }
}

impl Drop for CallReservation {
    fn drop(&mut self) {
        self.replies.release(self.kept.load(Ordering::Acquire));
    }
}

impl Replies {
    /// Waits for room in the order of those who came, and counts `bytes`.
    async fn in_turn(&self, bytes: usize) {
        let _turn = self.turn.lock().await;
        loop {
            let mut given_back = pin!(self.given_back.notified());
            given_back.as_mut().enable();
            if self.add_within(bytes) {
                return;
            }
            given_back.await;
        }
    }
}

/// One of those who wait.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Waiting<'a> {
        count.fetch_add(1, Ordering::AcqRel);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The bytes of one reply, given back when dropped.
#[derive(Debug)]
pub struct ReplyReservation {
    memory_reservation: Arc<CallReservation>,
    bytes: usize,
}

impl ReplyReservation {
    /// Counts `more` bytes, once there is room for them.
    pub async fn grow(&mut self, more: usize) {
        if self.bytes + more <= SMALL {
            self.memory_reservation.replies.add(more);
        } else {
            self.memory_reservation.take(more).await;
        }
        self.bytes += more;
    }

    /// Bytes counted so far.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Gives back what was counted so far.
    pub fn clear(&mut self) {
        self.memory_reservation.replies.release(std::mem::take(&mut self.bytes));
    }

    /// Has the bytes counted until the call has ended.
    pub fn keep(mut self) {
        self.memory_reservation.kept.fetch_add(std::mem::take(&mut self.bytes), Ordering::AcqRel);
    }
}

impl Drop for ReplyReservation {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::task::yield_now;

    use super::*;

    const PIECE: usize = SMALL + 1;

    fn replies(pieces: usize) -> (Arc<Replies>, IntGauge) {
        let gauge = IntGauge::new("replies", "x").unwrap();
        (Replies::new(pieces * PIECE, gauge.clone()), gauge)
    }

    /// Whether a further piece of `held` is counted without waiting.
    fn grows(held: &mut ReplyReservation) -> bool {
        held.grow(PIECE).now_or_never().is_some()
    }

    #[tokio::test]
    async fn what_finds_no_room_waits_until_some_is_given_back_the_first_first() {
        let (replies, gauge) = replies(2);
        let reservations: Vec<_> = (0..4).map(|_| replies.reserve()).collect();
        let [mut full, mut over, mut first, mut second] = [0, 1, 2, 3].map(|at| reservations[at].reply());
        assert!(grows(&mut full) && grows(&mut full), "there is room for two");
        assert!(grows(&mut over), "and one call may go over it");
        assert_eq!(gauge.get(), 3 * PIECE as i64);
        {
            let (mut one, mut two) = (Box::pin(first.grow(PIECE)), Box::pin(second.grow(PIECE)));
            assert!((&mut one).now_or_never().is_none() && (&mut two).now_or_never().is_none());
            drop(full);
            assert!((&mut two).now_or_never().is_none() && (&mut one).now_or_never().is_some());
            assert!((&mut two).now_or_never().is_none(), "over the bound there is still one");
            drop((over, reservations));
        }
        assert!(grows(&mut second));
        drop((first, second));
        assert_eq!(gauge.get(), 0);
    }

    #[tokio::test]
    async fn many_that_are_read_in_part_all_come_to_their_end() {
        let (replies, gauge) = replies(4);
        let reads = (0..16).map(|_| async {
            let memory_reservation = replies.reserve();
            let siblings = (0..3).map(|_| async {
                let mut held = memory_reservation.reply();
                for _ in 0..8 {
                    held.grow(PIECE).await;
                    assert!(gauge.get() <= (4 + 3 * 8) as i64 * PIECE as i64, "one call is over the bound, no other");
                    yield_now().await;
                }
                held.keep();
            });
            join_all(siblings).await;
        });
        join_all(reads).await;
        assert_eq!((gauge.get(), replies.held.load(Ordering::Acquire)), (0, 0));
    }

    #[tokio::test]
    async fn what_is_small_waits_for_nobody_and_a_larger_bound_lets_others_on() {
        let (replies, _) = replies(1);
        let (one, two, three) = (replies.reserve(), replies.reserve(), replies.reserve());
        let (mut held, mut over, mut late) = (one.reply(), two.reply(), three.reply());
        assert!(grows(&mut held) && grows(&mut over) && !grows(&mut late));
        assert!(late.grow(SMALL).now_or_never().is_some());
        assert!(late.grow(1).now_or_never().is_none());
        replies.resize(4 * PIECE);
        assert!(late.grow(1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn what_a_call_keeps_counts_until_it_has_ended() {
        let (replies, gauge) = replies(1);
        let memory_reservation = replies.reserve();
        let mut held = memory_reservation.reply();
        held.grow(10).await;
        held.keep();
        memory_reservation.keep(5);
        assert_eq!(gauge.get(), 15);
        drop(memory_reservation);
        assert_eq!(gauge.get(), 0);
    }
}
