//! The broker: every node of the list, and what the daemon needs there.

use super::verdict::{Gravity, Group, Verdict};
use crate::broker::{Broker, Problem, Route, topology};
use crate::settings::{Address, Amqp, Settings, TopologyMode};

/// What can be wrong at the broker, in the order in which it is told.
const SUBJECTS: [&str; 6] = [
    "exchanges and queues",
    "queue arguments",
    "limit and overflow",
    "policies",
    "permissions",
    "dead-letter route",
];

pub(super) async fn check(settings: &Settings) -> Vec<Verdict> {
    let (mut verdicts, connected) = nodes(&settings.amqp).await;
    if let Some(broker) = connected {
        verdicts.extend(lanes(&broker, settings).await);
        broker.close().await;
    }
    verdicts
}

/// A verdict on each node, and a connection to one of them.
async fn nodes(amqp: &Amqp) -> (Vec<Verdict>, Option<Broker>) {
    let (mut tried, mut connected) = (Vec::new(), None);
    for node in &amqp.address.nodes {
        let address = Address { nodes: vec![node.clone()], ..amqp.address.clone() };
        let made = Broker::connect(&Amqp { address, ..amqp.clone() }, |_| {}).await;
        let failed = made.map(|broker| match connected {
            None => connected = Some(broker),
            Some(_) => drop(broker),
        });
        tried.push((node.to_string(), failed.err()));
    }
    let alone = if connected.is_some() { Gravity::Warning } else { Gravity::Failure };
    let verdict = |(node, error): (String, Option<_>)| {
        let subject = format!("node {node}");
        let subject = (Group::Broker, subject.as_str());
        match error {
            None => Verdict::new(Gravity::Ok, subject, "reachable, and it lets us in"),
            Some(error) => Verdict::new(
                alone,
                subject,
                format!("{error}; see amqp.url and what stands between"),
            ),
        }
    };
    (tried.into_iter().map(verdict).collect(), connected)
}

async fn lanes(broker: &Broker, settings: &Settings) -> Vec<Verdict> {
    let (mut unseen, mut not_asked) = (Vec::new(), None);
    let mut verdicts = policies(settings).await;
    for lane in &settings.lanes {
        let found = match topology::verify(broker, settings, lane).await {
            Ok(found) => found,
            Err(error) => {
                let subject = (Group::Broker, SUBJECTS[0]);
                verdicts.push(Verdict::new(Gravity::Failure, subject, error.to_string()));
                return verdicts;
            }
        };
        for problem in found.problems {
            let verdict = on_problem(&problem, settings.amqp.topology);
            // What the lanes share is wrong for each of them.
            if !verdicts.contains(&verdict) {
                verdicts.push(verdict);
            }
        }
        unseen.extend(found.unseen);
        if let Route::NotAsked(why) = found.route {
            not_asked = Some(why);
        }
    }
    if settings.amqp.topology == TopologyMode::Declare
        && let Some(queue) = unseen.first()
    {
        let text = format!(
            "this user may not declare {queue}, and the daemon would; grant configure on it, or set \
             amqp.topology to verify"
        );
        verdicts.push(Verdict::new(Gravity::Failure, (Group::Broker, "permissions"), text));
    }
    for subject in SUBJECTS {
        if verdicts.iter().any(|verdict: &Verdict| verdict.subject == subject) {
            continue;
        }
        let text = match subject {
            "queue arguments" | "limit and overflow" if !unseen.is_empty() => {
                "this user may not declare, so that they cannot be seen; that is as recommended"
                    .into()
            }
            "dead-letter route" => match not_asked {
                None => "leads to the dead-letter queue".to_owned(),
                Some(why) => format!("was not tried: {why}"),
            },
            _ => "as they should be".into(),
        };
        verdicts.push(Verdict::new(Gravity::Ok, (Group::Broker, subject), text));
    }
    let place = |verdict: &Verdict| SUBJECTS.iter().position(|it| *it == verdict.subject);
    verdicts.sort_by_key(place);
    verdicts
}

/// What policies and bindings are seen by the management API, or that nobody looked.
async fn policies(settings: &Settings) -> Vec<Verdict> {
    let subject = (Group::Broker, "policies");
    if settings.contract.guards.dry_run {
        let text = "not inspected, since a dry run has nothing to lose";
        return vec![Verdict::new(Gravity::Ok, subject, text)];
    }
    let Some(problems) = topology::inspect_policies(settings).await else {
        let text =
            "not seen without amqp.management_url; docs/policies.md names those that lose messages";
        return vec![Verdict::new(Gravity::Ok, subject, text)];
    };
    let verdict = |problem: Problem| {
        let loses = matches!(problem, Problem::Loses(_));
        let gravity = if loses { Gravity::Failure } else { Gravity::Warning };
        Verdict::new(gravity, subject, problem.to_string())
    };
    problems.into_iter().map(verdict).collect()
}

fn on_problem(problem: &Problem, topology: TopologyMode) -> Verdict {
    let [things, arguments, limit, policies, permissions, route] =
        SUBJECTS.map(|it| (Group::Broker, it));
    let text = problem.to_string();
    match (problem, topology) {
        (Problem::Missing(what), TopologyMode::Declare) => {
            let text = format!("{what}; the daemon declares it when it starts");
            Verdict::new(Gravity::Warning, things, text)
        }
        (Problem::Missing(_), TopologyMode::Verify) => Verdict::new(Gravity::Failure, things, text),
        (Problem::Unknown(_), TopologyMode::Declare | TopologyMode::Verify) => {
            Verdict::new(Gravity::Warning, things, text)
        }
        (Problem::Risky(_), TopologyMode::Declare | TopologyMode::Verify) => {
            Verdict::new(Gravity::Warning, limit, text)
        }
        (Problem::Loses(_), TopologyMode::Declare | TopologyMode::Verify) => {
            Verdict::new(Gravity::Failure, policies, text)
        }
        (Problem::Forbidden(_), TopologyMode::Declare | TopologyMode::Verify) => {
            Verdict::new(Gravity::Failure, permissions, text)
        }
        (Problem::Differs(_), TopologyMode::Declare | TopologyMode::Verify) => {
            Verdict::new(Gravity::Failure, arguments, text)
        }
        (Problem::NoRoute(_), TopologyMode::Declare | TopologyMode::Verify) => {
            Verdict::new(Gravity::Failure, route, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_daemon_does_not_consume_with_or_may_not_do_is_a_failure() {
        use Gravity::{Failure, Warning};
        let text = || "it is so".to_owned();
        for (problem, subject, declaring, verifying) in [
            (Problem::Missing(text()), "exchanges and queues", Warning, Failure),
            (Problem::Unknown(text()), "exchanges and queues", Warning, Warning),
            (Problem::Differs(text()), "queue arguments", Failure, Failure),
            (Problem::Risky(text()), "limit and overflow", Warning, Warning),
            (Problem::Loses(text()), "policies", Failure, Failure),
            (Problem::Forbidden(text()), "permissions", Failure, Failure),
            (Problem::NoRoute(text()), "dead-letter route", Failure, Failure),
        ] {
            for (topology, gravity) in
                [(TopologyMode::Declare, declaring), (TopologyMode::Verify, verifying)]
            {
                let verdict = on_problem(&problem, topology);
                assert_eq!((verdict.gravity, &*verdict.subject), (gravity, subject), "{problem:?}");
            }
        }
    }
}
