//! The files of a node.

use super::Options;
use super::ports::Ports;
use crate::failure::Result;
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Creates the folders and the files that do not depend on ports.
pub(super) fn prepare(folder: &Path) -> Result {
    for name in ["data", "log", "conf.d"] {
        fs::create_dir_all(folder.join(name))?;
    }
    let plugins = "[rabbitmq_auth_mechanism_ssl,rabbitmq_management].\n";
    fs::write(folder.join("enabled_plugins"), plugins)?;
    fs::write(folder.join("log/start.log"), "")?;
    // So that those in /etc/rabbitmq are not read. A test that leaves a dozen queues behind is no load on the others.
    fs::write(folder.join("rabbitmq-env.conf"), "")?;
    fs::write(folder.join("advanced.config"), "[{rabbit, [{quorum_tick_interval, 60000}]}].\n")?;
    let cookie = folder.join(".erlang.cookie");
    if !cookie.exists() {
        let mut random = [0; 32];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o400).open(cookie)?;
        for byte in random {
            write!(file, "{byte:02x}")?;
        }
    }
    Ok(())
}

/// Writes `rabbitmq.conf`. The log of all quorum queues may become larger than a whole run of the tests makes it, about
/// 600 MB, so that no run depends on when a new one is begun.
pub(super) fn write(folder: &Path, ports: &Ports, options: &Options) -> Result {
    let mut text = format!(
        "listeners.tcp.1 = 127.0.0.1:{}\n\
         management.tcp.ip = 127.0.0.1\n\
         management.tcp.port = {}\n\
         collect_statistics_interval = 1000\n\
         disk_free_limit.absolute = 10MB\n\
         raft.wal_max_size_bytes = 2000000000\n\
         log.file.level = info\n",
        ports.amqp(),
        ports.management(),
    );
    if let Some(tls) = &options.tls {
        let tls = tls.canonicalize()?;
        let (tls, port) = (tls.display(), ports.amqps());
        let _infallible = write!(
            text,
            "listeners.ssl.1 = 127.0.0.1:{port}\n\
             ssl_options.cacertfile = {tls}/ca.pem\n\
             ssl_options.certfile = {tls}/server.pem\n\
             ssl_options.keyfile = {tls}/server.key\n\
             ssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = false\n\
             ssl_cert_login_from = common_name\n\
             auth_mechanisms.1 = PLAIN\n\
             auth_mechanisms.2 = AMQPLAIN\n\
             auth_mechanisms.3 = EXTERNAL\n"
        );
    }
    if let Some(extra) = &options.extra_config {
        text.push_str(&fs::read_to_string(extra)?);
    }
    fs::write(folder.join("rabbitmq.conf"), text)?;
    Ok(())
}
