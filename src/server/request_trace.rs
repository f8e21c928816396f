//! Which trace a request belongs to: the caller's where it sends one (W3C Trace Context), else a new one.
//!
//! What is handed on goes to the service behind `passthrough` alone. Vendors are told nothing of it: their requests are put
//! together from nothing by `provider`.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample};
use pingora::Result;
use pingora::http::RequestHeader;

use crate::config::plan::Tracing;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Bytes of a caller's `tracestate` that are read and handed on: what W3C asks everybody to hand on at least. A longer one is
/// left out whole, which it allows.
const MOST_TRACESTATE: usize = 512;

/// Everything, in parts per million.
const ALL: f64 = 1_000_000.0;

/// The place of one request in its trace.
pub struct RequestTrace {
    /// Where its spans go.
    pub to: Arc<Tracing>,
    /// Its own span, the parent of all others of the request.
    pub context: SpanContext,
    /// The caller's span, where it names one.
    pub parent: SpanId,
}

/// What a caller says of its trace.
struct CallersHeaders {
    parent: Option<String>,
    state: Option<String>,
}

impl Extractor for CallersHeaders {
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACEPARENT { self.parent.as_deref() } else { self.state.as_deref().filter(|_| key == TRACESTATE) }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT, TRACESTATE]
    }
}

impl CallersHeaders {
    fn of(headers: &HeaderMap) -> CallersHeaders {
        let texts = |name| headers.get_all(name).iter().map(|value| value.to_str().ok()).collect::<Option<Vec<_>>>();
        let parent = match texts(TRACEPARENT).as_deref() {
            Some([one]) if is_well_formed(one) => Some((*one).to_owned()),
            _ => None,
        };
        // Several lines are one list.
        let state = texts(TRACESTATE).map(|lines| lines.join(","));
        CallersHeaders { parent, state: state.filter(|state| (1..=MOST_TRACESTATE).contains(&state.len())) }
    }
}

/// Whether the parts of a `traceparent` are as long as they must be; what they say is read by the propagator. Later versions
/// may have more parts.
fn is_well_formed(parent: &str) -> bool {
    let lengths: Vec<usize> = parent.split('-').map(str::len).collect();
    lengths.starts_with(&[2, 32, 16, 2]) && (lengths.len() == 4 || !parent.starts_with("00"))
}

