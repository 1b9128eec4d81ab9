#!/usr/bin/env bash
#
# Runs the producers of docs/producers against a private RabbitMQ node, the
# daemon and a fake of the Mimecast API: each address must leave its group, and
# an exchange that no queue is bound to must be told.
#
# usage: producers.sh
#
# It needs a Rust toolchain, what scripts/checks/tools.sh installs, RabbitMQ, and
# curl, without which that one producer is not run.
#
# exit status: 0 all went as it should; 1 something did not, stderr says what;
#              69 something that is needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/broker/node.sh --install
[[ -x .tools/bin/python ]] || {
    printf 'producers.sh: the tools are missing: scripts/checks/tools.sh installs them\n' >&2
    exit 69
}
messages=$(cargo build --quiet --locked --workspace --bins --example offboard --message-format json-render-diagnostics)
mapfile -t programs < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' <<<"$messages")
PATH=$PWD/.tools/bin:$PATH NODE_PATH=$PWD/.tools/models/node_modules \
    python scripts/checks/producers.py "${programs[@]}"
