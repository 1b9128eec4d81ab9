//! The two generations of the API, each at its address.

use fake_mimecast::{AuthorizationKind, Credentials, FakeMimecast, Operation};
use serde_json::json;

use crate::client::{ADA, Draft, GROUP, ada_leaves, fake_with_ada, removal_of, token_of};

#[tokio::test]
async fn both_generations_change_one_tenant_and_are_remembered_in_one_list() {
    let fake = fake_with_ada().await;
    assert_ne!(fake.address(), fake.oauth2_address());
    let token = token_of(&fake).await;
    assert_eq!(ada_leaves().send(&fake).await.code(), json!(null));
    assert!(!fake.is_member(GROUP, ADA));
    let again = Draft::bearing(&token, Operation::RemoveGroupMember, &removal_of(ADA));
    assert_eq!(again.send(&fake).await.code(), "err_folder_email_address_not_found");

    let kinds: Vec<_> = fake.calls().iter().map(|call| call.authorization_kind).collect();
    let (none, signature) = (AuthorizationKind::None, AuthorizationKind::Signature);
    assert_eq!(kinds, [none, signature, AuthorizationKind::Bearer]);
    assert_eq!(fake.violations(), [""; 0]);
}

#[tokio::test]
async fn api_1_0_hands_out_no_tokens() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    let right = Credentials::default();
    let ask = Draft::token(&right.client_id, &right.client_secret).misdirected();
    assert_eq!(ask.send(&fake).await.status, 400);
    assert_eq!(fake.violations(), ["POST /oauth/token: there is no such path"]);
    assert_eq!((fake.tokens_issued(), fake.calls().len()), (0, 0));
}

#[tokio::test]
async fn api_1_0_refuses_a_bearer_even_with_a_good_token() {
    let fake = fake_with_ada().await;
    let token = token_of(&fake).await;
    let bearing =
        Draft::bearing(&token, Operation::RemoveGroupMember, &removal_of(ADA)).misdirected();
    let answer = bearing.send(&fake).await;
    assert_eq!((answer.status, answer.code()), (401, json!("err_xdk_invalid_signature")));
    assert_eq!(fake.violations().len(), 1);
    assert!(fake.violations()[0].ends_with(": API 1.0 takes no bearer token"));
    assert!(fake.is_member(GROUP, ADA));
}

#[tokio::test]
async fn api_2_0_refuses_a_signature_even_a_right_one() {
    let fake = fake_with_ada().await;
    let answer = ada_leaves().misdirected().send(&fake).await;
    assert_eq!((answer.status, answer.flat_code()), (401, json!("unauthorized")));
    assert_eq!(answer.json().get("meta"), None);
    assert_eq!(fake.violations().len(), 1);
    assert!(fake.violations()[0].ends_with(": API 2.0 takes no signature"));
    assert!(fake.is_member(GROUP, ADA));
}
