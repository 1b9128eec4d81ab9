#!/usr/bin/env bash
#
# Throws bytes at what reads the words of strangers: messages and what stands around
# them, the vendor's replies, settings files, and dead letters with what says which of
# them are meant. It stops at the first input that is not taken as it should be.
#
# usage: fuzz.sh [--target NAME]... [SECONDS]
#
# Each NAME is one of tests/fuzz/targets (event, filter, reply, settings, sieve); by
# default all are run, each for so many SECONDS (60). What it begins with is made of the
# golden files. It needs a nightly Rust (rustup toolchain install nightly) and Python,
# and installs cargo-fuzz, pinned, into .tools/ where that is missing. What was found
# before stays in tests/fuzz/corpus and is tried first. CARGO_FUZZ_TOOLCHAIN names
# another nightly.
#
# exit status: 0 nothing was found; 1 something was, and stands in
#              tests/fuzz/artifacts; 64 wrong usage; 69 what is needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ALL=(event filter reply settings sieve)
TOOLCHAIN=${CARGO_FUZZ_TOOLCHAIN:-nightly}

# Longer inputs say nothing that these do not; what length costs is for instructions.sh to say.
MOST_BYTES=16384

# An input that takes longer, in seconds, or asks for more memory at once, in MiB, is not taken as it should be.
LONGEST=10
MOST_AT_ONCE=64

fail() {
    printf 'fuzz.sh: %s\n' "$2" >&2
    exit "$1"
}

usage() {
    fail 64 "$1; usage: fuzz.sh [--target NAME]... [SECONDS]"
}

targets=()
seconds=60
while (($#)); do
    case $1 in
        --target)
            [[ " ${ALL[*]} " == *" ${2-} "* ]] || usage "the targets are ${ALL[*]}"
            targets+=("$2")
            shift 2
            ;;
        *)
            [[ $1 =~ ^[1-9][0-9]*$ && $# == 1 ]] || usage "SECONDS is a whole number, and comes last"
            seconds=$1
            shift
            ;;
    esac
done
((${#targets[@]})) || targets=("${ALL[@]}")

cargo "+$TOOLCHAIN" --version >/dev/null 2>&1 ||
    fail 69 "a nightly Rust is missing: rustup toolchain install $TOOLCHAIN"
command -v python3 >/dev/null || fail 69 'Python is missing: install python3'
cargo xtask tools cargo-fuzz
PATH=$PWD/.tools/crates/bin:$PATH
seeds=$(mktemp -d)
trap 'rm -rf "$seeds"' EXIT
python3 scripts/fuzz/seeds.py "$seeds"

fuzz() {
    local target=$1
    printf '\n==> %s\n' "$target"
    mkdir -p "tests/fuzz/corpus/$target"
    # The first folder is where new ways are written to.
    cargo "+$TOOLCHAIN" fuzz run --fuzz-dir tests/fuzz "$target" \
        "tests/fuzz/corpus/$target" "$seeds/$target" -- -max_total_time="$seconds" \
        -max_len="$MOST_BYTES" -timeout="$LONGEST" -malloc_limit_mb="$MOST_AT_ONCE" -print_final_stats=1 ||
        fail 1 "$target: an input was not handled, see above; it is in tests/fuzz/artifacts/$target"
}

for target in "${targets[@]}"; do
    fuzz "$target"
done
printf '\nnothing was found in %d s each\n' "$seconds"
