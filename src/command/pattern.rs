//! Patterns with `*` for anything and `?` for one character.

use wildmatch::WildMatch;

/// A pattern of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(WildMatch);

/// A pattern of addresses, or of domains if it has no `@`. Case and the form of international domains
/// make no difference.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressPattern {
    whole: Pattern,
    domain: Pattern,
}

impl Pattern {
    /// A pattern that is written so.
    pub fn new(text: &str) -> Pattern {
        Pattern(WildMatch::new(text))
    }

    /// Whether all of `text` is as the pattern says.
    pub fn matches(&self, text: &str) -> bool {
        self.0.matches(text)
    }
}

impl AddressPattern {
    /// A pattern that is written so.
    pub fn new(text: &str) -> AddressPattern {
        let whole = normal(text);
        let domain = whole.rsplit_once('@').map_or(&*whole, |(_, domain)| domain);
        AddressPattern { domain: Pattern::new(domain), whole: Pattern::new(&whole) }
    }

    /// Whether it stands for the address.
    pub fn matches_address(&self, address: &str) -> bool {
        self.whole.matches(&normal(address))
    }

    /// Whether it stands for the domain, or for addresses in it.
    pub fn matches_domain(&self, domain: &str) -> bool {
        self.domain.matches(&normal(domain))
    }
}

/// One form for all ways to write an address or a domain.
fn normal(text: &str) -> String {
    let text = text.trim().to_lowercase();
    match text.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", ascii(domain)),
        None => ascii(&text),
    }
}

/// Label by label, since one with a `*` in it is no label of a domain.
fn ascii(domain: &str) -> String {
    let label = |label: &str| match idna::domain_to_ascii(label) {
        Ok(ascii) => ascii,
        Err(_) => label.to_owned(),
    };
    let labels: Vec<String> = domain.trim_end_matches('.').split('.').map(label).collect();
    labels.join(".")
}
