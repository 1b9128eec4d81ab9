//! The unsigned HTTP form of a command or a question.

use super::operation::Operation;
use serde_json::{Value, json};

/// Entries of one page that are asked for: as many as the vendor is known to give at once.
const PAGE: u64 = 500;

/// The HTTP form of a command or a question: a POST of `body` to the operation's path, not yet signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which operation it is.
    pub operation: Operation,
    /// Strict JSON with at most one item in `data`, because a reply to several could be half a success.
    pub body: String,
}

impl Call {
    /// The call that asks for groups whose names have something in common with `name`. The vendor's
    /// search is none for equality (recorded: it finds what contains the text).
    pub fn find_groups(name: &str, page: Option<&str>) -> Call {
        Call::page(Operation::FindGroups, json!([{"query": name}]), page)
    }

    /// The call that asks for the members of a group.
    pub fn get_group_members(group_id: &str, page: Option<&str>) -> Call {
        Call::page(Operation::GetGroupMembers, json!([{"id": group_id}]), page)
    }

    /// The call that asks for all managed URL entries: the vendor's filter is known to leave out some,
    /// so that none is asked for (reported by users of its API).
    pub fn get_all_managed_urls(page: Option<&str>) -> Call {
        Call::page(Operation::GetAllManagedUrls, json!([]), page)
    }

    fn page(operation: Operation, data: Value, page: Option<&str>) -> Call {
        let pagination = match page {
            Some(token) => json!({"pageSize": PAGE, "pageToken": token}),
            None => json!({"pageSize": PAGE}),
        };
        let body = json!({"meta": {"pagination": pagination}, "data": data}).to_string();
        Call { operation, body }
    }
}
