"""Reads rendered manifests, and collects what is wrong with them."""

import sys
from pathlib import Path

import yaml


class Loader(yaml.CSafeLoader):
    """Refuses what PyYAML lets pass and a Kubernetes API server does not: the same key twice."""


def _mapping(loader, node, deep=False):
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.YAMLError(f"{key_node.start_mark}: the key {key!r} is there twice")
        seen.add(key)
    return yaml.CSafeLoader.construct_mapping(loader, node, deep=deep)


Loader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG,
    lambda loader, node: _mapping(loader, node, deep=True),
)


def load(path):
    """Every object in the file at `path`."""
    with open(path, encoding="utf-8") as file:
        return [item for item in yaml.load_all(file, Loader) if item]


def of_kind(objects, kind, component=None):
    """The objects of `kind`, and of `component` if one is named."""
    label = "app.kubernetes.io/component"
    return [
        item
        for item in objects
        if item["kind"] == kind
        and (component is None or item["metadata"].get("labels", {}).get(label) == component)
    ]


def pods(objects):
    """Every pod there will be, as pairs of a name and a pod with `metadata` and `spec`."""
    for item in objects:
        if item["kind"] == "Pod":
            yield f"Pod {item['metadata']['name']}", item
        elif "template" in item.get("spec", {}):
            yield f"{item['kind']} {item['metadata']['name']}", item["spec"]["template"]


def containers(pod):
    """The containers of a pod, those that run before the others first."""
    return pod["spec"].get("initContainers", []) + pod["spec"]["containers"]


class Problems:
    """What is wrong, told at the end, all of it."""

    def __init__(self):
        self.found = []
        self.checked = 0

    def expect(self, holds, text):
        """Notes `text` unless `holds`."""
        self.checked += 1
        if not holds:
            self.found.append(text)

    def tell(self, what):
        """Prints what was found and ends with status 1 if there was anything."""
        for text in self.found:
            print(f"{Path(sys.argv[0]).name}: {text}", file=sys.stderr)
        if self.found:
            sys.exit(1)
        if not self.checked:
            sys.exit(f"{Path(sys.argv[0]).name}: nothing was checked")
        print(f"    {what}: {self.checked} expectations hold")
