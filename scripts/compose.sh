#!/usr/bin/env bash
#
# Starts compose.yaml and sees that the trial is what its first lines say: all of it
# becomes healthy, an event that is published as they show is applied, Prometheus has
# its targets and alerts, Grafana its dashboard, and a lane can be paused by hand.
# Then it ends all of it.
#
# usage: compose.sh
#
# With Docker and its plugin compose, where they are there: on the images that
# compose.yaml names, which stay. The ports in compose.yaml must be free.
#
# Else, as root, with a Docker of its own out of the packages of Debian 13, in a
# network of its own, so that no port is taken and nothing is left but what is
# downloaded, in target/compose. The network leads nowhere, so that the images are
# stand-ins out of the same packages: an older RabbitMQ and Prometheus, and no Grafana.
# The programs are built here, and the Dockerfile puts them into their images. What
# such a run says holds for compose.yaml and the programs, not for the published images.
#
# environment:
#   COMPOSE_BINARIES   folder with a mimecast-eventd and a fake-mimecast for the
#                      stand-ins; by default they are built here with --release
#
# exit status: 0 all is as it should be; 1 something is not, stderr says what;
#              64 wrong usage; 69 there is nothing to run it with

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

# shellcheck source=scripts/checks/packages.sh
source scripts/checks/packages.sh
# shellcheck source=scripts/compose/stand-ins.sh
source scripts/compose/stand-ins.sh

PATIENCE=240 # seconds to wait for all to be healthy: the broker may have 60 and more
FOLDER=$PWD/target/compose
# A trial that somebody runs has another name, and its data are not touched.
PROJECT=mimecast-eventd-check
compose=(docker compose --file compose.yaml --project-name "$PROJECT" --progress plain)

images='published' engine_pid='' started='' services=()

# What runs bound ends with this script, even if that is killed with -9.
bound=()
! setpriv --pdeathsig TERM true 2>/dev/null || bound=(setpriv --pdeathsig TERM)

say() { printf 'compose.sh: %s\n' "$*" >&2; }
fail() { say "${@:2}"; exit "$1"; }

compose() { "${compose[@]}" "$@"; }

clean_up() {
    trap '' HUP INT TERM
    [[ -z $started ]] || compose down --volumes --timeout 10 >"$scratch/down.log" 2>&1 ||
        say "not all could be ended: $(tail -n 1 "$scratch/down.log")"
    [[ -z $engine_pid ]] || stop_engine
    rm -rf "$scratch"
}

# fail_with_logs WHAT SERVICE... shows what they had to say.
fail_with_logs() {
    local service container
    say "WRONG: $1"
    compose ps --all >&2 || true
    for service in "${@:2}"; do
        container=$(compose ps --all --quiet "$service" || true)
        [[ -n $container ]] || continue
        say "the end of the log of $service:"
        docker logs --tail 15 "$container" >&2 || true
    done
    fail 1 "not all is as it should be, see above"
}

# Prints the services that do not run, or are not healthy where their image or compose.yaml says what that is.
unwell() {
    compose ps --all --format '{{.Service}} {{.State}} {{.Health}}' | sed -n '/ running \(healthy\)\{0,1\}$/!s/ .*//p'
}

# ---- the engine, the images

has_compose() { docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; }

choose_engine() {
    if [[ ${COMPOSE_SPACES:-} == own ]]; then
        images='stand-ins'
        start_engine
        load_stand_ins
        return
    fi
    has_compose || images='stand-ins'
    [[ $images == published ]] || ((EUID == 0)) ||
        fail 69 "there is no running Docker with its plugin compose, and only root can start one"
    mkdir -p "$FOLDER"
    # It is held as long as the process lives, which becomes another program below.
    exec {lock}>"$FOLDER/lock"
    flock --nonblock "$lock" || fail 1 "another compose.sh is at work here"
    if [[ $images == published ]]; then
        say "using the Docker that runs here"
        get_published
        return
    fi
    say "there is no running Docker with its plugin compose: using one of Debian 13, and stand-ins for the images"
    unshare --mount --net true 2>/dev/null || fail 69 "namespaces are not permitted here"
    make_stand_ins
    # What is mounted and what is set up for the network is gone with them, whatever ends this script.
    rm -rf "$scratch"
    COMPOSE_SPACES=own exec unshare --mount --net scripts/compose.sh
}

get_published() {
    # The argument that image.sh builds with too, so that what it has built is not built again.
    REVISION=$(git rev-parse HEAD 2>/dev/null) || REVISION=unknown
    export REVISION
    say "fetching and building the images"
    compose pull --quiet --ignore-buildable >"$scratch/build.log" 2>&1 ||
        fail 69 "the images cannot be fetched: $(tail -n 3 "$scratch/build.log")"
    if ! compose build >"$scratch/build.log" 2>&1; then
        tail -n 60 "$scratch/build.log" >&2
        fail 1 "the build failed, see above"
    fi
}

