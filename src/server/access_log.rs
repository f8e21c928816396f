//! The access log: one line a request, on its way to a [bounded writer](super::log_writer).

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntCounter;

use crate::gateway::Gateway;
use crate::server::log_writer::LogWriter;

/// How long lines gather before they are written.
const GATHER: Duration = Duration::from_millis(50);

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

    /// Whether lines are written anywhere.
    pub fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// Writes a line, which ends with a line feed, or drops and counts it.
    pub fn write(&self, line: &[u8]) {
        if let Some(lines) = &self.lines {
            lines.append(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

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
    async fn what_gathers_is_written_whole_and_a_log_that_is_off_is_written_at_once() {
        let (seen, batches) = channel();
        let log = AccessLog::counting(LineCapture(seen), IntCounter::new("dropped", "x").unwrap()).unwrap();
        log.write(b"one\n");
        log.write(b"two\n");
        assert!(log.written(Duration::from_secs(60)).await && log.is_on());
        let all: Vec<u8> = batches.try_iter().flatten().collect();
        assert_eq!(all, b"one\ntwo\n");
        assert!(AccessLog::off().written(Duration::ZERO).await && !AccessLog::off().is_on());
    }
}
