//! Domains in their canonical form.

use super::characters::{NameError, composed, expect_visible, without_hidden};
use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use std::fmt;

/// A domain in its canonical form: a host name in lower-case ASCII, international labels as `xn--…` (UTS 46,
/// with the rules of STD 3), without the dot of the root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Domain {
    /// Parses a domain as people write it, with space around it and one dot at its end at most.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to follow the name of its field.
    pub fn parse(text: &str) -> Result<Domain, NameError> {
        let domain = text.trim();
        if domain.contains(['@', '/', ':', ',', ';', '<', '>', '"', '*']) {
            return Err(NameError::Form("must be a domain alone, such as example.com"));
        }
        expect_visible(domain)?;
        Domain::of_host(&composed(domain))
            .ok_or(NameError::Form("must be a host name, such as example.com"))
    }

    /// The domain with international labels in their own script. Mimecast does not document which of the two
    /// it keeps.
    pub fn in_unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }

    /// Parses a domain as Mimecast lists it, or as a setting has it: hidden characters count for nothing, and of the
    /// joiners UTS 46 decides.
    pub fn parse_listed(text: &str) -> Option<Domain> {
        Domain::of_host(&composed(&without_hidden(text.trim())))
    }

    /// The text that is sent and compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn of_host(host: &str) -> Option<Domain> {
        let (deny, hyphens) = (AsciiDenyList::STD3, Hyphens::CheckFirstLast);
        let length = DnsLength::VerifyAllowRootDot;
        let ascii = Uts46::new().to_ascii(host.as_bytes(), deny, hyphens, length).ok()?;
        let ascii = ascii.strip_suffix('.').unwrap_or(&ascii);
        // A name that ends in a number is an address of IPv4 (WHATWG URL, "ends in a number").
        let last = ascii.rsplit('.').next().filter(|label| !label.is_empty())?;
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        (!is_number).then(|| Domain(ascii.to_owned()))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_domain_is_one_domain() {
        for (text, expected) in [
            ("example.com", "example.com"),
            (" EXAMPLE.com.\n", "example.com"),
            ("example.com\u{3002}", "example.com"),
            ("example\u{ff0e}com\u{ff61}", "example.com"),
            ("ｅxample.com", "example.com"),
            ("Bücher.example", "xn--bcher-kva.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("straße.example", "xn--strae-oqa.example"),
            ("r3---sn.example", "r3---sn.example"),
            ("localhost", "localhost"),
        ] {
            let domain = Domain::parse(text);
            assert_eq!(domain.as_ref().map(Domain::as_str), Ok(expected), "{text:?}");
        }
        assert_eq!(Domain::parse("xn--bcher-kva.example").unwrap().in_unicode(), "bücher.example");
    }

    #[test]
    fn a_text_that_is_no_host_name_is_no_domain() {
        let long = "a".repeat(64);
        for text in [
            "@example.com",
            "https://example.com",
            "example.com,example.org",
            "*.com",
            "",
            ".",
            ".example.com",
            "example..com",
            "example.com..",
            "exam_ple.com",
            "example.com'",
            "-example.com",
            "example-.com",
            "xn--a",
            "192.0.2.1",
            "[192.0.2.1]",
            "exa\u{ad}mple.com",
            "example .com",
            "example.com\u{200b}",
            long.as_str(),
        ] {
            assert!(Domain::parse(text).is_err(), "{text:?}");
        }
    }
}
