#!/usr/bin/env bash
#
# Looks at the daemon's page in a real browser, with the daemon, a private
# RabbitMQ node and a fake of the Mimecast API behind it.
#
# usage: page.sh
#
# It needs a Rust toolchain, what scripts/checks/tools.sh installs, RabbitMQ, and
# Chromium with its driver, which are installed from Debian's packages where they
# are missing and that is permitted.
#
# exit status: 0 all is as it should be; 1 something is not, stderr says what;
#              69 something that is needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/checks/packages.sh
source scripts/checks/packages.sh

fail() {
    printf 'page.sh: %s\n' "$*" >&2
    exit 69
}

ensure_browser() {
    [[ ! -x /usr/bin/chromium || ! -x /usr/bin/chromedriver ]] || return 0
    ! can_install || install_packages chromium chromium-driver || true
    [[ -x /usr/bin/chromium && -x /usr/bin/chromedriver ]] ||
        fail "Chromium is missing: install chromium and chromium-driver"
}

scripts/broker/node.sh --install
[[ -x .tools/bin/python ]] || fail "the tools are missing: scripts/checks/tools.sh installs them"
ensure_browser
messages=$(cargo build --quiet --locked --workspace --bins --message-format json-render-diagnostics)
mapfile -t programs < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' <<<"$messages")
PATH=$PWD/.tools/bin:$PATH PYTHONDONTWRITEBYTECODE=1 python scripts/checks/page.py "${programs[@]}"
