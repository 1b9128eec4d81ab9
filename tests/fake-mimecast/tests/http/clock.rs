//! The fake's clock, by which it dates its replies and judges dates.

use chrono::{NaiveDateTime, TimeDelta, Utc};
use fake_mimecast::{Fault, FaultKind, Operation};
use serde_json::{Value, json};

use crate::client::{
    ADA, Answer, DATE_FORMAT, Draft, ada_leaves, ada_leaves_at, fake_with_ada, removal_of, token_of,
};

fn ada_leaves_after(ahead: TimeDelta) -> Draft {
    ada_leaves_at(&(Utc::now() + ahead).format(DATE_FORMAT).to_string())
}

/// By how much the reply's date is ahead.
fn ahead(answer: &Answer) -> TimeDelta {
    let date = NaiveDateTime::parse_from_str(&answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT");
    date.expect("a date has its firm form").and_utc() - Utc::now()
}

fn assert_near(found: TimeDelta, wanted: TimeDelta) {
    assert!((found - wanted).abs() < TimeDelta::seconds(60), "{found} is not about {wanted}");
}

#[tokio::test]
async fn every_reply_is_dated_by_the_clock_of_the_fake() {
    let fake = fake_with_ada().await;
    for wanted in [TimeDelta::zero(), TimeDelta::minutes(10), -TimeDelta::days(400)] {
        fake.set_clock_ahead(wanted);
        fake.inject(Fault::next(FaultKind::Html { status: 502 }).for_operation(Operation::Token));
        fake.inject(Fault::next(FaultKind::Truncated).for_item_containing("truncated"));
        for draft in [
            ada_leaves(),
            ada_leaves().without("content-type"),
            Draft::token("CANARY-client-id", "CANARY-client-secret"),
            Draft::signed(Operation::RemoveGroupMember, &removal_of("truncated@example.org")),
            Draft::control("GET", "calls", &Value::Null),
            Draft::control("GET", "nothing", &Value::Null),
        ] {
            assert_near(ahead(&draft.send(&fake).await), wanted);
        }
    }
}

#[tokio::test]
async fn a_date_too_far_off_is_a_wrong_signature_but_no_violation() {
    let fake = fake_with_ada().await;
    for minutes in [-16, 16] {
        let off = ada_leaves_after(TimeDelta::minutes(minutes)).send(&fake).await;
        assert_eq!((off.status, off.code()), (401, json!("err_xdk_invalid_signature")));
        assert_near(ahead(&off), TimeDelta::zero());
    }
    for minutes in [-14, 14] {
        let near = ada_leaves_after(TimeDelta::minutes(minutes)).send(&fake).await;
        assert_eq!(near.status, 200);
    }
    assert_eq!(fake.violations(), [""; 0]);
}

#[tokio::test]
async fn a_date_is_judged_by_the_clock_of_the_fake() {
    let fake = fake_with_ada().await;
    fake.set_clock_ahead(TimeDelta::hours(1));
    assert_eq!(ada_leaves().send(&fake).await.status, 401);
    assert_eq!(ada_leaves_after(TimeDelta::hours(1)).send(&fake).await.status, 200);
    fake.set_clock_ahead(TimeDelta::zero());
    assert_eq!(ada_leaves().send(&fake).await.status, 200);
}

#[tokio::test]
async fn api_2_0_does_not_care_for_the_date() {
    let fake = fake_with_ada().await;
    let token = token_of(&fake).await;
    fake.set_clock_ahead(TimeDelta::hours(1));
    let date = Utc::now().format(DATE_FORMAT).to_string();
    let call = Draft::bearing(&token, Operation::RemoveGroupMember, &removal_of(ADA))
        .with("x-mc-date", date);
    assert_eq!(call.send(&fake).await.status, 200);
    assert_eq!(fake.violations(), [""; 0]);
}

#[tokio::test]
#[should_panic(expected = "no clock is")]
async fn a_time_that_does_not_exist_is_refused() {
    fake_with_ada().await.set_clock_ahead(TimeDelta::MAX);
}
