//! The tenant that the calls change: its groups and its managed URLs.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use serde_json::{Value, json};

use crate::entry::Entry;
use crate::generation::Generation;
use crate::page::{self, Page};
use crate::reply::{Problem, Reply};

/// The outcome of one call.
pub(crate) struct Outcome {
    pub(crate) reply: Reply,
    pub(crate) applied: bool,
}

#[derive(Default)]
pub(crate) struct Tenant {
    /// Members as they are listed, by their names in lower case: the comparison ignores case.
    groups: BTreeMap<String, BTreeMap<String, String>>,
    /// The names of groups that are not called by their ids.
    names: BTreeMap<String, String>,
    /// Each by the id that it was added with.
    urls: BTreeMap<String, Entry>,
    /// From further ids to the one in `urls`, for URLs that exist.
    url_aliases: BTreeMap<String, String>,
}

impl Tenant {
    pub(crate) fn add_group(&mut self, group: &str) {
        self.groups.entry(group.to_owned()).or_default();
    }

    pub(crate) fn name_group(&mut self, group: &str, name: &str) {
        self.add_group(group);
        self.names.insert(group.to_owned(), name.to_owned());
    }

    pub(crate) fn remove_group(&mut self, group: &str) {
        self.groups.remove(group);
        self.names.remove(group);
    }

    pub(crate) fn add_member(&mut self, group: &str, member: &str) {
        let members = self.groups.entry(group.to_owned()).or_default();
        members.insert(member.to_lowercase(), member.to_owned());
    }

    pub(crate) fn is_member(&self, group: &str, member: &str) -> bool {
        self.groups.get(group).is_some_and(|members| members.contains_key(&member.to_lowercase()))
    }

    /// The members of each group in lower case.
    pub(crate) fn groups(&self) -> BTreeMap<&String, BTreeSet<&String>> {
        self.groups.iter().map(|(group, members)| (group, members.keys().collect())).collect()
    }

    pub(crate) fn add_url(&mut self, id: &str) {
        if !self.has_url(id) {
            // Not even the name of a real host: nobody asks for it.
            let url = format!("https://{}.example/", id.to_lowercase());
            self.add_entry(id, Entry::new(&url, "block", "explicit"));
        }
    }

    pub(crate) fn add_entry(&mut self, id: &str, entry: Entry) {
        self.urls.insert(id.to_owned(), entry);
    }

    /// The caller has made sure that `other_id` names nothing yet.
    pub(crate) fn add_url_alias(&mut self, id: &str, other_id: &str) {
        self.add_url(id);
        let first = self.first_id(id).to_owned();
        self.url_aliases.insert(other_id.to_owned(), first);
    }

    pub(crate) fn has_url(&self, id: &str) -> bool {
        self.urls.contains_key(self.first_id(id))
    }

    pub(crate) fn urls(&self) -> impl Iterator<Item = &String> {
        self.urls.keys()
    }

    /// Finds what contains the text, as a search does. What is listed has no order that means anything.
    pub(crate) fn find_groups(&self, item: &Value, page: &page::Asked) -> Outcome {
        let query = item.get("query").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        let name = |id: &String| self.names.get(id).unwrap_or(id).clone();
        let is_found = |id: &&String| name(id).to_lowercase().contains(&query);
        let found: Vec<&String> = self.groups.keys().filter(is_found).collect();
        let folder = |id: &&String| {
            json!({
                "id": id, "description": name(id), "source": "cloud", "parentId": "root",
                "userCount": self.groups[*id].len(), "folderCount": 0,
            })
        };
        listed(
            page.of(found.len(), found.iter(), folder),
            |folders| json!([{ "source": "cloud", "query": query, "folders": folders }]),
        )
    }

