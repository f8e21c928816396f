//! One try with one offer: ask, send, read, poll while there is more to do, fetch the pictures (`attempt/fetch.rs`),
//! settle the price (`attempt/settle.rs`).
//!
//! Polling, deadlines and cancelling exist only here; a provider merely says what to send next. An attempt never retries
//! a paid call.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cache::Kept;
use crate::capabilities::Unmet;
use crate::config::plan::Offer;
use crate::failure::{Class, Failure};
use crate::gateway::flight::Flight;
use crate::gateway::journal::Opened;
use crate::gateway::shared::Shared;
use crate::image::Picture;
use crate::metrics::seconds;
use crate::money::Usd;
use crate::provider::common::token_source::TokenSource;
use crate::provider::{Adapter, Call, Drawn, Job, PictureSource, Reply, Reported, Step, Usage};
use crate::request::ImageRequest;
use crate::routing::Candidate;
use crate::secret::Secret;
use crate::upstream::apart::apart;
use crate::upstream::transport::replies::{Held, Tab};
use crate::upstream::transport::{Bounds, Reach, Received, Seen, Trouble, Watcher};

mod bill;
mod fetch;
mod patience;
mod redirect;
mod settle;

/// How long a cancel may take; nobody waits for it.
const CANCEL: Duration = Duration::from_secs(5);

/// One try, ready to run.
pub struct Attempt {
    /// Transport, ledger and the rest.
    pub shared: Arc<Shared>,
    /// The wire format.
    pub provider: &'static dyn Adapter,
    /// Who is asked.
    pub offer: Offer,
    /// How the request fits this offer.
    pub candidate: Candidate,
    /// The request.
    pub request: Arc<ImageRequest>,
    /// The prompt, where it is not the caller's own any more; told with pictures of providers that tell none.
    pub revised_prompt: Option<Arc<str>>,
    /// Pictures asked of this call.
    pub n: u8,
    /// Largest reply.
    pub body_limit: usize,
    /// What its replies take of all that are held, until it is settled.
    pub tab: Arc<Tab>,
    /// Where unfinished pictures are shown.
    pub flight: Arc<Flight>,
}

/// What one try brought.
#[derive(Debug, Default)]
pub struct Report {
    /// Deliverable pictures.
    pub pictures: Vec<Arc<Kept>>,
    /// Which one of the answer's pictures each of them is, counted from 0; others may be broken.
    pub at: Vec<u8>,
    /// What the try adds to the provider's invoice.
    pub cost: Usd,
    /// What it costs, paid for in advance or not.
    pub promised: Usd,
    /// What it may charge, as it noted or as estimated: for a call whose answer never came, or a job that was lost.
    pub uncertain: Usd,
    /// Pictures withheld for their content.
    pub refused: u8,
    /// What went wrong, if pictures are missing because of it.
    pub failure: Option<Failure>,
    /// Whether nobody knows if it was carried out and charged, or it was and can't be had: the same must not be bought
    /// there again.
    pub open: bool,
}

/// What an answer brought, before it is priced.
#[derive(Default)]
struct Collected {
    pictures: Vec<Picture>,
    /// Which one of those that came each of them is.
    at: Vec<u8>,
    /// Pictures that came and are none.
    broken: usize,
    /// All that came were links, and nothing is behind them that could be had: to ask again is to pay again.
    out_of_reach: bool,
    /// Pictures that are not as was agreed, on a route that takes no others.
    unlike: Vec<Unmet>,
    refused: u8,
    refused_billed: u8,
    usage: Usage,
    failure: Option<Failure>,
}

/// A token and where it came from.
type BearerToken = Option<(TokenSource, Arc<Secret>)>;

/// A job that was accepted and is being waited for.
#[derive(Default)]
struct Polling {
    started: bool,
    stumbles: u32,
    cancel: Option<Call>,
    noted: Option<Reported>,
}

/// How a try ended without pictures.
struct FailedAttempt {
    failure: Failure,
    /// Whether nobody knows if it is drawn and charged.
    open: bool,
    /// What the vendor said that it costs.
    noted: Option<Reported>,
}

impl From<Failure> for FailedAttempt {
    /// Nothing was sent.
    fn from(failure: Failure) -> FailedAttempt {
        FailedAttempt { open: false, failure, noted: None }
    }
}

impl FailedAttempt {
    /// A call that came to nothing. `status` is the answer's, `None` where none was read to its end.
    fn of_a_call(failure: Failure, status: Option<u16>, noted: Option<Reported>) -> FailedAttempt {
        FailedAttempt { open: failure.leaves_the_bill_open(status), failure, noted }
    }

