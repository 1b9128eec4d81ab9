//! One page of a list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64_URL;
use serde_json::{Value, json};

/// What a page has at most, whatever is asked for, and where nothing is asked for.
const MOST: usize = 500;
const DEFAULT: usize = 10;

/// Which page a request asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    size: Option<usize>,
    token: Option<String>,
    /// Whether each further page begins where the list does, and hides the end of it.
    overlaps: bool,
}

/// A page of a list.
pub(crate) struct Page {
    pub(crate) entries: Vec<Value>,
    /// What stands in `meta.pagination`.
    pub(crate) pagination: Value,
}

impl Asked {
    /// Reads `meta.pagination` of a request.
    pub(crate) fn read(body: Option<&Value>) -> Self {
        let pagination = body.and_then(|body| body.pointer("/meta/pagination"));
        let part = |name: &str| pagination.and_then(|pagination| pagination.get(name));
        Self {
            size: part("pageSize").and_then(Value::as_u64).and_then(|size| size.try_into().ok()),
            token: part("pageToken").and_then(Value::as_str).map(str::to_owned),
            overlaps: false,
        }
    }

    /// How many entries are asked for.
    pub(crate) fn size(&self) -> usize {
        self.size.unwrap_or(DEFAULT)
    }

    pub(crate) fn overlapping(self, overlaps: bool) -> Self {
        Self { overlaps, ..self }
    }

    pub(crate) fn is_first(&self) -> bool {
        self.token.is_none()
    }

    /// The page of a list of `total` entries; none if the token is none of ours.
    pub(crate) fn of<T>(
        &self,
        total: usize,
        list: impl Iterator<Item = T>,
        show: impl Fn(T) -> Value,
    ) -> Option<Page> {
        let size = self.size().clamp(1, MOST);
        let from = match &self.token {
            Some(token) => offset(token)?,
            None => 0,
        };
        let begin = if self.overlaps { 0 } else { from };
        let most = size.min(total.saturating_sub(from));
        let entries: Vec<Value> = list.skip(begin).take(most).map(show).collect();
        let mut pagination = json!({ "pageSize": entries.len(), "totalCount": total });
        if from + size < total {
            pagination["next"] = json!(BASE64_URL.encode(format!("from {}", from + size)));
        }
        Some(Page { entries, pagination })
    }
}

fn offset(token: &str) -> Option<usize> {
    let text = String::from_utf8(BASE64_URL.decode(token).ok()?).ok()?;
    text.strip_prefix("from ")?.parse().ok()
}
