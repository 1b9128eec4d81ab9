"""Makes what fuzzing begins with out of the golden files and the example of the settings, in the form that
each target takes: lines of a name and a value, an empty line, and the rest as it is.

usage: seeds.py FOLDER

FOLDER/TARGET gets a file a seed. It fails when there are fewer than there should be: a golden file that is
not found is a way that nobody goes.
"""

import base64
import itertools
import json
import pathlib
import re
import struct
import sys
import urllib.parse

GOLDEN = pathlib.Path("tests/golden")
AT_LEAST = {"event": 105, "filter": 105, "reply": 100, "settings": 20, "sieve": 105}

# The secrets that the targets look for.
SECRET = "cAnAry+bird/77=sings"
CANARY = "cAnAry"

# What people ask `dlq` for.
WORDS = [
    ["list", "--newer-than", "1h"],
    ["list", "--reason", "malformed", "--reason", "rejected", "--json"],
    ["list", "--type", "user.offboarded", "--code", "malformed", "--older-than", "30m"],
    ["stats", "--text", "ADA@example.com"],
    ["show", "e-1"],
    ["export", "--id", "e-1", "--id", "sha1:0123456789ab"],
    ["replay", "--code", "unsupported", "--dry-run", "--limit", "5", "--rate", "5", "--to", "other", "--force"],
    ["discard", "--type=url.unblock", "--yes", "--older-than", "30d", "--log-level", "debug"],
]


def case(lines, rest):
    """An input: lines as bytes, and what comes after the empty one."""
    head = "".join(f"{name}: {value}\n" for name, value in lines if value is not None)
    return head.encode() + b"\n" + (rest if isinstance(rest, bytes) else rest.encode())


def body(envelope):
    content = envelope["body"]
    return content if isinstance(content, str) else json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def events():
    """The golden events by name, each with what it comes to."""
    for path in sorted(GOLDEN.glob("events/*.json")):
        if not path.name.endswith(".expected.json"):
            expected = json.loads(path.with_suffix(".expected.json").read_text())
            yield path.stem, json.loads(path.read_text()), expected


def properties(envelope):
    names = {"content_type": "content-type", "content_encoding": "content-encoding", "type": "type"}
    names |= {"message_id": "message-id", "routing_key": "routing-key"}
    return [(line, envelope.get(name)) for name, line in names.items()]


def event_seeds():
    for name, event, _ in events():
        envelope = event["envelope"]
        lines = properties(envelope)
        pairs = envelope.get("attributes", [])
        lines += [("attribute", key if value is None else f"{key} {value}") for key, value in pairs]
        lines += [("default", group) for group in event.get("default_groups", [])]
        lines += [("name", f"{of} {further}") for further, of in event.get("types", {}).items()]
        lines += [("binding", f"{event['lane']} {key}") for key in event.get("binding_keys", [])]
        lines += [("map", f"{field} {pointer}") for field, pointer in event.get("map", {}).items()]
        yield name, case(lines, body(envelope))


def filter_seeds():
    for (name, event, expected), words in zip(events(), itertools.cycle(WORDS)):
        envelope = event["envelope"]
        lines = [("word", word) for word in words] + properties(envelope)
        lines += [("text", f"cloudEvents:{key} {value}") for key, value in envelope.get("attributes", [])]
        reason = expected.get("refused", "rejected")
        lines += [("text", f"x-eventd-reason {reason}"), ("text", f"x-eventd-code {reason}")]
        lines += [("text", f"x-eventd-detail {expected.get('detail', '')}"), ("number", "x-eventd-attempts 2")]
        lines += [("text", "x-eventd-dead-lettered-at 2026-11-26T09:00:00Z"), ("text", "x-eventd-queue a")]
        if len(name) % 2:
            lines += [("death-text", "reason delivery_limit"), ("death-text", "exchange events")]
            lines += [("death-time", "time 1795683600"), ("death-key", event["lane"])]
        yield name, case(lines, body(envelope))


