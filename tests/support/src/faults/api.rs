//! The API in a scene: healthy, or with a fault.

use super::message::{AMBIGUOUS_NAME, GROUPS, Kind, Message};
use super::scene::Scene;
use fake_mimecast::{Fault, FaultKind};
use std::time::Duration;

/// The calls that a healthy API accepts, and in which time: more than the daemon ever makes.
const QUOTA: (u64, Duration) = (5_000, Duration::from_secs(1));

impl Scene {
    /// The API has all groups.
    pub(super) fn prepare_groups(&self) {
        for group in GROUPS {
            self.fake.name_group(group, &format!("Group {group}"));
        }
        self.fake.name_group("twin-1", AMBIGUOUS_NAME);
        self.fake.name_group("twin-2", AMBIGUOUS_NAME);
    }

    /// The API has all that `message` is about.
    pub(super) fn prepare(&self, message: &Message) {
        if !message.kind.may_be_applied() {
            return;
        }
        match (message.kind, message.is_unblocking()) {
            (Kind::Url, _) => message.items().iter().for_each(|id| {
                self.fake.add_managed_url(id, &message.url(), "block", "explicit");
            }),
            (_, true) => message.items().iter().for_each(|id| self.fake.add_url(id)),
            (_, false) => message
                .groups()
                .iter()
                .for_each(|group| self.fake.add_member(group, &message.member())),
        }
    }

    /// Nothing is wrong with the API, except for what the kind of a message brings with it.
    pub fn api_well(&self) {
        self.fake.refuse_credentials(false);
        self.fake.limit(QUOTA.0, QUOTA.1);
        self.fake.inject_instead(nature());
    }

    /// From now on this happens to every call.
    pub fn api(&self, kind: FaultKind) {
        let executes = matches!(kind, FaultKind::Delay { .. } | FaultKind::LoseReply);
        let fault = [Fault::always(kind)];
        // What is refused by nature must not be carried out because of a fault.
        match executes {
            true => self.fake.inject_instead(nature().into_iter().chain(fault)),
            false => self.fake.inject_instead(fault.into_iter().chain(nature())),
        }
    }
}

/// The answers that some messages get because of their kind.
pub(super) fn nature() -> [Fault; 2] {
    let refusal = Fault::always(FaultKind::fail("err_validation_ordered"));
    let failure = Fault::always(FaultKind::status(503));
    [
        refusal.for_item_containing(Kind::Refused.label()),
        failure.for_item_containing(Kind::Poison.label()),
    ]
}
