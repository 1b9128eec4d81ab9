//! What must hold for any reply, whatever its bytes, and for any run of conclusions.

use mimecast_eventd::command::Operation::{self, DeleteManagedUrl, RemoveGroupMember};
use mimecast_eventd::secrecy::{Hidden, Secret};
use mimecast_eventd::verdict::{
    Cause, Conclusion, Disposition, Fault, Outcome, Reason, Reply, Stuck,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::time::Duration;

const GONE: [(Operation, &str); 2] = [
    (RemoveGroupMember, "err_folder_email_address_not_found"),
    (DeleteManagedUrl, "err_managed_url_not_found"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn applied_needs_success_in_every_place_where_a_failure_could_stand(
        status in statuses(), body in bodies(), operation in operations(),
    ) {
        let outcome = read(operation, status, body.to_string().as_bytes(), &Hidden::default());
        if outcome == Outcome::Applied {
            prop_assert!((200..300).contains(&status));
            let in_body = body.pointer("/meta/status").unwrap_or(&Value::Null);
            let in_body = in_body.is_null() || in_body.as_u64().is_some_and(|it| it / 100 == 2);
            prop_assert!(in_body, "{}", body);
            prop_assert_eq!(&body["fail"], &json!([]));
            prop_assert!(body["errors"].is_null() || body["errors"] == json!([]), "{}", body);
            prop_assert!(body["error"].is_null(), "{}", body);
        }
    }

    #[test]
    fn already_gone_needs_the_code_of_the_operation(
        status in statuses(), body in bodies(), operation in operations(),
    ) {
        let body = body.to_string();
        if read(operation, status, body.as_bytes(), &Hidden::default()) == Outcome::NotFound {
            let (_, code) = GONE.into_iter().find(|(gone, _)| *gone == operation).unwrap();
            prop_assert!(body.contains(code), "{}", body);
            prop_assert!(status < 500);
        }
    }

    #[test]
    fn any_bytes_under_any_status_are_read_without_a_panic(
        status in any::<u16>(), body in proptest::collection::vec(any::<u8>(), 0..256),
        operation in operations(),
    ) {
        let outcome = read(operation, status, &body, &Hidden::default());
        prop_assert!(Outcome::LABELS.contains(&outcome.label()));
    }

    #[test]
    fn a_secret_that_the_vendor_echoes_is_not_repeated(
        status in statuses(), shape in 0_usize..6, secrets in secrets(), before in ".{0,40}",
        operation in operations(),
    ) {
        let echo = format!("{before}{}", secrets.join(before.get(..1).unwrap_or_default()));
        let body = match shape {
            0 => json!({"fail": [{"errors": [{"code": "e", "message": echo}]}]}),
            1 => json!({"fail": [{"code": echo, "message": echo, "field": echo}]}),
            2 => json!({"fail": [{"code": {echo.clone(): echo}}]}),
            3 => json!({"errors": [{"code": "e", "field": echo}]}),
            4 => json!({"error": echo, "error_description": echo}),
            _ => json!({"meta": {"status": echo}, "fail": [], "error": [echo]}),
        };
        let hide: Vec<Secret> = secrets.iter().map(Secret::new).collect();
        let outcome = read(operation, status, body.to_string().as_bytes(), &Hidden::of(&hide));
        let shown = format!("{outcome:?}");
        for secret in secrets {
            prop_assert!(!shown.contains(&secret), "{}", shown);
        }
    }

    #[test]
    fn only_effects_that_hold_are_acked(conclusions in conclusions()) {
        let held = conclusions.iter().all(|conclusion| matches!(
            conclusion, Conclusion::Applied | Conclusion::AlreadyGone
        ));
        let decided = Disposition::of_conclusions(conclusions);
        prop_assert_eq!(decided == Ok(Disposition::Ack), held);
    }

    #[test]
    fn only_a_refusal_is_dead_lettered_and_nothing_that_could_still_succeed(
        conclusions in conclusions(),
    ) {
        let decided = Disposition::of_conclusions(conclusions.clone());
        if let Ok(Disposition::DeadLetter(reason, fault)) = decided {
            prop_assert!(conclusions.contains(&Conclusion::Refused(reason, fault)));
            prop_assert!(conclusions.iter().all(|conclusion| matches!(
                conclusion,
                Conclusion::Applied | Conclusion::AlreadyGone | Conclusion::Refused(..)
            )));
        }
    }

    #[test]
    fn the_order_of_the_conclusions_does_not_change_the_kind_of_decision(
        conclusions in conclusions(),
    ) {
        let kind = |conclusions| match Disposition::of_conclusions(conclusions) {
            Ok(disposition) => (disposition.label(), None),
            Err(stuck) => ("judge", Some(stuck.cause)),
        };
        let reversed: Vec<Conclusion> = conclusions.iter().rev().cloned().collect();
        prop_assert_eq!(kind(conclusions), kind(reversed));
    }
}

fn read(operation: Operation, status: u16, body: &[u8], hide: &Hidden) -> Outcome {
    Outcome::of_reply(
        operation,
        Reply { status, body, wait: Duration::ZERO, hide, request_id: None },
    )
}

fn operations() -> impl Strategy<Value = Operation> {
    prop::sample::select(Operation::ALL.to_vec())
}

fn statuses() -> impl Strategy<Value = u16> {
    prop_oneof![3 => Just(200_u16), 1 => 200_u16..300, 2 => 300_u16..600, 1 => any::<u16>()]
}

fn secrets() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("canary-[!-~]{1,30}", 1..4)
}

/// Replies near to success, with something odd in any of the places that decide.
fn bodies() -> impl Strategy<Value = Value> {
    let part = || prop_oneof![2 => Just(None), 1 => odd().prop_map(Some)];
    let status = prop_oneof![
        3 => Just(Some(json!(200))),
        1 => (100_u16..600).prop_map(|status| Some(json!(status))),
        2 => part(),
    ];
    let fail = prop_oneof![3 => Just(Some(json!([]))), 2 => part()];
    let near = (status, fail, part(), part()).prop_map(|(status, fail, errors, error)| {
        let mut body = json!({"meta": {}, "data": []});
        if let Some(status) = status {
            body["meta"]["status"] = status;
        }
        for (name, value) in [("fail", fail), ("errors", errors), ("error", error)] {
            if let Some(value) = value {
                body[name] = value;
            }
        }
        body
    });
    prop_oneof![8 => near, 1 => odd()]
}

/// Any JSON, in the vendor's own words where it can be.
fn odd() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        prop::sample::select(vec![
            GONE[0].1,
            GONE[1].1,
            "token_expired",
            "err_validation_x",
            "200"
        ])
        .prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (0_u32..700).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word,
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let name = prop::sample::select(vec!["code", "message", "errors", "error", "key", "field"]);
        let member = (name.prop_map(str::to_owned), inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            proptest::collection::vec(member, 0..4)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn conclusions() -> impl Strategy<Value = Vec<Conclusion>> {
    let conclusion = ("[a-z]{1,6}", 0_usize..9).prop_map(|(code, kind)| {
        let fault = Fault::new(&code, "");
        let stuck = |cause, fault| {
            let operation = Operation::FindGroups;
            Conclusion::Stuck(Stuck { operation, group: None, cause, fault })
        };
        match kind {
            0 => Conclusion::AlreadyGone,
            1 => Conclusion::Refused(Reason::Rejected, fault),
            6 => Conclusion::Refused(Reason::Ambiguous, fault),
            2 => stuck(Cause::Refused, fault),
            3 => stuck(Cause::Passing, fault),
            4 => Conclusion::OutOfTime,
            5 => Conclusion::Stopped,
            _ => Conclusion::Applied,
        }
    });
    proptest::collection::vec(conclusion, 1..6)
}
