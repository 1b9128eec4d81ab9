#!/usr/bin/env bash
#
# Brings about every fault that there is a test for, with the installed RabbitMQ
# and with later ones, and writes docs/faults.md from what came of it. Nothing in
# that page is written by hand.
#
# usage: faults.sh [--cases N]
#
# With each broker N random lists of faults are tried as well (30), and each pair
# of faults at once; with FAULTS_PAIRS=some only the pairs of every test run.
# FAULTS_SEED repeats the lists of an earlier run, RUST_TEST_THREADS is the number
# of tests at once (4). It needs root to unpack the other versions.
#
# exit status: 0 every message ended where it may, and the page is written; 1 not
#              so, or a test did not run; 64 wrong usage; 69 a broker is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PAGE=docs/faults.md

usage() {
    printf 'faults.sh: %s; usage: faults.sh [--cases N]\n' "$1" >&2
    exit 64
}

# The values of a report's lines that begin with a word.
reported() {
    sort "$reports/$1" | sed -n "s/^$2\t//p"
}

# The first report's faults, and beside them what came of each with each broker.
write_rows() {
    local columns=() broker
    for broker in "${BROKERS[@]}"; do
        reported "$broker" row | cut -f 3 >"$reports/$broker.column"
        columns+=("$reports/$broker.column")
    done
    reported "${BROKERS[0]}" row | cut -f 2 | paste -d '\t' - "${columns[@]}" |
        sed 's/\t/ | /g; s/^/| /; s/$/ |/'
}

# Several tests try pairs.
pairs() {
    reported "${BROKERS[0]}" pairs | awk '{ sum += $1 } END { print sum }'
}

versions() {
    local broker
    for broker in "${BROKERS[@]}"; do
        reported "$broker" broker | uniq
    done
}

write_page() {
    cat <<PAGE
# What faults cost

> Every published message ends in exactly one of three places: applied and acked, in the dead-letter
> queue with a reason, or still queued. Whatever fails, whenever it fails.

Written by \`scripts/faults.sh\` from one run of it with each of RabbitMQ $(versions | paste -s -d, | sed 's/,/, /g'),
the real binary and a fake of the vendor's API. Every fault has a test of its own in \`tests/suite/faults\`. One
message in ten is malformed and one in ten is refused by the vendor for good: these are the dead letters.
The test fails if a message is in none of the three places (lost), or is a dead letter that has no
business to be one.

Each column says of one RabbitMQ: messages lost · applied + dead-lettered · duplicated · seconds from the
end of the fault until \`/readyz\` says that every lane consumes · and until no message was in work or queued
any more. Duplicated are commands that were asked for again after they held already, and dead letters
that were written twice: delivery is at least once and effects are idempotent, so nobody is harmed. The
waits between attempts, probes and rungs were set to fractions of a second.

| fault | what happened | messages | $(versions | paste -s -d'|' | sed 's/|/ | /g') |
| --- | --- | --- |$(printf ' --- |%.0s' "${BROKERS[@]}")
$(write_rows)

Beside these, with each of them $(reported "${BROKERS[0]}" cases) random lists of faults, one after another and at the same time, on
random messages, and $(pairs) pairs of faults at once: no message was lost, and no dead letter was without
a right.
PAGE
}

cases=30
while (($# > 0)); do
    case $1 in
        --cases)
            [[ ${2:-} =~ ^[0-9]+$ ]] || usage '--cases wants a number'
            cases=$2
            shift 2
            ;;
        *) usage "unknown argument $1" ;;
    esac
done

BROKERS=(installed 4.0 4.3)
reports=$(mktemp -d)
trap 'rm -rf "$reports"' EXIT
export FAULTS_CASES=$cases FAULTS_PAIRS=${FAULTS_PAIRS:-all} RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}

for broker in "${BROKERS[@]}"; do
    programs=()
    if [[ $broker != installed ]]; then
        programs=("BROKER_PROGRAMS=$(cargo xtask later "$broker" ".tools/rabbitmq-$broker")")
    fi
    # The page is not checked against itself while it is being made.
    env "${programs[@]}" FAULTS_REPORT="$reports/$broker" \
        cargo test --locked --test suite -- --include-ignored faults:: broker::node --skip the_page_of_faults
done
mkdir -p "${PAGE%/*}"
write_page >"$PAGE"
cargo test --locked --test suite the_page_of_faults
