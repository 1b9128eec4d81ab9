"""Makes the table of values in the chart's README, and the descriptions in the schema, from the comments in values.yaml.

usage: readme.py          write them
       readme.py --check  say whether they are as they would be written

A value is documented by a comment right above it that begins with `# -- `; it may go on in further lines
before those of another kind. Every value must be documented, or lie within one that is. `# @section TITLE`
begins a table.

The generators that there are show `{}` or `[]` for a default that is an object or a list, whatever is in it. Of the
security context and the rules for the network that would be untrue.
"""

import difflib
import json
import re
import sys
from pathlib import Path

import yaml

CHART = Path("helm/mimecast-eventd")
BEGIN, END = "<!-- values -->\n", "<!-- /values -->"


def tables(text):
    """The tables as Markdown, and the paths of all values that are documented, with what is said of them."""
    values = yaml.safe_load(text)
    out, documented, path, pending = [], {}, [], None
    for line in text.splitlines():
        section = re.match(r"^# @section (.+)$", line)
        comment = re.match(r"^\s*# -- (.+)$", line)
        key = re.match(r"^( *)([A-Za-z_][\w.]*):(?: |$)", line)
        if section:
            out.append(f"\n### {section[1]}\n\n| value | default | what it does |\n| --- | --- | --- |\n")
        elif comment:
            pending = comment[1]
        elif key:
            path[len(key[1]) // 2 :] = [key[2]]
            if pending:
                documented[tuple(path)] = pending
                out.append(row(path, dig(values, path), pending))
                pending = None
        elif line.strip() and not line.lstrip().startswith("#") and pending:
            sys.exit(f"readme.py: a comment is not right above a value: {pending}")
    return "".join(out).lstrip("\n"), documented, values


def row(path, value, text):
    name = ".".join(f'"{part}"' if "." in part else part for part in path)
    shown = json.dumps(value, ensure_ascii=False)
    return f"| `{name}` | `{shown}` | {text.replace('|', chr(92) + '|')} |\n"


def dig(tree, path):
    for part in path:
        tree = tree[part]
    return tree


def undocumented(tree, documented, path=()):
    for key, value in tree.items():
        here = (*path, key)
        if here in documented:
            continue
        if isinstance(value, dict) and value:
            yield from undocumented(value, documented, here)
        else:
            yield ".".join(here)


def describe(documented, is_check):
    """Puts the comments into the schema, for whoever edits values with a tool that reads it."""
    file = CHART / "values.schema.json"
    text = file.read_text(encoding="utf-8")
    schema = json.loads(text)
    for path, comment in documented.items():
        node = schema
        for part in path:
            while "$ref" in node:
                node = schema["definitions"][node["$ref"].rsplit("/", 1)[1]]
            node = node["properties"][part]
        # The lanes have one description between them, that of the first.
        if path[:2] != ("config", "events") or path[2] == "user.offboarded":
            node["description"] = comment.replace("`", "")
    wanted = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    if not is_check:
        file.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        sys.exit("readme.py: the schema's descriptions are not those of values.yaml: run scripts/chart/readme.py")


def main():
    made, documented, values = tables((CHART / "values.yaml").read_text(encoding="utf-8"))
    describe(documented, is_check=sys.argv[1:] == ["--check"])
    bare = list(undocumented(values, documented))
    if bare:
        sys.exit(f"readme.py: without a comment in values.yaml: {', '.join(bare)}")
    readme = CHART / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    wanted = f"{before}{BEGIN}\n{made}\n{END}{after}"
    if sys.argv[1:] != ["--check"]:
        readme.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        sys.stderr.writelines(
            difflib.unified_diff(text.splitlines(True), wanted.splitlines(True), "README.md", "from values.yaml", n=0)
        )
        sys.exit("readme.py: the table of values is not that of values.yaml: run scripts/chart/readme.py")


if __name__ == "__main__":
    main()
