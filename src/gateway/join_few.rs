//! A few futures that one task waits for together.
//!
//! `FuturesUnordered` is made for thousands: whenever it has polled all it holds it wakes its own task to be polled
//! once more, and with tokio that takes another worker out of its sleep. For the handful of calls of one request, and
//! the many pieces of a large reply, that is the dearest part of the waiting. Here all are polled in turn and no task
//! is woken without a reason. It is not for many: each poll looks at every future.

use std::future::poll_fn;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// Futures that are waited for together; each is dropped as soon as it is ready.
pub struct JoinFew<T> {
    waited_for: Vec<BoxFuture<'static, T>>,
}

impl<T> JoinFew<T> {
    /// Nothing to wait for.
    pub fn new() -> JoinFew<T> {
        JoinFew { waited_for: Vec::new() }
    }

    /// One more to wait for; it begins with the next [`JoinFew::next`].
    pub fn push(&mut self, future: impl Future<Output = T> + Send + 'static) {
        self.waited_for.push(future.boxed());
    }

    /// Whether there is nothing to wait for.
    pub fn is_empty(&self) -> bool {
        self.waited_for.is_empty()
    }

    /// How many there are to wait for.
    pub fn len(&self) -> usize {
        self.waited_for.len()
    }

    /// Waits for none of them any more.
    pub fn clear(&mut self) {
        self.waited_for.clear();
    }

    /// The next that is ready; never, while there is nothing to wait for. Cancelling it loses nothing.
    pub async fn next(&mut self) -> T {
        poll_fn(|context| {
            for place in 0..self.waited_for.len() {
                if let Poll::Ready(value) = self.waited_for[place].poll_unpin(context) {
                    drop(self.waited_for.swap_remove(place));
                    return Poll::Ready(value);
                }
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake};

    use tokio::sync::oneshot;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn waiting_wakes_nobody_until_one_of_them_is_ready() {
        let woken = Arc::new(Woken::default());
        let waker = woken.clone().into();
        let mut context = Context::from_waker(&waker);
        let (first, second) = (oneshot::channel(), oneshot::channel());
        let mut few = JoinFew::new();
        few.push(first.1);
        few.push(second.1);
        assert!(few.next().boxed().poll_unpin(&mut context).is_pending());
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        second.0.send(2).unwrap();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(few.next().boxed().poll_unpin(&mut context), Poll::Ready(Ok(2)));
        first.0.send(1).unwrap();
        assert_eq!(few.next().boxed().poll_unpin(&mut context), Poll::Ready(Ok(1)));
        assert!(few.is_empty() && few.next().boxed().poll_unpin(&mut context).is_pending());
    }
}
