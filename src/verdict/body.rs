//! The parts of a reply's body that say how the call went.

use super::json_size::fits;
use serde::Deserialize;
use serde_json::Value;

/// Bytes of a text of Mimecast that are searched for secrets, at most; a tenth of it is shown.
const LONGEST_TEXT: usize = 8 << 10;

/// The parts of a reply's body that say how the call went. What it has for data is passed over; `null` is as
/// good as nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Body {
    meta: Option<Value>,
    pub fail: Option<Value>,
    pub errors: Option<Value>,
    pub error: Option<Value>,
    pub error_description: Option<Value>,
    code: Option<Value>,
    message: Option<Value>,
    field: Option<Value>,
    retryable: Option<Value>,
    title: Option<Value>,
    detail: Option<Value>,
}

impl Body {
    /// Reads a body that is one JSON object in which each of these parts stands at most once: of two of them
    /// nobody knows which one counts. Anything else says nothing, nor does what would take too much room.
    pub(super) fn read(body: &[u8]) -> Body {
        // The parts of a list would be taken in their order.
        if !body.trim_ascii_start().starts_with(b"{") || !fits(body) {
            return Body::default();
        }
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// What stands in it for the status of the function that was called.
    pub(super) fn function_status(&self) -> Option<&Value> {
        self.meta.as_ref()?.get("status")
    }

    /// What a document without any error of Mimecast's shapes says: `title` and `detail` of a problem document (RFC
    /// 7807), or the `message` of a gateway. It proves nothing, and tells people where to look.
    pub(super) fn words(&self) -> String {
        let parts = [&self.title, &self.detail, &self.message].into_iter().flatten();
        let words: Vec<&str> =
            parts.filter_map(Value::as_str).map(cut).filter(|it| !it.is_empty()).collect();
        words.join(": ")
    }

    /// The part of this name, of those that an error can have.
    pub(super) fn of_error(&self, name: &str) -> Option<&Value> {
        let part = match name {
            "code" => &self.code,
            "error" => &self.error,
            "error_description" => &self.error_description,
            "message" => &self.message,
            "field" => &self.field,
            "retryable" => &self.retryable,
            _ => &None,
        };
        part.as_ref()
    }
}

/// The words of `text` that are wholly in its beginning: the rest would not be shown, and a part of a secret would not be
/// recognized.
pub(super) fn cut(text: &str) -> &str {
    if text.len() <= LONGEST_TEXT {
        return text;
    }
    let begin = &text[..text.floor_char_boundary(LONGEST_TEXT)];
    begin.rfind(char::is_whitespace).map_or("", |end| &begin[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_ends_with_a_whole_word() {
        let word = "x".repeat(LONGEST_TEXT - 4);
        assert_eq!(cut(&format!("{word} abc")), format!("{word} abc"));
        assert_eq!(cut(&format!("{word} abcd")), word);
        assert_eq!(cut(&"x".repeat(LONGEST_TEXT)).len(), LONGEST_TEXT);
        assert_eq!(cut(&"é".repeat(LONGEST_TEXT)), "");
    }

    #[test]
    fn what_is_no_object_or_has_a_part_twice_says_nothing() {
        for body in [
            "",
            "null",
            "text",
            r#"[{"status":200},[]]"#,
            r#" [null, []]"#,
            r#"{"fail":[{"code":"err_x"}],"fail":[]}"#,
            r#"{"fail":[]} {}"#,
            r#"{"fail":[]"#,
        ] {
            assert!(Body::read(body.as_bytes()).fail.is_none(), "{body}");
        }
        let body =
            Body::read(b"\n{\"data\":[{}],\"data\":1,\"meta\":{\"status\":207},\"fail\":[]}");
        assert_eq!(body.fail, Some(Value::Array(Vec::new())));
        assert_eq!(body.function_status(), Some(&207.into()));
    }
}
