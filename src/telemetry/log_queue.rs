//! The lines of the log on their way to standard error. A thread of its own writes them, so that a reader that has
//! stopped holds up nothing else: what does not fit into the queue is dropped and counted.
//!
//! `tracing-appender` has such a queue as well. It is bounded by lines and not by bytes, does not report in the log
//! what it dropped, and may block at its end on standard output.

use std::io::{self, Write};
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Maximum bytes of the lines that wait, about two thousand of them. As many again may be on their way out.
pub(super) const MOST_BYTES: usize = 512 * 1024;

/// Bytes of a buffer that is kept for the next lines. A larger one is given back once its lines are written.
const KEPT_BYTES: usize = 32 * 1024;

/// Lines that wait to be written.
#[derive(Debug)]
pub(super) struct LogQueue {
    state: Mutex<State>,
    filled: Condvar,
    written: Condvar,
}

#[derive(Debug)]
struct State {
    lines: Vec<u8>,
    is_writing: bool,
    dropped: u64,
    /// Dropped lines that the log does not report yet.
    unreported: u64,
}

impl LogQueue {
    pub(super) const fn new() -> LogQueue {
        let state = State { lines: Vec::new(), is_writing: false, dropped: 0, unreported: 0 };
        LogQueue { state: Mutex::new(state), filled: Condvar::new(), written: Condvar::new() }
    }

    /// Adds a line, or drops it where there is no room. Never waits for a reader.
    fn push(&self, line: &[u8]) {
        let mut state = self.state();
        if state.lines.len() + line.len() > MOST_BYTES {
            state.dropped += 1;
            state.unreported += 1;
            return;
        }
        state.lines.extend_from_slice(line);
        drop(state);
        self.filled.notify_one();
    }

    /// Returns the number of lines that were dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// Waits until every line is written, at most for `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let end = Instant::now() + patience;
        let mut state = self.state();
        while state.is_writing || !state.lines.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.written.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Writes the lines to `out` for as long as the process lives. `report` logs that so many lines were dropped.
    pub(super) fn write_to(&self, mut out: impl Write, report: impl Fn(u64)) -> ! {
        let mut lines = Vec::new();
        loop {
            let unreported = self.take(&mut lines);
            if unreported > 0 {
                // It comes right after these lines, where the dropped ones would have been.
                report(unreported);
            }
            if out.write_all(&lines).is_err() {
                // Standard error is gone for good. A line about it would be lost as well.
                self.state().dropped += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            }
            lines.clear();
            lines.shrink_to(KEPT_BYTES);
        }
    }

    /// Waits for lines, and swaps them for the empty `lines`. Returns how many were dropped since the last time.
    fn take(&self, lines: &mut Vec<u8>) -> u64 {
        let mut state = self.state();
        state.is_writing = false;
        while state.lines.is_empty() {
            self.written.notify_all();
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        mem::swap(&mut state.lines, lines);
        state.is_writing = true;
        mem::take(&mut state.unreported)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each write is one line.
impl Write for &LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, PipeReader, pipe};
    use std::thread;

    /// A queue whose thread writes to a pipe.
    fn queue() -> (&'static LogQueue, BufReader<PipeReader>) {
        let queue: &LogQueue = Box::leak(Box::new(LogQueue::new()));
        let (reader, writer) = pipe().unwrap();
        thread::spawn(move || {
            queue.write_to(writer, |lines| queue.push(format!("{lines} dropped\n").as_bytes()))
        });
        (queue, BufReader::new(reader))
    }

    fn next(reader: &mut BufReader<PipeReader>) -> String {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line
    }

    #[test]
    fn lines_are_written_in_their_order_and_a_flush_waits_for_the_last_one() {
        let (queue, mut reader) = queue();
        for number in 0..1000 {
            queue.push(format!("{number}\n").as_bytes());
        }
        queue.flush(Duration::from_secs(60));
        assert!(queue.state().lines.is_empty() && !queue.state().is_writing);
        for number in 0..1000 {
            assert_eq!(next(&mut reader), format!("{number}\n"));
        }
        assert_eq!(queue.dropped(), 0);
    }

    #[test]
    fn a_line_at_the_bound_is_taken_and_one_above_it_is_dropped_and_counted() {
        let queue = LogQueue::new();
        queue.push(&vec![b'x'; MOST_BYTES - 1]);
        queue.push(b"\n");
        assert_eq!((queue.dropped(), queue.state().lines.len()), (0, MOST_BYTES));
        queue.push(b"\n");
        assert_eq!((queue.dropped(), queue.state().lines.len()), (1, MOST_BYTES));
    }

    #[test]
    fn a_reader_that_has_stopped_holds_up_nobody_and_learns_what_it_missed() {
        let (queue, mut reader) = queue();
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let mut pushed = 0;
        while queue.dropped() < 10 {
            queue.push(&line);
            pushed += 1;
        }
        assert!(pushed * line.len() < 3 * MOST_BYTES, "{pushed} lines were taken");
        // The reader has stopped: a flush gives up.
        queue.flush(Duration::from_millis(1));
        for _ in 0..pushed - 10 {
            assert_eq!(next(&mut reader).len(), line.len());
        }
        queue.push(b"the next\n");
        assert_eq!(next(&mut reader), "10 dropped\n");
        assert_eq!(next(&mut reader), "the next\n");
        assert_eq!(queue.dropped(), 10);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_nothing_waits_for_them() {
        let (queue, reader) = queue();
        drop(reader);
        queue.push(b"one\ntwo\n");
        queue.flush(Duration::from_secs(60));
        assert_eq!(queue.dropped(), 2);
    }
}
