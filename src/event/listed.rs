//! Whether Mimecast lists a member under some text.

use super::characters::{at_a_glance, has_lost, is_typographic_quote};
use super::data::Member;
use super::domain::Domain;
use super::email_address::EmailAddress;

/// What a text that Mimecast lists has to do with a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// It is another member.
    Another,
    /// It is this very member, in this spelling or another: case, normal form, hidden characters, and the script of an
    /// international domain make no difference.
    Same,
    /// It is no plain name, and may mean this member: nobody else must be removed by it, and the member is not gone.
    Unclear,
}

impl Member {
    /// What a text that Mimecast lists has to do with this member.
    pub fn listed_as(&self, text: &str) -> Listed {
        let is_same = |text: &str| match self {
            Member::EmailAddress(address) => {
                EmailAddress::parse_listed(text).map(|it| it == *address)
            }
            Member::Domain(domain) => {
                let text = text.trim().trim_start_matches('@');
                Domain::parse_listed(text).map(|it| it == *domain)
            }
        };
        match is_same(text) {
            Some(true) => Listed::Same,
            // A domain is no address, and an address no domain.
            Some(false) => Listed::Another,
            None if self.is_mentioned(text, is_same) => Listed::Unclear,
            None => Listed::Another,
        }
    }

    /// Whether a text that is no plain name has this member in it, or reads like it at a glance.
    fn is_mentioned(&self, text: &str, is_same: impl Fn(&str) -> Option<bool>) -> bool {
        let text = unescaped(text);
        let is_quote = |it: char| matches!(it, '\'' | '`' | '"' | '.');
        let words = text.split(is_delimiter).map(|word| word.trim_matches(is_quote));
        if words.into_iter().any(|word| is_same(word) == Some(true)) {
            return true;
        }
        let letters = |text: &str| -> String {
            let is_letter = |it: &char| it.is_alphanumeric() && !is_typographic_quote(*it);
            at_a_glance(text).chars().filter(is_letter).collect()
        };
        let in_unicode = self.in_unicode();
        let mut spellings = in_unicode.iter().map(String::as_str).chain([self.as_str()]);
        !has_lost(&text) && spellings.any(|spelling| letters(spelling) == letters(&text))
    }
}

/// The text without what other programs put in place of some characters.
fn unescaped(text: &str) -> String {
    let entities = ["&quot;", "&apos;", "&#39;", "&#x27;", "&lt;", "&gt;", "&amp;"];
    let text = entities.iter().fold(text.to_owned(), |text, entity| text.replace(entity, " "));
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// What stands between an address and that which does not belong to it.
fn is_delimiter(character: char) -> bool {
    character.is_whitespace()
        || matches!(character, ',' | ';' | ':' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}')
        || matches!(character, '"' | '/' | '\\' | '|' | '?' | '=' | '&')
        || matches!(character, '\u{ab}' | '\u{bb}' | '\u{2018}'..='\u{201f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Member {
        Member::EmailAddress(EmailAddress::parse(text).unwrap())
    }

    fn domain(text: &str) -> Member {
        Member::Domain(Domain::parse(text).unwrap())
    }

    #[test]
    fn every_spelling_of_a_name_is_the_same_member() {
        for (member, listed) in [
            (address("ada@example.com"), " ADA@Example.com. "),
            (address("ada@example.com"), "a\u{ad}da\u{2800}@example\u{200b}.com"),
            (address("müller@bücher.example"), "MU\u{308}LLER@xn--bcher-kva.example"),
            (address("müller@bücher.example"), "müller@BÜCHER.example"),
            (address("νικος@example.com"), "ΝΙΚΟΣ@example.com"),
            (address("ada@xn--mgba3gch31f060k.example"), "Ada@نامه\u{200c}ای.example"),
            (domain("old.example"), "@OLD.example."),
            (domain("bücher.example"), "bu\u{308}cher.example"),
        ] {
            assert_eq!(member.listed_as(listed), Listed::Same, "{listed:?}");
        }
    }

    #[test]
    fn somebody_else_is_another_member_however_near_the_name_is() {
        for (member, listed) in [
            (address("ada@example.com"), "bada@example.com"),
            (address("ada@example.com"), "SMTP:bada@example.com"),
            (address("ada@example.com"), "ada@example.com.evil.example"),
            (address("ada@example.com"), "Bob <bob@example.com>"),
            (address("ada@example.com"), "example.com"),
            (address("mller@example.com"), "m\u{fffd}ller@example.com"),
            (address("ren@example.com"), "ren\u{82}@example.com"),
            (address("mina@example.com"), "mi\u{200c}na@example.com"),
            (address("ada@نامهای.example"), "ada@نامه\u{200c}ای.example"),
            (address("ada@example.com"), ""),
            (domain("example.com"), "ada@example.com"),
            (domain("bcher.example"), "b\u{fffd}cher.example"),
            (domain("example.com"), "www.example.com"),
        ] {
            assert_eq!(member.listed_as(listed), Listed::Another, "{listed:?}");
        }
    }

    #[test]
    fn a_text_that_is_no_plain_name_and_has_the_member_in_it_is_unclear() {
        for listed in [
            "SMTP:o'brien@example.com",
            "x500:o'brien@example.com",
            "CORP\\o'brien@example.com",
            "O. Brien <o'brien@example.com>",
            "Ada <ada@example.com>, O. Brien <o'brien@example.com>",
            "o'brien@example.com (O. Brien)",
            "[o'brien@example.com]",
            "o'brien@example.com; bob@example.com",
            "'o'brien@example.com'",
            "\"o'brien\"@example.com",
            "\u{201c}o'brien\u{201d}@example.com",
            "o\u{2019}brien@example.com",
            "o\u{2bc}brien@example.com",
            "o&#39;brien@example.com",
            "o%27brien@example.com",
            "mailto:o'brien@example.com?subject=x",
            "o 'brien@example.com",
        ] {
            assert_eq!(
                address("o'brien@example.com").listed_as(listed),
                Listed::Unclear,
                "{listed:?}"
            );
        }
        assert_eq!(domain("old.example").listed_as("https://old.example/"), Listed::Unclear);
    }
}
