#!/usr/bin/env bash
# usage: node.sh DIR | node.sh --install: see `cargo xtask --help`.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
exec cargo xtask node "$@"
