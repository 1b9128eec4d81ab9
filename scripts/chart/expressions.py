"""Holds every PromQL expression of alerts and dashboard to the metrics that the daemon has.

usage: expressions.py EXPOSITION MANIFESTS...

EXPOSITION is what a daemon showed, with every series that there can be; MANIFESTS are rendered with the
PrometheusRule and the dashboard on.
"""

import json
import re
import sys
from pathlib import Path

import promql_parser

from manifest import Problems, load, of_kind

ALERTS = "helm/mimecast-eventd/files/alerts.yaml"
RUNBOOK = "docs/runbook.md"
# Labels that a scrape adds. The rest must be the daemon's own.
ADDED = {"job", "instance", "namespace", "pod", "container", "service", "endpoint"}
SAMPLE = re.compile(r'^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? \S+$', re.IGNORECASE)

problems = Problems()


def read(exposition):
    """The label sets of each name, and the type of each family."""
    series, types = {}, {}
    for line in Path(exposition).read_text(encoding="utf-8").splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            types[name] = kind
        found = SAMPLE.match(line)
        if found:
            labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
            series.setdefault(found[1], []).append(labels)
    return series, types


def selectors(node):
    """Every vector selector in the tree, with the functions around it, the nearest first."""
    stack = [(node, ())]
    while stack:
        one, around = stack.pop()
        kind = type(one).__name__
        if kind == "VectorSelector":
            yield one, around
        elif kind == "MatrixSelector":
            yield one.vector_selector, around
        elif kind == "Call":
            stack += [(argument, (one.func.name, *around)) for argument in one.args]
        elif kind == "AggregateExpr":
            stack.append((one.expr, around))
            if one.param is not None:
                stack.append((one.param, around))
        elif kind == "BinaryExpr":
            stack += [(one.lhs, around), (one.rhs, around)]
        elif kind in ("ParenExpr", "UnaryExpr", "SubqueryExpr"):
            stack.append((one.expr, around))
        elif kind not in ("NumberLiteral", "StringLiteral"):
            sys.exit(f"expressions.py: does not know {kind}")


def check(where, expression, series, types):
    plain = expression
    for variable, value in (("$__rate_interval", "5m"), ("$__range", "1h"), ("$__interval", "1m")):
        plain = plain.replace(variable, value)
    try:
        tree = promql_parser.parse(re.sub(r"\$\{?\w+\}?", ".*", plain))
    except ValueError as error:
        problems.expect(False, f"{where}: cannot be read: {error}")
        return
    found = False
    for selector, around in selectors(tree):
        found = True
        name = selector.name
        problems.expect(name in series, f"{where}: the daemon has no metric {name}")
        family = re.sub(r"_(bucket|sum|count)$", "", name or "")
        kind = types.get(name) or types.get(family)
        counts = kind == "counter" or (kind == "histogram" and name != family)
        measured = any(function in ("rate", "increase", "irate", "resets") for function in around)
        problems.expect(counts == measured, f"{where}: {name} is a {kind}, with {around} around it")
        own = {}
        for matcher in selector.matchers.matchers:
            if matcher.name in ADDED or matcher.name == "__name__":
                continue
            own[matcher.name] = matcher
        matching = [
            labels for labels in series.get(name, [])
            if all(accepts(matcher, labels.get(label)) for label, matcher in own.items())
        ]
        problems.expect(matching, f"{where}: no series of {name} is like {plain}")
    problems.expect(found, f"{where}: asks for no metric")
    labels = {label for labels in series.values() for one in labels for label in one} | ADDED
    for listed in re.findall(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)", plain):
        for label in filter(None, (label.strip() for label in listed.split(","))):
            problems.expect(label in labels, f"{where}: the daemon has no label {label}")


def accepts(matcher, value):
    kind = str(matcher.op).rsplit(".", 1)[-1]
    if value is None:
        return False
    if kind in ("Equal", "NotEqual"):
        return (value == matcher.value) == (kind == "Equal")
    return bool(re.fullmatch(matcher.value, value)) == (kind == "Re")


def panels(items):
    for panel in items:
        yield panel
        yield from panels(panel.get("panels", []))


