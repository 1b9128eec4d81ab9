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
        // With something in place of its wildcards it must be a name.
        let sample = text.split('.').map(sample).collect::<Vec<_>>().join(".");
        let whole = if sample.contains('@') {
            EmailAddress::parse(&sample)?.to_string()
        } else {
            Domain::parse(&sample)?.to_string()
        };
        let whole = if text.contains(WILDCARDS) { with_wildcards(text)? } else { whole };
        let domain = whole.rsplit_once('@').map_or(&*whole, |(_, domain)| domain);
        let (domain, whole) = (Pattern::new(&folded(domain)), Pattern::new(&folded(&whole)));
        Ok(AddressPattern { whole, domain })
    }

    /// True where the member is meant. With a domain its addresses would leave as well, so that a pattern of an
    /// address means its domain too.
    pub fn matches(&self, member: &Member) -> bool {
        let pattern = match member {
            Member::EmailAddress(_) => &self.whole,
            Member::Domain(_) => &self.domain,
        };
        let in_unicode = member.in_unicode();
        let spellings = in_unicode.iter().map(String::as_str).chain([member.as_str()]);
        spellings.into_iter().any(|it| pattern.matches(&folded(it)))
    }
}

const WILDCARDS: [char; 2] = ['*', '?'];

/// The dots of domains (UTS 46, section 2.3).
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

/// A part of a pattern with a letter in place of its wildcards. An encoded label means nothing with that.
fn sample(part: &str) -> String {
    let is_encoded = part.get(..4).is_some_and(|begin| begin.eq_ignore_ascii_case("xn--"));
    if is_encoded && part.contains(WILDCARDS) { "a".into() } else { part.replace(WILDCARDS, "a") }
}

/// A wildcard may stand for the end of a word or not: the two small sigmas are one here.
fn folded(text: &str) -> String {
    text.replace('ς', "σ")
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
    let domain = domain.strip_suffix(DOTS).unwrap_or(domain);
    let domain = domain.split(DOTS).map(label).collect::<Vec<_>>().join(".");
    let pattern = match local {
        Some(local) => format!("{local}@{domain}"),
        None => domain,
    };
    group_name(&pattern)
}