    /// A job that was taken on and whose end is not known.
    fn of_a_job(mut failure: Failure, noted: Option<Reported>) -> FailedAttempt {
        // The request and the model were good enough for the job to be taken on; it is only not found any more.
        if matches!(failure.class, Class::CallerInvalid | Class::ModelGone) {
            failure.class = Class::TimeoutAmbiguous;
        }
        FailedAttempt { failure, open: true, noted }
    }
}

impl Polling {
    /// How long to wait before the same poll is sent again. Asking how a job stands costs nothing, and buying it anew
    /// would cost it twice, so nothing but the vendor's word on its end is a reason to give the job up at once: a
    /// garbled answer, a page of HTML, a redirect, and whatever else stands between the vendor and here may say.
    fn try_again(&mut self, failure: &Failure, left: Duration) -> Option<Duration> {
        if !self.started || failure.ended {
            return None;
        }
        self.stumbles += 1;
        patience::pause(self.stumbles, failure.retry_after, left)
    }
}

impl Attempt {
    /// Runs the try to its end and books its cost. Nothing is sent before it is written down.
    pub async fn run(self: Arc<Self>, opened: Opened) -> Report {
        let hold = match opened.written().await {
            Ok(hold) => hold,
            Err((hold, _)) => {
                self.shared.journal.release(hold);
                let failure = Failure::new(Class::Unrecorded, "the ledger cannot be written");
                return Report { failure: Some(failure), ..Report::default() };
            }
        };
        let began = Instant::now();
        let ended = match self.converse(began + self.offer.provider.timeout).await {
            Ok((drawn, body)) => Ok(self.collect_pictures(drawn, body).await),
            Err(failed) => Err(failed),
        };
        self.count_verdicts(&ended);
        let report = self.settle(hold, ended, began.elapsed()).await;
        let (provider, model) = (self.offer.provider.name.as_str(), self.offer.model.name.as_str());
        let metrics = &self.shared.metrics;
        let outcome = report.failure.as_ref().map_or("ok", |failure| failure.class.word());
        metrics.attempts.with_label_values(&[provider, model, outcome]).inc();
        metrics.attempt_seconds.with_label_values(&[provider, model]).observe(seconds(began.elapsed()));
        report
    }

