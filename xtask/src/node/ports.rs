//! The ports of a node.
//!
//! They come in blocks of five. A process that has bound the first one, which is that of its epmd, has the whole
//! block: nodes that start at the same moment cannot pick the same ports. A node of a cluster keeps its block in
//! the same way, although it uses another epmd. The range is below the ports of outgoing connections on Linux.

use super::{Options, logged};
use crate::failure::{Failure, Result};
use crate::process::{bound, start};
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

const FIRST: u16 = 20_000;
const BLOCK: u16 = 5;
const BLOCKS: u64 = 2_000;

/// A block of ports.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    first: u16,
    /// The port of the epmd in use.
    pub(super) epmd: u16,
}

impl Ports {
    /// Claims the ports of the node that the folder has, or new ones. The returned epmd holds the block.
    pub(super) fn claim(folder: &Path, options: &Options) -> Result<(Ports, Child)> {
        match fs::read_to_string(folder.join("node.env")) {
            Ok(text) if !text.is_empty() => Ports::claim_again(folder, options, &text),
            _ => Ports::claim_new(folder, options),
        }
    }

    fn claim_again(folder: &Path, options: &Options, text: &str) -> Result<(Ports, Child)> {
        let number = |name: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            let wrong = || Failure::failed(format!("{}/node.env: no {name}", folder.display()));
            value.and_then(|it| it.parse().ok()).ok_or_else(wrong)
        };
        let ports = Ports { first: number("FIRST_PORT")?, epmd: number("EPMD_PORT")? };
        // The node before may still be stopping.
        let deadline = Instant::now() + Duration::from_secs(15);
        while !ports.are_free() {
            if Instant::now() > deadline {
                let (first, last, folder) = (ports.first, ports.management(), folder.display());
                return Err(Failure::failed(format!(
                    "ports {first} to {last} are taken: is the node in {folder} running?"
                )));
            }
            sleep(Duration::from_millis(100));
        }
        let epmd = ports.start_epmd(folder, options)?;
        let epmd =
            epmd.ok_or_else(|| Failure::failed(format!("no epmd on port {}", ports.first)))?;
        Ok((ports, epmd))
    }

    fn claim_new(folder: &Path, options: &Options) -> Result<(Ports, Child)> {
        for attempt in 0..100 {
            let random = RandomState::new().hash_one(attempt) % BLOCKS;
            let first = FIRST + BLOCK * u16::try_from(random).unwrap_or_default();
            let ports = Ports { first, epmd: options.epmd_port.unwrap_or(first) };
            if !ports.are_free() {
                continue;
            }
            if let Some(epmd) = ports.start_epmd(folder, options)? {
                let text = format!(
                    "NODE_NAME={}\nFIRST_PORT={first}\nEPMD_PORT={}\nAMQP_PORT={}\nMANAGEMENT_PORT={}\n",
                    ports.node_name(),
                    ports.epmd,
                    ports.amqp(),
                    ports.management(),
                );
                fs::write(folder.join("node.env"), text)?;
                return Ok((ports, epmd));
            }
        }
        Err(Failure::failed("found no free ports between 20000 and 30000"))
    }

    pub(super) fn node_name(&self) -> String {
        format!("broker-{}@localhost", self.first)
    }

    pub(super) fn distribution(&self) -> u16 {
        self.first + 1
    }

    pub(super) fn amqp(&self) -> u16 {
        self.first + 2
    }

    pub(super) fn amqps(&self) -> u16 {
        self.first + 3
    }

    pub(super) fn management(&self) -> u16 {
        self.first + 4
    }

    fn are_free(&self) -> bool {
        !(self.first..self.first + BLOCK).any(accepts)
    }

    /// Starts epmd on the first port; `None` when another process got the port.
    fn start_epmd(&self, folder: &Path, options: &Options) -> Result<Option<Child>> {
        let mut command = bound("epmd", options.end_signal());
        command.args(["-port", &self.first.to_string(), "-address", "127.0.0.1"]);
        logged(&mut command, folder)?;
        let mut epmd = start(command).map_err(Failure::during("cannot start epmd"))?;
        for _ in 0..50 {
            if accepts(self.first) {
                // It may be the epmd of another node, whose port made ours end.
                sleep(Duration::from_millis(100));
                break;
            }
            sleep(Duration::from_millis(50));
        }
        if epmd.try_wait()?.is_none() {
            return Ok(Some(epmd));
        }
        Ok(None)
    }
}

/// True when something listens on the port.
pub(super) fn accepts(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}