    pub(crate) fn get_group_members(
        &self,
        generation: Generation,
        item: &Value,
        page: &page::Asked,
    ) -> Outcome {
        let Some(members) = self.groups.get(text(item, "id")) else {
            return refused(no_such_group(generation, item));
        };
        let member = |member: &String| match member.split_once('@') {
            Some((name, domain)) => json!({
                "name": name, "emailAddress": member, "domain": domain, "internal": true,
                "type": "created_manually",
            }),
            None => json!({
                "name": member, "emailAddress": "", "domain": member, "internal": true,
                "type": "created_manually",
            }),
        };
        listed(
            page.of(members.len(), members.values(), member),
            |members| json!([{ "groupMembers": members }]),
        )
    }

    /// Each under the id that was given to it last: the vendor may tell another one at each reading.
    pub(crate) fn get_all_managed_urls(&self, page: &page::Asked) -> Outcome {
        let told: BTreeMap<&String, &String> =
            self.url_aliases.iter().map(|(alias, first)| (first, alias)).collect();
        let shown = |(id, entry): (&String, &Entry)| entry.shown(told.get(id).unwrap_or(&id));
        listed(page.of(self.urls.len(), self.urls.iter(), shown), Value::from)
    }

    pub(crate) fn remove_group_member(&mut self, generation: Generation, item: &Value) -> Outcome {
        let group = text(item, "id");
        let address = item.get("emailAddress").and_then(Value::as_str);
        if let Some(address) = address
            && !address.rsplit_once('@').is_some_and(|(_, domain)| domain.contains('.'))
        {
            return refused(Reply::fail(
                200,
                Some(item),
                Problem::new("err_validation_invalid_email_address", "Invalid email address")
                    .in_field("emailAddress"),
            ));
        }
        let member = address.unwrap_or_else(|| text(item, "domain")).to_lowercase();
        let Some(members) = self.groups.get_mut(group) else {
            return refused(no_such_group(generation, item));
        };
        if members.remove(&member).is_none() {
            return refused(Reply::fail(
                200,
                Some(item),
                Problem::new("err_folder_email_address_not_found", "Error email address not found"),
            ));
        }
        let mut gone = json!({
            "id": BASE64_URL.encode(format!("{group}/{member}")),
            "folderId": group,
            "internal": true,
        });
        if let Some(address) = address {
            gone["emailAddress"] = json!(address);
        }
        applied(Reply::done(&json!([gone])))
    }

    pub(crate) fn delete_managed_url(&mut self, item: &Value) -> Outcome {
        let id = self.first_id(text(item, "id")).to_owned();
        if self.urls.remove(&id).is_some() {
            self.url_aliases.retain(|_, first| *first != id);
            applied(Reply::done(&json!([])))
        } else {
            // Unlike a group's failure, this one was recorded without a `key`.
            refused(Reply::fail(
                200,
                None,
                Problem::new("err_managed_url_not_found", "Managed URL not found"),
            ))
        }
    }

    fn first_id<'a>(&'a self, id: &'a str) -> &'a str {
        self.url_aliases.get(id).map_or(id, String::as_str)
    }
}

/// Nothing here says that a member is gone.
fn no_such_group(generation: Generation, item: &Value) -> Reply {
    match generation {
        // Nobody has recorded what API 1.0 says.
        Generation::One => Reply::fail(
            200,
            Some(item),
            Problem::new("err_folder_not_found", "Error folder not found"),
        ),
        // Seen with the id of a group that had lost its end. An id that is whole and unknown is
        // taken to be answered alike.
        Generation::Two => Reply::empty(400),
    }
}

fn listed(page: Option<Page>, data: impl FnOnce(Vec<Value>) -> Value) -> Outcome {
    refused(match page {
        Some(Page { entries, pagination }) => Reply::page(&data(entries), &pagination),
        None => Reply::fail(
            200,
            None,
            Problem::new("err_validation_page_token", "Invalid page token").in_field("pageToken"),
        ),
    })
}

fn applied(reply: Reply) -> Outcome {
    Outcome { reply, applied: true }
}

fn refused(reply: Reply) -> Outcome {
    Outcome { reply, applied: false }
}

fn text<'a>(item: &'a Value, field: &str) -> &'a str {
    item.get(field)
        .and_then(Value::as_str)
        .expect("the protocol check let only items with text fields through")
}
