#!/usr/bin/env bash
#
# Packs a program that was built for the machine that it runs on: a tarball for any
# Linux with the GNU C library, and a package for Debian. Both have the program, its
# man pages, completions, licences, an example of the settings and the unit for systemd.
#
# usage: package.sh PROGRAM FOLDER
#
#   PROGRAM   the daemon, as cargo builds it with --release
#   FOLDER    where both are put; their paths go to stdout
#
# environment:
#   SOURCE_DATE_EPOCH   seconds since 1970 that everything in them is of; by default
#                       those of the last commit
#   PACKAGE_VERSION     a version for the Debian package in place of the program's own, as
#                       its checks need a later one
#
# A pre-release such as 0.2.0-rc.1 is 0.2.0~rc.1 to Debian, which sorts it before 0.2.0.
#
# exit status: 0 packed; 1 it cannot be; 64 wrong usage

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

NAME=mimecast-eventd

if (($# != 2)) || [[ ! -f $1 || ! -x $1 ]]; then
    printf 'package.sh: usage: package.sh PROGRAM FOLDER\n' >&2
    exit 64
fi
program=$1 folder=$2
version=$("$program" --version | sed -n "s/^$NAME \([^ ]*\).*/\1/p")
[[ -n $version ]] || { printf 'package.sh: %s does not tell its version\n' "$program" >&2; exit 1; }
architecture=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
# Whatever the caller's is: what is packed is for everybody to read.
umask 022
mkdir -p "$folder" "$staged/generated/man"
# Whatever its file is called where it was built.
install -D --mode 755 "$program" "$staged/program/$NAME"
"$program" man "$staged/generated/man"
for shell in bash zsh fish; do
    "$program" completions "$shell" >"$staged/generated/$shell"
done

# put MODE TARGET SOURCE...
put() { install -D --mode "$1" --target-directory "$2" "${@:3}"; }

tarball() {
    local root=$staged/$NAME-$version
    put 755 "$root" "$staged/program/$NAME"
    put 644 "$root" README.md CHANGELOG.md LICENSE THIRD-PARTY-NOTICES.txt SECURITY.md config/$NAME.toml \
        config/systemd/$NAME.service
    put 644 "$root/man" "$staged"/generated/man/*
    put 644 "$root/completions" "$staged"/generated/{bash,zsh,fish}
    tar --create --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --directory "$staged" "$NAME-$version" | gzip --no-name --best >"$folder/$NAME-$version-linux-$architecture.tar.gz"
    printf '%s\n' "$folder/$NAME-$version-linux-$architecture.tar.gz"
}

deb() {
    local root=$staged/deb package=$folder/${NAME}_${PACKAGE_VERSION:-$version}_$architecture.deb
    put 755 "$root/usr/bin" "$staged/program/$NAME"
    put 644 "$root/usr/lib/systemd/system" config/systemd/$NAME.service
    put 644 "$root/etc/$NAME" config/$NAME.toml
    install --directory --mode 700 "$root/etc/$NAME/credentials"
    put 644 "$root/usr/share/man/man1" "$staged"/generated/man/*
    gzip --no-name --best "$root"/usr/share/man/man1/*
    install -D --mode 644 "$staged/generated/bash" "$root/usr/share/bash-completion/completions/$NAME"
    install -D --mode 644 "$staged/generated/zsh" "$root/usr/share/zsh/vendor-completions/_$NAME"
    install -D --mode 644 "$staged/generated/fish" "$root/usr/share/fish/vendor_completions.d/$NAME.fish"
    put 644 "$root/usr/share/doc/$NAME" README.md THIRD-PARTY-NOTICES.txt
    install -D --mode 644 LICENSE "$root/usr/share/doc/$NAME/copyright"
    gzip --no-name --best <CHANGELOG.md >"$root/usr/share/doc/$NAME/changelog.gz"
    control "$root"
    dpkg-deb --root-owner-group --build "$root" "$package" >&2
    printf '%s\n' "$package"
}

# control ROOT writes what dpkg is to know, and to do.
control() {
    local libc
    # The latest symbol that it needs says which C library.
    libc=$(grep -aoE 'GLIBC_2\.[0-9]+' "$program" | sort --unique --version-sort | tail -n 1)
    mkdir "$1/DEBIAN"
    cat >"$1/DEBIAN/control" <<TEXT
Package: $NAME
Version: ${PACKAGE_VERSION:-${version/-/\~}}
Architecture: $architecture
Maintainer: The mimecast-eventd developers <mimecast-eventd@example.com>
Section: net
Priority: optional
Installed-Size: $(du --summarize --apparent-size --block-size=1024 "$1" | cut --fields 1)
Depends: libc6 (>= ${libc#GLIBC_}), libgcc-s1, ca-certificates
Description: makes a Mimecast tenant agree with offboarding and unblock events
 A daemon that consumes user.offboarded and url.unblock events from RabbitMQ,
 removes users and domains from groups and deletes managed URL entries with
 signed, retrying API calls, settles every message, and exports metrics.
 .
 It is neither enabled nor started: it needs settings and secrets first.
TEXT
    printf '/etc/%s/%s.toml\n' "$NAME" "$NAME" >"$1/DEBIAN/conffiles"
    cat >"$1/DEBIAN/postinst" <<'TEXT'
#!/bin/sh
set -e
if [ "$1" = configure ] && [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    # What runs goes on as the new version. What does not has no settings yet.
    systemctl try-restart mimecast-eventd.service
fi
TEXT
    cat >"$1/DEBIAN/prerm" <<'TEXT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
    systemctl disable --now mimecast-eventd.service
fi
TEXT
    cat >"$1/DEBIAN/postrm" <<'TEXT'
#!/bin/sh
set -e
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
fi
# The secrets go with the settings. An audit trail stays: it is nobody's to throw away unasked.
if [ "$1" = purge ]; then
    rm -rf /etc/mimecast-eventd
fi
TEXT
    chmod 755 "$1"/DEBIAN/{postinst,prerm,postrm}
}

tarball
deb
