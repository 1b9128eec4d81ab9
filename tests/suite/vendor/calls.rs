//! Calls that get through: what is sent, how it is let in, and what is counted.

use super::{ATTEMPTS, BOTH, Pair, delete, member, remove_ada};
use crate::support::DEADLINE;
use crate::support::settings;
use chrono::{TimeDelta, Utc};
use fake_mimecast::{AuthorizationKind, Fault, FaultKind};
use mimecast_eventd::command::Command;
use mimecast_eventd::event::{Domain, Member};
use mimecast_eventd::vendor::Stamp;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use tokio::time::Instant;
use uuid::Uuid;

#[tokio::test]
async fn a_command_is_applied_and_another_message_finds_nothing_to_do() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        pair.fake.add_member("group-1", "ada@example.com");
        pair.fake.add_member("group-1", "example.com");
        pair.fake.add_url("url-1");
        let domain = Member::Domain(Domain::parse("example.com").unwrap());
        let domain = Command::remove("group-1", &domain);
        for command in [remove_ada(), domain, delete("url-1")] {
            assert_eq!(pair.execute(&command).await.0, "applied");
            assert_eq!(pair.execute(&command).await.0, "not_found");
        }
        assert!(!pair.fake.is_member("group-1", "ada@example.com"));
        assert!(!pair.fake.is_member("group-1", "example.com"));
        assert!(!pair.fake.has_url("url-1"));
        assert_eq!(pair.operation_calls(), 6);
        assert_eq!(pair.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn the_item_arrives_as_it_is_however_odd() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        let (group, address) = ("eNo\"\\\n\u{1}äö=_-", "o'brien+\"x\"@exämple.com");
        pair.fake.add_member(group, address);
        let (group_id, member) = (group.to_owned(), member("ada@example.com"));
        let listed_as = Some(address.to_owned());
        let command = Command::RemoveGroupMember { group_id, member, listed_as };
        assert_eq!(pair.execute(&command).await.0, "applied");
        let item = pair.fake.calls().pop().unwrap().item;
        assert_eq!(item, json!({"id": group, "emailAddress": address}));
        assert_eq!(pair.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn each_attempt_has_a_date_and_id_of_its_own_and_is_signed_anew() {
    // Dates have whole seconds: each attempt gets one of its own, as if a second had passed.
    fn a_second_apart() -> Stamp {
        static SECONDS: AtomicI64 = AtomicI64::new(0);
        let passed = TimeDelta::seconds(SECONDS.fetch_add(1, Ordering::Relaxed));
        Stamp { at: Utc::now() - TimeDelta::minutes(1) + passed, request_id: Uuid::new_v4() }
    }
    let pair = Pair::stamped(settings::hmac, &[("RETRY__ATTEMPTS", "5")], a_second_apart).await;
    pair.fake.add_member("group-1", "ada@example.com");
    pair.fake.inject(Fault::next(FaultKind::status(503)).times(3));
    pair.fake.inject(Fault::next(FaultKind::Reset));
    let (outcome, history) = pair.execute(&remove_ada()).await;
    assert_eq!((&*outcome, history.attempts), ("applied", 5));
    let calls = pair.fake.calls();
    let dates: BTreeSet<_> = calls.iter().map(|call| call.date.clone().unwrap()).collect();
    let ids: BTreeSet<_> = calls.iter().map(|call| call.request_id.clone().unwrap()).collect();
    assert_eq!((calls.len(), dates.len(), ids.len()), (5, 5, 5));
    assert!(calls.iter().all(|call| call.authorization_kind == AuthorizationKind::Signature));
    // A signature that did not cover its own date and id would have been a 401.
    assert!(calls.iter().all(|call| call.status != Some(401)));
    assert_eq!(history.request_id.map(|id| id.to_string()), calls[4].request_id);
    assert_eq!(pair.fake.violations(), [""; 0]);
}

#[tokio::test]
async fn each_attempt_with_a_token_has_an_id_of_its_own_too() {
    let pair = Pair::new(BOTH[1]).await;
    pair.fake.inject(Fault::next(FaultKind::status(503)).times(2));
    let (outcome, history) = pair.execute(&remove_ada()).await;
    assert_eq!((&*outcome, history.attempts), ("already_gone", 3));
    let calls = pair.fake.calls();
    let calls: Vec<_> = calls.iter().filter(|call| call.operation.is_change()).collect();
    let ids: BTreeSet<_> = calls.iter().map(|call| call.request_id.clone().unwrap()).collect();
    assert_eq!((calls.len(), ids.len()), (3, 3));
    assert_eq!(history.request_id.map(|id| id.to_string()), calls[2].request_id);
    assert!(calls.iter().all(|call| call.authorization_kind == AuthorizationKind::Bearer));
}

#[tokio::test]
async fn a_quota_that_nobody_tells_of_is_unknown_and_not_used_up() {
    let pair = Pair::new(settings::hmac).await;
    let told = |remaining: &str| FaultKind::Status {
        status: 200,
        headers: BTreeMap::from([("x-ratelimit-remaining".into(), remaining.into())]),
        body: json!({"meta": {"status": 200}, "data": [], "fail": []}).to_string(),
        content_type: "application/json".into(),
    };
    pair.fake.inject(Fault::next(told("nobody knows")));
    pair.execute(&remove_ada()).await;
    let left = |operation: &str| {
        pair.metric(&format!("eventd_api_quota_remaining{{operation=\"{operation}\"}}"))
    };
    assert!(left("remove_group_member").is_nan());
    pair.fake.inject(Fault::next(told("7")));
    pair.execute(&remove_ada()).await;
    assert_eq!(left("remove_group_member"), 7.0);
    assert!(left("delete_managed_url").is_nan(), "that is another operation's");
}

#[tokio::test]
async fn wrong_credentials_of_any_kind_are_ours_and_get_one_second_try() {
    for (generation, name) in [
        (BOTH[0], "MIMECAST__ACCESS_KEY"),
        (BOTH[0], "MIMECAST__SECRET_KEY"),
        (BOTH[0], "MIMECAST__APP_ID"),
        (BOTH[0], "MIMECAST__APP_KEY"),
        (BOTH[1], "MIMECAST__CLIENT_ID"),
        (BOTH[1], "MIMECAST__CLIENT_SECRET"),
    ] {
        let pair = Pair::with(generation, &[ATTEMPTS, (name, "V1JPTkc=")]).await;
        let (outcome, history) = pair.execute(&remove_ada()).await;
        assert!(outcome.starts_with("unauthorized "), "{name}: {outcome}");
        assert_eq!((history.attempts, pair.fake.calls().len()), (2, 2), "{name}");
        assert_eq!(pair.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn credentials_that_are_accepted_again_work_at_once() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        pair.fake.add_url("url-1");
        pair.fake.refuse_credentials(true);
        let (outcome, _) = pair.execute(&delete("url-1")).await;
        assert!(outcome.starts_with("unauthorized "), "{outcome}");
        pair.fake.refuse_credentials(false);
        assert_eq!(pair.execute(&delete("url-1")).await.0, "applied");
    }
}

#[tokio::test]
async fn a_credential_that_the_vendor_echoes_never_reaches_the_fault() {
    let keys = "CANARY-access-key, CANARY-app-id and CANARY-app-key";
    for (generation, status, sent) in [
        (BOTH[0], 200, keys),
        (BOTH[0], 400, keys),
        (BOTH[0], 401, keys),
        (BOTH[0], 503, keys),
        (BOTH[1], 200, "CANARY-token-1"),
        (BOTH[1], 400, "CANARY-token-1"),
        // The second try has a token of its own.
        (BOTH[1], 401, "CANARY-token-2"),
    ] {
        let pair = Pair::new(generation).await;
        let error = json!({"code": sent, "message": format!("got {sent}"), "field": sent});
        let body = json!({"fail": [{"key": {"id": sent}, "errors": [error]}]}).to_string();
        // Of the first token nobody echoes the second one, and the id of each request is kept.
        let id = (status != 401).then(|| ("x-request-id".to_owned(), sent.to_owned()));
        let (headers, content_type) = (BTreeMap::from_iter(id), "application/json".into());
        let kind = FaultKind::Status { status, headers, body, content_type };
        pair.fake.inject(Fault::always(kind));
        let conclusion = pair.conclude(&remove_ada(), Instant::now() + DEADLINE).await;
        let told = format!("{conclusion:?}");
        assert!(told.contains("[secret]") && !told.contains("CANARY"), "{status}: {told}");
    }
}

#[tokio::test]
async fn a_code_that_nobody_knows_is_not_kept_with_the_request() {
    let pair = Pair::new(settings::hmac).await;
    pair.fake.inject(Fault::next(FaultKind::status(503)));
    pair.fake.inject(Fault::next(FaultKind::fail("words of a stranger")).times(2));
    let (outcome, history) = pair.execute(&remove_ada()).await;
    assert_eq!(outcome, "forbidden words of a stranger");
    let requests = history.executions[0].requests.iter();
    let codes: Vec<Option<&str>> = requests.map(|it| it.code.as_deref()).collect();
    assert_eq!(codes, [Some("http_503"), None, None]);
}

#[tokio::test]
async fn what_happened_is_what_the_metrics_say() {
    let pair = Pair::new(settings::hmac).await;
    pair.fake.add_member("group-1", "ada@example.com");
    pair.fake.inject(Fault::next(FaultKind::status(503)).times(2));
    pair.execute(&remove_ada()).await;
    pair.execute(&remove_ada()).await;
    pair.fake.inject(Fault::next(FaultKind::fail("err_validation_null")));
    pair.execute(&remove_ada()).await;
    pair.fake.inject(Fault::next(FaultKind::Throttle {
        // Far longer than it takes until the wait begins, which does not count as waited.
        reset_milliseconds: Some(2_000),
        retry_after: None,
    }));
    pair.fake.inject(Fault::next(FaultKind::Unauthorized).times(2));
    pair.execute(&delete("url-1")).await;
    pair.fake.inject(Fault::always(FaultKind::status(502)));
    pair.execute(&delete("url-1")).await;

    let mut expected = BTreeMap::new();
    for (operation, name, outcome, value) in [
        ("remove_group_member", "api_requests", "unavailable", 2.0),
        ("remove_group_member", "api_requests", "applied", 1.0),
        ("remove_group_member", "api_requests", "not_found", 1.0),
        ("remove_group_member", "api_requests", "rejected", 1.0),
        ("remove_group_member", "api_retries", "unavailable", 2.0),
        ("remove_group_member", "commands", "applied", 1.0),
        ("remove_group_member", "commands", "not_found", 1.0),
        ("remove_group_member", "commands", "rejected", 1.0),
        ("delete_managed_url", "api_requests", "throttled", 1.0),
        ("delete_managed_url", "api_requests", "unauthorized", 2.0),
        ("delete_managed_url", "api_requests", "unavailable", 3.0),
        ("delete_managed_url", "api_retries", "throttled", 1.0),
        ("delete_managed_url", "api_retries", "unauthorized", 1.0),
        ("delete_managed_url", "api_retries", "unavailable", 2.0),
        ("delete_managed_url", "commands", "unauthorized", 1.0),
        ("delete_managed_url", "commands", "unavailable", 1.0),
    ] {
        let label = if name == "commands" { "result" } else { "outcome" };
        let series =
            format!("eventd_{name}_total{{operation=\"{operation}\",{label}=\"{outcome}\"}}");
        assert_eq!(pair.metric(&series), value, "{series}");
        expected.insert(series, value);
    }
    let text = pair.metrics.text();
    let names =
        ["eventd_api_requests_total{", "eventd_api_retries_total{", "eventd_commands_total{"];
    let counted = text.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    for line in counted.filter(|line| !line.ends_with(" 0")) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        assert!(expected.contains_key(series), "{line} was not expected");
    }
    assert!(pair.metric("eventd_api_throttled_seconds_total") > 0.0);
    let timed = "eventd_api_request_seconds_count{operation=\"delete_managed_url\",outcome=\"unavailable\"}";
    assert_eq!(pair.metric(timed), 3.0);
}
