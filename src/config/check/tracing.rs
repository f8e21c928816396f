//! `server.tracing`: where spans go.

use std::sync::Arc;
use std::time::Duration;

use crate::config::check::checker::Checker;
use crate::config::file;
use crate::config::node_path::NodePath;
use crate::config::plan::Tracing;
use crate::secret::Secret;

/// What OTLP's exporters wait by default.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Spans wait in memory meanwhile, and are dropped when there is no room.
const MOST_TIMEOUT: Duration = Duration::from_secs(60);
/// Where OTLP's receivers take traces over HTTP.
const PATH: &str = "/v1/traces";
/// Headers that the message itself has.
const OWN_HEADERS: [&str; 5] = ["connection", "content-length", "content-type", "host", "transfer-encoding"];
/// Every trace.
const ALL: u32 = 1_000_000;

/// Where spans go, where that can be read.
pub(super) fn tracing(checker: &mut Checker<'_>, written: &file::Tracing, at: NodePath<'_>) -> Option<Arc<Tracing>> {
    let file::Tracing { otlp, sample, headers, timeout } = written;
    if otlp.is_none() && !at.key("otlp").is_bad() {
        let help = "add `otlp:`, like http://127.0.0.1:4318/v1/traces".to_owned();
        checker.report(at, "this does not say where spans go", help);
    }
    let sample_ppm = checker.read(at.key("sample"), sample.as_ref()).unwrap_or(ALL);
    if sample_ppm > ALL {
        checker.report(at.key("sample"), "there are no more traces than all of them", "write at most 100%".to_owned());
    }
    let headers = headers.iter().filter_map(|(name, value)| header(checker, at.key("headers"), name, value)).collect();
    let patience = checker.some_time(at.key("timeout"), timeout.as_ref(), TIMEOUT);
    if patience > MOST_TIMEOUT {
        let what = format!("{} is longer than spans can wait", at.key("timeout").shown());
        checker.report(at.key("timeout"), what, "write at most 1m".to_owned());
    }
    let mut otlp = checker.url(at.key("otlp"), otlp.as_deref())?;
    if otlp.path() == "/" {
        otlp.set_path(PATH);
    }
    Some(Arc::new(Tracing { otlp, sample_ppm, headers, timeout: patience.min(MOST_TIMEOUT) }))
}

/// A header that goes with every message.
fn header(
    checker: &mut Checker<'_>,
    at: NodePath<'_>,
    name: &str,
    value: &file::HeaderText,
) -> Option<(String, Secret)> {
    let known = checker.header_name(at.name(name), Some(name))?;
    if OWN_HEADERS.contains(&known.as_str()) {
        checker.report(at.name(name), format!("Easel writes the header {known} by itself"), "delete it".to_owned());
        return None;
    }
    let value = checker.header_value(at.key(name), Some(value.0.reveal()))?;
    Some((known, Secret::new(value)))
}
