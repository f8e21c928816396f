//! One JSON line a request, on its way to a [bounded writer](super::log_writer). Prompts and keys are never written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus::IntCounter;
use serde::{Serialize, Serializer};

use crate::config::plan::QualityCheck;
use crate::gateway::Gateway;
use crate::gateway::outcome::{CallRecord, Outcome};
use crate::idempotency::KeyUse;
use crate::money::Usd;
use crate::server::log_writer::LogWriter;

/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(50);

/// What one line says; absent parts are left out.
#[derive(Debug, Default, Serialize)]
pub struct LogLine<'a> {
    /// When the request was answered, RFC 3339 in UTC.
    pub time: LogTime,
    /// The request's own id.
    pub request_id: &'a str,
    /// HTTP method.
    pub method: &'a str,
    /// Path without the query, which may hold a signature.
    pub path: &'a str,
    /// HTTP status; 0 when nothing was answered.
    pub status: u16,
    /// From the first byte to the last, in microseconds.
    pub duration_us: u64,
    /// Body bytes sent.
    pub bytes: usize,
    /// Number of the config that served it.
    pub config_version: u64,
    /// What happened to an image request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image<'a>>,
}

/// What happened to an image request.
#[derive(Debug, Serialize)]
pub struct Image<'a> {
    /// The route.
    pub route: &'a str,
    /// `ok`, `partial`, or the error's word.
    pub outcome: &'a str,
    /// How the cache took part.
    pub cache: &'a str,
    /// How its idempotency key took part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency: Option<&'static str>,
    /// Dollars, exact.
    #[serde(serialize_with = "as_text")]
    pub cost_usd: Usd,
    /// Calls made.
    pub attempts: u32,
    /// Those of them that have ended: whom, why, what came of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<LoggedCall<'a>>,
    /// Who drew how many pictures.
    pub served_by: BTreeMap<&'a str, usize>,
    /// Offers not asked, and why.
    pub skipped: &'a [(String, &'static str)],
    /// Who was to rewrite the prompt, and what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enriched: Option<&'a (String, &'static str)>,
    /// Wishes that were changed.
    pub adjusted: Vec<&'a str>,
    /// What the quality gate says of pictures that it accepted, by their places in the answer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub flagged: BTreeMap<usize, Vec<&'static str>>,
    /// Pictures that it rejected and that are delivered all the same, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rejected: BTreeMap<usize, Vec<&'static str>>,
}

/// One call of an image request.
#[derive(Debug, Serialize)]
pub struct LoggedCall<'a> {
    /// `provider/model`.
    pub offer: &'a str,
    /// Why it was asked.
    pub reason: &'a str,
    /// `ok`, or the failure's word.
    pub outcome: &'a str,
    /// Milliseconds.
    pub ms: u128,
    /// Dollars, exact.
    #[serde(serialize_with = "as_text")]
    pub usd: Usd,
}

impl Image<'_> {
    /// What the line says of this outcome.
    pub fn of(outcome: &Outcome) -> Image<'_> {
        Image {
            route: outcome.route.as_deref().unwrap_or("none"),
            outcome: outcome.as_str(),
            cache: outcome.cache.as_str(),
            idempotency: outcome.idempotency.map(KeyUse::as_str),
            cost_usd: outcome.cost,
            attempts: outcome.attempts,
            calls: outcome.calls.iter().map(logged).collect(),
            served_by: outcome.served_by(),
            skipped: &outcome.skipped,
            enriched: outcome.enriched.as_ref(),
            adjusted: outcome.adjusted(),
            flagged: words(outcome.flagged()),
            rejected: words(outcome.rejected()),
        }
    }
}

fn words(checks: Vec<(usize, &[QualityCheck])>) -> BTreeMap<usize, Vec<&'static str>> {
    checks.into_iter().map(|(nth, checks)| (nth, checks.iter().map(|check| check.as_str()).collect())).collect()
}

