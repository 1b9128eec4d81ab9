#!/usr/bin/env bash
#
# Counts the instructions that the pure core needs for one message, from its bytes to
# the decision what becomes of it, and insists on a bound. Unlike a time, the count
# is the same on every machine.
#
# usage: instructions.sh [--release]
#
# Counted is the build of the tests, which is there anyway: what is done twice shows
# in it as well. --release counts the optimised one, and knows no bound.
#
# exit status: 0 within the bound; 1 above it; 64 wrong usage; 69 valgrind is
#              missing and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A message needed 258,000 when this was written. A tenth more may be another compiler.
BOUND=284000

profile=()
case $#${1-} in
    0) ;;
    1--release) profile=(--release) ;;
    *)
        printf 'usage: instructions.sh [--release]\n' >&2
        exit 64
        ;;
esac
cargo xtask need valgrind
program=$(cargo xtask programs instructions -- "${profile[@]}")/examples/instructions
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What the start needs is the same for few and for many.
count() {
    valgrind --tool=callgrind --callgrind-out-file="$folder/$1" "$program" "$1" 2>"$folder/log" ||
        { cat "$folder/log" >&2 && exit 1; }
    awk '/^(summary|totals):/ {print $2; exit}' "$folder/$1"
}

each=$((($(count 300) - $(count 100)) / 200))
if ((${#profile[@]})); then
    printf '%d instructions a message, optimised\n' "$each"
    exit
fi
printf '%d instructions a message; at most %d are allowed\n' "$each" "$BOUND"
if ((each > BOUND)); then
    printf 'instructions.sh: what is done for each message has become more: see where with\n' >&2
    printf '  valgrind --tool=callgrind %s 300 && callgrind_annotate --inclusive=yes callgrind.out.*\n' "$program" >&2
    exit 1
fi
