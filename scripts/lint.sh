#!/usr/bin/env bash
#
# Checks what needs no program to run: formats, lints, documentation, dependencies,
# and every text that is neither Rust nor chart.
#
# usage: lint.sh [--all]
#
# --all   lint the optional features as well, whose crates take a minute to build
#
# It needs a Rust toolchain with rustfmt and clippy. It installs pinned tools in .tools/.
#
# exit status: 0 nothing found; 1 something was, stderr names the step; 64 wrong
#              usage; 69 something that is needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=scripts/checks/steps.sh
source scripts/checks/steps.sh

# The build with all features has every line, except one of those that refuse spans: the tests compile that.
features=()
case $#${1-} in
    0) ;;
    1--all) features=(--features "otel jemalloc") ;;
    *)
        printf 'usage: lint.sh [--all]\n' >&2
        exit 64
        ;;
esac

# Advisories appear without a change here, so a job of its own reads them every day.
dependencies() {
    .tools/bin/cargo-deny --locked check --deny warnings bans licenses sources
}

step 'tasks' cargo build --locked --package xtask
begin 'tools' "${CARGO_TARGET_DIR:-target}/debug/xtask" tools
step 'format' cargo fmt --all --check
step 'lints' cargo clippy --workspace --all-targets "${features[@]}" --locked -- -D warnings
step 'documentation' env RUSTDOCFLAGS='-D warnings' \
    cargo doc --workspace --no-deps --document-private-items --locked
await 'tools'
step 'shell' .tools/bin/shellcheck --external-sources scripts/*.sh scripts/*/*.sh .ci/run
step 'texts' scripts/checks/texts.sh
step 'dependencies' dependencies
report
