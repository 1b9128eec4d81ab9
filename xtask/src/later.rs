//! Another RabbitMQ than the installed one, with the Erlang that belongs to it, in a folder: from the packages of a
//! later Debian, or from an image by Docker.
//!
//! Its programs run in their own root and mount namespace, so nothing stays mounted and nothing is installed. The
//! files of a node have to be under /tmp, which is the same inside and outside. It needs root, 240 MB and about a
//! minute; a folder used before is reused. Tried: 4.0.5 and 4.3.6 from packages.

use crate::failure::{Failure, Result};
use crate::packages::need;
use crate::process::{command, is_root, output, print, succeeds, succeeds_aloud};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const PACKAGED: &str = "/usr/lib/rabbitmq/bin";
const IN_IMAGE: &str = "/opt/rabbitmq/sbin";

/// Unpacks a version into `folder` and prints the folder for `BROKER_PROGRAMS`.
pub fn run(version: &str, folder: &Path) -> Result {
    print(&unpack(version, folder)?.display().to_string())
}

/// Unpacks a version into `folder`; returns the folder for `BROKER_PROGRAMS`.
pub fn unpack(version: &str, folder: &Path) -> Result<PathBuf> {
    let (suite, inside) = match version {
        "4.0" => (Some("trixie"), PACKAGED),
        "4.3" => (Some("forky"), PACKAGED),
        _ if version.len() > "rabbitmq:".len() && version.starts_with("rabbitmq:") => {
            (None, IN_IMAGE)
        }
        _ => return Err(Failure::usage("usage: cargo xtask later 4.0|4.3|rabbitmq:TAG FOLDER")),
    };
    if !is_root() {
        return Err(Failure::missing("only root can unpack and run another RabbitMQ"));
    }
    if !succeeds(&mut command("unshare", ["--mount", "true"])) {
        return Err(Failure::missing("mount namespaces are not permitted here"));
    }
    fs::create_dir_all(folder)?;
    let folder = folder.canonicalize()?;
    let root = folder.join("root");
    if !root.join(inside.trim_start_matches('/')).join("rabbitmq-server").exists() {
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        match suite {
            Some(suite) => unpack_packages(suite, &root)?,
            None => unpack_image(version, &root)?,
        }
        // A node waits for ever where localhost has no address.
        fs::copy("/etc/hosts", root.join("etc/hosts"))?;
    }
    let programs = folder.join("programs");
    write_programs(&root, inside, &programs)?;
    let control = programs.join("rabbitmqctl");
    if !succeeds(&mut command(&control, ["version"])) {
        let control = control.display();
        let text = format!("the programs of {version} do not run here: try {control} version");
        return Err(Failure::missing(text));
    }
    Ok(programs)
}

/// Unpacks the files of an image, without running it.
fn unpack_image(image: &str, root: &Path) -> Result {
    let missing = || Failure::missing(format!("{image} cannot be taken from Docker"));
    let container = output(&mut command("docker", ["create", image])).ok_or_else(missing)?;
    fs::create_dir_all(root)?;
    let copy = r#"docker export "$1" | tar -x -C "$2"; docker rm "$1" >/dev/null"#;
    let mut copy = command("sh", ["-c", copy, "sh", &container]);
    if succeeds_aloud(copy.arg(root)) { Ok(()) } else { Err(missing()) }
}

fn unpack_packages(suite: &str, root: &Path) -> Result {
    need(&["mmdebstrap".to_owned()])?;
    let mut unpack = command("timeout", ["900", "mmdebstrap", "--quiet", "--variant=apt"]);
    // The validity of a mirror that is not updated may be over.
    unpack.arg("--aptopt=Acquire::Check-Valid-Until \"false\"");
    unpack.args(["--include=rabbitmq-server", suite]).arg(root).args(mirror());
    if succeeds_aloud(&mut unpack) {
        return Ok(());
    }
    Err(Failure::missing(format!("the packages of {suite} cannot be unpacked")))
}

/// Returns the mirror that this machine takes its own packages from.
fn mirror() -> Option<String> {
    const MIRROR: &str = r"cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' | grep -m 1 -v security";
    output(&mut command("sh", ["-c", MIRROR])).filter(|it| !it.is_empty())
}

/// All of them exec, so that a signal for the program reaches it. Images have their programs where their PATH is.
fn write_programs(root: &Path, inside: &str, programs: &Path) -> Result {
    fs::create_dir_all(programs)?;
    let root = root.display();
    for program in ["rabbitmq-server", "rabbitmqctl"] {
        let text = format!(
            r#"#!/bin/sh
exec unshare --mount sh -ec '
    root=$1; shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --bind /tmp "$root/tmp"
    exec chroot "$root" env PATH="/opt/rabbitmq/sbin:/opt/erlang/bin:$PATH" "$@"
' sh '{root}' {inside}/{program} "$@"
"#
        );
        let file = programs.join(program);
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
