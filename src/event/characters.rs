//! The characters that a name may have, and the one normal form in which names are compared.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::borrow::Cow;

/// Why a text is not the name that it stands for, to follow the name of its field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text has another form than such a name has.
    #[error("{0}")]
    Form(&'static str),
    /// One character has no place in such a name.
    #[error("has the character U+{code:04X}, {what}", code = u32::from(*.0), what = .1)]
    Character(char, &'static str),
}

/// Returns the text in Unicode normalization form C (UAX 15), in which `é` is one character.
pub(super) fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(text)
}

/// True where the text has no character that merely looks like another one, such as a full-width letter: its
/// forms NFC and NFKC are the same (the rule "HasCompat" of RFC 8264, section 9.17).
pub(super) fn has_no_lookalike(composed: &str) -> bool {
    composed.is_ascii() || ComposingNormalizerBorrowed::new_nfkc().is_normalized(composed)
}

/// Returns what a reader sees of a text: without hidden characters, and with plain letters for those that merely
/// look like them.
pub(super) fn visible(text: &str) -> String {
    let seen: String =
        text.chars().filter(|it| expect_visible(it.encode_utf8(&mut [0; 4])).is_ok()).collect();
    ComposingNormalizerBorrowed::new_nfkc().normalize(&seen).into_owned()
}

/// Expects a name in one word. Characters that nobody sees are refused: the sender believes in one name, and
/// Mimecast would search for another.
///
/// # Errors
///
/// [`NameError::Character`] for the first character that has no place in it.
pub(super) fn expect_visible(text: &str) -> Result<(), NameError> {
    expect(text, |character| match flaw(character) {
        None if character.is_whitespace() => Some("a space"),
        None if CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character) => {
            Some(INVISIBLE)
        }
        flaw => flaw,
    })
}

/// Expects a name of several words, such as people give to groups. An emoji of several people needs the
/// joiner between them.
///
/// # Errors
///
/// [`NameError::Character`] for the first character that has no place in it.
pub(super) fn expect_prose(text: &str) -> Result<(), NameError> {
    expect(text, |character| {
        let is_joiner = matches!(character, '\u{200c}' | '\u{200d}');
        flaw(character).filter(|_| !is_joiner)
    })
}

/// True for the quotation marks of typesetters, which word processors put in place of `'` and `"`.
pub(super) fn is_typographic_quote(character: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    matches!(category, GeneralCategory::InitialPunctuation | GeneralCategory::FinalPunctuation)
}

const INVISIBLE: &str = "which nobody sees";

fn expect(text: &str, flaw: impl Fn(char) -> Option<&'static str>) -> Result<(), NameError> {
    // Most names are of these, which need no table.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    let found = text.chars().find_map(|it| flaw(it).map(|what| NameError::Character(it, what)));
    found.map_or(Ok(()), Err)
}

/// What is wrong with a character wherever it stands.
fn flaw(character: char) -> Option<&'static str> {
    if character == char::REPLACEMENT_CHARACTER {
        return Some("which stands for one that was lost");
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    let is_one_of = |categories: &[GeneralCategory]| categories.contains(&category);
    if is_one_of(&[
        GeneralCategory::Control,
        GeneralCategory::LineSeparator,
        GeneralCategory::ParagraphSeparator,
    ]) {
        return Some("a control character");
    }
    if is_one_of(&[GeneralCategory::PrivateUse, GeneralCategory::Unassigned]) {
        return Some("which means nothing in Unicode");
    }
    is_one_of(&[GeneralCategory::Format]).then_some(INVISIBLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_that_nobody_sees_or_knows_is_named() {
        for (text, expected) in [
            ("ada\u{200b}", "has the character U+200B, which nobody sees"),
            ("\u{feff}ada", "has the character U+FEFF, which nobody sees"),
            ("c\u{ad}eo", "has the character U+00AD, which nobody sees"),
            ("c\u{fe0f}eo", "has the character U+FE0F, which nobody sees"),
            ("c\u{3164}eo", "has the character U+3164, which nobody sees"),
            ("c\u{e0041}eo", "has the character U+E0041, which nobody sees"),
            ("ada\u{fffd}", "has the character U+FFFD, which stands for one that was lost"),
            ("ada\u{e000}", "has the character U+E000, which means nothing in Unicode"),
            ("ada\u{378}", "has the character U+0378, which means nothing in Unicode"),
            ("ada\u{0}", "has the character U+0000, a control character"),
            ("ada\u{2028}", "has the character U+2028, a control character"),
            ("ada lovelace", "has the character U+0020, a space"),
            ("ada\u{3000}", "has the character U+3000, a space"),
        ] {
            assert_eq!(expect_visible(text).unwrap_err().to_string(), expected);
        }
        assert_eq!(expect_visible("müller用户.+-_'"), Ok(()));
    }

    #[test]
    fn a_name_of_several_words_has_spaces_and_emoji_and_nothing_hidden() {
        for text in ["All staff", "Ärzte – 2", "👩\u{200d}💻 Team ❤\u{fe0f}"] {
            assert_eq!(expect_prose(text), Ok(()), "{text}");
        }
        for text in ["All\u{200b}staff", "All\u{202e}staff", "All\nstaff", "All\u{fffd}staff"] {
            assert!(expect_prose(text).is_err(), "{text:?}");
        }
    }
}
