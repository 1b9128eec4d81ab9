//! The socket by which people on the same machine pause and resume lanes: one request a connection, one
//! line each way, in JSON. Its file's permissions say who may: the user of the process.

use super::hand::{HandPause, Hands};
use crate::event::EventType;
use crate::secrecy::redact;
use crate::settings::Control;
use crate::telemetry::{LaneState, Readiness};
use crate::vendor::Stamp;
use chrono::TimeDelta;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::fs::{DirBuilder, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

/// Bytes of a request; one with the longest reason has a few hundred.
const MOST_BYTES: u64 = 16 * 1024;

/// What a lane says that goes on.
pub(super) const RESUMED: &str = "resumed";

/// What a person wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Pause, or else resume.
    pub pause: bool,
    /// The lane, by the name of its event; all of them if it does not say.
    pub lane: Option<String>,
    /// For how long, in seconds.
    pub seconds: Option<u64>,
    /// What is said about it, for whoever finds it paused.
    pub why: Option<String>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// What the lanes are now, or nothing when it was not understood.
    pub lanes: Vec<LaneAnswer>,
    /// Why nothing was done.
    pub error: Option<String>,
}

/// What a lane is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneAnswer {
    /// The name of its event.
    pub lane: String,
    /// In words.
    pub state: String,
    /// Whether this has changed anything.
    pub changed: bool,
}

impl LaneAnswer {
    fn is_paused(&self) -> bool {
        self.state.starts_with(LaneState::Paused.label())
    }
}

/// The socket, there and not yet answered.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    /// Maximum time for a request.
    patience: Duration,
    /// The user of the process.
    user: u32,
}

/// The file of the socket; it goes when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Held for as long as the socket is ours.
    _lock: File,
}

