#!/usr/bin/env bash
#
# Builds the image as the Dockerfile says and tries it: as a user without rights,
# without capabilities, on a root that cannot be written to.
#
# usage: image.sh
#
# With Docker, where its engine runs; the images stay as mimecast-eventd:check and
# fake-mimecast:check under localhost. Else with Podman, which is installed from
# Debian's packages where that is permitted, and keeps all it has in target/image.
# Where Podman can have no base images from their registries, it builds on
# stand-ins: Debian 13 from its packages with this machine's Rust, and the packages
# that the published runtime image has. What such a build says holds for the
# Dockerfile and the program, not for the published base images.
#
# exit status: 0 built, and all is as it should be; 1 something is not, stderr
#              says what; 64 wrong usage; 69 there is nothing to build with

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C DOCKER_BUILDKIT=1

# shellcheck source=scripts/checks/packages.sh
source scripts/checks/packages.sh
# shellcheck source=scripts/image/stand-ins.sh
source scripts/image/stand-ins.sh

MAX_IMAGE_BYTES=$((40 * 1000 * 1000))
MAX_CONTEXT_BYTES=$((2 * 1000 * 1000))
PATIENCE=30 # seconds to wait for any one fact
FOLDER=$PWD/target/image
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
DAEMON=localhost/mimecast-eventd:check
FAKE=localhost/fake-mimecast:check
STAGE=localhost/mimecast-eventd-stage

engine=() build_flags=() run_flags=() bases='published' container='' failed=''

say() { printf 'image.sh: %s\n' "$*" >&2; }
fail() { say "${@:2}"; exit "$1"; }
problem() { say "WRONG: $*"; failed=yes; }

# Prints what a stage of the Dockerfile begins with.
base() { sed -n "s/^FROM \([^ ]*\) AS $1\$/\1/p" Dockerfile; }

clean_up() {
    trap '' HUP INT TERM
    remove_container || true
    rm -rf "$scratch"
}

remove_container() {
    [[ -z $container ]] || "${engine[@]}" rm --force "$container" >/dev/null
    container=''
}

# ---- the engine and the base images

choose_engine() {
    if docker info >/dev/null 2>&1; then
        say "building with Docker"
        engine=(docker)
        return
    fi
    if ((EUID == 0)) && [[ ${IMAGE_MOUNTS:-} != own ]]; then
        # What Podman mounts is gone with the namespace, whatever ends this script.
        rm -rf "$scratch"
        IMAGE_MOUNTS=own exec unshare --mount scripts/image.sh
    fi
    ensure_podman
    say "building with $(podman --version)"
    mkdir -p "$FOLDER/store"
    exec {lock}>"$FOLDER/lock"
    flock --nonblock "$lock" || fail 1 "another image.sh is at work here"
    # This says what is mounted, and is only true as long as its namespace lives.
    rm -rf "$FOLDER/run"
    engine=(podman --root "$FOLDER/store" --runroot "$FOLDER/run" --events-backend file)
    if ((EUID == 0)); then
        # There may be no systemd to ask, and crun refuses control groups of both versions at once.
        engine+=(--cgroup-manager cgroupfs)
        ! command -v runc >/dev/null || engine+=(--runtime runc)
    fi
    # The default limits are beyond what a restricted root may set.
    run_flags+=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024)
    # Podman would have systemd ask; the script asks by itself.
    run_flags+=(--no-healthcheck)
    choose_bases
}

ensure_podman() {
    local packages=(podman runc)
    ! command -v podman >/dev/null || return 0
    if can_install; then
        say "installing ${packages[*]}"
        install_packages "${packages[@]}" || true
    fi
    command -v podman >/dev/null || fail 69 "there is neither a running Docker nor Podman"
}

has_image() { "${engine[@]}" image inspect "$1" >/dev/null 2>&1; }

choose_bases() {
    local image
    if [[ ! -e $FOLDER/stand-ins ]]; then
        for image in "$(base fetched)" "$(base runtime)"; do
            has_image "$image" || timeout 600 "${engine[@]}" pull --quiet "$image" >/dev/null 2>&1 || {
                bases=stand-ins
                break
            }
        done
        [[ $bases == stand-ins ]] || return 0
    fi
    bases='stand-ins'
    say "the base images cannot be had from their registries: building on stand-ins"
    make_stand_ins
}

# ---- building

