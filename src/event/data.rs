//! What an event asks for, read from its fields.

use super::address::{address, domain};
use super::error::EventError;
use super::event_type::EventType;
use super::field::{Fields, MOST_ENTRIES};
use super::managed_url::ManagedUrl;

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
        /// The groups; `None` means the configured default groups.
        groups: Option<Vec<Group>>,
    },
    /// `url.unblock`.
    UrlUnblock {
        /// The managed URL entries.
        entries: Entries,
    },
}

/// A group, by what the event calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Group {
    /// By its id.
    Id(String),
    /// By its name, which stands at this place of `groups`.
    Name(String, usize),
}

/// Entries of managed URLs, by what the event calls them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entries {
    /// By their ids.
    Ids(Vec<String>),
    /// All that block this URL.
    Url(ManagedUrl),
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
    let member = match data.given(["emailAddress", "domain"]) {
        [true, false] => Member::EmailAddress(data.required_item_as("emailAddress", address)?),
        [false, true] => Member::Domain(data.required_item_as("domain", domain)?),
        [false, false] => return Err(data.malformed("neither emailAddress nor domain is given")),
        [true, true] => return Err(data.malformed("both emailAddress and domain are given")),
    };
    let [by_id, by_name] = data.given(["groupIds", "groups"]);
    let mut groups = Vec::new();
    if by_id {
        let ids = data.required_items("groupIds")?;
        groups.extend(ids.into_iter().map(|id| Group::Id(id.to_owned())));
    }
    if by_name {
        let names = data.required_items("groups")?;
        let group = |(name, place): (&str, usize)| Group::Name(name.to_owned(), place);
        groups.extend(names.into_iter().zip(0..).map(group));
    }
    if groups.len() > MOST_ENTRIES {
        let detail = format!("groupIds and groups have more than {MOST_ENTRIES} entries together");
        return Err(data.malformed(&detail));
    }
    Ok(Data::UserOffboarded { member, groups: Some(groups).filter(|groups| !groups.is_empty()) })
}

fn unblocking(data: Fields<'_>) -> Result<Data, EventError> {
    let owned = |ids: Vec<&str>| ids.into_iter().map(str::to_owned).collect();
    let entries = match data.given(["id", "ids", "url"]) {
        [true, false, false] => Entries::Ids(vec![data.required_item("id")?.to_owned()]),
        [false, true, false] => Entries::Ids(owned(data.required_items("ids")?)),
        [false, false, true] => Entries::Url(data.required_url("url")?),
        _ => return Err(data.malformed("exactly one of id, ids and url must be given")),
    };
    Ok(Data::UrlUnblock { entries })
}
