"""Reads a dashboard of Grafana, puts its variables in, and holds it to what a daemon shows."""

import re

from promql import ADDED, selectors

PATH = "helm/mimecast-eventd/files/dashboard.json"
# Every query keeps to these. All of a namespace is `.*`, which a series without that label is like too.
KEEPS_TO = ("namespace", "job", "instance")
# What may be chosen: all where there are no namespaces, one of each, several.
CHOICES = (
    {"namespace": ".*", "job": "mimecast-eventd", "instance": ".*"},
    {"namespace": "identity", "job": "identity/mail", "instance": r"10\\.0\\.0\\.1:9464"},
    {"namespace": "(identity|it-ops)", "job": "(a|b)", "instance": "(10.0.0.1:9464|[::1]:9464)"},
)
RANGES = {"__rate_interval": "5m", "__range": "1h", "__interval": "1m"}
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})")


def everything(items):
    """All panels and rows, also what a row hides."""
    for panel in items:
        yield panel
        yield from everything(panel.get("panels", []))


def panels(dashboard):
    return [panel for panel in everything(dashboard["panels"]) if panel["type"] != "row"]


def variables(dashboard):
    return dashboard["templating"]["list"]


def filled(text, values):
    """`text` with its variables put in; what has no value stays as it is."""
    return VARIABLE.sub(lambda found: values.get(found[1] or found[2], found[0]), text)


def label_values(query):
    """The selector and the label of label_values(SELECTOR, LABEL), or None."""
    found = re.fullmatch(r"label_values\((.+), *(\w+)\)", query)
    return found and found.groups()


class Dashboard:
    """Holds a dashboard to the rules, with `judge` for its queries."""

    def __init__(self, where, content, judge):
        self.where, self.content, self.judge, self.expect = where, content, judge, judge.expect
        self.asked = set()

    def check(self):
        ids = [panel["id"] for panel in everything(self.content["panels"])]
        self.expect(len(ids) == len(set(ids)), f"{self.where}: two panels have the same id")
        self.check_variables()
        for panel in panels(self.content):
            self.check_panel(f"{self.where}: {panel['title']}", panel)
        for annotation in self.content["annotations"]["list"]:
            here = f"{self.where}: {annotation['name']}"
            labels = self.check_query(here, annotation["expr"])
            self.check_legend(here, annotation["textFormat"], labels)
        self.check_places()

    def check_variables(self):
        names = [one["name"] for one in variables(self.content)]
        self.expect(names == ["datasource", *KEEPS_TO], f"{self.where}: the variables are {names}")
        for one in variables(self.content)[1:]:
            here, known = f"{self.where}: ${one['name']}", KEEPS_TO[:KEEPS_TO.index(one["name"])]
            selector, label = label_values(one["query"]["query"]) or ("", "")
            labels = self.check_query(here, selector, known)
            self.expect(label in labels, f"{here}: there is no label {label}")
            self.expect(one["definition"] == one["query"]["query"], f"{here}: is defined in two ways")
            self.expect(one["multi"] and one["includeAll"], f"{here}: offers no choice")
        # A job of `.*` would take in the process_ metrics of everybody.
        wanted = {"namespace": ".*", "job": None, "instance": ".*"}
        found = {one["name"]: one.get("allValue") for one in variables(self.content)[1:]}
        self.expect(found == wanted, f"{self.where}: all means {found}")

    def check_panel(self, here, panel):
        self.expect(panel.get("description"), f"{here}: has no description")
        for part in (panel, *panel["targets"]):
            self.expect(part["datasource"]["uid"] == "${datasource}", f"{here}: has a data source of its own")
        for target in panel["targets"]:
            labels = self.check_query(here, target["expr"])
            self.check_legend(here, target["legendFormat"], labels)
            fixed = re.search(r"(?:rate|increase)\([^\[]*\[(?!\$)(?!24h|1h)", target["expr"])
            self.expect(not fixed, f"{here}: has a fixed range: use $__rate_interval")

    def check_query(self, here, query, known=KEEPS_TO):
        """The labels of what it comes to."""
        for choice in CHOICES:
            self.judge.check(here, filled(query, {**RANGES, **choice}))
        # With the variables still in it, as the text of a matcher.
        judged = self.judge.check(here, filled(query, RANGES))
        if not judged:
            return ADDED
        tree, labels = judged
        left = {plain or braced for plain, braced in VARIABLE.findall(tree.prettify())} - set(known)
        self.expect(not left, f"{here}: there is no variable {left}")
        for selector, _ in selectors(tree):
            self.asked.add(selector.name)
            kept = [(one.name, one.value) for one in selector.matchers.matchers if one.name in KEEPS_TO]
            wanted = [(name, f"${name}") for name in known]
            self.expect(sorted(kept) == sorted(wanted), f"{here}: {selector.name} keeps to {kept}, not to {wanted}")
        return labels

    def check_legend(self, here, legend, labels):
        for label in re.findall(r"\{\{ *(\w+) *\}\}", legend):
            self.expect(label in labels, f"{here}: the legend has {label}, the result does not")

    def check_places(self):
        """No panel lies on another, and none sticks out."""
        taken = {}
        for panel in panels(self.content):
            place = panel["gridPos"]
            self.expect(place["x"] + place["w"] <= 24, f"{self.where}: {panel['title']} sticks out")
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    other = taken.setdefault((x, y), panel["title"])
                    self.expect(other == panel["title"], f"{self.where}: {panel['title']} lies on {other}")

    def check_coverage(self):
        """Each family of the daemon's own is in some panel."""
        shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in self.asked}
        missing = {name for name in self.judge.exposition.types if name.startswith("eventd_")} - shown
        self.expect(not missing, f"{self.where}: no panel shows {sorted(missing)}")
