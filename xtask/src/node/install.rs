//! The installed RabbitMQ.

use super::Options;
use crate::failure::{Failure, Result};
use crate::packages::{as_root, can_install};
use crate::process::{find, report, succeeds_aloud};
use std::path::{Path, PathBuf};

/// Installs the package. It would start a system-wide node on port 5672 unless `policy-rc.d` forbids that. Several
/// callers may find RabbitMQ missing at the same time.
const INSTALL: &str = r#"
set -eu
policy=/usr/sbin/policy-rc.d
exec 9</var/lib/dpkg
flock 9
if dpkg-query -W -f '${db:Status-Status}' rabbitmq-server 2>/dev/null | grep -qx installed; then
    exit 0
fi
apt-get -q update || true
verdict=0
[ ! -x "$policy" ] || "$policy" rabbitmq-server start >/dev/null 2>&1 || verdict=$?
if [ "$verdict" -ne 101 ]; then
    trap 'exit 1' HUP INT TERM
    [ ! -e "$policy" ] || mv "$policy" "$policy.saved"
    trap 'rm -f "$policy"; [ ! -e "$policy.saved" ] || mv "$policy.saved" "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends rabbitmq-server
[ ! -d /run/systemd/system ] || systemctl disable rabbitmq-server.service || true
"#;

/// Returns the server program. The wrapper in /usr/sbin insists on root or the rabbitmq user, this one does not.
pub(super) fn server(options: &Options) -> Option<PathBuf> {
    if let Some(programs) = &options.programs {
        return Some(programs.join("rabbitmq-server")).filter(|it| it.is_file());
    }
    let packaged = PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server");
    let upstream = Path::new("/usr/lib/rabbitmq/lib").read_dir().into_iter().flatten().flatten();
    let upstream = upstream.map(|version| version.path().join("sbin/rabbitmq-server"));
    std::iter::once(packaged).chain(upstream).find(|it| it.is_file())
}

pub(super) fn missing() -> Failure {
    Failure::missing(
        "RabbitMQ is not installed: install RabbitMQ and Erlang (Debian and Ubuntu: apt-get install rabbitmq-server)",
    )
}

/// Makes sure that RabbitMQ is installed.
pub fn ensure() -> Result {
    let options = Options::from_environment()?;
    let is_installed =
        || server(&options).is_some() && find("erl").is_some() && find("epmd").is_some();
    if is_installed() {
        return Ok(());
    }
    if !can_install() {
        return Err(missing());
    }
    report(
        "RabbitMQ is not installed: installing the package rabbitmq-server, without starting its service",
    );
    let installed = succeeds_aloud(as_root("sh").args(["-c", INSTALL]));
    if installed && is_installed() { Ok(()) } else { Err(missing()) }
}
