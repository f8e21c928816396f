//! The spans of a request, made of what is known of it when it is answered.
//!
//! Names and attributes are those of OpenTelemetry's conventions for HTTP and for generative AI where these have one, and
//! `easel.*` for the rest. No prompt, no key, no address and no word of a vendor's is among them: texts are names of the config,
//! the model and the path that a client writes, cut, and words of Easel's own. Everything is bounded: a request has one span of
//! its own, at most [`MOST_STEPS`](crate::gateway::timeline::MOST_STEPS) for what it waited for, and at most two for each of
//! [`MOST_CALL_RECORDS`](crate::gateway::outcome::MOST_CALL_RECORDS) calls.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData};

use crate::capabilities::OutputSize;
use crate::config::plan::Plan;
use crate::gateway::outcome::{CALL_OK, CallRecord, CallUnderWay, Outcome};
use crate::gateway::timeline::{GateRecord, Step};
use crate::idempotency::KeyUse;
use crate::metrics::dollars;
use crate::server::log_line::Asked;
use crate::server::request_trace::RequestTrace;

/// Characters of what a client writes.
const CLIENTS_TEXT: usize = 128;
/// Items of a list.
const LIST: usize = 32;

/// Who made the spans, beside the service's own name.
static SCOPE: LazyLock<InstrumentationScope> =
    LazyLock::new(|| InstrumentationScope::builder("easel").with_version(env!("CARGO_PKG_VERSION")).build());

/// What is known of a request that was answered.
pub struct AnsweredRequest<'a> {
    /// Its place in its trace.
    pub trace: &'a RequestTrace,
    /// Its own id.
    pub id: &'a str,
    /// HTTP method.
    pub method: &'a str,
    /// Path without the query.
    pub path: &'a str,
    /// HTTP status; 0 when nothing was answered.
    pub status: u16,
    /// How long it took.
    pub took: Duration,
    /// What an image request asked for.
    pub asked: Option<&'a Asked>,
    /// What became of an image request.
    pub outcome: Option<&'a Outcome>,
    /// The config that served it.
    pub plan: Option<&'a Plan>,
}

/// When it is, by both clocks: steps were noted by the one, and spans are told by the other.
struct Now {
    monotonic: Instant,
    wall: SystemTime,
}

/// What came of a call of which nobody knows yet.
const UNDER_WAY: &str = "under_way";

impl Now {
    fn wall(&self, moment: tokio::time::Instant) -> SystemTime {
        self.before(self.monotonic.saturating_duration_since(moment.into_std()))
    }

    fn before(&self, passed: Duration) -> SystemTime {
        self.wall.checked_sub(passed).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}

/// All spans of a request, its own first.
pub fn spans(request: &AnsweredRequest<'_>) -> Vec<SpanData> {
    let now = Now { monotonic: Instant::now(), wall: SystemTime::now() };
    let mut spans = vec![own_span(request, &now)];
    let Some(outcome) = request.outcome else { return spans };
    let own = &request.trace.context;
    for step in &outcome.steps {
        spans.push(step_span(step, own, &now));
    }
    for call in &outcome.calls {
        let span = call_span(call, request.plan, own, &now);
        let context = span.span_context.clone();
        spans.push(span);
        spans.extend(call.gate.as_ref().map(|gate| gate_span(gate, &context, &now)));
    }
    spans.extend(outcome.under_way.iter().map(|call| under_way_span(call, request.plan, own, &now)));
    spans
}

fn own_span(request: &AnsweredRequest<'_>, now: &Now) -> SpanData {
    let AnsweredRequest { trace, id, method, path, status, took, asked, outcome, plan: _ } = request;
    let mut attributes = vec![
        KeyValue::new("http.request.method", clients_text(method)),
        KeyValue::new("url.path", clients_text(path)),
        KeyValue::new("easel.request_id", (*id).to_owned()),
    ];
    if *status > 0 {
        attributes.push(KeyValue::new("http.response.status_code", i64::from(*status)));
    }
    // Only paths of Easel's own are few enough to be names.
    let name = match outcome {
        Some(_) => format!("{} {}", clients_text(method), clients_text(path)),
        None => clients_text(method),
    };
    if outcome.is_some() {
        attributes.push(KeyValue::new("http.route", clients_text(path)));
    }
    attributes.extend(asked.map(wishes).into_iter().flatten());
    attributes.extend(outcome.map(results).into_iter().flatten());
    let failed = outcome.is_some_and(|outcome| outcome.result.is_err());
    SpanData {
        span_context: trace.context.clone(),
        parent_span_id: trace.parent,
        parent_span_is_remote: trace.parent != SpanId::INVALID,
        span_kind: SpanKind::Server,
        // A client's own mistake is no error of the server's, by the conventions for HTTP.
        status: if *status >= 500 || *status == 0 { Status::error("") } else { Status::Unset },
        attributes: with_error(attributes, failed.then(|| outcome.map_or("", |outcome| outcome.as_str()))),
        ..span(name, now.before(*took), now.wall)
    }
}

/// What a client asked for. Its prompt is not said, not even as a hash.
fn wishes(asked: &Asked) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("easel.client", asked.client.to_string()),
        KeyValue::new("gen_ai.output.type", "image"),
        KeyValue::new("easel.edit", asked.edit),
    ];
    let texts = [
        ("gen_ai.request.model", asked.model.as_deref()),
        ("easel.size", asked.size.as_deref()),
        ("easel.quality", asked.quality),
    ];
    attributes.extend(texts.into_iter().filter_map(|(key, text)| Some(KeyValue::new(key, clients_text(text?)))));
    attributes.extend(asked.n.map(|n| KeyValue::new("gen_ai.request.choice.count", i64::from(n))));
    attributes.extend(asked.seed.map(|seed| KeyValue::new("gen_ai.request.seed", i64::from(seed))));
    attributes
}

