#!/usr/bin/env bash
#
# Lets the daemon work for an hour on RabbitMQ 4.3: mixed events at a steady rate,
# and every minute something else that is wrong with the vendor, the broker or the
# settings. It fails if memory, descriptors, threads, channels or latency rise from
# the tenth minute on, or if a message is not where it has to be in the end.
#
# usage: soak.sh [MINUTES]
#
# Only a run of 60 minutes or more that did not fail writes docs/soak.md, between its
# marks, and docs/soak.svg. In a shorter one everything is closer together, and the
# daemon may not be warm yet when the comparison begins. The machine should have
# nothing else to do.
#
# environment:
#   SOAK_SEED       which events and troubles come when (1)
#   SOAK_RATE       events a second (30)
#   SOAK_FEATURES   features of the build, as mimecast-eventd/otel
#   SOAK_PROGRAMS   folder with mimecast-eventd and fake-mimecast, which are built otherwise
#   BROKER_PROGRAMS the programs of another RabbitMQ than scripts/broker/later.sh unpacks
#
# It needs what scripts/checks/tools.sh installs, and what scripts/broker/later.sh needs.
#
# exit status: 0 nothing rose and nothing was lost; 1 something did or was, stderr
#              says what; 64 wrong usage; 69 something that is needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'soak.sh: %s\n' "${*:2}" >&2
    exit "$1"
}

build() {
    local messages
    messages=$(cargo build --quiet --release --locked --bins --package fake-mimecast --package mimecast-eventd \
        ${SOAK_FEATURES:+--features "$SOAK_FEATURES"} --message-format json-render-diagnostics)
    sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' <<<"$messages"
}

minutes=${1:-60}
(($# <= 1)) && [[ $minutes =~ ^[1-9][0-9]*$ ]] || fail 64 'usage: soak.sh [MINUTES]'
[[ -x .tools/bin/python ]] || fail 69 "the tools are missing: scripts/checks/tools.sh installs them"
BROKER_PROGRAMS=${BROKER_PROGRAMS:-$(scripts/broker/later.sh 4.3 .tools/rabbitmq-4.3)}
export BROKER_PROGRAMS
# The node's data is thrown away.
export PYTHONPATH=scripts/checks:scripts/bench PYTHONDONTWRITEBYTECODE=1 BROKER_STOP_TIMEOUT=0
.tools/bin/python scripts/soak/trial.py
if [[ -n ${SOAK_PROGRAMS:-} ]]; then
    programs=("$SOAK_PROGRAMS/fake-mimecast" "$SOAK_PROGRAMS/mimecast-eventd")
else
    built=$(build)
    mapfile -t programs <<<"$built"
fi
exec .tools/bin/python scripts/soak/soak.py --minutes "$minutes" --seed "${SOAK_SEED:-1}" --rate "${SOAK_RATE:-30}" \
    "${programs[@]}"
