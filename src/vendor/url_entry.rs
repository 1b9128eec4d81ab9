//! One managed URL entry as Mimecast lists it, and whether it blocks a URL.

use crate::event::ManagedUrl;
use serde_json::Value;

/// Bytes of an id that a dead letter shows: Mimecast's have 107.
const LONGEST_ID: usize = 256;

/// One managed URL entry.
#[derive(Debug)]
pub(super) struct UrlEntry<'a> {
    /// Its id, if it has one.
    pub id: Option<&'a str>,
    action: Action,
    target: Target,
}

/// What an entry has to do with a URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Relation<'a> {
    /// It does not block the URL.
    None,
    /// It blocks this page and nothing else, and has this id.
    ThisPage(&'a str),
    /// It blocks the URL together with others.
    Wider,
    /// It may block the URL, and cannot be read.
    Unreadable,
}

#[derive(Debug, PartialEq, Eq)]
enum Action {
    Block,
    Permit,
    Unknown,
}

/// What an entry is about.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// One page.
    Page(ManagedUrl),
    /// Every page of a host. Whether that of its subdomains as well is not documented, so that no such page is
    /// called unblocked.
    Host(String),
    /// Something on this host, or on any.
    Unknown(Option<String>),
    /// Nothing that HTTP could be asked for.
    Elsewhere,
}

impl UrlEntry<'_> {
    /// Reads an entry of the list. Whatever of it cannot be read counts as unknown, never as absent.
    pub(super) fn read(entry: &Value) -> UrlEntry<'_> {
        let word = |name: &str| text(entry, name).to_ascii_lowercase();
        let action = match word("action").as_str() {
            "block" => Action::Block,
            "permit" => Action::Permit,
            _ => Action::Unknown,
        };
        let target = match word("matchType").as_str() {
            "explicit" => page(entry),
            "domain" => host(entry).map_or(Target::Unknown(None), Target::Host),
            _ => Target::Unknown(host(entry)),
        };
        let id = entry.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
        UrlEntry { id, action, target }
    }

    /// Whether it blocks; an entry that permits, or does something unknown, does not.
    pub(super) fn blocks(&self) -> bool {
        self.action == Action::Block
    }

    /// Its id for people, as far as it has one.
    pub(super) fn name(&self) -> String {
        let id = self.id.unwrap_or("without an id");
        id[..id.floor_char_boundary(LONGEST_ID)].to_owned()
    }

    /// What it has to do with a URL.
    pub(super) fn relation(&self, url: &ManagedUrl) -> Relation<'_> {
        let relation = match &self.target {
            Target::Page(page) if page == url => match self.id {
                Some(id) => Relation::ThisPage(id),
                // It cannot be deleted.
                None => Relation::Wider,
            },
            Target::Page(page) if page.is_same_page(url) => Relation::Wider,
            Target::Host(host) if covers(host, url) => Relation::Wider,
            Target::Unknown(None) => Relation::Unreadable,
            Target::Unknown(Some(host)) if covers(host, url) => Relation::Unreadable,
            Target::Page(_) | Target::Host(_) | Target::Unknown(Some(_)) | Target::Elsewhere => {
                Relation::None
            }
        };
        match self.action {
            Action::Permit => Relation::None,
            Action::Block => relation,
            Action::Unknown if relation == Relation::None => Relation::None,
            Action::Unknown => Relation::Unreadable,
        }
    }
}

/// The page of an entry that is about one. Mimecast takes URLs apart (recorded replies of
/// `get-all-managed-urls`): a port of -1 is the scheme's, and a path may lack its slash. Some entries have `url`
/// in place of scheme and host, a query inside the path, or a port as a text (reported by users of its API).
fn page(entry: &Value) -> Target {
    let unknown = || Target::Unknown(host(entry));
    if text(entry, "domain").is_empty() {
        let page = ManagedUrl::of_entry(text(entry, "url"));
        return page.map_or_else(unknown, Target::Page);
    }
    let (scheme, path) = (text(entry, "scheme").to_ascii_lowercase(), text(entry, "path"));
    let scheme = scheme.trim_end_matches("://");
    if !matches!(scheme, "" | "http" | "https") {
        return Target::Elsewhere;
    }
    let path = path.split('#').next().unwrap_or_default();
    let query = text(entry, "queryString");
    let query = query.strip_prefix('?').unwrap_or(query);
    let (path, query) = match path.split_once('?') {
        Some((path, inside)) if query.is_empty() || query == inside => (path, inside),
        Some(_) => return unknown(),
        None => (path, query),
    };
    let Some(port) = port(entry.get("port")) else { return unknown() };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let whole = format!("{scheme}://{}{port}{slash}{path}?{query}", text(entry, "domain"));
    ManagedUrl::of_entry(&whole).map_or_else(unknown, Target::Page)
}

/// The host of an entry, as far as one can be read.
fn host(entry: &Value) -> Option<String> {
    let domain = text(entry, "domain");
    let written = if domain.is_empty() { text(entry, "url") } else { domain };
    let written = written.split_once("://").map_or(written, |(_, rest)| rest);
    let written = written.trim_start_matches("*.").trim_start_matches('.');
    let url = ManagedUrl::of_entry(&format!("http://{written}"))?;
    Some(url.host().to_owned())
}

/// The port as it stands in a URL; nothing where it is unreadable.
fn port(port: Option<&Value>) -> Option<String> {
    let number = match port {
        None | Some(Value::Null) => return Some(String::new()),
        Some(Value::String(text)) if text.trim().is_empty() => return Some(String::new()),
        Some(Value::String(text)) => text.trim().parse().ok()?,
        Some(port) => port.as_i64()?,
    };
    match number {
        -1 | 0 => Some(String::new()),
        number => u16::try_from(number).ok().map(|port| format!(":{port}")),
    }
}

