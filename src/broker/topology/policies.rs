//! What policies make of the queues of the daemon, read from RabbitMQ's management API.
//!
//! AMQP shows the arguments of a queue and nothing of policies. For numbers RabbitMQ takes the lower one of
//! argument and policy, for `overflow` the argument (tried on 3.10, 4.0 and 4.3).

use super::super::management::{Api, ApiError};
use super::super::problem::Problem;
use super::dead_letter_queue::{DELIVERY_LIMIT, OVERFLOW, mending_policy};
use crate::settings::{LaneSettings, Settings};
use serde_json::{Map, Value};
use std::time::Duration;

/// No delivery is held longer by the daemon.
const LONGEST_HELD: Duration = Duration::from_mins(25);

/// More bindings of a queue than anybody reads in one line.
const MOST_BINDINGS: usize = 10;

/// The keys of policies that are numbers.
const NUMBERS: [&str; 6] = [
    "expires",
    "message-ttl",
    "max-length",
    "max-length-bytes",
    "delivery-limit",
    "consumer-timeout",
];

/// What a queue is for.
#[derive(Clone, Copy)]
enum Use {
    /// The queue of a lane, with its delivery limit.
    Lane(i64),
    /// A delay queue, with its delay in milliseconds.
    Delay(i64),
    /// The queue for dead letters.
    DeadLetters,
}

/// What a policy or an argument does to a queue, and the queues to which it does the same.
struct Finding {
    loses: bool,
    text: String,
    queues: Vec<String>,
}

/// Inspects every queue of the daemon, and the bindings of its lanes. `None` without `amqp.management_url`, and in a dry
/// run, which has nothing to lose. What was not seen is a problem of its own.
pub async fn inspect(settings: &Settings) -> Option<Vec<Problem>> {
    let amqp = &settings.amqp;
    let management = amqp.management.as_ref().filter(|_| !settings.contract.guards.dry_run)?;
    let (mut findings, mut problems) = (Vec::new(), Vec::new());
    let inspecting = async {
        let api = Api::new(amqp, management)?;
        problems.extend(inspect_queues(&api, settings, &mut findings).await?);
        for lane in &settings.lanes {
            problems.extend(foreign_bindings(&api, settings, lane).await?);
        }
        Ok(())
    };
    let inspected = tokio::time::timeout(amqp.timings.open, inspecting).await;
    let late = || Err(ApiError::NoReply("no reply in time".into()));
    if let Err(error) = inspected.unwrap_or_else(|_| late()) {
        let next = "see amqp.management_url, and the user's tags";
        problems.push(Problem::Unknown(format!(
            "not all policies and bindings were seen: {error}; {next}"
        )));
    }
    Some(findings.into_iter().map(Finding::problem).chain(problems).collect())
}

/// Adds what is found to `findings`; returns that not all was seen, if so.
async fn inspect_queues(
    api: &Api<'_>,
    settings: &Settings,
    findings: &mut Vec<Finding>,
) -> Result<Option<Problem>, ApiError> {
    let mut queues = vec![(settings.amqp.dead_letter_queue.clone(), Use::DeadLetters)];
    for lane in &settings.lanes {
        queues.push((lane.queue.clone(), Use::Lane(lane.delivery_limit.into())));
        let milliseconds = |delay: Duration| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        let delays = lane.delay_queues(&settings.ladder);
        queues.extend(delays.map(|(name, delay)| (name, Use::Delay(milliseconds(delay)))));
    }
    let mut unseen = Vec::new();
    for (name, purpose) in queues {
        match api.queue(&name).await {
            Ok(reply) => match Effective::read(&name, &settings.amqp.address.vhost, &reply) {
                Some(effective) => note(findings, effective.findings(purpose)),
                None => unseen.push(name),
            },
            Err(ApiError::NotFound) => unseen.push(name),
            Err(error @ ApiError::NoReply(_)) => return Err(error),
        }
    }
    Ok(unseen.first().map(|name| {
        Problem::Unknown(format!(
            "policies of {} queues were not seen, the first is {name}: it is not there, the user may not see \
             it, or RabbitMQ has no statistics of it yet; run check again in a minute",
            unseen.len()
        ))
    }))
}

