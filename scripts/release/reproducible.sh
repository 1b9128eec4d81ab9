#!/usr/bin/env bash
#
# Builds the program of the last commit twice, in two folders, and sees that both
# are the same bytes: whoever doubts what is published can build it again.
#
# usage: reproducible.sh
#
# It takes two cold builds. What is the same for both are the toolchain and the
# sources of the crates.
#
# exit status: 0 the same; 1 not, or a build failed; 64 wrong usage

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

if (($# > 0)); then
    printf 'usage: reproducible.sh\n' >&2
    exit 64
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
revision=$(git rev-parse HEAD)
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH MIMECAST_EVENTD_REVISION=$revision

# Names of different lengths, so that a path that is in the program would move everything behind it.
for name in one another; do
    git clone --quiet . "$folder/$name"
    (
        cd "$folder/$name"
        export CARGO_TARGET_DIR=$folder/$name/target
        export RUSTFLAGS="--remap-path-prefix=$folder/$name=/build --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
        cargo build --quiet --release --locked --features jemalloc --bin mimecast-eventd
    )
done
programs=("$folder"/{one,another}/target/release/mimecast-eventd)
sha256sum "${programs[@]}" | sed "s|  $folder/|  |"
if ! cmp "${programs[@]}"; then
    printf 'reproducible.sh: two builds of %s are not the same bytes\n' "$revision" >&2
    exit 1
fi
if grep -qaF "$folder" "${programs[0]}"; then
    printf 'reproducible.sh: the program has the path in it that it was built in\n' >&2
    exit 1
fi
printf 'two builds of %s are the same bytes\n' "$revision"
