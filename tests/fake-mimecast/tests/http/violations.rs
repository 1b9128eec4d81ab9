//! What a well-behaved client never sends.

use chrono::Utc;
use fake_mimecast::{FakeMimecast, Operation};
use serde_json::json;

use crate::client::{ADA, Draft, GROUP, ada_leaves, ada_leaves_at, fake_with_ada};

async fn assert_violation(draft: &Draft, part: &str, fake: &FakeMimecast) {
    let before = fake.violations().len();
    let answer = draft.send(fake).await;
    assert_eq!(answer.status, 400, "{part}");
    let violations = fake.violations();
    assert_eq!(violations.len(), before + 1, "{part}: {violations:?}");
    let last = &violations[before];
    assert!(last.contains(part), "{last:?} does not say {part:?}");
}

#[tokio::test]
async fn each_breach_of_the_protocol_is_a_400_and_is_recorded() {
    let fake = fake_with_ada().await;
    let url = |item| Draft::signed(Operation::DeleteManagedUrl, &item);
    let member = |item| Draft::signed(Operation::RemoveGroupMember, &item);
    let elsewhere = Draft { path: "/api/elsewhere".to_owned(), ..ada_leaves() };
    let get = Draft { method: "GET", ..ada_leaves() };
    let cases = [
        (get, "not POST"),
        (elsewhere, "no such path"),
        (ada_leaves().without("content-type"), "Content-Type"),
        (ada_leaves().with("content-type", "text/plain"), "Content-Type"),
        (ada_leaves().body("{'data': [{'id': 'x'}]}"), "not JSON"),
        (ada_leaves().body("[]"), "not a JSON object"),
        (ada_leaves().body("{}"), "data is not a list"),
        (ada_leaves().body(r#"{"data":null}"#), "data is not a list"),
        (ada_leaves().body(r#"{"data":[]}"#), "0 items"),
        (ada_leaves().body(r#"{"data":[{"id":"x"},{"id":"y"}]}"#), "2 items"),
        (ada_leaves().body(r#"{"data":[{"id":"x"}],"more":1}"#), "\"more\""),
        (ada_leaves().body(r#"{"data":["x"]}"#), "not an object"),
        (member(json!({ "emailAddress": ADA })), "id is missing"),
        (member(json!({ "id": GROUP })), "emailAddress is missing"),
        (member(json!({ "id": GROUP, "emailAddress": ADA, "domain": "x" })), "both"),
        (member(json!({ "id": GROUP, "emailAddress": ADA, "notes": "x" })), "\"notes\""),
        (member(json!({ "id": GROUP, "emailAddress": null })), "not text"),
        (url(json!({ "id": "x", "url": "https://example.org" })), "\"url\""),
        (url(json!({})), "id is missing"),
        (ada_leaves().without("x-mc-req-id"), "x-mc-req-id is missing"),
        (ada_leaves().without("x-mc-date"), "x-mc-date is missing"),
        (ada_leaves().without("x-mc-app-id"), "x-mc-app-id is missing"),
        (ada_leaves_at(&Utc::now().to_rfc3339()), "another format"),
        (
            ada_leaves_at(&Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string()),
            "another format",
        ),
        (Draft::token("x", "y").with("content-type", "application/json"), "Content-Type"),
        (Draft::token("x", "y").body("grant_type=password"), "grant_type"),
    ];
    for (draft, part) in &cases {
        assert_violation(draft, part, &fake).await;
    }
    assert!(fake.is_member(GROUP, ADA));
    assert!(fake.calls().iter().all(|call| call.status == Some(400)));
}

#[tokio::test]
async fn a_request_id_must_not_come_twice_even_if_its_first_reply_was_lost() {
    let fake = fake_with_ada().await;
    let call = ada_leaves();
    fake.inject(fake_mimecast::Fault::next(fake_mimecast::FaultKind::Reset));
    call.fail_to_send(&fake).await;
    assert_violation(&call, "was used before", &fake).await;
    assert!(fake.is_member(GROUP, ADA));
}

#[tokio::test]
async fn a_violation_has_the_shape_of_the_endpoint() {
    let fake = fake_with_ada().await;
    let call = ada_leaves().body("no JSON").send(&fake).await;
    assert_eq!(call.code(), "err_deserialise");
    assert_eq!(call.json()["meta"]["status"], 400);
    let token = Draft::token("x", "y").body("").send(&fake).await;
    assert_eq!(token.json()["error"], "invalid_request");
}
