//! Sends what is in the queue, one message at a time.
//!
//! Nobody waits for it but the end of the process, and that not for long. Of a collector that fails only the kind of failure is
//! told, and that once until it is well again: its address and its headers may hold a key.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::provider::Reply;
use crate::span_exporter::otlp_request::{message, rejected};
use crate::span_exporter::span_queue::{SpanBatch, SpanDrop, SpanQueue};
use crate::upstream::transport::{AllowedTargets, Bounds, IDLE, Transport, TransportError};

/// How often a message is tried. What waits meanwhile has room for about as long.
const TRIES: u32 = 3;
/// About how long the first pause is; the next is four times as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const GROWTH: u32 = 4;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Largest answer: it is a few words about what was not taken.
const BODY: usize = 64 * 1024;

/// Sends the spans of `queue` for as long as the task runs. Whoever started it has to abort it.
pub fn start(queue: Arc<SpanQueue>, transport: Arc<Transport>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let exporter = Exporter { queue, transport };
        let mut well = true;
        loop {
            let batch = exporter.queue.next().await;
            let delivered = exporter.deliver(batch).await;
            exporter.queue.done();
            match delivered {
                Err(why) if well => log::warn!("spans are dropped: the collector of server.tracing: {}", why.as_str()),
                Ok(()) if !well => log::info!("the collector of server.tracing takes spans again"),
                _ => {}
            }
            well = delivered.is_ok();
        }
    })
}

struct Exporter {
    queue: Arc<SpanQueue>,
    transport: Arc<Transport>,
}

impl Exporter {
    /// Takes one message to its end, and counts what became of its spans.
    async fn deliver(&self, batch: SpanBatch) -> Result<(), SpanDrop> {
        let SpanBatch { to, spans } = batch;
        let (count, counters) = (spans.len(), &self.queue.counters);
        let call = message(&to, spans);
        let mut failures = 0;
        loop {
            let deadline = Instant::now() + to.timeout;
            let (silence, idle, reach) = (None, IDLE, AllowedTargets::Anywhere);
            let bounds = Bounds { deadline, connect: CONNECT, silence, idle, body: BODY, reach };
            let answer = self.transport.send(&call, bounds).await;
            let (why, final_word) = match answer.as_ref().map(|held| &held.reply) {
                Ok(reply) if (200..300).contains(&reply.status) => {
                    let not_taken = rejected(reply).min(count);
                    counters.sent.inc_by((count - not_taken) as u64);
                    if not_taken > 0 {
                        counters.drop(SpanDrop::Refused, not_taken);
                    }
                    return Ok(());
                }
                Ok(reply) => (SpanDrop::Refused, !may_be_tried_again(reply)),
                Err(TransportError::TooLarge | TransportError::Unreadable(_)) => (SpanDrop::Refused, true),
                Err(TransportError::TimedOut { .. }) => (SpanDrop::TimedOut, false),
                Err(TransportError::Unreachable(_) | TransportError::Private | TransportError::Lost(_)) => {
                    (SpanDrop::Unreachable, false)
                }
            };
            failures += 1;
            if final_word || failures >= TRIES || self.queue.is_stopping() {
                counters.drop(why, count);
                return Err(why);
            }
            let pause = FIRST_PAUSE * GROWTH.pow(failures - 1) * fastrand::u32(750..=1250) / 1000;
            tokio::select! {
                () = sleep(pause) => {}
                () = self.queue.stopping() => {}
            }
        }
    }
}

/// The answers after which OTLP says to try the same message again.
fn may_be_tried_again(reply: &Reply) -> bool {
    matches!(reply.status, 429 | 502..=504)
}
