//! Innocents never pay: beside every hostile message stand good ones, and all of them are applied, in
//! the one session that there is, while the daemon answers at once.

use crate::support::broker::{DEAD_LETTERS, UNBLOCK};
use crate::support::eventually;
use crate::support::stranger::{
    CONTENT_TYPE, HEADERS, MESSAGE_ID, Sent, Stranger, deep_header, header, long, short,
};
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind};
use std::time::{Duration, Instant};

const CONNECTIONS: &str = r#"eventd_amqp_connections_total{event="url.unblock"}"#;

/// To the exchange of the events, as everybody may.
fn event(flags: u16, properties: &[u8], body: &[u8]) -> Sent {
    let (exchange, routing_key) = (b"events".to_vec(), b"url.unblock".to_vec());
    Sent { exchange, routing_key, flags, properties: properties.to_vec(), body: body.to_vec() }
}

fn cloud_event(id: &str, entry: &str) -> Vec<u8> {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/soc","type":"url.unblock","data":{{"id":"{entry}"}}}}"#
    )
    .into_bytes()
}

/// Publishes `hostile` in the middle of ten good events and waits until these are applied.
async fn among_innocents(world: &World, hostile: &[Sent]) {
    let mut stranger = Stranger::to(&world.vhost, "guest").await;
    for number in 0..10 {
        let entry = format!("innocent-{number}");
        world.fake.add_url(&entry);
        stranger.publish(&event(0, b"", &cloud_event(&entry, &entry))).await;
        if number == 4 {
            for sent in hostile {
                stranger.publish(sent).await;
            }
        }
    }
    eventually("all innocents are applied", async || {
        let asked = Instant::now();
        assert_eq!(world.daemon.get("/livez").await.0, 200);
        assert!(asked.elapsed() < Duration::from_secs(2), "it does not answer");
        (0..10).all(|number| !world.fake.has_url(&format!("innocent-{number}"))).then_some(())
    })
    .await;
}

/// Nothing is left, nothing innocent is dead, and there was one session.
async fn nobody_paid(world: &World) {
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
    for found in world.daemon.logged("settled") {
        let id = found["event_id"].as_str().unwrap_or_default();
        assert!(!id.starts_with("innocent") || found["disposition"] == "ack", "{found}");
    }
    assert_eq!(world.daemon.metric(CONNECTIONS).await, 1.0, "one session was not enough");
    assert_eq!(world.daemon.logged("the session ended").len(), 0);
}

