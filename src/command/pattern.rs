//! Patterns with `*` for anything and `?` for one character.

use crate::event::{
    Domain, EmailAddress, Member, NameError, group_name, has_lookalike, lower_case,
};
use wildmatch::WildMatch;

/// A pattern of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(WildMatch);

/// A pattern of addresses, or of domains if it has no `@`. It is compared with canonical forms, whose case and
/// international labels are the same however they are written.
#[derive(Clone, Debug, PartialEq)]
pub struct AddressPattern {
    /// With international labels in ASCII, and in their own script: a label with a wildcard has one form alone.
    spellings: [Spelling; 2],
}

#[derive(Clone, Debug, PartialEq)]
struct Spelling {
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
        let (local, domain) = match text.rsplit_once('@') {
            Some((local, domain)) => (Some(local), domain),
            None => (None, text),
        };
        let domain = domain.strip_suffix(DOTS).unwrap_or(domain);
        let labels: Vec<Label> = domain.split(DOTS).map(Label::parse).collect::<Result<_, _>>()?;
        let local = local.map(local_part).transpose()?;
        let spelling = |form: fn(&Label) -> &str| {
            let domain = labels.iter().map(form).collect::<Vec<_>>().join(".");
            let whole = match &local {
                Some(local) => format!("{local}@{domain}"),
                None => domain.clone(),
            };
            Spelling {
                whole: Pattern::new(&folded(&whole)),
                domain: Pattern::new(&folded(&domain)),
            }
        };
        Ok(AddressPattern { spellings: [spelling(|it| &it.ascii), spelling(|it| &it.in_unicode)] })
    }

    /// True where the member is meant. With a domain its addresses would leave as well, so that a pattern of an
    /// address means its domain too.
    pub fn matches(&self, member: &Member) -> bool {
        let in_unicode = member.in_unicode();
        let forms = [member.as_str(), in_unicode.as_deref().unwrap_or(member.as_str())];
        self.spellings.iter().zip(forms).any(|(spelling, form)| {
            let pattern = match member {
                Member::EmailAddress(_) => &spelling.whole,
                Member::Domain(_) => &spelling.domain,
            };
            pattern.matches(&folded(form))
        })
    }
}

const WILDCARDS: [char; 2] = ['*', '?'];

/// The dots of domains (UTS 46, section 2.3).
const DOTS: [char; 4] = ['.', '\u{3002}', '\u{ff0e}', '\u{ff61}'];

const BEHIND: &str = ".example";

/// A label of a domain in both of its forms. One with a wildcard is no label, and stays as it is written.
struct Label {
    ascii: String,
    in_unicode: String,
}

impl Label {
    fn parse(text: &str) -> Result<Label, NameError> {
        if !text.contains(WILDCARDS) {
            let wrong =
                NameError::Form("must be an address or a domain, with * and ? for any part");
            // Behind another label, since digits alone are no domain and can be a part of one.
            let domain = Domain::parse_listed(&format!("{text}{BEHIND}")).ok_or(wrong)?;
            let label = |domain: &str| domain.strip_suffix(BEHIND).unwrap_or(domain).to_owned();
            let (ascii, in_unicode) = (label(domain.as_str()), label(&domain.in_unicode()));
            return Ok(Label { ascii, in_unicode });
        }
        let is_foreign = |it: char| {
            it.is_ascii() && !it.is_ascii_alphanumeric() && it != '-' && !WILDCARDS.contains(&it)
        };
        if text.contains(is_foreign) || has_lookalike(text) {
            return Err(NameError::Form("must have plain letters beside * and ? in a domain"));
        }
        let label = group_name(&text.to_lowercase())?;
        Ok(Label { ascii: label.clone(), in_unicode: label })
    }
}

/// The part before the `@` in its canonical form.
fn local_part(text: &str) -> Result<String, NameError> {
    // Without its wildcards it must be the beginning of an address, if anything is left of it.
    let rest = text.replace(WILDCARDS, "");
    let sample = if rest.is_empty() { "a" } else { &rest };
    EmailAddress::parse(&format!("{sample}@example.com"))?;
    group_name(&lower_case(text))
}

/// A wildcard may stand for the end of a word or not: the two small sigmas are one here.
fn folded(text: &str) -> String {
    text.replace('ς', "σ")
}
