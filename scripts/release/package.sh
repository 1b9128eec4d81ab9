#!/usr/bin/env bash
#
# Packs a program that was built for this machine: a tarball for any Linux with the
# GNU C library, and a Debian package as Cargo.toml describes it. Both have the
# program, its man pages, completions, licenses, an example of the settings and the
# unit for systemd.
#
# usage: package.sh PROGRAM FOLDER
#
#   PROGRAM   the daemon, as cargo builds it with --release
#   FOLDER    where both are put; their paths go to stdout
#
# It builds the pinned cargo-deb where that is missing.
#
# environment:
#   SOURCE_DATE_EPOCH   time of everything in them, in seconds since 1970; by default
#                       that of the last commit
#   PACKAGE_VERSION     a version for the Debian package in place of the program's own
#
# A pre-release such as 0.2.0-rc.1 is 0.2.0~rc.1 to Debian, which sorts it before 0.2.0.
#
# exit status: 0 packed; 1 failed; 64 wrong usage; 69 something needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

NAME=mimecast-eventd

fail() {
    printf 'package.sh: %s\n' "${*:2}" >&2
    exit "$1"
}

(($# == 2)) && [[ -f $1 && -x $1 ]] || fail 64 'usage: package.sh PROGRAM FOLDER'
cargo xtask tools cargo-deb
cargo xtask need dpkg-shlibdeps:dpkg-dev
version=$("$1" --version | sed -n "s/^$NAME \([^ ]*\).*/\1/p")
[[ -n $version ]] || fail 1 "$1 does not print its version"
architecture=$(dpkg --print-architecture)
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
# Everybody may read the packed files, whatever the umask of the caller.
umask 022
tarball=$2/$NAME-$version-linux-$architecture.tar.gz
package=$2/${NAME}_${PACKAGE_VERSION:-$version}_$architecture.deb
root=$staged/$NAME-$version
mkdir -p "$2" "$root"/{man,completions}
install --mode 755 "$1" "$root/$NAME"
"$root/$NAME" man "$root/man"
for shell in bash zsh fish; do
    "$root/$NAME" completions "$shell" >"$root/completions/$shell"
done

# cargo-deb takes the built files from here.
mkdir "$staged/release"
cp -R "$root/." "$staged/release/"
gzip --no-name --best "$staged"/release/man/*
CARGO_TARGET_DIR=$staged .tools/crates/bin/cargo-deb --quiet --no-build --no-strip --locked \
    --deb-version "${PACKAGE_VERSION:-${version/-/\~}}" --output "$package" >&2
dpkg-deb --field "$package" Depends | grep -q 'libc6 (>= ' || fail 1 "the package does not name its C library"

cp README.md CHANGELOG.md LICENSE THIRD-PARTY-NOTICES.txt SECURITY.md config/$NAME.toml config/systemd/$NAME.service "$root"
tar --create --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=go-w \
    --directory "$staged" "$NAME-$version" | gzip --no-name --best >"$tarball"
printf '%s\n' "$tarball" "$package"