# build TAG FLAGS... builds the Dockerfile.
build() {
    local flags=(--format docker "${build_flags[@]}" --file "$scratch/Dockerfile")
    if [[ ${engine[0]} == docker ]]; then
        quietly docker build --tag "$@" .
        return
    fi
    # Podman 4.3 knows no RUN --network. So it runs what needs the network first, and all the rest without.
    sed 's/^RUN --network=none /RUN /' Dockerfile >"$scratch/Dockerfile"
    # A stand-in has a tag of its base, but never its digest.
    [[ $bases == published ]] || sed -i '/^FROM /s/@sha256:[0-9a-f]*//' "$scratch/Dockerfile"
    quietly "${engine[@]}" build "${flags[@]}" --network host --target fetched --tag "$STAGE:fetched" .
    quietly "${engine[@]}" build "${flags[@]}" --network none --tag "$@" .
}

# Runs a builder, whose many words matter only when it fails.
quietly() {
    if ! "$@" >"$FOLDER/build.log" 2>&1; then
        tail -n 60 "$FOLDER/build.log" >&2
        fail 1 "the build failed, see above and $FOLDER/build.log"
    fi
}

# What is sent to the builder is what COPY . finds.
check_context() {
    printf 'FROM scratch\nCOPY . /\n' >"$scratch/context"
    quietly "${engine[@]}" build --file "$scratch/context" --tag "$STAGE:context" .
    check_size 'the build context' "$STAGE:context" "$MAX_CONTEXT_BYTES"
    "${engine[@]}" rmi "$STAGE:context" >/dev/null
}

build_images() {
    local stage
    version=$(sed -n 's/^ARG VERSION=//p' Dockerfile)
    revision=$(git rev-parse HEAD 2>/dev/null) || revision=unknown
    say "building the images of the daemon and of the fake API"
    if [[ ${engine[0]} == podman ]]; then
        # What has a tag is there for the next build, the rest goes.
        for stage in build-fake dependencies build; do
            build "$STAGE:$stage" --target "$stage" --build-arg REVISION="$revision"
        done
    fi
    build "$FAKE" --target fake
    build "$DAEMON" --build-arg REVISION="$revision"
    [[ ${engine[0]} == docker ]] || "${engine[@]}" image prune --force --external >/dev/null
}

# check_size WHAT IMAGE MAXIMUM. Engines do not agree on what the size of an image is; this is what is in it.
check_size() {
    local size
    container=$("${engine[@]}" create "${run_flags[@]}" "$2" none)
    size=$("${engine[@]}" export "$container" | wc -c)
    remove_container
    say "$1 has $(in_megabytes "$size")"
    ((size <= $3)) || problem "that is more than $(in_megabytes "$3")"
}

in_megabytes() { printf '%d.%d MB' $(($1 / 1000000)) $(($1 / 100000 % 10)); }

# ---- looking at what was built

# expect WHAT WANTED FOUND
expect() { [[ $3 == "$2" ]] || problem "$1 is '$3', not '$2'"; }

check_configuration() {
    local label='{{index .Config.Labels "org.opencontainers.image.NAME"}}'
    inspect() { "${engine[@]}" image inspect --format "$1" "$DAEMON"; }
    expect 'the user' 65532:65532 "$(inspect '{{.Config.User}}')"
    expect 'the entry point' '["/usr/local/bin/mimecast-eventd"]' "$(inspect '{{json .Config.Entrypoint}}')"
    expect 'the command' '["run"]' "$(inspect '{{json .Config.Cmd}}')"
    expect 'the signal to stop' SIGTERM "$(inspect '{{.Config.StopSignal}}')"
    expect 'the port' '{"9464/tcp":{}}' "$(inspect '{{json .Config.ExposedPorts}}')"
    expect 'the label version' "$version" "$(inspect "${label/NAME/version}")"
    expect 'the label revision' "$revision" "$(inspect "${label/NAME/revision}")"
    "${engine[@]}" image inspect "$DAEMON" | tr -d '[:space:]' |
        grep -qF '["CMD","/usr/local/bin/mimecast-eventd","healthcheck"]' || problem "the image has no health check"
    [[ $(inspect '{{json .Config.Env}}') == *EVENTD_CONFIG=/etc/mimecast-eventd/mimecast-eventd.toml* ]] ||
        problem "the image does not set EVENTD_CONFIG"
}

# A file that is mounted in place of the image's own counts, and without one it is reached from outside.
check_settings_file() {
    printf '[admin]\nlisten = "0.0.0.0:1234"\n' >"$scratch/settings.toml"
    chmod 0644 "$scratch/settings.toml"
    shows_listen '0.0.0.0:9464'
    shows_listen '0.0.0.0:1234' --volume "$scratch/settings.toml:/etc/mimecast-eventd/mimecast-eventd.toml:ro"
}

