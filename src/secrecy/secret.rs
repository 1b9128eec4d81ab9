//! Text that must never be shown.

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD, URL_SAFE};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::cmp::Reverse;
use std::fmt;

/// A secret: it has no `Display`, and its `Debug` shows that there is one, not what it is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from sight.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself, for the one place that has to send it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` without any of `secrets`, for text that comes from elsewhere: neither as they are nor in
    /// the forms in which they were sent, in case they are echoed.
    pub fn hide_all(secrets: &[Secret], text: String) -> String {
        let mut forms: Vec<String> = secrets.iter().flat_map(Secret::forms).collect();
        // The longest first: where one secret begins another, the rest of that must not stay.
        forms.sort_by_key(|form| Reverse(form.len()));
        forms.into_iter().filter(|form| !form.is_empty()).fold(text, |text, form| {
            if text.contains(&form) { text.replace(&form, "[secret]") } else { text }
        })
    }

    /// The secret as it is, percent-encoded as forms are, and what is sure to stand in any text in
    /// base64 that holds it.
    fn forms(&self) -> Vec<String> {
        let encoded = percent_encode(self.0.as_bytes(), FORM);
        let mut forms =
            vec![self.0.clone(), encoded.to_string(), encoded.to_string().to_lowercase()];
        for engine in [STANDARD, URL_SAFE] {
            for before in 0..3 {
                forms.push(inside_of_base64(&engine, before, self.0.as_bytes()));
            }
        }
        forms
    }
}

/// What a form encodes: all but letters, digits and these (URL Standard, "application/x-www-form-urlencoded").
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

/// Shorter pieces of base64 stand in innocent words too.
const SHORTEST: usize = 8;

/// The characters that `secret` alone decides when it stands after so many bytes, modulo three, in a
/// text that is encoded as a whole; nothing when they are few.
fn inside_of_base64(engine: &GeneralPurpose, before: usize, secret: &[u8]) -> String {
    let text = [&vec![0; before], secret].concat();
    let (first, end) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
    let encoded = engine.encode(&text);
    encoded.get(first..end).filter(|inside| inside.len() >= SHORTEST).unwrap_or_default().to_owned()
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shows_that_it_is_there_and_not_what_it_is() {
        let secret = Secret::new("canary");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(secret.reveal(), "canary");
    }

    #[test]
    fn an_empty_secret_hides_nothing() {
        let hide = [Secret::default(), Secret::new("canary")];
        assert_eq!(Secret::hide_all(&hide, "a canary sings".into()), "a [secret] sings");
    }

    #[test]
    fn a_secret_is_found_in_the_forms_in_which_it_was_sent() {
        let hide = [Secret::new("canary/+ of=gold")];
        for echo in
            ["canary%2F%2B of%3Dgold".replace(' ', "%20"), "canary%2f%2b%20of%3dgold".into()]
        {
            assert_eq!(Secret::hide_all(&hide, format!("secret={echo}&x")), "secret=[secret]&x");
        }
        for before in ["", "x", "id", "id:", "client"] {
            for engine in [STANDARD, URL_SAFE] {
                let echo = engine.encode(format!("{before}canary/+ of=gold and more"));
                let shown = Secret::hide_all(&hide, format!("Basic {echo}"));
                assert!(shown.contains("[secret]") && shown.len() < 40, "{shown}");
            }
        }
    }

    #[test]
    fn a_short_secret_leaves_innocent_words_alone() {
        let hide = [Secret::new("abc")];
        assert_eq!(Secret::hide_all(&hide, "YWJj is no word".into()), "YWJj is no word");
    }
}
