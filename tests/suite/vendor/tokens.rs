//! The tokens of API 2.0: fetched once, renewed in time, renewed after a refusal.

use super::{ATTEMPTS, Pair, delete, quick, remove_ada};
use crate::support::DEADLINE;
use crate::support::settings::{self, named, oauth2};
use fake_mimecast::{Fault, FaultKind, Operation};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test]
async fn one_token_serves_many_calls_at_once_and_after_each_other() {
    let pair = Pair::new(oauth2).await;
    let command = delete("url-1");
    tokio::join!(pair.execute(&command), pair.execute(&command), pair.execute(&command));
    pair.execute(&remove_ada()).await;
    assert_eq!((pair.fake.tokens_issued(), pair.operation_calls()), (1, 4));
}

#[tokio::test]
async fn a_reload_keeps_the_token_as_long_as_who_calls_is_the_same() {
    let pair = Pair::new(oauth2).await;
    pair.execute(&remove_ada()).await;
    for (timeout, tokens) in [(None, 1), (Some("7s"), 2), (Some("7s"), 2)] {
        let mut variables = oauth2(&pair.fake);
        variables.extend(timeout.map(|timeout| named("MIMECAST__TIMEOUT", timeout)));
        variables.extend([named(ATTEMPTS.0, ATTEMPTS.1)]);
        let renewed = settings::read(&variables).unwrap();
        let mimecast = quick(renewed.mimecast);
        pair.current.renew(&mimecast, renewed.retry, renewed.contract.guards).unwrap();
        assert_eq!(pair.execute(&remove_ada()).await.0, "not_found");
        assert_eq!(pair.fake.tokens_issued(), tokens, "with the timeout {timeout:?}");
    }
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    // A minute before its end, or a fifth of its life if that is less.
    for (lifetime, renewed_after) in [(1799, 1739), (100, 80)] {
        let pair = Pair::new(oauth2).await;
        pair.fake.token_lifetime(lifetime);
        pair.execute(&remove_ada()).await;
        pass(Duration::from_secs(renewed_after - 2)).await;
        pair.execute(&remove_ada()).await;
        assert_eq!(pair.fake.tokens_issued(), 1);
        pass(Duration::from_secs(3)).await;
        pair.execute(&remove_ada()).await;
        assert_eq!(pair.fake.tokens_issued(), 2);
        assert!(pair.fake.calls().iter().all(|call| call.status == Some(200)));
    }
}

#[tokio::test]
async fn a_revoked_token_is_renewed_once_and_for_all_calls() {
    let pair = Pair::new(oauth2).await;
    pair.execute(&remove_ada()).await;
    pair.fake.revoke_tokens();
    let command = delete("url-1");
    let (one, other) = tokio::join!(pair.execute(&command), pair.execute(&command));
    assert_eq!((&*one.0, &*other.0), ("already_gone", "already_gone"));
    assert!(one.1.attempts <= 2 && other.1.attempts <= 2);
    assert_eq!(pair.fake.tokens_issued(), 2);
    assert_eq!(pair.fake.violations(), [""; 0]);
}

#[tokio::test]
async fn a_token_is_renewed_after_a_401_that_says_nothing() {
    let pair = Pair::new(oauth2).await;
    pair.execute(&remove_ada()).await;
    for page in [FaultKind::EmptyBody { status: 401 }, FaultKind::Html { status: 401 }] {
        let before = pair.fake.tokens_issued();
        pair.fake.inject(Fault::next(page).for_operation(Operation::RemoveGroupMember));
        assert_eq!(pair.execute(&remove_ada()).await.0, "already_gone");
        assert_eq!(pair.fake.tokens_issued(), before + 1);
    }
}

#[tokio::test]
async fn nobody_waits_for_a_token_beyond_the_end_of_the_messages_time() {
    let pair = Pair::with(oauth2, &[("MIMECAST__TIMEOUT", "4m"), ("RETRY__ATTEMPTS", "1")]).await;
    pair.fake.inject(Fault::always(FaultKind::Hang).for_operation(Operation::Token));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
    let command = remove_ada();
    let waiting = tokio::time::timeout(DEADLINE, pair.execute_until(&command, deadline));
    let (outcome, _) = waiting.await.expect("it is given up in time");
    assert_eq!(outcome, "unavailable timeout");
}

