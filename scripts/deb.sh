#!/usr/bin/env bash
#
# Packs the program and installs the package on this machine: it is installed,
# upgraded and removed as an administrator expects it, its program does the work of
# the demo, and systemd starts, watches, reloads and stops the unit. The package and
# its settings are removed in the end.
#
# usage: deb.sh --here
#
# It is for a machine that is thrown away, such as that of a workflow: a Debian or
# Ubuntu, as root. Without a running systemd the unit is not tried, and the last line
# says so.
#
# environment:
#   MIMECAST_EVENTD   the program to pack; by default one that is built here with
#                     --release
#
# exit status: 0 all checks passed; 1 something failed, stderr says what; 64 wrong
#              usage; 69 something needed is missing, or the package is installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

UNIT=mimecast-eventd.service
ETC=/etc/mimecast-eventd
SETTINGS=$ETC/mimecast-eventd.toml
PATIENCE=60 # seconds to wait for any one fact

say() { printf 'deb.sh: %s\n' "$*" >&2; }
fail() { say "${@:2}"; exit "$1"; }

# The daemon refuses variables with its prefix that it does not know.
eventd() { mimecast-eventd "$@"; }

clean_up() {
    dpkg --purge mimecast-eventd >/dev/null 2>&1 || true
    rm -rf "$folder" "/etc/systemd/system/$UNIT.d"
}

