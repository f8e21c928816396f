//! The process's logger: diagnostics of Easel and its libraries, beside the access log.
//!
//! Lines look as `env_logger` makes them and are filtered as it filters. They go to a bounded writer, so that a stream
//! nobody reads freezes nothing, and are summed up (`log_dedup.rs`) when they repeat themselves.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use env_logger::{Env, Logger, Target};
use log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};

use crate::server::log_dedup::{HeldLines, LogDedup, WINDOW};
use crate::server::log_writer::{LAST_LINES, LogWriter, stream};

/// The filter of a server where `EASEL_LOG` is not set.
pub const FILTER: &str = "info,pingora_core=warn,pingora_proxy=off";

/// Every line from here is shown: it may be the only record of money that could not be written down.
const WHOLE: &str = "easel::store";

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum NoLog {
    /// No thread or no descriptor is left.
    #[error("the log cannot be started: {0}")]
    System(#[from] io::Error),
    /// The process has a logger.
    #[error("there is a log already: {0}")]
    Taken(#[from] SetLoggerError),
}

/// Makes standard error the process's log, filtered as `EASEL_LOG` says, or else as `default` does. Who ends the
/// process calls `log::logger().flush()` before; it waits a second at most.
///
/// # Errors
/// When the process cannot start it, or has one.
pub fn init(default: &str) -> Result<Arc<LogWriter>, NoLog> {
    // A line is written at once: who looks for the cause of a sudden end finds it.
    let lines = Arc::new(LogWriter::to(stream(io::stderr())?, "diagnostics", Duration::ZERO)?);
    let diagnostics = Diagnostics::start(Env::default().filter_or("EASEL_LOG", default), lines.clone())?;
    // Beyond this Pingora writes whole request headers, keys and webhooks' addresses included.
    log::set_max_level(diagnostics.0.logger.filter().min(LevelFilter::Debug));
    log::set_boxed_logger(Box::new(diagnostics))?;
    Ok(lines)
}

/// Panics are told in the log from now on, and not beside it, where a stream nobody reads would freeze the thread.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("without a name");
        // Of a system that was not asked for one it would be a note that there is none.
        let trace = Some(Backtrace::capture()).filter(|trace| trace.status() == BacktraceStatus::Captured);
        log::error!("thread '{name}' {panic}{}", trace.map_or_else(String::new, |trace| format!("\n{trace}")));
    }));
}

struct Diagnostics(Arc<Inner>);

struct Inner {
    logger: Logger,
    lines: Arc<LogWriter>,
    repeats: Mutex<LogDedup>,
    /// Tells the thread that says sums that there is one to say.
    held: Condvar,
    /// Dropped lines that were told of.
    told: AtomicU64,
}

impl Diagnostics {
    fn start(env: Env<'_>, lines: Arc<LogWriter>) -> io::Result<Diagnostics> {
        let target = Target::Pipe(Box::new(LineSink(lines.clone())));
        let logger = env_logger::Builder::from_env(env).target(target).build();
        let (repeats, held) = (Mutex::default(), Condvar::new());
        let inner = Arc::new(Inner { logger, lines, repeats, held, told: AtomicU64::new(0) });
        let summing = inner.clone();
        // Somebody has to say the sums when no further line comes.
        std::thread::Builder::new().name("log-sums".to_owned()).spawn(move || summing.sum_up())?;
        Ok(Diagnostics(inner))
    }
}

impl Log for Diagnostics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.logger.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let inner = &*self.0;
        if !inner.logger.matches(record) {
            return;
        }
        // Who asks for more than `info` wants every line.
        if record.level() > Level::Info || record.target().starts_with(WHOLE) {
            return inner.write(record);
        }
        let (message, now) = (record.args().to_string(), Instant::now());
        let mut repeats = inner.repeats();
        let ended = repeats.ended(now);
        let none_held = repeats.due().is_none();
        let show = repeats.show(now, record.level(), record.target(), &message);
        if none_held && !show {
            inner.held.notify_one();
        }
        drop(repeats);
        inner.say(ended);
        if show {
            inner.write(record);
        }
    }

    fn flush(&self) {
        let left = self.0.repeats().end();
        self.0.say(left);
        self.0.lines.flush(LAST_LINES);
    }
}

