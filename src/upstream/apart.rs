//! Work on large replies, on threads that may take their time.
//!
//! To scan, decode, measure and name a picture takes a third of a millisecond a megabyte, and a hundred times that where
//! somebody made it slow. The threads that serve clients take no part in what is large, or two such replies would hold
//! up everybody.

use std::panic::resume_unwind;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// What is done with fewer bytes is done where it is: it takes a millisecond or two, less than others notice. Most pictures
/// are smaller, and would cost half as much again on a thread that does not have them in its cache.
pub const LARGE: usize = 4 * 1024 * 1024;

/// As many are worked on at once as there are cores. What waits for its turn is counted with the replies.
static TURNS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, usize::from)));

/// Does `work` on so many `bytes`. Whoever asked for it may leave: it is done to its end all the same, and its turn
/// lasts as long.
pub async fn apart<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes < LARGE {
        return work();
    }
    // Nobody closes it; without a turn the work is done all the same.
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
        let work = apart(LARGE, move || word.recv().unwrap());
        let others = async { say.send("done").unwrap() };
        assert_eq!(tokio::join!(work, others).0, "done");
    }

    #[tokio::test]
    async fn what_is_small_is_done_at_once() {
        let here = std::thread::current().id();
        assert_eq!(apart(LARGE - 1, || std::thread::current().id()).now_or_never(), Some(here));
        assert_ne!(apart(LARGE, || std::thread::current().id()).await, here);
    }

    #[tokio::test]
    async fn a_panic_is_the_panic_of_who_waits_and_its_turn_is_given_back() {
        let turns = available_parallelism().map_or(1, usize::from);
        for _ in 0..2 {
            let works = (0..=turns).map(|_| std::panic::AssertUnwindSafe(apart(LARGE, || panic!("no"))).catch_unwind());
            assert!(join_all(works).await.iter().all(|ended: &Result<(), _>| ended.is_err()));
        }
    }
}
