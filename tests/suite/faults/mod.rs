//! The promise under faults: every published message ends applied and acked, in the dead-letter
//! queue with a reason, or still queued, whatever fails and whenever.
//!
//! Each test of a row brings about one fault against a real broker, the real binary and the fake
//! vendor, with a relay on either side of the daemon. A ledger of the run then says in which
//! place each message is: none may be lost, and none may be where it has no business to be.
//! The tests of a node that stops or is short of memory are in `broker::node`: they take turns, and begin early.
//! `cargo xtask faults` runs the rows and writes `docs/faults.md` from what they report.

use crate::support::faults::{op, scene};

mod cluster;
mod large;
mod link;
mod pairs;
mod process;
mod random;
pub mod report;
mod rows;
mod single;