/// Adds the findings of a queue. One that others have too is named once, with all of its queues.
fn note(findings: &mut Vec<Finding>, of_queue: Vec<Finding>) {
    for finding in of_queue {
        let same = |it: &&mut Finding| it.loses == finding.loses && it.text == finding.text;
        match findings.iter_mut().find(same) {
            Some(known) => known.queues.extend(finding.queues),
            None => findings.push(finding),
        }
    }
}

impl Finding {
    fn problem(self) -> Problem {
        let text = format!("{}: {}", self.queues.join(", "), self.text);
        if self.loses { Problem::Loses(text) } else { Problem::Risky(text) }
    }
}

/// A binding key that was taken out of the settings stays bound, and its events still come.
async fn foreign_bindings(
    api: &Api<'_>,
    settings: &Settings,
    lane: &LaneSettings,
) -> Result<Vec<Problem>, ApiError> {
    let (queue, exchange) = (&lane.queue, &settings.amqp.exchange);
    let reply = match api.bindings(queue).await {
        Ok(reply) => reply,
        Err(ApiError::NotFound) => return Ok(Vec::new()),
        Err(error @ ApiError::NoReply(_)) => return Err(error),
    };
    let unreadable = || ApiError::NoReply(format!("the bindings of {queue} are not readable"));
    let bindings = reply.as_array().ok_or_else(unreadable)?;
    let ours = |key: &str| {
        let mut names = settings.contract.reading.names.bindings(lane.event_type);
        names.any(|name| name == key)
    };
    let keys = bindings.iter().filter(|binding| binding["source"] == exchange.as_str());
    let keys = keys.filter_map(|binding| binding["routing_key"].as_str()).filter(|key| !ours(key));
    let problem = |key: &str| {
        Problem::Risky(format!(
            "{queue} is bound to {exchange} with the key \"{}\", which is not in the settings: what is published with \
             it still comes; unbind it, or add it to binding_keys",
            shown(key)
        ))
    };
    Ok(keys.take(MOST_BINDINGS).map(problem).collect())
}

/// The arguments of a queue, and the policies on top of them.
struct Effective<'a> {
    name: &'a str,
    arguments: &'a Map<String, Value>,
    policy: &'a Map<String, Value>,
    policies: Vec<String>,
}

