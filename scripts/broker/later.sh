#!/usr/bin/env bash
# usage: later.sh 4.0|4.3|rabbitmq:TAG FOLDER: see `cargo xtask --help`.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
exec cargo xtask later "$@"
