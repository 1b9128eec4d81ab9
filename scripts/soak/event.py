"""The events of a soak: what each asks for, and where it may end."""

import json
import random
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import blake2b

LANES = {"user.offboarded": "mimecast-eventd.user.offboarded", "url.unblock": "mimecast-eventd.url.unblock"}
GROUPS = {f"group-{number}": f"Group number {number}" for number in range(8)}
TWINS = {"twin-1": "Twin", "twin-2": "Twin"}
BY_THE_BROKER = "by the broker"


@dataclass
class Event:
    """What is remembered of an event. It is known by `name` wherever it turns up."""

    name: str
    kind: str
    items: tuple = ()  # what the vendor has to have carried out, if it is to be applied
    reason: str = ""  # for which it is dead-lettered, if that is its end
    due: float = 0.0  # not to be carried out before
    digest: bytes = b""  # of its body
    sent: float = 0.0  # when it was handed to the broker that took it, the first time
    times: int = 0  # that the broker has confirmed it


@dataclass
class Draft:
    """An event with all that is needed to publish it."""

    event: Event
    lane: str
    data: dict
    needs: list  # what the vendor is to know before: paths under /_fake/ with their bodies
    envelope: str = ""  # any if none is named
    attributes: tuple = ()  # of the CloudEvent, in place of the usual ones
    body: bytes = b""
    properties: dict | None = None


class Events:
    """An endless mix of events, always the same for one seed."""

    def __init__(self, seed):
        self.random, self.count = random.Random(seed), 0

    def next(self):
        kind = self.random.choices(list(MIX), [share for share, _ in MIX.values()])[0]
        self.count += 1
        draft = MIX[kind][1](Event(f"s-{self.count:06}", kind), self.random)
        envelope = draft.envelope or self.random.choice(list(ENVELOPES))
        if not draft.body:
            draft.body = json.dumps(ENVELOPES[envelope](draft)).encode()
        draft.properties = {"content_type": CONTENT_TYPES[envelope], "message_id": draft.event.name,
                            "delivery_mode": 2, **(draft.properties or {})}
        if envelope == "binary":
            draft.properties["headers"] = {f"cloudEvents:{key}": it for key, it in attributes(draft).items()}
        draft.event.digest = digest(draft.body)
        return draft


def digest(body):
    return blake2b(body, digest_size=8).digest()


def command(group, member):
    """A removal, as it is known by in the list of calls."""
    return f"{group} {member}"


# ---- envelopes

def attributes(draft):
    now = datetime.now(timezone.utc).isoformat()
    return {"specversion": "1.0", "id": draft.event.name, "source": "/soak", "type": draft.lane, "time": now,
            **dict(draft.attributes)}


ENVELOPES = {
    "structured": lambda draft: {**attributes(draft), "data": draft.data},
    "binary": lambda draft: draft.data,
    "bare": lambda draft: draft.data,
}
CONTENT_TYPES = {"structured": "application/cloudevents+json", "binary": "application/json",
                 "bare": "application/json"}


# ---- what ends applied

def offboarding(event, chance, member=None, field="emailAddress", groups=2, by="groupIds", more=None):
    member = member or f"{event.name}@example.com"
    ids = chance.sample(list(GROUPS), groups)
    event.items = tuple(command(group, member) for group in ids)
    needs = [("members", {"group": group, "member": member}) for group in ids]
    called = ids if by == "groupIds" else [GROUPS[group] for group in ids]
    return Draft(event, "user.offboarded", {field: member, by: called, **(more or {})}, needs)


def domain(event, chance):
    return offboarding(event, chance, member=f"{event.name}.example.com", field="domain")


def named(event, chance):
    return offboarding(event, chance, by="groups")


def unblocking(event, _):
    event.items = (f"{event.name}/1", f"{event.name}/2")
    needs = [("urls", {"id": item}) for item in event.items]
    return Draft(event, "url.unblock", {"ids": list(event.items)}, needs)


def url(event, _):
    """By the URL, which two entries block."""
    place = f"https://{event.name}.example/path?x=1"
    event.items = (f"{event.name}/1", f"{event.name}/2")
    needs = [("urls", {"id": item, "url": place}) for item in event.items]
    return Draft(event, "url.unblock", {"url": place}, needs)


def due(event, chance):
    at = datetime.now(timezone.utc) + timedelta(seconds=chance.uniform(5, 20))
    event.due = at.timestamp()
    return offboarding(event, chance, more={"effectiveAt": at.isoformat()})


def big(event, chance):
    """Nearly as much as is taken into memory."""
    return offboarding(event, chance, more={"note": "x" * chance.randrange(150_000, 250_000)})


def stubborn(event, chance):
    """The vendor fails over it for some calls, and over no other."""
    draft = offboarding(event, chance, groups=1)
    fault = {"matches": {"item_containing": event.name}, "times": {"exactly": chance.randrange(1, 6)},
             "kind": {"type": "empty_body", "status": 503}}
    draft.needs.append(("faults", fault))
    return draft


# ---- what ends as a dead letter

def dead(draft, reason):
    draft.event.items, draft.event.reason, draft.needs = (), reason, []
    return draft


def malformed(event, chance):
    draft = dead(offboarding(event, chance), "malformed")
    both = json.dumps({**draft.data, "domain": "example.com"})
    draft.body = chance.choice([json.dumps(draft.data)[:-1], both, "[]", '{"emailAddress":"a@b","emailAddress":"c@d"}'
                                ]).encode()
    draft.envelope = "bare"
    return draft


def unsupported(event, chance):
    draft = dead(offboarding(event, chance), "unsupported")
    draft.envelope, draft.attributes = "structured", (("type", "user.renamed"),)
    return draft


def compressed(event, chance):
    draft = dead(offboarding(event, chance), "unsupported")
    draft.properties = {"content_encoding": "gzip"}
    return draft


def refused(event, chance):
    """The vendor takes no address whose domain has no dot."""
    return dead(offboarding(event, chance, member=f"{event.name}@nowhere"), "rejected")


def unknown_group(event, chance):
    draft = dead(offboarding(event, chance), "rejected")
    draft.data = {"emailAddress": draft.data["emailAddress"], "groups": [f"No group of {event.name}"]}
    return draft


def ambiguous(event, chance):
    draft = dead(offboarding(event, chance), "ambiguous")
    draft.data = {"emailAddress": draft.data["emailAddress"], "groups": ["Twin"]}
    return draft


def denied(event, chance):
    """The settings protect whoever is on the board."""
    return dead(offboarding(event, chance, member=f"board-{event.name}@example.com"), "denied")


def expired(event, chance):
    draft = dead(offboarding(event, chance), "expired")
    yesterday = datetime.now(timezone.utc) - timedelta(days=1)
    draft.envelope, draft.attributes = "structured", (("time", yesterday.isoformat()),)
    return draft


def huge(event, chance):
    return dead(offboarding(event, chance, more={"note": "x" * 300_000}), BY_THE_BROKER)


# By their shares. Of these kinds the latency is counted: nothing is to be waited for but the vendor's answer.
PLAIN = {"offboarding", "unblocking", "domain"}
MIX = {
    "offboarding": (34, offboarding), "unblocking": (26, unblocking), "domain": (6, domain), "named": (8, named),
    "url": (7, url), "due": (4, due), "big": (0.5, big), "stubborn": (2, stubborn), "malformed": (3, malformed),
    "unsupported": (1, unsupported), "compressed": (1, compressed), "refused": (2, refused),
    "unknown group": (1, unknown_group), "ambiguous": (1, ambiguous), "denied": (1, denied), "expired": (1, expired),
    "huge": (0.2, huge),
}
