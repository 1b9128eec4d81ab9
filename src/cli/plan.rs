//! `plan`: what the daemon would do with an event, or why it is none. It asks nobody, so that a producer
//! can hold its own events to it.

use super::terminal;
use crate::command::{Breach, Call, Command, Guards, Intent, Page};
use crate::event::{Envelope, Event, EventError, EventType, without_mark};
use crate::secrecy::steering::escaped;
use crate::settings::Contract;
use crate::verdict::Disposition;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

/// What the daemon would do with one event.
#[derive(Debug)]
pub struct Plan {
    id: Option<String>,
    event_type: Option<EventType>,
    /// How long it would wait, and until when.
    waits: Option<(Duration, DateTime<Utc>)>,
    /// What it asks for.
    pub(super) comes_to: Result<Vec<Intent>, Refusal>,
    /// The rules that it is held to.
    guards: Guards,
    /// The calls for that, where Mimecast was asked for what is called by a name.
    pub(super) looked_up: Option<Vec<Resolved>>,
}

/// A call that an event results in, as Mimecast is now.
#[derive(Clone, Debug)]
pub(super) struct Resolved {
    /// The call.
    pub call: Call,
    /// Whether Mimecast lists what it is to remove; nothing where that cannot be known.
    pub listed: Option<bool>,
}

const LISTED: &str = "Mimecast lists what this removes";
const NOT_LISTED: &str = "Mimecast does not list what this removes; the result would be not_found: \
    check the attribute of the event, the group and the tenant";

/// Why an event would not be carried out.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It is none to act on.
    Event(EventError),
    /// A rule of the policy is against it.
    Policy(Breach),
    /// What the vendor says to it now.
    Vendor(Disposition),
}

impl Plan {
    /// What would become of what is published so at `now`.
    pub fn of(envelope: &Envelope, contract: &Contract, now: DateTime<Utc>) -> Plan {
        // Who names the routing key of a lane sees what a wrong one does.
        let lane = contract.reading.names.by_routing_key(&envelope.routing_key, None);
        let read = match lane {
            Some(lane) => Event::parse(envelope, lane, &contract.reading),
            None => Event::read(envelope, &contract.reading),
        };
        let event = match read {
            Ok(event) => event,
            Err(error) => {
                let id = id(&envelope.body);
                return Plan {
                    id,
                    event_type: None,
                    waits: None,
                    comes_to: Err(Refusal::Event(error)),
                    guards: Guards::default(),
                    looked_up: None,
                };
            }
        };
        let event_type = event.data.event_type();
        let intents = Intent::of_event(&event, contract.default_groups(event_type));
        let left = event.left(now);
        let waits = left.as_ref().ok().copied().flatten().map(|left| (left, now + left));
        let user_id = envelope.user_id.as_deref();
        let admitted = contract
            .guards
            .admit(&event, user_id, envelope.timestamp, now)
            .map_err(Refusal::Policy);
        let intents = left.and(intents).map_err(Refusal::Event);
        Plan {
            waits,
            comes_to: intents.and_then(|intents| admitted.map(|()| intents)),
            guards: contract.guards.clone(),
            looked_up: None,
            id: event.id,
            event_type: Some(event_type),
        }
    }

    /// The type of its event, where that was read.
    pub fn event_type(&self) -> Option<EventType> {
        self.event_type
    }

    /// What its event is called.
    pub fn named(&self) -> String {
        terminal::plain(self.id.as_deref().unwrap_or("without an id"), 256)
    }

    /// Whether all would be carried out.
    pub fn is_carried_out(&self) -> bool {
        self.comes_to.is_ok()
    }

    /// One JSON object, on one line.
    pub fn json(&self) -> String {
        let refused = self.comes_to.as_ref().err();
        let disposition = self.disposition();
        let not_before = self.waits.map(|(_, until)| format!("not before {}", shown(until)));
        let call = |Resolved { call, listed }: &Resolved| {
            let body: Value = serde_json::from_str(&call.body).expect("a call's body is JSON");
            let mut shown = json!({"path": call.operation.path(), "body": body});
            if let Some(listed) = listed {
                shown["listed"] = (*listed).into();
            }
            shown
        };
        let json = json!({
            "id": self.id,
            "type": self.event_type.map(EventType::name),
            "disposition": disposition.label(),
            "reason": disposition.reason().map(|reason| reason.label()),
            "detail": refused.map(ToString::to_string).or(not_before).or(self.remark()),
            "pointer": refused.and_then(Refusal::pointer),
            "calls": self.calls().iter().map(call).collect::<Vec<_>>(),
        });
        escaped(&json.to_string()).into_owned()
    }

