//! What the fake remembers of each request.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The endpoints that the fake serves.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// `POST /api/directory/remove-group-member`
    RemoveGroupMember,
    /// `POST /api/ttp/url/delete-managed-url`
    DeleteManagedUrl,
    /// `POST /api/directory/find-groups`
    FindGroups,
    /// `POST /api/directory/get-group-members`
    GetGroupMembers,
    /// `POST /api/ttp/url/get-all-managed-urls`
    GetAllManagedUrls,
    /// `POST /oauth/token`
    Token,
}

impl Operation {
    const ALL: [Self; 6] = [
        Self::RemoveGroupMember,
        Self::DeleteManagedUrl,
        Self::FindGroups,
        Self::GetGroupMembers,
        Self::GetAllManagedUrls,
        Self::Token,
    ];

    /// Whether it is meant to change the tenant.
    pub fn is_change(self) -> bool {
        match self {
            Self::RemoveGroupMember | Self::DeleteManagedUrl => true,
            Self::FindGroups | Self::GetGroupMembers | Self::GetAllManagedUrls | Self::Token => {
                false
            }
        }
    }

    /// The path that this operation is served at.
    pub fn path(self) -> &'static str {
        match self {
            Self::RemoveGroupMember => "/api/directory/remove-group-member",
            Self::DeleteManagedUrl => "/api/ttp/url/delete-managed-url",
            Self::FindGroups => "/api/directory/find-groups",
            Self::GetGroupMembers => "/api/directory/get-group-members",
            Self::GetAllManagedUrls => "/api/ttp/url/get-all-managed-urls",
            Self::Token => "/oauth/token",
        }
    }

    pub(crate) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.path() == path)
    }
}

/// How a request asked to be let in.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorizationKind {
    /// `MC accessKey:signature`, the way of API 1.0.
    Signature,
    /// `Bearer token`, the way of API 2.0.
    Bearer,
    /// No `Authorization`, or one of neither kind.
    None,
}

/// One request to an operation or to the token endpoint.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Call {
    /// The endpoint that was called.
    pub operation: Operation,
    /// The one item of `data`; null where there was none, and always for the token endpoint.
    pub item: Value,
    /// The header `x-mc-req-id`, or `x-request-id`.
    pub request_id: Option<String>,
    /// How the request asked to be let in.
    pub authorization_kind: AuthorizationKind,
    /// The header `x-mc-date`.
    pub date: Option<String>,
    /// The HTTP status of the reply; none if no reply was sent (yet).
    pub status: Option<u16>,
    /// The vendor's code in the reply, if it held one.
    pub code: Option<String>,
    /// Whether the call changed the tenant or, at the token endpoint, issued a token.
    pub applied: bool,
    /// When the request had arrived.
    pub at: SystemTime,
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, item, status, code, applied, .. } = self;
        write!(
            formatter,
            "{operation:?} {item} -> status {status:?}, code {code:?}, applied {applied}"
        )
    }
}
