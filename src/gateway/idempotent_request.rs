//! One request with an idempotency key: drawn as the first with its key, joined to the first, answered again, or refused.
//!
//! The first is work that goes on when its client leaves or stops waiting. Its key ends when nothing more will come, not
//! even from calls that nobody waits for: pictures that come after the client was told of a deadline are the answer to
//! its next request. A key whose request failed and cost nothing is free again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::sleep_until;

use crate::calendar::Moment;
use crate::dispatch::no_picture_error;
use crate::error::{Error, ErrorKind};
use crate::gateway::detached_task::Detached;
use crate::gateway::idempotency_book::{FirstTurn, KeyWaiter, KeyedRequest, Turn};
use crate::gateway::idempotency_handover::Claimed;
use crate::gateway::log_context::within_request;
use crate::gateway::outcome::{CacheUse, Outcome};
use crate::gateway::progress;
use crate::gateway::serve_request::ServeRequest;
use crate::gateway::shared::Shared;
use crate::gateway::single_flight::Flight;
use crate::idempotency::{KeyName, KeyRefusal, KeyUse};
use crate::money::Usd;
use crate::request::ResponseFormat;
use crate::store::KeyClaim;

/// The header's name.
const HEADER: &str = "idempotency-key";

/// When to ask again for what is under way in another process: nobody tells when it is there.
const ELSEWHERE: Duration = Duration::from_secs(1);

/// Serves a request with a key to its end.
pub async fn serve(mut serving: ServeRequest, keyed: KeyedRequest) -> Outcome {
    let shared = serving.shared.clone();
    let sender = serving.progress.take().unwrap_or_else(|| progress::channel(&serving.request).0);
    let (told, outcome) = watch::channel(None);
    let waiter = KeyWaiter { flight: sender.flights(), outcome };
    let turn = shared.idempotency.begin(keyed, &serving.id, shared.clock.now(), || waiter.clone());
    let word = match &turn {
        Turn::First(..) => KeyUse::First.as_str(),
        Turn::Join(_) => KeyUse::Joined.as_str(),
        Turn::Replay(..) => KeyUse::Replayed.as_str(),
        Turn::Refused(why) => why.as_str(),
    };
    shared.metrics.idempotency.with_label_values(&[word]).inc();
    serving.progress = Some(sender);
    match turn {
        Turn::First(turn, claim) => {
            first(serving, FirstRequest { shared, turn, claim, told, flight: waiter.flight, ended: false }).await
        }
        Turn::Join(waiter) => join(&serving, waiter).await,
        Turn::Replay(name, begun) => replay(&serving, name, begun).await,
        Turn::Refused(why) => unserved(&serving, refusal(why)),
    }
}

/// Answers it again.
async fn replay(serving: &ServeRequest, name: KeyName, begun: Moment) -> Outcome {
    match serving.shared.idempotency.answer(name, begun).await {
        Ok(Some(answer)) => answer.outcome(serving.snapshot.version),
        Ok(None) => unserved(serving, refusal(KeyRefusal::Gone)),
        Err(why) => unserved(serving, unreadable(&why)),
    }
}

/// The first request with a key, while it is under way.
struct FirstRequest {
    shared: Arc<Shared>,
    turn: FirstTurn,
    /// What is to be claimed before it is drawn, where another process takes requests too.
    claim: Option<KeyClaim>,
    /// Where the others hear how it ended.
    told: watch::Sender<Option<Outcome>>,
    flight: watch::Receiver<Option<Arc<Flight>>>,
    ended: bool,
}

/// Draws it, as work that goes on without its client.
async fn first(serving: ServeRequest, mut first: FirstRequest) -> Outcome {
    let (version, tracker, id) = (serving.snapshot.version, serving.shared.work.clone(), serving.id.clone());
    let (answer, mut answered) = oneshot::channel();
    let work = async move {
        if let Some(outcome) = first.stood_for(&serving).await {
            first.end(&outcome);
            let _ = answer.send(outcome);
            return;
        }
        let outcome = Outcome { idempotency: Some(KeyUse::First), ..serving.run().await };
        if outcome.result.is_ok() {
            first.succeed(&outcome).await;
            let _ = answer.send(outcome);
        } else {
            let _ = answer.send(outcome.clone());
            first.fail(outcome).await;
        }
    };
    let mut work = Detached::new(within_request(id, work), tracker);
    let outcome = tokio::select! {
        biased;
        outcome = &mut answered => outcome,
        () = &mut work => answered.await,
    };
    outcome.unwrap_or_else(|_| {
        let error = Error::new(ErrorKind::Internal, "Easel failed while drawing.");
        Outcome::failed(version, error)
    })
}

impl FirstRequest {
    /// How it is answered where its key stands for a request of another process already.
    async fn stood_for(&mut self, serving: &ServeRequest) -> Option<Outcome> {
        match self.shared.idempotency.claim(self.claim.take()?).await? {
            Claimed::Replay(name, begun) => Some(replay(serving, name, begun).await),
            Claimed::Refused(why) => Some(unserved(serving, refusal(why))),
        }
    }

