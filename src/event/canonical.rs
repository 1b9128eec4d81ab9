//! The canonical form of a text that may be any of the names that events are about.

use super::domain::Domain;
use super::email_address::EmailAddress;
use super::managed_url::ManagedUrl;

/// Returns the canonical form of an address, a URL or a domain, whichever the text is, by which the audit trail and
/// pseudonyms name it; any other text in lower case without the space around it.
pub fn canonical(text: &str) -> String {
    let address = || EmailAddress::parse(text).ok().map(|address| address.to_string());
    let url = || ManagedUrl::of_entry(text).map(|url| url.to_string());
    let domain = || Domain::parse(text).ok().map(|domain| domain.to_string());
    let name = address().or_else(url).or_else(domain);
    name.unwrap_or_else(|| text.trim().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_person_types_is_compared_in_its_canonical_form() {
        for (text, expected) in [
            (" ADA@Example.com. ", "ada@example.com"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("HTTPS://example.com/%7eA", "https://example.com/~A"),
            (" Something Else ", "something else"),
        ] {
            assert_eq!(canonical(text), expected);
        }
    }
}
