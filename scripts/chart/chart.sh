#!/usr/bin/env bash
#
# Checks the chart, with the tools that `cargo xtask tools` installed: its values, what it
# renders under two Helms and for the oldest and the newest Kubernetes, what it
# refuses, its alerts and its dashboard, and that the daemon takes its settings.
#
# usage: chart.sh [--all]
#
# --all   also what the chart and the daemon make of 150 malformed values, and whether the
#         queues of the topology operator are those that the daemon finds on a broker
#
# environment:
#   BUILT_PROGRAMS   folder with the built daemon; by default it is built here
#
# exit status: 0 all is well; 1 something is not, it is on stderr; 69 a tool or
#              RabbitMQ is missing

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

CHART=helm/mimecast-eventd
TOOLS=$PWD/.tools/bin
# The oldest that Chart.yaml allows, and the newest that there are schemas of.
KUBERNETES=(1.25 1.37)
HELMS=(helm4 helm3)
# The data of the node is thrown away.
export PATH="$TOOLS:$PATH" PYTHONPATH=scripts/checks PYTHONDONTWRITEBYTECODE=1 BROKER_STOP_TIMEOUT=0

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

say() {
    printf '    %s\n' "$*"
}

fail() {
    printf 'chart.sh: %s\n' "$*" >&2
    exit 1
}

quietly() {
    "$@" >"$folder/said" 2>&1 || {
        cat "$folder/said" >&2
        fail "failed: $*"
    }
}

check_tools() {
    local tool
    for tool in "${HELMS[@]}" promtool node python yamllint check-jsonschema; do
        if [[ ! -x $TOOLS/$tool ]]; then
            printf 'chart.sh: %s is missing: run cargo xtask tools\n' "$tool" >&2
            exit 69
        fi
    done
    command -v openssl >/dev/null || { printf 'chart.sh: openssl is missing\n' >&2; exit 69; }
}

check_files() {
    quietly yamllint --strict --config-data \
        '{extends: default, rules: {line-length: disable, document-start: disable, braces: {max-spaces-inside: 0}, comments: {min-spaces-from-content: 1}, comments-indentation: disable}}' \
        "$CHART/Chart.yaml" "$CHART/values.yaml" "$CHART/ci" "$CHART/files" "$CHART/tests" scripts/chart/cluster
    quietly check-jsonschema --check-metaschema "$CHART/values.schema.json"
    quietly check-jsonschema --schemafile "$CHART/values.schema.json" "$CHART/values.yaml" "$CHART"/ci/*.yaml
    python scripts/chart/readme.py --check
    say "values, schema and README agree"
}

# Every file in ci/, that of cluster.sh, and no file at all.
render() {
    local helm=$1 version=$2 values name arguments
    mkdir -p "$folder/rendered/$helm/$version"
    for values in defaults "$CHART"/ci/*-values.yaml scripts/chart/cluster/cluster-values.yaml; do
        name=$(basename "$values" -values.yaml)
        arguments=("$CHART" --kube-version "$version")
        [[ $values == defaults ]] || arguments+=(--values "$values")
        quietly "$helm" lint --strict --quiet "${arguments[@]}"
        "$helm" template demo --namespace test "${arguments[@]}" >"$folder/rendered/$helm/$version/$name.yaml" ||
            fail "$helm does not render $name for Kubernetes $version"
    done
}

render_all() {
    local helm version
    for helm in "${HELMS[@]}"; do
        for version in "${KUBERNETES[@]}"; do
            render "$helm" "$version"
        done
    done
    say "rendered by ${HELMS[*]}, for Kubernetes ${KUBERNETES[*]}"
}

# What lies in the package is what the README tells to install.
check_package() {
    quietly helm4 package "$CHART" --destination "$folder/package"
    tar tzf "$folder"/package/*.tgz >"$folder/listing"
    ! grep -E '/(ci|tests)/[^/]*-values|/tests/alerts|\.py$' "$folder/listing" >&2 ||
        fail "the package has files that are only for its checks"
    grep -q templates/tests/check.yaml "$folder/listing" || fail "the package lacks the test pod"
    quietly helm3 template demo "$folder"/package/*.tgz --values "$CHART/ci/everything-on-values.yaml"
    quietly helm4 install demo "$CHART" --dry-run=client
    grep -q 'cannot work yet' "$folder/said" || fail "the notes do not say what is missing"
    quietly helm4 install demo "$CHART" --dry-run=client --values "$CHART/ci/api-1.0-values.yaml"
    ! grep -q 'cannot work yet' "$folder/said" || fail "the notes miss what is there"
    ! sed -n '/^NOTES:/,$p' "$folder/said" | grep canary >&2 || fail "the notes show a secret"
    say "package and notes"
}

# What is published renders the image that the same release pushes, for whoever sets no registry.
check_published() {
    local image=registry.example.com:5000/identity/eventd package rendered
    package=$(HELM=helm4 scripts/chart/package.sh 9.8.7-rc.1 "$image" https://example.com/eventd "$folder/published")
    quietly helm4 lint --strict --quiet "$package"
    for helm in "${HELMS[@]}"; do
        rendered=$("$helm" template demo "$package" | sed -n 's/^ *image: //p' | sort -u)
        [[ $rendered == "\"$image:9.8.7-rc.1\"" ]] || fail "the published chart renders the image $rendered"
    done
    helm4 show chart "$package" >"$folder/said"
    for line in 'version: 9.8.7-rc.1' 'appVersion: 9.8.7-rc.1' 'home: https://example.com/eventd' \
        'prerelease: "true"' "image: $image:9.8.7-rc.1"; do
        grep -qF "$line" "$folder/said" || fail "the published chart lacks: $line"
    done
    ! HELM=helm4 scripts/chart/package.sh 9.8.7 "$image:latest" https://example.com/eventd "$folder" 2>/dev/null ||
        fail "a chart is published for an image with a tag"
    say "the published chart has the published image"
}

check_models() {
    python - "$folder"/rendered/helm4/*/*.yaml >"$folder/objects.json" <<'PYTHON'
import json, sys
sys.path.insert(0, "scripts/chart")
from manifest import load
groups = ("monitoring.coreos.com", "keda.sh", "external-secrets.io")
json.dump([(path, item) for path in sys.argv[1:] for item in load(path)
           if item["apiVersion"].startswith(groups)], sys.stdout)
PYTHON
    node scripts/chart/models.mjs .tools/models/node_modules <"$folder/objects.json"
}

