# shellcheck shell=bash disable=SC2154 # engine, scratch and the like are the image's script
#
# Stand-ins for the base images, made from Debian's packages, where the published
# ones cannot be had. Sourced by image.sh, which says the rest.

make_stand_ins() {
    local toolchain rust runtime
    rust=$(base fetched) runtime=$(base runtime)
    rust=${rust%@*} runtime=${runtime%@*}
    toolchain=$(rustc --print sysroot) || fail 69 "there is no Rust toolchain for the stand-ins"
    [[ $toolchain != /usr && -x $toolchain/bin/cargo ]] ||
        fail 69 "the stand-ins need a toolchain of rustup's, not one of the system's packages"
    say "the stand-in has $("$toolchain/bin/rustc" --version)"
    # Packages come through whatever this machine trusts.
    build_flags+=(--volume "$toolchain:/opt/rust:ro" --volume "$CERTIFICATES:$CERTIFICATES:ro")
    if [[ ! -e $FOLDER/stand-ins ]]; then
        ((EUID == 0)) || fail 69 "only root can make the stand-ins"
        command -v mmdebstrap >/dev/null || install_packages mmdebstrap
        command -v mmdebstrap >/dev/null || fail 69 "mmdebstrap is missing and cannot be installed"
    fi
    if ! has_image "$rust"; then
        say "making a stand-in for $rust"
        make_rust_image
    fi
    if ! has_image "$runtime"; then
        say "making a stand-in for $runtime"
        make_runtime_image
    fi
    : >"$FOLDER/stand-ins"
}

make_rust_image() {
    local mirror
    # shellcheck disable=SC2016 # apt-get's own
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' |
        sed -n 's/ \(bookworm\|trixie\)$//p' | head -n 1)
    mmdebstrap --quiet --variant=apt --include=ca-certificates,gcc,libc6-dev,make trixie \
        "$scratch/rust.tar" ${mirror:+"$mirror"}
    "${engine[@]}" import --quiet --change ENV=CARGO_HOME=/usr/local/cargo \
        --change ENV=PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        "$scratch/rust.tar" "$rust" >/dev/null
    rm "$scratch/rust.tar"
}

# The packages of the published image, so that the size means something.
make_runtime_image() {
    mkdir "$scratch/runtime"
    cat >"$scratch/runtime/Dockerfile" <<TEXT
FROM $rust AS packages
WORKDIR /packages
RUN apt-get -q update && \\
    apt-get -q download base-files ca-certificates gcc-14-base libc6 libgcc-s1 libgomp1 libssl3t64 \\
        libstdc++6 netbase tzdata && \\
    for package in *.deb; do dpkg-deb -x "\$package" /runtime || exit; done && \\
    mkdir -p /runtime/home/nonroot && cp $CERTIFICATES /runtime/etc/ssl/certs/ && \\
    echo 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin' >/runtime/etc/passwd
FROM scratch
COPY --from=packages /runtime /
WORKDIR /home/nonroot
USER 65532
TEXT
    quietly "${engine[@]}" build --network host --volume "$CERTIFICATES:$CERTIFICATES:ro" \
        --tag "$runtime" "$scratch/runtime"
}
