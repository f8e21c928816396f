//! The process's logger: diagnostics of Easel and its libraries, beside the access log.
//!
//! Lines look as `env_logger` makes them, or are JSON, and are filtered as it filters. Each says which request it belongs to.
//! They go to a bounded writer, so that a stream nobody reads freezes nothing, and are summed up (`log_dedup.rs`) when they
//! repeat themselves.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use env_logger::{Env, Logger};
use log::{Level, LevelFilter, Log, Metadata, Record, SetLoggerError};
use serde_json::json;

use crate::config::plan::{LogFormat, LogLevel, LogRules};
use crate::gateway::log_context::current_request;
use crate::server::log_dedup::{HeldLines, LogDedup, WINDOW};
use crate::server::log_writer::{LAST_LINES, LogWriter, stream};

/// The filter of a server where `EASEL_LOG` is not set.
pub const FILTER: &str = "info,pingora_core=warn,pingora_proxy=off";

/// Filters the log in place of what a config says of it.
const VARIABLE: &str = "EASEL_LOG";

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
pub fn init(default: &str) -> Result<ProcessLog, NoLog> {
    // A line is written at once: who looks for the cause of a sudden end finds it.
    let lines = Arc::new(LogWriter::to(stream(io::stderr())?, "diagnostics", Duration::ZERO)?);
    let diagnostics = Diagnostics::start(VARIABLE, default, lines)?;
    let process_log = ProcessLog(diagnostics.0.clone());
    process_log.bound_level();
    log::set_boxed_logger(Box::new(diagnostics))?;
    Ok(process_log)
}

/// The process's log, as long as it has one.
#[derive(Clone)]
pub struct ProcessLog(Arc<Inner>);

impl ProcessLog {
    /// Where its lines go.
    pub fn lines(&self) -> &LogWriter {
        &self.0.lines
    }

    /// Writes from now on as a config says. Where `EASEL_LOG` is set, that goes before the config's level.
    pub fn follow(&self, rules: LogRules) {
        self.0.json.store(rules.format == Some(LogFormat::Json), Ordering::Relaxed);
        let filter = FILTER.replacen("info", rules.level.as_str(), 1);
        // Pingora's own warnings are no failures that a person must look at.
        let filter = if rules.level == LogLevel::Error { filter.replace("=warn", "=error") } else { filter };
        self.0.logger.store(Arc::new(logger(self.0.variable, &filter)));
        self.bound_level();
    }

    /// Beyond this Pingora writes whole request headers, keys and webhooks' addresses included.
    fn bound_level(&self) {
        log::set_max_level(self.0.logger.load().filter().min(LevelFilter::Debug));
    }
}

/// What filters as `variable` of the environment says, or else as `default` does. It writes nothing.
fn logger(variable: &str, default: &str) -> Logger {
    env_logger::Builder::from_env(Env::default().filter_or(variable, default)).build()
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
    /// What in the environment goes before a config.
    variable: &'static str,
    /// Which lines are written.
    logger: ArcSwap<Logger>,
    /// Whether they are JSON.
    json: AtomicBool,
    lines: Arc<LogWriter>,
    repeats: Mutex<LogDedup>,
    /// Tells the thread that says sums that there is one to say.
    held: Condvar,
    /// Dropped lines that were told of.
    told: AtomicU64,
}

impl Diagnostics {
    fn start(variable: &'static str, default: &str, lines: Arc<LogWriter>) -> io::Result<Diagnostics> {
        let logger = ArcSwap::from_pointee(logger(variable, default));
        let (json, repeats, held) = (AtomicBool::new(false), Mutex::default(), Condvar::new());
        let inner = Arc::new(Inner { variable, logger, json, lines, repeats, held, told: AtomicU64::new(0) });
        let summing = inner.clone();
        // Somebody has to say the sums when no further line comes.
        std::thread::Builder::new().name("log-sums".to_owned()).spawn(move || summing.sum_up())?;
        Ok(Diagnostics(inner))
    }
}

