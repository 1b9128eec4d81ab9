//! The tests of the whole: pure parts by tables and golden files, edges against the fake vendor over
//! real HTTP and a real broker, the real binary under signals.

#![expect(unreachable_pub, reason = "everything in a test binary is unreachable from outside")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod support;

mod architecture;
mod check;
mod delivery;
mod faults;
mod golden;
mod held;
mod history;
mod killed;
mod log;
mod outage;
mod probing;
mod process;
mod promises;
mod quota;
mod readme;
mod replies;
mod session;
mod settings;
mod settling;
mod signing;
mod telemetry;
mod tls;
mod topology;
mod vendor;
mod verdict;
mod verdict_properties;
