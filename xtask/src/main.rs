//! The command line of the tasks: `cargo xtask TASK`.

use std::process::ExitCode;
use xtask::failure::{Failure, Result};
use xtask::{faults, later, node, packages, process, programs, release, tools, unit};

const USAGE: &str = "usage: cargo xtask TASK

  node DIR                       run a private RabbitMQ node that keeps everything in DIR, until the end of
                                 standard input
  node --install                 make sure that RabbitMQ is installed
  later 4.0|4.3|rabbitmq:TAG FOLDER
                                 unpack another RabbitMQ into FOLDER and print the folder for BROKER_PROGRAMS
  tools                          install the pinned tools of the checks into .tools/
  tools NAME                     build a pinned tool into .tools/crates/: cargo-about, cargo-deb, cargo-fuzz or
                                 cargo-mutants
  faults                         run every test of a fault on three versions of RabbitMQ and write docs/faults.md
  unit                           check the unit for systemd
  need PROGRAM[:PACKAGE]...      make sure that programs are installed, from Debian packages
  programs NAME... [-- FLAG...]  build programs of this workspace, with flags for cargo, and print their folder;
                                 with BUILT_PROGRAMS=FOLDER build nothing and print FOLDER
  tags VERSION <RELEASED         print the tags that the image of a release gets; RELEASED has all versions
  notes VERSION <CHANGELOG       print the notes of a release

exit status: 0 done; 1 failed; 64 wrong usage; 69 something needed is missing and cannot be installed";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            process::report(&failure.message);
            ExitCode::from(failure.status)
        }
    }
}

fn run(arguments: &[String]) -> Result {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["help" | "--help" | "-h"] => process::print(USAGE),
        ["node", "--install"] => node::install::ensure(),
        ["node", folder] if !folder.is_empty() && !folder.starts_with('-') => {
            node::foreground::run(folder.as_ref())
        }
        ["faults"] => faults::run(),
        ["unit"] => unit::run(),
        ["later", version, folder] if !folder.is_empty() => later::run(version, folder.as_ref()),
        ["tools"] => tools::install(),
        ["tools", name] => tools::install_crate(name),
        ["tags", version] => release::print_tags(version),
        ["notes", version] => release::print_notes(version),
        ["need", _, ..] => packages::need(&arguments[1..]),
        ["programs", _, ..] => {
            let end = arguments.iter().position(|it| it == "--").unwrap_or(arguments.len());
            let flags = arguments.get(end + 1..).unwrap_or_default();
            let folder = programs::folder(&arguments[1..end], flags)?;
            process::print(&folder.display().to_string())
        }
        _ => Err(Failure::usage(USAGE)),
    }
}
