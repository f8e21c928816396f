//! One JSON line a request, written by a thread of its own.
//!
//! The channel to the writer is bounded: when it is full the line is dropped and counted, because a slow terminal must
//! not slow the proxy. Who stops waits for the lines that are on their way, but not for a writer that is stuck.
//! Prompts and keys are never written.

use std::io::Write;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime};

use prometheus::IntCounter;
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::timeout;

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
    /// Who was to rewrite the prompt, and what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enriched: Option<&'a (String, &'static str)>,
    /// Wishes that were changed.
    pub adjusted: Vec<&'a str>,
}

/// What goes to the writer.
enum Entry {
    /// A line to write.
    Line(String),
    /// Told when everything before it is written.
    Mark(oneshot::Sender<()>),
}

/// The way to the writer.
#[derive(Clone)]
pub struct AccessLog {
    entries: Option<SyncSender<Entry>>,
    dropped: IntCounter,
}

impl AccessLog {
    /// A log that writes nowhere.
    pub fn off(dropped: IntCounter) -> AccessLog {
        AccessLog { entries: None, dropped }
    }

    /// Starts the writer. It ends when the last log handle is gone.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn to(mut out: impl Write + Send + 'static, dropped: IntCounter) -> std::io::Result<AccessLog> {
        let (entries, inbox) = sync_channel(BACKLOG);
        std::thread::Builder::new().name("access-log".to_owned()).spawn(move || {
            while let Ok(entry) = inbox.recv() {
                // A closed pipe must not end the proxy, nor somebody who waits no longer; the next line tries again.
                match entry {
                    Entry::Line(line) => drop(writeln!(out, "{line}").and_then(|()| out.flush())),
                    Entry::Mark(written) => drop(written.send(())),
                }
            }
        })?;
        Ok(AccessLog { entries: Some(entries), dropped })
    }

    /// Waits until every line so far is written, at most `patience`; whether they are.
    pub async fn written(&self, patience: Duration) -> bool {
        let Some(entries) = self.entries.clone() else { return true };
        let (mark, reached) = oneshot::channel();
        // A full channel makes this wait, which only a thread of its own may do; a stuck writer keeps that alone.
        std::thread::spawn(move || drop(entries.send(Entry::Mark(mark))));
        matches!(timeout(patience, reached).await, Ok(Ok(())))
    }

    /// Writes a line, stamped with the present time, or drops and counts it.
    pub fn write(&self, mut line: Line<'_>) {
        let Some(entries) = &self.entries else { return };
        line.time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let Ok(text) = serde_json::to_string(&line) else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = entries.try_send(Entry::Line(text)) {
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

    #[tokio::test]
    async fn who_waits_for_the_lines_goes_on_when_the_last_is_written() {
        let (seen, lines) = channel();
        let (go, gate) = channel();
        let log = AccessLog::to(Slow { seen, go: gate }, IntCounter::new("dropped", "x").unwrap()).unwrap();
        log.write(Line { request_id: "r1", ..Line::default() });
        let waiting = tokio::spawn({
            let log = log.clone();
            async move { log.written(Duration::from_secs(60)).await }
        });
        // A line is written in two pieces, itself and its end.
        go.send(()).unwrap();
        assert!(lines.recv().unwrap().starts_with(b"{") && !waiting.is_finished());
        go.send(()).unwrap();
        assert!(waiting.await.unwrap());
        assert_eq!(lines.try_recv().unwrap(), b"\n");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_writer_that_is_stuck_for_longer_than_he_said() {
        let (seen, _lines) = channel();
        let (_go, gate) = channel();
        let log = AccessLog::to(Slow { seen, go: gate }, IntCounter::new("dropped", "x").unwrap()).unwrap();
        log.write(Line { request_id: "r1", ..Line::default() });
        assert!(!log.written(Duration::from_secs(1)).await);
        assert!(AccessLog::off(IntCounter::new("dropped", "x").unwrap()).written(Duration::ZERO).await);
    }
}
