//! The life of a bearer token.

use fake_mimecast::{AuthorizationKind, Credentials, FakeMimecast, Operation};
use serde_json::{Value, json};

use crate::client::{ADA, Draft, GROUP, fake_with_ada, removal_of, token_of};

async fn remove_ada_with(token: &str, fake: &FakeMimecast) -> (u16, Value) {
    let answer =
        Draft::bearing(token, Operation::RemoveGroupMember, &removal_of(ADA)).send(fake).await;
    (answer.status, answer.flat_code())
}

#[tokio::test]
async fn a_token_lets_calls_in_until_it_is_revoked_and_a_new_one_does_so_again() {
    let fake = fake_with_ada().await;
    let first = token_of(&fake).await;
    assert_eq!(remove_ada_with(&first, &fake).await, (200, Value::Null));
    assert!(!fake.is_member(GROUP, ADA));

    fake.revoke_tokens();
    let refused = remove_ada_with(&first, &fake).await;
    assert_eq!(refused, (401, json!("token_expired")));

    let second = token_of(&fake).await;
    assert_ne!(first, second);
    assert_eq!(fake.tokens_issued(), 2);
    fake.add_member(GROUP, ADA);
    assert_eq!(remove_ada_with(&second, &fake).await, (200, Value::Null));

    let [token, call, ..] = &fake.calls()[..] else { panic!("several calls were made") };
    assert_eq!(token.operation, Operation::Token);
    assert_eq!((&token.item, token.applied), (&Value::Null, true));
    assert_eq!(call.authorization_kind, AuthorizationKind::Bearer);
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_token_says_how_long_it_lives_and_lives_no_longer() {
    let fake = fake_with_ada().await;
    let credentials = Credentials::default();
    let ask = Draft::token(&credentials.client_id, &credentials.client_secret);
    let usual = ask.send(&fake).await.json();
    assert_eq!(usual["token_type"], "Bearer");
    assert_eq!(usual["expires_in"], 1799);
    assert_eq!(usual["scope"], "");

    fake.token_lifetime(0);
    let brief = ask.send(&fake).await.json();
    assert_eq!(brief["expires_in"], 0);
    let token = brief["access_token"].as_str().expect("a token is text");
    assert_eq!(remove_ada_with(token, &fake).await, (401, json!("token_expired")));
}

#[tokio::test]
async fn an_unknown_token_is_unauthorized() {
    let fake = fake_with_ada().await;
    assert_eq!(remove_ada_with("made-up", &fake).await, (401, json!("unauthorized")));
}

#[tokio::test]
async fn a_wrong_client_gets_no_token() {
    let fake = fake_with_ada().await;
    let right = Credentials::default();
    for (id, secret) in
        [("wrong", right.client_secret.as_str()), (right.client_id.as_str(), "wrong")]
    {
        let answer = Draft::token(id, secret).send(&fake).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.json()["error"], "invalid_client");
        assert!(answer.json()["error_description"].is_string());
    }
    assert_eq!(fake.tokens_issued(), 0);
    assert_eq!(fake.calls()[0].code.as_deref(), Some("invalid_client"));
    assert_eq!(fake.violations(), Vec::<String>::new());
}
