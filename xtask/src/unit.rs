//! Checks the unit for systemd: systemd understands all of it, and the service can reach little. systemd itself need
//! not run.

use crate::failure::{Failure, Result};
use crate::packages::need;
use crate::process::command;
use crate::programs;

const UNIT: &str = "config/systemd/mimecast-eventd.service";

/// Of ten, in tenths: 15 is an exposure of 1.5.
const MOST_EXPOSED: &str = "--threshold=15";

/// Checks the unit, with the daemon that is built.
pub fn run() -> Result {
    need(&["systemd-analyze:systemd".to_owned()])?;
    let daemon = programs::folder(&["mimecast-eventd".to_owned()], &[])?.join("mimecast-eventd");
    let daemon = daemon.display().to_string();
    let text = std::fs::read_to_string(crate::root().join(UNIT))?;
    // It insists on a program that exists.
    let text = text.replace("/usr/bin/mimecast-eventd", &daemon);
    if !text.contains(&format!("ExecStart={daemon} run")) {
        return Err(Failure::failed("the unit does not start the daemon"));
    }
    let folder = std::env::temp_dir().join(format!("unit-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let unit = folder.join("mimecast-eventd.service").display().to_string();
    std::fs::write(&unit, text)?;
    let said = analyze(&["verify", "--man=no", &unit])?;
    if !said.is_empty() {
        return Err(Failure::failed(format!("the unit: {said}")));
    }
    analyze(&["security", "--no-pager", "--offline=true", MOST_EXPOSED, &unit])?;
    std::fs::remove_dir_all(folder)?;
    Ok(())
}

/// Returns what it printed.
fn analyze(arguments: &[&str]) -> Result<String> {
    let output = command("systemd-analyze", arguments).output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    match output.status.success() {
        true => Ok(said),
        false => Err(Failure::failed(format!("systemd-analyze {}: {said}", arguments[0]))),
    }
}
