//! URLs in their canonical form.

use super::characters::{NameError, expect_prose};
use std::fmt;
use url::{Host, Url};

/// Domains below which Mimecast puts links in place of those of a message.
const LINK_DOMAINS: [&str; 4] =
    ["mimecastprotect.com", "mimecast.com", "mimecast-offshore.com", "mimecast-pscom-us.com"];

/// A URL of a page in its canonical form (RFC 3986, section 6.2.2): host in lower-case ASCII without the dot of
/// the root, no default port, no dot segments, and no character percent-encoded that need not be. The part
/// behind a `#` is never sent, and Mimecast keeps none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ManagedUrl {
    scheme: Scheme,
    host: String,
    /// Port, path and query.
    rest: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Scheme {
    Http,
    Https,
}

impl ManagedUrl {
    /// Parses a URL that an event brings.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to follow the name of its field. A link that Mimecast has put in place of another
    /// is refused: no entry blocks the link, whatever blocks the page behind it.
    pub fn parse(text: &str) -> Result<ManagedUrl, NameError> {
        let url = ManagedUrl::of_text(text)?;
        if url.is_rewritten_link() {
            let problem = "is a link rewritten by Mimecast: decode the link first, and send the URL behind it";
            return Err(NameError::Form(problem));
        }
        Ok(url)
    }

    /// Parses a URL that Mimecast lists; `None` where it cannot be read.
    pub fn of_entry(text: &str) -> Option<ManagedUrl> {
        ManagedUrl::of_text(text).ok()
    }

    /// The host, an international one in ASCII.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The scheme: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// True where this is the first page of the host of the other one, under the same scheme.
    pub fn is_of_host_of(&self, other: &ManagedUrl) -> bool {
        (self.scheme, &self.host) == (other.scheme, &other.host) && self.rest == "/"
    }

    /// True where both are the same page, be it under the other scheme.
    pub fn is_same_page(&self, other: &ManagedUrl) -> bool {
        self.host == other.host && self.rest == other.rest
    }

    fn of_text(text: &str) -> Result<ManagedUrl, NameError> {
        let text = text.trim();
        expect_prose(text)?;
        let url = Url::parse(text)
            .map_err(|_| NameError::Form("must be a whole URL such as https://example.com/page"))?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(NameError::Form("must begin with http:// or https://")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NameError::Form("must have no user name or password"));
        }
        let host = url.host().ok_or(NameError::Form("must have a host"))?;
        let host = match host {
            Host::Domain(name) => name.strip_suffix('.').unwrap_or(name).to_owned(),
            Host::Ipv4(_) | Host::Ipv6(_) => host.to_string(),
        };
        if host.split('.').any(str::is_empty) {
            return Err(NameError::Form("must have a host name, such as example.com"));
        }
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        let query = url.query().filter(|query| !query.is_empty());
        let query = query.map(|query| format!("?{}", normalized(query))).unwrap_or_default();
        let rest = format!("{port}{}{query}", normalized(url.path()));
        Ok(ManagedUrl { scheme, host, rest })
    }

    /// `https://protect-xx.mimecast.com/s/…` and `https://url.us.m.mimecastprotect.com/…`, as they were seen
    /// in messages.
    fn is_rewritten_link(&self) -> bool {
        LINK_DOMAINS.iter().any(|domain| {
            let labels = self.host.strip_suffix(domain).and_then(|labels| labels.strip_suffix('.'));
            labels.is_some_and(|labels| {
                let first = labels.split(['.', '-']).next().unwrap_or_default();
                *domain == LINK_DOMAINS[0] || matches!(first, "protect" | "url" | "protect2")
            })
        })
    }
}

impl fmt::Display for ManagedUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}{}", self.scheme(), self.host, self.rest)
    }
}

