//! Writes the audit trail of the daemon, in a thread of its own: what comes while the disk is busy is
//! written at one stroke.

use super::line::Head;
use super::trail::{AuditError, Opening, Trail};
use crate::settings::{self, Fsync};
use crate::telemetry::Metrics;
use chrono::{DateTime, Utc};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Lines that are written at one stroke.
const MOST_AT_ONCE: usize = 256;

/// The interval at which lines are tried again that nobody waits for.
const OWED_AGAIN: Duration = Duration::from_secs(1);

/// What time it is, and an id that nobody has.
pub type Fresh = Box<dyn Fn() -> (DateTime<Utc>, Uuid) + Send + Sync>;

/// The audit trail of the daemon.
#[derive(Debug)]
pub struct Audit {
    orders: Sender<Order>,
    shown: Arc<Mutex<Shown>>,
    /// Maximum time until a line is written.
    patience: Duration,
}

/// What is shown of it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Where the chain is.
    pub head: Head,
    /// Why nothing can be written, while nothing can.
    pub failure: Option<String>,
    /// Lines that nobody waits for, and that could not be written yet.
    pub owed: usize,
}

/// Whether something is in the trail. It may be handed over several times, by whoever gave up waiting for it, and is
/// written once.
#[derive(Clone, Debug, Default)]
pub struct Written(Arc<AtomicBool>);

