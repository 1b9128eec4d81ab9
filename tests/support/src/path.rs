//! Paths of the workspace, and of the programs that Cargo has built.

use std::path::{Path, PathBuf};

/// The folder of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The daemon: the program that `DAEMON_PROGRAM` names, or the one beside the running program.
pub fn daemon_program() -> PathBuf {
    if let Some(program) = std::env::var_os("DAEMON_PROGRAM") {
        return PathBuf::from(program);
    }
    let program = build_folder().join("mimecast-eventd");
    assert!(
        program.exists(),
        "{} does not exist: `cargo build --bin mimecast-eventd` builds it",
        program.display()
    );
    program
}

/// The folder for files of tests, which Cargo does not clean.
pub fn temporary_folder() -> PathBuf {
    let folder = build_folder().with_file_name("tmp");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The folder of the profile, such as `target/debug`: tests run in the folder `deps` of it, programs
/// in itself.
fn build_folder() -> PathBuf {
    let running = std::env::current_exe().unwrap();
    let folder = running.parent().expect("a program is in a folder");
    let outside = folder.parent().filter(|_| folder.ends_with("deps"));
    outside.unwrap_or(folder).to_owned()
}
