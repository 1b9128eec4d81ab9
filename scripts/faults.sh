#!/usr/bin/env bash
#
# Brings about every fault that there is a test for, and writes docs/faults.md
# from what came of it. Nothing in that page is written by hand.
#
# usage: faults.sh [--cases N]
#
# N random lists of faults are tried as well (100). FAULTS_SEED repeats the lists
# of an earlier run, RUST_TEST_THREADS says how many tests run at once (4).
#
# exit status: 0 every message ended where it may, and the page is written; 1 not
#              so, or a test did not run; 64 wrong usage

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PAGE=docs/faults.md

usage() {
    printf 'faults.sh: %s; usage: faults.sh [--cases N]\n' "$1" >&2
    exit 64
}

# The values of the report's lines that begin with a word.
reported() {
    sort "$FAULTS_REPORT" | sed -n "s/^$1\t//p"
}

write_page() {
    cat <<PAGE
# What faults cost

> Every published message ends in exactly one of three places: applied and acked, in the dead-letter
> queue with a reason, or still queued. Whatever fails, whenever it fails.

Written by \`scripts/faults.sh\` from one run of it, with RabbitMQ $(reported broker | uniq), the real binary
and a fake of the vendor's API. Every fault has a test of its own in \`tests/suite/faults\`. One message in ten is
malformed and one in ten is refused by the vendor for good: these are the dead letters. The test fails if
a message is in none of the three places (lost), or is a dead letter that has no business to be one.

- *duplicated*: commands that were asked for again after they held already, and dead letters that were
  written twice. Delivery is at least once and effects are idempotent, so nobody is harmed.
- *consuming*: seconds from the end of the fault until \`/readyz\` says that every lane consumes.
- *settled*: seconds from the end of the fault until no message was in work or queued any more. The waits
  between attempts, probes and rungs were set to fractions of a second.

| fault | what happened | messages | lost | applied | dead-lettered | duplicated | consuming | settled |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
$(reported row | cut -f 2)

Beside these, $(reported cases) random lists of faults, one after another and at the same time, on random messages: none
was lost, and no dead letter was without a right.
PAGE
}

cases=100
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

FAULTS_REPORT=$(mktemp)
trap 'rm -f "$FAULTS_REPORT"' EXIT
export FAULTS_REPORT FAULTS_CASES=$cases RUST_TEST_THREADS=${RUST_TEST_THREADS:-4}

# The page is not checked against itself while it is being made.
cargo test --locked --test suite faults:: -- --skip the_page_of_faults
mkdir -p "${PAGE%/*}"
write_page >"$PAGE"
cargo test --locked --test suite the_page_of_faults
