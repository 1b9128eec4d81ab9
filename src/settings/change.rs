//! When a changed setting takes effect.

use super::table::Setting;

/// When a changed setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// With the next message, or the next thing that is done.
    AtOnce,
    /// With the next connection of a lane; those that there are go on.
    NextConnection,
    /// With a restart: until then it is as it was.
    Restart,
}

/// Keys, or beginnings of keys that end in a point.
const AT_ONCE: &[&str] = &[
    "policy.",
    "mimecast.",
    "retry.attempts",
    "retry.initial_delay",
    "retry.max_delay",
    "breaker.",
    "drain_timeout",
    "log.level",
    "log.pseudonym_key",
];

/// What is said of each lane, by the ends of the keys: where fields stand, and nothing that is bound.
const AT_ONCE_OF_LANES: &[&str] = &[".map", ".default_groups"];

const NEXT_CONNECTION: &[&str] =
    &["amqp.url", "amqp.username", "amqp.password", "amqp.copy_key", "amqp.tls.", "amqp.heartbeat"];

/// Whether it is real decides which queues are consumed.
const RESTART: &[&str] = &["policy.dry_run"];

impl Change {
    /// In words, for tables.
    pub fn label(self) -> &'static str {
        match self {
            Change::AtOnce => "at once",
            Change::NextConnection => "next connection",
            Change::Restart => "restart",
        }
    }
}

impl Setting {
    /// When a change of it takes effect.
    pub fn change(&self) -> Change {
        let is = |known: &&str| {
            *known == self.key || known.ends_with('.') && self.key.starts_with(known)
        };
        let of_lane = |end: &&str| self.key.starts_with("events.") && self.key.ends_with(end);
        if RESTART.iter().any(is) {
            Change::Restart
        } else if AT_ONCE.iter().any(is) || AT_ONCE_OF_LANES.iter().any(of_lane) {
            Change::AtOnce
        } else if NEXT_CONNECTION.iter().any(is) {
            Change::NextConnection
        } else {
            Change::Restart
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::SETTINGS;
    use super::*;

    #[test]
    fn what_names_queues_needs_a_restart_and_what_is_a_credential_does_not() {
        let change = |key: &str| SETTINGS.iter().find(|it| it.key == key).unwrap().change();
        for key in ["amqp.exchange", "retry.ladder", "policy.dry_run", "admin.listen", "log.format"]
        {
            assert_eq!(change(key), Change::Restart, "{key}");
        }
        for key in ["mimecast.secret_key", "policy.max_commands", "retry.attempts", "log.level"] {
            assert_eq!(change(key), Change::AtOnce, "{key}");
        }
        for setting in SETTINGS.iter().filter(|it| it.key.starts_with("events.")) {
            let at_once = setting.key.ends_with("map") || setting.key.ends_with("groups");
            let expected = if at_once { Change::AtOnce } else { Change::Restart };
            assert_eq!(setting.change(), expected, "{}", setting.key);
        }
        assert_eq!(change("amqp.tls.key_file"), Change::NextConnection);
        assert_eq!(change("amqp.password"), Change::NextConnection);
        // Each word of the tables is a setting: a renamed one would need a restart without a word.
        for known in AT_ONCE.iter().chain(NEXT_CONNECTION).chain(RESTART) {
            assert!(SETTINGS.iter().any(|it| it.key.starts_with(known)), "{known}");
        }
    }
}
