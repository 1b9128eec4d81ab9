//! Patterns with `*` for anything and `?` for one character.

use crate::event::{Domain, EmailAddress, Member, NameError, group_name};
use wildmatch::WildMatch;

/// A pattern of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(WildMatch);

/// A pattern of addresses, or of domains if it has no `@`. It is compared with canonical forms, whose case and
/// international labels are the same however they are written.
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
    /// Parses a pattern. Without wildcards it is an address or a domain.
    ///
    /// # Errors
    ///
    /// What is wrong with a pattern that could match nothing: it would protect nobody.
    pub fn parse(text: &str) -> Result<AddressPattern, NameError> {
        let text = text.trim();
        let whole = if text.contains(['*', '?']) {
            with_wildcards(text)?
        } else if text.contains('@') {
            EmailAddress::parse(text)?.to_string()
        } else {
            Domain::parse(text)?.to_string()
        };
        let domain = whole.rsplit_once('@').map_or(&*whole, |(_, domain)| domain);
        Ok(AddressPattern { domain: Pattern::new(domain), whole: Pattern::new(&whole) })
    }

    /// True where the member is meant. With a domain its addresses would leave as well, so that a pattern of an
    /// address means its domain too.
    pub fn matches(&self, member: &Member) -> bool {
        let pattern = match member {
            Member::EmailAddress(_) => &self.whole,
            Member::Domain(_) => &self.domain,
        };
        let in_unicode = member.in_unicode();
        pattern.matches(member.as_str()) || in_unicode.is_some_and(|it| pattern.matches(&it))
    }
}

/// A pattern with wildcards in canonical form, as far as it has one: a label of a domain that has a wildcard is
/// left in its own script.
fn with_wildcards(text: &str) -> Result<String, NameError> {
    let lower = text.to_lowercase();
    let (local, domain) = match lower.rsplit_once('@') {
        Some((local, domain)) => (Some(local), domain),
        None => (None, &*lower),
    };
    let label = |label: &str| match Domain::parse(label) {
        Ok(canonical) => canonical.to_string(),
        Err(_) => label.to_owned(),
    };
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let domain = domain.split('.').map(label).collect::<Vec<_>>().join(".");
    let pattern = match local {
        Some(local) => format!("{local}@{domain}"),
        None => domain,
    };
    group_name(&pattern)
}
