"""Sees that the dashboards of two releases are two, wherever they are put.

usage: releases.py HELM...
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import yaml

from dashboard import PATH, variables
from manifest import Loader, Problems, of_kind

LONG = "x" * 51
# Pairs of a name and a namespace that differ in one of them, or only in where one ends and the other begins.
RELEASES = (
    ("mimecast-eventd", "identity"), ("mimecast-eventd", "identity-test"), ("test-mimecast-eventd", "identity"),
    (f"{LONG}1", "identity"), (f"{LONG}2", "identity"), (f"{LONG}1", "y" * 63),
)
# In the namespace of the release, in one for all, and with a PodMonitor, whose job has another name.
VALUES = (
    {}, {"dashboard": {"namespace": "monitoring"}},
    {"podMonitor": {"enabled": True}, "serviceMonitor": {"enabled": False}},
)


def render(helm, name, namespace, metrics):
    values = json.dumps({"fullnameOverride": name, "metrics": metrics})
    command = [helm, "template", name, "helm/mimecast-eventd", "--namespace", namespace, "--values", "-"]
    result = subprocess.run(command, input=values, capture_output=True, text=True, check=True)
    return [item for item in yaml.load_all(result.stdout, Loader) if item]


def dashboard_of(objects, problems):
    """The ConfigMap, the name of its file, and the dashboard."""
    found = [one for one in of_kind(objects, "ConfigMap") if "grafana_dashboard" in one["metadata"]["labels"]]
    problems.expect(len(found) == 1 and len(found[0]["data"]) == 1, f"there are {len(found)} dashboards")
    name, text = next(iter(found[0]["data"].items()))
    return found[0]["metadata"], name, json.loads(text)


def check(helm, values, problems):
    seen = set()
    plain = json.loads(Path(PATH).read_text(encoding="utf-8"))
    for name, namespace in RELEASES:
        here = f"{helm}: {name} in {namespace}"
        metrics = {**values, "dashboard": {"enabled": True, **values.get("dashboard", {})}}
        meta, file, dashboard = dashboard_of(render(helm, name, namespace, metrics), problems)
        names = {"ConfigMap": meta["name"], "file": file, "uid": dashboard["uid"], "title": dashboard["title"]}
        for one in names.items():
            problems.expect(one not in seen, f"{here}: the {one[0]} {one[1]} is another release's")
            seen.add(one)
        problems.expect(re.fullmatch(r"[\w-]{1,40}", dashboard["uid"]), f"{here}: {dashboard['uid']} is no uid")
        problems.expect(re.fullmatch(r"[\w.-]{1,253}", file), f"{here}: {file} is no key")
        chosen = {one["name"]: one["current"].get("value") for one in variables(dashboard)}
        job = f"{namespace}/{name}" if "podMonitor" in values else name
        wanted = {"datasource": None, "namespace": [namespace], "job": [job], "instance": ["$__all"]}
        problems.expect(chosen == wanted, f"{here}: begins with {chosen}")
        # All else is as in the file.
        for content in (dashboard, plain):
            for field in ("uid", "title"):
                content.pop(field, None)
            for variable in variables(content):
                variable.pop("current", None)
        problems.expect(dashboard == plain, f"{here}: the dashboard is not that of {PATH}")


def main():
    problems = Problems()
    for helm in sys.argv[1:]:
        for values in VALUES:
            check(helm, values, problems)
    problems.tell("dashboards of two releases")


if __name__ == "__main__":
    main()
