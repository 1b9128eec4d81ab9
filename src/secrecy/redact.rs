//! Makes text fit to be shown: e-mail addresses are hidden, lines stay short and single.

use sha1::{Digest, Sha1};

/// `text` on one line of at most `max` bytes, without its e-mail addresses: whose they are is for who has
/// the key of the [pseudonyms](super::Pseudonyms) to say.
pub fn line(text: &str, max: usize) -> String {
    hidden(text, max, |_| "[address]".into())
}

/// `text` on one line of at most `max` bytes, with something else for each of its e-mail addresses.
pub(super) fn hidden(text: &str, max: usize, instead: impl Fn(&str) -> String) -> String {
    let mut line = String::with_capacity(text.len().min(max));
    for token in text.split_inclusive(is_boundary) {
        let (word, boundary) = match token.char_indices().next_back() {
            Some((end, last)) if is_boundary(last) => (&token[..end], Some(last)),
            Some(_) | None => (token, None),
        };
        // The sign alone is nobody's address: our own words speak of it.
        if word.contains('@') && word != "@" {
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
