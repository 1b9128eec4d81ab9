#!/usr/bin/env bash
#
# Starts compose.yaml and checks that the trial is what its first lines say: all of it
# becomes healthy, an event that is published as they show is applied, Prometheus has
# its targets and alerts, Grafana its dashboard, and a lane can be paused. Then it ends
# all of it.
#
# usage: compose.sh
#
# It needs Docker with its plugin compose, curl and Python. The images stay. The ports
# in compose.yaml must be free.
#
# exit status: 0 all checks passed; 1 something failed, stderr says what; 64 wrong
#              usage; 69 something needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

PATIENCE=240 # seconds to wait for all to be healthy: the broker may take more than 60
# A trial that runs already has another name, and its data are not touched.
PROJECT=mimecast-eventd-check

started='' services=()

say() { printf 'compose.sh: %s\n' "$*" >&2; }
fail() { say "${@:2}"; exit "$1"; }

compose() { docker compose --file compose.yaml --project-name "$PROJECT" --progress plain "$@"; }

clean_up() {
    trap '' HUP INT TERM
    [[ -z $started ]] || compose down --volumes --timeout 10 >/dev/null 2>&1 || say "not all could be ended"
    rm -rf "$scratch"
}

# fail_with_logs WHAT SERVICE... shows the end of the logs of these services.
fail_with_logs() {
    say "WRONG: $1"
    compose ps --all >&2 || true
    (($# == 1)) || compose logs --tail 15 "${@:2}" >&2 || true
    fail 1 "something is wrong, see above"
}

# quietly WHAT COMMAND... shows the output of a command only when it fails.
quietly() { "${@:2}" >"$scratch/said" 2>&1 </dev/null || fail_with_logs "$1: $(tail -n 20 "$scratch/said")" "${services[@]}"; }

# see FACT waits for a fact.
see() {
    PYTHONDONTWRITEBYTECODE=1 quietly "$1" python3 scripts/compose/facts.py "$1"
    say "$(<"$scratch/said")"
}

# The commands are taken out of compose.yaml, so that what people copy is tried.
publish() {
    local commands
    commands=$(sed -n '/^#   curl /,/^#$/s/^#   //p' compose.yaml)
    (($(grep -c '^curl ' <<<"$commands") == 2)) || fail 1 "compose.yaml does not say how to publish an event"
    quietly "the commands in compose.yaml" bash -euo pipefail -c \
        "curl() { command curl --silent --show-error --fail --max-time 30 --noproxy '*' \"\$@\"; }
$commands"
    grep -q '"routed":true' "$scratch/said" || fail_with_logs "no queue takes the event: $(<"$scratch/said")" rabbitmq daemon
}

# Neither program of this repository is killed at a stop.
stop_all() {
    local service kind left
    quietly "stop" compose stop
    for service in daemon fake; do
        left=$(docker inspect --format '{{.State.ExitCode}}' "$(compose ps --all --quiet "$service")")
        ((left == 0)) || fail_with_logs "the exit status of $service is $left after a stop" "$service"
    done
    quietly "down" compose down --volumes
    started=''
    for kind in container volume network; do
        left=$(docker "$kind" ls --quiet --filter "label=com.docker.compose.project=$PROJECT")
        [[ -z $left ]] || fail 1 "a $kind is left: $left"
    done
}

(($# == 0)) || fail 64 'usage: compose.sh'
docker info >/dev/null 2>&1 || fail 69 'there is no running Docker'
docker compose version >/dev/null 2>&1 || fail 69 'there is no plugin compose for Docker'
for tool in curl python3; do
    command -v "$tool" >/dev/null || fail 69 "$tool is missing"
done
scratch=$(mktemp -d)
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
# The argument of image.sh, so that what that has built is not built again.
REVISION=$(git rev-parse HEAD 2>/dev/null) || REVISION=unknown
export REVISION
say "fetching and building the images"
compose pull --quiet --ignore-buildable >&2 || fail 69 "the images cannot be fetched"
quietly "build" compose build
mapfile -t services < <(compose config --services)
say "starting ${services[*]}"
started=yes
# The second limit is for a service that waits until another one is healthy.
quietly "start" timeout $((PATIENCE + 60)) docker compose --file compose.yaml --project-name "$PROJECT" --progress plain \
    up --no-build --pull never --detach --wait --wait-timeout "$PATIENCE"
see ready
publish
see applied
see scraped
see alerts
see grafana
quietly "pause" compose exec -T daemon mimecast-eventd pause
see paused
quietly "resume" compose exec -T daemon mimecast-eventd resume
see ready
see quiet
stop_all
say "all checks passed after $SECONDS s"
