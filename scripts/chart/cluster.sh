#!/usr/bin/env bash
#
# Installs the chart in a Kubernetes of its own, tests it by helm test, and upgrades
# it from the release before, while events are published: each has to be carried out
# by the fake API in the cluster, before, during and after the upgrade. Where there is
# no release before, the chart is upgraded to itself with another setting.
#
# usage: cluster.sh
#
# It needs kind with a Docker engine, kubectl, Helm, curl and openssl, and the tags
# of the repository. The images are built here; what scripts/image.sh built is still
# in Docker's cache. The cluster is deleted at the end.
#
# environment:
#   HELM     the Helm to take; that in PATH by default
#
# exit status: 0 all went as it should; 1 something did not, it is on stderr; 64
#              wrong usage; 69 something that is needed is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export LC_ALL=C DOCKER_BUILDKIT=1

NAME=mimecast-eventd
CLUSTER=$NAME-check
HERE=scripts/chart/cluster
HELM=${HELM:-helm}
PATIENCE=120 # seconds to wait for any one fact
FAKE=http://127.0.0.1:30080/_fake
MANAGEMENT=http://127.0.0.1:31672/api
# The daemon's pods, not that of the test; and of each its image with the number of its restarts.
DAEMON=app.kubernetes.io/component=daemon
IMAGES='{range .items[*]}{.spec.containers[0].image} {.status.containerStatuses[0].restartCount}{"\n"}{end}'

published=0

say() { printf 'cluster.sh: %s\n' "$*" >&2; }
fail() { say "${@:2}"; exit "$1"; }

check_tools() {
    local tool
    for tool in kind kubectl "$HELM" docker curl openssl git; do
        command -v "$tool" >/dev/null || fail 69 "$tool is missing"
    done
    docker info >/dev/null 2>&1 || fail 69 "Docker's engine does not run"
}

clean_up() {
    local status=$?
    trap '' HUP INT TERM
    ((status == 0)) || look_around || true
    kind delete cluster --quiet --name "$CLUSTER" || true
    rm -rf "$folder"
}

# What somebody who was not there needs to know.
look_around() {
    {
        kubectl get pods --all-namespaces --output wide
        kubectl --namespace "$NAME" get events --sort-by .lastTimestamp
        kubectl --namespace "$NAME" describe pods
        kubectl --namespace "$NAME" logs --selector "app.kubernetes.io/name=$NAME" --tail 50 --prefix
        kubectl --namespace surroundings logs --selector 'app in (broker, vendor)' --all-containers --tail 30 --prefix
        curl --silent --max-time 10 "$FAKE/calls"
    } >&2
}

# wait_for WHAT COMMAND...
wait_for() {
    local deadline=$((SECONDS + PATIENCE))
    until "${@:2}" >/dev/null; do
        ((SECONDS < deadline)) || fail 1 "waited $PATIENCE s in vain until $1"
        sleep 0.5
    done
}

# ---- images

# build TAG FOLDER [FLAGS...] builds an image and loads it into the cluster.
build() {
    say "building $1"
    docker build --quiet --tag "localhost/$1" "${@:3}" "$2" >/dev/null
    # By way of a file with this machine's platform alone: of others a store may have but the names.
    docker save --platform "linux/$(dpkg --print-architecture)" --output "$folder/image.tar" "localhost/$1"
    kind load image-archive "$folder/image.tar" --name "$CLUSTER"
    rm "$folder/image.tar"
}

# The newest release that this commit comes after; pre-releases are nothing to come from.
find_release_before() {
    # Where the history is cut off, it would seem that there never was one.
    [[ $(git rev-parse --is-shallow-repository) == false ]] || fail 69 "the history is missing: fetch all of it"
    before=$(git describe --tags --abbrev=0 --match 'v[0-9]*' --exclude '*-*' HEAD^ 2>/dev/null) || before=''
}

load_images() {
    local revision
    revision=$(git rev-parse HEAD)
    build fake-mimecast:check . --target fake
    build "$NAME:check" . --build-arg REVISION="$revision"
    if [[ -n $before ]]; then
        mkdir "$folder/before"
        git archive "$before" | tar --extract --directory "$folder/before"
        build "$NAME:before" "$folder/before"
    fi
}

# ---- cluster and surroundings

make_cluster() {
    say "making a cluster"
    kind create cluster --quiet --name "$CLUSTER" --config "$HERE/kind.yaml" --wait 180s
    kubectl version
}

# A certificate authority, and a certificate of it for the fake API.
make_certificates() {
    local key=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2)
    openssl req -x509 "${key[@]}" -subj '/CN=a root for one cluster' \
        -keyout "$folder/ca.key" -out "$folder/ca.crt" 2>/dev/null
    openssl req "${key[@]}" -subj '/CN=vendor' -keyout "$folder/tls.key" -out "$folder/tls.csr" 2>/dev/null
    printf 'subjectAltName=DNS:vendor.surroundings.svc\nbasicConstraints=critical,CA:FALSE\n' >"$folder/extensions"
    openssl x509 -req -in "$folder/tls.csr" -CA "$folder/ca.crt" -CAkey "$folder/ca.key" -CAcreateserial -days 2 \
        -extfile "$folder/extensions" -out "$folder/tls.crt" 2>/dev/null
}

