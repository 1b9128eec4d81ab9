#!/usr/bin/env bash
#
# Checks against the daemon at work, with a private RabbitMQ node and a fake of the
# Mimecast API.
#
# usage: live.sh page | producers
#
# page       the page for people, in a real browser
# producers  the producers of docs/producers: each address must leave its group, and
#            an exchange without a bound queue must be reported
#
# It needs a Rust toolchain, what `cargo xtask tools` installs, RabbitMQ, and for the
# page Chromium with its driver. Packages of Debian are installed where they are
# missing and that is permitted.
#
# environment:
#   BUILT_PROGRAMS   folder with the built programs; by default they are built here
#
# exit status: 0 passed; 1 failed, stderr says what; 64 wrong usage; 69 something
#              needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

names=(mimecast-eventd fake-mimecast)
case $* in
    page) cargo xtask need chromium chromedriver:chromium-driver ;;
    producers) names+=(offboard) ;;
    *) printf 'live.sh: usage: live.sh page | producers\n' >&2 && exit 64 ;;
esac
cargo xtask node --install
cargo xtask tools
programs=$(cargo xtask programs "${names[@]}")
# The daemon refuses variables with its prefix that it does not know.
PATH=$PWD/.tools/bin:$PATH NODE_PATH=$PWD/.tools/models/node_modules PYTHONDONTWRITEBYTECODE=1 BROKER_STOP_TIMEOUT=0 \
    python "scripts/checks/$1.py" "$programs"/{mimecast-eventd,fake-mimecast} "$programs/examples/offboard"