fn covers(host: &str, url: &ManagedUrl) -> bool {
    let below = url.host().strip_suffix(host);
    below.is_some_and(|labels| labels.is_empty() || labels.ends_with('.'))
}

fn text<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry.get(name).and_then(Value::as_str).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entry(parts: &Value) -> Value {
        let mut entry = json!({"id": "one", "action": "block", "matchType": "explicit"});
        for (name, value) in parts.as_object().unwrap() {
            entry[name] = value.clone();
        }
        entry
    }

    fn relation(parts: &Value, url: &str) -> &'static str {
        let (entry, url) = (entry(parts), ManagedUrl::parse(url).unwrap());
        match UrlEntry::read(&entry).relation(&url) {
            Relation::None => "none",
            Relation::ThisPage(id) => {
                assert_eq!(id, "one");
                "this"
            }
            Relation::Wider => "wider",
            Relation::Unreadable => "unreadable",
        }
    }

    #[test]
    fn a_page_is_recognized_however_mimecast_takes_it_apart() {
        for parts in [
            json!({"scheme": "https", "domain": "bad.example", "port": -1, "path": "/a", "queryString": "b=c"}),
            json!({"scheme": "HTTPS", "domain": "BAD.example.", "path": "a", "queryString": "?b=c"}),
            json!({"scheme": "https", "domain": "bad.example", "port": "443", "path": "/a?b=c"}),
            json!({"scheme": "https", "domain": "bad.example", "port": "-1", "path": "/a?b=c", "queryString": "b=c"}),
            json!({"scheme": "https://", "domain": "bad.example", "port": "", "path": "/%61", "queryString": "b=%63"}),
            json!({"scheme": "", "domain": "", "path": "", "url": "https://bad.example/a?b=c"}),
            json!({"scheme": "https", "domain": "bad.example", "path": "/a#top", "queryString": "b=c"}),
            json!({"url": "https://bad.example:443/x/../a?b=c#top"}),
            json!({"action": "Block", "matchType": "Explicit", "url": "https://bad.example/a?b=c"}),
        ] {
            assert_eq!(relation(&parts, "https://bad.example/a?b=c"), "this", "{parts}");
            assert_eq!(relation(&parts, "http://bad.example/a?b=c"), "wider", "{parts}");
            assert_eq!(relation(&parts, "https://bad.example/a"), "none", "{parts}");
            assert_eq!(relation(&parts, "https://good.example/a?b=c"), "none", "{parts}");
        }
    }

    #[test]
    fn an_entry_for_a_host_blocks_every_page_of_it() {
        for parts in [
            json!({"matchType": "domain", "domain": "Bad.example"}),
            json!({"matchType": "domain", "scheme": "http", "domain": "bad.example", "path": "/a", "port": 8080}),
            json!({"matchType": "domain", "url": "http://bad.example"}),
            json!({"matchType": "domain", "domain": "*.bad.example"}),
        ] {
            for url in
                ["https://bad.example/", "http://bad.example:81/x", "https://www.bad.example/"]
            {
                assert_eq!(relation(&parts, url), "wider", "{parts} {url}");
            }
            for url in ["https://notbad.example/", "https://bad.example.org/", "https://example/"] {
                assert_eq!(relation(&parts, url), "none", "{parts} {url}");
            }
        }
    }

    #[test]
    fn an_entry_that_cannot_be_read_may_block_whatever_is_on_its_host() {
        let same = "https://bad.example/a";
        for (parts, on_other_hosts) in [
            (json!({"domain": "bad.example", "path": "/a"}), "none"),
            (json!({"scheme": "https", "domain": "bad.example", "port": 70000}), "none"),
            (json!({"scheme": "https", "domain": "bad.example", "port": "x"}), "none"),
            (json!({"scheme": "https", "domain": "bad.example", "port": 4.5}), "none"),
            (
                json!({"scheme": "https", "domain": "bad.example", "path": "/a?b", "queryString": "c"}),
                "none",
            ),
            (json!({"matchType": "regex", "domain": "bad.example"}), "none"),
            (json!({"matchType": null, "domain": "bad.example"}), "none"),
            (json!({"url": "bad.example/a"}), "none"),
            (json!({"action": "warn", "url": "https://bad.example/a"}), "none"),
            (json!({}), "unreadable"),
            (json!({"url": "https://"}), "unreadable"),
            (json!({"domain": 7}), "unreadable"),
            (json!({"matchType": "domain"}), "unreadable"),
        ] {
            assert_eq!(relation(&parts, same), "unreadable", "{parts}");
            assert_eq!(relation(&parts, "https://good.example/a"), on_other_hosts, "{parts}");
        }
    }

    #[test]
    fn an_entry_that_permits_or_is_of_no_web_page_blocks_nothing() {
        for parts in [
            json!({"action": "permit", "url": "https://bad.example/a"}),
            json!({"action": "Permit"}),
            json!({"scheme": "ftp", "domain": "bad.example", "path": "/a"}),
        ] {
            assert_eq!(relation(&parts, "https://bad.example/a"), "none", "{parts}");
        }
    }

    #[test]
    fn an_entry_without_an_id_blocks_and_cannot_be_deleted() {
        let parts = json!({"id": "", "url": "https://bad.example/a"});
        assert_eq!(relation(&parts, "https://bad.example/a"), "wider");
        assert_eq!(UrlEntry::read(&entry(&parts)).name(), "without an id");
    }
}
