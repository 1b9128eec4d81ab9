//! What a reply means: every status, every code, every shape of a failure.

use mimecast_eventd::command::Operation::{self, DeleteManagedUrl, RemoveGroupMember};
use mimecast_eventd::secrecy::{Hidden, Secret};
use mimecast_eventd::verdict::{Outcome, Reply, code};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// What each status means where the vendor itself says it without a code. The same of whoever stands in
/// front of it is weather.
const STATUSES: [(u16, &str); 29] = [
    (200, "unavailable no_verdict"),
    (201, "unavailable no_verdict"),
    (204, "unavailable no_verdict"),
    (301, "unavailable http_301"),
    (302, "unavailable http_302"),
    (400, "forbidden http_400"),
    (401, "unauthorized http_401"),
    (403, "unauthorized http_403"),
    (404, "unavailable http_404"),
    (405, "unavailable http_405"),
    (407, "unauthorized http_407"),
    (408, "unavailable http_408"),
    (409, "unavailable http_409"),
    (410, "unavailable http_410"),
    (413, "forbidden http_413"),
    (415, "forbidden http_415"),
    (418, "unauthorized http_418"),
    (422, "forbidden http_422"),
    (423, "unavailable http_423"),
    (425, "unavailable http_425"),
    (429, "throttled 5000"),
    (451, "forbidden http_451"),
    (499, "forbidden http_499"),
    (500, "unavailable http_500"),
    (501, "unavailable http_501"),
    (502, "unavailable http_502"),
    (503, "unavailable http_503"),
    (504, "unavailable http_504"),
    (599, "unavailable http_599"),
];

/// Each row of the code table, the status that the code usually comes with, and what it means under
/// that status as well as under 200.
const CODES: [(&str, Operation, &str, u16, &str); 16] = [
    ("err_folder_email_address_not_found", RemoveGroupMember, "", 409, "not_found"),
    ("err_managed_url_not_found", DeleteManagedUrl, "", 409, "not_found"),
    ("err_validation_*", RemoveGroupMember, "null", 400, "rejected"),
    ("err_folder_*", RemoveGroupMember, "not_found", 400, "rejected"),
    ("err_deserialise", RemoveGroupMember, "", 400, "rejected"),
    ("err_xdk_operation_forbidden_for_address", RemoveGroupMember, "", 403, "forbidden"),
    ("err_xdk_invalid_signature", RemoveGroupMember, "", 401, "unauthorized"),
    ("err_developer_key", DeleteManagedUrl, "", 400, "unauthorized"),
    ("err_xdk_binding_expired", RemoveGroupMember, "", 418, "unauthorized"),
    ("err_audit_log_incorrect_region", DeleteManagedUrl, "", 400, "unauthorized"),
    ("token_expired", RemoveGroupMember, "", 401, "unauthorized"),
    ("token_verification_failed", DeleteManagedUrl, "", 401, "unauthorized"),
    ("unauthorized*", RemoveGroupMember, "", 401, "unauthorized"),
    ("app_forbidden", DeleteManagedUrl, "", 403, "unauthorized"),
    ("invalid_client", RemoveGroupMember, "", 401, "unauthorized"),
    ("GatewayTimeout", DeleteManagedUrl, "", 504, "unavailable"),
];

#[test]
fn a_reply_without_a_usable_body_is_read_by_its_status() {
    let html = b"<html><body>502 Bad Gateway</body></html>".as_slice();
    for (status, expected) in STATUSES {
        let expected = match expected {
            _ if status == 429 => expected.to_owned(),
            "unavailable no_verdict" => expected.to_owned(),
            _ => format!("unavailable http_{status}"),
        };
        for body in [html, b"it worked", b"null", b"[]", b"{}", b"{\"fail\":[", b"\xff"] {
            for operation in Operation::ALL {
                assert_eq!(verdict(operation, status, body), expected, "{status} {body:?}");
            }
        }
        // With an empty body API 2.0 refuses an id that is cut short; whoever asks hears the voice first.
        let mute = if status == 400 { "rejected http_400" } else { &expected };
        assert_eq!(verdict(RemoveGroupMember, status, b""), mute, "{status}");
        assert_eq!(verdict(RemoveGroupMember, status, b" \r\n"), mute, "{status}");
    }
}

