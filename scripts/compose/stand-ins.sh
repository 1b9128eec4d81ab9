# shellcheck shell=bash disable=SC2154 # scratch and the like are the script's that sources this
#
# A Docker and stand-ins for the images of compose.yaml, made from the packages of
# Debian 13. Sourced by compose.sh, which says the rest.

# Prints the image of a service.
image_of() { sed -n "/^  $1:\$/,/^    image: /s/^    image: //p" compose.yaml; }

# ---- with the network of this machine

make_stand_ins() {
    local tool missing=()
    # Of these, Debian 13's would need its own C library.
    for tool in mmdebstrap:mmdebstrap runc:runc iptables:iptables ip:iproute2; do
        command -v "${tool%:*}" >/dev/null || missing+=("${tool#*:}")
    done
    ((${#missing[@]} == 0)) || ! can_install || install_packages "${missing[@]}" || true
    for tool in mmdebstrap runc iptables ip; do
        command -v "$tool" >/dev/null || fail 69 "$tool is missing and cannot be installed"
    done
    make_root docker --variant=extract --include=docker.io,docker-cli,docker-compose
    # shellcheck disable=SC2016 # the hooks' own
    make_root services.tar --variant=apt --include=prometheus,rabbitmq-server \
        --customize-hook='echo "[rabbitmq_management,rabbitmq_prometheus]." >"$1/etc/rabbitmq/enabled_plugins"' \
        --customize-hook='install --directory --owner=65534 --group=65534 "$1/prometheus"'
    # The packages of the published image; what one of them makes when it is configured is made here.
    make_root runtime --variant=extract \
        --include=base-files,ca-certificates,libc6,libgcc-s1,libssl3t64,libstdc++6,netbase,tzdata
    cat "$FOLDER"/runtime/usr/share/ca-certificates/mozilla/*.crt >"$FOLDER/runtime/etc/ssl/certs/ca-certificates.crt"
    collect_programs
}

# make_root NAME FLAGS... makes a Debian 13 in target/compose. What was made before is there at once.
make_root() {
    local mirror new=$FOLDER/new-$1
    [[ ! -e $FOLDER/$1 ]] || return 0
    # shellcheck disable=SC2016 # apt-get's own
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        sed -n 's/ \(bookworm\|trixie\)$//p' | head -n 1)
    say "making $1 from the packages of Debian 13"
    rm -rf "$new"
    timeout 900 mmdebstrap --quiet "${@:2}" trixie "$new" ${mirror:+"$mirror"} >"$scratch/debian.log" 2>&1 ||
        fail 69 "$1 cannot be made from Debian's packages: $(tail -n 3 "$scratch/debian.log")"
    mv "$new" "$FOLDER/$1"
}

# What the last stages of the Dockerfile copy.
collect_programs() {
    local context=$FOLDER/context programs program
    rm -rf "$context"
    mkdir -p "$context/config" "$context/target/release"
    programs=("${COMPOSE_BINARIES-}"/{mimecast-eventd,fake-mimecast})
    if [[ -z ${COMPOSE_BINARIES-} ]]; then
        say "building the programs"
        mapfile -t programs < <(cargo build --quiet --release --locked --package mimecast-eventd \
            --package fake-mimecast --features mimecast-eventd/jemalloc --bins \
            --message-format json-render-diagnostics |
            sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')
    fi
    for program in "${programs[@]}"; do
        [[ -x $program ]] || fail 69 "there is no program $program"
        cp "$program" "$context/target/release/"
    done
    for program in mimecast-eventd fake-mimecast; do
        [[ -e $context/target/release/$program ]] || fail 1 "the build of $program failed"
    done
    cp LICENSE THIRD-PARTY-NOTICES.txt "$context/"
    cp config/image.toml "$context/config/"
}

# ---- in namespaces of its own

# Nothing of the machine's own is read or written: no settings, no sockets, no bridge.
start_engine() {
    local deadline=$((SECONDS + 60)) program
    ip link set lo up
    mount -t tmpfs tmpfs /run
    mkdir -p "$scratch/bin" "$scratch/docker/cli-plugins"
    # Only these, for the rest of that Debian needs its own C library.
    for program in usr/sbin/{dockerd,docker-proxy} usr/bin/{docker,containerd,containerd-shim-runc-v2}; do
        ln -s "$FOLDER/docker/$program" "$scratch/bin/"
    done
    ln -s "$FOLDER/docker/usr/libexec/docker/cli-plugins/docker-compose" "$scratch/docker/cli-plugins/"
    echo '{}' >"$scratch/daemon.json"
    # Its builder needs no plugin, and does not ask a registry for what is there.
    export PATH=$scratch/bin:$PATH DOCKER_CONFIG=$scratch/docker DOCKER_HOST=unix://$scratch/docker.sock DOCKER_BUILDKIT=0
    # What a killed run left.
    rm -rf --one-file-system "$FOLDER/engine"
    "${bound[@]}" dockerd --config-file "$scratch/daemon.json" --host "$DOCKER_HOST" --data-root "$FOLDER/engine" \
        --exec-root /run/docker --pidfile /run/docker.pid --bridge none --exec-opt native.cgroupdriver=cgroupfs \
        --cgroup-parent "/$PROJECT" --userland-proxy-path "$scratch/bin/docker-proxy" >"$scratch/dockerd.log" 2>&1 &
    engine_pid=$!
    until docker info >/dev/null 2>&1; do
        if ! kill -0 "$engine_pid" 2>/dev/null || ((SECONDS >= deadline)); then
            tail -n 5 "$scratch/dockerd.log" >&2
            fail 69 "dockerd does not start here, see above"
        fi
        sleep 0.2
    done
    say "using $(docker --version) and compose $(docker compose version --short)"
}

stop_engine() {
    local deadline=$((SECONDS + 60))
    kill -TERM "$engine_pid" 2>/dev/null || true
    while kill -0 "$engine_pid" 2>/dev/null; do
        ((SECONDS < deadline)) || kill -KILL "$engine_pid" 2>/dev/null || true
        sleep 0.1
    done
    wait "$engine_pid" 2>/dev/null || true
    rm -rf --one-file-system "$FOLDER/engine"
    find /sys/fs/cgroup -depth -type d -path "*/$PROJECT*" -exec rmdir {} + 2>/dev/null || true
}

load_stand_ins() {
    local runtime
    say "making images of the stand-ins"
    docker import "$FOLDER/services.tar" services >/dev/null
    # As the published images are, where it matters to compose.yaml.
    build "$(image_of rabbitmq)" - <<'TEXT'
FROM services
USER rabbitmq
ENV PATH=/usr/lib/rabbitmq/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/var/lib/rabbitmq RABBITMQ_LOGS=-
VOLUME /var/lib/rabbitmq
ENTRYPOINT ["rabbitmq-server"]
TEXT
    build "$(image_of prometheus)" - <<'TEXT'
FROM services
USER 65534
WORKDIR /prometheus
VOLUME /prometheus
ENTRYPOINT ["/bin/prometheus"]
CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]
TEXT
    # The stages of the Dockerfile that compile nothing, with the programs from here.
    awk 'BEGIN { keep = 1 } /^FROM / { keep = / AS (runtime|fake|daemon)$/ } keep' Dockerfile |
        sed 's| --from=[^ ]* /src/| |; /^FROM /s/@sha256:[0-9a-f]*//' >"$FOLDER/context/Dockerfile"
    runtime=$(sed -n 's/^FROM \([^ ]*\) AS runtime$/\1/p' "$FOLDER/context/Dockerfile")
    tar --create --directory "$FOLDER/runtime" . | docker import - "$runtime" >/dev/null
    build "$(image_of fake)" --target fake "$FOLDER/context"
    build "$(image_of daemon)" --target daemon "$FOLDER/context"
}

# build TAG FLAGS...
build() {
    docker build --network none --tag "$@" >"$scratch/build.log" 2>&1 || {
        tail -n 20 "$scratch/build.log" >&2
        fail 1 "the image $1 cannot be built, see above"
    }
}

say_what_was_not_tried() {
    local broker prometheus
    broker=$(docker run --rm --network none --entrypoint rabbitmqctl "$(image_of rabbitmq)" version 2>/dev/null || true)
    prometheus=$(docker run --rm --network none "$(image_of prometheus)" --version 2>/dev/null | sed -n '1s/^[^0-9]*\([0-9.]*\).*/\1/p')
    say "a stand-in: RabbitMQ $broker, for $(image_of rabbitmq)"
    say "a stand-in: Prometheus $prometheus, for $(image_of prometheus)"
    say "stand-ins: what the images of the daemon and of the fake API are built on"
    say "not tried: Grafana, which Debian does not have, and a build by compose"
}