# ---- what compose.yaml says

check_composition() {
    compose config --quiet || fail 1 "compose.yaml cannot be read"
    mapfile -t services < <(compose config --services)
    [[ $images == published ]] || mapfile -t services < <(printf '%s\n' "${services[@]}" | grep -vx grafana)
}

start_all() {
    say "starting ${services[*]}"
    started=yes
    # The second limit is for what waits for a health of something else.
    if ! timeout $((PATIENCE + 60)) "${compose[@]}" up --no-build --pull never --detach --wait \
        --wait-timeout "$PATIENCE" "${services[@]}" >"$scratch/up.log" 2>&1; then
        mapfile -t services < <(unwell)
        fail_with_logs "it does not become healthy: $(tail -n 1 "$scratch/up.log")" "${services[@]}"
    fi
}

# see FACT SERVICE... waits for a fact. The logs of the services say why, if it does not come.
see() {
    PYTHONDONTWRITEBYTECODE=1 "${bound[@]}" python3 scripts/compose/facts.py "$1" >"$scratch/said" 2>&1 ||
        fail_with_logs "$(<"$scratch/said")" "${@:2}"
    say "$(<"$scratch/said")"
}

# The commands are taken out of compose.yaml, so that what people copy is what is tried.
publish() {
    local commands
    commands=$(sed -n '/^#   curl /,/^#$/s/^#   //p' compose.yaml)
    (($(grep -c '^curl ' <<<"$commands") == 2)) || fail 1 "compose.yaml does not say how to publish an event"
    say "publishing an event, as compose.yaml says"
    bash -euo pipefail -c "curl() { command curl --silent --show-error --fail --max-time 30 --noproxy '*' \"\$@\"; }
$commands" >"$scratch/published" 2>&1 ||
        fail_with_logs "the commands in compose.yaml fail: $(<"$scratch/published")" rabbitmq fake
    grep -q '"routed":true' "$scratch/published" ||
        fail_with_logs "no queue takes the event: $(<"$scratch/published")" rabbitmq daemon
}

# by_hand COMMAND, as compose.yaml says.
by_hand() {
    say "running: docker compose exec daemon mimecast-eventd $1"
    compose exec -T daemon mimecast-eventd "$1" >"$scratch/said" 2>&1 </dev/null ||
        fail_with_logs "it fails: $(<"$scratch/said")" daemon
}

# ---- the end

# What is in work is finished: neither program of ours is killed.
stop_all() {
    local service container status
    say "stopping all"
    compose stop >"$scratch/down.log" 2>&1 || fail_with_logs "not all can be stopped: $(<"$scratch/down.log")"
    for service in daemon fake; do
        container=$(compose ps --all --quiet "$service")
        status=$(docker inspect --format '{{.State.ExitCode}}' "$container")
        ((status == 0)) || fail_with_logs "the exit status of $service is $status after a stop" "$service"
    done
    compose down --volumes >"$scratch/down.log" 2>&1 || fail_with_logs "it cannot be ended: $(<"$scratch/down.log")"
    started=''
    check_nothing_is_left
}

check_nothing_is_left() {
    local kind left
    for kind in container volume network; do
        left=$(docker "$kind" ls --quiet --filter "label=com.docker.compose.project=$PROJECT")
        [[ -z $left ]] || fail 1 "a $kind is left: $left"
    done
}

ensure_tools() {
    local tool missing=()
    for tool in curl python3; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    ((${#missing[@]} == 0)) || ! can_install || install_packages "${missing[@]}" || true
    for tool in "${missing[@]}"; do
        command -v "$tool" >/dev/null || fail 69 "$tool is missing and cannot be installed"
    done
}

usage() { sed -n '3,/^$/s/^# \{0,1\}//p' scripts/compose.sh; }

main() {
    case $#${1-} in
        0) ;;
        1--help | 1-h) usage && exit 0 ;;
        *) fail 64 "usage: compose.sh [--help]" ;;
    esac
    scratch=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    ensure_tools
    choose_engine
    check_composition
    start_all
    see ready daemon rabbitmq
    publish
    see applied daemon fake
    see scraped prometheus daemon rabbitmq
    see alerts prometheus
    [[ $images != published ]] || see grafana grafana
    by_hand pause
    see paused daemon
    by_hand resume
    see ready daemon
    see quiet prometheus daemon
    stop_all
    [[ $images == published ]] || say_what_was_not_tried
    say "all is as it should be, after $SECONDS s"
}

main "$@"
