//! Writes the lines that are handed over, in a thread of its own.

use super::error::AuditError;
use super::line::Head;
use super::mark::{Mark, json};
use super::order::{Fresh, New, Order, Shown};
use super::tail::Tail;
use super::trail::Trail;
use super::written::Written;
use crate::secrecy::Seal;
use crate::settings::Fsync;
use crate::telemetry::Metrics;
use chrono::{DateTime, Utc};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines that are written at one stroke.
const MOST_AT_ONCE: usize = 256;

/// The interval at which it is tried again to write what could not be written.
const AGAIN: Duration = Duration::from_secs(1);

/// Who writes.
pub(super) struct Scribe {
    pub trail: Trail,
    pub fsync: Fsync,
    /// The interval at which it is logged where the chain is: whoever keeps the log can tell later that its end is
    /// missing.
    pub said_every: Duration,
    /// Since when there are lines that the disk may not have.
    pub unsafe_since: Option<Instant>,
    /// Lines that nobody waits for, and that could not be written yet.
    pub owed: Vec<New>,
    /// Since when no line can be written.
    pub unwritable_since: Option<DateTime<Utc>>,
    /// When it was said where the chain is, and how many lines it had.
    pub said: Option<(Instant, u64)>,
    /// The trail of what people do by hand, of which nobody else says where it is.
    pub by_hand: (PathBuf, Seal),
    /// How many lines that had when it was said.
    pub by_hand_said: u64,
    pub fresh: Fresh,
    pub metrics: Arc<Metrics>,
    pub shown: Arc<Mutex<Shown>>,
}

