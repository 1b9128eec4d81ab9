//! What an event asks for, read from its fields.

use super::address::{address, domain};
use super::error::EventError;
use super::event_type::EventType;
use super::field::Fields;

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

    pub(super) fn parse(event_type: EventType, data: Fields<'_>) -> Result<Data, EventError> {
        match event_type {
            EventType::UserOffboarded => offboarding(data),
            EventType::UrlUnblock => unblocking(data),
        }
    }
}

fn offboarding(data: Fields<'_>) -> Result<Data, EventError> {
    let member = match data.given(["emailAddress", "domain"]).as_slice() {
        ["emailAddress"] => Member::EmailAddress(data.required_item_as("emailAddress", address)?),
        ["domain"] => Member::Domain(data.required_item_as("domain", domain)?),
        [] => return Err(data.malformed("neither emailAddress nor domain is given")),
        _ => return Err(data.malformed("both emailAddress and domain are given")),
    };
    let groups = data.given(["groupIds", "groups"]);
    if groups.contains(&"groups") {
        let instead = "groups by name are not supported, give their ids in groupIds";
        return Err(data.unsupported("groups", instead));
    }
    let group_ids = groups.first().map(|name| data.required_items(name)).transpose()?;
    Ok(Data::UserOffboarded { member, group_ids })
}

fn unblocking(data: Fields<'_>) -> Result<Data, EventError> {
    let ids = match data.given(["id", "ids", "url"]).as_slice() {
        ["id"] => vec![data.required_item("id")?],
        ["ids"] => data.required_items("ids")?,
        ["url"] => {
            let instead = "unblocking by url is not supported, give the id of the entry";
            return Err(data.unsupported("url", instead));
        }
        _ => return Err(data.malformed("exactly one of id, ids and url must be given")),
    };
    Ok(Data::UrlUnblock { ids })
}