    /// Asks, and keeps polling until the provider is done. What it drew, and the body of the reply that says so.
    async fn converse(self: &Arc<Self>, deadline: Instant) -> Result<(Drawn, Bytes), FailedAttempt> {
        let mut pass = self.pass(deadline).await?;
        let mut call = self.provider.ask(&self.job(deadline, &pass))?;
        let (mut polling, mut renewed) = (Polling::default(), false);
        loop {
            let (sent, held) = match self.send_watched(&call, polling.started, deadline).await {
                Ok(Received { reply, held }) => (Ok(reply), Some(held)),
                Err(failure) => (Err(failure), None),
            };
            let body = sent.as_ref().map(|reply| reply.body.clone()).unwrap_or_default();
            let (step, status) = match sent {
                Ok(reply) if reply.status == 401 && self.lapsed(&pass) && !renewed && !polling.started => {
                    // Refused at the door, so nothing was drawn: this is no second purchase.
                    renewed = true;
                    pass = self.pass(deadline).await?;
                    call = self.provider.ask(&self.job(deadline, &pass))?;
                    continue;
                }
                Ok(reply) if redirect::is_one(&reply) => {
                    let failure = redirect::failure(&call.url, &reply);
                    // A question is asked where it belongs; an order is not placed twice.
                    if let Some(url) = redirect::target(&call.url, &reply).filter(|_| polling.started) {
                        call.url = url;
                    }
                    (Step::Failed(failure), Some(reply.status))
                }
                Ok(reply) => {
                    let status = reply.status;
                    (self.read(reply, &call, &pass, &polling, deadline).await, Some(status))
                }
                Err(failure) => (Step::Failed(failure), None),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let pause = match step {
                Step::Done(drawn) => {
                    held.into_iter().for_each(Held::keep);
                    return Ok((drawn, body));
                }
                Step::Lost { failure, noted } => {
                    return Err(self.give_up(Polling { started: true, noted, ..polling }, failure, status));
                }
                Step::Failed(failure) => match polling.try_again(&failure, left) {
                    Some(pause) => pause,
                    None => return Err(self.give_up(polling, failure, status)),
                },
                Step::Again { call: next, after, cancel, noted } => {
                    call = next;
                    polling = Polling { started: true, stumbles: 0, cancel, noted };
                    after
                }
            };
            drop((body, held));
            if timeout_at(deadline, sleep(pause)).await.is_err() {
                let late = Failure::new(Class::TimeoutAmbiguous, "still drawing at the provider's timeout");
                return Err(self.give_up(polling, late, None));
            }
        }
    }

    /// What a reply to `call` means.
    async fn read(
        self: &Arc<Self>,
        reply: Reply,
        call: &Call,
        pass: &BearerToken,
        polling: &Polling,
        deadline: Instant,
    ) -> Step {
        let (attempt, pass, noted) = (self.clone(), pass.clone(), polling.noted.clone());
        let polled = polling.started.then(|| call.url.clone());
        apart(reply.body.len(), move || {
            let job = Job { noted: noted.as_ref(), polled: polled.as_ref(), ..attempt.job(deadline, &pass) };
            attempt.provider.read(&job, &reply)
        })
        .await
    }

    /// Ends a try without pictures. A job that goes on is stopped where that can be done; what it costs then, nobody
    /// knows.
    fn give_up(&self, polling: Polling, failure: Failure, status: Option<u16>) -> FailedAttempt {
        if !polling.started || failure.ended {
            return FailedAttempt::of_a_call(failure, status, polling.noted);
        }
        self.cancel(polling.cancel);
        FailedAttempt::of_a_job(failure, polling.noted)
    }

    /// The token to go with the calls, where the provider takes one.
    async fn pass(&self, deadline: Instant) -> Result<BearerToken, Failure> {
        let Some(source) = self.provider.token(&self.offer.provider.account) else { return Ok(None) };
        let connect = self.offer.provider.connect_timeout;
        let token = self.shared.tokens.get(&self.shared.transport, &source, deadline, connect).await?;
        Ok(Some((source, token)))
    }

    /// Forgets a token that was not accepted; whether there was one.
    fn lapsed(&self, pass: &BearerToken) -> bool {
        if let Some((source, token)) = pass {
            self.shared.tokens.forget(source, token);
        }
        pass.is_some()
    }

    fn job<'a>(&'a self, deadline: Instant, pass: &'a BearerToken) -> Job<'a> {
        let (offer, left) = (&self.offer, deadline.saturating_duration_since(Instant::now()));
        let job = Job::new(&offer.provider.account, &offer.model, &self.request, &self.candidate.fitted, self.n, left);
        Job { bearer: pass.as_ref().map(|(_, token)| &**token), ..job }
    }

    /// Sends a call of the conversation. Unfinished pictures in its reply are shown at once. A question about a job that
    /// was taken on may not hang until the deadline; it is asked again.
    async fn send_watched(
        self: &Arc<Self>,
        call: &Call,
        is_poll: bool,
        deadline: Instant,
    ) -> Result<Received, Failure> {
        let (attempt, finished) = (self.clone(), AtomicU8::new(0));
        let watcher: Watcher = Arc::new(move |event| attempt.watch(event, &finished));
        let bounds = self.bounds(deadline, Reach::Anywhere);
        let bounds = if is_poll { one_try(bounds) } else { bounds };
        let sent = self.shared.transport.send_watched(call, bounds, &self.tab, Some(&watcher)).await;
        sent.map_err(Trouble::failure)
    }

    /// Shows the unfinished picture of an event; `finished` counts the finished ones.
    fn watch(&self, event: &str, finished: &AtomicU8) -> Seen {
        if let Some(partial) = self.provider.partial(event) {
            if self.candidate.fitted.partials > 0 {
                self.flight.update(|progress| progress.partials.push(partial));
            }
            return Seen::Shown;
        }
        let is_last = self.provider.finishes(event) && finished.fetch_add(1, Relaxed) + 1 >= self.n;
        if is_last { Seen::Last } else { Seen::Kept }
    }

    fn bounds(&self, deadline: Instant, reach: Reach) -> Bounds {
        let provider = &self.offer.provider;
        let (connect, idle) = (provider.connect_timeout, provider.idle_timeout);
        Bounds { deadline, connect, silence: None, idle, body: self.body_limit, reach }
    }

    /// Tells the provider to stop drawing, without waiting for it.
    fn cancel(&self, call: Option<Call>) {
        let Some(call) = call else { return };
        let shared = self.shared.clone();
        let bounds = self.bounds(Instant::now() + CANCEL, Reach::Anywhere);
        self.shared.work.spawn(async move {
            if let Err(trouble) = shared.transport.send(&call, bounds).await {
                log::warn!("cancel was not delivered to {}: {trouble:?}", call.url.host_str().unwrap_or("?"));
            }
        });
    }

    /// Fetches and checks the pictures.
    async fn collect_pictures(self: &Arc<Self>, drawn: Drawn, body: Bytes) -> Collected {
        let Drawn { images, refused, refused_billed, usage } = drawn;
        let behind_links = images.iter().any(|found| matches!(found.source, PictureSource::Link(_)));
        let fetched = join_all(images.into_iter().map(|found| self.fetch(found, body.clone()))).await;
        let fetched = fetch::without_repeats(fetched, usize::from(self.n)).await;
        let found = fetched.len();
        let (mut pictures, mut at, mut unlike, mut failure) = (Vec::new(), Vec::new(), Vec::new(), None);
        for (nth, result) in (0..=u8::MAX).zip(fetched) {
            match result {
                Ok(picture) => match self.insist(&picture) {
                    Ok(()) => {
                        pictures.push(picture);
                        at.push(nth);
                    }
                    Err((unmet, why)) => {
                        unlike.push(unmet);
                        failure.get_or_insert(why);
                    }
                },
                Err(why) => failure = Some(why),
            }
        }
        // A vendor may send more than it was asked for; a broken one of those is nobody's loss. With a seed none of them
        // stands in for the one that was asked for.
        let replaced = self.request.seed.is_none() || at.iter().copied().take(usize::from(self.n)).eq(0..self.n);
        if replaced && pictures.len() >= usize::from(self.n) {
            failure = None;
        }
        if pictures.is_empty() && failure.is_none() {
            failure = Some(match refused {
                0 => Failure::new(Class::Malformed, "a reply without pictures"),
                _ => Failure::new(Class::Policy, "every picture was withheld"),
            });
        }
        let broken = found - pictures.len() - unlike.len();
        let out_of_reach = behind_links && pictures.is_empty() && unlike.is_empty();
        Collected { pictures, at, broken, out_of_reach, unlike, refused, refused_billed, usage, failure }
    }

    fn count(&self, verdict: &str, pictures: usize) {
        let labels = [self.offer.provider.name.as_str(), &self.offer.model.name, verdict];
        if pictures > 0 {
            self.shared.metrics.images.with_label_values(&labels).inc_by(pictures as u64);
        }
    }
}

/// The bounds of one try of several.
fn one_try(bounds: Bounds) -> Bounds {
    let now = Instant::now();
    let left = bounds.deadline.saturating_duration_since(now);
    Bounds { deadline: now + patience::share(left), silence: Some(patience::silence(left)), ..bounds }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time enough.
    const POLL: Duration = Duration::from_secs(60);

    #[test]
    fn a_job_that_is_not_found_any_more_says_nothing_of_its_model_and_may_be_charged() {
        for (class, told) in [
            (Class::ModelGone, Class::TimeoutAmbiguous),
            (Class::CallerInvalid, Class::TimeoutAmbiguous),
            (Class::Auth, Class::Auth),
            (Class::Malformed, Class::Malformed),
        ] {
            let noted = Some(Reported::Cents("3.0".to_owned()));
            let failed = FailedAttempt::of_a_job(Failure::new(class, "gone"), noted.clone());
            assert_eq!((failed.failure.class, failed.open, failed.noted), (told, true, noted));
        }
    }

    #[test]
    fn the_end_of_a_job_is_not_asked_about_again() {
        let mut polling = Polling { started: true, ..Polling::default() };
        for class in Class::ALL {
            let mut polling = Polling { started: true, ..Polling::default() };
            let failure = Failure::new(class, "what stands between the vendor and here may say anything");
            assert!(polling.try_again(&failure, POLL).is_some(), "{class:?}");
            assert_eq!(polling.try_again(&failure.at_the_end(), POLL), None);
        }
        let failure = Failure::new(Class::Malformed, "<html>");
        assert_eq!(Polling::default().try_again(&failure, POLL), None, "an order is not placed twice");
        let pauses = std::iter::from_fn(|| polling.try_again(&failure, POLL)).count();
        assert_eq!(pauses, patience::AGAIN as usize);
    }

    #[test]
    fn one_try_leaves_time_for_another() {
        let (now, connect) = (Instant::now(), Duration::from_secs(5));
        let bounds =
            Bounds { deadline: now + POLL, connect, silence: None, idle: connect, body: 1, reach: Reach::Open };
        let tried = one_try(bounds);
        assert!(tried.deadline < bounds.deadline && tried.silence.is_some_and(|silence| silence < POLL));
    }
}
