//! A virtual host of one test: published to, looked into and disturbed from outside the daemon.

use super::node::Node;
use super::{DEADLINE, eventually};
use lapin::options::{
    BasicAckOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind};
use percent_encoding::NON_ALPHANUMERIC;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A queue that refuses everything.
const FULL: &str = "full-of-dead-letters";

/// The queue of the lane `user.offboarded`, by its default name.
pub const OFFBOARDED: &str = "mimecast-eventd.user.offboarded";
/// The queue of the lane `url.unblock`.
pub const UNBLOCK: &str = "mimecast-eventd.url.unblock";
/// The dead-letter exchange, and its queue.
pub const DEAD_LETTERS: &str = "mimecast-eventd.dead-letter";

/// A virtual host, and a connection to it that is not the daemon's.
pub struct Vhost {
    /// Its name.
    pub name: String,
    /// The URL that a daemon connects to.
    pub url: String,
    management: String,
    connection: Connection,
    channel: Channel,
}

/// A message as it lies in a queue.
#[derive(Debug)]
pub struct Found {
    /// The body.
    pub body: Vec<u8>,
    /// The headers as JSON.
    pub headers: BTreeMap<String, Value>,
    /// The properties.
    pub properties: BasicProperties,
}

impl Found {
    /// The header as text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

impl Vhost {
    /// A new virtual host on the shared node.
    pub async fn new() -> Vhost {
        Vhost::on(Node::shared()).await
    }

    /// A new virtual host on `node`.
    pub async fn on(node: &Node) -> Vhost {
        super::install_crypto_provider();
        let name = format!("test-{}", uuid::Uuid::new_v4());
        manage(reqwest::Method::PUT, &format!("{}/api/vhosts/{name}", node.management())).await;
        let url = format!("amqp://guest:guest@{}/{name}", node.authority());
        let (connection, channel) = connect(&url).await;
        let management = node.management().to_owned();
        Vhost { name, url, management, connection, channel }
    }

    /// The same as seen by the user of this name, who may do everything here.
    pub async fn of_user(&self, name: &str) -> Vhost {
        let url = self.url_of_user_called(name).await;
        let (connection, channel) = connect(&url).await;
        let (name, management) = (self.name.clone(), self.management.clone());
        Vhost { name, url, management, connection, channel }
    }

    /// Connects anew, to a broker that was away meanwhile.
    pub async fn reconnect(&mut self) {
        (self.connection, self.channel) = connect(&self.url).await;
    }

    /// Turns to another node of its cluster.
    pub async fn move_to(&mut self, node: &Node) {
        self.url = format!("amqp://guest:guest@{}/{}", node.authority(), self.name);
        node.management().clone_into(&mut self.management);
        self.reconnect().await;
    }

    /// Deletes the virtual host, so that its queues are no burden on what comes after.
    pub async fn delete(self) {
        let url = format!("{}/api/vhosts/{}", self.management, self.name);
        manage(reqwest::Method::DELETE, &url).await;
    }

    /// What the broker itself says about all `things` here: `queues`, `exchanges` or `bindings`.
    pub async fn described(&self, things: &str) -> Vec<Value> {
        let url = format!("{}/api/{things}/{}", self.management, self.name);
        serde_json::from_str(&manage(reqwest::Method::GET, &url).await).unwrap()
    }

    /// The names of the connections here, as the broker shows them to operators.
    pub async fn connection_names(&self) -> Vec<String> {
        let name =
            |it: &Value| it["client_properties"]["connection_name"].as_str().map(str::to_owned);
        self.connections().await.iter().filter_map(name).collect()
    }

    /// The connections here, as the broker shows them to operators.
    pub async fn connections(&self) -> Vec<Value> {
        let url = format!("{}/api/vhosts/{}/connections", self.management, self.name);
        serde_json::from_str(&manage(reqwest::Method::GET, &url).await).unwrap()
    }

    /// Makes a user who may do here what these patterns say, and gives the URL to connect as that user.
    pub async fn url_of_user(&self, configure: &str, write: &str, read: &str) -> String {
        let user = format!("user-{}", uuid::Uuid::new_v4());
        let management = &self.management;
        let account = json!({"password": user, "tags": ""});
        put(&format!("{management}/api/users/{user}"), &account).await;
        let may = json!({"configure": configure, "write": write, "read": read});
        put(&format!("{management}/api/permissions/{}/{user}", self.name), &may).await;
        self.url.replace("guest:guest", &format!("{user}:{user}"))
    }

