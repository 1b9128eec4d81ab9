#!/usr/bin/env bash
#
# Looks for known weaknesses in an image that Docker has: in the packages of its
# base, and in the crates whose list the program has in itself.
#
# usage: scan.sh IMAGE
#
# What is grave, high or critical, and is fixed in a later version fails: there is
# something to do about it. What nobody has fixed yet does not.
#
# exit status: 0 nothing of that kind; 1 something, it is on stdout, or it could not
#              be looked for; 64 wrong usage; 69 there is no Docker

set -euo pipefail

# The maker's image, pinned by digest: neither an action nor an installer of somebody's is trusted for it. It is
# given a file to read, not Docker's socket, so that it could do no more than lie about what it found.
SCANNER=docker.io/anchore/grype:v0.118.0@sha256:8a93fc48da96bd6ec5981279d099b69de11541dc68fdf222fb9161f8ff284af7
# A package of the base and a crate of the program, which it has seen if it has seen anything.
SEEN=(libc6 rustls)

fail() {
    printf 'scan.sh: %s\n' "${*:2}" >&2
    exit "$1"
}

(($# == 1)) || fail 64 'usage: scan.sh IMAGE'
docker info >/dev/null 2>&1 || fail 69 'there is no Docker'

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# Of this machine's platform alone: a store may name others, and have nothing of them.
docker save --platform "linux/$(dpkg --print-architecture)" --output "$folder/image.tar" "$1"
mkdir "$folder/found"
# Without capabilities its root is nobody special either.
chmod 777 "$folder/found"
chmod 644 "$folder/image.tar"
docker run --rm --cap-drop ALL --security-opt no-new-privileges \
    --volume "$folder/image.tar:/image.tar:ro" --volume "$folder/found:/found" \
    --env GRYPE_DB_CACHE_DIR=/tmp/grype --env GRYPE_CHECK_FOR_APP_UPDATE=false \
    "$SCANNER" docker-archive:/image.tar --only-fixed --fail-on high \
    --output table --output cyclonedx-json=/found/sbom.json ||
    fail 1 "$1 has what is listed above, or could not be looked through"
# Nothing is found in what is not understood either.
for name in "${SEEN[@]}"; do
    grep -qE "\"name\": ?\"$name\"" "$folder/found/sbom.json" || fail 1 "the scanner has not seen $name in $1"
done
printf 'scan.sh: nothing grave in %s that is fixed elsewhere\n' "$1" >&2
