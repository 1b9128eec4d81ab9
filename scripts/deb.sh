#!/usr/bin/env bash
#
# Packs the program, installs the package on a clean Debian, and sees that it is
# installed, upgraded and removed as an administrator expects it, and that what it
# installed does the demo's work. Then that Debian is booted, and its systemd starts
# the unit, watches over it, reloads and stops it; where that is not permitted,
# stderr says so.
#
# usage: deb.sh
#
# The Debian is a folder, made anew each time from its packages. It needs root.
#
# environment:
#   MIMECAST_EVENTD   the program to pack; by default one that is built here with
#                     --release
#
# exit status: 0 all is well; 1 something is not, it is on stderr; 64 wrong usage;
#              69 no Debian can be made here

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

# shellcheck source=scripts/checks/packages.sh
source scripts/checks/packages.sh
# shellcheck source=scripts/deb/booted.sh
source scripts/deb/booted.sh

say() { printf 'deb.sh: %s\n' "$*" >&2; }
fail() { say "${@:2}"; exit "$1"; }

# in_debian COMMAND... runs it on that Debian, without anything of the caller's.
in_debian() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive chroot "$debian" "$@"; }

make_debian() {
    local mirror
    ((EUID == 0)) || fail 69 "only root can make a Debian"
    # Ubuntu does not come with the keys that Debian's packages are signed with.
    command -v mmdebstrap >/dev/null || ! can_install || install_packages mmdebstrap debian-archive-keyring || true
    command -v mmdebstrap >/dev/null || fail 69 "mmdebstrap is missing and cannot be installed"
    # shellcheck disable=SC2016 # apt-get's own
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        sed -n 's/ \(bookworm\|trixie\)$//p' | head -n 1)
    debian=$folder/debian
    mmdebstrap --quiet --variant=minbase --include=ca-certificates,libgcc-s1,systemd trixie "$debian" \
        ${mirror:+"$mirror"} >&2 || fail 69 "no Debian could be made"
}

pack() {
    program=${MIMECAST_EVENTD-}
    if [[ -z $program ]]; then
        program=$(cargo build --quiet --release --locked --features jemalloc --bin mimecast-eventd --message-format json-render-diagnostics |
            sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
    fi
    mapfile -t packed < <(scripts/release/package.sh "$program" "$folder/packed")
    mapfile -t again < <(scripts/release/package.sh "$program" "$folder/again")
    ((${#packed[@]} == 2)) || fail 1 "it could not be packed"
    for place in "${!packed[@]}"; do
        cmp "${packed[place]}" "${again[place]}" || fail 1 "packed twice it is not the same"
    done
    mapfile -t later < <(PACKAGE_VERSION=99.0.0 scripts/release/package.sh "$program" "$folder/later")
    say "packed: ${packed[*]##*/}"
}

install_it() {
    cp "${packed[1]}" "$debian/first.deb"
    in_debian dpkg --install /first.deb >/dev/null
    [[ $(in_debian mimecast-eventd --version) == "$("$program" --version)" ]] || fail 1 "another program was installed"
    in_debian mimecast-eventd codes >/dev/null
    [[ $(stat --format '%a %U' "$debian/etc/mimecast-eventd/credentials") == '700 root' ]] ||
        fail 1 "others could read the secrets"
    for file in usr/lib/systemd/system/mimecast-eventd.service usr/share/man/man1/mimecast-eventd.1.gz \
        usr/share/bash-completion/completions/mimecast-eventd usr/share/doc/mimecast-eventd/{copyright,THIRD-PARTY-NOTICES.txt}; do
        [[ -s $debian/$file ]] || fail 1 "the package lacks $file"
    done
    # The example is all defaults, so that only what has none is missing; and then nothing is.
    local said
    said=$(in_debian mimecast-eventd check --offline --config /etc/mimecast-eventd/mimecast-eventd.toml 2>&1) &&
        fail 1 "it is complete without a secret"
    [[ $said == *mimecast.auth* ]] || fail 1 "it does not say what is missing: $said"
    printf '\n[mimecast]\nauth = "oauth2"\nregion = "global"\n' >"$folder/own"
    cp "$folder/own" "$debian/etc/mimecast-eventd/mimecast-eventd.toml"
    for secret in client_id client_secret; do
        printf 'secret\n' >"$debian/etc/mimecast-eventd/credentials/mimecast.$secret"
    done
    as_the_unit_does check --offline >/dev/null || fail 1 "the credentials of the unit are not its secrets"
    say "installed"
}

# What systemd makes of LoadCredential=eventd:FOLDER is a folder with each file as eventd_NAME.
as_the_unit_does() {
    local file
    rm -rf "$debian/run/credentials"
    mkdir -p "$debian/run/credentials"
    for file in "$debian"/etc/mimecast-eventd/credentials/*; do
        cp "$file" "$debian/run/credentials/eventd_${file##*/}"
    done
    in_debian env CREDENTIALS_DIRECTORY=/run/credentials mimecast-eventd "$1" \
        --config /etc/mimecast-eventd/mimecast-eventd.toml "${@:2}"
}

upgrade_it() {
    cp "${later[1]}" "$debian/later.deb"
    in_debian dpkg --install /later.deb >/dev/null </dev/null
    cmp "$folder/own" "$debian/etc/mimecast-eventd/mimecast-eventd.toml" || fail 1 "an upgrade took the settings"
    [[ -e $debian/etc/mimecast-eventd/credentials/mimecast.client_id ]] || fail 1 "an upgrade took the secrets"
    say "upgraded"
}

# The events of the demo, by the program that was installed.
run_it() {
    cat >"$folder/installed" <<TEXT
#!/bin/sh
exec chroot $debian /usr/bin/mimecast-eventd "\$@"
TEXT
    chmod 755 "$folder/installed"
    MIMECAST_EVENTD=$folder/installed scripts/demo.sh >"$folder/demo" || fail 1 "the demo fails with it"
    say "the demo went as it should with it"
}

remove_it() {
    in_debian dpkg --remove mimecast-eventd >/dev/null
    [[ ! -e $debian/usr/bin/mimecast-eventd ]] || fail 1 "the program is left"
    [[ -e $debian/etc/mimecast-eventd/mimecast-eventd.toml ]] || fail 1 "a removal took the settings"
    in_debian dpkg --purge mimecast-eventd >/dev/null 2>&1
    [[ ! -e $debian/etc/mimecast-eventd ]] || fail 1 "secrets are left after a purge"
    say "removed"
}

(($# == 0)) || fail 64 'usage: deb.sh'
folder=$(mktemp -d)
trap 'shut_down; rm -rf "$folder"' EXIT
pack
make_debian
install_it
upgrade_it
run_it
remove_it
if may_boot; then
    boot
    see_booted
else
    say "NOT BOOTED: what systemd does with the unit was not seen, because namespaces are not permitted here"
fi
say "all is as it should be, after $SECONDS s"
