//! Spans that wait to be sent. Putting some in never waits: what has no room is dropped and counted.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::trace::SpanData;
use prometheus::{IntCounter, IntCounterVec};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::config::plan::Tracing;

/// Spans that wait at most, of all requests together: ten seconds of 200 requests with four spans each, which is how long a
/// collector may take to answer by default. One takes about a kilobyte.
pub const MOST_SPANS: usize = 8_192;
/// Spans of one message, or as many more as its last request has. OpenTelemetry's own exporters send as many.
const MESSAGE_SPANS: usize = 512;
/// How long the first span of a message waits for others.
const LINGER: Duration = Duration::from_secs(1);

/// Why spans were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanDrop {
    /// Too many waited already.
    QueueFull,
    /// The collector could not be connected to, or went away.
    Unreachable,
    /// It did not answer in time.
    TimedOut,
    /// It answered that it does not take them.
    Refused,
    /// Easel stopped before they were sent.
    Stopped,
}

impl SpanDrop {
    /// Every reason.
    pub const ALL: [SpanDrop; 5] =
        [SpanDrop::QueueFull, SpanDrop::Unreachable, SpanDrop::TimedOut, SpanDrop::Refused, SpanDrop::Stopped];

    /// The word for log and metric.
    pub fn as_str(self) -> &'static str {
        match self {
            SpanDrop::QueueFull => "queue_full",
            SpanDrop::Unreachable => "unreachable",
            SpanDrop::TimedOut => "timed_out",
            SpanDrop::Refused => "refused",
            SpanDrop::Stopped => "stopped",
        }
    }
}

/// What is counted of spans.
pub struct SpanCounters {
    /// Those that a collector took.
    pub sent: IntCounter,
    /// Those that were dropped, by the reason.
    pub dropped: IntCounterVec,
}

impl SpanCounters {
    pub(super) fn drop(&self, why: SpanDrop, spans: usize) {
        self.dropped.with_label_values(&[why.as_str()]).inc_by(spans as u64);
    }
}

/// Spans that wait, and where each request's go.
#[derive(Default)]
struct Waiting {
    requests: VecDeque<(Arc<Tracing>, Vec<SpanData>)>,
    spans: usize,
    /// Whether a message is under way.
    sending: bool,
    /// Whether Easel stops: what is there goes at once, and once.
    stopping: bool,
    /// Whether it has stopped: nothing is taken any more.
    stopped: bool,
}

/// The spans of all requests that wait to be sent.
pub struct SpanQueue {
    waiting: watch::Sender<Waiting>,
    /// What is counted of them.
    pub counters: SpanCounters,
}

/// What goes in one message.
pub(super) struct SpanBatch {
    pub(super) to: Arc<Tracing>,
    pub(super) spans: Vec<SpanData>,
}

impl SpanQueue {
    /// Nothing waits.
    pub fn new(sent: IntCounter, dropped: IntCounterVec) -> SpanQueue {
        for why in SpanDrop::ALL {
            // Those that have not happened are told as well: an alert sees the first one.
            dropped.with_label_values(&[why.as_str()]);
        }
        SpanQueue { waiting: watch::Sender::default(), counters: SpanCounters { sent, dropped } }
    }

    /// Puts in the spans of one request, all or none of them.
    pub fn push(&self, to: &Arc<Tracing>, spans: Vec<SpanData>) {
        let count = spans.len();
        let (mut spans, mut refusal) = (Some(spans), None);
        self.waiting.send_if_modified(|waiting| {
            if waiting.stopped || waiting.spans + count > MOST_SPANS {
                refusal = Some(if waiting.stopped { SpanDrop::Stopped } else { SpanDrop::QueueFull });
                return false;
            }
            waiting.spans += count;
            waiting.requests.extend(spans.take().map(|spans| (to.clone(), spans)));
            true
        });
        if let Some(why) = refusal {
            self.counters.drop(why, count);
        }
    }

    /// The spans of the next message, as soon as there are enough of them or they have waited long enough.
    pub(super) async fn next(&self) -> SpanBatch {
        loop {
            // The sender lives in `self`, so the channel cannot close while we wait.
            let _ = self.waiting.subscribe().wait_for(|waiting| waiting.spans > 0).await;
            let mut waiting = self.waiting.subscribe();
            let enough = waiting.wait_for(|waiting| waiting.spans >= MESSAGE_SPANS || waiting.stopping);
            let _ = timeout(LINGER, enough).await;
            if let Some(batch) = self.take() {
                return batch;
            }
        }
    }

    /// Takes out what goes to the same place as the first, as much as fits in a message.
    fn take(&self) -> Option<SpanBatch> {
        let mut batch: Option<SpanBatch> = None;
        self.waiting.send_modify(|waiting| {
            while let Some((to, _)) = waiting.requests.front() {
                let fits = |batch: &SpanBatch| batch.to == *to && batch.spans.len() < MESSAGE_SPANS;
                if !batch.as_ref().is_none_or(fits) {
                    break;
                }
                let Some((to, spans)) = waiting.requests.pop_front() else { break };
                waiting.spans -= spans.len();
                batch.get_or_insert(SpanBatch { to, spans: Vec::new() }).spans.extend(spans);
            }
            waiting.sending = batch.is_some();
        });
        batch
    }

