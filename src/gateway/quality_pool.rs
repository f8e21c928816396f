//! Threads of their own that decode and measure pictures, so that this never takes the time of those that serve clients.
//!
//! There are at most so many, they begin with the first picture, and the machine prefers every other thread to them. What
//! waits for one is bounded in bytes: a call that brings more waits outside, with what it holds counted where replies are.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;
use tokio::sync::{Notify, oneshot};

use crate::config::plan;

/// How much less than others these threads are preferred, of 19. At 10 a thread gets a tenth of the time of another that
/// wants the same core, so that an answer out of the cache waits a tenth of a millisecond for it and not four.
const NICENESS: i32 = 10;

type Job = Box<dyn FnOnce() + Send>;

/// The work panicked, which is noted in the log; nothing is known of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkPanicked;

/// The threads and what waits for them.
pub struct QualityWorkers {
    queue: Arc<WorkQueue>,
}

struct WorkQueue {
    state: Mutex<State>,
    /// A job came, or a thread is to end.
    wake: Condvar,
    /// Bytes were given back.
    room: Notify,
    /// Bytes that wait, for Prometheus.
    waiting_bytes: IntGauge,
}

struct State {
    jobs: VecDeque<(Job, u64)>,
    bytes: u64,
    /// Bytes that may wait.
    most_bytes: u64,
    threads: usize,
    most_threads: usize,
    idle: usize,
    closed: bool,
}

impl QualityWorkers {
    /// No thread yet, and at most as many as the config says. `waiting_bytes` tells how much waits.
    pub fn new(config: &plan::QualityPool, waiting_bytes: IntGauge) -> QualityWorkers {
        let state = State {
            jobs: VecDeque::new(),
            bytes: 0,
            most_bytes: config.queue,
            threads: 0,
            most_threads: config.threads,
            idle: 0,
            closed: false,
        };
        let (wake, room) = (Condvar::new(), Notify::new());
        QualityWorkers { queue: Arc::new(WorkQueue { state: Mutex::new(state), wake, room, waiting_bytes }) }
    }

    /// Changes the bounds. Threads that are too many end with the picture they look at.
    pub fn resize(&self, config: &plan::QualityPool) {
        let mut state = self.queue.lock();
        (state.most_bytes, state.most_threads) = (config.queue, config.threads);
        self.queue.start_threads(&mut state);
        drop(state);
        self.queue.wake.notify_all();
        self.queue.room.notify_waiters();
    }

    /// Does `work` on a picture of so many `bytes` on one of the threads. Whoever asks may leave: what waits is then left
    /// out, and what has begun is done to its end.
    ///
    /// # Errors
    /// When the work panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, WorkPanicked> {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move || {
            if tell.is_closed() {
                return;
            }
            match catch_unwind(AssertUnwindSafe(work)) {
                Ok(done) => drop(tell.send(done)),
                Err(panic) => log::error!("a picture could not be looked at: {}", words(panic.as_ref())),
            }
        });
        self.queue.push(job, bytes as u64).await;
        told.await.map_err(|_| WorkPanicked)
    }
}

impl Drop for QualityWorkers {
    fn drop(&mut self) {
        self.queue.lock().closed = true;
        self.queue.wake.notify_all();
    }
}

impl WorkQueue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete when the lock is given back; jobs run without it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room, and queues. A picture that is larger than all the room takes all of it.
    async fn push(self: &Arc<WorkQueue>, job: Job, bytes: u64) {
        let mut job = Some(job);
        loop {
            let given_back = self.room.notified();
            tokio::pin!(given_back);
            // Registered before the look, so that room that comes between the two is not missed.
            given_back.as_mut().enable();
            if self.push_now(&mut job, bytes) {
                return;
            }
            given_back.await;
        }
    }

    fn push_now(self: &Arc<WorkQueue>, job: &mut Option<Job>, bytes: u64) -> bool {
        let mut state = self.lock();
        let fits = state.jobs.is_empty() || state.bytes.saturating_add(bytes) <= state.most_bytes;
        let Some(job) = job.take_if(|_| fits) else { return false };
        state.jobs.push_back((job, bytes));
        self.count(&mut state, |held| held.saturating_add(bytes));
        self.start_threads(&mut state);
        drop(state);
        self.wake.notify_one();
        true
    }

    /// As many threads as there is work for.
    fn start_threads(self: &Arc<WorkQueue>, state: &mut State) {
        while state.threads < state.most_threads && state.jobs.len() > state.idle {
            let queue = self.clone();
            let started = std::thread::Builder::new().name("easel-quality".to_owned()).spawn(move || queue.work());
            if let Err(error) = started {
                log::error!("no thread to look at pictures: {error}");
                return;
            }
            state.threads += 1;
            // It takes one of them.
            state.idle += 1;
        }
    }

    /// The life of a thread.
    fn work(&self) {
        give_way();
        let mut state = self.lock();
        loop {
            if state.closed || state.threads > state.most_threads {
                break;
            }
            let Some((job, bytes)) = state.jobs.pop_front() else {
                state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.idle -= 1;
            self.count(&mut state, |held| held.saturating_sub(bytes));
            drop(state);
            self.room.notify_waiters();
            job();
            state = self.lock();
            state.idle += 1;
        }
        (state.threads, state.idle) = (state.threads - 1, state.idle - 1);
        // What woke this thread may have been a job.
        self.wake.notify_one();
    }

    fn count(&self, state: &mut State, change: impl FnOnce(u64) -> u64) {
        state.bytes = change(state.bytes);
        self.waiting_bytes.set(i64::try_from(state.bytes).unwrap_or(i64::MAX));
    }
}

