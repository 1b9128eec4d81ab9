"""The ledger of a soak: in which of the three places each published message ended."""

from collections import Counter, defaultdict
from dataclasses import dataclass

from event import BY_THE_BROKER, command, digest

GONE = {"err_managed_url_not_found", "err_folder_email_address_not_found"}
CHANGES = {"remove_group_member", "delete_managed_url"}


@dataclass
class Letter:
    """A message that was found in a queue in the end."""

    name: str
    body: bytes
    headers: dict

    def reason(self):
        return BY_THE_BROKER if "x-death" in self.headers else self.headers.get("x-eventd-reason", "none")


@dataclass
class Account:
    """What it all comes to. `lost` and `unexpected` are texts that say what."""

    published: int
    applied: int
    letters: Counter  # by their reasons
    queued: int
    lost: list
    unexpected: list
    repeated: int  # commands that were carried out once more

    def is_closed(self):
        return not self.lost and not self.unexpected and not self.queued


def account(events, calls, violations, letters, queued, acks):
    """`events` by their names, `calls` as the fake tells of them, `letters` from the queue of dead letters, `queued`
    from all others, and how often the daemon says that it has acked a message."""
    carried_out, early = carried_out_by(calls), []
    dead = defaultdict(list)
    for letter in letters:
        dead[letter.name].append(letter)
    waiting = Counter(letter.name for letter in queued)
    lost, applied = [], 0
    for event in events.values():
        ended = len(dead[event.name]) if event.reason else acked(event, carried_out, acks)
        applied += 0 if event.reason else min(ended, event.times)
        if ended + waiting[event.name] < event.times:
            lost.append(f"{event.name} ({event.kind}): published {event.times} times, ended {ended} times")
        times = [at for item in event.items for at in carried_out[item]]
        if event.due and times and min(times) < event.due:
            early.append(f"{event.name} was due at {event.due:.3f} and carried out at {min(times):.3f}")
    unexpected = [*strange_letters(events, letters), *strange_calls(events, carried_out), *early,
                  *(f"the vendor found: {violation}" for violation in violations)]
    repeated = sum(len(times) - 1 for times in carried_out.values())
    return Account(sum(event.times for event in events.values()), applied,
                   Counter(letter.reason() for letter in letters), len(queued), lost, unexpected, repeated)


def carried_out_by(calls):
    """When each command was carried out: at first for real, then as gone already."""
    found = defaultdict(list)
    for call in calls:
        if call["operation"] in CHANGES and (call["applied"] or call["code"] in GONE):
            item, at = call["item"], call["at"]
            member = item.get("emailAddress") or item.get("domain")
            key = command(item["id"], member) if member else item["id"]
            found[key].append(at["secs_since_epoch"] + at["nanos_since_epoch"] / 1e9)
    return found


def acked(event, carried_out, acks):
    """How often it was acked, none of which counts unless all that it asks for was carried out."""
    return acks.get(event.name, 0) if all(item in carried_out for item in event.items) else 0


def strange_letters(events, letters):
    for letter in letters:
        event = events.get(letter.name)
        if event is None:
            yield f"nobody published the dead letter {letter.name}"
        elif letter.reason() != event.reason:
            yield (f"{event.name} ({event.kind}) was dead-lettered as {letter.reason()}, not as {event.reason or 'no'}"
                   f" dead letter: {letter.headers}")
        elif digest(letter.body) != event.digest:
            yield f"the body of {event.name} was changed"


def strange_calls(events, carried_out):
    wanted = {item for event in events.values() for item in event.items}
    return (f"nobody asked for what was carried out: {item}" for item in carried_out if item not in wanted)
