//! E-mail addresses in their canonical form.

use super::characters::{
    NameError, composed, expect_visible, has_lookalike, has_lost, is_typographic_quote, lower_case,
    without_hidden,
};
use super::domain::Domain;
use std::fmt;

/// An address in its canonical form: lower case, in Unicode normalization form C, with a [`Domain`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress {
    text: String,
    domain: Domain,
}

impl EmailAddress {
    /// Parses an address alone. An address of which two programs would see two mailboxes has no canonical form:
    /// Mimecast would answer "not found", and the person would keep access.
    ///
    /// # Errors
    ///
    /// What is wrong with it, to follow the name of its field.
    pub fn parse(text: &str) -> Result<EmailAddress, NameError> {
        let address = text.trim();
        let (local, domain) =
            address.rsplit_once('@').ok_or(NameError::Form("must have an @ in it"))?;
        expect_alone(address, local)?;
        expect_visible(address)?;
        if local.is_empty() || domain.is_empty() {
            return Err(NameError::Form("must have a text on both sides of its @"));
        }
        let local = canonical_local(local)?;
        let domain = Domain::parse(domain)
            .map_err(|_| NameError::Form("must end in a host name, such as example.com"))?;
        Ok(EmailAddress { text: format!("{local}@{domain}"), domain })
    }

    /// The same address with the international labels of its domain in their own script, if it has any.
    /// Mimecast does not document which of the two it keeps.
    pub fn in_unicode(&self) -> Option<String> {
        let domain = self.domain.in_unicode();
        let local = self.text.rsplit_once('@').map_or("", |(local, _)| local);
        (domain != self.domain.as_str()).then(|| format!("{local}@{domain}"))
    }

    /// Parses an address alone as Mimecast lists it: hidden characters count for nothing, and joiners are kept.
    pub(super) fn parse_listed(text: &str) -> Option<EmailAddress> {
        let address = without_hidden(text.trim());
        let (local, domain) = address.rsplit_once('@')?;
        let is_plain = |it: char| !it.is_whitespace() && !has_lost(it.encode_utf8(&mut [0; 4]));
        expect_alone(&address, local).ok()?;
        let local = Some(local).filter(|local| !local.is_empty() && local.chars().all(is_plain))?;
        let (local, domain) = (canonical_local(local).ok()?, Domain::parse_listed(domain)?);
        Some(EmailAddress { text: format!("{local}@{domain}"), domain })
    }

