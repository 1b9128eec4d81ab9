//! A reload to another tenant: nothing that was learned of the old one reaches the new one.

use super::reload::Mounted;
use crate::support::broker::{DEAD_LETTERS, OFFBOARDED};
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::settings::named;
use crate::support::world::World;
use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind, Operation};
use serde_json::{Value, json};

const APPLIED: &str = r#"eventd_settings_reloads_total{result="applied"}"#;
const PAUSED: &str = r#"eventd_lane_state{event="user.offboarded",state="paused"}"#;
const ACKED: &str = r#"eventd_messages_settled_total{disposition="ack",event="user.offboarded"}"#;

const ALLOWED: &str = "allowed_groups = [\"Staff\"]\n";

/// Two tenants with groups of the same names and other ids, and a daemon that begins with the first.
struct Move {
    mounted: Mounted,
    new: FakeMimecast,
    daemon: Daemon,
    rule: &'static str,
}

/// With a rule about groups, or with none: a rule reads the groups, and would find an id that is not there.
fn toml(fake: &FakeMimecast, rule: &str) -> String {
    let url = fake.base_url();
    format!("[mimecast]\nbase_url = \"{url}\"\n[policy]\nverify_effect = true\n{rule}")
}

/// A tenant whose ids begin so, and whose lists have several pages.
fn settle(fake: &FakeMimecast, ids: &str) {
    (0..600).for_each(|number| fake.add_group(&format!("{ids}-{number:03}")));
    fake.name_group(&format!("{ids}-staff"), "Staff");
    for number in 0..600 {
        let (id, url) = (format!("{ids}-{number:03}"), format!("https://example.org/{number}"));
        fake.add_managed_url(&id, &url, "block", "explicit");
    }
}

fn address(number: u32) -> String {
    format!("user-{number}@example.com")
}

impl Move {
    async fn begin(rule: &'static str) -> Move {
        let mut mounted = Mounted::new("", None).await;
        mounted.variables.remove("EVENTD_MIMECAST__BASE_URL");
        let new = FakeMimecast::start(Credentials::default()).await;
        settle(&mounted.fake, "old");
        settle(&new, "new");
        for number in 0..10 {
            mounted.fake.add_member("old-staff", &address(number));
            new.add_member("new-staff", &address(number));
        }
        let (first, key) = (toml(&mounted.fake, rule), mounted.right_key());
        mounted.write(&first, &key);
        let daemon = mounted.start().await;
        Move { mounted, new, daemon, rule }
    }

    async fn publish(&self, event_type: &str, id: u32, data: Value) {
        let event = json!({
            "specversion": "1.0", "id": format!("e-{id}"), "source": "/hr", "type": event_type,
            "data": data,
        });
        let properties = lapin::BasicProperties::default();
        self.mounted.vhost.publish(event_type, event.to_string().as_bytes(), properties).await;
    }

    async fn offboard(&self, number: u32) {
        let data = json!({"emailAddress": address(number), "groups": ["Staff"]});
        self.publish("user.offboarded", number, data).await;
    }

    async fn reload(&mut self) {
        let (second, key) = (toml(&self.new, self.rule), self.mounted.right_key());
        self.mounted.write(&second, &key);
        self.daemon.signal("HUP");
        self.daemon.wait_for_at_least(APPLIED, 1.0).await;
    }

