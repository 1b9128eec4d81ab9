//! `amqps` on a real broker, with certificates made here: what works, and what each mistake says.

use crate::support::broker::{DEAD_LETTERS, UNBLOCK, Vhost};
use crate::support::certificates::Authority;
use crate::support::daemon::Daemon;
use crate::support::eventually;
use crate::support::node::Shared;
use crate::support::program::run;
use crate::support::settings::{self, Variables, named};
use fake_mimecast::FakeMimecast;
use std::path::Path;
use time::Duration;

/// The node by TLS, and a vendor; the folder holds certificates of clients.
struct Secure {
    shared: &'static Shared,
    folder: tempfile::TempDir,
    fake: FakeMimecast,
    vhost: Vhost,
}

impl Secure {
    async fn start() -> Secure {
        let (shared, folder) = (Shared::node(), tempfile::tempdir().unwrap());
        let vhost = Vhost::new().await;
        let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
        Secure { shared, folder, fake, vhost }
    }

    /// Settings for the node's TLS port, with the user information of the URL given.
    fn variables(&self, user: &str) -> Variables {
        let port = self.shared.node.amqps_port();
        let url = format!("amqps://{user}localhost:{port}/{}", self.vhost.name);
        let mut variables = settings::hmac(&self.fake);
        variables
            .extend([named("AMQP__URL", &url), named("AMQP__TLS__CA_FILE", text(&self.shared.ca))]);
        variables
    }
}

#[tokio::test]
async fn tls_with_a_password_or_a_certificate_works_and_each_mistake_is_told_in_one_line() {
    let secure = Secure::start().await;
    let good = secure.variables("guest:guest@");
    Daemon::start(&good).await.wait_until_ready().await;

    let (certificate, key) = secure.shared.authority.write_client(secure.folder.path(), "guest");
    let mut mutual = secure.variables("nobody:wrong@");
    mutual.extend([
        named("AMQP__TLS__CERT_FILE", text(&certificate)),
        named("AMQP__TLS__KEY_FILE", text(&key)),
    ]);
    Daemon::start(&mutual).await.wait_until_ready().await;

    let mut separate = secure.variables("");
    separate.extend([named("AMQP__USERNAME", "guest"), named("AMQP__PASSWORD", "guest")]);
    Daemon::start(&separate).await.wait_until_ready().await;

    let other = tempfile::tempdir().unwrap();
    Authority::new().write_server(other.path(), Duration::days(1));
    let mut wrong_ca = good.clone();
    wrong_ca.extend([named("AMQP__TLS__CA_FILE", text(&other.path().join("ca.pem")))]);
    expect(&wrong_ca, "its certificate is not signed by a CA that is trusted").await;

    expect(&secure.variables("guest:canary-password@"), "ACCESS_REFUSED").await;

    let (certificate, key) = secure.shared.authority.write_client(secure.folder.path(), "stranger");
    let mut stranger = secure.variables("");
    stranger.extend([
        named("AMQP__TLS__CERT_FILE", text(&certificate)),
        named("AMQP__TLS__KEY_FILE", text(&key)),
    ]);
    expect(&stranger, "ACCESS_REFUSED").await;
}

#[tokio::test]
async fn a_ca_of_ones_own_is_trusted_beside_the_systems_and_not_in_place_of_them() {
    let secure = Secure::start().await;
    let other = tempfile::tempdir().unwrap();
    Authority::new().write_server(other.path(), Duration::days(1));
    let own = || text(&secure.shared.ca).to_owned();
    let others = || text(&other.path().join("ca.pem")).to_owned();
    let good = secure.variables("guest:guest@");
    for (system, own) in
        [(Some(own()), None), (Some(own()), Some(others())), (Some(others()), Some(own()))]
    {
        let mut variables = good.clone();
        variables.remove("EVENTD_AMQP__TLS__CA_FILE");
        variables.extend(system.map(|file| ("SSL_CERT_FILE".to_owned(), file)));
        variables.extend(own.map(|file| named("AMQP__TLS__CA_FILE", &file)));
        Daemon::start(&variables).await.wait_until_ready().await;
    }
}

#[tokio::test]
async fn an_expired_certificate_is_told_in_one_line() {
    let secure = Secure::start().await;
    let folder = tempfile::tempdir().unwrap();
    let tls = Authority::new().serve(folder.path(), &["localhost"], -Duration::days(1));
    // No node, but the daemon does not come far enough to see that.
    let server = FakeMimecast::start_with_tls(fake_mimecast::Credentials::default(), tls).await;
    let mut variables = secure.variables("guest:guest@");
    let url = format!("amqps://guest:guest@localhost:{}/%2f", server.address().port());
    variables.extend([
        named("AMQP__URL", &url),
        named("AMQP__TLS__CA_FILE", text(&folder.path().join("ca.pem"))),
    ]);
    expect(&variables, "certificate expired").await;
}