def dashboard_is_sound(where, dashboard, series, types):
    known = {one["name"] for one in dashboard["templating"]["list"]}
    problems.expect({"datasource", "job", "instance"} <= known, f"{where}: has the variables {known}")
    every = list(panels(dashboard["panels"]))
    ids = [panel["id"] for panel in every]
    problems.expect(len(ids) == len(set(ids)), f"{where}: two panels have the same id")
    for panel in every:
        here = f"{where}: {panel['title']}"
        if panel["type"] == "row":
            continue
        problems.expect(panel.get("description"), f"{here}: has no description")
        problems.expect(panel["datasource"]["uid"] == "${datasource}", f"{here}: has a data source of its own")
        for target in panel["targets"]:
            expression = target["expr"]
            check(here, expression, series, types)
            narrowed = expression.count('job=~"$job", instance=~"$instance"')
            asked = len(re.findall(r"\b(?:eventd|process)_\w+\{", expression))
            problems.expect(narrowed == asked, f"{here}: does not keep to $job and $instance")
            fixed = re.search(r"(?:rate|increase)\([^\[]*\[(?!\$)(?!24h|1h)", expression)
            problems.expect(not fixed, f"{here}: has a fixed range: use $__rate_interval")
            used = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) - {"le", "instance"}
            for label in used:
                problems.expect(label in expression or "by" not in expression, f"{here}: the legend has {label}")
    for annotation in dashboard["annotations"]["list"]:
        check(f"{where}: {annotation['name']}", annotation["expr"], series, types)


def headings(path, level):
    """The headings of that level that are names of alerts, in their order."""
    text = Path(path).read_text(encoding="utf-8")
    return re.findall(rf"^{'#' * level} (MimecastEventd\w*)$", text, re.MULTILINE)


def every_alert_is_told_of():
    """The chart's README and the runbook have each alert, in the order of the file, and no other."""
    alerts = [rule["alert"] for group in load(ALERTS)[0]["groups"] for rule in group["rules"]]
    for path, level in (("helm/mimecast-eventd/README.md", 3), (RUNBOOK, 2)):
        told = headings(path, level)
        for alert in sorted(set(alerts) ^ set(told)):
            problems.expect(False, f"{alert} is in only one of {ALERTS} and {path}")
        problems.expect(set(told) != set(alerts) or told == alerts, f"{path} has another order than {ALERTS}")


def rules_are_sound(where, rule, series, types):
    """Says under which addresses the rules look for the runbook, too."""
    anchors = {heading.lower() for heading in headings(RUNBOOK, 2)}
    addresses = set()
    for group in rule["spec"]["groups"]:
        for one in group["rules"]:
            here = f"{where}: {one.get('alert', one.get('record'))}"
            check(here, one["expr"], series, types)
            if "alert" not in one:
                continue
            annotations = one["annotations"]
            for wanted in ("summary", "description"):
                problems.expect(annotations.get(wanted), f"{here}: has no {wanted}")
            severity = one["labels"].get("severity")
            problems.expect(severity in ("critical", "warning"), f"{here}: has the severity {severity}")
            address, _, anchor = annotations.get("runbook_url", "").partition("#")
            addresses.add(address)
            told = anchor == one["alert"].lower() and anchor in anchors
            problems.expect(told, f"{here}: {RUNBOOK} has no heading for {anchor!r}")
            known = address == RUNBOOK or address.startswith("https://")
            problems.expect(known, f"{here}: the runbook is at {address!r}")
    return addresses


def main():
    series, types = read(sys.argv[1])
    every_alert_is_told_of()
    addresses = set()
    for path in sys.argv[2:]:
        objects = load(path)
        where = Path(path).stem
        for rule in of_kind(objects, "PrometheusRule"):
            addresses |= rules_are_sound(where, rule, series, types)
        for config in of_kind(objects, "ConfigMap"):
            for name, text in config["data"].items():
                if name.endswith(".json"):
                    dashboard_is_sound(where, json.loads(text), series, types)
    tried = RUNBOOK in addresses and len(addresses) > 1
    problems.expect(tried, f"links lead to {addresses}: try one that is set, and none")
    problems.tell("expressions")


if __name__ == "__main__":
    main()
