//! `audit`: what an auditor asks of files.

use crate::support::program::{Ran, run, run_measured, run_with};
use crate::support::settings::Variables;
use mimecast_eventd::secrecy::Seal;
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

/// A file with a chain of these entries, an hour between each, as the page on the audit trail describes it.
fn file(
    folder: &TempDir,
    name: &str,
    entries: impl IntoIterator<Item = Value>,
    seal: &Seal,
) -> PathBuf {
    let (mut prev, mut text) = ("0".repeat(64), String::new());
    for (entry, number) in entries.into_iter().zip(1..) {
        let mut line = json!({"chain": name, "line": number, "prev": prev});
        let at = chrono::DateTime::from_timestamp(1_790_000_000 + number * 3600, 0).unwrap();
        line["at"] = json!(at.to_rfc3339());
        line.as_object_mut().unwrap().extend(entry.as_object().unwrap().clone());
        let line = line.to_string();
        let sealed = line.strip_suffix('}').unwrap();
        prev = seal.of(sealed.as_bytes());
        text.push_str(&format!("{sealed},\"seal\":\"{prev}\"}}\n"));
    }
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn settled(number: usize, address: &str, disposition: &str) -> Value {
    json!({
        "kind": "settled", "event": "user.offboarded", "event_id": format!("e-{number}"), "subject": address,
        "time": "2026-09-21T14:00:00Z", "disposition": disposition, "attempts": 1,
        "result": (disposition == "ack").then_some("applied"),
        "reason": (disposition != "ack").then_some("rejected"), "code": (disposition != "ack").then_some("err_<b>"),
        "commands": [{
            "operation": "remove_group_member", "group_id": "group-1", "member": address, "result": "applied",
            "seen_gone_at": "2026-09-21T15:00:00Z",
            "requests": [{"at": "2026-09-21T15:00:00Z", "id": "ours", "vendor_id": format!("r-{number}"), "outcome": "applied"}],
        }],
    })
}

async fn audit(arguments: &[&str]) -> Ran {
    run(&Variables::new(), &[&["audit"], arguments].concat()).await
}

#[tokio::test]
async fn one_person_among_a_hundred_thousand_lines_is_found_soon_and_without_memory() {
    let folder = TempDir::new().unwrap();
    let name = |number: usize| match number {
        777 | 98_765 => "Ada@Example.com".to_owned(),
        _ => format!("user-{number}@example.com"),
    };
    let lines = (0..100_000).map(|number| settled(number, &name(number), "ack"));
    let path = file(&folder, "audit.jsonl", lines, &Seal::default());
    let size = path.metadata().unwrap().len() as usize / 1024;
    let started = std::time::Instant::now();
    let arguments =
        ["audit", "show", "--json", "--address", "ada@example.COM", path.to_str().unwrap()];
    let (text, most) = run_measured(&Variables::new(), &arguments).await;
    let ids: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["event_id"].clone())
        .collect();
    assert_eq!(ids, ["e-777", "e-98765"]);
    assert!(most > 0 && most < size / 2, "{most} KiB for a file of {size} KiB");
    // An unoptimised build; released it takes a second.
    assert!(started.elapsed().as_secs() < 60, "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_trail_without_its_last_lines_does_not_have_the_hash_that_was_logged() {
    let folder = TempDir::new().unwrap();
    let lines = (1..=3).map(|number| settled(number, "ada@example.com", "ack"));
    let path = file(&folder, "audit.jsonl", lines, &Seal::default());
    let text = std::fs::read_to_string(&path).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let verify = ["verify", "--head", last["seal"].as_str().unwrap(), path.to_str().unwrap()];
    let proved = audit(&verify).await;
    assert_eq!((proved.code, proved.lines().last()), (Some(0), Some(&"whole")), "{proved:?}");
    let shorter: Vec<&str> = text.split_inclusive('\n').take(2).collect();
    std::fs::write(&path, shorter.concat()).unwrap();
    let proved = audit(&verify).await;
    assert_eq!((proved.code, proved.lines().last()), (Some(2), Some(&"NOT WHOLE")), "{proved:?}");
    assert!(proved.err.contains("lines are missing at the end"), "{proved:?}");
}

#[tokio::test]
async fn an_answer_is_a_table_or_json_with_every_proof_and_says_whether_it_can_be_believed() {
    let folder = TempDir::new().unwrap();
    let lines = [
        settled(1, "ada@example.com", "dead_letter"),
        settled(2, "bob@example.com", "ack"),
        settled(3, "ada@example.com", "ack"),
        json!({"kind": "replayed", "user": "root", "letter": {"id": "e-1", "subject": "ada@example.com"}}),
    ];
    let path = file(&folder, "audit.jsonl", lines, &Seal::default());
    let path = path.to_str().unwrap();
    let shown = audit(&["show", "--address", "ada@example.com", path]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    let [_, dead, applied, replayed] = shown.lines()[..] else { panic!("{shown:?}") };
    assert!(dead.contains("dead_letter rejected err_<b>"), "{dead}");
    for said in ["e-3", "applied", "group-1", "2026-09-21T15:00:00Z", "r-3"] {
        assert!(applied.contains(said), "{said}: {applied}");
    }
    assert!(replayed.contains("replayed by root"), "{replayed}");
    assert!(shown.err.contains("3 lines"), "{shown:?}");
    // What somebody did with a message by hand is found by the message's id.
    let of_one = audit(&["show", "--id", "e-1", path]).await;
    let [_, _, replayed] = of_one.lines()[..] else { panic!("{of_one:?}") };
    assert!(replayed.contains("replayed by root"), "{replayed}");
    for (more, ids) in [
        (&["--id", "e-2"][..], &["e-2"][..]),
        (&["--address", "ADA@example.com ", "--since", "2026-09-21T16:30:00Z"], &["e-3"]),
        (&["--address", "ada@example.com", "--until", "2026-09-21T16:00:00Z"], &["e-1"]),
        (&["--address", "nobody@example.com"], &[]),
    ] {
        let found = audit(&[&["show", "--json", path], more].concat()).await;
        let found_ids: Vec<Value> =
            found.field("event_id").into_iter().filter(|it| !it.is_null()).collect();
        assert_eq!(found_ids, ids, "{more:?}");
        assert_eq!(found.code, Some(if ids.is_empty() { 2 } else { 0 }), "{more:?}");
        assert!(found.field("sealed").iter().all(|sealed| *sealed == true));
    }
    // Somebody has changed what became of it.
    let text = std::fs::read_to_string(path).unwrap().replacen("\"ack\"", "\"nak\"", 1);
    std::fs::write(path, text).unwrap();
    let shown = audit(&["show", "--address", "bob@example.com", path]).await;
    assert_eq!(shown.code, Some(2), "{shown:?}");
    assert!(shown.lines()[1].starts_with("! ") && shown.err.contains("NOT WHOLE"), "{shown:?}");
    let told = audit(&["show", "--json", "--address", "bob@example.com", path]).await;
    assert_eq!((told.code, told.field("sealed")), (Some(2), vec![json!(false)]), "{told:?}");
    let proved = audit(&["verify", path]).await;
    assert_eq!(proved.code, Some(2), "{proved:?}");
    assert!(proved.out.contains(&format!("BROKEN {path}:2: the seal does not fit")), "{proved:?}");
}

#[tokio::test]
async fn what_was_sealed_with_a_key_takes_the_key_and_may_come_by_standard_input() {
    let folder = TempDir::new().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "a key of the auditor's\n").unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let seal = Seal::by(b"a key of the auditor's");
    let path = file(&folder, "audit.jsonl", [settled(1, "ada@example.com", "ack")], &seal);
    let text = std::fs::read(&path).unwrap();
    let by_key = ["audit", "verify", "--audit-key-file", key.to_str().unwrap(), "-"];
    let proved = run_with(&Variables::new(), &by_key, &text).await;
    assert_eq!(proved.code, Some(0), "{proved:?}");
    assert!(proved.out.contains("lines 1 to 1") && proved.out.ends_with("whole\n"), "{proved:?}");
    let without = audit(&["verify", path.to_str().unwrap()]).await;
    assert_eq!(without.code, Some(2), "{without:?}");
    assert!(
        without.out.contains("this trail was made with a key, which is not given (audit.key_file)"),
        "{without:?}"
    );
    let empty = run_with(&Variables::new(), &["audit", "verify", "-"], b"").await;
    assert_eq!(empty.code, Some(2), "{empty:?}");
    assert!(empty.err.contains("there is no line of an audit trail"), "{empty:?}");
    let missing = audit(&["verify", "/nowhere/audit.jsonl"]).await;
    assert_eq!(missing.code, Some(1), "{missing:?}");
    assert!(missing.err.contains("/nowhere/audit.jsonl cannot be read"), "{missing:?}");
}

#[tokio::test]
async fn a_report_is_one_page_that_says_how_many_how_fast_and_what_failed() {
    let folder = TempDir::new().unwrap();
    let lines = (1..=30).map(|number| {
        let disposition = if number % 10 == 0 { "dead_letter" } else { "ack" };
        settled(number, "<script>alert(1)</script>", disposition)
    });
    let path = file(&folder, "audit.jsonl", lines, &Seal::default());
    let report = ["report", "--since", "2026-09-21", "--until", "2026-09-22T15:00:00Z"];
    let report = [&report[..], &[path.to_str().unwrap()]].concat();
    let page = audit(&report).await;
    assert_eq!(page.code, Some(0), "{page:?}");
    for said in [
        "From 2026-09-21T00:00:00Z to 2026-09-22T15:00:00Z",
        "Of the messages, 22 were applied, 0 asked for what was gone already, 0 for what Mimecast does not know, and 2 were dead-lettered.",
        "24 effects were read back and seen gone",
        "<td>rejected</td><td>err_&lt;b&gt;</td><td class=\"number\">2</td><td>e-20</td>",
        "lines 1 to 30, is whole",
        "<text x=\"100\" y=\"17\" text-anchor=\"end\">2026-09-21</text>",
    ] {
        assert!(page.out.contains(said), "{said}: {}", page.out);
    }
    assert!(!page.out.contains("<script") && !page.out.contains("http"), "{}", page.out);
    // Somebody has changed what became of one.
    let text = std::fs::read_to_string(&path).unwrap().replacen("\"ack\"", "\"nak\"", 1);
    std::fs::write(&path, text).unwrap();
    let page = audit(&report).await;
    assert!(page.code == Some(2) && page.err.contains("NOT WHOLE"), "{:?} {}", page.code, page.err);
    assert!(page.out.contains("Not whole: ") && !page.out.contains("is whole"), "{}", page.out);
}

#[tokio::test]
async fn a_trail_with_a_key_that_is_not_given_is_named_once_and_so_is_a_compressed_file() {
    let folder = tempfile::tempdir().unwrap();
    let lines = (0..50).map(|it| settled(it, "ada@example.com", "ack"));
    let path = file(&folder, "audit.jsonl", lines, &Seal::by(b"a key of the auditor's"));
    let text = std::fs::read(path).unwrap();
    let ran = run_with(&Variables::new(), &["audit", "verify", "-"], &text).await;
    assert_eq!((ran.code, ran.out.matches("BROKEN").count()), (Some(2), 1), "{ran:?}");
    assert!(ran.out.contains("this trail was made with a key"), "{ran:?}");
    for magic in [
        &b"\x1f\x8b\x08"[..],
        b"\x28\xb5\x2f\xfd",
        b"\xfd7zXZ\0",
        b"BZh9",
        b"\x04\x22\x4d\x18",
        b"PK\x03\x04",
    ] {
        let path = folder.path().join("audit.jsonl.2");
        std::fs::write(&path, magic).unwrap();
        let ran = run(&Variables::new(), &["audit", "verify", path.to_str().unwrap()]).await;
        assert!(ran.code == Some(1) && ran.err.contains("it is compressed"), "{ran:?}");
    }
}
