//! Posts messages to webhooks: in order, one at a time for each alert, and again when it did not work.
//!
//! Each alert has a queue and a task of its own, so that an end is never told before its beginning and a dead webhook
//! delays nobody else's. Queues are bounded. A webhook's address is a secret: of a failure only its kind is told, never
//! the words of the transport, which may repeat a part of the address. Redirects are not followed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::sync::mpsc;
use tokio::time::Instant;
use url::Url;

use crate::alert_evaluator::alert_event::AlertEvent;
use crate::alert_manager::output_handles::AlertOutputs;
use crate::alert_manager::webhook_payload::message;
use crate::provider::{Call, Reply};
use crate::secret::Secret;
use crate::upstream::transport::{AllowedTargets, Bounds, IDLE, TransportError};

/// Messages that wait for one webhook. More than this come only from an alert that flickers while nobody answers.
const QUEUE: usize = 64;
/// Longest wait for an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest answer; nobody reads it.
const BODY: usize = 64 * 1024;
/// Each pause is so many times the one before.
const GROWTH: u32 = 4;

/// How patient a message is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    /// How often it is tried.
    pub(super) tries: u32,
    /// About how long the first pause is.
    pub(super) first: Duration,
}

impl Default for Pauses {
    /// Six tries within ten minutes: a webhook's bad moment is outlived, and its bad day is in log and metric.
    fn default() -> Pauses {
        Pauses { tries: 6, first: Duration::from_secs(1) }
    }
}

impl Pauses {
    /// The pause after so many failures, at least one. `chance`, of 1000, spreads it by a quarter to both sides, so that
    /// the Easels of one deployment do not come back all at once.
    fn after(self, failures: u32, chance: u32) -> Duration {
        let growth = GROWTH.saturating_pow(failures.saturating_sub(1));
        self.first.saturating_mul(growth).saturating_mul(750 + chance.min(1000) / 2) / 1000
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PostOutcome {
    /// It was taken.
    Delivered,
    /// It was answered in a way that asking again does not change.
    Refused,
    /// It was tried as often as it may be.
    GaveUp,
    /// Too many waited already.
    Dropped,
}

impl PostOutcome {
    /// The word in the metric.
    fn as_str(self) -> &'static str {
        match self {
            PostOutcome::Delivered => "delivered",
            PostOutcome::Refused => "refused",
            PostOutcome::GaveUp => "gave_up",
            PostOutcome::Dropped => "dropped",
        }
    }
}

/// Why a try did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DeliveryError {
    /// The address cannot be written to.
    Unusable,
    /// No connection.
    Unreachable,
    /// The connection ended before the answer.
    Lost,
    /// No answer in time.
    Late,
    /// An answer larger than anybody needs.
    TooLarge,
    /// An answer that does not say that it was taken.
    Status(u16),
}

impl DeliveryError {
    /// Whether the same message would fare the same again.
    fn is_final(self) -> bool {
        match self {
            DeliveryError::Unusable | DeliveryError::TooLarge => true,
            DeliveryError::Unreachable | DeliveryError::Lost | DeliveryError::Late => false,
            DeliveryError::Status(status) => status < 500 && !matches!(status, 408 | 429),
        }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeliveryError::Unusable => f.write_str("its address cannot be used"),
            DeliveryError::Unreachable => f.write_str("it cannot be reached"),
            DeliveryError::Lost => f.write_str("the connection was lost"),
            DeliveryError::Late => f.write_str("it does not answer in time"),
            DeliveryError::TooLarge => f.write_str("its answer is too large"),
            DeliveryError::Status(status) => write!(f, "it answers {status}"),
        }
    }
}

/// A message on its way.
struct PendingMessage {
    alert: String,
    webhook: Secret,
    body: serde_json::Value,
    /// Held until the letter is done with.
    _open: Arc<()>,
}

/// The queue of one alert.
struct AlertQueue {
    letters: mpsc::Sender<PendingMessage>,
    /// Shared with every letter that is not done with.
    open: Arc<()>,
}

/// Everything on its way.
pub(super) struct WebhookQueue {
    outputs: AlertOutputs,
    pauses: Pauses,
    boxes: HashMap<String, AlertQueue>,
}

