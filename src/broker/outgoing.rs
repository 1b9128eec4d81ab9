//! The channels of a publisher: those that are free, and those whose copies are not confirmed yet.

use super::publication::Sent;
use lapin::{Channel, PublisherConfirm};

/// Copies for one place that are not confirmed in time at most: each keeps a channel, of which a broker grants about
/// 2,000. No other copy is sent there before one of them is confirmed.
pub(super) const MOST_LATE: usize = 64;

/// Channels that are kept for the next copies.
const MOST_CHANNELS: usize = 4;

/// What a publisher publishes on.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// Channels without a copy.
    channels: Vec<Channel>,
    /// Copies of deliveries whose confirms did not come in time. Each keeps its channel, so that its confirm is never
    /// taken for another one's, and is waited for once more before the copy is sent again.
    /// They are copies of deliveries in work, so few that they are searched one by one.
    late: Vec<(Sent, Channel, PublisherConfirm)>,
}

impl Outgoing {
    /// Keeps a channel for the next copy. One too many is closed by lapin, as its last handle goes.
    pub(super) fn keep(&mut self, channel: Channel) {
        if self.channels.len() < MOST_CHANNELS {
            self.channels.push(channel);
        }
    }

    /// A channel that the broker has not closed meanwhile.
    pub(super) fn take_channel(&mut self) -> Option<Channel> {
        self.channels.retain(|channel| channel.status().connected());
        self.channels.pop()
    }

    /// Keeps a copy that is not confirmed in time, if it can be told from others: by its delivery.
    pub(super) fn keep_late(&mut self, sent: Sent, channel: Channel, confirm: PublisherConfirm) {
        if sent.of.is_some() {
            self.late.push((sent, channel, confirm));
        }
    }

    /// True where no other copy is sent to the same place before one of those that were is confirmed.
    pub(super) fn has_many_late(&self, sent: &Sent) -> bool {
        let same = |(late, ..): &&(Sent, Channel, PublisherConfirm)| late.place() == sent.place();
        self.late.iter().filter(same).count() >= MOST_LATE
    }

    /// Gives up the channels of copies of a delivery that is settled: nobody asks for them any more.
    pub(super) fn forget(&mut self, delivery: u64) {
        self.late.retain(|(late, ..)| late.of != Some(delivery));
    }

    /// The copy that was sent before and is not confirmed yet, if this is one.
    pub(super) fn take_late(&mut self, sent: &Sent) -> Option<(Channel, PublisherConfirm)> {
        let place = self.late.iter().position(|(late, ..)| late == sent)?;
        let (_, channel, confirm) = self.late.swap_remove(place);
        Some((channel, confirm))
    }
}
