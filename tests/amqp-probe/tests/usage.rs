//! The program as a command. With a test of its own, `cargo test` builds it, and scripts can take it from there.

use std::process::Command;

#[test]
fn it_says_what_is_missing() {
    let program = env!("CARGO_BIN_EXE_amqp-probe");
    let wrong = Command::new(program).output().expect("it can be run");
    assert_eq!(wrong.status.code(), Some(2), "no subcommand is wrong usage");
    let lost =
        Command::new(program).arg("ping").env_remove("AMQP_URL").output().expect("it can be run");
    assert_eq!(lost.status.code(), Some(1), "no broker is a failure");
    assert_eq!(String::from_utf8_lossy(&lost.stderr), "amqp-probe: AMQP_URL is not set\n");
}
