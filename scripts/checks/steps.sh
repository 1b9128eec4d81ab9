# shellcheck shell=bash
#
# Runs the steps of a check one after another, some of them in the background, and
# reports the time of each. Sourced by test.sh and lint.sh.

declare -A begun=()
times=''
not_run=''
logs=$(mktemp -d)
# What runs in the background ends with the script.
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$logs"' EXIT

# step NAME COMMAND... ends the script if the command fails.
step() {
    local name=$1 started=$SECONDS status=0
    printf '\n==> %s\n' "$name"
    "${@:2}" || status=$?
    ended "$name" $((SECONDS - started)) "$status"
}

# optional NAME COMMAND... is a step that the others do without where something is missing that it needs.
optional() {
    step "$1" without_what_is_missing "$@"
}

without_what_is_missing() {
    local status=0
    "${@:2}" || status=$?
    ((status != 69)) || { not_run="${not_run:+$not_run, }$1" && return 0; }
    return "$status"
}

# begin NAME COMMAND... starts a step whose end `await NAME` waits for. Its output is shown if it fails.
begin() {
    "${@:2}" >"$logs/$1" 2>&1 </dev/null &
    begun[$1]="$! $SECONDS"
}

await() {
    local process started status=0
    read -r process started <<<"${begun[$1]}"
    wait "$process" || status=$?
    if ((status != 0)); then
        cat "$logs/$1" >&2
    fi
    ended "$1" $((SECONDS - started)) "$status"
}

# ended NAME SECONDS STATUS
ended() {
    times+=$(printf '%5d s  %s' "$2" "$1")$'\n'
    if (($3 == 69)); then
        printf '%s: cannot run: %s\n' "${0##*/}" "$1" >&2
        exit 69
    elif (($3 != 0)); then
        printf '%s: FAILED: %s\n' "${0##*/}" "$1" >&2
        exit 1
    fi
}

report() {
    printf '\n%s\nall passed in %d s%s\n' "$times" "$SECONDS" "${not_run:+; not run, see above: $not_run}"
}
