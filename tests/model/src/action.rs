//! What happens next, in words.

use crate::job::Item;
use std::fmt;

/// The number of a lane.
pub(crate) type LaneNumber = usize;

/// Where a message in work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Seat {
    /// Among the others in work, at this place.
    Work(usize),
    /// The one message that a paused lane works on.
    Desk,
}

/// What happens next. Of a lane and the item it is about, where it is about one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// The daemon starts.
    Start,
    /// The broker hands out the next message.
    Deliver(LaneNumber, Item),
    /// The daemon sends a call, or finds that there is no time left for it when it stops.
    Send(LaneNumber, Seat, Item),
    /// The vendor's reply to a call arrives.
    Reply(LaneNumber, Seat, Item),
    /// The vendor's reply to a call of a session that is over arrives.
    ReplyTooLate(LaneNumber, usize, Item),
    /// The broker takes the copy that settling needs.
    Copy(LaneNumber, Seat, Item),
    /// The broker confirms that copy.
    Confirm(LaneNumber, Seat, Item),
    /// The broker is told what becomes of the message.
    Answer(LaneNumber, Seat, Item),
    /// The time on a rung is over.
    Expire(LaneNumber, usize, Item),
    /// A paused lane begins its next step.
    Wake(LaneNumber),
    /// It goes on.
    Resume(LaneNumber),
    /// The vendor is well again.
    Recover,
    /// The vendor's window is over.
    Renew,
    /// The daemon, told to stop, has nothing left in work.
    Exit,
    /// Something is published that the vendor can do.
    Arrive(LaneNumber),

    /// The daemon is killed.
    Crash,
    /// The daemon is told to stop.
    Stop,
    /// A lane's connection is lost, and is there again.
    Cut(LaneNumber),
    /// The vendor falls ill.
    Outage,
    /// The vendor answers 429.
    Throttle(LaneNumber, Seat, Item),
    /// The vendor does what it was asked for, and its reply is lost.
    LoseReply(LaneNumber, Seat, Item),
    /// The confirm of a copy does not come in time.
    Delay(LaneNumber, Seat, Item),
    /// The broker does not take a copy.
    Refuse(LaneNumber, Seat, Item),
    /// The time for a message in work is over before it could be sent.
    TimeOut(LaneNumber, Seat, Item),
    /// The suspect of a pause has been held for too long.
    HoldTooLong(LaneNumber, Item),
}

impl Action {
    /// Whether something goes wrong.
    pub fn is_fault(self) -> bool {
        matches!(
            self,
            Action::Crash
                | Action::Stop
                | Action::Cut(_)
                | Action::Outage
                | Action::Throttle(..)
                | Action::LoseReply(..)
                | Action::Delay(..)
                | Action::Refuse(..)
                | Action::TimeOut(..)
                | Action::HoldTooLong(..)
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Start => f.write_str("The daemon starts."),
            Action::Deliver(lane, item) => write!(f, "The broker hands out {item} to lane {lane}."),
            Action::Send(lane, _, item) => write!(f, "Lane {lane} asks the vendor for {item}."),
            Action::Reply(lane, _, item) => {
                write!(f, "The vendor's reply about {item} reaches lane {lane}.")
            }
            Action::ReplyTooLate(lane, _, item) => {
                write!(f, "The vendor's reply about {item} comes after the session of lane {lane}.")
            }
            Action::Copy(lane, _, item) => write!(f, "Lane {lane} publishes a copy of {item}."),
            Action::Confirm(lane, _, item) => {
                write!(f, "The broker confirms to lane {lane} the copy of {item}.")
            }
            Action::Answer(lane, _, item) => {
                write!(f, "Lane {lane} tells the broker what becomes of {item}.")
            }
            Action::Expire(lane, _, item) => {
                write!(f, "The delay is over: {item} is in the queue of lane {lane} again.")
            }
            Action::Wake(lane) => write!(f, "Paused lane {lane} begins its next step."),
            Action::Resume(lane) => write!(f, "Lane {lane} goes on."),
            Action::Recover => f.write_str("The vendor is well again."),
            Action::Renew => f.write_str("The vendor's window is over, and a new one begins."),
            Action::Exit => f.write_str("The daemon has finished and exits."),
            Action::Arrive(lane) => write!(f, "A good message is published for lane {lane}."),
            Action::Crash => f.write_str("FAULT: the daemon is killed."),
            Action::Stop => f.write_str("FAULT: the daemon is told to stop."),
            Action::Cut(lane) => {
                write!(f, "FAULT: lane {lane} loses its connection, and connects anew.")
            }
            Action::Outage => f.write_str("FAULT: the vendor falls ill."),
            Action::Throttle(lane, _, item) => {
                write!(f, "FAULT: the vendor tells lane {lane} to wait with {item}.")
            }
            Action::LoseReply(lane, _, item) => {
                write!(f, "FAULT: the vendor's reply about {item} to lane {lane} is lost.")
            }
            Action::Delay(lane, _, item) => {
                write!(f, "FAULT: the confirm of lane {lane} for {item} does not come in time.")
            }
            Action::Refuse(lane, _, item) => {
                write!(f, "FAULT: the broker does not take from lane {lane} the copy of {item}.")
            }
            Action::TimeOut(lane, _, item) => {
                write!(f, "FAULT: lane {lane} has no time left for {item}.")
            }
            Action::HoldTooLong(lane, item) => {
                write!(f, "FAULT: lane {lane} has held {item} for too long.")
            }
        }
    }
}
