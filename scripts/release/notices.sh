#!/usr/bin/env bash
#
# Writes THIRD-PARTY-NOTICES.txt: the licenses of the crates that are linked into the
# program.
#
# usage: notices.sh           write it, by the pinned cargo-about, which is built where
#                             it is missing
#        notices.sh --check   check that it names each of these crates and no other
#
# exit status: 0 written, or complete; 1 failed; 64 wrong usage

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

FILE=THIRD-PARTY-NOTICES.txt

# The crates of the program on either platform, as NAME VERSION.
linked() {
    local target
    for target in x86_64 aarch64; do
        cargo tree --locked --features jemalloc --target "$target-unknown-linux-gnu" --edges normal --prefix none \
            --format '{p}'
    done | sed -n 's/^\([^ ]*\) v\([^ ]*\).*/\1 \2/p' | sort --unique
}

case $* in
    '')
        cargo xtask tools cargo-about
        PATH=$PWD/.tools/crates/bin:$PATH cargo about generate --offline --locked --features jemalloc \
            --output-file "$FILE" config/release/notices.hbs
        ;;
    --check)
        if ! diff <(linked) <(sed -n 's/^\([a-z0-9A-Z_-]* [0-9][^ ]*\): .*/\1/p' "$FILE" | sort --unique); then
            printf 'notices.sh: %s lacks or has what is shown: run scripts/release/notices.sh\n' "$FILE" >&2
            exit 1
        fi
        ;;
    *) printf 'notices.sh: usage: notices.sh [--check]\n' >&2 && exit 64 ;;
esac
