#!/usr/bin/env bash
#
# Runs a private, throw-away RabbitMQ node in the foreground, as any user.
#
# usage: node.sh DIR         run a node that keeps everything it has in DIR
#        node.sh --install   only make sure that RabbitMQ is installed
#
# A DIR used before brings back the same node: same name, ports and data.
# Several nodes may run at once, each in its own DIR. Everything listens on
# loopback only. The user is guest, the password guest.
#
# When the node accepts AMQP connections and its management API answers, these
# lines go to stdout, and nothing after them:
#
#   AMQP_URL=amqp://guest:guest@127.0.0.1:PORT/%2f
#   MANAGEMENT_URL=http://127.0.0.1:PORT
#   AMQPS_PORT=PORT              (only with BROKER_TLS_DIR)
#   PID=PID                      (of the Erlang VM, the process to kill in tests)
#   READY
#
# The node lives as long as stdin stays open. At the end of stdin, or on
# SIGTERM, SIGINT or SIGHUP, it is stopped and the script ends with status 0; so
# it does, after a word on stderr, if the node dies. A caller holds the writing
# end of a pipe and the node cannot outlive it. With stdin closed or /dev/null
# (which is what `node.sh DIR &` gets in a script) it stops at once: use
# `sleep infinity | node.sh DIR` or a fifo to keep it up in the background.
#
# environment:
#   BROKER_PROGRAMS       folder with the rabbitmq-server and rabbitmqctl to use, in
#                         place of the installed ones: to run another version
#   BROKER_TLS_DIR        folder with ca.pem, server.pem and server.key: adds a
#                         TLS listener that asks for, but does not insist on, a
#                         client certificate; EXTERNAL takes its common name
#   BROKER_EXTRA_CONFIG   file whose text is appended to rabbitmq.conf; guest
#                         must stay able to log in
#   BROKER_EPMD_PORT      port of an epmd that runs already, on which the nodes of a cluster
#                         find each other; the caller keeps it alive, and gives all of
#                         them the same .erlang.cookie. The node has one of its own otherwise
#   BROKER_STOP_TIMEOUT   seconds the node gets to shut down before it is killed
#                         (10). RabbitMQ 3.10 needs 6, of which 5 go to a hitch
#                         of its management plugin after the data is safe; a
#                         caller that throws the data away may set 0
#
# in DIR: node.env (name and ports), rabbitmq.conf (written anew at each start),
#         data/, log/rabbit.log, log/start.log, .erlang.cookie
#
# exit status: 0 stopped; 1 the node did not start (the end of its log is on
#              stderr); 64 wrong usage; 69 RabbitMQ is not there and cannot be
#              installed

set -euo pipefail

# shellcheck source=scripts/checks/packages.sh
source "$(dirname "${BASH_SOURCE[0]}")/../checks/packages.sh"

# A node is there within ten seconds, but a machine may have other things to do.
START_TIMEOUT=180
STOP_TIMEOUT=${BROKER_STOP_TIMEOUT:-10}

stop_requested=
node_pid=
epmd_pid=

say() {
    printf 'node.sh: %s\n' "$*" >&2
}

fail() {
    local status=$1
    shift
    say "$@"
    exit "$status"
}

# ---- installation