impl RequestTrace {
    /// The place of a request that comes with these headers. A caller decides for its own trace whether it is recorded; of those
    /// that begin here, `to.sample_ppm` are.
    pub fn begin(to: &Arc<Tracing>, headers: &HeaderMap) -> RequestTrace {
        let callers = TraceContextPropagator::new().extract_with_context(&Context::new(), &CallersHeaders::of(headers));
        let parent = callers.span().span_context().clone();
        let ids = RandomIdGenerator::default();
        let trace_id = if parent.is_valid() { parent.trace_id() } else { ids.new_trace_id() };
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(f64::from(to.sample_ppm) / ALL)));
        let nothing: &[KeyValue] = &[];
        let sampled = sampler.should_sample(Some(&callers), trace_id, "", &SpanKind::Server, nothing, &[]);
        let flags = match sampled.decision {
            SamplingDecision::RecordAndSample => TraceFlags::SAMPLED,
            SamplingDecision::Drop | SamplingDecision::RecordOnly => TraceFlags::default(),
        };
        let context = SpanContext::new(trace_id, ids.new_span_id(), flags, false, parent.trace_state().clone());
        RequestTrace { to: to.clone(), context, parent: parent.span_id() }
    }

    /// Whether its spans are sent.
    pub fn is_sampled(&self) -> bool {
        self.context.is_sampled()
    }

    /// The trace's id, as `traceparent` has it.
    pub fn id(&self) -> String {
        self.context.trace_id().to_string()
    }

    /// Tells the service behind Easel of the trace, in place of what the caller said.
    pub fn hand_on(&self, head: &mut RequestHeader) -> Result<()> {
        let context = &self.context;
        let parent = format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8());
        head.insert_header(TRACEPARENT, parent)?;
        head.remove_header(TRACESTATE);
        if let Some(state) =
            HeaderValue::try_from(context.trace_state().header()).ok().filter(|state| !state.is_empty())
        {
            head.insert_header(TRACESTATE, state)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn begin(sample_ppm: u32, headers: &[(&'static str, &str)]) -> RequestTrace {
        let (otlp, headers_of_message) = ("http://a/".parse().unwrap(), Vec::new());
        let to = Arc::new(Tracing { otlp, sample_ppm, headers: headers_of_message, timeout: Duration::from_secs(1) });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        RequestTrace::begin(&to, &map)
    }

    fn parent(flags: &str) -> String {
        format!("00-{TRACE}-{SPAN}-{flags}")
    }

    #[test]
    fn a_caller_s_trace_goes_on_and_the_caller_says_whether_it_is_recorded() {
        let trace = begin(0, &[("traceparent", &parent("01"))]);
        assert_eq!((trace.id().as_str(), trace.parent.to_string().as_str()), (TRACE, SPAN));
        assert!(trace.is_sampled() && trace.context.span_id() != trace.parent && trace.context.is_valid());
        assert!(!begin(1_000_000, &[("traceparent", &parent("00"))]).is_sampled());
    }

    #[test]
    fn without_one_a_trace_begins_and_as_many_are_recorded_as_the_config_says() {
        let (all, none) = (begin(1_000_000, &[]), begin(0, &[]));
        assert!(all.is_sampled() && !none.is_sampled());
        assert!(all.parent == SpanId::INVALID && none.context.is_valid() && all.id() != none.id());
        let sampled = (0..1_000).filter(|_| begin(100_000, &[]).is_sampled()).count();
        assert!((40..200).contains(&sampled), "{sampled} of 1000");
    }

    #[test]
    fn what_is_no_trace_context_is_not_taken() {
        let long = format!("00-{TRACE}-{SPAN}-01-more");
        let short = format!("00-{}-{SPAN}-01", &TRACE[1..]);
        let zero = format!("00-{}-{SPAN}-01", "0".repeat(32));
        let upper = parent("01").to_uppercase();
        let last = format!("ff-{TRACE}-{SPAN}-01");
        for wrong in [long.as_str(), &short, &zero, &upper, &last, "", "x", "----"] {
            let trace = begin(1_000_000, &[("traceparent", wrong), ("tracestate", "a=1")]);
            assert!(trace.parent == SpanId::INVALID && trace.id() != TRACE && trace.context.is_valid(), "{wrong}");
            assert_eq!(trace.context.trace_state().header(), "", "{wrong}");
        }
        let twice = begin(0, &[("traceparent", &parent("01")), ("traceparent", &parent("01"))]);
        assert_ne!(twice.id(), TRACE);
        assert_eq!(begin(0, &[("traceparent", &long.replacen("00", "01", 1))]).id(), TRACE, "later versions have more");
    }

    #[test]
    fn what_is_handed_on_is_the_request_s_own_span_and_the_caller_s_state_as_far_as_it_is_short() {
        let handed_on = |trace: &RequestTrace| {
            let mut head = RequestHeader::build("GET", b"/", None).unwrap();
            head.insert_header("traceparent", "theirs").unwrap();
            head.insert_header("tracestate", "theirs").unwrap();
            trace.hand_on(&mut head).unwrap();
            let text = |name| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            (text(TRACEPARENT), text(TRACESTATE))
        };
        let with_state = |state: &[&str]| {
            let parent = parent("01");
            let mut headers = vec![("traceparent", parent.as_str())];
            headers.extend(state.iter().map(|line| ("tracestate", *line)));
            begin(0, &headers)
        };
        let trace = with_state(&["a=1", "b=2"]);
        let own = format!("00-{TRACE}-{}-01", trace.context.span_id());
        assert_eq!(handed_on(&trace), (Some(own), Some("a=1,b=2".to_owned())));
        let long = format!("a={}", "x".repeat(MOST_TRACESTATE));
        assert_eq!(handed_on(&with_state(&[&long])).1, None);
        let unsampled = begin(0, &[]);
        assert!(handed_on(&unsampled).0.unwrap().ends_with("-00"));
    }
}
