//! Acks that are waiting at the same moment go to the broker as one, where the protocol can say so.
//!
//! An ack with the bit `multiple` covers every delivery of its channel up to a tag (AMQP 0-9-1, `basic.ack`). It is
//! used only when all of these are done: while one of them is still in work, or was given back in another way
//! and that is not on the wire yet, the others are acked one by one.

use super::connection::{BrokerError, lost};
use futures_util::future::join_all;
use lapin::Channel;
use lapin::options::BasicAckOptions;
use std::collections::BTreeSet;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Acks that go as one at most.
const MOST: usize = 1024;

/// Where what becomes of the deliveries of one channel is told.
#[derive(Clone, Debug)]
pub(super) struct Acks {
    tell: mpsc::UnboundedSender<Told>,
    /// Comes with the end of the connection.
    over: CancellationToken,
}

#[derive(Debug)]
enum Told {
    /// The broker handed out a delivery with this tag.
    HandedOut(u64),
    /// It was given back, and the broker knows.
    GivenBack(u64),
    /// It is done: whoever waits is told when the broker knows.
    Done(u64, oneshot::Sender<Result<(), BrokerError>>),
}

/// One `basic.ack`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ack {
    tag: u64,
    multiple: bool,
}

impl Acks {
    /// Begins to ack deliveries of `channel`, until `over`.
    pub(super) fn of(channel: Channel, over: CancellationToken) -> Acks {
        let (tell, told) = mpsc::unbounded_channel();
        let until = over.clone();
        tokio::spawn(async move { until.run_until_cancelled(send(channel, told)).await });
        Acks { tell, over }
    }

    /// Waits for something of the same connection, but not beyond its end: lapin leaves an ack pending for ever that
    /// was on its way to the connection when that failed.
    pub(super) async fn until_over<T>(&self, something: impl Future<Output = T>) -> Option<T> {
        self.over.run_until_cancelled(something).await
    }

    /// The broker handed out a delivery: it is told before anything else of it.
    pub(super) fn handed_out(&self, tag: u64) {
        self.tell(Told::HandedOut(tag));
    }

    /// The broker knows that a delivery is given back, in whatever way.
    pub(super) fn given_back(&self, tag: u64) {
        self.tell(Told::GivenBack(tag));
    }

    /// Acks a delivery: after `Ok` the broker has been told.
    ///
    /// # Errors
    ///
    /// [`BrokerError::SettleLost`] and [`BrokerError::Lost`]: the message comes again.
    pub(super) async fn ack(&self, tag: u64) -> Result<(), BrokerError> {
        let (done, known) = oneshot::channel();
        self.tell(Told::Done(tag, done));
        known.await.unwrap_or(Err(BrokerError::SettleLost))
    }

    fn tell(&self, told: Told) {
        // Nobody listens any more when the connection is over, and then nothing can be told.
        let _over = self.tell.send(told);
    }
}

async fn send(channel: Channel, mut told: mpsc::UnboundedReceiver<Told>) {
    let (mut open, mut news) = (BTreeSet::new(), Vec::new());
    while told.recv_many(&mut news, MOST).await > 0 {
        let mut done = Vec::new();
        for told in news.drain(..) {
            match told {
                Told::HandedOut(tag) => {
                    open.insert(tag);
                }
                Told::GivenBack(tag) => {
                    open.remove(&tag);
                }
                Told::Done(tag, waiting) => done.push((tag, waiting)),
            }
        }
        let acks = acks(&mut open, done.iter().map(|(tag, _)| *tag).collect());
        let sending = acks.iter().map(async |Ack { tag, multiple }| {
            channel.basic_ack(*tag, BasicAckOptions { multiple: *multiple }).await
        });
        let sent = join_all(sending).await;
        for (tag, waiting) in done {
            let covers = |ack: &Ack| ack.tag == tag || (ack.multiple && ack.tag > tag);
            let place = acks.iter().position(covers);
            let sent = place.map_or(Err(BrokerError::SettleLost), |place| match &sent[place] {
                Ok(()) => Ok(()),
                Err(error) => Err(lost(error.clone())),
            });
            // Whoever waited may have been given up.
            let _nobody = waiting.send(sent);
        }
    }
}

/// The fewest acks that cover exactly those of the `open` deliveries that are `done`, which are not open any more.
fn acks(open: &mut BTreeSet<u64>, mut done: BTreeSet<u64>) -> Vec<Ack> {
    done.retain(|tag| open.remove(tag));
    let first_open = open.first().copied().unwrap_or(u64::MAX);
    let one_by_one = done.split_off(&first_open);
    let together = done.last().map(|tag| Ack { tag: *tag, multiple: done.len() > 1 });
    let alone = one_by_one.into_iter().map(|tag| Ack { tag, multiple: false });
    together.into_iter().chain(alone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    impl Acks {
        /// For deliveries that nobody settles.
        pub(in crate::broker) fn of_no_channel() -> Acks {
            Acks { tell: mpsc::unbounded_channel().0, over: CancellationToken::new() }
        }
    }

    #[test]
    fn all_that_are_done_before_the_first_open_one_are_acked_at_once() {
        let mut open = (1..=6).collect();
        let done = BTreeSet::from([1, 2, 3, 5]);
        let expected = [Ack { tag: 3, multiple: true }, Ack { tag: 5, multiple: false }];
        assert_eq!(acks(&mut open, done), expected);
        assert_eq!(open, BTreeSet::from([4, 6]));
    }

    #[test]
    fn one_alone_is_acked_alone() {
        assert_eq!(
            acks(&mut BTreeSet::from([7]), BTreeSet::from([7])),
            [Ack { tag: 7, multiple: false }]
        );
        assert_eq!(acks(&mut BTreeSet::from([7]), BTreeSet::new()), []);
    }

    /// What a broker takes for acked, of deliveries that it has handed out and not settled.
    fn settle(unsettled: &mut BTreeSet<u64>, Ack { tag, multiple }: Ack) -> BTreeSet<u64> {
        assert!(unsettled.contains(&tag), "the broker ends the channel over an unknown tag");
        let settled = unsettled.iter().filter(|it| **it == tag || (multiple && **it < tag));
        let settled: BTreeSet<u64> = settled.copied().collect();
        unsettled.retain(|tag| !settled.contains(tag));
        settled
    }

    proptest! {
        #[test]
        fn the_broker_settles_what_is_done_and_nothing_else(
            steps in prop::collection::vec((1_u64..8, any::<prop::sample::Index>(), any::<bool>()), 1..40),
        ) {
            let (mut next, mut open, mut unsettled) = (1, BTreeSet::new(), BTreeSet::new());
            for (handed_out, chosen, some) in steps {
                open.extend(next..next + handed_out);
                unsettled.extend(next..next + handed_out);
                next += handed_out;
                let all: Vec<u64> = open.iter().copied().collect();
                let from = chosen.index(all.len());
                let done: BTreeSet<u64> =
                    if some { all[from..].iter().step_by(2).copied().collect() } else { all[..=from].iter().copied().collect() };
                let mut settled = BTreeSet::new();
                for ack in acks(&mut open, done.clone()) {
                    settled.extend(settle(&mut unsettled, ack));
                }
                prop_assert_eq!(settled, done);
                prop_assert_eq!(&open, &unsettled);
            }
        }
    }
}