    async fn succeed(&mut self, outcome: &Outcome) {
        self.shared.idempotency.answered(&self.turn, outcome).await;
        self.end(outcome);
    }

    /// Waits for what may still come. Who followed another request's flight paid nothing.
    async fn fail(&mut self, outcome: Outcome) {
        let flight = self.flight.borrow().clone();
        let Some(flight) = flight else {
            self.shared.idempotency.failed(&self.turn, false);
            return self.end(&outcome);
        };
        flight.settled().await;
        let mut late = flight.progress();
        let charged = outcome.cache != CacheUse::Joined && late.charged > Usd::ZERO;
        let complete = late.pictures.len() >= usize::from(outcome.wanted);
        // Some pictures of the cache alone are no reason not to try again.
        if late.pictures.is_empty() || !(complete || charged) {
            self.shared.idempotency.failed(&self.turn, charged);
            return self.end(&outcome);
        }
        late.pictures.sort_by_key(|placed| placed.place);
        let pictures = late.pictures.into_iter().map(|placed| placed.generated).collect();
        self.succeed(&Outcome { result: Ok(pictures), ..outcome }).await;
    }

    fn end(&mut self, outcome: &Outcome) {
        self.ended = true;
        self.told.send_replace(Some(outcome.clone()));
    }
}

impl Drop for FirstRequest {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.idempotency.interrupted(&self.turn);
        }
    }
}

/// Waits for the first, as long as this one's own deadline allows. It pays nothing.
async fn join(serving: &ServeRequest, waiter: KeyWaiter) -> Outcome {
    let KeyWaiter { mut flight, mut outcome } = waiter;
    let announce = |flight: &mut watch::Receiver<Option<Arc<Flight>>>| {
        if let (Some(progress), Some(flight)) = (&serving.progress, &*flight.borrow_and_update()) {
            progress.announce(flight);
        }
    };
    announce(&mut flight);
    loop {
        tokio::select! {
            ended = outcome.wait_for(Option::is_some) => {
                let ended = ended.ok().and_then(|ended| ended.clone());
                let Some(ended) = ended else { return unserved(serving, refusal(KeyRefusal::Interrupted)) };
                let (idempotency, cache) = (Some(KeyUse::Joined), CacheUse::Joined);
                let (calls, under_way, not_needed, steps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
                let ended = Outcome { calls, under_way, not_needed, steps, ..ended };
                return Outcome { idempotency, cache, cost: Usd::ZERO, attempts: 0, ..ended };
            }
            Ok(()) = flight.changed() => announce(&mut flight),
            () = sleep_until(serving.deadline) => {
                let late = Outcome { cache: CacheUse::Joined, ..unserved(serving, no_picture_error::deadline()) };
                return Outcome { idempotency: Some(KeyUse::Joined), ..late };
            }
        }
    }
}

/// The outcome of a request that is not drawn.
fn unserved(serving: &ServeRequest, error: Error) -> Outcome {
    Outcome {
        route: Some(serving.matched.route.name.clone()),
        wanted: serving.request.n,
        format: serving.request.response_format.unwrap_or(ResponseFormat::B64Json),
        ..Outcome::failed(serving.snapshot.version, error)
    }
}

/// What a client is told whose answer cannot be read now.
fn unreadable(why: &std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, "The answer to this 'idempotency-key' cannot be read at present.")
        .with_detail(why.to_string())
}

/// What a client is told whose key is refused.
fn refusal(why: KeyRefusal) -> Error {
    let (kind, message) = match why {
        KeyRefusal::Reused => (
            ErrorKind::IdempotencyReused,
            "The key in 'idempotency-key' was sent with another request. Send a new key with a new request, and the same \
             body with the same key.",
        ),
        KeyRefusal::Gone => (
            ErrorKind::IdempotencyGone,
            "The request with the key in 'idempotency-key' was drawn and paid for, and its pictures are not kept any more. \
             Send a new key to have it drawn and paid for again.",
        ),
        KeyRefusal::Failed => (
            ErrorKind::IdempotencyFailed,
            "The request with the key in 'idempotency-key' failed after a provider was paid, or may have been. Send a new \
             key to have it tried and paid for again.",
        ),
        KeyRefusal::Elsewhere => (
            ErrorKind::IdempotencyElsewhere,
            "The request with the key in 'idempotency-key' is under way in another process, while one hands over to the \
             other. Send the same again in a moment to get its answer.",
        ),
        KeyRefusal::Interrupted => (
            ErrorKind::IdempotencyInterrupted,
            "Easel stopped, or failed, while the request with the key in 'idempotency-key' was under way. Its pictures are lost, and \
             they may have been paid for. Send a new key to have it drawn and paid for again.",
        ),
    };
    let error = Error::new(kind, message).with_param(HEADER);
    if why == KeyRefusal::Elsewhere { error.with_retry_after(ELSEWHERE) } else { error }
}
