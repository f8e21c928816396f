//! Spans as an OTLP message, and what a collector's answer says of them.

use std::sync::LazyLock;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use opentelemetry::KeyValue;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message;

use crate::config::plan::Tracing;
use crate::provider::{Call, Reply};

/// Who made the spans. Several Easels of one deployment are told apart by a number that each process draws.
static RESOURCE: LazyLock<ResourceAttributesWithSchema> = LazyLock::new(|| {
    let resource = Resource::builder_empty().with_attributes([
        KeyValue::new("service.name", "easel"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", format!("{:016x}", fastrand::u64(..))),
    ]);
    (&resource.build()).into()
});

/// The message that has these spans.
pub(super) fn message(to: &Tracing, spans: Vec<SpanData>) -> Call {
    let mut headers = HeaderMap::new();
    for (name, value) in &to.headers {
        // Both were checked with the config.
        if let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::try_from(value.reveal())) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    let resource_spans = group_spans_by_resource_and_scope(spans, &RESOURCE);
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    Call { method: Method::POST, url: to.otlp.clone(), headers, body: body.into() }
}

/// How many of the spans a collector did not take although it took the message.
pub(super) fn rejected(reply: &Reply) -> usize {
    let answer = ExportTraceServiceResponse::decode(reply.body.as_ref()).ok();
    let rejected = answer.and_then(|answer| answer.partial_success).map_or(0, |partial| partial.rejected_spans);
    usize::try_from(rejected).unwrap_or(0)
}