/// A path or a query with its percent-encoding in one form: unreserved characters as they are, everything that
/// no URL has encoded, and digits in upper case. What is reserved stays as it is: `%2F` is no `/`.
fn normalized(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut text = String::with_capacity(bytes.len());
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        let encoded = (byte == b'%').then(|| decoded(bytes, place)).flatten();
        let (byte, is_encoded) = encoded.map_or((byte, false), |byte| (byte, true));
        place += if is_encoded { 3 } else { 1 };
        if is_unreserved(byte) || (!is_encoded && is_reserved(byte)) {
            text.push(byte.into());
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

/// The byte that is written as `%` and two digits at this place.
fn decoded(bytes: &[u8], place: usize) -> Option<u8> {
    let digits = str::from_utf8(bytes.get(place + 1..place + 3)?).ok()?;
    // A sign would be taken for a part of the number.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

/// RFC 3986, section 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986, section 2.2.
fn is_reserved(byte: u8) -> bool {
    b":/?#[]@!$&'()*+,;=".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ManagedUrl {
        ManagedUrl::parse(text).unwrap()
    }

    #[test]
    fn every_spelling_of_a_url_is_one_url_and_no_other_is() {
        for (one, same) in [
            ("https://example.com", "https://example.com/"),
            ("https://EXAMPLE.com:443/a", "https://example.com/a"),
            ("http://example.com:80", "http://example.com/#top"),
            ("https://example.com/?", " https://example.com/ "),
            ("https://bücher.example/", "https://xn--bcher-kva.example"),
            ("https://example.com/a/../b", "https://example.com/b"),
            ("https://example.com/a/%2e%2E/b", "https://example.com/b"),
            ("https://example.com/%7Euser", "https://example.com/~user"),
            ("https://example.com/%c3%a9", "https://example.com/é"),
            ("https://example.com./a", "https://example.com/a"),
            ("https://example.com\u{3002}/a", "https://example.com/a"),
            ("https://example.com/a?b=%7e%2d", "https://example.com/a?b=~-"),
            ("https://example.com/a?b=%2f", "https://example.com/a?b=%2F"),
            ("https://example.com/a b", "https://example.com/a%20b"),
            ("https://example.com/a|b", "https://example.com/a%7Cb"),
            ("https://example.com/100%", "https://example.com/100%25"),
            ("https://0x7f.1/", "https://127.0.0.1/"),
        ] {
            assert_eq!(parse(one), parse(same));
        }
        let all = [
            "https://example.com/",
            "http://example.com/",
            "https://example.com:8443/",
            "https://www.example.com/",
            "https://example.com/a",
            "https://example.com/A",
            "https://example.com/a/",
            "https://example.com/a//",
            "https://example.com/a%2F",
            "https://example.com/a?b=c",
            "https://example.com/a?b=C",
            "https://example.com/a?b=%2B",
            "https://example.com/a?b=+",
            "https://example.com/a?b=%20",
            "https://example.com/a%3Fb=c",
            "https://example.com/%257Euser",
            "https://example.com/%7Euser",
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(all[place + 1..].iter().all(|other| parse(one) != parse(other)), "{one}");
        }
    }

    #[test]
    fn the_canonical_form_of_a_url_is_canonical() {
        for text in [
            "https://example.com/%7e%2f%%zz%+1",
            "http://[::1]:8080/a?b=c%",
            "https://ä.example/ä?ä",
        ] {
            let url = parse(text);
            assert_eq!(parse(&url.to_string()), url);
        }
    }

    #[test]
    fn only_the_scheme_may_differ_for_the_same_page() {
        let page = parse("https://example.com/a?b");
        assert!(page.is_same_page(&parse("http://example.com:80/a?b")));
        for other in
            ["http://example.com/a", "http://example.com:443/a?b", "http://www.example.com/a?b"]
        {
            assert!(!page.is_same_page(&parse(other)), "{other}");
        }
    }

    #[test]
    fn a_text_that_is_no_whole_url_is_refused() {
        for text in ["example.com", "//example.com", "https://", "ftp://example.com", "mailto:a@b"]
        {
            assert!(ManagedUrl::parse(text).is_err(), "{text}");
        }
        for (text, problem) in [
            ("https://user:secret@example.com", "must have no user name or password"),
            ("https://example.com../a", "must have a host name, such as example.com"),
            ("https://.example.com/a", "must have a host name, such as example.com"),
            ("https://example.com/\u{200b}", "has the character U+200B, which nobody sees"),
            ("https://exam\nple.com/", "has the character U+000A, a control character"),
            (
                "https://example.com/\u{fffd}",
                "has the character U+FFFD, which stands for one that was lost",
            ),
        ] {
            assert_eq!(ManagedUrl::parse(text).unwrap_err().to_string(), problem);
        }
    }

    #[test]
    fn a_link_that_mimecast_has_rewritten_is_refused() {
        for link in [
            "https://protect-eu.mimecast.com/s/AbCd?domain=example.com",
            "https://PROTECT.mimecast.com./s/AbCd",
            "https://url.us.m.mimecastprotect.com/s/AbCd?domain=example.com",
            "https://url.uk.m.mimecastprotect.com/s/AbCd",
            "https://protect-je.mimecast-offshore.com/s/AbCd",
        ] {
            let refusal = ManagedUrl::parse(link).unwrap_err().to_string();
            assert!(refusal.contains("decode the link first"), "{link}: {refusal}");
            assert!(ManagedUrl::of_entry(link).is_some(), "{link}");
        }
        for page in [
            "https://www.mimecast.com/",
            "https://notmimecastprotect.com/s/",
            "https://protect.example/",
        ] {
            assert!(ManagedUrl::parse(page).is_ok(), "{page}");
        }
    }
}