#[tokio::test]
async fn a_message_id_that_is_not_utf_8_is_read_with_a_question_mark_for_each_wrong_byte() {
    let world = World::hmac().await;
    world.fake.add_url("entry-1");
    let hostile = event(MESSAGE_ID, &short(b"caf\xe9-\xff"), br#"{"id":"entry-1"}"#);
    among_innocents(&world, &[hostile]).await;
    let settled = world.daemon.settled(11).await;
    let of_the_stranger = settled.iter().find(|line| line["event_id"] == "caf?-?").unwrap();
    assert_eq!(of_the_stranger["disposition"], "ack");
    assert!(!world.fake.has_url("entry-1"), "it is handled by its body");
    nobody_paid(&world).await;
}

#[tokio::test]
async fn a_routing_key_that_is_not_utf_8_does_not_keep_an_event_from_being_handled() {
    let world = World::hmac().await;
    world.fake.add_url("entry-1");
    // With `CC` a message reaches a queue under a key that nothing is bound for.
    let carbon_copy =
        [&short(b"CC")[..], b"A", &long(&[&b"S"[..], &long(b"url.unblock")].concat())];
    let headers = long(&carbon_copy.concat());
    let applied = event(HEADERS, &headers, &cloud_event("stranger", "entry-1"));
    let nonsense = event(HEADERS, &headers, b"nonsense");
    let hostile =
        [applied, nonsense].map(|sent| Sent { routing_key: b"url.\xff\xfe".into(), ..sent });
    among_innocents(&world, &hostile).await;
    world.daemon.settled(12).await;
    assert!(!world.fake.has_url("entry-1"));
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!(found.header("x-eventd-reason"), "malformed");
    assert_eq!(found.header("x-eventd-routing-key"), "url.??");
    assert!(found.header("x-eventd-altered").contains("not UTF-8"), "{found:?}");
    nobody_paid(&world).await;
}

#[tokio::test]
async fn a_header_table_of_any_depth_leaves_the_process_alive_and_the_event_applied() {
    let world = World::hmac().await;
    world.fake.add_url("entry-1");
    let headers = long(&[header(b"team", b"soc"), deep_header(b"deep", 9_000)].concat());
    let applied = event(HEADERS, &headers, &cloud_event("stranger", "entry-1"));
    let nonsense = event(HEADERS, &headers, b"nonsense");
    among_innocents(&world, &[applied, nonsense]).await;
    world.daemon.settled(12).await;
    assert!(!world.fake.has_url("entry-1"));
    let found = world.vhost.take(DEAD_LETTERS).await;
    assert_eq!((found.header("team"), found.body.as_slice()), ("soc", &b"nonsense"[..]));
    assert!(!found.headers.contains_key("deep"));
    assert!(found.header("x-eventd-altered").contains("left out"), "{found:?}");
    nobody_paid(&world).await;
}

#[tokio::test]
async fn headers_of_ours_are_believed_of_our_copies_and_of_nobody_else() {
    let world = World::hmac().await;
    let forged = [
        header(b"x-eventd-routing-key", &[b'k'; 300]),
        header(b"x-eventd-exchange", &[b'e'; 300]),
        header(b"x-eventd-rung", b"5"),
        header(b"x-eventd-altered", b"forged"),
        header(b"x-eventd-first-failed-at", b"2020-01-01T00:00:00Z"),
        [&short(b"x-eventd-attempts")[..], b"l", &9_u64.to_be_bytes()].concat(),
    ];
    let forged = long(&forged.concat());
    let by_the_exchange = event(HEADERS, &forged, b"nonsense");
    // Straight into the queue, as our copies come: there the lengths alone are what saves us.
    let (exchange, routing_key) = (Vec::new(), UNBLOCK.as_bytes().to_vec());
    let direct = Sent { exchange, routing_key, ..by_the_exchange.clone() };
    among_innocents(&world, &[by_the_exchange, direct]).await;
    world.daemon.settled(12).await;
    // In whatever order the two were settled.
    let mut dead = [world.vhost.take(DEAD_LETTERS).await, world.vhost.take(DEAD_LETTERS).await];
    dead.sort_by_key(|found| found.header("x-eventd-exchange").is_empty());
    for (found, (exchange, routing_key)) in
        dead.iter().zip([("events", "url.unblock"), ("", UNBLOCK)])
    {
        assert_eq!(found.header("x-eventd-reason"), "malformed");
        assert_eq!(found.header("x-eventd-exchange"), exchange);
        assert_eq!(found.header("x-eventd-routing-key"), routing_key);
        if !exchange.is_empty() {
            assert_eq!(found.headers["x-eventd-attempts"], 0);
            assert!(!found.headers.contains_key("x-eventd-first-failed-at"), "{found:?}");
            assert!(!found.headers.contains_key("x-eventd-altered"), "{found:?}");
        }
    }
    nobody_paid(&world).await;
}

#[tokio::test]
async fn more_than_a_thousand_ids_or_a_body_of_a_megabyte_are_refused_at_once() {
    let world = World::hmac().await;
    let ids = |count: usize| {
        let ids: Vec<String> = (0..count).map(|number| format!("\"{number}\"")).collect();
        format!(r#"{{"ids":[{}]}}"#, ids.join(",")).into_bytes()
    };
    let huge = ids(110_000);
    let hostile = [ids(1_001), huge.clone(), huge.clone()].map(|body| event(0, b"", &body));
    among_innocents(&world, &hostile).await;
    let settled = world.daemon.settled(13).await;
    let dead: Vec<_> = settled.iter().filter(|line| line["disposition"] == "dead_letter").collect();
    assert_eq!(dead.len(), 3);
    assert!(dead.iter().all(|line| line["reason"] == "malformed"), "{dead:?}");
    let mut bodies = 0;
    for _ in 0..3 {
        let found = world.vhost.take(DEAD_LETTERS).await;
        if found.header("x-eventd-reason") == "malformed" {
            assert!(found.header("x-eventd-detail").contains("more than 1000"), "{found:?}");
        } else {
            // The broker's own, untouched: nobody had it in memory but the broker.
            assert_eq!(found.body, huge);
            assert!(found.headers.contains_key("x-death"), "{found:?}");
            bodies += 1;
        }
    }
    assert_eq!(bodies, 2);
    let dead = r#"eventd_messages_dead_lettered_total{event="url.unblock",reason="malformed"}"#;
    assert_eq!(world.daemon.metric(dead).await, 3.0);
    nobody_paid(&world).await;
}

#[tokio::test]
async fn bodies_of_any_size_take_no_memory() {
    let world = World::hmac().await;
    let before = world.daemon.metric("process_resident_memory_bytes").await;
    let large = event(CONTENT_TYPE, &short(b"application/json"), &vec![b' '; 15_000_000]);
    among_innocents(&world, &vec![large; 6]).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 6).await;
    let after = world.daemon.metric("process_resident_memory_bytes").await;
    assert!(after - before < 15_000_000.0, "from {before} to {after} bytes");
    nobody_paid(&world).await;
}

#[tokio::test]
async fn every_property_and_header_at_its_extreme_goes_through_every_disposition() {
    let world = World::with(&[("RETRY__LADDER", r#"["1s"]"#)]).await;
    let texts = |filled: &[u8], encoding: &[u8]| {
        let mut all = [short(filled), short(encoding)].concat();
        let headers = [
            header(filled, filled),
            header(b"empty", b""),
            header(b"bytes", &[0xFF; 60_000]),
            header(b"x-eventd-detail", &[b'd'; 60_000]),
            [&short(b"largest")[..], b"l", &[0x7F; 8]].concat(),
            [&short(b"least")[..], b"l", &[0x80, 0, 0, 0, 0, 0, 0, 0]].concat(),
            // RabbitMQ itself takes no number that is none.
            [&short(b"real")[..], b"d", &f64::MAX.to_be_bytes()].concat(),
            [&short(b"nothing")[..], b"V"].concat(),
        ];
        all.extend(long(&headers.concat()));
        // Delivery mode, priority; correlation id, reply to, no expiration; message id; timestamp;
        // type; no user id, which the broker checks; application id, cluster id.
        all.extend([2, 255]);
        all.extend([short(filled), short(filled), short(filled)].concat());
        all.extend([0xFF; 8]);
        all.extend(short(b"url.unblock"));
        all.extend([short(filled), short(filled)].concat());
        all
    };
    let all_but_expiration_and_user = 0xFFFC & !(1 << 8) & !(1 << 4);
    let refused = Fault::always(FaultKind::fail("err_validation_new"));
    world.fake.inject(refused.for_item_containing("refused"));
    let passes = Fault::next(FaultKind::status(503)).times(8);
    world.fake.inject(passes.for_item_containing("poison"));
    let mut hostile = Vec::new();
    for filled in [&[0xFF; 255][..], "é".repeat(127).as_bytes(), b""] {
        for body in [&br#"{"id":"fine"}"#[..], br#"{"id":"refused"}"#, br#"{"id":["none"]}"#, b""] {
            hostile.push(event(all_but_expiration_and_user, &texts(filled, b"UTF-8"), body));
        }
    }
    // An encoding that nobody knows is not supported, whatever is in the body.
    for filled in [&[0xFF; 255][..], "é".repeat(127).as_bytes()] {
        let body = br#"{"id":"fine"}"#;
        hostile.push(event(all_but_expiration_and_user, &texts(filled, filled), body));
    }
    hostile.push(event(
        all_but_expiration_and_user,
        &texts(&[0xFF; 255], b""),
        br#"{"ids":["poison","entry-1"]}"#,
    ));
    among_innocents(&world, &hostile).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 11).await;
    let acked = r#"eventd_messages_settled_total{disposition="ack",event="url.unblock"}"#;
    world.daemon.wait_for_metric(acked, 14.0).await;
    let retried = r#"eventd_messages_settled_total{disposition="retry",event="url.unblock"}"#;
    assert!(world.daemon.metric(retried).await >= 1.0);
    nobody_paid(&world).await;
}
