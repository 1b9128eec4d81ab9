//! The programs of this workspace: one place that builds them and says where they are.

use crate::failure::{Failure, Result};
use crate::process::command;
use std::path::PathBuf;
use std::process::Stdio;

/// Programs that are examples of cargo's, in `examples/` below the others.
const EXAMPLES: [&str; 3] = ["growth", "instructions", "offboard"];

/// Returns the folder with the named programs. `BUILT_PROGRAMS` names a folder to take them from; otherwise
/// cargo builds them, with `flags`.
pub fn folder(names: &[String], flags: &[String]) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("BUILT_PROGRAMS").filter(|it| !it.is_empty()) {
        let folder = std::path::absolute(folder)?;
        for name in names {
            let path = if is_example(name) { folder.join("examples") } else { folder.clone() };
            if !path.join(name).is_file() {
                let path = path.display();
                return Err(Failure::missing(format!("BUILT_PROGRAMS: {path} has no {name}")));
            }
        }
        return Ok(folder);
    }
    build(names, flags)
}

fn is_example(name: &str) -> bool {
    EXAMPLES.contains(&name)
}

/// Cargo says where it puts the programs: that depends on settings of its user.
fn build(names: &[String], flags: &[String]) -> Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let mut build = command(cargo, ["build", "--quiet", "--locked", "--workspace"]);
    build.args(["--message-format", "json-render-diagnostics"]).args(flags);
    for name in names {
        build.args([if is_example(name) { "--example" } else { "--bin" }, name]);
    }
    let built = build.current_dir(crate::root()).stderr(Stdio::inherit()).output();
    let built = built.map_err(Failure::during("cargo build"))?;
    if !built.status.success() {
        return Err(Failure::failed("the build failed"));
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let mut executables = messages
        .lines()
        .filter_map(|line| line.split_once(r#""executable":""#)?.1.split('"').next())
        .filter_map(|path| PathBuf::from(path).parent().map(PathBuf::from));
    let folder = executables.next().ok_or_else(|| Failure::failed("cargo built no program"))?;
    let above = folder.parent().filter(|_| folder.ends_with("examples"));
    Ok(above.map(PathBuf::from).unwrap_or(folder))
}
