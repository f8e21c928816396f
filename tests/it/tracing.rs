//! Spans, as a collector gets them over HTTP: whose they are, what they say, and whom they never reach or delay.

use std::collections::BTreeMap;
use std::time::Duration;

use easel::sandbox::{Mode, Name, Sandbox, Settings};
use easel::{AccessLog, Gateway, sidecar};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::json;

use crate::client::{Client, tells_no_secret};
use crate::scripted::{Scripted, Then, answer, drawn, json_answer};
use crate::world::{GENERATE, World, ask, ask_with, plan, route, route_with};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";
/// In the config alone; the collector is told it in a header and nowhere else.
const TOKEN: &str = "tok-planted-otlp";

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

/// A collector that takes everything.
async fn collector() -> Scripted {
    Scripted::start(|_| Then::Answer(answer(200, &[("content-type", "application/x-protobuf")], b""))).await
}

fn tracing(collector: &Scripted, more: &str) -> String {
    format!("tracing: {{otlp: 'http://{}', headers: {{authorization: {TOKEN}}}{more}}}", collector.addr)
}

/// A config whose server has these keys.
fn with_server(server: &str, rest: &str) -> String {
    format!("server: {{{server}}}\n{rest}")
}

/// All spans that came, once there are so many.
async fn spans(collector: &Scripted, many: usize) -> Vec<Span> {
    let came = async {
        loop {
            let spans = spans_now(collector);
            if spans.len() >= many {
                return spans;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), came).await.unwrap_or_else(|_| panic!("{:?}", spans_now(collector)))
}

fn spans_now(collector: &Scripted) -> Vec<Span> {
    let mut spans = Vec::new();
    for message in collector.asked() {
        assert_eq!((message.method.as_str(), message.path.as_str()), ("POST", "/v1/traces"));
        let told = |line: &str| assert!(message.head.iter().any(|told| told == line), "{line}: {:?}", message.head);
        told("content-type: application/x-protobuf");
        told(&format!("authorization: {TOKEN}"));
        tells_no_secret(&message.body, "a span");
        let request = ExportTraceServiceRequest::decode(message.body.as_slice()).unwrap();
        for of_resource in request.resource_spans {
            let resource = words(&of_resource.resource.unwrap().attributes);
            assert_eq!(resource["service.name"], "easel");
            spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans
}

fn word(value: &AnyValue) -> String {
    match value.value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::BoolValue(yes) => yes.to_string(),
        Value::IntValue(number) => number.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        Value::ArrayValue(list) => list.values.iter().map(word).collect::<Vec<_>>().join(","),
        other => panic!("{other:?}"),
    }
}

fn words(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    attributes.iter().map(|attribute| (attribute.key.clone(), word(attribute.value.as_ref().unwrap()))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name} among {names:?}"))
}

fn within(inner: &Span, outer: &Span) -> bool {
    outer.start_time_unix_nano <= inner.start_time_unix_nano
        && inner.start_time_unix_nano <= inner.end_time_unix_nano
        && inner.end_time_unix_nano <= outer.end_time_unix_nano
}

async fn dropped(world: &World, why: &str) -> u64 {
    let name = format!("easel_trace_spans_dropped_total{{reason=\"{why}\"}} ");
    let page = world.metrics().await;
    page.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn a_request_s_spans_say_who_was_asked_what_it_cost_and_what_the_gate_said_below_the_caller_s_span() {
    let collector = collector().await;
    let routes = route_with(&["stability/core"], "    quality: true\n")
        .replace("[\"stability/core\"]", "[stability/core, {offer: openai/gpt-image-2, when: [rejected]}]");
    let world = World::new(&with_server(&tracing(&collector, ""), &routes)).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Blank);
    let headers = [("traceparent", parent("01")), ("tracestate", "theirs=1".to_owned())];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let asked = ask_with("a secret fox", json!({"quality": "low"}));
    let drawn = world.draw_with(asked, &headers).await;
    assert_eq!((drawn.status, drawn.header("x-easel-attempts")), (200, "2"), "{}", drawn.text());
    let spans = spans(&collector, 6).await;
    assert_eq!(spans.len(), 6, "{spans:?}");
    for span in &spans {
        assert_eq!((hex(&span.trace_id).as_str(), span.trace_state.as_str()), (TRACE, "theirs=1"));
    }
    let own = named(&spans, "POST /v1/images/generations");
    assert_eq!((hex(&own.parent_span_id).as_str(), own.kind), (SPAN, 2));
    let said = words(&own.attributes);
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", GENERATE),
        ("http.response.status_code", "200"),
        ("easel.client", "default"),
        ("easel.route", "r"),
        ("easel.outcome", "ok"),
        ("easel.cache", "miss"),
        ("easel.cost_usd", "0.08"),
        ("easel.attempts", "2"),
        ("easel.pictures", "1"),
        ("easel.served_by", "openai/gpt-image-2=1"),
        ("easel.size", "1024x1024"),
        ("easel.quality", "low"),
        ("gen_ai.request.model", "m"),
        ("gen_ai.request.choice.count", "1"),
        ("gen_ai.output.type", "image"),
    ] {
        assert_eq!(said.get(key).map(String::as_str), Some(value), "{key}: {said:?}");
    }
    assert_eq!(said["easel.request_id"], drawn.header("x-easel-request-id"));
    assert_eq!(words(&named(&spans, "cache").attributes)["easel.result"], "miss");
    let (first, second) = (named(&spans, "generate_content core"), named(&spans, "generate_content gpt-image-2"));
    for (call, offer, provider, outcome) in
        [(first, "stability/core", "stability", "rejected"), (second, "openai/gpt-image-2", "openai", "ok")]
    {
        let said = words(&call.attributes);
        assert_eq!((call.kind, &call.parent_span_id), (3, &own.span_id));
        assert!(within(call, own), "{call:?} {own:?}");
        for (key, value) in [
            ("gen_ai.operation.name", "generate_content"),
            ("gen_ai.provider.name", provider),
            ("gen_ai.output.type", "image"),
            ("gen_ai.request.choice.count", "1"),
            ("easel.offer", offer),
            ("easel.outcome", outcome),
            ("easel.cost_usd", "0.04"),
        ] {
            assert_eq!(said.get(key).map(String::as_str), Some(value), "{key}: {said:?}");
        }
        assert_eq!(said.get("error.type").map(String::as_str), Some(outcome).filter(|outcome| *outcome != "ok"));
        let gate = spans.iter().find(|span| span.name == "gate" && span.parent_span_id == call.span_id);
        let gate = gate.unwrap_or_else(|| panic!("no gate of {offer}: {spans:?}"));
        assert!(within(gate, call), "{gate:?} {call:?}");
        let (verdict, reasons) = if outcome == "ok" { ("accepted", None) } else { ("rejected", Some("blank")) };
        let said = words(&gate.attributes);
        assert_eq!(said["easel.verdict"], verdict);
        assert_eq!(said.get("easel.reject_reasons").map(String::as_str), reasons);
    }
    assert!(collector.asked().iter().all(|message| !String::from_utf8_lossy(&message.body).contains("secret fox")));
    let line = async {
        loop {
            if let Some(line) = world.gateway.shared.recent_requests.find(drawn.header("x-easel-request-id")) {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let line = tokio::time::timeout(Duration::from_secs(30), line).await.expect("the request has no line");
    assert!(line.contains(&format!("\"trace_id\":\"{TRACE}\"")), "{line}");
    assert_eq!(dropped(&world, "refused").await, 0);
    assert!(world.metrics().await.lines().any(|line| line == "easel_trace_spans_total 6"));
}

#[tokio::test]
async fn a_hit_has_a_span_for_the_cache_and_a_wait_for_a_slot_one_for_the_queue() {
    let collector = collector().await;
    let routes =
        route(&["stability/core"]).replace("kind: stability\n", "kind: stability\n    concurrency: {limit: 1}\n");
    let world = World::new(&with_server(&tracing(&collector, ""), &routes)).await;
    world.set(Name::Stability, |vendor| vendor.latency = Duration::from_millis(200));
    let hen = ask_with("a hen", json!({"seed": 7}));
    let (fox, hen) = tokio::join!(world.draw(ask("a fox")), world.draw(hen));
    assert_eq!((fox.status, hen.status), (200, 200));
    let drawn = spans(&collector, 9).await;
    let seeds =
        drawn.iter().filter(|span| words(&span.attributes).get("gen_ai.request.seed").is_some_and(|it| it == "7"));
    let mut seeded: Vec<&str> = seeds.map(|span| span.name.as_str()).collect();
    seeded.sort_unstable();
    assert_eq!(seeded, ["POST /v1/images/generations", "generate_content core"]);
    let queue = named(&drawn, "queue");
    let said = words(&queue.attributes);
    assert_eq!((said["easel.result"].as_str(), said["easel.offers"].as_str()), ("granted", "stability/core"));
    assert!(drawn.iter().any(|span| span.span_id == queue.parent_span_id && within(queue, span)), "{drawn:?}");
    assert_eq!(world.draw(ask("a fox")).await.header("x-easel-cache"), "exact");
    let all = spans(&collector, 11).await;
    let results: Vec<String> = all
        .iter()
        .filter(|span| span.name == "cache")
        .map(|span| words(&span.attributes)["easel.result"].clone())
        .collect();
    assert_eq!(results.iter().filter(|result| *result == "exact").count(), 1, "{results:?}");
}

#[tokio::test]
async fn passthrough_is_told_of_the_trace_and_no_vendor_ever_is() {
    let (collector, vendor) = (collector().await, Scripted::start(|_| Then::Answer(json_answer(200, &drawn()))).await);
    let service = Scripted::start(|_| Then::Answer(answer(200, &[], b"ok"))).await;
    let server = format!("passthrough: 'http://{}', {}", service.addr, tracing(&collector, ""));
    let routes = format!(
        "providers:\n  p: {{kind: openai_compatible, base_url: 'http://{}/', api_key: sk-test, models: {{m: {{price: 0.01, \
         sizes: any}}}}}}\nroutes:\n  - {{name: r, offers: [p/m]}}\n",
        vendor.addr
    );
    let world = World::new(&with_server(&server, &routes)).await;
    let parent = parent("01");
    let headers = [("traceparent", parent.as_str()), ("tracestate", "theirs=1")];
    assert_eq!(world.draw_with(ask("a fox"), &headers).await.status, 200);
    let mut client = world.client().await.lenient();
    client.send("GET", "/v1/files", &headers, b"").await;
    assert_eq!(client.receive().await.unwrap().status, 200);
    let spans = spans(&collector, 4).await;
    let own = named(&spans, "GET");
    let told = &service.asked()[0].head;
    assert!(told.contains(&format!("traceparent: 00-{TRACE}-{}-01", hex(&own.span_id))), "{told:?}");
    assert!(told.contains(&"tracestate: theirs=1".to_owned()), "{told:?}");
    assert_eq!(told.iter().filter(|line| line.starts_with("trace")).count(), 2, "{told:?}");
    let told = &vendor.asked()[0].head;
    assert!(!told.iter().any(|line| line.starts_with("trace") || line.contains(TRACE)), "{told:?}");
}

#[tokio::test]
async fn what_is_not_sampled_is_not_sent_and_the_service_behind_is_told_so() {
    let (collector, service) = (collector().await, Scripted::start(|_| Then::Answer(answer(200, &[], b"ok"))).await);
    let server = format!("passthrough: 'http://{}', {}", service.addr, tracing(&collector, ", sample: 0%"));
    let world = World::new(&with_server(&server, &route(&["stability/core"]))).await;
    let mut client = world.client().await.lenient();
    let get = async |client: &mut Client, headers: &[(&str, &str)]| {
        client.send("GET", "/x", headers, b"").await;
        assert_eq!(client.receive().await.unwrap().status, 200);
    };
    get(&mut client, &[]).await;
    get(&mut client, &[("traceparent", &parent("00"))]).await;
    get(&mut client, &[("traceparent", &parent("01"))]).await;
    let flags: Vec<String> = service
        .asked()
        .iter()
        .flat_map(|asked| asked.head.clone())
        .filter_map(|line| Some(line.strip_prefix("traceparent: ")?[53..].to_owned()))
        .collect();
    assert_eq!(flags, ["00", "00", "01"], "a caller decides for its own trace, the config for those that begin here");
    assert_eq!(spans(&collector, 1).await.len(), 1);
}

#[tokio::test]
async fn without_the_key_a_caller_s_trace_context_passes_through_untouched() {
    let service = Scripted::start(|_| Then::Answer(answer(200, &[], b"ok"))).await;
    let server = format!("passthrough: 'http://{}'", service.addr);
    let world = World::new(&with_server(&server, &route(&["stability/core"]))).await;
    let mut client = world.client().await.lenient();
    client.send("GET", "/x", &[("traceparent", "any words"), ("tracestate", "theirs=1")], b"").await;
    assert_eq!(client.receive().await.unwrap().status, 200);
    let told = &service.asked()[0].head;
    assert!(told.contains(&"traceparent: any words".to_owned()), "{told:?}");
    assert!(told.contains(&"tracestate: theirs=1".to_owned()), "{told:?}");
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_no_request_and_what_it_loses_is_counted() {
    let collector = Scripted::start(|_| Then::Hang).await;
    let server = tracing(&collector, ", timeout: 100ms");
    let world = World::new(&with_server(&server, &route(&["stability/core"]))).await;
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    let lost = async {
        while dropped(&world, "timed_out").await == 0 {
            assert_eq!(world.draw(ask("a fox")).await.status, 200);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    // Three tries, with pauses of one and four seconds.
    tokio::time::timeout(Duration::from_secs(60), lost).await.expect("nothing was given up");
    assert!(collector.count("POST") >= 3);
}

#[tokio::test]
async fn what_a_collector_does_not_take_is_counted_and_not_sent_again() {
    let partial = ExportTracePartialSuccess { rejected_spans: 2, error_message: String::new() };
    let partial = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
    let picky = Scripted::start(move |_| Then::Answer(answer(200, &[], &partial))).await;
    let closed = Scripted::start(|_| Then::Answer(answer(401, &[], b"who are you?"))).await;
    for (collector, lost) in [(&picky, 2), (&closed, 4)] {
        let world = World::new(&with_server(&tracing(collector, ""), &route(&["stability/core"]))).await;
        assert_eq!(world.draw(ask("a fox")).await.status, 200);
        let counted = async {
            while dropped(&world, "refused").await == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), counted).await.unwrap();
        assert_eq!((dropped(&world, "refused").await, collector.count("POST")), (lost, 1));
    }
}

#[tokio::test]
async fn a_scraper_of_open_metrics_finds_the_trace_behind_a_bucket_and_every_other_the_page_that_it_knows() {
    let collector = collector().await;
    let world = World::new(&with_server(&tracing(&collector, ""), &route(&["stability/core"]))).await;
    assert_eq!(world.draw_with(ask("a fox"), &[("traceparent", &parent("01"))]).await.status, 200);
    let scrape = async |accept: &str| {
        let mut client = Client::connect(world.admin).await;
        client.send("GET", "/metrics", &[("accept", accept)], b"").await;
        let page = client.receive().await.unwrap();
        (page.header("content-type").to_owned(), page.text())
    };
    let named = async {
        loop {
            let (kind, page) = scrape("application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
            assert_eq!(kind, "application/openmetrics-text; version=1.0.0; charset=utf-8");
            assert!(page.ends_with("# EOF\n"));
            let exemplar = format!(" # {{trace_id=\"{TRACE}\"}} ");
            if page.lines().any(|line| line.starts_with("easel_request_seconds_bucket{") && line.contains(&exemplar)) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), named).await.expect("no bucket names the trace");
    let (kind, page) = scrape("text/plain").await;
    assert_eq!((kind.as_str(), page.contains(TRACE)), ("text/plain; version=0.0.4", false));
}

#[tokio::test]
async fn a_reload_sends_spans_elsewhere_from_then_on() {
    let (before, after) = (collector().await, collector().await);
    let config = |collector: &Scripted| with_server(&tracing(collector, ""), &route(&["stability/core"]));
    let world = World::new(&config(&before)).await;
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    world.gateway.replace(plan(&config(&after), &world.sandbox.url())).unwrap();
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    // A request, its look into the cache, a call and its gate; a request and its look into the cache.
    assert_eq!((spans(&before, 4).await.len(), spans(&after, 2).await.len()), (4, 2));
    world.gateway.replace(plan(&route(&["stability/core"]), &world.sandbox.url())).unwrap();
    assert_eq!(world.draw(ask("a fox")).await.status, 200);
    assert_eq!((spans_now(&before).len(), spans_now(&after).len()), (4, 2));
}

#[tokio::test]
async fn the_last_spans_are_sent_at_the_end_and_a_collector_that_hangs_does_not_hold_it_up() {
    let (well, stuck) = (collector().await, Scripted::start(|_| Then::Hang).await);
    for collector in [&well, &stuck] {
        let sandbox = Sandbox::start(([127, 0, 0, 1], 0).into(), Settings::default()).await.unwrap();
        let config = with_server(&tracing(collector, ", timeout: 1m"), &route(&["stability/core"]));
        let gateway = Gateway::new(plan(&config, &sandbox.url())).unwrap();
        let running = sidecar::start(gateway, AccessLog::off()).unwrap();
        let mut client = Client::connect(running.addr).await;
        assert_eq!(client.post(GENERATE, &ask("a fox")).await.status, 200);
        drop(client);
        let drained = tokio::time::timeout(Duration::from_secs(30), running.drain()).await;
        assert_eq!(drained.expect("the collector's own minute is not waited for"), 0);
    }
    assert_eq!(spans_now(&well).len(), 4);
}

#[tokio::test]
async fn a_call_that_is_under_way_when_its_request_is_answered_has_a_span_that_ends_with_it() {
    let collector = collector().await;
    let routes = route_with(
        &["stability/core", "openai/gpt-image-2"],
        "    hedge: {after: 100ms, at_most: 100%, max_usd_per_hour: 1}\n",
    );
    let world = World::new(&with_server(&tracing(&collector, ""), &routes)).await;
    world.set(Name::Stability, |vendor| vendor.mode = Mode::Hang);
    let drawn = world.draw(ask("a fox")).await;
    assert_eq!(drawn.header("x-easel-served-by"), "openai/gpt-image-2=1");
    let spans = spans(&collector, 4).await;
    let (late, won) = (named(&spans, "generate_content core"), named(&spans, "generate_content gpt-image-2"));
    let own = named(&spans, "POST /v1/images/generations");
    for (span, outcome, reason) in [(late, "under_way", "first"), (won, "ok", "hedge")] {
        let said = words(&span.attributes);
        assert_eq!((said["easel.outcome"].as_str(), said["easel.reason"].as_str()), (outcome, reason));
        assert!(within(span, own) && span.parent_span_id == own.span_id, "{span:?}");
    }
    assert_eq!(words(&own.attributes)["easel.under_way"], "stability/core");
    assert!(!words(&late.attributes).contains_key("easel.cost_usd"), "nobody knows yet");
}
