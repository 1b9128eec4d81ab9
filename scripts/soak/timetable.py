"""Which trouble comes when: the same for one seed and length."""

import random
from dataclasses import dataclass

BROKER_STOPPED, BROKER_KILLED, CLOSED = "broker stopped", "broker killed", "connections closed"
VENDOR = ["API answers 503", "API refuses the credentials", "API hangs", "API talks garbage", "API answers 429",
          "API is out of quota", "API replies are lost", "API resets connections"]
BROKER = [CLOSED, "memory alarm", BROKER_STOPPED]

# After these both lanes have connected anew.
RECONNECTED = [CLOSED, BROKER_STOPPED, BROKER_KILLED]
PEOPLE = ["other settings", "guard on", "mistaken settings", "lane paused", "all paused"]

# Seconds from one trouble to the next, at least: a broker that was killed takes about ten to be back.
SHORTEST = 16


@dataclass(frozen=True)
class Act:
    second: float
    name: str
    lasts: float


def timetable(seed, minutes):
    """One trouble in each period, of which an hour has sixty; each comes once in a round, and in each round in
    another order, so that none is at the beginning or at the end only. The broker is killed and stopped in turn."""
    chance, period, acts, round_of = random.Random(seed), max(SHORTEST, minutes), [], []
    rounds = 0
    for slot in range(1, int(minutes * 60 / period) - 1):
        if not round_of:
            round_of = VENDOR + BROKER + PEOPLE
            chance.shuffle(round_of)
            rounds += 1
        name = round_of.pop()
        if name == BROKER_STOPPED and rounds % 2 == 1:
            name = BROKER_KILLED
        # A little later or earlier, so that nothing that comes at whole minutes goes along with it.
        acts.append(Act(slot * period + chance.uniform(0, period / 8), name, chance.uniform(3, 8)))
    return acts


def group(name):
    """Who is in trouble."""
    return "vendor" if name in VENDOR else "people" if name in PEOPLE else "broker"
