"""Holds every PromQL expression of alerts and dashboard to the metrics that the daemon has.

usage: expressions.py EXPOSITION MANIFESTS...

EXPOSITION is what a daemon showed, with every series that there can be; MANIFESTS are rendered with the
PrometheusRule and the dashboard on.
"""

import json
import re
import sys
from pathlib import Path

from dashboard import Dashboard
from manifest import Problems, load, of_kind
from promql import Exposition, Judge

ALERTS = "helm/mimecast-eventd/files/alerts.yaml"
RUNBOOK = "docs/runbook.md"
problems = Problems()


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


def rules_are_sound(where, rule, judge):
    """Says under which addresses the rules look for the runbook, too."""
    anchors = {heading.lower() for heading in headings(RUNBOOK, 2)}
    addresses = set()
    for group in rule["spec"]["groups"]:
        for one in group["rules"]:
            here = f"{where}: {one.get('alert', one.get('record'))}"
            judge.check(here, one["expr"])
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
    judge = Judge(Exposition(Path(sys.argv[1]).read_text(encoding="utf-8")), problems)
    every_alert_is_told_of()
    addresses = set()
    for path in sys.argv[2:]:
        objects = load(path)
        where = Path(path).stem
        for rule in of_kind(objects, "PrometheusRule"):
            addresses |= rules_are_sound(where, rule, judge)
        for config in of_kind(objects, "ConfigMap"):
            for name, text in config["data"].items():
                if name.endswith(".json"):
                    dashboard = Dashboard(where, json.loads(text), judge)
                    dashboard.check()
                    dashboard.check_coverage()
    tried = RUNBOOK in addresses and len(addresses) > 1
    problems.expect(tried, f"links lead to {addresses}: try one that is set, and none")
    problems.tell("expressions")


if __name__ == "__main__":
    main()