# The rules as rendered, and the file as it is, which others use without the chart.
check_rules() {
    mkdir "$folder/rules"
    helm4 template mimecast-eventd "$CHART" --namespace mimecast-eventd \
        --set metrics.prometheusRule.enabled=true --set metrics.serviceMonitor.enabled=true --show-only templates/prometheusrule.yaml \
        >"$folder/rules/manifest.yaml"
    python - "$folder/rules" "$CHART/tests/alerts.yaml" <<'PYTHON'
import shutil, sys, yaml
folder, tests = sys.argv[1:]
with open(f"{folder}/manifest.yaml") as file:
    rules = yaml.safe_load(file)["spec"]
with open(f"{folder}/rules.yaml", "w") as file:
    yaml.safe_dump(rules, file)
shutil.copy(tests, folder)
# Each alert has a test in which it fires, and one in which it does not.
with open(tests) as file:
    cases = [case for test in yaml.safe_load(file)["tests"] for case in test["alert_rule_test"]]
for rule in (rule for group in rules["groups"] for rule in group["rules"]):
    fires = {bool(case["exp_alerts"]) for case in cases if case["alertname"] == rule["alert"]}
    if fires != {True, False}:
        sys.exit(f"chart.sh: {rule['alert']} is not tested both firing and not firing")
PYTHON
    promtool check rules --lint=all --lint-fatal "$CHART/files/alerts.yaml" "$folder/rules/rules.yaml"
    promtool test rules "$folder/rules/alerts.yaml"
    say "alerts fire when they should, and not when they should not"
}

main() {
    local all='' daemon rules
    case $#${1-} in
        0) ;;
        1--all) all=yes ;;
        *)
            printf 'usage: chart.sh [--all]\n' >&2
            exit 64
            ;;
    esac
    check_tools
    # The alerts take as long as half of the rest.
    check_rules >"$folder/rules.log" 2>&1 &
    rules=$!
    check_files
    render_all
    python scripts/chart/assertions.py "$folder/rendered"
    check_models
    python scripts/chart/guards.py "$TOOLS/helm4" "$TOOLS/helm3"
    python scripts/chart/releases.py "$TOOLS/helm4" "$TOOLS/helm3"
    check_package
    check_published
    daemon=$(cargo xtask programs mimecast-eventd)/mimecast-eventd
    python scripts/chart/daemon.py "$daemon" "$folder/rendered/helm4/1.37" "$folder/exposition"
    quietly promtool check metrics <"$folder/exposition"
    if [[ -n $all ]]; then
        python scripts/chart/strangers.py "$daemon" "$TOOLS/helm4"
        python scripts/chart/topology.py "$daemon" "$folder/rendered/helm4/1.37/topology-operator.yaml"
    fi
    python scripts/chart/expressions.py "$folder/exposition" \
        "$folder"/rendered/helm4/1.37/{everything-on,external-secret,keda}.yaml
    wait "$rules" || { cat "$folder/rules.log" >&2 && fail "the alerts are wrong"; }
    cat "$folder/rules.log"
}

main "$@"
