"""Renders values that nobody thought of, and has Kubernetes's rules and the daemon look at what comes out.

usage: strangers.py DAEMON HELM [CASES [SEED]]

Each case is one of the files of values in ci/ with a few values changed to others that the schema allows, or to
nothing at all. The chart may refuse them, in words of its own. What it renders has to be what Kubernetes takes, and
settings that the daemon takes.
"""

import copy
import json
import random
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import yaml

import assertions
import daemon as pods
from guards import render
from manifest import Problems, containers, load, of_kind

CHART = Path("helm/mimecast-eventd")
SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
CASES, SEED = 150, 20261126
# Texts of all kinds; each value takes those that its own part of the schema allows.
TEXTS = [
    "", " ", "x", "a-b", "A_b", "-x", "x.y", "é", "0", "1", "08", "yes", "null", "~", "#", "a: b", "a b", '"', "'", "{{ 1", "x" * 63,
    "x" * 64, "é" * 130, "y" * 201, "/", "/x", "/x/", "/..", "/a~1b", "%2f", "identity", "payroll", "events",
    "mimecast-eventd.dead-letter", "mimecast-eventd.url.unblock", "user.offboarded", "hr.user.left", "hr.#", "*@example.com",
    "1ms", "9ms", "10ms", "99ms", "100ms", "1s", "10s", "59s", "61s", "1m", "90s", "4m", "5m", "6m", "10m", "11m", "15m", "16m",
    "20m", "21m", "1h", "24h", "25h", "1day", "7days", "8days", "1h 30m", "30m 1h", "5m5m", "1week", "2 weeks", "1.5h", "999999999999s",
    "half a minute", "25", "always", "never", "0.0.0.0:9464", "[::]:9464", "127.0.0.1:9464", "localhost:1", "0.0.0.0:99999",
    "0.0.0.0:0", "10.0.0.1:80", "[::1]:80", "[fd00::1]:9464", ":9464", "eventd:9464", "http://example.com", "https://example.com",
    "https://api.example.com/x", "https://user@example.com", "https://example.com:99999", "http://127.0.0.1:8080", "https://x?y",
    "https://1.2.3", "https://[::1]", "amqp://broker", "amqps://broker:5671/identity", "amqp://u:p@broker/%2f", "amqp://h/a/b",
    "amqp://h:port", "amqp://", "Y2FuYXJ5", "Y2FuYXJ", "canary-canary-canary", "100%", "50%", "0%", "0", "mine",
    "registry.example.com", "sha256:" + "0" * 64,
]
NUMBERS = [0, 1, 2, 3, 5, 20, 100, 255, 1000, 1001, 65535, 65536, 100000]
LISTS = {
    "ladder": [["10s", "1m"], ["1m", "10s"], ["1m", "60s"], ["50ms"], ["8days"], [], ["soon"], ["500ms", "90s", "1h30m", "7days"]],
    "types": [["a", "a"], ["url.unblock"], ["com.example.left.v1"], ["a.*"], ["a.*", "a.*"], ["*"], ["a.#"], [" "]],
}
MAPS = {
    "map": [{"emailAddress": "/user/mail"}, {"emailAddress": "/a", "domain": "/b"}, {"id": "/x"}, {"nonsense": "/x"}, {"url": "/a~2"}],
}
ANYTHING = {
    "annotations": [{"a": "b"}, {"checksum/config": "x"}, {"a/b": "{{ .Release.Name }}"}],
    "labels": [{"team": "x"}, {"app.kubernetes.io/name": "x"}, {"a/b": "c"}, {"app.kubernetes.io/version": "9"}],
}
# Of files in the pod the chart knows nothing, of free fields neither; an image may be built with spans.
FREE = re.compile(
    r"^config\.amqp\.tls|^config\.audit\.key_file|^config\.traces|^extra|^global|^commonLabels|^lifecycle|^initContainers|^keda\.(advanced|fallback"
    r"|extraTriggers)|[rR]elabelings|[sS]ecurityContext|^resources|^resizePolicy|^dnsConfig|^hostAliases|Probe\.custom|^affinity"
    r"|^tolerations|^topologySpread|^nodeSelector|\.(from|to|dns|extra|data|dataFrom|target|overrides|extraRules|args)$|^enabled$"
)
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
LABEL = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")


def resolved(node):
    while "$ref" in node:
        node = SCHEMA["definitions"][node["$ref"].rsplit("/", 1)[1]]
    return node


def places(node=SCHEMA, path=()):
    """Every value that the schema has, with its part of the schema."""
    node = resolved(node)
    properties = node.get("properties", {})
    for name, inner in properties.items():
        yield from places(inner, (*path, name))
    if path and not FREE.search(".".join(path)):
        yield path, node


