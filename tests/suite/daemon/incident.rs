//! An incident, worked from outside with the program alone: credentials break, the queue grows, the cause is
//! found, the secret is put right, the lane goes on, and the dead letters of the hour are dealt with.

use super::reload::Mounted;
use crate::support::broker::{DEAD_LETTERS, UNBLOCK};
use crate::support::eventually;
use crate::support::program::{command, run};
use fake_mimecast::{Fault, FaultKind};
use lapin::BasicProperties;
use serde_json::json;

#[tokio::test]
async fn an_incident_is_worked_with_the_program_alone_and_nobody_is_lost_in_it() {
    let mut mounted = Mounted::new("", None).await;
    let (daemon, key) = (mounted.start().await, mounted.right_key());
    let good = 40;
    // Before it: some dead letters of a producer who sends nonsense, and of a vendor that refuses an item.
    let refused =
        Fault::always(FaultKind::fail("err_validation_blocked")).for_item_containing("late");
    mounted.fake.inject(refused);
    for number in 0..5 {
        let named = BasicProperties::default().with_message_id(format!("nonsense-{number}").into());
        mounted.vhost.publish("url.unblock", b"nonsense", named).await;
        mounted.unblock(&format!("late-{number}"), &format!("late-{number}")).await;
    }
    daemon.settled(10).await;

    // Somebody breaks the secret.
    mounted.write("", "d3Jvbmc=");
    daemon.wait_for_metric(r#"eventd_settings_reloads_total{result="applied"}"#, 1.0).await;
    for number in 0..good {
        mounted.unblock(&format!("e-{number}"), &format!("entry-{number}")).await;
    }
    daemon.wait_for_metric(r#"eventd_lane_state{event="url.unblock",state="paused"}"#, 1.0).await;
    // What alerts are made of: refusals, a paused lane, a queue that grows.
    let refusals =
        r#"eventd_api_requests_total{operation="delete_managed_url",outcome="unauthorized"}"#;
    daemon.wait_for_at_least(refusals, 2.0).await;
    let depth = format!("eventd_queue_messages{{queue=\"{UNBLOCK}\"}}");
    daemon.wait_for_at_least(&depth, f64::from(good) / 2.0).await;
    // The runbook says: check. It names the code, and what to do.
    let checked = run(&mounted.variables, &["check"]).await;
    assert_eq!(checked.code, Some(1));
    assert!(
        checked.out.contains("failure  vendor   delete_managed_url: err_xdk_invalid_signature"),
        "{checked:?}"
    );
    assert!(daemon.get("/readyz").await.1.contains(": err_xdk_invalid_signature"));

    // The secret is put right, and nothing is restarted.
    mounted.write("", &key);
    daemon.wait_until_ready().await;
    eventually("all that waited is applied", async || {
        (0..good).all(|number| !mounted.fake.has_url(&format!("entry-{number}"))).then_some(())
    })
    .await;

    // The dead letters of the hour are explained.
    let hour = ["--newer-than", "1h"];
    let kinds = run(&mounted.variables, &[&["dlq", "stats", "--json"], &hour[..]].concat()).await;
    let of = |reason: &str| {
        let kind = kinds.objects().into_iter().find(|kind| kind["reason"] == reason).unwrap();
        (kind["count"].as_u64().unwrap(), kind["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(of("malformed"), (5, "malformed".to_owned()));
    assert_eq!(of("rejected"), (5, "err_validation_blocked".to_owned()));
    let shown = run(&mounted.variables, &["dlq", "show", "late-3"]).await;
    assert!(shown.out.contains("the vendor refuses the item for good"), "{shown:?}");
    // Some are replayed once the vendor takes them, by somebody whose terminal dies now and then.
    mounted.fake.heal();
    let replay = [&["dlq", "replay", "--reason", "rejected"], &hour[..]].concat();
    for _ in 0..3 {
        let slowly = [&replay[..], &["--rate", "1"]].concat();
        let mut child = command(&mounted.variables, &slowly).spawn().unwrap();
        eventually("it has letters in hand", async || {
            mounted.vhost.depth(DEAD_LETTERS).await.filter(|(letters, _)| *letters < 10)
        })
        .await;
        child.kill().await.unwrap();
        // What is not replayed yet is back, and what is has been applied or waits for that.
        eventually("the letters are back", async || {
            mounted.vhost.depth(DEAD_LETTERS).await.filter(|(letters, _)| *letters >= 5)
        })
        .await;
    }
    let replayed = run(&mounted.variables, &replay).await;
    assert_eq!(replayed.code, Some(0), "{replayed:?}");
    eventually("all of them are applied", async || {
        (0..5).all(|number| !mounted.fake.has_url(&format!("late-{number}"))).then_some(())
    })
    .await;
    // The others are discarded, and nothing else is.
    let discard = ["dlq", "discard", "--reason", "malformed", "--yes"];
    let gone = run(&mounted.variables, &discard).await;
    let expected: Vec<_> = (0..5).map(|number| json!(format!("nonsense-{number}"))).collect();
    let ids: Vec<_> = gone.lines().into_iter().map(|line| json!(line)).collect();
    assert_eq!((gone.code, ids.len()), (Some(0), 5), "{gone:?}");
    assert!(expected.iter().all(|id| ids.contains(id)), "{gone:?}");
    mounted.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    mounted.vhost.wait_for_depth(UNBLOCK, 0).await;
    let checked = run(&mounted.variables, &["check"]).await;
    assert_eq!(checked.code, Some(0), "{checked:?}");
}
