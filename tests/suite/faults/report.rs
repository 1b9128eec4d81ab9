//! What `scripts/faults.sh` makes its page from: one line for each fact, in the file that
//! `FAULTS_REPORT` names.

use super::ledger::Account;
use super::rows::ROWS;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

/// Reports how the row of this fault came out.
pub fn row(fault: &str, account: &Account, consuming: Duration, settled: Duration) {
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
