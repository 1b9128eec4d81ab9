//! What an event asks for, read from its fields.

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
    let member = match (data.optional_item("emailAddress")?, data.optional_item("domain")?) {
        (Some(address), None) => Member::EmailAddress(address),
        (None, Some(domain)) => Member::Domain(domain),
        (Some(_), Some(_)) => {
            return Err(data.malformed("both emailAddress and domain are given"));
        }
        (None, None) => return Err(data.malformed("neither emailAddress nor domain is given")),
    };
    if data.present("groups").is_some() {
        let instead = "groups by name are not supported, give their ids in groupIds";
        return Err(data.unsupported("groups", instead));
    }
    Ok(Data::UserOffboarded { member, group_ids: data.optional_texts("groupIds")? })
}

fn unblocking(data: Fields<'_>) -> Result<Data, EventError> {
    let is_given = |name: &&str| data.present(name).is_some();
    if ["id", "ids", "url"].iter().filter(|name| is_given(name)).count() != 1 {
        return Err(data.malformed("exactly one of id, ids and url must be given"));
    }
    if data.present("url").is_some() {
        let instead = "unblocking by url is not supported, give the id of the entry";
        return Err(data.unsupported("url", instead));
    }
    let ids = match data.optional_item("id")? {
        Some(id) => vec![id],
        None => data.optional_texts("ids")?.unwrap_or_default(),
    };
    Ok(Data::UrlUnblock { ids })
}
