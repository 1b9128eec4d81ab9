//! A whole world for one test: virtual host, fake vendor and daemon.

use super::broker::Vhost;
use super::daemon::Daemon;
use super::settings::{self, Variables, named};
use fake_mimecast::FakeMimecast;
use lapin::BasicProperties;
use serde_json::json;

/// Everything that a message meets.
pub struct World {
    /// The virtual host.
    pub vhost: Vhost,
    /// The API.
    pub fake: FakeMimecast,
    /// The daemon.
    pub daemon: Daemon,
    /// The settings of the daemon.
    pub variables: Variables,
}

impl World {
    /// API 1.0 and the defaults.
    pub async fn hmac() -> World {
        World::new(settings::hmac, &[]).await
    }

    /// API 1.0 and some settings of the test's own.
    pub async fn with(own: &[(&str, &str)]) -> World {
        World::new(settings::hmac, own).await
    }

    /// API 1.0, with a broker that is reached by way of `authority`, which stands in front of it.
    pub async fn by(authority: &str, own: &[(&str, &str)]) -> World {
        let vhost = Vhost::new().await;
        let url = vhost.url_by(authority);
        World::start(vhost, settings::hmac, &[own, &[("AMQP__URL", &url)]].concat()).await
    }

    /// Either API, and some settings of the test's own.
    pub async fn new(credentials: fn(&FakeMimecast) -> Variables, own: &[(&str, &str)]) -> World {
        World::start(Vhost::new().await, credentials, own).await
    }

    /// Either API, with a tenant that the test prepares before it publishes anything.
    pub async fn new_with(
        credentials: fn(&FakeMimecast) -> Variables,
        own: &[(&str, &str)],
        prepare: impl FnOnce(&FakeMimecast),
    ) -> World {
        let world = World::new(credentials, own).await;
        prepare(&world.fake);
        world
    }

    /// On a virtual host that the test has prepared.
    pub async fn start(
        vhost: Vhost,
        credentials: fn(&FakeMimecast) -> Variables,
        own: &[(&str, &str)],
    ) -> World {
        let fake = FakeMimecast::start(fake_mimecast::Credentials::default()).await;
        let mut variables = credentials(&fake);
        variables.extend([named("AMQP__URL", &vhost.url)]);
        variables.extend(own.iter().map(|(name, value)| named(name, value)));
        let daemon = Daemon::start(&variables).await;
        daemon.wait_until_ready().await;
        World { vhost, fake, daemon, variables }
    }

    /// Publishes an offboarding as a CloudEvent, from groups that there are.
    pub async fn offboard(&self, id: &str, address: &str, groups: &[&str]) {
        groups.iter().for_each(|group| self.fake.add_group(group));
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/hr", "type": "user.offboarded",
            "time": chrono::Utc::now().to_rfc3339(),
            "data": {"emailAddress": address, "groupIds": groups},
        });
        self.publish("user.offboarded", &event.to_string()).await;
    }

    /// Publishes an unblocking as a CloudEvent.
    pub async fn unblock(&self, id: &str, entry: &str) {
        let event = json!({
            "specversion": "1.0", "id": id, "source": "/soc", "type": "url.unblock",
            "time": chrono::Utc::now().to_rfc3339(), "data": {"id": entry},
        });
        self.publish("url.unblock", &event.to_string()).await;
    }

    /// Publishes any body, as CloudEvents JSON.
    pub async fn publish(&self, routing_key: &str, body: &str) {
        let properties =
            BasicProperties::default().with_content_type("application/cloudevents+json".into());
        self.vhost.publish(routing_key, body.as_bytes(), properties).await;
    }

    /// Publishes `data` alone, whose type is told by its routing key.
    pub async fn publish_bare(&self, routing_key: &str, data: &str) {
        self.vhost.publish(routing_key, data.as_bytes(), BasicProperties::default()).await;
    }

    /// Starts the daemon anew with the settings as they are now; the old one is killed.
    pub async fn restart_daemon(&mut self) {
        self.daemon = Daemon::start(&self.variables).await;
        self.daemon.wait_until_ready().await;
    }
}