    /// No call to the new tenant names anything of the old one.
    fn assert_new_heard_nothing_of_old(&self) {
        for call in self.new.calls() {
            assert!(!call.item.to_string().contains("old-"), "{call:?}");
        }
        assert_eq!(self.new.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn look_ups_under_way_at_a_reload_begin_again_at_the_new_tenant() {
    for (rule, later_page) in [("", false), (ALLOWED, true)] {
        let mut moving = Move::begin(rule).await;
        // What is remembered of the old tenant is of no use at the new one.
        moving.offboard(0).await;
        moving.daemon.wait_for_metric(ACKED, 1.0).await;
        for operation in [Operation::GetAllManagedUrls, Operation::GetGroupMembers] {
            let hold = Fault::always(FaultKind::Hold).for_operation(operation);
            let pages = operation == Operation::GetAllManagedUrls && later_page;
            moving.mounted.fake.inject(if pages { hold.for_later_page() } else { hold });
        }
        let asked = moving.mounted.fake.calls().len();
        for number in 1..5 {
            moving.offboard(number).await;
            let url = json!({"url": format!("https://example.org/{number}")});
            moving.publish("url.unblock", 100 + number, url).await;
        }
        eventually("look-ups of both lanes are held", async || {
            let calls = moving.mounted.fake.calls().split_off(asked);
            let is_held =
                |of| calls.iter().any(|call| call.operation == of && call.status.is_none());
            (is_held(Operation::GetAllManagedUrls) && is_held(Operation::GetGroupMembers))
                .then_some(())
        })
        .await;
        moving.reload().await;
        for number in 5..10 {
            moving.offboard(number).await;
        }
        moving.mounted.fake.heal();
        moving.mounted.fake.release();
        moving.daemon.settled(14).await;
        // A request that was under way has ended at the old one, and each event is applied in full at one of them.
        let is_left = |number| moving.new.is_member("new-staff", &address(number));
        let is_old = |number| !moving.mounted.fake.is_member("old-staff", &address(number));
        assert!((1..5).all(|number| is_old(number) || !is_left(number)));
        assert!((5..10).all(|number| !is_old(number) && !is_left(number)));
        assert!((1..5).all(|number| !moving.new.has_url(&format!("new-{number:03}"))));
        moving.assert_new_heard_nothing_of_old();
        assert_eq!(moving.mounted.vhost.depth(DEAD_LETTERS).await.unwrap().0, 0);
    }
}

#[tokio::test]
async fn groups_that_are_looked_up_at_a_reload_are_those_of_the_new_tenant() {
    let mut moving = Move::begin(ALLOWED).await;
    moving.mounted.fake.inject(Fault::always(FaultKind::Hold).for_operation(Operation::FindGroups));
    for number in 0..5 {
        moving.offboard(number).await;
    }
    eventually("it is held", async || moving.mounted.fake.calls().first().cloned()).await;
    moving.reload().await;
    moving.mounted.fake.heal();
    moving.mounted.fake.release();
    moving.daemon.wait_for_metric(ACKED, 5.0).await;
    assert!((0..5).all(|number| !moving.new.is_member("new-staff", &address(number))));
    assert!((0..5).all(|number| moving.mounted.fake.is_member("old-staff", &address(number))));
    moving.assert_new_heard_nothing_of_old();
}

#[tokio::test]
async fn a_pause_for_a_group_of_the_old_tenant_asks_the_new_one_for_none_of_it() {
    let mut moving = Move::begin(ALLOWED).await;
    moving.offboard(0).await;
    moving.daemon.wait_for_metric(ACKED, 1.0).await;
    let outage =
        || Fault::always(FaultKind::status(503)).for_operation(Operation::RemoveGroupMember);
    moving.mounted.fake.inject(outage());
    moving.new.inject(outage());
    for number in 1..5 {
        moving.offboard(number).await;
    }
    moving.daemon.wait_for_metric(PAUSED, 1.0).await;
    moving.reload().await;
    eventually("the new one is asked", async || (moving.new.calls().len() > 3).then_some(())).await;
    moving.new.heal();
    moving.daemon.wait_for_metric(ACKED, 5.0).await;
    assert!((1..5).all(|number| !moving.new.is_member("new-staff", &address(number))));
    moving.assert_new_heard_nothing_of_old();
}

#[tokio::test]
async fn what_was_done_at_another_tenant_is_done_again_for_a_copy_that_has_waited() {
    let mut world = World::with(&[("RETRY__LADDER", r#"["3s"]"#)]).await;
    let new = FakeMimecast::start(Credentials::default()).await;
    for group in ["group-1", "group-2"] {
        world.fake.add_member(group, "ada@example.com");
        new.add_member(group, "ada@example.com");
    }
    let fails = FaultKind::FlatFail { status: 503, code: "down".into() };
    world.fake.inject(Fault::always(fails).for_item_containing("group-2"));
    world.offboard("e-1", "ada@example.com", &["group-1", "group-2"]).await;
    world.vhost.wait_for_depth(&format!("{OFFBOARDED}.retry.3s"), 1).await;
    assert!(!world.fake.is_member("group-1", "ada@example.com"));
    let (name, url) = named("MIMECAST__BASE_URL", &new.base_url());
    world.variables.insert(name, url);
    world.restart_daemon().await;
    world.daemon.wait_for_metric(ACKED, 1.0).await;
    assert!(
        !new.is_member("group-1", "ada@example.com")
            && !new.is_member("group-2", "ada@example.com")
    );
}