    fn calls(&self) -> Vec<Resolved> {
        let intents = self.comes_to.as_deref().unwrap_or_default();
        self.looked_up.clone().unwrap_or_else(|| {
            let calls = intents.iter().flat_map(|intent| calls(intent, &self.guards));
            calls.map(|call| Resolved { call, listed: None }).collect()
        })
    }

    /// What the policy does to an event that would be carried out.
    fn remark(&self) -> Option<String> {
        let commands = self.comes_to.as_ref().map_or(0, Vec::len);
        match self.guards.max_commands {
            _ if self.looked_up.as_ref().is_some_and(Vec::is_empty) => Some(
                "Mimecast lists no entry that blocks the URL; the result would be not_found".into(),
            ),
            _ if self.guards.dry_run => Some("nothing is changed (policy.dry_run)".into()),
            Some((most, window)) if commands > most => {
                let window = humantime::format_duration(window);
                Some(format!(
                    "{most} of {commands} in {window}, then the rest (policy.max_commands)"
                ))
            }
            Some(_) | None => None,
        }
    }

    fn disposition(&self) -> Disposition {
        match (&self.comes_to, self.waits) {
            (Err(Refusal::Event(error)), _) => Disposition::of_event_error(error),
            (Err(Refusal::Policy(breach)), _) => Disposition::of_breach(breach),
            (Err(Refusal::Vendor(disposition)), _) => disposition.clone(),
            (Ok(_), Some((left, _))) => Disposition::of_time_left(left),
            (Ok(_), None) => Disposition::Ack,
        }
    }
}

impl Refusal {
    fn pointer(&self) -> Option<&str> {
        match self {
            Refusal::Event(error) => error.pointer(),
            Refusal::Policy(_) | Refusal::Vendor(_) => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Event(error) => error.fmt(formatter),
            Refusal::Policy(Breach { rule, detail }) => {
                write!(formatter, "{detail} (policy.{})", rule.label())
            }
            Refusal::Vendor(disposition) => match disposition.fault() {
                Some(fault) => write!(formatter, "{} ({})", fault.detail, fault.code),
                None => formatter.write_str(disposition.label()),
            },
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.event_type.map_or("an event", EventType::name);
        write!(formatter, "{name} {}: ", self.named())?;
        match &self.comes_to {
            Ok(_) => {
                let calls = self.calls();
                let noun = if calls.len() == 1 { "call" } else { "calls" };
                write!(formatter, "{} {noun}", calls.len())?;
                if let Some(remark) = self.remark() {
                    write!(formatter, ", {remark}")?;
                }
                if let Some((_, until)) = self.waits {
                    write!(formatter, ", not before {}", shown(until))?;
                }
                for Resolved { call: Call { operation, body, .. }, listed } in calls {
                    let body = terminal::plain(&body, usize::MAX - 1);
                    write!(formatter, "\n  POST {} {body}", operation.path())?;
                    write!(formatter, "\n    authorization: (made anew for each attempt)")?;
                    if let Some(listed) = listed {
                        let found = if listed { LISTED } else { NOT_LISTED };
                        write!(formatter, "\n    {found}")?;
                    }
                }
                Ok(())
            }
            Err(error) => {
                let disposition = self.disposition();
                let reason = disposition.reason().map(|it| format!("dead letter, {}", it.label()));
                let comes_to = reason.unwrap_or_else(|| disposition.label().to_owned());
                let error = terminal::plain(&error.to_string(), 1024);
                write!(formatter, "{comes_to}: {error}")
            }
        }
    }
}

/// The calls that an intent comes to; what has to be looked up stands in brackets.
fn calls(intent: &Intent, guards: &Guards) -> Vec<Call> {
    match intent {
        Intent::Command(command) => match command {
            Command::RemoveGroupMember { group_id, .. } => {
                let verify =
                    guards.verify_effect.then(|| Call::get_group_members(group_id, Page::FIRST));
                [command.call()].into_iter().chain(verify).collect()
            }
            Command::DeleteManagedUrl { .. } => {
                let look = guards.only_blocked.then(|| Call::get_all_managed_urls(Page::FIRST));
                look.into_iter().chain([command.call()]).collect()
            }
        },
        Intent::Leave { name, member, .. } => {
            let remove = Command::remove(&format!("(id of the group {name:?})"), member);
            vec![Call::find_groups(Some(name), Page::FIRST), remove.call()]
        }
        Intent::Unblock(url) => {
            let delete = Command::DeleteManagedUrl { id: format!("(each id that blocks {url})") };
            vec![Call::get_all_managed_urls(Page::FIRST), delete.call()]
        }
    }
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// The id of a CloudEvent that is wrong in something else, for whoever looks for it in a file.
fn id(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(without_mark(body)).ok()?;
    body.get("specversion")?;
    body.get("id")?.as_str().map(str::to_owned)
}
