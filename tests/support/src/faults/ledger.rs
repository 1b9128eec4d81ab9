//! The ledger of a run: what was published, and in which of the three places each message ended.

use super::message::{Kind, Message, command};
use crate::broker::Found;
use fake_mimecast::Call;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the vendor says of an item that is not there any more.
const GONE: [&str; 2] = ["err_managed_url_not_found", "err_folder_email_address_not_found"];

/// The items of health calls contain this.
const HEALTH_CALL: &str = "mimecast-eventd-health";

/// Everything that is known about the messages of one run.
#[derive(Debug, Default)]
pub struct Ledger {
    /// In the order of publishing, each confirmed by the broker.
    published: Vec<Message>,
    /// By the number of their message.
    dead_letters: BTreeMap<usize, Vec<DeadLetter>>,
    /// Dead letters of no message.
    unknown: Vec<String>,
    /// The numbers of the messages in the queue of a lane or of a delay.
    queued: BTreeSet<usize>,
    /// How often each item was carried out: at first for real, then as already gone.
    carried_out: BTreeMap<String, usize>,
    /// Health calls that were answered.
    health_calls: usize,
    violations: Vec<String>,
    /// What is wrong with the audit trail.
    pub trail: Vec<String>,
    /// Whether the broker itself may dead-letter, because deliveries reach their limit.
    pub broker_may_give_up: bool,
    /// How often work was interrupted: by the end of a session or of a daemon.
    pub interruptions: usize,
    /// How many calls the daemons know to have been carried out.
    pub answered: usize,
}

/// What one interruption can make happen twice: of each lane as many messages as are in work at
/// most, of each of these two commands.
const REPEATED_BY_AN_INTERRUPTION: usize = 2 * 16 * 2;

#[derive(Debug)]
struct DeadLetter {
    reason: String,
    by_the_broker: bool,
    is_unchanged: bool,
}

impl Ledger {
    /// The next message to publish is this one.
    pub fn next_number(&self) -> usize {
        self.published.len()
    }

    /// The broker has confirmed `message`.
    pub fn published(&mut self, message: Message) {
        self.published.push(message);
    }

    /// This was in the dead-letter queue.
    pub fn dead_lettered(&mut self, found: &Found) {
        let body = String::from_utf8_lossy(&found.body).into_owned();
        let Some(message) = Message::in_text(&body).filter(|message| self.knows(message)) else {
            let body: String = body.chars().take(200).collect();
            return self.unknown.push(format!("{body:?} {:?}", found.headers));
        };
        let by_the_broker = found.headers.contains_key("x-death");
        let reason = if by_the_broker { "by the broker" } else { found.header("x-eventd-reason") };
        self.dead_letters.entry(message.number).or_default().push(DeadLetter {
            reason: reason.to_owned(),
            by_the_broker,
            is_unchanged: body == message.body(),
        });
    }

    /// This was in the queue of a lane or of a delay after all was over.
    pub fn queued(&mut self, found: &Found) {
        let message = Message::in_text(&String::from_utf8_lossy(&found.body));
        self.queued.extend(message.map(|message| message.number));
    }

    /// True for a message that was published.
    fn knows(&self, message: &Message) -> bool {
        self.published.get(message.number) == Some(message)
    }

    /// These are all the calls that reached the vendor, and what it found wrong with them.
    pub fn called(&mut self, calls: &[Call], violations: Vec<String>) {
        self.carried_out.clear();
        self.health_calls = 0;
        for call in calls.iter().filter(|call| call.operation.is_change()) {
            let gone = call.code.as_deref().is_some_and(|code| GONE.contains(&code));
            if call.applied || gone {
                let id = call.item["id"].as_str().unwrap_or_default();
                let member = ["emailAddress", "domain"].map(|field| call.item[field].as_str());
                let item = match member.into_iter().flatten().next() {
                    Some(member) => command(id, member),
                    None => id.to_owned(),
                };
                if item.contains(HEALTH_CALL) {
                    self.health_calls += 1;
                } else {
                    *self.carried_out.entry(item).or_default() += 1;
                }
            }
        }
        self.violations = violations;
    }

    /// The messages that are in none of the places where nothing more happens to them.
    pub fn open(&self) -> Vec<String> {
        self.published
            .iter()
            .filter(|message| self.is_open(message))
            .map(Message::to_string)
            .collect()
    }

