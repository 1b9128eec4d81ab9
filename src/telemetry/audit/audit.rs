//! Writes the audit trail of the daemon, in a thread of its own: what comes while the disk is busy is
//! written at one stroke.

use super::error::AuditError;
use super::order::{Done, Fresh, New, Order, Shown};
use super::scribe::Scribe;
use super::trail::{Opening, Trail};
use super::written::Written;
use crate::settings;
use crate::telemetry::Metrics;
use chrono::{DateTime, Utc};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The audit trail of the daemon.
#[derive(Debug)]
pub struct Audit {
    orders: Sender<Order>,
    shown: Arc<Mutex<Shown>>,
    /// Maximum time until a line is written.
    patience: Duration,
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
        let mut scribe = Scribe {
            trail,
            fsync: settings.fsync,
            said_every: settings.timings.audit_head,
            unsafe_since: None,
            owed: Vec::new(),
            unwritable_since: None,
            said: None,
            by_hand: (settings.by_hand.clone(), settings.by_hand_seal.clone()),
            by_hand_said: 0,
            fresh,
            metrics,
            shown: Arc::clone(&shown),
        };
        scribe.show(None);
        std::thread::spawn(move || scribe.run(&received));
        Ok(Audit { orders, shown, patience: settings.timings.audit_line })
    }

    /// Adds a line for each of `entries`, objects in JSON, and waits until they are `written`, all or none.
    ///
    /// # Errors
    ///
    /// [`AuditError`]; then it is not there, or is written by now where the disk was [silent](AuditError::Silent).
    pub async fn append(
        &self,
        at: DateTime<Utc>,
        entries: Vec<String>,
        written: &Written,
    ) -> Result<(), AuditError> {
        let written = written.clone();
        self.ask(|done| Order::Append(New { at, entries, written }, done)).await
    }

    /// Adds lines as well, without waiting for them: they are tried until they are `written`.
    pub fn owe(&self, entries: Vec<String>, written: &Written) {
        // Without the thread every line fails, which is said where that happens.
        let _sent = self.orders.send(Order::Owe(entries, written.clone()));
    }

    /// Whether lines can be written, as far as was seen. While they cannot, that is tried again each second.
    pub fn is_writable(&self) -> bool {
        self.with_shown(|shown| shown.failure.is_none())
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
        self.with_shown(|shown| shown.clone())
    }

    async fn ask(&self, order: impl FnOnce(Done) -> Order) -> Result<(), AuditError> {
        let (done, answer) = oneshot::channel();
        self.orders.send(order(done)).map_err(|_| self.failed(AuditError::Ended))?;
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer.unwrap_or_else(|_| Err(self.failed(AuditError::Ended))),
            Err(_) => Err(self.failed(AuditError::Silent)),
        }
    }

    /// The thread that writes cannot say this itself.
    fn failed(&self, error: AuditError) -> AuditError {
        self.with_shown(|shown| shown.failure.get_or_insert_with(|| error.to_string()).len());
        error
    }

    fn with_shown<T>(&self, with: impl FnOnce(&mut Shown) -> T) -> T {
        with(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::Head;
    use super::*;
    use crate::secrecy::Seal;
    use crate::settings::{Fsync, Timings};
    use tempfile::TempDir;
    use uuid::Uuid;

    fn settings(folder: &TempDir, fsync: Fsync) -> settings::Audit {
        let timings =
            Timings { audit_line: Duration::from_secs(7), audit_head: HOUR, ..Timings::default() };
        let [path, by_hand] = ["audit.jsonl", "by-hand.jsonl"].map(|it| folder.path().join(it));
        let (seal, by_hand_seal) = (Seal::default(), Seal::default());
        settings::Audit { path, by_hand, key_file: None, seal, by_hand_seal, fsync, timings }
    }

    fn fresh() -> (DateTime<Utc>, Uuid) {
        (DateTime::UNIX_EPOCH, Uuid::nil())
    }

    const HOUR: Duration = Duration::from_hours(1);
    const ENTRY: &str = r#"{"kind":"k"}"#;

    fn line(written: &Written) -> New {
        New { at: fresh().0, entries: vec![ENTRY.to_owned()], written: written.clone() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_is_silent_and_a_thread_that_is_gone_are_told_apart_and_not_waited_for() {
        let (orders, received) = channel();
        let shown = Shown { head: Head::new(Uuid::nil()), failure: None, owed: 0 };
        let shown = Arc::new(Mutex::new(shown));
        let audit = Audit { orders, shown, patience: Duration::from_secs(30) };
        let (at, entry) = (DateTime::UNIX_EPOCH, vec![ENTRY.to_owned()]);
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
                unwritable_since: None,
                said: None,
                by_hand: (path, Seal::default()),
                by_hand_said: 0,
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
