//! The calls of one attempt with its vendor: the request for pictures, and polls until the vendor is done.
//!
//! Polling, deadlines and cancelling exist only here; an adapter merely says what to send next. A request that may have
//! been taken is never sent again.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout_at};

use crate::failure::{Class, Failure};
use crate::gateway::attempt::attempt_result::FailedAttempt;
use crate::gateway::attempt::context::Attempt;
use crate::gateway::attempt::job_state::Polling;
use crate::gateway::attempt::{backoff, redirect};
use crate::gateway::log_context::within_request;
use crate::provider::common::token_source::TokenSource;
use crate::provider::{Call, Job, JobResult, Reply, Step};
use crate::secret::Secret;
use crate::upstream::offload::offload;
use crate::upstream::transport::{AllowedTargets, Bounds, EventRole, HeldReply, TransportError, Watcher};

/// How long a cancel may take; nobody waits for it.
const CANCEL: Duration = Duration::from_secs(5);

/// A token and where it came from, for providers that take one.
type BearerToken = Option<(TokenSource, Arc<Secret>)>;

/// What the vendor drew, and the body of the reply that says so.
type Done = (JobResult, Bytes);

/// The calls of an attempt, as they stand.
pub(super) struct Conversation {
    attempt: Arc<Attempt>,
    deadline: Instant,
    token: BearerToken,
    token_renewed: bool,
    /// The call that is sent next.
    call: Call,
    polling: Polling,
}

impl Conversation {
    /// Prepares the first call; nothing of it is sent yet, but a token may be fetched.
    pub(super) async fn begin(attempt: &Arc<Attempt>, deadline: Instant) -> Result<Conversation, FailedAttempt> {
        let token = attempt.token(deadline).await?;
        let call = attempt.submit(deadline, &token)?;
        let attempt = attempt.clone();
        Ok(Conversation { attempt, deadline, token, token_renewed: false, call, polling: Polling::default() })
    }

    /// Asks, and keeps polling until the vendor is done.
    pub(super) async fn run(mut self) -> Result<Done, FailedAttempt> {
        loop {
            let pause = match self.attempt.send_watched(&self.call, self.polling.started, self.deadline).await {
                Ok(received) if self.needs_new_token(received.reply.status) => {
                    // The vendor refused before it looked at the request, so nothing was drawn: this buys nothing twice.
                    self.token_renewed = true;
                    self.token = self.attempt.token(self.deadline).await?;
                    self.call = self.attempt.submit(self.deadline, &self.token)?;
                    continue;
                }
                Ok(received) => match self.take_in(received).await? {
                    ControlFlow::Break(done) => return Ok(done),
                    ControlFlow::Continue(pause) => pause,
                },
                Err(failure) => match self.pause_after(&failure) {
                    Some(pause) => pause,
                    None => return Err(self.give_up(failure, None)),
                },
            };
            if timeout_at(self.deadline, sleep(pause)).await.is_err() {
                let late = Failure::new(Class::TimeoutAmbiguous, "still drawing at the provider's timeout");
                return Err(self.give_up(late, None));
            }
        }
    }

    /// Whether the vendor turned away the token that went with the request; such a token is forgotten. It is fetched anew
    /// once.
    fn needs_new_token(&self, status: u16) -> bool {
        let Some((source, token)) = self.token.as_ref().filter(|_| status == 401) else { return false };
        self.attempt.shared.tokens.forget(source, token);
        !self.token_renewed && !self.polling.started
    }

    /// What a reply leads to: the end, or a pause before the next call.
    async fn take_in(&mut self, received: HeldReply) -> Result<ControlFlow<Done, Duration>, FailedAttempt> {
        let HeldReply { reply, held } = received;
        let (status, body) = (Some(reply.status), reply.body.clone());
        let step = if redirect::is_one(&reply) { self.redirected(&reply) } else { self.read(reply).await };
        match step {
            Step::Done(drawn) => {
                held.keep();
                Ok(ControlFlow::Break((drawn, body)))
            }
            Step::Again { call, after, cancel, noted } => {
                self.call = call;
                self.polling = Polling { started: true, consecutive_failures: 0, cancel, noted };
                Ok(ControlFlow::Continue(after))
            }
            Step::Lost { failure, noted } => {
                (self.polling.started, self.polling.noted) = (true, noted);
                Err(self.give_up(failure, status))
            }
            Step::Failed(failure) => match self.pause_after(&failure) {
                Some(pause) => Ok(ControlFlow::Continue(pause)),
                None => Err(self.give_up(failure, status)),
            },
        }
    }

    /// A vendor that sends elsewhere. A poll is sent there the next time; a request for pictures is not sent twice.
    fn redirected(&mut self, reply: &Reply) -> Step {
        let failure = redirect::failure(&self.call.url, reply);
        if let Some(url) = redirect::target(&self.call.url, reply).filter(|_| self.polling.started) {
            self.call.url = url;
        }
        Step::Failed(failure)
    }

