//! A dry run beside a daemon at work: it is given the same events, and changes nothing.

use super::policy::{is_in, join, letter, offboard, pair};
use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::daemon::Daemon;
use crate::support::settings;
use crate::support::world::World;
use serde_json::json;

const DRY: &str = "a dry run: nothing is changed, and no message is dead-lettered";

#[tokio::test]
async fn a_dry_run_beside_the_one_at_work_changes_nothing_and_takes_nothing_from_it() {
    // One event comes by another name of its type.
    let name = "com.example.user.offboarded";
    let types = ("EVENTS__USER_OFFBOARDED__TYPES", &*format!("[{name:?}]"));
    let at_work = World::with(&[types]).await;
    at_work.fake.name_group("id-of-open", "Open");
    at_work.fake.add_managed_url("one", "https://example.com/a", "block", "explicit");
    let dry_fake = fake_mimecast::FakeMimecast::start(fake_mimecast::Credentials::default()).await;
    dry_fake.name_group("id-of-open", "Open");
    dry_fake.add_managed_url("one", "https://example.com/a", "block", "explicit");
    dry_fake.add_member("id-of-open", "ada@example.com");
    let mut variables = settings::hmac(&dry_fake);
    variables.extend([
        settings::named("AMQP__URL", &at_work.vhost.url),
        settings::named(types.0, types.1),
        settings::named("POLICY__DRY_RUN", "true"),
        settings::named("AMQP__OUTCOME_EXCHANGE", "amq.topic"),
        settings::named("POLICY__VERIFY_EFFECT", "true"),
        settings::named("POLICY__PROTECTED_ADDRESSES", r#"["eve@*"]"#),
    ]);
    let dry = Daemon::start(&variables).await;
    dry.wait_until_ready().await;
    dry.wait_for_logged(DRY, 1).await;
    assert_eq!(dry.logged(DRY)[0]["level"], "WARN");
    assert_eq!(at_work.daemon.logged(DRY).len(), 0);
    // It looks at the queues that it has, and at no other.
    let (_, metrics) = dry.get("/metrics").await;
    let looked_at = metrics.lines().filter(|line| line.starts_with("eventd_queue_info{"));
    assert_eq!(looked_at.count(), 2, "{metrics}");
    at_work.vhost.listen("amq.topic", "listener").await;

    join(&at_work, "ada", &["id-of-open"]);
    offboard(&at_work, "ada", json!({"groups": ["Open"]})).await;
    let eve = json!({"emailAddress": "eve@example.com", "groups": ["Open"]});
    at_work.publish_bare(name, &eve.to_string()).await;
    at_work.publish("user.offboarded", "nonsense").await;
    let url = json!({"url": "https://example.com/a"}).to_string();
    at_work.publish_bare("url.unblock", &url).await;

    let would_be = dry.settled(4).await;
    let mut told: Vec<(&str, Option<&str>)> = would_be
        .iter()
        .map(|line| (line["disposition"].as_str().unwrap(), line["reason"].as_str()))
        .collect();
    told.sort_unstable();
    let expected = [
        ("ack", None),
        ("ack", None),
        ("dead_letter", Some("denied")),
        ("dead_letter", Some("malformed")),
    ];
    assert_eq!(told, expected);
    // An outcome is published before its message is settled, so that none is on its way.
    assert_eq!(at_work.vhost.depth("listener").await, Some((0, 0)));
    dry.wait_for_metric(r#"eventd_policy_decisions_total{rule="dry_run"}"#, 2.0).await;
    // It asked, and changed nothing.
    assert!(dry_fake.calls().iter().all(|call| !call.operation.is_change()));
    assert!(dry_fake.is_member("id-of-open", "ada@example.com") && dry_fake.has_url("one"));
    // The one at work did all of it, and has the only dead letter.
    at_work.daemon.settled(4).await;
    assert!(!is_in(&at_work, "ada", "id-of-open") && !at_work.fake.has_url("one"));
    assert_eq!(letter(&at_work).await, pair("malformed", "malformed"));
    assert_eq!(at_work.vhost.depth(DEAD_LETTERS).await.unwrap().0, 0);
    for queue in [OFFBOARDED, UNBLOCK] {
        let aside = format!("{queue}.dry-run");
        at_work.vhost.wait_for_depth(&aside, 0).await;
        let queues = at_work.vhost.described("queues").await;
        let found = queues.iter().find(|it| it["name"] == aside.as_str()).unwrap();
        let expected = json!({
            "x-queue-type": "quorum", "x-max-length": 10_000, "x-overflow": "drop-head",
            "x-expires": 604_800_000,
        });
        assert_eq!(found["arguments"], expected);
        assert!(!queues.iter().any(|it| it["name"] == format!("{aside}.retry.10s").as_str()));
    }
}