impl WebhookQueue {
    /// Nothing is on its way.
    pub(super) fn new(outputs: AlertOutputs, pauses: Pauses) -> WebhookQueue {
        WebhookQueue { outputs, pauses, boxes: HashMap::new() }
    }

    /// Sends the event to its alert's webhook, if it has one, behind whatever else is on its way there.
    pub(super) fn send(&mut self, event: &AlertEvent) {
        let Some(webhook) = &event.alert.webhook else { return };
        let alert = &event.alert.name;
        let (outputs, pauses) = (&self.outputs, self.pauses);
        let mailbox = self.boxes.entry(alert.clone()).or_insert_with(|| {
            let (letters, waiting) = mpsc::channel(QUEUE);
            tokio::spawn(deliver_all(outputs.clone(), waiting, pauses));
            AlertQueue { letters, open: Arc::default() }
        });
        let (webhook, body) = (webhook.clone(), message(event));
        let letter = PendingMessage { alert: alert.clone(), webhook, body, _open: mailbox.open.clone() };
        if mailbox.letters.try_send(letter).is_err() {
            log::warn!("alert {alert}: a message is dropped, {QUEUE} wait for its webhook already");
            count(outputs, alert, PostOutcome::Dropped);
        }
    }

    /// Closes the queues that have nothing on its way. One that has stays, so that an alert which is taken out of the
    /// config and put back finds its messages in order.
    pub(super) fn sweep(&mut self) {
        self.boxes.retain(|_, mailbox| Arc::strong_count(&mailbox.open) > 1);
    }
}

fn count(outputs: &AlertOutputs, alert: &str, outcome: PostOutcome) {
    outputs.notifications.with_label_values(&[alert, outcome.as_str()]).inc();
}

/// Takes one letter after the other to its end.
async fn deliver_all(outputs: AlertOutputs, mut letters: mpsc::Receiver<PendingMessage>, pauses: Pauses) {
    while let Some(letter) = letters.recv().await {
        let outcome = deliver(&outputs, &letter, pauses).await;
        count(&outputs, &letter.alert, outcome);
    }
}

async fn deliver(outputs: &AlertOutputs, letter: &PendingMessage, pauses: Pauses) -> PostOutcome {
    let alert = &letter.alert;
    let mut failures = 0;
    loop {
        let Err(setback) = attempt(outputs, letter).await else { return PostOutcome::Delivered };
        failures += 1;
        if setback.is_final() {
            log::error!("alert {alert}: its webhook did not take a message: {setback}");
            return PostOutcome::Refused;
        }
        if failures >= pauses.tries {
            log::error!("alert {alert}: its webhook did not take a message in {failures} tries: {setback}");
            return PostOutcome::GaveUp;
        }
        tokio::time::sleep(pauses.after(failures, fastrand::u32(0..=1000))).await;
    }
}

async fn attempt(outputs: &AlertOutputs, letter: &PendingMessage) -> Result<(), DeliveryError> {
    let url = Url::parse(letter.webhook.reveal()).map_err(|_| DeliveryError::Unusable)?;
    let call = Call::post_json(url, HeaderMap::new(), &letter.body);
    let deadline = Instant::now() + ANSWER;
    let (silence, idle, reach) = (None, IDLE, AllowedTargets::Anywhere);
    let bounds = Bounds { deadline, connect: CONNECT, silence, idle, body: BODY, reach };
    judged(outputs.transport.send(&call, bounds).await.map(|received| received.reply))
}

fn judged(answer: Result<Reply, TransportError>) -> Result<(), DeliveryError> {
    match answer {
        Ok(reply) if (200..300).contains(&reply.status) => Ok(()),
        Ok(reply) => Err(DeliveryError::Status(reply.status)),
        Err(TransportError::Unreachable(_) | TransportError::Private | TransportError::TimedOut { sent: false }) => {
            Err(DeliveryError::Unreachable)
        }
        Err(TransportError::TimedOut { sent: true }) => Err(DeliveryError::Late),
        Err(TransportError::Lost(_)) => Err(DeliveryError::Lost),
        Err(TransportError::TooLarge) => Err(DeliveryError::TooLarge),
        // Only a success is read to its end, so the message was taken.
        Err(TransportError::Unreadable(_)) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