impl Inner {
    fn repeats(&self) -> MutexGuard<'_, LogDedup> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, sums: Vec<HeldLines>) {
        for HeldLines { level, target, count, first } in sums {
            let seconds = WINDOW.as_secs();
            let what = format_args!("... {count} more like it in {seconds} s, the first: {first}");
            self.write(&Record::builder().level(level).target(&target).args(what).build());
        }
    }

    /// Writes a line. When there is room again after lines were dropped, the log says so.
    fn write(&self, record: &Record<'_>) {
        let before = self.lines.dropped();
        self.logger.log(record);
        let dropped = self.lines.dropped();
        if dropped > before {
            return;
        }
        let told = self.told.swap(dropped, Ordering::Relaxed);
        if told < dropped {
            let new = dropped - told;
            let what = format_args!("{new} lines were lost here, the stream was full or failed");
            self.logger.log(&Record::builder().level(Level::Warn).target(module_path!()).args(what).build());
            if self.lines.dropped() > dropped {
                // So was this one.
                self.told.store(told, Ordering::Relaxed);
            }
        }
    }

    fn sum_up(&self) {
        loop {
            let mut repeats = self.repeats();
            let now = Instant::now();
            match repeats.due() {
                None => drop(self.held.wait(repeats)),
                Some(due) if due > now => drop(self.held.wait_timeout(repeats, due - now)),
                Some(_) => {
                    let ended = repeats.ended(now);
                    drop(repeats);
                    self.say(ended);
                }
            }
        }
    }
}

/// What `env_logger` writes to: each write is a whole line.
struct LineSink(Arc<LogWriter>);

impl Write for LineSink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::server::log_writer::BOUND;

    /// Takes what it is given when it is told to.
    struct GatedLog {
        seen: Sender<Vec<u8>>,
        go: Receiver<()>,
    }

    impl Write for GatedLog {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.go.recv().map_err(io::Error::other)?;
            self.seen.send(bytes.to_vec()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn started() -> (Diagnostics, Receiver<Vec<u8>>, Sender<()>) {
        let ((seen, batches), (open, go)) = (channel(), channel());
        let lines = LogWriter::to(GatedLog { seen, go }, "test", Duration::ZERO).unwrap();
        let env = Env::default().filter_or("EASEL_NOT_SET", "debug");
        (Diagnostics::start(env, Arc::new(lines)).unwrap(), batches, open)
    }

    fn say(diagnostics: &Diagnostics, level: Level, target: &str, text: &str) {
        diagnostics.log(&Record::builder().level(level).target(target).args(format_args!("{text}")).build());
    }

    /// What was written, once everything is.
    fn written(diagnostics: &Diagnostics, batches: &Receiver<Vec<u8>>, open: &Sender<()>) -> String {
        for _ in 0..100 {
            open.send(()).unwrap();
        }
        diagnostics.flush();
        String::from_utf8(batches.try_iter().flatten().collect()).unwrap()
    }

    #[test]
    fn what_repeats_itself_is_summed_up_unless_it_was_asked_for_or_is_the_ledgers() {
        let (diagnostics, batches, open) = started();
        for nth in 0..15 {
            say(&diagnostics, Level::Error, "pingora_core", &format!("handshake error from 10.0.0.{nth}:443"));
            say(&diagnostics, Level::Debug, "easel", "a detail");
            say(&diagnostics, Level::Error, "easel::store::queue", "the ledger will not hold 1");
            say(&diagnostics, Level::Trace, "easel", "filtered");
        }
        let text = written(&diagnostics, &batches, &open);
        let count = |part: &str| text.matches(part).count();
        assert_eq!(
            (count("Z ERROR pingora_core] handshake"), count("detail"), count("hold"), count("filtered")),
            (10, 15, 15, 0)
        );
        assert!(
            text.ends_with(
                "ERROR pingora_core] ... 5 more like it in 10 s, the first: handshake error from 10.0.0.10:443\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_log_with_holes_says_so_when_it_is_read_again() {
        let (diagnostics, batches, open) = started();
        let long = "x".repeat(100_000);
        for _ in 0..=BOUND / long.len() {
            say(&diagnostics, Level::Debug, "easel", &long);
        }
        let lost = diagnostics.0.lines.dropped();
        assert!(lost > 0);
        assert!(!written(&diagnostics, &batches, &open).contains("lost"));
        say(&diagnostics, Level::Info, "easel", "read again");
        let text = written(&diagnostics, &batches, &open);
        let said = format!("WARN  easel::server::process_log] {lost} lines were lost here");
        assert!(text.contains("read again") && text.contains(&said), "{text}");
        say(&diagnostics, Level::Info, "easel", "and again");
        assert!(!written(&diagnostics, &batches, &open).contains("lost"), "it is said once");
    }
}
