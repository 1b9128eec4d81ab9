#!/usr/bin/env bash
#
# Counts the instructions that hostile inputs need, each at some length, at twice and
# at four times that, and insists that they need no more a byte when they are longer:
# whoever sends twice as much costs twice as much, and no more.
#
# usage: growth.sh [BYTES]
#
# BYTES (4096) is the smallest length. Counted is the build of the tests, as
# instructions.sh does.
#
# exit status: 0 nothing grows faster than its length; 1 something does; 64 wrong
#              usage; 69 valgrind is missing and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Per cent of a byte among half as many that a byte may cost. What has to be sorted costs a twentieth more, what
# is done for each pair of bytes costs twice as much where there is little else to do.
MOST=115

# The most instructions for one byte. Each needed four fifths of it when this was written: a fifth more may be
# another compiler. A setting that is not known is compared with all that are.
BOUNDS='event 2500 sieve 4200 reply 8700 settings 330000 filter 1200 letter 33000'

bytes=${1:-4096}
if (($# > 1)) || [[ ! $bytes =~ ^[1-9][0-9]*$ ]]; then
    printf 'growth.sh: usage: growth.sh [BYTES]\n' >&2
    exit 64
fi
cargo xtask need valgrind
program=$(cargo xtask programs growth)/examples/growth
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Each call of what is measured has a part of its own, and making the inputs is in none.
TMPDIR=$folder valgrind --tool=callgrind --callgrind-out-file="$folder/part" \
    --zero-before=growth::measured --dump-after=growth::measured \
    "$program" "$bytes" $((2 * bytes)) $((4 * bytes)) 2>"$folder/log" >"$folder/inputs" ||
    { cat "$folder/log" >&2 && exit 1; }
[[ -e $folder/part.1 ]] || { printf 'growth.sh: nothing was counted\n' >&2 && exit 1; }

# The length and the instructions of each input, in the order in which they were read.
number=0
while IFS= read -r input; do
    number=$((number + 1))
    printf '%s\t%s\n' "$(awk '/^totals:/ {print $2}' "$folder/part.$number")" "$input"
done <"$folder/inputs" >"$folder/counts"

awk -F '\t' -v most="$MOST" -v bounds="$BOUNDS" '
    BEGIN { for (count = split(bounds, words, " "); count > 0; count -= 2) bound[words[count - 1]] = words[count] }
    $1 + 0 == 0 || $2 + 0 == 0 { printf "nothing was counted for %s\n", $3; failed = 1; exit }
    { each[++seen] = $1 / $2 }
    seen == 3 {
        group = $3
        sub(/:.*/, "", group)
        wrong = 100 * each[3] / each[2] > most || each[3] > bound[group]
        failed += wrong
        printf "%8d %8d %8d instructions a byte%s  %s\n", each[1], each[2], each[3], wrong ? " !" : "  ", $3
        seen = 0
    }
    END { exit failed > 0 }
' "$folder/counts" || {
    printf 'growth.sh: what is marked with ! needs too much, or more for each byte when there are more\n' >&2
    exit 1
}