pack() {
    program=${MIMECAST_EVENTD-}
    if [[ -z $program ]]; then
        program=$(cargo xtask programs mimecast-eventd -- --release --features mimecast-eventd/jemalloc)/mimecast-eventd
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

write_secrets() {
    local secret
    for secret in client_id client_secret; do
        printf 'secret\n' >"$ETC/credentials/mimecast.$secret"
    done
}

install_it() {
    local file said
    # apt would install what is missing. dpkg does not, so that a missing dependency is a failure.
    dpkg --install "${packed[1]}" >/dev/null
    [[ $(mimecast-eventd --version) == "$("$program" --version)" ]] || fail 1 "another program was installed"
    [[ $(stat --format '%a %U' $ETC/credentials) == '700 root' ]] || fail 1 "others could read the secrets"
    dpkg-deb --contents "${packed[1]}" >"$folder/contents"
    for file in usr/lib/systemd/system/$UNIT usr/share/man/man1/mimecast-eventd.1.gz \
        usr/share/bash-completion/completions/mimecast-eventd usr/share/doc/mimecast-eventd/{copyright,THIRD-PARTY-NOTICES.txt}; do
        grep -q "\./$file\$" "$folder/contents" || fail 1 "the package lacks $file"
    done
    # The example has the defaults, so that only settings without a default are missing.
    said=$(eventd check --offline --config $SETTINGS 2>&1) && fail 1 "it is complete without a secret"
    [[ $said == *mimecast.auth* ]] || fail 1 "it does not say what is missing: $said"
    printf '\n[mimecast]\nauth = "oauth2"\nregion = "global"\n' >"$folder/own"
    MIMECAST_EVENTD=/usr/bin/mimecast-eventd scripts/demo.sh >"$folder/demo" || fail 1 "the demo fails with it"
    say "installed; the demo passes with it"
}

remove_it() {
    dpkg --remove mimecast-eventd >/dev/null
    [[ ! -e /usr/bin/mimecast-eventd ]] || fail 1 "the program is left"
    cmp "$folder/own" $SETTINGS || fail 1 "a removal took the settings"
    dpkg --purge mimecast-eventd >/dev/null 2>&1
    [[ ! -e $ETC ]] || fail 1 "secrets are left after a purge"
    say "removed"
}

upgrade_it() {
    dpkg --install "${later[1]}" >/dev/null </dev/null
    cmp "$folder/own" $SETTINGS || fail 1 "an upgrade took the settings"
    [[ -e $ETC/credentials/mimecast.client_id ]] || fail 1 "an upgrade took the secrets"
    say "upgraded"
}

# ---- the unit

property() { systemctl show $UNIT --property "$1" --value; }

fail_with_journal() {
    journalctl --no-pager --output cat --unit $UNIT --lines 20 >&2 || true
    fail 1 "$1"
}

# wait_for PROPERTY PATTERN
wait_for() {
    local deadline=$((SECONDS + PATIENCE))
    # shellcheck disable=SC2053 # it is a pattern
    until [[ $(property "$1") == $2 ]]; do
        ((SECONDS < deadline)) || fail_with_journal "$1 of the unit is '$(property "$1")', not '$2'"
        sleep 0.2
    done
}

logged() {
    local deadline=$((SECONDS + PATIENCE))
    until journalctl --no-pager --output cat --unit $UNIT | grep -qF "$1"; do
        ((SECONDS < deadline)) || fail_with_journal "the journal does not say '$1'"
        sleep 0.2
    done
}

# Invalid settings are reported in the journal, and the start is not repeated.
start_unit() {
    [[ $(systemctl is-enabled $UNIT || true) == disabled ]] || fail 1 "the unit is enabled without settings"
    [[ $(property ActiveState) == inactive ]] || fail 1 "the unit is started without settings"
    ! systemctl start $UNIT 2>/dev/null || fail_with_journal "it starts without settings"
    logged 'mimecast.auth (not set): is required'
    wait_for ActiveState failed
    [[ $(property NRestarts) == 0 ]] || fail_with_journal "the start is repeated with invalid settings"
    cp "$folder/own" $SETTINGS
    ! systemctl start $UNIT 2>/dev/null || fail_with_journal "it starts without credentials"
    logged 'mimecast.client_secret (not set): is required'
    write_secrets
    # Shorter times than for users.
    mkdir -p "/etc/systemd/system/$UNIT.d"
    printf '[Service]\nWatchdogSec=6s\nRestartSec=1s\n' >"/etc/systemd/system/$UNIT.d/hurry.conf"
    systemctl daemon-reload
    systemctl enable --now $UNIT 2>/dev/null || fail_with_journal "it does not start with complete settings"
    wait_for ActiveState active
    # A broker is not needed for a start.
    wait_for StatusText '*disconnected: cannot connect to the broker*'
    eventd healthcheck --config $SETTINGS >/dev/null || fail_with_journal "/livez does not answer"
    eventd pause --config $SETTINGS >/dev/null 2>&1 || fail_with_journal "it cannot be paused"
    printf '\n[log]\nlevel = "debug"\n' >>$SETTINGS
    systemctl reload $UNIT || fail_with_journal "it cannot be reloaded"
    logged '"message":"the settings were reloaded","changed":"log.level"'
    cp "$folder/own" $SETTINGS
}

# It is started again when it is killed, and when it gives no signs of life.
restart_unit() {
    systemctl kill --signal KILL $UNIT
    wait_for NRestarts 1
    wait_for ActiveState active
    systemctl kill --signal STOP $UNIT
    wait_for NRestarts 2
    wait_for ActiveState active
    logged "Watchdog timeout"
}

stop_unit() {
    wait_for ActiveState active
    [[ $(property MainPID) != "$1" ]] || fail 1 "the old program still runs after an upgrade"
    systemctl stop $UNIT || fail_with_journal "it cannot be stopped"
    [[ $(property Result) == success ]] || fail_with_journal "it does not stop in good order"
    systemctl start $UNIT || fail_with_journal "it does not start again"
}

[[ $* == --here ]] || fail 64 'usage: deb.sh --here'
((EUID == 0)) || fail 69 "only root can install a package"
command -v dpkg >/dev/null || fail 69 "there is no dpkg"
if [[ -e $ETC ]] || dpkg-query --status mimecast-eventd >/dev/null 2>&1; then
    fail 69 "mimecast-eventd is installed here"
fi
folder=$(mktemp -d)
trap clean_up EXIT
pack
install_it
if [[ -d /run/systemd/system ]]; then
    start_unit
    restart_unit
    before=$(property MainPID)
    upgrade_it
    stop_unit "$before"
    remove_it
    [[ $(property ActiveState) == inactive ]] || fail 1 "it runs after it was removed"
    say "all checks passed after $SECONDS s"
else
    cp "$folder/own" $SETTINGS
    write_secrets
    upgrade_it
    remove_it
    say "all checks passed after $SECONDS s; NOT TRIED: the unit, because systemd does not run here"
fi
