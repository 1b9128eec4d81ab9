#!/usr/bin/env bash
#
# Holds the dashboard to a daemon at work, with a private RabbitMQ node and a fake
# of the Mimecast API: every query of every panel is read, and each metric and
# label in it is looked for in the daemon's live /metrics.
#
# usage: dashboard.sh
#
# It needs a Rust toolchain, what scripts/checks/tools.sh installs, and RabbitMQ.
#
# exit status: 0 all is as it should be; 1 something is not, stderr says what;
#              64 wrong usage; 69 something that is needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'dashboard.sh: %s\n' "${*:2}" >&2
    exit "$1"
}

(($# == 0)) || fail 64 "usage: dashboard.sh"
scripts/broker/node.sh --install
[[ -x .tools/bin/python ]] || fail 69 "the tools are missing: scripts/checks/tools.sh installs them"
messages=$(cargo build --quiet --locked --workspace --bins --message-format json-render-diagnostics)
mapfile -t programs < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' <<<"$messages")
export PATH=$PWD/.tools/bin:$PATH PYTHONPATH=scripts/checks:scripts/chart
# The node's data is thrown away.
export PYTHONDONTWRITEBYTECODE=1 BROKER_STOP_TIMEOUT=0
python scripts/dashboard/check.py "${programs[@]}"
