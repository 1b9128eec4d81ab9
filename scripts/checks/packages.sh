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

# take_out PACKAGE FILE FOLDER copies one file out of a package that stays as it is: installing some would start
# what is in them.
take_out() {
    local folder
    command -v apt-get >/dev/null || return 1
    folder=$(mktemp -d)
    # The lists may be missing, or be of versions that are gone.
    download_package "$1" "$folder" || { can_install && as_root apt-get -q update >&2 &&
        download_package "$1" "$folder"; } || true
    mkdir -p "$3"
    if dpkg-deb --fsys-tarfile "$folder/$1"_*.deb 2>/dev/null |
        tar --extract --directory "$folder" ".$2" 2>/dev/null; then
        mv "$folder$2" "$3/"
    fi
    rm -rf "$folder"
    [[ -e $3/${2##*/} ]]
}

download_package() {
    (cd "$2" && apt-get -q download "$1" >/dev/null 2>&1)
}
