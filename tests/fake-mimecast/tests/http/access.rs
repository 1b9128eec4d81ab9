//! Keys and tokens that are right, and yet do not let a call in.

use std::time::Duration;

use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind, Operation};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::{ADA, Answer, Draft, GROUP, ada_leaves, fake_with_ada, removal_of, token_of};

#[tokio::test]
async fn expired_keys_let_no_signed_call_in_until_they_are_good_again() {
    let fake = fake_with_ada().await;
    let token = token_of(&fake).await;
    fake.expire_keys(true);
    let expired = ada_leaves().send(&fake).await;
    assert_eq!((expired.status, expired.code()), (418, json!("err_xdk_binding_expired")));
    assert_eq!(expired.json()["meta"]["status"], 418);
    assert_eq!(expired.json()["fail"][0]["errors"][0]["message"], "AccessKey Has Expired");
    let borne = Draft::bearing(&token, Operation::RemoveGroupMember, &removal_of("bob@x.org"));
    assert_eq!(borne.send(&fake).await.status, 200);

    let unknown = Credentials { access_key: "unknown".to_owned(), ..Credentials::default() };
    let signed = Draft::signed_by(&unknown, Operation::RemoveGroupMember, &removal_of(ADA));
    assert_eq!(signed.send(&fake).await.status, 401);

    assert!(fake.is_member(GROUP, ADA));
    fake.expire_keys(false);
    assert_eq!(ada_leaves().send(&fake).await.status, 200);
    assert!(!fake.is_member(GROUP, ADA));
}

#[tokio::test]
async fn an_application_without_a_product_is_forbidden_its_operation_in_api_2_0_only() {
    let fake = fake_with_ada().await;
    let token = token_of(&fake).await;
    fake.products(&[Operation::DeleteManagedUrl]);

    let remove = Draft::bearing(&token, Operation::RemoveGroupMember, &removal_of(ADA));
    let forbidden = remove.send(&fake).await;
    assert_eq!((forbidden.status, forbidden.flat_code()), (403, json!("app_forbidden")));
    assert_eq!(forbidden.json().get("meta"), None);
    assert!(fake.is_member(GROUP, ADA));
    let unknown = Draft::bearing("unknown", Operation::RemoveGroupMember, &removal_of(ADA));
    assert_eq!(unknown.send(&fake).await.status, 401);
    let delete = Draft::bearing(&token, Operation::DeleteManagedUrl, &json!({ "id": "x" }));
    assert_eq!(delete.send(&fake).await.code(), "err_managed_url_not_found");
    assert_eq!(ada_leaves().send(&fake).await.code(), Value::Null);
    assert!(!fake.is_member(GROUP, ADA));
}

#[tokio::test]
async fn a_refusal_of_credentials_closes_the_connection() {
    let fake = fake_with_ada().await;
    let unsigned = ada_leaves().with("authorization", "MC wrong:wrong");
    let unborne = Draft::bearing("unknown", Operation::RemoveGroupMember, &removal_of(ADA));
    let no_client = Draft::token("wrong", "wrong");
    for draft in [unsigned, unborne, no_client, ada_leaves().misdirected()] {
        let answer = send_and_wait_for_the_end(&draft, &fake).await.expect("it is closed");
        assert_eq!((answer.status, &*answer.headers["connection"]), (401, "close"));
    }
    fake.expire_keys(true);
    let expired = send_and_wait_for_the_end(&ada_leaves(), &fake).await.expect("it is closed");
    assert_eq!((expired.status, &*expired.headers["connection"]), (418, "close"));
}

#[tokio::test]
async fn a_connection_outlives_any_other_reply() {
    let fake = fake_with_ada().await;
    assert_eq!(ada_leaves().send(&fake).await.status, 200);
    fake.inject(Fault::next(FaultKind::Forbidden));
    for _ in ["403", "200"] {
        let end = send_and_wait_for_the_end(&ada_leaves(), &fake).await;
        assert!(end.is_none(), "{end:?}");
    }
    let statuses: Vec<_> = fake.calls().iter().map(|call| call.status).collect();
    assert_eq!(statuses, [Some(200), Some(403), Some(200)]);
}

/// By a client that would keep its connection; none if that stays open.
async fn send_and_wait_for_the_end(draft: &Draft, fake: &FakeMimecast) -> Option<Answer> {
    let stream = TcpStream::connect(draft.address_at(fake)).await.expect("the fake listens");
    let exchange = draft.send_over(stream);
    let patience = Duration::from_millis(500);
    tokio::time::timeout(patience, exchange).await.ok().map(|answer| answer.expect("a reply came"))
}