impl Written {
    /// True once it is there.
    pub fn is_true(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A line before it has its place in the chain.
#[derive(Debug)]
struct New {
    at: DateTime<Utc>,
    entry: String,
    written: Written,
}

type Done = oneshot::Sender<Result<(), AuditError>>;

#[derive(Debug)]
enum Order {
    Append(New, Done),
    Owe(String, Written),
    Follow,
    Sync(Done),
}

impl Audit {
    /// Opens the trail and begins to write.
    ///
    /// # Errors
    ///
    /// [`AuditError`].
    pub fn start(
        settings: &settings::Audit,
        fresh: Fresh,
        metrics: Arc<Metrics>,
    ) -> Result<Audit, AuditError> {
        let trail = Trail::open(&settings.path, settings.seal.clone(), fresh(), Opening::ToStay)?;
        let shown = Shown { head: trail.head().clone(), failure: None, owed: 0 };
        let shown = Arc::new(Mutex::new(shown));
        let (orders, received) = channel();
        let scribe = Scribe {
            trail,
            fsync: settings.fsync,
            said_every: settings.timings.audit_head,
            unsafe_since: None,
            owed: Vec::new(),
            said: None,
            fresh,
            metrics,
            shown: Arc::clone(&shown),
        };
        scribe.show(None);
        std::thread::spawn(move || scribe.run(&received));
        Ok(Audit { orders, shown, patience: settings.timings.audit_line })
    }

    /// Adds a line that says `entry`, an object in JSON, and waits until it is `written`.
    ///
    /// # Errors
    ///
    /// [`AuditError`]; then it is not there, or is written by now where the disk was [silent](AuditError::Silent).
    pub async fn append(
        &self,
        at: DateTime<Utc>,
        entry: String,
        written: &Written,
    ) -> Result<(), AuditError> {
        let written = written.clone();
        self.ask(|done| Order::Append(New { at, entry, written }, done)).await
    }

    /// Adds a line as well, without waiting for it: it is tried until it is `written`.
    pub fn owe(&self, entry: String, written: &Written) {
        // Without the thread every line fails, which is said where that happens.
        let _sent = self.orders.send(Order::Owe(entry, written.clone()));
    }

    /// Whether everything is written that was done.
    ///
    /// # Errors
    ///
    /// Why some of it is not. Then nothing more is to be done: it would be held in memory only.
    pub fn is_complete(&self) -> Result<(), AuditError> {
        match self.shown() {
            Shown { owed: 1.., failure: Some(cause), .. } => Err(AuditError::Behind { cause }),
            Shown { .. } => Ok(()),
        }
    }

    /// Goes on in another file, if there is another one at its path.
    pub fn follow(&self) {
        // Without the thread every line fails, which is said where that happens.
        let _sent = self.orders.send(Order::Follow);
    }

    /// Waits until everything is safe on the disk.
    ///
    /// # Errors
    ///
    /// [`AuditError`].
    pub async fn sync(&self) -> Result<(), AuditError> {
        self.ask(Order::Sync).await
    }

    /// What is shown of it.
    pub fn shown(&self) -> Shown {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn ask(&self, order: impl FnOnce(Done) -> Order) -> Result<(), AuditError> {
        let (done, answer) = oneshot::channel();
        self.orders.send(order(done)).map_err(|_| AuditError::Ended)?;
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer.unwrap_or(Err(AuditError::Ended)),
            Err(_) => Err(AuditError::Silent),
        }
    }
}

/// Who writes.
struct Scribe {
    trail: Trail,
    fsync: Fsync,
    /// The interval at which it is logged where the chain is: whoever keeps the log can tell later that its end is
    /// missing.
    said_every: Duration,
    /// Since when there are lines that the disk may not have.
    unsafe_since: Option<Instant>,
    /// Lines that nobody waits for, and that could not be written yet.
    owed: Vec<New>,
    /// When it was said where the chain is, and how many lines it had.
    said: Option<(Instant, u64)>,
    fresh: Fresh,
    metrics: Arc<Metrics>,
    shown: Arc<Mutex<Shown>>,
}

impl Scribe {
    fn run(mut self, orders: &Receiver<Order>) {
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
        let said = if self.owed.is_empty() { said } else { said.min(OWED_AGAIN) };
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
            // Whoever has moved the file away may have forgotten to say so.
            self.follow();
            self.say();
        }
    }

    fn obey(&mut self, orders: Vec<Order>) {
        let (mut lines, mut dones, mut owed, mut others) = (vec![], vec![], vec![], vec![]);
        for order in orders {
            match order {
                // Whoever does not wait any more comes again with it, or owes it.
                Order::Append(line, done) if !done.is_closed() => {
                    lines.push(line);
                    dones.push(done);
                }
                Order::Append(..) => {}
                Order::Owe(entry, written) => {
                    owed.push(New { at: (self.fresh)().0, entry, written });
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
        if !self.owed.is_empty() {
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

    /// Adds these lines, and before them those that are owed.
    fn append(&mut self, lines: &[New]) -> Result<(), AuditError> {
        let owed = std::mem::take(&mut self.owed);
        let open: Vec<&New> =
            owed.iter().chain(lines).filter(|line| !line.written.is_true()).collect();
        if open.is_empty() {
            return Ok(());
        }
        let appended = self.append_open(open.iter().map(|line| (line.at, line.entry.as_str())));
        match appended {
            Ok(()) => open.iter().for_each(|line| line.written.set()),
            Err(_) => self.owed = owed,
        }
        self.show(appended.as_ref().err());
        appended
    }

    fn append_open<'a>(
        &mut self,
        entries: impl Iterator<Item = (DateTime<Utc>, &'a str)>,
    ) -> Result<(), AuditError> {
        // What was not safe when it should have been is made so first, or nothing goes on.
        let before = if self.is_failing() { self.make_safe() } else { Ok(()) };
        let safe = self.fsync == Fsync::Always;
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
        if let Err(error) = self.make_safe().and_then(|()| {
            if self.trail.follow((self.fresh)().0)? {
                tracing::info!("the audit trail goes on in another file");
            }
            Ok(())
        }) {
            tracing::error!(%error, "the audit trail does not follow its path");
        }
        if !self.is_failing() {
            self.show(None);
        }
    }

    fn is_failing(&self) -> bool {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).failure.is_some()
    }

    /// Shows where the chain is, and why nothing can be written if that is so.
    fn show(&self, error: Option<&AuditError>) {
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
    }
}

/// What is left of `interval` since then.
fn left(since: Instant, interval: Duration) -> Duration {
    interval.saturating_sub(since.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrecy::Seal;
    use crate::settings::Timings;
    use tempfile::TempDir;

    fn settings(folder: &TempDir, fsync: Fsync) -> settings::Audit {
        let timings =
            Timings { audit_line: Duration::from_secs(7), audit_head: HOUR, ..Timings::default() };
        let [path, by_hand] = ["audit.jsonl", "by-hand.jsonl"].map(|it| folder.path().join(it));
        settings::Audit { path, by_hand, key_file: None, seal: Seal::default(), fsync, timings }
    }

    fn fresh() -> (DateTime<Utc>, Uuid) {
        (DateTime::UNIX_EPOCH, Uuid::nil())
    }

    const HOUR: Duration = Duration::from_hours(1);
    const ENTRY: &str = r#"{"kind":"k"}"#;

    fn line(written: &Written) -> New {
        New { at: fresh().0, entry: ENTRY.to_owned(), written: written.clone() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_is_silent_and_a_thread_that_is_gone_are_told_apart_and_not_waited_for() {
        let (orders, received) = channel();
        let shown = Shown { head: Head::new(Uuid::nil()), failure: None, owed: 0 };
        let shown = Arc::new(Mutex::new(shown));
        let audit = Audit { orders, shown, patience: Duration::from_secs(30) };
        let (at, entry) = (DateTime::UNIX_EPOCH, ENTRY.to_owned());
        let written = Written::default();
        let append = |entry| audit.append(at, entry, &written);
        assert!(matches!(append(entry.clone()).await, Err(AuditError::Silent)));
        assert!(matches!(audit.sync().await, Err(AuditError::Silent)));
        assert_eq!(received.try_iter().count(), 2);
        drop(received);
        assert!(matches!(append(entry).await, Err(AuditError::Ended)));
    }

    #[test]
    fn a_line_is_waited_for_as_long_as_the_timings_say() {
        let folder = TempDir::new().unwrap();
        let settings = settings(&folder, Fsync::Always);
        let audit = Audit::start(&settings, Box::new(fresh), Arc::new(Metrics::new("test")));
        assert_eq!(audit.unwrap().patience, Duration::from_secs(7));
    }

    #[test]
    fn a_line_is_safe_before_it_counts_as_written_unless_there_is_an_interval() {
        for (fsync, is_safe) in [(Fsync::Always, true), (Fsync::Every(HOUR), false)] {
            let folder = TempDir::new().unwrap();
            let settings::Audit { path, seal, timings, .. } = settings(&folder, fsync);
            let trail = Trail::open(&path, seal, fresh(), Opening::ToStay).unwrap();
            let shown = Shown { head: trail.head().clone(), failure: None, owed: 0 };
            let mut scribe = Scribe {
                trail,
                fsync,
                said_every: timings.audit_head,
                unsafe_since: None,
                owed: Vec::new(),
                said: None,
                fresh: Box::new(fresh),
                metrics: Arc::new(Metrics::new("test")),
                shown: Arc::new(Mutex::new(shown)),
            };
            let (done, mut answer) = oneshot::channel();
            scribe.obey(vec![Order::Append(line(&Written::default()), done)]);
            answer.try_recv().unwrap().unwrap();
            assert_eq!(scribe.unsafe_since.is_none(), is_safe, "{fsync:?}");
        }
    }
}
