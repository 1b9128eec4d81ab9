#!/usr/bin/env bash
#
# Checks what is neither Rust nor chart: the Dockerfile and what is sent to its
# builder, the composition, the workflows, the contract with producers, the
# Markdown texts, the spelling.
#
# usage: texts.sh
#
# It needs what `cargo xtask tools` installs. With Docker's plugin compose, that reads
# the composition too.
#
# exit status: 0 nothing found; 1 something was, it is on stdout or stderr

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export LC_ALL=C
export PATH=$PWD/.tools/bin:$PATH

MAX_CONTEXT_BYTES=$((2500 * 1000))

problem() {
    printf 'texts.sh: %s\n' "$*" >&2
    failed=yes
}

# check WHAT COMMAND... goes on after what it finds. The shell does not stop at an error in COMMAND either.
check() {
    printf '%s\n' "$1"
    "${@:2}" || problem "$1: not as it should be"
}

# A list of what to send cannot be forgotten when something new and big appears, a list of what not to can.
context() {
    local patterns pattern paths=() bytes
    mapfile -t patterns < <(sed '/^#/d; /^$/d' .dockerignore)
    [[ ${patterns[0]} == '*' ]] || { problem ".dockerignore does not begin with *"; return; }
    for pattern in "${patterns[@]:1}"; do
        [[ $pattern == '!/'* && -e ${pattern#!/} ]] || { problem ".dockerignore: $pattern is no path here"; return; }
        paths+=("${pattern#!/}")
    done
    bytes=$(du --summarize --bytes --total "${paths[@]}" | sed -n 's/\ttotal$//p')
    ((bytes <= MAX_CONTEXT_BYTES)) || problem "the build context has $bytes bytes, more than $MAX_CONTEXT_BYTES"
}

version() {
    local dockerfile cargo
    dockerfile=$(sed -n 's/^ARG VERSION=//p' Dockerfile)
    cargo=$(cargo pkgid --offline)
    [[ $dockerfile == "${cargo##*@}" ]] || problem "the Dockerfile says version $dockerfile, Cargo.toml ${cargo##*@}"
}

# The version of Rust stands where each reader looks for it.
rust() {
    local cargo image workflow
    cargo=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    image=$(sed -n 's/^FROM [^ ]*\/rust:\([0-9.]*\)-.*/\1/p' Dockerfile)
    workflow=$(sed -n 's/^  RUST: //p' .github/workflows/ci.yaml)
    [[ $image == "$workflow" ]] || problem "the Dockerfile has Rust $image, the workflow $workflow"
    [[ ${image%.*} == "$cargo" ]] || problem "the Dockerfile has Rust $image, Cargo.toml $cargo"
}

# Cargo reads no manifest of a workspace whose members are not all there.
members() {
    local member
    while read -r member; do
        grep -q "^COPY $member/Cargo.toml $member/\$" Dockerfile || problem "the Dockerfile leaves out $member/Cargo.toml"
        grep -qx "!/$member/Cargo.toml" .dockerignore || problem ".dockerignore leaves out $member/Cargo.toml"
    done < <(sed -n '/^members = /s/"/\n/gp' Cargo.toml | grep /)
}

# Docker makes a folder of what is not there.
mounts() {
    local path
    while read -r path; do
        [[ -f $path ]] || problem "compose.yaml mounts $path, which is not there"
    done < <(sed -n 's|^ *- \(\./[^:]*\):.*|\1|p' compose.yaml)
}

composition() {
    mounts
    check-jsonschema --builtin-schema vendor.compose-spec compose.yaml &&
        { ! docker compose version >/dev/null 2>&1 || docker compose config --quiet; }
}

workflows() {
    actionlint -shellcheck shellcheck .github/workflows/*.yaml &&
        zizmor --quiet --offline --persona pedantic .github &&
        check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yaml
}

# What producers build on: the examples in it are run through the daemon's own parser by a test.
contract() {
    check-jsonschema --quiet --check-metaschema docs/schemas/*.json &&
        node scripts/checks/asyncapi.mjs .tools/models/node_modules docs/asyncapi.yaml
}

failed=''
check 'Dockerfile' hadolint --failure-threshold style Dockerfile
check 'build context' context
check 'members' members
check 'version' version
check 'Rust' rust
check 'licenses' scripts/release/notices.sh --check
check 'composition' composition
check 'workflows' workflows
check 'contract' contract
check 'Markdown' rumdl check --quiet .
check 'spelling' typos
[[ -z $failed ]]
