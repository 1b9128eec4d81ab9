//! The program and its control endpoints.

use std::net::SocketAddr;
use std::process::Stdio;

use fake_mimecast::{Call, Credentials, Fault, FaultKind, Operation};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::{ADA, Answer, Draft, GROUP, ada_leaves, fake_with_ada, removal_of, token_of};

/// Gives the addresses of API 1.0 and of API 2.0.
async fn start(flags: &[&str]) -> (Child, SocketAddr, SocketAddr) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_fake-mimecast"))
        .args(flags)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program was built");
    let stdout = program.stdout.take().expect("stdout is piped");
    let mut lines = BufReader::new(stdout).lines();
    let mut addresses = Vec::new();
    for start in ["listening on http://", "listening for API 2.0 on http://"] {
        let line = lines.next_line().await.expect("stdout is text");
        let line = line.expect("the program says where it listens");
        let address = line.strip_prefix(start).expect("the line has its firm form");
        addresses.push(address.parse().expect("the line ends with an address"));
    }
    (program, addresses[0], addresses[1])
}

async fn control(method: &'static str, path: &str, body: &Value, fake: SocketAddr) -> Answer {
    Draft::control(method, path, body).send_to(fake).await.expect("a reply came")
}

#[tokio::test]
async fn a_script_can_do_what_a_test_can() {
    let (mut program, fake, oauth2) = start(&["--access-key", "another"]).await;
    let credentials = control("GET", "credentials", &Value::Null, fake).await;
    let credentials: Credentials = serde_json::from_value(credentials.json()).expect("credentials");
    assert_eq!(
        credentials,
        Credentials { access_key: "another".to_owned(), ..Credentials::default() }
    );
    let remove = || Draft::signed_by(&credentials, Operation::RemoveGroupMember, &removal_of(ADA));

    for (path, body) in [
        ("groups", json!({ "id": "empty" })),
        ("members", json!({ "group": GROUP, "member": ADA })),
        ("urls", json!({ "id": "url-1" })),
        ("limit", json!({ "calls": 100, "window_milliseconds": 60_000 })),
        (
            "limit",
            json!({
                "operation": "remove_group_member", "calls": 50, "window_milliseconds": 60_000,
            }),
        ),
        (
            "faults",
            json!({
                "matches": { "operation": "remove_group_member", "item_containing": "ada@" },
                "times": { "exactly": 1 },
                "kind": { "type": "throttle", "retry_after": "1" },
            }),
        ),
        ("faults", json!({ "times": "always", "kind": { "type": "hang" } })),
    ] {
        assert_eq!(control("POST", path, &body, fake).await.status, 204, "{path}");
    }
    let throttled = remove().send_to(fake).await.expect("a reply came");
    assert_eq!(throttled.status, 429);
    assert_eq!(throttled.headers["x-ratelimit-limit"], "50");
    // The other address leads to the same tenant.
    let members = control("GET", "members", &Value::Null, oauth2).await;
    assert_eq!(members.json(), json!({ GROUP: [ADA], "empty": [] }));
    let urls = control("GET", "urls", &Value::Null, fake).await;
    assert_eq!(urls.json(), json!(["url-1"]));

    assert_eq!(control("DELETE", "faults", &Value::Null, fake).await.status, 204);
    let removed = remove().send_to(fake).await.expect("a reply came");
    assert_eq!(removed.status, 200);
    let url = json!({ "id": "url-1" });
    let delete = Draft::signed_by(&credentials, Operation::DeleteManagedUrl, &url);
    let deleted = delete.send_to(fake).await.expect("a reply came");
    assert_eq!(deleted.headers["x-ratelimit-limit"], "100");
    control("POST", "keys", &json!({ "expire": true }), fake).await;
    let expired = remove().send_to(fake).await.expect("a reply came");
    assert_eq!(expired.status, 418);
    control("POST", "credentials", &json!({ "refuse": true }), fake).await;
    let refused = remove().send_to(fake).await.expect("a reply came");
    assert_eq!(refused.status, 401);

    let calls = control("GET", "calls", &Value::Null, fake).await;
    let calls: Vec<Call> = serde_json::from_value(calls.json()).expect("calls");
    let statuses: Vec<Option<u16>> = calls.iter().map(|call| call.status).collect();
    assert_eq!(statuses, [Some(429), Some(200), Some(200), Some(418), Some(401)]);
    let violations = control("GET", "violations", &Value::Null, fake).await;
    assert_eq!(violations.json(), json!([]));

    let pid = program.id().expect("the program runs").to_string();
    let terminated = Command::new("kill").arg(&pid).status().await;
    assert!(terminated.expect("kill is there").success());
    assert!(program.wait().await.expect("the program ends").success());
}