/// What came of it.
fn results(outcome: &Outcome) -> Vec<KeyValue> {
    let pairs = |list: &[(String, &'static str)]| texts(list.iter().map(|(offer, why)| format!("{offer}={why}")));
    let served_by = texts(outcome.served_by().into_iter().map(|(offer, count)| format!("{offer}={count}")));
    let delivered = outcome.result.as_ref().map_or(0, Vec::len);
    let mut attributes = vec![
        KeyValue::new("easel.route", outcome.route.clone().unwrap_or_else(|| "none".to_owned())),
        KeyValue::new("easel.outcome", outcome.as_str()),
        KeyValue::new("easel.cache", outcome.cache.as_str()),
        KeyValue::new("easel.cost_usd", dollars(outcome.cost)),
        KeyValue::new("easel.attempts", i64::from(outcome.attempts)),
        KeyValue::new("easel.pictures", count(delivered)),
        KeyValue::new("easel.config_version", i64::try_from(outcome.version).unwrap_or(i64::MAX)),
    ];
    let lists = [("easel.skipped", pairs(&outcome.skipped)), ("easel.served_by", served_by)];
    attributes.extend(lists.into_iter().filter_map(|(key, list)| Some(KeyValue::new(key, list?))));
    let under_way = outcome.under_way.iter().map(|call| call.offer.clone());
    attributes.extend(texts(under_way).map(|list| KeyValue::new("easel.under_way", list)));
    attributes.extend(outcome.joined.as_deref().map(|id| KeyValue::new("easel.joined", id.to_owned())));
    attributes.extend(outcome.idempotency.map(|used| KeyValue::new("easel.idempotency", KeyUse::as_str(used))));
    attributes
}

fn step_span(step: &Step, parent: &SpanContext, now: &Now) -> SpanData {
    let mut attributes = vec![KeyValue::new("easel.result", step.result)];
    attributes.extend(texts(step.offers.iter().cloned()).map(|offers| KeyValue::new("easel.offers", offers)));
    let times = (now.wall(step.began), now.wall(step.ended));
    SpanData { attributes, ..below(parent, span(step.kind.as_str(), times.0, times.1)) }
}

/// What is said of every call of a provider: what the conventions call an inference.
fn inference(offer: &str, asked: usize, plan: Option<&Plan>) -> (String, Vec<KeyValue>) {
    let (provider, model) = offer.split_once('/').unwrap_or((offer, ""));
    let kind = plan.and_then(|plan| plan.providers.get(provider)).map_or("", |provider| provider.kind);
    let attributes = vec![
        KeyValue::new("gen_ai.operation.name", "generate_content"),
        KeyValue::new("gen_ai.provider.name", provider_name(kind)),
        KeyValue::new("gen_ai.request.model", model.to_owned()),
        KeyValue::new("gen_ai.output.type", "image"),
        KeyValue::new("gen_ai.request.choice.count", count(asked)),
        KeyValue::new("easel.offer", offer.to_owned()),
    ];
    (format!("generate_content {model}"), attributes)
}

/// A call that nobody waits for any more when the request is answered: its span ends with the request's, and does not say what
/// came of it.
fn under_way_span(call: &CallUnderWay, plan: Option<&Plan>, parent: &SpanContext, now: &Now) -> SpanData {
    let (name, mut attributes) = inference(&call.offer, call.asked, plan);
    attributes.extend([KeyValue::new("easel.reason", call.reason), KeyValue::new("easel.outcome", UNDER_WAY)]);
    SpanData { span_kind: SpanKind::Client, attributes, ..below(parent, span(name, now.wall(call.began), now.wall)) }
}

/// A call that has ended.
fn call_span(call: &CallRecord, plan: Option<&Plan>, parent: &SpanContext, now: &Now) -> SpanData {
    let (name, mut attributes) = inference(&call.offer, call.asked, plan);
    attributes.extend([
        KeyValue::new("easel.reason", call.reason),
        KeyValue::new("easel.outcome", call.outcome),
        KeyValue::new("easel.cost_usd", dollars(call.usd)),
    ]);
    attributes.extend(call.seed.map(|seed| KeyValue::new("gen_ai.request.seed", i64::from(seed))));
    attributes.extend(size(call.size).map(|size| KeyValue::new("easel.size", size)));
    attributes.extend(call.quality.map(|quality| KeyValue::new("easel.quality", quality.as_str())));
    let failed = call.outcome != CALL_OK;
    let (began, ended) = (now.wall(call.began), now.wall(call.began + call.took));
    SpanData {
        span_kind: SpanKind::Client,
        status: if failed { Status::error("") } else { Status::Unset },
        attributes: with_error(attributes, failed.then_some(call.outcome)),
        ..below(parent, span(name, began, ended))
    }
}

fn gate_span(gate: &GateRecord, parent: &SpanContext, now: &Now) -> SpanData {
    let verdict = if gate.rejected.is_empty() { "accepted" } else { "rejected" };
    let mut attributes = vec![
        KeyValue::new("easel.verdict", verdict),
        KeyValue::new("easel.accepted", count(gate.accepted)),
        KeyValue::new("easel.rejected", count(gate.rejected.len())),
    ];
    let reasons = texts(gate.rejected.iter().map(|reason| (*reason).to_owned()));
    attributes.extend(reasons.map(|reasons| KeyValue::new("easel.reject_reasons", reasons)));
    SpanData { attributes, ..below(parent, span("gate", now.wall(gate.began), now.wall(gate.ended))) }
}

/// What the conventions call the vendor that a provider's kind speaks with, where they name it; else the kind.
fn provider_name(kind: &'static str) -> &'static str {
    match kind {
        "azure" => "azure.ai.openai",
        "google" => "gcp.gemini",
        other => other,
    }
}

fn size(size: OutputSize) -> Option<String> {
    match size {
        OutputSize::Default => None,
        OutputSize::Pixels(size) => Some(size.to_string()),
        OutputSize::Ratio { across, down, .. } => Some(format!("{across}:{down}")),
    }
}

/// A span of Easel's own with nothing in it yet.
fn span(name: impl Into<Cow<'static, str>>, start_time: SystemTime, end_time: SystemTime) -> SpanData {
    SpanData {
        span_context: SpanContext::empty_context(),
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: name.into(),
        start_time,
        end_time: end_time.max(start_time),
        attributes: Vec::new(),
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: Status::Unset,
        instrumentation_scope: SCOPE.clone(),
    }
}

/// The span as a child of `parent`.
fn below(parent: &SpanContext, span: SpanData) -> SpanData {
    let id = RandomIdGenerator::default().new_span_id();
    let (flags, state) = (parent.trace_flags(), parent.trace_state().clone());
    let span_context = SpanContext::new(parent.trace_id(), id, flags, false, state);
    SpanData { span_context, parent_span_id: parent.span_id(), ..span }
}

fn with_error(mut attributes: Vec<KeyValue>, error: Option<&'static str>) -> Vec<KeyValue> {
    attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
    attributes
}

/// A list as a value, of which the first items are told; `None` for an empty one.
fn texts(list: impl Iterator<Item = String>) -> Option<Value> {
    let list: Vec<StringValue> = list.take(LIST).map(StringValue::from).collect();
    (!list.is_empty()).then_some(Value::Array(Array::String(list)))
}

fn clients_text(text: &str) -> String {
    text.chars().take(CLIENTS_TEXT).collect()
}

fn count(of: usize) -> i64 {
    i64::try_from(of).unwrap_or(i64::MAX)
}
