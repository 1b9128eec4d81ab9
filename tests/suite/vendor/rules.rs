//! The rules of the policy as the vendor keeps them: which are in force, what they let through, and what a dry run
//! leaves undone.

use super::groups::{leave, reply};
use super::inventory::unblock;
use super::{ATTEMPTS, BOTH, Pair, effort, remove, shown};
use crate::support::settings::{self, named};
use fake_mimecast::{Fault, FaultKind, Operation};
use mimecast_eventd::command::Intent;
use mimecast_eventd::verdict::History;
use serde_json::{Value, json};
use std::fs::File;

const PROTECTED: (&str, &str) = ("POLICY__PROTECTED_GROUPS", r#"["id-of-board"]"#);

/// With a group that is protected, and one that is not.
async fn protecting() -> Pair {
    let pair = Pair::with(BOTH[0], &[ATTEMPTS, PROTECTED]).await;
    pair.fake.name_group("id-of-board", "Board");
    pair.fake.name_group("id-of-open", "Open");
    pair
}

/// Whether all of them are admitted; the words are those of [`shown`].
async fn admitted(pair: &Pair, intents: &[&Intent]) -> Result<(), String> {
    let admitted =
        pair.vendor().admit(intents, &mut History::default(), effort(), &pair.stop).await;
    admitted.map_err(|conclusion| shown(&conclusion))
}

#[tokio::test]
async fn a_rule_that_is_reloaded_together_with_how_to_call_is_in_force() {
    let pair = protecting().await;
    for (timeout, rule, expected) in [
        ("7s", r#"["id-of-open"]"#, "denied protected_groups"),
        ("8s", "[]", "not_found"),
        ("9s", r#"["Open"]"#, "denied protected_groups"),
    ] {
        let mut variables = BOTH[0](&pair.fake);
        variables.extend([named("MIMECAST__TIMEOUT", timeout), named(PROTECTED.0, rule)]);
        let settings = settings::read(&variables).unwrap();
        let guards = settings.contract.guards;
        pair.current.renew(&settings.mimecast, settings.retry, guards).unwrap();
        assert_eq!(pair.fulfil(&leave("Open")).await.0, expected, "{rule}");
    }
}

#[tokio::test]
async fn a_name_of_no_group_or_of_several_keeps_the_rest_of_its_event_from_nothing() {
    let pair = protecting().await;
    ["one", "two"].iter().for_each(|id| pair.fake.name_group(id, "VIP"));
    let (open, board) = (leave("Open"), leave("Board"));
    for (name, refused) in
        [("Nobody's", "rejected group_not_found"), ("VIP", "ambiguous ambiguous")]
    {
        let wrong = leave(name);
        assert_eq!(admitted(&pair, &[&wrong, &open]).await, Ok(()), "{name}");
        assert_eq!(pair.fulfil(&wrong).await.0, refused);
        let denied = admitted(&pair, &[&wrong, &board]).await;
        assert_eq!(denied.as_ref().map_err(|it| &**it), Err("denied protected_groups"), "{name}");
    }
}

#[tokio::test]
async fn a_group_that_was_created_anew_under_its_name_is_left_and_not_denied() {
    let pair = protecting().await;
    pair.fake.name_group("old", "VIP");
    assert_eq!(pair.fulfil(&leave("VIP")).await.0, "not_found");
    pair.fake.remove_group("old");
    pair.fake.name_group("new", "VIP");
    pair.fake.add_member("new", "ada@example.com");
    // Somebody else's event names it by its id, and the groups are read again for that: without the old one.
    let by_id = Intent::Command(remove("new", "bob@example.com"));
    assert_eq!(admitted(&pair, &[&by_id]).await, Ok(()));
    assert_eq!(admitted(&pair, &[&leave("VIP")]).await, Ok(()));
    assert_eq!(pair.fulfil(&leave("VIP")).await.0, "applied");
    assert!(!pair.fake.is_member("new", "ada@example.com"));
}

/// A page with these groups, which says that the list has so many, and where the next page is.
fn page(folders: &[(&str, &str)], total: Option<u64>, next: Option<&str>) -> FaultKind {
    let folder = |(id, name): &(&str, &str)| json!({"id": id, "description": name});
    let folders: Vec<Value> = folders.iter().map(folder).collect();
    let pagination = json!({"totalCount": total, "next": next});
    let meta = json!({"status": 200, "pagination": pagination});
    reply(&json!({"meta": meta, "data": [{"folders": folders}], "fail": []}))
}

#[tokio::test]
async fn groups_that_are_not_read_in_full_deny_nobody_admit_nobody_and_are_not_remembered() {
    let flat = |status, code: &str| FaultKind::FlatFail { status, code: code.into() };
    let (board, open) = (("id-of-board", "Board"), ("id-of-open", "Open"));
    let kinds = [
        flat(400, "unheard_of"),
        flat(403, "unheard_of"),
        FaultKind::Forbidden,
        FaultKind::Unauthorized,
        FaultKind::fail("err_validation_null"),
        FaultKind::fail("err_folder_not_found"),
        FaultKind::fail("err_folder_email_address_not_found"),
        FaultKind::status(400),
        FaultKind::status(404),
        FaultKind::status(503),
        FaultKind::Html { status: 200 },
        FaultKind::NotJson,
        FaultKind::Reset,
        FaultKind::Truncated,
        reply(&json!({"meta": {"status": 200}, "data": [], "fail": []})),
        page(&[], None, None),
        page(&[], Some(2), None),
        page(&[board], Some(2), None),
        page(&[board, board, open], Some(3), None),
        page(&[board, open], Some(9), Some("again")),
        page(&[("id-of-other", "Other")], Some(1), None),
    ];
    for rule in [("POLICY__PROTECTED_GROUPS", "Board"), ("POLICY__ALLOWED_GROUPS", "id-of-open")] {
        for kind in kinds.clone() {
            let (name, text) = (rule.0, format!("[{:?}]", rule.1));
            let pair = Pair::with(BOTH[0], &[("RETRY__ATTEMPTS", "1"), (name, &text)]).await;
            pair.fake.name_group(board.0, board.1);
            pair.fake.name_group(open.0, open.1);
            let fault = Fault::always(kind.clone()).for_operation(Operation::FindGroups);
            pair.fake.inject(fault);
            let by_id = Intent::Command(remove("id-of-open", "ada@example.com"));
            for intent in [&by_id, &leave("Open"), &leave("Nobody's")] {
                let admitted = admitted(&pair, &[intent]).await.unwrap_err();
                assert!(admitted.starts_with("guarded "), "{rule:?} {kind:?}: {admitted}");
                let (fulfilled, _) = pair.fulfil(&leave("Open")).await;
                assert!(fulfilled.starts_with("guarded "), "{rule:?} {kind:?}: {fulfilled}");
            }
            pair.fake.heal();
            for intent in [&by_id, &leave("Open"), &leave("Nobody's")] {
                assert_eq!(admitted(&pair, &[intent]).await, Ok(()), "{rule:?} {kind:?}");
            }
            assert_eq!(pair.fulfil(&leave("Open")).await.0, "not_found");
        }
    }
}

#[tokio::test]
async fn a_tenant_that_lists_no_group_at_all_proves_no_name_wrong() {
    let pair = Pair::new(BOTH[0]).await;
    pair.fake.name_group("id-of-open", "Open");
    pair.fake.inject(Fault::always(page(&[], Some(0), None)).for_operation(Operation::FindGroups));
    assert_eq!(pair.fulfil(&leave("Open")).await.0, "unavailable no_groups");
    assert_eq!(pair.operation_calls(), 0);
    pair.fake.heal();
    assert_eq!(pair.fulfil(&leave("Open")).await.0, "not_found");
    assert_eq!(pair.fulfil(&leave("Nobody's")).await.0, "rejected group_not_found");
}

#[tokio::test]
async fn where_an_id_is_meant_the_name_of_a_group_is_unknown() {
    let pair = protecting().await;
    let given = ["Open", "id-of-open", "Nobody's"].map(str::to_owned);
    let unknown = async |ids: &[String], texts: &[String]| {
        let (asked, mut history) = ((ids, texts), History::default());
        pair.vendor().unknown_groups(asked, &mut history, effort(), &pair.stop).await.unwrap()
    };
    assert_eq!(unknown(&given, &[]).await, ["Open", "Nobody's"]);
    assert_eq!(unknown(&[], &given).await, ["Nobody's"]);
}

#[tokio::test]
async fn a_dry_run_logs_each_command_that_it_leaves_undone_and_counts_no_results() {
    let pair = Pair::with(BOTH[0], &[("POLICY__DRY_RUN", "true")]).await;
    pair.fake.name_group("id-of-open", "Open");
    pair.fake.add_managed_url("one", "https://example.com/", "block", "explicit");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(File::create(&path).unwrap());
    let logging = tracing::subscriber::set_default(log.finish());
    for (intent, expected) in [
        (leave("Open"), "applied"),
        (unblock("https://example.com/"), "applied"),
        (unblock("https://example.org/"), "not_found"),
    ] {
        assert_eq!(pair.fulfil(&intent).await.0, expected);
    }
    drop(logging);
    let log = std::fs::read_to_string(&path).unwrap();
    let said = log.lines().filter(|line| line.contains("INFO") && line.contains("in a dry run"));
    let operations = ["remove_group_member", "delete_managed_url"];
    assert!(
        said.clone().zip(operations).all(|(line, operation)| line.contains(operation)),
        "{log}"
    );
    assert_eq!(said.count(), 2, "{log}");
    assert_eq!(pair.operation_calls(), 0);
    for operation in operations {
        let counted = |result| {
            let labels = format!("{{operation=\"{operation}\",result=\"{result}\"}}");
            pair.metric(&format!("eventd_commands_total{labels}"))
        };
        assert_eq!((counted("applied"), counted("not_found")), (0.0, 0.0), "{operation}");
    }
}
