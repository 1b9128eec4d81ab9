//! The endpoints under `/_fake/`, with which a script does what a test does by method calls.

use std::time::Duration;

use hyper::Request;
use hyper::body::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::call::Operation;
use crate::entry::Entry;
use crate::fault::Fault;
use crate::load::Load;
use crate::reply::Reply;
use crate::state::State;
use crate::vendor::Vendor;

pub(crate) const PREFIX: &str = "/_fake/";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    id: String,
    /// None stands for the id.
    name: Option<String>,
}

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
    /// A URL that is blocked; none stands for any.
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    refuse: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    expire: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Products {
    operations: Vec<Operation>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    /// None stands for the limit that all operations share.
    operation: Option<Operation>,
    calls: u64,
    window_milliseconds: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Measurement {
    latency_milliseconds: u64,
}

pub(crate) fn answer(vendor: &Vendor, request: &Request<Bytes>) -> Reply {
    let path = &request.uri().path()[PREFIX.len()..];
    let outcome = match request.method().as_str() {
        "POST" if path == "release" => {
            vendor.release();
            Ok(Some(Reply::empty(204)))
        }
        "POST" => order(vendor, path, request),
        "GET" => Ok(show(&vendor.state(), path)),
        "DELETE" if path == "faults" => {
            vendor.state().faults.clear();
            Ok(Some(Reply::empty(204)))
        }
        _ => Ok(None),
    };
    match outcome {
        Ok(Some(reply)) => reply,
        Ok(None) => {
            let text = format!("there is no {} {}", request.method(), request.uri().path());
            Reply::json(404, &json!({ "error": text }))
        }
        Err(error) => Reply::json(400, &json!({ "error": error })),
    }
}

/// None if there is nothing to order at this path.
fn order(vendor: &Vendor, path: &str, request: &Request<Bytes>) -> Result<Option<Reply>, String> {
    match path {
        "groups" => {
            let Group { id, name } = read(request)?;
            vendor.state().tenant.name_group(&id, name.as_ref().unwrap_or(&id));
        }
        "members" => {
            let Member { group, member } = read(request)?;
            vendor.state().tenant.add_member(&group, &member);
        }
        "urls" => {
            let ManagedUrl { id, url } = read(request)?;
            match url {
                Some(url) => {
                    let entry = Entry::new(&url, "block", "explicit");
                    vendor.state().tenant.add_entry(&id, entry);
                }
                None => vendor.state().tenant.add_url(&id),
            }
        }
        "faults" => {
            let fault: Fault = read(request)?;
            fault.kind.check()?;
            vendor.state().faults.add(fault);
        }
        "credentials" => {
            let Refusal { refuse } = read(request)?;
            vendor.state().gate.credentials_refused = refuse;
        }
        "keys" => {
            let Keys { expire } = read(request)?;
            vendor.state().gate.keys_expired = expire;
        }
        "products" => {
            let Products { operations } = read(request)?;
            vendor.state().gate.products = operations;
        }
        "limit" => {
            let Limit { operation, calls, window_milliseconds } = read(request)?;
            let window = Duration::from_millis(window_milliseconds);
            vendor.state().quota.set(operation, calls, window);
        }
        "load" => {
            let Measurement { latency_milliseconds } = read(request)?;
            let latency = Duration::from_millis(latency_milliseconds);
            vendor.state().load = Some(Load::new(latency));
        }
        _ => return Ok(None),
    }
    Ok(Some(Reply::empty(204)))
}

/// None if there is nothing to see at this path.
fn show(state: &State, path: &str) -> Option<Reply> {
    let found = match path {
        "members" => json!(state.tenant.groups()),
        "urls" => json!(state.tenant.urls().collect::<Vec<_>>()),
        "calls" => json!(state.calls),
        "violations" => json!(state.violations),
        "credentials" => json!(state.gate.credentials),
        "load" => state.load.as_ref()?.count(),
        "load/arrivals" => state.load.as_ref()?.arrivals(),
        _ => return None,
    };
    Some(Reply::json(200, &found))
}

fn read<T: DeserializeOwned>(request: &Request<Bytes>) -> Result<T, String> {
    serde_json::from_slice(request.body()).map_err(|error| error.to_string())
}