#[test]
fn a_refusal_without_the_vendors_voice_is_weather_whatever_it_says() {
    for body in [
        json!({"message": "Forbidden"}),
        json!({"status": 400, "error": "Bad Request", "path": "/api"}),
        json!({"fail": "no"}),
        json!({"fail": ["err_validation_null"]}),
        json!({"error": {"message": "no"}}),
        json!({"errors": ["no"]}),
    ] {
        for status in [400, 404, 405, 409, 410, 413, 422, 451] {
            let found = of(status, &body);
            assert!(found.starts_with("unavailable "), "{status} {body}: {found}");
        }
    }
    // Where nobody condemns an item, a word is enough.
    for status in [401, 403] {
        assert_eq!(of(status, &json!({"fail": "no"})), "unauthorized no");
        assert_eq!(
            of(status, &json!({"message": "Forbidden"})),
            format!("unavailable http_{status}")
        );
    }
    assert_eq!(
        of(400, &json!({"error": "Unauthorized Request"})),
        "unauthorized Unauthorized Request"
    );
    assert_eq!(of(200, &json!({"fail": ["token_expired"]})), "unauthorized token_expired");
}

#[test]
fn where_the_address_may_be_wrong_only_a_known_code_of_the_functions_condemns() {
    for status in [404, 405, 410] {
        let known = json!({"fail": [{"errors": [{"code": "err_validation_null"}]}]});
        assert_eq!(of(status, &known), "rejected err_validation_null");
        for body in [
            json!({"fail": [{"code": "err_unheard_of"}]}),
            json!({"fail": [{"code": "not_found"}]}),
            json!({"errors": [{"code": "err_validation_null"}]}),
            json!({"error": {"code": "err_validation_null"}}),
            json!({"fail": []}),
        ] {
            let found = of(status, &body);
            assert!(found.starts_with("unavailable "), "{status} {body}: {found}");
        }
    }
}

#[test]
fn the_id_that_the_vendor_gave_the_request_is_told_however_long_its_words_are() {
    let message = "x".repeat(2_000);
    let body = json!({"fail": [{"code": "err_new", "message": message}]}).to_string();
    for (status, body) in [(200, body.as_bytes()), (502, b"<html>")] {
        let request_id = Some("vendor-1");
        let reply = Reply {
            status,
            body,
            wait: Duration::from_secs(5),
            hide: &Hidden::default(),
            request_id,
        };
        let (Outcome::Forbidden(fault) | Outcome::Unavailable(fault)) =
            Outcome::of_reply(RemoveGroupMember, reply)
        else {
            panic!("it is no refusal and no passing fault");
        };
        assert!(fault.detail.ends_with("request id vendor-1)"), "{}", fault.detail);
    }
}

#[test]
fn an_empty_fail_is_success_under_a_status_of_success_alone() {
    for (status, expected) in STATUSES {
        let expected = if (200..300).contains(&status) { "applied" } else { expected };
        for body in [
            json!({"meta": {"status": 200}, "data": [], "fail": []}),
            json!({"meta": {}, "data": [{"id": "x"}], "fail": [], "more": 1}),
            json!({"fail": [], "errors": [], "error": null}),
        ] {
            assert_eq!(of(status, &body), expected, "{status} {body}");
        }
    }
}

#[test]
fn the_status_in_the_body_counts_where_the_http_status_is_one_of_success() {
    for (status, expected) in STATUSES {
        let expected = match status {
            200..300 => "applied",
            // The functions themselves said it, so that the way to them is right.
            404 => "forbidden http_404",
            405 => "forbidden http_405",
            410 => "forbidden http_410",
            _ => expected,
        };
        let body = json!({"meta": {"status": status}, "data": [], "fail": []});
        assert_eq!(of(200, &body), expected, "200 {body}");
        assert_eq!(of(503, &body), "unavailable http_503", "503 {body}");
    }
    for status in [json!("200"), json!("500"), json!(-200), json!(65736), json!(200.5), json!({})] {
        let body = json!({"meta": {"status": status}, "data": [], "fail": []});
        assert_eq!(of(200, &body), "unavailable no_verdict", "{body}");
    }
}

#[test]
fn every_code_of_the_table_means_the_same_under_200_and_under_its_usual_status() {
    for (code, operation, ending, status, outcome) in CODES {
        let code = code.replace('*', ending);
        let expected =
            if outcome == "not_found" { outcome.into() } else { format!("{outcome} {code}") };
        for status in [200, status] {
            for body in shapes(&code) {
                let found = verdict(operation, status, body.to_string().as_bytes());
                assert_eq!(found, expected, "{status} {body}");
            }
        }
    }
    let printed: BTreeSet<&str> = code::rows().map(|row| row[0]).collect();
    assert_eq!(printed, CODES.iter().map(|row| row.0).collect());
}

