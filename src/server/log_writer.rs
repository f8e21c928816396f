//! Writes log lines, of the access log and of the diagnostics, to a stream that may be slow or stuck.
//!
//! The proxy appends a line to a bounded buffer; a thread of the writer's own writes what has gathered, one call to the
//! system a batch. When the buffer is full the line is dropped and counted, because a slow terminal must not slow the
//! proxy. The thread is woken for the first line of a batch and for a full batch, not for each line, because waking a
//! thread costs more than the line. A process that stops waits for the last lines, but not for a stream that is stuck.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus::IntCounter;

/// How long a process that has finished waits for each of its logs.
pub const LAST_LINES: Duration = Duration::from_secs(1);

/// Bytes that may wait for one stream, those being written included.
pub const BOUND: usize = 1 << 20;

/// Bytes that are written without waiting for more.
const ENOUGH: usize = 64 << 10;

/// How long the writer rests when a stream that does not block takes nothing.
const REST: Duration = Duration::from_millis(10);

/// A stream of this process, for `LogWriter::to`. Nobody else can lock it: code that prints to the standard one, in a
/// panic for example, does not wait for a writer that is stuck.
///
/// # Errors
/// When the process has no descriptor left.
pub fn stream(standard: impl AsFd) -> io::Result<File> {
    Ok(File::from(standard.as_fd().try_clone_to_owned()?))
}

/// A buffer in front of a stream, and the thread that empties it. The thread ends when this is dropped and everything
/// is written.
pub struct LogWriter {
    shared: Arc<LogQueue>,
}

struct LogQueue {
    state: Mutex<LinesState>,
    /// Tells the writer that there is something to do.
    wake: Condvar,
    /// Tells those that flush that a batch is done.
    done: Condvar,
}

impl LogWriter {
    /// Starts the writer. A batch is written `gather` after its first line, or when it is large.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn to(mut out: impl Write + Send + 'static, name: &str, gather: Duration) -> io::Result<LogWriter> {
        let shared = Arc::new(LogQueue { state: Mutex::default(), wake: Condvar::new(), done: Condvar::new() });
        let lines = LogWriter { shared: shared.clone() };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut batch = Vec::new();
            while shared.next(&mut batch, gather) {
                let lost = write(&mut out, &batch);
                shared.finished(lost);
            }
        })?;
        Ok(lines)
    }

    /// Counts dropped lines there from now on, those dropped before included.
    pub fn count_in(&self, counter: IntCounter) {
        let mut state = self.shared.lock();
        counter.inc_by(state.dropped);
        state.counter = Some(counter);
    }

    /// Takes a text of whole lines, or drops and counts it; whether it took it.
    pub fn append(&self, text: &[u8]) -> bool {
        let appended = self.shared.lock().append(text);
        if appended == Appended::Wake {
            self.shared.wake.notify_one();
        }
        appended != Appended::Dropped
    }

    /// Lines dropped so far.
    #[cfg(any(test, feature = "cli"))]
    pub fn dropped(&self) -> u64 {
        self.shared.lock().dropped
    }

    /// Waits until every line so far is written or given up, at most `timeout`; whether they are.
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.shared.lock();
        let goal = state.taken;
        state.hurry = true;
        self.shared.wake.notify_one();
        while state.handled < goal {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.shared.done.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
    }
}

impl LogQueue {
    fn lock(&self) -> MutexGuard<'_, LinesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next batch, and puts it in the place of the last one; false when there is none and will be none.
    fn next(&self, batch: &mut Vec<u8>, gather: Duration) -> bool {
        batch.clear();
        batch.shrink_to(2 * ENOUGH);
        let mut state = self.lock();
        while state.pending.is_empty() && !state.closed {
            state.writer = WriterState::Idle;
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.writer = WriterState::Gathering;
        let deadline = Instant::now() + gather;
        while state.pending.len() < ENOUGH && !state.hurry && !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.take(batch);
        !batch.is_empty()
    }

    fn finished(&self, lost: u64) {
        self.lock().finished(lost);
        self.done.notify_all();
    }
}

/// What the writer is doing.
#[derive(Default, PartialEq, Eq)]
enum WriterState {
    /// Waiting for a first line.
    Idle,
    /// Woken, and waiting for more lines.
    Gathering,
    /// Writing; it looks for more before it waits again.
    #[default]
    Writing,
}

/// What became of a text.
#[derive(Debug, PartialEq, Eq)]
enum Appended {
    /// It is in the buffer, and the writer will come by.
    Quietly,
    /// It is in the buffer, and the writer has to be woken.
    Wake,
    /// The buffer is full.
    Dropped,
}

#[derive(Default)]
struct LinesState {
    pending: Vec<u8>,
    /// Bytes being written.
    writing: usize,
    writer: WriterState,
    /// Somebody waits: nothing more is gathered.
    hurry: bool,
    /// Nothing more will come.
    closed: bool,
    /// Bytes taken since the start.
    taken: u64,
    /// Bytes of them that are written or given up.
    handled: u64,
    dropped: u64,
    counter: Option<IntCounter>,
}

impl LinesState {
    fn append(&mut self, text: &[u8]) -> Appended {
        let before = self.pending.len();
        if before + self.writing + text.len() > BOUND {
            self.drop(lines_in(text));
            return Appended::Dropped;
        }
        self.pending.extend_from_slice(text);
        self.taken += text.len() as u64;
        match self.writer {
            WriterState::Idle => {
                // A line that comes before the writer is up must not wake it once more.
                self.writer = WriterState::Gathering;
                Appended::Wake
            }
            WriterState::Gathering if before < ENOUGH && self.pending.len() >= ENOUGH => Appended::Wake,
            WriterState::Gathering | WriterState::Writing => Appended::Quietly,
        }
    }

