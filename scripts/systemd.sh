#!/usr/bin/env bash
#
# Checks the unit for systemd: that systemd understands all of it, and that what
# the service could reach is little.
#
# usage: systemd.sh
#
# systemd is not asked to run anything: it need not be what runs this machine. Its
# tools come from its package, which is installed where that is permitted.
#
# environment:
#   BUILT_PROGRAMS   folder with the built daemon; by default it is built here
#
# exit status: 0 all is well; 1 something is not, it is on stderr; 64 wrong usage;
#              69 systemd's tools are missing and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

UNIT=config/systemd/mimecast-eventd.service
# Of ten, in tenths: 15 is an exposure of 1.5.
MOST_EXPOSED=15

fail() {
    printf 'systemd.sh: %s\n' "${*:2}" >&2
    exit "$1"
}

(($# == 0)) || fail 64 'usage: systemd.sh'
cargo xtask need systemd-analyze:systemd
daemon=$(cargo xtask programs mimecast-eventd)/mimecast-eventd
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# It insists on a program that is there.
sed "s|/usr/bin/mimecast-eventd|$daemon|" "$UNIT" >"$folder/${UNIT##*/}"
grep -qF "ExecStart=$daemon run" "$folder/${UNIT##*/}" || fail 1 "the unit does not start the daemon"
systemd-analyze verify --man=no "$folder/${UNIT##*/}" >"$folder/said" 2>&1 || fail 1 "the unit: $(<"$folder/said")"
[[ ! -s $folder/said ]] || fail 1 "the unit: $(<"$folder/said")"
if ! systemd-analyze security --no-pager --offline=true --threshold=$MOST_EXPOSED "$folder/${UNIT##*/}" >"$folder/said" 2>&1; then
    grep '✗' "$folder/said" >&2
    fail 1 "the service is exposed more than allowed: $(tail -n 1 "$folder/said")"
fi
sed -n 's/^→ /    /p' "$folder/said"
