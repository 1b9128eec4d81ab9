//! `plan`, as a producer runs it: without a broker, a vendor or a key.

use crate::support::settings::{self, named};
use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind, Operation};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

const OFFBOARDING: &str = r#"{"specversion":"1.0","id":"e-1","source":"/hr","type":"user.offboarded",
    "data":{"emailAddress":"ada@example.com","groupIds":["a","b"]}}"#;

fn plan(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
    command.arg("plan").args(arguments).env_clear().env("EVENTD_MIMECAST__REGION", "nowhere");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The exit code, and an object for each event.
fn planned(arguments: &[&str], input: &str) -> (Option<i32>, Vec<Value>) {
    let output = plan(&[&["--json"], arguments].concat(), input);
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[test]
fn an_event_comes_to_its_calls() {
    let (code, plans) = planned(&[], OFFBOARDING);
    let call = |group: &str| {
        let body = json!({"data": [{"id": group, "emailAddress": "ada@example.com"}]});
        json!({"path": "/api/directory/remove-group-member", "body": body})
    };
    let expected = json!({
        "id": "e-1", "type": "user.offboarded", "disposition": "ack", "reason": null,
        "detail": null, "pointer": null, "calls": [call("a"), call("b")],
    });
    assert_eq!((code, plans), (Some(0), vec![expected]));
    let shown = String::from_utf8(plan(&[], OFFBOARDING).stdout).unwrap();
    assert!(shown.starts_with("user.offboarded e-1: 2 calls\n  POST /api/directory/"), "{shown}");
    assert!(shown.contains(r#"{"data":[{"emailAddress":"ada@example.com","id":"a"}]}"#), "{shown}");
    let unblock = r#"{"specversion":"1.0","id":"e-2","source":"/soc","type":"url.unblock",
        "data":{"id":"entry-1"}}"#;
    let shown = String::from_utf8(plan(&[], unblock).stdout).unwrap();
    assert!(shown.starts_with("url.unblock e-2: 1 call\n"), "{shown}");
}

#[test]
fn one_event_that_would_not_be_carried_out_is_the_exit_code_2_and_says_where() {
    let good = OFFBOARDING.replace('\n', "");
    let lines = [
        good.as_str(),
        r#"{"specversion":"1.0","id":"e-2","source":"/hr","type":"user.hired","data":{}}"#,
        "",
        r#"{"specversion":"1.0","id":"e","id":"f"}"#,
        "nonsense",
        &good,
    ];
    let (code, plans) = planned(&[], &lines.join("\n"));
    assert_eq!(code, Some(2));
    let told: Vec<_> = plans
        .iter()
        .map(|plan| (&plan["disposition"], &plan["reason"], &plan["pointer"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("ack"), &Value::Null, &Value::Null),
            (&json!("dead_letter"), &json!("unsupported"), &json!("/type")),
            (&json!("dead_letter"), &json!("malformed"), &json!("/id")),
            (&json!("dead_letter"), &json!("malformed"), &Value::Null),
            (&json!("ack"), &Value::Null, &Value::Null),
        ]
    );
    assert_eq!((&plans[1]["id"], &plans[3]["id"]), (&json!("e-2"), &Value::Null));
    let shown = String::from_utf8(plan(&[], &lines.join("\n")).stdout).unwrap();
    let expected =
        "2: an event e-2: dead letter, unsupported: the event type is not known (at /type)\n";
    assert!(shown.contains(expected), "{shown}");
    let nameless = "4: an event without an id: dead letter, malformed: the body is not JSON";
    assert!(shown.contains(nameless), "{shown}");
}

#[test]
fn nothing_at_all_is_a_malformed_event_and_a_missing_file_a_failure() {
    let (code, plans) = planned(&[], "");
    assert_eq!((code, &plans[0]["reason"]), (Some(2), &json!("malformed")));
    let output = plan(&["/nowhere/event.json"], "");
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("/nowhere/event.json: No such file"), "{error}");
}

#[test]
fn what_would_be_published_beside_the_body_and_what_is_set_count() {
    let bare = r#"{"emailAddress":"ada@example.com"}"#;
    assert_eq!(planned(&[], bare).1[0]["detail"], "the event type is not known");
    let key = ["--routing-key", "user.offboarded"];
    let (code, plans) = planned(&key, bare);
    let detail = "groupIds is missing and no default_groups are configured";
    assert_eq!((code, &plans[0]["detail"]), (Some(2), &json!(detail)));
    assert_eq!(plans[0]["type"], "user.offboarded", "it was read well enough for that");
    let groups = ["--events-user-offboarded-default-groups", r#"["a"]"#];
    let (code, plans) = planned(&[key, groups].concat(), bare);
    assert_eq!((code, plans[0]["calls"].as_array().unwrap().len()), (Some(0), 1));
    let (code, plans) = planned(&["--routing-key", "url.unblock"], OFFBOARDING);
    assert_eq!(code, Some(2));
    assert!(plans[0]["detail"].to_string().contains("came through the queue of url.unblock"));
    let (code, plans) = planned(&["--content-type", "application/cloudevents-batch+json"], "[]");
    assert_eq!((code, &plans[0]["reason"]), (Some(2), &json!("unsupported")));
    let own = [
        "--events-user-offboarded-binding-keys",
        r#"["hr.#"]"#,
        "--events-user-offboarded-map",
        r#"{ emailAddress = "/who" }"#,
    ];
    let arguments = [&["--routing-key", "hr.left"][..], &groups, &own].concat();
    let (code, plans) = planned(&arguments, r#"{"who":"ada@example.com"}"#);
    assert_eq!((code, plans[0]["calls"].as_array().unwrap().len()), (Some(0), 1));
    let (code, plans) = planned(&arguments, r#"{"who":7}"#);
    assert_eq!((code, &plans[0]["pointer"]), (Some(2), &json!("/who")));
    for (rule, value, reason) in [
        ("allowed-sources", r#"["/other"]"#, "denied"),
        ("allowed-users", r#"["hr"]"#, "denied"),
        ("protected-addresses", r#"["ada@*"]"#, "denied"),
        ("protected-groups", r#"["b"]"#, "denied"),
        ("max-event-age", "1day", "expired"),
    ] {
        let flag = format!("--policy-{rule}");
        let (code, plans) = planned(&[&flag, value], OFFBOARDING);
        assert_eq!((code, &plans[0]["reason"]), (Some(2), &json!(reason)), "{rule}");
        let detail = plans[0]["detail"].as_str().unwrap();
        assert!(detail.ends_with(&format!("(policy.{})", rule.replace('-', "_"))), "{detail}");
        assert_eq!(plans[0]["calls"], json!([]));
    }
    let (code, plans) = planned(&["--policy-dry-run", "true"], OFFBOARDING);
    assert_eq!(
        (code, &plans[0]["detail"]),
        (Some(0), &json!("nothing is changed (policy.dry_run)"))
    );
    let most = ["--policy-max-commands", "1", "--policy-window", "10m"];
    let (code, plans) = planned(&most, OFFBOARDING);
    assert_eq!(code, Some(0));
    assert_eq!(plans[0]["detail"], "1 of 2 in 10m, then the rest (policy.max_commands)");
    let enough = ["--policy-max-commands", "2"];
    assert_eq!(planned(&enough, OFFBOARDING).1[0]["detail"], Value::Null);
    let verified = planned(&["--policy-verify-effect", "true"], OFFBOARDING).1;
    let paths = |plan: &Value| -> Vec<String> {
        let calls = plan["calls"].as_array().unwrap().iter();
        calls
            .map(|call| call["path"].as_str().unwrap().rsplit('/').next().unwrap().into())
            .collect()
    };
    let (remove, look) = ("remove-group-member", "get-group-members");
    assert_eq!(paths(&verified[0]), [remove, look, remove, look]);
    let blocked = ["--policy-only-blocked", "true", "--routing-key", "url.unblock"];
    let blocked = planned(&blocked, r#"{"id":"x"}"#).1;
    assert_eq!(paths(&blocked[0]), ["get-all-managed-urls", "delete-managed-url"]);
    let users = ["--policy-allowed-users", r#"["hr"]"#, "--user-id", "hr"];
    assert_eq!(planned(&users, OFFBOARDING).0, Some(0));
    let named = OFFBOARDING.replace(r#""groupIds":["a","b"]"#, r#""groups":["VIP"]"#);
    let (code, plans) = planned(&[], &named);
    assert_eq!((code, plans[0]["calls"].as_array().unwrap().len()), (Some(0), 2));
    assert_eq!(plans[0]["calls"][0]["path"], "/api/directory/find-groups");
    assert_eq!(plans[0]["calls"][0]["body"]["data"], json!([{"query": "VIP"}]));
    assert_eq!(plans[0]["calls"][1]["body"]["data"][0]["id"], r#"(id of the group "VIP")"#);
    let by_url = ["--routing-key", "url.unblock"];
    let (code, plans) = planned(&by_url, r#"{"url":"https://example.com/a"}"#);
    assert_eq!((code, plans[0]["calls"].as_array().unwrap().len()), (Some(0), 2));
    assert_eq!(plans[0]["calls"][0]["path"], "/api/ttp/url/get-all-managed-urls");
    let later = OFFBOARDING.replace("\"groupIds\"", "\"effectiveAt\":\"LATER\",\"groupIds\"");
    let at = (chrono::Utc::now() + chrono::TimeDelta::days(30)).format("%Y-%m-%dT00:00:00Z");
    let (code, plans) = planned(&[], &later.replace("LATER", &at.to_string()));
    assert_eq!((code, &plans[0]["disposition"]), (Some(0), &json!("wait")));
    assert_eq!(plans[0]["detail"], format!("not before {at}"));
    assert_eq!(plans[0]["calls"].as_array().unwrap().len(), 2);
    let (code, plans) = planned(&[], &later.replace("LATER", "2999-01-01T00:00:00Z"));
    assert_eq!((code, &plans[0]["pointer"]), (Some(2), &json!("/data/effectiveAt")));
    let wrong = plan(&["--events-url-unblock-types", r#"["user.offboarded"]"#], bare);
    assert_eq!(wrong.status.code(), Some(64));
}

#[tokio::test]
async fn with_a_look_up_the_vendor_says_what_is_called_so_and_nothing_is_changed() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    fake.name_group("id-of-vip", "VIP");
    fake.name_group("id-of-board", "Board");
    fake.add_member("id-of-vip", "ada@example.com");
    fake.add_managed_url("one", "https://example.com/a", "block", "explicit");
    fake.add_managed_url("two", "https://example.com/a", "block", "explicit");
    let event = |groups: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"e","source":"/hr","type":"user.offboarded","data":{{"emailAddress":"ada@example.com","groups":{groups}}}}}"#
        )
    };
    let url = r#"{"specversion":"1.0","id":"u","source":"/soc","type":"url.unblock","data":{"url":"https://example.com/a"}}"#;
    // Only the API can say that this is the protected group.
    let by_id = event("[]").replace(r#""groups":[]"#, r#""groupIds":["id-of-board"]"#);
    let events =
        [event(r#"["VIP"]"#), event(r#"["None"]"#), event(r#"["VIP","Board"]"#), url.into(), by_id];
    let mut variables = settings::hmac(&fake);
    variables.extend([named("POLICY__PROTECTED_GROUPS", r#"["Board"]"#)]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), events.join("\n")).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
    command.args(["plan", "--json", "--look-up"]).arg(file.path()).env_clear().envs(&variables);
    let output = command.output().await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let plans: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let call = json!({"path": "/api/directory/remove-group-member",
        "body": {"data": [{"id": "id-of-vip", "emailAddress": "ada@example.com"}]}, "listed": true});
    assert_eq!(plans[0]["calls"], json!([call]));
    let (none, board) = (&plans[1], &plans[2]);
    assert_eq!((&none["reason"], &none["calls"]), (&json!("rejected"), &json!([])));
    assert_eq!(none["detail"], "no group has the name in groups[0] (group_not_found)");
    assert_eq!((&board["reason"], &board["calls"]), (&json!("denied"), &json!([])));
    let ids: Vec<&Value> = (0..2).map(|n| &plans[3]["calls"][n]["body"]["data"][0]["id"]).collect();
    assert_eq!(ids, ["one", "two"]);
    assert_eq!((&plans[4]["reason"], &plans[4]["calls"]), (&json!("denied"), &json!([])));
    assert!(fake.calls().iter().all(|call| !call.operation.is_change()));
    // A vendor that does not answer is no verdict on the event.
    fake.inject(Fault::always(FaultKind::status(503)));
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((output.status.code(), &first["disposition"]), (Some(2), &json!("retry")));
}

#[test]
fn nothing_in_an_event_moves_the_cursor_or_turns_the_direction_of_writing() {
    let named = OFFBOARDING.replace('\n', "").replace("e-1", "e\\u001b[2J\\u202e");
    let in_a_call = named.replace("\"a\"", "\"\u{9b}2J\u{202e}\"");
    let twice = r#"{"a\u001b[2J\n":1,"a\u001b[2J\n":2}"#;
    let output = plan(&[], &[&in_a_call, twice].join("\n"));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("e?[2J?: dead letter, malformed") && shown.contains("(at /a?[2J?)"),
        "{shown:?}"
    );
    let moves = |it: char| (it.is_control() && it != '\n') || it == '\u{202e}';
    assert!(!shown.contains(moves), "{shown:?}");
}

#[test]
fn what_is_wrong_is_told_in_one_short_line_however_long_a_key_is() {
    let key = "k".repeat(100_000);
    let output = plan(&[], &format!("{{\"{key}\":1,\"{key}\":2}}"));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("a key stands twice (at /kkk"), "{shown}");
    assert!(shown.lines().count() == 1 && shown.len() < 1_200, "{}", shown.len());
}

#[tokio::test]
async fn a_look_up_says_whether_what_an_event_removes_is_listed() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    fake.add_member("staff", "ADA@Example.com");
    fake.add_url("entry-1");
    let leave = |address: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{address}","source":"/hr","type":"user.offboarded","data":{{"emailAddress":"{address}","groupIds":["staff"]}}}}"#
        )
    };
    let unblock = |data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"u","source":"/soc","type":"url.unblock","data":{data}}}"#
        )
    };
    let events = [
        leave("ada@example.com"),
        leave("bob@example.com"),
        unblock(r#"{"ids":["entry-1","entry-2"]}"#),
        unblock(r#"{"url":"https://nowhere.example/"}"#),
    ];
    let variables = settings::hmac(&fake);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), events.join("\n")).unwrap();
    let shown = async |flags: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
        command.args(["plan", "--look-up"]).args(flags).arg(file.path());
        let output = command.env_clear().envs(&variables).output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let plans = shown(&["--json"]).await;
    let plans: Vec<Value> = plans.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listed = |plan: &Value| -> Vec<Value> {
        plan["calls"].as_array().unwrap().iter().map(|call| call["listed"].clone()).collect()
    };
    assert_eq!(listed(&plans[0]), [json!(true)]);
    assert_eq!(listed(&plans[1]), [json!(false)]);
    assert_eq!(listed(&plans[2]), [json!(true), json!(false)]);
    assert_eq!(listed(&plans[3]), [json!(null); 0]);
    let text = shown(&[]).await;
    for said in [
        "Mimecast lists what this removes",
        "check the attribute of the event, the group and the tenant",
        "no entry that blocks the URL",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    // Where that cannot be read, it is not said.
    let refused = Fault::always(FaultKind::fail("app_forbidden"));
    fake.inject(refused.for_operation(Operation::GetGroupMembers));
    let plans = shown(&["--json"]).await;
    let first: Value = serde_json::from_str(plans.lines().next().unwrap()).unwrap();
    assert_eq!(listed(&first), [Value::Null], "{first}");
    assert!(fake.calls().iter().all(|call| !call.operation.is_change()));
}
