#!/usr/bin/env bash
#
# Throws bytes at the sieve, which stands before everything that strangers send,
# and stops at the first that it does not take as it should.
#
# usage: fuzz.sh [SECONDS]
#
# It runs for so many SECONDS (60). It needs a nightly Rust (rustup toolchain
# install nightly) and installs cargo-fuzz, pinned, into .tools/ where that is
# missing. What was found before stays in tests/fuzz/corpus and is tried first.
#
# exit status: 0 nothing was found; 1 something was, and stands in
#              tests/fuzz/artifacts; 64 wrong usage; 69 what is needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

CARGO_FUZZ=0.13.1

seconds=${1:-60}
if (($# > 1)) || [[ ! $seconds =~ ^[1-9][0-9]*$ ]]; then
    printf 'fuzz.sh: usage: fuzz.sh [SECONDS]\n' >&2
    exit 64
fi
if ! cargo +nightly --version >/dev/null 2>&1; then
    printf 'fuzz.sh: a nightly Rust is missing: rustup toolchain install nightly\n' >&2
    exit 69
fi
if [[ $(.tools/bin/cargo-fuzz --version 2>/dev/null) != "cargo-fuzz $CARGO_FUZZ" ]]; then
    cargo install --locked --root .tools "cargo-fuzz@$CARGO_FUZZ" || exit 69
fi
PATH=$PWD/.tools/bin:$PATH
cargo +nightly fuzz run --fuzz-dir tests/fuzz sieve -- -max_total_time="$seconds" -max_len=4096