/// Lets the machine prefer every other thread.
fn give_way() {
    // On Linux this is the thread's own; elsewhere it would be the whole process's.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICENESS) {
        log::debug!("a thread that looks at pictures is preferred as others are: {error}");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = NICENESS;
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without words")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    fn config(threads: usize, queue: u64) -> plan::QualityPool {
        plan::QualityPool { threads, queue, max_pixels: 1, keep_rejected: None }
    }

    fn workers(threads: usize, queue: u64) -> QualityWorkers {
        QualityWorkers::new(&config(threads, queue), IntGauge::new("waiting", "x").unwrap())
    }

    /// Work that says when it begins and ends when it is told to.
    fn held(began: &Sender<u32>, number: u32) -> (Sender<()>, impl FnOnce() -> u32 + Send + 'static + use<>) {
        let (end, ended): (Sender<()>, Receiver<()>) = channel();
        let began = began.clone();
        let work = move || {
            began.send(number).unwrap();
            ended.recv().unwrap();
            number
        };
        (end, work)
    }

    #[tokio::test]
    async fn no_more_threads_look_at_pictures_than_there_may_be_and_who_serves_goes_on() {
        let workers = workers(2, 1 << 20);
        let (began, begun) = channel();
        let (ends, works): (Vec<_>, Vec<_>) = (0..5).map(|number| held(&began, number)).unzip();
        let all = join_all(works.into_iter().map(|work| workers.run(10, work)));
        let others = async {
            // Two begin, and no third until one of them has ended.
            let mut first = vec![begun.recv().unwrap(), begun.recv().unwrap()];
            first.sort_unstable();
            assert_eq!(first, [0, 1]);
            assert_eq!(workers.queue.lock().threads, 2);
            assert_eq!(workers.queue.lock().bytes, 30);
            ends.iter().for_each(|end| end.send(()).unwrap());
        };
        let (all, ()) = tokio::join!(all, others);
        assert_eq!(all, (0..5).map(Ok).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_one_that_is_larger_than_all_of_it_waits_alone() {
        let workers = workers(1, 100);
        let (began, begun) = channel();
        let (ends, works): (Vec<_>, Vec<_>) = (0..4).map(|number| held(&began, number)).unzip();
        let sizes = [1, 60, 60, 1000];
        let mut runs: Vec<_> =
            works.into_iter().zip(sizes).map(|(work, bytes)| Box::pin(workers.run(bytes, work))).collect();
        assert!(runs[0].as_mut().now_or_never().is_none());
        assert_eq!(begun.recv(), Ok(0));
        for run in &mut runs[1..] {
            assert!(run.as_mut().now_or_never().is_none());
        }
        assert_eq!(workers.queue.lock().bytes, 60, "one waits inside, two outside");
        ends.iter().for_each(|end| end.send(()).unwrap());
        assert_eq!(join_all(runs).await, (0..4).map(Ok).collect::<Vec<_>>());
        assert_eq!(workers.queue.waiting_bytes.get(), 0);
    }

    #[tokio::test]
    async fn a_panic_is_told_to_who_asked_and_the_thread_goes_on() {
        let workers = workers(1, 100);
        assert_eq!(workers.run(1, || -> u32 { panic!("on purpose") }).await, Err(WorkPanicked));
        assert_eq!(workers.run(1, || 7).await, Ok(7));
        assert_eq!(workers.queue.lock().threads, 1);
    }

    #[tokio::test]
    async fn a_picture_that_nobody_waits_for_any_more_is_not_looked_at() {
        let workers = workers(1, 100);
        let (began, begun) = channel();
        let (end, work) = held(&began, 0);
        let first = workers.run(1, work);
        let left = { began.clone() };
        let mut second = Box::pin(workers.run(1, move || left.send(1).unwrap()));
        let mut first = Box::pin(first);
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        assert_eq!(begun.recv(), Ok(0));
        drop(second);
        end.send(()).unwrap();
        assert_eq!(first.await, Ok(0));
        assert_eq!(workers.run(1, || 2).await, Ok(2));
        assert!(begun.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_reload_may_take_threads_away_and_bring_them_back() {
        let workers = workers(3, 1 << 20);
        let (began, begun) = channel();
        let (ends, works): (Vec<_>, Vec<_>) = (0..3).map(|number| held(&began, number)).unzip();
        let all = join_all(works.into_iter().map(|work| workers.run(10, work)));
        let others = async {
            assert_eq!(begun.iter().take(3).count(), 3);
            workers.resize(&config(1, 1 << 20));
            ends.iter().for_each(|end| end.send(()).unwrap());
        };
        tokio::join!(all, others);
        assert_eq!(workers.run(1, || 1).await, Ok(1));
        // Each ends as soon as it looks again.
        while workers.queue.lock().threads > 1 {
            tokio::task::yield_now().await;
        }
        workers.resize(&config(2, 1 << 20));
        assert_eq!(join_all((0..4).map(|number| workers.run(1, move || number))).await, [0, 1, 2, 3].map(Ok));
    }

    #[test]
    fn threads_end_with_the_pool() {
        let workers = workers(2, 100);
        let queue = Arc::downgrade(&workers.queue);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(join_all((0..4).map(|number| workers.run(1, move || number))));
        drop(workers);
        while queue.upgrade().is_some() {
            std::thread::yield_now();
        }
    }
}