#[tokio::test]
async fn a_token_is_used_whatever_is_said_about_its_end() {
    for expires_in in [json!(u64::MAX), json!(0), json!(null), json!("3600"), json!(-1)] {
        let pair = Pair::new(oauth2).await;
        pair.execute(&remove_ada()).await;
        pair.fake.revoke_tokens();
        let grant = json!({"access_token": "CANARY-token-2", "expires_in": expires_in});
        pair.fake
            .inject(Fault::next(reply(200, grant.to_string())).for_operation(Operation::Token));
        // The fake did not issue it, so it is refused and another one must be fetched.
        let (outcome, _) = pair.execute(&remove_ada()).await;
        assert_eq!(outcome, "unauthorized unauthorized", "{expires_in}");
        assert_eq!(pair.execute(&remove_ada()).await.0, "not_found", "{expires_in}");
    }
}

#[tokio::test]
async fn a_new_token_that_is_not_known_everywhere_yet_is_used_again_and_not_replaced() {
    let refusals = |times| {
        let kind = FaultKind::FlatFail { status: 401, code: "token_verification_failed".into() };
        Fault::next(kind).times(times).for_operation(Operation::RemoveGroupMember)
    };
    let pair = Pair::new(oauth2).await;
    let mut patient = settings::read(&oauth2(&pair.fake)).unwrap();
    patient.mimecast.timings.token_wait = Duration::from_millis(100);
    patient.mimecast.timings.token_young = Duration::from_mins(10);
    let guards = patient.contract.guards;
    pair.current.renew(&patient.mimecast, patient.retry, guards).unwrap();
    pair.fake.inject(refusals(3));
    let (outcome, history) = pair.execute(&remove_ada()).await;
    assert_eq!((&*outcome, history.attempts), ("already_gone", 4));
    assert_eq!(pair.fake.tokens_issued(), 1);
    let calls = pair.fake.calls();
    let times: Vec<_> = calls
        .iter()
        .filter(|call| call.operation == Operation::RemoveGroupMember)
        .map(|call| call.at)
        .collect();
    for (pair, least) in times.windows(2).zip([100, 200, 400]) {
        let waited = pair[1].duration_since(pair[0]).unwrap();
        assert!(waited >= Duration::from_millis(least), "{waited:?}, not {least} ms");
    }
    // One that was accepted before is replaced at once.
    pair.fake.inject(refusals(1));
    pair.execute(&remove_ada()).await;
    assert_eq!(pair.fake.tokens_issued(), 2);
}

#[tokio::test]
async fn a_token_that_is_refused_for_too_long_is_replaced() {
    let pair = Pair::new(oauth2).await;
    let kind = FaultKind::FlatFail { status: 401, code: "token_verification_failed".into() };
    pair.fake.inject(Fault::next(kind).for_operation(Operation::RemoveGroupMember));
    let (outcome, history) = pair.execute(&remove_ada()).await;
    assert_eq!((&*outcome, history.attempts, pair.fake.tokens_issued()), ("already_gone", 2, 2));
}

#[tokio::test]
async fn tokens_that_are_refused_are_not_fetched_without_a_break() {
    let pair = Pair::new(oauth2).await;
    pair.fake
        .inject(Fault::always(FaultKind::Forbidden).for_operation(Operation::RemoveGroupMember));
    pair.execute(&remove_ada()).await;
    let calls = pair.fake.calls();
    let fetched: Vec<_> =
        calls.iter().filter(|it| it.operation == Operation::Token).map(|it| it.at).collect();
    assert_eq!(fetched.len(), 2, "a permission that is missing needs no wait for the token");
    assert!(fetched[1].duration_since(fetched[0]).unwrap() >= Duration::from_millis(10));
}

#[tokio::test]
async fn a_token_that_fits_into_no_header_is_refused_where_it_is_fetched() {
    for token in ["", "two words", "line\nbreak", "é", &"x".repeat(16 * 1024 + 1)] {
        let pair = Pair::new(oauth2).await;
        let grant = json!({"access_token": token, "expires_in": 1799}).to_string();
        pair.fake.inject(Fault::always(reply(200, grant)).for_operation(Operation::Token));
        assert_eq!(pair.execute(&remove_ada()).await.0, "unavailable no_token");
        assert_eq!(pair.operation_calls(), 0);
    }
}

