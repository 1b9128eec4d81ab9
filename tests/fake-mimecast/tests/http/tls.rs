//! The fake over TLS.

use std::io::ErrorKind;
use std::sync::Arc;

use fake_mimecast::{Credentials, FakeMimecast, Fault, FaultKind};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::client::{ADA, Draft, GROUP, ada_leaves};

/// A fake with one member in one group, and a client that trusts its certificate.
async fn fake_and_client() -> (FakeMimecast, TlsConnector) {
    let names = ["localhost".to_owned(), "api.example.org".to_owned()];
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(names).expect("the names are names");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(signing_key.serialize_der()));
    let provider = Arc::new(default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("ring knows the versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("the key is that of the certificate");
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).expect("the certificate is one");
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let fake = FakeMimecast::start_with_tls(Credentials::default(), Arc::new(server)).await;
    fake.add_member(GROUP, ADA);
    (fake, TlsConnector::from(Arc::new(client)))
}

async fn connect(client: &TlsConnector, name: &'static str, port: u16) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the fake listens");
    let name = name.try_into().expect("the name is one");
    client.connect(name, stream).await.expect("the fake speaks TLS")
}

#[tokio::test]
async fn both_addresses_speak_tls_under_each_name_of_the_certificate() {
    let (fake, client) = fake_and_client().await;
    let (port, oauth2_port) = (fake.address().port(), fake.oauth2_address().port());
    assert_eq!(fake.base_url(), format!("https://localhost:{port}"));
    assert_eq!(fake.oauth2_url(), format!("https://localhost:{oauth2_port}"));

    let signed = ada_leaves().with("connection", "close");
    let answer = signed.send_over(connect(&client, "localhost", port).await).await;
    assert_eq!(answer.expect("a reply came").status, 200);
    assert!(!fake.is_member(GROUP, ADA));

    let token =
        Draft::token("CANARY-client-id", "CANARY-client-secret").with("connection", "close");
    let answer = token.send_over(connect(&client, "api.example.org", oauth2_port).await).await;
    assert_eq!(answer.expect("a reply came").status, 200);
    assert_eq!(fake.tokens_issued(), 1);
    assert_eq!(fake.violations(), [""; 0]);
}

#[tokio::test]
async fn plain_http_is_not_spoken_beside_tls() {
    let (fake, _) = fake_and_client().await;
    for address in [fake.address(), fake.oauth2_address()] {
        ada_leaves().send_to(address).await.expect_err("no reply came");
    }
    assert_eq!(fake.calls(), []);
}

#[tokio::test]
async fn a_client_that_trusts_somebody_else_is_none() {
    let (fake, _) = fake_and_client().await;
    let (_other, stranger) = fake_and_client().await;
    let stream = TcpStream::connect(fake.address()).await.expect("the fake listens");
    let name = "localhost".try_into().expect("the name is one");
    let error = stranger.connect(name, stream).await.expect_err("the certificate is not trusted");
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(fake.calls(), []);
}

#[tokio::test]
async fn a_connection_is_cut_over_tls_as_well() {
    for (kind, expected, is_applied) in [
        (FaultKind::Reset, ErrorKind::ConnectionReset, false),
        (FaultKind::LoseReply, ErrorKind::UnexpectedEof, true),
        (FaultKind::Truncated, ErrorKind::UnexpectedEof, false),
    ] {
        let (fake, client) = fake_and_client().await;
        fake.inject(Fault::next(kind.clone()));
        let stream = connect(&client, "localhost", fake.address().port()).await;
        let error = ada_leaves().send_over(stream).await.expect_err("no whole reply came").kind();
        assert_eq!(error, expected, "{kind:?}");
        assert_eq!(fake.calls()[0].applied, is_applied, "{kind:?}");
    }
}
