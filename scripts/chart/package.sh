#!/usr/bin/env bash
#
# Packages the chart as it is published: with the image that the same release
# pushes, and with where it comes from.
#
# usage: package.sh VERSION IMAGE HOME FOLDER
#
#   VERSION  of the release, such as 0.2.0; that of chart and program
#   IMAGE    without a tag, such as registry.example.com/identity/mimecast-eventd
#   HOME     address of the project's page, whose parts are linked to
#   FOLDER   where the package is put; its path goes to stdout
#
# environment:
#   HELM     the Helm to take; that in PATH by default
#
# exit status: 0 packaged; 1 it cannot be; 64 wrong usage

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

fail() {
    printf 'package.sh: %s\n' "${*:2}" >&2
    exit "$1"
}

(($# == 4)) || fail 64 'usage: package.sh VERSION IMAGE HOME FOLDER'
version=$1 image=$2 home=$3 folder=$4
[[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || fail 64 "$version is no version such as 0.2.0"
[[ $image =~ ^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)+$ ]] || fail 64 "$image is no image such as registry.example.com/mimecast-eventd"
[[ $home =~ ^https://[^\ ]+$ ]] || fail 64 "$home is no address such as https://example.com/project"

staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
chart=$staged/mimecast-eventd
cp -R helm/mimecast-eventd "$chart"

# set_line FILE PATTERN LINE puts LINE in place of the one line that PATTERN matches.
set_line() {
    (($(grep -c "$2" "$1") == 1)) || fail 1 "$1 has not one line like $2"
    sed -i "s|$2.*|$3|" "$1"
}

set_line "$chart/Chart.yaml" '^version: ' "version: $version"
set_line "$chart/Chart.yaml" '^appVersion: ' "appVersion: \"$version\""
set_line "$chart/Chart.yaml" '^  artifacthub.io/prerelease: ' \
    "  artifacthub.io/prerelease: \"$([[ $version == *-* ]] && echo true || echo false)\""
set_line "$chart/Chart.yaml" '^      image: ' "      image: $image:$version"
cat >>"$chart/Chart.yaml" <<TEXT
home: $home
sources:
  - $home
icon: $home/raw/v$version/docs/icon.svg
TEXT
set_line "$chart/values.yaml" '^  registry: ""' "  registry: ${image%%/*}"
set_line "$chart/values.yaml" '^  repository: mimecast-eventd' "  repository: ${image#*/}"

mkdir -p "$folder"
"${HELM:-helm}" package "$chart" --destination "$folder" >&2
printf '%s\n' "$folder/mimecast-eventd-$version.tgz"
