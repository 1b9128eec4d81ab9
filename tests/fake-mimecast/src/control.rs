//! The endpoints under `/_fake/`, with which a script does what a test does by method calls.

use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::fault::Fault;
use crate::reply::Reply;
use crate::vendor::Vendor;

pub(crate) const PREFIX: &str = "/_fake/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Member {
    group: String,
    member: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManagedUrl {
    id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    refuse: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    calls: u64,
    window_milliseconds: u64,
}

pub(crate) fn answer(vendor: &Vendor, request: &Request<Bytes>) -> Reply {
    let path = &request.uri().path()[PREFIX.len()..];
    let outcome = match (request.method().as_str(), path) {
        ("POST", "members") => read(request).map(|Member { group, member }| {
            vendor.state().tenant.add_member(&group, &member);
            Reply::empty(204)
        }),
        ("POST", "urls") => read(request).map(|ManagedUrl { id }| {
            vendor.state().tenant.add_url(&id);
            Reply::empty(204)
        }),
        ("POST", "faults") => read(request).and_then(|fault: Fault| {
            fault.kind.check()?;
            vendor.state().faults.add(fault);
            Ok(Reply::empty(204))
        }),
        ("POST", "credentials") => read(request).map(|Refusal { refuse }| {
            vendor.state().credentials_refused = refuse;
            Reply::empty(204)
        }),
        ("POST", "limit") => read(request).map(|limit: Limit| {
            let window = Duration::from_millis(limit.window_milliseconds);
            vendor.state().quota.set(limit.calls, window);
            Reply::empty(204)
        }),
        ("DELETE", "faults") => {
            vendor.state().faults.clear();
            Ok(Reply::empty(204))
        }
        ("GET", "members") => Ok(Reply::json(200, &json!(vendor.state().tenant.groups()))),
        ("GET", "urls") => Ok(Reply::json(200, &json!(vendor.state().tenant.urls()))),
        ("GET", "calls") => Ok(Reply::json(200, &json!(vendor.state().calls))),
        ("GET", "violations") => Ok(Reply::json(200, &json!(vendor.state().violations))),
        ("GET", "credentials") => Ok(Reply::json(200, &json!(vendor.state().credentials))),
        (method, _) => Ok(Reply::json(
            404,
            &json!({ "error": format!("there is no {method} {}", request.uri().path()) }),
        )),
    };
    outcome.unwrap_or_else(|error| Reply::json(400, &json!({ "error": error })))
}

fn read<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, String> {
    serde_json::from_slice(request.body()).map_err(|error| error.to_string())
}
