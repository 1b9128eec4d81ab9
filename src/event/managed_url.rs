//! A URL as the vendor's inventory has them: taken apart, and compared part by part.

use std::fmt;
use url::Url;

/// A URL whose entries are to be found: scheme, host, port, path and query, in one form for all that
/// mean the same. What stands behind a `#` is never sent, and the vendor keeps none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedUrl(Url);

impl ManagedUrl {
    /// Parses a URL that somebody wrote.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to stand after the name of its field.
    pub fn parse(text: &str) -> Result<ManagedUrl, &'static str> {
        let mut url = Url::parse(text.trim())
            .map_err(|_| "must be a whole URL such as https://example.com/page")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("must begin with http:// or https://");
        }
        // Nobody would find an entry for it, and think that none is needed.
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must have no user name or password");
        }
        url.set_fragment(None);
        if url.query() == Some("") {
            url.set_query(None);
        }
        Ok(ManagedUrl(url))
    }

    /// Puts together what the vendor takes apart; `None` where that is no such URL. A port of -1 is the
    /// scheme's, and a path may lack its slash (recorded replies of `get-all-managed-urls`).
    pub fn of_parts(
        scheme: &str,
        domain: &str,
        port: Option<i64>,
        path: &str,
        query: &str,
    ) -> Option<ManagedUrl> {
        let port = match port.map(u16::try_from) {
            None | Some(Ok(0) | Err(_)) => String::new(),
            Some(Ok(port)) => format!(":{port}"),
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let query = query.strip_prefix('?').unwrap_or(query);
        ManagedUrl::parse(&format!("{scheme}://{domain}{port}{slash}{path}?{query}")).ok()
    }
}

impl fmt::Display for ManagedUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ManagedUrl {
        ManagedUrl::parse(text).unwrap()
    }

    #[test]
    fn what_means_the_same_is_the_same_and_nothing_else() {
        for (one, same) in [
            ("https://example.com", "https://example.com/"),
            ("https://EXAMPLE.com:443/a", "https://example.com/a"),
            ("http://example.com:80", "http://example.com/#top"),
            ("https://example.com/?", " https://example.com/ "),
            ("https://bücher.example/", "https://xn--bcher-kva.example"),
            ("https://example.com/a/../b", "https://example.com/b"),
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
            "https://example.com/a?b=c",
            "https://example.com/a?b=C",
        ];
        for (place, one) in all.iter().enumerate() {
            assert!(all[place + 1..].iter().all(|other| parse(one) != parse(other)), "{one}");
        }
    }

    #[test]
    fn what_the_vendor_takes_apart_is_put_together_again() {
        let of = ManagedUrl::of_parts;
        let page = Some(parse("https://example.com/a?b=c"));
        assert_eq!(of("https", "example.com", Some(-1), "/a", "b=c"), page);
        assert_eq!(of("https", "example.com", None, "a", "?b=c"), page);
        assert_eq!(of("https", "example.com", Some(443), "/a", "b=c"), page);
        assert_eq!(of("http", "EXAMPLE.com", Some(0), "", ""), Some(parse("http://example.com")));
        let other = of("http", "example.com", Some(8080), "/", "");
        assert_eq!(other, Some(parse("http://example.com:8080")));
        assert_eq!(of("", "", None, "", ""), None);
    }

    #[test]
    fn what_is_no_whole_url_is_refused() {
        for text in ["example.com", "//example.com", "https://", "ftp://example.com", "mailto:a@b"]
        {
            assert!(ManagedUrl::parse(text).is_err(), "{text}");
        }
        let refusal = ManagedUrl::parse("https://user:secret@example.com").unwrap_err();
        assert_eq!(refusal, "must have no user name or password");
    }
}
