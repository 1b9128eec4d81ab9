//! Whether a reply is the vendor's own voice, or a page of whatever stands in front of it.
//!
//! Only the voice can reject an item, answer a health call, or prove that credentials
//! are accepted: proxies, ingresses and captive portals answer 4xx too, for every item alike. The
//! voice is a JSON document in one of the shapes that the vendor documents or that were recorded:
//! `fail` of the functions and of the 2.0 gateway, `errors` of its newer endpoints, `error` of OAuth.

use super::body::Body;
use serde_json::Value;

/// Whether the JSON document `body`, under this HTTP status, is in one of the vendor's shapes. A bare
/// text in the place of an error is one under 401 and 403 only: others say `"error": "Not Found"` too.
pub(super) fn is_voice(status: u16, body: &Body) -> bool {
    let Body { fail, errors, error, error_description, .. } = body;
    let nothing_failed = fail.as_ref().and_then(Value::as_array).is_some_and(Vec::is_empty);
    let is_text = |part: &Option<Value>| part.as_ref().is_some_and(Value::is_string);
    let mut told = [fail, errors, error].into_iter().flatten();
    nothing_failed
        || (is_text(error) && is_text(error_description))
        || told.clone().any(has_a_code)
        || (matches!(status, 401 | 403) && told.next().is_some())
}

/// Whether there is an error with a code: here, in the list that this is, or in its list of errors.
fn has_a_code(error: &Value) -> bool {
    match error {
        Value::Array(entries) => entries.iter().any(has_a_code),
        Value::Object(object) => {
            matches!(object.get("code"), Some(Value::String(_) | Value::Number(_)))
                || object.get("errors").and_then(Value::as_array).is_some_and(|errors| {
                    errors.iter().any(|error| error.is_object() && has_a_code(error))
                })
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn is_voice(status: u16, body: &Value) -> bool {
        super::is_voice(status, &Body::read(body.to_string().as_bytes()))
    }

    #[test]
    fn the_vendors_shapes_are_its_voice_and_what_others_say_is_not() {
        for body in [
            json!({"meta": {"status": 200}, "data": [], "fail": []}),
            json!({"fail": [{"errors": [{"code": "err_x", "message": "x"}]}]}),
            json!({"fail": [{"code": "app_forbidden"}]}),
            json!({"fail": {"code": 12}}),
            json!({"errors": [{"code": "e", "message": "m", "field": "f"}]}),
            json!({"error": [{"code": "token_expired"}]}),
            json!({"error": {"code": "e", "message": "m"}}),
            json!({"error": "invalid_request", "error_description": "d"}),
        ] {
            assert!(is_voice(400, &body), "{body}");
        }
        for body in [
            Value::Null,
            json!("text"),
            json!([{"code": "x"}]),
            json!({}),
            json!({"message": "Forbidden"}),
            json!({"status": 404, "error": "Not Found"}),
            json!({"error": {"message": "Bad Request"}}),
            json!({"fail": "text"}),
            json!({"fail": ["text"]}),
            json!({"fail": [{"errors": ["text"]}]}),
            json!({"errors": [], "error": null}),
            json!({"fail": [{"code": null}]}),
        ] {
            assert!(!is_voice(400, &body), "{body}");
        }
        for (body, expected) in [
            (json!({"fail": "Unauthorized"}), true),
            (json!({"error": {"message": "Forbidden"}}), true),
            (json!({"message": "Forbidden"}), false),
            (Value::Null, false),
        ] {
            assert_eq!(is_voice(401, &body), expected, "{body}");
            assert_eq!(is_voice(403, &body), expected, "{body}");
        }
    }
}
