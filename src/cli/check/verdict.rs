//! One line of the check.

use crate::cli::terminal::{self, coloured};
use serde_json::{Value, json};

/// How grave a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Gravity {
    /// As it should be.
    Ok,
    /// It works, or will; somebody should know.
    Warning,
    /// The daemon would not do its work.
    Failure,
}

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The settings.
    Settings,
    /// The files that they come from.
    Files,
    /// The broker.
    Broker,
    /// The vendor.
    Vendor,
}

/// One line of the check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How grave it is.
    pub gravity: Gravity,
    /// What was looked at.
    pub group: Group,
    /// What of it.
    pub subject: String,
    /// What was found.
    pub reason: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Verdict {
    /// That something is so, with what to do after the last semicolon of `text`, if there is one.
    pub(super) fn new(
        gravity: Gravity,
        (group, subject): (Group, &str),
        text: impl Into<String>,
    ) -> Verdict {
        let (text, subject) = (text.into(), subject.to_owned());
        let (reason, hint) = match text.rsplit_once("; ") {
            Some((reason, hint)) => (reason.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        Verdict { gravity, group, subject, reason, hint }
    }

    /// The line for people.
    pub fn line(&self) -> String {
        let style = match self.gravity {
            Gravity::Ok => terminal::GOOD,
            Gravity::Warning => terminal::WARNING,
            Gravity::Failure => terminal::BAD,
        };
        let gravity = coloured(style, &format!("{:<8}", self.gravity.label()));
        let hint = self.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("{gravity} {:<8} {}: {}{hint}", self.group.label(), self.subject, self.reason)
    }

    /// The object for programs.
    pub fn json(&self) -> Value {
        json!({
            "verdict": self.gravity.label(),
            "group": self.group.label(),
            "subject": self.subject,
            "reason": self.reason,
            "hint": self.hint,
        })
    }
}

impl Gravity {
    fn label(self) -> &'static str {
        match self {
            Gravity::Ok => "ok",
            Gravity::Warning => "warning",
            Gravity::Failure => "failure",
        }
    }
}

impl Group {
    fn label(self) -> &'static str {
        match self {
            Group::Settings => "settings",
            Group::Files => "files",
            Group::Broker => "broker",
            Group::Vendor => "vendor",
        }
    }
}
