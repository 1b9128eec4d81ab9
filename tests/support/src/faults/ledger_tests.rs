//! A ledger that found nothing would prove nothing: each way in which a run can go wrong is told.

use super::ledger::Ledger;
use super::message::{Kind, Message};
use crate::broker::Found;
use fake_mimecast::{AuthorizationKind, Call, Operation};
use lapin::BasicProperties;
use serde_json::{Value, json};
use std::time::SystemTime;

#[test]
fn every_kind_in_its_own_place_closes_the_ledger() {
    let mut run = Run::default();
    for message in Kind::ALL.map(|kind| run.publish(kind)) {
        match message.kind.reason() {
            Some(reason) => run.dead_letter(&message.body(), reason),
            None if message.kind.may_be_applied() => run.carry_out(message),
            None => run.ledger.dead_lettered(&found(&message.body(), "", true)),
        }
    }
    let account = run.ledger.account();
    assert!(account.is_closed(), "{account}");
    assert_eq!((account.applied, account.dead_lettered, account.duplicated), (5, 8, 0));
    assert_eq!(account.reasons["by the broker"], 1);
}

#[test]
fn a_message_that_is_nowhere_is_lost_and_half_of_it_is_not_enough() {
    let mut run = Run::default();
    let (gone, half) = (run.publish(Kind::Good), run.publish(Kind::Good));
    run.calls.push(call(&half.items()[0], true));
    run.ledger.called(&run.calls, Vec::new());
    assert_eq!(run.ledger.account().lost, [gone.to_string(), half.to_string()]);
    assert_eq!(run.ledger.open(), run.ledger.account().lost);
}

#[test]
fn a_message_that_still_lies_in_a_queue_is_not_lost_and_not_settled_either() {
    let mut run = Run::default();
    let message = run.publish(Kind::Malformed);
    run.ledger.queued(&found(&message.body(), "", false));
    let account = run.ledger.account();
    assert_eq!((account.lost.len(), account.queued.len()), (0, 1));
    assert!(!account.is_closed());
}

#[test]
fn what_was_asked_for_and_not_acked_is_still_queued() {
    let mut run = Run::default();
    let (good, malformed) = (run.publish(Kind::Good), run.publish(Kind::Malformed));
    run.carry_out(good);
    run.dead_letter(&malformed.body(), "malformed");
    run.ledger.queued(&found(&good.body(), "", false));
    run.ledger.queued(&found(&malformed.body(), "", false));
    let account = run.ledger.account();
    assert_eq!((account.applied, account.lost.len(), account.queued.len()), (0, 0, 2));
    assert!(!account.is_closed());
}

#[test]
fn a_dead_letter_without_a_right_is_unexpected() {
    for (kind, reason) in [
        (Kind::Good, "rejected"),
        (Kind::Good, "retries_exhausted"),
        (Kind::Malformed, "unsupported"),
        (Kind::Refused, "retries_exhausted"),
        (Kind::Poison, "rejected"),
        (Kind::Malformed, ""),
    ] {
        let mut run = Run::default();
        let message = run.publish(kind);
        run.dead_letter(&message.body(), reason);
        assert_eq!(run.ledger.account().unexpected.len(), 1, "{message} for {reason}");
    }
    let mut run = Run::default();
    let message = run.publish(Kind::Malformed);
    run.dead_letter(&format!("{} and more", message.body()), "malformed");
    run.dead_letter("nobody's", "malformed");
    run.dead_letter("good-000077", "malformed");
    assert_eq!(run.ledger.account().unexpected.len(), 3);
}

#[test]
fn what_the_broker_dead_letters_is_unexpected_unless_it_may() {
    let mut run = Run::default();
    let message = run.publish(Kind::Good);
    run.ledger.dead_lettered(&found(&message.body(), "", true));
    assert_eq!(run.ledger.account().unexpected.len(), 1);
    run.ledger.broker_may_give_up = true;
    assert!(run.ledger.account().is_closed());
}

#[test]
fn an_effect_that_nobody_asked_for_is_unexpected() {
    let mut run = Run::default();
    let refused = run.publish(Kind::Refused);
    run.dead_letter(&refused.body(), "rejected");
    run.carry_out(refused);
    run.carry_out(Message { kind: Kind::Good, number: 77 });
    run.ledger.called(&run.calls, vec!["a signature that is wrong".into()]);
    assert_eq!(run.ledger.account().unexpected.len(), 5);
}

#[test]
fn what_happens_twice_is_counted() {
    let mut run = Run::default();
    let (good, malformed) = (run.publish(Kind::Good), run.publish(Kind::Malformed));
    run.carry_out(good);
    run.calls.push(call(&good.items()[0], false));
    run.ledger.called(&run.calls, Vec::new());
    run.dead_letter(&malformed.body(), "malformed");
    run.dead_letter(&malformed.body(), "malformed");
    let account = run.ledger.account();
    assert!(account.is_closed(), "{account}");
    assert_eq!((account.duplicated, account.dead_lettered), (2, 2));
}

#[test]
fn what_happens_twice_has_a_reason_or_the_ledger_does_not_close() {
    let mut run = Run::default();
    let good = run.publish(Kind::Good);
    run.carry_out(good);
    run.calls.push(call(&good.items()[0], false));
    run.ledger.called(&run.calls, Vec::new());
    for (answered, interruptions, closed) in
        [(3, 0, false), (2, 0, true), (3, 1, true), (0, 0, true)]
    {
        (run.ledger.answered, run.ledger.interruptions) = (answered, interruptions);
        let account = run.ledger.account();
        assert_eq!(account.is_closed(), closed, "{answered} {interruptions}: {account}");
    }
}

#[derive(Default)]
struct Run {
    ledger: Ledger,
    calls: Vec<Call>,
}

impl Run {
    fn publish(&mut self, kind: Kind) -> Message {
        let message = Message { kind, number: self.ledger.next_number() };
        self.ledger.published(message);
        message
    }

    fn carry_out(&mut self, message: Message) {
        self.calls.extend(message.items().iter().map(|item| call(item, true)));
        self.ledger.called(&self.calls, Vec::new());
    }

    fn dead_letter(&mut self, body: &str, reason: &str) {
        self.ledger.dead_lettered(&found(body, reason, false));
    }
}

/// A call that was carried out: for real, or because it was so already.
fn call(item: &str, applied: bool) -> Call {
    let item = match item.split_once(' ') {
        Some((member, group)) => json!({ "id": group, "emailAddress": member }),
        None => json!({ "id": item }),
    };
    Call {
        operation: Operation::DeleteManagedUrl,
        item,
        request_id: None,
        authorization_kind: AuthorizationKind::Signature,
        date: None,
        status: Some(200),
        code: (!applied).then(|| "err_managed_url_not_found".to_owned()),
        applied,
        at: SystemTime::UNIX_EPOCH,
    }
}

fn found(body: &str, reason: &str, by_the_broker: bool) -> Found {
    let by = if by_the_broker { "x-death" } else { "x-eventd-reason" };
    let headers = [(by.to_owned(), Value::from(reason))].into();
    Found { body: body.into(), headers, properties: BasicProperties::default() }
}
