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

/// Returns the text in lower case. Greek has two small letters for one capital, of which the second one ends a word:
/// here each stands where it belongs, however it was written.
pub fn lower_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let lower: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let is_letter = |place: Option<usize>| {
        place.and_then(|place| lower.get(place)).is_some_and(|it| it.is_alphabetic())
    };
    let sigma = |(place, letter): (usize, &char)| match letter {
        'σ' | 'ς' if is_letter(place.checked_sub(1)) && !is_letter(Some(place + 1)) => 'ς',
        'σ' | 'ς' => 'σ',
        other => *other,
    };
    lower.iter().enumerate().map(sigma).collect()
}

/// True where the text has a character that merely looks like one of ASCII, such as a full-width letter: NFKC makes
/// that one of it (the rule "HasCompat" of RFC 8264, section 9.17, as far as it is about ASCII).
pub fn has_lookalike(text: &str) -> bool {
    let looks_like_ascii = |character: char| {
        let plain = character.encode_utf8(&mut [0; 4]).to_owned();
        let plain = ComposingNormalizerBorrowed::new_nfkc().normalize(&plain).into_owned();
        !character.is_ascii() && plain.bytes().any(|byte| byte.is_ascii())
    };
    !text.is_ascii() && text.chars().any(looks_like_ascii)
}

/// Returns the text without the characters that are drawn as nothing. The joiners stay: they tell names apart in some
/// scripts.
pub fn without_hidden(text: &str) -> String {
    let is_joiner = |it: char| matches!(it, '\u{200c}' | '\u{200d}');
    let is_format = |it: char| flaw(it) == Some(INVISIBLE);
    text.chars().filter(|it| is_joiner(*it) || !(is_format(*it) || is_blank(*it))).collect()
}

/// Returns the text as a reader compares it at a glance: in plain lower-case letters, without white space and hidden
/// characters.
pub(super) fn at_a_glance(text: &str) -> String {
    let visible = without_hidden(text).replace(char::is_whitespace, "");
    lower_case(&ComposingNormalizerBorrowed::new_nfkc().normalize(&visible))
}

/// True where a character of the text was lost, or means nothing.
pub(super) fn has_lost(text: &str) -> bool {
    text.chars().any(|it| flaw(it).is_some_and(|flaw| flaw != INVISIBLE))
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
        None if is_blank(character) => Some(INVISIBLE),
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

/// True for the quotation marks of typesetters and what looks like them, which word processors put in place of `'`
/// and `"`.
pub(super) fn is_typographic_quote(character: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(character);
    matches!(character, '\u{2b9}' | '\u{2bc}' | '\u{2032}' | '\u{2033}')
        || matches!(
            category,
            GeneralCategory::InitialPunctuation | GeneralCategory::FinalPunctuation
        )
}

/// True for a character that is drawn as nothing or as a gap.
fn is_blank(character: char) -> bool {
    matches!(character, '\u{2800}' | '\u{13441}' | '\u{13442}' | '\u{16fe4}' | '\u{1d159}')
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
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
            ("ceo\u{2800}", "has the character U+2800, which nobody sees"),
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
    fn every_way_to_write_a_greek_name_is_one() {
        for text in ["ΝΙΚΟΣ.ΠΑΠΑΣ2", "νικος.παπας2", "νικοσ.παπασ2", "ΝΙΚΟς.παπαΣ2"]
        {
            assert_eq!(lower_case(text), "νικος.παπας2", "{text}");
        }
        assert_eq!(lower_case("ΣΟΦΙΑ ς"), "σοφια σ");
        assert_eq!(lower_case("MÜLLER"), "müller");
    }

    #[test]
    fn only_what_looks_like_ascii_is_a_lookalike() {
        for text in ["ｃeo", "ﬁona", "ⓐda", "𝐚da", "ada…"] {
            assert!(has_lookalike(text), "{text}");
        }
        for text in ["ada", "müller", "น้ำ", "用户", "νικος"] {
            assert!(!has_lookalike(text), "{text}");
        }
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
