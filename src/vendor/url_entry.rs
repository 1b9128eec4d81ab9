//! One managed URL entry as Mimecast lists it, and whether it blocks a URL.

use crate::event::{ManagedUrl, without_hidden};
use serde_json::Value;
use std::net::Ipv6Addr;

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
        let word = |name: &str| text(entry, name).map(str::to_ascii_lowercase).unwrap_or_default();
        let action = match word("action").as_str() {
            "block" => Action::Block,
            "permit" => Action::Permit,
            _ => Action::Unknown,
        };
        let host = host(entry);
        let target = match word("matchType").as_str() {
            "explicit" => page(entry).unwrap_or(Target::Unknown(host)),
            "domain" => host.map_or(Target::Unknown(None), Target::Host),
            _ => Target::Unknown(host),
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

/// Schemes that no web page has.
const OTHER_SCHEMES: [&str; 5] = ["ftp", "ftps", "sftp", "file", "mailto"];

/// The page of an entry that is about one, if it can be read. Some entries have `url` beside or in place of its
/// parts (reported by users of the API): they must not contradict each other, or another page would go.
fn page(entry: &Value) -> Option<Target> {
    let (url, parts) = (text(entry, "url")?, Parts::read(entry)?);
    let of_url = url.split_once(':').map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    let is_other = |scheme: &str| OTHER_SCHEMES.contains(&scheme);
    let is_elsewhere = match (parts.scheme, url) {
        ("", _) => parts.domain.is_empty() && is_other(&of_url),
        (scheme, "") => is_other(scheme),
        (scheme, _) => is_other(scheme) && of_url == scheme,
    };
    if is_elsewhere {
        return Some(Target::Elsewhere);
    }
    if url.is_empty() {
        return parts.page(parts.scheme).map(Target::Page);
    }
    let whole = ManagedUrl::of_entry(url)?;
    // What is not there as a part is as in the URL.
    let scheme = if parts.scheme.is_empty() { whole.scheme() } else { parts.scheme };
    let agrees = match (parts.domain.is_empty(), parts.is_host_alone()) {
        (true, true) => scheme == whole.scheme(),
        (true, false) => false,
        (false, true) => parts.page(scheme)?.is_of_host_of(&whole),
        (false, false) => parts.page(scheme)? == whole,
    };
    agrees.then_some(Target::Page(whole))
}

/// The parts into which Mimecast takes a URL (recorded replies of `get-all-managed-urls`): a port of -1 is the
/// scheme's, and a path may lack its slash. Some have a query inside the path, or a port as a text.
struct Parts<'a> {
    scheme: &'a str,
    domain: &'a str,
    port: Option<u16>,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn read(entry: &'a Value) -> Option<Parts<'a>> {
        let scheme = text(entry, "scheme")?.trim_end_matches([':', '/']);
        let known = ["http", "https"].into_iter().chain(OTHER_SCHEMES);
        let known = known.into_iter().find(|known| scheme.eq_ignore_ascii_case(known));
        let path = text(entry, "path")?.split('#').next().unwrap_or_default();
        let query = text(entry, "queryString")?;
        let query = query.strip_prefix('?').unwrap_or(query);
        let (path, query) = match path.split_once('?') {
            Some((path, inside)) if query.is_empty() || query == inside => (path, inside),
            Some(_) => return None,
            None => (path, query),
        };
        Some(Parts {
            scheme: known.unwrap_or(scheme),
            domain: text(entry, "domain")?,
            port: port(entry.get("port"))?,
            path,
            query,
        })
    }

    fn is_host_alone(&self) -> bool {
        self.port.is_none() && self.path.is_empty() && self.query.is_empty()
    }

    /// The page under this scheme, where the domain is nothing but a host.
    fn page(&self, scheme: &str) -> Option<ManagedUrl> {
        let host = plain_host(self.domain)?;
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        let slash = if self.path.starts_with(['/', '\\']) { "" } else { "/" };
        let Parts { path, query, .. } = self;
        ManagedUrl::of_entry(&format!("{scheme}://{host}{port}{slash}{path}?{query}"))
    }
}

/// The host of an entry, as far as one can be read.
fn host(entry: &Value) -> Option<String> {
    let domain = text(entry, "domain")?;
    host_of(if domain.is_empty() { text(entry, "url")? } else { domain })
}

/// The host in a text that begins with one, behind a scheme or a user. What stands for several hosts is none, but
/// `*.` before one: that is a part of what the host covers.
fn host_of(written: &str) -> Option<String> {
    let written = without_hidden(written);
    let lower = written.to_ascii_lowercase();
    let scheme = ["https:", "http:"].into_iter().find(|scheme| lower.starts_with(scheme));
    let rest = scheme
        .map_or(written.as_str(), |scheme| written[scheme.len()..].trim_start_matches(['/', '\\']));
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = host.trim_start_matches("*.").trim_start_matches('.');
    let without_port = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let without_port = without_port.map(|(host, _)| host).filter(|host| !host.contains(':'));
    let host = plain_host(without_port.unwrap_or(host))?;
    ManagedUrl::of_entry(&format!("http://{host}")).map(|url| url.host().to_owned())
}

/// A text that is a host and nothing else, as it stands in a URL: an address of IPv6 may lack its brackets.
fn plain_host(text: &str) -> Option<String> {
    if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse::<Ipv6Addr>() {
        return Some(format!("[{address}]"));
    }
    let is_foreign = |it: char| {
        it.is_whitespace() || (it.is_ascii() && !it.is_ascii_alphanumeric() && !"-._".contains(it))
    };
    (!text.is_empty() && !text.contains(is_foreign)).then(|| text.to_owned())
}

/// The port; nothing in it where it is the scheme's, and nothing at all where it cannot be read.
fn port(port: Option<&Value>) -> Option<Option<u16>> {
    let number = match port {
        None | Some(Value::Null) => return Some(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Some(None),
        Some(Value::String(text)) => text.trim().parse().ok()?,
        Some(port) => port.as_i64()?,
    };
    match number {
        -1 | 0 => Some(None),
        number => u16::try_from(number).ok().map(Some),
    }
}

fn covers(host: &str, url: &ManagedUrl) -> bool {
    let below = url.host().strip_suffix(host);
    below.is_some_and(|labels| labels.is_empty() || labels.ends_with('.'))
}

/// A text of an entry; one that is left out is empty, and what is no text cannot be read.
fn text<'a>(entry: &'a Value, name: &str) -> Option<&'a str> {
    match entry.get(name) {
        None | Some(Value::Null) => Some(""),
        Some(value) => value.as_str().map(str::trim),
    }
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
            json!({"scheme": "https:", "domain": "bad.example", "path": "\\a", "queryString": "b=c"}),
            json!({"scheme": "https", "domain": "bad.example", "url": "https://bad.example/a?b=c"}),
            json!({"scheme": "https", "domain": "bad.example", "path": "/a?b=c", "url": "https://BAD.example/a?b=c"}),
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
            json!({"matchType": "domain", "domain": "\u{feff}https://user@bad.example/"}),
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
            (json!({"scheme": "https", "domain": "https://bad.example", "path": "/a"}), "none"),
            (json!({"scheme": "https", "domain": "bad.example/a"}), "none"),
            (json!({"scheme": "https", "domain": "bad.example?b=c"}), "none"),
            (json!({"scheme": "https", "domain": "user@bad.example", "path": "/a"}), "none"),
            (json!({"scheme": "https", "domain": "*.bad.example", "path": "/a"}), "none"),
            (json!({"scheme": "http(s)", "domain": "bad.example", "path": "/a"}), "none"),
            (json!({"scheme": "*", "domain": "bad.example", "path": "/a"}), "none"),
            (json!({"scheme": "https", "domain": "bad.example", "path": 404}), "none"),
            (
                json!({"scheme": "https", "domain": "bad.example", "path": "/a", "queryString": 7}),
                "none",
            ),
            (
                json!({"scheme": "https", "domain": "bad.example", "path": "/b", "url": "https://bad.example/a"}),
                "none",
            ),
            (json!({"scheme": "any", "domain": "bad.example", "path": "/a"}), "none"),
            (json!({"scheme": "https", "domain": "bad.example:8443", "path": "/a"}), "none"),
            (json!({"scheme": "https", "domain": ".bad.example", "path": "/a"}), "none"),
            (json!({"scheme": "https", "domain": "https:/bad.example", "path": "/a"}), "none"),
            (json!({"scheme": "ftp", "url": "https://bad.example/a"}), "none"),
            (json!({"path": "/b", "url": "https://bad.example/a"}), "none"),
            (json!({"queryString": "q=1", "url": "https://bad.example/a"}), "none"),
            (json!({"port": 8443, "url": "https://bad.example/a"}), "none"),
            (json!({"scheme": "http", "url": "https://bad.example/a"}), "none"),
            (
                json!({"scheme": "http", "domain": "bad.example", "url": "https://bad.example/a"}),
                "none",
            ),
            (json!({"domain": "bad.example/b", "url": "https://bad.example/a"}), "none"),
            (json!({"domain": "*.bad.example", "url": "https://bad.example/a"}), "none"),
            (json!({"scheme": "https", "domain": "*", "path": "/a"}), "unreadable"),
            (
                json!({"scheme": "https", "domain": "good.example,bad.example", "path": "/a"}),
                "unreadable",
            ),
            (json!({"scheme": "https", "domain": "bad example", "path": "/a"}), "unreadable"),
            (json!({"scheme": "https", "domain": "bad[.]example", "path": "/a"}), "unreadable"),
            (json!({"matchType": "domain", "domain": "bad.*"}), "unreadable"),
            (json!({"matchType": "domain", "domain": "*bad.example"}), "unreadable"),
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
    fn an_entry_of_a_host_with_another_name_is_of_that_host() {
        let page = |domain: &str| json!({"scheme": "https", "domain": domain, "path": "/a"});
        let joined = "نامه\u{200c}ای.example";
        assert_eq!(relation(&page(joined), "https://xn--mgba3gch31f060k.example/a"), "this");
        assert_eq!(relation(&page(joined), "https://نامهای.example/a"), "none");
        assert_eq!(
            relation(&page("b\u{fffd}cher.example"), "https://bcher.example/a"),
            "unreadable"
        );
        let wide = json!({"matchType": "domain", "domain": "bad\u{200b}.example"});
        assert_eq!(relation(&wide, "https://bad.example/a"), "wider");
    }

    #[test]
    fn an_address_of_ipv6_is_a_host_with_brackets_or_without() {
        for domain in ["2001:db8::1", "[2001:DB8::1]"] {
            let page = json!({"scheme": "https", "domain": domain, "path": "/a"});
            assert_eq!(relation(&page, "https://[2001:db8::1]/a"), "this", "{domain}");
            assert_eq!(relation(&page, "https://bad.example/a"), "none", "{domain}");
            let whole = json!({"matchType": "domain", "domain": domain});
            assert_eq!(relation(&whole, "https://[2001:db8::1]/a"), "wider", "{domain}");
            assert_eq!(relation(&whole, "https://bad.example/a"), "none", "{domain}");
        }
    }

    #[test]
    fn an_entry_that_permits_or_is_of_no_web_page_blocks_nothing() {
        for parts in [
            json!({"action": "permit", "url": "https://bad.example/a"}),
            json!({"action": "Permit"}),
            json!({"scheme": "ftp", "domain": "bad.example", "path": "/a"}),
            json!({"url": "FTP://bad.example/a"}),
            json!({"scheme": "ftp", "url": "ftp://bad.example/a"}),
        ] {
            assert_eq!(relation(&parts, "https://bad.example/a"), "none", "{parts}");
        }
    }

    #[test]
    fn only_an_entry_whose_action_is_to_block_is_said_to_block() {
        for (action, blocks) in [("Block", true), ("permit", false), ("warn", false), ("", false)] {
            let entry = entry(&json!({"action": action}));
            assert_eq!(UrlEntry::read(&entry).blocks(), blocks, "{action}");
        }
    }

    #[test]
    fn an_entry_without_an_id_blocks_and_cannot_be_deleted() {
        let parts = json!({"id": "", "url": "https://bad.example/a"});
        assert_eq!(relation(&parts, "https://bad.example/a"), "wider");
        assert_eq!(UrlEntry::read(&entry(&parts)).name(), "without an id");
    }

    #[test]
    fn an_id_is_shown_up_to_its_bound() {
        let shown = |bytes: usize| {
            let listed = json!({"id": "i".repeat(bytes)});
            UrlEntry::read(&listed).name().len()
        };
        assert_eq!((shown(LONGEST_ID), shown(LONGEST_ID + 1)), (LONGEST_ID, LONGEST_ID));
    }
}