def values_for(path, node, chance):
    """One of the values that the schema allows there; `None` takes it away."""
    if chance.random() < 0.08:
        return None
    if "enum" in node:
        return chance.choice(node["enum"])
    if "anyOf" in node:
        return values_for(path, resolved(chance.choice(node["anyOf"])), chance)
    kinds = node.get("type", "string")
    kind = chance.choice(kinds if isinstance(kinds, list) else [kinds])
    name = path[-1]
    match kind:
        case "boolean":
            return chance.random() < 0.5
        case "integer" | "number":
            fitting = [it for it in NUMBERS if node.get("minimum", 0) <= it <= node.get("maximum", 10**9)]
            return chance.choice(fitting)
        case "array":
            if name in LISTS:
                return chance.choice(LISTS[name])
            item = resolved(node.get("items", {}))
            if item.get("type") == "object":
                return []
            return [values_for((*path, "0"), item, chance) or "x" for _ in range(chance.randrange(3))]
        case "object":
            if name in MAPS:
                return chance.choice(MAPS[name])
            if name.lower().endswith(("annotations", "labels")):
                return chance.choice(ANYTHING["labels" if name.lower().endswith("labels") else "annotations"])
            return {}
        case "null":
            return None
        case _:
            fitting = [it for it in TEXTS if allows(node, it)]
            return chance.choice(fitting) if fitting else ""


def allows(node, text):
    return (node.get("minLength", 0) <= len(text) <= node.get("maxLength", 10**6)
            and re.search(node.get("pattern", "").replace(r"\u0000", "\0"), text))


def case(seed):
    """A base, and what is changed in it."""
    chance = random.Random(seed)
    base = chance.choice(sorted(CHART.glob("ci/*-values.yaml")))
    values = copy.deepcopy(yaml.safe_load(base.read_text(encoding="utf-8")))
    everything = list(places())
    changed = {}
    for path, node in chance.sample(everything, chance.randint(1, 4)):
        value = values_for(path, node, chance)
        at = values
        for part in path[:-1]:
            if not isinstance(at.get(part), dict):
                at[part] = {}
            at = at[part]
        at[path[-1]] = value
        changed[".".join(path)] = value
    return base.stem, values, changed


def look(program, helm, seed):
    """What is wrong with one case, as texts, and whether it was rendered."""
    base, values, changed = case(seed)
    here = f"seed {seed}, {base} with {json.dumps(changed, ensure_ascii=False)}"
    result = render(helm, values)
    if result.returncode != 0:
        in_words = "cannot be used:" in result.stderr or "schema(s)" in result.stderr
        return [] if in_words else [f"{here}: refused without words: {result.stderr}"], False
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder, "manifest.yaml")
        manifest.write_text(result.stdout, encoding="utf-8")
        try:
            objects = load(manifest)
            wrong += [f"{here}: {it}" for it in against_kubernetes(objects)]
        except (yaml.YAMLError, TypeError) as error:
            return [f"{here}: nothing that Kubernetes reads: {error}"], True
        wrong += [f"{here}: {it}" for it in against_the_daemon(program, folder, objects)]
    return wrong, True


def against_kubernetes(objects):
    found = Problems()
    assertions.follows_the_schema("manifest", objects, "1.37", found.expect)
    for item in objects:
        metadata = item["metadata"]
        here = f"{item['kind']} {metadata['name']}"
        found.expect(NAME.fullmatch(metadata["name"]) and len(metadata["name"]) <= 253, f"{here}: no name")
        found.expect(NAME.fullmatch(metadata.get("namespace", "default")), f"{here}: in no namespace")
        for label, value in metadata.get("labels", {}).items():
            found.expect(LABEL.fullmatch(value), f"{here}: the label {label} is {value!r}")
        for name, value in metadata.get("annotations", {}).items():
            found.expect(isinstance(value, str), f"{here}: the annotation {name} is {value!r}")
    for service in of_kind(objects, "Service"):
        found.expect(re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", service["metadata"]["name"]), "no name of a Service")
    deployments = of_kind(objects, "Deployment")
    found.expect(len(deployments) == 1, f"there are {len(deployments)} Deployments")
    if not deployments:
        return found.found
    spec = deployments[0]["spec"]
    rolling = spec["strategy"].get("rollingUpdate") or {}
    stuck = {str(rolling.get(name)) for name in ("maxSurge", "maxUnavailable")} <= {"0", "0%"}
    found.expect(not (rolling and stuck), f"nothing can be replaced: {rolling}")
    for container in containers(spec["template"]):
        found.expect(all(1 <= port["containerPort"] <= 65535 for port in container.get("ports", [])), "no port")
    return found.found


def against_the_daemon(program, folder, objects):
    if not of_kind(objects, "Deployment"):
        return []
    root = pods.Root(Path(folder, "root"), objects)
    arguments = [*root.arguments(root.container)[1:], "--offline"]
    result = subprocess.run([program, "check", *arguments], env=root.environment(), capture_output=True, text=True, check=False)
    if result.returncode == 0:
        return []
    mistakes = (result.stdout + result.stderr).splitlines()
    # What is not complete yet is installed all the same: the notes say what is missing, and the pods wait for it.
    return [] if any("is required" in line for line in mistakes) else mistakes


def main():
    program, helm, *rest = sys.argv[1:]
    cases, first = (int(it) for it in [*rest, *[str(CASES), str(SEED)][len(rest):]])
    with tempfile.TemporaryDirectory() as folder:
        pods.with_certificate(folder)
    problems, rendered = Problems(), 0
    with ThreadPoolExecutor() as pool:
        for wrong, was_rendered in pool.map(lambda number: look(program, helm, first + number), range(cases)):
            rendered += was_rendered
            problems.expect(not wrong, "\n  ".join(wrong))
    # Or the values are too strange for anything to be looked at.
    problems.expect(cases / 4 <= rendered < cases, f"{rendered} of {cases} were rendered")
    problems.tell(f"values of strangers, {rendered} of {cases} rendered")


if __name__ == "__main__":
    main()