#[tokio::test]
async fn a_script_can_withhold_products() {
    let fake = fake_with_ada().await;
    let none = json!({ "operations": [] });
    let control = control("POST", "products", &none, fake.oauth2_address()).await;
    assert_eq!(control.status, 204);
    let token = token_of(&fake).await;
    let call = Draft::bearing(&token, Operation::RemoveGroupMember, &removal_of(ADA));
    assert_eq!(call.send(&fake).await.status, 403);
}

#[tokio::test]
async fn control_endpoints_are_neither_calls_nor_violations() {
    let fake = fake_with_ada().await;
    let address = fake.address();
    assert_eq!(control("GET", "nothing", &Value::Null, address).await.status, 404);
    let unknown = json!({ "kind": { "type": "explode" } });
    let answer = control("POST", "faults", &unknown, address).await;
    assert_eq!(answer.status, 400);
    assert!(answer.json()["error"].is_string());
    for impossible in [
        json!({ "kind": { "type": "html", "status": 99 } }),
        json!({ "kind": { "type": "throttle", "retry_after": "1\n2" } }),
    ] {
        let answer = control("POST", "faults", &impossible, address).await;
        assert_eq!(answer.status, 400, "{impossible}");
    }
    assert_eq!(fake.calls(), []);
    assert_eq!(fake.violations(), Vec::<String>::new());
    assert_eq!(ada_leaves().send(&fake).await.status, 200);
}

#[test]
fn every_fault_survives_its_way_through_json() {
    let text = String::new;
    let kinds = [
        FaultKind::Status {
            status: 500,
            headers: [("a".to_owned(), "b".to_owned())].into(),
            body: text(),
            content_type: text(),
        },
        FaultKind::fail("x"),
        FaultKind::FlatFail { status: 500, code: text() },
        FaultKind::ErrorsShape { status: 500, code: text() },
        FaultKind::OAuthShape { status: 500, error: text() },
        FaultKind::Html { status: 500 },
        FaultKind::status(500),
        FaultKind::NotJson,
        FaultKind::Hang,
        FaultKind::Delay { milliseconds: 1 },
        FaultKind::Reset,
        FaultKind::LoseReply,
        FaultKind::Truncated,
        FaultKind::Throttle { reset_milliseconds: Some(1), retry_after: None },
        FaultKind::MixedFail { code: text() },
        FaultKind::Unauthorized,
        FaultKind::Expired,
        FaultKind::Forbidden,
    ];
    for kind in kinds {
        let fault = Fault::always(kind).for_item_containing("x").for_operation(Operation::Token);
        let json = serde_json::to_string(&fault).expect("a fault has a JSON form");
        let back: Fault = serde_json::from_str(&json).expect("its JSON form is a fault");
        assert_eq!(back, fault, "{json}");
    }
}

#[tokio::test]
async fn under_a_load_what_is_rightly_signed_is_applied_and_counted_and_nothing_else_is() {
    let (_program, fake, _) = start(&[]).await;
    let load = json!({ "latency_milliseconds": 0 });
    assert_eq!(control("POST", "load", &load, fake).await.status, 204);
    let wrong = Credentials { app_key: "wrong".to_owned(), ..Credentials::default() };
    let remove =
        |keys: &Credentials| Draft::signed_by(keys, Operation::RemoveGroupMember, &removal_of(ADA));
    assert_eq!(remove(&wrong).send_to(fake).await.expect("a reply came").status, 401);
    for _ in 0..2 {
        // Nobody is a member of anything here.
        let applied = remove(&Credentials::default()).send_to(fake).await.expect("a reply came");
        assert_eq!(applied.json()["fail"], json!([]));
    }
    let count = control("GET", "load", &Value::Null, fake).await;
    assert_eq!(count.json(), json!({ "calls": 2 }));
}
