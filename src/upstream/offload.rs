//! Offloads work on large replies to threads that may block.
//!
//! To scan, decode, measure and name a picture takes a third of a millisecond a megabyte, and a hundred times that
//! where somebody made it slow. The threads that serve clients do not work on large replies, because two such replies
//! would hold up everybody.

use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Work on fewer bytes is done by the thread that asks for it: it takes a millisecond or two, less than others notice.
/// Most pictures are smaller, and would cost half as much again on a thread that does not have them in its cache.
pub const LARGE: usize = 4 * 1024 * 1024;

/// As many replies are worked on at once as there are cores. A reply that waits for its turn counts in `reply_memory`.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));

/// Does `work` on so many `bytes`. The caller may leave: the work is done to its end all the same, and its turn
/// lasts as long.
pub async fn offload<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < LARGE {
        return work();
    }
    // The semaphore is never closed; were it closed, the work would be done without a turn.
    let turn = TURNS.acquire().await.ok();
    let done = spawn_blocking(move || {
        let done = work();
        drop(turn);
        done
    });
    match done.await {
        Ok(done) => done,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // Work is given up when the runtime ends, and whoever waits for it with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn who_serves_others_goes_on_while_a_large_reply_is_worked_on() {
        let (say, word) = channel();
        let work = offload(LARGE, move || word.recv().unwrap());
        let others = async { say.send("done").unwrap() };
        assert_eq!(tokio::join!(work, others).0, "done");
    }

    #[tokio::test]
    async fn what_is_small_is_done_at_once() {
        let here = std::thread::current().id();
        assert_eq!(offload(LARGE - 1, || std::thread::current().id()).now_or_never(), Some(here));
        assert_ne!(offload(LARGE, || std::thread::current().id()).await, here);
    }

    #[tokio::test]
    async fn a_panic_is_the_panic_of_who_waits_and_its_turn_is_given_back() {
        let turns = available_parallelism().map_or(1, usize::from);
        for _ in 0..2 {
            let works =
                (0..=turns).map(|_| std::panic::AssertUnwindSafe(offload(LARGE, || panic!("no"))).catch_unwind());
            assert!(join_all(works).await.iter().all(|ended: &Result<(), _>| ended.is_err()));
        }
    }
}
