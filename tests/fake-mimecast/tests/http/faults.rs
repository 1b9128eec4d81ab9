//! Each kind of fault, as a client sees it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::time::Duration;

use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind, Operation};
use serde_json::json;

use crate::client::{ADA, Answer, Draft, GROUP, ada_leaves, fake_with_ada, removal_of};

const DEADLINE: Duration = Duration::from_secs(10);

/// Lets the one removal meet the fault, which must not execute it.
async fn answer_to(kind: FaultKind) -> Answer {
    let fake = fake_with_ada().await;
    fake.inject(Fault::next(kind));
    let answer = ada_leaves().send(&fake).await;
    assert!(fake.is_member(GROUP, ADA));
    let call = &fake.calls()[0];
    assert_eq!((call.status, call.applied), (Some(answer.status), false));
    assert!(answer.headers.contains_key("x-ratelimit-limit"));
    // The fault is used up.
    assert_eq!(ada_leaves().send(&fake).await.status, 200);
    assert!(!fake.is_member(GROUP, ADA));
    answer
}

#[tokio::test]
async fn a_status_is_sent_as_it_was_ordered() {
    let answer = answer_to(FaultKind::Status {
        status: 503,
        headers: BTreeMap::from([
            ("Retry-After".to_owned(), "7".to_owned()),
            ("X-RateLimit-Reset".to_owned(), "1".to_owned()),
        ]),
        body: "busy".to_owned(),
        content_type: "text/plain".to_owned(),
    })
    .await;
    assert_eq!((answer.status, answer.body.as_str()), (503, "busy"));
    assert_eq!(answer.headers["content-type"], "text/plain");
    assert_eq!(answer.headers["retry-after"], "7");
    assert_eq!(answer.headers["x-ratelimit-reset"], "1");
}

#[tokio::test]
async fn a_fail_hides_in_a_200_and_echoes_the_item() {
    let answer =
        answer_to(FaultKind::Fail { code: "err_x".to_owned(), message: "said so".to_owned() })
            .await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json(),
        json!({
            "meta": { "status": 200 },
            "data": [],
            "fail": [{
                "key": removal_of(ADA),
                "errors": [{ "code": "err_x", "message": "said so", "retryable": false }],
            }],
        })
    );
}

#[tokio::test]
async fn a_flat_fail_has_the_shape_of_the_gateway() {
    let answer =
        answer_to(FaultKind::FlatFail { status: 504, code: "GatewayTimeout".to_owned() }).await;
    assert_eq!((answer.status, answer.flat_code()), (504, json!("GatewayTimeout")));
    assert_eq!(answer.json().get("meta"), None);
}

#[tokio::test]
async fn the_newer_shape_lists_errors() {
    let answer =
        answer_to(FaultKind::ErrorsShape { status: 404, code: "not_there".to_owned() }).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json()["errors"][0]["code"], "not_there");
}

#[tokio::test]
async fn the_oauth_shape_describes_its_error() {
    let answer =
        answer_to(FaultKind::OAuthShape { status: 400, error: "invalid_scope".to_owned() }).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["error"], "invalid_scope");
    assert!(answer.json()["error_description"].is_string());
}

#[tokio::test]
async fn a_page_is_a_page() {
    let answer = answer_to(FaultKind::Html { status: 502 }).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.headers["content-type"], "text/html");
    assert!(answer.body.starts_with("<html>"));
}

#[tokio::test]
async fn an_empty_body_is_empty() {
    let answer = answer_to(FaultKind::EmptyBody { status: 400 }).await;
    assert_eq!((answer.status, answer.body.as_str()), (400, ""));
    assert_eq!(answer.headers.get("content-type"), None);
}

#[tokio::test]
async fn not_json_claims_to_be_json() {
    let answer = answer_to(FaultKind::NotJson).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(serde_json::from_str::<serde_json::Value>(&answer.body).is_err());
}

