//! Replies, in each of the shapes that the vendor is known to use.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

use crate::bucket::RateLimit;

const JSON: &str = "application/json";
const DATE_FORMAT: &str = "%a, %d %b %Y %H:%M:%S GMT";

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// The vendor's code in the body, for the record.
    pub(crate) code: Option<String>,
    pub(crate) rate_limit: Option<RateLimit>,
}

/// One entry of `errors`.
pub(crate) struct Problem {
    code: String,
    message: String,
    field: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), field: None }
    }

    /// Validation errors name the field that they are about.
    pub(crate) fn in_field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    fn entry(&self, key: Option<&Value>) -> Value {
        let mut error = json!({
            "code": self.code,
            "message": self.message,
            "retryable": false,
        });
        if let Some(field) = self.field {
            error["field"] = json!(field);
        }
        let mut entry = json!({ "errors": [error] });
        if let Some(key) = key {
            entry["key"] = key.clone();
        }
        entry
    }
}

impl Reply {
    /// The function's own success.
    pub(crate) fn done(data: &Value) -> Self {
        Self::json(200, &json!({ "meta": { "status": 200 }, "data": data, "fail": [] }))
    }

    /// A page of a list.
    pub(crate) fn page(data: &Value, pagination: &Value) -> Self {
        let meta = json!({ "status": 200, "pagination": pagination });
        Self::json(200, &json!({ "meta": meta, "data": data, "fail": [] }))
    }

    /// The function's own failure, `{"meta","data","fail":[{"key","errors"}]}`.
    pub(crate) fn fail(status: u16, key: Option<&Value>, problem: Problem) -> Self {
        let entry = problem.entry(key);
        Self::json(status, &json!({ "meta": { "status": status }, "data": [], "fail": [entry] }))
            .with_code(problem.code)
    }

    /// A success and a failure at once, which one item can never be.
    pub(crate) fn mixed(item: &Value, problem: Problem) -> Self {
        let entry = problem.entry(Some(item));
        Self::json(200, &json!({ "meta": { "status": 200 }, "data": [item], "fail": [entry] }))
            .with_code(problem.code)
    }

    /// The gateway of API 2.0: `{"fail":[{"code","message"}]}`.
    pub(crate) fn flat(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "fail": [{ "code": code, "message": message }] }))
            .with_code(code)
    }

    /// The newer endpoints of API 2.0: `{"errors":[{"code","message","field"}]}`.
    pub(crate) fn errors(status: u16, code: &str) -> Self {
        Self::json(
            status,
            &json!({ "errors": [{ "code": code, "message": "The request failed", "field": "" }] }),
        )
        .with_code(code)
    }

    /// The token endpoint: `{"error","error_description"}`.
    pub(crate) fn oauth(status: u16, error: &str, description: &str) -> Self {
        Self::json(status, &json!({ "error": error, "error_description": description }))
            .with_code(error)
    }

    pub(crate) fn invalid_signature() -> Self {
        Self::fail(401, None, Problem::new("err_xdk_invalid_signature", "0004 Invalid Signature"))
    }

    pub(crate) fn binding_expired() -> Self {
        Self::fail(418, None, Problem::new("err_xdk_binding_expired", "AccessKey Has Expired"))
    }

    pub(crate) fn unauthorized() -> Self {
        Self::flat(401, "unauthorized", "The access token is missing or wrong")
    }

    pub(crate) fn app_forbidden() -> Self {
        Self::flat(
            403,
            "app_forbidden",
            "Resource or method requested does not exist in any product assigned to the application",
        )
    }

    pub(crate) fn invalid_client() -> Self {
        Self::oauth(401, "invalid_client", "Client authentication failed")
    }

    /// No real 429 was ever recorded. This body reads like a success to whoever ignores the status.
    pub(crate) fn throttled() -> Self {
        Self::json(429, &json!({ "meta": {}, "data": [], "fail": [] }))
    }

    pub(crate) fn html(status: u16) -> Self {
        Self::text(
            status,
            "text/html",
            format!("<html><body><h1>{status}</h1><p>proxy at the edge</p></body></html>"),
        )
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, JSON, body.to_string())
    }

    pub(crate) fn text(status: u16, content_type: &str, body: String) -> Self {
        Self {
            status,
            content_type: Some(content_type.to_owned()),
            headers: BTreeMap::new(),
            body,
            code: None,
            rate_limit: None,
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self { content_type: None, ..Self::text(status, JSON, String::new()) }
    }

    fn with_code(self, code: impl Into<String>) -> Self {
        Self { code: Some(code.into()), ..self }
    }

    pub(crate) fn into_response(self, now: DateTime<Utc>) -> Response<Full<Bytes>> {
        let mut headers = hyper::HeaderMap::new();
        for (name, value) in self.all_headers(now) {
            headers.insert(
                HeaderName::from_bytes(name.as_bytes()).expect("a fault's headers were checked"),
                HeaderValue::from_str(&value).expect("a fault's headers were checked"),
            );
        }
        let mut response = Response::new(Full::new(Bytes::from(self.body)));
        *response.status_mut() =
            StatusCode::from_u16(self.status).expect("a fault's status was checked");
        *response.headers_mut() = headers;
        response
    }

    /// The bytes of this reply, with half of the body that the head announces.
    pub(crate) fn into_half(self, now: DateTime<Utc>) -> Vec<u8> {
        let mut half = format!("HTTP/1.1 {} \r\n", self.status);
        for (name, value) in self.all_headers(now) {
            write!(half, "{name}: {value}\r\n").expect("a String takes any text");
        }
        write!(half, "content-length: {}\r\n\r\n", self.body.len())
            .expect("a String takes any text");
        let mut half = half.into_bytes();
        half.extend(&self.body.as_bytes()[..self.body.len() / 2]);
        half
    }

    /// A fault's own headers win over the usual ones.
    fn all_headers(&self, now: DateTime<Utc>) -> BTreeMap<String, String> {
        let mut headers = BTreeMap::from([(DATE.to_string(), now.format(DATE_FORMAT).to_string())]);
        if let Some(content_type) = &self.content_type {
            headers.insert(CONTENT_TYPE.to_string(), content_type.clone());
        }
        // Recorded so from the live service. hyper acts upon it.
        if matches!(self.status, 401 | 418) {
            headers.insert(CONNECTION.to_string(), "close".to_owned());
        }
        if let Some(rate_limit) = self.rate_limit {
            let mut add = |name: &str, value: u64| headers.insert(name.into(), value.to_string());
            add("x-ratelimit-limit", rate_limit.limit);
            add("x-ratelimit-remaining", rate_limit.remaining);
            if let Some(reset) = rate_limit.reset_milliseconds {
                add("x-ratelimit-reset", reset);
            }
        }
        for (name, value) in &self.headers {
            headers.insert(name.to_lowercase(), value.clone());
        }
        headers
    }
}
