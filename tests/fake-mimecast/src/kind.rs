//! What can happen to a call.

use std::collections::BTreeMap;

use hyper::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

/// What happens to a call. Unless said otherwise the call is not executed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// Any reply.
    Status {
        /// The HTTP status.
        status: u16,
        /// More headers; they win over those that the fake sets.
        #[serde(default)]
        headers: BTreeMap<String, String>,
        /// The body.
        #[serde(default)]
        body: String,
        /// The content type; none is sent if it is empty.
        #[serde(default)]
        content_type: String,
    },
    /// 200 all over, with the code in `fail[].errors[]` and the item echoed as `key`.
    Fail {
        /// The vendor's code.
        code: String,
        /// The vendor's message.
        #[serde(default)]
        message: String,
    },
    /// The gateway's `{"fail":[{"code","message"}]}`.
    FlatFail {
        /// The HTTP status.
        status: u16,
        /// The vendor's code.
        code: String,
    },
    /// The newer `{"errors":[{"code","message","field"}]}`.
    ErrorsShape {
        /// The HTTP status.
        status: u16,
        /// The vendor's code.
        code: String,
    },
    /// The token endpoint's `{"error","error_description"}`.
    #[serde(rename = "oauth_shape")]
    OAuthShape {
        /// The HTTP status.
        status: u16,
        /// The value of `error`.
        error: String,
    },
    /// A page, as from a proxy.
    Html {
        /// The HTTP status.
        status: u16,
    },
    /// No body at all.
    EmptyBody {
        /// The HTTP status.
        status: u16,
    },
    /// 200 with a text that is not JSON, though it says that it is.
    NotJson,
    /// No answer, until the client goes away.
    Hang,
    /// The call is executed after a while, unless the client has gone away by then.
    Delay {
        /// How long.
        milliseconds: u64,
    },
    /// The call is executed when `release` lets it go, unless the client has gone away by then.
    Hold,
    /// The connection is reset.
    Reset,
    /// The call is executed, but the connection is closed without a reply.
    LoseReply,
    /// A 200 whose body ends early.
    Truncated,
    /// 429, with a body that helps nobody.
    Throttle {
        /// The header `X-RateLimit-Reset`; left out if none.
        reset_milliseconds: Option<u64>,
        /// The header `Retry-After`; left out if none.
        retry_after: Option<String>,
    },
    /// 200 with the item in `data` and the code in `fail`.
    MixedFail {
        /// The vendor's code.
        code: String,
    },
    /// 401 `err_xdk_invalid_signature`.
    Unauthorized,
    /// 418 `err_xdk_binding_expired`.
    Expired,
    /// 403 `app_forbidden`, in the gateway's shape.
    Forbidden,
}

impl FaultKind {
    /// A reply of this status, without a body.
    pub fn status(status: u16) -> Self {
        Self::EmptyBody { status }
    }

    /// A failure of the function with this code.
    pub fn fail(code: impl Into<String>) -> Self {
        Self::Fail { code: code.into(), message: "Ordered by the test".to_owned() }
    }

    /// Names what could not be sent as HTTP.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(status) = self.own_status() {
            // A 1xx is no final reply.
            if !(200..=599).contains(&status) {
                return Err(format!("{status} is not the status of a reply"));
            }
        }
        for (name, value) in self.own_headers() {
            if HeaderName::from_bytes(name.as_bytes()).is_err()
                || HeaderValue::from_str(value).is_err()
            {
                return Err(format!("{name:?}: {value:?} is not a header"));
            }
        }
        Ok(())
    }

    /// The headers, where whoever orders the fault chooses them.
    fn own_headers(&self) -> Vec<(&str, &str)> {
        match self {
            Self::Status { headers, content_type, .. } => headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .chain([("content-type", content_type.as_str())])
                .collect(),
            Self::Throttle { retry_after: Some(value), .. } => vec![("retry-after", value)],
            Self::Throttle { retry_after: None, .. }
            | Self::Fail { .. }
            | Self::FlatFail { .. }
            | Self::ErrorsShape { .. }
            | Self::OAuthShape { .. }
            | Self::Html { .. }
            | Self::EmptyBody { .. }
            | Self::NotJson
            | Self::Hang
            | Self::Delay { .. }
            | Self::Hold
            | Self::Reset
            | Self::LoseReply
            | Self::Truncated
            | Self::MixedFail { .. }
            | Self::Unauthorized
            | Self::Expired
            | Self::Forbidden => Vec::new(),
        }
    }

    /// The status, where whoever orders the fault chooses it.
    fn own_status(&self) -> Option<u16> {
        match self {
            Self::Status { status, .. }
            | Self::FlatFail { status, .. }
            | Self::ErrorsShape { status, .. }
            | Self::OAuthShape { status, .. }
            | Self::Html { status }
            | Self::EmptyBody { status } => Some(*status),
            Self::Fail { .. }
            | Self::NotJson
            | Self::Hang
            | Self::Delay { .. }
            | Self::Hold
            | Self::Reset
            | Self::LoseReply
            | Self::Truncated
            | Self::Throttle { .. }
            | Self::MixedFail { .. }
            | Self::Unauthorized
            | Self::Expired
            | Self::Forbidden => None,
        }
    }

    /// Whether it strikes before anybody looks at the credentials.
    pub(crate) fn is_of_transport(&self) -> bool {
        match self {
            Self::Hang | Self::Delay { .. } | Self::Hold | Self::Reset | Self::Truncated => true,
            Self::Status { .. }
            | Self::Fail { .. }
            | Self::FlatFail { .. }
            | Self::ErrorsShape { .. }
            | Self::OAuthShape { .. }
            | Self::Html { .. }
            | Self::EmptyBody { .. }
            | Self::NotJson
            | Self::LoseReply
            | Self::Throttle { .. }
            | Self::MixedFail { .. }
            | Self::Unauthorized
            | Self::Expired
            | Self::Forbidden => false,
        }
    }
}