#[tokio::test]
async fn no_fault_of_the_token_endpoint_is_the_items_fault() {
    let no_token = json!({"token_type": "Bearer", "expires_in": 1799}).to_string();
    for (kind, expected, attempts) in [
        (FaultKind::status(400), "unauthorized http_400", 2),
        (FaultKind::status(404), "unauthorized http_404", 2),
        (
            FaultKind::OAuthShape { status: 400, error: "invalid_scope".into() },
            "unauthorized invalid_scope",
            2,
        ),
        (
            FaultKind::OAuthShape { status: 401, error: "invalid_client".into() },
            "unauthorized invalid_client",
            2,
        ),
        (
            FaultKind::OAuthShape { status: 200, error: "invalid_client".into() },
            "unauthorized invalid_client",
            2,
        ),
        (FaultKind::Forbidden, "unauthorized app_forbidden", 2),
        (FaultKind::status(500), "unavailable http_500", 3),
        (FaultKind::status(503), "unavailable http_503", 3),
        (FaultKind::status(302), "unavailable http_302", 3),
        (FaultKind::Html { status: 200 }, "unavailable no_verdict", 3),
        (FaultKind::Html { status: 502 }, "unavailable http_502", 3),
        (FaultKind::NotJson, "unavailable no_verdict", 3),
        (FaultKind::Reset, "unavailable connection", 3),
        (FaultKind::LoseReply, "unavailable connection", 3),
        (FaultKind::Hang, "unavailable timeout", 3),
        (reply(200, no_token), "unavailable no_verdict", 3),
        (
            reply(200, json!({"meta": {"status": 200}, "fail": []}).to_string()),
            "unavailable no_token",
            3,
        ),
    ] {
        let pair = Pair::with(oauth2, &[ATTEMPTS, ("MIMECAST__TIMEOUT", "3s")]).await;
        pair.fake.inject(Fault::always(kind.clone()).for_operation(Operation::Token));
        let (outcome, history) = pair.execute(&remove_ada()).await;
        assert_eq!((&*outcome, history.attempts), (expected, attempts), "{kind:?}");
        assert_eq!(pair.operation_calls(), 0, "{kind:?}");
        pair.fake.heal();
        assert_eq!(pair.execute(&remove_ada()).await.0, "not_found", "{kind:?}");
        assert_eq!(pair.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_token_is_taken_from_a_success_only() {
    let grant = json!({"access_token": "CANARY-token-1", "expires_in": 1799}).to_string();
    for (status, expected) in [
        (400, "unauthorized http_400"),
        (403, "unauthorized http_403"),
        (500, "unavailable http_500"),
        (302, "unavailable http_302"),
    ] {
        let pair = Pair::new(oauth2).await;
        let kind = reply(status, grant.clone());
        pair.fake.inject(Fault::always(kind).for_operation(Operation::Token));
        assert_eq!(pair.execute(&remove_ada()).await.0, expected, "{status}");
        assert_eq!(pair.operation_calls(), 0, "{status}");
    }
}

#[tokio::test]
async fn a_refused_token_that_was_replaced_meanwhile_takes_the_new_one_not_along() {
    let pair = Pair::new(oauth2).await;
    // The first call is held and will be refused when the second has fetched a new token.
    pair.execute(&remove_ada()).await;
    let (held, command) = (Fault::next(FaultKind::Hold), delete("held"));
    pair.fake.inject(held.for_item_containing("held"));
    let calls = pair.operation_calls();
    let (late, ()) = tokio::join!(pair.execute(&command), async {
        pair.fake.wait_for_calls(calls + 1, DEADLINE).await;
        pair.fake.revoke_tokens();
        pair.execute(&remove_ada()).await;
        assert_eq!(pair.fake.tokens_issued(), 2);
        pair.fake.release();
    });
    assert_eq!((&*late.0, late.1.attempts), ("already_gone", 2));
    assert_eq!(pair.fake.tokens_issued(), 2, "the new token was thrown away too");
}

#[tokio::test]
async fn a_token_endpoint_that_asks_to_wait_is_waited_for() {
    let pair = Pair::new(oauth2).await;
    let throttle = FaultKind::Throttle { reset_milliseconds: Some(1), retry_after: None };
    pair.fake.inject(Fault::next(throttle).times(10).for_operation(Operation::Token));
    let (outcome, history) = pair.execute(&remove_ada()).await;
    assert_eq!((&*outcome, history.attempts), ("already_gone", 11));
}

#[tokio::test]
async fn neither_client_nor_secret_is_repeated_from_the_token_endpoint() {
    let pair = Pair::new(oauth2).await;
    let echo = "CANARY-client-id and CANARY-client-secret are not known";
    let body = json!({"error": echo, "error_description": echo}).to_string();
    pair.fake.inject(Fault::always(reply(401, body)).for_operation(Operation::Token));
    let (outcome, _) = pair.execute(&remove_ada()).await;
    assert_eq!(outcome, "unauthorized [secret] and [secret] are not known");
}

/// Lets so much time pass at once, for the tokens of both sides.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

fn reply(status: u16, body: String) -> FaultKind {
    let content_type = "application/json".to_owned();
    FaultKind::Status { status, headers: BTreeMap::new(), body, content_type }
}