impl Log for Diagnostics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.logger.load().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        let inner = &*self.0;
        if !inner.logger.load().matches(record) {
            return;
        }
        // Who asks for more than `info` wants every line.
        if record.level() > Level::Info || record.target().starts_with(WHOLE) {
            return inner.write(record, current_request().as_deref());
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
            inner.write(record, current_request().as_deref());
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
            self.write(&Record::builder().level(level).target(&target).args(what).build(), None);
        }
    }

    /// Writes a line. When there is room again after lines were dropped, the log says so.
    fn write(&self, record: &Record<'_>, request: Option<&str>) {
        let before = self.lines.dropped();
        self.append(record, request);
        let dropped = self.lines.dropped();
        if dropped > before {
            return;
        }
        let told = self.told.swap(dropped, Ordering::Relaxed);
        if told < dropped {
            let new = dropped - told;
            let what = format_args!("{new} lines were lost here, the stream was full or failed");
            self.append(&Record::builder().level(Level::Warn).target(module_path!()).args(what).build(), None);
            if self.lines.dropped() > dropped {
                // So was this one.
                self.told.store(told, Ordering::Relaxed);
            }
        }
    }

    /// Hands a line to the writer, filtered or not.
    fn append(&self, record: &Record<'_>, request: Option<&str>) {
        let line = match self.json.load(Ordering::Relaxed) {
            true => json_line(record, request),
            false => text_line(record, request),
        };
        self.lines.append(line.as_bytes());
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

/// A line for people, as `env_logger` writes it, with the request's id at its end.
fn text_line(record: &Record<'_>, request: Option<&str>) -> String {
    let time = humantime::format_rfc3339_seconds(SystemTime::now());
    let request = request.map_or_else(String::new, |id| format!(" request={id}"));
    format!("[{time} {:<5} {}] {}{request}\n", record.level(), record.target(), record.args())
}

/// The same for programs.
fn json_line(record: &Record<'_>, request: Option<&str>) -> String {
    let mut line = json!({
        "time": humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
        "level": record.level().as_str(),
        "target": record.target(),
        "message": record.args().to_string(),
    });
    if let Some(id) = request {
        line["request_id"] = id.into();
    }
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use serde_json::Value;

    use super::*;
    use crate::gateway::log_context::within_request;
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
        (Diagnostics::start("EASEL_NOT_SET", "debug", Arc::new(lines)).unwrap(), batches, open)
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

    #[tokio::test]
    async fn a_line_says_for_which_request_it_is_and_is_json_where_the_config_says_so() {
        let (diagnostics, batches, open) = started();
        within_request("8cd8be07f3ce33a2".into(), async {
            say(&diagnostics, Level::Warn, "easel::gateway", "stability/core failed");
        })
        .await;
        let text = written(&diagnostics, &batches, &open);
        assert!(text.ends_with("Z WARN  easel::gateway] stability/core failed request=8cd8be07f3ce33a2\n"), "{text}");
        let (format, level) = (Some(LogFormat::Json), LogLevel::Warn);
        ProcessLog(diagnostics.0.clone()).follow(LogRules { format, level, prompts: false });
        within_request("8cd8be07f3ce33a2".into(), async {
            say(&diagnostics, Level::Info, "easel", "left out at this level");
            say(&diagnostics, Level::Error, "easel", "two\nlines \"quoted\"");
        })
        .await;
        say(&diagnostics, Level::Error, "easel", "nobody's");
        let lines = written(&diagnostics, &batches, &open);
        let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!((&lines[0]["message"], &lines[0]["level"]), (&json!("two\nlines \"quoted\""), &json!("ERROR")));
        assert_eq!((&lines[0]["request_id"], &lines[1]["request_id"]), (&json!("8cd8be07f3ce33a2"), &Value::Null));
    }
}
