#!/usr/bin/env bash
#
# Prints the notes of a release: what stands in the changelog under the heading of
# its version. A pre-release has a heading of its own, as any other.
#
# usage: notes.sh VERSION <CHANGELOG
#
#   VERSION    of the release, such as 0.2.1
#   CHANGELOG  in the form of Keep a Changelog, with headings such as "## 0.2.1 - 2031-01-31"
#
# exit status: 0 printed; 1 there is no such heading, or nothing under it; 64 wrong usage

set -euo pipefail

version=${1-}
if (($# != 1)) || [[ ! $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]]; then
    printf 'notes.sh: usage: notes.sh VERSION <CHANGELOG\n' >&2
    exit 64
fi
# What the headings link to stands at the end of the file, and belongs to no version. A forge takes each end of a
# line for one of the reader's, so that what was wrapped for the file is one line again.
notes=$(awk -v heading="$version" '
    /^## / { gsub(/[][]/, "", $2); inside = $2 == heading; next }
    !inside || /^\[[^]]*\]: / { next }
    /[^ ]/ && !/^ *([-*#]|```)/ && line ~ /[^ ]/ && line !~ /^#/ { sub(/^ */, " "); line = line $0; next }
    { print line; line = $0 }
    END { print line }' | sed '/./,$!d')
if [[ -z $notes ]]; then
    printf 'notes.sh: the changelog says nothing about %s\n' "$version" >&2
    exit 1
fi
printf '%s\n' "$notes"
