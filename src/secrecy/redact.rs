//! Makes text fit to be shown: e-mail addresses are hidden, lines stay short and single.

use sha1::{Digest, Sha1};
use std::borrow::Cow;

/// How much of a text is looked at, in bytes: a line shows the beginning of it, and somebody else has written it.
const MOST_SEARCHED: usize = 8 * 1024;

/// What an at sign that is written out begins with: `%40`, `&#64;`, `\\u0040`, or another character that looks like it.
const BEGINNINGS: [char; 6] = ['%', '&', '\\', '\u{ff20}', '\u{fe6b}', '\u{e0040}'];

/// `text` on one line of at most `max` bytes, without its e-mail addresses: whose they are is for who has
/// the key of the [pseudonyms](super::Pseudonyms) to say.
pub fn line(text: &str, max: usize) -> String {
    hidden(text, max, |_| "[address]".into())
}

/// `text` on one line of at most `max` bytes, with something else for each of its e-mail addresses, however their at
/// signs are written. A word that is too long to be looked at whole counts as an address.
pub(super) fn hidden(text: &str, max: usize, instead: impl Fn(&str) -> String) -> String {
    let searched = &text[..text.floor_char_boundary(MOST_SEARCHED)];
    let is_cut = searched.len() < text.len();
    let plain = with_plain_signs(searched);
    let mut line = String::with_capacity(plain.len().min(max));
    let mut tokens = plain.split_inclusive(is_boundary).peekable();
    while line.len() < max
        && let Some(token) = tokens.next()
    {
        let (word, boundary) = match token.char_indices().next_back() {
            Some((end, last)) if is_boundary(last) => (&token[..end], Some(last)),
            Some(_) | None => (token, None),
        };
        let may_go_on = is_cut && boundary.is_none() && tokens.peek().is_none();
        // The sign alone is nobody's address: our own words speak of it.
        if (word.contains('@') && word != "@") || may_go_on {
            line.push_str(&instead(word));
        } else {
            line.push_str(word);
        }
        line.extend(boundary.map(|boundary| if boundary.is_control() { ' ' } else { boundary }));
    }
    line.truncate(line.floor_char_boundary(max));
    line
}

/// The SHA-1 of `text`, in hexadecimal.
pub fn digest(text: &str) -> String {
    digits(&Sha1::digest(text.as_bytes()))
}

/// What names a message that has no id: the first twelve hexadecimal digits of the SHA-1 of its body.
pub fn digest_of_body(body: &[u8]) -> String {
    format!("sha1:{}", digits(&Sha1::digest(body)[..6]))
}