impl Socket {
    /// Makes the socket. One of a process that is over is replaced.
    ///
    /// # Errors
    ///
    /// When another process holds it, its folder does not allow it, or its path is that of another kind of file.
    pub(super) fn bind(control: &Control) -> io::Result<(Socket, SocketFile)> {
        let path = control.path.clone();
        if let Some(folder) = path.parent().filter(|_| !control.is_set) {
            // Whatever the umask is: in a folder of others the socket could be exchanged.
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        if std::fs::symlink_metadata(&path).is_ok_and(|it| !it.file_type().is_socket()) {
            return Err(io::Error::other("there is a file that is no socket"));
        }
        // Never cut short: whoever owns the folder may have put a link there. And not for others, who could hold it.
        let mut options = File::options();
        options.write(true).create(true).truncate(false).mode(0o600);
        let lock = options.open(beside(&path, ".lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::other("another process holds it"),
            TryLockError::Error(error) => error,
        })?;
        // Under another name at first, so that nobody else can connect before it is closed to others.
        let fresh = beside(&path, ".new");
        remove(&fresh)?;
        let listener = UnixListener::bind(&fresh)?;
        std::fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
        let user = std::fs::metadata(&fresh)?.uid();
        std::fs::rename(&fresh, &path)?;
        let socket = Socket { listener, patience: control.timings.control_request, user };
        Ok((socket, SocketFile { path, _lock: lock }))
    }

    /// Does what people want, for as long as the process lives.
    pub(super) async fn serve(
        self,
        hands: Arc<Hands>,
        readiness: Arc<Readiness>,
        fresh: fn() -> Stamp,
    ) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if !self.is_allowed(&stream) => {
                    tracing::warn!("another user connected to the control socket; refused");
                }
                Ok((stream, _)) => {
                    let (hands, readiness) = (Arc::clone(&hands), Arc::clone(&readiness));
                    let patience = self.patience;
                    tokio::spawn(async move {
                        // Of all the time, some is left to send the answer.
                        let answering = answer(stream, (&hands, &readiness), patience / 2, fresh);
                        let _gone = tokio::time::timeout(patience, answering).await;
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "somebody could not reach the control socket");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Socket {
    /// True for the user of the process and for root, also where somebody has opened the file to others.
    fn is_allowed(&self, stream: &UnixStream) -> bool {
        stream.peer_cred().is_ok_and(|peer| peer.uid() == self.user || peer.uid() == 0)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The next one replaces it in any case.
        let _left_behind = std::fs::remove_file(&self.path);
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn answer(
    stream: UnixStream,
    (hands, readiness): (&Arc<Hands>, &Readiness),
    patience: Duration,
    fresh: fn() -> Stamp,
) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(MOST_BYTES).read_line(&mut line).await?;
    let answer = match serde_json::from_str::<Order>(&line) {
        Ok(order) => match obey(&order, hands, readiness, fresh) {
            Ok(lanes) if order.pause => Answer { lanes, error: None },
            Ok(lanes) => Answer { lanes: prompt(lanes, hands, patience).await, error: None },
            Err(error) => Answer { lanes: Vec::new(), error: Some(error) },
        },
        Err(error) => Answer { lanes: Vec::new(), error: Some(error.to_string()) },
    };
    let mut text = serde_json::to_vec(&answer).expect("an answer is JSON");
    text.push(b'\n');
    stream.write_all(&text).await
}

/// Makes lanes ask at once that have paused themselves, and adds what came of it.
async fn prompt(lanes: Vec<LaneAnswer>, hands: &Hands, patience: Duration) -> Vec<LaneAnswer> {
    let prompting = lanes.into_iter().map(async |lane| {
        let paused = EventType::ALL.into_iter().find(|it| it.name() == lane.lane);
        let paused = paused.filter(|_| lane.is_paused());
        let Some(paused) = paused else { return lane };
        match hands.prompt(paused).ask(patience).await {
            Some(state) => LaneAnswer { changed: state == RESUMED, state, ..lane },
            None => lane,
        }
    });
    join_all(prompting).await
}

fn obey(
    order: &Order,
    hands: &Arc<Hands>,
    readiness: &Readiness,
    fresh: fn() -> Stamp,
) -> Result<Vec<LaneAnswer>, String> {
    let length = order.seconds.map(Duration::from_secs);
    let until = match length.map(TimeDelta::from_std) {
        Some(Ok(length)) => Some(fresh().at.checked_add_signed(length).ok_or("that is too long")?),
        Some(Err(_)) => return Err("that is too long".into()),
        None => None,
    };
    let lanes: Vec<EventType> = hands.lanes().collect();
    let lanes: Vec<EventType> = match order.lane.as_deref() {
        None => lanes,
        Some(name) => {
            let lane = lanes.iter().find(|lane| lane.name() == name);
            vec![*lane.ok_or_else(|| format!("this process has no lane {name:?}"))?]
        }
    };
    let why = order.why.as_deref().map(|why| redact::line(why, 256));
    Ok(lanes
        .into_iter()
        .map(|lane| {
            let pause = HandPause { until, why: why.clone() };
            let (state, changed) = if order.pause {
                let said = format!("paused {}", pause.said());
                hands.pause(lane, pause, length);
                (said, true)
            } else {
                let changed = hands.resume(lane);
                (readiness.of(lane).filter(|_| !changed).unwrap_or(RESUMED.into()), changed)
            };
            LaneAnswer { lane: lane.name().to_owned(), state, changed }
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Timings;
    use crate::telemetry::Metrics;

    /// A lane that consumes.
    fn lane() -> (Arc<Hands>, Arc<Readiness>) {
        let (lane, metrics) = (EventType::UrlUnblock, Arc::new(Metrics::new("")));
        let readiness = Readiness::new([lane], Arc::clone(&metrics));
        readiness.enter(lane, LaneState::Consuming, "");
        (Arc::new(Hands::new([lane].into_iter(), metrics)), Arc::new(readiness))
    }

    fn fresh() -> Stamp {
        Stamp { at: chrono::DateTime::UNIX_EPOCH, request_id: uuid::Uuid::nil() }
    }

    #[test]
    fn a_lane_that_a_person_resumed_is_said_to_be_resumed_and_another_to_be_what_it_is() {
        let (hands, readiness) = lane();
        for (pause, state, changed) in [
            (true, "paused by hand (until it is resumed or restarted; this replica only)", true),
            (false, "resumed", true),
            (false, "consuming", false),
        ] {
            let order = Order { pause, lane: None, seconds: None, why: None };
            let lane = EventType::UrlUnblock.name().to_owned();
            let expected = LaneAnswer { lane, state: state.to_owned(), changed };
            assert_eq!(obey(&order, &hands, &readiness, fresh), Ok(vec![expected]));
        }
    }

    #[tokio::test]
    async fn who_connects_and_says_nothing_is_not_listened_to_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let patience = Duration::from_millis(100);
        let timings = Timings { control_request: patience, ..Timings::default() };
        let control = Control { path: path.clone(), is_set: true, timings };
        let (socket, _file) = Socket::bind(&control).unwrap();
        let (hands, readiness) = lane();
        tokio::spawn(socket.serve(hands, readiness, fresh));
        let (mut silent, mut heard) = (UnixStream::connect(&path).await.unwrap(), Vec::new());
        let end = tokio::time::timeout(Duration::from_mins(1), silent.read_to_end(&mut heard));
        assert!(matches!(end.await, Ok(Ok(0))), "it still listens, or has answered: {heard:?}");
    }

    #[tokio::test]
    async fn an_order_has_16_kib_at_most() {
        let (folder, (hands, readiness)) = (tempfile::tempdir().unwrap(), lane());
        let path = folder.path().join("control.sock");
        let control = Control { path: path.clone(), is_set: true, timings: Timings::default() };
        let (socket, _file) = Socket::bind(&control).unwrap();
        tokio::spawn(socket.serve(hands, readiness, fresh));
        let answer = async |bytes: u64| {
            let order = r#"{"pause":true,"lane":null,"seconds":null,"why":null"#;
            let spaces = " ".repeat(bytes as usize - order.len() - 2);
            let mut stream = UnixStream::connect(&path).await.unwrap();
            stream.write_all(format!("{order}{spaces}}}\n").as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            serde_json::from_str::<Answer>(&answer).ok()?.lanes.pop()
        };
        assert!(answer(MOST_BYTES).await.is_some_and(|lane| lane.changed));
        // One more byte is the line break, and one more than that the end of the order.
        assert_eq!(answer(MOST_BYTES + 2).await, None);
    }
}
