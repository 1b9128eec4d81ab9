//! Start, stop, and waiting for calls.

use std::io::ErrorKind;
use std::time::Duration;

use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind};

use crate::client::{ada_leaves, fake_with_ada, token_of};

#[tokio::test]
async fn a_stopped_fake_frees_its_address_and_ends_its_connections() {
    let fake = fake_with_ada().await;
    fake.inject(Fault::next(FaultKind::Hang));
    let (address, oauth2_address) = (fake.address(), fake.oauth2_address());
    let client = tokio::spawn(async move { ada_leaves().send_to(address).await });
    fake.wait_for_calls(1, Duration::from_secs(10)).await;

    fake.stop().await;
    client
        .await
        .expect("the client did not panic")
        .expect_err("the connection ended without a reply");
    let refused = ada_leaves().send_to(address).await;
    assert_eq!(refused.expect_err("nobody listens").kind(), ErrorKind::ConnectionRefused);
    FakeMimecast::start_on_both(address, oauth2_address, Credentials::default())
        .await
        .expect("the addresses are free again");
}

#[tokio::test]
#[should_panic(expected = "for 2 operation calls, but only 1 came; all calls:\nToken")]
async fn waiting_in_vain_tells_which_calls_came() {
    let fake = fake_with_ada().await;
    token_of(&fake).await;
    ada_leaves().send(&fake).await;
    fake.wait_for_calls(2, Duration::from_millis(20)).await;
}

#[tokio::test]
async fn a_secret_key_that_is_not_base64_is_refused_at_the_start() {
    let credentials = Credentials { secret_key: "?".to_owned(), ..Credentials::default() };
    let address = ([127, 0, 0, 1], 0).into();
    let error = FakeMimecast::start_on(address, credentials).await.expect_err("the key is no key");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn api_2_0_takes_a_free_port_beside_an_address_that_is_asked_for() {
    let first = fake_with_ada().await;
    let address = first.address();
    first.stop().await;
    let fake = FakeMimecast::start_on(address, Credentials::default())
        .await
        .expect("the address is free again");
    assert_eq!(fake.address(), address);
    assert_eq!(fake.oauth2_address().ip(), address.ip());
    assert_ne!(fake.oauth2_address().port(), address.port());
}
