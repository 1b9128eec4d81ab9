//! One page of a list, read from the body of a reply.

use crate::command::Operation;
use crate::verdict::json_fits;
use serde_json::{Map, Value};

/// Bytes of an id, and of the token of a page: those of Mimecast have some hundred.
const LONGEST_ID: usize = 1024;

/// One page as Mimecast gives it.
pub(super) struct ListPage {
    /// Its entries.
    pub entries: Vec<Value>,
    /// The token of the next page.
    pub next: Option<String>,
    /// How many entries the whole list has, as this page says.
    pub total: Option<u64>,
}

impl ListPage {
    /// Reads the page in the body of a reply to `operation`.
    ///
    /// # Errors
    ///
    /// Why it proves nothing.
    pub(super) fn read(operation: Operation, body: &[u8]) -> Result<ListPage, &'static str> {
        if !json_fits(body) {
            return Err("a page is not JSON, or has too many values");
        }
        let mut body: Value = serde_json::from_slice(body).map_err(|_| "a page is not JSON")?;
        let meta = part(&body, "meta")?.unwrap_or(&Value::Null);
        let pagination = part(meta, "pagination")?.unwrap_or(&Value::Null);
        let part = |name: &str| part(pagination, name);
        // Without it the list would seem to end here.
        let next = match part("next")? {
            None => None,
            Some(Value::String(token)) if token.len() > LONGEST_ID => {
                return Err("a page names the next one by more than 1 KiB");
            }
            Some(Value::String(token)) => Some(token.clone()).filter(|token| !token.is_empty()),
            Some(_) => return Err("a page names the next one in an unknown way"),
        };
        let total = part("totalCount")?.map(count).transpose()?;
        let data = match body.as_object_mut() {
            Some(body) => list(taken(body, "data")?)?,
            None => Vec::new(),
        };
        let entries = entries(operation, data)?;
        let has_long_id = |entry: &Value| {
            entry.get("id").and_then(Value::as_str).is_some_and(|id| id.len() > LONGEST_ID)
        };
        match entries.iter().any(has_long_id) {
            true => Err("an entry has an id of more than 1 KiB"),
            false => Ok(ListPage { entries, next, total }),
        }
    }
}

/// A part of an object, in whatever case its name is written; nothing where it is left out or null.
fn part<'a>(object: &'a Value, name: &str) -> Result<Option<&'a Value>, &'static str> {
    let object = match object {
        Value::Null => return Ok(None),
        Value::Object(object) => object,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Err("a page says in an unknown way where it is in the list");
        }
    };
    let is_given =
        |(known, value): &(&String, &Value)| known.eq_ignore_ascii_case(name) && !value.is_null();
    let mut found = object.iter().filter(is_given).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (one, None) => Ok(one),
        (_, Some(_)) => Err("a page says two things about where it is in the list"),
    }
}

/// The same, taken out of the object.
fn taken(object: &mut Map<String, Value>, name: &str) -> Result<Option<Value>, &'static str> {
    let keys: Vec<String> =
        object.keys().filter(|key| key.eq_ignore_ascii_case(name)).cloned().collect();
    let mut found: Vec<Value> = keys.iter().filter_map(|key| object.remove(key)).collect();
    found.sort_by_key(Value::is_null);
    match found.get(1) {
        None | Some(Value::Null) => Ok(found.into_iter().next()),
        Some(_) => Err("a page has two lists of one name"),
    }
}

/// A number of entries, which may be written as a text.
fn count(value: &Value) -> Result<u64, &'static str> {
    let of_text = |text: &str| text.trim().parse().ok();
    let of_real = |real: f64| (real >= 0.0 && real.fract() == 0.0).then_some(real as u64);
    let count = value.as_u64().or_else(|| value.as_f64().and_then(of_real));
    let count = count.or_else(|| value.as_str().and_then(of_text));
    count.ok_or("a page says in an unknown way how long the list is")
}