make_surroundings() {
    say "starting the broker and the fake API in it"
    make_certificates
    kubectl apply --filename "$HERE/surroundings.yaml"
    kubectl --namespace surroundings create secret tls vendor --cert "$folder/tls.crt" --key "$folder/tls.key"
    kubectl --namespace "$NAME" create configmap private-roots --from-file "$folder/ca.crt"
    kubectl --namespace surroundings rollout status deployment/vendor --timeout 300s
    kubectl --namespace surroundings rollout status deployment/broker --timeout 300s
    wait_for "the fake API answers" fake members
    wait_for "the broker's management API answers" management overview
}

# ---- events

# fake PATH [BODY] asks the fake API, or orders something.
fake() { curl --silent --fail --max-time 10 "$FAKE/$1" ${2:+--data "$2"}; }

# management PATH [BODY]
management() {
    curl --silent --fail --max-time 10 --user eventd:eventd "$MANAGEMENT/$1" ${2:+--json "$2"}
}

# Puts somebody into a group, and publishes that they left.
offboard() {
    local address reply
    published=$((published + 1)) address=person-$published@example.com
    fake members "{\"group\":\"staff\",\"member\":\"$address\"}" || fail 1 "the fake API would not take $address"
    reply=$(management exchanges/%2F/events/publish "$(event "$address")") || fail 1 "the broker took no event"
    # A queue took it, or it would not have been kept for anybody.
    [[ $reply == '{"routed":true}' ]] || fail 1 "the event about $address went nowhere: $reply"
}

# event ADDRESS prints what the management API is to publish.
event() {
    printf '{"routing_key": "user.offboarded", "properties": {"delivery_mode": 2}, "payload_encoding": "string", %s}' \
        "\"payload\": \"{\\\"emailAddress\\\":\\\"$1\\\",\\\"groupIds\\\":[\\\"staff\\\"]}\""
}

is_applied() { [[ $(fake members) == '{"staff":[]}' ]]; }

# Everybody who was in the group has left it, and the vendor's protocol was kept.
see_applied() {
    wait_for "$1 is carried out" is_applied
    [[ $(fake violations) == '[]' ]] || fail 1 "the API was not called as its protocol demands: $(fake violations)"
    say "$1: carried out"
}

# ---- the chart

# helm_with VERB CHART FLAGS... installs or upgrades, and waits until the pods are ready.
helm_with() {
    "$HELM" "$1" "$NAME" "$2" --namespace "$NAME" --values "$HERE/cluster-values.yaml" --wait --timeout 5m "${@:3}"
}

test_it() { "$HELM" test "$NAME" --namespace "$NAME" --logs --timeout 5m; }

# Events come all the while that pods are replaced.
upgrade_it() {
    local upgrade
    helm_with upgrade helm/$NAME --set image.tag=check "$@" &
    upgrade=$!
    while kill -0 "$upgrade" 2>/dev/null; do
        offboard
        sleep 1
    done
    wait "$upgrade" || fail 1 "the upgrade failed"
}

# see_running IMAGE REVISION: after so many rollouts only pods of this image are left, and none was ever restarted.
see_running() {
    kubectl --namespace "$NAME" rollout status "deployment/$NAME" --timeout 120s
    expect 'the rollout' "$2" "$(kubectl --namespace "$NAME" get deployment "$NAME" \
        --output jsonpath='{.metadata.annotations.deployment\.kubernetes\.io/revision}')"
    # The old pods may have something to finish.
    wait_for "nothing but localhost/$1 runs, without a restart" runs_alone "localhost/$1"
}

runs_alone() {
    [[ $(kubectl --namespace "$NAME" get pods --selector "$DAEMON" --output jsonpath="$IMAGES" | sort -u) == "$1 0" ]]
}

# expect WHAT WANTED FOUND
expect() { [[ $3 == "$2" ]] || fail 1 "$1 is '$3', not '$2'"; }

install_and_upgrade() {
    if [[ -n $before ]]; then
        say "installing $before"
        helm_with install "$folder/before/helm/$NAME" --set image.tag=before
        see_running "$NAME:before" 1
    else
        say "there is no release before this: installing this one, to upgrade it to itself with another setting"
        helm_with install helm/$NAME --set image.tag=check
        see_running "$NAME:check" 1
    fi
    test_it
    offboard
    see_applied "the event before the upgrade"
    say "upgrading"
    if [[ -n $before ]]; then
        upgrade_it
    else
        upgrade_it --set 'config.events.user\.offboarded.prefetch=4'
    fi
    see_applied "what came during the upgrade, to $published in all"
    see_running "$NAME:check" 2
    test_it
    offboard
    see_applied "the event after the upgrade"
}

remove_it() {
    "$HELM" uninstall "$NAME" --namespace "$NAME" --wait --timeout 5m
    wait_for "no pod is left" has_no_pods
}

# The test pod is a hook, which Helm leaves to whoever reads its log.
has_no_pods() { [[ -z $(kubectl --namespace "$NAME" get pods --selector "$DAEMON" --output name) ]]; }

(($# == 0)) || fail 64 'usage: cluster.sh'
check_tools
folder=$(mktemp -d)
export KUBECONFIG=$folder/kubeconfig
trap clean_up EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
find_release_before
make_cluster
load_images
make_surroundings
install_and_upgrade
remove_it
say "all went as it should, after $SECONDS s"
