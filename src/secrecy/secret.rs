//! Text that must never be shown.

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

    /// `text` without any of `secrets`, for text that comes from elsewhere.
    pub fn hide_all(secrets: &[Secret], text: String) -> String {
        let mut secrets: Vec<&str> = secrets.iter().map(Secret::reveal).collect();
        // The longest first: where one secret begins another, the rest of that must not stay.
        secrets.sort_by_key(|secret| Reverse(secret.len()));
        secrets.into_iter().filter(|secret| !secret.is_empty()).fold(text, |text, secret| {
            if text.contains(secret) { text.replace(secret, "[secret]") } else { text }
        })
    }
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
}
