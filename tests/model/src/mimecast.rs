//! What Mimecast does.

use crate::job::Item;
use crate::protocol::Protocol;
use crate::state::State;
use mimecast_eventd::verdict::{Fault, Health, Outcome};
use std::time::Duration;

/// How Mimecast is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mimecast {
    /// It does what it is asked for.
    Well,
    /// It fails at every call.
    Down,
    /// It answers health calls, and fails at every other call.
    HalfDown,
}

impl State {
    /// Mimecast does what it is called for, or does not, and says so to a replica, unless the reply is lost.
    pub fn call(
        &mut self,
        protocol: &Protocol,
        replica: usize,
        item: Item,
        is_lost: bool,
    ) -> Outcome {
        let quota = self.replicas[replica].quota;
        self.count_call(protocol, replica);
        let outcome = match item {
            _ if self.mimecast != Mimecast::Well => Outcome::Unavailable(fault()),
            Item::Good(_) if self.open.remove(&item) => Outcome::Applied,
            Item::Good(_) => Outcome::NotFound,
            Item::Poison(_) => Outcome::Unavailable(fault()),
            Item::Refused => Outcome::Forbidden(fault()),
        };
        let here = &mut self.replicas[replica];
        if is_lost {
            here.quota = quota;
            return Outcome::Unavailable(fault());
        }
        let is_answer = matches!(outcome, Outcome::Applied | Outcome::NotFound);
        here.knows_an_answer |= protocol.forbids_health && is_answer;
        outcome
    }

    /// Mimecast says to wait.
    pub fn throttle(&mut self, replica: usize) -> Outcome {
        let quota = &mut self.replicas[replica].quota;
        *quota = quota.close();
        Outcome::Throttled(Duration::from_secs(1))
    }

    /// What Mimecast says to a health call.
    pub fn health(&mut self, protocol: &Protocol, replica: usize) -> Health {
        self.count_call(protocol, replica);
        match (self.mimecast, protocol.forbids_health) {
            (Mimecast::Down, _) => Health::NotAnswered(fault()),
            (Mimecast::Well | Mimecast::HalfDown, false) => Health::Answered,
            (..) if self.replicas[replica].knows_an_answer => Health::Unclear(fault()),
            (..) => Health::Forbidden(fault()),
        }
    }

    /// One call less is left in the window, and the reply says so.
    fn count_call(&mut self, protocol: &Protocol, replica: usize) {
        let Some(limit) = protocol.window else { return };
        let quota = &mut self.replicas[replica].quota;
        if let Some(taken) = quota.take(limit) {
            *quota = taken;
        }
        if self.mimecast != Mimecast::Down {
            self.window = self.window.saturating_sub(1);
            *quota = quota.learn(limit, self.window);
        }
    }
}

/// Nothing is decided by its words.
pub(crate) fn fault() -> Fault {
    Fault { code: String::new(), detail: String::new() }
}
