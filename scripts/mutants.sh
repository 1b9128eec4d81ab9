#!/usr/bin/env bash
#
# Makes one small mistake at a time in what is pure, and looks whether a test
# notices. What nobody notices has no test, or does nothing.
#
# usage: mutants.sh [FILE...]
#
# FILE is a file under src without its ending, such as verdict/pausing; by default
# the pure rooms and the pure files of others are tried, which takes about an hour.
# Mistakes that make no difference are listed in .cargo/mutants.toml, each with the
# reason. target/mutants says what came of it.
#
# exit status: 0 every mistake was noticed; 1 some were not, they are on stdout, or
#              the tests fail as it is; 64 wrong usage; 69 cargo-mutants is not
#              there and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

OUTPUT=$PWD/target/mutants

# Pure files in rooms that are not.
PURE_FILES=(vendor/quota vendor/sign settings/table telemetry/state)

# The tests of the suite that need neither a broker nor a vendor.
PURE_TESTS=(event:: verdict:: vendor::signing:: settings:: house::readme::)

# Without debug info each try is built in half the time. What the tries are built
# from is kept from the first pass to the second.
export CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_TEST_DEBUG=0 CARGO_TARGET_DIR=$OUTPUT/build RUST_BACKTRACE=0

# The one list of pure rooms is the one that the tests enforce.
pure() {
    local room file
    awk -F '[^a-z_]+' '/; pure [|]/ {print $2}' src/lib.rs | while read -r room; do
        for file in src/"$room"/*.rs; do
            file=${file#src/}
            [[ $file == */mod.rs ]] || printf '%s\n' "${file%.rs}"
        done
    done
    printf '%s\n' "${PURE_FILES[@]}"
}

# try ARGUMENT... runs cargo-mutants over the chosen files, with arguments for it and behind -- for cargo test.
try() {
    .tools/crates/bin/cargo-mutants mutants --jobs 1 --colors never --output "$OUTPUT" "${files[@]}" "$@"
}

main() {
    local names name files=() status=0
    names=("$@")
    (($#)) || mapfile -t names < <(pure)
    for name in "${names[@]}"; do
        if [[ ! -f src/$name.rs ]]; then
            printf 'mutants.sh: there is no src/%s.rs; usage: mutants.sh [FILE...]\n' "$name" >&2
            exit 64
        fi
        files+=(--file "src/$name.rs")
    done
    # Without any, cargo-mutants would try every file there is.
    ((${#files[@]} > ${#PURE_FILES[@]} || $#)) || {
        printf 'mutants.sh: src/lib.rs names no pure room\n' >&2
        exit 1
    }
    cargo xtask tools cargo-mutants
    rm -rf "$OUTPUT"
    mkdir -p "$OUTPUT"
    # The tests in the files themselves are built faster and notice most, the suite tries what is left.
    try -- --locked --lib || status=$?
    # Some were missed, or some hang, which is no way to notice.
    if ((status == 2 || status == 3)); then
        status=0
        try --iterate -- --locked --test suite -- "${PURE_TESTS[@]}" || status=$?
    fi
    ((status == 0)) || exit 1
}

main "$@"