    /// What the adapter reads in a reply to the last call.
    async fn read(&self, reply: Reply) -> Step {
        let (attempt, deadline) = (self.attempt.clone(), self.deadline);
        let (token, noted) = (self.token.clone(), self.polling.noted.clone());
        let polled = self.polling.started.then(|| self.call.url.clone());
        offload(reply.body.len(), move || {
            let job = attempt.job(deadline, bearer(&token));
            attempt.provider.read(&Job { noted: noted.as_ref(), polled: polled.as_ref(), ..job }, &reply)
        })
        .await
    }

    /// How long to wait before the same call is sent again; `None` where it must not be.
    fn pause_after(&mut self, failure: &Failure) -> Option<Duration> {
        self.polling.try_again(failure, self.deadline.saturating_duration_since(Instant::now()))
    }

    /// Ends an attempt without pictures. A job that goes on is stopped where that can be done; what it costs then,
    /// nobody knows.
    fn give_up(&mut self, failure: Failure, status: Option<u16>) -> FailedAttempt {
        let polling = std::mem::take(&mut self.polling);
        if !polling.started || failure.ended {
            return FailedAttempt::of_a_call(failure, status, polling.noted);
        }
        self.attempt.cancel(polling.cancel);
        FailedAttempt::of_a_job(failure, polling.noted)
    }
}

impl Attempt {
    /// The token to go with the calls, where the provider takes one.
    async fn token(&self, deadline: Instant) -> Result<BearerToken, Failure> {
        let Some(source) = self.provider.token(&self.offer.provider.account) else { return Ok(None) };
        let connect = self.offer.provider.connect_timeout;
        let shared = &self.shared;
        let token = shared.tokens.get(&shared.transport, &source, &shared.clock, deadline, connect).await?;
        Ok(Some((source, token)))
    }

    /// The call that orders the pictures.
    fn submit(&self, deadline: Instant, token: &BearerToken) -> Result<Call, Failure> {
        self.provider.ask(&self.job(deadline, bearer(token)))
    }

    /// Sends a call of the conversation. Unfinished pictures in its reply are shown at once. A question about a job that
    /// was taken on may not hang until the deadline; it is asked again.
    async fn send_watched(
        self: &Arc<Self>,
        call: &Call,
        is_poll: bool,
        deadline: Instant,
    ) -> Result<HeldReply, Failure> {
        let (attempt, finished) = (self.clone(), AtomicU8::new(0));
        let watcher: Watcher = Arc::new(move |event| attempt.watch(event, &finished));
        let bounds = self.bounds(deadline, AllowedTargets::Anywhere);
        let bounds = if is_poll { one_try(bounds) } else { bounds };
        let sent = self.shared.transport.send_watched(call, bounds, &self.memory_reservation, Some(&watcher)).await;
        sent.map_err(TransportError::failure)
    }

    /// Shows the unfinished picture of an event; `finished` counts the finished ones.
    fn watch(&self, event: &str, finished: &AtomicU8) -> EventRole {
        if let Some(partial) = self.provider.partial(event) {
            if self.candidate.fitted.partials > 0 {
                self.flight.update(|progress| progress.partials.push(partial));
            }
            return EventRole::Shown;
        }
        let is_last = self.provider.finishes(event) && finished.fetch_add(1, Relaxed) + 1 >= self.n;
        if is_last { EventRole::Last } else { EventRole::Kept }
    }

    /// Tells the provider to stop drawing, without waiting for it.
    fn cancel(&self, call: Option<Call>) {
        let Some(call) = call else { return };
        let shared = self.shared.clone();
        let bounds = self.bounds(Instant::now() + CANCEL, AllowedTargets::Anywhere);
        self.shared.work.spawn(within_request(self.request_id.clone(), async move {
            if let Err(trouble) = shared.transport.send(&call, bounds).await {
                log::warn!("cancel was not delivered to {}: {trouble:?}", call.url.host_str().unwrap_or("?"));
            }
        }));
    }
}

fn bearer(token: &BearerToken) -> Option<&Secret> {
    token.as_ref().map(|(_, token)| &**token)
}

/// The bounds of one try of several.
fn one_try(bounds: Bounds) -> Bounds {
    let now = Instant::now();
    let left = bounds.deadline.saturating_duration_since(now);
    Bounds { deadline: now + backoff::share(left), silence: Some(backoff::silence(left)), ..bounds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_try_leaves_time_for_another() {
        let (now, connect, timeout) = (Instant::now(), Duration::from_secs(5), Duration::from_secs(60));
        let bounds = Bounds {
            deadline: now + timeout,
            connect,
            silence: None,
            idle: connect,
            body: 1,
            reach: AllowedTargets::Open,
        };
        let tried = one_try(bounds);
        assert!(tried.deadline < bounds.deadline && tried.silence.is_some_and(|silence| silence < timeout));
    }
}
