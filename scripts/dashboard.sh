#!/usr/bin/env bash
#
# Holds the dashboard to a daemon at work, with a private RabbitMQ node and a fake
# of the Mimecast API: every query of every panel is read, and each metric and
# label in it is looked for in the daemon's live /metrics.
#
# usage: dashboard.sh [--picture FILE]
#
# With --picture two daemons live through four minutes of work and trouble, while a
# Prometheus looks on, and what it says to each panel's query is drawn into FILE.
#
# It needs a Rust toolchain, what scripts/checks/tools.sh installs, and RabbitMQ.
# The picture needs Prometheus, Chromium with its driver, and pngquant too, which
# come from Debian's packages where they are missing and that is permitted.
#
# exit status: 0 all is as it should be; 1 something is not, stderr says what;
#              64 wrong usage; 69 something that is needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/checks/packages.sh
source scripts/checks/packages.sh

PROGRAMS=target/dashboard

fail() {
    printf 'dashboard.sh: %s\n' "${*:2}" >&2
    exit "$1"
}

# Not installed: that would start it.
ensure_prometheus() {
    command -v prometheus >/dev/null || [[ -x $PROGRAMS/prometheus ]] ||
        take_out prometheus /usr/bin/prometheus "$PROGRAMS" ||
        fail 69 "Prometheus is missing: install it (Debian and Ubuntu: the package prometheus has it)"
}

has_painters() {
    [[ -x /usr/bin/chromium && -x /usr/bin/chromedriver ]] && command -v pngquant >/dev/null
}

ensure_painters() {
    has_painters || ! can_install || install_packages chromium chromium-driver pngquant || true
    has_painters || fail 69 "a program is missing: install chromium, chromium-driver and pngquant"
}

case $#${1-} in
    0) ;;
    2--picture) ensure_prometheus && ensure_painters ;;
    *) fail 64 "usage: dashboard.sh [--picture FILE]" ;;
esac
scripts/broker/node.sh --install
[[ -x .tools/bin/python ]] || fail 69 "the tools are missing: scripts/checks/tools.sh installs them"
messages=$(cargo build --quiet --locked --workspace --bins --message-format json-render-diagnostics)
mapfile -t programs < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' <<<"$messages")
export PATH=$PWD/.tools/bin:$PWD/$PROGRAMS:$PATH PYTHONPATH=scripts/checks:scripts/chart
# The node's data is thrown away.
export PYTHONDONTWRITEBYTECODE=1 BROKER_STOP_TIMEOUT=0
python scripts/dashboard/check.py "$@" "${programs[@]}"