fn logged(call: &CallRecord) -> LoggedCall<'_> {
    let CallRecord { offer, reason, outcome, took, usd } = call;
    LoggedCall { offer, reason, outcome, ms: took.as_millis(), usd: *usd }
}

/// A moment; the present one by default.
#[derive(Clone, Copy, Debug)]
pub struct LogTime(SystemTime);

impl Default for LogTime {
    fn default() -> LogTime {
        LogTime(SystemTime::now())
    }
}

impl Serialize for LogTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_text(&humantime::format_rfc3339_millis(self.0), serializer)
    }
}

fn as_text<S: Serializer>(value: &impl std::fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// The way to the writer.
#[derive(Clone)]
pub struct AccessLog {
    lines: Option<Arc<LogWriter>>,
}

impl AccessLog {
    /// A log that writes nowhere.
    pub fn off() -> AccessLog {
        AccessLog { lines: None }
    }

    /// A log that a thread of its own writes, until the last handle is gone. Lines that it has to drop are counted in the
    /// gateway's metrics.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn to(out: impl Write + Send + 'static, gateway: &Gateway) -> io::Result<AccessLog> {
        AccessLog::counting(out, gateway.shared.metrics.access_lines_dropped.clone())
    }

    fn counting(out: impl Write + Send + 'static, dropped: IntCounter) -> io::Result<AccessLog> {
        let lines = LogWriter::to(out, "access-log", GATHER)?;
        lines.count_in(dropped);
        Ok(AccessLog { lines: Some(Arc::new(lines)) })
    }

    /// Waits until every line so far is written, at most `timeout`; whether they are.
    pub async fn written(&self, timeout: Duration) -> bool {
        let Some(lines) = self.lines.clone() else { return true };
        tokio::task::spawn_blocking(move || lines.flush(timeout)).await.unwrap_or(false)
    }

    /// Writes a line, or drops and counts it.
    pub fn write(&self, line: &LogLine<'_>) {
        thread_local! {
            /// Where a line is put together, outside of everybody's way.
            static TEXT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        }
        let Some(lines) = &self.lines else { return };
        TEXT.with_borrow_mut(|text| {
            text.clear();
            // A line of texts and numbers always becomes JSON.
            if serde_json::to_writer(&mut *text, line).is_ok() {
                text.push(b'\n');
                lines.append(text);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use serde_json::{Value, json};

    use super::*;

    struct LineCapture(Sender<Vec<u8>>);

    impl Write for LineCapture {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_line_is_json_and_what_gathers_is_written_in_one_piece() {
        let (seen, batches) = channel();
        let log = AccessLog::counting(LineCapture(seen), IntCounter::new("dropped", "x").unwrap()).unwrap();
        let image = Image {
            route: "r",
            outcome: "ok",
            cache: "miss",
            idempotency: None,
            cost_usd: "0.040000001".parse().unwrap(),
            attempts: 1,
            calls: vec![],
            served_by: [("stability/core", 1)].into(),
            skipped: &[("openai/x".to_owned(), "over_price")],
            enriched: None,
            adjusted: vec![],
            flagged: BTreeMap::new(),
            rejected: BTreeMap::new(),
        };
        log.write(&LogLine { request_id: "r1", status: 200, image: Some(image), ..LogLine::default() });
        log.write(&LogLine { request_id: "r2", path: "/\"\n", ..LogLine::default() });
        assert!(log.written(Duration::from_secs(60)).await);
        let all: Vec<u8> = batches.try_iter().flatten().collect();
        let lines: Vec<Value> = all
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        let time = lines[0]["time"].as_str().unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok() && time.ends_with('Z') && time.len() == 24, "{time}");
        assert_eq!((&lines[0]["request_id"], &lines[1]["path"]), (&json!("r1"), &json!("/\"\n")));
        assert_eq!(lines[0]["image"]["cost_usd"], "0.040000001");
        assert_eq!(lines[0]["image"]["skipped"], json!([["openai/x", "over_price"]]));
        assert!(AccessLog::off().written(Duration::ZERO).await);
    }
}
