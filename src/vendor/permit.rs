//! Waits until the policy allows one more command.

use super::command_limit::{Full, Permit, Turn};
use super::vendor::{Effort, Vendor};
use crate::command::{Command, Rule};
use crate::verdict::{Conclusion, Hop};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

impl Vendor {
    /// Lets one command of the operation through, as soon as the policy allows. A short wait is waited for here, so
    /// that a lane keeps the rate of a short window.
    ///
    /// # Errors
    ///
    /// The conclusion of a command that has to wait for longer, or whose time is over.
    pub(super) async fn permit(
        &self,
        command: &Command,
        effort: Effort<'_>,
        ended: &CancellationToken,
    ) -> Result<Permit<'_>, Conclusion> {
        let (most, [shortest, ..]) = (self.guards.max_commands, Hop::ALL);
        let (operation, text) = (command.operation(), command.call().body);
        let limit = self.command_limits.of(operation);
        let mut turn = None;
        loop {
            // From before it is looked at, so that no end of a command is missed.
            let one_ended = limit.ended.notified();
            let now = Instant::now();
            let full = match limit.take(&text, most, now) {
                Ok(permit) => {
                    drop(turn);
                    self.metrics.limited(operation.event_type(), limit.is_waited_for());
                    return Ok(permit);
                }
                Err(full) => full,
            };
            if ended.is_cancelled() || self.is_replaced() {
                return Err(Conclusion::Stopped);
            }
            if now >= effort.deadline {
                return Err(Conclusion::OutOfTime);
            }
            let until = match full {
                Full::For(wait) => {
                    self.metrics.limited(operation.event_type(), true);
                    let before = if turn.is_none() { limit.queue(most) } else { Duration::ZERO };
                    let wait = wait + before;
                    if wait > shortest.delay {
                        self.metrics.decided(Rule::MaxCommands);
                        return Err(Conclusion::Limited(wait));
                    }
                    turn.get_or_insert_with(|| Turn::take(limit));
                    (now + wait).min(effort.deadline)
                }
                Full::WhileUnderWay => effort.deadline,
            };
            tokio::select! {
                () = ended.cancelled() => {}
                () = self.tenant.replaced.cancelled() => {}
                () = one_ended => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }
}
