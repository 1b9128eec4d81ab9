//! Settings as the binary finds them: the file that a variable names, and who wins.

use crate::support::settings::Variables;
use std::path::Path;
use std::process::{Command, Output};

fn check(arguments: &[&str], variables: &Variables) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimecast-eventd"));
    command.args(["check", "--offline"]).args(arguments).env_clear().envs(variables);
    command.output().unwrap()
}

/// Writes a file with this prefetch in it, and gives its path.
fn write(folder: &Path, name: &str, prefetch: &str) -> String {
    let path = folder.join(name);
    let text = format!("[events.\"url.unblock\"]\nprefetch = {prefetch}\n");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_file_that_a_variable_names_is_read_and_one_named_by_a_flag_comes_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = write(folder.path(), "wrong.toml", "\"none\"");
    let right = write(folder.path(), "right.toml", "7");
    let mut variables = crate::support::settings::hmac_without_url();
    variables.insert("EVENTD_MIMECAST__REGION".into(), "eu".into());
    variables.insert("EVENTD_CONFIG".into(), wrong.clone());
    let output = check(&[], &variables);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{text}");
    let mistake = format!("events.\"url.unblock\".prefetch (file {wrong}): must be a whole number");
    assert!(text.contains(&mistake), "{text}");

    assert_eq!(check(&["--config", &right], &variables).status.code(), Some(0));
    let absent = folder.path().join("absent.toml");
    let output = check(&["--config", absent.to_str().unwrap()], &variables);
    assert_eq!(output.status.code(), Some(64));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("absent.toml): cannot be read"), "{text}");
    // Flag before variable before file.
    variables.insert("EVENTD_CONFIG".into(), right);
    variables.insert("EVENTD_EVENTS__URL_UNBLOCK__PREFETCH".into(), "0".into());
    let output = check(&[], &variables);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("(variable EVENTD_EVENTS__URL_UNBLOCK__PREFETCH)"), "{text}");
    let output = check(&["--events-url-unblock-prefetch", "8"], &variables);
    assert_eq!(output.status.code(), Some(0));
}