    fn take(&mut self, batch: &mut Vec<u8>) {
        mem::swap(&mut self.pending, batch);
        self.writing = batch.len();
        self.hurry = false;
        self.writer = WriterState::Writing;
    }

    fn finished(&mut self, lost: u64) {
        self.handled += self.writing as u64;
        self.writing = 0;
        self.drop(lost);
    }

    fn drop(&mut self, lines: u64) {
        self.dropped += lines;
        if let Some(counter) = &self.counter {
            counter.inc_by(lines);
        }
    }
}

/// Writes all of it, however long that takes; the lines that were lost. A closed pipe must not end the proxy, and a
/// full disk may have room for the next batch.
fn write(out: &mut impl Write, mut rest: &[u8]) -> u64 {
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(0) => return lines_in(rest),
            Ok(written) => rest = &rest[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Another process that shares the stream, a shell for example, may have made it non-blocking.
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(REST),
            Err(_) => return lines_in(rest),
        }
    }
    // What keeps nothing back cannot fail at this.
    let _ = out.flush();
    0
}

fn lines_in(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const LINE: &[u8] = b"{\"status\":200}\n";

    /// Says what it is given, and takes it when it is told to.
    struct GatedOutput {
        seen: Sender<Vec<u8>>,
        go: Receiver<()>,
    }

    impl Write for GatedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.seen.send(bytes.to_vec()).map_err(io::Error::other)?;
            self.go.recv().map_err(io::Error::other)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated(gather: Duration) -> (LogWriter, Receiver<Vec<u8>>, Sender<()>) {
        let ((seen, batches), (open, go)) = (channel(), channel());
        (LogWriter::to(GatedOutput { seen, go }, "test", gather).unwrap(), batches, open)
    }

    #[test]
    fn a_stuck_stream_costs_lines_and_they_are_counted() {
        let (lines, batches, open) = gated(Duration::ZERO);
        assert!(lines.append(LINE));
        assert_eq!(batches.recv().unwrap(), LINE);
        let room = BOUND / LINE.len();
        let taken = (0..room + 9).filter(|_| lines.append(LINE)).count();
        assert_eq!(taken, room - 1, "one is being written");
        assert_eq!(lines.dropped(), 10);
        let counter = IntCounter::new("dropped", "x").unwrap();
        lines.count_in(counter.clone());
        lines.append(b"two\nlines\n".repeat(9).as_slice());
        assert_eq!(counter.get(), 28);
        open.send(()).unwrap();
        assert_eq!(batches.recv().unwrap().len(), taken * LINE.len(), "the rest in one piece");
        open.send(()).unwrap();
        assert!(lines.flush(LONG) && lines.append(LINE), "there is room again");
    }

    #[test]
    fn the_writer_is_woken_for_the_first_line_and_for_a_full_batch_and_for_no_other() {
        let mut state = LinesState { writer: WriterState::Idle, ..LinesState::default() };
        assert_eq!(state.append(LINE), Appended::Wake);
        let mut woken = 0;
        while state.pending.len() < 2 * ENOUGH {
            woken += usize::from(state.append(LINE) == Appended::Wake);
        }
        assert_eq!(woken, 1);
        let mut batch = Vec::new();
        state.take(&mut batch);
        assert_eq!((batch.len() >= 2 * ENOUGH, state.append(LINE)), (true, Appended::Quietly), "it is up anyway");
    }

    #[test]
    fn nothing_is_lost_when_the_lines_end() {
        let (lines, batches, open) = gated(LONG);
        for _ in 0..100 {
            lines.append(LINE);
        }
        // Dropped while the writer gathers; it does not wait for its time to be over.
        drop(lines);
        assert_eq!(batches.recv().unwrap(), LINE.repeat(100));
        open.send(()).unwrap();
        assert!(batches.recv().is_err(), "the writer has ended");
    }

    #[test]
    fn who_waits_for_the_lines_goes_on_when_the_last_is_written_and_ends_the_gathering() {
        let (lines, batches, open) = gated(LONG);
        lines.append(LINE);
        lines.append(LINE);
        assert!(!lines.flush(Duration::ZERO));
        assert_eq!(batches.recv().unwrap(), LINE.repeat(2));
        assert!(!lines.flush(Duration::ZERO), "not written yet");
        open.send(()).unwrap();
        assert!(lines.flush(LONG));
    }

    #[test]
    fn what_a_stream_does_not_take_is_tried_again_or_counted() {
        struct Picky(Vec<io::Result<usize>>);
        impl Write for Picky {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                self.0.pop().unwrap()
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = |kind: ErrorKind| Err(kind.into());
        let mut patient = Picky(vec![Ok(4), error(ErrorKind::WouldBlock), error(ErrorKind::Interrupted), Ok(2)]);
        assert_eq!(write(&mut patient, b"a\nb\nc\n"), 0);
        assert_eq!(write(&mut Picky(vec![error(ErrorKind::BrokenPipe), Ok(3)]), b"a\nb\nc\n"), 2);
    }
}