#[tokio::test]
async fn certificates_that_were_renewed_are_those_of_the_next_connection() {
    let secure = Secure::start().await;
    // At first nobody trusts anybody: the CA is another one, and so is the one who calls.
    let folder = tempfile::tempdir().unwrap();
    Authority::new().write_server(folder.path(), Duration::days(1));
    let (certificate, key) = secure.shared.authority.write_client(folder.path(), "stranger");
    let mut variables = secure.variables("");
    variables.extend([
        named("AMQP__TLS__CA_FILE", text(&folder.path().join("ca.pem"))),
        named("AMQP__TLS__CERT_FILE", text(&certificate)),
        named("AMQP__TLS__KEY_FILE", text(&key)),
    ]);
    let daemon = Daemon::start(&variables).await;
    let said = async |what: &str| {
        eventually(what, async || {
            let ended = daemon.logged("the session ended").pop()?;
            ended["error"].as_str().unwrap().contains(what).then_some(())
        })
        .await;
    };
    said("not signed by a CA that is trusted").await;
    std::fs::copy(&secure.shared.ca, folder.path().join("ca.pem")).unwrap();
    said("ACCESS_REFUSED").await;
    // The certificate first, the key later, as somebody copies them by hand.
    let (renewed, its_key) = secure.shared.authority.write_client(secure.folder.path(), "guest");
    std::fs::copy(renewed, &certificate).unwrap();
    std::fs::copy(its_key, &key).unwrap();
    daemon.wait_until_ready().await;
    // A renewal alone ends no connection.
    let connections = r#"eventd_amqp_connections_total{event="url.unblock"}"#;
    let before = daemon.metric(connections).await;
    let applied = r#"eventd_settings_reloads_total{result="applied"}"#;
    let reloads = daemon.metric(applied).await;
    let (renewed, its_key) = secure.shared.authority.write_client(secure.folder.path(), "guest");
    std::fs::copy(its_key, &key).unwrap();
    std::fs::copy(renewed, &certificate).unwrap();
    daemon.wait_for_at_least(applied, reloads + 1.0).await;
    assert_eq!(daemon.metric(connections).await, before);
    let changed = daemon.logged("the settings were reloaded").pop().unwrap();
    assert!(changed["changed"].as_str().unwrap().contains("amqp.tls.cert_file"), "{changed}");
    daemon.wait_until_ready().await;
}

#[tokio::test]
async fn events_and_dead_letters_are_worked_on_over_tls_by_a_password_and_by_a_certificate() {
    let secure = Secure::start().await;
    let by_password = secure.variables("guest:guest@");
    // A certificate says who it is; the name in the URL is somebody else's, and the broker would refuse that.
    let (certificate, key) = secure.shared.authority.write_client(secure.folder.path(), "guest");
    let mut by_certificate = secure.variables("nobody:wrong@");
    by_certificate.extend([
        named("AMQP__TLS__CERT_FILE", text(&certificate)),
        named("AMQP__TLS__KEY_FILE", text(&key)),
    ]);
    let daemon = Daemon::start(&by_password).await;
    daemon.wait_until_ready().await;
    for (round, variables) in (1..).zip([by_password, by_certificate]) {
        secure.fake.add_url("entry-1");
        let send = ["send", "--type", "url.unblock", "--entry-id", "entry-1"];
        let sent = run(&variables, &send).await;
        assert_eq!(sent.code, Some(0), "{sent:?}");
        let settled = daemon.settled(2 * round - 1).await;
        assert_eq!(settled.last().unwrap()["disposition"], "ack", "{settled:?}");
        let named = lapin::BasicProperties::default().with_message_id("m-1".into());
        secure.vhost.publish_to("", DEAD_LETTERS, br#"{"id":"entry-1"}"#, named).await;
        secure.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
        let listed = run(&variables, &["dlq", "list", "--json"]).await;
        assert_eq!(listed.field("id"), ["m-1"], "{listed:?}");
        let replayed = run(&variables, &["dlq", "replay", "--to", UNBLOCK]).await;
        assert_eq!(replayed.code, Some(0), "{replayed:?}");
        daemon.settled(2 * round).await;
        let gone = run(&variables, &["dlq", "discard", "--yes"]).await;
        assert_eq!(gone.code, Some(0), "{gone:?}");
        secure.vhost.wait_for_depth(DEAD_LETTERS, 0).await;
    }
}

/// Expects the daemon to say `what` about each of its tries, to go on trying, and to show no password.
async fn expect(variables: &Variables, what: &str) {
    let daemon = Daemon::start(variables).await;
    let ends = eventually(&format!("the daemon tries again after: {what}"), async || {
        Some(daemon.logged("the session ended")).filter(|ends| ends.len() >= 2)
    })
    .await;
    for end in ends {
        let error = end["error"].as_str().unwrap();
        assert!(error.starts_with("cannot connect to the broker at localhost:"), "{error}");
        assert!(error.contains(what), "{error}");
    }
    let (status, why) = daemon.get("/readyz").await;
    assert!(status == 503 && why.contains(what), "{why}");
    assert!(daemon.lines().iter().all(|line| !line.contains("canary")));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
