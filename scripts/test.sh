#!/usr/bin/env bash
#
# Runs every check and every test there is, and stops at the first that fails.
#
# usage: test.sh
#
# It needs a Rust toolchain with rustfmt and clippy, a C compiler and make. RabbitMQ, Python's venv and
# the pinned tools are installed where they are missing and that is permitted.
# RUST_TEST_THREADS says how many tests run at once (4: they mostly wait).
#
# What depends on the broker is run against the installed RabbitMQ and against a
# later one, the page is looked at in Chromium, the instructions that the core needs
# are counted by valgrind, and systemd's own tool looks at the unit. Where one of them
# cannot be had, the last line says so.
#
# exit status: 0 all passed; 1 something did not, its name is on stderr; 69
#              something that is needed is missing and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

export RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}

# Runs one step, and says what it is and how long it took.
step() {
    local name=$1 started=$SECONDS status=0
    printf '\n==> %s\n' "$name"
    "${@:2}" || status=$?
    if ((status == 69)); then
        printf 'test.sh: cannot run: %s\n' "$name" >&2
        exit 69
    elif ((status != 0)); then
        printf 'test.sh: FAILED: %s\n' "$name" >&2
        exit 1
    fi
    printf '    %s: %d s\n' "$name" $((SECONDS - started))
}

toolchain() {
    local program
    for program in cargo rustfmt cargo-clippy; do
        if ! "$program" --version; then
            printf 'test.sh: %s is missing: install Rust, and: rustup component add rustfmt clippy\n' \
                "$program" >&2
            return 69
        fi
    done
    for program in cc make; do
        if ! command -v "$program" >/dev/null; then
            printf 'test.sh: %s is missing, by which the allocator of the feature jemalloc is built\n' "$program" >&2
            return 69
        fi
    done
}

# Advisories come without a change here, so a job of its own looks for them every day.
deny() {
    printf 'not among these checks: cargo deny check advisories, which needs their database\n'
    .tools/bin/cargo-deny --locked check --deny warnings bans licenses sources
}

# A later broker than the installed one; without it the rest is still worth running.
later_broker() {
    local status=0
    LATER=$(cargo xtask later "$NEWEST" ".tools/rabbitmq-$NEWEST") || status=$?
    if ((status == 69)); then
        not_run="${not_run:+$not_run; }nothing was run against RabbitMQ $NEWEST, see above"
        return 0
    fi
    return "$status"
}

# where_possible MISSED COMMAND... runs what the rest is still worth running without, where something is missing
# that it needs; MISSED is what the last line then says.
where_possible() {
    local missed=$1 status=0
    "${@:2}" || status=$?
    if ((status == 69)); then
        not_run="${not_run:+$not_run; }$missed, see above"
        return 0
    fi
    return "$status"
}

NEWEST=4.3
LATER=
not_run=

step 'toolchain' toolchain
step 'RabbitMQ' cargo xtask node --install
step 'tools' cargo xtask tools
step 'shellcheck' .tools/bin/shellcheck --external-sources scripts/*.sh scripts/*/*.sh .ci/run
step 'texts' scripts/checks/texts.sh
step 'format' cargo fmt --all --check
# With all features there is all the code, but for a line of those that refuse spans, which the tests compile.
step 'lints' cargo clippy --workspace --all-targets --features otel,jemalloc --locked -- -D warnings
step 'documentation' env RUSTDOCFLAGS='-D warnings' \
    cargo doc --workspace --no-deps --document-private-items --locked
step 'dependencies' deny
step 'tests' cargo test --workspace --locked
step 'instructions' where_possible 'the instructions of the core were not counted' scripts/instructions.sh
step 'features' cargo test --locked --features otel,jemalloc --test suite -- telemetry::spans
step "RabbitMQ $NEWEST" later_broker
if [[ -n $LATER ]]; then
    # What is skipped is long, and the same whatever the broker.
    step "tests with RabbitMQ $NEWEST" env BROKER_PROGRAMS="$LATER" \
        cargo test --locked --test suite -- broker:: cli:: daemon:: faults:: \
        --skip cli::audit --skip an_inventory_of_a_hundred_thousand --skip once_a_minute
fi
step 'demo' scripts/demo.sh
step 'producers' scripts/live.sh producers
step 'page' where_possible 'the page was not looked at in a browser' scripts/live.sh page
step 'unit' where_possible 'the unit for systemd was not looked at' scripts/systemd.sh
step 'chart' scripts/chart/chart.sh
printf '\nall passed in %d s%s\n' "$SECONDS" "${not_run:+; $not_run}"