#[tokio::test]
async fn a_hang_lasts_until_the_client_goes_away() {
    let fake = fake_with_ada().await;
    fake.inject(Fault::next(FaultKind::Hang));
    let address = fake.address();
    let client = tokio::spawn(async move { ada_leaves().send_to(address).await });
    fake.wait_for_calls(1, DEADLINE).await;
    assert!(!client.is_finished());
    client.abort();

    assert_eq!(ada_leaves().send(&fake).await.status, 200);
    assert_eq!(fake.calls()[0].status, None);
    assert!(!fake.calls()[0].applied);
}

#[tokio::test]
async fn a_delay_only_delays() {
    let fake = fake_with_ada().await;
    fake.inject(Fault::next(FaultKind::Delay { milliseconds: 30 }));
    let start = std::time::Instant::now();
    let answer = ada_leaves().send(&fake).await;
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert_eq!(answer.status, 200);
    assert!(!fake.is_member(GROUP, ADA));
    let call = &fake.calls()[0];
    assert_eq!((call.status, call.applied), (Some(200), true));
}

#[tokio::test]
async fn a_held_call_waits_until_it_is_let_go() {
    let fake = fake_with_ada().await;
    fake.inject(Fault::next(FaultKind::Hold));
    let leaving = ada_leaves();
    let (answer, ()) = tokio::join!(leaving.send(&fake), async {
        fake.wait_for_calls(1, DEADLINE).await;
        assert_eq!((fake.calls()[0].status, fake.calls()[0].applied), (None, false));
        assert!(fake.is_member(GROUP, ADA));
        fake.release();
    });
    assert_eq!(answer.status, 200);
    assert!(!fake.is_member(GROUP, ADA));
    // Whoever comes later is held by the next fault of the kind, if there is one.
    assert_eq!(ada_leaves().send(&fake).await.status, 200);
}

#[tokio::test]
async fn a_reset_is_seen_as_one_and_nothing_is_applied() {
    let fake = fake_with_ada().await;
    fake.inject(Fault::next(FaultKind::Reset));
    let error = ada_leaves().fail_to_send(&fake).await;
    assert_eq!(error, ErrorKind::ConnectionReset);
    assert!(fake.is_member(GROUP, ADA));
    assert_eq!(fake.calls()[0].status, None);
}

#[tokio::test]
async fn a_lost_reply_belongs_to_a_call_that_was_applied() {
    let fake = fake_with_ada().await;
    fake.inject(Fault::next(FaultKind::LoseReply));
    let error = ada_leaves().fail_to_send(&fake).await;
    assert_eq!(error, ErrorKind::UnexpectedEof);
    assert!(!fake.is_member(GROUP, ADA));
    let call = &fake.calls()[0];
    assert_eq!((call.status, call.applied), (None, true));
    let again = ada_leaves().send(&fake).await;
    assert_eq!(again.code(), "err_folder_email_address_not_found");
}

#[tokio::test]
async fn a_truncated_reply_ends_before_its_announced_length() {
    let answer = answer_to(FaultKind::Truncated).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.complete);
    assert!(!answer.body.is_empty());
}

#[tokio::test]
async fn a_throttled_call_is_told_only_what_was_ordered() {
    let both = answer_to(FaultKind::Throttle {
        reset_milliseconds: Some(250),
        retry_after: Some("3".to_owned()),
    })
    .await;
    assert_eq!(both.status, 429);
    assert_eq!(both.headers["x-ratelimit-remaining"], "0");
    assert_eq!(both.headers["x-ratelimit-reset"], "250");
    assert_eq!(both.headers["retry-after"], "3");

    let neither =
        answer_to(FaultKind::Throttle { reset_milliseconds: None, retry_after: None }).await;
    assert_eq!(neither.status, 429);
    assert_eq!(neither.headers.get("x-ratelimit-reset"), None);
    assert_eq!(neither.headers.get("retry-after"), None);
}

