//! Keys and tokens that are right, and yet do not let a call in.

use fake_mimecast::{Credentials, Operation};
use serde_json::{Value, json};

use crate::client::{ADA, Draft, GROUP, ada_leaves, fake_with_ada, removal_of, token_of};

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
