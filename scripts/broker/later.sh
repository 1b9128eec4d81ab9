#!/usr/bin/env bash
#
# Unpacks another RabbitMQ than the installed one into a folder, with the Erlang
# that belongs to it: from the packages of a later Debian, or from an image.
#
# usage: later.sh 4.0|4.3 FOLDER
#        later.sh rabbitmq:TAG FOLDER    (with a Docker engine)
#
# The folder with its programs goes to stdout: that is what BROKER_PROGRAMS takes
# in tests and in node.sh. They run in a root and a mount namespace of their own,
# so nothing stays mounted and nothing is installed. What a node reads and writes
# has to lie under /tmp, which is the same inside and outside.
#
# It needs root, 240 MB and about a minute; a FOLDER that was used before is there
# at once. Tried: 4.0.5 and 4.3.6 from packages.
#
# exit status: 0 they are there; 64 wrong usage; 69 they cannot be had here, and
#              stderr says why

set -euo pipefail

# shellcheck source=scripts/checks/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/../checks/packages.sh"

fail() {
    printf 'later.sh: %s\n' "${*:2}" >&2
    exit "$1"
}

# The mirror that this machine takes its own packages from.
mirror() {
    local sources
    sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true)
    sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb (\[[^]]*\] )?([^ ]+) .*/\2/p' <<<"$sources" |
        grep -m 1 -v security || true
}

# What is in the image, without running it.
unpack_image() {
    local image=$1 root=$2 container
    command -v docker >/dev/null || fail 69 "there is no docker to take $image from"
    container=$(docker create "$image") || fail 69 "$image cannot be had"
    rm -rf "$root"
    mkdir -p "$root"
    docker export "$container" | tar -x -C "$root"
    docker rm "$container" >/dev/null
}

unpack_packages() {
    local suite=$1 root=$2 from
    command -v apt-get >/dev/null || fail 69 "there is no apt-get, and a later RabbitMQ comes in Debian's packages"
    if ! command -v mmdebstrap >/dev/null; then
        install_packages mmdebstrap ||
            fail 69 "the package mmdebstrap cannot be installed"
    fi
    from=$(mirror)
    rm -rf "$root"
    # Its date may be over on a mirror that stands still.
    timeout 900 mmdebstrap --quiet --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' \
        --include=rabbitmq-server "$suite" "$root" ${from:+"$from"} >&2 ||
        fail 69 "the packages of $suite cannot be unpacked"
}

# All of them exec, so that a signal for the program reaches it. Images have
# their programs where their PATH is.
write_programs() {
    local root=$1 folder=$2 programs=$3 program
    mkdir -p "$programs"
    for program in rabbitmq-server rabbitmqctl; do
        cat >"$programs/$program" <<PROGRAM
#!/bin/sh
exec unshare --mount sh -ec '
    root=\$1; shift
    mount -t proc proc "\$root/proc"
    mount --rbind /dev "\$root/dev"
    mount --bind /tmp "\$root/tmp"
    exec chroot "\$root" env PATH="/opt/rabbitmq/sbin:/opt/erlang/bin:\$PATH" "\$@"
' sh '$root' $folder/$program "\$@"
PROGRAM
        chmod +x "$programs/$program"
    done
}

main() {
    local unpack what inside
    case ${1:-} in
        4.0) unpack=unpack_packages what=trixie inside=/usr/lib/rabbitmq/bin ;;
        4.3) unpack=unpack_packages what=forky inside=/usr/lib/rabbitmq/bin ;;
        rabbitmq:?*) unpack=unpack_image what=$1 inside=/opt/rabbitmq/sbin ;;
        *) fail 64 'usage: later.sh 4.0|4.3|rabbitmq:TAG FOLDER' ;;
    esac
    [[ $# == 2 && -n $2 ]] || fail 64 'usage: later.sh 4.0|4.3|rabbitmq:TAG FOLDER'
    ((EUID == 0)) || fail 69 "another RabbitMQ can be unpacked and run by root alone"
    unshare --mount true 2>/dev/null || fail 69 "mount namespaces are not permitted here"
    mkdir -p "$2"
    local folder
    folder=$(cd "$2" && pwd)
    if [[ ! -x $folder/root$inside/rabbitmq-server ]]; then
        "$unpack" "$what" "$folder/root"
        # A node waits for ever where localhost has no address.
        cp /etc/hosts "$folder/root/etc/hosts"
    fi
    write_programs "$folder/root" "$inside" "$folder/programs"
    "$folder/programs/rabbitmqctl" version >/dev/null 2>&1 ||
        fail 69 "the programs of $1 do not run here: $folder/programs/rabbitmqctl version says why"
    printf '%s\n' "$folder/programs"
}

main "$@"
