//! What the vendor says when nothing is wrong with the fake.

use fake_mimecast::{AuthorizationKind, Credentials, FakeMimecast, Operation};
use serde_json::json;

use crate::client::{ADA, Draft, GROUP, ada_leaves, fake_with_ada, removal_of, token_of};

#[tokio::test]
async fn a_signed_call_removes_a_member_whatever_the_case_of_its_letters() {
    let fake = fake_with_ada().await;
    let answer = Draft::signed(Operation::RemoveGroupMember, &removal_of("Ada@Example.ORG"))
        .send(&fake)
        .await;

    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["meta"]["status"], 200);
    assert_eq!(body["fail"], json!([]));
    assert_eq!(body["data"][0]["folderId"], GROUP);
    assert_eq!(body["data"][0]["emailAddress"], "Ada@Example.ORG");
    assert_eq!(body["data"][0]["internal"], true);
    assert!(!fake.is_member(GROUP, ADA));

    let [call] = &fake.calls()[..] else { panic!("one call was made") };
    assert_eq!(call.operation, Operation::RemoveGroupMember);
    assert_eq!(call.item, removal_of("Ada@Example.ORG"));
    assert_eq!(call.authorization_kind, AuthorizationKind::Signature);
    assert_eq!((call.status, &call.code), (Some(200), &None));
    assert!(call.applied && call.request_id.is_some() && call.date.is_some());
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn who_is_not_a_member_is_not_found_and_the_item_is_echoed() {
    let fake = fake_with_ada().await;
    let stranger = removal_of("bob@example.org");
    let answer = Draft::signed(Operation::RemoveGroupMember, &stranger).send(&fake).await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.code(), "err_folder_email_address_not_found");
    assert_eq!(answer.json()["fail"][0]["key"], stranger);
    assert_eq!(answer.json()["fail"][0]["errors"][0]["retryable"], false);
    assert!(!fake.calls()[0].applied);
    assert!(fake.is_member(GROUP, ADA));
}

#[tokio::test]
async fn an_unknown_group_does_not_say_that_the_member_is_gone() {
    let fake = fake_with_ada().await;
    let token = token_of(&fake).await;
    let item = json!({ "id": "another", "emailAddress": ADA });
    let operation = Operation::RemoveGroupMember;

    let signed = Draft::signed(operation, &item).send(&fake).await;
    assert_eq!((signed.status, signed.code()), (200, json!("err_folder_not_found")));
    assert_eq!(signed.json()["fail"][0]["key"], item);
    let borne = Draft::bearing(&token, operation, &item).send(&fake).await;
    assert_eq!((borne.status, borne.body.as_str()), (400, ""));
    assert_eq!(borne.headers.get("content-type"), None);

    fake.add_group("another");
    for draft in [Draft::signed(operation, &item), Draft::bearing(&token, operation, &item)] {
        assert_eq!(draft.send(&fake).await.code(), "err_folder_email_address_not_found");
    }
    assert!(fake.calls().iter().all(|call| call.applied == (call.operation == Operation::Token)));
    assert_eq!(fake.violations(), [""; 0]);
}

#[tokio::test]
async fn adding_a_group_again_keeps_its_members() {
    let fake = fake_with_ada().await;
    fake.add_group(GROUP);
    assert!(fake.is_member(GROUP, ADA));
}

#[tokio::test]
async fn a_domain_is_removed_without_an_address_in_the_reply() {
    let fake = fake_with_ada().await;
    fake.add_member(GROUP, "example.com");
    let answer = Draft::signed(
        Operation::RemoveGroupMember,
        &json!({ "id": GROUP, "domain": "example.com" }),
    )
    .send(&fake)
    .await;
    assert_eq!(answer.json()["data"][0].get("emailAddress"), None);
    assert_eq!(answer.json()["data"][0]["folderId"], GROUP);
    assert!(!fake.is_member(GROUP, "example.com"));
}

