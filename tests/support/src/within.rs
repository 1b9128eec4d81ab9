//! The daemon in the process of the test, so that the test has its clock in hand: what takes it
//! minutes by the clock takes no time.

use super::broker::Vhost;
use super::settings::{self, Variables, named};
use super::{DEADLINE, eventually};
use fake_mimecast::FakeMimecast;
use mimecast_eventd::daemon::Process;
use mimecast_eventd::vendor::Stamp;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Virtual host, vendor and a daemon between them. It ends with the test.
pub struct Within {
    /// The virtual host.
    pub vhost: Vhost,
    /// The API.
    pub fake: FakeMimecast,
    admin: String,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Within {
    /// Starts a daemon that reaches the broker by way of `authority`, and waits until it consumes.
    pub async fn by(authority: &str, own: &[(&str, &str)]) -> Within {
        Within::stamped(authority, own, fresh).await
    }

    /// The same with stamps of the test's own.
    pub async fn stamped(authority: &str, own: &[(&str, &str)], fresh: fn() -> Stamp) -> Within {
        let within = Within::unready(authority, own, fresh).await;
        eventually("the daemon is ready", async || {
            (within.get("/readyz").await?.0 == 200).then_some(())
        })
        .await;
        within
    }

    /// The same before it consumes.
    pub async fn unready(authority: &str, own: &[(&str, &str)], fresh: fn() -> Stamp) -> Within {
        let vhost = Vhost::new().await;
        let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
        let mut variables: Variables = settings::hmac(&fake);
        let admin = nobodys_address();
        variables.extend([
            named("AMQP__URL", &vhost.url_by(authority)),
            named("AMQP__HEARTBEAT", "10m"),
            named("ADMIN__LISTEN", &admin),
        ]);
        variables.extend(own.iter().map(|(name, value)| named(name, value)));
        let settings = settings::read(&variables).unwrap();
        let stop = CancellationToken::new();
        let process = Process { revision: "", started: chrono::Utc::now() };
        let daemon = mimecast_eventd::daemon::run(settings, None, fresh, process, stop.clone());
        let running = tokio::spawn(async move { daemon.await.expect("the daemon starts") });
        Within { vhost, fake, admin, stop, running }
    }

    /// Lets so much time pass at once.
    pub async fn pass(&self, time: Duration) {
        tokio::time::pause();
        tokio::time::advance(time).await;
        tokio::time::resume();
    }

    /// Address and port of the admin endpoints.
    pub fn authority(&self) -> &str {
        &self.admin
    }

    /// Status and body of one of the admin endpoints; `None` before it listens.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = http.get(format!("http://{}{path}", self.admin)).send().await.ok()?;
        Some((response.status().as_u16(), response.text().await.ok()?))
    }

    /// The value of one series.
    pub async fn metric(&self, series: &str) -> f64 {
        let (_, text) = self.get("/metrics").await.expect("the daemon shows its metrics");
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no series {series} in\n{text}")).parse().unwrap()
    }

    /// Waits until the series has the value.
    pub async fn wait_for_metric(&self, series: &str, value: f64) {
        eventually(&format!("{series} is {value}"), async || {
            (self.metric(series).await == value).then_some(())
        })
        .await;
    }

    /// Stops the daemon in good order, and waits for its end.
    pub async fn stop(self) -> (Vhost, FakeMimecast) {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.running).await.expect("it ends in time").unwrap();
        (self.vhost, self.fake)
    }
}

/// An address that nobody else listens on: loopback has sixteen million of them, and a port of the
/// usual kind could be given to somebody between its choice and its use.
pub fn nobodys_address() -> String {
    let [_, _, _, _, _, _, _, _, .., one, two, three] = *uuid::Uuid::new_v4().as_bytes();
    format!("127.{}.{two}.{three}:9464", one | 1)
}

/// The time and an id that nobody has.
pub fn fresh() -> Stamp {
    Stamp { at: chrono::Utc::now(), request_id: uuid::Uuid::new_v4() }
}
