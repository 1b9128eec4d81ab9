//! Mimecast's ids of groups and of managed URL entries.

use super::characters::NameError;

/// Returns an id of a group or of a managed URL entry in its canonical form: visible ASCII without white space.
/// Mimecast documents no alphabet, so that nothing more is refused.
///
/// # Errors
///
/// What is wrong with it, to follow the name of its field.
pub fn secure_id(text: &str) -> Result<String, NameError> {
    let id = text.trim();
    match id.chars().find(|character| !character.is_ascii_graphic()) {
        None if id.is_empty() => Err(NameError::Form("is blank")),
        None => Ok(id.to_owned()),
        Some(character) => Err(NameError::Character(character, "which no id has")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_trimmed_and_is_visible_ascii() {
        assert_eq!(secure_id(" \u{a0}wOi3MCwjU1-_=\n"), Ok("wOi3MCwjU1-_=".to_owned()));
        for (text, expected) in [
            ("wOi3 MCwjU1", "has the character U+0020, which no id has"),
            ("wOi3\nMCwjU1", "has the character U+000A, which no id has"),
            ("wOi3MCwjU1\u{200b}", "has the character U+200B, which no id has"),
            ("wОi3", "has the character U+041E, which no id has"),
            (" ", "is blank"),
        ] {
            assert_eq!(secure_id(text).unwrap_err().to_string(), expected);
        }
    }
}