# shows_listen ADDRESS FLAGS...
shows_listen() {
    local found
    found=$("${engine[@]}" run --rm "${confined[@]}" "${run_flags[@]}" "${@:2}" "$DAEMON" config show --json |
        grep -o '"admin.listen"[^}]*' || true)
    [[ $found == *"$1"* ]] || problem "the daemon in the image listens on: $found, not $1"
}

# The licences of what is linked come with the program.
check_licences() {
    local file
    container=$("${engine[@]}" create "${run_flags[@]}" "$DAEMON")
    for file in LICENSE THIRD-PARTY-NOTICES.txt; do
        "${engine[@]}" cp "$container:/usr/share/doc/mimecast-eventd/$file" "$scratch/" || true
        cmp "$scratch/$file" "$file" || problem "the image has not this $file"
    done
    remove_container
}

check_dependency_list() {
    container=$("${engine[@]}" create "${run_flags[@]}" "$DAEMON")
    "${engine[@]}" cp "$container:/usr/local/bin/mimecast-eventd" "$scratch/"
    remove_container
    grep -qaF .dep-v0 "$scratch/mimecast-eventd" || problem "the program has no list of its dependencies"
}

# ---- running it

# Nothing is left that can be taken away. The user is the image's own.
confined=(--read-only --cap-drop ALL --security-opt no-new-privileges --network none)

# Settings that are complete and lead nowhere.
settings=(MIMECAST__AUTH=oauth2 MIMECAST__BASE_URL=https://127.0.0.1:1 MIMECAST__CLIENT_ID=id
    MIMECAST__CLIENT_SECRET=secret AMQP__URL=amqp://127.0.0.1:1)
settings=("${settings[@]/#/--env=EVENTD_}")

# in_image ARGUMENTS... runs the program in a container of its own.
in_image() {
    "${engine[@]}" run --rm "${confined[@]}" "${run_flags[@]}" "${settings[@]}" "$DAEMON" "$@"
}

check_commands() {
    local command
    expect 'what --version prints' "mimecast-eventd $version ($revision)" "$(in_image --version)"
    say "$(in_image --version)"
    for command in codes 'check --offline'; do
        say "running: $command"
        # shellcheck disable=SC2086 # these are words
        in_image $command || problem "$command fails in the image"
    done
}

# inside COMMAND... runs a command beside the daemon that is running.
inside() { "${engine[@]}" exec "$container" "$@"; }

is_healthy() { inside /usr/local/bin/mimecast-eventd healthcheck >/dev/null 2>&1; }

check_life() {
    local deadline=$((SECONDS + PATIENCE)) status
    say "running: run, healthcheck, and a stop"
    container=$("${engine[@]}" run --detach "${confined[@]}" "${run_flags[@]}" "${settings[@]}" "$DAEMON")
    until is_healthy; do
        if ((SECONDS >= deadline)); then
            problem "the daemon in the image does not become healthy"
            break
        fi
        sleep 0.2
    done
    "${engine[@]}" stop -t "$PATIENCE" "$container" >/dev/null
    status=$("${engine[@]}" inspect --format '{{.State.ExitCode}}' "$container")
    expect 'the exit status after SIGTERM' 0 "$status"
    [[ -z $failed ]] || "${engine[@]}" logs "$container" >&2
    remove_container
}

check_fake() {
    "${engine[@]}" run --rm "${confined[@]}" "${run_flags[@]}" "$FAKE" --help >/dev/null ||
        problem "the fake API does not run in its image"
}

usage() { sed -n '3,/^$/s/^# \{0,1\}//p' scripts/image.sh; }

main() {
    case $#${1-} in
        0) ;;
        1--help | 1-h) usage && exit 0 ;;
        *) fail 64 "usage: image.sh [--help]" ;;
    esac
    scratch=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    mkdir -p "$FOLDER"
    choose_engine
    check_context
    build_images
    check_configuration
    check_size "the image (bases: $bases)" "$DAEMON" "$MAX_IMAGE_BYTES"
    check_dependency_list
    check_licences
    check_settings_file
    check_commands
    check_life
    check_fake
    [[ -z $failed ]] || fail 1 "not all is as it should be, see above"
    say "all is as it should be, after $SECONDS s"
}

main "$@"
