//! The faults of a run, and when each comes: the same for one seed and length.

use test_support::faults::op::Op;

/// The part of the environment that a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Api,
    Broker,
    Operator,
}

/// The beginning of a fault.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// A fault as tests have them.
    Op(Op),
    /// The settings file has this text, and a reload has this result.
    Settings(&'static str, &'static str),
    /// `pause` with these arguments.
    Pause(&'static [&'static str]),
}

/// One fault that happened, in seconds since the run began.
#[derive(Debug)]
pub struct Spell {
    pub name: &'static str,
    pub cause: Cause,
    /// True if both lanes connect again because of it.
    pub reconnects: bool,
    pub begin: f64,
    pub end: f64,
    /// The moment when both lanes consumed and their queues were empty.
    pub well: f64,
}

/// One fault that can happen.
pub struct Kind {
    pub name: &'static str,
    pub cause: Cause,
    pub fault: Fault,
}

const fn api(name: &'static str, op: Op) -> Kind {
    Kind { name, cause: Cause::Api, fault: Fault::Op(op) }
}

const fn broker(name: &'static str, op: Op) -> Kind {
    Kind { name, cause: Cause::Broker, fault: Fault::Op(op) }
}

const fn operator(name: &'static str, fault: Fault) -> Kind {
    Kind { name, cause: Cause::Operator, fault }
}

/// Every fault.
static KINDS: [Kind; 20] = [
    api("API answers 503", Op::ApiDown),
    api("API refuses the credentials", Op::RefuseCredentials),
    api("API hangs", Op::ApiHangs),
    api("API answers without JSON", Op::ApiTalksGarbage),
    api("API answers 429", Op::ApiThrottles),
    api("API has a low rate limit", Op::ApiLimits),
    api("API drops replies", Op::ApiDropsReplies),
    api("API resets connections", Op::ApiResets),
    api("API link half-open", Op::FreezeApi),
    broker("broker connections cut", Op::CutBroker),
    broker("broker link half-open", Op::FreezeBroker),
    broker("broker not reachable", Op::RefuseBroker),
    broker("broker memory alarm", Op::BlockBroker),
    broker("broker restarted", Op::RestartBroker),
    broker("broker killed", Op::KillBroker),
    operator("other settings", Fault::Settings(OTHER_SETTINGS, "applied")),
    operator("low command limit", Fault::Settings(COMMAND_LIMIT, "applied")),
    operator("invalid settings", Fault::Settings(INVALID_SETTINGS, "refused")),
    operator("one lane paused", Fault::Pause(&["url.unblock"])),
    operator("all lanes paused", Fault::Pause(&[])),
];

const OTHER_SETTINGS: &str = "events.'user.offboarded'.prefetch = 8
policy.verify_effect = true
mimecast.group_cache = '2s'";
const COMMAND_LIMIT: &str = "policy.max_commands = 40\npolicy.window = '2s'";
const INVALID_SETTINGS: &str = "mimecast.group_cache = 'soon'";

impl Kind {
    /// True if both lanes connect again because of it, however short it is.
    pub fn reconnects(&self) -> bool {
        let Fault::Op(op) = self.fault else { return false };
        matches!(op, Op::CutBroker | Op::RefuseBroker | Op::RestartBroker | Op::KillBroker)
    }
}

/// A place in the schedule, in seconds since the run began.
pub struct Act {
    pub begin: f64,
    pub kind: &'static Kind,
    pub lasts: f64,
}

/// Seconds from one fault to the next, at least.
const SHORTEST: u32 = 16;

/// One fault in each minute of an hour. All faults come once in a round, and in each round in another
/// order, so that none is at the beginning or at the end only.
pub fn schedule(random: &mut Random, minutes: u32) -> Vec<Act> {
    let (period, mut round) = (minutes.max(SHORTEST), Vec::new());
    let slots = 1..(minutes * 60 / period).saturating_sub(1);
    slots
        .map(|slot| {
            if round.is_empty() {
                round = KINDS.iter().collect();
            }
            let kind = round.swap_remove(random.below(round.len()));
            // A little later or earlier, so that nothing that comes at whole minutes goes along with it.
            let shift = random.share() * f64::from(period) / 8.0;
            let begin = f64::from(slot * period) + shift;
            Act { begin, kind, lasts: 3.0 + 5.0 * random.share() }
        })
        .collect()
}

/// Random numbers of a seed (SplitMix64).
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.share() * bound as f64) as usize
    }

    /// A number from 0 to 1, without 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}
