//! The story: sessions with the broker, lanes, and one message after the other.
//!
//! In come the settings and a stop. Out come effects at the vendor and settled messages. [`run`] gives
//! each lane its sessions until a stop; a lane consumes and pauses, a worker carries each message from its delivery
//! to its settlement. The rooms below decide and act; here stands in which order.

mod control;
mod daemon;
mod deciding;
mod depths;
mod drain;
mod hand;
mod in_work;
mod judging;
mod lane;
mod message;
mod obstacle;
mod pause;
mod policies;
mod reload;
mod session;
mod settling;
mod signals;
mod supervisor;
mod worker;

pub use control::{Answer, LaneAnswer, Order};
pub use daemon::{DaemonError, Process, run};
pub use reload::Reload;
pub use signals::Signals;
