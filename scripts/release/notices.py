"""Gathers the licences of everything that is linked into the program, as its users are to have them.

usage: notices.py          write THIRD-PARTY-NOTICES.txt
       notices.py --check  say whether it is as it would be written

The texts are those that the crates come with. One that is the same in several crates stands once, under all their
names. A crate of which a text is missing has it from the licence that it names, with its authors.
"""

import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

FILE = Path("THIRD-PARTY-NOTICES.txt")
# What is published is for these; both platforms link the same, but for a crate or two.
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")
NAMES = re.compile(r"^(licen[cs]e|copying|copyright|notice|unlicense)([-._].*)?$", re.IGNORECASE)
# Where a crate may be had under one licence or the other, these are what it is taken under, the first that it has.
TAKEN = ("Apache-2.0", "MIT", "BSD-3-Clause", "BSD-2-Clause", "ISC", "Zlib", "Unicode-3.0", "CDLA-Permissive-2.0", "0BSD", "Unlicense")
MIT = """Copyright (c) {authors}

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""


def linked():
    """Every package that is linked into the program on one of the platforms, but for our own."""
    packages = {}
    for target in TARGETS:
        said = subprocess.run(
            ["cargo", "metadata", "--locked", "--features", "jemalloc", "--format-version", "1", "--filter-platform", target],
            check=True, capture_output=True, text=True,
        )
        metadata = json.loads(said.stdout)
        by_id = {package["id"]: package for package in metadata["packages"]}
        needs = {node["id"]: node["deps"] for node in metadata["resolve"]["nodes"]}
        root = next(package["id"] for package in by_id.values() if package["name"] == "mimecast-eventd")
        waiting, seen = [root], set()
        while waiting:
            package = waiting.pop()
            if package in seen:
                continue
            seen.add(package)
            # Not what only builds or tests, and not what writes code at build time.
            waiting += [need["pkg"] for need in needs[package]
                        if any(kind["kind"] is None for kind in need["dep_kinds"]) and not writes_code(by_id[need["pkg"]])]
        packages |= {package: by_id[package] for package in seen if by_id[package]["source"]}
    return sorted(packages.values(), key=lambda package: (package["name"], package["version"]))


def writes_code(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def texts(package):
    """The texts that come with it, of the licences that it is taken under."""
    folder = Path(package["manifest_path"]).parent
    files = sorted(file for file in folder.iterdir() if file.is_file() and NAMES.match(file.name))
    licence = package["license"] or ""
    taken = next((name for name in TAKEN if name in licence), licence)
    # Of several licences that hold at once, each text counts.
    chosen = files if " AND " in licence else [file for file in files if is_of(file, taken)] or files
    # A NOTICE goes with an Apache licence whatever it is called.
    chosen += [file for file in files if file.name.lower().startswith("notice") and file not in chosen]
    # What it brings along of others, each in a folder of its own with its licence.
    chosen += sorted(folder.glob("*/COPYING"))
    found = [file.read_text(encoding="utf-8", errors="replace").strip() for file in chosen]
    return found or [stand_in(package, licence)]


def is_of(file, licence):
    words = {"Apache-2.0": "apache", "MIT": "mit", "BSD-3-Clause": "bsd", "BSD-2-Clause": "bsd", "Unlicense": "unlicense"}
    word = words.get(licence)
    return word is not None and word in file.name.lower()


def stand_in(package, licence):
    if "Apache-2.0" in licence:
        return Path("LICENSE").read_text(encoding="utf-8").strip()
    if "MIT" in licence:
        return MIT.format(authors=", ".join(package["authors"]) or f"the authors of {package['name']}")
    sys.exit(f"notices.py: {package['name']} has no text of its licence {licence!r}, and there is none here for it")


def notices():
    users = defaultdict(list)
    packages = linked()
    for package in packages:
        for text in texts(package):
            # The same text in other lines is the same text.
            users[" ".join(text.split())].append((package, text))
    out = [
        f"What is linked into mimecast-eventd: {len(packages)} packages of others, with the licences that they are",
        "used under. Made by scripts/release/notices.py.",
        "",
    ]
    out += [f"{package['name']} {package['version']}: {package['license']}" for package in packages]
    for entries in sorted(users.values(), key=lambda entries: (-len(entries), entries[0][0]["name"])):
        out += ["", "=" * 80, ", ".join(f"{package['name']} {package['version']}" for package, _ in entries), "-" * 80, "",
                *(line.rstrip() for line in entries[0][1].splitlines())]
    return "\n".join(out) + "\n"


def main():
    wanted = notices()
    if sys.argv[1:] != ["--check"]:
        FILE.write_text(wanted, encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != wanted:
        sys.exit("notices.py: THIRD-PARTY-NOTICES.txt is not that of the linked packages: run scripts/release/notices.py")


if __name__ == "__main__":
    main()
