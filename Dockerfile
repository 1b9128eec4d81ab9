# The image of the daemon and, with `--target fake`, of the fake API that compose.yaml runs.
#
#   docker build --build-arg REVISION="$(git rev-parse HEAD)" --tag mimecast-eventd .
#
# The bases are pinned by tag, which says what is meant. For a release scripts/image/pin.sh puts the digests
# behind them (name:tag@sha256:...), which say what bytes, and the release tells them. Both are Debian 13: the
# C library of the builder must not be newer than that of the runtime.

# The version in Cargo.toml. It is here too because a label cannot be read from a file.
ARG VERSION=0.1.0


# Everything that comes from the network. It is made anew only when a manifest or the lock changes.
FROM docker.io/library/rust:1.95.0-trixie AS fetched
# Writes the list of dependencies into the program, where scanners of images look for it.
RUN cargo install --quiet --locked --root /usr/local cargo-auditable@0.7.7
WORKDIR /src
COPY .cargo/config.toml .cargo/
COPY Cargo.toml Cargo.lock ./
COPY benches/floor/Cargo.toml benches/floor/
COPY tests/amqp-probe/Cargo.toml tests/amqp-probe/
COPY tests/fake-mimecast/Cargo.toml tests/fake-mimecast/
COPY tests/model/Cargo.toml tests/model/
COPY tests/soak/Cargo.toml tests/soak/
COPY tests/support/Cargo.toml tests/support/
COPY xtask/Cargo.toml xtask/
# Cargo reads no manifest without a source file.
RUN for package in . benches/floor tests/amqp-probe tests/fake-mimecast tests/model tests/soak tests/support xtask; do \
        mkdir "$package/src" && echo 'fn main() {}' >"$package/src/main.rs" && : >"$package/src/lib.rs" || exit; \
    done
ARG VERSION
RUN id=$(cargo pkgid --offline) && \
    if [ "${id##*@}" != "$VERSION" ]; then \
        echo "VERSION is $VERSION, but Cargo.toml says ${id##*@}" >&2; exit 1; \
    fi
RUN cargo fetch --locked --target "$(rustc --print host-tuple)"


FROM fetched AS build-fake
COPY tests/fake-mimecast tests/fake-mimecast
RUN --network=none touch tests/fake-mimecast/src/main.rs tests/fake-mimecast/src/lib.rs && \
    CARGO_PROFILE_RELEASE_LTO=off cargo build --locked --offline --release --package fake-mimecast


FROM gcr.io/distroless/cc-debian13:nonroot AS runtime


FROM runtime AS fake
LABEL org.opencontainers.image.title="fake-mimecast" \
      org.opencontainers.image.description="A fake of the Mimecast API, for trials" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-fake /src/target/release/fake-mimecast /usr/local/bin/
USER 65532:65532
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/fake-mimecast"]
CMD ["--listen", "0.0.0.0:8080", "--listen-oauth2", "0.0.0.0:8081"]


FROM fetched AS dependencies
RUN --network=none cargo auditable build --quiet --locked --offline --release --features jemalloc --bin mimecast-eventd


FROM dependencies AS build
COPY src src
ARG REVISION=unknown
ENV MIMECAST_EVENTD_REVISION=${REVISION}
# Sources may be older than what was built from the empty ones.
RUN --network=none touch src/main.rs src/lib.rs && \
    cargo auditable build --locked --offline --release --features jemalloc --bin mimecast-eventd


FROM runtime AS daemon
ARG VERSION
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mimecast-eventd" \
      org.opencontainers.image.description="Consumes offboarding and unblock events from RabbitMQ and makes a Mimecast tenant agree with them" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY LICENSE THIRD-PARTY-NOTICES.txt /usr/share/doc/mimecast-eventd/
COPY --from=build /src/target/release/mimecast-eventd /usr/local/bin/
# By number, or Kubernetes cannot tell that it is not root.
USER 65532:65532
# Loopback, the program's own default, cannot be scraped from outside of a container. A file, because a variable
# would win over the file that somebody mounts in its place.
COPY config/image.toml /etc/mimecast-eventd/mimecast-eventd.toml
ENV EVENTD_CONFIG=/etc/mimecast-eventd/mimecast-eventd.toml
EXPOSE 9464
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/mimecast-eventd", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/mimecast-eventd"]
CMD ["run"]
