//! The tests of the whole: pure parts by tables and golden files, edges against the fake vendor over
//! real HTTP and a real broker, the real binary under signals.

#![expect(unreachable_pub, reason = "everything in a test binary is unreachable from outside")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use test_support as support;

mod broker;
mod cli;
mod daemon;
mod event;
mod faults;
mod house;
mod settings;
mod telemetry;
mod vendor;
mod verdict;
