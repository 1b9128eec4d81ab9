#!/usr/bin/env bash
#
# Runs the tests and the demo, and checks the chart. It prints the slowest ten tests
# and the time of each step.
#
# usage: test.sh [--all]
#
# --all   also what is slow and stands alone: RabbitMQ 4.0 and 4.3, every pair of
#         faults, the large worlds of the proof, spans, counts of instructions, the
#         producers, the page in a browser, the unit for systemd, the dashboard, and
#         what a chart makes of malformed values
#
# It needs a Rust toolchain, a C compiler and make. RabbitMQ, Python's venv and the
# pinned tools are installed where they are missing and that is permitted. Where
# something is missing that only a part of --all needs, the last line names the part.
# RUST_TEST_THREADS is how many tests run at once (16: most of them wait).
#
# exit status: 0 all passed; 1 something did not, its name is on stderr; 64 wrong
#              usage; 69 something that is needed is missing and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/checks/steps.sh
source scripts/checks/steps.sh

export RUST_TEST_THREADS=${RUST_TEST_THREADS:-16}

# What is built, by the same flags everywhere, so that Cargo builds it once.
BUILD=(--workspace --locked)

# Cargo hands the flag for the time of each test to the test programs alone: it is unstable, and the builds are not
# to know of it.
tests() {
    local status=0
    cargo test "${BUILD[@]}" --no-fail-fast --config 'target."cfg(all())".runner=["env","RUSTC_BOOTSTRAP=1"]' \
        -- -Z unstable-options --report-time 2>&1 | tee "$logs/tests" || status=1
    printf '\nthe slowest ten tests, in seconds\n'
    sed -nE 's/^test (.*) \.\.\. .* <([0-9.]+)s>.*/\2 \1/p' "$logs/tests" | sort -rn | sed 10q
    return "$status"
}

# The tests that depend on the broker, with another one.
with_broker() {
    local programs
    programs=$("${CARGO_TARGET_DIR:-target}/debug/xtask" later "$1" ".tools/rabbitmq-$1") || return
    BROKER_PROGRAMS=$programs cargo test --workspace --locked --no-fail-fast --test suite -- \
        broker:: cli::check cli::dlq cli::runbook cli::send daemon:: faults::
}

everything() {
    optional 'RabbitMQ 4.0' with_broker 4.0
    optional 'RabbitMQ 4.3' with_broker 4.3
    step 'more faults' env FAULTS_PAIRS=all FAULTS_CASES=30 FAULTS_SEED="$RANDOM" \
        cargo test --workspace --locked --test suite -- faults::pairs faults::random
    step 'worlds of the proof' cargo run --locked --package model
    step 'spans' cargo test --locked --features otel,jemalloc --test suite -- telemetry::spans
    optional 'instructions' scripts/instructions.sh
    step 'producers' scripts/live.sh producers
    optional 'page' scripts/live.sh page
    optional 'unit' scripts/systemd.sh
}

all=''
case $#${1-} in
    0) ;;
    1--all) all=--all ;;
    *)
        printf 'usage: test.sh [--all]\n' >&2
        exit 64
        ;;
esac
for program in cargo cc make; do
    command -v "$program" >/dev/null || {
        printf 'test.sh: %s is missing: install Rust, a C compiler and make\n' "$program" >&2
        exit 69
    }
done
cargo --version
programs=${CARGO_TARGET_DIR:-target}/debug
step 'tasks' cargo build --locked --package xtask
# Both wait for the network, and Cargo for the processors.
begin 'RabbitMQ' "$programs/xtask" node --install
begin 'tools' "$programs/xtask" tools
step 'build' cargo test "${BUILD[@]}" --no-run
await 'RabbitMQ'
step 'tests' tests
export BUILT_PROGRAMS=$programs
step 'demo' scripts/demo.sh
await 'tools'
step 'chart' scripts/chart/chart.sh $all
[[ -z $all ]] || everything
report
