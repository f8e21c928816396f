//! One JSON line a request, written by a thread of its own.
//!
//! The channel to the writer is bounded: when it is full the line is dropped and counted, because a slow terminal must
//! not slow the proxy. Prompts and keys are never written.

use std::io::Write;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::SystemTime;

use prometheus::IntCounter;
use serde::Serialize;

/// Lines that may wait for the writer.
const BACKLOG: usize = 4096;

/// What one line says; absent parts are left out.
#[derive(Debug, Default, Serialize)]
pub struct Line<'a> {
    /// When the request was answered, RFC 3339 in UTC.
    pub time: String,
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
    /// Dollars, exact.
    pub cost_usd: String,
    /// Calls made.
    pub attempts: u32,
    /// Who drew how many pictures.
    pub served_by: std::collections::BTreeMap<&'a str, usize>,
    /// Offers not asked, and why.
    pub skipped: &'a [(String, &'static str)],
    /// Wishes that were changed.
    pub adjusted: Vec<&'a str>,
}

/// The way to the writer.
#[derive(Clone)]
pub struct AccessLog {
    lines: Option<SyncSender<String>>,
    dropped: IntCounter,
}

impl AccessLog {
    /// A log that writes nowhere.
    pub fn off(dropped: IntCounter) -> AccessLog {
        AccessLog { lines: None, dropped }
    }

    /// Starts the writer. It ends when the last log handle is gone.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn to(mut out: impl Write + Send + 'static, dropped: IntCounter) -> std::io::Result<AccessLog> {
        let (lines, inbox) = sync_channel::<String>(BACKLOG);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            while let Ok(line) = inbox.recv() {
                // A closed pipe must not end the proxy; the next line tries again.
                let _ = writeln!(out, "{line}").and_then(|()| out.flush());
            }
        })?;
        Ok(AccessLog { lines: Some(lines), dropped })
    }

    /// Writes a line, stamped with the present time, or drops and counts it.
    pub fn write(&self, mut line: Line<'_>) {
        let Some(lines) = &self.lines else { return };
        line.time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let Ok(text) = serde_json::to_string(&line) else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = lines.try_send(text) {
            self.dropped.inc();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    struct Slow {
        seen: Sender<Vec<u8>>,
        go: std::sync::mpsc::Receiver<()>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.go.recv().map_err(io::Error::other)?;
            self.seen.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_writer_costs_lines_and_they_are_counted() {
        let dropped = IntCounter::new("dropped", "x").unwrap();
        let (seen, lines) = channel();
        let (go, gate) = channel();
        let log = AccessLog::to(Slow { seen, go: gate }, dropped.clone()).unwrap();
        for _ in 0..BACKLOG + 10 {
            log.write(Line { request_id: "r1", status: 200, ..Line::default() });
        }
        assert!((9..=10).contains(&dropped.get()), "{}", dropped.get());
        go.send(()).unwrap();
        let first = String::from_utf8(lines.recv().unwrap()).unwrap();
        assert!(first.starts_with("{\"time\":\"2"), "{first}");
    }
}