/// The entries in the `data` of a page: groups and members are one level below.
fn entries(operation: Operation, data: Vec<Value>) -> Result<Vec<Value>, &'static str> {
    let name = match operation {
        Operation::FindGroups => "folders",
        Operation::GetGroupMembers => "groupMembers",
        Operation::GetAllManagedUrls
        | Operation::RemoveGroupMember
        | Operation::DeleteManagedUrl => return Ok(data),
    };
    let mut all = Vec::new();
    for mut entry in data {
        let object = entry.as_object_mut().ok_or("a page has other entries")?;
        let of_page = taken(object, name)?;
        let has_others = ["emailAddress", "description"].iter().any(|it| object.contains_key(*it));
        if of_page.is_none() && (has_others || object.values().any(Value::is_array)) {
            return Err("a page has other entries");
        }
        all.append(&mut list(of_page)?);
    }
    Ok(all)
}

/// A list that is left out is empty.
fn list(value: Option<Value>) -> Result<Vec<Value>, &'static str> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(entries)) => Ok(entries),
        Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            Err("a page has something else in place of its list")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_total_is_read_however_it_is_written() {
        for total in [json!(27), json!(27.0), json!(" 27 "), json!("27")] {
            let pagination = json!({"TotalCount": null, "totalCount": total});
            let body = json!({"Meta": {"Pagination": pagination}, "data": []});
            let answer = ListPage::read(Operation::FindGroups, body.to_string().as_bytes());
            assert_eq!(answer.map(|answer| answer.total), Ok(Some(27)), "{total}");
        }
    }

    #[test]
    fn an_id_or_a_token_of_more_than_a_kibibyte_is_no_answer() {
        for (length, is_read) in [(LONGEST_ID, true), (LONGEST_ID + 1, false)] {
            let text = "x".repeat(length);
            let by_token = json!({"meta": {"pagination": {"next": text}}, "data": []});
            let by_id = json!({"data": [{"id": text}]});
            let of_group = json!({"data": [{"folders": [{"id": text}]}]});
            for (operation, body) in [
                (Operation::GetAllManagedUrls, by_token),
                (Operation::GetAllManagedUrls, by_id),
                (Operation::FindGroups, of_group),
            ] {
                let read = ListPage::read(operation, body.to_string().as_bytes());
                assert_eq!(read.is_ok(), is_read, "{length} {operation:?}");
            }
        }
    }

    #[test]
    fn a_list_that_is_left_out_is_empty_and_anything_else_in_its_place_is_none() {
        let entries = |operation, body: Value| {
            let answer = ListPage::read(operation, body.to_string().as_bytes());
            answer.map(|answer| answer.entries.len())
        };
        for (operation, name) in
            [(Operation::FindGroups, "folders"), (Operation::GetGroupMembers, "groupMembers")]
        {
            for data in
                [json!([]), json!([{}]), json!([{name: null}]), json!([{name: []}]), json!(null)]
            {
                assert_eq!(entries(operation, json!({"data": data})), Ok(0), "{data}");
            }
            assert_eq!(
                entries(operation, json!({"data": [{name: [{}, {}]}, {name: [{}]}]})),
                Ok(3)
            );
            for data in [json!([{"emailAddress": "a@b"}]), json!([{"members": [{}]}])] {
                assert!(entries(operation, json!({"data": data})).is_err(), "{data}");
            }
            for data in [json!({}), json!(["text"]), json!([{name: {}}]), json!([{name: "text"}])] {
                assert!(entries(operation, json!({"data": data})).is_err(), "{data}");
            }
        }
        assert_eq!(entries(Operation::GetAllManagedUrls, json!({})), Ok(0));
        let folders = |body| entries(Operation::FindGroups, body);
        assert_eq!(folders(json!({"Data": [{"Folders": [{}, {}], "folders": null}]})), Ok(2));
        assert!(folders(json!({"Data": [], "data": [{}]})).is_err());
        assert!(folders(json!({"data": [{"Folders": [], "folders": [{}]}]})).is_err());
        for pagination in [
            json!({"next": 7}),
            json!({"totalCount": "many"}),
            json!([{"next": "x"}]),
            json!({"next": "x", "Next": "y"}),
        ] {
            let body = json!({"meta": {"pagination": pagination}, "data": []});
            assert!(entries(Operation::GetAllManagedUrls, body).is_err(), "{pagination}");
        }
    }
}