def forms():
    """The secret as it may be echoed."""
    yield SECRET
    quoted = urllib.parse.quote(SECRET, safe="")
    yield quoted
    yield re.sub("%..", lambda match: match[0].lower(), quoted)
    for before in ("", "i", "id"):
        yield base64.b64encode(f"{before}{SECRET}".encode()).decode()


def saying(value, words):
    """The same, with these words behind each of its texts."""
    if isinstance(value, str):
        return f"{value} {words}"
    if isinstance(value, list):
        return [saying(entry, words) for entry in value]
    if isinstance(value, dict):
        return {name: saying(entry, words) for name, entry in value.items()}
    return value


def reply_seeds():
    for path in sorted(GOLDEN.glob("replies/*.json")):
        reply = json.loads(path.read_text())
        lines = [("status", reply["status"])]
        lines += [("header", f"{name} {value}") for name, value in reply["headers"].items()]
        yield path.stem, case(lines, reply["body"])
        try:
            content = json.loads(reply["body"])
        except ValueError:
            continue
        for number, form in enumerate(forms()):
            echo = [*lines, ("request-id", f"r-{form}")]
            yield f"{path.stem}-{number}", case(echo, json.dumps(saying(content, form)))


def settings_seeds():
    text = pathlib.Path("config/mimecast-eventd.toml").read_text()
    whole = re.sub(r"(?m)^# ([a-z_]+ = )", r"\1", text)
    bare = re.sub(r"(?m)^#.*\n|^\n", "", whole)
    tables = re.split(r"(?m)^(?=\[)", bare)
    yield "example", case([], text)
    yield "whole", case([], bare)
    for number, table in enumerate(tables):
        yield f"table-{number}", case([], table)
        yield f"table-{number}-of-others", case([("auth", "oauth2")], re.sub(r'= "', f'= "{CANARY}', table))
    for key in ("amqp.url", "amqp.password", "amqp.copy_key", "mimecast.secret_key", "log.pseudonym_key"):
        secret = f"amqp://user:{CANARY}@a/v,amqp://user:{CANARY}@b/v" if key == "amqp.url" else f"{CANARY}=="
        yield f"secret-{key}", case([("secret", f"{key} {secret}"), ("flag", "retry.attempts 5")], tables[0])
    mistyped = [("variable", f"MIMECAST__APP_KYE {CANARY}"), ("secret", "mimecast.app_key")]
    yield "mistyped", case(mistyped, f'mimecast.app_kye = "{CANARY}"\n"with space" = 1\n')


def field(name, value):
    return bytes([len(name)]) + name.encode() + b"S" + struct.pack(">I", len(value)) + value


def sieve_seeds():
    """The fields of a content header: size, flags, properties."""
    for name, event, _ in events():
        envelope = event["envelope"]
        attributes = envelope.get("attributes", [])
        table = b"".join(field(f"cloudEvents:{key}", str(value).encode()) for key, value in attributes)
        flags, fields = 1 << 13, b""
        for bit, key in ((15, "content_type"), (14, "content_encoding")):
            if text := envelope.get(key, "").encode():
                flags |= 1 << bit
                fields += bytes([len(text)]) + text
        fields += struct.pack(">I", len(table)) + table
        yield name, struct.pack(">QH", len(body(envelope)), flags) + fields


SEEDS = {
    "event": event_seeds,
    "filter": filter_seeds,
    "reply": reply_seeds,
    "settings": settings_seeds,
    "sieve": sieve_seeds,
}


def main():
    for target, seeds in SEEDS.items():
        folder = pathlib.Path(sys.argv[1], target)
        folder.mkdir(parents=True)
        count = 0
        for count, (name, content) in enumerate(seeds(), 1):
            (folder / name).write_bytes(content)
        if count < AT_LEAST[target]:
            sys.exit(f"seeds.py: only {count} seeds for {target}, of at least {AT_LEAST[target]}")


main()