# The wrapper in /usr/sbin insists on root or the rabbitmq user, the node script
# does not care.
find_server() {
    local candidate
    for candidate in ${BROKER_PROGRAMS:+"$BROKER_PROGRAMS/rabbitmq-server"} \
        /usr/lib/rabbitmq/bin/rabbitmq-server \
        /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server; do
        if [[ -x $candidate ]]; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

is_installed() {
    find_server >/dev/null && command -v erl >/dev/null && command -v epmd >/dev/null
}

# Runs as root in a shell of its own, which has these functions and nothing else.
install_server() {
    set -eu
    local policy=/usr/sbin/policy-rc.d

    # Several callers may find RabbitMQ missing at the same time.
    exec 9</var/lib/dpkg
    flock 9
    if dpkg-query -W -f '${db:Status-Status}' rabbitmq-server 2>/dev/null | grep -qx installed; then
        return 0
    fi

    # Unless told not to, the package starts a system-wide node on port 5672.
    local verdict=0
    if [ -x "$policy" ]; then
        "$policy" rabbitmq-server start >/dev/null 2>&1 || verdict=$?
    fi
    if [ "$verdict" -ne 101 ]; then
        trap 'exit 1' HUP INT TERM
        if [ -e "$policy" ]; then
            trap 'mv -f /usr/sbin/policy-rc.d.saved /usr/sbin/policy-rc.d' EXIT
            mv "$policy" "$policy.saved"
        else
            trap 'rm -f /usr/sbin/policy-rc.d' EXIT
        fi
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi

    install_packages rabbitmq-server
    if [ -d /run/systemd/system ]; then
        systemctl disable rabbitmq-server.service || true
    fi
}

ensure_installed() {
    local advice="install RabbitMQ and Erlang (Debian and Ubuntu: apt-get install rabbitmq-server)"
    is_installed && return
    can_install || fail 69 "RabbitMQ is not installed: $advice"
    say "RabbitMQ is not installed: installing the package rabbitmq-server, without starting its service"
    as_root bash -c "$(declare -f as_root install_packages install_server); install_server" </dev/null >&2 ||
        fail 69 "the package could not be installed: $advice"
    is_installed || fail 69 "the package does not have what is expected: $advice"
}

# ---- waiting

# Sleeps, and notices the end of stdin meanwhile. A background reader would not
# do: bash gives background jobs /dev/null for stdin.
pause() {
    local status=0
    IFS= read -r -t "$1" _ 2>/dev/null || status=$?
    if ((status > 0 && status <= 128)); then
        stop_requested="end of stdin"
    fi
}

is_alive() {
    kill -0 "$1" 2>/dev/null
}

accepts_connections() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# A request by hand, as a bare Debian has no curl.
management_answers() (
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$MANAGEMENT_PORT" || exit 1
    printf 'GET /api/overview HTTP/1.0\r\nHost: localhost\r\nAuthorization: Basic %s\r\n\r\n' \
        Z3Vlc3Q6Z3Vlc3Q= >&3
    IFS= read -r -t 5 line <&3 && [[ $line == HTTP/1.?" 200 "* ]]
)

# A little after its ports are open; before that it takes no part in a cluster.
has_booted() {
    grep -q ' completed with [0-9]* plugins' "$DIR/log/start.log"
}

is_ready() {
    has_booted || return 1
    accepts_connections "$AMQP_PORT" || return 1
    [[ -z ${BROKER_TLS_DIR:-} ]] || accepts_connections "$AMQPS_PORT" || return 1
    management_answers
}

# ---- ports

name_ports() {
    FIRST_PORT=$1
    DIST_PORT=$((FIRST_PORT + 1))
    AMQP_PORT=$((FIRST_PORT + 2))
    AMQPS_PORT=$((FIRST_PORT + 3))
    MANAGEMENT_PORT=$((FIRST_PORT + 4))
    NODE_NAME="broker-$FIRST_PORT@localhost"
    EPMD_PORT=${BROKER_EPMD_PORT:-$FIRST_PORT}
}

ports_are_free() {
    local port
    for port in "$FIRST_PORT" "$DIST_PORT" "$AMQP_PORT" "$AMQPS_PORT" "$MANAGEMENT_PORT"; do
        ! accepts_connections "$port" || return 1
    done
}

# Makes what it starts end with this script even if that is killed with -9. All
# of env, the node script and erl exec, so the signal reaches the VM.
run_bound() {
    if setpriv --pdeathsig TERM true 2>/dev/null; then
        exec setpriv --pdeathsig TERM "$@"
    fi
    exec "$@"
}

start_epmd() {
    run_bound epmd -port "$FIRST_PORT" -address 127.0.0.1 </dev/null >>"$DIR/log/start.log" 2>&1 &
    epmd_pid=$!
    local tries
    for ((tries = 0; tries < 50; tries++)); do
        if accepts_connections "$FIRST_PORT"; then
            # The answer may be another's, whose port made ours give up.
            sleep 0.1
            break
        fi
        is_alive "$epmd_pid" || break
        sleep 0.05
    done
    if is_alive "$epmd_pid"; then
        return 0
    fi
    epmd_pid=
    return 1
}

# The ports come in blocks of five, and who has bound the first one, epmd's, has
# the whole block: nodes starting at the same moment cannot pick the same ports.
# A node of a cluster keeps its block in the same way, although it uses another's
# epmd. The range lies below the ports that Linux gives to outgoing connections.
claim_new_ports() {
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        name_ports $((20000 + 5 * (RANDOM % 2000)))
        if ports_are_free && start_epmd; then
            printf '%s=%s\n' NODE_NAME "$NODE_NAME" FIRST_PORT "$FIRST_PORT" \
                EPMD_PORT "$EPMD_PORT" DIST_PORT "$DIST_PORT" \
                AMQP_PORT "$AMQP_PORT" AMQPS_PORT "$AMQPS_PORT" \
                MANAGEMENT_PORT "$MANAGEMENT_PORT" >"$DIR/node.env"
            return 0
        fi
    done
    fail 1 "found no free ports between 20000 and 30000"
}

reclaim_ports() {
    local deadline=$((SECONDS + 15))
    # shellcheck source=/dev/null
    source "$DIR/node.env"
    # The node before may still be on its way out.
    until ports_are_free; do
        ((SECONDS < deadline)) || fail 1 "ports $FIRST_PORT to $MANAGEMENT_PORT are taken: is the node in $DIR running?"
        sleep 0.1
    done
    start_epmd || fail 1 "epmd did not start on port $FIRST_PORT: $(tail -n 1 "$DIR/log/start.log")"
}

claim_ports() {
    if [[ -s $DIR/node.env ]]; then
        reclaim_ports
    else
        claim_new_ports
    fi
}

# ---- the node

prepare_folder() {
    mkdir -p "$1" || exit 1
    DIR=$(cd "$1" && pwd)
    mkdir -p "$DIR/data" "$DIR/log"
    : >"$DIR/log/start.log"
    printf '[rabbitmq_auth_mechanism_ssl,rabbitmq_management].\n' >"$DIR/enabled_plugins"
    # Empty ones, so that those in /etc/rabbitmq are not read.
    : >"$DIR/rabbitmq-env.conf"
    printf '[].\n' >"$DIR/advanced.config"
    mkdir -p "$DIR/conf.d"
    if [[ ! -e $DIR/.erlang.cookie ]]; then
        (umask 277 && od -An -v -tx1 -N 32 /dev/urandom | tr -d ' \n' >"$DIR/.erlang.cookie")
    fi
}

check_settings() {
    local file
    if [[ -n ${BROKER_TLS_DIR:-} ]]; then
        for file in ca.pem server.pem server.key; do
            [[ -r $BROKER_TLS_DIR/$file ]] || fail 64 "BROKER_TLS_DIR: cannot read $BROKER_TLS_DIR/$file"
        done
        BROKER_TLS_DIR=$(cd "$BROKER_TLS_DIR" && pwd)
    fi
    if [[ -n ${BROKER_EXTRA_CONFIG:-} && ! -r $BROKER_EXTRA_CONFIG ]]; then
        fail 64 "BROKER_EXTRA_CONFIG: cannot read $BROKER_EXTRA_CONFIG"
    fi
}

write_config() {
    cat <<CONF
listeners.tcp.1 = 127.0.0.1:$AMQP_PORT
management.tcp.ip = 127.0.0.1
management.tcp.port = $MANAGEMENT_PORT
collect_statistics_interval = 1000
disk_free_limit.absolute = 10MB
log.file.level = info
CONF
    if [[ -n ${BROKER_TLS_DIR:-} ]]; then
        cat <<CONF
listeners.ssl.1 = 127.0.0.1:$AMQPS_PORT
ssl_options.cacertfile = $BROKER_TLS_DIR/ca.pem
ssl_options.certfile = $BROKER_TLS_DIR/server.pem
ssl_options.keyfile = $BROKER_TLS_DIR/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
ssl_cert_login_from = common_name
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = EXTERNAL
CONF
    fi
    if [[ -n ${BROKER_EXTRA_CONFIG:-} ]]; then
        cat -- "$BROKER_EXTRA_CONFIG"
    fi
}

# RUNNING_UNDER_SYSTEMD makes the node script exec the VM instead of waiting for
# it. Schedulers are few and unbound, tables small: nodes share a machine with
# each other and the tests. "+B i" leaves Ctrl-C in a terminal to this script.
start_node() {
    local server
    server=$(find_server)
    run_bound env -i PATH="$PATH" LANG=C.UTF-8 HOME="$DIR" \
        ERL_EPMD_PORT="$EPMD_PORT" ERL_EPMD_ADDRESS=127.0.0.1 \
        ERL_MAX_PORTS=4096 ERL_CRASH_DUMP_SECONDS=0 \
        RUNNING_UNDER_SYSTEMD=true \
        RABBITMQ_NODENAME="$NODE_NAME" RABBITMQ_DIST_PORT="$DIST_PORT" \
        RABBITMQ_MNESIA_BASE="$DIR/data" RABBITMQ_LOG_BASE="$DIR/log" \
        RABBITMQ_LOGS="$DIR/log/rabbit.log" RABBITMQ_LOG=-color \
        RABBITMQ_ENABLED_PLUGINS_FILE="$DIR/enabled_plugins" \
        RABBITMQ_CONFIG_FILE="$DIR/rabbitmq.conf" RABBITMQ_CONFIG_FILES="$DIR/conf.d" \
        RABBITMQ_ADVANCED_CONFIG_FILE="$DIR/advanced.config" \
        RABBITMQ_CONF_ENV_FILE="$DIR/rabbitmq-env.conf" \
        RABBITMQ_SCHEDULER_BIND_TYPE=u \
        RABBITMQ_MAX_NUMBER_OF_PROCESSES=65536 RABBITMQ_MAX_NUMBER_OF_ATOMS=1048576 \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 2:2 +B i -kernel inet_dist_use_interface {127,0,0,1}" \
        "$server" </dev/null >>"$DIR/log/start.log" 2>&1 &
    node_pid=$!
    # Or bash writes a page about it when it is killed.
    disown
}

# The cause is around "Error during startup"; what follows are pages of fallout.
# An error in the configuration comes before rabbit.log is written to.
fail_with_log() {
    local log=$DIR/log/rabbit.log
    if [[ ! -s $log ]] || grep -q 'BOOT FAILED' "$DIR/log/start.log"; then
        log=$DIR/log/start.log
    fi
    say "$1; the end of $log:"
    grep -m 1 -B 12 -A 7 'Error during startup' "$log" >&2 || tail -n 20 "$log" >&2
    exit 1
}

wait_until_ready() {
    local deadline=$((SECONDS + START_TIMEOUT))
    until is_ready; do
        is_alive "$node_pid" || fail_with_log "the node ended while starting"
        ((SECONDS < deadline)) || fail_with_log "the node is not ready after $START_TIMEOUT s"
        pause 0.1
        [[ -z $stop_requested ]] || return 0
    done
    is_alive "$node_pid" || fail_with_log "the node ended while starting"
}

report_ready() {
    printf 'AMQP_URL=amqp://guest:guest@127.0.0.1:%s/%%2f\n' "$AMQP_PORT"
    printf 'MANAGEMENT_URL=http://127.0.0.1:%s\n' "$MANAGEMENT_PORT"
    [[ -z ${BROKER_TLS_DIR:-} ]] || printf 'AMQPS_PORT=%s\n' "$AMQPS_PORT"
    printf 'PID=%s\nREADY\n' "$node_pid"
}

wait_until_stopped() {
    while [[ -z $stop_requested ]]; do
        if ! is_alive "$node_pid"; then
            say "the node (pid $node_pid) died by itself"
            return 0
        fi
        pause 0.2
    done
}

stop_process() {
    local pid=$1 deadline=$((SECONDS + STOP_TIMEOUT))
    [[ -n $pid ]] || return 0
    kill -TERM "$pid" 2>/dev/null || true
    while is_alive "$pid"; do
        if ((SECONDS >= deadline)); then
            kill -KILL "$pid" 2>/dev/null || true
        fi
        sleep 0.05
    done
}

stop_all() {
    # A second signal must not leave half of it running.
    trap '' HUP INT TERM
    stop_process "$node_pid"
    stop_process "$epmd_pid"
}

run_node() {
    trap 'stop_requested=signal' HUP INT TERM
    pause 0.01
    if [[ -n $stop_requested ]]; then
        say "stdin is at its end already: nothing started"
        return 0
    fi
    check_settings
    prepare_folder "$1"
    trap stop_all EXIT
    claim_ports
    write_config >"$DIR/rabbitmq.conf"
    start_node
    wait_until_ready
    if [[ -z $stop_requested ]]; then
        report_ready
        wait_until_stopped
    fi
}

main() {
    if [[ $# -ne 1 || -z $1 ]]; then
        fail 64 "usage: node.sh DIR | node.sh --install"
    fi
    case $1 in
        --install)
            ensure_installed
            ;;
        -*)
            fail 64 "unknown option $1; usage: node.sh DIR | node.sh --install"
            ;;
        *)
            ensure_installed
            run_node "$1"
            ;;
    esac
}

main "$@"
