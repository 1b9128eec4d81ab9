//! The rate limit, as a client sees it.

use std::time::Duration;

use fake_mimecast::{Credentials, FakeMimecast, Operation};
use serde_json::json;

use crate::client::{ADA, Draft, GROUP, ada_leaves, fake_with_ada, token_of};

#[tokio::test]
async fn every_reply_says_how_much_of_the_quota_is_left() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    token_of(&fake).await;
    let answer = ada_leaves().send(&fake).await;
    assert_eq!(answer.headers["x-ratelimit-limit"], "800");
    assert_eq!(answer.headers["x-ratelimit-remaining"], "799");
    let reset: u64 = answer.headers["x-ratelimit-reset"].parse().expect("the reset is a number");
    assert!((1..=5000).contains(&reset), "{reset}");

    let refused = Draft::token("wrong", "wrong").send(&fake).await;
    assert_eq!(refused.headers["x-ratelimit-remaining"], "799");
}

#[tokio::test]
async fn a_call_beyond_the_limit_is_throttled_and_not_executed() {
    let fake = fake_with_ada().await;
    fake.limit(1, Duration::from_secs(3600));
    let url = Draft::signed(Operation::DeleteManagedUrl, &json!({ "id": "gone" }));
    assert_eq!(url.send(&fake).await.status, 200);

    let throttled = ada_leaves().send(&fake).await;
    assert_eq!(throttled.status, 429);
    assert_eq!(throttled.headers["x-ratelimit-remaining"], "0");
    assert!(fake.is_member(GROUP, ADA));
    assert!(!fake.calls()[1].applied);

    fake.limit(1, Duration::from_secs(3600));
    assert_eq!(ada_leaves().send(&fake).await.status, 200);
    assert!(!fake.is_member(GROUP, ADA));
}