    /// Lets the user of this URL publish to a topic exchange with these routing keys alone.
    pub async fn limit_keys(&self, url: &str, exchange: &str, keys: &str) {
        let user = url.split(['/', ':']).nth(3).expect("an AMQP URL names its user");
        let limit = format!("{}/api/topic-permissions/{}/{user}", self.management, self.name);
        put(&limit, &json!({"exchange": exchange, "write": keys, "read": ".*"})).await;
    }

    /// Lets no more than so many queues be here at once.
    pub async fn limit_queues(&self, most: u32) {
        let limit = format!("{}/api/vhost-limits/{}/max-queues", self.management, self.name);
        put(&limit, &json!({"value": most})).await;
    }

    /// Makes a user of this name, who may do everything here and whose password is `secret`, and gives the URL to
    /// connect as that user.
    pub async fn url_of_user_called(&self, name: &str) -> String {
        let encoded = percent_encoding::utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
        let management = &self.management;
        let account = json!({"password": "secret", "tags": ""});
        put(&format!("{management}/api/users/{encoded}"), &account).await;
        let may = json!({"configure": ".*", "write": ".*", "read": ".*"});
        put(&format!("{management}/api/permissions/{}/{encoded}", self.name), &may).await;
        self.url.replace("guest:guest", &format!("{encoded}:secret"))
    }

    /// Sets a policy of this name for the queues here whose names match `pattern`.
    pub async fn set_policy(&self, name: &str, pattern: &str, priority: i32, definition: &Value) {
        let policy = json!({
            "pattern": pattern, "definition": definition, "priority": priority, "apply-to": "queues",
        });
        put(&format!("{}/api/policies/{}/{name}", self.management, self.name), &policy).await;
    }

    /// Takes the policy away.
    pub async fn clear_policy(&self, name: &str) {
        let url = format!("{}/api/policies/{}/{name}", self.management, self.name);
        manage(reqwest::Method::DELETE, &url).await;
    }

    /// Lets no more than so many connections be open here at once, this one of the test included.
    pub async fn limit_connections(&self, most: u32) {
        let limit = format!("{}/api/vhost-limits/{}/max-connections", self.management, self.name);
        put(&limit, &json!({"value": most})).await;
    }

    /// Dead letters are refused from now on, by a queue that is full; without their exchange they are refused anyway.
    pub async fn refuse_dead_letters(&self) {
        let mut arguments = FieldTable::default();
        arguments.insert("x-max-length".into(), AMQPValue::LongInt(0));
        arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
        let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(FULL.into(), durable, arguments).await.unwrap();
        if self.bind(FULL).await.is_ok() {
            self.unbind_dead_letters().await;
        }
    }

    /// They are taken again, if their exchange is there.
    pub async fn accept_dead_letters(&self) {
        // In this order: a dead letter that went to both would be refused by one, and be sent again.
        self.unbind(FULL).await;
        let _no_exchange = self.bind(DEAD_LETTERS).await;
        self.channel.queue_delete(FULL.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    /// Dead letters lead nowhere from now on, until the daemon declares that they do.
    pub async fn unbind_dead_letters(&self) {
        self.unbind(DEAD_LETTERS).await;
    }

    async fn unbind(&self, queue: &str) {
        let (queue, exchange) = (queue.into(), DEAD_LETTERS.into());
        let arguments = FieldTable::default();
        self.channel.queue_unbind(queue, exchange, "#".into(), arguments).await.unwrap();
    }

    /// Lets dead letters lead to this queue, over a connection of its own: the client returns the error of a closed
    /// channel to whoever gets its number next.
    async fn bind(&self, queue: &str) -> Result<(), lapin::Error> {
        let (queue, exchange) = (queue.into(), DEAD_LETTERS.into());
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let (_connection, channel) = connect(&self.url).await;
        channel.queue_bind(queue, exchange, "#".into(), options, arguments).await
    }

    /// Publishes to the exchange `events` and waits for the confirm.
    pub async fn publish(&self, routing_key: &str, body: &[u8], properties: BasicProperties) {
        self.publish_to("events", routing_key, body, properties).await;
    }

    /// Publishes to any exchange until it is confirmed: a cluster that loses a node may nack, and over
    /// one channel it may do so for ever.
    pub async fn publish_to(
        &self,
        exchange: &str,
        routing_key: &str,
        body: &[u8],
        properties: BasicProperties,
    ) {
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let properties = properties.with_delivery_mode(2);
        let mut channel = self.channel.clone();
        eventually("the broker takes the message", async || {
            let (exchange, routing_key) = (exchange.into(), routing_key.into());
            let published =
                channel.basic_publish(exchange, routing_key, options, body, properties.clone());
            let confirm = published.await.unwrap().await.unwrap();
            if confirm.is_nack() {
                channel = confirming(&self.connection).await;
                return None;
            }
            assert!(confirm.take_message().is_none(), "nothing is bound for the message");
            Some(())
        })
        .await;
    }

    /// Takes the next message out of `queue`, waiting until there is one.
    pub async fn take(&self, queue: &str) -> Found {
        eventually(&format!("a message is in {queue}"), async || self.take_now(queue).await).await
    }

    /// Takes the next message out of `queue`, if there is one.
    pub async fn take_now(&self, queue: &str) -> Option<Found> {
        let got = self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: false }).await;
        let delivery = got.unwrap()?.delivery;
        assert!(delivery.acker.ack(BasicAckOptions::default()).await.unwrap());
        let headers = delivery.properties.headers().clone().unwrap_or_default();
        Some(Found {
            body: delivery.data,
            headers: headers
                .inner()
                .iter()
                .map(|(name, value)| (name.to_string(), plain(value)))
                .collect(),
            properties: delivery.properties,
        })
    }

