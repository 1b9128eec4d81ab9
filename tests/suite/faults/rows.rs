//! The rows of `docs/faults.md`: every fault that a test of its own brings about.

/// One fault.
pub struct Row {
    /// What fails.
    pub fault: &'static str,
    /// What the test does.
    pub done: &'static str,
}

/// Every row, in the order of the page.
pub const ROWS: [Row; 31] = [
    row("API answers 503", "to every call, for ten health calls of the paused lanes"),
    row("API refuses the credentials", "of every call, for ten health calls of the paused lanes"),
    row("API hangs", "takes every call and answers none, so that all of them time out"),
    row("API resets connections", "at every call, for ten health calls of the paused lanes"),
    row("API replies are lost", "every call is carried out, and its connection closed"),
    row("API talks garbage", "answers 200 with a text that is not JSON"),
    row("API is out of quota", "lets 10 calls in per 200 ms and answers 429 to all others"),
    row("API is not reachable", "its port refuses connections"),
    row("API link half-open", "nothing passes in either direction"),
    row("API link loses replies", "requests arrive, what is answered is swallowed on the way"),
    row("broker connection cut", "with calls under way, ten times"),
    row("broker connection cut, API down", "while both lanes are paused, ten times"),
    row("broker link half-open", "nothing passes in either direction until the heartbeat notices"),
    row("broker link slow", "every piece of data comes 50 ms later, all the time"),
    row("broker not there at start", "its port refuses connections while the daemon starts"),
    row("broker restarted", "in good order, with calls under way"),
    row("broker killed", "with -9, with calls under way, and started again"),
    row(
        "cluster and replicas killed",
        "each of three nodes and of three replicas with -9, in turn",
    ),
    row("broker short of memory", "takes no messages (connection.blocked), and then does again"),
    row(
        "broker short of memory, then away",
        "takes no messages when its port refuses connections, and takes them when it is back",
    ),
    row("broker gives up waiting", "closes a channel whose deliveries are not acked in time"),
    row("lane queue deleted", "under its consumer; the messages are published afterwards"),
    row("dead-letter exchange deleted", "with messages in work"),
    row("dead letters refused", "by a full queue, and taken again after both lanes had to pause"),
    row("daemon killed", "with -9 in mid-work, three times, and started again"),
    row("daemon killed too often", "until the broker's delivery limit of 3 dead-letters messages"),
    row("daemon stopped", "with SIGTERM in mid-work, three times, and started again"),
    row("daemon stopped, API down", "with SIGTERM while both lanes are paused, and started again"),
    row("daemon stopped, broker away", "with SIGTERM while it reconnects, and started again"),
    row("daemon stopped, link half-open", "with SIGTERM before it notices, and started again"),
    row(
        "daemon stopped, broker blocked",
        "with SIGTERM while its copies are not taken, and started again",
    ),
];

const fn row(fault: &'static str, done: &'static str) -> Row {
    Row { fault, done }
}

/// The page that the rows are published on.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.md");

#[test]
fn the_page_of_faults_has_exactly_the_rows_that_the_code_has() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let cells = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        Some((cells.next()?, cells.next()?))
    };
    let lines = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let shown: Vec<(String, String)> =
        lines.filter(|line| !line.starts_with("| ---")).filter_map(cells).collect();
    let known: Vec<(String, String)> =
        ROWS.iter().map(|row| (row.fault.to_owned(), row.done.to_owned())).collect();
    assert_eq!(shown, known, "cargo xtask faults writes docs/faults.md anew");
}

#[test]
fn every_row_has_a_test() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/faults");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let tests: String = files
        .filter(|file| !file.ends_with("rows.rs"))
        .chain([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/broker/node.rs").into()])
        .map(|file| std::fs::read_to_string(file).unwrap())
        .collect();
    for row in ROWS {
        assert!(tests.contains(&format!("{:?}", row.fault)), "no test: {}", row.fault);
    }
}
