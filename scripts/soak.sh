#!/usr/bin/env bash
#
# Runs the release build of the daemon for an hour on RabbitMQ 4.3, under load and
# faults, and fails if anything rises or a message is lost: docs/soak.md.
#
# usage: soak.sh [MINUTES]
#
# environment: SOAK_SEED (1), SOAK_RATE in events a second (30), SOAK_FEATURES of the
#              build, DAEMON_PROGRAM and BROKER_PROGRAMS in place of the usual ones
#
# exit status: 0 nothing rose and nothing was lost; 1 something did or was; 64 wrong usage

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

BROKER_PROGRAMS=${BROKER_PROGRAMS:-$(cargo xtask later 4.3 .tools/rabbitmq-4.3)}
if [[ -z ${DAEMON_PROGRAM:-} ]]; then
    cargo build --quiet --release --locked --bin mimecast-eventd ${SOAK_FEATURES:+--features "$SOAK_FEATURES"}
    DAEMON_PROGRAM=${CARGO_TARGET_DIR:-target}/release/mimecast-eventd
fi
export BROKER_PROGRAMS DAEMON_PROGRAM
exec cargo run --quiet --locked --package soak -- "$@"
