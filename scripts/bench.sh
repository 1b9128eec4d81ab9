#!/usr/bin/env bash
#
# Measures the daemon against the least that a consumer of its events can do, and
# against others where their runtimes are there, and writes docs/benchmarks.md with
# docs/benchmarks.svg.
#
# usage: bench.sh [--quick]
#
# --quick   a tenth of everything and one round, to see that it works: nothing is written
#
# It takes about half an hour on two processors, which should have nothing else to
# do. Everything runs on this machine: a private RabbitMQ 4.3 node, a fake of the
# vendor's API and each program in turn, with the release build. Node and Python
# are measured too if their clients can be installed under target/bench.
#
# BROKER_PROGRAMS names the programs of another RabbitMQ than the one that
# `cargo xtask later` unpacks.
#
# exit status: 0 measured, whatever came of it; 1 something went wrong; 64 wrong
#              usage; 69 something that is needed is missing and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

PEERS=$PWD/target/bench

fail() {
    printf 'bench.sh: %s\n' "${*:2}" >&2
    exit "$1"
}

# The last versions of what people use for this in Node and in Python.
node_peer() {
    local folder=$PEERS/node
    mkdir -p "$folder"
    [[ -d $folder/node_modules/undici ]] ||
        npm install --silent --no-save --prefix "$folder" amqplib undici >/dev/null 2>&1 || return 1
    cp benches/peers/consume.mjs "$folder/"
    printf '"node": ["node", "%s/consume.mjs"]' "$folder"
}

python_peer() {
    local folder=$PEERS/python
    [[ -x $folder/bin/python ]] || python3 -m venv "$folder" >/dev/null 2>&1 || return 1
    "$folder/bin/python" -c 'import aio_pika, aiohttp, uvloop' 2>/dev/null ||
        "$folder/bin/pip" install --quiet aio-pika aiohttp uvloop >/dev/null 2>&1 || return 1
    printf '"python": ["%s/bin/python", "benches/peers/consume.py"]' "$folder"
}

case $#${1-} in
    0) ;;
    1--quick) ;;
    *) fail 64 "usage: bench.sh [--quick]" ;;
esac
cargo xtask node --install
BROKER_PROGRAMS=${BROKER_PROGRAMS:-$(cargo xtask later 4.3 .tools/rabbitmq-4.3)}
export BROKER_PROGRAMS
cargo xtask tools
programs=$(cargo xtask programs floor fake-mimecast mimecast-eventd -- --release --features mimecast-eventd/jemalloc)
# The daemon refuses variables with its prefix that it does not know.
peers=
for peer in node python; do
    if found=$("${peer}_peer"); then
        peers+=${peers:+, }$found
    else
        printf 'bench.sh: not measured beside it: %s, whose clients cannot be installed\n' "$peer" >&2
    fi
done
export PYTHONPATH=scripts/checks PYTHONDONTWRITEBYTECODE=1 BROKER_STOP_TIMEOUT=0
.tools/bin/python scripts/bench/bench.py "$@" --peers "{$peers}" "$programs"/{floor,fake-mimecast,mimecast-eventd}
