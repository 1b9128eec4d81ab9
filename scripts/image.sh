#!/usr/bin/env bash
#
# Builds the image as the Dockerfile says and tries it: as a user without rights,
# without capabilities, on a read-only root file system.
#
# usage: image.sh
#
# It needs Docker. The images stay as mimecast-eventd:check and fake-mimecast:check
# under localhost.
#
# exit status: 0 built, and all checks passed; 1 something failed, stderr says what;
#              64 wrong usage; 69 there is no running Docker

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C DOCKER_BUILDKIT=1

MAX_IMAGE_BYTES=$((40 * 1000 * 1000))
PATIENCE=30 # seconds to wait for any one fact
DAEMON=localhost/mimecast-eventd:check
FAKE=localhost/fake-mimecast:check

container='' failed=''
# Nothing is left that could be taken away. The user is that of the image.
confined=(--read-only --cap-drop ALL --security-opt no-new-privileges --network none)
# Complete settings that lead nowhere.
settings=(MIMECAST__AUTH=oauth2 MIMECAST__BASE_URL=https://127.0.0.1:1 MIMECAST__CLIENT_ID=client-id
    MIMECAST__CLIENT_SECRET=client-secret AMQP__URL=amqp://127.0.0.1:1)
settings=("${settings[@]/#/--env=EVENTD_}")

say() { printf 'image.sh: %s\n' "$*" >&2; }
fail() { say "${@:2}"; exit "$1"; }
problem() { say "WRONG: $*"; failed=yes; }

# expect WHAT WANTED FOUND
expect() { [[ $3 == "$2" ]] || problem "$1 is '$3', not '$2'"; }

clean_up() {
    remove_container || true
    rm -rf "$scratch"
}

remove_container() {
    [[ -z $container ]] || docker rm --force "$container" >/dev/null
    container=''
}

# build TAG FLAGS... shows the log of the build only when it fails.
build() {
    docker build --tag "$@" . >"$scratch/build.log" 2>&1 ||
        { tail -n 60 "$scratch/build.log" >&2 && fail 1 "the build failed, see above"; }
}

check_configuration() {
    local label='{{index .Config.Labels "org.opencontainers.image.NAME"}}'
    inspect() { docker image inspect --format "$1" "$DAEMON"; }
    expect 'the user' 65532:65532 "$(inspect '{{.Config.User}}')"
    expect 'the entry point' '["/usr/local/bin/mimecast-eventd"]' "$(inspect '{{json .Config.Entrypoint}}')"
    expect 'the command' '["run"]' "$(inspect '{{json .Config.Cmd}}')"
    expect 'the signal to stop' SIGTERM "$(inspect '{{.Config.StopSignal}}')"
    expect 'the port' '{"9464/tcp":{}}' "$(inspect '{{json .Config.ExposedPorts}}')"
    expect 'the label version' "$version" "$(inspect "${label/NAME/version}")"
    expect 'the label revision' "$revision" "$(inspect "${label/NAME/revision}")"
    expect 'the health check' '["CMD","/usr/local/bin/mimecast-eventd","healthcheck"]' \
        "$(inspect '{{json .Config.Healthcheck.Test}}')"
    [[ $(inspect '{{json .Config.Env}}') == *EVENTD_CONFIG=/etc/mimecast-eventd/mimecast-eventd.toml* ]] ||
        problem "the image does not set EVENTD_CONFIG"
}

# The size, the list of dependencies in the program, and the licenses of the linked crates.
check_content() {
    local file size
    container=$(docker create "$DAEMON")
    docker export --output "$scratch/image.tar" "$container"
    remove_container
    size=$(stat --format %s "$scratch/image.tar")
    say "the image has $((size / 1000000)) MB"
    ((size <= MAX_IMAGE_BYTES)) || problem "the image has more than $MAX_IMAGE_BYTES bytes"
    tar --extract --file "$scratch/image.tar" --directory "$scratch" usr/local/bin usr/share/doc/mimecast-eventd
    grep -qaF .dep-v0 "$scratch/usr/local/bin/mimecast-eventd" || problem "the program has no list of its dependencies"
    for file in LICENSE THIRD-PARTY-NOTICES.txt; do
        cmp "$scratch/usr/share/doc/mimecast-eventd/$file" "$file" || problem "the image has not this $file"
    done
}

# in_image ARGUMENTS... runs the program in a new container.
in_image() { docker run --rm "${confined[@]}" "${settings[@]}" "$DAEMON" "$@"; }

check_commands() {
    local listen
    expect 'the output of --version' "mimecast-eventd $version ($revision)" "$(in_image --version)"
    in_image codes >/dev/null || problem "codes fails in the image"
    in_image check --offline || problem "check --offline fails in the image"
    docker run --rm "${confined[@]}" "$FAKE" --help >/dev/null || problem "the fake API does not run in its image"
    # The settings of the image make the daemon reachable from outside. A mounted file replaces them.
    printf '[admin]\nlisten = "0.0.0.0:1234"\n' >"$scratch/settings.toml"
    chmod 0644 "$scratch/settings.toml"
    listen=$(in_image config show --json | grep -o '"admin.listen"[^}]*' || true)
    [[ $listen == *0.0.0.0:9464* ]] || problem "the daemon in the image listens on: $listen"
    listen=$(docker run --rm "${confined[@]}" "${settings[@]}" \
        --volume "$scratch/settings.toml:/etc/mimecast-eventd/mimecast-eventd.toml:ro" "$DAEMON" config show --json |
        grep -o '"admin.listen"[^}]*' || true)
    [[ $listen == *0.0.0.0:1234* ]] || problem "with mounted settings the daemon listens on: $listen"
}

check_life() {
    local deadline=$((SECONDS + PATIENCE))
    container=$(docker run --detach "${confined[@]}" "${settings[@]}" "$DAEMON")
    until docker exec "$container" /usr/local/bin/mimecast-eventd healthcheck >/dev/null 2>&1; do
        ((SECONDS < deadline)) || { problem "the daemon in the image does not become healthy" && break; }
        sleep 0.2
    done
    docker stop -t "$PATIENCE" "$container" >/dev/null
    expect 'the exit status after SIGTERM' 0 "$(docker inspect --format '{{.State.ExitCode}}' "$container")"
    [[ -z $failed ]] || docker logs "$container" >&2
    remove_container
}

(($# == 0)) || fail 64 'usage: image.sh'
docker info >/dev/null 2>&1 || fail 69 'there is no running Docker'
scratch=$(mktemp -d)
trap clean_up EXIT
version=$(sed -n 's/^ARG VERSION=//p' Dockerfile)
revision=$(git rev-parse HEAD 2>/dev/null) || revision=unknown
say "building the images of the daemon and of the fake API"
build "$FAKE" --target fake
build "$DAEMON" --build-arg REVISION="$revision"
check_configuration
check_content
check_commands
check_life
[[ -z $failed ]] || fail 1 "something is wrong, see above"
say "all checks passed after $SECONDS s"
