#!/usr/bin/env bash
#
# Shows the daemon at work: events of every kind go through a real RabbitMQ, the
# daemon calls a fake of the Mimecast API, and a table shows what the API was
# asked and what became of each message. Everything in it is checked.
#
# usage: demo.sh           run, print the table, leave nothing behind
#        demo.sh --keep    the same, but leave it all running until Ctrl-C
#
# It needs a Rust toolchain and a broker. The broker is the one at AMQP_URL,
# where the demo has an exchange and queues of its own and deletes them at the
# end; else a private node of the package rabbitmq-server, which is installed
# where that is permitted; else a container, where Docker runs.
#
# environment:
#   BUILT_PROGRAMS   folder with the built programs; by default they are built here
#   MIMECAST_EVENTD   the daemon to show, in place of the built one
#
# exit status: 0 all went as it should; 1 something did not, stderr says what;
#              64 wrong usage; 69 there is no broker

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C

# shellcheck source=scripts/demo/events.sh
source scripts/demo/events.sh

PATIENCE=60 # seconds to wait for any one fact
IMAGE=rabbitmq:4-management

broker_pid='' fake_pid='' daemon_pid='' container='' management='' prefix=''
declared='' failed=''

say() { printf 'demo.sh: %s\n' "$*" >&2; }
fail() { say "${@:2}"; exit "$1"; }
problem() { say "WRONG: $*"; failed=yes; }

usage() { sed -n '3,/^$/s/^# \{0,1\}//p' scripts/demo.sh; }

# ---- waiting, ending, asking

is_alive() { kill -0 "$1" 2>/dev/null; }

# Waits until a command succeeds. When one of our processes is gone it never will.
wait_for() {
    local what=$1 deadline=$((SECONDS + PATIENCE)) why='' process pid
    until "${@:2}" >/dev/null; do
        for process in broker fake daemon; do
            pid=${process}_pid
            [[ -z ${!pid} ]] || is_alive "${!pid}" || why="the $process ended by itself"
        done
        ((SECONDS < deadline)) || why="it took more than $PATIENCE s"
        if [[ -n $why ]]; then
            say "waited in vain until $what: $why"
            [[ ! -s ${log:-} ]] || { say "the daemon's last words:"; tail -n 5 "$log" >&2; }
            return 1
        fi
        sleep 0.05
    done
}

# Ends a process that we started, and has its exit status.
stop() {
    local deadline=$((SECONDS + 10))
    [[ -n $1 ]] || return 0
    kill -TERM "$1" 2>/dev/null || true
    while is_alive "$1"; do
        ((SECONDS < deadline)) || kill -KILL "$1" 2>/dev/null || true
        sleep 0.05
    done
    wait "$1" 2>/dev/null
}

clean_up() {
    trap '' HUP INT TERM
    stop "$daemon_pid" || true
    stop "$fake_pid" || true
    if [[ -n $prefix && -n $declared ]]; then
        if ! { "$probe" delete-queue "$offboarded"{,.retry.1s,.due.{10s,10m,1day}} "$unblock"{,.retry.1s,.due.{10s,10m,1day}} "$dead_letters" &&
            "$probe" delete-exchange "$exchange" "$dead_letters"; }; then
            say "what begins with $prefix may be left on the broker"
        fi
    fi
    stop "$broker_pid" || true
    [[ -z $container ]] || docker rm --force --volumes "$container" >/dev/null || true
    rm -rf "$folder"
}