#[tokio::test]
async fn an_address_without_a_domain_names_its_field() {
    let fake = fake_with_ada().await;
    let answer =
        Draft::signed(Operation::RemoveGroupMember, &removal_of("ada@nowhere")).send(&fake).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.code(), "err_validation_invalid_email_address");
    assert_eq!(answer.json()["fail"][0]["errors"][0]["field"], "emailAddress");
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_url_is_deleted_once_and_then_not_found_without_a_key() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    fake.add_url("wOi3MCwj");
    let item = json!({ "id": "wOi3MCwj" });

    let first = Draft::signed(Operation::DeleteManagedUrl, &item).send(&fake).await;
    assert_eq!(first.json(), json!({ "meta": { "status": 200 }, "data": [], "fail": [] }));
    assert!(!fake.has_url("wOi3MCwj"));

    let second = Draft::signed(Operation::DeleteManagedUrl, &item).send(&fake).await;
    assert_eq!(second.status, 200);
    assert_eq!(second.code(), "err_managed_url_not_found");
    assert_eq!(second.json()["fail"][0].get("key"), None);
}

#[tokio::test]
async fn a_url_with_two_ids_is_gone_under_both_whichever_deletes_it() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    for (used, other) in [("first", "second"), ("second", "first")] {
        fake.add_url_alias("first", "second");
        assert!(fake.has_url("first") && fake.has_url("second"));
        let delete = |id| Draft::signed(Operation::DeleteManagedUrl, &json!({ "id": id }));
        assert_eq!(delete(used).send(&fake).await.json()["fail"], json!([]));
        assert!(!fake.has_url("first") && !fake.has_url("second"));
        assert_eq!(delete(other).send(&fake).await.code(), "err_managed_url_not_found");
        assert_eq!(delete(used).send(&fake).await.code(), "err_managed_url_not_found");
    }
    fake.add_url("second");
    assert!(fake.has_url("second") && !fake.has_url("first"));
}

#[tokio::test]
#[should_panic(expected = "\"second\" names a managed URL already")]
async fn an_id_that_names_a_url_cannot_become_that_of_another() {
    let fake = FakeMimecast::start(Credentials::default()).await;
    fake.add_url("second");
    fake.add_url_alias("first", "second");
}

#[tokio::test]
async fn each_wrong_key_is_refused_as_the_vendor_refuses_it() {
    let right = Credentials::default();
    let signature = (401, "err_xdk_invalid_signature");
    let cases = [
        (Credentials { access_key: "wrong".to_owned(), ..right.clone() }, signature),
        (Credentials { secret_key: "d3Jvbmc=".to_owned(), ..right.clone() }, signature),
        (Credentials { app_key: "wrong".to_owned(), ..right.clone() }, signature),
        (Credentials { app_id: "wrong".to_owned(), ..right }, (200, "err_developer_key")),
    ];
    let fake = fake_with_ada().await;
    for (wrong, (status, code)) in cases {
        let answer = Draft::signed_by(&wrong, Operation::RemoveGroupMember, &removal_of(ADA))
            .send(&fake)
            .await;
        assert_eq!((answer.status, answer.code()), (status, json!(code)));
        assert_eq!(answer.json()["meta"]["status"], status);
    }
    assert!(fake.is_member(GROUP, ADA));
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_call_without_authorization_is_unauthorized() {
    let fake = fake_with_ada().await;
    let answer = ada_leaves().without("authorization").send(&fake).await;
    assert_eq!((answer.status, answer.flat_code()), (401, json!("unauthorized")));
    assert_eq!(fake.calls()[0].authorization_kind, AuthorizationKind::None);
}

#[tokio::test]
async fn refused_credentials_are_wrong_in_either_generation_until_they_are_not() {
    let fake = fake_with_ada().await;
    let token = token_of(&fake).await;
    fake.refuse_credentials(true);

    assert_eq!(ada_leaves().send(&fake).await.code(), "err_xdk_invalid_signature");
    let borne = Draft::bearing(&token, Operation::RemoveGroupMember, &removal_of(ADA));
    assert_eq!(borne.send(&fake).await.flat_code(), "unauthorized");
    let credentials = Credentials::default();
    let again = Draft::token(&credentials.client_id, &credentials.client_secret);
    assert_eq!(again.send(&fake).await.status, 401);

    fake.refuse_credentials(false);
    assert_eq!(borne.send(&fake).await.status, 200);
    assert!(!fake.is_member(GROUP, ADA));
}