/// In hexadecimal.
pub(super) fn digits(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 0xF)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Returns the text with an `@` for each at sign that is written in another way.
fn with_plain_signs(text: &str) -> Cow<'_, str> {
    if !text.contains(BEGINNINGS) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find(BEGINNINGS) {
        plain.push_str(&rest[..place]);
        let mut characters = rest[place..].chars();
        let beginning = characters.next();
        rest = characters.as_str();
        match beginning.and_then(|beginning| after_sign(beginning, rest)) {
            Some(behind) => {
                plain.push('@');
                rest = behind;
            }
            None => plain.extend(beginning),
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Returns what follows an at sign that is written as `beginning` and the first characters of `rest`: as in a URL
/// (also encoded several times), as a character reference of HTML, as an escape of JSON and of most languages, or as
/// a character of another width.
fn after_sign(beginning: char, rest: &str) -> Option<&str> {
    match beginning {
        '%' => {
            let code = rest.trim_start_matches("25");
            code.strip_prefix("40").or_else(|| code.strip_prefix("u0040"))
        }
        '&' => {
            let reference = rest.trim_start_matches("amp;");
            let behind = match reference.strip_prefix('#') {
                Some(number) => match number.strip_prefix(['x', 'X']) {
                    Some(number) => number.trim_start_matches('0').strip_prefix("40")?,
                    None => number.trim_start_matches('0').strip_prefix("64")?,
                },
                None => reference.strip_prefix("commat")?,
            };
            Some(behind.strip_prefix(';').unwrap_or(behind))
        }
        '\\' => {
            let code = rest.strip_prefix(['u', 'U', 'x'])?;
            let code = code.strip_prefix('{').unwrap_or(code);
            let behind = code.trim_start_matches('0').strip_prefix("40")?;
            Some(behind.strip_prefix('}').unwrap_or(behind))
        }
        _ => Some(rest),
    }
}

fn is_boundary(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character, '"' | '\'' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}')
        || matches!(character, ',' | ';' | ':' | '=' | '/' | '|')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_hidden_wherever_it_stands_and_however_it_is_written() {
        for text in ["ada@example.com", "mailto:Ada@Example.com", "user=<ADA@example.com>,"] {
            let line = line(text, 100);
            assert!(line.contains("[address]") && !line.contains('@'), "{line}");
        }
        for text in ["no address", "emailAddress must have an @ in it"] {
            assert_eq!(line(text, 100), text);
        }
    }

    #[test]
    fn whatever_parts_words_parts_an_address_from_them() {
        for boundary in " \t\u{1b}\"'<>()[]{},;:=/|".chars() {
            let shown = if boundary.is_control() { ' ' } else { boundary };
            assert_eq!(
                line(&format!("x{boundary}Ada@example.com{boundary}y"), 100),
                format!("x{shown}[address]{shown}y")
            );
        }
    }

    #[test]
    fn an_address_has_one_name_however_its_sign_is_written() {
        for sign in [
            "@",
            "%40",
            "%2540",
            "%25252540",
            "%u0040",
            "&#64;",
            "&#064;",
            "&#x40;",
            "&#X0040;",
            "&commat;",
            "&amp;#64;",
            "&amp;amp;commat;",
            "\\u0040",
            "\\U00000040",
            "\\\\u0040",
            "\\x40",
            "\\u{40}",
            "\u{ff20}",
            "\u{fe6b}",
            "\u{e0040}",
        ] {
            let named =
                hidden(&format!("leaver:ada{sign}example.com,1"), 100, |it| format!("<{it}>"));
            assert!(
                ["leaver:<ada@example.com>,1", "leaver:<ada\\@example.com>,1"].contains(&&*named),
                "{sign}: {named}"
            );
        }
    }

    #[test]
    fn what_only_begins_like_a_sign_stays_as_it_is() {
        for text in [
            "100% of 40",
            "a&b",
            "%41%4",
            "&#65;",
            "\\u0041\\n",
            "R&D 50%",
            "%",
            "&",
            "\\",
            "%25",
            "&amp;",
        ] {
            assert_eq!(line(text, 100), text);
        }
    }

    #[test]
    fn a_long_text_is_cut_before_it_is_searched_and_a_word_across_the_cut_is_hidden() {
        let looked_at = std::cell::Cell::new(0);
        for long in ["@ ", "x@ ", "x@", "%2540", "%25", "&amp;", "\u{ff20}", "x", "x "] {
            looked_at.set(0);
            let shown = hidden(&long.repeat(250_000 / long.len()), usize::MAX, |word| {
                looked_at.set(looked_at.get() + word.len());
                "?".into()
            });
            assert!(shown.len() <= MOST_SEARCHED, "{long}");
            assert!(looked_at.get() <= MOST_SEARCHED, "{long}");
        }
        let cut = format!("{} ada.lovelace@example.com", "x".repeat(MOST_SEARCHED - 4));
        assert!(!line(&cut, usize::MAX).contains("ada"));
        let whole = format!("{} y", "x".repeat(MOST_SEARCHED - 2));
        assert_eq!(line(&whole, usize::MAX), whole);
    }

    #[test]
    fn control_characters_cannot_forge_a_second_line() {
        assert_eq!(line("one\r\ntwo\u{1b}[31m", 100), "one  two [31m");
    }

    proptest! {
        #[test]
        fn a_line_is_short_and_single_and_shows_no_address(text in ".*", max in 0_usize..64) {
            let line = line(&text, max);
            prop_assert!(line.len() <= max);
            prop_assert!(!line.contains(['\n', '\r']));
            let words = line.split(is_boundary);
            prop_assert!(words.into_iter().all(|word| word == "@" || !word.contains('@')));
        }
    }
}