# http METHOD URL [BODY] prints the body of a 2xx reply. By hand: a bare Debian has no curl.
http() (
    authority=${2#http://} body=${3-}
    authority=${authority%%/*}
    exec 2>/dev/null 3<>"/dev/tcp/${authority/://}" || exit 1
    printf '%s %s HTTP/1.0\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s' \
        "$1" "${2#"http://$authority"}" "$authority" "${#body}" "$body" >&3
    reply=$(timeout 10 cat <&3 && echo .) && [[ $reply == HTTP/1.?" 2"* ]] || exit 1
    reply=${reply#*$'\r\n\r\n'}
    printf '%s' "${reply%.}"
)

# field NAME LINE prints the value of a field in a line of JSON; nothing for null.
field() {
    if [[ $2 =~ \"$1\":\"?([^\",}]*) && ${BASH_REMATCH[1]} != null ]]; then
        printf '%s' "${BASH_REMATCH[1]}"
    fi
}

# ---- broker, programs, fake API, daemon

choose_broker() {
    if [[ -n ${AMQP_URL:-} ]]; then
        prefix=eventd-demo-$$-$RANDOM.
        say "using the broker at AMQP_URL, with names that begin with $prefix"
    elif cargo xtask node --install; then
        say "starting a private RabbitMQ node"
        # It stops at the end of its stdin, so it cannot outlive this script.
        coproc { BROKER_STOP_TIMEOUT=0 exec cargo xtask node "$folder/node" >"$folder/node.facts"; }
        broker_pid=$COPROC_PID
    elif docker info >/dev/null 2>&1; then
        say "starting a container of $IMAGE"
        container=$(docker run --detach --publish 127.0.0.1::5672 --publish 127.0.0.1::15672 "$IMAGE") ||
            fail 69 "the container could not be started"
    else
        fail 69 "no broker: set AMQP_URL, install the package rabbitmq-server, or start Docker"
    fi
    exchange=${prefix}events dead_letters=${prefix}mimecast-eventd.dead-letter
    offboarded=${prefix}mimecast-eventd.user.offboarded unblock=${prefix}mimecast-eventd.url.unblock
}

await_broker() {
    if [[ -n $broker_pid ]]; then
        wait_for "the node is ready" grep -sx READY "$folder/node.facts"
        # shellcheck source=/dev/null
        source <(grep _URL= "$folder/node.facts")
        management=$MANAGEMENT_URL
    elif [[ -n $container ]]; then
        AMQP_URL="amqp://guest:guest@$(docker port "$container" 5672/tcp)/%2f"
        management=http://$(docker port "$container" 15672/tcp)
    fi
    export AMQP_URL
    if [[ -n $container ]]; then
        wait_for "the container accepts connections" is_reachable
    else
        "$probe" ping || fail 69 "the broker cannot be used"
    fi
}

is_reachable() { "$probe" ping 2>/dev/null; }

build() {
    local programs
    say "building"
    programs=$(cargo xtask programs mimecast-eventd fake-mimecast amqp-probe)
    eventd=${MIMECAST_EVENTD:-$programs/mimecast-eventd} fake_mimecast=$programs/fake-mimecast probe=$programs/amqp-probe
}

# What runs bound ends with this script, even if that is killed with -9.
bound=()
! setpriv --pdeathsig TERM true 2>/dev/null || bound=(setpriv --pdeathsig TERM)

start_fake() {
    "${bound[@]}" "$fake_mimecast" --access-key demo-access-key --secret-key ZGVtby1zZWNyZXQta2V5 \
        --app-id demo-app-id --app-key demo-app-key --client-id demo-client-id \
        --client-secret demo-client-secret >"$folder/fake.facts" &
    fake_pid=$!
    wait_for "the fake API listens" grep -s 'listening for' "$folder/fake.facts"
    fake_url=$(sed -n 's/^listening on //p' "$folder/fake.facts")
    oauth2_url=$(sed -n 's/^listening for API 2.0 on //p' "$folder/fake.facts")
}

fake() { http "$1" "$fake_url/_fake/$2" "${3-}" || fail 1 "the fake API would not $*"; }

# Waits are short, or the demo would take minutes. What is not set here has its default.
start_daemon() {
    local settings
    case $generation in
        1.0) settings=(AUTH=hmac BASE_URL="$fake_url" ACCESS_KEY=demo-access-key
            SECRET_KEY=ZGVtby1zZWNyZXQta2V5 APP_ID=demo-app-id APP_KEY=demo-app-key) ;;
        2.0) settings=(AUTH=oauth2 BASE_URL="$oauth2_url" CLIENT_ID=demo-client-id
            CLIENT_SECRET=demo-client-secret) ;;
    esac
    settings=("${settings[@]/#/MIMECAST__}" AMQP__URL="$AMQP_URL"
        AMQP__EXCHANGE="$exchange" AMQP__DEAD_LETTER_EXCHANGE="$dead_letters"
        AMQP__DEAD_LETTER_QUEUE="$dead_letters" EVENTS__USER_OFFBOARDED__QUEUE="$offboarded"
        EVENTS__URL_UNBLOCK__QUEUE="$unblock" RETRY__INITIAL_DELAY=50ms RETRY__LADDER='["1s"]'
        ADMIN__LISTEN=127.0.0.1:0)
    log=$folder/daemon-$generation.log declared=yes
    "${bound[@]}" env -i PATH="$PATH" ${SSL_CERT_FILE:+SSL_CERT_FILE="$SSL_CERT_FILE"} \
        "${settings[@]/#/EVENTD_}" "$eventd" run 2>"$log" &
    daemon_pid=$!
    wait_for "the daemon has started" grep -s '"message":"started"' "$log"
    admin=http://$(field admin "$(grep '"message":"started"' "$log")")
    wait_for "the daemon is ready" http GET "$admin/readyz"
}

keep_metrics() {
    http GET "$admin/metrics" >>"$folder/metrics" || problem "the daemon does not show its metrics"
}

# Ends it as Kubernetes would.
stop_daemon() {
    local status=0
    keep_metrics
    stop "$daemon_pid" || status=$?
    daemon_pid=
    ((status == 0)) || problem "the daemon ended with status $status, not 0"
}

# ---- the demo

keep_running() {
    local status=0 url=''
    [[ -z $failed ]] || status=1
    # The URL of somebody's broker may hold a password.
    [[ -z $management ]] || url="AMQP_URL=$AMQP_URL "
    cat <<TEXT
All of it is running. Ctrl-C ends it.

page for people     $admin/
daemon              $admin/metrics  $admin/readyz
its log             $log
fake API            $fake_url/_fake/calls  $fake_url/_fake/members
${management:+RabbitMQ            $management  (user guest, password guest)
}publish an event    ${url}$probe publish $exchange user.offboarded <<<'{"emailAddress":"ada@example.com","groupIds":["staff"]}'
read dead letters   ${url}$probe drain $dead_letters
TEXT
    trap 'exit "$status"' HUP INT TERM
    wait "$daemon_pid" || true
    fail 1 "the daemon ended by itself"
}

main() {
    local keep=''
    case $#${1-} in
        0) ;;
        1--keep) keep=yes ;;
        1--help | 1-h) usage && exit 0 ;;
        *) fail 64 "usage: demo.sh [--keep | --help]" ;;
    esac
    folder=$(mktemp -d)
    trap clean_up EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM

    command -v cargo >/dev/null || fail 69 "there is no cargo: install Rust"
    choose_broker
    build
    await_broker
    start_fake

    generation=1.0
    start_daemon
    say "publishing events"
    publish_for_1_0
    wait_for "every message is settled" all_settled || failed=yes
    stop_daemon

    # What comes meanwhile waits in its queue.
    generation=2.0
    publish_for_2_0
    start_daemon
    wait_for "every message is settled" all_settled || failed=yes
    keep_metrics

    print_table
    print_metrics
    check_the_rest
    if [[ -z $failed ]]; then
        say "all went as it should"
    else
        say "not all went as it should, see above"
    fi
    [[ -z $keep ]] || keep_running
    [[ -z $failed ]]
}

main "$@"