impl<'a> Effective<'a> {
    /// Reads a reply about the queue `name` of `vhost`. `None` if it is not one, or has no policies in it.
    fn read(name: &'a str, vhost: &str, reply: &'a Value) -> Option<Effective<'a>> {
        if reply["name"] != name || reply["vhost"] != vhost {
            return None;
        }
        let (arguments, policy) =
            (reply["arguments"].as_object()?, reply["effective_policy_definition"].as_object()?);
        let is_number = |key: &&str| policy.get(*key).is_none_or(Value::is_i64);
        if !NUMBERS.iter().all(is_number) {
            return None;
        }
        let named =
            |key: &str, kind| reply[key].as_str().map(|it| format!("the {kind} \"{}\"", shown(it)));
        let policies = [named("policy", "policy"), named("operator_policy", "operator policy")];
        let policies = policies.into_iter().flatten().collect();
        Some(Effective { name, arguments, policy, policies })
    }

    /// What loses or delays messages of a queue that is for `purpose`.
    fn findings(&self, purpose: Use) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.number("expires").is_some() {
            let what = "the queue goes, with all messages in it, when nobody uses it";
            findings.push(self.loses("expires", what));
        }
        findings.extend(self.time_to_live(purpose));
        findings.extend(self.length());
        match purpose {
            // Nobody consumes from it.
            Use::Delay(_) => return findings,
            Use::Lane(limit) => findings.extend(self.delivery_limit(limit)),
            Use::DeadLetters => {
                findings.extend(self.delivery_limit(DELIVERY_LIMIT.into()));
                findings.extend(self.unprotected());
            }
        }
        if self.policy.get("delayed-retry-type").is_some_and(|kind| kind != "disabled") {
            let what = "a message that is returned is hidden for a while";
            findings.push(self.loses("delayed-retry-type", what));
        }
        let held = i64::try_from(LONGEST_HELD.as_millis()).unwrap_or(i64::MAX);
        if self.number("consumer-timeout").is_some_and(|timeout| timeout < held) {
            let what = "a message may be held for 25 minutes, and its consumer ends before";
            findings.push(self.risks("consumer-timeout", what));
        }
        findings
    }

    fn time_to_live(&self, purpose: Use) -> Option<Finding> {
        let limit = self.number("message-ttl")?;
        match purpose {
            Use::Delay(delay) if limit >= delay => None,
            Use::Delay(_) => {
                Some(self.loses("message-ttl", "messages come back before their delay is over"))
            }
            Use::Lane(_) | Use::DeadLetters => {
                Some(self.loses("message-ttl", "messages that wait longer leave the queue"))
            }
        }
    }

    fn length(&self) -> Vec<Finding> {
        let refuses = self.value("overflow").is_some_and(|overflow| overflow == OVERFLOW);
        let refused = "what is published above that is refused, and its lane pauses";
        let finding = |key| match refuses {
            true => self.risks(key, refused),
            false => self.loses(key, "the oldest message is dropped for the newest"),
        };
        let limits = ["max-length", "max-length-bytes"].into_iter();
        limits.filter(|key| self.number(key).is_some()).map(finding).collect()
    }

    fn delivery_limit(&self, ours: i64) -> Option<Finding> {
        let what = format!("a message that is returned more often is gone, and {ours} are needed");
        let is_lower = self.number("delivery-limit").is_some_and(|limit| limit < ours);
        is_lower.then(|| self.loses("delivery-limit", &what))
    }

    /// A queue for dead letters that was declared in another way.
    fn unprotected(&self) -> Option<Finding> {
        let missing: Vec<&str> = ["delivery-limit", "overflow"]
            .into_iter()
            .filter(|key| self.value(key).is_none())
            .collect();
        (!missing.is_empty()).then(|| {
            let (missing, policy) = (missing.join(" and "), mending_policy(self.name));
            let text = format!(
                "{missing} not set, by argument or policy: dead letters may be lost; set a policy: {policy}"
            );
            self.finding(false, text)
        })
    }

    /// The number in force. A negative one in a policy means no limit: RabbitMQ takes the argument, if there is one
    /// (tried on 4.0 and 4.3; 3.10 refuses such a policy).
    fn number(&self, key: &str) -> Option<i64> {
        let argument = self.arguments.get(&format!("x-{key}")).and_then(Value::as_i64);
        let policy = self.policy.get(key).and_then(Value::as_i64).filter(|number| *number >= 0);
        argument.into_iter().chain(policy).min()
    }

    /// An argument wins over a policy, where they are not numbers.
    fn value(&self, key: &str) -> Option<&Value> {
        self.arguments.get(&format!("x-{key}")).or_else(|| self.policy.get(key))
    }

    fn loses(&self, key: &str, what: &str) -> Finding {
        self.finding(true, self.text(key, what))
    }

    fn risks(&self, key: &str, what: &str) -> Finding {
        self.finding(false, self.text(key, what))
    }

    fn finding(&self, loses: bool, text: String) -> Finding {
        Finding { loses, text, queues: vec![self.name.to_owned()] }
    }

    /// What is wrong, by whom, and the next step.
    fn text(&self, key: &str, what: &str) -> String {
        let Some(value) = self.policy.get(key) else {
            return format!(
                "the argument x-{key}: {what}; no policy wins over it: move its messages, delete it and \
                 declare it again"
            );
        };
        let (value, policies) = (shown(&value.to_string()), self.policies.join(" and "));
        let next = "let it match none of the queues of the daemon, as docs/policies.md shows";
        format!("{key} is {value} by {policies}: {what}; {next}")
    }
}

