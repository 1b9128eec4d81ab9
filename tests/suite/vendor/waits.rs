//! Waits between attempts: what the vendor asks for, what the deadline allows, what a stop ends.

use super::{ATTEMPTS, BOTH, Pair, delete, remove_ada};
use crate::support::DEADLINE;
use fake_mimecast::{Fault, FaultKind};
use futures_util::future::join_all;
use mimecast_eventd::command::Command;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test]
async fn a_429_is_waited_out_and_never_counts_as_an_attempt_of_the_policy() {
    for generation in BOTH {
        let pair = Pair::with(generation, &[("RETRY__ATTEMPTS", "2")]).await;
        pair.fake.add_url("url-1");
        pair.fake.inject(Fault::next(throttle(Some(1), None)).times(5));
        pair.fake.inject(Fault::next(FaultKind::status(503)));
        pair.fake.inject(Fault::next(throttle(Some(1), None)).times(5));
        let (outcome, history) = pair.execute(&delete("url-1")).await;
        assert_eq!((&*outcome, history.attempts), ("applied", 12));
        assert_eq!(pair.fake.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn between_attempts_there_is_a_wait() {
    let own = [
        ("RETRY__ATTEMPTS", "20"),
        ("RETRY__INITIAL_DELAY", "100ms"),
        ("RETRY__MAX_DELAY", "100ms"),
    ];
    let pair = Pair::with(BOTH[0], &own).await;
    pair.fake.inject(Fault::always(FaultKind::status(503)));
    let started = Instant::now();
    let (outcome, history) = pair.execute(&remove_ada()).await;
    assert_eq!((&*outcome, history.attempts), ("unavailable http_503", 20));
    // Nineteen waits of up to 100 ms each: by chance they are not all next to nothing.
    assert!(started.elapsed() > Duration::from_millis(200), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_used_up_quota_is_waited_for_before_the_vendor_has_to_refuse_a_call() {
    for generation in BOTH {
        let pair = Pair::with(generation, &[("RETRY__ATTEMPTS", "1")]).await;
        pair.fake.limit(3, Duration::from_secs(2));
        for n in 0..5 {
            let id = format!("url-{n}");
            pair.fake.add_url(&id);
            assert_eq!(pair.execute(&delete(&id)).await.0, "applied");
        }
        assert!(pair.fake.calls().iter().all(|call| call.status == Some(200)));
        // The first calls take far less than the window.
        assert!(pair.metric("eventd_api_throttled_seconds_total") > 0.5);
    }
}

#[tokio::test]
async fn those_that_wait_for_the_same_moment_do_not_all_call_in_it() {
    let pair = Pair::new(BOTH[0]).await;
    pair.fake.inject(Fault::next(throttle(Some(2_000), None)));
    // It has no time for the wait, and leaves it to those that come after it.
    let soon = Instant::now() + Duration::from_secs(1);
    assert_eq!(pair.execute_until(&delete("url-0"), soon).await.0, "throttled");
    let commands: Vec<Command> = (0..20).map(|n| delete(&format!("url-{n}"))).collect();
    let concluded = join_all(commands.iter().map(|command| pair.execute(command))).await;
    assert!(concluded.iter().all(|(outcome, _)| outcome == "not_found"), "{concluded:?}");
    let calls = pair.fake.calls();
    let times = || calls.iter().skip(1).map(|call| call.at);
    let (first, last) = (times().min().unwrap(), times().max().unwrap());
    // Anywhere in a tenth of the wait: by chance twenty of them are not all in a third of that.
    let spread = last.duration_since(first).unwrap();
    assert!(spread > Duration::from_millis(70), "all within {spread:?}");
}

#[tokio::test]
async fn retry_after_comes_before_the_reset() {
    let (soon, never) = (Some(1), Some(3_600_000));
    for (kind, expected) in [
        (throttle(never, Some("0")), "already_gone"),
        (throttle(soon, Some("3600")), "throttled"),
        (throttle(soon, Some("Fri, 31 Dec 2100 23:59:59 GMT")), "throttled"),
        (throttle(never, Some("Sat, 21 Nov 2015 10:00:00 GMT")), "already_gone"),
        (throttle(soon, Some("soon")), "already_gone"),
        (throttle(never, None), "throttled"),
    ] {
        let pair = Pair::new(BOTH[0]).await;
        pair.fake.inject(Fault::next(kind.clone()));
        // A wait beyond the deadline is not begun, so nothing here takes long.
        let (outcome, _) = pair.execute(&remove_ada()).await;
        assert_eq!(outcome, expected, "{kind:?}");
    }
}

#[tokio::test]
async fn whoever_is_unavailable_may_say_for_how_long() {
    let unavailable = |after: &str| FaultKind::Status {
        status: 503,
        headers: BTreeMap::from([("retry-after".into(), after.into())]),
        body: String::new(),
        content_type: String::new(),
    };
    let own = [ATTEMPTS, ("RETRY__INITIAL_DELAY", "1ms"), ("RETRY__MAX_DELAY", "2s")];
    let pair = Pair::with(BOTH[0], &own).await;
    pair.fake.inject(Fault::next(unavailable("1")));
    let started = Instant::now();
    let (outcome, history) = pair.execute(&remove_ada()).await;
    assert_eq!((&*outcome, history.attempts), ("already_gone", 2));
    assert!(started.elapsed() >= Duration::from_secs(1));
    // Longer than there is between attempts: it is not for them to wait.
    pair.fake.inject(Fault::next(unavailable("3")));
    let (outcome, history) = pair.execute(&remove_ada()).await;
    assert_eq!((&*outcome, history.attempts), ("unavailable http_503", 1));
}

#[tokio::test]
async fn a_vendor_that_asks_for_no_wait_at_all_is_not_flooded() {
    let own = [ATTEMPTS, ("RETRY__INITIAL_DELAY", "20ms"), ("RETRY__MAX_DELAY", "20ms")];
    for kind in [throttle(Some(0), None), throttle(None, Some("0"))] {
        let pair = Pair::with(BOTH[0], &own).await;
        pair.fake.inject(Fault::always(kind));
        let deadline = Instant::now() + Duration::from_millis(200);
        let (outcome, history) = pair.execute_until(&remove_ada(), deadline).await;
        assert_eq!(outcome, "throttled");
        assert!(history.attempts <= 11, "{} attempts in 200 ms", history.attempts);
    }
}

#[tokio::test]
async fn no_attempt_begins_after_the_deadline() {
    for generation in BOTH {
        let pair = Pair::with(generation, &[("RETRY__ATTEMPTS", "100")]).await;
        for kind in [FaultKind::status(503), FaultKind::Unauthorized, throttle(Some(1), None)] {
            pair.fake.inject(Fault::always(kind.clone()));
            let (outcome, history) = pair.execute_until(&remove_ada(), Instant::now()).await;
            assert_eq!(history.attempts, 1, "{kind:?}: {outcome}");
            pair.fake.heal();
        }
    }
}

#[tokio::test]
async fn a_stop_ends_the_wait_between_attempts() {
    for generation in BOTH {
        let own = [ATTEMPTS, ("RETRY__INITIAL_DELAY", "4m"), ("RETRY__MAX_DELAY", "4m")];
        for kind in [throttle(Some(200_000), None), FaultKind::Unauthorized] {
            let pair = Pair::with(generation, &own).await;
            pair.fake.inject(Fault::always(kind.clone()));
            let command = remove_ada();
            let far = Instant::now() + Duration::from_hours(1);
            let stopped = async {
                tokio::join!(pair.execute_until(&command, far), async {
                    pair.fake.wait_for_calls(1, DEADLINE).await;
                    pair.stop.cancel();
                })
            };
            let stopped = tokio::time::timeout(DEADLINE, stopped).await;
            let ((outcome, history), ()) = stopped.expect("the stop ends the wait");
            assert_eq!((&*outcome, history.attempts), ("stopped", 1), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_stop_does_not_end_a_request_under_way() {
    for generation in BOTH {
        let pair = Pair::new(generation).await;
        pair.fake.add_member("group-1", "ada@example.com");
        pair.fake.inject(Fault::next(FaultKind::Hold));
        let command = remove_ada();
        let (conclusion, ()) = tokio::join!(pair.execute(&command), async {
            pair.fake.wait_for_calls(1, DEADLINE).await;
            pair.stop.cancel();
            pair.fake.release();
        });
        assert_eq!(conclusion.0, "applied");
        assert_eq!(pair.execute(&command).await.0, "stopped");
        assert_eq!(pair.operation_calls(), 1, "after a stop no request begins");
    }
}

fn throttle(reset_milliseconds: Option<u64>, retry_after: Option<&str>) -> FaultKind {
    FaultKind::Throttle { reset_milliseconds, retry_after: retry_after.map(str::to_owned) }
}
