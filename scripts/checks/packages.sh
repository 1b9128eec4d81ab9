# shellcheck shell=bash
#
# Installs Debian's packages where that is permitted: without a password, and
# without a question. Sourced by the scripts that need some; they look for
# themselves whether what they need is there then, and say so if not.

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo -n "$@"
    fi
}

can_install() {
    command -v apt-get >/dev/null || return 1
    ((EUID == 0)) || sudo -n true 2>/dev/null
}

# install_packages NAME... says on stderr what it does. Another script may hold the lock.
install_packages() {
    # Lists from an earlier update may do when the network is away.
    as_root apt-get -q update >&2 || true
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" >&2
}