/// A text that somebody else chose, in one line of bounded length.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(64).collect();
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// What is said of a queue with these arguments and policies.
    fn said(purpose: Use, arguments: Value, policy: Value) -> String {
        let reply = json!({
            "name": "q", "vhost": "/", "arguments": arguments, "policy": "a\nb", "effective_policy_definition": policy,
        });
        let effective = Effective::read("q", "/", &reply).expect("it is readable");
        let said = |finding: Finding| {
            let kind = if finding.loses { "loses" } else { "risky" };
            format!("{kind}: {}", finding.problem())
        };
        effective.findings(purpose).into_iter().map(said).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_lower_number_counts_and_an_argument_wins_otherwise() {
        let lane = || json!({"x-delivery-limit": 20, "x-overflow": "reject-publish"});
        assert_eq!(said(Use::Lane(20), lane(), json!({})), "");
        let lower = said(Use::Lane(20), lane(), json!({"delivery-limit": 5}));
        assert!(
            lower.starts_with("loses: q: delivery-limit is 5 by the policy \"a\\nb\": "),
            "{lower}"
        );
        for harmless in [
            json!({"delivery-limit": 20}),
            json!({"delivery-limit": -1}),
            json!({"consumer-timeout": 1_500_000}),
            json!({"delayed-retry-type": "disabled", "delayed-retry-min": 1}),
            json!({"overflow": "drop-head", "dead-letter-exchange": "x", "queue-leader-locator": "balanced"}),
        ] {
            assert_eq!(said(Use::Lane(20), lane(), harmless.clone()), "", "{harmless}");
        }
        let early = said(Use::Lane(20), lane(), json!({"consumer-timeout": 1_499_999}));
        assert!(early.starts_with("risky: q: consumer-timeout is 1499999 "), "{early}");
        for (length, expected) in [(json!({}), "loses: "), (lane(), "risky: ")] {
            let told = said(Use::Delay(1), length, json!({"max-length-bytes": 1}));
            assert!(told.starts_with(expected) && told.contains("max-length-bytes"), "{told}");
        }
        let argument = said(Use::Lane(20), json!({"x-delivery-limit": -1}), json!({}));
        assert!(argument.starts_with("loses: q: the argument x-delivery-limit: "), "{argument}");
    }

    #[test]
    fn a_queue_for_dead_letters_needs_limit_and_overflow_from_wherever_they_come() {
        let both = json!({"delivery-limit": 1_000_000, "overflow": "reject-publish"});
        assert_eq!(said(Use::DeadLetters, json!({}), both), "");
        let half = said(Use::DeadLetters, json!({"x-delivery-limit": 1_000_000}), json!({}));
        assert!(
            half.starts_with("risky: q: overflow not set") && half.contains("set_policy"),
            "{half}"
        );
    }

    #[test]
    fn a_reply_that_is_not_of_this_queue_or_has_no_policies_yet_says_nothing() {
        let reply = |key: &str, value: Value| {
            let mut reply = json!({
                "name": "q", "vhost": "/", "arguments": {}, "effective_policy_definition": {},
            });
            reply[key] = value;
            Effective::read("q", "/", &reply).is_some()
        };
        assert!(reply("policy", Value::Null));
        for (key, value) in [
            ("name", json!("other")),
            ("vhost", json!("other")),
            ("arguments", json!([])),
            ("effective_policy_definition", Value::Null),
            ("effective_policy_definition", json!({"expires": "soon"})),
            ("effective_policy_definition", json!({"max-length": 1e300})),
        ] {
            assert!(!reply(key, value.clone()), "{key} {value}");
        }
        assert!(Effective::read("q", "/", &json!([])).is_none());
    }
}
