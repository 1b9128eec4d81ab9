//! Debian packages, installed where that is permitted: without a password and without a question.

use crate::failure::{Failure, Result};
use crate::process::{command, find, is_root, succeeds, succeeds_aloud};
use std::path::Path;
use std::process::Command;

/// Returns a command that runs as root.
pub fn as_root(program: &str) -> Command {
    if is_root() { Command::new(program) } else { command("sudo", ["-n", program]) }
}

/// True when packages can be installed here.
pub fn can_install() -> bool {
    find("apt-get").is_some() && succeeds(as_root("true").arg("--version"))
}

/// Installs packages. Its output goes to standard error.
pub fn install(packages: &[&str]) -> bool {
    // Lists from an earlier update may do when the network is away.
    let _updated = succeeds_aloud(as_root("apt-get").args(["-q", "update"]));
    let lock = "DPkg::Lock::Timeout=300";
    let mut install = as_root("env");
    install.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", lock]);
    succeeds_aloud(install.args(["install", "--no-install-recommends"]).args(packages))
}

/// Makes sure that programs are in `PATH`. Each is `PROGRAM` or `PROGRAM:PACKAGE`.
pub fn need(programs: &[String]) -> Result {
    let missing = |all: &[String]| -> Vec<(String, String)> {
        let pairs = all.iter().map(|it| it.split_once(':').unwrap_or((it, it)));
        let missing = pairs.filter(|(program, _)| find(program).is_none());
        missing.map(|(program, package)| (program.to_owned(), package.to_owned())).collect()
    };
    let before = missing(programs);
    if !before.is_empty() && can_install() {
        install(&before.iter().map(|(_, package)| package.as_str()).collect::<Vec<_>>());
    }
    match missing(programs).first() {
        None => Ok(()),
        Some((program, package)) => Err(Failure::missing(format!(
            "{program} is missing: install it (Debian and Ubuntu: the package {package})"
        ))),
    }
}

/// Copies one file out of a package into a folder. Installing the package could start a service.
pub fn take_out(package: &str, file: &str, folder: &Path) -> bool {
    const TAKE: &str = r#"
        scratch=$(mktemp -d); trap 'rm -rf "$scratch"' EXIT
        cd "$scratch" && apt-get -q download "$1" >/dev/null 2>&1 || exit
        dpkg-deb --fsys-tarfile "$1"_*.deb | tar --extract ".$2" && mkdir -p "$3" && mv ".$2" "$3/""#;
    let take = || {
        let mut sh = command("sh", ["-c", TAKE, "sh", package, file]);
        succeeds(sh.arg(folder))
    };
    // The lists may be missing, or of versions that are gone.
    take() || can_install() && succeeds(as_root("apt-get").args(["-q", "update"])) && take()
}
