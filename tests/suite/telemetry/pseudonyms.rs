//! What people are called in the log.

use crate::support::eventually;
use crate::support::program::run;
use crate::support::settings::named;
use crate::support::world::World;
use serde_json::Value;

/// What the last settled message says of its person.
async fn subject(world: &World, settled: usize) -> String {
    let lines: Vec<Value> = world.daemon.settled(settled).await;
    lines.last().unwrap()["subject"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_key_decides_what_a_person_is_called_and_a_reload_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "a key of sixteen bytes or more").unwrap();
    let path = file.to_str().unwrap();
    let world = World::with(&[("LOG__PSEUDONYM_KEY_FILE", path)]).await;
    world.offboard("by ada@example.com", "Ada@example.com", &["staff"]).await;
    let first = subject(&world, 1).await;
    // Only the key is needed to say it.
    let alone = [named("LOG__PSEUDONYM_KEY_FILE", path)].into();
    let asked = run(&alone, &["pseudonym", "ada@EXAMPLE.com", "bob@example.com"]).await;
    assert_eq!((asked.code, asked.lines()[0]), (Some(0), first.as_str()), "{asked:?}");
    assert_ne!(asked.lines()[1], first);
    let spellings = ["pseudonym", "Eve@Bücher.example", "eve@xn--bcher-kva.example"];
    let asked = run(&alone, &spellings).await;
    assert_eq!(asked.lines()[0], asked.lines()[1], "one person has one name in the log");
    let line = world.daemon.settled(1).await.pop().unwrap();
    assert_eq!(line["event_id"], format!("by {first}"), "in an id, too: {line}");

    std::fs::write(&file, "another key of sixteen bytes or more").unwrap();
    let reloaded = r#"eventd_settings_reloads_total{result="applied"}"#;
    world.daemon.wait_for_metric(reloaded, 1.0).await;
    world.offboard("e-2", "ada@example.com", &["staff"]).await;
    let second = subject(&world, 2).await;
    assert_ne!(second, first);
    assert_eq!(run(&alone, &["pseudonym", "ada@example.com"]).await.lines(), [second]);
    // A key that can be tried out is refused.
    std::fs::write(&file, "short").unwrap();
    let refused = r#"eventd_settings_reloads_total{result="refused"}"#;
    world.daemon.wait_for_metric(refused, 1.0).await;
    let said = eventually("it is said", async || {
        world.daemon.logged("the settings were not reloaded, the old ones are in force").pop()
    })
    .await;
    assert!(
        said["mistakes"].as_str().unwrap().contains("must be at least 16 bytes long"),
        "{said}"
    );
    assert!(world.daemon.lines().iter().all(|line| !line.contains("sixteen bytes or more")));
}

#[tokio::test]
async fn replicas_with_the_same_credentials_agree_without_a_key() {
    let world = World::hmac().await;
    world.offboard("e-1", "ada@example.com", &["staff"]).await;
    let first = subject(&world, 1).await;
    let mut world = world;
    world.restart_daemon().await;
    world.offboard("e-2", "ada@example.com", &["staff"]).await;
    assert_eq!(subject(&world, 1).await, first);
    // Not the plain hash that anybody with a list of addresses could make.
    let plain = "3ca93ad87e0b";
    assert!(!first.contains(plain), "{first}");
}
