//! The table of settings: flags, variables, defaults, unknown keys and documentation all come from it.

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file, such as `mimecast.timeout`.
    pub key: &'static str,
    /// The default, as one would write it; `None` where there is none.
    pub default: Option<&'static str>,
    /// Whether it is a secret, which only comes from its own variable or a file named by it.
    pub secret: bool,
    /// What it does, in one line.
    pub help: &'static str,
}

const fn plain(key: &'static str, default: &'static str, help: &'static str) -> Setting {
    Setting { key, default: Some(default), secret: false, help }
}

const fn optional(key: &'static str, help: &'static str) -> Setting {
    Setting { key, default: None, secret: false, help }
}

const fn secret(key: &'static str, help: &'static str) -> Setting {
    Setting { key, default: None, secret: true, help }
}

/// Every setting there is, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "amqp.url",
        default: Some("amqp://guest:guest@127.0.0.1:5672/%2f"),
        secret: true,
        help: "The broker: amqp://user:password@host:port/vhost, or amqps:// for TLS; several, with commas, are nodes of one cluster",
    },
    optional("amqp.username", "User name; overrides the one in the URL"),
    secret("amqp.password", "Password; overrides the one in the URL"),
    optional("amqp.tls.ca_file", "PEM file with CA certificates to trust, beside the system's"),
    optional(
        "amqp.tls.cert_file",
        "PEM file with the client certificate; with the key it means EXTERNAL",
    ),
    optional("amqp.tls.key_file", "PEM file with the client certificate's key"),
    secret(
        "amqp.management_url",
        "Base URL of RabbitMQ's management API, to inspect policies and bindings; the user is that of AMQP unless it names one",
    ),
    secret(
        "amqp.copy_key",
        "Key of the MAC by which copies of messages show that the daemon has made them, the same for all replicas and for dlq; by default one derived from the vendor's credentials",
    ),
    plain("amqp.exchange", "events", "The topic exchange that events are published to"),
    plain(
        "amqp.dead_letter_exchange",
        "mimecast-eventd.dead-letter",
        "The exchange for dead letters",
    ),
    plain("amqp.dead_letter_queue", "mimecast-eventd.dead-letter", "The queue for dead letters"),
    optional(
        "amqp.outcome_exchange",
        "The topic exchange for what became of events; nobody is told without one",
    ),
    plain(
        "amqp.reply",
        "false",
        "Whether that is also sent to the queue that reply_to names, which a stranger does",
    ),
    plain(
        "amqp.topology",
        "declare",
        "declare creates queues and exchanges, verify only checks them",
    ),
    plain(
        "amqp.heartbeat",
        "10s",
        "How often broker and daemon prove that they are there; 1s to 10m",
    ),
    plain(
        r#"events."user.offboarded".queue"#,
        "mimecast-eventd.user.offboarded",
        "The queue of the lane",
    ),
    plain(
        r#"events."user.offboarded".prefetch"#,
        "16",
        "Messages in work at the same time; 1 to 1000",
    ),
    plain(
        r#"events."user.offboarded".delivery_limit"#,
        "20",
        "Deliveries after which the broker itself dead-letters a message; 1 to 1000",
    ),
    plain(r#"events."user.offboarded".enabled"#, "true", "Whether the lane is worked on"),
    plain(
        r#"events."user.offboarded".types"#,
        "[]",
        "Further names that mean the same type, in events and as routing keys; with * for anything, in events alone",
    ),
    plain(
        r#"events."user.offboarded".binding_keys"#,
        "[]",
        "Further binding keys, as hr.*.left; what comes by one without a type of its own is of this type",
    ),
    plain(
        r#"events."user.offboarded".map"#,
        "{}",
        "JSON Pointers to fields that stand elsewhere, by the names of the fields",
    ),
    plain(
        r#"events."user.offboarded".default_groups"#,
        "[]",
        "Ids of the groups to leave when an event names none",
    ),
    plain(r#"events."url.unblock".queue"#, "mimecast-eventd.url.unblock", "The queue of the lane"),
    plain(r#"events."url.unblock".prefetch"#, "16", "Messages in work at the same time; 1 to 1000"),
    plain(
        r#"events."url.unblock".delivery_limit"#,
        "20",
        "Deliveries after which the broker itself dead-letters a message; 1 to 1000",
    ),
    plain(r#"events."url.unblock".enabled"#, "true", "Whether the lane is worked on"),
    plain(
        r#"events."url.unblock".types"#,
        "[]",
        "Further names that mean the same type, in events and as routing keys; with * for anything, in events alone",
    ),
    plain(
        r#"events."url.unblock".binding_keys"#,
        "[]",
        "Further binding keys, as hr.*.left; what comes by one without a type of its own is of this type",
    ),
    plain(
        r#"events."url.unblock".map"#,
        "{}",
        "JSON Pointers to fields that stand elsewhere, by the names of the fields",
    ),
    plain(
        r#"events."url.unblock".default_groups"#,
        "[]",
        "Without effect: an unblocking has no groups",
    ),
    plain(
        "policy.dry_run",
        "false",
        "Whether nothing is changed, and copies of all events come through queues of its own",
    ),
    plain(
        "policy.allowed_sources",
        "[]",
        "Sources whose events are carried out, with * and ?; all if empty",
    ),
    plain(
        "policy.allowed_users",
        "[]",
        "Users of the broker whose events are carried out, by the property user_id; all if empty",
    ),
    plain(
        "policy.allowed_groups",
        "[]",
        "Groups, by id or name, that anybody is removed from; all if empty",
    ),
    plain("policy.protected_groups", "[]", "Groups, by id or name, that nobody is removed from"),
    plain(
        "policy.protected_addresses",
        "[]",
        "Addresses and domains that are removed from nothing, with * and ?",
    ),
    optional("policy.max_event_age", "An event that is older is not carried out any more"),
    plain("policy.allow_undated", "false", "Whether an event that tells no age is applied anyway"),
    plain(
        "policy.only_blocked",
        "false",
        "Whether an entry that is named by its id has to be one that blocks",
    ),
    plain(
        "policy.verify_effect",
        "false",
        "Whether a removal counts only when the member is not seen in the group any more",
    ),
    optional(
        "policy.max_commands",
        "Most commands of a lane that have an effect in the window; above that it slows down; 1 to 100000. Each process counts its own",
    ),
    plain("policy.window", "1h", "The window of max_commands; 1s to 24h"),
    optional("mimecast.auth", "Required: hmac (API 1.0) or oauth2 (API 2.0)"),
    optional("mimecast.base_url", "Base URL of the API; overrides the region"),
    optional(
        "mimecast.region",
        "Known base URL: eu de us usb ca za au je sandbox uspcom (hmac), global uk us (oauth2)",
    ),
    plain("mimecast.timeout", "30s", "Longest wait for one reply; up to 4m"),
    plain("mimecast.connect_timeout", "5s", "Longest wait for a connection to the API; up to 4m"),
    plain(
        "mimecast.group_cache",
        "10m",
        "How long the id of a group is remembered by its name; up to 24h",
    ),
    secret("mimecast.access_key", "Required with hmac"),
    secret("mimecast.secret_key", "Required with hmac; base64, as Mimecast issues it"),
    secret("mimecast.app_id", "Required with hmac"),
    secret("mimecast.app_key", "Required with hmac"),
    secret("mimecast.client_id", "Required with oauth2"),
    secret("mimecast.client_secret", "Required with oauth2"),
    optional(
        "mimecast.token_url",
        "Where access tokens come from; by default /oauth/token under the base URL",
    ),
    plain("retry.attempts", "4", "Immediate attempts before the health call decides; 1 to 100"),
    plain("retry.initial_delay", "200ms", "Longest first delay between attempts"),
    plain("retry.max_delay", "10s", "Longest delay between attempts; up to 5m"),
    plain(
        "retry.ladder",
        r#"["10s", "1m", "5m", "30m", "2h", "6h"]"#,
        "Retry delays of a message that is at fault; after the last one it is dead-lettered",
    ),
    plain(
        "breaker.initial_probe_delay",
        "5s",
        "First wait of a paused lane before it makes a health call",
    ),
    plain("breaker.max_probe_delay", "30s", "Longest such wait; up to 15m"),
    plain("admin.listen", "127.0.0.1:9464", "Address of /metrics, /livez and /readyz"),
    optional(
        "control.socket",
        "Path of the socket for pause and resume; by default control.sock in the runtime folder",
    ),
    optional(
        "audit.path",
        "File that what was done is written to, a line each; {host} in it is this host's name",
    ),
    optional(
        "audit.key_file",
        "File with a key of at least 16 bytes, so that nobody without it can make a line",
    ),
    optional(
        "audit.by_hand_key_file",
        "File with a key of its own for the trail of what people do by hand; by default the same key",
    ),
    plain(
        "audit.fsync",
        "always",
        "When lines are safe on the disk: always, or an interval up to 1m",
    ),
    plain("drain_timeout", "25s", "How long a stop waits for messages in work; up to 20m"),
    optional("log.format", "json or text; by default json unless standard error is a terminal"),
    plain("log.level", "info", "error, warn, info or debug"),
    optional(
        "traces.endpoint",
        "Collector of spans by OTLP over HTTP, by its URL up to the port; in a build with the feature otel",
    ),
    secret(
        "log.pseudonym_key",
        "Key of the pseudonyms that addresses have in the log; by default one derived from the vendor's credentials",
    ),
];

/// The key of `name` in the table `prefix` of the file, which is empty for the file itself.
pub(super) fn key_in(prefix: &str, name: &str) -> String {
    let name = if name.contains('.') { format!("{name:?}") } else { name.to_owned() };
    if prefix.is_empty() { name } else { format!("{prefix}.{name}") }
}

impl Setting {
    /// The environment variable: `EVENTD_MIMECAST__TIMEOUT`, `EVENTD_EVENTS__USER_OFFBOARDED__QUEUE`.
    pub fn variable(&self) -> String {
        let mut variable = "EVENTD_".to_owned();
        let mut quoted = false;
        for character in self.key.chars() {
            match character {
                '"' => quoted = !quoted,
                '.' if quoted => variable.push('_'),
                '.' => variable.push_str("__"),
                other => variable.push(other.to_ascii_uppercase()),
            }
        }
        variable
    }

    /// Whether its value is a table, such as `{ one = "two" }`.
    pub fn is_table(&self) -> bool {
        self.default.is_some_and(|default| default.starts_with('{'))
    }

    /// The flag, without its dashes: `mimecast-timeout`. Secrets have none.
    pub fn flag(&self) -> Option<String> {
        let flag = self.key.replace(['.', '_'], "-").replace('"', "");
        (!self.secret).then_some(flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_follow_from_the_key_and_never_clash() {
        let setting = SETTINGS.iter().find(|setting| setting.key.ends_with("prefetch")).unwrap();
        assert_eq!(setting.variable(), "EVENTD_EVENTS__USER_OFFBOARDED__PREFETCH");
        assert_eq!(setting.flag().unwrap(), "events-user-offboarded-prefetch");
        let variables: BTreeSet<String> = SETTINGS.iter().map(Setting::variable).collect();
        let flags: BTreeSet<String> = SETTINGS.iter().filter_map(Setting::flag).collect();
        assert_eq!(variables.len(), SETTINGS.len());
        assert_eq!(flags.len(), SETTINGS.iter().filter(|setting| !setting.secret).count());
    }
}
