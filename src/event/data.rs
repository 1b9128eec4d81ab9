//! What an event asks for, read from its fields.

use super::error::EventError;
use super::event_type::EventType;
use super::field::{malformed, optional_item, optional_texts, present};
use serde_json::{Map, Value};

/// Who leaves the groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Member {
    /// One user, by address.
    EmailAddress(String),
    /// A whole domain.
    Domain(String),
}

/// What the event asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// `user.offboarded`.
    UserOffboarded {
        /// Who leaves.
        member: Member,
        /// The ids of the groups; `None` means the configured default groups.
        group_ids: Option<Vec<String>>,
    },
    /// `url.unblock`.
    UrlUnblock {
        /// The ids of the managed URL entries.
        ids: Vec<String>,
    },
}

impl Data {
    /// The type of the event that asked for this.
    pub fn event_type(&self) -> EventType {
        match self {
            Data::UserOffboarded { .. } => EventType::UserOffboarded,
            Data::UrlUnblock { .. } => EventType::UrlUnblock,
        }
    }

    pub(super) fn parse(
        event_type: EventType,
        data: &Map<String, Value>,
    ) -> Result<Data, EventError> {
        match event_type {
            EventType::UserOffboarded => offboarding(data),
            EventType::UrlUnblock => unblocking(data),
        }
    }
}

fn offboarding(data: &Map<String, Value>) -> Result<Data, EventError> {
    let member = match (optional_item(data, "emailAddress")?, optional_item(data, "domain")?) {
        (Some(address), None) => Member::EmailAddress(address),
        (None, Some(domain)) => Member::Domain(domain),
        (Some(_), Some(_)) => return Err(malformed("both emailAddress and domain are given")),
        (None, None) => return Err(malformed("neither emailAddress nor domain is given")),
    };
    if present(data, "groups").is_some() {
        return Err(EventError::Unsupported(
            "groups by name are not supported, give their ids in groupIds".into(),
        ));
    }
    Ok(Data::UserOffboarded { member, group_ids: optional_texts(data, "groupIds")? })
}

fn unblocking(data: &Map<String, Value>) -> Result<Data, EventError> {
    let given =
        ["id", "ids", "url"].into_iter().filter(|name| present(data, name).is_some()).count();
    if given != 1 {
        return Err(malformed("exactly one of id, ids and url must be given"));
    }
    if present(data, "url").is_some() {
        return Err(EventError::Unsupported(
            "unblocking by url is not supported, give the id of the entry".into(),
        ));
    }
    let ids = match optional_item(data, "id")? {
        Some(id) => vec![id],
        None => optional_texts(data, "ids")?.unwrap_or_default(),
    };
    Ok(Data::UrlUnblock { ids })
}
