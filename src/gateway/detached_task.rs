//! Work that goes on when the future that awaits it is dropped.
//!
//! As long as its owner waits, the work runs as part of the owner's own task: a task for itself would be woken on
//! another thread and back again, which costs more than a whole small request. Only when the owner goes away does what
//! is left become a task.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// A future that, dropped unfinished, is handed to `tracker` to be finished there.
pub struct Detached {
    rest: Option<BoxFuture<'static, ()>>,
    tracker: TaskTracker,
}

impl Detached {
    /// `work`, not begun. A panic in it ends the work and not its owner, as in a task.
    pub fn new(work: impl Future<Output = ()> + Send + 'static, tracker: TaskTracker) -> Detached {
        let guarded = AssertUnwindSafe(work).catch_unwind().map(|done| {
            if done.is_err() {
                log::error!("a drawing panicked");
            }
        });
        Detached { rest: Some(guarded.boxed()), tracker }
    }
}

impl Future for Detached {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let done = self.rest.as_mut().is_none_or(|rest| rest.as_mut().poll(context).is_ready());
        if !done {
            return Poll::Pending;
        }
        self.rest = None;
        Poll::Ready(())
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        // Without a runtime everything has ended, and this with it.
        if let (Some(rest), Ok(runtime)) = (self.rest.take(), Handle::try_current()) {
            self.tracker.spawn_on(rest, &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;
    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_its_owner_leaves_is_finished_and_awaited_by_the_tracker() {
        let (tracker, (done, finished)) = (TaskTracker::new(), oneshot::channel());
        let work = async move {
            sleep(Duration::from_secs(5)).await;
            done.send(()).unwrap();
        };
        let owner = timeout(Duration::from_secs(1), Detached::new(work, tracker.clone()));
        assert!(owner.await.is_err());
        assert_eq!(tracker.len(), 1);
        tracker.close();
        tracker.wait().await;
        assert_eq!(finished.await, Ok(()));
    }

    #[tokio::test]
    async fn what_is_finished_or_panics_leaves_nothing_behind() {
        let tracker = TaskTracker::new();
        Detached::new(async {}, tracker.clone()).await;
        Detached::new(async { panic!("on purpose") }, tracker.clone()).await;
        assert!(tracker.is_empty());
    }
}