    /// How many messages wait in `queue` and how many consumers it has; `None` without the queue.
    pub async fn depth(&self, queue: &str) -> Option<(u32, u32)> {
        // A passive declaration that fails costs its channel.
        let channel = self.connection.create_channel().await.unwrap();
        let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        match channel.queue_declare(queue.into(), passive, FieldTable::default()).await {
            Ok(queue) => Some((queue.message_count(), queue.consumer_count())),
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::ProtocolError(_)), "{error}");
                None
            }
        }
    }

    /// Makes a queue that gets everything which is published to `exchange`.
    pub async fn listen(&self, exchange: &str, queue: &str) {
        let (options, none) = (QueueDeclareOptions::default(), FieldTable::default());
        self.channel.queue_declare(queue.into(), options, none.clone()).await.unwrap();
        let (queue, exchange, options) = (queue.into(), exchange.into(), Default::default());
        self.channel.queue_bind(queue, exchange, "#".into(), options, none).await.unwrap();
    }

    /// Waits until `queue` has a consumer.
    pub async fn wait_for_consumer(&self, queue: &str) {
        eventually(&format!("{queue} has a consumer"), async || {
            self.depth(queue).await.filter(|(_, consumers)| *consumers > 0)
        })
        .await;
    }

    /// Waits until `queue` has exactly `messages` waiting in it.
    pub async fn wait_for_depth(&self, queue: &str, messages: u32) {
        eventually(&format!("{queue} has {messages} messages"), async || {
            self.depth(queue).await.filter(|(found, _)| *found == messages)
        })
        .await;
    }

    /// A channel for whatever a test does to the broker.
    pub async fn channel(&self) -> Channel {
        self.connection.create_channel().await.unwrap()
    }

    /// The URL of this virtual host by way of `authority`, which stands in front of the broker.
    pub fn url_by(&self, authority: &str) -> String {
        format!("amqp://guest:guest@{authority}/{}", self.name)
    }
}

/// Asks the management API, and gives its answer.
async fn manage(method: reqwest::Method, url: &str) -> String {
    answer(management(method, url)).await
}

/// Puts something by the management API.
async fn put(url: &str, what: &Value) {
    let request = management(reqwest::Method::PUT, url);
    answer(request.header("content-type", "application/json").body(what.to_string())).await;
}

fn management(method: reqwest::Method, url: &str) -> reqwest::RequestBuilder {
    let http = reqwest::Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
    http.request(method, url).basic_auth("guest", Some("guest"))
}

async fn answer(request: reqwest::RequestBuilder) -> String {
    let response = request.send().await.unwrap();
    assert!(response.status().is_success(), "{response:?}");
    response.text().await.unwrap()
}

/// A connection, and a channel on it that confirms.
async fn connect(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = confirming(&connection).await;
    (connection, channel)
}

async fn confirming(connection: &Connection) -> Channel {
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel
}

fn plain(value: &AMQPValue) -> Value {
    if let AMQPValue::LongString(text) = value {
        Value::String(text.to_string())
    } else if let AMQPValue::LongLongInt(number) = value {
        json!(number)
    } else {
        Value::String(format!("{value:?}"))
    }
}
