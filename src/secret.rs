//! Text that must never be shown.

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
        secrets.iter().filter(|secret| !secret.0.is_empty()).fold(text, |text, secret| {
            if text.contains(&secret.0) { text.replace(&secret.0, "[secret]") } else { text }
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}