    /// The message is done with, whatever became of it.
    pub(super) fn done(&self) {
        self.waiting.send_modify(|waiting| waiting.sending = false);
    }

    /// Whether nothing is to be tried again.
    pub(super) fn is_stopping(&self) -> bool {
        self.waiting.borrow().stopping
    }

    /// Waits until Easel stops.
    pub(super) async fn stopping(&self) {
        // As above.
        let _ = self.waiting.subscribe().wait_for(|waiting| waiting.stopping).await;
    }

    /// Has what waits sent at once, waits for that for so long, and drops the rest.
    pub async fn close(&self, at_most: Duration) {
        self.waiting.send_modify(|waiting| waiting.stopping = true);
        let mut waiting = self.waiting.subscribe();
        let sent = waiting.wait_for(|waiting| waiting.spans == 0 && !waiting.sending);
        let late = timeout(at_most, sent).await.is_err();
        let mut left = 0;
        self.waiting.send_modify(|waiting| {
            left = std::mem::take(&mut waiting.spans);
            waiting.requests.clear();
            waiting.stopped = true;
        });
        if left > 0 {
            self.counters.drop(SpanDrop::Stopped, left);
        }
        if late {
            log::warn!("the last spans were not taken in time: {left} are dropped, and what was under way may be lost");
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
    use prometheus::Opts;

    use super::*;

    fn queue() -> SpanQueue {
        let dropped = IntCounterVec::new(Opts::new("dropped", "x"), &["reason"]).unwrap();
        SpanQueue::new(IntCounter::new("sent", "x").unwrap(), dropped)
    }

    fn to(url: &str) -> Arc<Tracing> {
        let otlp = url.parse().unwrap();
        Arc::new(Tracing { otlp, sample_ppm: 1, headers: Vec::new(), timeout: Duration::from_secs(1) })
    }

    fn spans(count: usize) -> Vec<SpanData> {
        let span = SpanData {
            span_context: SpanContext::empty_context(),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Server,
            name: "x".into(),
            start_time: std::time::UNIX_EPOCH,
            end_time: std::time::UNIX_EPOCH,
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: Default::default(),
            links: Default::default(),
            status: Status::Unset,
            instrumentation_scope: Default::default(),
        };
        vec![span; count]
    }

    fn dropped(queue: &SpanQueue, why: SpanDrop) -> u64 {
        queue.counters.dropped.with_label_values(&[why.as_str()]).get()
    }

    #[test]
    fn what_has_no_room_is_dropped_whole_and_counted() {
        let (queue, to) = (queue(), to("http://a/"));
        queue.push(&to, spans(MOST_SPANS - 1));
        queue.push(&to, spans(2));
        queue.push(&to, spans(1));
        assert_eq!(dropped(&queue, SpanDrop::QueueFull), 2);
        assert_eq!(queue.take().map(|batch| batch.spans.len()), Some(MOST_SPANS - 1));
        queue.push(&to, spans(2));
        assert_eq!(dropped(&queue, SpanDrop::QueueFull), 2);
        assert_eq!(queue.take().map(|batch| batch.spans.len()), Some(3));
    }

    #[test]
    fn each_request_s_spans_go_where_its_own_config_says() {
        let queue = queue();
        for (url, count) in [("http://a/", 1), ("http://a/", 2), ("http://b/", 4), ("http://a/", 8)] {
            queue.push(&to(url), spans(count));
        }
        let taken: Vec<_> =
            std::iter::from_fn(|| queue.take()).map(|batch| (batch.to.otlp.to_string(), batch.spans.len())).collect();
        let expected = [("http://a/", 3), ("http://b/", 4), ("http://a/", 8)];
        assert_eq!(taken, expected.map(|(url, count)| (url.to_owned(), count)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_goes_when_it_is_full_or_its_first_span_has_waited_for_a_second() {
        let (queue, to) = (queue(), to("http://a/"));
        let began = tokio::time::Instant::now();
        queue.push(&to, spans(MESSAGE_SPANS));
        assert_eq!((queue.next().await.spans.len(), began.elapsed()), (MESSAGE_SPANS, Duration::ZERO));
        queue.push(&to, spans(1));
        assert_eq!((queue.next().await.spans.len(), began.elapsed()), (1, LINGER));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_waited_for_so_long_and_no_longer() {
        let (queue, to) = (queue(), to("http://a/"));
        queue.push(&to, spans(3));
        let began = tokio::time::Instant::now();
        queue.close(Duration::from_secs(2)).await;
        assert_eq!((began.elapsed(), dropped(&queue, SpanDrop::Stopped)), (Duration::from_secs(2), 3));
        queue.push(&to, spans(1));
        assert_eq!(dropped(&queue, SpanDrop::Stopped), 4);
    }
}
