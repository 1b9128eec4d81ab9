//! The commands of docs/runbook.md, run beside a daemon that has what they are for.

use crate::support::broker::DEAD_LETTERS;
use crate::support::world::World;
use fake_mimecast::{Fault, FaultKind};
use lapin::BasicProperties;
use std::path::Path;
use tokio::process::Command;

const RUNBOOK: &str = include_str!("../../../docs/runbook.md");
const ALERTS: &str = include_str!("../../../helm/mimecast-eventd/files/alerts.yaml");

/// The blocks for a shell, each with the heading that it stands under.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let (mut blocks, mut heading) = (Vec::new(), "");
    let mut rest = RUNBOOK;
    while let Some((line, after)) = rest.split_once('\n') {
        rest = after;
        if let Some(title) = line.strip_prefix("## ") {
            heading = title;
        } else if line == "```sh" {
            let (block, after) = rest.split_once("```").expect("a block ends");
            blocks.push((heading, block));
            rest = after;
        }
    }
    blocks
}

#[tokio::test]
async fn every_command_of_the_runbook_does_what_it_is_there_for() {
    let world = World::with(&[("RETRY__LADDER", "[]")]).await;
    world.fake.inject(Fault::always(FaultKind::status(503)).for_item_containing("poison"));
    world
        .vhost
        .publish("url.unblock", br#"{"ids":["poison","entry-1"]}"#, BasicProperties::default())
        .await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 1).await;
    for _ in 0..2 {
        world.vhost.publish("url.unblock", b"nonsense", BasicProperties::default()).await;
    }
    world.fake.inject(
        Fault::always(FaultKind::fail("err_validation_null")).for_item_containing("refused"),
    );
    world.vhost.publish("url.unblock", br#"{"id":"refused"}"#, BasicProperties::default()).await;
    world.vhost.wait_for_depth(DEAD_LETTERS, 4).await;
    let program = Path::new(env!("CARGO_BIN_EXE_mimecast-eventd")).parent().unwrap();
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", program.display());
    let blocks = blocks();
    assert!(blocks.len() >= 20, "only {} were found", blocks.len());
    for (heading, block) in blocks {
        let commands = block.replace("127.0.0.1:9464", &world.daemon.authority());
        let mut shell = Command::new("bash");
        shell
            .args(["-e", "-u", "-o", "pipefail", "-c", &commands])
            .env_clear()
            .envs(&world.variables);
        shell.env("PATH", &path).current_dir(tempfile::tempdir().unwrap().path().parent().unwrap());
        let output = shell.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{heading}:\n{commands}\n{said}\n{error}");
    }
}

#[test]
fn every_alert_has_its_section_and_every_section_its_commands() {
    let alerts: Vec<&str> =
        ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "only {alerts:?} were found");
    for alert in &alerts {
        assert!(blocks().iter().any(|(heading, _)| heading == alert), "{alert} has no commands");
        let link = format!("runbook_url: docs/runbook.md#{}", alert.to_lowercase());
        assert!(ALERTS.contains(&link), "{link} is not there");
    }
}
