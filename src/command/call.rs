//! The unsigned HTTP form of a command or a question.

use super::operation::Operation;
use serde_json::{Value, json};

/// Which page of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page<'a> {
    /// Entries of one page at most.
    pub size: u64,
    /// The token of the page; the first page has none.
    pub token: Option<&'a str>,
}

impl Page<'_> {
    /// The largest page that is asked for: as many entries as Mimecast is known to give at once.
    pub const LARGEST: u64 = 500;
    /// The smallest page that is asked for.
    pub const SMALLEST: u64 = 10;
    /// The first page, as large as can be.
    pub const FIRST: Page<'static> = Page { size: Page::LARGEST, token: None };
}

/// The HTTP form of a command or a question: a POST of `body` to the operation's path, not yet signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which operation it is.
    pub operation: Operation,
    /// Strict JSON with at most one item in `data`, because a reply to several could be half a success.
    pub body: String,
    /// The id of the group that it is about, if it is about one.
    pub group: Option<String>,
}

impl Call {
    /// The call that lists groups: those that Mimecast finds by `query`, or all of them. Its search is none for
    /// equality (recorded: it finds what contains the text).
    pub fn find_groups(query: Option<&str>, page: Page<'_>) -> Call {
        let item = query.map_or_else(|| json!({}), |query| json!({"query": query}));
        Call::list(Operation::FindGroups, json!([item]), page)
    }

    /// The call that lists the members of a group.
    pub fn get_group_members(group_id: &str, page: Page<'_>) -> Call {
        let call = Call::list(Operation::GetGroupMembers, json!([{"id": group_id}]), page);
        Call { group: Some(group_id.to_owned()), ..call }
    }

    /// The call that lists all managed URL entries: Mimecast's filter is known to leave out some, so that
    /// none is asked for (reported by users of its API).
    pub fn get_all_managed_urls(page: Page<'_>) -> Call {
        Call::list(Operation::GetAllManagedUrls, json!([]), page)
    }

    fn list(operation: Operation, data: Value, page: Page<'_>) -> Call {
        let pagination = match page.token {
            Some(token) => json!({"pageSize": page.size, "pageToken": token}),
            None => json!({"pageSize": page.size}),
        };
        let body = json!({"meta": {"pagination": pagination}, "data": data}).to_string();
        Call { operation, body, group: None }
    }
}
