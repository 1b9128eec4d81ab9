//! Takes the steering characters out of text: those that move the cursor of a terminal, change its colors, or turn
//! the direction of writing, so that text of a stranger's looks like something else.

use std::borrow::Cow;
use std::fmt::Write;

/// True for a character that steers what shows it: the control characters (C0, DEL and C1), the marks, embeddings,
/// overrides and isolates of the bidirectional algorithm (UAX 9), and the separators of lines and paragraphs.
pub fn steers(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns a JSON text that means the same and has an escape for each steering character. Control characters of ASCII
/// stay but for DEL: JSON has them between its values only.
pub fn escaped(json: &str) -> Cow<'_, str> {
    let is_escaped = |it: char| steers(it) && (!it.is_ascii() || it == '\u{7f}');
    if !json.contains(is_escaped) {
        return Cow::Borrowed(json);
    }
    let mut escaped = String::with_capacity(json.len() + 64);
    for character in json.chars() {
        match is_escaped(character) {
            true => write!(escaped, "\\u{:04x}", u32::from(character)).expect("memory takes text"),
            false => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// Returns a text of several lines with U+FFFD for each steering character.
pub fn replaced(text: String) -> String {
    let is_replaced = |it: char| steers(it) && it != '\n' && it != '\t';
    if text.contains(is_replaced) { text.replace(is_replaced, "\u{fffd}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_steers_is_escaped_in_json_and_means_the_same() {
        let value = json!({"a\u{9b}\u{202e}": ["\u{7f}\u{80}\u{9f}\u{2028}\u{2066}\u{61c}", "äö€🎉", "\u{1b}\n", "\\u0080"]});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let escaped = escaped(&text);
            assert!(!escaped.contains(|it| steers(it) && it != '\n'), "{escaped}");
            assert!(
                escaped.contains("äö€🎉")
                    && escaped.contains(r"\u007f\u0080\u009f\u2028\u2066\u061c")
            );
            assert_eq!(serde_json::from_str::<Value>(&escaped).unwrap(), value);
        }
        assert!(matches!(escaped(r#"{"a":"äö"}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn a_page_keeps_its_lines_and_loses_what_steers() {
        assert_eq!(
            replaced("a\n\tb\u{9b}2J\u{1b}[m\u{202e}c\r".into()),
            "a\n\tb\u{fffd}2J\u{fffd}[m\u{fffd}c\u{fffd}"
        );
    }
}
