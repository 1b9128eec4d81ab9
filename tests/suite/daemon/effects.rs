//! Whether an acknowledged event has taken effect, however its names are written and whatever Mimecast lists. Beside
//! each odd event stands one that is as it should be, and is applied.

use crate::support::broker::{DEAD_LETTERS, OFFBOARDED, UNBLOCK};
use crate::support::settings;
use crate::support::world::World;
use chrono::Utc;
use fake_mimecast::{Fault, FaultKind, Operation};
use serde_json::{Value, json};

const SOON: [(&str, &str); 3] = [
    ("BREAKER__INITIAL_PROBE_DELAY", "100ms"),
    ("BREAKER__MAX_PROBE_DELAY", "100ms"),
    ("RETRY__LADDER", r#"["100ms"]"#),
];

fn event(event_type: &str, id: &str, data: &Value) -> String {
    json!({
        "specversion": "1.0", "id": id, "source": "/hr", "type": event_type,
        "time": Utc::now().to_rfc3339(), "data": data,
    })
    .to_string()
}

async fn publish(world: &World, event_type: &str, id: &str, data: &Value) {
    world.publish(event_type, &event(event_type, id, data)).await;
}

/// An event that is as it should be is applied, whatever came before it.
async fn innocents_are_applied(world: &World, id: &str) {
    let (address, entry) = (format!("innocent-{id}@example.com"), format!("innocent-{id}"));
    world.fake.name_group("id-of-innocents", "Innocents");
    world.fake.add_member("id-of-innocents", &address);
    let leaves = json!({"emailAddress": address, "groups": ["Innocents"]});
    publish(world, OFFBOARDED_TYPE, id, &leaves).await;
    let url = format!("https://{entry}.example/");
    world.fake.add_managed_url(&entry, &url, "block", "explicit");
    publish(world, UNBLOCK_TYPE, id, &json!({"url": url})).await;
    crate::support::eventually("the innocent events are applied", async || {
        let is_left =
            world.fake.is_member("id-of-innocents", &address) || world.fake.has_url(&entry);
        (!is_left).then_some(())
    })
    .await;
}

const OFFBOARDED_TYPE: &str = "user.offboarded";
const UNBLOCK_TYPE: &str = "url.unblock";

/// The dead letter of an event: its reason, code and detail.
async fn letter(world: &World) -> (String, String, String) {
    let letter = world.vhost.take(DEAD_LETTERS).await;
    let header = |name: &str| letter.header(name).to_owned();
    (header("x-eventd-reason"), header("x-eventd-code"), header("x-eventd-detail"))
}

#[tokio::test]
async fn a_name_without_a_canonical_form_is_malformed_and_never_asked_about() {
    let world = World::with(&SOON).await;
    world.fake.add_member("staff", "ada@example.com");
    for (event_type, data, detail) in [
        (OFFBOARDED_TYPE, json!({"emailAddress": "ada@example.com\u{200b}"}), "U+200B"),
        (
            OFFBOARDED_TYPE,
            json!({"emailAddress": "SMTP:ada@example.com"}),
            "a prefix such as SMTP:",
        ),
        (OFFBOARDED_TYPE, json!({"emailAddress": "ada@example.com\u{fffd}"}), "U+FFFD"),
        (OFFBOARDED_TYPE, json!({"emailAddress": "'ada@example.com'"}), "quotation marks"),
        (OFFBOARDED_TYPE, json!({"emailAddress": "ada"}), "must have an @ in it"),
        (OFFBOARDED_TYPE, json!({"domain": "exam\u{ad}ple.com"}), "U+00AD"),
        (UNBLOCK_TYPE, json!({"id": "wOi3 MCwjU1"}), "U+0020"),
        (UNBLOCK_TYPE, json!({"url": "https://protect-eu.mimecast.com/s/x"}), "decode the link"),
    ] {
        let mut data = data;
        if event_type == OFFBOARDED_TYPE {
            data["groupIds"] = json!(["staff"]);
        }
        publish(&world, event_type, "odd", &data).await;
        let (reason, _, told) = letter(&world).await;
        assert_eq!(reason, "malformed", "{data}");
        assert!(told.contains(detail) && told.contains("(at /data/"), "{data}: {told}");
    }
    assert!(world.fake.is_member("staff", "ada@example.com"));
    assert_eq!(world.fake.calls(), []);
    innocents_are_applied(&world, "1").await;
}

#[tokio::test]
async fn every_spelling_of_a_name_takes_effect() {
    let world = World::with(&SOON).await;
    for (number, (listed, data)) in [
        ("ada@example.com", json!({"emailAddress": " ADA@Example.com. "})),
        ("o'brien+x@example.com", json!({"emailAddress": "o'brien+x@example.com"})),
        ("müller@xn--bcher-kva.example", json!({"emailAddress": "MÜLLER@bücher.example"})),
        ("mueller@bücher.example", json!({"emailAddress": "mueller@bücher.example"})),
        ("a/b=c@example.com", json!({"emailAddress": "a/b=c@example.com"})),
        ("example.com", json!({"domain": "example.com."})),
        ("example.org", json!({"domain": "EXAMPLE.org\u{3002}"})),
    ]
    .into_iter()
    .enumerate()
    {
        let group = format!("group-{number}");
        world.fake.add_member(&group, listed);
        let mut data = data;
        data["groupIds"] = json!([format!("{group}\n")]);
        publish(&world, OFFBOARDED_TYPE, &group, &data).await;
        crate::support::eventually(&format!("{listed} is gone"), async || {
            (!world.fake.is_member(&group, listed)).then_some(())
        })
        .await;
    }
    for (id, entry, data) in [
        ("one", "https://one.example/x", json!({"id": " one\n"})),
        ("two", "https://bad.example/~user", json!({"url": "https://bad.example/%7Euser"})),
        ("three", "https://bad.example/%c3%a9", json!({"url": "https://BAD.example./é"})),
    ] {
        world.fake.add_managed_url(id, entry, "block", "explicit");
        publish(&world, UNBLOCK_TYPE, id, &data).await;
        crate::support::eventually(&format!("{id} is gone"), async || {
            (!world.fake.has_url(id)).then_some(())
        })
        .await;
    }
    let settled = world.daemon.settled(10).await;
    assert!(settled.iter().all(|line| line["result"] == "applied"), "{settled:?}");
    assert_eq!(world.vhost.depth(DEAD_LETTERS).await, Some((0, 0)));
}

#[tokio::test]
async fn a_protected_address_and_a_protected_group_are_never_asked_about_in_any_spelling() {
    let own = [
        ("POLICY__PROTECTED_ADDRESSES", r#"["CEO@Example.com", "*@bücher.example"]"#),
        ("POLICY__PROTECTED_GROUPS", r#"["Board", "eNo-staff"]"#),
    ];
    let world = World::new_with(settings::hmac, &[&SOON[..], &own].concat(), |fake| {
        fake.name_group("eNo-board", "Board");
        fake.name_group("eNo-staff", "Staff");
        // Somebody has called another group like the id of a protected one.
        fake.name_group("eNo-trap", "eNo-staff");
        fake.name_group("eNo-open", "Open");
        ["ceo@example.com", "x@xn--bcher-kva.example", "ada@example.com"].iter().for_each(|who| {
            ["eNo-board", "eNo-staff", "eNo-open"].iter().for_each(|it| fake.add_member(it, who));
        });
    })
    .await;
    for (address, groups, reason, code) in [
        ("ceo@EXAMPLE.com.", "eNo-open", "denied", "protected_addresses"),
        ("c\u{200b}eo@example.com", "eNo-open", "malformed", "malformed"),
        ("ｃeo@example.com", "eNo-open", "malformed", "malformed"),
        ("ceo@ｅxample.com", "eNo-open", "denied", "protected_addresses"),
        ("X@BÜCHER.example", "eNo-open", "denied", "protected_addresses"),
        ("ada@example.com", "eNo-board ", "denied", "protected_groups"),
        ("ada@example.com", "eNo-board=", "denied", "protected_groups"),
        ("ada@example.com", "ENO-BOARD", "denied", "protected_groups"),
        ("ada@example.com", "eNo-staff", "denied", "protected_groups"),
        ("ada@example.com", "eNo-trap", "denied", "protected_groups"),
    ] {
        let data = json!({"emailAddress": address, "groupIds": ["eNo-open", groups]});
        publish(&world, OFFBOARDED_TYPE, "odd", &data).await;
        let (told, by, _) = letter(&world).await;
        assert_eq!((told.as_str(), by.as_str()), (reason, code), "{address:?} {groups:?}");
    }
    let calls = world.fake.calls();
    assert!(calls.iter().all(|call| call.operation == Operation::FindGroups), "{calls:?}");
    // A group that is newer than what is remembered is no reason to refuse anybody.
    innocents_are_applied(&world, "1").await;
    world.fake.add_member("eNo-new", "ada@example.com");
    let data = json!({"emailAddress": "ada@example.com", "groupIds": ["eNo-new"]});
    publish(&world, OFFBOARDED_TYPE, "new", &data).await;
    crate::support::eventually("the new group is left", async || {
        (!world.fake.is_member("eNo-new", "ada@example.com")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_group_is_found_in_any_normal_form_and_a_near_name_is_told() {
    let world = World::with(&SOON).await;
    world.fake.name_group("decomposed", "A\u{308}rzte");
    world.fake.name_group("composed", "Bücher");
    world.fake.name_group("near", "VIP  Mailing");
    for (group, name) in [("decomposed", "Ärzte"), ("composed", "Bu\u{308}cher")] {
        world.fake.add_member(group, "ada@example.com");
        let data = json!({"emailAddress": "ada@example.com", "groups": [name]});
        publish(&world, OFFBOARDED_TYPE, group, &data).await;
        crate::support::eventually(&format!("{group} is left"), async || {
            (!world.fake.is_member(group, "ada@example.com")).then_some(())
        })
        .await;
    }
    let data = json!({"emailAddress": "ada@example.com", "groups": ["vip mailing"]});
    publish(&world, OFFBOARDED_TYPE, "near", &data).await;
    let (reason, code, detail) = letter(&world).await;
    assert_eq!((reason.as_str(), code.as_str()), ("rejected", "group_not_found"));
    assert!(detail.contains("VIP  Mailing") && detail.contains("differs only"), "{detail}");
    innocents_are_applied(&world, "1").await;
}

#[tokio::test]
async fn a_url_that_another_entry_blocks_is_rejected_and_nobody_is_told_that_it_was_applied() {
    let world = World::with(&SOON).await;
    world.fake.add_managed_url("own", "https://bad.example/page", "block", "explicit");
    world.fake.add_managed_url("whole", "https://bad.example", "block", "domain");
    publish(&world, UNBLOCK_TYPE, "e-1", &json!({"url": "https://bad.example/page"})).await;
    let (reason, code, detail) = letter(&world).await;
    assert_eq!((reason.as_str(), code.as_str()), ("rejected", "blocked_by_another_entry"));
    assert!(detail.contains("the entry whole blocks"), "{detail}");
    innocents_are_applied(&world, "1").await;
}

#[tokio::test]
async fn lists_that_do_not_fit_together_prove_nothing() {
    let own = [("POLICY__VERIFY_EFFECT", "true")];
    let world = World::with(&[&SOON[..], &own].concat()).await;
    (0..600).for_each(|number| {
        world.fake.add_member("big", &format!("a-{number:03}@example.com"));
        world.fake.add_url(&format!("a-{number:03}"));
        world.fake.name_group(&format!("a-{number:03}"), &format!("VIP {number:03}"));
    });
    world.fake.add_member("big", "z@example.com");
    world.fake.add_managed_url("z", "https://bad.example/", "block", "explicit");
    world.fake.name_group("z", "VIP");
    world.fake.add_member("z", "ada@example.com");
    for operation in
        [Operation::FindGroups, Operation::GetGroupMembers, Operation::GetAllManagedUrls]
    {
        world.fake.overlap_pages(operation, 2);
    }
    // Mimecast says that it has done it, and shows the opposite at the end of a list whose first pages hide it.
    let lie = FaultKind::fail("err_folder_email_address_not_found");
    world.fake.inject(Fault::next(lie).for_operation(Operation::RemoveGroupMember));
    let data = json!({"emailAddress": "z@example.com", "groupIds": ["big"]});
    publish(&world, OFFBOARDED_TYPE, "member", &data).await;
    let data = json!({"emailAddress": "ada@example.com", "groups": ["VIP"]});
    publish(&world, OFFBOARDED_TYPE, "name", &data).await;
    publish(&world, UNBLOCK_TYPE, "url", &json!({"url": "https://bad.example"})).await;
    crate::support::eventually("all three are gone", async || {
        let is_left = world.fake.is_member("big", "z@example.com")
            || world.fake.is_member("z", "ada@example.com")
            || world.fake.has_url("z");
        (!is_left).then_some(())
    })
    .await;
    innocents_are_applied(&world, "1").await;
    assert_eq!(world.vhost.depth(DEAD_LETTERS).await, Some((0, 0)));
}

#[tokio::test]
async fn a_member_that_is_listed_in_another_spelling_is_removed_by_that_one() {
    let own = [("POLICY__VERIFY_EFFECT", "true")];
    let world = World::with(&[&SOON[..], &own].concat()).await;
    for (group, listed, address) in [
        ("composed", "mu\u{308}ller@example.com", "müller@example.com"),
        ("script", "ada@bücher.example", "ada@XN--BCHER-KVA.example"),
        ("hidden", "eve\u{200b}@example.com", "eve@example.com"),
        ("sigma", "ΝΙΚΟΣ@example.com", "νικος@example.com"),
    ] {
        world.fake.add_member(group, listed);
        world.fake.add_member(group, "somebody@example.com");
        let data = json!({"emailAddress": address, "groupIds": [group]});
        publish(&world, OFFBOARDED_TYPE, group, &data).await;
        crate::support::eventually(&format!("{listed} is gone"), async || {
            (!world.fake.is_member(group, listed)).then_some(())
        })
        .await;
        assert!(world.fake.is_member(group, "somebody@example.com"));
    }
    let settled = world.daemon.settled(4).await;
    assert!(settled.iter().all(|line| line["result"] == "applied"), "{settled:?}");
    // A text that is no plain name may be the member, and may be somebody else: it removes nobody.
    for (group, listed) in
        [("prefix", "SMTP:kim@example.com"), ("two", "Kim <kim@example.com>, b@x.example")]
    {
        world.fake.add_member(group, listed);
        let data = json!({"emailAddress": "kim@example.com", "groupIds": [group]});
        publish(&world, OFFBOARDED_TYPE, group, &data).await;
        let (reason, code, _) = letter(&world).await;
        assert_eq!((reason.as_str(), code.as_str()), ("retries_exhausted", "unreadable_member"));
        assert!(world.fake.is_member(group, listed));
    }
    // One that Mimecast does not find and lists all the same keeps its access, and that is no success.
    world.fake.add_member("kept", "bob@example.com");
    let lie = Fault::always(FaultKind::fail("err_folder_email_address_not_found"));
    world.fake.inject(lie.for_item_containing("bob@example.com"));
    let data = json!({"emailAddress": "bob@example.com", "groupIds": ["kept"]});
    publish(&world, OFFBOARDED_TYPE, "kept", &data).await;
    let (reason, code, _) = letter(&world).await;
    assert_eq!((reason.as_str(), code.as_str()), ("rejected", "effect_not_seen"));
    innocents_are_applied(&world, "1").await;
}

#[tokio::test]
async fn a_question_that_is_refused_is_never_the_events_fault() {
    let kinds = [
        FaultKind::fail("err_validation_query"),
        FaultKind::fail("err_of_tomorrow"),
        FaultKind::EmptyBody { status: 400 },
    ];
    let operations = [Operation::FindGroups, Operation::GetAllManagedUrls];
    let refused = operations.into_iter().flat_map(|operation| {
        kinds.iter().map(move |kind| a_refused_question_waits_aside(operation, kind.clone()))
    });
    // Each waits for ten seconds, so all at once.
    futures_util::future::join_all(refused).await;
}

async fn a_refused_question_waits_aside(operation: Operation, kind: FaultKind) {
    let shown = format!("{operation:?} {kind:?}");
    let world = World::with(&SOON).await;
    world.fake.name_group("id-of-vip", "VIP");
    world.fake.add_member("id-of-vip", "ada@example.com");
    world.fake.add_managed_url("z", "https://bad.example/", "block", "explicit");
    world.fake.inject(Fault::always(kind).for_operation(operation));
    let data = json!({"emailAddress": "ada@example.com", "groups": ["VIP"]});
    publish(&world, OFFBOARDED_TYPE, "name", &data).await;
    publish(&world, UNBLOCK_TYPE, "url", &json!({"url": "https://bad.example"})).await;
    let is_about_groups = operation == Operation::FindGroups;
    let lane = if is_about_groups { OFFBOARDED_TYPE } else { UNBLOCK_TYPE };
    // It waits aside, and its lane goes on.
    world.vhost.wait_for_depth(&format!("mimecast-eventd.{lane}.due.10s"), 1).await;
    assert_eq!(world.daemon.logged("lane paused").len(), 0, "{shown}");
    world.fake.heal();
    crate::support::eventually(&shown, async || {
        let is_left =
            world.fake.is_member("id-of-vip", "ada@example.com") || world.fake.has_url("z");
        (!is_left).then_some(())
    })
    .await;
    assert_eq!(world.vhost.depth(DEAD_LETTERS).await, Some((0, 0)), "{shown}");
}

#[tokio::test]
async fn what_was_sent_before_may_be_our_doing_and_what_was_never_sent_is_not_found() {
    let world = World::with(&SOON).await;
    world.fake.add_group("staff");
    // The first attempt is applied, and its answer is lost.
    world.fake.add_member("staff", "ada@example.com");
    let lost = Fault::next(FaultKind::LoseReply).for_item_containing("ada@example.com");
    world.fake.inject(lost);
    for (who, number) in [("ada", 1), ("nobody", 2)] {
        let data = json!({"emailAddress": format!("{who}@example.com"), "groupIds": ["staff"]});
        publish(&world, OFFBOARDED_TYPE, who, &data).await;
        world.daemon.settled(number).await;
    }
    let settled = world.daemon.settled(2).await;
    let result = |id: &str| {
        let line = settled.iter().find(|line| line["event_id"] == id);
        line.unwrap()["result"].clone()
    };
    assert_eq!((result("ada"), result("nobody")), (json!("already_gone"), json!("not_found")));
    let streak = r#"eventd_commands_not_found_streak{operation="remove_group_member"}"#;
    assert_eq!(world.daemon.metric(streak).await, 1.0);
    innocents_are_applied(&world, "1").await;
    world.daemon.wait_for_metric(streak, 0.0).await;
    let status = world.daemon.status().await;
    assert_eq!(status["recent"][0]["result"], "applied", "{status}");
    world.vhost.wait_for_depth(OFFBOARDED, 0).await;
    world.vhost.wait_for_depth(UNBLOCK, 0).await;
}

#[tokio::test]
async fn in_a_burst_after_the_start_no_message_is_taken_for_one_that_was_sent_before() {
    let world = World::with(&SOON).await;
    world.fake.add_group("staff");
    for number in 0..40 {
        let address = format!("nobody-{number}@example.com");
        let data = json!({"emailAddress": address, "groupIds": ["staff"]});
        publish(&world, OFFBOARDED_TYPE, &address, &data).await;
    }
    let settled = world.daemon.settled(40).await;
    let results: Vec<&Value> = settled.iter().map(|line| &line["result"]).collect();
    assert!(results.iter().all(|result| *result == "not_found"), "{results:?}");
}
