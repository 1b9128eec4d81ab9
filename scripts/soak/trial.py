"""Sees that a soak fails where it ought to: on samples and ledgers that are made up."""

from dataclasses import replace

from event import BY_THE_BROKER, Event, digest
from flatness import findings
from ledger import Letter, account
from sample import Sample
from trouble import Spell

MINUTES = 60
EVEN = Sample(0, 20.0, 14, 6, 3, 5.0, 0, 2, 4)


def run(change=lambda minute, sample: sample, late=lambda minute: 0.0):
    """The names of what is not flat. There is a sample each second and a message each, and in every third minute a
    trouble with outrageous figures, which are not counted."""
    spells = [Spell("connections closed", minute * 60, minute * 60 + 10, minute * 60 + 20) for minute in range(1, MINUTES, 3)]
    samples, latencies = [], []
    for second in range(MINUTES * 60):
        minute, noise = second / 60, second % 7 / 7
        is_wrong = any(spell.begin <= second < spell.well for spell in spells)
        sample = replace(EVEN, at=second, resident=20 + noise, in_flight=second % 3, vendor=6 + second % 3)
        samples.append(replace(sample, resident=500, descriptors=900, connections=None, channels=None) if is_wrong
                       else change(minute, sample))
        latencies.append((second, 9000 if is_wrong else 4 + noise + late(minute)))
    found = findings(samples, latencies, spells, 0, MINUTES * 60)
    return {it.measure.name for it in found if not it.is_flat()}


def flat():
    expect("an even run", run(), set())
    expect("what grows before the tenth minute",
           run(lambda minute, it: replace(it, resident=it.resident + 20 * min(minute, 10))), set())
    expect("a megabyte in ten minutes",
           run(lambda minute, it: replace(it, resident=it.resident + minute / 10)), {"memory after a reconnection"})
    expect("buffers that fill until the next reconnection",
           run(lambda minute, it: replace(it, resident=it.resident + (minute - 4 / 3) % 3 * 2 + minute / 100)), set())
    expect("one descriptor that is not closed",
           run(lambda minute, it: replace(it, descriptors=14 + (minute > 40))), {"descriptors, but those to the vendor"})
    expect("one thread an hour", run(lambda minute, it: replace(it, threads=3 + (minute > 52))), {"threads"})
    expect("a channel that stays", run(lambda minute, it: replace(it, channels=4 + int(minute / 20))), {"channels"})
    expect("connections to the vendor that are not given up",
           run(lambda minute, it: replace(it, vendor=6 + int(minute))), {"connections to the vendor"})
    expect("every message a little later than the one before", run(late=lambda minute: minute / 15),
           {"latency, p50"})
    expect("a message in forty that takes longer and longer",
           run(late=lambda minute: minute if int(minute * 60) % 40 == 0 else 0), {"latency, p99"})
    expect("messages that never come to an end", run(late=lambda minute: float("inf") if minute > 55 else 0),
           {"latency, p50", "latency, p99"})
    expect("a daemon of which nothing is known in the end",
           run(lambda minute, it: replace(it, connections=None if minute > 45 else 2)), {"connections to the broker"})


GOOD, BAD, HUGE = b"good", b"bad", b"huge"


def books(**changes):
    """The account of three events that all ended as they should, with some of it changed."""
    events = [Event("good", "offboarding", ("group member",), times=2, due=5.0),
              Event("bad", "malformed", reason="malformed", digest=digest(BAD), times=1),
              Event("huge", "huge", reason=BY_THE_BROKER, digest=digest(HUGE), times=1)]
    call = {"operation": "remove_group_member", "item": {"id": "group", "emailAddress": "member"}, "applied": True,
            "code": None, "at": {"secs_since_epoch": 6, "nanos_since_epoch": 0}}
    of = {"events": {event.name: event for event in events}, "calls": [call], "violations": [],
          "letters": [Letter("bad", BAD, {"x-eventd-reason": "malformed"}), Letter("huge", HUGE, {"x-death": []})],
          "queued": [], "acks": {"good": 2}}
    return account(**{**of, **{name: change(of[name]) for name, change in changes.items()}})


def closed():
    expect("a ledger without a fault", books().is_closed(), True)
    for what, changes, lost, unexpected in [
            ("a dead letter that is gone", {"letters": lambda it: it[1:]}, 1, 0),
            ("one of two copies that nobody acked", {"acks": lambda _: {"good": 1}}, 1, 0),
            ("an ack without an effect", {"calls": lambda _: []}, 1, 0),
            ("a dead letter for another reason",
             {"letters": lambda it: [Letter("bad", BAD, {"x-eventd-reason": "rejected"}), it[1]]}, 0, 1),
            ("a dead letter of what was applied",
             {"letters": lambda it: [*it, Letter("good", GOOD, {"x-eventd-reason": "retries_exhausted"})]}, 0, 1),
            ("a body that was changed",
             {"letters": lambda it: [Letter("bad", GOOD, {"x-eventd-reason": "malformed"}), it[1]]}, 0, 1),
            ("a dead letter of nobody's",
             {"letters": lambda it: [*it, Letter("other", BAD, {"x-eventd-reason": "malformed"})]}, 0, 1),
            ("a call that nobody asked for",
             {"calls": lambda it: [*it, {**it[0], "item": {"id": "group", "emailAddress": "other"}}]}, 0, 1),
            ("what is carried out before it is due",
             {"calls": lambda it: [{**it[0], "at": {"secs_since_epoch": 4, "nanos_since_epoch": 0}}]}, 0, 1),
            ("a request that the vendor finds wrong", {"violations": lambda _: ["no x-mc-date"]}, 0, 1)]:
        found = books(**changes)
        expect(what, (len(found.lost), len(found.unexpected)), (lost, unexpected))
    waits = books(acks=lambda _: {"good": 1}, queued=lambda _: [Letter("good", GOOD, {})])
    expect("what is still queued is not lost, and not done", (waits.lost, waits.is_closed()), ([], False))


def expect(what, found, wanted):
    assert found == wanted, f"{what}: found {found}, not {wanted}"


flat()
closed()