    /// The text that is sent and compared.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Expects one address with nothing around it.
fn expect_alone(address: &str, local: &str) -> Result<(), NameError> {
    let problem = if address.contains(['<', '>', '"', '(', ')']) {
        "must be the address alone, without a display name"
    } else if address.contains([',', ';']) || local.contains('@') {
        "must be one address"
    } else if local.contains([':', '\\', '[', ']']) {
        "must be the address alone, without a prefix such as SMTP:, and without : \\ [ ] before the @"
    } else if is_quoted(address) || local.contains(is_typographic_quote) {
        "must be the address alone, without quotation marks"
    } else if has_escape(local) {
        "must be decoded: it has a character written as % and two digits"
    } else {
        return Ok(());
    };
    Err(NameError::Form(problem))
}

fn is_quoted(address: &str) -> bool {
    let marks = ['\'', '`'];
    address.ends_with(marks) || (address.starts_with(marks) && address.contains("'@"))
}

/// True for `%2B` and the like, which the forms of web pages leave behind.
fn has_escape(local: &str) -> bool {
    local.split('%').skip(1).any(|rest| {
        rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn canonical_local(local: &str) -> Result<String, NameError> {
    let local = composed(&lower_case(&composed(local))).into_owned();
    if has_lookalike(&local) {
        let problem = "must be in plain letters: one of them merely looks like another letter";
        return Err(NameError::Form(problem));
    }
    Ok(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_one_address() {
        for (text, expected) in [
            ("ada@example.com", "ada@example.com"),
            ("  Ada.L+x@EXAMPLE.com\n", "ada.l+x@example.com"),
            ("ada@example.com.", "ada@example.com"),
            ("ada@example\u{ff0e}com\u{3002}", "ada@example.com"),
            ("o'brien+x@example.com", "o'brien+x@example.com"),
            ("'t.hooft@example.com", "'t.hooft@example.com"),
            ("a/b=c@example.com", "a/b=c@example.com"),
            ("!#$%&*+-/=?^_`{|}~@example.com", "!#$%&*+-/=?^_`{|}~@example.com"),
            ("müller@bücher.example", "müller@xn--bcher-kva.example"),
            ("MU\u{308}LLER@XN--BCHER-KVA.example", "müller@xn--bcher-kva.example"),
            ("用户@例え.example", "用户@xn--r8jz45g.example"),
            ("50%off@example.com", "50%off@example.com"),
            ("ΝΙΚΟΣ.ΠΑΠ@example.com", "νικος.παπ@example.com"),
            ("ΓΙΑΤΡΟ\u{301}Σ@example.com", "γιατρός@example.com"),
            ("น้ำ@example.com", "น้ำ@example.com"),
            ("a@b", "a@b"),
        ] {
            let address = EmailAddress::parse(text);
            assert_eq!(address.as_ref().map(EmailAddress::as_str), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn only_an_international_domain_has_a_second_spelling() {
        let spelled = |text| EmailAddress::parse(text).unwrap().in_unicode();
        assert_eq!(spelled("müller@example.com"), None);
        assert_eq!(spelled("ada@BÜCHER.example").as_deref(), Some("ada@bücher.example"));
    }

    #[test]
    fn a_text_that_is_no_address_alone_is_refused_with_the_reason() {
        let alone = "must be the address alone, without a display name";
        let prefix = "must be the address alone, without a prefix such as SMTP:, and without : \\ [ ] before the @";
        let quotes = "must be the address alone, without quotation marks";
        let host = "must end in a host name, such as example.com";
        let letters = "must be in plain letters: one of them merely looks like another letter";
        for (text, problem) in [
            ("Ada <ada@example.com>", alone),
            ("\"Ada\" ada@example.com", alone),
            ("ada@example.com (Ada)", alone),
            ("ada@example.com,bob@example.com", "must be one address"),
            ("ada@example.com;", "must be one address"),
            ("ada@bob@example.com", "must be one address"),
            ("o&#39;brien@example.com", "must be one address"),
            ("SMTP:ada@example.com", prefix),
            ("mailto:ada@example.com", prefix),
            ("CORP\\ada@example.com", prefix),
            ("[ada]@example.com", prefix),
            ("ada@[192.0.2.1]", host),
            ("ada@192.0.2.1", host),
            ("ada@exam_ple.com", host),
            ("ada@example..com", host),
            ("'ada@example.com'", quotes),
            ("'ada'@example.com", quotes),
            ("`ada@example.com`", quotes),
            ("o\u{2019}brien@example.com", quotes),
            ("o\u{2bc}brien@example.com", quotes),
            ("\u{201c}ada\u{201d}@example.com", quotes),
            (
                "ada%2Bx@example.com",
                "must be decoded: it has a character written as % and two digits",
            ),
            ("ｃeo@example.com", letters),
            ("ﬁona@example.com", letters),
            ("ada lovelace@example.com", "has the character U+0020, a space"),
            ("ada@example.com\u{0}", "has the character U+0000, a control character"),
            ("ada@example.com\u{200b}", "has the character U+200B, which nobody sees"),
            ("c\u{200b}eo@example.com", "has the character U+200B, which nobody sees"),
            ("ada", "must have an @ in it"),
            ("@example.com", "must have a text on both sides of its @"),
            ("ada@", "must have a text on both sides of its @"),
        ] {
            let refused = EmailAddress::parse(text).map_err(|error| error.to_string());
            assert_eq!(refused, Err(problem.to_owned()), "{text:?}");
        }
    }
}
