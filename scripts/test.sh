#!/usr/bin/env bash
#
# Runs the tests and the demo, and checks the chart. It prints the slowest ten tests
# and the time of each step.
#
# usage: test.sh [--all | --only PART]
#
# --all         also every PART: each is slow, and needs no other
# --only PART   one of them alone: rabbitmq-4.0, rabbitmq-4.3 (the tests that depend on
#               the broker), faults (a cluster, every pair and 30 lists of faults),
#               worlds (of the proof), spans (with the feature otel), instructions
#               (of the core, by valgrind), producers, page (in Chromium), unit (for
#               systemd), values (malformed ones for the chart)
#
# It needs a Rust toolchain, a C compiler and make. RabbitMQ, Python's venv and the
# pinned tools are installed where they are missing and that is permitted. Where
# something is missing that only a part of --all needs, the last line names the part.
# RUST_TEST_THREADS is how many tests run at once (16, by .cargo/config.toml).
#
# exit status: 0 all passed; 1 something did not, its name is on stderr; 64 wrong
#              usage; 69 something that is needed is missing and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/checks/steps.sh
source scripts/checks/steps.sh

# Cargo hands the flag for the time of each test to the test programs alone: it is unstable, and the builds are not
# to know of it.
tests() {
    local status=0
    cargo test --workspace --locked --no-fail-fast --config 'target."cfg(all())".runner=["env","RUSTC_BOOTSTRAP=1"]' \
        -- -Z unstable-options --report-time 2>&1 | tee "$logs/tests" || status=1
    printf '\nthe slowest ten tests, in seconds\n'
    sed -nE 's/^test (.*) \.\.\. .* <([0-9.]+)s>.*/\2 \1/p' "$logs/tests" | sort -rn | sed 10q
    return "$status"
}

# The tests that depend on the broker, with another one.
with_broker() {
    local programs
    programs=$(cargo xtask later "$1" ".tools/rabbitmq-$1") || return
    BROKER_PROGRAMS=$programs cargo test --workspace --locked --no-fail-fast --test suite -- \
        broker:: cli::check cli::dlq cli::runbook cli::send daemon:: faults::
}

faults() {
    FAULTS_PAIRS=all FAULTS_CASES=30 FAULTS_SEED=$RANDOM \
        cargo test --workspace --locked --test suite -- --include-ignored faults::
}

PARTS=(rabbitmq-4.0 rabbitmq-4.3 faults worlds spans instructions producers page unit values)

part() {
    case $1 in
        rabbitmq-*) optional "$1" with_broker "${1#rabbitmq-}" ;;
        faults) step "$1" faults ;;
        worlds) step "$1" cargo run --locked --package model ;;
        spans) step "$1" cargo test --locked --features otel,jemalloc --test suite -- telemetry::spans ;;
        instructions) optional "$1" scripts/instructions.sh ;;
        producers) step "$1" scripts/live.sh producers ;;
        page) optional "$1" scripts/live.sh page ;;
        unit) optional "$1" cargo xtask unit ;;
        values) step "$1" scripts/chart/chart.sh --all ;;
        *) usage ;;
    esac
}

usage() {
    printf 'usage: test.sh [--all | --only PART], where PART is one of: %s\n' "${PARTS[*]}" >&2
    exit 64
}

install() {
    local program
    for program in cargo cc make; do
        command -v "$program" >/dev/null || {
            printf 'test.sh: %s is missing: install Rust, a C compiler and make\n' "$program" >&2
            exit 69
        }
    done
    step 'tasks' cargo build --locked --package xtask
    # Both wait for the network, and Cargo for the processors.
    begin 'RabbitMQ' "$programs/xtask" node --install
    begin 'tools' "$programs/xtask" tools
}

default() {
    step 'build' cargo test --workspace --locked --no-run
    await 'RabbitMQ'
    step 'tests' tests
    BUILT_PROGRAMS=$programs step 'demo' scripts/demo.sh
    await 'tools'
    BUILT_PROGRAMS=$programs step 'chart' scripts/chart/chart.sh
}

programs=${CARGO_TARGET_DIR:-target}/debug
case $#${1-} in
    0)
        install
        default
        ;;
    1--all)
        install
        default
        for part in "${PARTS[@]}"; do
            part "$part"
        done
        ;;
    2--only)
        [[ " ${PARTS[*]} " == *" $2 "* ]] || usage
        install
        await 'RabbitMQ'
        await 'tools'
        part "$2"
        ;;
    *) usage ;;
esac
report
