#!/usr/bin/env bash
#
# Pins the bases of the Dockerfile by digest: puts behind each tag what it means
# now, and prints the bases that way. It changes the Dockerfile, and is meant for
# a release: what is published is built from bytes that can be named afterwards.
#
# usage: pin.sh
#
# exit status: 0 pinned; 1 a digest cannot be looked up, nothing is changed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

pinned=$(mktemp)
trap 'rm -f "$pinned"' EXIT
cp Dockerfile "$pinned"
while read -r base; do
    digest=$(docker buildx imagetools inspect "$base" --format '{{.Manifest.Digest}}')
    if [[ ! $digest =~ ^sha256:[0-9a-f]{64}$ ]]; then
        printf 'pin.sh: %s has no digest, but: %s\n' "$base" "$digest" >&2
        exit 1
    fi
    sed -i "s|^FROM $base AS |FROM $base@$digest AS |" "$pinned"
    printf '%s@%s\n' "$base" "$digest"
done < <(sed -n 's/^FROM \([^ @]*:[^ @]*\) AS .*/\1/p' Dockerfile)
cat "$pinned" >Dockerfile
