//! The settings under `amqp`: how to reach the broker, and what the things in it are called.

use super::certificate::{self, ClientCertificate};
use super::management::Management;
use super::mimecast::Credentials;
use super::reader::{Reader, decode, not_blank, typed};
use super::timings::Timings;
use crate::secrecy::{CopyKey, Secret};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use url::Url;

/// How to reach the broker, and what the things in it are called.
#[derive(Clone, Debug)]
pub struct Amqp {
    /// Where it is and who we are.
    pub address: Address,
    /// CA certificates in PEM to trust beside the system's.
    pub ca: Option<String>,
    /// The certificate to authenticate with, instead of a password.
    pub client_certificate: Option<ClientCertificate>,
    /// The key by which copies show that they are ours, if there is one or something to derive it from.
    pub copy_key: Option<CopyKey>,
    /// Where the management API is, if it is asked.
    pub management: Option<Management>,
    /// The exchange that events are published to.
    pub exchange: String,
    /// The exchange for dead letters.
    pub dead_letter_exchange: String,
    /// The queue for dead letters.
    pub dead_letter_queue: String,
    /// The exchange for what became of events, if that is told.
    pub outcome_exchange: Option<String>,
    /// Whether who asks for an answer gets one.
    pub reply: bool,
    /// Whether to create or only to check.
    pub topology: TopologyMode,
    /// The heartbeat asked for.
    pub heartbeat: Duration,
    /// The waits and limits that are no settings.
    pub timings: Timings,
}

/// What to do about queues and exchanges at the start of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopologyMode {
    /// Create what is missing.
    Declare,
    /// Check that everything is there, create nothing.
    Verify,
}

/// Where the broker is and who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The nodes of the cluster, any of which will do.
    pub nodes: Vec<Node>,
    /// Virtual host.
    pub vhost: String,
    /// User name.
    pub username: String,
    /// Password.
    pub password: Secret,
}

/// One node of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Host name or IP address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Node {
    /// Whether it is on this very machine, as far as its name says.
    fn is_this_machine(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.host, self.port)
    }
}

impl Amqp {
    /// The exchanges that there have to be.
    pub fn exchanges(&self) -> impl Iterator<Item = &str> {
        let needed = [self.exchange.as_str(), self.dead_letter_exchange.as_str()];
        needed.into_iter().chain(self.outcome_exchange.as_deref())
    }

    /// Reads the settings under `amqp`.
    pub fn read(reader: &mut Reader) -> Amqp {
        let mut address = reader.required("amqp.url", Address::parse).unwrap_or_default();
        let given = |text: &str| not_blank(text).and(typed(text));
        if let Some(username) = reader.optional("amqp.username", given) {
            address.username = username;
        }
        let own = reader.optional("amqp.password", given);
        if let Some(password) = own {
            if password.trim() != password {
                let problem = "begins or ends with white space, which is a part of it; remove it if it is not meant";
                reader.warning("amqp.password", problem);
            }
            address.password = Secret::new(password);
        }
        if let Some(node) = address.nodes.iter().find(|it| !address.tls && !it.is_this_machine()) {
            let problem = format!(
                "sends the password to {node} unencrypted; use amqps:// if the network can be read by others"
            );
            reader.warning("amqp.url", &problem);
        }
        let ca = reader.optional("amqp.tls.ca_file", certificate::authorities);
        let client_certificate = ClientCertificate::read(reader);
        if !address.tls
            && !address.nodes.is_empty()
            && (ca.is_some() || client_certificate.is_some())
        {
            let key = if ca.is_some() { "amqp.tls.ca_file" } else { "amqp.tls.cert_file" };
            reader.mistake(key, "has no effect unless amqp.url begins with amqps://");
        }
        let topologies = [("declare", TopologyMode::Declare), ("verify", TopologyMode::Verify)];
        let off_and_on = [("false", false), ("true", true)];
        let outcome_exchange = outcome_exchange(reader);
        let Address { tls, username, password, .. } = &address;
        let management = Management::read(reader, *tls, (username, password));
        Amqp {
            address,
            ca,
            client_certificate,
            copy_key: copy_key(reader),
            management,
            exchange: reader.name("amqp.exchange"),
            dead_letter_exchange: reader.name("amqp.dead_letter_exchange"),
            dead_letter_queue: reader.name("amqp.dead_letter_queue"),
            outcome_exchange,
            reply: reader.one_of("amqp.reply", &off_and_on).unwrap_or(false),
            topology: reader.one_of("amqp.topology", &topologies).unwrap_or(TopologyMode::Verify),
            heartbeat: reader.duration(
                "amqp.heartbeat",
                Duration::from_secs(1),
                Duration::from_mins(10),
            ),
            timings: reader.timings(),
        }
    }
}

/// By default one derived from Mimecast's credentials, where they can be read.
fn copy_key(reader: &mut Reader) -> Option<CopyKey> {
    let key = reader.optional("amqp.copy_key", |text| match text.len() {
        16.. => Ok(CopyKey::by(text.as_bytes())),
        _ => Err("must be at least 16 bytes long"),
    });
    key.or_else(|| {
        let mut aside = reader.aside();
        let secrets = Credentials::read_secrets(&mut aside);
        Some(CopyKey::derived(&aside.finish(secrets).ok()??))
    })
}

