//! The way to the vendor as companies have it: TLS by the system's roots, and a proxy. Tried with
//! the real binary, whose environment says both.

use crate::support::certificates::Authority;
use crate::support::proxy::Proxy;
use crate::support::settings::{self, Variables, named};
use fake_mimecast::{Credentials, FakeMimecast, Operation};
use std::path::PathBuf;
use time::Duration;
use tokio::process::Command;

/// A fake that speaks TLS, and the folder with its CA.
struct Secure {
    fake: FakeMimecast,
    folder: tempfile::TempDir,
}

impl Secure {
    async fn start(names: &[&str], valid_for: Duration) -> Secure {
        crate::support::install_crypto_provider();
        let folder = tempfile::tempdir().unwrap();
        let tls = Authority::new().serve(folder.path(), names, valid_for);
        let fake = FakeMimecast::start_with_tls(Credentials::default(), tls).await;
        Secure { fake, folder }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Settings of either API, and the fake's CA as the system's.
    fn variables(&self, generation: fn(&FakeMimecast) -> Variables) -> Variables {
        let mut variables = generation(&self.fake);
        variables.insert("SSL_CERT_FILE".into(), self.ca().to_str().unwrap().into());
        variables
    }
}

/// What `check` says about the vendor, one line for each change that it can be asked for.
async fn vendor(variables: &Variables) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
    // The broker is nobody's concern here.
    let (name, url) = named("AMQP__URL", "amqp://127.0.0.1:1");
    let output = command.arg("check").env_clear().envs(variables).env(name, url).output();
    let text = String::from_utf8(output.await.unwrap().stdout).unwrap();
    let of_vendor = |line: &&str| line.split_whitespace().nth(1) == Some("vendor");
    let changes = ["remove_group_member", "delete_managed_url"];
    let is_change = |line: &&str| changes.iter().any(|change| line.contains(change));
    text.lines().filter(of_vendor).filter(is_change).map(str::to_owned).collect()
}

async fn expect_reached(variables: &Variables) {
    let lines = vendor(variables).await;
    let reached = |line: &String| line.starts_with("ok ") && line.contains("credentials accepted");
    assert!(lines.len() == 2 && lines.iter().all(reached), "{lines:?}");
}

async fn expect_refused(variables: &Variables, why: &str) {
    let lines = vendor(variables).await;
    let refused = |line: &String| line.starts_with("failure ") && line.contains(why);
    assert!(lines.len() == 2 && lines.iter().all(refused), "{why}: {lines:?}");
}

#[tokio::test]
async fn a_vendor_is_trusted_by_the_systems_roots_and_by_no_others() {
    let secure = Secure::start(&["localhost"], Duration::days(1)).await;
    for generation in super::BOTH {
        let good = secure.variables(generation);
        expect_reached(&good).await;
        assert_eq!(secure.fake.violations(), [""; 0]);

        let other = tempfile::tempdir().unwrap();
        let _other = Authority::new().serve(other.path(), &["localhost"], Duration::days(1));
        let mut stranger = good.clone();
        let ca = other.path().join("ca.pem");
        stranger.insert("SSL_CERT_FILE".into(), ca.to_str().unwrap().into());
        let calls = secure.fake.calls().len();
        expect_refused(&stranger, "invalid peer certificate").await;
        let mut none = good.clone();
        none.remove("SSL_CERT_FILE");
        expect_refused(&none, "invalid peer certificate").await;
        assert_eq!(secure.fake.calls().len(), calls, "nothing was sent to a stranger");
    }
}

#[tokio::test]
async fn a_certificate_of_another_name_or_of_yesterday_is_refused() {
    let secure = Secure::start(&["other.test"], Duration::days(1)).await;
    expect_refused(&secure.variables(settings::hmac), "not valid for name").await;
    let secure = Secure::start(&["localhost"], -Duration::days(1)).await;
    expect_refused(&secure.variables(settings::hmac), "expired").await;
    assert!(secure.fake.calls().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn a_proxy_is_asked_to_connect_to_the_vendor_and_for_tokens_too() {
    for (generation, token) in [(super::BOTH[0], None), (super::BOTH[1], Some(Operation::Token))] {
        let operations: Vec<Operation> = token
            .into_iter()
            .chain([
                Operation::RemoveGroupMember,
                Operation::GetGroupMembers,
                Operation::DeleteManagedUrl,
                Operation::GetAllManagedUrls,
            ])
            .collect();
        let secure = Secure::start(&["vendor.test"], Duration::days(1)).await;
        let target = match generation(&secure.fake)["EVENTD_MIMECAST__AUTH"].as_str() {
            "hmac" => secure.fake.address(),
            _ => secure.fake.oauth2_address(),
        };
        let proxy = Proxy::to(target).await;
        let mut variables = secure.variables(generation);
        // Nobody but the proxy knows where this is.
        variables.extend([named("MIMECAST__BASE_URL", "https://vendor.test")]);
        variables.insert("HTTPS_PROXY".into(), proxy.url());
        expect_reached(&variables).await;
        let asked = proxy.asked();
        assert!(!asked.is_empty(), "the proxy is not asked at all");
        assert!(asked.iter().all(|line| line == "CONNECT vendor.test:443 HTTP/1.1"), "{asked:?}");
        let called: Vec<Operation> =
            secure.fake.calls().iter().map(|call| call.operation).collect();
        // A group that is not there is refused without a word, the vendor heard after it, and asked again.
        let mut called: Vec<Operation> =
            called.into_iter().filter(|it| *it != Operation::FindGroups).collect();
        called.dedup();
        assert_eq!(called, operations);
    }
}

#[tokio::test]
async fn a_host_in_no_proxy_and_this_very_machine_are_reached_without_the_proxy() {
    let secure = Secure::start(&["localhost", "0.0.0.0"], Duration::days(1)).await;
    let proxy = Proxy::to(secure.fake.address()).await;
    let mut variables = secure.variables(settings::hmac);
    variables.insert("HTTPS_PROXY".into(), proxy.url());
    expect_reached(&variables).await;
    assert_eq!(proxy.asked(), [""; 0], "localhost is reached by way of the proxy");

    // Leads to this machine too, but does not look like it.
    let url = format!("https://0.0.0.0:{}", secure.fake.address().port());
    variables.extend([named("MIMECAST__BASE_URL", &url)]);
    variables.insert("NO_PROXY".into(), "example.com,0.0.0.0".into());
    expect_reached(&variables).await;
    assert_eq!(proxy.asked(), [""; 0], "NO_PROXY has no effect");
    variables.insert("NO_PROXY".into(), "example.com".into());
    expect_reached(&variables).await;
    assert!(!proxy.asked().is_empty(), "HTTPS_PROXY has no effect");
}
