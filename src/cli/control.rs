//! `pause` and `resume`: says to the daemon on this machine what a person wants, over its socket.

use super::terminal::{OutputError, say, say_json, table, tell};
use crate::daemon::{Answer, LaneAnswer, Order};
use crate::settings::Control;
use crate::telemetry::AuditError;
use crate::telemetry::audit::{Action, ByHand};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody is there, or nobody who answers.
    #[error(
        "no daemon answers at {}: {cause}; it has to run on this machine, as the same user, with the same \
         control.socket",
        path.display()
    )]
    Unreachable {
        /// The path of the socket.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// The daemon would not do it.
    #[error("the daemon says: {0}")]
    Refused(String),
    /// What is done cannot be written down.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What was done cannot be told.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Gives the order, tells it to `by_hand`, and says what came of it.
///
/// # Errors
///
/// [`ControlError`].
pub fn run(
    control: &Control,
    order: &Order,
    by_hand: Option<&ByHand>,
    json: bool,
) -> Result<(), ControlError> {
    by_hand.map_or(Ok(()), ByHand::begin)?;
    let unreachable = |cause| ControlError::Unreachable { path: control.path.clone(), cause };
    let Answer { lanes, error } = ask(control, order).map_err(unreachable)?;
    if let Some(error) = error {
        return Err(ControlError::Refused(error));
    }
    for LaneAnswer { lane, state, .. } in lanes.iter().filter(|it| it.changed) {
        let action = match order.pause {
            true => Action::Paused { lane, state },
            false => Action::Resumed { lane, state },
        };
        by_hand.map_or(Ok(()), |by_hand| by_hand.tell(&action))?;
    }
    show(&lanes, json)?;
    if order.pause {
        tell("this replica only, as long as it runs; what is in work is finished");
    } else if !lanes.iter().any(|lane| lane.changed || lane.state.contains("paused")) {
        tell("no lane was paused by hand");
    }
    Ok(())
}

fn show(lanes: &[LaneAnswer], json: bool) -> Result<(), OutputError> {
    if json {
        for lane in lanes {
            say_json(lane)?;
        }
        return Ok(());
    }
    let rows = lanes.iter().map(|it| vec![it.lane.clone(), it.state.clone()]);
    say(&table(&["LANE", "STATE"], rows))
}

fn ask(control: &Control, order: &Order) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(&control.path)?;
    stream.set_read_timeout(Some(control.timings.control_reply))?;
    stream.set_write_timeout(Some(control.timings.control_reply))?;
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    Ok(serde_json::from_str(&answer)?)
}
