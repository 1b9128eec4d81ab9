//! An offboarding, and the requests that it asks for.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// As much of the event as is needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Event<'a> {
    #[serde(borrow)]
    data: Data<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(borrow)]
    email_address: Cow<'a, str>,
    #[serde(borrow)]
    group_ids: Vec<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Body<'a> {
    data: [Item<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    id: &'a str,
    email_address: &'a str,
}

/// What the vendor answers.
#[derive(Deserialize)]
pub(crate) struct Answer {
    /// Empty if it did what was asked for: the status is 200 either way.
    pub(crate) fail: Vec<serde::de::IgnoredAny>,
}

impl Event<'_> {
    pub(crate) fn parse(body: &[u8]) -> Result<Event<'_>, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// The body of one request for each group.
    pub(crate) fn bodies(&self) -> impl Iterator<Item = Result<Vec<u8>, serde_json::Error>> {
        self.data.group_ids.iter().map(|id| {
            let item = Item { id, email_address: &self.data.email_address };
            serde_json::to_vec(&Body { data: [item] })
        })
    }
}
