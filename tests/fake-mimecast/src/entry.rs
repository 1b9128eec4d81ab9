//! A managed URL, taken apart as the vendor's replies have it.

use serde_json::{Value, json};

/// One entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    scheme: String,
    domain: String,
    port: i64,
    path: String,
    query: String,
    pub(crate) action: String,
    pub(crate) match_type: String,
    /// What is listed in place of all that, by whoever orders an odd entry.
    listed: Option<Value>,
}

impl Entry {
    /// An entry for this URL, which is split where its parts begin and not otherwise looked at.
    pub(crate) fn new(url: &str, action: &str, match_type: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, path) = rest.find('/').map_or((rest, ""), |place| rest.split_at(place));
        let (domain, port) = host.rsplit_once(':').unwrap_or((host, "-1"));
        Self {
            scheme: scheme.to_owned(),
            domain: domain.to_owned(),
            port: port.parse().unwrap_or(-1),
            path: path.to_owned(),
            query: query.to_owned(),
            action: action.to_owned(),
            match_type: match_type.to_owned(),
            listed: None,
        }
    }

    /// An entry that is listed as it is ordered.
    pub(crate) fn listed(listed: Value) -> Self {
        Self { listed: Some(listed), ..Self::new("", "block", "explicit") }
    }

    pub(crate) fn shown(&self, id: &str) -> Value {
        if let Some(listed) = &self.listed {
            return listed.clone();
        }
        json!({
            "id": id,
            "scheme": self.scheme,
            "domain": self.domain,
            "port": self.port,
            "path": self.path,
            "queryString": self.query,
            "matchType": self.match_type,
            "action": self.action,
            "comment": "",
            "disableUserAwareness": false,
            "disableRewrite": false,
            "disableLogClick": false,
        })
    }
}
