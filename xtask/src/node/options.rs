//! How a node is started.

use crate::failure::{Failure, Result};
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

/// Options of a node. Each has an environment variable.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// `BROKER_PROGRAMS`: folder with the `rabbitmq-server` and `rabbitmqctl` to use in place of the installed
    /// ones.
    pub programs: Option<PathBuf>,
    /// `BROKER_TLS_DIR`: folder with `ca.pem`, `server.pem` and `server.key`. It adds a TLS listener that asks for
    /// a client certificate and accepts clients without one; EXTERNAL takes its common name.
    pub tls: Option<PathBuf>,
    /// `BROKER_EXTRA_CONFIG`: file whose text is appended to `rabbitmq.conf`; guest must stay able to log in.
    pub extra_config: Option<PathBuf>,
    /// `BROKER_EPMD_PORT`: port of a running epmd, by which the nodes of a cluster find each other. The caller
    /// keeps it alive and gives all nodes the same `.erlang.cookie`. By default the node has its own.
    pub epmd_port: Option<u16>,
    /// `BROKER_STOP_TIMEOUT`: time that the node gets to stop before it is killed, in seconds (10). RabbitMQ 3.10
    /// needs 6, of which 5 pass after the data is safe; a caller that throws the data away sets 0.
    pub stop_timeout: Duration,
}

impl Options {
    /// Reads the options from variables.
    pub fn from_variables(get: impl Fn(&str) -> Option<OsString>) -> Result<Options> {
        let path = |name| get(name).filter(|it| !it.is_empty()).map(PathBuf::from);
        let number = |name: &str| {
            let value = get(name).filter(|it| !it.is_empty());
            let parse = |value: OsString| value.to_str().and_then(|it| it.parse::<u16>().ok());
            let wrong = || Failure::usage(format!("{name} is not a number"));
            value.map(|value| parse(value).ok_or_else(wrong)).transpose()
        };
        Ok(Options {
            programs: path("BROKER_PROGRAMS"),
            tls: path("BROKER_TLS_DIR"),
            extra_config: path("BROKER_EXTRA_CONFIG"),
            epmd_port: number("BROKER_EPMD_PORT")?,
            stop_timeout: Duration::from_secs(number("BROKER_STOP_TIMEOUT")?.unwrap_or(10).into()),
        })
    }

    /// Reads the options from the environment of this process.
    pub fn from_environment() -> Result<Options> {
        Options::from_variables(|name| std::env::var_os(name))
    }

    /// Fails when a named file cannot be read.
    pub(super) fn check(&self) -> Result {
        let tls = self.tls.iter().flat_map(|folder| {
            ["ca.pem", "server.pem", "server.key"].map(|file| ("BROKER_TLS_DIR", folder.join(file)))
        });
        let extra = self.extra_config.iter().map(|file| ("BROKER_EXTRA_CONFIG", file.clone()));
        for (name, file) in tls.chain(extra) {
            let what = format!("{name}: cannot read {}", file.display());
            File::open(file).map_err(|error| Failure::usage(format!("{what}: {error}")))?;
        }
        Ok(())
    }

    /// The signal that ends the node when its starter was killed.
    pub(super) fn end_signal(&self) -> &'static str {
        if self.stop_timeout.is_zero() { "KILL" } else { "TERM" }
    }
}