/// One of its own: its events would come to the lanes, or be dead letters.
fn outcome_exchange(reader: &mut Reader) -> Option<String> {
    let given = reader.optional("amqp.outcome_exchange", |text| match text.len() {
        0..=255 => Ok(text.to_owned()),
        _ => Err("must not be longer than 255 bytes"),
    });
    let exchange = given.filter(|exchange| !exchange.is_empty())?;
    for other in ["amqp.exchange", "amqp.dead_letter_exchange"] {
        if reader.optional(other, not_blank).is_some_and(|other| other == exchange) {
            let problem = format!("must be another one than {other}");
            reader.mistake("amqp.outcome_exchange", &problem);
        }
    }
    Some(exchange)
}

impl Address {
    /// Parses one or several addresses with commas between them, which are nodes of one cluster: they
    /// differ in host and port only. A comma parts them only before the next `amqp://` or `amqps://`,
    /// because a password may hold one too.
    ///
    /// # Errors
    ///
    /// What would be right, without a word of the URL itself: it may hold a password.
    pub fn parse(text: &str) -> Result<Address, &'static str> {
        let (mut nodes, mut without_nodes) = (Vec::new(), None);
        for part in Address::parts(text) {
            let mut address = Address::of_node(part)?;
            nodes.append(&mut address.nodes);
            if *without_nodes.get_or_insert_with(|| address.clone()) != address {
                return Err("has several addresses that differ in more than host and port");
            }
        }
        let address =
            without_nodes.ok_or("is not a URL such as amqps://user:password@host/vhost")?;
        Ok(Address { nodes, ..address })
    }

    /// The addresses in `text`: each comma before the next scheme ends one.
    pub fn parts(text: &str) -> Vec<&str> {
        let (mut parts, mut begin) = (Vec::new(), 0);
        for (comma, _) in text.match_indices(',') {
            let next = text[comma + 1..].trim_start();
            if next.starts_with("amqp://") || next.starts_with("amqps://") {
                parts.push(&text[begin..comma]);
                begin = comma + 1;
            }
        }
        parts.push(&text[begin..]);
        parts
    }

    /// Parses `amqp://user:password@host:port/vhost`; parts that are left out are guest, guest, the
    /// scheme's port and `/`. An empty path is the virtual host `/`, a lone slash the one without a
    /// name, and `%2f` is `/` again (RabbitMQ URI specification).
    fn of_node(text: &str) -> Result<Address, &'static str> {
        let url = Url::parse(text.trim())
            .map_err(|_| "is not a URL such as amqps://user:password@host/vhost")?;
        let tls = match url.scheme() {
            "amqp" => false,
            "amqps" => true,
            _ => return Err("must begin with amqp:// or amqps://"),
        };
        if url.query().is_some() || url.fragment().is_some() {
            return Err("takes no ? or # part; the settings under amqp say the same");
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("has no host")?;
        let vhost = url.path().strip_prefix('/').unwrap_or("%2f");
        // Behind a password with a / in it the parser takes the rest of the password for a path.
        if vhost.contains(['/', '@']) {
            return Err("has a / or @ in its path; write them as %2f and %40, in the password too");
        }
        let (username, password) = match (url.username(), url.password()) {
            ("", None) => ("guest", "guest"),
            (username, password) => (username, password.unwrap_or_default()),
        };
        Ok(Address {
            tls,
            nodes: vec![Node {
                host: host.trim_matches(['[', ']']).to_owned(),
                port: url.port().unwrap_or(if tls { 5671 } else { 5672 }),
            }],
            vhost: decode(vhost)?,
            username: typed(&decode(username)?)?,
            password: Secret::new(typed(&decode(password)?)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_has_the_usual_meaning() {
        let address = Address::parse("amqp://broker").unwrap();
        assert_eq!((address.nodes[0].port, address.vhost.as_str()), (5672, "/"));
        assert_eq!((address.username.as_str(), address.password.reveal()), ("guest", "guest"));
        let address = Address::parse("amqps://a%40b:p%3Aq@[::1]/%2fteam").unwrap();
        assert_eq!(address.nodes, [Node { host: "::1".into(), port: 5671 }]);
        assert_eq!(address.vhost, "/team");
        assert_eq!((address.username.as_str(), address.password.reveal()), ("a@b", "p:q"));
        assert_eq!(Address::parse("amqp://broker/").unwrap().vhost, "");
    }

    #[test]
    fn several_addresses_are_nodes_of_one_cluster_and_a_password_may_hold_a_comma() {
        let text = "amqp://a:p,q@one/v, amqp://a:p,q@two:5673/v,amqp://a:p%2Cq@[::1]/v";
        let address = Address::parse(text).unwrap();
        let shown: Vec<String> = address.nodes.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["one:5672", "two:5673", "::1:5672"]);
        assert_eq!((address.vhost.as_str(), address.password.reveal()), ("v", "p,q"));
        for other in
            ["amqp://b:p,q@two/v", "amqp://a:x@two/v", "amqp://a:p,q@two/w", "amqps://a:p,q@two/v"]
        {
            let refusal = Address::parse(&format!("amqp://a:p,q@one/v,{other}")).unwrap_err();
            assert!(refusal.contains("differ"), "{other}: {refusal}");
        }
        // A comma that parts nothing belongs to what stands before it.
        assert_eq!(Address::parse("amqp://one/v,").unwrap().vhost, "v,");
        assert!(Address::parse("amqp://one/v,,amqp://two/v").is_err());
    }

    #[test]
    fn a_refusal_says_nothing_of_the_url() {
        for text in [
            "http://canary@host",
            "canary",
            "amqp://canary:canary@/x",
            "amqp://h/canary/x",
            "amqp://user:1/canary@h",
            "amqp://h/?canary",
            "amqp://canary%ff@h",
            "amqp://h:canary",
        ] {
            let refusal = Address::parse(text).unwrap_err();
            assert!(!refusal.contains("canary"), "{refusal}");
        }
    }
}
