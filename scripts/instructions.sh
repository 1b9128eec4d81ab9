#!/usr/bin/env bash
#
# Counts instructions with valgrind. Unlike a time, the count is the same on every
# machine.
#
# First those that the pure core needs for one message, from its bytes to the decision
# on it: there is a bound. Then those for malicious inputs, each at some length, at
# twice and at four times that: a byte may not cost more when the input is longer, so
# that twice the input costs twice as much and no more.
#
# usage: instructions.sh             count both, in the build of the tests
#        instructions.sh --release   count one message in the optimized build, without
#                                    a bound
#
# environment:
#   BUILT_PROGRAMS   folder with the built programs; by default they are built here
#
# exit status: 0 within the bounds; 1 above one; 64 wrong usage; 69 valgrind is
#              missing and cannot be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# A message needed 282,000 when this was written. A tenth more may be another compiler.
BOUND=310000

# The smallest length of an input.
BYTES=4096

# Per cent of a byte among half as many that a byte may cost. Sorting costs a twentieth more. Work for each pair of
# bytes costs twice as much where there is little else to do.
MOST=115

# The most instructions for one byte. Each needed four fifths of it when this was written: a fifth more may be
# another compiler. An unknown setting is compared with all known ones.
BOUNDS='event 4800 sieve 4200 reply 8700 settings 330000 filter 1200 letter 33000'

fail() {
    printf 'instructions.sh: %s\n' "${*:2}" >&2
    exit "$1"
}

# counted FILE FLAGS... COMMAND... runs a command under valgrind.
counted() {
    valgrind --tool=callgrind --callgrind-out-file="$folder/$1" "${@:2}" 2>"$folder/log" || { cat "$folder/log" >&2 && exit 1; }
}

# The start needs the same for few and for many messages.
count() {
    counted "$1" "$programs/instructions" "$1"
    awk '/^(summary|totals):/ {print $2; exit}' "$folder/$1"
}

count_growth() {
    local number=0 input
    # Each call of the measured function has a part of its own, and the making of the inputs is in none.
    TMPDIR=$folder counted part --zero-before=growth::measured --dump-after=growth::measured \
        "$programs/growth" "$BYTES" $((2 * BYTES)) $((4 * BYTES)) >"$folder/inputs"
    [[ -e $folder/part.1 ]] || fail 1 "nothing was counted"
    # The length and the instructions of each input, in the order in which they were read.
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
    ' "$folder/counts" || fail 1 "an input marked with ! needs too much, or more for each byte when it is longer"
}

profile=() names=(instructions growth)
case $* in
    '') ;;
    --release) profile=(--release) names=(instructions) ;;
    *) fail 64 'usage: instructions.sh [--release]' ;;
esac
cargo xtask need valgrind
programs=$(cargo xtask programs "${names[@]}" -- "${profile[@]}")/examples
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
each=$((($(count 300) - $(count 100)) / 200))
printf '%d instructions a message\n' "$each"
if ((${#profile[@]} == 0)); then
    ((each <= BOUND)) || fail 1 "a message needs more than $BOUND: see where with
  valgrind --tool=callgrind $programs/instructions 300 && callgrind_annotate --inclusive=yes callgrind.out.*"
    count_growth
fi
