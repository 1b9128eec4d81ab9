//! What `cargo xtask faults` makes its page from: one line for each fact, in the file that
//! `FAULTS_REPORT` names.

use super::rows::ROWS;
use super::scene::{Outcome, Scene};
use crate::support::broker::Vhost;
use crate::support::faults::ledger::Account;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Closes the ledger of the row of this fault, and reports it.
pub async fn close(scene: Scene, fault: &str) {
    finish(scene, fault).await.delete().await;
}

/// The same, and returns the virtual host.
pub async fn finish(scene: Scene, fault: &str) -> Vhost {
    let Outcome { account, consuming, settled, vhost } = scene.finish(fault).await;
    let number = ROWS.iter().position(|row| row.fault == fault).expect("ROWS has every fault");
    let Account { messages, applied, dead_lettered, lost, duplicated, .. } = account;
    line(&format!(
        "row\t{number:02}\t{fault} | {} | {messages}\t{} · {applied} + {dead_lettered} · \
         {duplicated} · {:.1} s · {:.1} s",
        ROWS[number].done,
        lost.len(),
        consuming.as_secs_f64(),
        settled.as_secs_f64(),
    ));
    vhost
}

/// Reports that so many random lists of faults came out well.
pub fn cases(count: u32) {
    line(&format!("cases\t{count}"));
}

/// Reports that so many pairs of faults came out well.
pub fn pairs(count: usize) {
    line(&format!("pairs\t{count}"));
}

/// Reports the version of the broker.
pub fn broker(version: &str) {
    line(&format!("broker\t{version}"));
}

fn line(text: &str) {
    let Some(path) = std::env::var_os("FAULTS_REPORT") else { return };
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    // In one piece, since tests run side by side.
    file.write_all(format!("{text}\n").as_bytes()).unwrap();
}
