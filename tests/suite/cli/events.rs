//! Events of flags and of files, as `send --dry-run` and `plan` show them: without a broker.

use crate::support::program::run;
use crate::support::settings::Variables;

#[tokio::test]
async fn every_flag_counts_however_often_it_is_given() {
    let nobody = Variables::new();
    let in_a_month = chrono::Utc::now() + chrono::TimeDelta::days(30);
    let at = in_a_month.format("%Y-%m-%dT00:00:00Z").to_string();
    let offboarding = ["--type", "user.offboarded", "--email", "ada@example.com"];
    let unblocking = ["--type", "url.unblock", "--policy-max-event-age", "1day"];
    for (begin, flags, head, calls) in [
        (
            offboarding,
            &["--group-id", "a", "--group-id", "b", "--effective-at", &at][..],
            &*format!("user.offboarded e-1: 2 calls, not before {at}"),
            [r#""id":"a""#, r#""id":"b""#],
        ),
        (
            offboarding,
            &["--group", "Staff", "--group", "Board"],
            "user.offboarded e-1: 4 calls",
            [r#""query":"Staff""#, r#""query":"Board""#],
        ),
        // The event says when it happened.
        (
            unblocking,
            &["--entry-id", "a", "--entry-id", "b"],
            "url.unblock e-1: 2 calls",
            [r#""id":"a""#, r#""id":"b""#],
        ),
    ] {
        let send = [&["send", "--dry-run", "--id", "e-1"], &begin[..], flags].concat();
        let shown = run(&nobody, &send).await;
        assert_eq!((shown.code, shown.lines().first()), (Some(0), Some(&head)), "{shown:?}");
        assert!(calls.iter().all(|call| shown.out.contains(call)), "{calls:?}: {shown:?}");
    }
}

#[tokio::test]
async fn the_events_of_every_file_are_shown_and_held_to_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let file = |id: &str, data: &str| {
        let begin = r#"{"specversion":"1.0","source":"/soc","type":"url.unblock""#;
        let path = folder.path().join(id);
        std::fs::write(&path, format!(r#"{begin},"id":"{id}","data":{data}}}"#)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let [one, two] = ["one", "two"].map(|id| file(id, r#"{"id":"entry-1"}"#));
    let (wrong, nobody) = (file("wrong", "{}"), Variables::new());
    let planned = run(&nobody, &["plan", "--json", &wrong, &one]).await;
    assert_eq!(planned.code, Some(2), "{planned:?}");
    assert_eq!(planned.field("id"), ["wrong", "one"]);
    let refused = run(&nobody, &["send", "--dry-run", &wrong, &one]).await;
    assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{refused:?}");
    let shown = run(&nobody, &["send", "--dry-run", &one, &two]).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    for head in ["url.unblock one: 1 call", "url.unblock two: 1 call"] {
        assert!(shown.lines().contains(&head), "{head}: {shown:?}");
    }
}