    /// The place of every message. A message in a queue was not acked, even if it was applied.
    pub fn account(&self) -> Account {
        let (queued, settled): (Vec<&Message>, Vec<&Message>) =
            self.published.iter().partition(|message| self.queued.contains(&message.number));
        let texts =
            |messages: Vec<&Message>| messages.into_iter().map(Message::to_string).collect();
        let repeated: usize = self.carried_out.values().map(|times| times - 1).sum();
        let places =
            |message| usize::from(self.is_applied(message)) + self.dead_letters_of(message).len();
        let copies: usize =
            self.published.iter().map(|message| places(message).saturating_sub(1)).sum();
        let mut reasons = BTreeMap::new();
        for found in self.dead_letters.values().flatten() {
            *reasons.entry(found.reason.clone()).or_default() += 1;
        }
        Account {
            messages: self.published.len(),
            applied: settled.iter().filter(|message| self.is_applied(message)).count(),
            dead_lettered: self.dead_letters.values().map(Vec::len).sum::<usize>()
                + self.unknown.len(),
            reasons,
            queued: texts(queued),
            lost: texts(settled.into_iter().filter(|message| self.is_open(message)).collect()),
            unexpected: self.unexpected(),
            duplicated: repeated + copies,
            repeatable: self.repeatable(),
        }
    }

    /// How much may have happened twice: what was in work at an interruption, and what was carried
    /// out and not answered.
    fn repeatable(&self) -> usize {
        let carried_out: usize = self.carried_out.values().sum();
        let unanswered = (carried_out + self.health_calls).saturating_sub(self.answered);
        self.interruptions * REPEATED_BY_AN_INTERRUPTION + unanswered
    }

    fn is_applied(&self, message: &Message) -> bool {
        message.items().iter().all(|item| self.carried_out.contains_key(item))
    }

    fn dead_letters_of(&self, message: &Message) -> &[DeadLetter] {
        self.dead_letters.get(&message.number).map_or(&[], Vec::as_slice)
    }

    fn is_open(&self, message: &Message) -> bool {
        !self.is_applied(message) && self.dead_letters_of(message).is_empty()
    }

    fn unexpected(&self) -> Vec<String> {
        let unknown =
            self.unknown.iter().map(|body| format!("nobody published this dead letter: {body}"));
        let dead_letters = self.published.iter().flat_map(|message| {
            let found = self.dead_letters_of(message).iter();
            found.filter_map(move |found| {
                let explained = match found.by_the_broker {
                    true => self.broker_may_give_up || message.kind == Kind::TooLarge,
                    false => message.kind.reason() == Some(&found.reason),
                };
                let text = format!("{message} was dead-lettered: {}", found.reason);
                match (explained, found.is_unchanged) {
                    (true, true) => None,
                    (_, false) => Some(text + ", with another body"),
                    (false, true) => Some(text),
                }
            })
        });
        let effects = self.carried_out.keys().filter_map(|item| {
            let message = Message::in_text(item).filter(|message| self.knows(message));
            let explained = message.is_some_and(|message| message.kind.may_be_applied());
            (!explained).then(|| format!("the API applied {item}"))
        });
        let violations = self.violations.iter().map(|it| format!("the API found: {it}"));
        let trail = self.trail.iter().cloned();
        unknown.chain(dead_letters).chain(effects).chain(violations).chain(trail).collect()
    }
}

/// What became of the messages of a run.
#[derive(Debug)]
pub struct Account {
    /// Number of messages that were published.
    pub messages: usize,
    /// Number of messages that were applied and acked.
    pub applied: usize,
    /// Number of dead letters.
    pub dead_lettered: usize,
    /// Number of dead letters for each reason.
    pub reasons: BTreeMap<String, usize>,
    /// Messages that are still queued.
    pub queued: Vec<String>,
    /// Messages that are in none of the three places.
    pub lost: Vec<String>,
    /// Dead letters, calls and violations without an explanation.
    pub unexpected: Vec<String>,
    /// Number of commands and dead letters that happened again.
    pub duplicated: usize,
    /// More than this must not be duplicated.
    pub repeatable: usize,
}

impl Account {
    /// Whether every message ended where it may, none is still on its way, and nothing happened
    /// twice without a reason.
    pub fn is_closed(&self) -> bool {
        let all_ended = self.lost.is_empty() && self.queued.is_empty();
        all_ended && self.unexpected.is_empty() && self.duplicated <= self.repeatable
    }
}

impl fmt::Display for Account {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Account { messages, applied, dead_lettered, .. } = self;
        let Account { queued, lost, unexpected, duplicated, repeatable, .. } = self;
        writeln!(formatter, "{messages} messages were published: {applied} applied,")?;
        writeln!(formatter, "  {dead_lettered} dead letters,")?;
        writeln!(formatter, "  {duplicated} duplicates, of which {repeatable} have a reason,")?;
        writeln!(formatter, "  still queued: {}", queued.join(" "))?;
        writeln!(formatter, "  lost: {}", lost.join(" "))?;
        write!(formatter, "  unexpected: {}", unexpected.join("\n    "))
    }
}