#[tokio::test]
async fn a_mixed_fail_fills_both_lists() {
    let answer = answer_to(FaultKind::MixedFail { code: "err_x".to_owned() }).await;
    assert_eq!((answer.status, answer.code()), (200, json!("err_x")));
    assert_eq!(answer.json()["data"], json!([removal_of(ADA)]));
}

#[tokio::test]
async fn refusals_have_the_codes_of_the_vendor() {
    let unauthorized = answer_to(FaultKind::Unauthorized).await;
    assert_eq!(unauthorized.status, 401);
    assert_eq!(unauthorized.code(), "err_xdk_invalid_signature");

    let expired = answer_to(FaultKind::Expired).await;
    assert_eq!(expired.status, 418);
    assert_eq!(expired.code(), "err_xdk_binding_expired");

    let forbidden = answer_to(FaultKind::Forbidden).await;
    assert_eq!(forbidden.status, 403);
    assert_eq!(forbidden.flat_code(), "app_forbidden");
}

#[tokio::test]
async fn a_fault_meets_only_the_calls_that_it_names_and_so_often() {
    let fake = fake_with_ada().await;
    fake.inject(Fault::always(FaultKind::status(503)).for_item_containing("ada@").times(2));
    fake.inject(Fault::always(FaultKind::status(500)).for_operation(Operation::DeleteManagedUrl));

    let bob = Draft::signed(Operation::RemoveGroupMember, &removal_of("bob@example.org"));
    assert_eq!(bob.send(&fake).await.status, 200);
    for expected in [503, 503, 200] {
        assert_eq!(ada_leaves().send(&fake).await.status, expected);
    }
    let url = || Draft::signed(Operation::DeleteManagedUrl, &json!({ "id": "x" }));
    assert_eq!(url().send(&fake).await.status, 500);
    assert_eq!(url().send(&fake).await.status, 500);
    fake.heal();
    assert_eq!(url().send(&fake).await.status, 200);
}

#[tokio::test]
async fn faults_in_place_of_others_leave_none_of_those() {
    let fake = fake_with_ada().await;
    fake.inject(Fault::always(FaultKind::status(503)));
    fake.inject_instead([Fault::next(FaultKind::status(500)), Fault::next(FaultKind::status(502))]);
    for expected in [500, 502, 200] {
        assert_eq!(ada_leaves().send(&fake).await.status, expected);
    }
}

#[tokio::test]
async fn a_fault_meets_the_token_endpoint_only_by_name() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    fake.inject(Fault::always(FaultKind::status(503)));
    crate::client::token_of(&fake).await;
    fake.inject(Fault::next(FaultKind::LoseReply).for_operation(Operation::Token));
    let right = Credentials::default();
    let ask = Draft::token(&right.client_id, &right.client_secret);
    ask.fail_to_send(&fake).await;
    assert_eq!(fake.tokens_issued(), 2);
}

#[tokio::test]
async fn wrong_credentials_come_before_a_fault_but_after_one_of_the_transport() {
    let fake = fake_with_ada().await;
    let unsigned = || ada_leaves().with("authorization", "MC wrong:wrong");
    fake.inject(Fault::next(FaultKind::status(503)));
    assert_eq!(unsigned().send(&fake).await.status, 401);
    assert_eq!(ada_leaves().send(&fake).await.status, 503);
    fake.inject(Fault::next(FaultKind::Reset));
    unsigned().fail_to_send(&fake).await;
}

#[tokio::test]
#[should_panic(expected = "not a header")]
async fn a_fault_that_could_not_be_sent_is_refused_when_it_is_ordered() {
    let fake = fake_with_ada().await;
    fake.inject(Fault::next(FaultKind::Status {
        status: 200,
        headers: BTreeMap::from([("a b".to_owned(), String::new())]),
        body: String::new(),
        content_type: String::new(),
    }));
}
