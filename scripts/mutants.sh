#!/usr/bin/env bash
#
# Makes one small mistake at a time in the pure core, and looks whether a test
# notices. What nobody notices has no test, or does nothing.
#
# usage: mutants.sh [FILE...]
#
# FILE is one of the core without its ending, such as breaker; by default all are
# tried, which takes about an hour. Mistakes that make no difference are listed in
# .cargo/mutants.toml, each with the reason. target/mutants says what came of it.
#
# exit status: 0 every mistake was noticed; 1 some were not, they are on stdout, or
#              the tests fail as it is; 64 wrong usage; 69 cargo-mutants is not
#              there and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

OUTPUT=$PWD/target/mutants

# The tests of the suite that need neither a broker nor a vendor.
PURE=(golden:: signing:: verdict:: verdict_properties:: replies:: settings:: readme::)

# Without debug info each try is built in half the time. What the tries are built
# from is kept from the first pass to the second.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0 CARGO_TARGET_DIR=$OUTPUT/build RUST_BACKTRACE=0

# The one list of what is pure is the one that the tests enforce.
core() {
    sed -n '/^const CORE/,/^];/ s/^ *"\([a-z_]*\)",$/\1/p' tests/suite/architecture.rs
}

# try ARGUMENT... runs cargo-mutants over the chosen files, with arguments for it and behind -- for cargo test.
try() {
    .tools/crates/bin/cargo-mutants mutants --jobs 1 --colors never --output "$OUTPUT" "${files[@]}" "$@"
}

main() {
    local core names name files=() status=0
    mapfile -t core < <(core)
    names=("$@")
    (($#)) || names=("${core[@]}")
    for name in "${names[@]}"; do
        if [[ " ${core[*]} " != *" $name "* ]]; then
            printf 'mutants.sh: %s is not of the core; usage: mutants.sh [FILE...]\n' "$name" >&2
            exit 64
        fi
        files+=(--file "src/$name.rs")
    done
    # Without any, cargo-mutants would try every file there is.
    ((${#files[@]})) || { printf 'mutants.sh: the core has no files\n' >&2; exit 1; }
    scripts/tools.sh --mutants
    rm -rf "$OUTPUT"
    mkdir -p "$OUTPUT"
    # The tests in the files themselves are built faster and notice most, the suite tries what is left.
    try -- --locked --lib || status=$?
    # Some were missed, or some hang, which is no way to notice.
    if ((status == 2 || status == 3)); then
        status=0
        try --iterate -- --locked --test suite -- "${PURE[@]}" || status=$?
    fi
    ((status == 0)) || exit 1
}

main "$@"
