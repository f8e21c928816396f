//! Threads of their own that read pictures, so that a slow disk never takes the time of those that serve clients. So many
//! threads, so many that wait, and so long at most: beyond that a look is a miss, and the picture is drawn.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::disk_cache::outcomes::ReadMiss;
use crate::disk_cache::picture_record::ContentHash;

/// Threads that read. One waits for the disk while others hash what came; more would keep a core busy with hashing that
/// serves clients.
pub const READERS: usize = 4;

/// Reads that may wait. A disk that reads a picture in 20 ms is through with these in a third of a second.
pub const WAITING_READS: usize = 64;

/// How long a picture is waited for. It is drawn in some seconds (the median of a public trace of requests is 23), so
/// that two cost little, and a disk that needs longer is ill.
pub const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// A picture that somebody waits for.
pub(super) struct ReadJob {
    /// Which.
    pub(super) picture: ContentHash,
    /// How long it is.
    pub(super) length: u64,
    /// Who waits.
    pub(super) tell: oneshot::Sender<Result<Bytes, ReadMiss>>,
}

#[derive(Default)]
struct ReadState {
    jobs: VecDeque<ReadJob>,
    closed: bool,
}

/// What waits for a thread.
#[derive(Default)]
pub(super) struct ReadQueue {
    state: Mutex<ReadState>,
    wake: Condvar,
}

impl ReadQueue {
    fn state(&self) -> MutexGuard<'_, ReadState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a read; `false` when as many wait as may.
    pub(super) fn push(&self, job: ReadJob) -> bool {
        let mut state = self.state();
        if state.jobs.len() >= WAITING_READS {
            // Those whose time is over make room.
            state.jobs.retain(|job| !job.tell.is_closed());
        }
        if state.closed || state.jobs.len() >= WAITING_READS {
            return false;
        }
        state.jobs.push_back(job);
        drop(state);
        self.wake.notify_one();
        true
    }

    /// The next read that somebody still waits for; `None` when there will be none.
    pub(super) fn next(&self) -> Option<ReadJob> {
        let mut state = self.state();
        loop {
            if state.closed {
                return None;
            }
            match state.jobs.pop_front() {
                Some(job) if job.tell.is_closed() => {}
                Some(job) => return Some(job),
                None => state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Reads that no thread has taken yet.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.state().jobs.len()
    }

    /// Ends the threads. Who waits hears that nothing was read.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.jobs.clear();
        drop(state);
        self.wake.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(tag: u8) -> (ReadJob, oneshot::Receiver<Result<Bytes, ReadMiss>>) {
        let (tell, told) = oneshot::channel();
        (ReadJob { picture: ContentHash([tag; 32]), length: 1, tell }, told)
    }

    #[test]
    fn as_many_wait_as_may_and_who_has_left_makes_room() {
        let queue = ReadQueue::default();
        let (jobs, mut waits): (Vec<_>, Vec<_>) = (0..WAITING_READS).map(|tag| job(tag as u8)).unzip();
        assert!(jobs.into_iter().all(|job| queue.push(job)));
        let (more, _waits) = job(200);
        assert!(!queue.push(more));
        drop(waits.drain(..2));
        let (more, _waits) = job(201);
        assert!(queue.push(more));
        assert_eq!(queue.next().unwrap().picture.0[0], 2, "nobody waits for the first two");
        queue.close();
        assert!(queue.next().is_none() && !queue.push(job(1).0));
        assert!(waits.iter_mut().all(|wait| wait.try_recv().is_err()));
    }
}
