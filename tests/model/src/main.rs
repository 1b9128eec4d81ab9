//! Explores every world, and prints the row about each in `docs/proof.md`, with the seconds that it took.
//!
//! usage: model [PART OF A NAME]

use model::{exploration, worlds};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> io::Result<ExitCode> {
    let part = std::env::args().nth(1).unwrap_or_default();
    let mut out = io::stdout().lock();
    for world in worlds::all().into_iter().filter(|world| world.name.contains(&part)) {
        let started = Instant::now();
        match exploration::explore(&world.protocol) {
            Ok(explored) => {
                let (row, seconds) = (explored.row(world.name), started.elapsed().as_secs());
                writeln!(out, "{row} {seconds} s")?;
            }
            Err(story) => {
                writeln!(out, "{}:\n{story}", world.name)?;
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
