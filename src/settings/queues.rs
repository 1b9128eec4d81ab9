//! What is needed to work on queues and events by hand.

use super::amqp::Amqp;
use super::contract::Contract;
use super::mistake::Mistake;
use super::reader::Reader;
use super::settings::{LaneSettings, lanes};
use super::source::{Given, Sources};

/// What is needed to work on queues and events by hand: nothing of it is the vendor's.
#[derive(Clone, Debug)]
pub struct Queues {
    /// The broker.
    pub amqp: Amqp,
    /// Every lane.
    pub lanes: Vec<LaneSettings>,
    /// What events mean.
    pub contract: Contract,
}

impl Queues {
    /// Reads what this process's settings say of queues, whatever else is missing there.
    ///
    /// # Errors
    ///
    /// All mistakes that concern it, and keys that there are not.
    pub fn of_process(given: Given) -> Result<Queues, Vec<Mistake>> {
        let mut reader = Reader::new(Sources::of_process(given));
        let amqp = Amqp::read(&mut reader);
        let lanes = lanes(&mut reader, &amqp.dead_letter_queue);
        let contract = Contract::of(&mut reader);
        reader.finish(Queues { amqp, lanes, contract })
    }
}