impl Scribe {
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        self.say();
        loop {
            match orders.recv_timeout(self.wait()) {
                Ok(order) => {
                    let more = orders.try_iter().take(MOST_AT_ONCE - 1);
                    self.obey(std::iter::once(order).chain(more).collect());
                }
                Err(RecvTimeoutError::Timeout) => self.pay(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.keep_time();
        }
        // If it fails, that was said.
        let _said = self.finish();
        self.say();
    }

    /// Until there is something to do without an order.
    fn wait(&self) -> Duration {
        let said = self.said.map_or(Duration::ZERO, |(at, _)| left(at, self.said_every));
        let is_behind = !self.owed.is_empty() || self.is_failing();
        let said = if is_behind { said.min(AGAIN) } else { said };
        match (self.fsync, self.unsafe_since) {
            (Fsync::Every(interval), Some(since)) => said.min(left(since, interval)),
            (Fsync::Always | Fsync::Every(_), _) => said,
        }
    }

    fn keep_time(&mut self) {
        if let (Fsync::Every(interval), Some(since)) = (self.fsync, self.unsafe_since)
            && left(since, interval).is_zero()
        {
            let _said = self.make_safe();
        }
        if self.said.is_some_and(|(at, _)| left(at, self.said_every).is_zero()) {
            // Whoever has moved the file away, or deleted it, may have forgotten to say so.
            if let Err(error) = self.stay_in_place() {
                self.show(Some(&error));
            }
            self.say();
        }
    }

    pub(super) fn obey(&mut self, orders: Vec<Order>) {
        let (mut lines, mut dones, mut owed, mut others) = (vec![], vec![], vec![], vec![]);
        for order in orders {
            match order {
                // Whoever does not wait any more comes again with it, or owes it.
                Order::Append(line, done) if !done.is_closed() => {
                    lines.push(line);
                    dones.push(done);
                }
                Order::Append(..) => {}
                Order::Owe(entries, written) => {
                    owed.push(New { at: (self.fresh)().0, entries, written });
                }
                Order::Follow | Order::Sync(_) => others.push(order),
            }
        }
        let written = self.append(&lines);
        for done in dones {
            let _waits = done.send(written.clone());
        }
        // Only now it is known what of it was written, although nobody waited for it in the end.
        self.pay(owed);
        for order in others {
            match order {
                Order::Append(..) | Order::Owe(..) => {}
                Order::Follow => self.follow(),
                Order::Sync(done) => {
                    self.say();
                    let _waits = done.send(self.finish());
                }
            }
        }
    }

    /// Writes what is owed, the new lines too, as far as that can be done now.
    fn pay(&mut self, new: Vec<New>) {
        self.owed.extend(new.into_iter().filter(|line| !line.written.is_true()));
        if !self.owed.is_empty() || self.is_failing() {
            // That it fails is shown, and it is tried again.
            let _shown = self.append(&[]);
        }
    }

    /// Everything is written and safe, or it was said what is not.
    fn finish(&mut self) -> Result<(), AuditError> {
        self.pay(Vec::new());
        if !self.owed.is_empty() {
            let lines = self.owed.len();
            tracing::error!(
                lines,
                "what was done is not in the audit trail; the log names its events"
            );
        }
        self.make_safe()?;
        match self.owed.is_empty() {
            true => Ok(()),
            false => Err(AuditError::Behind { cause: "no line could be written".into() }),
        }
    }

    /// Adds these lines, and before them those that are owed. Where none could be written before, a line says that: it
    /// shows whether one can be written now.
    fn append(&mut self, lines: &[New]) -> Result<(), AuditError> {
        let mut owed = std::mem::take(&mut self.owed);
        let was_unwritable = self.is_failing().then(|| self.unwritable());
        let open: Vec<&New> = was_unwritable
            .iter()
            .chain(&owed)
            .chain(lines)
            .filter(|line| !line.written.is_true())
            .collect();
        if open.is_empty() {
            return Ok(());
        }
        let appended = self.append_open(
            open.iter().flat_map(|new| new.entries.iter().map(|entry| (new.at, entry.as_str()))),
        );
        match appended {
            Ok(()) => open.iter().for_each(|line| line.written.set()),
            Err(_) => self.owed.append(&mut owed),
        }
        self.show(appended.as_ref().err());
        appended
    }

    /// The line that says since when none could be written.
    fn unwritable(&mut self) -> New {
        let at = (self.fresh)().0;
        let since = *self.unwritable_since.get_or_insert(at);
        New { at, entries: vec![json(&Mark::Unwritable { since })], written: Written::default() }
    }

    fn append_open<'a>(
        &mut self,
        entries: impl Iterator<Item = (DateTime<Utc>, &'a str)>,
    ) -> Result<(), AuditError> {
        // What was not safe when it should have been is made so first, or nothing goes on.
        let before = if self.is_failing() { self.make_safe() } else { Ok(()) };
        let safe = self.fsync == Fsync::Always;
        let before = before.and_then(|()| self.stay_in_place());
        let written = before.and_then(|()| self.trail.append(entries, safe));
        if written.is_ok() && !safe {
            self.unsafe_since.get_or_insert_with(Instant::now);
        }
        written
    }

    fn make_safe(&mut self) -> Result<(), AuditError> {
        if self.unsafe_since.is_none() {
            return Ok(());
        }
        let safe = self.trail.sync();
        match &safe {
            Ok(()) => self.unsafe_since = None,
            // Not in a hot loop: with the next line, or after the interval.
            Err(_) => self.unsafe_since = Some(Instant::now()),
        }
        self.show(safe.as_ref().err());
        safe
    }

    fn follow(&mut self) {
        match self.go_on() {
            Ok(()) if self.is_failing() => {}
            followed => self.show(followed.err().as_ref()),
        }
    }

    /// Goes on in another file where this one was moved away, in a rotation.
    fn stay_in_place(&mut self) -> Result<(), AuditError> {
        if self.trail.is_moved()? { self.go_on() } else { Ok(()) }
    }

    fn go_on(&mut self) -> Result<(), AuditError> {
        self.make_safe()?;
        if self.trail.follow((self.fresh)().0)? {
            tracing::info!("the audit trail goes on in another file");
        }
        Ok(())
    }

    fn is_failing(&self) -> bool {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).failure.is_some()
    }

    /// Shows where the chain is, and why nothing can be written if that is so.
    pub(super) fn show(&mut self, error: Option<&AuditError>) {
        self.unwritable_since = match error {
            Some(_) => Some(self.unwritable_since.unwrap_or_else(|| (self.fresh)().0)),
            None => None,
        };
        let head = self.trail.head().clone();
        self.metrics.audited(head.lines, error.is_some());
        let failure = error.map(ToString::to_string);
        match (&failure, self.is_failing()) {
            (Some(error), false) => tracing::error!(error, "the audit trail cannot be written"),
            (None, true) => tracing::info!("the audit trail is written again"),
            (Some(_), true) | (None, false) => {}
        }
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) =
            Shown { head, failure, owed: self.owed.len() };
    }

    /// Says where the chain is, if it is not where it was.
    fn say(&mut self) {
        let Head { chain, lines, seal } = self.trail.head();
        if self.said.is_none_or(|(_, said)| said != *lines) {
            tracing::info!(chain, lines, head = seal, "audit trail");
        }
        self.said = Some((Instant::now(), *lines));
        let (path, seal) = &self.by_hand;
        if let Some(Head { chain, lines, seal }) = Tail::of_path(path, seal)
            && lines != self.by_hand_said
        {
            tracing::info!(chain, lines, head = seal, "audit trail of what people do by hand");
            self.by_hand_said = lines;
        }
    }
}

/// What is left of `interval` since then.
fn left(since: Instant, interval: Duration) -> Duration {
    interval.saturating_sub(since.elapsed())
}