#[test]
fn an_unknown_code_is_read_by_the_status_and_never_as_success() {
    for (status, expected) in STATUSES {
        let expected = match expected.split_once(' ').unwrap() {
            // It may be for a permission, or everybody's.
            _ if status == 403 || (200..300).contains(&status) => {
                "forbidden err_new_code".to_owned()
            }
            ("throttled", _) => expected.to_owned(),
            (outcome, _) => format!("{outcome} err_new_code"),
        };
        for body in shapes("err_new_code") {
            assert_eq!(of(status, &body), expected, "{status} {body}");
        }
    }
}

#[test]
fn the_words_of_a_problem_document_or_a_gateway_are_kept_and_prove_nothing() {
    for (body, words) in [
        (json!({"title": "Locked", "detail": "see\nlater", "status": 423}), "Locked: see later"),
        (json!({"type": "about:blank", "title": "Gone"}), "Gone"),
        (
            json!({"message": "no Route matched with those values"}),
            "no Route matched with those values",
        ),
        (json!({"message": "CANARY of ada@example.com"}), "[secret] of [address]"),
    ] {
        let secret = Secret::new("CANARY");
        let (body, hide) = (body.to_string(), Hidden::of([&secret]));
        let (wait, body) = (Duration::ZERO, body.as_bytes());
        let reply = Reply { status: 404, body, wait, hide: &hide, request_id: None };
        let outcome = Outcome::of_reply(RemoveGroupMember, reply);
        let fault = outcome.fault().unwrap();
        assert!(matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
        assert_eq!(fault.code, "http_404");
        assert_eq!(fault.detail, format!("HTTP 404 without a code: {words}"));
    }
}

#[test]
fn what_says_that_it_may_be_tried_again_is_a_passing_fault_whatever_else_it_says() {
    for code in ["err_of_tomorrow", "err_validation_null", "err_managed_url_not_found"] {
        for status in [200, 400, 403, 404, 422] {
            let error = json!({"code": code, "retryable": true});
            for body in [
                json!({"fail": [{"errors": [error]}]}),
                json!({"fail": [error]}),
                json!({"errors": [error]}),
                json!({"error": error}),
                json!({"error": code, "error_description": "d", "retryable": true}),
            ] {
                assert_eq!(of(status, &body), format!("unavailable {code}"), "{status} {body}");
            }
        }
    }
    // That is said by a truth value alone, and credentials that are refused stay refused.
    for retryable in [json!(false), json!("true"), json!(1), json!(null)] {
        let body = json!({"fail": [{"code": "err_of_tomorrow", "retryable": retryable}]});
        assert_eq!(of(200, &body), "forbidden err_of_tomorrow");
    }
    let body = json!({"fail": [{"code": "token_expired", "retryable": true}]});
    assert_eq!(of(401, &body), "unauthorized token_expired");
}

#[test]
fn a_code_that_names_a_quota_is_a_passing_fault() {
    for code in [
        "rate_limit_exceeded",
        "RateLimitExceeded",
        "err_xdk_quota_exceeded",
        "Rate-Limit",
        "TooManyRequests",
        "err_throttled",
    ] {
        for body in shapes(code) {
            for status in [200, 400, 403, 409, 423] {
                assert_eq!(of(status, &body), format!("unavailable {code}"), "{status} {body}");
            }
        }
    }
    assert_eq!(of(200, &shapes("err_generate")[0]), "forbidden err_generate");
}

#[test]
fn already_gone_is_success_only_for_the_operation_it_belongs_to() {
    for (code, operation, ..) in CODES.into_iter().filter(|row| row.4 == "not_found") {
        let body = shapes(code)[0].to_string();
        let other = Operation::ALL.into_iter().find(|other| *other != operation).unwrap();
        assert_eq!(verdict(other, 200, body.as_bytes()), format!("forbidden {code}"));
        assert_eq!(verdict(other, 409, body.as_bytes()), format!("unavailable {code}"));
        assert_eq!(verdict(operation, 404, body.as_bytes()), "not_found");
        assert_eq!(verdict(operation, 503, body.as_bytes()), format!("unavailable {code}"));
    }
}

#[test]
fn the_gravest_of_several_failures_decides() {
    let gone = "err_folder_email_address_not_found";
    let rows: [(&[&str], &str); 6] = [
        (&[gone, gone], "not_found"),
        (&[gone, "err_validation_null"], "rejected err_validation_null"),
        (&["err_new", gone], "forbidden err_new"),
        (&["err_new", "GatewayTimeout"], "unavailable GatewayTimeout"),
        (&["token_expired", "GatewayTimeout", gone], "unauthorized token_expired"),
        (&["err_validation_null", "token_expired"], "unauthorized token_expired"),
    ];
    for (codes, expected) in rows {
        let errors: Vec<Value> = codes.iter().map(|code| json!({"code": code})).collect();
        let entries: Vec<Value> = errors.iter().map(|error| json!({"errors": [error]})).collect();
        for body in [json!({"fail": [{"errors": errors}]}), json!({"fail": entries})] {
            assert_eq!(of(200, &body), expected, "{body}");
        }
    }
}

#[test]
fn a_reply_with_success_and_failure_at_once_is_a_failure() {
    let fail = json!([{"errors": [{"code": "err_validation_blank"}]}]);
    let body = json!({"meta": {"status": 200}, "data": [{"id": "x"}], "fail": fail});
    assert_eq!(of(200, &body), "rejected err_validation_blank");
    assert_eq!(of(200, &json!({"fail": [], "errors": [{"code": "late"}]})), "forbidden late");
    assert_eq!(of(200, &json!({"fail": [], "error": "server_error"})), "forbidden server_error");
}

#[test]
fn odd_forms_of_fail_are_no_success() {
    for (fail, expected) in [
        (json!(null), "unavailable no_verdict"),
        (json!({}), "unavailable no_code"),
        (json!({"errors": [{"code": "lone"}]}), "forbidden lone"),
        (json!([{}]), "unavailable no_code"),
        (json!([null]), "unavailable no_code"),
        (json!(["text"]), "unavailable text"),
        (json!([{"errors": []}]), "unavailable no_code"),
        (json!([{"errors": [{"message": "no code"}]}]), "unavailable no_code"),
        (json!([{"code": 42}]), "forbidden 42"),
        (json!([{"code": null}]), "unavailable no_code"),
        (json!(false), "unavailable no_code"),
        (json!(0), "unavailable no_code"),
    ] {
        assert_eq!(of(200, &json!({"fail": fail})), expected, "{fail}");
    }
}

#[test]
fn a_429_is_never_a_failure_and_its_headers_say_how_long_to_wait() {
    let body = shapes("err_xdk_invalid_signature")[0].to_string();
    let wait = Duration::from_millis(1234);
    let reply = Reply {
        status: 429,
        body: body.as_bytes(),
        wait,
        hide: &Hidden::default(),
        request_id: None,
    };
    assert_eq!(shown(&Outcome::of_reply(RemoveGroupMember, reply)), "throttled 1234");
}

#[test]
fn the_detail_names_the_field_and_hides_the_address() {
    let error =
        json!({"code": "err_validation_blank", "message": "no ada@example.com", "field": "id"});
    let body = json!({"fail": [{"key": {"emailAddress": "ada@example.com"}, "errors": [error]}]});
    let body = body.to_string();
    let reply = Reply {
        status: 200,
        body: body.as_bytes(),
        wait: Duration::from_secs(5),
        hide: &Hidden::default(),
        request_id: None,
    };
    let Outcome::Rejected(fault) = Outcome::of_reply(RemoveGroupMember, reply) else { panic!() };
    assert!(fault.detail.contains("(field id)"), "{}", fault.detail);
    assert!(!format!("{fault:?}").contains("ada@"), "{}", fault.detail);
}

#[test]
fn of_two_secrets_one_of_which_begins_the_other_nothing_remains() {
    let hidden = Hidden::of(&[Secret::new("canary"), Secret::new("canary-and-more")]);
    assert_eq!(hidden.hide("is canary-and-more".into()), "is [secret]");
}

/// A failure with `code` in each of the vendor's four shapes.
fn shapes(code: &str) -> [Value; 4] {
    let error = json!({"code": code, "message": "a message", "retryable": false});
    [
        json!({"meta": {"status": 200}, "data": [], "fail": [{"key": {"id": "x"}, "errors": [error]}]}),
        json!({"fail": [error]}),
        json!({"errors": [{"code": code, "message": "a message", "field": "id"}]}),
        json!({"error": code, "error_description": "a description"}),
    ]
}

fn of(status: u16, body: &Value) -> String {
    verdict(RemoveGroupMember, status, body.to_string().as_bytes())
}

fn verdict(operation: Operation, status: u16, body: &[u8]) -> String {
    shown(&Outcome::of_reply(
        operation,
        Reply {
            status,
            body,
            wait: Duration::from_secs(5),
            hide: &Hidden::default(),
            request_id: None,
        },
    ))
}

/// The outcome in a table's words: its label, and the code or the wait in milliseconds.
fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied | Outcome::NotFound => outcome.label().to_owned(),
        Outcome::Throttled(wait) => format!("{} {}", outcome.label(), wait.as_millis()),
        Outcome::Forbidden(fault) => format!("forbidden {}", fault.code),
        Outcome::Rejected(fault) | Outcome::Unauthorized(fault) | Outcome::Unavailable(fault) => {
            format!("{} {}", outcome.label(), fault.code)
        }
    }
}
