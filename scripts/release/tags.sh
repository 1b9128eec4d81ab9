#!/usr/bin/env bash
#
# Says which tags the image of a release gets, one a line: its own, and those that
# move, as long as no later release has them. A patch of an older line must not
# bring its users back.
#
# usage: tags.sh VERSION <RELEASED
#
#   VERSION   of the release, such as 0.2.1
#   RELEASED  every version that there is a release of, one a line, such as v0.2.0
#
# exit status: 0 said; 64 wrong usage

set -euo pipefail

version=${1-}
if (($# != 1)) || [[ ! $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]]; then
    printf 'tags.sh: usage: tags.sh VERSION <RELEASED\n' >&2
    exit 64
fi
# Pre-releases move no tag, and are later than nothing.
mapfile -t released < <(sed 's/^v//' | grep -xE '[0-9]+\.[0-9]+\.[0-9]+' || true)

# is_newest PREFIX says whether no release whose version begins so is later.
is_newest() {
    local newest
    newest=$(printf '%s\n' "$version" "${released[@]}" | grep "^${1//./\\.}" | sort --version-sort | tail -n 1)
    [[ $newest == "$version" ]]
}

printf '%s\n' "$version"
if [[ $version != *-* ]]; then
    ! is_newest "${version%.*}." || printf '%s\n' "${version%.*}"
    ! is_newest '' || printf 'latest\n'
fi
