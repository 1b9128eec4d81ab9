"""Reads what a daemon shows, and holds expressions of PromQL to it."""

import re

import promql_parser

# Labels that a scrape adds. The rest must be the daemon's own.
ADDED = {"job", "instance", "namespace", "pod", "container", "service", "endpoint"}
SAMPLE = re.compile(r'^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? \S+$', re.IGNORECASE)


class Unsound(Exception):
    """An expression asks for a label that is not there."""


class Exposition:
    """The label sets of each name, and the type of each family."""

    def __init__(self, text):
        self.series, self.types = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                self.types[name] = kind
            found = SAMPLE.match(line)
            if found:
                labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or ""))
                self.series.setdefault(found[1], []).append(labels)

    def labels(self, name):
        return ADDED.union(*self.series.get(name, []))

    def kind(self, name):
        """The type of the metric, and whether the series of this name counts."""
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        kind = self.types.get(name) or self.types.get(family)
        return kind, kind == "counter" or (kind == "histogram" and name != family)


def selectors(node):
    """Every vector selector in the tree, with the functions around it, the nearest first."""
    stack = [(node, ())]
    while stack:
        one, around = stack.pop()
        if isinstance(one, promql_parser.VectorSelector):
            yield one, around
        called = (one.func.name, *around) if isinstance(one, promql_parser.Call) else around
        stack += [(child, called) for child in children(one)]


def children(node):
    match type(node).__name__:
        case "Call":
            return list(node.args)
        case "AggregateExpr":
            return [node.expr] if node.param is None else [node.expr, node.param]
        case "BinaryExpr":
            return [node.lhs, node.rhs]
        case "ParenExpr" | "UnaryExpr" | "SubqueryExpr":
            return [node.expr]
        case "MatrixSelector":
            return [node.vector_selector]
        case "VectorSelector" | "NumberLiteral" | "StringLiteral":
            return []
        case other:
            raise Unsound(f"what is {other}?")


def labels_of(node, exposition):
    """The labels that what the tree comes to can have."""
    match type(node).__name__:
        case "VectorSelector":
            return exposition.labels(node.name)
        case "AggregateExpr":
            return labels_of_aggregate(node, exposition)
        case "BinaryExpr":
            return labels_of_pair(node, exposition)
        case _:
            found = set().union(*(labels_of(child, exposition) for child in children(node)))
            is_quantile = isinstance(node, promql_parser.Call) and node.func.name == "histogram_quantile"
            return found - {"le"} if is_quantile else found


def labels_of_aggregate(node, exposition):
    inner = labels_of(node.expr, exposition)
    if node.modifier is None:
        return set()
    named = set(node.modifier.labels)
    demand(named, inner, node.modifier)
    return named if node.modifier.type == promql_parser.AggModifierType.By else inner - named


def labels_of_pair(node, exposition):
    left, right = labels_of(node.lhs, exposition), labels_of(node.rhs, exposition)
    modifier = node.modifier
    if modifier is None or not (left and right):
        return left | right
    if modifier.matching is not None:
        named = set(modifier.matching.labels)
        if modifier.matching.type == promql_parser.LabelModifierType.Include:
            demand(named, left & right, modifier)
        else:
            demand(named, left | right, modifier)
    brought = set(modifier.group_labels or [])
    if modifier.card == promql_parser.VectorMatchCardinality.OneToMany:
        demand(brought, left, modifier)
        return right | brought
    if modifier.card == promql_parser.VectorMatchCardinality.ManyToOne:
        demand(brought, right, modifier)
    return left | brought


def demand(named, there, modifier):
    if not named <= there:
        raise Unsound(f"{modifier}: there is no label {', '.join(sorted(named - there))}")


def accepts(matcher, value):
    kind = str(matcher.op).rsplit(".", 1)[-1]
    if value is None:
        return False
    if kind in ("Equal", "NotEqual"):
        return (value == matcher.value) == (kind == "Equal")
    return bool(re.fullmatch(matcher.value, value)) == (kind == "Re")


class Judge:
    """Notes in `problems` what is wrong with expressions about what `exposition` has."""

    def __init__(self, exposition, problems):
        self.exposition, self.expect = exposition, problems.expect

    def check(self, where, expression):
        """The tree, and the labels that come of it; None where it cannot be read."""
        try:
            tree = promql_parser.parse(expression)
        except ValueError as error:
            self.expect(False, f"{where}: cannot be read: {error}")
            return None
        found = list(selectors(tree))
        self.expect(found, f"{where}: asks for no metric")
        for selector, around in found:
            self.check_selector(where, selector, around)
        try:
            return tree, labels_of(tree, self.exposition)
        except Unsound as error:
            self.expect(False, f"{where}: {error}")
            return None

    def check_selector(self, where, selector, around):
        name = selector.name or ""
        series = self.exposition.series.get(name, [])
        self.expect(series, f"{where}: the daemon has no metric {name}")
        kind, counts = self.exposition.kind(name)
        measured = any(function in ("rate", "increase", "irate", "resets") for function in around)
        self.expect(counts == measured, f"{where}: {name} is a {kind}, with {around} around it")
        own = [one for one in selector.matchers.matchers if one.name not in ADDED | {"__name__"}]
        matching = [
            labels for labels in series if all(accepts(matcher, labels.get(matcher.name)) for matcher in own)
        ]
        asked = ", ".join(f"{one.name}={one.value}" for one in own)
        self.expect(matching, f"{where}: no series of {name} has {asked}")
