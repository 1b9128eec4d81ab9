//! The rate limit, as a client sees it.

use std::time::Duration;

use fake_mimecast::{AuthorizationKind, Credentials, FakeMimecast, Operation};
use serde_json::json;

use crate::client::{ADA, Answer, Draft, GROUP, ada_leaves, fake_with_ada, removal_of, token_of};

fn shown(answer: &Answer) -> (&str, &str) {
    (&answer.headers["x-ratelimit-limit"], &answer.headers["x-ratelimit-remaining"])
}

fn a_deletion() -> Draft {
    Draft::signed(Operation::DeleteManagedUrl, &json!({ "id": "x" }))
}

#[tokio::test]
async fn every_reply_says_how_much_of_the_quota_is_left() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    token_of(&fake).await;
    let answer = ada_leaves().send(&fake).await;
    assert_eq!(answer.headers["x-ratelimit-limit"], "800");
    assert_eq!(answer.headers["x-ratelimit-remaining"], "798");
    let reset: u64 = answer.headers["x-ratelimit-reset"].parse().expect("the reset is a number");
    assert!((1..=5000).contains(&reset), "{reset}");
}

#[tokio::test]
async fn a_call_beyond_the_limit_is_throttled_and_not_executed() {
    let fake = fake_with_ada().await;
    fake.limit(1, Duration::from_secs(3600));
    assert_eq!(a_deletion().send(&fake).await.status, 200);

    let throttled = ada_leaves().send(&fake).await;
    assert_eq!(throttled.status, 429);
    assert_eq!(throttled.headers["x-ratelimit-remaining"], "0");
    assert!(fake.is_member(GROUP, ADA));
    assert!(!fake.calls()[1].applied);

    fake.limit(1, Duration::from_secs(3600));
    assert_eq!(ada_leaves().send(&fake).await.status, 200);
    assert!(!fake.is_member(GROUP, ADA));
}

#[tokio::test]
async fn a_used_call_comes_back_when_the_reset_says_so() {
    let fake = fake_with_ada().await;
    fake.limit(1, Duration::from_millis(600));
    assert_eq!(a_deletion().send(&fake).await.status, 200);
    let throttled = a_deletion().send(&fake).await;
    assert_eq!(throttled.status, 429);
    let reset: u64 = throttled.headers["x-ratelimit-reset"].parse().expect("a number");
    assert!((1..=600).contains(&reset), "{reset}");
    tokio::time::sleep(Duration::from_millis(reset)).await;
    assert_eq!(a_deletion().send(&fake).await.status, 200);
}

#[tokio::test]
async fn a_limit_of_one_operation_leaves_the_other_alone() {
    let fake = fake_with_ada().await;
    fake.limit_operation(Operation::DeleteManagedUrl, 1, Duration::from_secs(3600));
    let first = a_deletion().send(&fake).await;
    assert_eq!((first.status, shown(&first)), (200, ("1", "0")));
    let second = a_deletion().send(&fake).await;
    assert_eq!((second.status, shown(&second)), (429, ("1", "0")));
    let other = ada_leaves().send(&fake).await;
    assert_eq!((other.status, shown(&other)), (200, ("800", "798")));
}

#[tokio::test]
async fn tokens_cost_calls_and_are_throttled_when_none_are_left() {
    let fake = fake_with_ada().await;
    fake.limit(2, Duration::from_secs(3600));
    let token = token_of(&fake).await;
    let call = Draft::bearing(&token, Operation::RemoveGroupMember, &removal_of(ADA));
    let answer = call.send(&fake).await;
    assert_eq!((answer.status, shown(&answer)), (200, ("2", "0")));
    let right = Credentials::default();
    let ask = Draft::token(&right.client_id, &right.client_secret);
    let throttled = ask.send(&fake).await;
    assert_eq!((throttled.status, shown(&throttled)), (429, ("2", "0")));
    assert_eq!(fake.tokens_issued(), 1);
}

#[tokio::test]
async fn who_is_not_known_is_shown_another_quota_than_ours() {
    let fake = fake_with_ada().await;
    let right = Credentials::default();
    let unknown = Credentials { access_key: "unknown".to_owned(), ..right.clone() };
    let operation = Operation::RemoveGroupMember;
    let strangers = [
        Draft::signed_by(&unknown, operation, &removal_of(ADA)),
        Draft::bearing("unknown", operation, &removal_of(ADA)),
        Draft::token("unknown", &right.client_secret),
        ada_leaves().without("authorization"),
    ];
    for (draft, left) in strangers.iter().zip(["4999", "4998", "4997", "4996"]) {
        let answer = draft.send(&fake).await;
        assert_eq!((answer.status, shown(&answer)), (401, ("5000", left)));
    }
    // A violation, which takes nothing.
    assert_eq!(shown(&ada_leaves().misdirected().send(&fake).await), ("5000", "4996"));
    assert_eq!(fake.calls()[4].authorization_kind, AuthorizationKind::Signature);
}

#[tokio::test]
async fn who_is_known_and_refused_uses_up_nothing() {
    let fake = fake_with_ada().await;
    let right = Credentials::default();
    let token = token_of(&fake).await;
    fake.revoke_tokens();
    let wrong = Credentials { app_key: "wrong".to_owned(), ..right.clone() };
    let operation = Operation::RemoveGroupMember;
    for draft in [
        Draft::signed_by(&wrong, operation, &removal_of(ADA)),
        Draft::bearing(&token, operation, &removal_of(ADA)),
        Draft::token(&right.client_id, "wrong"),
    ] {
        let answer = draft.send(&fake).await;
        assert_eq!((answer.status, shown(&answer)), (401, ("800", "799")));
    }
}
